/* SPDX-License-Identifier: MIT */
/*
 * ELF executables for this machine, ELF32 for 386 and ELF64 for x86-64, as loaders need them (System V gABI,
 * chapters 4 and 5; hv/lib/elf.c). The file comes from outside: all is checked. Pure; any context.
 */
#ifndef TERN_ELF_H
#define TERN_ELF_H

#include <tern/types.h>

#define ELF_SEGMENTS_MAX 16u
#define ELF_NOTES_MAX    4u

/* Classes, as a set. */
#define ELF_32 (1u << 0)
#define ELF_64 (1u << 1)

/* A PT_LOAD segment that is not empty. */
struct elf_program {
	u64 file_off, file_len; /* within the file */
	u64 vaddr, paddr;
	u64 mem_len; /* >= file_len, > 0; the rest is zero */
};

/* A PT_NOTE segment: within the file. */
struct elf_notes {
	u64 file_off, file_len;
	u32 align; /* 4 or 8 */
};

struct elf_file {
	u32 class; /* ELF_32 or ELF_64 */
	u64 entry; /* as linked: an address among vaddr */
	u32 count;
	struct elf_program load[ELF_SEGMENTS_MAX]; /* paddr neither overlap nor wrap */
	u32 notes_count;
	struct elf_notes notes[ELF_NOTES_MAX];
};

/* The class that the file claims to have; 0: it is no little-endian ELF file. */
u32 elf_class(const void *file, size_t len);

/* Reads headers only, of a file whose class is in classes. 0, or -TERN_EINVAL and a sentence in why. */
MUST_CHECK int elf_read(const void *file, size_t len, u32 classes, struct elf_file *e, char *why,
			size_t why_size);

/*
 * Looks for a note of what elf_read() accepted: copies at most size bytes of its descriptor to desc. Its
 * length; -TERN_ENOENT: there is none; -TERN_EINVAL: a note in front of it does not fit its segment.
 */
MUST_CHECK int elf_note(const void *file, const struct elf_file *e, const char *name, u32 type,
			void *desc, u32 size);

#endif
