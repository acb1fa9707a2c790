/* SPDX-License-Identifier: MIT */
/* links: hv/dev/bus.c hv/dev/dev.c hv/lock.c hv/dev/vpci.c hv/dev/vpci_bar.c hv/dev/vpci_irq.c hv/dev/virtio_pci.c hv/dev/virtio_queue.c hv/lib/fmt.c */
/* links: tests/fake/fake_frames.c tests/fake/fake_host.c tests/fake/fake_guest.c tests/fake/fake_driver.c tests/fake/fake_virtio.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>

#include <tern/err.h>
#include <tern/vpci.h>
#include <tests/fake/fake_driver.h>
#include <tests/fake/fake_frames.h>
#include <tests/fake/fake_guest.h>
#include <tests/fake/fake_host.h>
#include <tests/fake/fake_virtio.h>

#define NEXT      VRING_DESC_F_NEXT
#define WRITE     VRING_DESC_F_WRITE
#define INDIRECT  VRING_DESC_F_INDIRECT
#define EVENTS    (1ull << VIRTIO_RING_F_EVENT_IDX)
#define INDIRECTS (1ull << VIRTIO_RING_F_INDIRECT_DESC)
#define DATA      0x100000u /* buffers */
#define TABLE     0x180000u /* an indirect table */

static struct vm vm;
static struct fake_driver drv;
static struct virtio_queue *q;
static struct virtio_chain chain, other;
static size_t log_seen; /* bytes of the log that were there when the driver started */

