/* SPDX-License-Identifier: MIT */
/* links: arch/x86_64/npt.c arch/x86_64/vmx/ept.c tests/fake/fake_frames.c tests/fake/fake_mmu.c tests/fake/fake_host.c */
/* The walker, in the format of EPT and in AMD's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <arch/x86_64/virt_regs.h>
#include <arch/x86_64/vmx/ept.h>
#include <tern/arch.h>
#include <tern/err.h>
#include <tests/fake/fake_frames.h>
#include <tests/fake/fake_host.h>
#include <tests/fake/fake_mmu.h>

/* APM vol. 2 15.25: present, writable, user, accessed, dirty, PAT or large, no-execute. */
static const struct npt_format amd = {
	.name = "AMD",
	.read = 1 | 4,
	.write = 2,
	.accessed = 0x20,
	.dirty = 0x40,
	.large = 0x80,
	.no_exec = 1ull << 63,
	.table = 7,
	.max_level = 2,
};

static struct npt npt;
static u32 seed;
static int rc; /* what a call that panics would have returned */

static u32 rnd(u32 n)
{
	seed = seed * 1664525 + 1013904223;
	return (u32)(((u64)(seed >> 8) * n) >> 24);
}

static void start(const struct npt_format *fmt)
{
	fake_reset();
	fake_frames_reset(8192);
	fake_mmu_flush();
	seed = 7;
	assert_int_equal(npt_create(&npt, fmt), 0);
}

static int setup(void **state)
{
	(void)state;
	start(&ept_format);
	return 0;
}

static struct npt_entry mapped(enum npt_state state, u32 level, u64 pa)
{
	return (struct npt_entry){.state = state, .level = level, .pa = hpa(pa), .exec = true};
}

static bool set(u64 at, struct npt_entry e)
{
	hpa_t unlinked = hpa(0);
	bool flush;

	assert_int_equal(npt_reserve(&npt, gpa(at), e.level), 0);
	flush = npt_set(&npt, gpa(at), &e, &unlinked);
	npt_free_chain(unlinked);
	return flush;
}

static void check_get(u64 at, struct npt_entry e)
{
	struct npt_entry is = npt_get(&npt, gpa(at));

	assert_int_equal(is.state, e.state);
	assert_int_equal(is.level, e.level);
	assert_int_equal(is.pa.v, e.pa.v);
	assert_int_equal(is.accessed, e.accessed);
	assert_int_equal(is.dirty, e.dirty);
	assert_int_equal(is.exec, e.exec);
}

static u64 raw(u64 at)
{
	u32 level;

	return *npt_find(&npt, gpa(at), &level);
}

static void finish(void)
{
	npt_destroy(&npt, NULL, NULL);
	assert_int_equal(fake_frames_used(), 0);
	assert_int_equal(npt.table_pages, 0);
}

static void test_entry_bits(void **state)
{
	struct npt_entry e = mapped(NPT_BACKED, 0, 0x12345000);

	(void)state;
	set(0x1000, e);
	/* SDM vol. 3C 29.3.2: read, write, execute, write-back; bits 52 and 53 are ours. */
	assert_int_equal(raw(0x1000), 0x12345037 | 1ull << 52);
	e.dirty = e.accessed = true;
	e.exec = false;
	set(0x1000, e);
	assert_int_equal(raw(0x1000), 0x12345333 | 1ull << 52);
	check_get(0x1000, e);
	set(0x1000, mapped(NPT_READ_ONLY, 0, 0x7000));
	assert_int_equal(raw(0x1000), 0x7035 | 2ull << 52);
	set(MiB(2), mapped(NPT_BACKED, 1, MiB(4)));
	assert_int_equal(raw(MiB(2)), 0x4000b7 | 1ull << 52);
	set(GiB(1), mapped(NPT_BACKED, 2, GiB(3)));
	assert_int_equal(raw(GiB(1)), 0xc00000b7 | 1ull << 52);
	e = (struct npt_entry){.state = NPT_REMOTE, .pa = hpa(0xffffffffff000)};
	set(0x1000, e);
	check_get(0x1000, e);
	assert_int_equal(raw(0x1000) & 7, 0);
	set(0x1000, (struct npt_entry){.state = NPT_ABSENT});
	assert_int_equal(raw(0x1000), 0);
	finish();

	start(&amd);
	e = mapped(NPT_BACKED, 0, 0x12345000);
	set(0x1000, e);
	assert_int_equal(raw(0x1000), 0x12345007 | 1ull << 52);
	check_get(0x1000, e);
	e = mapped(NPT_READ_ONLY, 1, MiB(2));
	e.exec = false;
	set(MiB(2), e);
	assert_int_equal(raw(MiB(2)), 0x200085 | 2ull << 52 | 1ull << 63);
	check_get(MiB(2), e);
	/* Bit 7 of a 4 KiB leaf would be PAT. */
	assert_int_equal(npt_reserve(&npt, gpa(MiB(2)), 0), 0);
	assert_int_equal(raw(MiB(2) + 0x3000), 0x203005 | 2ull << 52 | 1ull << 63);
	finish();
}

