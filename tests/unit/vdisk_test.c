/* SPDX-License-Identifier: MIT */
/* links: hv/dev/vdisk.c hv/mem/scrub.c hv/lock.c hv/lib/str.c tests/fake/fake_frames.c tests/fake/fake_host.c */
/* A disk of a tebibyte against plain arrays that hold what a few windows of it should. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <tern/err.h>
#include <tern/frames.h>
#include <tern/scrub.h>
#include <tern/vdisk.h>
#include <tests/fake/fake_frames.h>
#include <tests/fake/fake_host.h>

#define FRAMES    16384u
#define WINDOW    98304u
#define IMAGE_LEN (MiB(2) + 45001)
#define SIZE      (GiB(1024) + 512 * 3)

/* The image's start, its end with the first boundary of a table, later boundaries, the disk's end. */
static const u64 windows[] = {0, MiB(2) - KiB(24), GiB(1) - KiB(40), GiB(512) - 4096 * 7 - 100,
			      SIZE - WINDOW};
static u8 image[IMAGE_LEN], image_was[IMAGE_LEN];
static u8 oracle[ARRAY_SIZE(windows)][WINDOW];
static u8 buf[WINDOW];
static struct vdisk disk;
static u32 seed;

static u32 rnd(u32 n)
{
	seed = seed * 1664525 + 1013904223;
	return (u32)(((u64)(seed >> 8) * n) >> 24);
}

static const struct vdisk_config config = {
	.name = "root", .image = image, .image_len = IMAGE_LEN, .size = SIZE};

static void start(u32 frames)
{
	fake_reset();
	fake_frames_reset(frames);
	seed = 7;
	for (u32 i = 0; i < IMAGE_LEN; i++)
		image[i] = (u8)(i / 4096 % 3 == 1 ? 0 : i * 7 + i / 4096 + 1);
	memcpy(image_was, image, IMAGE_LEN);
	for (u32 w = 0; w < ARRAY_SIZE(windows); w++) {
		for (u32 i = 0; i < WINDOW; i++)
			oracle[w][i] = windows[w] + i < IMAGE_LEN ? image[windows[w] + i] : 0;
	}
	assert_int_equal(vdisk_create(&disk, &config), 0);
}

static int setup(void **state)
{
	(void)state;
	start(FRAMES);
	return 0;
}

/* What is in use is what the disk counts, and what waits for the scrubber. */
static void check_frames(void)
{
	assert_int_equal(fake_frames_used(),
			 disk.stats.blocks + disk.stats.tables + scrub_backlog());
}

static void finish(void)
{
	check_frames();
	vdisk_destroy(&disk);
	assert_int_equal(fake_frames_used(), scrub_backlog());
	while (scrub_some(1000))
		;
	assert_int_equal(fake_frames_used(), 0);
	assert_memory_equal(image, image_was, IMAGE_LEN);
}

static void compare(u32 w, u32 at, u32 n)
{
	assert_int_equal(vdisk_read(&disk, windows[w] + at, buf, n), 0);
	assert_memory_equal(buf, oracle[w] + at, n);
}

static void test_sizes(void **state)
{
	struct vdisk_config c = {.name = "a name of more than twenty bytes"};
	struct vdisk d;
	u8 byte;

	(void)state;
	assert_int_equal(vdisk_create(&d, &c), -TERN_EINVAL);
	c.size = 513;
	assert_int_equal(vdisk_create(&d, &c), -TERN_EINVAL);
	c.size = VDISK_SIZE_MAX + 512;
	assert_int_equal(vdisk_create(&d, &c), -TERN_EINVAL);
	c.size = VDISK_SIZE_MAX;
	assert_int_equal(vdisk_create(&d, &c), 0);
	assert_string_equal(d.name, "a name of more than ");
	assert_int_equal(d.height, 4);
	assert_int_equal(vdisk_write(&d, c.size - 1, "x", 1), 0);
	assert_int_equal(vdisk_read(&d, c.size - 1, &byte, 1), 0);
	assert_int_equal(byte, 'x');
	assert_int_equal(d.stats.tables, 4);
	vdisk_destroy(&d);
	c = (struct vdisk_config){.name = "i", .image = image, .image_len = 1};
	assert_int_equal(vdisk_create(&d, &c), 0);
	assert_int_equal(d.size, 512);
	assert_int_equal(d.height, 0);
	assert_int_equal(vdisk_write(&d, 511, "x", 1), 0);
	assert_int_equal(d.stats.blocks, 1);
	assert_int_equal(vdisk_discard(&d, 0, 512), 0);
	assert_int_equal(d.stats.blocks, 0);
	assert_int_equal(d.stats.zeroes, 1);
	vdisk_destroy(&d);
	c.image_len = 513;
	assert_int_equal(vdisk_create(&d, &c), 0);
	assert_int_equal(d.size, 1024);
	c.image_len = UINT64_MAX;
	assert_int_equal(vdisk_create(&d, &c), -TERN_EINVAL);
	finish();
}

