/* SPDX-License-Identifier: MIT */
/* links: arch/x86_64/guest/vlapic.c arch/x86_64/guest/vlapic_access.c arch/x86_64/guest/vlapic_send.c arch/x86_64/guest/vlapic_timer.c tests/fake/fake_vlapic.c tests/fake/fake_frames.c tests/fake/fake_host.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <tern/arch.h>
#include <tern/err.h>
#include <tests/fake/fake_frames.h>
#include <tests/fake/fake_host.h>
#include <tests/fake/fake_vlapic.h>

static void test_one_shot(UNUSED void **state)
{
	u64 start = fake_tsc;

	set(v1, LVT_TIMER, 0x51);
	set(v1, TDCR, 0xb);
	set(v1, TMICT, 1000);
	assert_int_equal(v1->wake_at, start + 1000);
	assert_int_equal(get(v1, TMCCT), 1000);
	fake_tsc = start + 400;
	assert_int_equal(get(v1, TMCCT), 600);
	assert_int_equal(get(v1, TMICT), 1000);
	fake_tsc = start + 999;
	assert_int_equal(get(v1, TMCCT), 1);
	assert_int_equal(pending(v1), NONE);
	fake_tsc = start + 1000;
	assert_int_equal(pending(v1), 0x51);
	assert_true(v1->wake_at == NEVER);
	assert_int_equal(get(v1, TMCCT), 0);
	assert_int_equal(drain(v1), 1);
	fake_tsc = start + 5000;
	assert_int_equal(drain(v1), 0);
	/* Seen first by a read: it is not lost. */
	set(v1, TMICT, 10);
	fake_tsc += 11;
	assert_int_equal(get(v1, TMCCT), 0);
	assert_int_equal(kicks[1], 1);
	assert_int_equal(drain(v1), 1);
	/* Nor by a new start. */
	set(v1, TMICT, 10);
	fake_tsc += 11;
	set(v1, TMICT, 20);
	assert_int_equal(v1->wake_at, fake_tsc + 20);
	assert_int_equal(drain(v1), 1);
	set(v1, TMICT, 0);
	assert_true(v1->wake_at == NEVER);
	fake_tsc += 100;
	assert_int_equal(drain(v1), 0);
	/* An edge, even if the vector was a level before. */
	message(1, 0x51, true);
	drain(v1);
	set(v1, TMICT, 1);
	fake_tsc += 1;
	sync_now(v1);
	assert_int_equal(get(v1, TMR + 0x20), 0);
}

static void test_divide(UNUSED void **state)
{
	static const struct {
		u32 value, by;
	} rows[] = {{0, 2}, {1, 4}, {2, 8}, {3, 16}, {8, 32}, {9, 64}, {10, 128}, {11, 1}};
	u64 start;

	set(v1, LVT_TIMER, 0x51);
	for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
		set(v1, TDCR, rows[i].value);
		set(v1, TMICT, 0xffffffff);
		assert_int_equal(v1->wake_at, fake_tsc + 0xffffffffull * rows[i].by);
		fake_tsc += 10 * rows[i].by;
		assert_int_equal(get(v1, TMCCT), 0xffffffff - 10);
		fake_tsc += rows[i].by - 1;
		assert_int_equal(get(v1, TMCCT), 0xffffffff - 10);
	}
	/* While it runs: what is left takes longer. */
	start = fake_tsc;
	set(v1, TMICT, 1000);
	fake_tsc = start + 250;
	set(v1, TDCR, 1);
	assert_int_equal(get(v1, TMCCT), 750);
	assert_int_equal(v1->wake_at, fake_tsc + 3000);
	/* Above 4 GHz the bus is half as fast as the TSC, as CPUID 15H says. */
	fake_tsc_hz = 4500000000;
	set(v1, TDCR, 0xb);
	set(v1, TMICT, 100);
	assert_int_equal(v1->wake_at, fake_tsc + 200);
	fake_tsc_hz = 50000000;
	set(v1, TDCR, 0xb);
	set(v1, TMICT, 100);
	assert_int_equal(v1->wake_at, fake_tsc + 100);
}

