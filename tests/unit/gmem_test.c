/* SPDX-License-Identifier: MIT */
/* links: hv/mem/gmem.c hv/mem/gmem_access.c hv/mem/gmem_grant.c hv/mem/gmem_policy.c arch/x86_64/npt.c arch/x86_64/vmx/ept.c hv/lock.c tests/fake/fake_frames.c tests/fake/fake_mmu.c tests/fake/fake_scrub.c tests/fake/fake_host.c */
/* Guest memory, used by a guest whose CPU remembers translations until it is flushed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <arch/x86_64/vmx/ept.h>
#include <tern/arch.h>
#include <tern/err.h>
#include <tern/gmem.h>
#include <tern/scrub.h>
#include <tests/fake/fake_frames.h>
#include <tests/fake/fake_host.h>
#include <tests/fake/fake_mmu.h>
#include <tests/fake/fake_scrub.h>

#define FRAMES   16384u
#define PAGES(n) ((u64)(n) << PAGE_SHIFT)

static struct gmem g;
static u32 flushes, seed;
static bool busy; /* another vCPU touches memory while one is about to flush */
static int owner;

static u32 rnd(u32 n)
{
	seed = seed * 1664525 + 1013904223;
	return (u32)(((u64)(seed >> 8) * n) >> 24);
}

static void flush(void *who)
{
	assert_ptr_equal(who, &owner);
	assert_false(lock_held(&g.lock));
	for (u32 i = rnd(20); busy && i > 0; i--)
		gmem_touch(&g, gpa(MiB(2) + PAGES(rnd(1024))), true);
	fake_mmu_flush();
	flushes++;
}

static void start(u32 frames)
{
	fake_reset();
	fake_frames_reset(frames);
	fake_scrub_reset();
	fake_mmu_flush();
	flushes = 0;
	seed = 3;
	busy = false;
	assert_int_equal(gmem_create(&g, &ept_format, flush, &owner), 0);
}

static int setup(void **state)
{
	(void)state;
	start(FRAMES);
	return 0;
}

static void add(u64 base, u64 len, enum gmem_kind kind)
{
	assert_int_equal(gmem_add(&g, gpa(base), len, kind), 0);
}

/* Backed bytes are leaves, tables are tables, and all frames in use are one or the other. */
static void check(void)
{
	struct fake_mmu_count c = fake_mmu_walk(g.npt.root);
	struct gmem_stats st;

	gmem_get_stats(&g, &st);
	assert_int_equal(st.backed, PAGES(c.pages));
	assert_int_equal(st.tables, PAGES(c.tables));
	assert_int_equal(g.backed_rom, PAGES(c.pages - c.writable));
	assert_int_equal(fake_frames_used(), c.pages + c.tables + scrub_backlog());
	assert_false(lock_held(&g.lock));
}

static void destroy(void)
{
	while (gmem_destroy_some(&g, 100))
		;
	assert_int_equal(g.backed, 0);
	assert_int_equal(g.npt.table_pages, 0);
	assert_false(gmem_destroy_some(&g, 100));
	while (scrub_some(1000))
		;
	assert_int_equal(scrub_backlog(), 0);
	assert_int_equal(fake_frames_used(), 0);
}

/* What a vCPU does: NULL when it does not get the memory; *why says why. */
static void *guest(u64 at, bool write, enum gmem_touch *why)
{
	hpa_t pa;

	*why = GMEM_MAPPED;
	for (u32 i = 0; i < 2; i++) {
		if (fake_mmu_access(g.npt.root, gpa(at), write, &pa))
			return phys_to_virt(pa);
		*why = gmem_touch(&g, gpa(at), write);
		if (*why != GMEM_MAPPED)
			return NULL;
	}
	fail_msg("%#lx was backed, but a CPU cannot access it", at);
	return NULL;
}

static void guest_write(u64 at, u64 value)
{
	enum gmem_touch why;
	u64 *p = guest(at, true, &why);

	assert_non_null(p);
	*p = value;
}

static u64 guest_read(u64 at)
{
	enum gmem_touch why;
	const u64 *p = guest(at, false, &why);

	assert_non_null(p);
	return *p;
}

