/* SPDX-License-Identifier: MIT */
/* links: hv/dev/bus.c hv/dev/dev.c hv/lock.c hv/dev/vpci.c hv/dev/vpci_bar.c hv/dev/vpci_irq.c hv/dev/virtio_pci.c hv/dev/virtio_queue.c hv/lib/fmt.c */
/* links: hv/dev/virtio_balloon.c hv/dev/balloon_hints.c tests/fake/fake_frames.c tests/fake/fake_host.c tests/fake/fake_guest.c tests/fake/fake_driver.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <linux/virtio_balloon.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>

#include <hv/dev/balloon_hints.h>
#include <tern/err.h>
#include <tern/vpci.h>
#include <tests/fake/fake_driver.h>
#include <tests/fake/fake_frames.h>
#include <tests/fake/fake_guest.h>
#include <tests/fake/fake_host.h>

#define DATA   0x100000u
#define BIT(n) (1ull << (n))
#define ALL                                                                      \
	(BIT(VIRTIO_BALLOON_F_STATS_VQ) | BIT(VIRTIO_BALLOON_F_FREE_PAGE_HINT) | \
	 BIT(VIRTIO_BALLOON_F_PAGE_POISON) | BIT(VIRTIO_BALLOON_F_REPORTING) |   \
	 BIT(VIRTIO_RING_F_EVENT_IDX))
#define NUM_PAGES offsetof(struct virtio_balloon_config, num_pages)
#define ACTUAL    offsetof(struct virtio_balloon_config, actual)
#define CMD_ID    offsetof(struct virtio_balloon_config, free_page_hint_cmd_id)
#define POISON    offsetof(struct virtio_balloon_config, poison_val)

enum { INFLATE, DEFLATE, STATS, HINTS, REPORTS };

static struct vm vm;
static struct fake_driver drv;
static struct virtio_device *balloon;

static int setup(void **state)
{
	(void)state;
	fake_reset();
	fake_frames_reset(64);
	fake_guest_reset(&vm);
	assert_int_equal(vpci_create(&vm, &vm.bus), 0);
	assert_int_equal(virtio_balloon_create(&vm, &balloon), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	bus_destroy(&vm.bus);
	assert_int_equal(fake_frames_used(), 0);
	return 0;
}

static void start(u64 features)
{
	assert_true(fake_driver_start(&drv, &vm, 1, features, 16, true));
}

static void post(u32 queue, u64 at, u32 len, u16 flags)
{
	fake_desc(fake_desc_at(queue), 0, at, len, flags, 0);
	fake_post(&drv, queue, 0);
}

static void inflate(const u32 *pfns, u32 count)
{
	memcpy(fake_guest_mem + DATA, pfns, count * sizeof(*pfns));
	post(INFLATE, DATA, count * 4, 0);
}

static void assert_unbacked(u32 i, u64 page, u64 count)
{
	assert_true(i < fake_unbacked_count);
	assert_int_equal(fake_unbacked[i].base, page << 12);
	assert_int_equal(fake_unbacked[i].len, count << 12);
}

static void test_inflate(void **state)
{
	static const u32 pfns[] = {100, 101, 102, 50, 49, 48, 51, 7, UINT32_MAX, 0, UINT32_MAX};
	static u32 many[257];

	(void)state;
	start(0);
	assert_int_equal(fake_pci_read(&vm, 1, 0, 4), 0x10451af4);
	inflate(pfns, ARRAY_SIZE(pfns));
	assert_int_equal(fake_unbacked_count, 7);
	assert_unbacked(0, 100, 3);
	assert_unbacked(1, 48, 3);
	assert_unbacked(2, 51, 1);
	assert_unbacked(3, 7, 1);
	assert_unbacked(4, UINT32_MAX, 1);
	assert_unbacked(5, 0, 1);
	assert_unbacked(6, UINT32_MAX, 1);
	assert_int_equal(fake_used_idx(INFLATE), 1);
	post(DEFLATE, DATA, 4, 0);
	assert_int_equal(fake_used_idx(DEFLATE), 1);
	assert_int_equal(fake_unbacked_count, 7);
	/* Nothing in it, less than one number in it. */
	post(INFLATE, DATA, 0, 0);
	post(INFLATE, DATA, 3, 0);
	assert_int_equal(fake_used_idx(INFLATE), 3);
	assert_int_equal(fake_unbacked_count, 7);
	inflate(many, 257);
	assert_int_equal(fake_unbacked_count, 7);
	assert_int_equal(fake_status(&drv) & 0x40, 0x40);
}

