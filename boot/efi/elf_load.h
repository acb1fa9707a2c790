/* SPDX-License-Identifier: MIT */
/* tern.elf, the ELF32 container of a 64-bit image: checked, then laid out (boot/efi/elf_load.c). */
#ifndef BOOT_EFI_ELF_LOAD_H
#define BOOT_EFI_ELF_LOAD_H

#include <tern/elf.h>
#include <tern/types.h>

#define ELF_LOAD_ALIGN        PAGE_2M_SIZE /* the image moves in steps of this */
#define ELF_LOAD_IMAGE_MAX    MiB(64)
#define ELF_LOAD_SEGMENTS_MAX ELF_SEGMENTS_MAX

struct elf_segment {
	u64 file_off;
	u64 file_len;
	u64 image_off; /* where it lies from the start of the image; the rest of the image is zero */
};

struct elf_load {
	u64 link_base;      /* physical address the image was linked for */
	u64 image_size;     /* bytes it needs in memory, .bss included */
	u64 entry64_offset; /* from the start of the image */
	u32 count;
	struct elf_segment segments[ELF_LOAD_SEGMENTS_MAX];
};

/*
 * Checks all of the file that elf_load_copy() relies on and fills *e. Returns 0, or -TERN_EINVAL
 * with a reason in why. Pure.
 */
MUST_CHECK int elf_load_check(const void *file, size_t len, struct elf_load *e, char *why,
			      size_t why_size);

/* Lays the image out in e->image_size bytes at dst. file is what elf_load_check() accepted. */
void elf_load_copy(const void *file, const struct elf_load *e, void *dst);

#endif