/* The tables' height is the medium's, whatever there was before. */
static void test_media(void **state)
{
	static const u64 lens[] = {0, 1, 512, 4097, IMAGE_LEN, 1000, 0, IMAGE_LEN};
	const struct vdisk_config c = {.name = "tools", .removable = true};
	struct vdisk d;
	u8 byte;

	(void)state;
	assert_int_equal(vdisk_create(&d, &c), 0);
	assert_true(d.read_only);
	for (u32 i = 0; i < ARRAY_SIZE(lens); i++) {
		u64 size = align_up(lens[i], 512);

		assert_int_equal(vdisk_insert(&d, image, lens[i]), 0);
		assert_int_equal(d.size, size);
		assert_int_equal(vdisk_read(&d, size, &byte, 1), -TERN_EINVAL);
		assert_int_equal(vdisk_write(&d, 0, &byte, min_u64(size, 1)), -TERN_EPERM);
		if (size == 0)
			continue;
		assert_int_equal(vdisk_read(&d, lens[i] - 1, &byte, 1), 0);
		assert_int_equal(byte, image[lens[i] - 1]);
		assert_int_equal(vdisk_read(&d, size - 1, &byte, 1), 0);
		assert_int_equal(byte, size == lens[i] ? image[size - 1] : 0);
	}
	assert_int_equal(vdisk_insert(&d, image, VDISK_SIZE_MAX + 1), -TERN_EINVAL);
	assert_int_equal(d.size, align_up(IMAGE_LEN, 512));
	vdisk_destroy(&d);
	assert_int_equal(vdisk_insert(&disk, image, 512), -TERN_EINVAL);
}

static void test_limits(void **state)
{
	(void)state;
	assert_int_equal(vdisk_read(&disk, SIZE, buf, 1), -TERN_EINVAL);
	assert_int_equal(vdisk_read(&disk, SIZE, buf, 0), 0);
	assert_int_equal(vdisk_write(&disk, SIZE - 1, buf, 2), -TERN_EINVAL);
	assert_int_equal(vdisk_zero(&disk, UINT64_MAX, 2), -TERN_EINVAL);
	assert_int_equal(vdisk_discard(&disk, 1, UINT64_MAX), -TERN_EINVAL);
	disk.read_only = true;
	assert_int_equal(vdisk_read(&disk, 0, buf, 1), 0);
	assert_int_equal(vdisk_write(&disk, 0, buf, 1), -TERN_EPERM);
	assert_int_equal(vdisk_zero(&disk, 0, 1), -TERN_EPERM);
	assert_int_equal(vdisk_discard(&disk, 0, 1), -TERN_EPERM);
	assert_int_equal(fake_frames_asked, 0);
	finish();
}

/* Zeroes never need a frame, on the image or beyond it, and give back those that were there. */
static void test_zeroes(void **state)
{
	(void)state;
	memset(buf, 0, sizeof(buf));
	assert_int_equal(vdisk_write(&disk, GiB(3), buf, sizeof(buf)), 0);
	assert_int_equal(vdisk_write(&disk, GiB(3) + 77, buf, 100), 0);
	assert_int_equal(fake_frames_asked, 0);
	assert_int_equal(vdisk_write(&disk, 0, buf, 8192), 0);
	assert_int_equal(disk.stats.zeroes, 2);
	assert_int_equal(disk.stats.blocks, 0);
	assert_int_equal(vdisk_zero(&disk, 4096, 8192), 0);
	assert_int_equal(disk.stats.zeroes, 3);
	/* A part of a block that reads as zero already. */
	assert_int_equal(vdisk_zero(&disk, 100, 200), 0);
	assert_int_equal(vdisk_write(&disk, 4096 + 100, buf, 200), 0);
	assert_int_equal(disk.stats.blocks, 0);
	memset(buf, 1, sizeof(buf));
	assert_int_equal(vdisk_write(&disk, 0, buf, 100), 0);
	assert_int_equal(disk.stats.zeroes, 2);
	assert_int_equal(disk.stats.blocks, 1);
	assert_int_equal(vdisk_write(&disk, GiB(3), buf, 4097), 0);
	assert_int_equal(disk.stats.blocks, 3);
	assert_int_equal(vdisk_discard(&disk, GiB(3) + 1, 8191), 0);
	assert_int_equal(disk.stats.blocks, 2);
	assert_int_equal(vdisk_discard(&disk, GiB(3), 4096), 0);
	assert_int_equal(disk.stats.blocks, 1);
	assert_int_equal(disk.stats.tables, 4);
	/* The disk's last block is a short one. */
	assert_int_equal(vdisk_write(&disk, SIZE - 1536, buf, 1536), 0);
	assert_int_equal(disk.stats.blocks, 2);
	assert_int_equal(vdisk_zero(&disk, SIZE - 1536, 1536), 0);
	assert_int_equal(disk.stats.blocks, 1);
	/* Wholly discarded image: marks only. */
	assert_int_equal(vdisk_discard(&disk, 0, GiB(1)), 0);
	assert_int_equal(disk.stats.blocks, 0);
	assert_int_equal(disk.stats.zeroes, (IMAGE_LEN + 4095) / 4096);
	assert_int_equal(vdisk_read(&disk, IMAGE_LEN - 500, buf, 1000), 0);
	for (u32 i = 0; i < 1000; i++)
		assert_int_equal(buf[i], 0);
	finish();
}

