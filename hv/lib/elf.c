/* SPDX-License-Identifier: MIT */
/*
 * Reads the program headers of ELF executables. ELF32 headers are widened to ELF64 ones first, so that
 * there is one set of checks, in 64 bits.
 */
#include <tern/elf.h>

#include "elf_regs.h"

#include <tern/err.h>
#include <tern/lib.h>

typedef unsigned long long ull;

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

u32 elf_class(const void *file, size_t len)
{
	static const u8 rest[2] = {ELF_LITTLE_ENDIAN, ELF_VERSION};
	const u8 *ident = file;

	if (len < sizeof(((struct elf32_header *)NULL)->ident) ||
	    memcmp(ident, "\177ELF", 4) != 0 ||
	    memcmp(ident + ELF_IDENT_CLASS + 1, rest, sizeof(rest)) != 0)
		return 0;
	switch (ident[ELF_IDENT_CLASS]) {
	case ELF_CLASS_32:
		return ELF_32;
	case ELF_CLASS_64:
		return ELF_64;
	default:
		return 0;
	}
}

/* The header, when in->len has room for it. */
static struct elf64_header read_header(const struct input *in, u32 class)
{
	struct elf64_header h;
	struct elf32_header n;

	if (class == ELF_64) {
		memcpy(&h, in->bytes, sizeof(h));
		return h;
	}
	memcpy(&n, in->bytes, sizeof(n));
	return (struct elf64_header){.type = n.type,
				     .machine = n.machine,
				     .entry = n.entry,
				     .phoff = n.phoff,
				     .phentsize = n.phentsize,
				     .phnum = n.phnum};
}

static struct elf64_segment read_segment(const struct input *in, u32 class, u64 at)
{
	struct elf64_segment p;
	struct elf32_segment n;

	if (class == ELF_64) {
		memcpy(&p, in->bytes + at, sizeof(p));
		return p;
	}
	memcpy(&n, in->bytes + at, sizeof(n));
	return (struct elf64_segment){.type = n.type,
				      .offset = n.offset,
				      .vaddr = n.vaddr,
				      .paddr = n.paddr,
				      .filesz = n.filesz,
				      .memsz = n.memsz,
				      .align = n.align};
}

static int check_header(const struct input *in, u32 class, struct elf64_header *h)
{
	const bool wide = class == ELF_64;
	const size_t size = wide ? sizeof(struct elf64_header) : sizeof(struct elf32_header);
	const u32 entry = wide ? sizeof(struct elf64_segment) : sizeof(struct elf32_segment);

	if (in->len < size)
		return refuse(in, "it has only %zu bytes", in->len);
	*h = read_header(in, class);
	if (h->type != ELF_TYPE_EXECUTABLE ||
	    h->machine != (wide ? ELF_MACHINE_X86_64 : ELF_MACHINE_386))
		return refuse(in, "it is ELF type %u for machine %u, not an executable for %s",
			      h->type, h->machine, wide ? "x86-64" : "386");
	if (h->phentsize != entry)
		return refuse(in, "its program headers have %u bytes, not %u", h->phentsize, entry);
	if (h->phoff > in->len || (u64)h->phnum * entry > in->len - h->phoff)
		return refuse(in, "its program headers lie past its end: the file was cut");
	return 0;
}

static int check_file_part(const struct input *in, const char *what, u32 i,
			   const struct elf64_segment *p)
{
	if (p->offset <= in->len && p->filesz <= in->len - p->offset)
		return 0;
	return refuse(in, "%s %u has %llu bytes at 0x%llx of the file, which has 0x%zx: it was cut",
		      what, i, (ull)p->filesz, (ull)p->offset, in->len);
}

