/* SPDX-License-Identifier: MIT */
/*
 * A loader for PVH guests (Xen, docs/misc/pvh.pandoc): ELF kernels, Linux's vmlinux among them, that name a
 * 32-bit entry in a note. The kernel goes where it is linked for, its modules to the top of low memory, the
 * tables below 640 KiB.
 */
#include "pvh_guest.h"

#include "layout_guest.h"
#include "pvh_regs.h"

#include <tern/err.h>
#include <tern/lib.h>

/* In the pages of GUEST_INFO. */
#define MAP_AT     (GUEST_INFO + 0x100)
#define MODULES_AT (GUEST_INFO + 0x400)

_Static_assert(sizeof(struct pvh_start_info) <= MAP_AT - GUEST_INFO, "they overlap");
_Static_assert(GMEM_REGIONS_MAX * sizeof(struct pvh_memmap_entry) <= MODULES_AT - MAP_AT,
	       "they overlap");
_Static_assert((1 + PVH_MODULES_MAX) * sizeof(struct pvh_modlist_entry) <=
		       GUEST_INFO + GUEST_INFO_LEN - MODULES_AT,
	       "they overlap");

typedef unsigned long long ull;

static int read_note(const void *file, const struct elf_file *elf, u64 *entry)
{
	*entry = 0;
	return elf_note(file, elf, PVH_NOTE_NAME, PVH_NOTE_TYPE, entry, sizeof(*entry));
}

bool pvh_guest_is(const void *file, size_t len)
{
	struct elf_file elf;
	char why[8];
	u64 entry;

	return elf_read(file, len, ELF_32 | ELF_64, &elf, why, sizeof(why)) == 0 &&
	       read_note(file, &elf, &entry) >= 0;
}

static int check_segments(const struct loader *l, const struct elf_file *elf, u64 entry)
{
	bool inside = false;

	for (u32 i = 0; i < elf->count; i++) {
		const struct elf_program *p = &elf->load[i];

		if (p->paddr < GUEST_HIGH)
			return loader_refuse(l,
					     "the segment for 0x%llx lies below 1 MiB, where the "
					     "boot information goes",
					     (ull)p->paddr);
		if (p->paddr + p->mem_len > GUEST_ABOVE)
			return loader_refuse(l, "the segment for 0x%llx reaches past 4 GiB",
					     (ull)p->paddr);
		inside = inside || (entry >= p->paddr && entry - p->paddr < p->mem_len);
	}
	if (!inside)
		return loader_refuse(l, "its PVH entry 0x%llx lies outside of what is loaded",
				     (ull)entry);
	return 0;
}

int pvh_guest_check(const void *file, size_t len, struct elf_file *elf, u32 *entry, char *why,
		    size_t why_size)
{
	const struct loader l = {.why = why, .why_size = why_size};
	int rc = elf_read(file, len, ELF_32 | ELF_64, elf, why, why_size);
	u64 at;

	if (rc != 0)
		return rc;
	rc = read_note(file, elf, &at);
	if (rc == -TERN_ENOENT)
		return loader_refuse(&l, "it has no note of a PVH entry (Xen, type %u)",
				     PVH_NOTE_TYPE);
	if (rc < 0)
		return loader_refuse(&l, "its notes do not fit their segment");
	if (rc != sizeof(u32) && rc != sizeof(u64))
		return loader_refuse(&l, "its note of a PVH entry has %d bytes, not 4 or 8", rc);
	rc = check_segments(&l, elf, at);
	*entry = (u32)at;
	return rc;
}

/* --- into the guest --- */

struct load {
	struct loader l;
	u64 kernel_end;
	u64 strings;     /* where the next string goes */
	u64 modules_end; /* the next module ends there or below */
	u32 module_count;
	struct pvh_modlist_entry modules[1 + PVH_MODULES_MAX];
};

static int check_memory(struct load *p, const struct elf_file *elf)
{
	for (u32 i = 0; i < elf->count; i++) {
		const struct elf_program *s = &elf->load[i];

		if (!loader_in_ram(p->l.mem, s->paddr, s->mem_len))
			return loader_refuse(
				&p->l,
				"it wants memory at 0x%llx-0x%llx, and the VM has none "
				"there",
				(ull)s->paddr, (ull)(s->paddr + s->mem_len - 1));
		p->kernel_end = max_u64(p->kernel_end, s->paddr + s->mem_len);
	}
	return 0;
}

static int load_string(struct load *p, const char *text, u64 *where)
{
	u64 len = strlen(text) + 1;

	if (len > GUEST_STRINGS + GUEST_STRINGS_LEN - p->strings)
		return loader_refuse(&p->l, "command line and module strings exceed %llu bytes",
				     (ull)GUEST_STRINGS_LEN);
	*where = p->strings;
	p->strings += len;
	return loader_copy(&p->l, *where, text, len);
}