static int setup(void **state)
{
	(void)state;
	fake_reset();
	fake_frames_reset(64);
	fake_guest_reset(&vm);
	assert_int_equal(vpci_create(&vm, &vm.bus), 0);
	assert_int_equal(fake_virtio_add(&vm), 0);
	q = virtio_queue(&fake_virtio.v, 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	bus_destroy(&vm.bus);
	assert_int_equal(fake_frames_used(), 0);
	return 0;
}

static void start(u64 features, u16 size)
{
	assert_true(fake_driver_start(&drv, &vm, 1, features, size, true));
	log_seen = strlen(fake_log());
	/* The last line about it is long ago. */
	fake_tsc += fake_tsc_hz;
}

static void desc(u16 i, u64 addr, u32 len, u16 flags, u16 next)
{
	fake_desc(fake_desc_at(0), i, addr, len, flags, next);
}

static void assert_broken(const char *why)
{
	assert_int_equal(fake_status(&drv) & 0x40, 0x40);
	assert_non_null(strstr(fake_log() + log_seen, why));
	assert_int_equal(virtio_pop(q, &chain), -TERN_EIO);
	assert_null(chain.queue);
}

static void test_one_chain(void **state)
{
	u8 text[16];

	(void)state;
	start(0, 16);
	assert_int_equal(virtio_pop(q, &chain), 0);
	desc(3, DATA, 4, NEXT, 9);
	desc(9, DATA + 100, 3, NEXT, 1);
	desc(1, DATA + 200, 5, NEXT | WRITE, 2);
	desc(2, DATA + 300, 5, WRITE, 7);
	memcpy(fake_guest_mem + DATA, "abcd", 4);
	memcpy(fake_guest_mem + DATA + 100, "efg", 3);
	fake_avail(&drv, 0, 3);
	assert_int_equal(virtio_pop(q, &chain), 1);
	assert_int_equal(chain.head, 3);
	assert_int_equal(chain.count, 4);
	assert_int_equal(chain.out_count, 2);
	assert_int_equal(chain.out_len, 7);
	assert_int_equal(chain.in_len, 10);
	assert_int_equal(virtio_chain_read(&chain, 0, text, 7), 0);
	assert_memory_equal(text, "abcdefg", 7);
	assert_int_equal(virtio_chain_read(&chain, 3, text, 2), 0);
	assert_memory_equal(text, "de", 2);
	assert_int_equal(virtio_chain_read(&chain, 7, text, 0), 0);
	assert_int_equal(virtio_chain_read(&chain, 7, text, 1), -TERN_ERANGE);
	assert_int_equal(virtio_chain_read(&chain, 8, text, 0), -TERN_ERANGE);
	assert_int_equal(virtio_chain_read(&chain, 1, text, UINT32_MAX), -TERN_ERANGE);
	assert_int_equal(virtio_chain_write(&chain, 3, "WXYZ", 4), 0);
	assert_memory_equal(fake_guest_mem + DATA + 200, "\0\0\0WX\0", 6);
	assert_memory_equal(fake_guest_mem + DATA + 300, "YZ\0", 3);
	assert_int_equal(virtio_chain_write(&chain, 3, "WXYZ", 8), -TERN_ERANGE);
	virtio_push(&chain, 7);
	assert_null(chain.queue);
	assert_int_equal(fake_used_idx(0), 0);
	virtio_flush(q);
	assert_int_equal(fake_used_idx(0), 1);
	assert_int_equal(fake_used_id(&drv, 0, 0), 3);
	assert_int_equal(fake_used_len(&drv, 0, 0), 7);
	assert_int_equal(fake_msi_count, 1);
	assert_int_equal(fake_msi_data, 0);
	virtio_flush(q);
	assert_int_equal(fake_msi_count, 1);
	assert_int_equal(virtio_pop(q, &chain), 0);
}

/* A chain of three in a row costs three copies, one more shows that there is nothing left. */
static void test_cost(void **state)
{
	(void)state;
	start(0, 16);
	desc(0, DATA, 16, NEXT, 1);
	desc(1, DATA + 512, 512, NEXT | WRITE, 2);
	desc(2, DATA + 16, 1, WRITE, 0);
	fake_avail(&drv, 0, 0);
	fake_copies = 0;
	assert_int_equal(virtio_pop(q, &chain), 1);
	assert_int_equal(fake_copies, 3);
	virtio_push(&chain, 513);
	virtio_flush(q);
	assert_int_equal(fake_copies, 6);
	assert_int_equal(virtio_pop(q, &chain), 0);
	assert_int_equal(fake_copies, 7);
}

static void test_order_and_wrap(void **state)
{
	(void)state;
	start(0, 4);
	for (u16 i = 0; i < 4; i++)
		desc(i, DATA + i, 1, WRITE, 0);
	/* The rings go round many times; pushed in another order than popped, two at a time. */
	for (u32 i = 0; i < 70000; i += 2) {
		fake_avail(&drv, 0, (u16)(i % 4));
		fake_avail(&drv, 0, (u16)((i + 1) % 4));
		assert_int_equal(virtio_pop(q, &chain), 1);
		assert_int_equal(virtio_pop(q, &other), 1);
		assert_int_equal(virtio_pop(q, &(struct virtio_chain){0}), 0);
		virtio_push(&other, 1);
		virtio_push(&chain, 0);
		virtio_flush(q);
		assert_int_equal(fake_used_idx(0), (u16)(i + 2));
		assert_int_equal(fake_used_id(&drv, 0, (u16)i), (i + 1) % 4);
		assert_int_equal(fake_used_len(&drv, 0, (u16)i), 1);
		assert_int_equal(fake_used_id(&drv, 0, (u16)(i + 1)), i % 4);
	}
	/* An uneven start: a batch that wraps in the ring. */
	fake_avail(&drv, 0, 0);
	assert_int_equal(virtio_pop(q, &chain), 1);
	virtio_push(&chain, 0);
	virtio_flush(q);
	for (u16 i = 0; i < 4; i++) {
		fake_avail(&drv, 0, i);
		assert_int_equal(virtio_pop(q, &chain), 1);
		virtio_push(&chain, i % 2);
	}
	virtio_flush(q);
	for (u16 i = 0; i < 4; i++)
		assert_int_equal(fake_used_id(&drv, 0, (u16)(70001 + i)), i);
}

static void test_indirect(void **state)
{
	(void)state;
	start(INDIRECTS, 16);
	desc(0, DATA, 2, NEXT, 5);
	desc(5, TABLE, 16 * 200, INDIRECT | WRITE, 0);
	fake_desc(TABLE, 0, DATA + 2, 3, NEXT, 100);
	fake_desc(TABLE, 100, DATA + 5, 4, WRITE | NEXT, 199);
	fake_desc(TABLE, 199, DATA + 9, 5, WRITE, 0);
	fake_avail(&drv, 0, 0);
	assert_int_equal(virtio_pop(q, &chain), 1);
	assert_int_equal(chain.count, 4);
	assert_int_equal(chain.out_len, 5);
	assert_int_equal(chain.in_len, 9);
	virtio_push(&chain, 9);
	virtio_flush(q);
	assert_int_equal(fake_used_id(&drv, 0, 0), 0);
}

/* 130 buffers are taken, one more is not. */
static void test_longest_chain(void **state)
{
	(void)state;
	start(INDIRECTS, 16);
	for (u16 i = 0; i < 131; i++)
		fake_desc(TABLE, i, DATA + i, 1, i < 129 ? NEXT : 0, (u16)(i + 1));
	desc(0, TABLE, 16 * 131, INDIRECT, 0);
	fake_avail(&drv, 0, 0);
	assert_int_equal(virtio_pop(q, &chain), 1);
	assert_int_equal(chain.count, 130);
	fake_desc(TABLE, 129, DATA, 1, NEXT, 130);
	fake_avail(&drv, 0, 0);
	assert_int_equal(virtio_pop(q, &chain), -TERN_EIO);
	assert_broken("too many buffers");
}

struct bad {
	const char *why;
	u64 addr;
	u32 len;
	u16 flags, next;
	u64 addr2; /* number 1 */
	u32 len2;
	u16 flags2, next2;
	u16 head, ahead;
};

static const struct bad bad[] = {
	{.why = "descriptor index", .head = 16},
	{.why = "descriptor index", .flags = NEXT, .next = 16},
	{.why = "descriptor index", .flags = NEXT, .next = 0xffff},
	{.why = "loop", .flags = NEXT, .next = 0},
	{.why = "loop", .flags = NEXT, .next = 1, .flags2 = NEXT, .next2 = 0},
	{.why = "too long", .addr = UINT64_MAX - 3, .len = 5},
	{.why = "too long", .len = 0x40000001},
	{.why = "too long", .len = 0x3fffffff, .flags = NEXT, .next = 1, .len2 = 2},
	{.why = "after one to write", .len = 1, .flags = NEXT | WRITE, .next = 1, .len2 = 1},
	{.why = "with a next one", .len = 16, .flags = NEXT | INDIRECT},
	{.why = "bad length", .addr = TABLE, .len = 0, .flags = INDIRECT},
	{.why = "bad length", .addr = TABLE, .len = 17, .flags = INDIRECT},
	{.why = "bad length", .addr = UINT64_MAX - 15, .len = 32, .flags = INDIRECT},
	{.why = "not in memory", .addr = FAKE_GUEST_MEM, .len = 16, .flags = INDIRECT},
	/* The queue's own table as an indirect one, whose second is indirect again. */
	{.why = "in an indirect table", .addr = 0x1000, .len = 32, .flags = INDIRECT},
	{.why = "jumped", .ahead = 16},
	{.why = "jumped", .ahead = 0xfffe},
};

static void test_bad_chains(void **state)
{
	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
		const struct bad *b = &bad[i];
		u16 idx;

		start(INDIRECTS, 16);
		desc(0, b->addr, b->len, b->flags, b->next);
		desc(1, b->addr2, b->len2, b->flags2, b->next2);
		fake_avail(&drv, 0, b->head);
		memcpy(&idx, fake_guest_mem + fake_avail_at(0) + 2, 2);
		idx = (u16)(idx + b->ahead);
		memcpy(fake_guest_mem + fake_avail_at(0) + 2, &idx, 2);
		assert_int_equal(virtio_pop(q, &chain), -TERN_EIO);
		assert_broken(b->why);
		/* The reset makes it work again. */
		start(0, 16);
		desc(0, DATA, 1, 0, 0);
		fake_avail(&drv, 0, 0);
		assert_int_equal(virtio_pop(q, &chain), 1);
		virtio_push(&chain, 0);
	}
	start(0, 16);
	desc(0, TABLE, 16, INDIRECT, 0);
	fake_avail(&drv, 0, 0);
	assert_int_equal(virtio_pop(q, &chain), -TERN_EIO);
	assert_broken("not negotiated");
}

