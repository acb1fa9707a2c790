/* SPDX-License-Identifier: MIT */
/*
 * From the boot map to the frame allocator (hv/mem/mem_init.c). The order at boot:
 * mem_boot_init(), then mem_boot_alloc() and mem_table_alloc() as needed, mem_table_ranges() to map
 * the frame table, frames_init(), mem_init(); from then on frames_alloc(). Boot CPU, before SMP.
 */
#ifndef TERN_MEM_H
#define TERN_MEM_H

#include <abi/boot_info.h>
#include <tern/addr.h>
#include <tern/types.h>

#define MEM_HOLES_MAX 16u  /* ranges that mem_boot_init() takes from its caller */
#define MEM_TAKEN_MAX 128u /* separate pieces of memory that are kept from the allocator */

struct acpi_info;

/* A range that nobody may get, such as the log that survives a warm reboot. */
struct mem_hole {
	u64 base, len; /* bytes, any alignment */
	const char *name;
};

/* Bytes. total = firmware + image + modules + holes + early + table + lost + given. */
struct mem_stats {
	u64 total;    /* RAM of the boot map, with what holds ACPI tables */
	u64 firmware; /* the first 1 MiB, ACPI tables */
	u64 image;    /* the hypervisor */
	u64 modules;  /* boot modules, whole pages */
	u64 holes;    /* mem_boot_init()'s holes */
	u64 early;    /* mem_boot_alloc() */
	u64 table;    /* mem_table_alloc(): the frame table */
	u64 lost;     /* refused by frames_add(): memory in too many pieces */
	u64 given;    /* to the frame allocator */
	u64 reserved; /* not RAM and not in total: what firmware keeps, except MMIO */
};

/*
 * Takes the checked boot information, which must stay where it is, and sets aside the first 1 MiB,
 * the image (image_base, image_len), the modules and the holes. A hole that lies on the image or on
 * a module is reported by log_warn; the memory is counted once, for whichever comes first in this
 * sentence.
 */
void mem_boot_init(const struct boot_info *bi, const struct mem_hole *holes, u32 count);

/*
 * Early memory for ever, not zeroed, below 4 GiB: the top of the largest free range there. len > 0,
 * rounded up to 4 KiB; align is a power of two. Returns 0 when there is none. Before mem_init().
 */
MUST_CHECK hpa_t mem_boot_alloc(u64 len, u64 align);
/* The same for the frame table, anywhere: it is mapped by address and may be above 4 GiB. */
MUST_CHECK hpa_t mem_table_alloc(u64 len, u64 align);

/*
 * Calls map() for each byte range of the frame table (struct frame[], offset 0 is frame 0) that
 * must be backed: whole 4 KiB pages, rising, no two touching. One page describes 2 MiB of RAM.
 * map() may call the two functions above. After mem_boot_init().
 */
void mem_table_ranges(void (*map)(u64 table_offset, u64 len));

/*
 * Gives all that is left to frames_add(), split by NUMA node. A node begins at the start of its
 * SRAT entry rounded down to 2 MiB and reaches to where another begins: memory that the SRAT does
 * not list belongs to the node before it. Ends early allocation.
 */
void mem_init(const struct acpi_info *acpi);

void mem_get_stats(struct mem_stats *st);

#endif
