/* SPDX-License-Identifier: MIT */
/* links: arch/x86_64/ghash.c */
/* libs: -l:libbearssl.a */
/* The judge is BearSSL's portable GHASH; the first vector is that of NIST's GCM test case 2. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <bearssl.h>

#include <tern/ghash.h>

static u64 seed;

static u8 random_byte(void)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (u8)(seed >> 56);
}

static void test_nist(void **state)
{
	static const u8 h[16] = {0x66, 0xe9, 0x4b, 0xd4, 0xef, 0x8a, 0x2c, 0x3b,
				 0x88, 0x4c, 0xfa, 0x59, 0xca, 0x34, 0x2b, 0x2e};
	static const u8 data[32] = {0x03, 0x88, 0xda, 0xce, 0x60, 0xb6, 0xa3, 0x92,
				    0xf3, 0x28, 0xc2, 0xb9, 0x71, 0xb2, 0xfe, 0x78,
				    0,    0,    0,    0,    0,    0,    0,    0,
				    0,    0,    0,    0,    0,    0,    0,    0x80};
	static const u8 want[16] = {0xf3, 0x8c, 0xbb, 0x1a, 0xd6, 0x92, 0x23, 0xdc,
				    0xc3, 0x45, 0x7a, 0xe5, 0xb6, 0xb0, 0xf8, 0x85};
	struct ghash_key key;
	u8 y[16] = {0};

	(void)state;
	ghash_init(&key, h);
	ghash_run(&key, y, data, sizeof(data));
	assert_memory_equal(y, want, sizeof(want));
}

/* All lengths up to three turns of eight blocks, at odd addresses, with keys of all kinds. */
static void test_lengths(void **state)
{
	u8 h[16], y[16], other[16], *data = malloc(400);
	struct ghash_key key;

	(void)state;
	for (u32 k = 0; k < 20; k++) {
		for (u32 i = 0; i < 16; i++)
			h[i] = k == 0 ? 0 : k == 1 ? 0xff : random_byte();
		ghash_init(&key, h);
		for (size_t len = 0; len <= 399; len++) {
			for (u32 i = 0; i < 16; i++)
				y[i] = other[i] = random_byte();
			for (size_t i = 0; i < len; i++)
				data[400 - len + i] = random_byte();
			ghash_run(&key, y, data + 400 - len, len);
			br_ghash_ctmul64(other, h, data + 400 - len, len);
			assert_memory_equal(y, other, 16);
		}
	}
	free(data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nist),
		cmocka_unit_test(test_lengths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