static void test_periodic(UNUSED void **state)
{
	const u64 period = 1000000;
	u64 start = fake_tsc;

	set(v1, LVT_TIMER, PERIODIC | 0x51);
	set(v1, TDCR, 0xb);
	set(v1, TMICT, (u32)period);
	for (u32 n = 1; n < 10; n++) {
		fake_tsc = start + n * period - 1;
		assert_int_equal(drain(v1), 0);
		assert_int_equal(get(v1, TMCCT), 1);
		assert_int_equal(v1->wake_at, start + n * period);
		/* Late by up to nine tenths: the next is on the grid. */
		fake_tsc += 1 + n * period / 10;
		assert_int_equal(drain(v1), 1);
		assert_int_equal(drain(v1), 0);
		assert_int_equal(get(v1, TMCCT), period - n * period / 10);
	}
	/* Late by many: one. */
	fake_tsc = start + 57 * period + 5;
	assert_int_equal(drain(v1), 1);
	assert_int_equal(drain(v1), 0);
	assert_int_equal(v1->wake_at, start + 58 * period);
	/* Masked it goes on, and what passes meanwhile is nothing. */
	set(v1, LVT_TIMER, MASKED | PERIODIC | 0x51);
	assert_true(v1->wake_at == NEVER);
	fake_tsc = start + 60 * period + 7;
	assert_int_equal(drain(v1), 0);
	fake_tsc = start + 61 * period + 7;
	assert_int_equal(get(v1, TMCCT), period - 7);
	set(v1, LVT_TIMER, PERIODIC | 0x52);
	assert_int_equal(drain(v1), 0);
	assert_int_equal(v1->wake_at, start + 62 * period);
	fake_tsc = start + 62 * period;
	assert_int_equal(pending(v1), 0x52);
	drain(v1);
	/* To one-shot: it ends the period that runs. */
	set(v1, LVT_TIMER, 0x53);
	fake_tsc += 3 * period;
	assert_int_equal(drain(v1), 1);
	assert_true(v1->wake_at == NEVER);
}

/* A guest that asks for an interrupt a nanosecond still gets on, and the grid is kept. */
static void test_periodic_too_fast(UNUSED void **state)
{
	u64 start = fake_tsc, before;

	set(v1, LVT_TIMER, PERIODIC | 0x51);
	set(v1, TDCR, 0xb);
	set(v1, TMICT, 7);
	assert_int_equal(v1->wake_at, start + 7);
	for (u32 i = 0; i < 50; i++) {
		before = fake_tsc = v1->wake_at;
		assert_int_equal(drain(v1), 1);
		assert_true(v1->wake_at >= before + 20000);
		assert_true(v1->wake_at < before + 20000 + 7);
		assert_int_equal((v1->wake_at - start) % 7, 0);
		assert_int_equal(get(v1, TMCCT), 7);
		fake_tsc += 3;
		assert_int_equal(get(v1, TMCCT), 4);
	}
}

static void test_timer_vector(UNUSED void **state)
{
	set(v1, LVT_TIMER, 0x0f);
	set(v1, LVT_ERROR, 0xf1);
	set(v1, TMICT, 10);
	fake_tsc += 20;
	assert_int_equal(pending(v1), 0xf1);
	drain(v1);
	assert_int_equal(esr(v1), 0x40);
	set(v1, TMICT, 10);
	fake_tsc += 20;
	get(v1, TMCCT);
	assert_int_equal(pending(v1), 0xf1);
	assert_int_equal(esr(v1), 0x40);
}

