/* SPDX-License-Identifier: MIT */
/*
 * The cryptography of the fabric (docs/fabric.md, Keys), behind the one gate to BearSSL. Pure. Interrupts are
 * off on the node: see tern/fpu.h.
 */
#ifndef HV_NET_FABRIC_CRYPTO_H
#define HV_NET_FABRIC_CRYPTO_H

#include <tern/ghash.h>
#include <tern/types.h>

#define FABRIC_KEY    32u /* bytes of the node key, secrets and X25519 keys */
#define FABRIC_MAC    16u /* bytes of a MAC, a cookie and a tag */
#define FABRIC_HASH   32u
#define FABRIC_IV     12u
#define FABRIC_HEADER 16u /* of a DATA packet: what is authenticated and not encrypted */

/* Bits of an INIT's ciphers. */
#define FABRIC_AES_GCM         1u
#define FABRIC_CHACHA_POLY1305 2u

/* The keys of one direction and generation. */
struct fabric_aead {
	struct ghash_key ghash;
	u64 aes[32]; /* BearSSL's key schedule */
	u8 chacha[FABRIC_KEY];
	u8 iv[FABRIC_IV];
	u8 cipher; /* FABRIC_AES_GCM or FABRIC_CHACHA_POLY1305 */
} ALIGNED(16);

/* The ciphers that this CPU is good at: CHACHA_POLY1305, and AES_GCM when it has the instructions. */
u8 fabric_crypto_ciphers(void);

/* HKDF (RFC 5869) with SHA-256. out_len <= 255 * 32. */
void fabric_crypto_hkdf(const void *salt, size_t salt_len, const void *secret, size_t secret_len,
			const void *info, size_t info_len, void *out, size_t out_len);
/* HMAC-SHA-256 of two pieces (the second may be empty), cut to 16 bytes. */
void fabric_crypto_mac(const u8 key[FABRIC_KEY], const void *a, size_t a_len, const void *b,
		       size_t b_len, u8 out[FABRIC_MAC]);
/* SHA-256 of three pieces. */
void fabric_crypto_hash(const void *a, size_t a_len, const void *b, size_t b_len, const void *c,
			size_t c_len, u8 out[FABRIC_HASH]);
/* In a time that does not depend on the bytes. */
bool fabric_crypto_equal(const void *a, const void *b, size_t len);

/* X25519 (RFC 7748): the public key of any 32 bytes; what two have in common. False: it is all zeros. */
void fabric_crypto_public(const u8 secret[FABRIC_KEY], u8 out[FABRIC_KEY]);
MUST_CHECK bool fabric_crypto_shared(const u8 secret[FABRIC_KEY], const u8 other[FABRIC_KEY],
				     u8 out[FABRIC_KEY]);

/* The keys that a secret makes. */
void fabric_crypto_key(struct fabric_aead *k, u8 cipher, const u8 secret[FABRIC_KEY]);
/*
 * Encrypts len bytes after the header of a packet in place and puts the tag behind them. packet + 16 + len + 16 bytes
 * are the caller's. A number is used once a key.
 */
void fabric_crypto_seal(const struct fabric_aead *k, u64 number, u8 *packet, size_t len);
/* The opposite: len without the tag. False: the tag is wrong, the text is not to be looked at. */
MUST_CHECK bool fabric_crypto_open(const struct fabric_aead *k, u64 number, u8 *packet, size_t len);
/* Forgets. */
void fabric_crypto_wipe(void *secret, size_t len);

#endif
