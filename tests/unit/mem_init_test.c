/* SPDX-License-Identifier: MIT */
/* links: hv/mem/mem_init.c hv/mem/frames.c hv/mem/frame_cache.c hv/lock.c tests/fake/fake_host.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <cmocka.h>

#include <tern/acpi.h>
#include <tern/arch.h>
#include <tern/err.h>
#include <tern/frames.h>
#include <tern/mem.h>
#include <tests/fake/fake_host.h>

#define TABLE_LEN (FAKE_MEM >> PAGE_SHIFT << 3)

static struct frame *table;
static struct boot_info bi;
static struct acpi_info acpi;
static u32 seed;
static hpa_t unused;

static u32 rnd(u32 n)
{
	seed = seed * 1664525 + 1013904223;
	return (u32)(((u64)(seed >> 8) * n) >> 24);
}

static void mem(u64 base, u64 end, u32 type)
{
	bi.mem[bi.mem_count++] = (struct boot_mem){.base = base, .len = end - base, .type = type};
}

static void module(u64 base, u64 len)
{
	bi.modules[bi.module_count].base = base;
	bi.modules[bi.module_count++].len = len;
}

static void srat(u64 base, u64 len, u32 node)
{
	acpi.srat_mem[acpi.srat_mem_count++] =
		(struct acpi_srat_mem){.base = base, .len = len, .node = node};
}

static int setup(void **state)
{
	(void)state;
	fake_reset();
	memset(&bi, 0, sizeof(bi));
	memset(&acpi, 0, sizeof(acpi));
	acpi.node_count = 1;
	seed = 1;
	if (table != NULL)
		munmap(table, TABLE_LEN);
	/* Only what mem_table_ranges() names is accessible. */
	table = mmap(NULL, TABLE_LEN, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
		     0);
	assert_ptr_not_equal(table, MAP_FAILED);
	return 0;
}

static void map_range(u64 offset, u64 len)
{
	assert_int_equal((offset | len) % PAGE_SIZE, 0);
	assert_int_equal(mprotect((char *)table + offset, len, PROT_READ | PROT_WRITE), 0);
	memset((char *)table + offset, 0xa5, PAGE_SIZE);
}

static struct mem_stats finish(void)
{
	struct mem_stats st;
	struct frames_stats fs;

	mem_table_ranges(map_range);
	frames_init(table);
	mem_init(&acpi);
	mem_get_stats(&st);
	frames_get_stats(&fs);
	assert_int_equal(st.given, fs.total << PAGE_SHIFT);
	assert_int_equal(st.total, st.firmware + st.image + st.modules + st.holes + st.early +
					   st.table + st.lost + st.given);
	return st;
}

static void bios_512(void)
{
	mem(0, 0x9f000, BOOT_MEM_RAM);
	mem(0x9f000, MiB(1), BOOT_MEM_RESERVED);
	mem(MiB(1), MiB(512) - KiB(128), BOOT_MEM_RAM);
	mem(MiB(512) - KiB(128), MiB(512) - KiB(64), BOOT_MEM_ACPI_RECLAIM);
	mem(MiB(512) - KiB(64), MiB(512), BOOT_MEM_ACPI_NVS);
	mem(0xe0000000, 0xf0000000, BOOT_MEM_MMIO);
	bi.image_base = MiB(1);
	bi.image_len = KiB(300) + 5;
}

static void test_accounting(void **state)
{
	const struct mem_hole holes[] = {
		{.base = 0x3000000, .len = KiB(64), .name = "log"},
		{.base = 0x3020001, .len = 1, .name = "odd"},
	};
	struct mem_stats st;
	hpa_t a, b, t;

	(void)state;
	bios_512();
	module(MiB(2), 4097);
	module(MiB(4), 0);
	module(MiB(2) + KiB(8), KiB(4));
	mem_boot_init(&bi, holes, 2);
	a = mem_boot_alloc(1, 1);
	assert_int_equal(a.v, MiB(512) - KiB(128) - KiB(4));
	b = mem_boot_alloc(KiB(8), PAGE_SIZE);
	assert_int_equal(b.v, a.v - KiB(8));
	t = mem_table_alloc(MiB(2), MiB(2));
	assert_int_equal(t.v, MiB(508));
	st = finish();
	assert_int_equal(st.total, 0x9f000 + MiB(511) - KiB(64));
	assert_int_equal(st.firmware, 0x9f000 + KiB(64));
	assert_int_equal(st.image, KiB(304));
	assert_int_equal(st.modules, KiB(12));
	assert_int_equal(st.holes, KiB(68));
	assert_int_equal(st.early, KiB(12));
	assert_int_equal(st.table, MiB(2));
	assert_int_equal(st.lost, 0);
	assert_int_equal(st.reserved, MiB(1) - 0x9f000 + KiB(64));
	assert_string_equal(fake_log(), "");
	FAKE_EXPECT_PANIC(unused = mem_boot_alloc(1, 1));
	FAKE_EXPECT_PANIC(mem_init(&acpi));
}