static void test_ept_capabilities(void **state)
{
	(void)state;
	assert_int_equal(ept_format_for(0)->max_level, 0);
	assert_int_equal(ept_format_for(EPT_CAP_1G)->max_level, 0);
	assert_int_equal(ept_format_for(EPT_CAP_2M)->max_level, 1);
	assert_ptr_equal(ept_format_for(EPT_CAP_2M | EPT_CAP_1G), &ept_format);
	assert_int_equal(ept_pointer(hpa(0x5000), 0), 0x501e);
	assert_int_equal(ept_pointer(hpa(0x5000), EPT_CAP_AD), 0x505e);
	finish();
}

static void test_tables_are_counted(void **state)
{
	(void)state;
	assert_int_equal(npt.table_pages, 1);
	assert_int_equal(npt_reserve(&npt, gpa(0x1000), 0), 0);
	assert_int_equal(npt.table_pages, 4);
	assert_int_equal(npt_reserve(&npt, gpa(0x2000), 0), 0);
	assert_int_equal(npt.table_pages, 4);
	assert_int_equal(npt_reserve(&npt, gpa(GiB(1)), 1), 0);
	assert_int_equal(npt.table_pages, 5);
	assert_int_equal(npt_reserve(&npt, gpa(NPT_GPA_END - PAGE_SIZE), 0), 0);
	assert_int_equal(npt.table_pages, 8);
	assert_int_equal(fake_frames_used(), 8);
	assert_int_equal(fake_mmu_walk(npt.root).tables, 8);
	finish();
}

/* The caller flushes when and only when a CPU may remember something that is no longer so. */
static void test_set_says_when_to_flush(void **state)
{
	struct npt_entry e = mapped(NPT_BACKED, 0, 0x5000), harvested = e;

	(void)state;
	assert_false(set(0x1000, e));
	assert_false(set(0x1000, e));
	harvested.accessed = true;
	assert_false(set(0x1000, harvested));
	assert_true(set(0x1000, mapped(NPT_READ_ONLY, 0, 0x5000)));
	assert_true(set(0x1000, e));
	assert_true(set(0x1000, mapped(NPT_BACKED, 0, 0x6000)));
	e.exec = false;
	assert_true(set(0x1000, e));
	assert_true(set(0x1000, (struct npt_entry){.state = NPT_REMOTE, .pa = hpa(0x5000)}));
	assert_false(set(0x1000, (struct npt_entry){.state = NPT_ABSENT}));
	assert_false(set(0x1000, e));
	assert_true(set(0x1000, (struct npt_entry){.state = NPT_ABSENT}));
	finish();
}

static void test_split_keeps_everything(void **state)
{
	struct npt_entry e = mapped(NPT_BACKED, 2, GiB(2)), part;
	hpa_t pa;

	(void)state;
	set(GiB(1), e);
	assert_true(fake_mmu_access(npt.root, gpa(GiB(1)), true, &pa));
	assert_int_equal(npt.table_pages, 2);
	assert_int_equal(npt_reserve(&npt, gpa(GiB(1) + MiB(6) + 0x5000), 0), 0);
	assert_int_equal(npt.table_pages, 4);
	assert_int_equal(fake_mmu_walk(npt.root).writable, 512 * 512);
	part = mapped(NPT_BACKED, 0, GiB(2) + MiB(6) + 0x5000);
	part.accessed = part.dirty = true;
	check_get(GiB(1) + MiB(6) + 0x5000, part);
	part.pa = hpa(GiB(2) + MiB(8) - PAGE_SIZE);
	check_get(GiB(1) + MiB(8) - PAGE_SIZE, part);
	part.level = 1;
	part.pa = hpa(GiB(2) + MiB(1022));
	check_get(GiB(1) + MiB(1022), part);
	finish();
}

