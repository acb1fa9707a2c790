/* SPDX-License-Identifier: MIT */
/*
 * A Multiboot 1 loader for guests (Multiboot Specification 0.6.96): ELF32 files and images with an
 * address header. The order in guest memory: the kernel where it wants to be, behind it the boot
 * information, then the modules, each on a page of its own.
 */
#include "mb1_guest.h"

#include "loader.h"
#include "mb1_regs.h"

#include <tern/elf.h>
#include <tern/err.h>
#include <tern/lib.h>

#define LOADER_NAME "Tern"
#define LOW_END     0xa0000ull
#define HIGH_START  MiB(1)

struct input {
	const u8 *bytes;
	size_t len;
	struct loader l;
};

/* --- what is in the file --- */

/* The header may be cut behind its checksum by the end of the file: the addresses then read as 0. */
static bool find_header(const u8 *file, size_t len, struct mb1_header *h, u32 *offset)
{
	const u32 least = 3 * sizeof(u32);
	u64 end = min_u64(len, MB1_HEADER_SEARCH);

	for (u32 at = 0; at + least <= end; at += MB1_HEADER_ALIGN) {
		memset(h, 0, sizeof(*h));
		memcpy(h, file + at, min_u64(sizeof(*h), len - at));
		*offset = at;
		if (h->magic == MB1_HEADER_MAGIC && h->magic + h->flags + h->checksum == 0)
			return true;
	}
	return false;
}

bool mb1_guest_is(const void *file, size_t len)
{
	struct mb1_header h;
	u32 offset;

	return find_header(file, len, &h, &offset);
}

static int read_header(const struct input *in, struct mb1_header *h, u32 *offset)
{
	if (!find_header(in->bytes, in->len, h, offset))
		return loader_refuse(&in->l, "it has no Multiboot 1 header in its first 8 KiB");
	if ((h->flags & MB1_NEED_MASK & ~(MB1_NEED_PAGES | MB1_NEED_MEMORY)) != 0)
		return loader_refuse(&in->l,
				     "its Multiboot header wants features 0x%x that Tern does not "
				     "offer",
				     h->flags & MB1_NEED_MASK);
	if ((h->flags & MB1_ADDRESSES) != 0 && in->len - *offset < sizeof(*h))
		return loader_refuse(&in->l, "its Multiboot header is cut");
	return 0;
}

static int add_segment(const struct input *in, struct mb1_image *image, const struct mb1_segment *s)
{
	u64 end = (u64)s->gpa + s->mem_len;

	if (s->mem_len == 0)
		return 0;
	if ((u64)s->file_off + s->file_len > in->len)
		return loader_refuse(&in->l, "the segment for 0x%x lies past the end of the file",
				     s->gpa);
	if (end > UINT32_MAX)
		return loader_refuse(&in->l, "the segment for 0x%x reaches past 4 GiB", s->gpa);
	image->segments[image->count++] = *s;
	image->end = (u32)max_u64(image->end, end);
	return 0;
}

/* Section 3.1.3. */
static int read_addresses(const struct input *in, const struct mb1_header *h, u32 offset,
			  struct mb1_image *image)
{
	struct mb1_segment s = {.gpa = h->load_addr};
	u32 before = h->header_addr - h->load_addr; /* bytes of the image in front of the header */

	if (h->header_addr < h->load_addr || before > offset)
		return loader_refuse(&in->l,
				     "its load address 0x%x does not fit its header's, 0x%x",
				     h->load_addr, h->header_addr);
	s.file_off = offset - before;
	if (in->len - s.file_off > UINT32_MAX)
		return loader_refuse(&in->l, "it is larger than 4 GiB");
	if (h->load_end_addr == 0)
		s.file_len = (u32)(in->len - s.file_off);
	else if (h->load_end_addr >= h->load_addr)
		s.file_len = h->load_end_addr - h->load_addr;
	else
		return loader_refuse(&in->l, "its end 0x%x lies below its begin", h->load_end_addr);
	s.mem_len = s.file_len;
	if (h->bss_end_addr != 0) {
		if (h->bss_end_addr < h->load_addr || h->bss_end_addr - h->load_addr < s.file_len)
			return loader_refuse(&in->l, "its bss ends at 0x%x, in front of its data",
					     h->bss_end_addr);
		s.mem_len = h->bss_end_addr - h->load_addr;
	}
	image->entry = h->entry_addr;
	return add_segment(in, image, &s);
}

