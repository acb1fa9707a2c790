/* SPDX-License-Identifier: MIT */
/* links: hv/mem/scrub.c hv/mem/gmem.c hv/mem/gmem_access.c hv/mem/gmem_grant.c hv/mem/gmem_policy.c hv/mem/frames.c hv/mem/frame_cache.c arch/x86_64/npt.c arch/x86_64/vmx/ept.c hv/lock.c tests/fake/fake_host.c */
/* The scrubber, and guest memory with the real frame allocator, also with several CPUs at once. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <cmocka.h>

#include <arch/x86_64/vmx/ept.h>
#include <tern/arch.h>
#include <tern/err.h>
#include <tern/frames.h>
#include <tern/gmem.h>
#include <tern/scrub.h>
#include <tests/fake/fake_host.h>

#define TABLE_LEN (GiB(1) >> PAGE_SHIFT << 3)
#define CPUS      4u

static struct frame *table;
static struct gmem g;
static u32 flushes;

static void flush(void *owner)
{
	(void)owner;
	__atomic_add_fetch(&flushes, 1, __ATOMIC_RELAXED);
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
	frames_add(hpa(MiB(16)), MiB(64), 0);
	fake_cpus(CPUS);
	for (u32 i = 0; i < CPUS; i++)
		assert_int_equal(frames_cpu_init(pcpu_get(i)), 0);
	assert_int_equal(scrub_backlog(), 0);
	return 0;
}

/* Frames that are free, wherever. */
static u64 free_frames(void)
{
	struct frames_stats st;

	frames_get_stats(&st);
	return st.free + st.cached + st.zeroed;
}

static void assert_zero(hpa_t pa, u64 len)
{
	const char *p = phys_to_virt(pa);

	assert_true(p[0] == 0 && memcmp(p, p + 1, len - 1) == 0);
}

static hpa_t alloc(u32 order, u32 flags)
{
	hpa_t pa = hpa(0);

	assert_int_equal(frames_alloc(order, flags, FRAME_NODE_ANY, &pa), 0);
	return pa;
}

static void test_backlog(void **state)
{
	u64 before = free_frames();
	hpa_t pa[20];

	(void)state;
	assert_false(scrub_some(100));
	for (u32 i = 0; i < 20; i++) {
		pa[i] = alloc(0, 0);
		memset(phys_to_virt(pa[i]), 0x55, PAGE_SIZE);
	}
	for (u32 i = 0; i < 20; i++) {
		scrub_put(pa[i], 0);
		assert_int_equal(scrub_backlog(), i + 1);
	}
	assert_int_equal(free_frames(), before - 20);
	assert_false(scrub_some(0));
	assert_true(scrub_some(5));
	assert_int_equal(scrub_backlog(), 15);
	assert_int_equal(free_frames(), before - 15);
	assert_true(scrub_some(100));
	assert_int_equal(scrub_backlog(), 0);
	assert_false(scrub_some(100));
	assert_int_equal(free_frames(), before);
	/* Zeroed already: they went to the pool, and come back from there as they are. */
	for (u32 i = 0; i < 20; i++)
		assert_zero(alloc(0, FRAME_ZERO), PAGE_SIZE);
}

static void test_pool_first_then_free(void **state)
{
	struct frames_stats st;
	u64 before = free_frames(), room = (MiB(64) >> PAGE_SHIFT) / 16;
	static hpa_t pa[2000];

	(void)state;
	for (u32 i = 0; i < 2000; i++)
		pa[i] = alloc(0, 0);
	for (u32 i = 0; i < 2000; i++)
		scrub_put(pa[i], 0);
	while (scrub_some(16))
		;
	frames_get_stats(&st);
	assert_int_equal(st.zeroed, room);
	assert_int_equal(free_frames(), before);
}

/* Blocks of 2 MiB: zeroed as a whole and one again. */
static void test_blocks(void **state)
{
	u64 before = free_frames();
	hpa_t pa = alloc(FRAME_ORDER_2M, 0);

	(void)state;
	memset(phys_to_virt(pa), 0x66, PAGE_2M_SIZE);
	scrub_put(pa, FRAME_ORDER_2M);
	assert_int_equal(scrub_backlog(), 512);
	assert_true(scrub_some(1));
	assert_int_equal(scrub_backlog(), 0);
	assert_int_equal(free_frames(), before);
	/* In pieces, in any order, with the last one kept. */
	pa = alloc(FRAME_ORDER_2M, 0);
	memset(phys_to_virt(pa), 0x77, PAGE_2M_SIZE);
	frame_split(pa);
	for (u32 i = 0; i < 511; i++)
		scrub_put(hpa_add(pa, (i * 5 + 5) % 512 * PAGE_SIZE), 0);
	while (scrub_some(100))
		;
	assert_int_equal(free_frames(), before - 1);
	assert_int_equal(*(u8 *)phys_to_virt(pa), 0x77);
	scrub_put(pa, 0);
	assert_true(scrub_some(1));
	frames_drain_cache();
	assert_int_equal(free_frames(), before);
}

