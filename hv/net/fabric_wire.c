/* SPDX-License-Identifier: MIT */
/* Parsers of what peers send. What they let through keeps to docs/fabric.md; sessions check numbers and windows. */
#include "fabric_wire.h"

static u32 ack_frame(const u8 *p, u32 len, struct wire_frame *out)
{
	u64 left;
	u32 count;

	if (len < ACK_RANGES)
		return 0;
	count = p[ACK_COUNT];
	if (count == 0 || count > ACK_MAX || wire_get16(p + 2) != 0 ||
	    len - ACK_RANGES < count * ACK_RANGE_LEN)
		return 0;
	out->ack.count = count;
	out->ack.delay = wire_get32(p + ACK_DELAY);
	out->ack.largest = wire_get64(p + ACK_LARGEST);
	out->ack.controls = wire_get64(p + ACK_CONTROLS);
	out->ack.pages = wire_get64(p + ACK_PAGES);
	out->ack.ranges = p + ACK_RANGES;
	/* Ranges go down from the largest, and not below 0. */
	if (out->ack.largest >= UINT64_MAX / 2)
		return 0;
	left = out->ack.largest + 1;
	for (u32 i = 0; i < count; i++) {
		u32 have = wire_get32(out->ack.ranges + i * ACK_RANGE_LEN);
		u32 miss = wire_get32(out->ack.ranges + i * ACK_RANGE_LEN + 4);

		if (have == 0 || have > left || (i + 1 < count) != (miss > 0))
			return 0;
		left -= have;
		if (miss > left)
			return 0;
		left -= miss;
	}
	return ACK_RANGES + count * ACK_RANGE_LEN;
}

static u32 piece_frame(const u8 *p, u32 len, struct wire_frame *out)
{
	u32 at, end;

	if (len < PIECE_HEADER || wire_get16(p + 6) != 0)
		return 0;
	out->piece.unit = p[PIECE_UNIT];
	out->piece.len = wire_get16(p + PIECE_LEN);
	out->piece.total = wire_get16(p + PIECE_TOTAL);
	out->piece.number = wire_get64(p + PIECE_NUMBER);
	out->piece.tag = wire_get64(p + PIECE_TAG);
	out->piece.data = p + PIECE_HEADER;
	at = out->piece.unit * WIRE_UNIT;
	end = at + out->piece.len;
	if (out->piece.len == 0 || out->piece.len > len - PIECE_HEADER ||
	    out->piece.total > FABRIC_PAGE_MAX || end > out->piece.total ||
	    (end != out->piece.total && out->piece.len % WIRE_UNIT != 0))
		return 0;
	if (out->type == FRAME_CONTROL && out->piece.tag > 1)
		return 0;
	return PIECE_HEADER + out->piece.len;
}

u32 fabric_wire_frame(const u8 *p, u32 len, struct wire_frame *out)
{
	out->type = p[0];
	switch (p[0]) {
	case FRAME_PADDING:
		for (u32 i = 0; i < len; i++) {
			if (p[i] != 0)
				return 0;
		}
		return len;
	case FRAME_PING:
		return 1;
	case FRAME_ACK:
		return ack_frame(p, len, out);
	case FRAME_CONTROL:
	case FRAME_PAGE:
		return piece_frame(p, len, out);
	case FRAME_CLOSE:
		return len >= CLOSE_LEN && p[1] <= 1 ? CLOSE_LEN : 0;
	default:
		return 0;
	}
}

bool fabric_wire_check(const u8 *p, u32 len)
{
	struct wire_frame f;
	u32 n;

	for (u32 at = 0; at < len; at += n) {
		n = fabric_wire_frame(p + at, len - at, &f);
		if (n == 0)
			return false;
	}
	return len > 0;
}

bool fabric_wire_packet(const u8 *p, u32 len)
{
	if (len < CHALLENGE_LEN && (len < DATA_EXTRA + 1 || p[0] != WIRE_DATA))
		return false;
	switch (p[0]) {
	case WIRE_INIT:
		return len == INIT_LEN && wire_get16(p + INIT_ZERO) == 0 &&
		       wire_get32(p + INIT_ID) != 0 && wire_get32(p + INIT_ZERO2) == 0;
	case WIRE_CHALLENGE:
		return len == CHALLENGE_LEN && p[1] == 0 && wire_get16(p + 2) == 0;
	case WIRE_RESPONSE:
		return len == RESPONSE_LEN && wire_get16(p + 2) == 0 &&
		       wire_get32(p + RESPONSE_ID) != 0 && wire_get32(p + RESPONSE_ZERO2) == 0;
	case WIRE_DATA:
		return wire_get16(p + DATA_ZERO) == 0;
	default:
		return false;
	}
}
