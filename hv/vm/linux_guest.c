/* SPDX-License-Identifier: MIT */
/*
 * A loader for Linux by its 64-bit boot protocol (Linux, Documentation/arch/x86/boot.rst): the setup code
 * of the bzImage is not run, what it would have found out is written into boot_params, and the kernel
 * starts in 64-bit mode over page tables that map the first 4 GiB one to one.
 */
#include "linux_guest.h"

#include "layout_guest.h"
#include "linux_regs.h"
#include "loader.h"

#include <tern/err.h>
#include <tern/lib.h>

_Static_assert(GMEM_REGIONS_MAX <= LINUX_E820_MAX, "boot_params holds the map");
_Static_assert(LINUX_PARAMS_E820 + LINUX_E820_MAX * sizeof(struct linux_e820) <= PAGE_SIZE,
	       "zero-page.rst");

typedef unsigned long long ull;

static bool read_header(const void *file, size_t len, struct linux_header *h)
{
	if (len < LINUX_HEADER_AT + sizeof(*h))
		return false;
	memcpy(h, (const u8 *)file + LINUX_HEADER_AT, sizeof(*h));
	return h->boot_flag == LINUX_BOOT_FLAG && h->header == LINUX_HEADER_MAGIC;
}

bool linux_guest_is(const void *file, size_t len)
{
	struct linux_header h;

	return read_header(file, len, &h);
}

/* What the header says of itself. */
static int check_header(const struct loader *l, const struct linux_header *h)
{
	u32 end = LINUX_JUMP_AT + (u32)sizeof(u16) + h->jump_len;

	if (h->version < LINUX_VERSION_MIN)
		return loader_refuse(l,
				     "it speaks boot protocol %u.%02u, Tern wants 2.12 or a later "
				     "one (Linux 3.8)",
				     h->version >> 8, h->version & 0xff);
	if (h->jump != LINUX_JUMP || end < LINUX_HEADER_AT + sizeof(*h))
		return loader_refuse(
			l, "its setup header ends at 0x%x, too early for protocol %u.%02u",
			h->jump == LINUX_JUMP ? end : LINUX_JUMP_AT, h->version >> 8,
			h->version & 0xff);
	if ((h->loadflags & LINUX_LOADED_HIGH) == 0)
		return loader_refuse(l, "its loadflags 0x%x lack LOADED_HIGH: it is a zImage",
				     h->loadflags);
	if ((h->xloadflags & LINUX_XLF_KERNEL_64) == 0)
		return loader_refuse(
			l, "its xloadflags 0x%x lack XLF_KERNEL_64: it is a 32-bit kernel",
			h->xloadflags);
	if (h->relocatable_kernel != 0 &&
	    (h->kernel_alignment == 0 || (h->kernel_alignment & (h->kernel_alignment - 1)) != 0))
		return loader_refuse(l, "its kernel_alignment 0x%x is no power of two",
				     h->kernel_alignment);
	return 0;
}

/* What it says of the kernel behind the setup code. syssize counts paragraphs: the file may end in the last. */
static int check_sizes(const struct loader *l, const struct linux_header *h, size_t len,
		       struct linux_image *image)
{
	u64 end = image->kernel_off + image->kernel_len;

	if (image->kernel_len <= LINUX_ENTRY_64)
		return loader_refuse(l, "its syssize 0x%x leaves no room for the 64-bit entry",
				     h->syssize);
	if (end > len && end - len < LINUX_PARAGRAPH)
		image->kernel_len -= end - len;
	else if (end > len)
		return loader_refuse(
			l,
			"setup_sects %u and syssize 0x%x make %llu bytes, but the file "
			"has %zu: it was cut",
			h->setup_sects, h->syssize, (ull)end, len);
	if (image->init_size < image->kernel_len)
		return loader_refuse(l, "its init_size 0x%x is less than the kernel's 0x%llx bytes",
				     h->init_size, (ull)image->kernel_len);
	if (image->pref_address < GUEST_HIGH || image->pref_address > GUEST_ABOVE ||
	    image->init_size > GUEST_ABOVE - image->pref_address)
		return loader_refuse(l,
				     "its pref_address 0x%llx with init_size 0x%x does not lie "
				     "between 1 MiB and 4 GiB",
				     (ull)image->pref_address, h->init_size);
	return 0;
}

