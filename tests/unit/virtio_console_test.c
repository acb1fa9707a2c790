/* SPDX-License-Identifier: MIT */
/* links: hv/dev/bus.c hv/dev/dev.c hv/lock.c hv/dev/vpci.c hv/dev/vpci_bar.c hv/dev/vpci_irq.c hv/dev/virtio_pci.c hv/dev/virtio_queue.c hv/lib/fmt.c */
/* links: hv/dev/virtio_console.c hv/dev/virtio_console_agent.c hv/dev/virtio_console_control.c hv/dev/vuart.c tests/fake/fake_agent.c tests/fake/fake_frames.c tests/fake/fake_host.c tests/fake/fake_guest.c tests/fake/fake_driver.c */
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
#include <tern/virtio.h>
#include <tern/vpci.h>
#include <tests/fake/fake_agent.h>
#include <tests/fake/fake_driver.h>
#include <tests/fake/fake_frames.h>
#include <tests/fake/fake_guest.h>
#include <tests/fake/fake_host.h>

#define DATA   0x100000u
#define EVENTS (1ull << VIRTIO_RING_F_EVENT_IDX)

enum { RX, TX };

static struct vm vm;
static struct fake_driver drv;
static struct virtio_device *console;
static char ring[VUART_RING];

static int setup(void **state)
{
	(void)state;
	fake_reset();
	fake_frames_reset(64);
	fake_guest_reset(&vm);
	fake_agent_reset();
	assert_int_equal(vuart_create(&vm, &vm.bus, &vm.platform.uart), 0);
	assert_int_equal(vpci_create(&vm, &vm.bus), 0);
	assert_int_equal(virtio_console_create(&vm, &console), 0);
	assert_true(fake_driver_start(&drv, &vm, 1, EVENTS, 16, true));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	bus_destroy(&vm.bus);
	assert_int_equal(fake_frames_used(), 0);
	return 0;
}

static size_t printed(void)
{
	u64 at = 0;

	return vuart_read(vm.platform.uart, &at, ring, sizeof(ring));
}

static void print(u64 at, u32 len)
{
	fake_desc(fake_desc_at(TX), 0, at, len, 0, 0);
	fake_post(&drv, TX, 0);
}

static void test_output(void **state)
{
	(void)state;
	assert_int_equal(fake_pci_read(&vm, 1, 0, 4), 0x10431af4);
	memcpy(fake_guest_mem + DATA, "hello\nworld", 11);
	print(DATA, 11);
	assert_int_equal(printed(), 11);
	assert_memory_equal(ring, "hello\nworld", 11);
	assert_string_equal(fake_log(), "[vm web] hello\n");
	assert_int_equal(fake_used_idx(TX), 1);
	assert_int_equal(fake_used_len(&drv, TX, 0), 0);
	/* One scroll-back with the 16550. */
	bus_write(&vm.bus, DEV_PORT, VUART_BASE, 1, '!', NULL);
	assert_int_equal(printed(), 12);
	print(FAKE_GUEST_MEM, 1);
	assert_int_equal(fake_status(&drv) & 0x40, 0x40);
}

/* What has been printed is not printed again when the rest had to wait. */
static void test_output_later(void **state)
{
	(void)state;
	memset(fake_guest_mem + DATA, 'a', 600);
	fake_desc(fake_desc_at(TX), 0, DATA, 300, VRING_DESC_F_NEXT, 1);
	fake_desc(fake_desc_at(TX), 1, DATA + 4096, 300, 0, 0);
	fake_later_from = DATA + 4096;
	fake_later_to = DATA + 8192;
	fake_post(&drv, TX, 0);
	assert_int_equal(printed(), 256);
	assert_int_equal(fake_used_idx(TX), 0);
	fake_later_to = 0;
	dev_work(&vm);
	assert_int_equal(vm.work, 0);
	assert_int_equal(printed(), 600);
	assert_int_equal(fake_used_idx(TX), 1);
}

/* A huge buffer is printed in turns. */
static void test_output_long(void **state)
{
	(void)state;
	print(DATA, 20000);
	assert_int_equal(fake_used_idx(TX), 0);
	assert_int_equal(vuart_written(vm.platform.uart), 8192);
	dev_work(&vm);
	dev_work(&vm);
	assert_int_equal(vuart_written(vm.platform.uart), 20000);
	assert_int_equal(fake_used_idx(TX), 1);
	assert_int_equal(vm.work, 0);
}

