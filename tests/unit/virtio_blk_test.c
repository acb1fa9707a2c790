/* SPDX-License-Identifier: MIT */
/* links: hv/dev/bus.c hv/dev/dev.c hv/lock.c hv/dev/vpci.c hv/dev/vpci_bar.c hv/dev/vpci_irq.c hv/dev/virtio_pci.c hv/dev/virtio_queue.c hv/lib/fmt.c hv/lib/str.c */
/* links: hv/dev/virtio_blk.c hv/dev/vdisk.c hv/mem/scrub.c tests/fake/fake_frames.c tests/fake/fake_host.c tests/fake/fake_guest.c tests/fake/fake_driver.c */
/* A driver's requests, well-formed and not, by the real transport and queues. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <linux/virtio_blk.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>

#include <tern/err.h>
#include <tern/frames.h>
#include <tern/scrub.h>
#include <tern/virtio_blk.h>
#include <tern/vpci.h>
#include <tests/fake/fake_driver.h>
#include <tests/fake/fake_frames.h>
#include <tests/fake/fake_guest.h>
#include <tests/fake/fake_host.h>

/* Guest memory: each on pages of its own. */
#define HEADER    0x80000u
#define STATUS    0x81000u
#define TABLE     0x82000u
#define DATA      0x90000u
#define DATA_MAX  0x40000u
#define IMAGE_LEN 70001u
#define SIZE      MiB(16)
#define BROKEN    0x40u
#define NONE      0xeeu
#define CLEARS    (1ull << VIRTIO_BLK_F_DISCARD | 1ull << VIRTIO_BLK_F_WRITE_ZEROES)

static struct vm vm;
static struct fake_driver drv;
static struct virtio_device *dev;
static u8 image[IMAGE_LEN];
static struct vdisk_config config;
static u16 used; /* requests that the driver has seen used */
static u32 seed;

static u32 rnd(u32 n)
{
	seed = seed * 1664525 + 1013904223;
	return (u32)(((u64)(seed >> 8) * n) >> 24);
}