static void test_regions(void **state)
{
	(void)state;
	assert_int_equal(gmem_add(&g, gpa(1), PAGE_SIZE, GMEM_RAM), -TERN_EINVAL);
	assert_int_equal(gmem_add(&g, gpa(0), PAGE_SIZE - 1, GMEM_RAM), -TERN_EINVAL);
	assert_int_equal(gmem_add(&g, gpa(0), 0, GMEM_RAM), -TERN_EINVAL);
	assert_int_equal(gmem_add(&g, gpa(NPT_GPA_END), PAGE_SIZE, GMEM_RAM), -TERN_EINVAL);
	assert_int_equal(gmem_add(&g, gpa(PAGE_SIZE), NPT_GPA_END, GMEM_RAM), -TERN_EINVAL);
	assert_int_equal(gmem_add(&g, gpa(PAGE_SIZE), 0 - PAGE_SIZE, GMEM_RAM), -TERN_EINVAL);
	add(MiB(1), MiB(3), GMEM_RAM);
	add(0, KiB(640), GMEM_RAM);
	add(KiB(896), KiB(128), GMEM_ROM);
	assert_int_equal(gmem_add(&g, gpa(MiB(4) - PAGE_SIZE), MiB(1), GMEM_RAM), -TERN_EINVAL);
	assert_int_equal(gmem_add(&g, gpa(KiB(800)), KiB(100), GMEM_RAM), -TERN_EINVAL);
	assert_int_equal(gmem_add(&g, gpa(0), MiB(8), GMEM_RAM), -TERN_EINVAL);
	assert_int_equal(g.region_count, 3);
	assert_int_equal(g.regions[1].base.v, KiB(896));
	assert_int_equal(g.advertised, KiB(640) + MiB(3));
	assert_int_equal(g.grant, KiB(640) + MiB(3));
	for (u32 i = 3; i < GMEM_REGIONS_MAX; i++)
		add(GiB(i), PAGE_SIZE, GMEM_RAM);
	assert_int_equal(gmem_add(&g, gpa(GiB(100)), PAGE_SIZE, GMEM_RAM), -TERN_ENOSPC);
	/* Every byte of each, and none beside them. */
	for (u32 i = 0; i < GMEM_REGIONS_MAX; i++) {
		const struct gmem_region *r = &g.regions[i];

		assert_int_equal(gmem_touch(&g, r->base, false), GMEM_MAPPED);
		assert_int_equal(gmem_touch(&g, gpa(r->base.v + r->len - 1), false), GMEM_MAPPED);
	}
	assert_int_equal(gmem_touch(&g, gpa(KiB(640)), true), GMEM_NOT_MEMORY);
	assert_int_equal(gmem_touch(&g, gpa(KiB(896) - 1), true), GMEM_NOT_MEMORY);
	assert_int_equal(gmem_touch(&g, gpa(MiB(4)), true), GMEM_NOT_MEMORY);
	assert_int_equal(gmem_touch(&g, gpa(GiB(4) + PAGE_SIZE), true), GMEM_NOT_MEMORY);
	assert_int_equal(gmem_touch(&g, gpa(NPT_GPA_END), true), GMEM_NOT_MEMORY);
	assert_int_equal(gmem_touch(&g, gpa(NPT_GPA_END | PAGE_SIZE), true), GMEM_NOT_MEMORY);
	assert_int_equal(gmem_touch(&g, gpa(UINT64_MAX), true), GMEM_NOT_MEMORY);
	check();
	destroy();
}

