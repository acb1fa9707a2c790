/* SPDX-License-Identifier: MIT */
/*
 * Frames in host memory. The struct and the first bytes share one page, so that an ordinary frame is one
 * page and its headers lie in one piece.
 */
#include <tern/vpacket.h>

#include "offload.h"

#include <tern/arch.h>
#include <tern/err.h>
#include <tern/frames.h>
#include <tern/lib.h>

#define FIRST_AT (PAGE_SIZE - VPACKET_FIRST)
_Static_assert(sizeof(struct vpacket) <= FIRST_AT, "the first bytes follow the struct");

static u8 *first_bytes(struct vpacket *p)
{
	return (u8 *)p + FIRST_AT;
}

static u32 more_count(u32 len)
{
	return len <= VPACKET_FIRST ? 0 : (u32)((len - VPACKET_FIRST + PAGE_SIZE - 1) / PAGE_SIZE);
}

/* Not zeroed: what is not written is never read. */
static void *page_alloc(void)
{
	hpa_t pa;

	return frames_alloc(FRAME_ORDER_4K, 0, FRAME_NODE_ANY, &pa) == 0 ? phys_to_virt(pa) : NULL;
}

static void pages_free(struct vpacket *p, u32 count)
{
	for (u32 i = 0; i < count; i++)
		frames_free_page(p->more[i]);
	frames_free_page(p);
}

struct vpacket *vpacket_alloc(u32 len)
{
	struct vpacket *p;

	ASSERT(len > 0 && len <= VPACKET_MAX);
	p = page_alloc();
	if (p == NULL)
		return NULL;
	p->refs = 1;
	p->len = len;
	p->offload = (struct vpacket_offload){.gso = VPACKET_GSO_NONE};
	for (u32 i = 0; i < more_count(len); i++) {
		p->more[i] = page_alloc();
		if (p->more[i] == NULL) {
			pages_free(p, i);
			return NULL;
		}
	}
	return p;
}

void vpacket_get(struct vpacket *p)
{
	__atomic_fetch_add(&p->refs, 1, __ATOMIC_RELAXED);
}

void vpacket_put(struct vpacket *p)
{
	u32 before = __atomic_fetch_sub(&p->refs, 1, __ATOMIC_ACQ_REL);

	ASSERT(before > 0);
	if (before == 1)
		pages_free(p, more_count(p->len));
}

u32 vpacket_memory(const struct vpacket *p)
{
	return (1 + more_count(p->len)) * (u32)PAGE_SIZE;
}

u8 *vpacket_at(struct vpacket *p, u32 at, u32 *n)
{
	u32 left = p->len - at, in_page;

	ASSERT(at < p->len);
	if (at < VPACKET_FIRST) {
		*n = (u32)min_u64(left, VPACKET_FIRST - at);
		return first_bytes(p) + at;
	}
	at -= VPACKET_FIRST;
	in_page = at % (u32)PAGE_SIZE;
	*n = (u32)min_u64(left, PAGE_SIZE - in_page);
	return p->more[at / PAGE_SIZE] + in_page;
}

void vpacket_read(struct vpacket *p, u32 at, void *dst, u32 len)
{
	u8 *to = dst;
	u32 n;

	for (; len > 0; len -= n, at += n, to += n) {
		const u8 *from = vpacket_at(p, at, &n);

		n = (u32)min_u64(n, len);
		memcpy(to, from, n);
	}
}

void vpacket_write(struct vpacket *p, u32 at, const void *src, u32 len)
{
	const u8 *from = src;
	u32 n;

	for (; len > 0; len -= n, at += n, from += n) {
		u8 *to = vpacket_at(p, at, &n);

		n = (u32)min_u64(n, len);
		memcpy(to, from, n);
	}
}

static void copy(struct vpacket *to, u32 to_at, struct vpacket *from, u32 from_at, u32 len)
{
	u32 n;

	for (; len > 0; len -= n, from_at += n, to_at += n) {
		const u8 *piece = vpacket_at(from, from_at, &n);

		n = (u32)min_u64(n, len);
		vpacket_write(to, to_at, piece, n);
	}
}

/* --- what is left to do --- */

bool vpacket_check(struct vpacket *p)
{
	return offload_check(&p->offload, first_bytes(p), (u32)min_u64(p->len, VPACKET_FIRST),
			     p->len);
}

bool vpacket_must_cut(const struct vpacket *p, u32 can)
{
	switch ((enum vpacket_gso)p->offload.gso) {
	case VPACKET_GSO_NONE:
		return false;
	case VPACKET_GSO_TCP4:
		can &= VPACKET_CAN_TCP4 | VPACKET_CAN_ECN;
		break;
	case VPACKET_GSO_TCP6:
		can &= VPACKET_CAN_TCP6 | VPACKET_CAN_ECN;
		break;
	}
	return (can & ~VPACKET_CAN_ECN) == 0 || (p->offload.ecn && (can & VPACKET_CAN_ECN) == 0);
}

/* Puts the checksum of what is from start to the end at start + offset, where its seed is. */
static void fill_csum(struct vpacket *p, u32 start, u32 offset)
{
	u32 sum = 0, n;
	u16 value;

	for (u32 at = start; at < p->len; at += n) {
		const u8 *piece = vpacket_at(p, at, &n);

		sum = csum_add(sum, piece, n, ((at - start) & 1) != 0);
	}
	/* 0 and 0xffff are equal; UDP takes 0 for "none". */
	value = (u16)~csum_fold(sum);
	if (value == 0)
		value = 0xffff;
	vpacket_write(p, start + offset, &value, sizeof(value));
}

struct vpacket *vpacket_finish_csum(struct vpacket *p)
{
	struct vpacket *own = p;

	if (__atomic_load_n(&p->refs, __ATOMIC_ACQUIRE) != 1) {
		own = vpacket_alloc(p->len);
		if (own == NULL)
			return NULL;
		copy(own, 0, p, 0, p->len);
		own->offload = p->offload;
		vpacket_put(p);
	}
	fill_csum(own, own->offload.csum_start, own->offload.csum_offset);
	own->offload = (struct vpacket_offload){.gso = VPACKET_GSO_NONE};
	return own;
}

struct vpacket *vpacket_cut_next(struct vpacket_cut *cut)
{
	struct vpacket *from = cut->p;
	const struct vpacket_offload *o = &from->offload;
	u32 header = o->header_len, left = from->len - header - cut->done;
	u32 payload = (u32)min_u64(left, o->gso_size);
	struct vpacket *p = vpacket_alloc(header + payload);

	if (p == NULL)
		return NULL;
	copy(p, 0, from, 0, header);
	copy(p, header, from, header + cut->done, payload);
	offload_segment(first_bytes(p), o, cut->index, cut->done, payload, payload == left);
	fill_csum(p, o->csum_start, o->csum_offset);
	cut->done += payload;
	cut->index++;
	if (payload == left) {
		vpacket_put(from);
		*cut = (struct vpacket_cut){.p = NULL};
	}
	return p;
}
