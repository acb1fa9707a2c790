/* SPDX-License-Identifier: MIT */
/* The devices: requests that are valid, or nearly so, and one that must work. */
#include "hostdev.h"

#include <linux/virtio_balloon.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_net.h>

/* Of the rings' part: what is used when a device must work, and the peer's. */
#define WORK       (MESS_RINGS + 0x30000ul)
#define WORK_DATA  (WORK + 0x2000ul)
#define PEER       (MESS_RINGS + 0x38000ul)
#define PEER_DATA  (PEER + 0x2000ul)
#define WORK_SIZE  64u
#define SECTOR     512u
#define NET_HDR    12u
#define NET_CTRL   2u
#define FRAME_MIN  60u
#define FRAME_MAX  1514u
#define PFN_SHIFT  VIRTIO_BALLOON_PFN_SHIFT
#define PFNS_MAX   256u
#define PFN_MIN    0x10u
#define STAT_BYTES 10u

static void *memory(u64 at)
{
	return (void *)(uintptr_t)at;
}

/* One more buffer, somewhere in the data. */
static void *add(struct chain *c, u32 len, bool in)
{
	u64 at = data_at(len);

	if (c->n < CHAIN_MAX)
		c->d[c->n++] = (struct desc){at, len, in ? VRING_DESC_F_WRITE : 0, 0};
	return memory(at);
}

/* bytes in several of them. */
static void add_data(struct chain *c, u32 bytes, bool in)
{
	for (u32 parts = 1 + pick(4); bytes > 0; parts--) {
		u32 n = parts <= 1 ? bytes : 1 + pick(bytes);

		add(c, n, in);
		bytes -= n;
	}
}

/* A request with a device's queue 0 alone in use, or queue number index. */
static bool work(struct virtio *v, u32 index, const struct virtio_buffer *b, u32 outs, u32 ins,
		 u32 *len)
{
	struct virtq q;

	if (!virtio_negotiate(v, 0) || !virtq_setup(&q, v, index, WORK_SIZE, memory(WORK)))
		return false;
	virtio_go(v);
	virtq_post(&q, b, outs, ins);
	virtq_notify(&q);
	return virtq_wait(&q, len) != VIRTQ_NONE;
}

/* --- blk --- */

static void blk_request(UNUSED u32 queue, struct chain *c)
{
	static const u32 types[] = {VIRTIO_BLK_T_IN,      VIRTIO_BLK_T_OUT,
				    VIRTIO_BLK_T_IN,      VIRTIO_BLK_T_OUT,
				    VIRTIO_BLK_T_FLUSH,   VIRTIO_BLK_T_GET_ID,
				    VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_T_WRITE_ZEROES};
	struct virtio_blk_outhdr *h = add(c, sizeof(*h), false);
	u32 type = types[pick(ARRAY_SIZE(types))];
	u32 bytes = SECTOR * (1 + pick(8)) + (one_in(16) ? pick(SECTOR) : 0);

	h->type = one_in(16) ? (u32)rnd() >> pick(32) : type;
	h->ioprio = (u32)rnd();
	h->sector = one_in(8) ? rnd() >> pick(64) : pick(1u << 15);
	if (type == VIRTIO_BLK_T_DISCARD || type == VIRTIO_BLK_T_WRITE_ZEROES) {
		struct virtio_blk_discard_write_zeroes *s = add(c, sizeof(*s), false);

		s->sector = one_in(8) ? rnd() >> pick(64) : pick(1u << 15);
		s->num_sectors = one_in(8) ? (u32)rnd() >> pick(32) : pick(64);
		s->flags = pick(4);
	} else if (type != VIRTIO_BLK_T_FLUSH) {
		add_data(c, bytes, type != VIRTIO_BLK_T_OUT);
	}
	add(c, 1, true);
}