/* The length of an operation on a window from at on: blocks, sectors or bytes. */
static u32 random_length(u32 at)
{
	static const u32 most[] = {16, 600, 4096, 9000, WINDOW};
	u32 n = rnd(most[rnd(ARRAY_SIZE(most))]) + 1;

	if (rnd(2) == 0)
		n = (n + 4095) / 4096 * 4096;
	return n < WINDOW - at ? n : WINDOW - at;
}

/* What the range holds once op is done; op DISCARD leaves parts of blocks. */
static void expect(enum vdisk_op op, u32 w, u32 at, u32 n, const u8 *data, u8 *out)
{
	for (u32 i = 0; i < n; i++) {
		u64 block = align_down(windows[w] + at + i, 4096);
		u64 end = min_u64(block + 4096, SIZE);
		bool whole = block >= windows[w] + at && end <= windows[w] + at + n;

		out[i] = op == VDISK_WRITE               ? data[i]
			 : op == VDISK_DISCARD && !whole ? oracle[w][at + i]
							 : 0;
	}
}

/* Out of memory: blocks before the one that failed are done, the others as they were. */
static void check_failed(u32 w, u32 at, u32 n, const u8 *want)
{
	u32 done = 0;

	assert_int_equal(vdisk_read(&disk, windows[w] + at, buf, n), 0);
	while (done < n) {
		u32 len = (u32)min_u64(4096 - (windows[w] + at + done) % 4096, n - done);

		if (memcmp(buf + done, want + done, len) != 0)
			break;
		done += len;
	}
	assert_memory_equal(buf + done, oracle[w] + at + done, n - done);
	memcpy(oracle[w] + at, buf, n);
}

static u32 one_operation(void)
{
	static u8 data[WINDOW], want[WINDOW];
	u32 w = rnd(ARRAY_SIZE(windows)), at = rnd(WINDOW), n, kind = rnd(10);
	u64 offset;
	int rc;
	enum vdisk_op op;

	if (rnd(2) == 0) /* at a block's start, as most operations of a guest are */
		at = (u32)(align_up(windows[w] + at, 4096) - windows[w]);
	if (at >= WINDOW)
		at = 0;
	n = random_length(at);
	offset = windows[w] + at;
	if (kind < 4) {
		compare(w, at, n);
		return 0;
	}
	op = kind < 7 ? VDISK_WRITE : kind < 9 ? VDISK_ZERO : VDISK_DISCARD;
	memset(data, rnd(3) == 0 ? 0 : (int)rnd(256), n);
	if (rnd(2) == 0)
		data[rnd(n)] = 1;
	expect(op, w, at, n, data, want);
	rc = op == VDISK_WRITE  ? vdisk_write(&disk, offset, data, n)
	     : op == VDISK_ZERO ? vdisk_zero(&disk, offset, n)
				: vdisk_discard(&disk, offset, n);
	check_frames();
	if (rc != 0) {
		assert_int_equal(rc, -TERN_ENOMEM);
		check_failed(w, at, n, want);
		return 1;
	}
	memcpy(oracle[w] + at, want, n);
	return 0;
}

static void compare_all(void)
{
	for (u32 w = 0; w < ARRAY_SIZE(windows); w++)
		compare(w, 0, WINDOW);
}

static void test_random(void **state)
{
	(void)state;
	for (u32 i = 0; i < 100000; i++) {
		assert_int_equal(one_operation(), 0);
		if (i % 1000 == 0)
			scrub_some(100);
	}
	compare_all();
	/* Nothing is lost or kept: after all is zero, what is left are the marks of the image. */
	for (u32 w = 0; w < ARRAY_SIZE(windows); w++) {
		u64 from = align_down(windows[w], 4096);

		assert_int_equal(vdisk_discard(&disk, from, min_u64(MiB(4), SIZE - from)), 0);
	}
	assert_int_equal(disk.stats.blocks, 0);
	assert_int_equal(disk.stats.zeroes, (IMAGE_LEN + 4095) / 4096);
	assert_int_equal(disk.stats.tables, 5); /* two of 2 MiB, one a height above */
	finish();
}

