/* SPDX-License-Identifier: MIT */
/*
 * A CPU's view of an EPT for host tests, written from SDM vol. 3C 29.3 and 29.4, not from npt.c. It
 * remembers every translation and every table that it has used until it is flushed, as hardware
 * may.
 */
#ifndef FAKE_MMU_H
#define FAKE_MMU_H

#include <tern/addr.h>

/* Forgets everything. */
void fake_mmu_flush(void);
/* An access by the guest: false is an EPT violation, which forgets what is known of at. Fails the
 * test on an EPT misconfiguration. */
bool fake_mmu_access(hpa_t root, gpa_t at, bool write, hpa_t *out);
/* True when it remembers a translation into the block, or one of its frames as a table. */
bool fake_mmu_remembers(hpa_t block, u32 order);

/* What the tables say, without remembering: 4 KiB pages mapped, tables that are linked. */
struct fake_mmu_count {
	u64 pages, writable, tables;
};
struct fake_mmu_count fake_mmu_walk(hpa_t root);

#endif
