/* SPDX-License-Identifier: MIT */
/* links: hv/lock.c tests/fake/fake_host.c */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <tern/arch.h>
#include <tern/lock.h>
#include <tests/fake/fake_host.h>

/* What a call that panics would have returned. */
static lock_token unused;
static bool got;

static int setup(void **state)
{
	(void)state;
	fake_reset();
	return 0;
}

static void test_take_release(void **state)
{
	struct spinlock l = SPINLOCK_INIT(RANK_VM, "vm");
	lock_token outer, inner, failed;
	struct spinlock m = SPINLOCK_INIT(RANK_FRAMES, "frames");

	(void)state;
	assert_false(lock_held(&l));
	outer = lock_take(&l);
	assert_true(outer.irqs_were_on);
	assert_false(arch_irq_enabled());
	assert_true(lock_held(&l));
	inner = lock_take(&m);
	assert_false(inner.irqs_were_on);
	lock_release(&m, inner);
	assert_false(arch_irq_enabled());
	assert_false(lock_try(&l, &failed));
	assert_false(arch_irq_enabled());
	fake_cpu_set(1);
	assert_false(lock_held(&l));
	fake_cpu_set(0);
	lock_release(&l, outer);
	assert_true(arch_irq_enabled());
	assert_false(lock_held(&l));
	assert_int_equal(pcpu_self()->rank_count, 0);
}

static void test_try(void **state)
{
	struct spinlock l = SPINLOCK_INIT(RANK_VM, "vm");
	lock_token a, b;

	(void)state;
	assert_true(lock_try(&l, &a));
	fake_cpu_set(1);
	arch_irq_on();
	assert_false(lock_try(&l, &b));
	assert_true(arch_irq_enabled());
	fake_cpu_set(0);
	lock_release(&l, a);
	assert_true(lock_try(&l, &a));
	lock_release(&l, a);
	/* The ticket numbers wrap around. */
	l.next = l.owner = UINT32_MAX;
	a = lock_take(&l);
	lock_release(&l, a);
	assert_int_equal(l.owner, 0);
	assert_true(lock_try(&l, &a));
	lock_release(&l, a);
}

static void test_rank_order(void **state)
{
	struct spinlock low = SPINLOCK_INIT(RANK_VM, "vm");
	struct spinlock high = SPINLOCK_INIT(RANK_TIMER, "timers");
	struct spinlock same = SPINLOCK_INIT(RANK_TIMER, "other timers");
	lock_token t, u;

	(void)state;
	t = lock_take(&high);
	FAKE_EXPECT_PANIC(unused = lock_take(&low));
	assert_non_null(strstr(fake_panic_text, "\"vm\""));
	assert_non_null(strstr(fake_panic_text, "\"timers\""));
	FAKE_EXPECT_PANIC(unused = lock_take(&same));
	assert_non_null(strstr(fake_panic_text, "\"other timers\""));
	FAKE_EXPECT_PANIC(unused = lock_take(&high));
	assert_non_null(strstr(fake_panic_text, "taken twice"));
	/* A try may go down; what is highest still counts afterwards. */
	assert_true(lock_try(&low, &u));
	FAKE_EXPECT_PANIC(unused = lock_take(&same));
	lock_release(&low, u);
	lock_release(&high, t);
	u = lock_take(&low);
	lock_release(&low, u);
}

static void test_release_out_of_order(void **state)
{
	struct spinlock a = SPINLOCK_INIT(1, "a"), b = SPINLOCK_INIT(2, "b");
	struct spinlock c = SPINLOCK_INIT(3, "c");
	lock_token ta = lock_take(&a), tb = lock_take(&b), tc = lock_take(&c);

	(void)state;
	lock_release(&a, tb);
	assert_int_equal(pcpu_self()->rank_count, 2);
	lock_release(&c, tc);
	FAKE_EXPECT_PANIC(unused = lock_take(&a));
	lock_release(&b, ta);
	assert_int_equal(pcpu_self()->rank_count, 0);
	FAKE_EXPECT_PANIC(lock_release(&b, ta));
	assert_non_null(strstr(fake_panic_text, "does not hold"));
}

static void test_too_many(void **state)
{
	struct spinlock l[PCPU_RANKS_MAX + 1];
	lock_token t[PCPU_RANKS_MAX];

	(void)state;
	for (u32 i = 0; i <= PCPU_RANKS_MAX; i++)
		l[i] = (struct spinlock)SPINLOCK_INIT(i + 1, "one of many");
	for (u32 i = 0; i < PCPU_RANKS_MAX; i++)
		t[i] = lock_take(&l[i]);
	FAKE_EXPECT_PANIC(unused = lock_take(&l[PCPU_RANKS_MAX]));
	FAKE_EXPECT_PANIC(got = lock_try(&l[PCPU_RANKS_MAX], &unused));
	assert_non_null(strstr(fake_panic_text, "limit is 8"));
	assert_false(got);
	assert_int_equal(l[PCPU_RANKS_MAX].next, 0);
	for (u32 i = PCPU_RANKS_MAX; i > 0; i--)
		lock_release(&l[i - 1], t[i - 1]);
	assert_true(arch_irq_enabled());
}

#define THREADS 4
#define ROUNDS  3000

static struct spinlock shared = SPINLOCK_INIT(RANK_VM, "shared");
static struct spinlock nested = SPINLOCK_INIT(RANK_GMEM, "nested");
static u64 counter, tries;

static void *hammer(void *arg)
{
	fake_cpu_set((u32)(uintptr_t)arg);
	for (u32 i = 0; i < ROUNDS; i++) {
		lock_token t, u;
		u64 seen;

		if (i % 4 == 0 && lock_try(&shared, &t))
			__atomic_add_fetch(&tries, 1, __ATOMIC_RELAXED);
		else
			t = lock_take(&shared);
		u = lock_take(&nested);
		seen = counter;
		if (!lock_held(&shared) || !lock_held(&nested))
			abort();
		arch_relax();
		counter = seen + 1;
		lock_release(&nested, u);
		lock_release(&shared, t);
		if (!arch_irq_enabled())
			abort();
	}
	return NULL;
}

static void test_threads(void **state)
{
	pthread_t threads[THREADS];

	(void)state;
	fake_cpus(THREADS);
	for (uintptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, hammer, (void *)i), 0);
	for (u32 i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(counter, THREADS * ROUNDS);
	assert_int_equal(shared.next, shared.owner);
	for (u32 i = 0; i < THREADS; i++)
		assert_int_equal(pcpu_get(i)->rank_count, 0);
}

/* Last: there is no way back. */
static void test_panic(void **state)
{
	struct spinlock l = SPINLOCK_INIT(RANK_LOG, "log");
	lock_token t, u;

	(void)state;
	t = lock_take(&l);
	fake_cpu_set(1);
	lock_panic();
	u = lock_take(&l);
	lock_release(&l, u);
	assert_true(lock_try(&l, &u));
	lock_release(&l, u);
	fake_cpu_set(0);
	lock_release(&l, t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_take_release, setup),
		cmocka_unit_test_setup(test_try, setup),
		cmocka_unit_test_setup(test_rank_order, setup),
		cmocka_unit_test_setup(test_release_out_of_order, setup),
		cmocka_unit_test_setup(test_too_many, setup),
		cmocka_unit_test_setup(test_threads, setup),
		cmocka_unit_test_setup(test_panic, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