static void test_touch(void **state)
{
	enum gmem_touch why;

	(void)state;
	add(0, MiB(16), GMEM_RAM);
	add(GiB(4) - KiB(64), KiB(64), GMEM_ROM);
	check();
	assert_int_equal(guest_read(0x5008), 0);
	assert_int_equal(g.backed, PAGE_SIZE);
	assert_int_equal(g.npt.table_pages, 4);
	guest_write(0x5010, 77);
	assert_int_equal(guest_read(0x5010), 77);
	assert_int_equal(g.faults, 1);
	/* A second vCPU came too late: nothing happens. */
	assert_int_equal(gmem_touch(&g, gpa(0x5fff), true), GMEM_MAPPED);
	assert_int_equal(g.faults, 1);
	assert_int_equal(g.backed, PAGE_SIZE);
	check();
	/* ROM: writes are refused, whether it is backed or not; reads back it. */
	assert_null(guest(GiB(4) - 16, true, &why));
	assert_int_equal(why, GMEM_ROM_WRITE);
	assert_int_equal(g.backed, PAGE_SIZE);
	assert_int_equal(guest_read(GiB(4) - 16), 0);
	assert_null(guest(GiB(4) - 16, true, &why));
	assert_int_equal(why, GMEM_ROM_WRITE);
	assert_int_equal(g.backed_rom, PAGE_SIZE);
	assert_int_equal(g.stalls, 0);
	assert_int_equal(flushes, 0);
	check();
	destroy();
}

/* The promise: a page touched is a frame, whatever the guest is told it has. */
static void test_scattered_pages(void **state)
{
	static u64 at[10000];
	u64 tables = 1, last[3] = {~0ull, ~0ull, ~0ull};

	(void)state;
	start(32768);
	add(0, GiB(64), GMEM_RAM);
	for (u32 i = 0; i < 10000; i++) {
		at[i] = i * MiB(6) + (i % 3 == 0 ? 0 : PAGES(rnd(1536)));
		assert_int_equal(gmem_touch(&g, gpa(at[i] + rnd(4096)), i % 2), GMEM_MAPPED);
		for (u32 l = 0; l < 3; l++) {
			u64 table = at[i] >> (21 + 9 * l);

			tables += table != last[l];
			last[l] = table;
		}
	}
	assert_int_equal(g.backed, PAGES(10000));
	assert_int_equal(g.npt.table_pages, tables);
	assert_int_equal(fake_frames_used(), 10000 + tables);
	check();
	/* The same for pages that lie close together, but not in a row. */
	for (u32 i = 0; i < 2000; i++)
		assert_int_equal(gmem_touch(&g, gpa(GiB(63) + PAGES(2 * i)), true), GMEM_MAPPED);
	assert_int_equal(g.backed, PAGES(12000));
	/* And downwards. */
	for (u32 i = 1000; i > 0; i--)
		assert_int_equal(gmem_touch(&g, gpa(GiB(62) + PAGES(i)), true), GMEM_MAPPED);
	assert_int_equal(g.backed, PAGES(13000));
	check();
	destroy();
}

static void test_grant(void **state)
{
	enum gmem_touch why;

	(void)state;
	add(0, MiB(1), GMEM_RAM);
	add(MiB(2), MiB(1), GMEM_ROM);
	assert_int_equal(gmem_set_grant(&g, MiB(1) + PAGE_SIZE, false), -TERN_EINVAL);
	assert_int_equal(gmem_set_grant(&g, PAGE_SIZE + 1, false), -TERN_EINVAL);
	assert_int_equal(g.grant, MiB(1));
	assert_int_equal(gmem_set_grant(&g, PAGES(2), false), 0);
	/* ROM does not count. */
	assert_int_equal(guest_read(MiB(2)), 0);
	assert_int_equal(guest_read(MiB(2) + PAGES(5)), 0);
	assert_int_equal(guest_read(MiB(2) + PAGES(7)), 0);
	guest_write(0, 1);
	guest_write(PAGES(2), 2);
	assert_null(guest(PAGES(4), true, &why));
	assert_int_equal(why, GMEM_OVER_GRANT);
	assert_int_equal(g.stalls, 1);
	check();
	/* Less than what is backed: nothing is taken, nothing is added. */
	assert_int_equal(gmem_set_grant(&g, 0, false), 0);
	assert_int_equal(guest_read(0), 1);
	assert_int_equal(gmem_unback(&g, gpa(0), PAGE_SIZE), PAGE_SIZE);
	assert_null(guest(0, false, &why));
	assert_int_equal(why, GMEM_OVER_GRANT);
	assert_int_equal(gmem_set_grant(&g, PAGES(2), false), 0);
	assert_int_equal(guest_read(0), 0);
	check();
	destroy();
}