int linux_guest_check(const void *file, size_t len, struct linux_image *image, char *why,
		      size_t why_size)
{
	const struct loader l = {.why = why, .why_size = why_size};
	struct linux_header h;
	int rc;

	memset(image, 0, sizeof(*image));
	if (!read_header(file, len, &h))
		return loader_refuse(&l, "it has no setup header of a bzImage in its %zu bytes",
				     len);
	rc = check_header(&l, &h);
	if (rc != 0)
		return rc;
	*image = (struct linux_image){
		.kernel_off = LINUX_SECTOR *
			      (1u + (h.setup_sects != 0 ? h.setup_sects : LINUX_SETUP_SECTS)),
		.kernel_len = (u64)h.syssize * LINUX_PARAGRAPH,
		.pref_address = h.pref_address,
		.init_size = h.init_size,
		.alignment = h.relocatable_kernel != 0 ? h.kernel_alignment : 0,
		.initrd_end = (u64)h.initrd_addr_max + 1,
		.cmdline_max = h.cmdline_size,
	};
	image->header_end =
		(u32)min_u64(LINUX_JUMP_AT + sizeof(u16) + h.jump_len, LINUX_HEADER_END);
	return check_sizes(&l, &h, len, image);
}

/* --- into the guest --- */

struct place {
	u64 kernel, initrd;
};

/*
 * The kernel goes where it wants to be, or, when it can be moved, to the first place above that has memory
 * for it. A place below is of no use: its code unpacks to pref_address at the least.
 */
static int place_kernel(const struct loader *l, const struct linux_image *image, u64 *at)
{
	*at = image->pref_address;
	if (loader_in_ram(l->mem, *at, image->init_size))
		return 0;
	for (u32 i = 0; image->alignment != 0 && i < l->mem->region_count; i++) {
		*at = align_up(max_u64(l->mem->regions[i].base.v, image->pref_address),
			       image->alignment);
		if (loader_in_ram(l->mem, *at, image->init_size) &&
		    *at + image->init_size <= GUEST_ABOVE)
			return 0;
	}
	return loader_refuse(l,
			     "it wants %llu KiB of memory at 0x%llx, and the VM does not have them "
			     "there: give the VM more memory",
			     (ull)(image->init_size >> 10), (ull)image->pref_address);
}

static int place_all(const struct loader *l, const struct linux_boot *boot,
		     const struct linux_image *image, struct place *p)
{
	u64 floor, end = min_u64(image->initrd_end, GUEST_ABOVE);
	size_t cmdline = strlen(boot->cmdline);
	int rc = place_kernel(l, image, &p->kernel);

	if (rc != 0)
		return rc;
	if (cmdline > image->cmdline_max || cmdline >= GUEST_STRINGS_LEN)
		return loader_refuse(l, "its command line has %zu characters, %llu are allowed",
				     cmdline,
				     (ull)min_u64(image->cmdline_max, GUEST_STRINGS_LEN - 1));
	floor = p->kernel + image->init_size;
	p->initrd =
		boot->initrd_len == 0 ? 0 : loader_place_high(l->mem, boot->initrd_len, floor, end);
	if (boot->initrd_len != 0 && p->initrd == 0)
		return loader_refuse(l,
				     "its initrd of %llu KiB does not fit between the kernel's end "
				     "0x%llx and 0x%llx: give the VM more memory",
				     (ull)(boot->initrd_len >> 10), (ull)floor, (ull)end);
	return 0;
}

/* RAM is RAM, ROM is reserved; all else is not named: devices. */
static int load_e820(const struct loader *l)
{
	struct linux_e820 map[GMEM_REGIONS_MAX];
	u8 count = 0;
	int rc;

	for (; count < l->mem->region_count; count++) {
		const struct gmem_region *r = &l->mem->regions[count];

		map[count] = (struct linux_e820){
			.base = r->base.v,
			.len = r->len,
			.type = r->kind == GMEM_RAM ? LINUX_E820_RAM : LINUX_E820_RESERVED,
		};
	}
	rc = loader_copy(l, GUEST_INFO + LINUX_PARAMS_E820_COUNT, &count, sizeof(count));
	return rc != 0 ? rc
		       : loader_copy(l, GUEST_INFO + LINUX_PARAMS_E820, map,
				     count * sizeof(map[0]));
}

/* The setup header as the file has it, with what a loader fills in (boot.rst, "Details of Header Fields"). */
static int load_params(const struct loader *l, const struct linux_boot *boot,
		       const struct linux_image *image, const struct place *p)
{
	const u64 rest = LINUX_HEADER_AT + sizeof(struct linux_header);
	struct linux_header h;
	int rc;

	memcpy(&h, (const u8 *)boot->file + LINUX_HEADER_AT, sizeof(h));
	h.type_of_loader = LINUX_LOADER_UNKNOWN;
	h.code32_start = (u32)p->kernel;
	h.ramdisk_image = (u32)p->initrd;
	h.ramdisk_size = (u32)boot->initrd_len;
	h.cmd_line_ptr = (u32)GUEST_STRINGS;
	rc = loader_copy(l, GUEST_INFO + LINUX_HEADER_AT, &h, sizeof(h));
	if (rc == 0 && image->header_end > rest)
		rc = loader_copy(l, GUEST_INFO + rest, (const u8 *)boot->file + rest,
				 image->header_end - rest);
	if (rc == 0)
		rc = loader_copy(l, GUEST_INFO + LINUX_PARAMS_RSDP, &boot->rsdp,
				 sizeof(boot->rsdp));
	return rc != 0 ? rc : load_e820(l);
}

