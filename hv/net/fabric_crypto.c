/* SPDX-License-Identifier: MIT */
/*
 * The gate to BearSSL: no other file includes it, and what it may need from us is a list that the build
 * checks (mk/hv.mk). Debian's archive is compiled with SSE, hence fpu_begin() and fpu_end(); its stack
 * protector finds the canary where ours does, at FS:0x28.
 */
#include "fabric_crypto.h"

#include <bearssl.h>

#include <tern/fpu.h>
#include <tern/lib.h>

_Static_assert(sizeof(br_aes_x86ni_ctr_keys) <= sizeof(((struct fabric_aead *)NULL)->aes),
	       "the key schedule fits");

/* Which block of the key stream makes the tag, and which the text (NIST SP 800-38D section 7.1). */
#define GCM_TAG_BLOCK  1u
#define GCM_TEXT_BLOCK 2u

u8 fabric_crypto_ciphers(void)
{
	bool aes = br_aes_x86ni_ctr_get_vtable() != NULL && br_ghash_pclmul_get() != NULL;

	return aes ? FABRIC_AES_GCM | FABRIC_CHACHA_POLY1305 : FABRIC_CHACHA_POLY1305;
}

void fabric_crypto_hkdf(const void *salt, size_t salt_len, const void *secret, size_t secret_len,
			const void *info, size_t info_len, void *out, size_t out_len)
{
	br_hkdf_context c;

	fpu_begin();
	br_hkdf_init(&c, &br_sha256_vtable, salt, salt_len);
	br_hkdf_inject(&c, secret, secret_len);
	br_hkdf_flip(&c);
	br_hkdf_produce(&c, info, info_len, out, out_len);
	fpu_end();
	fabric_crypto_wipe(&c, sizeof(c));
}

void fabric_crypto_mac(const u8 key[FABRIC_KEY], const void *a, size_t a_len, const void *b,
		       size_t b_len, u8 out[FABRIC_MAC])
{
	br_hmac_key_context kc;
	br_hmac_context c;
	u8 mac[br_sha256_SIZE];

	fpu_begin();
	br_hmac_key_init(&kc, &br_sha256_vtable, key, FABRIC_KEY);
	br_hmac_init(&c, &kc, 0);
	br_hmac_update(&c, a, a_len);
	br_hmac_update(&c, b, b_len);
	br_hmac_out(&c, mac);
	fpu_end();
	memcpy(out, mac, FABRIC_MAC);
	fabric_crypto_wipe(&kc, sizeof(kc));
	fabric_crypto_wipe(&c, sizeof(c));
}

void fabric_crypto_hash(const void *a, size_t a_len, const void *b, size_t b_len, const void *c,
			size_t c_len, u8 out[FABRIC_HASH])
{
	br_sha256_context h;

	fpu_begin();
	br_sha256_init(&h);
	br_sha256_update(&h, a, a_len);
	br_sha256_update(&h, b, b_len);
	br_sha256_update(&h, c, c_len);
	br_sha256_out(&h, out);
	fpu_end();
}

bool fabric_crypto_equal(const void *a, const void *b, size_t len)
{
	const u8 *x = a, *y = b;
	u8 different = 0;

	for (size_t i = 0; i < len; i++)
		different = (u8)(different | (x[i] ^ y[i]));
	return different == 0;
}

void fabric_crypto_public(const u8 secret[FABRIC_KEY], u8 out[FABRIC_KEY])
{
	fpu_begin();
	br_ec_c25519_m31.mulgen(out, secret, FABRIC_KEY, BR_EC_curve25519);
	fpu_end();
}

bool fabric_crypto_shared(const u8 secret[FABRIC_KEY], const u8 other[FABRIC_KEY],
			  u8 out[FABRIC_KEY])
{
	static const u8 zeros[FABRIC_KEY];
	u32 ok;

	memcpy(out, other, FABRIC_KEY);
	fpu_begin();
	ok = br_ec_c25519_m31.mul(out, FABRIC_KEY, secret, FABRIC_KEY, BR_EC_curve25519);
	fpu_end();
	return ok != 0 && !fabric_crypto_equal(out, zeros, FABRIC_KEY);
}

static br_aes_x86ni_ctr_keys *aes_of(struct fabric_aead *k)
{
	return (br_aes_x86ni_ctr_keys *)(void *)k->aes;
}

static const br_aes_x86ni_ctr_keys *aes_in(const struct fabric_aead *k)
{
	return (const br_aes_x86ni_ctr_keys *)(const void *)k->aes;
}

void fabric_crypto_key(struct fabric_aead *k, u8 cipher, const u8 secret[FABRIC_KEY])
{
	static const u8 iv[FABRIC_IV];
	u8 material[FABRIC_KEY + FABRIC_IV];
	size_t key_len = cipher == FABRIC_AES_GCM ? 16 : FABRIC_KEY;
	u8 h[GHASH_BLOCK] = {0};

	fabric_crypto_hkdf(NULL, 0, secret, FABRIC_KEY, "key", 3, material, key_len + FABRIC_IV);
	memset(k, 0, sizeof(*k));
	k->cipher = cipher;
	memcpy(k->iv, material + key_len, FABRIC_IV);
	if (cipher == FABRIC_AES_GCM) {
		fpu_begin();
		br_aes_x86ni_ctr_init(aes_of(k), material, key_len);
		br_aes_x86ni_ctr_run(aes_of(k), iv, 0, h, sizeof(h)); /* H is block 0 of IV 0 */
		ghash_init(&k->ghash, h);
		fpu_end();
	} else {
		memcpy(k->chacha, material, FABRIC_KEY);
	}
	fabric_crypto_wipe(material, sizeof(material));
	fabric_crypto_wipe(h, sizeof(h));
}

