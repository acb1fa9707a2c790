/* SPDX-License-Identifier: MIT */
/*
 * A frame on its way through the node (hv/net/vpacket.c): up to 64 KiB in single host frames, shared by
 * reference count, with what its checksum and its segmentation still lack. docs/network.md.
 */
#ifndef TERN_VPACKET_H
#define TERN_VPACKET_H

#include <tern/types.h>

#define ETH_ADDR      6u
#define ETH_HEADER    14u
#define VPACKET_FIRST 3840u  /* bytes in the first page: all headers that are looked at lie there */
#define VPACKET_MAX   65550u /* an Ethernet header and 65536 bytes: virtio 1.2 section 5.1.6.3.1 */
#define VPACKET_PAGES ((VPACKET_MAX - VPACKET_FIRST + PAGE_SIZE - 1) / PAGE_SIZE)

enum vpacket_gso { VPACKET_GSO_NONE, VPACKET_GSO_TCP4, VPACKET_GSO_TCP6 };

/* What the sender left to do. All zero: nothing, the packet is as it shall be on a wire. */
struct vpacket_offload {
	bool needs_csum; /* the sum from csum_start to the end is to be put at csum_start + csum_offset,
			   * where the sum of the pseudo header is */
	bool ecn;        /* TCP with CWR set, which is for the first segment alone */
	u8 gso;          /* enum vpacket_gso */
	u16 gso_size;    /* bytes of TCP payload a segment */
	u16 csum_start;  /* from the start of the frame */
	u16 csum_offset; /* from csum_start */
	u16 header_len;  /* Ethernet to TCP header, with gso: vpacket_check() fills it */
};

struct vpacket {
	u32 refs; /* (a) */
	u32 len;  /* (c) bytes */
	struct vpacket_offload offload;
	u8 *more[VPACKET_PAGES]; /* (c) what is behind the first VPACKET_FIRST bytes */
				 /* The first bytes follow, in the same page. */
};

/* What may be left to do when a packet is delivered: bits of what a receiver offers. */
#define VPACKET_CAN_CSUM 1u
#define VPACKET_CAN_TCP4 2u
#define VPACKET_CAN_TCP6 4u
#define VPACKET_CAN_ECN  8u

/* A packet of len bytes, content undefined, nothing left to do, one user; NULL: no memory. 0 < len <=
 * VPACKET_MAX. Any context but NMI. */
MUST_CHECK struct vpacket *vpacket_alloc(u32 len);
/* One more, and one less, user. The last one frees it. */
void vpacket_get(struct vpacket *p);
void vpacket_put(struct vpacket *p);
/* Bytes of memory that it holds. */
u32 vpacket_memory(const struct vpacket *p);
/* Where its byte at is, and how many bytes follow there without a gap (> 0). at < p->len. */
u8 *vpacket_at(struct vpacket *p, u32 at, u32 *n);
/* Copies len bytes from, or to, at; at + len <= p->len. */
void vpacket_read(struct vpacket *p, u32 at, void *dst, u32 len);
void vpacket_write(struct vpacket *p, u32 at, const void *src, u32 len);

/*
 * For a sender: whether p->offload fits what is in the packet; fills header_len. False: the packet must be
 * dropped. What passes can be finished by the calls below whatever it holds.
 */
MUST_CHECK bool vpacket_check(struct vpacket *p);

/* For a receiver that offers can (VPACKET_CAN_*): how far a packet that must be cut into segments is. */
struct vpacket_cut {
	struct vpacket *p; /* NULL: none is being cut */
	u32 done;          /* bytes of payload */
	u32 index;         /* number of the next segment */
};
/* True when a receiver that offers can gets p only in segments. */
bool vpacket_must_cut(const struct vpacket *p, u32 can);
/* The next segment, complete with its checksum; NULL: no memory now, call again. After the last one
 * cut->p has been put and is NULL. */
MUST_CHECK struct vpacket *vpacket_cut_next(struct vpacket_cut *cut);
/* Puts the checksum in, into a copy if p has other users; p is taken. NULL: no memory now, and p is still
 * the caller's. */
MUST_CHECK struct vpacket *vpacket_finish_csum(struct vpacket *p);

#endif
