/* SPDX-License-Identifier: MIT */
/*
 * Takes all memory it is told it has, a word a page, and says how far it came each 16 MiB. On a node
 * that cannot back it the touch stalls: nothing more is said and nothing is lost. With "stay" it
 * then keeps reading what it holds, and speaks only when something is lost.
 */
#include "cpu.h"
#include "guest.h"

#define ABOVE       0x1000000ull
#define REPORT_EACH (16ull << 20)

const char guest_name[] = "memhog";

/* Writes (or checks) each page's own number; returns pages that are wrong. */
static u64 sweep(bool write)
{
	u64 wrong = 0, taken = 0;

	for (u32 i = 0; i < ram_range_count; i++) {
		u64 base = ram_ranges[i].base, end = base + ram_ranges[i].len;

		base = base < ABOVE ? ABOVE : base;
		for (u64 at = base; at + GUEST_PAGE <= end; at += GUEST_PAGE) {
			volatile u64 *word = (volatile u64 *)(uintptr_t)window_at(at);

			if (!write) {
				wrong += *word != at;
				continue;
			}
			wrong += *word != 0;
			*word = at;
			taken += GUEST_PAGE;
			if (taken % REPORT_EACH == 0)
				print("memhog: %u MiB\n", (u32)(taken >> 20));
		}
	}
	return wrong;
}

void guest_main(void)
{
	u64 used = sweep(true);

	if (on_tern) /* a machine with a BIOS has traces of it */
		check_eq("memory-comes-zeroed", used, 0);
	check_eq("memory-keeps", sweep(false), 0);
	while (cmdline_has("stay")) {
		if (sweep(false) != 0)
			check("memory-still-keeps", false);
	}
}
