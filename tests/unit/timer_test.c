/* SPDX-License-Identifier: MIT */
/* links: hv/timer.c hv/lock.c tests/fake/fake_host.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <tern/arch.h>
#include <tern/err.h>
#include <tern/timer.h>
#include <tern/trace.h>
#include <tests/fake/fake_host.h>

static char order[64];
static struct timer *other; /* what a test's timer function starts or stops */
static u64 again;

static u64 late; /* of the timer that ran last, as traced */

void trace_write(enum trace_event event, u64 a, u64 b)
{
	assert_int_equal(event, TRACE_TIMER);
	assert_int_not_equal(a, 0);
	late = b;
}

static void note(struct timer *t)
{
	assert_false(t->active);
	assert_int_equal(pcpu_self()->rank_count, 0);
	strcat(order, t->name);
}

static void note_and_restart(struct timer *t)
{
	note(t);
	timer_start(t, again);
}

static void note_and_stop_other(struct timer *t)
{
	note(t);
	timer_stop(other);
}

static int setup(void **state)
{
	(void)state;
	fake_reset();
	fake_cpus(2);
	fake_tsc_step = 0;
	fake_tsc_hz = 1000000000;
	order[0] = '\0';
	for (u32 i = 0; i < 2; i++)
		assert_int_equal(timer_cpu_init(pcpu_get(i)), 0);
	return 0;
}

static void interrupt_at(u64 tsc)
{
	bool irqs = arch_irq_off();

	fake_tsc = tsc;
	timer_interrupt();
	if (irqs)
		arch_irq_on();
}

static void test_order(void **state)
{
	struct timer a = {.fn = note, .name = "a"}, b = {.fn = note, .name = "b"};
	struct timer c = {.fn = note, .name = "c"}, d = {.fn = note, .name = "d"};
	struct timer_view v[2];

	(void)state;
	assert_int_equal(timer_list(pcpu_get(0), v, 2), 0);
	timer_start(&b, 200);
	assert_int_equal(fake_armed[0], 200);
	timer_start(&a, 100);
	assert_int_equal(fake_armed[0], 100);
	timer_start(&d, 300);
	timer_start(&c, 200); /* after b: first come, first served */
	assert_int_equal(fake_armed[0], 100);
	assert_int_equal(timer_list(pcpu_get(0), v, 2), 4);
	assert_string_equal(v[0].name, "a");
	assert_int_equal(v[1].deadline, 200);
	assert_int_equal(timer_list(pcpu_get(1), v, 2), 0);
	interrupt_at(99);
	assert_string_equal(order, "");
	assert_int_equal(fake_armed[0], 100);
	interrupt_at(250);
	assert_string_equal(order, "abc");
	assert_int_equal(late, 50);
	assert_int_equal(fake_armed[0], 300);
	interrupt_at(300);
	assert_string_equal(order, "abcd");
	assert_true(fake_armed[0] == UINT64_MAX);
	assert_true(arch_irq_enabled());
}

static void test_stop_and_move(void **state)
{
	struct timer a = {.fn = note, .name = "a"}, b = {.fn = note, .name = "b"};
	struct timer c = {.fn = note, .name = "c"};

	(void)state;
	timer_stop(&a); /* never started: nothing to do */
	timer_start(&a, 100);
	timer_start(&b, 200);
	timer_start(&c, 300);
	timer_stop(&b);
	timer_stop(&b);
	assert_int_equal(fake_armed[0], 100);
	timer_stop(&a);
	assert_int_equal(fake_armed[0], 300);
	timer_start(&a, 400);
	timer_start(&c, 500); /* the first becomes the last */
	assert_int_equal(fake_armed[0], 400);
	timer_start(&c, 350);
	assert_int_equal(fake_armed[0], 350);
	interrupt_at(1000);
	assert_string_equal(order, "ca");
	timer_start(&a, 2000);
	timer_stop(&a);
	assert_true(fake_armed[0] == UINT64_MAX);
}

