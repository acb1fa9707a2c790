/* SPDX-License-Identifier: MIT */
/* The fabric's packets and frames: docs/fabric.md, Packets. Numbers are little-endian. */
#ifndef HV_NET_FABRIC_WIRE_H
#define HV_NET_FABRIC_WIRE_H

#include <tern/fabric.h>
#include <tern/lib.h>
#include <tern/types.h>

#define WIRE_VERSION   0x10u
#define WIRE_INIT      (WIRE_VERSION | 1u)
#define WIRE_CHALLENGE (WIRE_VERSION | 2u)
#define WIRE_RESPONSE  (WIRE_VERSION | 3u)
#define WIRE_DATA      (WIRE_VERSION | 4u)

#define INIT_CIPHERS 1u
#define INIT_ZERO    2u
#define INIT_ID      4u
#define INIT_PUBLIC  8u
#define INIT_COOKIE  40u
#define INIT_ATTEMPT 56u
#define INIT_ZERO2   60u
#define INIT_MAC     64u
#define INIT_LEN     80u
#define INIT_BOUND   40u /* so many bytes are in the transcript */

#define CHALLENGE_ID     4u
#define CHALLENGE_COOKIE 8u
#define CHALLENGE_MAC    24u
#define CHALLENGE_LEN    40u

#define RESPONSE_CIPHER  1u
#define RESPONSE_TO      4u
#define RESPONSE_ID      8u
#define RESPONSE_ZERO2   12u
#define RESPONSE_PUBLIC  16u
#define RESPONSE_MAC     48u
#define RESPONSE_CONFIRM 64u
#define RESPONSE_LEN     80u
#define RESPONSE_BOUND   48u /* so many bytes are in the transcript */

#define DATA_GENERATION 1u
#define DATA_ZERO       2u
#define DATA_TO         4u
#define DATA_NUMBER     8u
#define DATA_HEADER     16u
#define DATA_TAG        16u
#define DATA_EXTRA      (DATA_HEADER + DATA_TAG)

#define FRAME_PADDING 0u
#define FRAME_PING    1u
#define FRAME_ACK     2u
#define FRAME_CONTROL 3u
#define FRAME_PAGE    4u
#define FRAME_CLOSE   5u

#define ACK_COUNT     1u
#define ACK_DELAY     4u
#define ACK_LARGEST   8u
#define ACK_CONTROLS  16u
#define ACK_PAGES     24u
#define ACK_RANGES    32u
#define ACK_RANGE_LEN 8u
#define ACK_MAX       32u

#define PIECE_UNIT   1u
#define PIECE_LEN    2u
#define PIECE_TOTAL  4u
#define PIECE_NUMBER 8u
#define PIECE_TAG    16u
#define PIECE_HEADER 24u
#define CLOSE_LEN    2u

#define WIRE_UNIT 64u /* bytes: a piece begins at a multiple */

static inline u32 wire_get16(const u8 *p)
{
	u16 v;

	__builtin_memcpy(&v, p, sizeof(v));
	return v;
}

static inline u32 wire_get32(const u8 *p)
{
	u32 v;

	__builtin_memcpy(&v, p, sizeof(v));
	return v;
}

static inline u64 wire_get64(const u8 *p)
{
	u64 v;

	__builtin_memcpy(&v, p, sizeof(v));
	return v;
}

static inline void wire_put16(u8 *p, u32 v)
{
	u16 w = (u16)v;

	__builtin_memcpy(p, &w, sizeof(w));
}

static inline void wire_put32(u8 *p, u32 v)
{
	__builtin_memcpy(p, &v, sizeof(v));
}

static inline void wire_put64(u8 *p, u64 v)
{
	__builtin_memcpy(p, &v, sizeof(v));
}

/* A frame, taken apart. */
struct wire_frame {
	u8 type;
	union {
		struct {
			u32 count, delay;
			u64 largest, controls, pages;
			const u8 *ranges;
		} ack;
		struct {
			u32 unit, len, total;
			u64 number, tag;
			const u8 *data;
		} piece;
	};
};

/* The frame at p, of which len > 0 bytes are left in the packet. Returns how many it has; 0: it is invalid. Pure. */
MUST_CHECK u32 fabric_wire_frame(const u8 *p, u32 len, struct wire_frame *out);
/* Whether all frames of a packet are valid. Pure. */
MUST_CHECK bool fabric_wire_check(const u8 *p, u32 len);
/* Whether an INIT, CHALLENGE, RESPONSE or DATA packet has the right length and zeros. Pure. */
MUST_CHECK bool fabric_wire_packet(const u8 *p, u32 len);

#endif