static void test_deadline(UNUSED void **state)
{
	v1->arch->tsc_offset = (u64)-500000;
	/* Not its mode: nothing. */
	assert_int_equal(wrmsr(v1, DEADLINE, 600000), 0);
	assert_int_equal(rdmsr(v1, DEADLINE), 0);
	assert_true(v1->wake_at == NEVER);
	set(v1, LVT_TIMER, DL_MODE | 0x51);
	assert_int_equal(wrmsr(v1, DEADLINE, 600000), 0);
	assert_int_equal(rdmsr(v1, DEADLINE), 600000);
	assert_int_equal(v1->wake_at, 1100000);
	/* The count registers are dead. */
	set(v1, TMICT, 5);
	assert_int_equal(get(v1, TMICT), 0);
	assert_int_equal(get(v1, TMCCT), 0);
	assert_int_equal(v1->wake_at, 1100000);
	fake_tsc = 1099999;
	assert_int_equal(drain(v1), 0);
	fake_tsc++;
	assert_int_equal(pending(v1), 0x51);
	assert_int_equal(rdmsr(v1, DEADLINE), 0);
	assert_true(v1->wake_at == NEVER);
	assert_int_equal(drain(v1), 1);
	/* In the past: at once. */
	assert_int_equal(wrmsr(v1, DEADLINE, 1), 0);
	assert_int_equal(v1->wake_at, fake_tsc);
	assert_int_equal(drain(v1), 1);
	/* Never, in effect, but not zero. */
	assert_int_equal(wrmsr(v1, DEADLINE, NEVER), 0);
	assert_true(v1->wake_at > NEVER - 1000000);
	assert_int_equal(rdmsr(v1, DEADLINE), NEVER);
	assert_int_equal(wrmsr(v1, DEADLINE, 0), 0);
	assert_true(v1->wake_at == NEVER);
	/* A new deadline after the old one has passed unseen: both count. */
	assert_int_equal(wrmsr(v1, DEADLINE, fake_tsc - 500000 + 10), 0);
	fake_tsc += 20;
	assert_int_equal(wrmsr(v1, DEADLINE, fake_tsc - 500000 + 10), 0);
	assert_int_equal(drain(v1), 1);
	fake_tsc += 10;
	assert_int_equal(drain(v1), 1);
	/* Masked when it passes: gone. */
	set(v1, LVT_TIMER, MASKED | DL_MODE | 0x51);
	assert_int_equal(wrmsr(v1, DEADLINE, fake_tsc - 500000 + 10), 0);
	assert_true(v1->wake_at == NEVER);
	fake_tsc += 20;
	assert_int_equal(rdmsr(v1, DEADLINE), 0);
	set(v1, LVT_TIMER, DL_MODE | 0x51);
	assert_int_equal(drain(v1), 0);
}

/* SDM vol. 3A 11.5.4.1: to the mode and from it disarms. */
static void test_deadline_modes(UNUSED void **state)
{
	set(v1, LVT_TIMER, 0x51);
	set(v1, TMICT, 1000);
	set(v1, LVT_TIMER, PERIODIC | 0x51);
	assert_true(v1->wake_at != NEVER);
	set(v1, LVT_TIMER, DL_MODE | 0x51);
	assert_true(v1->wake_at == NEVER);
	assert_int_equal(rdmsr(v1, DEADLINE), 0);
	assert_int_equal(wrmsr(v1, DEADLINE, fake_tsc + 1000), 0);
	set(v1, LVT_TIMER, DL_MODE | 0x61);
	assert_int_equal(v1->wake_at, fake_tsc + 1000);
	set(v1, LVT_TIMER, 0x61);
	assert_true(v1->wake_at == NEVER);
	set(v1, LVT_TIMER, DL_MODE | 0x61);
	assert_int_equal(rdmsr(v1, DEADLINE), 0);
	fake_tsc += 5000;
	assert_int_equal(drain(v1), 0);
	/* Reset does, too. */
	assert_int_equal(wrmsr(v1, DEADLINE, fake_tsc + 1000), 0);
	vlapic_reset(v1, true);
	assert_true(v1->wake_at == NEVER);
	assert_int_equal(rdmsr(v1, DEADLINE), 0);
}