/* A large leaf replaces an empty table; a CPU may still have the table in its caches. */
static void test_merge(void **state)
{
	struct npt_entry e = mapped(NPT_BACKED, 1, MiB(4));
	hpa_t unlinked = hpa(0), pa;
	static bool flush;

	(void)state;
	set(0x1000, mapped(NPT_BACKED, 0, 0x9000));
	assert_true(fake_mmu_access(npt.root, gpa(0x1000), true, &pa));
	FAKE_EXPECT_PANIC(flush = npt_set(&npt, gpa(0), &e, &unlinked));
	assert_non_null(strstr(fake_panic_text, "in use"));
	set(0x1000, (struct npt_entry){.state = NPT_ABSENT});
	assert_int_equal(npt.table_pages, 4);
	flush = npt_set(&npt, gpa(0), &e, &unlinked);
	assert_true(flush);
	assert_int_equal(npt.table_pages, 3);
	assert_int_equal(fake_frames_used(), 4);
	assert_true(fake_mmu_remembers(unlinked, 0));
	npt_free_chain(unlinked);
	assert_int_equal(fake_frames_used(), 3);
	check_get(0x1000, e);
	finish();
}

static void test_prune(void **state)
{
	hpa_t unlinked = hpa(0);

	(void)state;
	set(0x1000, mapped(NPT_BACKED, 0, 0x9000));
	set(GiB(1), mapped(NPT_BACKED, 0, 0xa000));
	assert_int_equal(npt.table_pages, 6);
	npt_prune(&npt, gpa(0x5000), &unlinked);
	npt_prune(&npt, gpa(GiB(600)), &unlinked);
	npt_prune(&npt, gpa(MiB(4)), &unlinked);
	assert_int_equal(unlinked.v, 0);
	set(0x1000, (struct npt_entry){.state = NPT_ABSENT});
	npt_prune(&npt, gpa(0x5000), &unlinked);
	assert_int_equal(npt.table_pages, 4);
	set(GiB(1), (struct npt_entry){.state = NPT_ABSENT});
	npt_prune(&npt, gpa(GiB(1)), &unlinked);
	assert_int_equal(npt.table_pages, 1);
	assert_int_equal(fake_frames_used(), 6);
	/* What a CPU reads in them before the flush are holes. */
	for (hpa_t t = unlinked; t.v != 0; t = hpa(*(u64 *)phys_to_virt(t)))
		assert_int_equal(*(u64 *)phys_to_virt(t) & 0xfff, 0);
	npt_free_chain(unlinked);
	assert_int_equal(fake_frames_used(), 1);
	finish();
}

static void test_no_memory(void **state)
{
	struct npt_entry e = mapped(NPT_BACKED, 2, GiB(2));

	(void)state;
	set(GiB(1), e);
	for (u32 n = 0; n < 3; n++) {
		fake_frames_left = n;
		assert_int_equal(npt_reserve(&npt, gpa(GiB(600)), 0), -TERN_ENOMEM);
		assert_int_equal(fake_frames_used(), 2);
		if (n < 2)
			assert_int_equal(npt_reserve(&npt, gpa(GiB(1)), 0), -TERN_ENOMEM);
		check_get(GiB(1), e);
		assert_int_equal(npt.table_pages, 2);
		assert_int_equal(fake_mmu_walk(npt.root).tables, 2);
	}
	fake_frames_left = 0;
	assert_int_equal(npt_create(&(struct npt){0}, &ept_format), -TERN_ENOMEM);
	finish();
}

