/* SPDX-License-Identifier: MIT */
/*
 * From the boot map to the frame allocator. One sorted list, taken[], holds all memory that the
 * allocator must not get, whatever the reason; RAM of the boot map minus that list is free.
 * Each byte counts for the reason that took it first: so the accounting adds up by construction.
 */
#include <tern/acpi.h>
#include <tern/err.h>
#include <tern/frames.h>
#include <tern/lib.h>
#include <tern/log.h>
#include <tern/mem.h>

/* The BIOS data area, the EBDA, the AP trampoline and VGA memory: never worth the risk. */
#define LOW_END MiB(1)

struct extent {
	u64 base, end; /* bytes [base, end), 4 KiB aligned */
};

static const struct boot_info *boot;       /* (c) */
static struct extent taken[MEM_TAKEN_MAX]; /* sorted, not touching each other */
static u32 taken_count;
static struct mem_stats stats;
static bool closed; /* mem_init() ran: the allocator owns what is left */

/* Index of the first taken extent that ends after addr, or taken_count. */
static u32 taken_find(u64 addr)
{
	u32 i = 0;

	while (i < taken_count && taken[i].end <= addr)
		i++;
	return i;
}

/* Finds the next free piece of [from, end). False when there is none. */
static bool next_free(u64 from, u64 end, struct extent *out)
{
	u32 i = taken_find(from);

	for (; i < taken_count && taken[i].base <= from; i++)
		from = taken[i].end;
	if (from >= end)
		return false;
	out->base = from;
	out->end = i < taken_count ? min_u64(taken[i].base, end) : end;
	return true;
}

/* Walks all free RAM, rising: begin with *it = {0}, index 0. */
static bool next_free_ram(u32 *index, struct extent *it)
{
	for (; *index < boot->mem_count; ++*index) {
		const struct boot_mem *m = &boot->mem[*index];

		if (m->type == BOOT_MEM_RAM &&
		    next_free(max_u64(it->end, m->base), m->base + m->len, it))
			return true;
	}
	return false;
}

/* Free RAM inside [base, end), bytes. */
static u64 free_ram_in(u64 base, u64 end)
{
	struct extent it = {0};
	u32 index = 0;
	u64 sum = 0;

	while (next_free_ram(&index, &it)) {
		if (it.base < end && it.end > base)
			sum += min_u64(it.end, end) - max_u64(it.base, base);
	}
	return sum;
}

/* Takes [base, end), rounded out to pages; returns how many bytes of RAM were free in it before. */
static u64 take(u64 base, u64 end)
{
	u32 from, to;
	u64 ram;

	base = align_down(base, PAGE_SIZE);
	end = align_up(end, PAGE_SIZE);
	if (base >= end)
		return 0;
	ram = free_ram_in(base, end);
	from = taken_find(base);
	if (from > 0 && taken[from - 1].end == base)
		from--;
	for (to = from; to < taken_count && taken[to].base <= end; to++) {
		base = min_u64(base, taken[to].base);
		end = max_u64(end, taken[to].end);
	}
	if (to == from && taken_count == MEM_TAKEN_MAX)
		panic("memory at %#lx cannot be set aside: more than %u pieces", base,
		      MEM_TAKEN_MAX);
	/* taken[from..to) become one. */
	memmove(&taken[from + 1], &taken[to], (taken_count - to) * sizeof(taken[0]));
	taken[from] = (struct extent){.base = base, .end = end};
	taken_count = taken_count - (to - from) + 1;
	return ram;
}

static void take_hole(const struct mem_hole *h)
{
	u64 base = align_down(h->base, PAGE_SIZE), end = align_up(h->base + h->len, PAGE_SIZE);
	u64 got = take(base, end);

	if (got < end - base)
		log_warn("memory: %lu of %lu KiB at %#lx for \"%s\" are not free RAM",
			 (end - base - got) >> 10, (end - base) >> 10, base, h->name);
	stats.holes += got;
}

void mem_boot_init(const struct boot_info *bi, const struct mem_hole *holes, u32 count)
{
	ASSERT(count <= MEM_HOLES_MAX);
	boot = bi;
	taken_count = 0;
	closed = false;
	stats = (struct mem_stats){0};
	for (u32 i = 0; i < bi->mem_count; i++) {
		const struct boot_mem *m = &bi->mem[i];

		ASSERT((m->base | m->len) % PAGE_SIZE == 0);
		if (m->type == BOOT_MEM_RAM || m->type == BOOT_MEM_ACPI_RECLAIM)
			stats.total += m->len;
		else if (m->type != BOOT_MEM_MMIO)
			stats.reserved += m->len;
		/* The tables are read for as long as Tern runs; they are a few hundred KiB. */
		if (m->type == BOOT_MEM_ACPI_RECLAIM)
			stats.firmware += m->len;
	}
	stats.firmware += take(0, LOW_END);
	stats.image = take(bi->image_base, bi->image_base + bi->image_len);
	for (u32 i = 0; i < bi->module_count; i++)
		stats.modules +=
			take(bi->modules[i].base, bi->modules[i].base + bi->modules[i].len);
	for (u32 i = 0; i < count; i++)
		take_hole(&holes[i]);
}