static bool blk_works(struct virtio *v)
{
	struct virtio_blk_outhdr *h = memory(WORK_DATA);
	u8 *status = memory(WORK_DATA + 64), *data = memory(WORK_DATA + SECTOR);
	const struct virtio_buffer b[] = {{h, sizeof(*h)}, {data, SECTOR}, {status, 1}};
	u32 len = 0;

	*h = (struct virtio_blk_outhdr){.type = VIRTIO_BLK_T_IN};
	*status = 0xff;
	return work(v, 0, b, 1, 2, &len) && len == SECTOR + 1 && *status == VIRTIO_BLK_S_OK;
}

/* --- net --- */

static void net_header(struct virtio_net_hdr_v1 *h)
{
	static const u8 gsos[] = {VIRTIO_NET_HDR_GSO_NONE, VIRTIO_NET_HDR_GSO_TCPV4,
				  VIRTIO_NET_HDR_GSO_TCPV6, VIRTIO_NET_HDR_GSO_UDP,
				  VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN};
	bool plain = one_in(2);

	fill((uintptr_t)h, sizeof(*h));
	h->flags = plain ? VIRTIO_NET_HDR_F_NEEDS_CSUM : h->flags;
	h->gso_type = one_in(8) ? h->gso_type : gsos[pick(ARRAY_SIZE(gsos))];
	if (!plain)
		return;
	h->hdr_len = 54;
	h->gso_size = (u16)pick(2000);
	h->csum_start = one_in(2) ? 34 : (u16)pick(100);
	h->csum_offset = one_in(2) ? 16 : (u16)pick(100);
}

/* Ethernet, IP and TCP as they begin; all else is random. */
static void net_frame(u8 *frame, u32 len)
{
	static const u8 ip4[] = {0x08, 0x00, 0x45}, ip6[] = {0x86, 0xdd, 0x60};
	bool four = one_in(2);

	fill((uintptr_t)frame, len < 128 ? len : 128);
	if (one_in(2))
		memset(frame, 0xff, 6);
	frame[6] &= 0xfe;
	memcpy(frame + 12, four ? ip4 : ip6, sizeof(ip4));
	frame[four ? 23 : 20] = 6;
	frame[four ? 46 : 66] = 0x50;
	if (one_in(2)) {
		frame[16] = (u8)((len - 14) >> 8);
		frame[17] = (u8)(len - 14);
	}
}

static void net_request(u32 queue, struct chain *c)
{
	u32 len = one_in(16) ? pick(80000) : FRAME_MIN + 20 + pick(FRAME_MAX - FRAME_MIN - 20);
	u8 *at;

	if (queue == 0) {
		add_data(c, one_in(32) ? 1 + pick(NET_HDR) : NET_HDR + 1 + pick(2000), true);
	} else if (queue == 1) {
		net_header(add(c, NET_HDR, false));
		at = add(c, len, false);
		if (len >= FRAME_MIN + 20)
			net_frame(at, len);
	} else {
		len = 2 + pick(64);
		at = add(c, len, false);
		fill((uintptr_t)at, len);
		at[0] = (u8)pick(4);
		at[1] = (u8)pick(4);
		/* A table of so many addresses. */
		memset(at + 2, 0, 4);
		at[2] = (u8)pick(12);
		add(c, 1, true);
	}
}

static bool net_works(struct virtio *v)
{
	const struct virtio_buffer b[] = {{memory(WORK_DATA), NET_HDR + FRAME_MIN}};

	memset(b[0].at, 0, b[0].len);
	memset((u8 *)b[0].at + NET_HDR, 0xff, 6);
	return work(v, 1, b, 1, 0, NULL);
}

static struct virtio peer;
static struct virtq peer_queue;
static bool peer_there;

void peer_start(void)
{
	peer_there = virtio_find(&peer, VIRTIO_ID_NET, 1) && virtio_negotiate(&peer, 0) &&
		     virtq_setup(&peer_queue, &peer, 1, WORK_SIZE, memory(PEER));
	if (peer_there)
		virtio_go(&peer);
}

/* The mess may have hit its queue as well. */
void peer_send(void)
{
	struct virtio_buffer b = {memory(PEER_DATA), NET_HDR + FRAME_MIN + pick(FRAME_MAX)};

	if (!peer_there)
		return;
	memset(b.at, 0, b.len);
	memset((u8 *)b.at + NET_HDR, 0xff, 6);
	virtq_post(&peer_queue, &b, 1, 0);
	virtq_notify(&peer_queue);
	if (virtio_status(&peer) & VIRTIO_CONFIG_S_NEEDS_RESET)
		peer_start();
}

