/* SPDX-License-Identifier: MIT */
/* A bounded, sorted set of ranges of guest memory (hv/dev/balloon_hints.c): free page hints. */
#ifndef HV_DEV_BALLOON_HINTS_H
#define HV_DEV_BALLOON_HINTS_H

#include <tern/virtio.h>

struct balloon_hints { /* one page */
	u64 count;
	struct balloon_hint
		ranges[BALLOON_HINTS_MAX]; /* rising, neither overlapping nor touching */
};
_Static_assert(sizeof(struct balloon_hints) <= PAGE_SIZE, "one page");

/* Adds the whole pages in [base, base + len), merged with what they overlap or touch; nothing when there
 * is no room. Pure. */
void balloon_hints_add(struct balloon_hints *h, u64 base, u64 len);

#endif
