/* SPDX-License-Identifier: MIT */
/* Long mode only: mappings beside the 1:1 ones of start.S, and hypercalls. */
#ifdef __x86_64__
#include "cpu.h"
#include "guest.h"

#define LARGE_PAGE (1ul << 21)
#define MAP_TABLES 4u

static u64 page_tables[MAP_TABLES][512] __attribute__((aligned(4096)));
static unsigned long page_table_base[MAP_TABLES];
static u32 page_table_count;

/* The table of that address's 2 MiB; what the large page mapped stays mapped. */
static u64 *table_of(unsigned long address)
{
	unsigned long base = address & ~(LARGE_PAGE - 1);
	u64 *table;

	for (u32 i = 0; i < page_table_count; i++) {
		if (page_table_base[i] == base)
			return page_tables[i];
	}
	if (page_table_count == MAP_TABLES) {
		print("FAIL map_page: no table left\n");
		guest_exit(253);
	}
	page_table_base[page_table_count] = base;
	table = page_tables[page_table_count++];
	for (u32 i = 0; i < 512; i++)
		table[i] = (base + i * GUEST_PAGE) | PTE_USER | PTE_WRITE | PTE_PRESENT;
	boot_pd[base >> 30][base >> 21 & 511] =
		(unsigned long)table | PTE_USER | PTE_WRITE | PTE_PRESENT;
	write_cr3(read_cr3());
	return table;
}

void map_page(unsigned long address, u64 physical, u64 flags)
{
	table_of(address)[address >> 12 & 511] = physical | flags;
	invlpg((void *)address);
}

volatile u8 *window_at(u64 physical)
{
	boot_pd[WINDOW >> 30][WINDOW >> 21 & 511] =
		(physical & ~(LARGE_PAGE - 1)) | PTE_LARGE | PTE_USER | PTE_WRITE | PTE_PRESENT;
	invlpg((void *)WINDOW);
	return (volatile u8 *)(WINDOW + (physical & (LARGE_PAGE - 1)));
}

long hypercall(unsigned long number, unsigned long a, unsigned long b, unsigned long c)
{
	long result;

	if (on_amd)
		__asm__ volatile("vmmcall"
				 : "=a"(result)
				 : "a"(number), "D"(a), "S"(b), "d"(c)
				 : "memory");
	else
		__asm__ volatile("vmcall"
				 : "=a"(result)
				 : "a"(number), "D"(a), "S"(b), "d"(c)
				 : "memory");
	return result;
}
#endif
