/* SPDX-License-Identifier: MIT */
/* links: hv/mem/frames.c hv/mem/frame_cache.c hv/lock.c tests/fake/fake_host.c */
/* The buddy lists, through the public functions and without per-CPU caches. */
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

#define TABLE_LEN     (FAKE_MEM >> PAGE_SHIFT << 3)
#define FRAMES(bytes) ((bytes) >> PAGE_SHIFT)

static struct frame *table;
static u32 seed;
static hpa_t unused;
static int err; /* what a call that panics would have returned */

static u32 rnd(u32 n)
{
	seed = seed * 1664525 + 1013904223;
	return (u32)(((u64)(seed >> 8) * n) >> 24);
}

/* The table holds garbage, as memory does after a reset: nothing may lean on zeroes. Pages that
 * must not be touched at all are not even mapped: see map_table(). */
static int setup(void **state)
{
	(void)state;
	fake_reset();
	if (table != NULL)
		munmap(table, TABLE_LEN);
	table = mmap(NULL, TABLE_LEN, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
		     0);
	assert_ptr_not_equal(table, MAP_FAILED);
	seed = 1;
	frames_init(table);
	return 0;
}

/* Backs the table for [base, base + len), and only that. */
static void map_table(u64 base, u64 len)
{
	u64 first = base >> PAGE_2M_SHIFT, end = (base + len + PAGE_2M_SIZE - 1) >> PAGE_2M_SHIFT;
	char *at = (char *)table + first * PAGE_SIZE;
	size_t bytes = (end - first) * PAGE_SIZE;

	for (u64 i = 0; i < bytes; i += PAGE_SIZE) {
		if (mprotect(at + i, PAGE_SIZE, PROT_READ | PROT_WRITE) != 0)
			abort();
		if (*(u64 *)(void *)(at + i) == 0)
			memset(at + i, 0xa5, PAGE_SIZE);
	}
}

static void add(u64 base, u64 len, u32 node)
{
	map_table(base, len);
	assert_int_equal(frames_add(hpa(base), len, node), len);
}

/* Free blocks weigh what is free, and nothing is lost. */
static void check_stats(u64 total, u64 used)
{
	struct frames_stats st;
	u64 sum = 0;

	frames_get_stats(&st);
	for (u32 o = 0; o <= FRAME_ORDER_MAX; o++)
		sum += st.free_blocks[o] << o;
	assert_int_equal(sum, st.free);
	assert_int_equal(st.total, total);
	assert_int_equal(st.free + st.cached + st.zeroed + used, total);
}

static void test_empty(void **state)
{
	hpa_t pa = hpa(42);

	(void)state;
	check_stats(0, 0);
	for (u32 o = 0; o <= FRAME_ORDER_MAX; o++)
		assert_int_equal(frames_alloc(o, 0, FRAME_NODE_ANY, &pa), -TERN_ENOMEM);
	assert_int_equal(pa.v, 42);
	assert_int_equal(frames_add(hpa(MiB(1)), 0, 0), 0);
	check_stats(0, 0);
}

static void test_split_and_merge(void **state)
{
	struct frames_stats st;
	hpa_t a, b, c;

	(void)state;
	add(MiB(64), MiB(4), 3);
	assert_int_equal(frame_node(hpa(MiB(66) + 123)), 3);
	assert_int_equal(frames_alloc(0, 0, FRAME_NODE_ANY, &a), 0);
	check_stats(1024, 1);
	frames_get_stats(&st);
	for (u32 o = 0; o < 10; o++)
		assert_int_equal(st.free_blocks[o], 1);
	assert_int_equal(frames_alloc(0, 0, 3, &b), 0);
	assert_int_equal(a.v ^ b.v, PAGE_SIZE);
	assert_int_equal(frames_alloc(9, 0, 0, &c), 0);
	assert_int_equal(c.v % MiB(2), 0);
	frame_get(a);
	frame_put(a);
	check_stats(1024, 514);
	frame_put(a);
	frame_put(c);
	frame_put(b);
	frames_get_stats(&st);
	assert_int_equal(st.free_blocks[10], 1);
	check_stats(1024, 0);
}