static void test_functions_that_start_and_stop(void **state)
{
	struct timer a = {.fn = note_and_restart, .name = "a"};
	struct timer b = {.fn = note, .name = "b"};
	struct timer c = {.fn = note_and_stop_other, .name = "c"};

	(void)state;
	timer_start(&a, 100);
	timer_start(&b, 110);
	again = 0; /* in the past: at once, but from the next interrupt */
	interrupt_at(150);
	assert_string_equal(order, "ab");
	assert_int_equal(fake_armed[0], 151);
	again = 500;
	interrupt_at(151);
	assert_string_equal(order, "aba");
	assert_int_equal(fake_armed[0], 500);
	timer_stop(&a);
	/* Both due; the first one stops the second. */
	other = &b;
	order[0] = '\0';
	timer_start(&c, 600);
	timer_start(&b, 601);
	interrupt_at(700);
	assert_string_equal(order, "c");
	assert_true(fake_armed[0] == UINT64_MAX);
}

static void test_each_cpu_its_own(void **state)
{
	struct timer a = {.fn = note, .name = "a"}, b = {.fn = note, .name = "b"};
	struct pcpu far = {.index = CPUS_MAX};

	(void)state;
	timer_start(&a, 100);
	fake_cpu_set(1);
	timer_start(&b, 200);
	assert_int_equal(fake_armed[0], 100);
	assert_int_equal(fake_armed[1], 200);
	interrupt_at(300);
	assert_string_equal(order, "b");
	fake_cpu_set(0);
	interrupt_at(300);
	assert_string_equal(order, "ba");
	assert_int_equal(timer_cpu_init(&far), -TERN_EINVAL);
	assert_int_equal(timer_list(&far, NULL, 0), 0);
}

/* The deadline of a vCPU's timer moves with the vCPU. */
static void test_moves_between_cpus(void **state)
{
	struct timer a = {.fn = note, .name = "a"}, b = {.fn = note, .name = "b"};
	struct pcpu far = {.index = CPUS_MAX};

	(void)state;
	timer_start(&a, 400);
	timer_start(&b, 500);
	fake_cpu_set(1);
	timer_start(&a, 450);
	assert_int_equal(fake_armed[1], 450);
	interrupt_at(460);
	assert_string_equal(order, "a");
	timer_stop(&b);
	assert_false(b.active);
	fake_cpu_set(0);
	interrupt_at(600);
	assert_string_equal(order, "a");
	timer_start(&a, 700);
	fake_cpu_set(1);
	timer_cancel(&a);
	fake_cpu_set(0);
	interrupt_at(700);
	assert_string_equal(order, "a");
	assert_int_equal(timer_cpu_init(&far), -TERN_EINVAL);
	assert_int_equal(timer_list(&far, NULL, 0), 0);
}

static void test_conversions(void **state)
{
	static const u64 rates[] = {1,          999999,     1000000,   1000001,
				    2399999987, 5000000000, 1ull << 40};
	static const u64 values[] = {0,          1,         999999, 1000000, 123456789012345,
				     1ull << 52, UINT64_MAX};

	(void)state;
	for (u32 r = 0; r < ARRAY_SIZE(rates); r++) {
		fake_tsc_hz = rates[r];
		for (u32 i = 0; i < ARRAY_SIZE(values); i++) {
			unsigned __int128 tsc = (unsigned __int128)values[i] * rates[r] / 1000000;
			unsigned __int128 us = (unsigned __int128)values[i] * 1000000 / rates[r];

			assert_true(timer_us_to_tsc(values[i]) ==
				    (tsc > UINT64_MAX ? UINT64_MAX : tsc));
			assert_true(timer_tsc_to_us(values[i]) ==
				    (us > UINT64_MAX ? UINT64_MAX : us));
		}
	}
	fake_tsc_hz = 0;
	assert_int_equal(timer_us_to_tsc(1000), 0);
	assert_int_equal(timer_tsc_to_us(1000), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_order, setup),
		cmocka_unit_test_setup(test_stop_and_move, setup),
		cmocka_unit_test_setup(test_moves_between_cpus, setup),
		cmocka_unit_test_setup(test_functions_that_start_and_stop, setup),
		cmocka_unit_test_setup(test_each_cpu_its_own, setup),
		cmocka_unit_test_setup(test_conversions, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