static int load_gdt(const struct loader *l)
{
	static const u64 gdt[] = {
		[LINUX_CS / sizeof(u64)] = LINUX_CODE_DESC,
		[LINUX_DS / sizeof(u64)] = LINUX_DATA_DESC,
	};

	return loader_copy(l, GUEST_GDT, gdt, sizeof(gdt));
}

/* The top table, the table of GiB, and four of 2 MiB pages: all CPUs have those. */
static int load_page_tables(const struct loader *l)
{
	const u64 gib = GUEST_TABLES + PAGE_SIZE, pages = gib + PAGE_SIZE;
	u64 top = gib | LINUX_PTE_TABLE, entries[64];
	int rc = loader_copy(l, GUEST_TABLES, &top, sizeof(top));

	for (u32 i = 0; i < GUEST_ABOVE / PAGE_1G_SIZE; i++)
		entries[i] = (pages + i * PAGE_SIZE) | LINUX_PTE_TABLE;
	if (rc == 0)
		rc = loader_copy(l, gib, entries, GUEST_ABOVE / PAGE_1G_SIZE * sizeof(entries[0]));
	for (u32 i = 0; rc == 0 && i < GUEST_ABOVE / PAGE_2M_SIZE; i += ARRAY_SIZE(entries)) {
		for (u32 k = 0; k < ARRAY_SIZE(entries); k++)
			entries[k] = (i + k) * PAGE_2M_SIZE | LINUX_PTE_LARGE;
		rc = loader_copy(l, pages + i * sizeof(u64), entries, sizeof(entries));
	}
	return rc;
}

_Static_assert(GUEST_TABLES_LEN == (2 + GUEST_ABOVE / PAGE_1G_SIZE) * PAGE_SIZE, "six pages");

int linux_guest_load(struct gmem *mem, const struct linux_boot *boot, struct linux_start *start,
		     char *why, size_t why_size)
{
	const struct loader l = {.mem = mem, .why = why, .why_size = why_size};
	struct linux_image image;
	struct place place;
	int rc = linux_guest_check(boot->file, boot->len, &image, why, why_size);

	if (rc == 0)
		rc = place_all(&l, boot, &image, &place);
	if (rc == 0)
		rc = loader_copy(&l, place.kernel, (const u8 *)boot->file + image.kernel_off,
				 image.kernel_len);
	if (rc == 0 && place.initrd != 0)
		rc = loader_copy(&l, place.initrd, boot->initrd, boot->initrd_len);
	if (rc == 0)
		rc = loader_copy(&l, GUEST_STRINGS, boot->cmdline, strlen(boot->cmdline) + 1);
	if (rc == 0)
		rc = load_params(&l, boot, &image, &place);
	if (rc == 0)
		rc = load_gdt(&l);
	if (rc == 0)
		rc = load_page_tables(&l);
	if (rc == 0)
		*start = (struct linux_start){.entry = place.kernel + LINUX_ENTRY_64,
					      .params = GUEST_INFO};
	return rc;
}

void linux_guest_registers(const struct virt_ops *ops, struct vcpu *vc,
			   const struct linux_start *start)
{
	static const enum vcpu_segment data[] = {SEG_DS, SEG_ES, SEG_FS, SEG_GS, SEG_SS};
	const struct vcpu_seg gdt = {.base = GUEST_GDT, .limit = LINUX_DS + sizeof(u64) - 1};
	struct vcpu_seg seg = {.limit = UINT32_MAX, .attr = LINUX_CODE_ATTR, .selector = LINUX_CS};

	ops->reg_set(vc, REG_CR3, GUEST_TABLES);
	ops->reg_set(vc, REG_CR4, LINUX_CR4);
	ops->reg_set(vc, REG_EFER, LINUX_EFER);
	ops->reg_set(vc, REG_CR0, LINUX_CR0);
	ops->reg_set(vc, REG_RFLAGS, LINUX_RFLAGS);
	ops->reg_set(vc, REG_RIP, start->entry);
	ops->reg_set(vc, REG_RSI, start->params);
	ops->seg_set(vc, SEG_GDTR, &gdt);
	ops->seg_set(vc, SEG_CS, &seg);
	seg.selector = LINUX_DS;
	seg.attr = LINUX_DATA_ATTR;
	for (u32 i = 0; i < ARRAY_SIZE(data); i++)
		ops->seg_set(vc, data[i], &seg);
}
