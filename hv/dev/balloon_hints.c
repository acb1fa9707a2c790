/* SPDX-License-Identifier: MIT */
/* A bounded set of ranges: a sorted array, neighbours merged. */
#include "balloon_hints.h"

#include <tern/lib.h>

/* The first range that ends at or behind at. */
static u64 find(const struct balloon_hints *h, u64 at)
{
	u64 low = 0, high = h->count;

	while (low < high) {
		u64 mid = (low + high) / 2;

		if (h->ranges[mid].base + h->ranges[mid].len < at)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

void balloon_hints_add(struct balloon_hints *h, u64 base, u64 len)
{
	u64 end, first, last;

	if (base > UINT64_MAX - PAGE_SIZE || len > UINT64_MAX - PAGE_SIZE - base)
		return;
	end = align_down(base + len, PAGE_SIZE);
	base = align_up(base, PAGE_SIZE);
	if (base >= end)
		return;
	/* first to last - 1 become one range with the new one. */
	first = last = find(h, base);
	while (last < h->count && h->ranges[last].base <= end) {
		const struct balloon_hint *r = &h->ranges[last++];

		base = base < r->base ? base : r->base;
		end = max_u64(end, r->base + r->len);
	}
	if (first == last && h->count == BALLOON_HINTS_MAX)
		return;
	memmove(&h->ranges[first + 1], &h->ranges[last], (h->count - last) * sizeof(h->ranges[0]));
	h->count = h->count - (last - first) + 1;
	h->ranges[first] = (struct balloon_hint){.base = base, .len = end - base};
}