/*
 * From the top of the largest free piece below limit: few pieces are made, and big aligned blocks
 * survive at the bottom. One that starts where the last ended melts into the same extent.
 */
static hpa_t alloc_below(u64 limit, u64 len, u64 align, u64 *counter)
{
	struct extent it = {0};
	u64 best = 0, best_len = 0;
	u32 index = 0;

	ASSERT(boot != NULL && !closed);
	ASSERT(len > 0 && align > 0 && (align & (align - 1)) == 0);
	len = align_up(len, PAGE_SIZE);
	align = max_u64(align, PAGE_SIZE);
	while (next_free_ram(&index, &it) && it.base < limit) {
		u64 end = min_u64(it.end, limit), start;

		if (len == 0 || end - it.base < len || end - it.base < best_len)
			continue;
		start = align_down(end - len, align);
		if (start < it.base)
			continue;
		best = start;
		best_len = end - it.base;
	}
	if (best != 0)
		*counter += take(best, best + len);
	return hpa(best);
}

hpa_t mem_boot_alloc(u64 len, u64 align)
{
	return alloc_below(GiB(4), len, align, &stats.early);
}

hpa_t mem_table_alloc(u64 len, u64 align)
{
	return alloc_below(UINT64_MAX, len, align, &stats.table);
}

void mem_table_ranges(void (*map)(u64 table_offset, u64 len))
{
	/* A page of the table for each 2 MiB: struct frame is 8 bytes, 8 * 512 = 4096. */
	const u64 per_chunk = (PAGE_2M_SIZE >> PAGE_SHIFT) * sizeof(struct frame);
	u64 first = 0, end = 0; /* chunk numbers */

	_Static_assert((PAGE_2M_SIZE >> PAGE_SHIFT) * sizeof(struct frame) == PAGE_SIZE,
		       "a page of the frame table describes 2 MiB");
	for (u32 i = 0; i < boot->mem_count; i++) {
		const struct boot_mem *m = &boot->mem[i];
		u64 from = max_u64(m->base, LOW_END) >> PAGE_2M_SHIFT;
		u64 to = align_up(m->base + m->len, PAGE_2M_SIZE) >> PAGE_2M_SHIFT;

		if (m->type != BOOT_MEM_RAM || m->base + m->len <= LOW_END)
			continue;
		if (from > end || end == 0) {
			if (end > first)
				map(first * per_chunk, (end - first) * per_chunk);
			first = from;
		}
		end = to;
	}
	if (end > first)
		map(first * per_chunk, (end - first) * per_chunk);
}

/*
 * Where SRAT entry i begins for us: a 2 MiB has one node, because the allocator keeps the node in
 * its first entry and never merges across nodes above that size.
 */
static u64 srat_start(const struct acpi_info *acpi, u32 i)
{
	return align_down(acpi->srat_mem[i].base, PAGE_2M_SIZE);
}

/* The node of addr, and where the next SRAT entry begins (U64_MAX: nowhere). */
static u32 node_of(const struct acpi_info *acpi, u64 addr, u64 *next)
{
	const struct acpi_srat_mem *best = NULL;

	*next = UINT64_MAX;
	for (u32 i = 0; i < acpi->srat_mem_count; i++) {
		const struct acpi_srat_mem *m = &acpi->srat_mem[i];
		u64 start = srat_start(acpi, i);

		if (m->len == 0)
			continue;
		if (start > addr)
			*next = min_u64(*next, start);
		else if (best == NULL || m->base > best->base)
			best = m;
	}
	if (best == NULL || best->node >= NODES_MAX)
		return 0;
	return best->node;
}

/* Firmware with more nodes than Tern keeps apart: the memory is used, as node 0. */
static void warn_nodes(const struct acpi_info *acpi)
{
	for (u32 i = 0; i < acpi->srat_mem_count; i++) {
		if (acpi->srat_mem[i].node >= NODES_MAX) {
			log_warn("memory: more than %u NUMA nodes in the SRAT, the rest count as 0",
				 NODES_MAX);
			return;
		}
	}
}

void mem_init(const struct acpi_info *acpi)
{
	struct extent it = {0};
	u32 index = 0;

	ASSERT(boot != NULL && !closed);
	closed = true;
	warn_nodes(acpi);
	while (next_free_ram(&index, &it)) {
		for (u64 base = it.base, next; base < it.end; base = next) {
			u32 node = node_of(acpi, base, &next);
			u64 got;

			next = min_u64(next, it.end);
			got = frames_add(hpa(base), next - base, node);
			stats.given += got;
			stats.lost += next - base - got;
		}
	}
}

void mem_get_stats(struct mem_stats *st)
{
	*st = stats;
}