static int read_elf(const struct input *in, struct mb1_image *image)
{
	struct elf_file elf;
	bool entry = false;
	int rc;

	if (elf_class(in->bytes, in->len) != ELF_32)
		return loader_refuse(
			&in->l, "it is neither a 32-bit ELF file nor has it an address header");
	rc = elf_read(in->bytes, in->len, ELF_32, &elf, in->l.why, in->l.why_size);
	for (u32 i = 0; rc == 0 && i < elf.count; i++) {
		const struct elf_program *p = &elf.load[i];

		rc = add_segment(in, image,
				 &(struct mb1_segment){.gpa = (u32)p->paddr,
						       .file_off = (u32)p->file_off,
						       .file_len = (u32)p->file_len,
						       .mem_len = (u32)p->mem_len});
		/* The entry is an address the kernel is linked for, paging is off. */
		if (elf.entry >= p->vaddr && elf.entry - p->vaddr < p->mem_len && !entry) {
			image->entry = (u32)(p->paddr + (elf.entry - p->vaddr));
			entry = true;
		}
	}
	if (rc == 0 && !entry)
		rc = loader_refuse(&in->l, "its entry 0x%llx lies in no segment",
				   (unsigned long long)elf.entry);
	return rc;
}

int mb1_guest_check(const void *file, size_t len, struct mb1_image *image, char *why,
		    size_t why_size)
{
	const struct input in = {file, len, {.why = why, .why_size = why_size}};
	struct mb1_header h;
	u32 offset = 0;
	int rc;

	memset(image, 0, sizeof(*image));
	rc = read_header(&in, &h, &offset);
	if (rc != 0)
		return rc;
	rc = (h.flags & MB1_ADDRESSES) != 0 ? read_addresses(&in, &h, offset, image)
					    : read_elf(&in, image);
	if (rc != 0)
		return rc;
	for (u32 i = 0; i < image->count; i++) {
		const struct mb1_segment *s = &image->segments[i];

		if (image->entry >= s->gpa && image->entry - s->gpa < s->mem_len)
			return 0;
	}
	return loader_refuse(&in.l, "its entry 0x%x lies outside of what is loaded", image->entry);
}

/* --- into the guest --- */

struct load {
	u64 at; /* where the next thing goes */
	struct input in;
};

/* Puts len bytes at the next free place; *where gets it. */
static int append(struct load *l, const void *src, u64 len, u32 *where)
{
	int rc;

	if (l->at + len > UINT32_MAX || !loader_in_ram(l->in.l.mem, l->at, len))
		return loader_refuse(&l->in.l,
				     "%llu bytes do not fit behind the kernel, at 0x%llx: give "
				     "the VM more memory",
				     (unsigned long long)len, (unsigned long long)l->at);
	rc = loader_copy(&l->in.l, l->at, src, len);
	*where = (u32)l->at;
	l->at = align_up(l->at + len, sizeof(u64));
	return rc;
}

static int append_string(struct load *l, const char *text, u32 *where)
{
	return append(l, text, strlen(text) + 1, where);
}

static int load_image(struct load *l, const struct mb1_image *image)
{
	for (u32 i = 0; i < image->count; i++) {
		const struct mb1_segment *s = &image->segments[i];
		int rc;

		if (!loader_in_ram(l->in.l.mem, s->gpa, s->mem_len))
			return loader_refuse(&l->in.l,
					     "it wants memory at 0x%x-0x%x, and the VM has none "
					     "there",
					     s->gpa, s->gpa + (s->mem_len - 1));
		rc = s->file_len == 0 ? 0
				      : loader_copy(&l->in.l, s->gpa, l->in.bytes + s->file_off,
						    s->file_len);
		if (rc != 0)
			return rc;
	}
	return 0;
}

/* The memory map, and the two old numbers: KiB from 0, KiB from 1 MiB. */
static int load_map(struct load *l, struct mb1_info *info)
{
	const struct gmem *mem = l->in.l.mem;
	struct mb1_mmap map[GMEM_REGIONS_MAX];
	u32 count = 0;

	for (u32 i = 0; i < mem->region_count; i++) {
		const struct gmem_region *r = &mem->regions[i];

		if (r->kind != GMEM_RAM)
			continue;
		map[count++] = (struct mb1_mmap){
			.size = sizeof(map[0]) - sizeof(map[0].size),
			.base = r->base.v,
			.len = r->len,
			.type = MB1_MEM_RAM,
		};
		if (r->base.v == 0)
			info->mem_lower = (u32)(min_u64(r->len, LOW_END) >> 10);
		if (r->base.v == HIGH_START)
			info->mem_upper = (u32)min_u64(r->len >> 10, UINT32_MAX);
	}
	info->mmap_length = (u32)(count * sizeof(map[0]));
	return append(l, map, info->mmap_length, &info->mmap_addr);
}