/* --- console --- */

static void console_request(u32 queue, struct chain *c)
{
	u32 len = one_in(64) ? 1 + pick(4096) : 1 + pick(64);
	void *at = add(c, len, queue == 0);

	if (queue != 0 && one_in(4))
		fill((uintptr_t)at, len);
}

static bool console_works(struct virtio *v)
{
	static char text[] = "hostdev: the console speaks\n";
	const struct virtio_buffer b[] = {{text, sizeof(text) - 1}};

	return work(v, 1, b, 1, 0, NULL);
}

/* --- rng --- */

static void rng_request(UNUSED u32 queue, struct chain *c)
{
	add_data(c, 1 + pick(600), true);
}

static bool rng_works(struct virtio *v)
{
	const struct virtio_buffer b[] = {{memory(WORK_DATA), 64}};
	u32 len = 0;

	return work(v, 0, b, 0, 1, &len) && len > 0 && len <= 64;
}

/* --- balloon --- */

static u32 random_pfn(void)
{
	switch (pick(4)) {
	case 0:
		return (u32)(rnd() >> 32) | BYTES_SET;
	case 1: /* low memory, and what is between it and the image */
		return PFN_MIN + pick((u32)(ROM_END >> PFN_SHIFT) - PFN_MIN);
	default:
		return (u32)(data_at(GUEST_PAGE) >> PFN_SHIFT);
	}
}

static void balloon_pfns(struct chain *c)
{
	u32 n = one_in(64) ? 1 + pick(2 * PFNS_MAX) : 1 + pick(32);
	u32 *list = add(c, n * 4, false), step = pick(3) - 1, pfn = 0;

	for (u32 i = 0; i < n; i++) {
		pfn = i == 0 || one_in(8) ? random_pfn() : pfn + step;
		/* Also when it is read from the middle of one to the middle of the next it is not ours. */
		if (pfn < PFN_MIN)
			pfn += PFN_MIN;
		if (pfn >= ROM_END >> PFN_SHIFT && pfn < MESS_DATA >> PFN_SHIFT)
			pfn += (u32)(MESS_DATA >> PFN_SHIFT);
		list[i] = pfn;
	}
}

static void balloon_request(u32 queue, struct chain *c)
{
	u32 n = 1 + pick(24), *id;

	if (queue < 2) {
		balloon_pfns(c);
	} else if (queue == 2) {
		fill((uintptr_t)add(c, n * STAT_BYTES, false), n * STAT_BYTES);
	} else if (queue == 3 && one_in(2)) {
		id = add(c, sizeof(*id), false);
		*id = one_in(8) ? (u32)rnd() | BYTES_SET : VIRTIO_BALLOON_CMD_ID_STOP;
	} else {
		for (u32 i = 0; i < n && i < CHAIN_MAX; i++)
			add(c, one_in(4) ? 1u << pick(31) : GUEST_PAGE, true);
	}
}

static bool balloon_works(struct virtio *v)
{
	u64 *page = memory(MESS_DATA);
	u32 *pfn = memory(WORK_DATA);
	const struct virtio_buffer b[] = {{pfn, sizeof(*pfn)}};

	*pfn = MESS_DATA >> PFN_SHIFT;
	*page = 1;
	return work(v, 0, b, 1, 0, NULL) && *page == 0 && work(v, 1, b, 1, 0, NULL);
}

const struct kind kinds[] = {
	{"blk", VIRTIO_ID_BLOCK, false, blk_request, blk_works},
	{"net", VIRTIO_ID_NET, false, net_request, net_works},
	{"console", VIRTIO_ID_CONSOLE, false, console_request, console_works},
	{"rng", VIRTIO_ID_RNG, false, rng_request, rng_works},
	{"balloon", VIRTIO_ID_BALLOON, true, balloon_request, balloon_works},
};
const u32 kind_count = ARRAY_SIZE(kinds);
