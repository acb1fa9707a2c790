/* SPDX-License-Identifier: MIT */
/* links: hv/mem/frames.c hv/mem/frame_cache.c hv/lock.c tests/fake/fake_host.c */
/* Per-CPU caches and the zeroed pool. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <cmocka.h>

#include <tern/arch.h>
#include <tern/err.h>
#include <tern/frames.h>
#include <tests/fake/fake_host.h>

#define TABLE_LEN     (GiB(2) >> PAGE_SHIFT << 3)
#define FRAMES(bytes) ((bytes) >> PAGE_SHIFT)

static struct frame *table;
static hpa_t unused;
static int err;                    /* what a call that panics would have returned */
static u64 hits, misses, failures; /* at the start of the test */

static struct frames_stats stats(void)
{
	struct frames_stats st;

	frames_get_stats(&st);
	st.zero_hits -= hits;
	st.zero_misses -= misses;
	st.failed -= failures;
	return st;
}

static int setup(void **state)
{
	(void)state;
	fake_reset();
	if (table == NULL)
		table = mmap(NULL, TABLE_LEN, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_ptr_not_equal(table, MAP_FAILED);
	frames_init(table);
	hits = misses = failures = 0;
	hits = stats().zero_hits;
	misses = stats().zero_misses;
	failures = stats().failed;
	return 0;
}

static void check(u64 used)
{
	struct frames_stats st = stats();
	u64 sum = 0;

	for (u32 o = 0; o <= FRAME_ORDER_MAX; o++)
		sum += st.free_blocks[o] << o;
	assert_int_equal(sum, st.free);
	assert_int_equal(st.free + st.cached + st.zeroed + used, st.total);
}

static void start_cpus(u32 n)
{
	fake_cpus(n);
	for (u32 i = 0; i < n; i++)
		assert_int_equal(frames_cpu_init(pcpu_get(i)), 0);
}

static void test_cache(void **state)
{
	hpa_t pa[200];

	(void)state;
	assert_int_equal(frames_cpu_init(pcpu_self()), -TERN_ENOMEM);
	assert_null(pcpu_self()->frames);
	frames_add(hpa(MiB(1)), MiB(31), 0);
	start_cpus(2);
	check(2);
	assert_int_equal(frames_alloc(0, 0, FRAME_NODE_ANY, &pa[0]), 0);
	assert_int_equal(stats().cached, 30); /* of 32: CPU 1's cache and pa[0] */
	check(3);
	/* The hottest frame comes back first. */
	frame_put(pa[0]);
	assert_int_equal(frames_alloc(0, 0, 0, &pa[1]), 0);
	assert_int_equal(pa[1].v, pa[0].v);
	frame_put(pa[1]);
	FAKE_EXPECT_PANIC(frame_put(pa[1]));
	assert_non_null(strstr(fake_panic_text, "free already"));
	for (u32 i = 0; i < 200; i++)
		assert_int_equal(frames_alloc(0, 0, 0, &pa[i]), 0);
	check(202);
	/* Freed on another CPU: its cache takes them, and never more than 64. */
	fake_cpu_set(1);
	for (u32 i = 0; i < 200; i++) {
		frame_put(pa[i]);
		check(201 - i);
		assert_true(stats().cached <= 64 + 32);
	}
	frames_drain_cache();
	fake_cpu_set(0);
	frames_drain_cache();
	assert_int_equal(stats().cached, 0);
	check(2);
	assert_true(arch_irq_enabled());
}

static void test_cache_is_of_its_node(void **state)
{
	hpa_t near, far;

	(void)state;
	frames_add(hpa(MiB(2)), MiB(2), 0);
	frames_add(hpa(MiB(4)), MiB(2), 1);
	fake_cpus(1);
	pcpu_get(0)->node = 1;
	assert_int_equal(frames_cpu_init(pcpu_get(0)), 0);
	assert_int_equal(frames_alloc(0, 0, FRAME_NODE_ANY, &near), 0);
	assert_int_equal(frame_node(near), 1);
	assert_int_equal(frames_alloc(0, 0, 0, &far), 0);
	assert_int_equal(frame_node(far), 0);
	assert_int_equal(stats().cached, 31);
	frame_put(far);
	assert_int_equal(stats().cached, 31);
	frame_put(near);
	assert_int_equal(stats().cached, 32);
	check(1);
}

static void test_zeroed_pool(void **state)
{
	static hpa_t pa[FRAMES(MiB(64))];
	u32 n = 0;

	(void)state;
	assert_int_equal(frames_zero_some(100), 0);
	frames_add(hpa(MiB(64)), MiB(64), 0);
	start_cpus(1);
	/* Everything is dirty at first. */
	while (frames_alloc(0, 0, 0, &pa[n]) == 0) {
		memset(phys_to_virt(pa[n]), 0x77, PAGE_SIZE);
		n++;
	}
	assert_int_equal(n, FRAMES(MiB(64)) - 1);
	assert_int_equal(frames_zero_some(100), 0);
	while (n > 0)
		frame_put(pa[--n]);
	check(1);
	assert_int_equal(frames_zero_some(1), 1);
	assert_int_equal(frames_zero_some(100), 100);
	assert_int_equal(stats().zeroed, 101);
	check(1);
	/* 1/16 of the node, no more. */
	assert_int_equal(frames_zero_some(UINT32_MAX), FRAMES(MiB(4)) - 101);
	assert_int_equal(frames_zero_some(UINT32_MAX), 0);
	assert_int_equal(stats().zeroed, FRAMES(MiB(4)));
	check(1);
	for (n = 0; n < FRAMES(MiB(4)) + 5; n++) {
		const char *page;

		assert_int_equal(frames_alloc(0, FRAME_ZERO, FRAME_NODE_ANY, &pa[n]), 0);
		page = phys_to_virt(pa[n]);
		assert_true(page[0] == 0 && memcmp(page, page + 1, PAGE_SIZE - 1) == 0);
		check(n + 2);
	}
	assert_int_equal(stats().zero_hits, FRAMES(MiB(4)));
	assert_int_equal(stats().zero_misses, 6); /* and one for the cache */
	/* Bigger zeroed blocks are zeroed on the spot. */
	memset(phys_to_virt(pa[0]), 1, PAGE_SIZE);
	for (u32 i = 0; i < n; i++)
		frame_put(pa[i]);
	assert_int_equal(frames_alloc(9, FRAME_ZERO, 0, &unused), 0);
	for (u64 i = 0; i < MiB(2); i += 8)
		assert_int_equal(*(u64 *)phys_to_virt(hpa_add(unused, i)), 0);
	check(513);
}

static void test_pool_limit_is_16_mib_a_node(void **state)
{
	(void)state;
	frames_add(hpa(0), GiB(1), 0);
	frames_add(hpa(GiB(1)), MiB(16), 1);
	start_cpus(1);
	assert_int_equal(frames_zero_some(UINT32_MAX), FRAMES(MiB(16) + MiB(1)));
	check(1);
}

/* What pool and cache hold is not out of reach when memory is short. */
static void test_short_memory(void **state)
{
	static hpa_t pa[FRAMES(MiB(32))];
	hpa_t big;
	u32 n = 0;

	(void)state;
	frames_add(hpa(MiB(32)), MiB(32), 0);
	start_cpus(1);
	assert_int_equal(frames_zero_some(UINT32_MAX), FRAMES(MiB(2)));
	while (frames_alloc(0, 0, 0, &pa[n]) == 0) {
		n++;
		check(n + 1);
	}
	assert_int_equal(n, FRAMES(MiB(32)) - 1);
	assert_int_equal(stats().failed, 1);
	check(n + 1);
	/* Freed into the cache, wanted back as one block. */
	for (u32 i = 0; i < n; i++) {
		if (pa[i].v >= MiB(40) && pa[i].v < MiB(40) + KiB(128))
			frame_put(pa[i]);
	}
	assert_int_equal(stats().cached, 32);
	assert_int_equal(frames_alloc(5, 0, 0, &big), 0);
	assert_int_equal(big.v, MiB(40));
	check(n + 1);
	assert_int_equal(frames_alloc(5, FRAME_ZERO, 0, &unused), -TERN_ENOMEM);
	assert_int_equal(stats().failed, 2);
	frame_put(big);
	check(n + 1 - 32);
}

/* Zeroed today, drained tomorrow: nothing is zeroed when little is free. */
static void test_no_zeroing_when_memory_is_short(void **state)
{
	hpa_t pa;

	(void)state;
	frames_add(hpa(MiB(32)), MiB(32), 0);
	for (u32 order = 12; order >= 9; order--)
		assert_int_equal(frames_alloc(order, 0, 0, &pa), 0);
	assert_int_equal(stats().free, FRAMES(MiB(2)));
	assert_int_equal(frames_zero_some(100), 0);
	frame_put(pa);
	assert_int_equal(frames_zero_some(100), 100);
}

static void test_write_to_the_pool_panics(void **state)
{
	hpa_t pa;

	(void)state;
	frames_add(hpa(MiB(32)), MiB(32), 0);
	frames_zero_some(10);
	assert_int_equal(frames_alloc(0, FRAME_ZERO, 0, &pa), 0);
	frame_put(pa);
	frames_zero_some(1);
	FAKE_EXPECT_PANIC(frame_put(pa));
	((u64 *)phys_to_virt(pa))[7] = 1;
	FAKE_EXPECT_PANIC(err = frames_alloc(0, FRAME_ZERO, 0, &unused));
	assert_non_null(strstr(fake_panic_text, "zeroed pool"));
}

static void test_poison_in_the_cache(void **state)
{
	hpa_t pa;

	(void)state;
	frames_add(hpa(MiB(32)), MiB(32), 0);
	start_cpus(1);
	assert_int_equal(frames_alloc(0, FRAME_ZERO, 0, &pa), 0);
	frame_put(pa);
	((u64 *)phys_to_virt(pa))[100] = 0;
	FAKE_EXPECT_PANIC(err = frames_alloc(0, 0, 0, &unused));
	assert_non_null(strstr(fake_panic_text, "after it was freed"));
}

/* Single frames of a block that was one, each freed on its own; merged again in the end. */
static void test_split(void **state)
{
	hpa_t pa;

	(void)state;
	frames_add(hpa(MiB(2)), MiB(6), 0);
	for (u32 order = 0; order <= 10; order++) {
		assert_int_equal(frames_alloc(order, 0, 0, &pa), 0);
		frame_split(pa);
		check(1u << order);
		FAKE_EXPECT_PANIC(frame_put(hpa_add(pa, PAGE_SIZE << order)));
		for (u64 i = 0; i < 1u << order; i++) {
			u64 frame = (i * 3 + 1) % (1u << order);

			frame_put(hpa_add(pa, frame << PAGE_SHIFT));
			check((1u << order) - i - 1);
		}
		FAKE_EXPECT_PANIC(frame_put(pa));
		assert_int_equal(stats().free_blocks[10], 1);
	}
	assert_int_equal(frames_alloc(1, 0, 0, &pa), 0);
	FAKE_EXPECT_PANIC(frame_split(hpa_add(pa, PAGE_SIZE)));
	frame_get(pa);
	FAKE_EXPECT_PANIC(frame_split(pa));
	assert_non_null(strstr(fake_panic_text, "2 users"));
}

/* Zeroes go to the pool while it has room; blocks, and what is too much, to the lists. */
static void test_put_zeroed(void **state)
{
	hpa_t pa[FRAMES(MiB(4)) + 1];

	(void)state;
	frames_add(hpa(MiB(64)), MiB(64), 0);
	for (u32 i = 0; i < ARRAY_SIZE(pa); i++)
		assert_int_equal(frames_alloc(0, FRAME_ZERO, 0, &pa[i]), 0);
	for (u32 i = 0; i < ARRAY_SIZE(pa); i++) {
		frame_put_zeroed(pa[i]);
		assert_int_equal(stats().zeroed, min_u64(i + 1, FRAMES(MiB(4))));
		check((u32)ARRAY_SIZE(pa) - i - 1);
	}
	FAKE_EXPECT_PANIC(frame_put_zeroed(pa[0]));
	assert_int_equal(frames_alloc(0, FRAME_ZERO, 0, &pa[0]), 0);
	assert_int_equal(stats().zero_hits, 1);
	frame_get(pa[0]);
	FAKE_EXPECT_PANIC(frame_put_zeroed(pa[0]));
	assert_non_null(strstr(fake_panic_text, "2 users"));
	assert_int_equal(frames_alloc(9, FRAME_ZERO, 0, &pa[1]), 0);
	((u64 *)phys_to_virt(hpa_add(pa[1], MiB(2) - 8)))[0] = 1;
	FAKE_EXPECT_PANIC(frame_put_zeroed(pa[1]));
	assert_non_null(strstr(fake_panic_text, "is said to be zero"));
	((u64 *)phys_to_virt(hpa_add(pa[1], MiB(2) - 8)))[0] = 0;
	frame_put_zeroed(pa[1]);
	check(1);
}

static void test_pages(void **state)
{
	void *page;

	(void)state;
	frames_add(hpa(MiB(2)), MiB(2), 0);
	page = frames_alloc_page();
	assert_int_equal((uintptr_t)page % PAGE_SIZE, 0);
	check(1);
	frames_free_page(page);
	check(0);
	FAKE_EXPECT_PANIC(frames_free_page(page));
}

/* --- several CPUs at once --- */

#define THREADS 4
#define HELD    100

static void *hammer(void *arg)
{
	u32 me = (u32)(uintptr_t)arg, seed = me, count = 0;
	hpa_t held[HELD];
	u32 orders[HELD];

	fake_cpu_set(me);
	for (u32 step = 0; step < 20000; step++) {
		seed = seed * 1664525 + 1013904223;
		if (seed >> 31 != 0 && count < HELD) {
			u32 order = (seed >> 20) % 8 == 0 ? (seed >> 8) % 10 : 0;
			u32 flags = (seed >> 25) % 2 != 0 ? FRAME_ZERO : 0;

			if (frames_alloc(order, flags, FRAME_NODE_ANY, &held[count]) != 0)
				continue;
			orders[count] = order;
			*(u64 *)phys_to_virt(held[count]) = held[count].v + me;
			count++;
		} else if (count > 0) {
			u32 i = (seed >> 8) % count;

			if (*(u64 *)phys_to_virt(held[i]) != held[i].v + me)
				abort();
			frame_put(held[i]);
			held[i] = held[--count];
			orders[i] = orders[count];
		} else {
			frames_zero_some(8);
		}
	}
	while (count > 0)
		frame_put(held[--count]);
	frames_drain_cache();
	return NULL;
}

static void test_threads(void **state)
{
	pthread_t threads[THREADS];

	(void)state;
	frames_add(hpa(MiB(1)), MiB(63), 0);
	frames_add(hpa(MiB(64)), MiB(64), 1);
	fake_cpus(THREADS);
	for (u32 i = 0; i < THREADS; i++) {
		pcpu_get(i)->node = i % 2;
		assert_int_equal(frames_cpu_init(pcpu_get(i)), 0);
	}
	for (uintptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, hammer, (void *)i), 0);
	for (u32 i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(stats().cached, 0);
	check(THREADS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_cache, setup),
		cmocka_unit_test_setup(test_cache_is_of_its_node, setup),
		cmocka_unit_test_setup(test_zeroed_pool, setup),
		cmocka_unit_test_setup(test_pool_limit_is_16_mib_a_node, setup),
		cmocka_unit_test_setup(test_short_memory, setup),
		cmocka_unit_test_setup(test_no_zeroing_when_memory_is_short, setup),
		cmocka_unit_test_setup(test_write_to_the_pool_panics, setup),
		cmocka_unit_test_setup(test_poison_in_the_cache, setup),
		cmocka_unit_test_setup(test_split, setup),
		cmocka_unit_test_setup(test_put_zeroed, setup),
		cmocka_unit_test_setup(test_pages, setup),
		cmocka_unit_test_setup(test_threads, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
