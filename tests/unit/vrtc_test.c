/* SPDX-License-Identifier: MIT */
/* links: hv/dev/vrtc.c hv/dev/bus.c hv/timer.c hv/trace.c hv/lock.c tests/fake/fake_frames.c tests/fake/fake_host.c */
/* The clock and the CMOS memory: time in every format, three interrupts, what a guest may set. */
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
#include <tern/wall_clock.h>
#include <tests/fake/fake_frames.h>
#include <tests/fake/fake_host.h>
#include <tests/fake/fake_pause.h>

#define HZ    32768u
#define START 1709251198ull /* 2024-02-29 23:59:58, a Thursday */

static struct vm vm;
static bool line;
static u32 edges;
static u64 wall = START;

u64 wall_clock_unix_seconds(void)
{
	return wall;
}

void platform_irq(struct vm *to, u32 n, bool asserted)
{
	assert_ptr_equal(to, &vm);
	assert_int_equal(n, IRQ_RTC);
	edges += asserted && !line;
	line = asserted;
}

static u8 get(u8 reg)
{
	bus_write(&vm.bus, DEV_PORT, 0x70, 1, reg, NULL);
	return (u8)bus_read(&vm.bus, DEV_PORT, 0x71, 1, NULL);
}

static void set(u8 reg, u8 value)
{
	bus_write(&vm.bus, DEV_PORT, 0x70, 1, reg | 0x80, NULL);
	bus_write(&vm.bus, DEV_PORT, 0x71, 1, value, NULL);
}

/* Ticks of 32768 Hz pass; what is due comes in between. */
static void pass(u64 ticks)
{
	u64 end = vm_deadline(&vm, ticks_to_time(ticks_now(&vm, HZ) + ticks, HZ));

	while (fake_armed[0] <= end) {
		fake_tsc = fake_armed[0];
		timer_interrupt();
	}
	fake_tsc = end;
}

static void time_is(const char *expect)
{
	char text[64];

	snprintf(text, sizeof(text), "%02x%02x-%02x-%02x %x %02x:%02x:%02x", get(0x32), get(9),
		 get(8), get(7), get(6), get(4), get(2), get(0));
	assert_string_equal(text, expect);
}

static void start(u64 seconds)
{
	wall = seconds;
	bus_destroy(&vm.bus);
	bus_init(&vm.bus);
	assert_int_equal(vrtc_create(&vm, &vm.bus), 0);
}

