/* SPDX-License-Identifier: MIT */
/*
 * What a PVH guest shows and is shown (Xen, docs/misc/pvh.pandoc, xen/include/public/elfnote.h and
 * arch-x86/hvm/start_info.h), and the machine state it starts in (pvh.pandoc, "x86 boot").
 */
#ifndef HV_VM_PVH_REGS_H
#define HV_VM_PVH_REGS_H

#include <tern/types.h>

#define PVH_NOTE_NAME "Xen"
#define PVH_NOTE_TYPE 18u /* XEN_ELFNOTE_PHYS32_ENTRY: 4 or 8 bytes */

#define PVH_START_MAGIC   0x336ec578u
#define PVH_START_VERSION 1u
struct pvh_start_info {
	u32 magic, version, flags, module_count;
	u64 modules, cmdline, rsdp, map; /* guest-physical */
	u32 map_count, reserved;
};
_Static_assert(sizeof(struct pvh_start_info) == 56, "start_info.h");

struct pvh_modlist_entry {
	u64 base, len, cmdline, reserved;
};
_Static_assert(sizeof(struct pvh_modlist_entry) == 32, "start_info.h");

#define PVH_MAP_RAM      1u
#define PVH_MAP_RESERVED 2u
struct pvh_memmap_entry {
	u64 base, len;
	u32 type, reserved;
};
_Static_assert(sizeof(struct pvh_memmap_entry) == 24, "start_info.h");

/* Control registers, SDM vol. 3A 2.5; segment attributes as in struct vcpu_seg. */
#define PVH_CR0       0x11u /* PE, ET */
#define PVH_RFLAGS    0x2u  /* the bit that is always set */
#define PVH_CODE_ATTR 0xc09bu
#define PVH_DATA_ATTR 0xc093u
#define PVH_TSS_ATTR  0x8bu /* 32-bit, busy */
#define PVH_TSS_LIMIT 0x67u

#endif