/* The page waits for a frame and goes on when there is one. */
static void test_no_frame(void **state)
{
	enum gmem_touch why;
	u64 at = 0;

	(void)state;
	start(64);
	add(0, GiB(1), GMEM_RAM);
	while (guest(at, true, &why) != NULL)
		at += PAGES(2);
	assert_int_equal(why, GMEM_NO_FRAME);
	assert_int_equal(at, PAGES(2 * 60));
	assert_int_equal(g.stalls, 1);
	check();
	/* A frame is there, but it needs tables too. */
	assert_int_equal(gmem_unback(&g, gpa(PAGES(4)), PAGES(2)), PAGE_SIZE);
	assert_null(guest(MiB(512), true, &why));
	assert_int_equal(why, GMEM_NO_FRAME);
	check();
	assert_int_equal(scrub_backlog(), 0); /* a touch does not wait for idle time */
	guest_write(at, 5);
	check();
	destroy();
}

static void test_policy_is_pure(void **state)
{
	const struct gmem_policy *p = &gmem_policy, *l = &gmem_policy_large;

	(void)state;
	for (u32 run = 0; run < 8; run++) {
		assert_int_equal(gmem_policy_pages(p, run, false, 100), 1);
		assert_int_equal(gmem_policy_pages(l, run, true, 100), 1);
	}
	assert_int_equal(gmem_policy_pages(p, 8, false, 100), 16);
	assert_int_equal(gmem_policy_pages(p, 8, true, 100), 16);
	assert_int_equal(gmem_policy_pages(l, 8, false, 100), 16);
	assert_int_equal(gmem_policy_pages(l, 8, true, 25), 512);
	assert_int_equal(gmem_policy_pages(l, 8, true, 24), 16);
	destroy();
}

static void test_sequence(void **state)
{
	(void)state;
	add(MiB(1), MiB(5), GMEM_RAM);
	add(MiB(16), PAGES(12), GMEM_RAM);
	add(GiB(1), MiB(1), GMEM_RAM);
	for (u32 i = 0; i < 8; i++)
		guest_write(MiB(1) + PAGES(i), i);
	assert_int_equal(g.backed, PAGES(8));
	guest_write(MiB(1) + PAGES(8), 8);
	assert_int_equal(g.backed, PAGES(24));
	assert_int_equal(g.faults, 9);
	check();
	/* A page of another use is in the way: it stays what it is. */
	guest_write(MiB(1) + PAGES(30), 30);
	guest_write(MiB(1) + PAGES(24), 24);
	assert_int_equal(g.backed, PAGES(40));
	assert_int_equal(guest_read(MiB(1) + PAGES(30)), 30);
	/* To the end of a table, to the end of the region, and no further. */
	for (u32 i = 0; i < 1280; i++)
		guest_write(MiB(1) + PAGES(i), i);
	assert_int_equal(g.backed, MiB(5));
	assert_true(g.faults < 100);
	for (u32 i = 0; i < 1280; i++)
		assert_int_equal(guest_read(MiB(1) + PAGES(i)), i);
	check();
	/* What the grant does not allow is left out, quietly. */
	for (u32 i = 0; i < 12; i++)
		guest_write(MiB(16) + PAGES(i), i);
	assert_int_equal(gmem_touch(&g, gpa(MiB(16) + PAGES(12)), true), GMEM_NOT_MEMORY);
	assert_int_equal(g.backed, MiB(5) + PAGES(12));
	assert_int_equal(gmem_unback(&g, gpa(0), MiB(32)), MiB(5) + PAGES(12));
	assert_int_equal(gmem_set_grant(&g, PAGES(11), false), 0);
	for (u32 i = 0; i < 9; i++)
		guest_write(MiB(3) + PAGES(i), i);
	assert_int_equal(g.backed, PAGES(11));
	assert_int_equal(g.stalls, 0);
	check();
	destroy();
}

/* Backs [base, base + 4 MiB): 512 single pages, then one large leaf. */
static void back_large_leaf(u64 base)
{
	g.policy = &gmem_policy_large;
	for (u32 i = 0; i < 512; i++)
		guest_write(base + PAGES(i), base + i);
	assert_int_equal(npt_get(&g.npt, gpa(base + MiB(2))).state, NPT_ABSENT);
	for (u32 i = 512; i < 1024; i++)
		guest_write(base + PAGES(i), base + i);
	assert_int_equal(npt_get(&g.npt, gpa(base + MiB(2))).level, 1);
	assert_int_equal(fake_mmu_walk(g.npt.root).tables, g.npt.table_pages);
}