static void test_misuse_panics(void **state)
{
	hpa_t a, big, part;

	(void)state;
	add(MiB(64), MiB(8), 0);
	add(MiB(100) + PAGE_SIZE * 3, PAGE_SIZE * 8, 0);
	assert_int_equal(frames_alloc(3, 0, 0, &part), 0);
	assert_int_equal(frames_alloc(0, 0, 0, &a), 0);
	assert_int_equal(frames_alloc(9, 0, 0, &big), 0);
	frame_put(a);
	FAKE_EXPECT_PANIC(frame_put(a));
	assert_non_null(strstr(fake_panic_text, "free already"));
	FAKE_EXPECT_PANIC(frame_get(a));
	assert_int_equal(frames_alloc(2, 0, 0, &a), 0);
	FAKE_EXPECT_PANIC(frame_put(hpa_add(a, PAGE_SIZE)));
	assert_non_null(strstr(fake_panic_text, "not the first"));
	FAKE_EXPECT_PANIC(frame_put(hpa_add(a, 8)));
	assert_non_null(strstr(fake_panic_text, "aligned"));
	FAKE_EXPECT_PANIC(frame_put(hpa_add(big, PAGE_SIZE)));
	assert_non_null(strstr(fake_panic_text, "not the first"));
	FAKE_EXPECT_PANIC(frame_put(hpa(MiB(100))));
	assert_non_null(strstr(fake_panic_text, "not memory of the allocator"));
	FAKE_EXPECT_PANIC(frame_put(hpa(MiB(62))));
	FAKE_EXPECT_PANIC(frame_put(hpa(MiB(72))));
	FAKE_EXPECT_PANIC((void)frame_node(hpa(MiB(72))));
	FAKE_EXPECT_PANIC(err = frames_alloc(FRAME_ORDER_MAX + 1, 0, 0, &unused));
	table[a.v >> PAGE_SHIFT].refs = UINT32_MAX;
	FAKE_EXPECT_PANIC(frame_get(a));
	table[a.v >> PAGE_SHIFT].refs = 0;
	FAKE_EXPECT_PANIC(frame_get(a));
	table[a.v >> PAGE_SHIFT].refs = 0;
	FAKE_EXPECT_PANIC(frame_put(a));
	table[a.v >> PAGE_SHIFT].state = 77;
	FAKE_EXPECT_PANIC(frame_put(a));
	assert_non_null(strstr(fake_panic_text, "damaged"));
}

/* Two frames that were blocks of their own, given away as one: the second is no block any more. */
static void test_merged_frame_is_inside(void **state)
{
	hpa_t a, b, two;

	(void)state;
	add(MiB(64), MiB(2), 0);
	assert_int_equal(frames_alloc(0, 0, 0, &a), 0);
	assert_int_equal(frames_alloc(0, 0, 0, &b), 0);
	assert_int_equal(b.v, a.v + PAGE_SIZE);
	frame_put(b);
	frame_put(a);
	assert_int_equal(frames_alloc(1, 0, 0, &two), 0);
	assert_int_equal(two.v, a.v);
	FAKE_EXPECT_PANIC(frame_put(b));
	assert_non_null(strstr(fake_panic_text, "not the first"));
}

static void test_added_twice_panics(void **state)
{
	(void)state;
	add(MiB(64), MiB(8), 0);
	add(MiB(80) + KiB(64), KiB(64), 0);
	FAKE_EXPECT_PANIC(frames_add(hpa(MiB(66)), MiB(2), 0));
	FAKE_EXPECT_PANIC(frames_add(hpa(MiB(70)), KiB(4), 0));
	map_table(MiB(62), MiB(20));
	FAKE_EXPECT_PANIC(frames_add(hpa(MiB(62)), MiB(20), 0));
	FAKE_EXPECT_PANIC(frames_add(hpa(MiB(80) + KiB(124)), KiB(8), 0));
	FAKE_EXPECT_PANIC(frames_add(hpa(MiB(80)), MiB(2), 0));
}

