/* SPDX-License-Identifier: MIT */
/*
 * Reads tern.elf: an ELF32 file for EM_386, because Multiboot 1 loaders know no other, with 64-bit
 * code in it. Only program headers count (System V gABI, chapter 5); their physical addresses are
 * where the image is linked for, and struct tern_image_header tells the 64-bit entry.
 */
#include <boot/efi/elf_load.h>

#include <abi/boot_info.h>
#include <tern/err.h>
#include <tern/lib.h>

/* System V gABI, chapter 4, "ELF Header", and chapter 5, "Program Header". */
struct elf32_header {
	u8 ident[16];
	u16 type;
	u16 machine;
	u32 version;
	u32 entry;
	u32 phoff;
	u32 shoff;
	u32 flags;
	u16 ehsize;
	u16 phentsize;
	u16 phnum;
	u16 shentsize;
	u16 shnum;
	u16 shstrndx;
};

struct elf32_segment {
	u32 type;
	u32 offset;
	u32 vaddr;
	u32 paddr;
	u32 filesz;
	u32 memsz;
	u32 flags;
	u32 align;
};

_Static_assert(sizeof(struct elf32_header) == 52, "gABI");
_Static_assert(sizeof(struct elf32_segment) == 32, "gABI");

#define ELF_CLASS_32        1
#define ELF_LITTLE_ENDIAN   1
#define ELF_VERSION         1
#define ELF_TYPE_EXECUTABLE 2
#define ELF_MACHINE_386     3
#define ELF_SEGMENT_LOAD    1

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

static int check_header(const struct input *in, struct elf32_header *h)
{
	static const u8 ident[7] = {
		0x7f, 'E', 'L', 'F', ELF_CLASS_32, ELF_LITTLE_ENDIAN, ELF_VERSION,
	};

	if (in->len < sizeof(*h))
		return refuse(in, "it has only %zu bytes", in->len);
	memcpy(h, in->bytes, sizeof(*h));
	if (memcmp(h->ident, ident, sizeof(ident)) != 0)
		return refuse(in, "it is not a 32-bit little-endian ELF file");
	if (h->type != ELF_TYPE_EXECUTABLE || h->machine != ELF_MACHINE_386)
		return refuse(in, "it is ELF type %u for machine %u, not an executable for 386",
			      h->type, h->machine);
	if (h->phentsize != sizeof(struct elf32_segment))
		return refuse(in, "its program headers have %u bytes, not 32", h->phentsize);
	if ((u64)h->phoff + (u64)h->phnum * h->phentsize > in->len)
		return refuse(in, "its program headers lie past its end: the file was cut");
	return 0;
}

/* Adds one loadable segment; they come in the order of their addresses (gABI, chapter 5). */
static int add_segment(const struct input *in, const struct elf32_segment *p, struct elf_load *e)
{
	const u64 end = e->link_base + e->image_size;

	if (e->count == ELF_LOAD_SEGMENTS_MAX)
		return refuse(in, "it has more than %u segments", ELF_LOAD_SEGMENTS_MAX);
	if (p->filesz > p->memsz)
		return refuse(in, "segment %u has %u bytes in the file but only %u in memory",
			      e->count, p->filesz, p->memsz);
	if ((u64)p->offset + p->filesz > in->len)
		return refuse(in, "segment %u ends at byte %llu of %zu: the file was cut", e->count,
			      (unsigned long long)p->offset + p->filesz, in->len);
	if (e->count == 0) {
		if (p->paddr % ELF_LOAD_ALIGN != 0)
			return refuse(in, "it is linked for 0x%x, not for a multiple of 2 MiB",
				      p->paddr);
		e->link_base = p->paddr;
	} else if (p->paddr < end) {
		return refuse(in, "segment %u, at 0x%x, lies below the end of the one before",
			      e->count, p->paddr);
	}
	if ((u64)p->paddr + p->memsz - e->link_base > ELF_LOAD_IMAGE_MAX)
		return refuse(in, "segment %u ends more than 64 MiB behind the first", e->count);
	e->segments[e->count++] = (struct elf_segment){
		.file_off = p->offset,
		.file_len = p->filesz,
		.image_off = p->paddr - e->link_base,
	};
	e->image_size = (u64)p->paddr + p->memsz - e->link_base;
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
	struct elf32_header h;
	int rc;

	memset(e, 0, sizeof(*e));
	rc = check_header(&in, &h);
	for (u32 i = 0; rc == 0 && i < h.phnum; i++) {
		struct elf32_segment p;

		memcpy(&p, in.bytes + h.phoff + i * sizeof(p), sizeof(p));
		if (p.type == ELF_SEGMENT_LOAD && p.memsz > 0)
			rc = add_segment(&in, &p, e);
	}
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
