/* SPDX-License-Identifier: MIT */
/*
 * Reads tern.elf: an ELF32 file for EM_386, because Multiboot 1 loaders know no other, with 64-bit
 * code in it. Only program headers count (System V gABI, chapter 5); their physical addresses are
 * where the image is linked for, and struct tern_image_header tells the 64-bit entry.
 */
#include <boot/efi/elf_load.h>

#include <abi/boot_info.h>
#include <tern/elf.h>
#include <tern/err.h>
#include <tern/lib.h>

struct input {
	const u8 *bytes;
	size_t len;
	char *why;
	size_t why_size;
};

static int PRINTF(2, 3) refuse(const struct input *in, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fmt_vstr(in->why, in->why_size, fmt, ap);
	va_end(ap);
	return -TERN_EINVAL;
}

/* Adds one loadable segment; they come in the order of their addresses (gABI, chapter 5). */
static int add_segment(const struct input *in, const struct elf_program *p, struct elf_load *e)
{
	const u64 end = e->link_base + e->image_size;

	if (e->count == 0) {
		if (p->paddr % ELF_LOAD_ALIGN != 0)
			return refuse(in, "it is linked for 0x%llx, not for a multiple of 2 MiB",
				      (unsigned long long)p->paddr);
		e->link_base = p->paddr;
	} else if (p->paddr < end) {
		return refuse(in, "segment %u, at 0x%llx, lies below the end of the one before",
			      e->count, (unsigned long long)p->paddr);
	}
	if (p->paddr + p->mem_len - e->link_base > ELF_LOAD_IMAGE_MAX)
		return refuse(in, "segment %u ends more than 64 MiB behind the first", e->count);
	e->segments[e->count++] = (struct elf_segment){
		.file_off = p->file_off,
		.file_len = p->file_len,
		.image_off = p->paddr - e->link_base,
	};
	e->image_size = p->paddr + p->mem_len - e->link_base;
	return 0;
}

static int find_entry(const struct input *in, struct elf_load *e)
{
	const struct elf_segment *first = &e->segments[0];
	const u64 search = min_u64(first->file_len, TERN_IMAGE_SEARCH);
	struct tern_image_header h;

	for (u64 at = 0; at + sizeof(h) <= search; at += 8) {
		memcpy(&h, in->bytes + first->file_off + at, sizeof(h));
		if (h.magic != TERN_IMAGE_MAGIC)
			continue;
		if (h.version != TERN_IMAGE_VERSION)
			return refuse(in,
				      "its image header is version %u, not %u: tern.elf and "
				      "ternboot.efi are not of one release",
				      h.version, TERN_IMAGE_VERSION);
		if (h.entry64_offset >= first->file_len)
			return refuse(in, "its 64-bit entry lies outside of its first segment");
		if (h.image_size > ELF_LOAD_IMAGE_MAX)
			return refuse(in, "its image header tells more than 64 MiB");
		e->image_size = max_u64(e->image_size, h.image_size);
		e->entry64_offset = h.entry64_offset;
		return 0;
	}
	return refuse(in, "it has no Tern image header: it is some other program");
}

int elf_load_check(const void *file, size_t len, struct elf_load *e, char *why, size_t why_size)
{
	const struct input in = {file, len, why, why_size};
	struct elf_file elf;
	int rc = elf_read(file, len, ELF_32, &elf, why, why_size);

	memset(e, 0, sizeof(*e));
	for (u32 i = 0; rc == 0 && i < elf.count; i++)
		rc = add_segment(&in, &elf.load[i], e);
	if (rc != 0)
		return rc;
	if (e->count == 0)
		return refuse(&in, "it has nothing to load");
	return find_entry(&in, e);
}

void elf_load_copy(const void *file, const struct elf_load *e, void *dst)
{
	memset(dst, 0, e->image_size);
	for (u32 i = 0; i < e->count; i++)
		memcpy((u8 *)dst + e->segments[i].image_off,
		       (const u8 *)file + e->segments[i].file_off, e->segments[i].file_len);
}
