/* SPDX-License-Identifier: MIT */
/* links: hv/dev/vpm.c hv/dev/parts.c hv/dev/bus.c hv/timer.c hv/trace.c hv/lock.c tests/fake/fake_frames.c tests/fake/fake_host.c */
/* ACPI power management: PM1 registers, the timer, power-off and reset. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <hv/dev/ticks.h>
#include <tern/err.h>
#include <tern/vm.h>
#include <tests/fake/fake_frames.h>
#include <tests/fake/fake_host.h>
#include <tests/fake/fake_pause.h>

#define HZ 3579545u

static struct vm vm;
static bool line;
static u32 edges, offs, resets;

void vm_poweroff_requested(struct vm *v)
{
	assert_ptr_equal(v, &vm);
	assert_true(lock_held(&vm.bus.lock));
	offs++;
}

void vm_reset_requested(struct vm *v)
{
	assert_ptr_equal(v, &vm);
	assert_true(lock_held(&vm.bus.lock));
	resets++;
}

void platform_irq(struct vm *to, u32 n, bool asserted)
{
	assert_ptr_equal(to, &vm);
	assert_int_equal(n, IRQ_SCI);
	edges += asserted && !line;
	line = asserted;
}

static u32 in(u32 offset, u32 width)
{
	return (u32)bus_read(&vm.bus, DEV_PORT, PM_BASE + offset, width, NULL);
}

static void out(u32 offset, u32 width, u32 value)
{
	bus_write(&vm.bus, DEV_PORT, PM_BASE + offset, width, value, NULL);
}

static void pass(u64 ticks)
{
	u64 end = vm_deadline(&vm, ticks_to_time(ticks_now(&vm, HZ) + ticks, HZ));

	while (fake_armed[0] <= end) {
		fake_tsc = fake_armed[0];
		timer_interrupt();
	}
	fake_tsc = end;
}

static int setup(void **state)
{
	(void)state;
	fake_reset();
	fake_tsc_step = 0;
	fake_tsc_hz = 2893202977;
	fake_tsc = 987654321;
	fake_frames_reset(8);
	assert_int_equal(timer_cpu_init(pcpu_self()), 0);
	memset(&vm, 0, sizeof(vm));
	line = false;
	edges = offs = resets = 0;
	bus_init(&vm.bus);
	assert_int_equal(vpm_create(&vm, &vm.bus), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	bus_destroy(&vm.bus);
	assert_int_equal(fake_frames_used(), 0);
	assert_int_equal(fake_armed[0], UINT64_MAX);
	assert_false(line);
	fake_tsc_step = 100;
	fake_tsc_hz = 1000000000;
	return 0;
}

static void test_power_button(void **state)
{
	(void)state;
	assert_int_equal(in(4, 2), 0x0001);
	vpm_power_button(vm.platform.pm);
	assert_false(line);
	assert_int_equal(in(0, 2), 0x0100);
	out(2, 2, 0xffff);
	assert_int_equal(in(2, 2), 0x0721);
	assert_true(line);
	assert_int_equal(in(0, 4), 0x07210100);
	out(0, 2, 0x0001);
	assert_true(line);
	out(1, 1, 0x01);
	assert_false(line);
	vpm_power_button(vm.platform.pm);
	assert_int_equal(edges, 2);
	out(3, 1, 0x00);
	assert_false(line);
	assert_int_equal(in(2, 2), 0x0021);
	assert_int_equal(in(1, 1), 0x01);
	out(2, 2, 0x0100);
	assert_true(line);
	bus_reset(&vm.bus);
	assert_false(line);
	assert_int_equal(in(0, 4), 0);
}

static void test_timer(void **state)
{
	u32 before;

	(void)state;
	assert_int_equal(in(8, 4), 0);
	pass(0x12345678);
	assert_int_equal(in(8, 4), 0x12345678);
	assert_int_equal(in(9, 1), 0x56);
	assert_int_equal(in(10, 2), 0x1234);
	out(8, 4, 0);
	assert_int_equal(in(8, 4), 0x12345678);
	/* The top bit changes: status, and an interrupt if enabled. */
	pass(0x80000000 - 0x12345678 - 1);
	assert_int_equal(in(0, 2), 0);
	pass(1);
	assert_int_equal(in(0, 2), 0x0001);
	assert_false(line);
	out(0, 2, 0x0001);
	out(2, 2, 0x0001);
	pass(0x7fffffff);
	assert_int_equal(in(8, 4), 0xffffffff);
	assert_false(line);
	pass(1);
	assert_true(line);
	assert_int_equal(in(8, 4), 0);
	out(0, 2, 0x0001);
	assert_false(line);
	pass(0x80000000);
	assert_int_equal(edges, 2);
	/* A second is a second. */
	before = in(8, 4);
	fake_tsc += fake_tsc_hz;
	assert_in_range(in(8, 4) - before, HZ, HZ + 1);
	/* On a CPU whose clock is a little behind it does not go back. */
	before = in(8, 4);
	fake_tsc -= 5000;
	assert_int_equal(in(8, 4), before);
	bus_reset(&vm.bus);
	pass(0x100000000);
	assert_int_equal(edges, 2);
	out(2, 2, 0x0001);
}