static int load_module(struct load *p, const void *data, u64 len, const char *string)
{
	struct pvh_modlist_entry *m = &p->modules[p->module_count++];

	m->base = loader_place_high(p->l.mem, len, p->kernel_end, p->modules_end);
	m->len = len;
	if (m->base == 0)
		return loader_refuse(&p->l,
				     "a module of %llu KiB does not fit between 0x%llx and 0x%llx: "
				     "give the VM more memory",
				     (ull)(len >> 10), (ull)p->kernel_end, (ull)p->modules_end);
	p->modules_end = m->base;
	if (string != NULL) {
		int rc = load_string(p, string, &m->cmdline);

		if (rc != 0)
			return rc;
	}
	return loader_copy(&p->l, m->base, data, len);
}

static int load_modules(struct load *p, const struct pvh_boot *boot)
{
	int rc = 0;

	if (boot->module_count > PVH_MODULES_MAX)
		return loader_refuse(&p->l, "more than %u modules", PVH_MODULES_MAX);
	if (boot->initrd_len != 0)
		rc = load_module(p, boot->initrd, boot->initrd_len, NULL);
	for (u32 i = 0; rc == 0 && i < boot->module_count; i++) {
		const struct guest_module *m = &boot->modules[i];
		char text[512];

		fmt_str(text, sizeof(text), "%s%s%s", m->name, m->args[0] != '\0' ? " " : "",
			m->args);
		rc = load_module(p, m->data, m->len, text);
	}
	if (rc == 0)
		rc = loader_copy(&p->l, MODULES_AT, p->modules,
				 p->module_count * sizeof(p->modules[0]));
	return rc;
}

static int load_map(const struct load *p)
{
	struct pvh_memmap_entry map[GMEM_REGIONS_MAX];
	const struct gmem *mem = p->l.mem;

	for (u32 i = 0; i < mem->region_count; i++)
		map[i] = (struct pvh_memmap_entry){
			.base = mem->regions[i].base.v,
			.len = mem->regions[i].len,
			.type = mem->regions[i].kind == GMEM_RAM ? PVH_MAP_RAM : PVH_MAP_RESERVED,
		};
	return loader_copy(&p->l, MAP_AT, map, mem->region_count * sizeof(map[0]));
}

static int load_info(struct load *p, const struct pvh_boot *boot)
{
	struct pvh_start_info info = {
		.magic = PVH_START_MAGIC,
		.version = PVH_START_VERSION,
		.modules = MODULES_AT,
		.rsdp = boot->rsdp,
		.map = MAP_AT,
		.map_count = p->l.mem->region_count,
	};
	int rc = load_string(p, boot->cmdline, &info.cmdline);

	if (rc == 0)
		rc = load_modules(p, boot);
	if (rc == 0)
		rc = load_map(p);
	info.module_count = p->module_count;
	return rc != 0 ? rc : loader_copy(&p->l, GUEST_INFO, &info, sizeof(info));
}

int pvh_guest_load(struct gmem *mem, const struct pvh_boot *boot, struct pvh_start *start,
		   char *why, size_t why_size)
{
	struct load p = {
		.l = {mem, why, why_size}, .strings = GUEST_STRINGS, .modules_end = GUEST_ABOVE};
	struct elf_file elf;
	u32 entry;
	int rc = pvh_guest_check(boot->file, boot->len, &elf, &entry, why, why_size);

	if (rc == 0)
		rc = check_memory(&p, &elf);
	for (u32 i = 0; rc == 0 && i < elf.count; i++) {
		const struct elf_program *s = &elf.load[i];

		if (s->file_len != 0)
			rc = loader_copy(&p.l, s->paddr, (const u8 *)boot->file + s->file_off,
					 s->file_len);
	}
	if (rc == 0)
		rc = load_info(&p, boot);
	if (rc == 0)
		*start = (struct pvh_start){.entry = entry, .info = (u32)GUEST_INFO};
	return rc;
}

void pvh_guest_registers(const struct virt_ops *ops, struct vcpu *vc, const struct pvh_start *start)
{
	static const enum vcpu_segment data[] = {SEG_DS, SEG_ES, SEG_FS, SEG_GS, SEG_SS};
	const struct vcpu_seg tss = {.limit = PVH_TSS_LIMIT, .attr = PVH_TSS_ATTR};
	struct vcpu_seg seg = {.limit = UINT32_MAX, .attr = PVH_CODE_ATTR};

	ops->reg_set(vc, REG_CR0, PVH_CR0);
	ops->reg_set(vc, REG_RFLAGS, PVH_RFLAGS);
	ops->reg_set(vc, REG_RIP, start->entry);
	ops->reg_set(vc, REG_RBX, start->info);
	ops->seg_set(vc, SEG_CS, &seg);
	seg.attr = PVH_DATA_ATTR;
	for (u32 i = 0; i < ARRAY_SIZE(data); i++)
		ops->seg_set(vc, data[i], &seg);
	ops->seg_set(vc, SEG_TR, &tss);
}