static void test_large_leaf(void **state)
{
	u64 tables;

	(void)state;
	add(0, GiB(1), GMEM_RAM);
	back_large_leaf(MiB(4));
	assert_int_equal(g.backed, MiB(4));
	/* It goes on behind a large leaf. */
	guest_write(MiB(8), 1);
	assert_int_equal(npt_get(&g.npt, gpa(MiB(8))).level, 1);
	assert_int_equal(gmem_unback(&g, gpa(MiB(8)), MiB(2)), MiB(2));
	assert_int_equal(flushes, 1);
	tables = g.npt.table_pages;
	check();
	/* Three pages of it go: it becomes single pages, the rest keeps its content. */
	assert_int_equal(gmem_unback(&g, gpa(MiB(6) + PAGES(7)), PAGES(3)), PAGES(3));
	assert_int_equal(flushes, 2);
	assert_int_equal(g.npt.table_pages, tables + 1);
	check();
	assert_int_equal(g.backed, MiB(4) - PAGES(3));
	for (u32 i = 512; i < 1024; i++) {
		u64 expect = i >= 519 && i < 522 ? 0 : MiB(4) + i;

		assert_int_equal(guest_read(MiB(4) + PAGES(i)), expect);
	}
	check();
	/* All of one at once. */
	back_large_leaf(MiB(64));
	assert_int_equal(gmem_unback(&g, gpa(MiB(66)), MiB(2)), MiB(2));
	check();
	assert_int_equal(guest_read(MiB(67)), 0);
	check();
	destroy();
}

/* Its part cannot be given back, but reads as zero all the same. */
static void test_large_leaf_cannot_be_split(void **state)
{
	(void)state;
	add(0, GiB(1), GMEM_RAM);
	back_large_leaf(0);
	fake_frames_left = 0;
	assert_int_equal(gmem_unback(&g, gpa(MiB(2) + PAGES(500)), PAGES(12)), 0);
	check();
	for (u32 i = 512; i < 1024; i++)
		assert_int_equal(guest_read(PAGES(i)), i >= 512 + 500 ? 0 : i);
	assert_int_equal(gmem_unback(&g, gpa(PAGES(510)), PAGES(4)), PAGES(2));
	assert_int_equal(guest_read(PAGES(513)), 0);
	assert_int_equal(guest_read(PAGES(514)), 514);
	check();
	destroy();
}

static void test_large_leaf_needs_room(void **state)
{
	(void)state;
	add(0, MiB(16), GMEM_RAM);
	g.policy = &gmem_policy_large;
	/* By the grant. */
	assert_int_equal(gmem_set_grant(&g, MiB(3), false), 0);
	for (u32 i = 0; i < 513; i++)
		guest_write(PAGES(i), i);
	assert_int_equal(g.backed, PAGES(512 + 16));
	/* In one piece; fragmented memory does too. */
	assert_int_equal(gmem_unback(&g, gpa(0), MiB(16)), PAGES(528));
	assert_int_equal(gmem_set_grant(&g, MiB(16), false), 0);
	for (u32 i = 0; i < 512; i++)
		guest_write(PAGES(i), i);
	while (scrub_some(1000))
		;
	guest_write(MiB(2), 1);
	assert_int_equal(npt_get(&g.npt, gpa(MiB(2))).level, 1);
	/* Neither across the end of the region, nor without large leaves in the format. */
	for (u32 i = 512; i < 4096; i++)
		guest_write(PAGES(i), i);
	check();
	destroy();
	start(FRAMES);
	add(0, MiB(3), GMEM_RAM);
	add(GiB(1), MiB(3), GMEM_RAM);
	g.policy = &gmem_policy_large;
	for (u32 i = 0; i < 768; i++)
		guest_write(PAGES(i), i);
	assert_int_equal(npt_get(&g.npt, gpa(MiB(2))).level, 0);
	assert_int_equal(g.backed, MiB(3));
	check();
	destroy();
	start(FRAMES);
	g.npt.fmt = ept_format_for(0);
	add(0, MiB(8), GMEM_RAM);
	g.policy = &gmem_policy_large;
	for (u32 i = 0; i < 2048; i++)
		guest_write(PAGES(i), i);
	assert_int_equal(npt_get(&g.npt, gpa(MiB(4))).level, 0);
	check();
	destroy();
}