/* The edges of what was added are never read as free neighbours, mapped or not. */
static void test_edges(void **state)
{
	struct frames_stats st;
	hpa_t pa[64];
	u32 n = 0;

	(void)state;
	add(MiB(2), MiB(2), 0);                     /* buddy at 0: page of the table not mapped */
	add(MiB(10) + KiB(4), MiB(4) - KiB(12), 0); /* partial on both ends */
	frames_get_stats(&st);
	assert_int_equal(st.free_blocks[9], 1);
	assert_int_equal(st.free_blocks[0], 1);
	check_stats(FRAMES(MiB(6) - KiB(12)), 0);
	while (n < 64 && frames_alloc(9, 0, FRAME_NODE_ANY, &pa[n]) == 0)
		n++;
	assert_int_equal(n, 1);
	while (n > 0)
		frame_put(pa[--n]);
	check_stats(FRAMES(MiB(6) - KiB(12)), 0);
	/* The missing pieces come later and melt with what is there. */
	add(MiB(10), KiB(4), 0);
	add(MiB(14) - KiB(8), KiB(8), 0);
	frames_get_stats(&st);
	assert_int_equal(st.free_blocks[9], 3);
	assert_int_equal(st.free_blocks[0], 0);
	add(MiB(8), MiB(2), 0);
	add(MiB(14), MiB(2), 0);
	frames_get_stats(&st);
	assert_int_equal(st.free_blocks[11], 1);
}

static void test_never_merges_across_nodes(void **state)
{
	struct frames_stats st;
	hpa_t a, b, one[1024];

	(void)state;
	add(GiB(1), MiB(2), 0);
	add(GiB(1) + MiB(2), MiB(2), 1);
	frames_get_stats(&st);
	assert_int_equal(st.free_blocks[9], 2);
	assert_int_equal(frames_alloc(9, 0, 1, &a), 0);
	assert_int_equal(frame_node(a), 1);
	/* Falls back to the other node. */
	assert_int_equal(frames_alloc(9, 0, 1, &b), 0);
	assert_int_equal(frame_node(b), 0);
	assert_int_equal(frames_alloc(0, 0, 0, &unused), -TERN_ENOMEM);
	frame_put(b);
	frame_put(a);
	for (u32 i = 0; i < 1024; i++)
		assert_int_equal(frames_alloc(0, 0, 5, &one[i]), 0);
	for (u32 i = 0; i < 1024; i++)
		frame_put(one[(i * 389) % 1024]);
	frames_get_stats(&st);
	assert_int_equal(st.free_blocks[9], 2);
	check_stats(1024, 0);
	/* A 2 MiB that two calls share is of the first one's node, and is freed there. */
	add(GiB(2), MiB(1), 4);
	add(GiB(2) + MiB(1), MiB(3), 5);
	assert_int_equal(frame_node(hpa(GiB(2) + MiB(1))), 4);
	assert_int_equal(frame_node(hpa(GiB(2) + MiB(2))), 5);
	assert_int_equal(frames_alloc(9, 0, 4, &a), 0);
	assert_int_equal(a.v, GiB(2));
	frame_put(a);
	check_stats(2048, 0);
}

static void test_too_many_pieces(void **state)
{
	u32 taken = 0;

	(void)state;
	for (u64 i = 0; i < 140; i++) {
		u64 base = MiB(4) * (i + 1);

		map_table(base, MiB(2));
		if (frames_add(hpa(base), MiB(2), 0) != 0)
			taken++;
	}
	assert_int_equal(taken, 128);
	check_stats(FRAMES(MiB(256)), 0);
	assert_non_null(strstr(fake_log(), "more than 128 separate pieces"));
	/* One that touches what is there still fits, and joins two. */
	add(MiB(6), MiB(2), 0);
	add(GiB(1), MiB(2), 0);
	check_stats(FRAMES(MiB(260)), 0);
}

static void test_poison(void **state)
{
	void *stray[2] = {NULL, NULL};
	hpa_t a, b;

	(void)state;
	add(MiB(64), MiB(2), 0);
	assert_int_equal(frames_alloc(0, 0, 0, &a), 0);
	frame_put(a);
	assert_int_equal(((u64 *)phys_to_virt(a))[2], 0xd5d5d5d5d5d5d5d5ull);
	((char *)phys_to_virt(a))[PAGE_SIZE - 1] = 1;
	FAKE_EXPECT_PANIC(err = frames_alloc(9, 0, 0, &b));
	assert_non_null(strstr(fake_panic_text, "0xff8"));

	setup(NULL);
	add(MiB(64), MiB(4), 0);
	assert_int_equal(frames_alloc(9, 0, 0, &a), 0);
	frame_put(a);
	((u64 *)phys_to_virt(a))[2] = 0;
	FAKE_EXPECT_PANIC(err = frames_alloc(9, 0, 0, &b));

	/* A write to the links is found in every build. */
	setup(NULL);
	add(MiB(64), MiB(2), 0);
	assert_int_equal(frames_alloc(0, 0, 0, &a), 0);
	assert_int_equal(frames_alloc(0, 0, 0, &b), 0);
	frame_put(b);
	*(void **)phys_to_virt(b) = stray;
	FAKE_EXPECT_PANIC(frame_put(a));
	assert_non_null(strstr(fake_panic_text, "free list damaged"));
}

