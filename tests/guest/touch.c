/* SPDX-License-Identifier: MIT */
/*
 * Touches one byte in each of pages=N (default 10,000) pages, scattered evenly over all of its memory.
 * No page is zero-filled by hand and no page table grows with them, so that what the node backs is N
 * frames more than for the same guest with pages=0.
 */
#include "cpu.h"
#include "guest.h"

#define PAGES_DEFAULT 10000u
#define ABOVE         0x1000000ull /* the image and what the loader left lie below */

const char guest_name[] = "touch";

/* The n-th page of the memory above ABOVE. */
static u64 page_at(u64 n)
{
	for (u32 i = 0; i < ram_range_count; i++) {
		u64 base = ram_ranges[i].base, end = base + ram_ranges[i].len, pages;

		if (end <= ABOVE)
			continue;
		base = base < ABOVE ? ABOVE : base;
		pages = (end - base) / GUEST_PAGE;
		if (n < pages)
			return base + n * GUEST_PAGE;
		n -= pages;
	}
	return 0;
}

static u64 pages_in_all(void)
{
	u64 pages = 0;

	for (u32 i = 0; i < ram_range_count; i++) {
		u64 base = ram_ranges[i].base, end = base + ram_ranges[i].len;

		base = base < ABOVE ? ABOVE : base;
		if (end > base)
			pages += (end - base) / GUEST_PAGE;
	}
	return pages;
}

void guest_main(void)
{
	u64 all = pages_in_all();
	u32 pages = cmdline_number("pages", PAGES_DEFAULT), dirty = 0, lost = 0;
	u64 stride = pages ? all / pages : 1;

	print("touch: %u MiB, every %u. of %u pages\n", (u32)(all >> 8), (u32)stride, (u32)all);
	check("memory-suffices", all >= pages);
	if (checks_failed)
		return;
	for (u64 i = 0; i < pages; i++) {
		volatile u8 *byte = window_at(page_at(i * stride));

		dirty += byte[i % GUEST_PAGE] != 0;
		byte[i % GUEST_PAGE] = (u8)(i % 255 + 1);
	}
	check_eq("first-touch-reads-zero", dirty, 0);
	for (u64 i = 0; i < pages; i++)
		lost += window_at(page_at(i * stride))[i % GUEST_PAGE] != (u8)(i % 255 + 1);
	check_eq("what-was-written-is-there", lost, 0);
	print("touched %u pages\n", pages);
}