static void test_wrong_use_panics(void **state)
{
	struct npt_entry e = mapped(NPT_BACKED, 0, 0x5000);
	hpa_t unlinked = hpa(0);

	(void)state;
	FAKE_EXPECT_PANIC(npt_set(&npt, gpa(0x1000), &e, &unlinked));
	assert_non_null(strstr(fake_panic_text, "no table"));
	FAKE_EXPECT_PANIC(rc = npt_reserve(&npt, gpa(NPT_GPA_END), 0));
	assert_int_equal(npt_reserve(&npt, gpa(0), 0), 0);
	e.pa = hpa(0x5001);
	FAKE_EXPECT_PANIC(npt_set(&npt, gpa(0x1000), &e, &unlinked));
	e = mapped(NPT_BACKED, 1, 0x5000);
	FAKE_EXPECT_PANIC(npt_set(&npt, gpa(0), &e, &unlinked));

	finish();
}

/* --- random leaves of all kinds against a list --- */

#define AREAS 40u

struct model {
	u64 at;
	struct npt_entry e;
};
static struct model leaves[AREAS * 8];
static u32 leaf_count, seen;

static int by_address(const void *a, const void *b)
{
	const struct model *x = a, *y = b;

	return x->at < y->at ? -1 : x->at > y->at;
}

static void see(const struct npt_entry *e, gpa_t at, void *arg)
{
	const struct model *m = &leaves[seen++];

	assert_ptr_equal(arg, &npt);
	assert_true(seen <= leaf_count);
	assert_int_equal(at.v, m->at);
	assert_int_equal(e->state, m->e.state);
	assert_int_equal(e->level, m->e.level);
	assert_int_equal(e->pa.v, m->e.pa.v);
}

static void test_random_leaves(void **state)
{
	(void)state;
	for (u32 round = 0; round < 30; round++) {
		u64 from, end;

		leaf_count = 0;
		for (u32 a = 0; a < AREAS; a++) {
			u64 area = ((u64)rnd(4) << 39 | (u64)a << 30) + (u64)rnd(512) * MiB(2);
			u32 kind = rnd(4), pages = 1 + rnd(7);

			if (kind == 0) {
				leaves[leaf_count++] = (struct model){
					area, mapped(NPT_BACKED, 1, (1 + rnd(500)) * MiB(2))};
				continue;
			}
			for (u32 i = 0; i < pages; i++) {
				u64 page = (u64)(i * 73 + rnd(73)) * PAGE_SIZE;

				leaves[leaf_count++] = (struct model){
					area + page,
					kind == 1 ? (struct npt_entry){.state = NPT_REMOTE,
								       .pa = hpa(page)}
						  : mapped(NPT_READ_ONLY, 0, page + PAGE_SIZE)};
			}
		}
		qsort(leaves, leaf_count, sizeof(leaves[0]), by_address);
		for (u32 i = leaf_count; i > 0; i--)
			set(leaves[i - 1].at, leaves[i - 1].e);
		seen = 0;
		npt_for_each(&npt, gpa(0), NPT_GPA_END, see, &npt);
		assert_int_equal(seen, leaf_count);
		from = leaves[3].at;
		end = leaves[leaf_count - 5].at;
		seen = 3;
		npt_for_each(&npt, gpa(from), end - from, see, &npt);
		assert_int_equal(seen, leaf_count - 5);
		for (u32 i = 0; i < leaf_count; i++)
			check_get(leaves[i].at, leaves[i].e);
		seen = 0;
		npt_destroy(&npt, see, &npt);
		assert_int_equal(seen, leaf_count);
		assert_int_equal(fake_frames_used(), 0);
		assert_int_equal(npt_create(&npt, &ept_format), 0);
	}
	finish();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_entry_bits, setup),
		cmocka_unit_test_setup(test_ept_capabilities, setup),
		cmocka_unit_test_setup(test_tables_are_counted, setup),
		cmocka_unit_test_setup(test_set_says_when_to_flush, setup),
		cmocka_unit_test_setup(test_split_keeps_everything, setup),
		cmocka_unit_test_setup(test_merge, setup),
		cmocka_unit_test_setup(test_prune, setup),
		cmocka_unit_test_setup(test_no_memory, setup),
		cmocka_unit_test_setup(test_wrong_use_panics, setup),
		cmocka_unit_test_setup(test_random_leaves, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