/* 64 GiB: one entry per 2 MiB is written, no other; of the memory only where a block begins. */
static void test_lazy_metadata(void **state)
{
	const struct frame garbage = {0xa5, 0xa5, 0xa5, 0xa5, 0xa5a5a5a5};
	static unsigned char resident[FAKE_MEM >> PAGE_SHIFT];
	u64 written = 0, pages = 0, base = MiB(1), len = FAKE_MEM - MiB(1);
	hpa_t pa;

	(void)state;
	add(base, len, 0);
	for (u64 i = 0; i < FAKE_MEM >> PAGE_SHIFT; i++)
		written += memcmp(&table[i], &garbage, sizeof(garbage)) != 0;
	/* 511 more in the first 2 MiB, of which the first half was not added. */
	assert_int_equal(written, (FAKE_MEM >> PAGE_2M_SHIFT) + 511);
	assert_int_equal(mincore(phys_to_virt(hpa(0)), FAKE_MEM, resident), 0);
	for (u64 i = 0; i < FAKE_MEM >> PAGE_SHIFT; i++)
		pages += resident[i] & 1;
	assert_in_range(pages, 1, 63 + 18);
	check_stats(FRAMES(len), 0);
	/* The first split of a block makes one chunk's entries valid. */
	assert_int_equal(frames_alloc(9, 0, 0, &pa), 0);
	assert_memory_equal(&table[(pa.v >> PAGE_SHIFT) + 1], &garbage, sizeof(garbage));
	frame_put(pa);
	for (u32 i = 0; i < 63; i++)
		assert_int_equal(frames_alloc(18, 0, 0, &pa), 0);
	assert_int_equal(frames_alloc(18, 0, 0, &pa), -TERN_ENOMEM);
	check_stats(FRAMES(len), FRAMES(GiB(63)));
	FAKE_EXPECT_PANIC(frame_put(hpa_add(pa, MiB(2))));
}

/* --- against a shadow model: who owns each frame --- */

#define MODEL_FRAMES FRAMES(GiB(3))
#define BLOCKS_MAX   4000

static struct {
	hpa_t pa;
	u32 order, refs;
} blocks[BLOCKS_MAX];
static u32 block_count;
static u8 owned[MODEL_FRAMES]; /* 0: not added, 1: free, 2: allocated */
static u64 model_total, model_used;

static void model_add(u64 base, u64 len, u32 node)
{
	add(base, len, node);
	memset(owned + FRAMES(base), 1, FRAMES(len));
	model_total += FRAMES(len);
}

/* Whether an aligned free block of this order exists. */
static bool model_has(u32 order)
{
	u64 n = 1ull << order;

	for (u64 i = 0; i < MODEL_FRAMES; i += n) {
		u64 k = 0;

		while (k < n && owned[i + k] == 1)
			k++;
		if (k == n)
			return true;
	}
	return false;
}

static void model_alloc(u32 order)
{
	hpa_t pa = hpa(1);
	int got = frames_alloc(order, 0, rnd(6), &pa);
	u64 first = FRAMES(pa.v);

	if (got != 0) {
		assert_int_equal(got, -TERN_ENOMEM);
		assert_int_equal(pa.v, 1);
		/* Two nodes meet at 2 MiB boundaries: above, a free block may be of two nodes. */
		if (order <= FRAME_ORDER_2M)
			assert_false(model_has(order));
		return;
	}
	assert_int_equal(pa.v % (PAGE_SIZE << order), 0);
	for (u64 i = 0; i < 1ull << order; i++) {
		if (owned[first + i] != 1)
			fail_msg("frame %#lx given while in state %u", pa.v + (i << PAGE_SHIFT),
				 owned[first + i]);
		owned[first + i] = 2;
	}
	blocks[block_count].pa = pa;
	blocks[block_count].order = order;
	blocks[block_count++].refs = 1;
	model_used += 1ull << order;
}