static void test_unback(void **state)
{
	(void)state;
	add(0, GiB(2), GMEM_RAM);
	add(GiB(4) - MiB(1), MiB(1), GMEM_ROM);
	for (u32 i = 0; i < 1000; i++)
		guest_write(PAGES(i), i + 1);
	assert_int_equal(gmem_load(&g, gpa(GiB(4) - PAGE_SIZE), "rom", 4), 0);
	assert_int_equal(g.backed, PAGES(1000 + 8 + 1));
	/* Only whole pages. */
	assert_int_equal(gmem_unback(&g, gpa(1), PAGE_SIZE), 0);
	assert_int_equal(gmem_unback(&g, gpa(1), PAGES(2) - 1), PAGE_SIZE);
	assert_int_equal(guest_read(0), 1);
	assert_int_equal(guest_read(PAGES(1)), 0);
	assert_int_equal(guest_read(PAGES(2)), 3);
	check();
	/* Nothing there: nothing to flush. */
	flushes = 0;
	assert_int_equal(gmem_unback(&g, gpa(GiB(1)), MiB(512)), 0);
	assert_int_equal(gmem_unback(&g, gpa(NPT_GPA_END), MiB(512)), 0);
	assert_int_equal(gmem_unback(&g, gpa(UINT64_MAX - 5), MiB(512)), 0);
	assert_int_equal(flushes, 0);
	/* Tables that become empty on the way. */
	for (u64 at = GiB(1); at < GiB(1) + MiB(20); at += MiB(3))
		guest_write(at, 1);
	check();
	assert_int_equal(gmem_unback(&g, gpa(GiB(1)), MiB(64)), PAGES(7));
	assert_int_equal(flushes, 1);
	assert_int_equal(g.npt.table_pages, 1 + 1 + 2 + 2 + 1);
	flushes = 0;
	/* A flush for many frames; empty tables go too; ROM stays. */
	assert_int_equal(gmem_unback(&g, gpa(0), UINT64_MAX), PAGES(1008));
	assert_true(flushes <= 9);
	assert_int_equal(g.backed, PAGE_SIZE);
	assert_int_equal(g.npt.table_pages, 4);
	assert_int_equal(scrub_backlog(), 1016);
	check();
	assert_memory_equal(guest(GiB(4) - PAGE_SIZE, false, &(enum gmem_touch){0}), "rom", 4);
	for (u32 i = 0; i < 1000; i++)
		assert_int_equal(guest_read(PAGES(i)), 0);
	check();
	destroy();
}

/* A page whose content is elsewhere: it stalls, and giving it back forgets where. */
static void test_remote(void **state)
{
	struct npt_entry e = {.state = NPT_REMOTE, .pa = hpa(0x123000)};
	enum gmem_touch why;
	hpa_t unlinked = hpa(0);
	u64 value;

	(void)state;
	add(0, MiB(4), GMEM_RAM);
	guest_write(0x8000, 1); /* the table stays */
	assert_int_equal(npt_reserve(&g.npt, gpa(0x4000), 0), 0);
	assert_false(npt_set(&g.npt, gpa(0x4000), &e, &unlinked));
	assert_null(guest(0x4000, false, &why));
	assert_int_equal(why, GMEM_NO_FRAME);
	assert_int_equal(g.stalls, 1);
	assert_int_equal(gmem_read(&g, gpa(0x4000), &value, 8), -TERN_EAGAIN);
	assert_int_equal(gmem_write(&g, gpa(0x4000), &value, 8), -TERN_EAGAIN);
	guest_write(0x2000, 1);
	flushes = 0;
	assert_int_equal(gmem_unback(&g, gpa(0x2000), 0x3000), PAGE_SIZE);
	assert_int_equal(flushes, 1);
	assert_int_equal(guest_read(0x2000), 0);
	assert_int_equal(guest_read(0x4000), 0);
	/* The only one of a table: a CPU may remember where the table was. */
	assert_int_equal(npt_reserve(&g.npt, gpa(MiB(2)), 0), 0);
	assert_false(npt_set(&g.npt, gpa(MiB(2)), &e, &unlinked));
	assert_null(guest(MiB(2), false, &why));
	assert_int_equal(gmem_unback(&g, gpa(MiB(2)), MiB(2)), 0);
	assert_int_equal(flushes, 2);
	check();
	destroy();
}

