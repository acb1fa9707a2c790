/* SPDX-License-Identifier: MIT */
/* What all loaders of guests share (hv/vm/loader.c): refusals, places and copies. */
#ifndef HV_VM_LOADER_H
#define HV_VM_LOADER_H

#include <tern/gmem.h>
#include <tern/types.h>

struct loader {
	struct gmem *mem;
	char *why; /* gets the sentence that says what is wrong */
	size_t why_size;
};

/* A file that goes to the guest beside the kernel. */
struct guest_module {
	const void *data;
	u64 len;
	const char *name, *args; /* its string is "name args" */
};

/* Writes the sentence; returns -TERN_EINVAL. */
MUST_CHECK int loader_refuse(const struct loader *l, const char *fmt, ...) PRINTF(2, 3);

/* True when [gpa, gpa + len) is RAM of the guest. */
bool loader_in_ram(const struct gmem *mem, u64 gpa, u64 len);

/* The highest place for len bytes in RAM that begins on a page, at or above floor, and ends at or below
 * end. 0: there is none. */
u64 loader_place_high(const struct gmem *mem, u64 len, u64 floor, u64 end);

/* Copies into guest memory, RAM or ROM. -TERN_EINVAL: there is none; -TERN_ENOMEM: the node cannot
 * back it. */
MUST_CHECK int loader_copy(const struct loader *l, u64 to, const void *src, u64 len);

#endif
