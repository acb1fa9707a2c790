/* SPDX-License-Identifier: MIT */
/* links: hv/dev/vpit.c hv/dev/parts.c hv/dev/bus.c hv/timer.c hv/trace.c hv/lock.c tests/fake/fake_frames.c tests/fake/fake_host.c */
/* The 8254: modes, latches, the grid of its periods, and channel 2 as Linux uses it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <hv/dev/ticks.h>
#include <hv/dev/vpit.h>
#include <tern/err.h>
#include <tern/vm.h>
#include <tests/fake/fake_frames.h>
#include <tests/fake/fake_host.h>
#include <tests/fake/fake_pause.h>

#define HZ 1193182u

static struct vm vm;
static bool line;
static u32 edges;

void platform_irq(struct vm *to, u32 n, bool asserted)
{
	assert_ptr_equal(to, &vm);
	assert_int_equal(n, IRQ_PIT);
	edges += asserted && !line;
	line = asserted;
}

static u8 in(u32 port)
{
	return (u8)bus_read(&vm.bus, DEV_PORT, port, 1, NULL);
}

static void out(u32 port, u8 value)
{
	bus_write(&vm.bus, DEV_PORT, port, 1, value, NULL);
}

static u32 in16(u32 port)
{
	u32 low = in(port);

	return low | (u32)in(port) << 8;
}

static void out16(u32 port, u32 value)
{
	out(port, (u8)value);
	out(port, (u8)(value >> 8));
}

/* Time goes to a tick of the 8254; the timer interrupts in between come when they are due. */
static void until(u64 tick)
{
	u64 end = vm_deadline(&vm, ticks_to_time(tick, HZ));

	while (fake_armed[0] <= end) {
		fake_tsc = fake_armed[0];
		timer_interrupt();
	}
	fake_tsc = end;
}

static void pass(u64 ticks)
{
	until(ticks_now(&vm, HZ) + ticks);
}

static u32 news(void)
{
	u32 n = edges;

	edges = 0;
	return n;
}

static int setup(void **state)
{
	(void)state;
	fake_reset();
	fake_tsc_step = 0;
	fake_tsc = 123456789;
	fake_frames_reset(8);
	assert_int_equal(timer_cpu_init(pcpu_self()), 0);
	memset(&vm, 0, sizeof(vm));
	line = false;
	bus_init(&vm.bus);
	assert_int_equal(vpit_create(&vm, &vm.bus), 0);
	assert_true(line);
	edges = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	bus_destroy(&vm.bus);
	assert_int_equal(fake_frames_used(), 0);
	assert_int_equal(fake_armed[0], UINT64_MAX);
	fake_tsc_step = 100;
	fake_tsc_hz = 1000000000;
	return 0;
}

/* 1000 Hz for ten seconds, at three frequencies of the TSC: no tick is lost, none comes twice. */
static void test_periodic(void **state)
{
	static const u64 hz[] = {50000000, 2893202977, 5000000000};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(hz); i++) {
		u64 begin = ticks_now(&vm, HZ), deadline;

		fake_tsc_hz = hz[i];
		fake_tsc = ticks_to_time(begin + 1, HZ);
		out(0x43, 0x34);
		assert_int_equal(news(), 0);
		begin = ticks_now(&vm, HZ) + 1;
		out16(0x40, 1193);
		for (u32 k = 1; k <= 1000; k++) {
			/* Each deadline is on the grid, though the interrupt is late by some ticks. */
			deadline = ticks_to_time(begin + k * 1193, HZ);
			assert_true(fake_armed[0] == deadline);
			fake_tsc = deadline + hz[i] / 1000000 * (k % 700);
			timer_interrupt();
			assert_int_equal(news(), 1);
		}
		until(begin + 10000ull * 1193);
		assert_int_equal(news(), 9000);
		assert_int_equal(vpit_merged(vm.platform.pit), 0);
		/* Called for nothing, on a CPU whose clock is a little behind. */
		fake_tsc -= hz[i] / 100000;
		timer_interrupt();
		assert_int_equal(news(), 0);
		out(0x43, 0x34); /* stopped */
	}
}

