/* SPDX-License-Identifier: MIT */
/* links: hv/dev/bus.c hv/dev/testdev.c hv/dev/parts.c hv/lock.c tests/fake/fake_frames.c tests/fake/fake_host.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <tern/err.h>
#include <tern/vm.h>
#include <tests/fake/fake_frames.h>
#include <tests/fake/fake_host.h>

static struct vm vm;
static u32 lines, changes;

void platform_irq(struct vm *to, u32 n, bool asserted)
{
	assert_ptr_equal(to, &vm);
	assert_true(n < IRQ_LINES && n != 2);
	assert_true(lock_held(&vm.bus.lock));
	lines = asserted ? lines | 1u << n : lines & ~(1u << n);
	changes++;
}

static u64 in(u16 port, u32 width)
{
	return bus_in(&vm.bus, port, width);
}

static void out(u16 port, u32 width, u32 value)
{
	bus_write(&vm.bus, DEV_PORT, port, width, value, NULL);
}

static int setup(void **state)
{
	(void)state;
	fake_reset();
	fake_frames_reset(64);
	memset(&vm, 0, sizeof(vm));
	lines = changes = 0;
	bus_init(&vm.bus);
	assert_int_equal(testdev_create(&vm, &vm.bus), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	bus_destroy(&vm.bus);
	assert_int_equal(fake_frames_used(), 0);
	return 0;
}

static void test_echo(void **state)
{
	(void)state;
	out(0xe0, 1, 0x42);
	assert_int_equal(in(0xe0, 1), 0x42);
	out(0xe0, 2, 0x4243);
	assert_int_equal(in(0xe0, 2), 0x4243);
	out(0xe0, 4, 0x12345678);
	assert_int_equal(in(0xe0, 4), 0x12345678);
	assert_int_equal(in(0xe1, 1), 0x56);
	assert_int_equal(in(0xe2, 2), 0x1234);
	out(0xe3, 1, 0x99);
	assert_int_equal(in(0xe0, 4), 0x99345678);
	out(0xe4, 4, 0xffffffff);
	assert_int_equal(in(0xe4, 4), 0);
	/* Half in the echo, half in the flush. */
	assert_int_equal(in(0xe3, 2), 0x0099);
	bus_reset(&vm.bus);
	assert_int_equal(in(0xe0, 4), 0);
}

static void test_lines(void **state)
{
	(void)state;
	for (u16 n = 0; n < IRQ_LINES; n++)
		out((u16)(0x2000 + n), 1, 1);
	assert_int_equal(lines, 0xfffffb); /* line 2 is no device's */
	out(0x2005, 1, 0);
	assert_int_equal(lines, 0xffffdb);
	assert_int_equal(in(0x2000, 1), 0);
	out(0x2018, 1, 1);
	assert_int_equal(in(0x2018, 1), 0xff);
	assert_int_equal(lines, 0xffffdb);
	changes = 0;
	bus_reset(&vm.bus);
	assert_int_equal(lines, 0);
	assert_int_equal(changes, 22);
	bus_reset(&vm.bus);
	assert_int_equal(changes, 22);
}

static void test_memory(void **state)
{
	(void)state;
	bus_write(&vm.bus, DEV_MEM, 0xff000000, 8, 0x1122334455667788, NULL);
	bus_write(&vm.bus, DEV_MEM, 0xff00ffff, 1, 0xab, NULL);
	assert_int_equal(bus_read(&vm.bus, DEV_MEM, 0xff000000, 8, NULL), 0x1122334455667788);
	assert_int_equal(bus_read(&vm.bus, DEV_MEM, 0xff000003, 2, NULL), 0x4455);
	assert_int_equal(bus_read(&vm.bus, DEV_MEM, 0xff00fffc, 4, NULL), 0xab000000);
	/* Past its end there is nothing. */
	assert_int_equal(bus_read(&vm.bus, DEV_MEM, 0xff00ffff, 2, NULL), 0xffab);
	bus_reset(&vm.bus);
	assert_int_equal(bus_read(&vm.bus, DEV_MEM, 0xff000000, 8, NULL), 0);
}

static void test_no_memory(void **state)
{
	struct dev_bus other;
	u32 used = fake_frames_used();

	(void)state;
	bus_init(&other);
	for (u32 n = 0; n < 2; n++) {
		fake_frames_left = n;
		assert_int_equal(testdev_create(&vm, &other), -TERN_ENOMEM);
		assert_int_equal(fake_frames_used(), used);
	}
	fake_frames_left = UINT32_MAX;
	assert_int_equal(testdev_create(&vm, &vm.bus), -TERN_EEXIST);
	assert_int_equal(fake_frames_used(), used);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_echo, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lines, setup, teardown),
		cmocka_unit_test_setup_teardown(test_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_memory, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