static void offer(u16 i, u64 at, u32 len)
{
	fake_desc(fake_desc_at(RX), i, at, len, VRING_DESC_F_WRITE, 0);
	fake_post(&drv, RX, i);
}

static void test_input(void **state)
{
	char text[300];

	(void)state;
	memset(text, 'x', sizeof(text));
	assert_int_equal(virtio_console_input(console, "ab", 2), 2);
	offer(0, DATA, 8);
	assert_int_equal(fake_used_idx(RX), 1);
	assert_int_equal(fake_used_len(&drv, RX, 0), 2);
	assert_memory_equal(fake_guest_mem + DATA, "ab", 2);
	offer(1, DATA + 16, 3);
	offer(2, DATA + 32, 3);
	assert_int_equal(virtio_console_input(console, "cdef", 4), 4);
	assert_int_equal(fake_used_idx(RX), 3);
	assert_memory_equal(fake_guest_mem + DATA + 16, "cde", 3);
	assert_memory_equal(fake_guest_mem + DATA + 32, "f", 1);
	assert_int_equal(fake_msi_count, 1); /* the event index was not moved */
	assert_int_equal(virtio_console_input(console, text, sizeof(text)), 256);
	offer(3, DATA, 256);
	assert_int_equal(fake_used_len(&drv, RX, 3), 250);
	offer(4, DATA, 256);
	assert_int_equal(fake_used_len(&drv, RX, 4), 6);
}

static void test_input_later(void **state)
{
	(void)state;
	fake_later_from = DATA;
	fake_later_to = DATA + 4096;
	offer(0, DATA, 8);
	assert_int_equal(virtio_console_input(console, "ab", 2), 2);
	assert_int_equal(fake_used_idx(RX), 0);
	assert_int_equal(vm.work, 1);
	fake_later_to = 0;
	dev_work(&vm);
	assert_int_equal(fake_used_len(&drv, RX, 0), 2);
	/* A buffer that has no room would go round for ever. */
	offer(1, DATA, 0);
	assert_int_equal(virtio_console_input(console, "c", 1), 1);
	assert_int_equal(fake_status(&drv) & 0x40, 0x40);
	fake_common_write(&drv, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	assert_int_equal(virtio_console_input(console, "", 0), 0);
}

/* A driver that does not take the feature has one port, whatever it sends to other queues. */
static void test_one_port(void **state)
{
	(void)state;
	assert_int_equal(fake_common_read(&drv, VIRTIO_PCI_COMMON_NUMQ, 2), 6);
	for (u16 queue = 2; queue < 6; queue++) {
		fake_desc(fake_desc_at(queue), 0, DATA, 64, queue % 2 == 0 ? VRING_DESC_F_WRITE : 0,
			  0);
		fake_post(&drv, queue, 0);
	}
	fake_agent.notify(fake_agent.notify_arg);
	dev_work(&vm);
	for (u16 queue = 2; queue < 6; queue++)
		assert_int_equal(fake_used_idx(queue), 0);
	assert_int_equal(fake_agent.count, 0);
	assert_int_equal(fake_status(&drv) & 0x40, 0);
}

static void test_no_memory(void **state)
{
	struct virtio_device *other = NULL;

	(void)state;
	fake_frames_left = 0;
	assert_int_equal(virtio_console_create(&vm, &other), -TERN_ENOMEM);
	fake_frames_left = 1;
	assert_int_equal(virtio_console_create(&vm, &other), -TERN_ENOMEM);
	fake_frames_left = 2;
	assert_int_equal(virtio_console_create(&vm, &other), -TERN_ENOMEM);
	assert_null(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_output, setup, teardown),
		cmocka_unit_test_setup_teardown(test_output_later, setup, teardown),
		cmocka_unit_test_setup_teardown(test_output_long, setup, teardown),
		cmocka_unit_test_setup_teardown(test_input, setup, teardown),
		cmocka_unit_test_setup_teardown(test_input_later, setup, teardown),
		cmocka_unit_test_setup_teardown(test_one_port, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_memory, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