static void model_put(u32 i)
{
	frame_put(blocks[i].pa);
	if (--blocks[i].refs > 0)
		return;
	memset(owned + FRAMES(blocks[i].pa.v), 1, 1ull << blocks[i].order);
	model_used -= 1ull << blocks[i].order;
	blocks[i] = blocks[--block_count];
}

static void test_random(void **state)
{
	(void)state;
	block_count = 0;
	model_total = model_used = 0;
	model_add(MiB(1), MiB(99) + KiB(12), 0);
	model_add(MiB(120) + KiB(36), KiB(400), 0);
	model_add(MiB(121) + KiB(36), MiB(7) - KiB(36), 0);
	model_add(MiB(128), MiB(30), 1);
	model_add(MiB(158), KiB(4), 2);
	model_add(GiB(1), GiB(2), 5);
	check_stats(model_total, 0);
	for (u32 step = 0; step < 40000; step++) {
		/* Long stretches of growth and of shrinking, so that both ends are met. */
		bool grow = rnd(100) < ((step / 5000) % 2 == 0 ? 70u : 30u);
		u32 r = rnd(100);

		if (grow && block_count < BLOCKS_MAX)
			model_alloc(r < 60 ? 0 : r < 99 ? rnd(11) : 9 + rnd(10));
		else if (block_count > 0 && rnd(10) == 0) {
			u32 i = rnd(block_count);

			frame_get(blocks[i].pa);
			blocks[i].refs++;
		} else if (block_count > 0) {
			model_put(rnd(block_count));
		}
		check_stats(model_total, model_used);
	}
	while (block_count > 0)
		model_put(rnd(block_count));
	check_stats(model_total, 0);
	/* All came together again: the two gigabytes are whole. */
	for (u32 i = 0; i < 2; i++)
		assert_int_equal(frames_alloc(18, 0, 5, &unused), 0);
}

/* A machine of 64 MiB, used up in single frames; every refusal leaves all as it was. */
static void test_exhaustion(void **state)
{
	static hpa_t pa[FRAMES(MiB(64))];
	u32 n = 0;

	(void)state;
	add(MiB(1), MiB(63), 0);
	while (frames_alloc(0, FRAME_ZERO, FRAME_NODE_ANY, &pa[n]) == 0) {
		assert_int_equal(*(u64 *)phys_to_virt(pa[n]), 0);
		n++;
	}
	assert_int_equal(n, FRAMES(MiB(63)));
	for (u32 o = 0; o <= FRAME_ORDER_MAX; o++) {
		assert_int_equal(frames_alloc(o, 0, 0, &unused), -TERN_ENOMEM);
		check_stats(n, n);
	}
	assert_null(frames_alloc_page());
	/* Every second frame free: half the memory, and no two together. */
	for (u32 i = 0; i < n; i++) {
		if ((pa[i].v >> PAGE_SHIFT) % 2 == 0)
			frame_put(pa[i]);
	}
	check_stats(n, n / 2);
	assert_int_equal(frames_alloc(1, 0, 0, &unused), -TERN_ENOMEM);
	check_stats(n, n / 2);
	for (u32 i = 0; i < n; i++) {
		if ((pa[i].v >> PAGE_SHIFT) % 2 == 1)
			frame_put(pa[i]);
	}
	check_stats(n, 0);
	assert_int_equal(frames_alloc(13, 0, 0, &unused), 0);
	assert_int_equal(unused.v, MiB(32));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_empty, setup),
		cmocka_unit_test_setup(test_split_and_merge, setup),
		cmocka_unit_test_setup(test_misuse_panics, setup),
		cmocka_unit_test_setup(test_merged_frame_is_inside, setup),
		cmocka_unit_test_setup(test_added_twice_panics, setup),
		cmocka_unit_test_setup(test_edges, setup),
		cmocka_unit_test_setup(test_never_merges_across_nodes, setup),
		cmocka_unit_test_setup(test_too_many_pieces, setup),
		cmocka_unit_test_setup(test_poison, setup),
		cmocka_unit_test_setup(test_lazy_metadata, setup),
		cmocka_unit_test_setup(test_random, setup),
		cmocka_unit_test_setup(test_exhaustion, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
