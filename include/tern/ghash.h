/* SPDX-License-Identifier: MIT */
/*
 * GHASH, the authenticator of AES-GCM (NIST SP 800-38D section 6.4), by PCLMULQDQ (arch/x86_64/ghash.c).
 * Eight blocks are reduced at a time. The CPU has PCLMULQDQ and SSSE3: the caller has looked.
 */
#ifndef TERN_GHASH_H
#define TERN_GHASH_H

#include <tern/types.h>

#define GHASH_BLOCK  16u
#define GHASH_POWERS 8u

/* H to the 8th down to H itself, in the form that multiplication wants. */
struct ghash_key {
	u8 power[GHASH_POWERS][GHASH_BLOCK];
	u8 folded[GHASH_POWERS]
		 [GHASH_BLOCK]; /* both halves of a power exclusive-or'ed, for Karatsuba */
} ALIGNED(16);

/* Between fpu_begin() and fpu_end(), both. */
void ghash_init(struct ghash_key *key, const u8 h[GHASH_BLOCK]);
/* Adds len bytes to y; the last block is filled up with zeros. */
void ghash_run(const struct ghash_key *key, u8 y[GHASH_BLOCK], const u8 *data, size_t len);

#endif