/* Every frame the allocator gives away is RAM that nobody else has. */
static void test_nothing_taken_is_given(void **state)
{
	const struct mem_hole hole = {.base = 0x3000000, .len = KiB(64), .name = "log"};
	static u8 given[MiB(512) >> PAGE_SHIFT];
	struct mem_stats st;
	u64 sum = 0;
	hpa_t pa, early;

	(void)state;
	bios_512();
	module(MiB(2), MiB(3) + 1);
	mem_boot_init(&bi, &hole, 1);
	early = mem_boot_alloc(KiB(20), PAGE_SIZE);
	st = finish();
	while (frames_alloc(0, 0, 0, &pa) == 0) {
		assert_in_range(pa.v, MiB(1) + KiB(304), MiB(512) - KiB(129));
		assert_false(given[pa.v >> PAGE_SHIFT]);
		given[pa.v >> PAGE_SHIFT] = 1;
		sum += PAGE_SIZE;
		assert_false(pa.v >= MiB(2) && pa.v <= MiB(5));
		assert_false(pa.v >= 0x3000000 && pa.v < 0x3010000);
		assert_false(pa.v >= early.v && pa.v < early.v + KiB(20));
	}
	assert_int_equal(sum, st.given);
}

static void test_holes_that_collide(void **state)
{
	const struct mem_hole holes[] = {
		{.base = MiB(2) - KiB(4), .len = KiB(12), .name = "over a module"},
		{.base = MiB(511), .len = MiB(2), .name = "past the end"},
	};
	struct mem_stats st;

	(void)state;
	bios_512();
	module(MiB(2), KiB(4));
	mem_boot_init(&bi, holes, 2);
	st = finish();
	assert_int_equal(st.modules, KiB(4));
	assert_int_equal(st.holes, KiB(8) + MiB(1) - KiB(128));
	assert_non_null(strstr(fake_log(), "4 of 12 KiB at 0x1ff000 for \"over a module\""));
	assert_non_null(strstr(fake_log(), "past the end"));
}

static void test_early_allocations(void **state)
{
	hpa_t pa;

	(void)state;
	bios_512();
	mem(GiB(4), GiB(8), BOOT_MEM_RAM);
	mem_boot_init(&bi, NULL, 0);
	/* Below 4 GiB whatever there is above; the table where most is free. */
	pa = mem_boot_alloc(MiB(100), GiB(1));
	assert_int_equal(pa.v, 0);
	pa = mem_boot_alloc(MiB(512), 1);
	assert_int_equal(pa.v, 0);
	pa = mem_boot_alloc(MiB(100), MiB(256));
	assert_int_equal(pa.v, MiB(256));
	pa = mem_table_alloc(MiB(16), PAGE_SIZE);
	assert_int_equal(pa.v, GiB(8) - MiB(16));
	pa = mem_table_alloc(GiB(5), PAGE_SIZE);
	assert_int_equal(pa.v, 0);
	/* Page by page: neighbours melt into one piece. */
	for (u32 i = 0; i < 1000; i++) {
		pa = mem_boot_alloc(PAGE_SIZE, PAGE_SIZE);
		assert_int_not_equal(pa.v, 0);
		assert_true(pa.v + PAGE_SIZE <= GiB(4));
	}
	finish();
}

static void test_early_allocation_from_the_largest_range(void **state)
{
	(void)state;
	mem(MiB(1), MiB(512), BOOT_MEM_RAM);
	mem(MiB(600), GiB(1), BOOT_MEM_RAM);
	mem(GiB(2), GiB(2) + KiB(64), BOOT_MEM_RAM);
	mem_boot_init(&bi, NULL, 0);
	assert_int_equal(mem_boot_alloc(KiB(4), 1).v, MiB(512) - KiB(4));
	finish();
}

/* A table backed page by page, with page tables in between, all from one range: still one piece. */
static void test_early_and_table_from_one_range(void **state)
{
	hpa_t pa, last = hpa(MiB(512) - KiB(128));

	(void)state;
	bios_512();
	mem_boot_init(&bi, NULL, 0);
	for (u32 i = 0; i < 1000; i++) {
		pa = i % 5 == 0 ? mem_boot_alloc(PAGE_SIZE, 1) : mem_table_alloc(PAGE_SIZE, 1);
		assert_int_equal(pa.v, last.v - PAGE_SIZE);
		last = pa;
	}
	finish();
}