static int setup(void **state)
{
	(void)state;
	fake_reset();
	fake_tsc_step = 0;
	fake_tsc_hz = 2893202977;
	fake_tsc = 123456789012;
	fake_frames_reset(8);
	assert_int_equal(timer_cpu_init(pcpu_self()), 0);
	memset(&vm, 0, sizeof(vm));
	line = false;
	edges = 0;
	wall = START;
	bus_init(&vm.bus);
	assert_int_equal(vrtc_create(&vm, &vm.bus), 0);
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

static void test_time(void **state)
{
	(void)state;
	assert_int_equal(get(0x0a), 0x26);
	assert_int_equal(get(0x0b), 0x02);
	assert_int_equal(get(0x0d), 0x80);
	time_is("2024-02-29 5 23:59:58");
	pass(HZ - 9);
	assert_int_equal(get(0x0a), 0x26);
	time_is("2024-02-29 5 23:59:58");
	pass(1);
	assert_int_equal(get(0x0a), 0xa6);
	pass(8);
	assert_int_equal(get(0x0a), 0x26);
	time_is("2024-02-29 5 23:59:59");
	pass(HZ);
	time_is("2024-03-01 6 00:00:00");
	pass(366 * 86400ull * HZ);
	time_is("2025-03-02 1 00:00:00");
	/* The ends of years and centuries, leap years that are none. */
	start(946684799);
	pass(HZ);
	time_is("2000-01-01 7 00:00:00");
	start(4107542399);
	time_is("2100-02-28 1 23:59:59");
	pass(HZ);
	time_is("2100-03-01 2 00:00:00");
	start(0);
	time_is("1970-01-01 5 00:00:00");
	pass(3 * 365 * 86400ull * HZ);
	time_is("1972-12-31 1 00:00:00");
	/* A restart of the guest keeps the time. */
	pass(HZ / 2);
	bus_reset(&vm.bus);
	pass(HZ / 2);
	time_is("1972-12-31 1 00:00:01");
}

static void test_formats(void **state)
{
	(void)state;
	set(0x0b, 0x80);
	/* 12 hours in BCD: 11 PM. */
	set(4, 0x91);
	set(0, 0x59);
	set(2, 0x59);
	set(7, 0x31);
	set(8, 0x12);
	set(9, 0x99);
	set(0x32, 0x19);
	pass(10 * HZ);
	assert_int_equal(get(0), 0x59);
	set(0x0b, 0);
	pass(HZ);
	time_is("2000-01-01 7 12:00:00");
	pass(12 * 3600 * HZ);
	assert_int_equal(get(4), 0x92);
	pass(3600 * HZ);
	assert_int_equal(get(4), 0x81);
	/* 12 hours in binary. */
	set(0x0b, 0x84);
	set(4, 0x80 | 11);
	set(2, 59);
	set(0, 59);
	set(7, 31);
	set(8, 12);
	set(9, 99);
	set(0x32, 20);
	set(0x0b, 0x04);
	pass(HZ);
	assert_int_equal(get(4), 12);
	assert_int_equal(get(9), 0);
	assert_int_equal(get(0x32), 21);
	/* One field at a time, without SET: the others stay. */
	set(0x0b, 0x06);
	set(7, 30);
	set(8, 2);
	assert_int_equal(get(7), 30);
	set(7, 3);
	set(4, 13);
	assert_int_equal(get(8), 2);
	pass(HZ);
	assert_int_equal(get(7), 3);
	assert_int_equal(get(4), 13);
}

static void test_garbage(void **state)
{
	(void)state;
	for (u32 mode = 0; mode < 8; mode += 2) {
		for (u32 v = 0; v < 256; v++) {
			static const u8 regs[] = {0, 2, 4, 6, 7, 8, 9, 0x32, 1, 3, 5};

			set(0x0b, (u8)(0x70 | mode));
			for (u32 i = 0; i < ARRAY_SIZE(regs); i++)
				set(regs[i], (u8)v);
			pass(2 * HZ);
			assert_int_equal(get(0x0c) & 0xd0, 0xd0);
			assert_in_range(get(8) & 0x1f, 1, 0x12);
			assert_in_range(get(7), 1, 0x31);
		}
	}
}

static void test_periodic(void **state)
{
	(void)state;
	set(0x0b, 0x42);
	assert_int_equal(edges, 0);
	for (u32 i = 0; i < 2048; i++) {
		pass(32);
		assert_true(line);
		assert_int_equal(edges, i + 1);
		assert_int_equal(get(0x0c) & 0xd0, i % 1024 == 1023 ? 0xd0 : 0xc0);
		assert_int_equal(get(0x0c), 0);
		assert_false(line);
	}
	/* Late: still on the grid, and the line stands until the register was read. */
	pass(16);
	fake_tsc = ticks_to_time(ticks_now(&vm, HZ) + 100, HZ);
	timer_interrupt();
	assert_int_equal(edges, 2049);
	assert_int_equal(fake_armed[0], UINT64_MAX);
	pass(12);
	assert_int_equal(get(0x0c), 0xc0);
	pass(31);
	assert_int_equal(edges, 2049);
	pass(1);
	assert_int_equal(edges, 2050);
	get(0x0c);
	/* Other rates: 256 Hz twice, 2 Hz, none. */
	set(0x0a, 0x21);
	pass(128);
	assert_int_equal(edges, 2051);
	get(0x0c);
	set(0x0a, 0x2f);
	pass(HZ);
	get(0x0c);
	assert_in_range(edges, 2052, 2053);
	edges = 0;
	set(0x0a, 0x20);
	pass(HZ);
	assert_int_equal(edges, 0);
	/* A flag that is there already counts at once when it is enabled. */
	set(0x0b, 0x02);
	set(0x0a, 0x26);
	pass(64);
	assert_false(line);
	set(0x0b, 0x42);
	assert_true(line);
	bus_reset(&vm.bus);
	assert_false(line);
	assert_int_equal(get(0x0b), 0x02);
}

/* Periodic interrupts across pauses: as many as there would have been without; and the time of day stands still. */
static void test_paused(void **state)
{
	u32 seen = 0;

	(void)state;
	get(0x0c);
	set(0x0a, 0x26); /* 1024 Hz */
	set(0x0b, 0x42);
	for (u32 i = 0; i < 1024; i++) {
		pass(10);
		assert_true(fake_pause(&vm, 60 * fake_tsc_hz + i) <= 1);
		pass(22);
		seen += (get(0x0c) & 0x40) != 0;
	}
	assert_int_equal(seen, 1024);
	assert_int_equal(edges, 1024);
	time_is("2024-02-29 5 23:59:59");
	set(0x0b, 0x02);
	assert_int_equal(fake_pause(&vm, 60 * fake_tsc_hz), 0);
}

static void test_update_and_alarm(void **state)
{
	(void)state;
	set(0x0b, 0x12);
	pass(HZ - 1);
	assert_int_equal(edges, 0);
	pass(1);
	assert_int_equal(edges, 1);
	assert_int_equal(get(0x0c) & 0xb0, 0x90);
	/* 23:59:59 now; 03:20:10 tomorrow. */
	set(5, 0x03);
	set(3, 0x20);
	set(1, 0x10);
	set(0x0b, 0x22);
	edges = 0;
	pass((3 * 3600 + 20 * 60 + 10) * HZ);
	assert_int_equal(edges, 0);
	pass(HZ);
	assert_int_equal(edges, 1);
	time_is("2024-03-01 6 03:20:10");
	assert_int_equal(get(0x0c) & 0xb0, 0xb0);
	pass(86399 * HZ);
	assert_int_equal(edges, 1);
	pass(HZ);
	assert_int_equal(edges, 2);
	get(0x0c);
	/* Any hour, minute 21, any second: sixty times. */
	set(5, 0xff);
	set(3, 0x21);
	set(1, 0xc0);
	edges = 0;
	for (u32 i = 0; i < 3600; i++) {
		pass(HZ);
		get(0x0c);
	}
	assert_int_equal(edges, 60);
	/* A time that never comes. */
	set(3, 0x60);
	assert_int_equal(fake_armed[0], UINT64_MAX);
	/* SET takes the update interrupt away and stops the alarm, not the periodic one. */
	set(3, 0xff);
	set(0x0b, 0xf2);
	assert_int_equal(get(0x0b), 0xe2);
	edges = 0;
	pass(HZ / 2);
	assert_int_equal(edges, 1);
	assert_int_equal(get(0x0c) & 0x30, 0);
	set(0x0b, 0x02);
}

static void test_divider(void **state)
{
	(void)state;
	set(0x0b, 0x12);
	pass(HZ / 4);
	set(0x0a, 0x76);
	pass(20 * HZ);
	assert_int_equal(edges, 0);
	time_is("2024-02-29 5 23:59:58");
	assert_int_equal(get(0x0a), 0x76);
	set(0x0a, 0x26);
	pass(HZ / 2 - 1);
	assert_int_equal(edges, 0);
	pass(1);
	assert_int_equal(edges, 1);
	time_is("2024-02-29 5 23:59:59");
	get(0x0c);
}

static void test_memory(void **state)
{
	u32 sum = 0;

	(void)state;
	vm.mem.region_count = 4;
	vm.mem.regions[0] = (struct gmem_region){gpa(0), 0xa0000, GMEM_RAM};
	vm.mem.regions[1] = (struct gmem_region){gpa(MiB(1)), MiB(511), GMEM_RAM};
	vm.mem.regions[2] = (struct gmem_region){gpa(GiB(3)), MiB(2), GMEM_ROM};
	vm.mem.regions[3] = (struct gmem_region){gpa(GiB(4)), GiB(5), GMEM_RAM};
	start(START);
	assert_int_equal(get(0x15) | get(0x16) << 8, 640);
	assert_int_equal(get(0x17) | get(0x18) << 8, 0xffff);
	assert_int_equal(get(0x30) | get(0x31) << 8, 0xffff);
	assert_int_equal(get(0x34) | get(0x35) << 8, 496 * 16);
	assert_int_equal(get(0x5b) | get(0x5c) << 8 | get(0x5d) << 16, 5 << 14);
	for (u8 i = 0x10; i <= 0x2d; i++)
		sum += get(i);
	assert_int_equal(get(0x2e) << 8 | get(0x2f), sum);
	/* The rest is the guest's. */
	set(0x7f, 0xa5);
	set(0x0f, 0x0a);
	set(0x0c, 0xff);
	set(0x0d, 0);
	bus_reset(&vm.bus);
	assert_int_equal(get(0x7f), 0xa5);
	assert_int_equal(get(0x0f), 0x0a);
	assert_int_equal(get(0x0c), 0);
	assert_int_equal(get(0x0d), 0x80);
	assert_int_equal(bus_read(&vm.bus, DEV_PORT, 0x70, 1, NULL), 0xff);
}

static void test_no_room(void **state)
{
	(void)state;
	fake_frames_left = 0;
	assert_int_equal(vrtc_create(&vm, &vm.bus), -TERN_ENOMEM);
	fake_frames_left = 1;
	assert_int_equal(vrtc_create(&vm, &vm.bus), -TERN_EEXIST);
	assert_int_equal(fake_frames_used(), 1);
	set(0x0b, 0x72); /* destroyed while its timer runs: teardown looks */
	pass(1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_time, setup, teardown),
		cmocka_unit_test_setup_teardown(test_formats, setup, teardown),
		cmocka_unit_test_setup_teardown(test_garbage, setup, teardown),
		cmocka_unit_test_setup_teardown(test_periodic, setup, teardown),
		cmocka_unit_test_setup_teardown(test_paused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_update_and_alarm, setup, teardown),
		cmocka_unit_test_setup_teardown(test_divider, setup, teardown),
		cmocka_unit_test_setup_teardown(test_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_room, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