/* The node has memory at times only. */
static void test_random_no_memory(void **state)
{
	u32 failed = 0;

	(void)state;
	for (u32 i = 0; i < 100000; i++) {
		if (rnd(3) == 0)
			fake_frames_left = rnd(6);
		failed += one_operation();
	}
	assert_in_range(failed, 1000, 90000);
	compare_all();
	finish();
}

/* The first allocation fails, then the second, ... until all that the script wants are there. */
static void test_each_allocation_fails(void **state)
{
	u32 k = 0;
	int rc;

	(void)state;
	finish();
	do {
		start(FRAMES);
		fake_frames_left = k++;
		memset(buf, 5, sizeof(buf));
		rc = vdisk_write(&disk, GiB(600) - 5000, buf, 10000);
		if (rc == 0)
			rc = vdisk_zero(&disk, 100, 9000);
		if (rc == 0)
			rc = vdisk_discard(&disk, MiB(2) - 4096, 4096 * 2);
		check_frames();
		assert_true(rc == 0 || rc == -TERN_ENOMEM);
		/* A table is there for something that is below it only. */
		if (rc != 0 && disk.stats.blocks + disk.stats.zeroes == 0)
			assert_int_equal(disk.stats.tables, 0);
		finish();
	} while (rc != 0);
	/* 4 blocks with 6 tables across a boundary of 1 GiB, 2 edges of zeroes with 3, 1 table for
	 * the mark beyond 2 MiB. */
	assert_int_equal(k - 1, 16);
}

/* Memory that waits to be zeroed is as good as free memory. */
static void test_scrub_helps(void **state)
{
	(void)state;
	finish();
	start(8);
	memset(buf, 5, sizeof(buf));
	assert_int_equal(vdisk_write(&disk, GiB(1), buf, 4096 * 4), 0);
	assert_int_equal(vdisk_discard(&disk, GiB(1), 4096 * 3), 0);
	assert_int_equal(scrub_backlog(), 3);
	assert_int_equal(vdisk_write(&disk, GiB(1), buf, 4096 * 4), 0);
	assert_int_equal(scrub_backlog(), 0);
	assert_int_equal(vdisk_write(&disk, GiB(1), buf, 4096 * 5), -TERN_ENOMEM);
	finish();
}

/* Two VMs on one image: neither sees what the other writes, and the image has no copy. */
static void test_shared(void **state)
{
	struct vdisk other;
	u64 n;

	(void)state;
	assert_int_equal(vdisk_create(&other, &config), 0);
	assert_int_equal(vdisk_write(&other, 0, "mine", 4), 0);
	compare(0, 0, WINDOW);
	assert_ptr_equal(vdisk_view(&other, 5000, &n), image + 5000);
	assert_int_equal(n, 8192 - 5000);
	assert_ptr_equal(vdisk_view(&disk, 5000, &n), image + 5000);
	assert_ptr_not_equal(vdisk_view(&other, 0, &n), image);
	assert_ptr_equal(vdisk_view(&disk, IMAGE_LEN - 1, &n), image + IMAGE_LEN - 1);
	assert_int_equal(n, 1);
	vdisk_destroy(&other);
	finish();
}

static void test_count(void **state)
{
	(void)state;
	vdisk_count(&disk, VDISK_READ, 512, false);
	vdisk_count(&disk, VDISK_READ, 1024, false);
	vdisk_count(&disk, VDISK_FLUSH, 0, false);
	vdisk_count(&disk, VDISK_WRITE, 512, true);
	assert_int_equal(disk.stats.count[VDISK_READ], 2);
	assert_int_equal(disk.stats.bytes[VDISK_READ], 1536);
	assert_int_equal(disk.stats.count[VDISK_FLUSH], 1);
	assert_int_equal(disk.stats.count[VDISK_WRITE], 0);
	assert_int_equal(disk.stats.errors, 1);
	finish();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_sizes, setup),
		cmocka_unit_test_setup(test_media, setup),
		cmocka_unit_test_setup(test_limits, setup),
		cmocka_unit_test_setup(test_zeroes, setup),
		cmocka_unit_test_setup(test_random, setup),
		cmocka_unit_test_setup(test_random_no_memory, setup),
		cmocka_unit_test_setup(test_each_allocation_fails, setup),
		cmocka_unit_test_setup(test_scrub_helps, setup),
		cmocka_unit_test_setup(test_shared, setup),
		cmocka_unit_test_setup(test_count, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