/* The strings of the modules lie in front of their table, the modules behind everything. */
static int load_modules(struct load *l, const struct mb1_boot *boot, struct mb1_info *info)
{
	struct mb1_mod table[8] = {{0}};
	u32 table_gpa = 0, unused;
	int rc = 0;

	if (boot->module_count > ARRAY_SIZE(table))
		return loader_refuse(&l->in.l, "more than %zu modules", ARRAY_SIZE(table));
	for (u32 i = 0; rc == 0 && i < boot->module_count; i++) {
		const struct guest_module *m = &boot->modules[i];
		char text[512];

		fmt_str(text, sizeof(text), "%s%s%s", m->name, m->args[0] != '\0' ? " " : "",
			m->args);
		rc = append_string(l, text, &table[i].string);
	}
	if (rc == 0)
		rc = append(l, table, boot->module_count * sizeof(table[0]), &table_gpa);
	for (u32 i = 0; rc == 0 && i < boot->module_count; i++) {
		const struct guest_module *m = &boot->modules[i];

		l->at = align_up(l->at, PAGE_SIZE);
		rc = append(l, m->data, m->len, &table[i].start);
		table[i].end = table[i].start + (u32)m->len;
	}
	info->mods_count = boot->module_count;
	info->mods_addr = table_gpa;
	l->at = table_gpa;
	return rc != 0 || boot->module_count == 0
		       ? rc
		       : append(l, table, boot->module_count * sizeof(table[0]), &unused);
}

int mb1_guest_load(struct gmem *mem, const struct mb1_boot *boot, struct mb1_start *start,
		   char *why, size_t why_size)
{
	struct load l = {.in = {boot->file, boot->len, {mem, why, why_size}}};
	struct mb1_info info = {
		.flags = MB1_INFO_MEMORY | MB1_INFO_CMDLINE | MB1_INFO_MODS | MB1_INFO_MMAP |
			 MB1_INFO_LOADER,
	};
	struct mb1_image image;
	u32 info_gpa;
	int rc = mb1_guest_check(boot->file, boot->len, &image, why, why_size);

	if (rc == 0)
		rc = load_image(&l, &image);
	l.at = align_up(image.end, PAGE_SIZE);
	/* The place first, the content when all addresses in it are known. */
	if (rc == 0)
		rc = append(&l, &info, sizeof(info), &info_gpa);
	if (rc == 0)
		rc = append_string(&l, boot->cmdline, &info.cmdline);
	if (rc == 0)
		rc = append_string(&l, LOADER_NAME, &info.loader_name);
	if (rc == 0)
		rc = load_map(&l, &info);
	if (rc == 0)
		rc = load_modules(&l, boot, &info);
	if (rc == 0)
		rc = loader_copy(&l.in.l, info_gpa, &info, sizeof(info));
	if (rc == 0)
		*start = (struct mb1_start){.entry = image.entry, .info = info_gpa};
	return rc;
}

void mb1_guest_registers(const struct virt_ops *ops, struct vcpu *vc, const struct mb1_start *start)
{
	static const enum vcpu_segment data[] = {SEG_DS, SEG_ES, SEG_FS, SEG_GS, SEG_SS};
	struct vcpu_seg seg = {.limit = UINT32_MAX, .attr = MB1_CODE_ATTR};

	ops->reg_set(vc, REG_CR0, MB1_CR0);
	ops->reg_set(vc, REG_RFLAGS, MB1_RFLAGS);
	ops->reg_set(vc, REG_RIP, start->entry);
	ops->reg_set(vc, REG_RAX, MB1_LOADER_MAGIC);
	ops->reg_set(vc, REG_RBX, start->info);
	ops->seg_set(vc, SEG_CS, &seg);
	seg.attr = MB1_DATA_ATTR;
	for (u32 i = 0; i < ARRAY_SIZE(data); i++)
		ops->seg_set(vc, data[i], &seg);
}
