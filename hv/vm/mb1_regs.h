/* SPDX-License-Identifier: MIT */
/*
 * What a Multiboot 1 guest shows and is shown (Multiboot Specification 0.6.96, sections 3.1 to 3.3),
 * and the machine state it starts in (section 3.2).
 */
#ifndef HV_VM_MB1_REGS_H
#define HV_VM_MB1_REGS_H

#include <tern/types.h>

#define MB1_HEADER_MAGIC  0x1badb002u
#define MB1_HEADER_SEARCH 8192u /* the header lies in the first bytes of the file */
#define MB1_HEADER_ALIGN  4u
#define MB1_LOADER_MAGIC  0x2badb002u /* EAX */

/* Bits of mb1_header.flags; of 0 to 15 a loader refuses what it does not know. */
#define MB1_NEED_PAGES  (1u << 0) /* modules on page boundaries */
#define MB1_NEED_MEMORY (1u << 1)
#define MB1_NEED_MASK   0xffffu
#define MB1_ADDRESSES   (1u << 16)

struct mb1_header {
	u32 magic, flags, checksum;
	u32 header_addr, load_addr, load_end_addr, bss_end_addr, entry_addr; /* MB1_ADDRESSES */
};

/* Bits of mb1_info.flags. */
#define MB1_INFO_MEMORY  (1u << 0)
#define MB1_INFO_CMDLINE (1u << 2)
#define MB1_INFO_MODS    (1u << 3)
#define MB1_INFO_MMAP    (1u << 6)
#define MB1_INFO_LOADER  (1u << 9)

struct mb1_info {
	u32 flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr;
	u32 syms[4];
	u32 mmap_length, mmap_addr, drives_length, drives_addr, config_table, loader_name,
		apm_table;
	u32 vbe[4];
};

struct mb1_mod {
	u32 start, end, string, reserved;
};

#define MB1_MEM_RAM 1u
struct mb1_mmap {
	u32 size; /* of what follows */
	u64 base, len;
	u32 type;
} PACKED;

_Static_assert(sizeof(struct mb1_header) == 32, "section 3.1.1");
_Static_assert(sizeof(struct mb1_info) == 88, "section 3.3");
_Static_assert(sizeof(struct mb1_mod) == 16, "section 3.3");
_Static_assert(sizeof(struct mb1_mmap) == 24, "section 3.3");

/* Control registers, SDM vol. 3A 2.5; segment attributes as in struct vcpu_seg. */
#define MB1_CR0       0x11u /* PE, ET */
#define MB1_RFLAGS    0x2u  /* the bit that is always set */
#define MB1_CODE_ATTR 0xc09bu
#define MB1_DATA_ATTR 0xc093u

#endif