static void nonce(const struct fabric_aead *k, u64 number, u8 out[FABRIC_IV])
{
	u64 low;

	__builtin_memcpy(out, k->iv, FABRIC_IV);
	__builtin_memcpy(&low, out + FABRIC_IV - sizeof(low), sizeof(low));
	low ^= number;
	__builtin_memcpy(out + FABRIC_IV - sizeof(low), &low, sizeof(low));
}

/* The hash of header and text, which lie side by side: the header is one whole block. */
static void gcm_hash(const struct fabric_aead *k, const u8 *packet, size_t len, u8 y[GHASH_BLOCK])
{
	/* The last block that is not whole, filled up, and the lengths go together. */
	u64 end[4] = {0, 0, __builtin_bswap64(FABRIC_HEADER * 8), __builtin_bswap64(len * 8)};
	size_t rest = len % GHASH_BLOCK, whole = FABRIC_HEADER + len - rest;

	memset(y, 0, GHASH_BLOCK);
	ghash_run(&k->ghash, y, packet, whole);
	memcpy(end, packet + whole, rest);
	if (rest != 0)
		ghash_run(&k->ghash, y, (const u8 *)end, sizeof(end));
	else
		ghash_run(&k->ghash, y, (const u8 *)(end + 2), GHASH_BLOCK);
}

/* The blocks for tag and text follow each other: one run makes both, the tag's where the header is. */
static void gcm_seal(const struct fabric_aead *k, const u8 iv[FABRIC_IV], u8 *packet, size_t len)
{
	u64 header[2], mask[2], y[2];

	static const u64 zeros[2];

	__builtin_memcpy(header, packet, FABRIC_HEADER);
	__builtin_memcpy(packet, zeros, FABRIC_HEADER);
	br_aes_x86ni_ctr_run(aes_in(k), iv, GCM_TAG_BLOCK, packet, FABRIC_HEADER + len);
	__builtin_memcpy(mask, packet, FABRIC_HEADER);
	__builtin_memcpy(packet, header, FABRIC_HEADER);
	gcm_hash(k, packet, len, (u8 *)y);
	y[0] ^= mask[0];
	y[1] ^= mask[1];
	__builtin_memcpy(packet + FABRIC_HEADER + len, y, FABRIC_MAC);
}

static bool gcm_open(const struct fabric_aead *k, const u8 iv[FABRIC_IV], u8 *packet, size_t len)
{
	u64 mask[2] = {0, 0}, y[2];

	gcm_hash(k, packet, len, (u8 *)y);
	br_aes_x86ni_ctr_run(aes_in(k), iv, GCM_TAG_BLOCK, mask, sizeof(mask));
	y[0] ^= mask[0];
	y[1] ^= mask[1];
	if (!fabric_crypto_equal(y, packet + FABRIC_HEADER + len, FABRIC_MAC))
		return false;
	br_aes_x86ni_ctr_run(aes_in(k), iv, GCM_TEXT_BLOCK, packet + FABRIC_HEADER, len);
	return true;
}

void fabric_crypto_seal(const struct fabric_aead *k, u64 number, u8 *packet, size_t len)
{
	u8 iv[FABRIC_IV];

	nonce(k, number, iv);
	fpu_begin();
	if (k->cipher == FABRIC_AES_GCM)
		gcm_seal(k, iv, packet, len);
	else
		br_poly1305_ctmulq_run(k->chacha, iv, packet + FABRIC_HEADER, len, packet,
				       FABRIC_HEADER, packet + FABRIC_HEADER + len,
				       br_chacha20_sse2_run, 1);
	fpu_end();
}

bool fabric_crypto_open(const struct fabric_aead *k, u64 number, u8 *packet, size_t len)
{
	u8 iv[FABRIC_IV], tag[FABRIC_MAC];
	bool ok;

	nonce(k, number, iv);
	fpu_begin();
	if (k->cipher == FABRIC_AES_GCM) {
		ok = gcm_open(k, iv, packet, len);
	} else {
		br_poly1305_ctmulq_run(k->chacha, iv, packet + FABRIC_HEADER, len, packet,
				       FABRIC_HEADER, tag, br_chacha20_sse2_run, 0);
		ok = fabric_crypto_equal(tag, packet + FABRIC_HEADER + len, FABRIC_MAC);
	}
	fpu_end();
	return ok;
}

/* The compiler must not see that nobody reads the bytes any more. */
void fabric_crypto_wipe(void *secret, size_t len)
{
	memset(secret, 0, len);
	__asm__ volatile("" : : "r"(secret) : "memory");
}
