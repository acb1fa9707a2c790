/* SPDX-License-Identifier: MIT */
/* Includes its source instead of linking it: under its own names it would replace libc's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define memcpy  tern_memcpy
#define memmove tern_memmove
#define memset  tern_memset
#define memcmp  tern_memcmp
#define strlen  tern_strlen
#define strcmp  tern_strcmp
#define strncmp tern_strncmp
#define strchr  tern_strchr
#include "hv/lib/mem.c"
#undef memcpy
#undef memmove
#undef memset
#undef memcmp
#undef strlen
#undef strcmp
#undef strncmp
#undef strchr

#define AREA 320u

static int sign(int v)
{
	return v < 0 ? -1 : v > 0;
}

static void fill(u8 *p, size_t n, u32 seed)
{
	for (size_t i = 0; i < n; i++) {
		seed = seed * 1664525 + 1013904223;
		p[i] = (u8)(seed >> 24);
	}
}

/* All lengths and alignments; what lies around the copy stays as it was. */
static void test_memcpy(UNUSED void **state)
{
	u8 src[AREA], got[AREA], want[AREA];

	fill(src, AREA, 1);
	for (size_t n = 0; n <= 100; n++) {
		for (size_t off = 0; off < 64; off++) {
			fill(got, AREA, 2);
			memcpy(want, got, AREA);
			for (size_t i = 0; i < n; i++)
				want[off % 8 + i] = src[off / 8 + i];
			assert_ptr_equal(tern_memcpy(got + off % 8, src + off / 8, n),
					 got + off % 8);
			assert_memory_equal(got, want, AREA);
		}
	}
}

static void test_memmove_overlap(UNUSED void **state)
{
	u8 got[AREA], want[AREA], copy[AREA];

	for (size_t n = 0; n <= 70; n++) {
		for (size_t d = 0; d < 80; d++) {
			for (size_t s = 36; s < 44; s++) {
				fill(got, AREA, (u32)n);
				memcpy(want, got, AREA);
				memcpy(copy, got, AREA);
				for (size_t i = 0; i < n; i++)
					want[d + i] = copy[s + i];
				assert_ptr_equal(tern_memmove(got + d, got + s, n), got + d);
				assert_memory_equal(got, want, AREA);
			}
		}
	}
}

static void test_memset(UNUSED void **state)
{
	u8 got[AREA], want[AREA];

	for (size_t n = 0; n <= 100; n++) {
		for (size_t off = 0; off < 8; off++) {
			fill(got, AREA, 3);
			memcpy(want, got, AREA);
			for (size_t i = 0; i < n; i++)
				want[off + i] = 0xa5;
			assert_ptr_equal(tern_memset(got + off, 0x7a5, n), got + off);
			assert_memory_equal(got, want, AREA);
		}
	}
}

static void test_large(UNUSED void **state)
{
	size_t n = (1u << 20) + 5;
	u8 *a = malloc(n), *b = malloc(n);

	assert_non_null(a);
	assert_non_null(b);
	fill(a, n, 4);
	tern_memcpy(b, a, n);
	assert_memory_equal(a, b, n);
	assert_int_equal(tern_memcmp(a, b, n), 0);
	b[n - 1] ^= 1;
	assert_int_equal(tern_memcmp(a, b, n), sign(a[n - 1] - b[n - 1]));
	tern_memmove(b + 3, b, n - 3);
	assert_memory_equal(b + 3, a, n - 3);
	free(a);
	free(b);
}

static void test_memcmp(UNUSED void **state)
{
	u8 a[48], b[48];

	fill(a, sizeof(a), 5);
	for (size_t n = 0; n <= 40; n++) {
		for (size_t at = 0; at < 48; at++) {
			memcpy(b, a, sizeof(b));
			b[at] ^= 0x80;
			assert_int_equal(tern_memcmp(a, b, n), sign(memcmp(a, b, n)));
			assert_int_equal(tern_memcmp(b, a, n), sign(memcmp(b, a, n)));
		}
	}
	/* A second difference, the other way round, must not count. */
	assert_true(tern_memcmp("abcdefgha", "abcdeFgzz", 9) > 0);
}

static void test_strings(UNUSED void **state)
{
	static const char *const s[] = {"", "a", "ab", "abc", "abd", "b", "\xff", "\x7f", "a\xff"};
	const char *text = "find me";

	for (size_t i = 0; i < ARRAY_SIZE(s); i++) {
		assert_int_equal(tern_strlen(s[i]), strlen(s[i]));
		for (size_t k = 0; k < ARRAY_SIZE(s); k++) {
			assert_int_equal(sign(tern_strcmp(s[i], s[k])), sign(strcmp(s[i], s[k])));
			for (size_t n = 0; n < 5; n++)
				assert_int_equal(sign(tern_strncmp(s[i], s[k], n)),
						 sign(strncmp(s[i], s[k], n)));
		}
	}
	assert_ptr_equal(tern_strchr(text, 'f'), text);
	assert_ptr_equal(tern_strchr(text, 'e'), text + 6);
	assert_ptr_equal(tern_strchr(text, '\0'), text + 7);
	assert_null(tern_strchr(text, 'x'));
	assert_null(tern_strchr("", 'x'));
}

/* strncmp looks at no byte past the NUL and none past n: these end where the sanitizer watches. */
static void test_no_overread(UNUSED void **state)
{
	for (size_t n = 1; n < 40; n++) {
		char *a = malloc(n), *b = malloc(n);

		assert_non_null(a);
		assert_non_null(b);
		memset(a, 'x', n);
		memset(b, 'x', n);
		assert_int_equal(tern_strncmp(a, b, n), 0);
		assert_int_equal(tern_memcmp(a, b, n), 0);
		a[n - 1] = b[n - 1] = '\0';
		assert_int_equal(tern_strncmp(a, b, 100), 0);
		assert_int_equal(tern_strlen(a), n - 1);
		assert_int_equal(tern_strcmp(a, b), 0);
		assert_null(tern_strchr(a, 'y'));
		free(a);
		free(b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memcpy),      cmocka_unit_test(test_memmove_overlap),
		cmocka_unit_test(test_memset),      cmocka_unit_test(test_large),
		cmocka_unit_test(test_memcmp),      cmocka_unit_test(test_strings),
		cmocka_unit_test(test_no_overread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