static int add_program(const struct input *in, const struct elf64_segment *p, struct elf_file *e)
{
	u32 n = e->count;

	if (p->filesz > p->memsz)
		return refuse(in, "segment %u has %llu bytes in the file but only %llu in memory",
			      n, (ull)p->filesz, (ull)p->memsz);
	if (p->memsz == 0)
		return 0;
	if (n == ELF_SEGMENTS_MAX)
		return refuse(in, "it has more than %u segments", ELF_SEGMENTS_MAX);
	if (p->memsz > UINT64_MAX - p->paddr || p->memsz > UINT64_MAX - p->vaddr)
		return refuse(in, "segment %u, 0x%llx bytes for 0x%llx, wraps around", n,
			      (ull)p->memsz, (ull)p->paddr);
	for (u32 i = 0; i < n; i++) {
		const struct elf_program *o = &e->load[i];

		if (p->paddr < o->paddr + o->mem_len && o->paddr < p->paddr + p->memsz)
			return refuse(in, "the segments for 0x%llx and 0x%llx overlap",
				      (ull)o->paddr, (ull)p->paddr);
	}
	e->load[n] = (struct elf_program){.file_off = p->offset,
					  .file_len = p->filesz,
					  .vaddr = p->vaddr,
					  .paddr = p->paddr,
					  .mem_len = p->memsz};
	e->count++;
	return check_file_part(in, "segment", n, p);
}

static int add_notes(const struct input *in, const struct elf64_segment *p, struct elf_file *e)
{
	u32 n = e->notes_count;

	if (n == ELF_NOTES_MAX)
		return refuse(in, "it has more than %u segments of notes", ELF_NOTES_MAX);
	e->notes[n] =
		(struct elf_notes){.file_off = p->offset,
				   .file_len = p->filesz,
				   .align = p->align == sizeof(u64) ? sizeof(u64) : sizeof(u32)};
	e->notes_count++;
	return check_file_part(in, "segment of notes", n, p);
}

int elf_read(const void *file, size_t len, u32 classes, struct elf_file *e, char *why,
	     size_t why_size)
{
	const struct input in = {file, len, why, why_size};
	struct elf64_header h = {.phnum = 0};
	int rc;

	memset(e, 0, sizeof(*e));
	e->class = elf_class(file, len);
	if (len < sizeof(struct elf32_header))
		return refuse(&in, "it has only %zu bytes", len);
	if ((e->class & classes) == 0)
		return refuse(&in, "it is not a %slittle-endian ELF file",
			      classes == ELF_32 ? "32-bit " : "");
	rc = check_header(&in, e->class, &h);
	if (rc != 0)
		return rc;
	e->entry = h.entry;
	for (u32 i = 0; rc == 0 && i < h.phnum; i++) {
		struct elf64_segment p = read_segment(&in, e->class, h.phoff + i * h.phentsize);

		if (p.type == ELF_SEGMENT_LOAD)
			rc = add_program(&in, &p, e);
		else if (p.type == ELF_SEGMENT_NOTE)
			rc = add_notes(&in, &p, e);
	}
	return rc;
}

/* --- notes --- */

/* The note at *at of a segment of notes; *at moves behind it. False: it does not fit. */
static bool next_note(const u8 *notes, const struct elf_notes *n, u64 *at,
		      struct elf_note_header *h, u64 *name, u64 *desc)
{
	if (n->file_len - *at < sizeof(*h))
		return false;
	memcpy(h, notes + *at, sizeof(*h));
	*name = *at + sizeof(*h);
	*desc = align_up(*name + h->name_len, n->align);
	if (*desc > n->file_len || h->desc_len > n->file_len - *desc)
		return false;
	*at = min_u64(align_up(*desc + h->desc_len, n->align), n->file_len);
	return true;
}

static int find_note(const u8 *notes, const struct elf_notes *n, const char *name, u32 type,
		     void *out, u32 size)
{
	const u64 name_len = strlen(name) + 1;
	struct elf_note_header h;
	u64 at = 0, name_at, desc_at;

	while (at < n->file_len) {
		if (!next_note(notes, n, &at, &h, &name_at, &desc_at) || h.desc_len > INT32_MAX)
			return -TERN_EINVAL;
		if (h.type != type || h.name_len != name_len ||
		    memcmp(notes + name_at, name, name_len) != 0)
			continue;
		memcpy(out, notes + desc_at, min_u64(h.desc_len, size));
		return (int)h.desc_len;
	}
	return -TERN_ENOENT;
}

int elf_note(const void *file, const struct elf_file *e, const char *name, u32 type, void *desc,
	     u32 size)
{
	int rc = -TERN_ENOENT;

	for (u32 i = 0; rc == -TERN_ENOENT && i < e->notes_count; i++)
		rc = find_note((const u8 *)file + e->notes[i].file_off, &e->notes[i], name, type,
			       desc, size);
	return rc;
}