/* What the table needs: pages for RAM alone, each named once. */
static struct {
	u64 offset, len;
} seen[8];
static u32 seen_count;

static void note_range(u64 offset, u64 len)
{
	seen[seen_count].offset = offset;
	seen[seen_count++].len = len;
}

static void test_table_ranges(void **state)
{
	(void)state;
	bios_512();
	mem(GiB(4) + KiB(4), GiB(4) + MiB(1), BOOT_MEM_RAM);
	mem(GiB(4) + MiB(1), GiB(4) + MiB(1) + KiB(8), BOOT_MEM_RESERVED);
	mem(GiB(4) + MiB(1) + KiB(8), GiB(4) + MiB(2), BOOT_MEM_RAM);
	mem(GiB(4) + MiB(2), GiB(4) + MiB(4), BOOT_MEM_RAM);
	mem(GiB(6), GiB(6) + KiB(4), BOOT_MEM_RAM);
	mem_boot_init(&bi, NULL, 0);
	seen_count = 0;
	mem_table_ranges(note_range);
	assert_int_equal(seen_count, 3);
	assert_int_equal(seen[0].offset, 0);
	assert_int_equal(seen[0].len, 256 * PAGE_SIZE);
	assert_int_equal(seen[1].offset, 2048 * PAGE_SIZE);
	assert_int_equal(seen[1].len, 2 * PAGE_SIZE);
	assert_int_equal(seen[2].offset, 3072 * PAGE_SIZE);
	assert_int_equal(seen[2].len, PAGE_SIZE);
	finish();
}

static void test_numa(void **state)
{
	struct frames_stats fs;
	hpa_t pa;

	(void)state;
	mem(0, 0xa0000, BOOT_MEM_RAM);
	mem(MiB(1), GiB(3), BOOT_MEM_RAM);
	mem(GiB(4), GiB(16), BOOT_MEM_RAM);
	/* Unsorted, one boundary off by some pages, one node that Tern does not keep apart. */
	srat(GiB(8) + KiB(12), GiB(4) - KiB(12), 1);
	srat(GiB(12), GiB(2), 77);
	srat(0, GiB(3), 0);
	srat(GiB(4), GiB(4) + KiB(12), 0);
	srat(GiB(14), GiB(1), 3);
	srat(GiB(13), 0, 4);
	mem_boot_init(&bi, NULL, 0);
	finish();
	assert_int_equal(frame_node(hpa(MiB(1))), 0);
	assert_int_equal(frame_node(hpa(GiB(8) - MiB(2))), 0);
	assert_int_equal(frame_node(hpa(GiB(8))), 1);
	assert_int_equal(frame_node(hpa(GiB(12) - 1)), 1);
	assert_int_equal(frame_node(hpa(GiB(13))), 0);
	assert_int_equal(frame_node(hpa(GiB(14))), 3);
	assert_int_equal(frame_node(hpa(GiB(16) - 1)), 3); /* not listed: as what comes before */
	assert_non_null(strstr(fake_log(), "more than 16 NUMA nodes"));
	frames_get_stats(&fs);
	assert_int_equal(fs.free_blocks[18], 2 + 12);
	assert_int_equal(frames_alloc(18, 0, 1, &pa), 0);
	assert_int_equal(frame_node(pa), 1);
}

static void test_64_mib(void **state)
{
	struct mem_stats st;

	(void)state;
	mem(0, 0x9fc00 & ~0xfffu, BOOT_MEM_RAM);
	mem(MiB(1), MiB(64), BOOT_MEM_RAM);
	bi.image_base = MiB(1);
	bi.image_len = MiB(1);
	mem_boot_init(&bi, NULL, 0);
	assert_int_equal(mem_table_alloc(KiB(128), PAGE_SIZE).v, MiB(64) - KiB(128));
	st = finish();
	assert_int_equal(st.given, MiB(62) - KiB(128));
}

/* Maps of many small pieces: what the allocator cannot tell apart is counted, not lost quietly. */
static void test_too_many_pieces(void **state)
{
	struct mem_stats st;

	(void)state;
	for (u64 i = 1; i <= 200; i++)
		mem(MiB(4) * i, MiB(4) * i + MiB(1), BOOT_MEM_RAM);
	mem_boot_init(&bi, NULL, 0);
	st = finish();
	assert_int_equal(st.given, MiB(128));
	assert_int_equal(st.lost, MiB(72));
}