static void test_inflate_later(void **state)
{
	(void)state;
	start(0);
	fake_later_from = DATA;
	fake_later_to = DATA + 4096;
	post(INFLATE, DATA, 4, 0);
	assert_int_equal(fake_unbacked_count, 0);
	fake_later_to = 0;
	dev_work(&vm);
	assert_int_equal(fake_unbacked_count, 1);
	assert_int_equal(fake_used_idx(INFLATE), 1);
	assert_int_equal(vm.work, 0);
}

static void test_target(void **state)
{
	struct balloon_stats st;

	(void)state;
	start(0);
	balloon_set_target(balloon, 4096);
	assert_int_equal(fake_msi_data, FAKE_CONFIG_DATA);
	assert_int_equal(fake_config_read(&drv, NUM_PAGES, 4), 4096);
	fake_config_write(&drv, NUM_PAGES, 4, 1);
	fake_config_write(&drv, ACTUAL, 4, 77);
	fake_config_write(&drv, ACTUAL, 2, 5);
	fake_config_write(&drv, CMD_ID, 4, 5);
	balloon_get_stats(balloon, &st);
	assert_int_equal(st.target, 4096);
	assert_int_equal(st.actual, 77);
	assert_int_equal(st.updates, 0);
	assert_true(st.value[0] == UINT64_MAX);
	assert_int_equal(fake_config_read(&drv, CMD_ID, 4), 0);
	dev_work(&vm);
	bus_reset(&vm.bus);
	balloon_get_stats(balloon, &st);
	assert_int_equal(st.target, 4096);
	assert_int_equal(st.actual, 0);
}

static void put_stat(u32 i, u16 tag, u64 value)
{
	memcpy(fake_guest_mem + DATA + i * 10, &tag, 2);
	memcpy(fake_guest_mem + DATA + i * 10 + 2, &value, 8);
}

static void test_stats(void **state)
{
	struct balloon_stats st;

	(void)state;
	start(ALL);
	put_stat(0, VIRTIO_BALLOON_S_MEMFREE, 1000);
	put_stat(1, 99, 5);
	put_stat(2, VIRTIO_BALLOON_S_MEMTOT, 2000);
	post(STATS, DATA, 35, 0);
	assert_int_equal(fake_used_idx(STATS), 0); /* it keeps the buffer */
	balloon_get_stats(balloon, &st);
	assert_int_equal(st.updates, 1);
	assert_int_equal(st.value[VIRTIO_BALLOON_S_MEMFREE], 1000);
	assert_int_equal(st.value[VIRTIO_BALLOON_S_MEMTOT], 2000);
	assert_true(st.value[VIRTIO_BALLOON_S_SWAP_IN] == UINT64_MAX);
	/* The request for new ones: the buffer goes back, and the next is waited for. */
	dev_work(&vm);
	assert_int_equal(fake_used_idx(STATS), 1);
	assert_int_equal(fake_avail_event(&drv, STATS), 1);
	put_stat(0, VIRTIO_BALLOON_S_MEMFREE, 900);
	post(STATS, DATA, 10, 0);
	balloon_get_stats(balloon, &st);
	assert_int_equal(st.updates, 2);
	assert_int_equal(st.value[VIRTIO_BALLOON_S_MEMFREE], 900);
	assert_true(st.value[VIRTIO_BALLOON_S_MEMTOT] == UINT64_MAX);
	dev_work(&vm);
	assert_int_equal(fake_used_idx(STATS), 2);
	/* More than are known, and none at all. */
	post(STATS, DATA, 4000, 0);
	balloon_get_stats(balloon, &st);
	assert_int_equal(st.updates, 3);
	dev_work(&vm);
	fake_later_from = DATA;
	fake_later_to = DATA + 4096;
	post(STATS, DATA, 10, 0);
	balloon_get_stats(balloon, &st);
	assert_int_equal(st.updates, 3);
	fake_later_to = 0;
	dev_work(&vm);
	assert_int_equal(fake_used_idx(STATS), 4);
}