/* Each allocation of a life fails once, and once more later: an answer, no change, no leak. */
static void life(void)
{
	enum gmem_touch why;
	u64 value = 9;

	add(0, GiB(2), GMEM_RAM);
	g.policy = &gmem_policy_large;
	for (u32 i = 0; i < 30; i++) {
		u64 before = g.backed;

		if (guest(GiB(1) - PAGES(15) + PAGES(i), true, &why) == NULL) {
			assert_int_equal(why, GMEM_NO_FRAME);
			assert_int_equal(g.backed, before);
		}
		check();
	}
	if (gmem_write(&g, gpa(MiB(800)), &value, 8) != 0)
		assert_int_equal(npt_get(&g.npt, gpa(MiB(800))).state, NPT_ABSENT);
	check();
	/* A large leaf, where there is room for one; a part of it goes, which takes a table. */
	for (u32 i = 0; i < 512; i++)
		guest(MiB(64) + PAGES(i), true, &why);
	guest(MiB(66), true, &why);
	check();
	gmem_unback(&g, gpa(MiB(66) + PAGES(100)), PAGES(3));
	check();
	if (npt_get(&g.npt, gpa(MiB(66) + PAGES(100))).state != NPT_ABSENT)
		assert_int_equal(guest_read(MiB(66) + PAGES(100)), 0);
	gmem_unback(&g, gpa(GiB(1) + PAGES(9)), PAGES(2));
	check();
	destroy();
}

static void test_each_allocation_fails(void **state)
{
	u32 all;

	(void)state;
	life();
	all = fake_frames_asked;
	assert_true(all > 520);
	/* All from the i-th on, then the i-th alone. */
	for (u32 n = 0; n < 2 * all; n++) {
		u32 i = n % all;

		fake_reset();
		fake_frames_reset(FRAMES);
		fake_scrub_reset();
		fake_mmu_flush();
		*(n < all ? &fake_frames_left : &fake_frames_one) = i;
		if (gmem_create(&g, &ept_format, flush, &owner) != 0) {
			assert_int_equal(i, 0);
			assert_int_equal(fake_frames_used(), 0);
			continue;
		}
		life();
	}
}

static void test_destroy(void **state)
{
	u64 byte = 1;
	u32 calls = 0;

	(void)state;
	add(0, GiB(2), GMEM_RAM);
	add(GiB(3), MiB(1), GMEM_ROM);
	back_large_leaf(MiB(8));
	for (u32 i = 0; i < 1000; i++)
		guest_write(GiB(1) + PAGES(2 * i), i);
	guest_read(GiB(3));
	check();
	flushes = 0;
	assert_true(gmem_destroy_some(&g, 50));
	assert_int_equal(flushes, 1);
	assert_true(fake_scrub_seen >= 50 && fake_scrub_seen < 1024);
	check();
	/* It is memory no more, and no frame comes to it. */
	assert_int_equal(gmem_touch(&g, gpa(GiB(3)), false), GMEM_NOT_MEMORY);
	assert_int_equal(gmem_touch(&g, gpa(GiB(1)), true), GMEM_NOT_MEMORY);
	assert_int_equal(gmem_write(&g, gpa(8), &byte, 1), -TERN_EFAULT);
	assert_int_equal(gmem_read(&g, gpa(8), &byte, 1), -TERN_EFAULT);
	assert_int_equal(gmem_unback(&g, gpa(0), GiB(1)), 0);
	while (gmem_destroy_some(&g, 50))
		calls++;
	assert_true(calls > 10 && calls < 60);
	assert_int_equal(fake_scrub_seen, 1024 + 1000 + 1);
	assert_int_equal(scrub_backlog(), fake_frames_used());
	destroy();
}

