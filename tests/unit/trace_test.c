/* SPDX-License-Identifier: MIT */
/* links: hv/trace.c hv/lock.c hv/mem/frames.c hv/mem/frame_cache.c tests/fake/fake_host.c */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include <tern/arch.h>
#include <tern/err.h>
#include <tern/frames.h>
#include <tern/trace.h>
#include <tests/fake/fake_host.h>

static struct frame table[MiB(16) >> PAGE_SHIFT];
static struct trace_record out[600];

static int setup(void **state)
{
	(void)state;
	fake_reset();
	fake_cpus(2);
	frames_init(table);
	return 0;
}

static void test_before_init(void **state)
{
	struct pcpu far = {.index = CPUS_MAX};
	u64 lost = 1;

	(void)state;
	trace_write(TRACE_IRQ, 1, 2);
	assert_int_equal(trace_read(pcpu_self(), out, 10, &lost), 0);
	assert_int_equal(lost, 0);
	assert_int_equal(trace_cpu_init(pcpu_self()), -TERN_ENOMEM);
	assert_int_equal(trace_cpu_init(&far), -TERN_EINVAL);
	trace_write(TRACE_IRQ, 1, 2);
	assert_null(pcpu_self()->trace);
}

static void test_ring(void **state)
{
	u64 lost;

	(void)state;
	frames_add(hpa(MiB(1)), MiB(15), 0);
	assert_int_equal(trace_cpu_init(pcpu_get(0)), 0);
	assert_int_equal(trace_cpu_init(pcpu_get(1)), 0);
	assert_int_equal(trace_read(pcpu_self(), out, 600, &lost), 0);
	trace_write(TRACE_IRQ, 33, 44);
	assert_int_equal(trace_read(pcpu_self(), out, 600, &lost), 1);
	assert_int_equal(out[0].event, TRACE_IRQ);
	assert_int_equal(out[0].a, 33);
	assert_int_equal(out[0].b, 44);
	assert_int_equal(lost, 0);
	assert_int_equal(trace_read(pcpu_get(1), out, 600, &lost), 0);
	for (u64 i = 1; i < 512; i++)
		trace_write(TRACE_TIMER, i, ~i);
	assert_int_equal(trace_read(pcpu_self(), out, 600, &lost), 512);
	assert_int_equal(lost, 0);
	assert_int_equal(out[0].a, 33);
	for (u64 i = 512; i < 2000; i++) {
		trace_write(TRACE_TIMER, i, ~i);
		assert_int_equal(trace_read(pcpu_self(), out, 3, &lost), 3);
		assert_int_equal(lost, i - 511);
		assert_int_equal(out[0].a, i - 2);
		assert_int_equal(out[2].a, i);
		assert_true(out[0].tsc < out[1].tsc && out[1].tsc < out[2].tsc);
	}
	assert_int_equal(trace_read(pcpu_self(), out, 600, &lost), 512);
	for (u32 i = 0; i < 512; i++)
		assert_int_equal(out[i].a, 2000 - 512 + i);
	assert_int_equal(trace_read(pcpu_self(), out, 0, &lost), 0);
}

static void test_names(void **state)
{
	(void)state;
	for (u32 i = 0; i < TRACE_EVENTS; i++)
		assert_string_not_equal(trace_event_name(i), "?");
	assert_string_equal(trace_event_name(TRACE_TIMER), "timer");
	assert_string_equal(trace_event_name(TRACE_EVENTS), "?");
	assert_string_equal(trace_event_name(UINT32_MAX), "?");
}

static bool stop;

static void *writer(void *arg)
{
	(void)arg;
	for (u64 i = 0; !__atomic_load_n(&stop, __ATOMIC_RELAXED); i++)
		trace_write((enum trace_event)(1 + i % 6), i, i * 3);
	return NULL;
}

/* A record that is read is never half of one and half of another. */
static void test_read_while_writing(void **state)
{
	pthread_t thread;
	u64 lost, seen = 0;

	(void)state;
	frames_add(hpa(MiB(1)), MiB(15), 0);
	assert_int_equal(trace_cpu_init(pcpu_get(0)), 0);
	assert_int_equal(pthread_create(&thread, NULL, writer, NULL), 0);
	while (seen < 50000) {
		u32 n = trace_read(pcpu_get(0), out, 600, &lost);

		seen += n;
		for (u32 i = 0; i < n; i++) {
			assert_int_equal(out[i].b, out[i].a * 3);
			assert_int_equal(out[i].event, 1 + out[i].a % 6);
			assert_int_equal(out[i].seq, (u32)(out[i].a + 1));
			assert_true(i == 0 || out[i].a > out[i - 1].a);
		}
		arch_relax();
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_true(lost > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_before_init, setup),
		cmocka_unit_test_setup(test_ring, setup),
		cmocka_unit_test_setup(test_names, setup),
		cmocka_unit_test_setup(test_read_while_writing, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
