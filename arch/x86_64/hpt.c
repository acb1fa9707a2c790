/* SPDX-License-Identifier: MIT */
/*
 * Host page tables: the image W^X, all RAM at the direct map (the image's read-only part is
 * read-only there too), device registers and firmware tables in the vmap area, stacks with holes
 * below them, and the frame table. docs/architecture.md draws the address space.
 */
#include "hpt.h"

#include <tern/acpi.h>
#include <tern/arch.h>
#include <tern/err.h>
#include <tern/frames.h>
#include <tern/init.h>
#include <tern/layout.h>
#include <tern/lib.h>
#include <tern/lock.h>
#include <tern/mem.h>

#include "cpu.h"
#include "x86.h"

#define LEVELS  4
#define ENTRIES 512u

extern const char image_start[], image_text_end[], image_rodata_end[], image_end[];

static struct spinlock hpt_lock = SPINLOCK_INIT(RANK_HPT, "hpt");
static hpa_t root;
static bool have_1g;
static bool frames_ready;
static u64 vmap_next = LAYOUT_VMAP;
static u64 image_phys;

void *phys_to_virt(hpa_t pa)
{
	return (void *)(LAYOUT_DIRECT + pa.v);
}

hpa_t virt_to_phys(const void *va)
{
	u64 v = (u64)va;

	if (v >= (u64)image_start && v < (u64)image_end)
		return hpa(v - (u64)image_start + image_phys);
	ASSERT(v >= LAYOUT_DIRECT && v < LAYOUT_DIRECT + LAYOUT_DIRECT_SIZE);
	return hpa(v - LAYOUT_DIRECT);
}

hpa_t hpt_root(void)
{
	return root;
}

void arch_zero_page(void *page)
{
	u64 n = PAGE_SIZE / 8;

	__asm__ volatile("rep stosq" : "+D"(page), "+c"(n) : "a"(0ul) : "memory");
}

/* A zeroed page for a table, from wherever memory comes at this point of boot. */
static int table_new(hpa_t *out)
{
	void *page;

	if (frames_ready) {
		page = frames_alloc_page();
		if (page == NULL)
			return -TERN_ENOMEM;
		*out = virt_to_phys(page);
		return 0;
	}
	*out = mem_boot_alloc(PAGE_SIZE, PAGE_SIZE);
	if (out->v == 0)
		return -TERN_ENOMEM;
	arch_zero_page(phys_to_virt(*out));
	return 0;
}

static u32 index_of(u64 va, u32 level)
{
	return (u32)(va >> (PAGE_SHIFT + 9 * level)) % ENTRIES;
}

/* The entry for va at a level (0: 4 KiB), with the tables above it made as needed. */
static int walk(u64 va, u32 level, u64 **out)
{
	hpa_t table = root;

	for (u32 l = LEVELS - 1; l > level; l--) {
		u64 *e = (u64 *)phys_to_virt(table) + index_of(va, l);

		if ((*e & PTE_P) == 0) {
			int rc = table_new(&table);

			if (rc != 0)
				return rc;
			*e = table.v | PTE_P | PTE_W | PTE_A;
		} else {
			ASSERT((*e & PTE_PS) == 0);
			table = hpa(*e & PTE_ADDR);
		}
	}
	*out = (u64 *)phys_to_virt(table) + index_of(va, level);
	return 0;
}

/* The largest page level that alignment and length allow. */
static u32 best_level(u64 va, u64 pa, u64 len)
{
	if (have_1g && ((va | pa) & (PAGE_1G_SIZE - 1)) == 0 && len >= PAGE_1G_SIZE)
		return 2;
	if (((va | pa) & (PAGE_2M_SIZE - 1)) == 0 && len >= PAGE_2M_SIZE)
		return 1;
	return 0;
}

static int map_locked(u64 va, u64 pa, u64 len, u64 flags)
{
	while (len > 0) {
		u32 level = best_level(va, pa, len);
		u64 size = PAGE_SIZE << (9 * level);
		u64 *e;
		int rc = walk(va, level, &e);

		if (rc != 0)
			return rc;
		/* Neighbours at the same level share the table: no walk for each. */
		do {
			ASSERT((*e & PTE_P) == 0);
			*e++ = pa | flags | (level > 0 ? PTE_PS : 0);
			va += size;
			pa += size;
			len -= size;
		} while (len >= size && index_of(va, level) != 0 &&
			 best_level(va, pa, len) == level);
	}
	return 0;
}

int hpt_map(u64 va, hpa_t pa, u64 len, u64 flags)
{
	lock_token t = lock_take(&hpt_lock);
	int rc;

	ASSERT(((va | pa.v | len) & (PAGE_SIZE - 1)) == 0);
	rc = map_locked(va, pa.v, len, flags);
	lock_release(&hpt_lock, t);
	return rc;
}

