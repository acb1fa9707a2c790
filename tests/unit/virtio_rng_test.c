/* SPDX-License-Identifier: MIT */
/* links: hv/dev/bus.c hv/dev/dev.c hv/lock.c hv/dev/vpci.c hv/dev/vpci_bar.c hv/dev/vpci_irq.c hv/dev/virtio_pci.c hv/dev/virtio_queue.c hv/lib/fmt.c */
/* links: hv/dev/virtio_rng.c tests/fake/fake_frames.c tests/fake/fake_host.c tests/fake/fake_guest.c tests/fake/fake_driver.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <linux/virtio_ring.h>

#include <tern/err.h>
#include <tern/virtio.h>
#include <tern/vpci.h>
#include <tests/fake/fake_driver.h>
#include <tests/fake/fake_frames.h>
#include <tests/fake/fake_guest.h>
#include <tests/fake/fake_host.h>

#define DATA 0x100000u

static struct vm vm;
static struct fake_driver drv;

static int setup(void **state)
{
	(void)state;
	fake_reset();
	fake_frames_reset(64);
	fake_guest_reset(&vm);
	assert_int_equal(vpci_create(&vm, &vm.bus), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	bus_destroy(&vm.bus);
	assert_int_equal(fake_frames_used(), 0);
	return 0;
}

static void start(void)
{
	assert_int_equal(virtio_rng_create(&vm), 0);
	assert_true(fake_driver_start(&drv, &vm, 1, 0, 16, true));
}

static void post(u64 at, u32 len)
{
	fake_desc(fake_desc_at(0), 0, at, len, VRING_DESC_F_WRITE, 0);
	fake_post(&drv, 0, 0);
}

static void test_bytes(void **state)
{
	u64 got[3];

	(void)state;
	start();
	assert_int_equal(fake_pci_read(&vm, 1, 0, 4), 0x10441af4);
	post(DATA, 20);
	assert_int_equal(fake_used_idx(0), 1);
	assert_int_equal(fake_used_len(&drv, 0, 0), 20);
	memcpy(got, fake_guest_mem + DATA, sizeof(got));
	/* 1 was the probe. */
	assert_int_equal(got[0], 2);
	assert_int_equal(got[1], 3);
	assert_int_equal(got[2], 4);
	assert_int_equal(fake_msi_count, 1);
	post(DATA, 4096);
	assert_int_equal(fake_used_len(&drv, 0, 1), 256);
	assert_int_equal(fake_guest_mem[DATA + 255 - 7], 36);
	assert_int_equal(fake_guest_mem[DATA + 256], 0);
	post(DATA, 0);
	assert_int_equal(fake_used_len(&drv, 0, 2), 0);
}

/* The generator runs dry: what there is, or later. */
static void test_dry(void **state)
{
	(void)state;
	start();
	fake_randoms = 2;
	post(DATA, 64);
	assert_int_equal(fake_used_len(&drv, 0, 0), 16);
	post(DATA, 64);
	assert_int_equal(fake_used_idx(0), 1);
	dev_work(&vm);
	assert_int_equal(vm.work, 1);
	fake_randoms = UINT32_MAX;
	dev_work(&vm);
	assert_int_equal(vm.work, 0);
	assert_int_equal(fake_used_idx(0), 2);
	assert_int_equal(fake_used_len(&drv, 0, 1), 64);
}

static void test_later_and_bad(void **state)
{
	(void)state;
	start();
	fake_later_from = DATA;
	fake_later_to = DATA + 4096;
	post(DATA, 8);
	assert_int_equal(fake_used_idx(0), 0);
	fake_later_to = 0;
	dev_work(&vm);
	assert_int_equal(fake_used_idx(0), 1);
	post(FAKE_GUEST_MEM, 8);
	assert_int_equal(fake_status(&drv) & 0x40, 0x40);
	assert_int_equal(fake_used_idx(0), 1);
}

/* A queue that is full takes two turns, and is never in the node's way longer. */
static void test_many(void **state)
{
	(void)state;
	assert_int_equal(virtio_rng_create(&vm), 0);
	assert_true(fake_driver_start(&drv, &vm, 1, 0, 64, true));
	fake_desc(fake_desc_at(0), 0, DATA, 8, VRING_DESC_F_WRITE, 0);
	for (u32 i = 0; i < 63; i++)
		fake_avail(&drv, 0, 0);
	fake_post(&drv, 0, 0);
	assert_int_equal(fake_used_idx(0), 64);
	assert_int_equal(vm.work, 1);
	dev_work(&vm);
	assert_int_equal(vm.work, 0);
}

static void test_none(void **state)
{
	(void)state;
	fake_randoms = 0;
	assert_int_equal(virtio_rng_create(&vm), -TERN_ENODEV);
	fake_randoms = UINT32_MAX;
	fake_frames_left = 1;
	assert_int_equal(virtio_rng_create(&vm), -TERN_ENOMEM);
	assert_null(vpci_get(&vm, 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_bytes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dry, setup, teardown),
		cmocka_unit_test_setup_teardown(test_later_and_bad, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many, setup, teardown),
		cmocka_unit_test_setup_teardown(test_none, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
