/* SPDX-License-Identifier: MIT */
/* System V gABI, chapter 4, "ELF Header", and chapter 5, "Program Header" and "Note Section". */
#ifndef HV_LIB_ELF_REGS_H
#define HV_LIB_ELF_REGS_H

#include <tern/types.h>

struct elf32_header {
	u8 ident[16];
	u16 type, machine;
	u32 version, entry, phoff, shoff, flags;
	u16 ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};

struct elf64_header {
	u8 ident[16];
	u16 type, machine;
	u32 version;
	u64 entry, phoff, shoff;
	u32 flags;
	u16 ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};

struct elf32_segment {
	u32 type, offset, vaddr, paddr, filesz, memsz, flags, align;
};

struct elf64_segment {
	u32 type, flags;
	u64 offset, vaddr, paddr, filesz, memsz, align;
};

struct elf_note_header { /* then the name and the descriptor, each aligned */
	u32 name_len, desc_len, type;
};

_Static_assert(sizeof(struct elf32_header) == 52, "gABI");
_Static_assert(sizeof(struct elf64_header) == 64, "gABI");
_Static_assert(sizeof(struct elf32_segment) == 32, "gABI");
_Static_assert(sizeof(struct elf64_segment) == 56, "gABI");
_Static_assert(sizeof(struct elf_note_header) == 12, "gABI");

#define ELF_IDENT_CLASS     4u /* index in ident */
#define ELF_CLASS_32        1u
#define ELF_CLASS_64        2u
#define ELF_LITTLE_ENDIAN   1u
#define ELF_VERSION         1u
#define ELF_TYPE_EXECUTABLE 2u
#define ELF_MACHINE_386     3u
#define ELF_MACHINE_X86_64  62u
#define ELF_SEGMENT_LOAD    1u
#define ELF_SEGMENT_NOTE    4u

#endif