/* Pauses of a minute, each in the middle of a period, cost no tick and add none; what is left of the period is left. */
static void test_paused(void **state)
{
	u64 begin, left, timer;

	(void)state;
	out(0x43, 0x34);
	out16(0x40, 1193);
	out(0x43, 0xb0);
	out16(0x42, 50000);
	out(0x61, 0x01);
	begin = ticks_now(&vm, HZ) + 1;
	for (u32 k = 1; k <= 1000; k++) {
		until(begin + k * 1193 - 593);
		left = fake_armed[0] - fake_tsc;
		timer = in16(0x42);
		assert_true(fake_pause(&vm, 60 * fake_tsc_hz + k) <= 1);
		assert_int_equal(news(), k > 1);
		assert_int_equal(fake_armed[0] - fake_tsc, left);
		assert_int_equal(ticks_now(&vm, HZ), begin + k * 1193 - 593);
		assert_int_equal(in16(0x42), timer);
	}
	until(begin + 1000 * 1193);
	assert_int_equal(news(), 1);
	assert_int_equal(vpit_merged(vm.platform.pit), 0);
	/* A VM that is paused costs its node one interrupt, however long it is. */
	out16(0x40, 300);
	until(begin + 1001 * 1193);
	assert_int_equal(fake_pause(&vm, 3600 * fake_tsc_hz), 1);
	assert_int_equal(fake_pause(&vm, 0), 0);
}

static void test_late(void **state)
{
	u64 begin = ticks_now(&vm, HZ) + 1;

	(void)state;
	out(0x43, 0x36);
	out16(0x40, 1000);
	fake_tsc = ticks_to_time(begin + 7500, HZ);
	timer_interrupt();
	assert_int_equal(news(), 1);
	assert_int_equal(vpit_merged(vm.platform.pit), 6);
	assert_true(fake_armed[0] == ticks_to_time(begin + 8000, HZ));
	/* A port access delivers what is due before the interrupt does. */
	fake_tsc = ticks_to_time(begin + 8010, HZ);
	in(0x40);
	assert_int_equal(news(), 1);
	timer_interrupt();
	assert_int_equal(news(), 0);
	/* As often as the chip could is more than a node can bear. */
	out(0x43, 0x34);
	out16(0x40, 1);
	until(begin + 8010 + HZ);
	assert_in_range(news(), 9000, 10100);
	assert_in_range(vpit_merged(vm.platform.pit), HZ / 2 - 10100, HZ / 2);
}

static void test_one_shots(void **state)
{
	(void)state;
	/* Mode 0: low until the count is over; then it counts on. */
	out(0x43, 0x30);
	assert_false(line);
	out16(0x40, 100);
	pass(100);
	assert_int_equal(news(), 0);
	pass(1);
	assert_int_equal(news(), 1);
	pass(200000);
	assert_int_equal(news(), 0);
	out(0x40, 50);
	assert_false(line);
	pass(1000);
	assert_false(line);
	out(0x40, 0);
	pass(51);
	assert_int_equal(news(), 1);
	/* Mode 4, as Linux has it for single events. */
	out(0x43, 0x38);
	assert_true(line);
	out16(0x40, 1000);
	pass(1001);
	assert_int_equal(news(), 0);
	pass(1);
	assert_int_equal(news(), 1);
	pass(100000);
	assert_int_equal(news(), 0);
	/* A new count before the end: only that one. */
	out16(0x40, 1000);
	pass(500);
	out16(0x40, 1000);
	pass(900);
	assert_int_equal(news(), 0);
	pass(102);
	assert_int_equal(news(), 1);
	/* Modes 1 and 5 wait for a gate that is always high. */
	out(0x43, 0x32);
	out16(0x40, 10);
	out(0x43, 0x3a);
	out16(0x40, 10);
	pass(100000);
	assert_int_equal(news(), 0);
}