/* --- everything at random, against an array --- */

#define MODEL_PAGES 3072u /* of 12 MiB: six tables or large leaves */
#define MODEL_BASE  MiB(2)

static u64 model[MODEL_PAGES];

static void random_step(u32 i)
{
	u32 page = rnd(MODEL_PAGES), len = 1 + rnd(i % 7 == 0 ? 700 : 20);
	u64 at = MODEL_BASE + PAGES(page), value = ((u64)rnd(1u << 24) << 20) | i | 1;
	u64 off = rnd(511) * 8;
	enum gmem_touch why;
	u64 *p;

	if (len > MODEL_PAGES - page)
		len = MODEL_PAGES - page;
	switch (rnd(8)) {
	case 0:
	case 1:
		for (u32 n = 0; n < len; n++) {
			p = guest(at + PAGES(n), true, &why);
			if (p == NULL)
				break;
			*p = model[page + n] = value + n;
		}
		break;
	case 2:
		p = guest(at, i % 2, &why);
		if (p != NULL)
			assert_int_equal(*p, model[page]);
		break;
	case 3:
		if (gmem_write(&g, gpa(at), &value, 8) == 0)
			model[page] = value;
		break;
	case 4:
		assert_int_equal(gmem_read(&g, gpa(at), &value, 8), 0);
		assert_int_equal(value, model[page]);
		if (off > 0) {
			assert_int_equal(gmem_read(&g, gpa(at + off), &value, 8), 0);
			assert_int_equal(value, 0);
		}
		break;
	case 5:
		gmem_unback(&g, gpa(at), PAGES(len));
		memset(&model[page], 0, len * sizeof(model[0]));
		break;
	case 6:
		assert_int_equal(gmem_set_grant(&g, PAGES(rnd(MODEL_PAGES + 1)), false), 0);
		break;
	default:
		scrub_some(rnd(2000));
		/* Memory comes and goes, also in the middle of an operation. */
		fake_frames_left = rnd(3) == 0 ? rnd(20) : UINT32_MAX;
		break;
	}
}

static void random_life(const struct gmem_policy *policy, u32 frames, u32 steps)
{
	start(frames);
	seed = frames + steps;
	memset(model, 0, sizeof(model));
	add(MODEL_BASE, PAGES(MODEL_PAGES), GMEM_RAM);
	g.policy = policy;
	for (u32 i = 0; i < steps; i++) {
		busy = i > steps / 2;
		random_step(i);
		if (i % 16 == 0)
			check();
	}
	assert_int_equal(gmem_set_grant(&g, g.advertised, false), 0);
	fake_frames_left = UINT32_MAX;
	for (u32 i = 0; i < MODEL_PAGES; i++) {
		u64 value;

		assert_int_equal(gmem_read(&g, gpa(MODEL_BASE + PAGES(i)), &value, 8), 0);
		assert_int_equal(value, model[i]);
	}
	check();
	destroy();
}

static void test_random(void **state)
{
	static const struct gmem_policy single = {.run = 1, .around = 1};

	(void)state;
	destroy();
	random_life(&gmem_policy, 8192, 4000);
	random_life(&gmem_policy_large, 8192, 4000);
	random_life(&gmem_policy_large, 1500, 4000);
	random_life(&single, 700, 2000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_regions, setup),
		cmocka_unit_test_setup(test_touch, setup),
		cmocka_unit_test_setup(test_scattered_pages, setup),
		cmocka_unit_test_setup(test_grant, setup),
		cmocka_unit_test_setup(test_no_frame, setup),
		cmocka_unit_test_setup(test_policy_is_pure, setup),
		cmocka_unit_test_setup(test_sequence, setup),
		cmocka_unit_test_setup(test_large_leaf, setup),
		cmocka_unit_test_setup(test_large_leaf_cannot_be_split, setup),
		cmocka_unit_test_setup(test_large_leaf_needs_room, setup),
		cmocka_unit_test_setup(test_unback, setup),
		cmocka_unit_test_setup(test_remote, setup),
		cmocka_unit_test_setup(test_each_allocation_fails, setup),
		cmocka_unit_test_setup(test_destroy, setup),
		cmocka_unit_test_setup(test_random, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
