/* SPDX-License-Identifier: MIT */
/* Host page tables (hpt.c). Mappings are made and, but for one page, never taken away. */
#ifndef HPT_H
#define HPT_H

#include <tern/addr.h>
#include <tern/types.h>

/* SDM vol. 3A 4.5, table 4-15 ff. */
#define PTE_P    (1ul << 0)
#define PTE_W    (1ul << 1)
#define PTE_PWT  (1ul << 3)
#define PTE_PCD  (1ul << 4)
#define PTE_A    (1ul << 5)
#define PTE_D    (1ul << 6)
#define PTE_PS   (1ul << 7)
#define PTE_G    (1ul << 8)
#define PTE_NX   (1ul << 63)
#define PTE_ADDR 0x000ffffffffff000ul

/* The kinds of mapping Tern has; none is writable and executable. */
#define HPT_CODE (PTE_P | PTE_A | PTE_G)
#define HPT_RO   (PTE_P | PTE_A | PTE_G | PTE_NX)
#define HPT_RW   (PTE_P | PTE_A | PTE_D | PTE_G | PTE_W | PTE_NX)
#define HPT_UC   (HPT_RW | PTE_PCD | PTE_PWT)
#define HPT_WC   (HPT_RW | PTE_PWT) /* PAT entry 1, see PAT_VALUE */

/*
 * Maps [pa, pa + len) at va, all 4 KiB aligned, with the largest pages that fit. What is mapped
 * already is our bug. -TERN_ENOMEM when there is no frame for a table: then a part may be mapped
 * (the caller gives the address range up). Takes RANK_HPT.
 */
MUST_CHECK int hpt_map(u64 va, hpa_t pa, u64 len, u64 flags);
/* Takes one 4 KiB page away, on this CPU only. */
void hpt_unmap_page(u64 va);
/* Panics when any page is writable and executable; returns how many pages are mapped. For debug
 * builds, once everything is up. */
u64 hpt_audit(void);
/* The root, for other CPUs' CR3; below 4 GiB. */
hpa_t hpt_root(void);

#endif