/* Chains without end: more are made available than the queue has entries and the driver saw used. */
static void test_too_many_chains(void **state)
{
	(void)state;
	start(0, 4);
	desc(0, DATA, 1, 0, 0);
	for (u32 i = 0; i < 4; i++) {
		fake_avail(&drv, 0, 0);
		assert_int_equal(virtio_pop(q, &chain), 1);
	}
	fake_avail(&drv, 0, 0);
	assert_int_equal(virtio_pop(q, &chain), -TERN_EIO);
	assert_broken("more chains");
	/* A long queue: the rest waits. */
	start(0, 128);
	desc(0, DATA, 1, 0, 0);
	for (u32 i = 0; i < VIRTIO_IN_FLIGHT_MAX + 1; i++)
		fake_avail(&drv, 0, 0);
	for (u32 i = 0; i < VIRTIO_IN_FLIGHT_MAX; i++)
		assert_int_equal(virtio_pop(q, &other), 1);
	assert_int_equal(virtio_pop(q, &chain), -TERN_EAGAIN);
	virtio_push(&other, 0);
	assert_int_equal(virtio_pop(q, &chain), -TERN_EAGAIN);
	virtio_flush(q);
	assert_int_equal(virtio_pop(q, &chain), 1);
}

static void test_buffer_not_memory(void **state)
{
	u8 byte = 0;

	(void)state;
	start(0, 16);
	desc(0, FAKE_GUEST_MEM, 1, NEXT, 1);
	desc(1, FAKE_GUEST_MEM - 1, 2, WRITE, 0);
	fake_avail(&drv, 0, 0);
	assert_int_equal(virtio_pop(q, &chain), 1);
	other = chain;
	assert_int_equal(virtio_chain_read(&chain, 0, &byte, 1), -TERN_EFAULT);
	/* From here on the chain is void. */
	assert_int_equal(virtio_chain_write(&chain, 0, &byte, 1), -TERN_EIO);
	virtio_push(&chain, 1);
	virtio_flush(q);
	virtio_unpop(&other);
	assert_int_equal(fake_used_idx(0), 0);
	assert_broken("buffer is not in memory");
}

