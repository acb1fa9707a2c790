/* SPDX-License-Identifier: MIT */
/* links: arch/x86_64/rtc.c hv/timer.c hv/trace.c hv/lock.c tests/fake/fake_frames.c tests/fake/fake_host.c */
/* The machine's CMOS clock: every format, updates in progress, no clock at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <arch/x86_64/rtc.h>
#include <tern/io.h>
#include <tern/wall_clock.h>
#include <tests/fake/fake_host.h>

static u8 cmos[128], cmos_index;
static u32 busy;  /* reads of register A that still say: updating */
static u32 moves; /* readings of the seconds that still give another value each */

u8 io_in8(u16 port)
{
	assert_int_equal(port, 0x71);
	if (cmos_index == 0x0a && busy > 0) {
		busy--;
		return 0xa6;
	}
	if (cmos_index == 0 && moves > 0) {
		moves--;
		cmos[0]++;
	}
	return cmos[cmos_index];
}

void io_out8(u16 port, u8 v)
{
	assert_int_equal(port, 0x70);
	assert_true(v < 128);
	cmos_index = v;
}

static void set(u32 hour, u32 minute, u32 second, u32 day, u32 month, u32 year, u32 century, u32 b)
{
	cmos[0] = (u8)second;
	cmos[2] = (u8)minute;
	cmos[4] = (u8)hour;
	cmos[7] = (u8)day;
	cmos[8] = (u8)month;
	cmos[9] = (u8)year;
	cmos[10] = 0x26;
	cmos[11] = (u8)b;
	cmos[0x32] = (u8)century;
}

static u64 now(void)
{
	struct rtc_time t;
	u64 s = UINT64_MAX;

	assert_true(rtc_read(&t));
	assert_true(rtc_decode(&t, &s));
	return s;
}

static bool fails(void)
{
	struct rtc_time t;
	u64 s;

	return !rtc_read(&t) || !rtc_decode(&t, &s);
}

static int setup(void **state)
{
	(void)state;
	fake_reset();
	memset(cmos, 0, sizeof(cmos));
	busy = moves = 0;
	return 0;
}

static void test_formats(void **state)
{
	(void)state;
	set(0x23, 0x59, 0x58, 0x29, 0x02, 0x24, 0x20, 0x02);
	assert_true(now() == 1709251198);
	set(0x91, 0x59, 0x58, 0x29, 0x02, 0x24, 0x20, 0x00);
	assert_true(now() == 1709251198);
	set(23, 59, 58, 29, 2, 24, 20, 0x06);
	assert_true(now() == 1709251198);
	set(0x80 | 11, 59, 58, 29, 2, 24, 0x20, 0x04);
	assert_true(now() == 1709251198);
	/* Midnight and noon; no century; the last one. */
	set(0x12, 0, 0, 0x01, 0x01, 0x00, 0xff, 0x00);
	assert_true(now() == 946684800);
	set(0x92, 0, 0, 0x01, 0x01, 0x00, 0x00, 0x00);
	assert_true(now() == 946684800 + 43200);
	set(0, 0, 0, 0x01, 0x01, 0x70, 0x19, 0x02);
	assert_true(now() == 0);
	set(0, 0, 0, 0x01, 0x03, 0x00, 0x21, 0x02);
	assert_true(now() == 4107542400);
}

static void test_refused(void **state)
{
	static const u32 rows[][8] = {
		{0x24, 0, 0, 1, 1, 0, 0x20, 2}, {0, 0x60, 0, 1, 1, 0, 0x20, 2},
		{0, 0, 0x5a, 1, 1, 0, 0x20, 2}, {0, 0, 0, 0, 1, 0, 0x20, 2},
		{0, 0, 0, 0x32, 1, 0, 0x20, 2}, {0, 0, 0, 1, 0x13, 0, 0x20, 2},
		{0, 0, 0, 1, 0, 0, 0x20, 2},    {0, 0, 0, 1, 1, 0xa0, 0x20, 2},
		{0, 0, 0, 1, 1, 0, 0x20, 0},    {0x13, 0, 0, 1, 1, 0, 0x20, 0},
		{0, 0, 0, 1, 1, 0x69, 0x19, 2},
	};

	(void)state;
	for (u32 i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const u32 *r = rows[i];

		set(r[0], r[1], r[2], r[3], r[4], r[5], r[6], r[7]);
		assert_true(fails());
	}
	/* No clock: the bus floats. */
	memset(cmos, 0xff, sizeof(cmos));
	assert_true(fails());
}

static void test_updates(void **state)
{
	(void)state;
	set(0, 0, 0x10, 0x01, 0x01, 0x70, 0x19, 0x02);
	busy = 20;
	moves = 3;
	assert_true(now() == 13);
	assert_int_equal(busy, 0);
	moves = 100;
	assert_true(fails());
}

static void test_wall_clock(void **state)
{
	(void)state;
	set(0x23, 0x59, 0x58, 0x29, 0x02, 0x24, 0x20, 0x02);
	assert_true(wall_clock_unix_seconds() == 1709251198);
	/* It was read once. */
	memset(cmos, 0xff, sizeof(cmos));
	fake_tsc += 5 * fake_tsc_hz;
	assert_true(wall_clock_unix_seconds() == 1709251203);
	assert_string_equal(fake_log(), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_formats, setup),
		cmocka_unit_test_setup(test_refused, setup),
		cmocka_unit_test_setup(test_updates, setup),
		cmocka_unit_test_setup(test_wall_clock, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
