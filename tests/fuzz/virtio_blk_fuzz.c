/* SPDX-License-Identifier: MIT */
/* links: hv/dev/bus.c hv/dev/dev.c hv/lock.c hv/dev/vpci.c hv/dev/vpci_bar.c hv/dev/vpci_irq.c hv/dev/virtio_pci.c hv/dev/virtio_queue.c hv/lib/fmt.c hv/lib/str.c */
/* links: hv/dev/virtio_blk.c hv/dev/vdisk.c hv/mem/scrub.c tests/fake/fake_frames.c tests/fake/fake_host.c tests/fake/fake_guest.c tests/fake/fake_driver.c */
/*
 * Requests of any kind in chains of any shape, with memory of guest and node that comes and goes. The
 * input is a list of requests; what they do to the disk is known from a plain array: it must hold what
 * the requests that were answered with OK say, and a request that is broken must break the device alone. A
 * removable disk's medium comes and goes meanwhile.
 */
#include <stdlib.h>
#include <string.h>

#include <linux/virtio_blk.h>
#include <linux/virtio_ring.h>

#include <tern/err.h>
#include <tern/scrub.h>
#include <tern/virtio_blk.h>
#include <tern/vpci.h>
#include <tests/fake/fake_driver.h>
#include <tests/fake/fake_frames.h>
#include <tests/fake/fake_guest.h>
#include <tests/fake/fake_host.h>

#define REQUIRE(cond)            \
	do {                     \
		if (!(cond))     \
			abort(); \
	} while (0)
#define HEADER    0x80000u
#define TABLE     0x81000u
#define DATA      0x90000u
#define IMAGE_LEN 9001u
#define SIZE      65536u
#define BROKEN    0x40u
#define TURNS     64u
#define RECORD    12u /* bytes of input a request takes */
#define RECORDS   48u

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static struct vm vm;
static struct fake_driver drv;
static struct virtio_device *dev;
static u8 image[IMAGE_LEN];
static u8 oracle[SIZE], now[SIZE];
static u16 used;

static void create(u8 flags)
{
	const struct vdisk_config fixed = {.name = "fuzz",
					   .image = image,
					   .image_len = IMAGE_LEN,
					   .size = SIZE,
					   .read_only = (flags & 1) != 0};
	const struct vdisk_config medium = {
		.name = "fuzz", .image = image, .image_len = IMAGE_LEN, .removable = true};
	const struct vdisk_config *c = (flags & 9) == 9 ? &medium : &fixed;
	u64 features = (flags & 3) == 2
			       ? 1ull << VIRTIO_BLK_F_DISCARD | 1ull << VIRTIO_BLK_F_WRITE_ZEROES
			       : 0;

	features |= 1ull << VIRTIO_RING_F_INDIRECT_DESC;
	features |= (flags & 4) != 0 ? 1ull << VIRTIO_RING_F_EVENT_IDX : 0;
	fake_reset();
	fake_frames_reset(64);
	fake_guest_reset(&vm);
	for (u32 i = 0; i < IMAGE_LEN; i++)
		image[i] = (u8)(i + i / 256 + 1);
	memset(oracle, 0, SIZE);
	memcpy(oracle, image, IMAGE_LEN);
	REQUIRE(vpci_create(&vm, &vm.bus) == 0 && virtio_blk_create(&vm, c, &dev) == 0);
	REQUIRE(fake_driver_start(&drv, &vm, 1, features, 128, true));
	used = 0;
}

static void destroy(void)
{
	const struct vdisk_stats *st = &virtio_blk_disk(dev)->stats;

	REQUIRE(st->blocks + st->zeroes <= SIZE / VDISK_BLOCK && st->tables <= 1);
	bus_destroy(&vm.bus);
	fake_frames_left = UINT32_MAX;
	while (scrub_some(100))
		;
	REQUIRE(fake_frames_used() == 0);
	for (u32 i = 0; i < IMAGE_LEN; i++)
		REQUIRE(image[i] == (u8)(i + i / 256 + 1));
}

/* One request as the input has it. */
struct record {
	u32 type;
	u64 sector;
	u32 out, in;  /* bytes of the two parts, header and status among them */
	u32 segments; /* of each part */
	u8 flags, fill;
};

static const u32 types[] = {VIRTIO_BLK_T_IN,           VIRTIO_BLK_T_OUT,     VIRTIO_BLK_T_FLUSH,
			    VIRTIO_BLK_T_GET_ID,       VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_T_OUT,
			    VIRTIO_BLK_T_WRITE_ZEROES, 0x80000001u};

static struct record decode(const u8 *p)
{
	struct record r = {.type = types[p[0] % 8],
			   .sector = p[1] % 160u,
			   .segments = p[2] % 8u + 1,
			   .flags = p[3],
			   .fill = p[4]};
	bool in = r.type == VIRTIO_BLK_T_IN;
	u32 sectors = p[5] % 64u, odd = p[6] < 200 ? 0 : p[6];

	r.out = 16 + (in ? 0 : sectors * 512) + (in ? 0 : odd);
	r.in = 1 + (in ? sectors * 512 + odd : odd % 40u);
	if (r.type == VIRTIO_BLK_T_DISCARD || r.type == VIRTIO_BLK_T_WRITE_ZEROES)
		r.out = 16 + 16u * (p[7] < 230 ? 1 : p[7] % 3u) + odd % 2u;
	if (p[8] == 255) /* broken ones, seldom */
		r.out = p[9] % 20u;
	if (p[8] == 254)
		r.in = 0;
	if (p[8] == 253)
		r.sector = (u64)p[9] << 56 | p[10];
	return r;
}