/* A chain that was popped before a reset does nothing after it. */
static void test_reset_in_flight(void **state)
{
	u8 byte = 'x';

	(void)state;
	start(0, 16);
	desc(0, DATA, 1, WRITE, 0);
	fake_avail(&drv, 0, 0);
	assert_int_equal(virtio_pop(q, &chain), 1);
	start(0, 16);
	assert_int_equal(virtio_chain_write(&chain, 0, &byte, 1), -TERN_EIO);
	virtio_push(&chain, 1);
	virtio_flush(q);
	assert_int_equal(fake_used_idx(0), 0);
	assert_int_equal(fake_guest_mem[DATA], 0);
	desc(0, DATA, 1, WRITE, 0);
	fake_avail(&drv, 0, 0);
	assert_int_equal(virtio_pop(q, &chain), 1);
	assert_int_equal(virtio_chain_write(&chain, 0, &byte, 1), 0);
	virtio_push(&chain, 1);
	virtio_flush(q);
	assert_int_equal(fake_used_idx(0), 1);
}

static void later(u64 from, u64 len)
{
	fake_later_from = from;
	fake_later_to = from + len;
}

/* Memory that cannot be backed now, wherever it is: nothing has changed, and later it works. */
static void test_later(void **state)
{
	u8 text[4];

	(void)state;
	start(EVENTS, 16);
	desc(0, DATA, 4, NEXT, 1);
	desc(1, DATA + 4096, 4, WRITE, 0);
	fake_avail(&drv, 0, 0);
	later(fake_avail_at(0), 4096);
	assert_int_equal(virtio_pop(q, &chain), -TERN_EAGAIN);
	later(fake_desc_at(0), 16);
	assert_int_equal(virtio_pop(q, &chain), -TERN_EAGAIN);
	assert_null(chain.queue);
	later(DATA, 4096);
	assert_int_equal(virtio_pop(q, &chain), 1);
	assert_int_equal(virtio_chain_read(&chain, 0, text, 4), -TERN_EAGAIN);
	virtio_unpop(&chain);
	later(DATA + 4096, 4096);
	assert_int_equal(virtio_pop(q, &chain), 1);
	assert_int_equal(virtio_chain_read(&chain, 0, text, 4), 0);
	assert_int_equal(virtio_chain_write(&chain, 0, text, 4), -TERN_EAGAIN);
	later(0, 0);
	assert_int_equal(virtio_chain_write(&chain, 0, text, 4), 0);
	/* The used ring: what was pushed waits, and the core comes back to it. */
	later(fake_used_at(0), 4096);
	virtio_push(&chain, 4);
	virtio_flush(q);
	assert_int_equal(fake_vm_kicks, 1);
	dev_work(&vm);
	assert_int_equal(vm.work, 1);
	assert_int_equal(fake_msi_count, 0);
	/* Nor can the driver be told to notify. */
	assert_int_equal(virtio_pop(q, &chain), -TERN_EAGAIN);
	later(0, 0);
	dev_work(&vm);
	assert_int_equal(vm.work, 0);
	assert_int_equal(fake_used_idx(0), 1);
	assert_int_equal(fake_used_len(&drv, 0, 0), 4);
	assert_int_equal(fake_msi_count, 1);
	assert_int_equal(virtio_pop(q, &chain), 0);
	assert_int_equal(fake_status(&drv), 0xf);
}