void hpt_unmap_page(u64 va)
{
	lock_token t = lock_take(&hpt_lock);
	u64 *e;

	if (walk(va, 0, &e) == 0)
		*e = 0;
	invlpg((void *)va);
	lock_release(&hpt_lock, t);
}

static void must_map(u64 va, u64 pa, u64 len, u64 flags)
{
	if (len > 0 && hpt_map(va, hpa(pa), len, flags) != 0)
		panic("host page tables: no memory for them; the machine has too little RAM below 4 GiB");
}

static void map_image(void)
{
	u64 text = (u64)(image_text_end - image_start);
	u64 ro = (u64)(image_rodata_end - image_start);
	u64 all = (u64)(image_end - image_start);
	u64 va = (u64)image_start;

	must_map(va, image_phys, text, HPT_CODE);
	must_map(va + text, image_phys + text, ro - text, HPT_RO);
	must_map(va + ro, image_phys + ro, all - ro, HPT_RW);
}

/* RAM and the memory of ACPI tables; of the image only what is writable anyway is writable here. */
static void map_direct(const struct boot_info *bi)
{
	u64 ro_end = image_phys + (u64)(image_rodata_end - image_start);

	for (u32 i = 0; i < bi->mem_count; i++) {
		u64 base = bi->mem[i].base, end = base + bi->mem[i].len;

		if (bi->mem[i].type != BOOT_MEM_RAM && bi->mem[i].type != BOOT_MEM_ACPI_RECLAIM)
			continue;
		end = min_u64(end, LAYOUT_DIRECT_SIZE);
		if (base >= end)
			continue;
		if (base <= image_phys && end >= ro_end) {
			must_map(LAYOUT_DIRECT + base, base, image_phys - base, HPT_RW);
			must_map(LAYOUT_DIRECT + image_phys, image_phys, ro_end - image_phys,
				 HPT_RO);
			base = ro_end;
		}
		must_map(LAYOUT_DIRECT + base, base, end - base, HPT_RW);
	}
}

void init_page_tables(const struct boot_info *bi)
{
	have_1g = (cpuid(0x80000001, 0).edx & CPUIDX1_EDX_1G) != 0;
	image_phys = bi->image_base;
	if (table_new(&root) != 0)
		panic("host page tables: no memory");
	map_image();
	map_direct(bi);
	write_cr3(root.v);
}

/* Every leaf below a table: present and writable means not executable. */
static u64 audit_table(hpa_t table, u32 level)
{
	const u64 *e = phys_to_virt(table);
	u64 leaves = 0;

	for (u32 i = 0; i < ENTRIES; i++) {
		if ((e[i] & PTE_P) == 0)
			continue;
		if (level > 0 && (e[i] & PTE_PS) == 0) {
			leaves += audit_table(hpa(e[i] & PTE_ADDR), level - 1);
			continue;
		}
		leaves++;
		if ((e[i] & PTE_W) != 0 && (e[i] & PTE_NX) == 0)
			panic("host page tables: level %u entry %u is writable and executable: %lx",
			      level, i, e[i]);
	}
	return leaves;
}

u64 hpt_audit(void)
{
	return audit_table(root, LEVELS - 1);
}

static void map_frame_table(u64 offset, u64 len)
{
	hpa_t pa = mem_table_alloc(len, len >= PAGE_2M_SIZE ? PAGE_2M_SIZE : PAGE_SIZE);

	if (pa.v == 0)
		panic("memory: no %lu bytes in one piece for the frame table", len);
	must_map(LAYOUT_FRAMES + offset, pa.v, len, HPT_RW);
}

void init_frames(void)
{
	mem_table_ranges(map_frame_table);
	frames_init((struct frame *)LAYOUT_FRAMES);
	mem_init(acpi_get());
	frames_ready = true;
}

/* Address space for [pa, pa + len), page-aligned, with a hole behind it; or NULL. */
static void *vmap(hpa_t pa, u64 len, u64 flags)
{
	u64 offset = pa.v & (PAGE_SIZE - 1);
	u64 va, size;

	if (len == 0 || len > LAYOUT_VMAP_SIZE || pa.v >= 1ull << 52)
		return NULL;
	size = align_up(offset + len, PAGE_SIZE);
	va = __atomic_fetch_add(&vmap_next, size + PAGE_SIZE, __ATOMIC_RELAXED);
	if (va + size > LAYOUT_VMAP + LAYOUT_VMAP_SIZE)
		return NULL;
	if (hpt_map(va, hpa(pa.v - offset), size, flags) != 0)
		return NULL;
	return (void *)(va + offset);
}

void *arch_map_mmio(hpa_t pa, u64 len)
{
	return vmap(pa, len, HPT_UC);
}

void *arch_map_framebuffer(hpa_t pa, u64 len)
{
	return vmap(pa, len, HPT_WC);
}

const void *arch_map_ro(hpa_t pa, u64 len)
{
	return vmap(pa, len, HPT_RO);
}