static void report(u32 queue)
{
	fake_desc(fake_desc_at(queue), 0, 0x200000, 0x400000, VRING_DESC_F_NEXT | 2, 1);
	fake_desc(fake_desc_at(queue), 1, 0x900000, 0x1000, 2, 0);
	fake_post(&drv, queue, 0);
}

static void test_reporting(void **state)
{
	struct balloon_stats st;

	(void)state;
	start(ALL);
	report(REPORTS);
	assert_int_equal(fake_unbacked_count, 2);
	assert_unbacked(0, 0x200, 0x400);
	assert_unbacked(1, 0x900, 1);
	assert_int_equal(fake_used_idx(REPORTS), 1);
	balloon_get_stats(balloon, &st);
	assert_int_equal(st.reported, 0x401000);
	/* A guest that looks for its pattern in free pages keeps them. */
	fake_config_write(&drv, POISON, 4, 0xaaaaaaaa);
	report(REPORTS);
	assert_int_equal(fake_unbacked_count, 2);
	assert_int_equal(fake_used_idx(REPORTS), 2);
	/* The value counts only with the feature. Queues that are left out leave no gap. */
	start(BIT(VIRTIO_BALLOON_F_REPORTING));
	fake_config_write(&drv, POISON, 4, 0xaaaaaaaa);
	report(2);
	assert_int_equal(fake_unbacked_count, 4);
	report(4);
	assert_int_equal(fake_unbacked_count, 4);
}

static void command(u32 id, u32 len)
{
	memcpy(fake_guest_mem + DATA, &id, sizeof(id));
	post(HINTS, DATA, len, 0);
}

static void hint(u64 page, u32 pages)
{
	post(HINTS, page << 12, pages << 12, VRING_DESC_F_WRITE);
}

static void test_hints(void **state)
{
	struct balloon_hint got[8];
	u32 id;

	(void)state;
	assert_int_equal(balloon_hint_start(balloon), -TERN_ENOSYS);
	start(ALL & ~BIT(VIRTIO_BALLOON_F_FREE_PAGE_HINT));
	assert_int_equal(balloon_hint_start(balloon), -TERN_ENOSYS);
	start(ALL);
	hint(5, 1); /* for no command */
	fake_frames_left = 0;
	assert_int_equal(balloon_hint_start(balloon), -TERN_ENOMEM);
	fake_frames_left = UINT32_MAX;
	assert_int_equal(balloon_hint_start(balloon), 0);
	assert_int_equal(balloon_hint_start(balloon), -TERN_EBUSY);
	assert_int_equal(fake_msi_data, FAKE_CONFIG_DATA);
	id = fake_config_read(&drv, CMD_ID, 4);
	assert_true(id >= 2);
	hint(6, 1);
	command(id - 1, 4);
	hint(7, 1);
	command(id, 4);
	hint(0x400, 0x400);
	hint(0x900, 1);
	assert_false(balloon_hint_complete(balloon));
	command(VIRTIO_BALLOON_CMD_ID_STOP, 4);
	assert_true(balloon_hint_complete(balloon));
	hint(8, 1);
	assert_int_equal(fake_used_idx(HINTS), 9);
	assert_int_equal(balloon_hint_stop(balloon, got, 8), 2);
	assert_int_equal(got[0].base, 0x400000);
	assert_int_equal(got[0].len, 0x400000);
	assert_int_equal(got[1].base, 0x900000);
	assert_int_equal(got[1].len, 0x1000);
	assert_int_equal(fake_config_read(&drv, CMD_ID, 4), VIRTIO_BALLOON_CMD_ID_DONE);
	assert_int_equal(balloon_hint_stop(balloon, got, 8), 0);
	/* Another round has another number; a guest that starts anew loses what it said. */
	assert_int_equal(balloon_hint_start(balloon), 0);
	assert_int_equal(fake_config_read(&drv, CMD_ID, 4), id + 1);
	command(id + 1, 4);
	hint(0x400, 1);
	start(ALL);
	assert_int_equal(balloon_hint_stop(balloon, got, 8), 0);
	/* Left open: the end of the VM gives the page back. */
	assert_int_equal(balloon_hint_start(balloon), 0);
	command(id, 3);
	assert_int_equal(fake_status(&drv) & 0x40, 0x40);
}