static void test_tsc_moved(UNUSED void **state)
{
	set(v1, LVT_TIMER, DL_MODE | 0x51);
	vlapic_tsc_moved(v1);
	assert_true(v1->wake_at == NEVER);
	assert_int_equal(wrmsr(v1, DEADLINE, 2000000), 0);
	assert_int_equal(v1->wake_at, 2000000);
	v1->arch->tsc_offset = 300000;
	vlapic_tsc_moved(v1);
	assert_int_equal(v1->wake_at, 1700000);
	/* The guest's TSC may be anywhere. */
	v1->arch->tsc_offset = (u64)-1000100;
	vlapic_tsc_moved(v1);
	assert_int_equal(v1->wake_at, fake_tsc);
	assert_int_equal(rdmsr(v1, DEADLINE), 0);
	assert_int_equal(drain(v1), 1);
	assert_int_equal(wrmsr(v1, DEADLINE, NEVER - 50), 0);
	assert_int_equal(v1->wake_at, fake_tsc + 49);
	/* One-shot does not care. */
	set(v1, LVT_TIMER, 0x51);
	set(v1, TMICT, 1000);
	v1->arch->tsc_offset = 7;
	vlapic_tsc_moved(v1);
	assert_int_equal(v1->wake_at, fake_tsc + 2000);
}

/* Time stood still: one-shot, periodic and deadline timers are due as much later, and what has not begun stays so. */
static void test_time_moved(UNUSED void **state)
{
	const u64 minute = 120000000000;
	u64 start = fake_tsc;

	vlapic_time_moved(v1, minute);
	assert_true(v1->wake_at == NEVER);
	set(v1, LVT_TIMER, PERIODIC | 0x51);
	set(v1, TDCR, 0xb);
	set(v1, TMICT, 1000000);
	for (u64 i = 0; i < 10; i++) {
		/* In the middle of a period. */
		fake_tsc += 400000;
		assert_int_equal(get(v1, TMCCT), 600000);
		fake_tsc += minute;
		v1->arch->tsc_offset -= minute;
		vlapic_time_moved(v1, minute);
		assert_int_equal(get(v1, TMCCT), 600000);
		assert_int_equal(v1->wake_at, start + (i + 1) * (minute + 1000000));
		fake_tsc += 599999;
		assert_int_equal(drain(v1), 0);
		fake_tsc += 1;
		assert_int_equal(drain(v1), 1);
	}
	/* The deadline is a value of the guest's TSC, which stood still as well. */
	set(v1, LVT_TIMER, DL_MODE | 0x51);
	start = fake_tsc + v1->arch->tsc_offset;
	assert_int_equal(wrmsr(v1, DEADLINE, start + 5000), 0);
	fake_tsc += minute;
	v1->arch->tsc_offset -= minute;
	vlapic_time_moved(v1, minute);
	assert_int_equal(v1->wake_at, fake_tsc + 5000);
	assert_int_equal(rdmsr(v1, DEADLINE), start + 5000);
	vlapic_tsc_moved(v1);
	assert_int_equal(v1->wake_at, fake_tsc + 5000);
	/* Time went ahead. */
	vlapic_time_moved(v1, (u64)-3000);
	assert_int_equal(v1->wake_at, fake_tsc + 2000);
	fake_tsc += 2000;
	assert_int_equal(drain(v1), 1);
	/* Neither end is passed. */
	assert_int_equal(wrmsr(v1, DEADLINE, fake_tsc + v1->arch->tsc_offset + 5000), 0);
	vlapic_time_moved(v1, (u64)INT64_MIN);
	assert_int_equal(v1->wake_at, 0);
	assert_int_equal(drain(v1), 1);
	assert_int_equal(wrmsr(v1, DEADLINE, fake_tsc + v1->arch->tsc_offset + BIT(63)), 0);
	assert_int_equal(v1->wake_at, fake_tsc + BIT(63));
	vlapic_time_moved(v1, INT64_MAX);
	assert_true(v1->wake_at == NEVER);
	assert_int_equal(drain(v1), 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(one_shot), T(divide),         T(periodic),  T(periodic_too_fast), T(timer_vector),
		T(deadline), T(deadline_modes), T(tsc_moved), T(time_moved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
