/* SPDX-License-Identifier: MIT */
/*
 * What passes a port, as a pcap file in memory. The ring holds whole records; the oldest make room for the new
 * one. The file's header is made when it is read.
 */
#include "vswitch_internal.h"

#include "pcap_regs.h"

#include <tern/arch.h>
#include <tern/frames.h>
#include <tern/lib.h>
#include <tern/timer.h>

struct capture {   /* in front of the ring, in its block */
	u32 size;  /* (c) of the ring, bytes */
	u32 snap;  /* (c) */
	u64 until; /* (c) TSC */
	bool stopped;
	u32 head, used; /* oldest record, bytes of all */
	u64 lost;       /* packets overwritten */
	u8 ring[];
};

static void ring_copy_in(struct capture *c, const void *src, u32 n)
{
	u32 at = (c->head + c->used) % c->size, first = (u32)min_u64(n, c->size - at);

	memcpy(c->ring + at, src, first);
	memcpy(c->ring, (const u8 *)src + first, n - first);
	c->used += n;
}

/* From offset behind the oldest byte. */
static void ring_copy_out(const struct capture *c, u32 offset, void *dst, u32 n)
{
	u32 at = (c->head + offset) % c->size, first = (u32)min_u64(n, c->size - at);

	memcpy(dst, c->ring + at, first);
	memcpy((u8 *)dst + first, c->ring, n - first);
}

static void drop_oldest(struct capture *c)
{
	struct pcap_record r;

	ring_copy_out(c, 0, &r, sizeof(r));
	c->head = (c->head + (u32)sizeof(r) + r.captured) % c->size;
	c->used -= (u32)sizeof(r) + r.captured;
	c->lost++;
}

void capture_add(struct capture *c, struct vpacket *p)
{
	u64 now = arch_tsc(), us = timer_tsc_to_us(now);
	struct pcap_record r = {
		.seconds = (u32)(us / 1000000),
		.microseconds = (u32)(us % 1000000),
		.captured = (u32)min_u64(p->len, c->snap),
		.length = p->len,
	};
	u32 n;

	if (c->stopped || now >= c->until)
		return;
	while (c->size - c->used < sizeof(r) + r.captured)
		drop_oldest(c);
	ring_copy_in(c, &r, sizeof(r));
	for (u32 at = 0; at < r.captured; at += n) {
		const u8 *piece = vpacket_at(p, at, &n);

		n = (u32)min_u64(n, r.captured - at);
		ring_copy_in(c, piece, n);
	}
}

/* The capture of a port, or NULL. The switch's lock is held. */
static struct capture *capture_of(const struct vswitch *sw, u32 index)
{
	const struct vport *port = index < VSWITCH_PORTS_MAX ? sw->ports[index] : NULL;

	return port != NULL ? port->capture : NULL;
}

static u64 deadline(u32 seconds)
{
	u64 now = arch_tsc(), ticks = timer_us_to_tsc((u64)seconds * 1000000);

	return seconds == 0 || ticks > UINT64_MAX - now ? UINT64_MAX : now + ticks;
}

int vswitch_capture_start(struct vswitch *sw, u32 index, u32 bytes, u32 snap, u32 seconds)
{
	struct capture *c;
	lock_token token;
	u32 order = 0;
	hpa_t block;
	int rc = 0;

	while ((PAGE_SIZE << order) < bytes)
		order++;
	/* Any record must fit an empty ring. */
	if (order > FRAME_ORDER_2M || snap == 0 ||
	    snap + sizeof(*c) + sizeof(struct pcap_record) > PAGE_SIZE << order)
		return -TERN_EINVAL;
	if (frames_alloc(order, FRAME_ZERO, FRAME_NODE_ANY, &block) != 0)
		return -TERN_ENOMEM;
	c = phys_to_virt(block);
	c->size = (u32)((PAGE_SIZE << order) - sizeof(*c));
	c->snap = snap;
	c->until = deadline(seconds);
	token = lock_take(&sw->lock);
	if (index >= VSWITCH_PORTS_MAX || sw->ports[index] == NULL)
		rc = -TERN_ENOENT;
	else if (sw->ports[index]->capture != NULL)
		rc = -TERN_EBUSY;
	else
		sw->ports[index]->capture = c;
	lock_release(&sw->lock, token);
	if (rc != 0)
		frame_put(block);
	return rc;
}

int vswitch_capture_stop(struct vswitch *sw, u32 index, u32 *len, u64 *lost)
{
	lock_token token = lock_take(&sw->lock);
	struct capture *c = capture_of(sw, index);

	if (c != NULL) {
		c->stopped = true;
		*len = (u32)sizeof(struct pcap_file) + c->used;
		*lost = c->lost;
	}
	lock_release(&sw->lock, token);
	return c != NULL ? 0 : -TERN_ENOENT;
}

u32 vswitch_capture_read(struct vswitch *sw, u32 index, u32 offset, void *out, u32 max)
{
	lock_token token = lock_take(&sw->lock);
	const struct capture *c = capture_of(sw, index);
	u32 n = 0;

	if (c != NULL && offset < sizeof(struct pcap_file)) {
		const struct pcap_file f = {
			.magic = PCAP_MAGIC,
			.major = PCAP_MAJOR,
			.minor = PCAP_MINOR,
			.snap = c->snap,
			.link_type = PCAP_ETHERNET,
		};

		n = (u32)min_u64(max, sizeof(f) - offset);
		memcpy(out, (const u8 *)&f + offset, n);
	} else if (c != NULL && offset - sizeof(struct pcap_file) < c->used) {
		offset -= (u32)sizeof(struct pcap_file);
		n = (u32)min_u64(max, c->used - offset);
		ring_copy_out(c, offset, out, n);
	}
	lock_release(&sw->lock, token);
	return n;
}

void vswitch_capture_free(struct vswitch *sw, u32 index)
{
	lock_token token = lock_take(&sw->lock);
	struct capture *c = capture_of(sw, index);

	if (c != NULL)
		sw->ports[index]->capture = NULL;
	lock_release(&sw->lock, token);
	if (c != NULL)
		frame_put(virt_to_phys(c));
}