/* A new count of a running period begins with the next one. */
static void test_new_period(void **state)
{
	u64 begin = ticks_now(&vm, HZ) + 1;

	(void)state;
	out(0x43, 0x34);
	out16(0x40, 1000);
	until(begin + 2500);
	assert_int_equal(news(), 2);
	out16(0x40, 400);
	out(0x43, 0xe2);
	assert_int_equal(in(0x40), 0xf4); /* the count is null still */
	until(begin + 3399);
	assert_int_equal(news(), 1);
	until(begin + 3400);
	assert_int_equal(news(), 1);
	out(0x43, 0xe2);
	assert_int_equal(in(0x40), 0xb4);
	until(begin + 4200);
	assert_int_equal(news(), 2);
	out(0x43, 0x30); /* stopped */
	pass(100000);
	assert_int_equal(news(), 0);
}

static void test_counts(void **state)
{
	(void)state;
	out(0x43, 0x34);
	out16(0x40, 0);
	pass(1 + 0x1234);
	assert_int_equal(in16(0x40), 0x10000 - 0x1234);
	out(0x43, 0x00);
	pass(0x100);
	out(0x43, 0x00); /* latched already: no effect */
	assert_int_equal(in16(0x40), 0x10000 - 0x1234);
	assert_int_equal(in16(0x40), 0x10000 - 0x1334);
	/* Read-back: status first, then the count. */
	out(0x43, 0xc2);
	pass(5);
	assert_int_equal(in(0x40), 0xb4);
	assert_int_equal(in16(0x40), 0x10000 - 0x1334);
	/* Mode 3 counts by two. */
	out(0x43, 0x36);
	out16(0x40, 1000);
	pass(1 + 100);
	assert_int_equal(in16(0x40), 800);
	pass(500);
	assert_int_equal(in16(0x40), 800);
	out(0x43, 0xe2);
	assert_int_equal(in(0x40), 0x36); /* the second half: low */
	out16(0x40, 7);
	pass(500);
	out(0x43, 0xe2);
	assert_int_equal(in(0x40) & 0x7f, 0x36);
	/* One byte only, and BCD. */
	out(0x43, 0x14);
	out(0x40, 200);
	pass(1 + 50);
	assert_int_equal(in(0x40), 150);
	assert_int_equal(in(0x40), 150);
	out(0x43, 0x25);
	out(0x40, 0x12);
	pass(1 + 1);
	assert_int_equal(in(0x40), 0x11);
	out(0x43, 0x71);
	out16(0x41, 0x0012);
	pass(1 + 13);
	assert_int_equal(in16(0x41), 0x9999);
	out(0x43, 0x71);
	out16(0x41, 0);
	pass(1 + 1);
	assert_int_equal(in16(0x41), 0x9999);
	assert_int_equal(in(0x43), 0xff);
}

/* Linux: pit_calibrate_tsc() and quick_pit_calibrate(). */
static void test_calibration(void **state)
{
	u32 last = 0xff;

	(void)state;
	out(0x61, (u8)((in(0x61) & ~0x02) | 0x01));
	out(0x43, 0xb0);
	out16(0x42, HZ / 100);
	assert_int_equal(in(0x61) & 0x20, 0);
	pass(HZ / 100);
	assert_int_equal(in(0x61) & 0x20, 0);
	pass(1);
	assert_int_equal(in(0x61) & 0x20, 0x20);
	out(0x43, 0xb0);
	out16(0x42, 0xffff);
	pass(1);
	for (u32 i = 0; i < 50; i++) {
		in(0x42);
		assert_int_equal(in(0x42), last);
		pass(256);
		last--;
	}
	assert_int_equal(news(), 0);
}

