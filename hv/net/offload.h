/* SPDX-License-Identifier: MIT */
/* Checksums and segmentation, as pure functions over buffers (hv/net/offload.c). */
#ifndef HV_NET_OFFLOAD_H
#define HV_NET_OFFLOAD_H

#include <tern/types.h>
#include <tern/vpacket.h>

/* Adds n bytes to a one's complement sum in memory order (RFC 1071); odd: they begin at an odd byte of what is
 * summed. */
u32 csum_add(u32 sum, const u8 *data, size_t n, bool odd);
/* The sum in 16 bits, in memory order, not complemented. */
u16 csum_fold(u32 sum);

/* Whether *o fits a frame of len bytes, the first flat of which are at frame; with gso it fills header_len. */
MUST_CHECK bool offload_check(struct vpacket_offload *o, const u8 *frame, u32 flat, u32 len);

/*
 * Makes of a copy of a packet's header (o->header_len bytes) that of its segment number index: payload bytes
 * that begin after done bytes. The TCP checksum becomes the sum of the pseudo header. *o has passed
 * offload_check() with this header.
 */
void offload_segment(u8 *header, const struct vpacket_offload *o, u32 index, u32 done, u32 payload,
		     bool last);

#endif