static void test_too_many_takers(void **state)
{
	u32 n = 0;

	(void)state;
	for (u64 i = 1; i <= 200; i++)
		mem(MiB(4) * i, MiB(4) * i + MiB(1), BOOT_MEM_RAM);
	mem_boot_init(&bi, NULL, 0);
	for (; n < 127; n++)
		assert_int_not_equal(mem_boot_alloc(KiB(600), PAGE_SIZE).v, 0);
	FAKE_EXPECT_PANIC(unused = mem_boot_alloc(KiB(600), PAGE_SIZE));
	assert_non_null(strstr(fake_panic_text, "more than 128 pieces"));
}

/* Random maps, against a map of pages. */
#define PAGES (MiB(256) >> PAGE_SHIFT)

static void mark(u8 *pages, u64 base, u64 len)
{
	for (u64 i = base >> PAGE_SHIFT; i < (base + len + PAGE_SIZE - 1) >> PAGE_SHIFT; i++) {
		if (i < PAGES)
			pages[i] = 0;
	}
}

static void one_random_map(void)
{
	static u8 pages[PAGES];
	struct mem_hole holes[3];
	u64 at = 0, sum = 0;
	struct mem_stats st;
	hpa_t pa;

	memset(pages, 0, sizeof(pages));
	while (at < PAGES && bi.mem_count < 60) {
		u64 n = min_u64(1 + rnd(rnd(4) == 0 ? 20000 : 600), PAGES - at);
		u32 type = rnd(3) != 0 ? BOOT_MEM_RAM : 2 + rnd(5);

		mem(at << PAGE_SHIFT, (at + n) << PAGE_SHIFT, type);
		memset(pages + at, type == BOOT_MEM_RAM, n);
		at += n + (rnd(2) == 0 ? rnd(700) : 0);
	}
	mark(pages, 0, MiB(1));
	bi.image_base = MiB(1);
	bi.image_len = rnd(MiB(2));
	mark(pages, bi.image_base, bi.image_len);
	for (u32 i = 0; i < 10; i++) {
		module((u64)rnd(PAGES) << PAGE_SHIFT, rnd(MiB(1)));
		mark(pages, bi.modules[i].base, bi.modules[i].len);
	}
	for (u32 i = 0; i < 3; i++) {
		holes[i] = (struct mem_hole){rnd(MiB(255)), rnd(KiB(600)), "hole"};
		mark(pages, align_down(holes[i].base, PAGE_SIZE),
		     holes[i].len + holes[i].base % PAGE_SIZE);
	}
	mem_boot_init(&bi, holes, 3);
	for (u32 i = 0; i < 30; i++) {
		u64 len = 1 + rnd(KiB(100)), align = PAGE_SIZE << rnd(8);

		pa = rnd(2) != 0 ? mem_boot_alloc(len, align) : mem_table_alloc(len, align);
		if (pa.v == 0)
			continue;
		assert_int_equal(pa.v % align, 0);
		for (u64 p = pa.v; p < pa.v + len; p += PAGE_SIZE)
			assert_int_equal(pages[p >> PAGE_SHIFT], 1);
		mark(pages, pa.v, len);
	}
	for (u32 i = 0; i < 5; i++)
		srat((u64)rnd(PAGES) << PAGE_SHIFT, MiB(1) + rnd(MiB(100)), rnd(4));
	st = finish();
	for (u64 i = 0; i < PAGES; i++)
		sum += pages[i];
	assert_int_equal(st.given, sum << PAGE_SHIFT);
	assert_int_equal(st.lost, 0);
	while (frames_alloc(0, 0, rnd(4), &pa) == 0) {
		assert_int_equal(pages[pa.v >> PAGE_SHIFT], 1);
		pages[pa.v >> PAGE_SHIFT] = 2;
		sum--;
	}
	assert_int_equal(sum, 0);
}

static void test_random_maps(void **state)
{
	for (u32 i = 0; i < 30; i++) {
		setup(state);
		seed = i;
		one_random_map();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_accounting, setup),
		cmocka_unit_test_setup(test_nothing_taken_is_given, setup),
		cmocka_unit_test_setup(test_holes_that_collide, setup),
		cmocka_unit_test_setup(test_early_allocations, setup),
		cmocka_unit_test_setup(test_early_allocation_from_the_largest_range, setup),
		cmocka_unit_test_setup(test_early_and_table_from_one_range, setup),
		cmocka_unit_test_setup(test_table_ranges, setup),
		cmocka_unit_test_setup(test_numa, setup),
		cmocka_unit_test_setup(test_64_mib, setup),
		cmocka_unit_test_setup(test_too_many_pieces, setup),
		cmocka_unit_test_setup(test_too_many_takers, setup),
		cmocka_unit_test_setup(test_random_maps, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