static void test_gate(void **state)
{
	u8 toggles = 0, was;

	(void)state;
	/* Mode 0: the count stands while the gate is low. */
	out(0x61, 0x00);
	out(0x43, 0xb0);
	out16(0x42, 1000);
	pass(5000);
	assert_int_equal(in16(0x42), 1000);
	out(0x61, 0x0f);
	assert_int_equal(in(0x61) & 0x0f, 0x0f);
	pass(400);
	out(0x61, 0x00);
	pass(5000);
	assert_int_equal(in16(0x42), 600);
	assert_int_equal(in(0x61) & 0x20, 0);
	out(0x61, 0x01);
	pass(600);
	assert_int_equal(in(0x61) & 0x20, 0x20);
	/* Mode 1: each rise of the gate begins a pulse; a new count waits for the next. */
	out(0x43, 0xb2);
	out16(0x42, 100);
	pass(1000);
	assert_int_equal(in(0x61) & 0x20, 0x20);
	out(0x61, 0x00);
	out(0x61, 0x01);
	pass(50);
	assert_int_equal(in(0x61) & 0x20, 0);
	out16(0x42, 10);
	pass(51);
	assert_int_equal(in(0x61) & 0x20, 0x20);
	out(0x61, 0x00);
	out(0x61, 0x01);
	pass(10);
	assert_int_equal(in(0x61) & 0x20, 0);
	pass(1);
	assert_int_equal(in(0x61) & 0x20, 0x20);
	/* Mode 5: a strobe. Mode 3: high while the gate is low, a new period when it rises. */
	out(0x43, 0xba);
	out16(0x42, 10);
	out(0x61, 0x00);
	out(0x61, 0x01);
	pass(11);
	assert_int_equal(in(0x61) & 0x20, 0);
	pass(1);
	assert_int_equal(in(0x61) & 0x20, 0x20);
	out(0x43, 0xb6);
	out16(0x42, 100);
	pass(1 + 60);
	assert_int_equal(in(0x61) & 0x20, 0);
	out(0x61, 0x00);
	assert_int_equal(in(0x61) & 0x20, 0x20);
	pass(77);
	out(0x61, 0x01);
	pass(1 + 49);
	assert_int_equal(in(0x61) & 0x20, 0x20);
	pass(1);
	assert_int_equal(in(0x61) & 0x20, 0);
	/* Refresh. */
	was = in(0x61) & 0x10;
	for (u32 i = 0; i < 180; i++) {
		pass(1);
		toggles = (u8)(toggles + ((in(0x61) & 0x10) != was));
		was = in(0x61) & 0x10;
	}
	assert_int_equal(toggles, 10);
}

static void test_reset_and_no_room(void **state)
{
	(void)state;
	out(0x43, 0x34);
	out16(0x40, 1000);
	bus_reset(&vm.bus);
	pass(100000);
	assert_int_equal(news(), 0);
	assert_int_equal(in(0x61) & 0x2f, 0x20);
	/* A VM that has died: one more interrupt of the timer, and no other. */
	out(0x43, 0x34);
	out16(0x40, 1000);
	vm.state = VM_STOPPED;
	pass(100000);
	assert_int_equal(news(), 1);
	assert_int_equal(fake_armed[0], UINT64_MAX);
	/* Destroyed while it runs: teardown looks for the timer. */
	out(0x43, 0x34);
	out16(0x40, 1000);
	fake_frames_left = 0;
	assert_int_equal(vpit_create(&vm, &vm.bus), -TERN_ENOMEM);
	fake_frames_left = 1;
	assert_int_equal(vpit_create(&vm, &vm.bus), -TERN_EEXIST);
	assert_int_equal(fake_frames_used(), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_periodic, setup, teardown),
		cmocka_unit_test_setup_teardown(test_paused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_late, setup, teardown),
		cmocka_unit_test_setup_teardown(test_one_shots, setup, teardown),
		cmocka_unit_test_setup_teardown(test_new_period, setup, teardown),
		cmocka_unit_test_setup_teardown(test_counts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_calibration, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gate, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reset_and_no_room, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
