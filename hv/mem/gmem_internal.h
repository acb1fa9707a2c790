/* SPDX-License-Identifier: MIT */
/* What gmem.c lends to gmem_access.c. The lock is held. */
#ifndef HV_MEM_GMEM_INTERNAL_H
#define HV_MEM_GMEM_INTERNAL_H

#include <tern/gmem.h>

/* The region that holds at, or NULL. */
const struct gmem_region *gmem_region_of(struct gmem *g, gpa_t at);
/* Backs the page of at, if it is not. GMEM_MAPPED: *slot is its entry. No policy: the host knows
 * what it wants. */
enum gmem_touch gmem_back(struct gmem *g, const struct gmem_region *r, gpa_t at, u64 **slot);

#endif
