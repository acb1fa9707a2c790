/* SPDX-License-Identifier: MIT */
#include "fake_mmu.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <tern/arch.h>

#define TLB_MAX    8192u
#define TABLES_MAX 8192u

struct translation {
	u64 gpa, hpa, size;
	bool write;
};

static struct translation tlb[TLB_MAX];
static u32 tlb_count;
static u64 tables[TABLES_MAX];
static u32 table_count;

void fake_mmu_flush(void)
{
	tlb_count = 0;
	table_count = 0;
}

static void remember_table(u64 table)
{
	for (u32 i = 0; i < table_count; i++) {
		if (tables[i] == table)
			return;
	}
	assert_true(table_count < TABLES_MAX);
	tables[table_count++] = table;
}

static void check_entry(u64 e, int level, bool leaf)
{
	/* SDM vol. 3C 29.3.3.1. Bits 51:46 are beyond what the memory here needs. */
	if ((e & 3) == 2 || (e & 7) == 4)
		fail_msg("misconfigured: %#lx has no read permission", e);
	if ((e & 0xfc00000000000) != 0)
		fail_msg("misconfigured: reserved address bits in %#lx", e);
	if (leaf && (e >> 3 & 7) != 6)
		fail_msg("memory type of %#lx is not write-back", e);
	if (leaf && level > 0 && (e & ((0x1000ull << 9 * level) - 1) & ~0xfffull) != 0)
		fail_msg("misconfigured: large leaf %#lx is not aligned", e);
	if (!leaf && (e & 0xf8) != 0)
		fail_msg("misconfigured: reserved bits in table entry %#lx", e);
	if (level == 0 && (e & 0x80) != 0)
		fail_msg("bit 7 in 4 KiB leaf %#lx", e);
}

static void forget(u64 at)
{
	for (u32 i = 0; i < tlb_count;) {
		if (at - tlb[i].gpa < tlb[i].size)
			tlb[i] = tlb[--tlb_count];
		else
			i++;
	}
}

bool fake_mmu_access(hpa_t root, gpa_t at, bool write, hpa_t *out)
{
	u64 table = root.v, *slot;
	int level = 3;

	for (u32 i = 0; i < tlb_count; i++) {
		if (at.v - tlb[i].gpa < tlb[i].size && (tlb[i].write || !write)) {
			*out = hpa(tlb[i].hpa + at.v - tlb[i].gpa);
			return true;
		}
	}
	for (;; level--) {
		bool leaf;

		remember_table(table);
		slot = (u64 *)phys_to_virt(hpa(table)) + (at.v >> (12 + 9 * level) & 511);
		if ((*slot & 7) == 0) {
			forget(at.v);
			return false;
		}
		leaf = level == 0 || (*slot & 0x80) != 0;
		check_entry(*slot, level, leaf);
		if (leaf)
			break;
		table = *slot & 0xffffffffff000;
	}
	if (write && (*slot & 2) == 0) {
		forget(at.v);
		return false;
	}
	*slot |= write ? 0x300 : 0x100;
	assert_true(tlb_count < TLB_MAX);
	tlb[tlb_count].size = 0x1000ull << 9 * level;
	tlb[tlb_count].gpa = align_down(at.v, tlb[tlb_count].size);
	tlb[tlb_count].hpa = *slot & 0xffffffffff000;
	tlb[tlb_count].write = (*slot & 2) != 0;
	*out = hpa(tlb[tlb_count].hpa + at.v - tlb[tlb_count].gpa);
	tlb_count++;
	return true;
}

bool fake_mmu_remembers(hpa_t block, u32 order)
{
	u64 end = block.v + (0x1000ull << order);

	for (u32 i = 0; i < tlb_count; i++) {
		if (tlb[i].hpa < end && block.v < tlb[i].hpa + tlb[i].size)
			return true;
	}
	for (u32 i = 0; i < table_count; i++) {
		if (tables[i] >= block.v && tables[i] < end)
			return true;
	}
	return false;
}

static void walk(u64 table, int level, struct fake_mmu_count *c)
{
	const u64 *t = phys_to_virt(hpa(table));

	c->tables++;
	for (u32 i = 0; i < 512; i++) {
		bool leaf = level == 0 || (t[i] & 0x80) != 0;

		if ((t[i] & 7) == 0)
			continue;
		check_entry(t[i], level, leaf);
		if (!leaf) {
			walk(t[i] & 0xffffffffff000, level - 1, c);
			continue;
		}
		c->pages += 1ull << 9 * level;
		c->writable += (t[i] & 2) != 0 ? 1ull << 9 * level : 0;
	}
}

struct fake_mmu_count fake_mmu_walk(hpa_t root)
{
	struct fake_mmu_count c = {0};

	walk(root.v, 3, &c);
	return c;
}