/* The timer stands still in a pause, and its interrupt comes as much later. */
static void test_paused(void **state)
{
	u32 before;
	u64 left;

	(void)state;
	pass(1000);
	out(2, 2, 0x0001);
	before = in(8, 4);
	left = fake_armed[0] - fake_tsc;
	/* Longer than the timer needs for its top bit: its interrupt comes once, and finds nothing. */
	assert_int_equal(fake_pause(&vm, 3600 * fake_tsc_hz), 1);
	assert_int_equal(in(8, 4), before);
	assert_int_equal(in(0, 2), 0);
	assert_int_equal(fake_armed[0] - fake_tsc, left);
	pass(0x80000000 - 1001);
	assert_false(line);
	pass(1);
	assert_true(line);
	assert_int_equal(edges, 1);
	assert_int_equal(in(8, 4), 0x80000000);
	out(2, 2, 0);
	assert_int_equal(fake_pause(&vm, fake_tsc_hz), 0);
}

static void test_sleep(void **state)
{
	(void)state;
	out(4, 2, 5 << 10); /* type alone */
	assert_int_equal(in(4, 2), 0x1401);
	out(4, 2, 0x2000); /* S0 */
	out(4, 2, 0x2000 | 1 << 10);
	out(4, 1, 0xff);
	assert_int_equal(offs, 0);
	assert_int_equal(in(4, 2), 0x0403);
	out(4, 2, 0x2000 | 5 << 10);
	assert_int_equal(offs, 1);
	out(5, 1, 0x34);
	assert_int_equal(offs, 2);
	out(2, 4, 0x34000000);
	assert_int_equal(offs, 3);
	/* No register. */
	out(6, 2, 0xffff);
	out(12, 4, 0xffffffff);
	assert_int_equal(in(6, 2), 0);
	assert_int_equal(in(12, 4), 0);
	assert_int_equal(offs, 3);
}

static void test_keyboard(void **state)
{
	(void)state;
	assert_int_equal(bus_read(&vm.bus, DEV_PORT, 0x64, 1, NULL), 0xff);
	assert_int_equal(bus_read(&vm.bus, DEV_PORT, 0x60, 1, NULL), 0xff);
	for (u32 v = 0; v < 256; v++)
		if (v != 0xfe)
			bus_write(&vm.bus, DEV_PORT, 0x64, 1, v | (v >= 0xf0), NULL);
	assert_int_equal(resets, 0);
	bus_write(&vm.bus, DEV_PORT, 0x64, 1, 0xfe, NULL);
	assert_int_equal(resets, 1);
}

static void test_no_room(void **state)
{
	(void)state;
	fake_frames_left = 0;
	assert_int_equal(vpm_create(&vm, &vm.bus), -TERN_ENOMEM);
	fake_frames_left = 1;
	assert_int_equal(vpm_create(&vm, &vm.bus), -TERN_EEXIST);
	assert_int_equal(fake_frames_used(), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_power_button, setup, teardown),
		cmocka_unit_test_setup_teardown(test_timer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_paused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sleep, setup, teardown),
		cmocka_unit_test_setup_teardown(test_keyboard, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_room, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