static void use(u32 count)
{
	for (u32 i = 0; i < count; i++) {
		fake_avail(&drv, 0, 0);
		assert_int_equal(virtio_pop(q, &chain), 1);
		virtio_push(&chain, 0);
	}
	virtio_flush(q);
}

static void test_events(void **state)
{
	(void)state;
	start(EVENTS, 16);
	desc(0, DATA, 1, 0, 0);
	/* Driver: not before the third. */
	fake_used_event(&drv, 0, 2);
	use(2);
	assert_int_equal(fake_msi_count, 0);
	use(1);
	assert_int_equal(fake_msi_count, 1);
	use(5);
	assert_int_equal(fake_msi_count, 1);
	fake_used_event(&drv, 0, 9);
	use(3);
	assert_int_equal(fake_msi_count, 2);
	/* Device: wants to hear of the next once the queue was found empty, and not before. */
	assert_int_equal(fake_avail_event(&drv, 0), 0);
	assert_int_equal(virtio_pop(q, &chain), 0);
	assert_int_equal(fake_avail_event(&drv, 0), 11);
	fake_copies = 0;
	assert_int_equal(virtio_pop(q, &chain), 0);
	assert_int_equal(fake_copies, 1);
}

static void no_interrupt(u16 flags)
{
	memcpy(fake_guest_mem + fake_avail_at(0), &flags, 2);
}

static void test_flags(void **state)
{
	(void)state;
	start(0, 16);
	desc(0, DATA, 1, 0, 0);
	no_interrupt(VRING_AVAIL_F_NO_INTERRUPT);
	use(1);
	assert_int_equal(fake_msi_count, 0);
	no_interrupt(0);
	use(1);
	assert_int_equal(fake_msi_count, 1);
}

static u32 copies_left;

static void guest_adds(void)
{
	if (--copies_left == 0) {
		fake_avail(&drv, 0, 0);
		fake_copying = NULL;
	}
}

/* The driver adds a chain between the look at the ring and the request for a notification. */
static void test_race(void **state)
{
	(void)state;
	start(EVENTS, 16);
	desc(0, DATA, 1, 0, 0);
	use(1);
	copies_left = 2; /* before the event index is written */
	fake_copying = guest_adds;
	assert_int_equal(virtio_pop(q, &chain), 1);
	assert_int_equal(virtio_pop(q, &other), 0);
	assert_int_equal(fake_avail_event(&drv, 0), 2);
}

static void test_pin(void **state)
{
	(void)state;
	assert_true(fake_driver_start(&drv, &vm, 1, 0, 16, false));
	desc(0, DATA, 1, 0, 0);
	use(1);
	assert_true(fake_lines[17]);
	assert_int_equal(fake_isr(&drv), 1);
	assert_false(fake_lines[17]);
	assert_int_equal(fake_msi_count, 0);
}

static void test_rings_not_memory(void **state)
{
	(void)state;
	start(0, 16);
	/* Once more, with the available ring where nothing is. */
	fake_common_write(&drv, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	fake_common_write(&drv, VIRTIO_PCI_COMMON_GFSELECT, 4, 1);
	fake_common_write(&drv, VIRTIO_PCI_COMMON_GF, 4, 1);
	fake_common_write(&drv, VIRTIO_PCI_COMMON_STATUS, 1, 0xb);
	fake_common_write(&drv, VIRTIO_PCI_COMMON_Q_AVAILHI, 4, 0x7fffffff);
	fake_common_write(&drv, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	fake_common_write(&drv, VIRTIO_PCI_COMMON_STATUS, 1, 0xf);
	assert_int_equal(virtio_pop(q, &chain), -TERN_EIO);
	assert_broken("available ring is not in memory");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_one_chain, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cost, setup, teardown),
		cmocka_unit_test_setup_teardown(test_order_and_wrap, setup, teardown),
		cmocka_unit_test_setup_teardown(test_indirect, setup, teardown),
		cmocka_unit_test_setup_teardown(test_longest_chain, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_chains, setup, teardown),
		cmocka_unit_test_setup_teardown(test_too_many_chains, setup, teardown),
		cmocka_unit_test_setup_teardown(test_buffer_not_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reset_in_flight, setup, teardown),
		cmocka_unit_test_setup_teardown(test_later, setup, teardown),
		cmocka_unit_test_setup_teardown(test_events, setup, teardown),
		cmocka_unit_test_setup_teardown(test_flags, setup, teardown),
		cmocka_unit_test_setup_teardown(test_race, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pin, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rings_not_memory, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
