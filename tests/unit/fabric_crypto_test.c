/* SPDX-License-Identifier: MIT */
/* links: hv/net/fabric_crypto.c arch/x86_64/ghash.c tests/fake/fake_fpu.c */
/* libs: -l:libbearssl.a */
/* Against the vectors of the RFCs, and against BearSSL's portable AES-GCM and ChaCha20-Poly1305. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <bearssl.h>

#include <hv/net/fabric_crypto.h>

static void hex(const char *text, u8 *out)
{
	for (u32 v; *text != '\0'; text += 2) {
		assert_int_equal(sscanf(text, "%2x", &v), 1);
		*out++ = (u8)v;
	}
}

/* RFC 7748 section 6.1. */
static void test_x25519(void **state)
{
	u8 a[32], b[32], a_public[32], b_public[32], want[32], got[32];
	u8 nothing[32] = {0};

	(void)state;
	hex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb", b);
	hex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f", b_public);
	fabric_crypto_public(b, got);
	assert_memory_equal(got, b_public, 32);
	/* Section 5.2, the first vector. */
	hex("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4", a);
	hex("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c", a_public);
	hex("c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552", want);
	assert_true(fabric_crypto_shared(a, a_public, got));
	assert_memory_equal(got, want, 32);
	fabric_crypto_public(a, a_public);
	assert_true(fabric_crypto_shared(a, b_public, got));
	assert_true(fabric_crypto_shared(b, a_public, want));
	assert_memory_equal(got, want, 32);
	assert_false(fabric_crypto_shared(a, nothing, got));
}

/* RFC 5869 A.1; RFC 4231 section 4.3, cut to 16 bytes, with a key of 32. */
static void test_hkdf(void **state)
{
	u8 secret[22], salt[13], info[10], want[42], got[42], mac[16], key[32] = "Jefe";

	(void)state;
	memset(secret, 0x0b, sizeof(secret));
	hex("000102030405060708090a0b0c", salt);
	hex("f0f1f2f3f4f5f6f7f8f9", info);
	hex("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
	    want);
	fabric_crypto_hkdf(salt, 13, secret, 22, info, 10, got, 42);
	assert_memory_equal(got, want, 42);
	hex("5bdcc146bf60754e6a042426089575c7", want);
	fabric_crypto_mac(key, "what do ya want ", 16, "for nothing?", 12, mac);
	assert_memory_equal(mac, want, 16);
	fabric_crypto_hash("a", 1, "", 0, "bc", 2, got);
	hex("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", want);
	assert_memory_equal(got, want, 32);
}

/* The same packet by BearSSL's code for any CPU. */
static void judge(u8 cipher, const u8 secret[32], u64 number, u8 *packet, size_t len)
{
	br_aes_ct64_ctr_keys aes;
	br_gcm_context gcm;
	u8 material[44], iv[12];
	size_t key_len = cipher == FABRIC_AES_GCM ? 16 : 32;

	fabric_crypto_hkdf(NULL, 0, secret, 32, "key", 3, material, key_len + 12);
	memcpy(iv, material + key_len, 12);
	for (u32 i = 0; i < 8; i++)
		iv[4 + i] ^= (u8)(number >> 8 * i);
	if (cipher == FABRIC_CHACHA_POLY1305) {
		br_poly1305_ctmul_run(material, iv, packet + 16, len, packet, 16, packet + 16 + len,
				      br_chacha20_ct_run, 1);
		return;
	}
	br_aes_ct64_ctr_init(&aes, material, 16);
	br_gcm_init(&gcm, &aes.vtable, br_ghash_ctmul64);
	br_gcm_reset(&gcm, iv, 12);
	br_gcm_aad_inject(&gcm, packet, 16);
	br_gcm_flip(&gcm);
	br_gcm_run(&gcm, 1, packet + 16, len);
	br_gcm_get_tag(&gcm, packet + 16 + len);
}

static void test_seal(void **state)
{
	static const size_t lengths[] = {0, 1, 15, 16, 17, 63, 64, 100, 127, 128, 1432, 4096, 8940};
	u8 secret[32], text[9000], other[9000], plain[9000];
	struct fabric_aead key;

	(void)state;
	for (u32 i = 0; i < 32; i++)
		secret[i] = (u8)(i * 7);
	assert_true((fabric_crypto_ciphers() & FABRIC_CHACHA_POLY1305) != 0);
	for (u8 cipher = FABRIC_AES_GCM; cipher <= FABRIC_CHACHA_POLY1305; cipher++) {
		if ((fabric_crypto_ciphers() & cipher) == 0)
			continue;
		fabric_crypto_key(&key, cipher, secret);
		for (u32 n = 0; n < sizeof(lengths) / sizeof(lengths[0]); n++) {
			size_t len = lengths[n];
			u64 number = n == 0 ? UINT64_MAX : (u64)n << 33;

			for (size_t i = 0; i < 16 + len; i++)
				plain[i] = text[i] = other[i] = (u8)(i * 31 + n);
			fabric_crypto_seal(&key, number, text, len);
			judge(cipher, secret, number, other, len);
			assert_memory_equal(text, other, 32 + len);
			assert_false(fabric_crypto_open(&key, number + 1, other, len));
			assert_true(fabric_crypto_open(&key, number, text, len));
			assert_memory_equal(text, plain, 16 + len);
		}
	}
}

/* Each bit of header, text and tag matters. */
static void test_forged(void **state)
{
	u8 secret[32] = {1}, good[16 + 40 + 16], bad[sizeof(good)];
	struct fabric_aead key;

	(void)state;
	for (u8 cipher = FABRIC_AES_GCM; cipher <= FABRIC_CHACHA_POLY1305; cipher++) {
		if ((fabric_crypto_ciphers() & cipher) == 0)
			continue;
		fabric_crypto_key(&key, cipher, secret);
		memset(good, 0x5a, sizeof(good));
		fabric_crypto_seal(&key, 9, good, 40);
		for (u32 bit = 0; bit < 8 * sizeof(good); bit++) {
			memcpy(bad, good, sizeof(good));
			bad[bit / 8] ^= (u8)(1 << bit % 8);
			assert_false(fabric_crypto_open(&key, 9, bad, 40));
		}
		assert_true(fabric_crypto_open(&key, 9, good, 40));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_x25519),
		cmocka_unit_test(test_hkdf),
		cmocka_unit_test(test_seal),
		cmocka_unit_test(test_forged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