static void touch_all(u32 count, u64 step)
{
	for (u32 i = 0; i < count; i++) {
		u64 at = i * step;

		assert_int_equal(gmem_touch(&g, gpa(at), true), GMEM_MAPPED);
		assert_int_equal(gmem_write(&g, gpa(at), &at, sizeof(at)), 0);
	}
}

static void new_guest(void)
{
	assert_int_equal(gmem_create(&g, &ept_format, flush, NULL), 0);
	assert_int_equal(gmem_add(&g, gpa(0), GiB(8), GMEM_RAM), 0);
}

static void end_guest(void)
{
	while (gmem_destroy_some(&g, 64))
		;
	while (scrub_some(64))
		;
}

/* Free frames end exactly where they began; nobody reads what the guest before wrote. */
static void test_a_hundred_guests(void **state)
{
	u64 before = free_frames();

	(void)state;
	for (u32 i = 0; i < 100; i++) {
		u64 value;

		new_guest();
		if (i % 2 != 0)
			g.policy = &gmem_policy_large;
		touch_all(i * 8, i % 3 == 0 ? MiB(9) - PAGE_SIZE : PAGE_SIZE);
		for (u64 at = 8; at < PAGE_SIZE; at += 504) {
			assert_int_equal(gmem_read(&g, gpa(at), &value, 8), 0);
			assert_int_equal(value, 0);
		}
		if (i % 5 == 0)
			gmem_unback(&g, gpa(MiB(1)), MiB(2) + PAGE_SIZE);
		end_guest();
		assert_int_equal(free_frames(), before);
	}
}

/* A guest that takes everything stalls; the frames of one that dies let it go on. */
static void test_waiting_frames_are_not_out_of_memory(void **state)
{
	static struct gmem other;
	u64 before = free_frames(), at = 0;

	(void)state;
	new_guest();
	while (gmem_touch(&g, gpa(at), true) == GMEM_MAPPED)
		at += 2 * PAGE_SIZE;
	assert_int_equal(g.stalls, 1);
	other = g;
	assert_int_equal(gmem_create(&g, &ept_format, flush, NULL), -TERN_ENOMEM);
	g = other;
	assert_int_equal(gmem_unback(&g, gpa(0), 64 * PAGE_SIZE), 32 * PAGE_SIZE);
	assert_int_equal(scrub_backlog(), 32);
	assert_int_equal(gmem_touch(&g, gpa(at), true), GMEM_MAPPED);
	end_guest();
	assert_int_equal(free_frames(), before);
}

/* --- CPUs that touch the same pages, give some back, and scrub --- */

#define RACE_PAGES 600u

static void *race(void *arg)
{
	u32 me = (u32)(uintptr_t)arg, seed = me + 1;

	fake_cpu_set(me);
	for (u32 i = 0; i < 20000; i++) {
		u64 page;

		seed = seed * 1664525 + 1013904223;
		page = (seed >> 8) % RACE_PAGES;
		if (i % 64 == 5)
			gmem_unback(&g, gpa(page * PAGE_SIZE), (1 + i % 50) * PAGE_SIZE);
		else if (i % 16 == 7)
			scrub_some(4);
		else if (gmem_touch(&g, gpa(page * PAGE_SIZE), true) != GMEM_MAPPED)
			abort();
	}
	frames_drain_cache();
	return NULL;
}

static void test_races(void **state)
{
	pthread_t threads[CPUS];
	u64 before = free_frames();

	(void)state;
	new_guest();
	for (uintptr_t i = 0; i < CPUS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, race, (void *)i), 0);
	for (u32 i = 0; i < CPUS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_true(flushes > 0);
	assert_int_equal(free_frames() + scrub_backlog() + g.npt.table_pages,
			 before - (g.backed >> PAGE_SHIFT));
	end_guest();
	assert_int_equal(free_frames(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_backlog, setup),
		cmocka_unit_test_setup(test_pool_first_then_free, setup),
		cmocka_unit_test_setup(test_blocks, setup),
		cmocka_unit_test_setup(test_a_hundred_guests, setup),
		cmocka_unit_test_setup(test_waiting_frames_are_not_out_of_memory, setup),
		cmocka_unit_test_setup(test_races, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