static u16 cut(u16 n, u64 at, u32 len, u32 segments, u16 flags)
{
	for (u32 i = segments; i > 0 && len > 0; i--) {
		u32 piece = i == 1 ? len : len / (i + n % 3u);

		fake_desc(TABLE, n, at, piece, flags | VRING_DESC_F_NEXT, (u16)(n + 1));
		at += piece;
		len -= piece;
		n++;
	}
	return n;
}

static void change_medium(const u8 *p)
{
	if (virtio_blk_disk(dev)->removable)
		REQUIRE(virtio_blk_insert(dev, image, p[4] % 2 != 0 ? IMAGE_LEN : 0) == 0);
}

/* Fills the out part and offers the chain. */
static void post(const struct record *r, const u8 *p)
{
	const struct virtio_blk_outhdr h = {.type = r->type, .sector = r->sector};
	const struct virtio_blk_discard_write_zeroes s = {.sector = r->sector,
							  .num_sectors = p[5] % 64u,
							  .flags = p[9] < 200 ? 0 : p[9] % 4u};
	u16 n;

	for (u32 i = 0; i < r->out; i++)
		fake_guest_mem[DATA + i] = (u8)(r->fill + i * (r->fill % 4u));
	memcpy(fake_guest_mem + DATA, &h, min_u64(sizeof(h), r->out));
	if (r->type == VIRTIO_BLK_T_DISCARD || r->type == VIRTIO_BLK_T_WRITE_ZEROES)
		memcpy(fake_guest_mem + DATA + 16, &s, sizeof(s));
	memset(fake_guest_mem + DATA + 0x20000, 0xdd, 0x10000);
	n = cut(0, DATA, r->out, r->segments, 0);
	n = cut(n, DATA + 0x20000, r->in, r->segments, VRING_DESC_F_WRITE);
	fake_desc(TABLE, n, 0, 0, r->in > 0 ? VRING_DESC_F_WRITE : 0, 0);
	fake_desc(fake_desc_at(0), 0, TABLE, (n + 1u) * 16, VRING_DESC_F_INDIRECT, 0);
	fake_later_from = DATA + (p[11] % 64u) * 0x1000u;
	fake_later_to = (r->flags & 1) != 0 ? fake_later_from + 0x1000u : 0;
	fake_frames_left = (r->flags & 2) != 0 ? p[10] % 4u : UINT32_MAX;
	fake_post(&drv, 0, 0);
	for (u32 i = 0; vm.work != 0 && i < TURNS; i++) {
		if (i == 3)
			fake_later_to = 0;
		if (i == p[9] % 8u)
			change_medium(p);
		dev_work(&vm);
	}
	REQUIRE(vm.work == 0);
	fake_frames_left = UINT32_MAX;
}

/* What the disk holds after a request that was answered with OK. */
static void apply(const struct record *r, const u8 *p)
{
	u64 at = r->sector * 512, len = p[5] % 64u * 512u, end;

	switch (r->type) {
	case VIRTIO_BLK_T_OUT:
		REQUIRE((r->out - 16) % 512 == 0 && at + r->out - 16 <= SIZE);
		memcpy(oracle + at, fake_guest_mem + DATA + 16, r->out - 16);
		break;
	case VIRTIO_BLK_T_WRITE_ZEROES:
		REQUIRE(r->out == 32 && at + len <= SIZE);
		memset(oracle + at, 0, len);
		break;
	case VIRTIO_BLK_T_DISCARD:
		REQUIRE(r->out == 32 && at + len <= SIZE);
		end = align_down(at + len, VDISK_BLOCK);
		at = align_up(at, VDISK_BLOCK);
		if (at < end)
			memset(oracle + at, 0, end - at);
		break;
	case VIRTIO_BLK_T_IN:
		REQUIRE((r->in - 1) % 512 == 0 && at + r->in - 1 <= SIZE);
		REQUIRE(memcmp(fake_guest_mem + DATA + 0x20000, oracle + at, r->in - 1) == 0);
		break;
	default:
		break;
	}
}

/* False: the device is broken, as it should be. */
static bool one(const u8 *p)
{
	struct record r = decode(p);
	const u8 *in = fake_guest_mem + DATA + 0x20000;
	u8 status;
	u64 size;

	if (p[9] % 8u == 7)
		change_medium(p);
	post(&r, p);
	if (r.out < 16 || r.in == 0) {
		REQUIRE((fake_status(&drv) & BROKEN) != 0 && fake_used_idx(0) == used);
		return false;
	}
	used++;
	REQUIRE((fake_status(&drv) & BROKEN) == 0 && fake_used_idx(0) == used);
	REQUIRE(fake_used_len(&drv, 0, (u16)(used - 1)) == r.in && in[r.in] == 0xdd);
	status = in[r.in - 1];
	REQUIRE(status <= VIRTIO_BLK_S_UNSUPP);
	if (status == VIRTIO_BLK_S_OK)
		apply(&r, p);
	size = virtio_blk_disk(dev)->size;
	REQUIRE(vdisk_read(virtio_blk_disk(dev), 0, now, size) == 0);
	/* Out of memory in the middle leaves a part done: believe the disk. Otherwise nothing is. */
	if (status == VIRTIO_BLK_S_OK || (r.flags & 2) == 0)
		REQUIRE(memcmp(now, oracle, size) == 0);
	memcpy(oracle, now, size);
	return true;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	if (size < 1 + RECORD)
		return 0;
	create(data[0]);
	for (u32 i = 0; i < RECORDS && 1 + (i + 1) * RECORD <= size; i++) {
		if (!one(data + 1 + i * RECORD))
			break;
	}
	destroy();
	return 0;
}
