/* SPDX-License-Identifier: MIT */
/* One type per address space, so that mixing them is a compile error. */
#ifndef TERN_ADDR_H
#define TERN_ADDR_H

#include <tern/types.h>

typedef struct {
	u64 v;
} hpa_t; /* host-physical: what the memory controller sees */

typedef struct {
	u64 v;
} gpa_t; /* guest-physical: what a guest calls physical */

static inline hpa_t hpa(u64 v)
{
	return (hpa_t){v};
}

static inline hpa_t hpa_add(hpa_t a, u64 n)
{
	return (hpa_t){a.v + n};
}

static inline gpa_t gpa(u64 v)
{
	return (gpa_t){v};
}

static inline gpa_t gpa_add(gpa_t a, u64 n)
{
	return (gpa_t){a.v + n};
}

#endif