static void test_hints_poisoned(void **state)
{
	struct balloon_hint got[1];

	(void)state;
	start(ALL);
	fake_config_write(&drv, POISON, 4, 1);
	assert_int_equal(balloon_hint_start(balloon), 0);
	command(fake_config_read(&drv, CMD_ID, 4), 4);
	hint(0x400, 1);
	command(0, 4);
	assert_true(balloon_hint_complete(balloon));
	assert_int_equal(balloon_hint_stop(balloon, got, 1), 0);
}

static bool covered(const struct balloon_hints *h, u64 page)
{
	for (u32 i = 0; i < h->count; i++) {
		if (page << 12 >= h->ranges[i].base &&
		    page << 12 < h->ranges[i].base + h->ranges[i].len)
			return true;
	}
	return false;
}

/* Against a bitmap: never a page that was not hinted, and all of them while there is room. */
static void test_hint_set(void **state)
{
	static struct balloon_hints h;
	static bool pages[2048];

	(void)state;
	srand(1);
	for (u32 round = 0; round < 50; round++) {
		bool full = false;

		memset(&h, 0, sizeof(h));
		memset(pages, 0, sizeof(pages));
		for (u32 i = 0; i < 400; i++) {
			u32 at = (u32)rand() % 2000, n = round % 2 ? 1 : (u32)rand() % 40;

			for (u32 k = 0; k < n; k++)
				pages[at + k] = true;
			balloon_hints_add(&h, (u64)at << 12, (u64)n << 12);
			full = full || h.count == BALLOON_HINTS_MAX;
		}
		for (u32 i = 0; i < 2048; i++) {
			assert_true(!covered(&h, i) || pages[i]);
			assert_true(full || covered(&h, i) == pages[i]);
		}
		for (u32 i = 1; i < h.count; i++)
			assert_true(h.ranges[i - 1].base + h.ranges[i - 1].len < h.ranges[i].base);
	}
	h.count = 0;
	balloon_hints_add(&h, 0x1800, 0x1800);
	balloon_hints_add(&h, 0x5001, 0x1ffe);
	balloon_hints_add(&h, UINT64_MAX - 0x1000, 0x1000);
	balloon_hints_add(&h, 0x1000, UINT64_MAX);
	assert_int_equal(h.count, 1);
	assert_int_equal(h.ranges[0].base, 0x2000);
	assert_int_equal(h.ranges[0].len, 0x1000);
}

static void test_no_memory(void **state)
{
	struct virtio_device *other = NULL;

	(void)state;
	fake_frames_left = 1;
	assert_int_equal(virtio_balloon_create(&vm, &other), -TERN_ENOMEM);
	assert_null(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_inflate, setup, teardown),
		cmocka_unit_test_setup_teardown(test_inflate_later, setup, teardown),
		cmocka_unit_test_setup_teardown(test_target, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stats, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reporting, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hints, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hints_poisoned, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hint_set, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_memory, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