static int setup(void **state)
{
	(void)state;
	fake_reset();
	fake_frames_reset(8192);
	fake_guest_reset(&vm);
	seed = 5;
	for (u32 i = 0; i < IMAGE_LEN; i++)
		image[i] = (u8)(i * 13 + i / 4096 + 1);
	config = (struct vdisk_config){
		.name = "root", .image = image, .image_len = IMAGE_LEN, .size = SIZE};
	assert_int_equal(vpci_create(&vm, &vm.bus), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	bus_destroy(&vm.bus);
	while (scrub_some(1000))
		;
	assert_int_equal(fake_frames_used(), 0);
	return 0;
}

static void start(u64 features)
{
	assert_int_equal(virtio_blk_create(&vm, &config, &dev), 0);
	assert_true(fake_driver_start(&drv, &vm, 1, features, 128, true));
	used = 0;
}

static const struct vdisk_stats *stats(void)
{
	return &virtio_blk_disk(dev)->stats;
}

static u8 *data(void)
{
	return fake_guest_mem + DATA;
}

static void put_header(u32 type, u64 sector)
{
	const struct virtio_blk_outhdr h = {.type = type, .sector = sector};

	memcpy(fake_guest_mem + HEADER, &h, sizeof(h));
	fake_guest_mem[STATUS] = NONE;
}

/* Lets the device work until it has nothing to do or waits for memory; returns the turns. */
static u32 work(void)
{
	u32 turns = 0;

	for (; vm.work != 0 && turns < 100; turns++)
		dev_work(&vm);
	return turns;
}

/* Header, out bytes of data, in bytes of data at the same place, status. */
static void post(u32 type, u64 sector, u32 out, u32 in)
{
	u16 n = 0;

	put_header(type, sector);
	fake_desc(fake_desc_at(0), n, HEADER, sizeof(struct virtio_blk_outhdr), VRING_DESC_F_NEXT,
		  (u16)(n + 1));
	n++;
	if (out > 0) {
		fake_desc(fake_desc_at(0), n, DATA, out, VRING_DESC_F_NEXT, (u16)(n + 1));
		n++;
	}
	if (in > 0) {
		fake_desc(fake_desc_at(0), n, DATA, in, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE,
			  (u16)(n + 1));
		n++;
	}
	fake_desc(fake_desc_at(0), n, STATUS, 1, VRING_DESC_F_WRITE, 0);
	fake_post(&drv, 0, 0);
}

/* The same, and the status; all of the in part counts as written whatever the status. */
static u8 request(u32 type, u64 sector, u32 out, u32 in)
{
	post(type, sector, out, in);
	work();
	used++;
	assert_int_equal(fake_used_idx(0), used);
	assert_int_equal(fake_used_len(&drv, 0, (u16)(used - 1)), in + 1);
	return fake_guest_mem[STATUS];
}

static u8 clear(u32 type, u64 sector, u32 sectors, u32 flags)
{
	const struct virtio_blk_discard_write_zeroes s = {
		.sector = sector, .num_sectors = sectors, .flags = flags};

	memcpy(data(), &s, sizeof(s));
	return request(type, 0, sizeof(s), 0);
}

static void assert_data(u8 value, u32 n)
{
	for (u32 i = 0; i < n; i++)
		assert_int_equal(data()[i], value);
}

static void test_identity(void **state)
{
	(void)state;
	start(CLEARS | 1ull << VIRTIO_BLK_F_SEG_MAX | 1ull << VIRTIO_BLK_F_BLK_SIZE |
	      1ull << VIRTIO_BLK_F_TOPOLOGY | 1ull << VIRTIO_BLK_F_FLUSH |
	      1ull << VIRTIO_RING_F_INDIRECT_DESC | 1ull << VIRTIO_RING_F_EVENT_IDX);
	assert_int_equal(fake_pci_read(&vm, 1, 0, 4), 0x10421af4);
	assert_int_equal(fake_pci_read(&vm, 1, 10, 2), 0x0180);
	assert_int_equal(fake_config_read(&drv, 0, 4), SIZE / 512);
	assert_int_equal(fake_config_read(&drv, 4, 4), 0);
	assert_int_equal(fake_config_read(&drv, 12, 4), 128);
	assert_int_equal(fake_config_read(&drv, 20, 4), 512);
	assert_int_equal(fake_config_read(&drv, 24, 1), 3);
	assert_int_equal(fake_config_read(&drv, 26, 2), 8);
	assert_int_equal(fake_config_read(&drv, 36, 4), 32768);
	assert_int_equal(fake_config_read(&drv, 40, 4), 1);
	assert_int_equal(fake_config_read(&drv, 44, 4), 8);
	assert_int_equal(fake_config_read(&drv, 48, 4), 32768);
	assert_int_equal(fake_config_read(&drv, 52, 4), 1);
	assert_int_equal(fake_config_read(&drv, 56, 1), 1);
	assert_false(fake_driver_start(&drv, &vm, 1, 1ull << VIRTIO_BLK_F_RO, 8, true));
	assert_false(fake_driver_start(&drv, &vm, 1, 1ull << VIRTIO_BLK_F_MQ, 8, true));
}

static void test_read_write(void **state)
{
	(void)state;
	start(1ull << VIRTIO_BLK_F_FLUSH);
	assert_int_equal(request(VIRTIO_BLK_T_IN, 1, 0, 8192), VIRTIO_BLK_S_OK);
	assert_memory_equal(data(), image + 512, 8192);
	assert_int_equal(fake_msi_count, 1);
	/* The image's end, in the middle of a sector. */
	assert_int_equal(request(VIRTIO_BLK_T_IN, 136, 0, 1024), VIRTIO_BLK_S_OK);
	assert_memory_equal(data(), image + 136 * 512, IMAGE_LEN - 136 * 512);
	assert_int_equal(data()[IMAGE_LEN - 136 * 512], 0);
	memset(data(), 0xab, 4096);
	assert_int_equal(request(VIRTIO_BLK_T_OUT, 3, 1024, 0), VIRTIO_BLK_S_OK);
	memset(data(), 0, 4096);
	assert_int_equal(request(VIRTIO_BLK_T_IN, 2, 0, 2048), VIRTIO_BLK_S_OK);
	assert_memory_equal(data(), image + 1024, 512);
	assert_int_equal(data()[512], 0xab);
	assert_int_equal(data()[1535], 0xab);
	assert_memory_equal(data() + 1536, image + 2560, 512);
	assert_int_equal(request(VIRTIO_BLK_T_FLUSH, 0, 0, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(stats()->count[VDISK_READ], 3);
	assert_int_equal(stats()->bytes[VDISK_READ], 8192 + 1024 + 2048);
	assert_int_equal(stats()->count[VDISK_WRITE], 1);
	assert_int_equal(stats()->bytes[VDISK_WRITE], 1024);
	assert_int_equal(stats()->count[VDISK_FLUSH], 1);
	assert_int_equal(stats()->errors, 0);
	assert_int_equal(stats()->blocks, 1);
	/* The last sector. */
	assert_int_equal(request(VIRTIO_BLK_T_OUT, SIZE / 512 - 1, 512, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(request(VIRTIO_BLK_T_IN, SIZE / 512 - 1, 0, 512), VIRTIO_BLK_S_OK);
}

static void test_name(void **state)
{
	static const u8 name[20] = "root";

	(void)state;
	start(0);
	memset(data(), 0xcc, 64);
	assert_int_equal(request(VIRTIO_BLK_T_GET_ID, 0, 0, 20), VIRTIO_BLK_S_OK);
	assert_memory_equal(data(), name, 20);
	assert_int_equal(data()[20], 0xcc);
	memset(data(), 0xcc, 64);
	assert_int_equal(request(VIRTIO_BLK_T_GET_ID, 0, 0, 3), VIRTIO_BLK_S_OK);
	assert_memory_equal(data(), "roo\xcc", 4);
	assert_int_equal(request(VIRTIO_BLK_T_GET_ID, 0, 0, 30), VIRTIO_BLK_S_OK);
	assert_memory_equal(data(), name, 20);
	assert_int_equal(data()[29], 0);
}

/* What is refused changes nothing, and what the driver gets to read is not what lay there. */
static void test_refused(void **state)
{
	(void)state;
	start(0);
	memset(data(), 0x77, 8192);
	assert_int_equal(request(VIRTIO_BLK_T_IN, 0, 0, 511), VIRTIO_BLK_S_IOERR);
	assert_data(0, 511);
	assert_int_equal(data()[511], 0x77);
	assert_int_equal(request(VIRTIO_BLK_T_IN, SIZE / 512, 0, 512), VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(VIRTIO_BLK_T_IN, SIZE / 512 - 1, 0, 1024), VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(VIRTIO_BLK_T_IN, UINT64_MAX, 0, 512), VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(VIRTIO_BLK_T_IN, 1ull << 55, 0, 512), VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(VIRTIO_BLK_T_OUT, SIZE / 512, 512, 0), VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(VIRTIO_BLK_T_OUT, 0, 100, 0), VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(VIRTIO_BLK_T_OUT, 1ull << 55, 512, 0), VIRTIO_BLK_S_IOERR);
	assert_int_equal(stats()->errors, 8);
	assert_int_equal(request(VIRTIO_BLK_T_SCSI_CMD, 0, 512, 512), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(request(0xffffffff, 0, 0, 0), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(request(VIRTIO_BLK_T_SECURE_ERASE, 0, 16, 0), VIRTIO_BLK_S_UNSUPP);
	/* Not negotiated. */
	assert_int_equal(clear(VIRTIO_BLK_T_DISCARD, 0, 8, 0), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(clear(VIRTIO_BLK_T_WRITE_ZEROES, 0, 8, 0), VIRTIO_BLK_S_UNSUPP);
	/* Nothing is little enough. */
	assert_int_equal(request(VIRTIO_BLK_T_IN, 0, 0, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(request(VIRTIO_BLK_T_OUT, SIZE / 512, 0, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(stats()->blocks + stats()->tables + stats()->zeroes, 0);
	assert_int_equal(request(VIRTIO_BLK_T_IN, 0, 0, 8192), VIRTIO_BLK_S_OK);
	assert_memory_equal(data(), image, 8192);
}

static void test_clear(void **state)
{
	(void)state;
	start(CLEARS);
	memset(data(), 1, 65536);
	assert_int_equal(request(VIRTIO_BLK_T_OUT, 1024, 65536, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(stats()->blocks, 16);
	assert_int_equal(clear(VIRTIO_BLK_T_DISCARD, 1024, 64, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(stats()->blocks, 8);
	assert_int_equal(clear(VIRTIO_BLK_T_WRITE_ZEROES, 1024 + 64, 31, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(stats()->blocks, 5);
	assert_int_equal(
		clear(VIRTIO_BLK_T_WRITE_ZEROES, 0, 32768, VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP),
		VIRTIO_BLK_S_OK);
	assert_int_equal(stats()->blocks, 0);
	assert_int_equal(stats()->zeroes, 18);
	assert_int_equal(stats()->bytes[VDISK_ZERO], 31 * 512 + MiB(16));
	assert_int_equal(stats()->bytes[VDISK_DISCARD], 32768);
	assert_int_equal(request(VIRTIO_BLK_T_IN, 0, 0, 65536), VIRTIO_BLK_S_OK);
	assert_data(0, 65536);
	/* Flags: unknown ones, and unmap for a discard. */
	assert_int_equal(clear(VIRTIO_BLK_T_DISCARD, 0, 8, 1), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(clear(VIRTIO_BLK_T_DISCARD, 0, 8, 2), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(clear(VIRTIO_BLK_T_WRITE_ZEROES, 0, 8, 3), VIRTIO_BLK_S_UNSUPP);
	/* Too much, off the disk, no segment, more than one. */
	assert_int_equal(clear(VIRTIO_BLK_T_DISCARD, 0, 32769, 0), VIRTIO_BLK_S_IOERR);
	assert_int_equal(clear(VIRTIO_BLK_T_DISCARD, SIZE / 512 - 7, 8, 0), VIRTIO_BLK_S_IOERR);
	assert_int_equal(clear(VIRTIO_BLK_T_WRITE_ZEROES, UINT64_MAX, 8, 0), VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(VIRTIO_BLK_T_DISCARD, 0, 0, 0), VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(VIRTIO_BLK_T_DISCARD, 0, 15, 0), VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(VIRTIO_BLK_T_WRITE_ZEROES, 0, 32, 0), VIRTIO_BLK_S_IOERR);
}

static void broken(u64 at, u32 len, u16 flags)
{
	start(0);
	fake_desc(fake_desc_at(0), 0, at, len, flags | VRING_DESC_F_NEXT, 1);
	put_header(VIRTIO_BLK_T_IN, 0);
	fake_desc(fake_desc_at(0), 1, STATUS, 1, VRING_DESC_F_WRITE, 0);
	fake_post(&drv, 0, 0);
	assert_int_equal(fake_status(&drv) & BROKEN, BROKEN);
	assert_int_equal(fake_used_idx(0), 0);
	assert_int_equal(fake_guest_mem[STATUS], NONE);
	/* A reset mends it. */
	assert_true(fake_driver_start(&drv, &vm, 1, 0, 128, true));
	assert_int_equal(request(VIRTIO_BLK_T_IN, 0, 0, 512), VIRTIO_BLK_S_OK);
}

static void test_short_header(void **state)
{
	(void)state;
	broken(HEADER, 15, 0);
	assert_non_null(strstr(fake_log(), "a request of 15 bytes out and 1 in"));
}

static void test_header_to_write(void **state)
{
	(void)state;
	broken(HEADER, 16, VRING_DESC_F_WRITE);
}

static void test_header_not_memory(void **state)
{
	(void)state;
	broken(FAKE_GUEST_MEM, 16, 0);
}

static void test_no_status(void **state)
{
	(void)state;
	start(0);
	put_header(VIRTIO_BLK_T_OUT, 0);
	fake_desc(fake_desc_at(0), 0, HEADER, 16 + 512, 0, 0);
	fake_post(&drv, 0, 0);
	assert_int_equal(fake_status(&drv) & BROKEN, BROKEN);
	assert_non_null(strstr(fake_log(), "no header or no status"));
	assert_int_equal(stats()->blocks, 0);
}

static void test_data_not_memory(void **state)
{
	(void)state;
	start(0);
	fake_desc(fake_desc_at(0), 1, FAKE_GUEST_MEM - 512, 1024,
		  VRING_DESC_F_WRITE | VRING_DESC_F_NEXT, 2);
	put_header(VIRTIO_BLK_T_IN, 0);
	fake_desc(fake_desc_at(0), 0, HEADER, 16, VRING_DESC_F_NEXT, 1);
	fake_desc(fake_desc_at(0), 2, STATUS, 1, VRING_DESC_F_WRITE, 0);
	fake_post(&drv, 0, 0);
	assert_int_equal(fake_status(&drv) & BROKEN, BROKEN);
	assert_int_equal(fake_guest_mem[STATUS], NONE);
}

static void test_read_only(void **state)
{
	(void)state;
	config.read_only = true;
	start(1ull << VIRTIO_BLK_F_RO);
	memset(data(), 1, 512);
	assert_int_equal(request(VIRTIO_BLK_T_OUT, 0, 512, 0), VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(VIRTIO_BLK_T_OUT, 0, 0, 0), VIRTIO_BLK_S_IOERR);
	assert_int_equal(clear(VIRTIO_BLK_T_DISCARD, 0, 8, 0), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(request(VIRTIO_BLK_T_IN, 0, 0, 512), VIRTIO_BLK_S_OK);
	assert_memory_equal(data(), image, 512);
	assert_int_equal(stats()->blocks + stats()->tables + stats()->zeroes, 0);
	assert_false(fake_driver_start(&drv, &vm, 1, 1ull << VIRTIO_BLK_F_DISCARD, 8, true));
}

/* An indirect table of pieces of len bytes that share their memory. */
static void post_long(u32 type, u32 len, u16 pieces)
{
	u16 flags = type == VIRTIO_BLK_T_IN ? VRING_DESC_F_WRITE : 0;

	put_header(type, 0);
	fake_desc(TABLE, 0, HEADER, sizeof(struct virtio_blk_outhdr), VRING_DESC_F_NEXT, 1);
	for (u16 i = 1; i <= pieces; i++)
		fake_desc(TABLE, i, DATA, len, flags | VRING_DESC_F_NEXT, (u16)(i + 1));
	fake_desc(TABLE, (u16)(pieces + 1), STATUS, 1, VRING_DESC_F_WRITE, 0);
	fake_desc(fake_desc_at(0), 0, TABLE, (pieces + 2u) * 16, VRING_DESC_F_INDIRECT, 0);
	fake_post(&drv, 0, 0);
}

/* A request of 8 MiB takes turns of 1 MiB, between which the lock is free. */
static u64 capacity(void)
{
	return fake_config_read(&drv, 0, 4) | (u64)fake_config_read(&drv, 4, 4) << 32;
}

/* A disk without a medium gets one and loses it; the driver is told each time. */
static void test_removable(void **state)
{
	u32 generation;

	(void)state;
	config = (struct vdisk_config){.name = "tern-tools", .removable = true};
	start(1ull << VIRTIO_BLK_F_RO);
	assert_int_equal(capacity(), 0);
	assert_int_equal(request(VIRTIO_BLK_T_IN, 0, 0, 512), VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(VIRTIO_BLK_T_FLUSH, 0, 0, 0), VIRTIO_BLK_S_OK);
	generation = fake_common_read(&drv, VIRTIO_PCI_COMMON_CFGGENERATION, 1);
	fake_msi_count = 0;
	assert_int_equal(virtio_blk_insert(dev, image, IMAGE_LEN), 0);
	assert_int_equal(fake_msi_count, 1);
	assert_int_equal(fake_msi_data, FAKE_CONFIG_DATA);
	assert_int_equal(fake_common_read(&drv, VIRTIO_PCI_COMMON_CFGGENERATION, 1),
			 generation + 1);
	assert_int_equal(capacity(), IMAGE_LEN / 512 + 1);
	assert_int_equal(request(VIRTIO_BLK_T_IN, 136, 0, 512), VIRTIO_BLK_S_OK);
	assert_memory_equal(data(), image + 136 * 512, IMAGE_LEN - 136 * 512);
	assert_int_equal(data()[511], 0);
	assert_int_equal(request(VIRTIO_BLK_T_IN, 136, 0, 1024), VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(VIRTIO_BLK_T_OUT, 0, 512, 0), VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(VIRTIO_BLK_T_GET_ID, 0, 0, 20), VIRTIO_BLK_S_OK);
	assert_string_equal((char *)data(), "tern-tools");
	/* It stays when the guest begins anew. */
	assert_true(fake_driver_start(&drv, &vm, 1, 0, 128, true));
	assert_int_equal(capacity(), IMAGE_LEN / 512 + 1);
	fake_msi_count = 0;
	assert_int_equal(virtio_blk_insert(dev, NULL, 0), 0);
	assert_int_equal(fake_msi_count, 1);
	assert_int_equal(capacity(), 0);
	used = 0;
	assert_int_equal(request(VIRTIO_BLK_T_IN, 0, 0, 512), VIRTIO_BLK_S_IOERR);
	assert_int_equal(stats()->blocks + stats()->tables, 0);
}

/* A read that is under way fails when its medium goes, though another one comes. */
static void test_removed_while_read(void **state)
{
	(void)state;
	config = (struct vdisk_config){.name = "tern-tools", .removable = true};
	start(0);
	for (u32 again = 0; again < 2; again++) {
		assert_int_equal(virtio_blk_insert(dev, image, IMAGE_LEN), 0);
		fake_later_from = DATA + 8192;
		fake_later_to = DATA + 65536;
		post(VIRTIO_BLK_T_IN, 0, 0, 16384);
		used++;
		assert_int_equal(vm.work, 1);
		assert_memory_equal(data(), image, 8192);
		assert_int_equal(virtio_blk_insert(dev, NULL, 0), 0);
		if (again != 0)
			assert_int_equal(virtio_blk_insert(dev, image, IMAGE_LEN), 0);
		fake_later_to = 0;
		work();
		assert_int_equal(fake_used_idx(0), used);
		assert_int_equal(fake_used_len(&drv, 0, (u16)(used - 1)), 16385);
		assert_int_equal(fake_guest_mem[STATUS], VIRTIO_BLK_S_IOERR);
		assert_int_equal(data()[16383], 0);
	}
	assert_int_equal(request(VIRTIO_BLK_T_IN, 0, 0, 512), VIRTIO_BLK_S_OK);
}

/* One that is not removable keeps what it has. */
static void test_not_removable(void **state)
{
	(void)state;
	config.read_only = true;
	start(0);
	fake_msi_count = 0;
	assert_int_equal(virtio_blk_insert(dev, NULL, 0), -TERN_EINVAL);
	assert_int_equal(capacity(), SIZE / 512);
	assert_int_equal(fake_msi_count, 0);
}

static void test_turns_of_bytes(void **state)
{
	(void)state;
	start(1ull << VIRTIO_RING_F_INDIRECT_DESC);
	memset(data(), 0x5a, 65536);
	for (u32 out = 0; out < 2; out++) {
		post_long(out ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN, 65536, 128);
		assert_int_equal(fake_used_idx(0), out);
		assert_int_equal(vm.work, 1);
		assert_int_equal(work(), 8);
		assert_int_equal(fake_used_idx(0), out + 1);
		assert_int_equal(fake_guest_mem[STATUS], VIRTIO_BLK_S_OK);
		memset(data(), 0x5a, 65536);
	}
	assert_int_equal(stats()->blocks, MiB(8) / 4096);
	assert_int_equal(stats()->bytes[VDISK_WRITE], MiB(8));
}

static void test_turns_of_requests(void **state)
{
	(void)state;
	start(0);
	for (u32 i = 0; i < 99; i++)
		fake_avail(&drv, 0, 0);
	post(VIRTIO_BLK_T_IN, 0, 0, 512);
	assert_int_equal(fake_used_idx(0), VIRTIO_IN_FLIGHT_MAX);
	assert_int_equal(vm.work, 1);
	assert_int_equal(work(), 1);
	assert_int_equal(fake_used_idx(0), 100);
	/* Each turn but the last asked for the next at once, and did not wait as for memory. */
	assert_int_equal(fake_vm_kicks, 1);
	assert_int_equal(fake_status(&drv) & BROKEN, 0);
}

/* A request that clears as much as it may is a turn of its own. */
static void test_turns_of_clears(void **state)
{
	const struct virtio_blk_discard_write_zeroes s = {.num_sectors = 32768};

	(void)state;
	start(CLEARS);
	memcpy(data(), &s, sizeof(s));
	for (u32 i = 0; i < 3; i++)
		fake_avail(&drv, 0, 0);
	post(VIRTIO_BLK_T_DISCARD, 0, sizeof(s), 0);
	for (u16 i = 1; i <= 4; i++) {
		assert_int_equal(fake_used_idx(0), i);
		dev_work(&vm);
	}
	assert_int_equal(work(), 0);
	assert_int_equal(stats()->count[VDISK_DISCARD], 4);
}

/* A reset in the middle of a long request: it is forgotten. */
static void test_reset_between_turns(void **state)
{
	(void)state;
	start(1ull << VIRTIO_RING_F_INDIRECT_DESC);
	post_long(VIRTIO_BLK_T_IN, 65536, 128);
	assert_int_equal(vm.work, 1);
	assert_true(fake_driver_start(&drv, &vm, 1, 0, 128, true));
	memset(data(), 0x11, 65536);
	work();
	assert_data(0x11, 65536);
	assert_int_equal(fake_guest_mem[STATUS], NONE);
	assert_int_equal(fake_used_idx(0), 0);
	assert_int_equal(request(VIRTIO_BLK_T_IN, 0, 0, 512), VIRTIO_BLK_S_OK);
	bus_reset(&vm.bus);
	work();
}

/* Any page that the request needs is not there at first. */
static void test_memory_comes_later(void **state)
{
	const u64 pages[] = {fake_desc_at(0), fake_avail_at(0), fake_used_at(0),
			     HEADER,          STATUS,           DATA,
			     DATA + 4096,     DATA + 8192};

	(void)state;
	start(0);
	for (u32 i = 0; i < 2 * ARRAY_SIZE(pages); i++) {
		bool out = i % 2 == 0;

		memset(data(), (int)i + 1, 12288);
		fake_later_from = pages[i / 2];
		fake_later_to = fake_later_from + PAGE_SIZE;
		post(out ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN, 3, out ? 12288 : 0, out ? 0 : 12288);
		assert_int_equal(fake_used_idx(0), used);
		assert_int_equal(vm.work, 1);
		assert_int_equal(work(), 100);
		fake_later_to = 0;
		assert_in_range(work(), 1, 2);
		used++;
		assert_int_equal(fake_used_idx(0), used);
		assert_int_equal(fake_guest_mem[STATUS], VIRTIO_BLK_S_OK);
		assert_data((u8)(out ? i + 1 : i), 12288);
		assert_int_equal(stats()->count[out ? VDISK_WRITE : VDISK_READ], i / 2 + 1);
	}
}

/* The same for what is to be discarded. */
static void test_segment_comes_later(void **state)
{
	const struct virtio_blk_discard_write_zeroes s = {.num_sectors = 8};

	(void)state;
	start(CLEARS);
	memcpy(data(), &s, sizeof(s));
	fake_later_from = DATA;
	fake_later_to = DATA + PAGE_SIZE;
	post(VIRTIO_BLK_T_DISCARD, 0, sizeof(s), 0);
	assert_int_equal(work(), 100);
	assert_int_equal(fake_guest_mem[STATUS], NONE);
	fake_later_to = 0;
	assert_int_equal(work(), 1);
	assert_int_equal(fake_guest_mem[STATUS], VIRTIO_BLK_S_OK);
	assert_int_equal(stats()->zeroes, 1);
}

static u32 lines(const char *text)
{
	u32 n = 0;

	for (const char *p = fake_log(); (p = strstr(p, text)) != NULL; p++)
		n++;
	return n;
}

static void test_no_memory(void **state)
{
	const char *line = "vm web: disk root: the node has no memory";

	(void)state;
	start(CLEARS);
	memset(data(), 9, 8192);
	/* Two tables and the block. */
	for (u32 left = 0; left < 4; left++) {
		fake_frames_left = left;
		assert_int_equal(request(VIRTIO_BLK_T_OUT, 0, 4096, 0),
				 left < 3 ? VIRTIO_BLK_S_IOERR : VIRTIO_BLK_S_OK);
	}
	assert_int_equal(lines(line), 1);
	fake_tsc += fake_tsc_hz;
	fake_frames_left = 0;
	assert_int_equal(request(VIRTIO_BLK_T_OUT, 0, 8192, 0), VIRTIO_BLK_S_IOERR);
	assert_int_equal(clear(VIRTIO_BLK_T_WRITE_ZEROES, 8, 7, 0), VIRTIO_BLK_S_IOERR);
	assert_int_equal(lines(line), 2);
	assert_int_equal(stats()->errors, 5);
	assert_int_equal(request(VIRTIO_BLK_T_IN, 8, 0, 4096), VIRTIO_BLK_S_OK);
	assert_memory_equal(data(), image + 4096, 4096);
}

static void test_create_fails(void **state)
{
	u32 before = fake_frames_used(), k = 0;
	int rc;

	(void)state;
	config.size = 100;
	assert_int_equal(virtio_blk_create(&vm, &config, &dev), -TERN_EINVAL);
	assert_int_equal(fake_frames_used(), before);
	config.size = SIZE;
	do {
		fake_frames_left = k++;
		rc = virtio_blk_create(&vm, &config, &dev);
		assert_true(rc == 0 || rc == -TERN_ENOMEM);
		assert_true(rc == 0 || fake_frames_used() == before);
	} while (rc != 0);
	assert_int_equal(k - 1, 3); /* the device, its buffer, the transport */
}

/* Every page that has seen the guest's data is zeroed before anybody else gets it. */
static void test_destroy(void **state)
{
	(void)state;
	start(0);
	memset(data(), 1, 4096);
	assert_int_equal(request(VIRTIO_BLK_T_OUT, 0, 4096, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(scrub_backlog(), 0);
	bus_destroy(&vm.bus);
	assert_int_equal(scrub_backlog(), 2);
	assert_int_equal(fake_frames_used(), 2);
	fake_guest_reset(&vm);
}

/* --- random requests in random pieces, with memory that comes and goes, against an array --- */

/* Cuts len bytes at at into descriptors from n on; returns the next one. */
static u16 cut(u16 n, u64 at, u32 len, u16 flags)
{
	while (len > 0) {
		u32 piece = n > 100 ? len : (u32)min_u64(rnd(rnd(2) == 0 ? 5000 : 600), len);

		fake_desc(fake_desc_at(0), n, at, piece, flags | VRING_DESC_F_NEXT, (u16)(n + 1));
		at += piece;
		len -= piece;
		n++;
	}
	return n;
}

/* Header, data and status in pieces of any size that need not lie where one of the three ends. */
static void post_cut(u32 type, u64 sector, u32 len)
{
	u32 out = type == VIRTIO_BLK_T_OUT ? len : 0, in = len - out;
	u64 in_at = in > 0 ? DATA : STATUS;
	u16 n;

	put_header(type, sector);
	memcpy(fake_guest_mem + DATA - 16, fake_guest_mem + HEADER, 16);
	n = cut(0, DATA - 16, 16 + out, 0);
	n = cut(n, in_at, in + 1, VRING_DESC_F_WRITE);
	fake_desc(fake_desc_at(0), n, 0, 0, VRING_DESC_F_WRITE, 0);
	fake_guest_mem[in_at + in] = NONE;
	fake_post(&drv, 0, 0);
	for (u32 i = 0; vm.work != 0; i++) {
		fake_later_from = align_down(DATA + rnd(len + 1), 4096);
		fake_later_to = i < 8 && rnd(2) == 0 ? fake_later_from + 4096 : 0;
		dev_work(&vm);
	}
	used++;
	assert_int_equal(fake_used_idx(0), used);
	assert_int_equal(fake_guest_mem[in_at + in], VIRTIO_BLK_S_OK);
}

static void test_random(void **state)
{
	static u8 oracle[MiB(1)], out[65536];

	(void)state;
	start(0);
	memset(oracle, 0, sizeof(oracle));
	memcpy(oracle, image, IMAGE_LEN);
	for (u32 i = 0; i < 20000; i++) {
		u32 len = (rnd(rnd(3) == 0 ? 128 : 12) + 1) * 512;
		u64 at = rnd((u32)(MiB(1) - len) / 512) * 512ull;

		fake_later_from = align_down(DATA + rnd(len), 4096);
		fake_later_to = rnd(3) == 0 ? fake_later_from + 4096 : 0;
		if (rnd(2) == 0) {
			memset(data(), 0xdd, len);
			post_cut(VIRTIO_BLK_T_IN, at / 512, len);
			assert_memory_equal(data(), oracle + at, len);
			continue;
		}
		for (u32 k = 0; k < len; k++)
			out[k] = (u8)(rnd(4) == 0 ? 0 : i + k);
		memcpy(data(), out, len);
		post_cut(VIRTIO_BLK_T_OUT, at / 512, len);
		memcpy(oracle + at, out, len);
	}
	assert_int_equal(stats()->count[VDISK_READ] + stats()->count[VDISK_WRITE], 20000);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_identity),
		TEST(test_read_write),
		TEST(test_name),
		TEST(test_refused),
		TEST(test_clear),
		TEST(test_short_header),
		TEST(test_header_to_write),
		TEST(test_header_not_memory),
		TEST(test_no_status),
		TEST(test_data_not_memory),
		TEST(test_read_only),
		TEST(test_removable),
		TEST(test_removed_while_read),
		TEST(test_not_removable),
		TEST(test_turns_of_bytes),
		TEST(test_turns_of_requests),
		TEST(test_turns_of_clears),
		TEST(test_reset_between_turns),
		TEST(test_memory_comes_later),
		TEST(test_segment_comes_later),
		TEST(test_no_memory),
		TEST(test_create_fails),
		TEST(test_destroy),
		TEST(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
