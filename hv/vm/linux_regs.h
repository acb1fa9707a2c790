/* SPDX-License-Identifier: MIT */
/*
 * What a Linux bzImage shows and is shown (Linux, Documentation/arch/x86/boot.rst and zero-page.rst), and
 * the machine state it starts in (boot.rst, "64-bit Boot Protocol").
 */
#ifndef HV_VM_LINUX_REGS_H
#define HV_VM_LINUX_REGS_H

#include <tern/types.h>

/* The setup header: at this offset of the file, and of struct boot_params. */
#define LINUX_HEADER_AT  0x1f1u
#define LINUX_JUMP_AT    0x200u /* a short jump over the header: it tells where that ends */
#define LINUX_JUMP       0xebu
#define LINUX_HEADER_END 0x290u /* of boot_params' room for it */
#define LINUX_SECTOR     512u
#define LINUX_PARAGRAPH  16u /* unit of syssize */

#define LINUX_BOOT_FLAG      0xaa55u
#define LINUX_HEADER_MAGIC   0x53726448u /* "HdrS" */
#define LINUX_VERSION_MIN    0x020cu     /* 2.12: xloadflags */
#define LINUX_SETUP_SECTS    4u          /* what setup_sects 0 means */
#define LINUX_LOADED_HIGH    (1u << 0)   /* loadflags */
#define LINUX_XLF_KERNEL_64  (1u << 0)   /* xloadflags */
#define LINUX_LOADER_UNKNOWN 0xffu       /* type_of_loader: without a number of its own */
#define LINUX_ENTRY_64       0x200u      /* from where the kernel was loaded */

struct linux_header {
	u8 setup_sects;
	u16 root_flags;
	u32 syssize;
	u16 ram_size, vid_mode, root_dev, boot_flag;
	u8 jump, jump_len;
	u32 header;
	u16 version;
	u32 realmode_swtch;
	u16 start_sys_seg, kernel_version;
	u8 type_of_loader, loadflags;
	u16 setup_move_size;
	u32 code32_start, ramdisk_image, ramdisk_size, bootsect_kludge;
	u16 heap_end_ptr;
	u8 ext_loader_ver, ext_loader_type;
	u32 cmd_line_ptr, initrd_addr_max, kernel_alignment;
	u8 relocatable_kernel, min_alignment;
	u16 xloadflags;
	u32 cmdline_size, hardware_subarch;
	u64 hardware_subarch_data;
	u32 payload_offset, payload_length;
	u64 setup_data, pref_address;
	u32 init_size, handover_offset;
} PACKED;

_Static_assert(LINUX_HEADER_AT + offsetof(struct linux_header, jump) == LINUX_JUMP_AT, "boot.rst");
_Static_assert(LINUX_HEADER_AT + offsetof(struct linux_header, header) == 0x202, "boot.rst");
_Static_assert(LINUX_HEADER_AT + offsetof(struct linux_header, code32_start) == 0x214, "boot.rst");
_Static_assert(LINUX_HEADER_AT + offsetof(struct linux_header, cmd_line_ptr) == 0x228, "boot.rst");
_Static_assert(LINUX_HEADER_AT + offsetof(struct linux_header, xloadflags) == 0x236, "boot.rst");
_Static_assert(LINUX_HEADER_AT + offsetof(struct linux_header, pref_address) == 0x258, "boot.rst");
_Static_assert(LINUX_HEADER_AT + sizeof(struct linux_header) == 0x268, "boot.rst");

/* Offsets in struct boot_params, one page (zero-page.rst). */
#define LINUX_PARAMS_RSDP       0x070u /* u64 */
#define LINUX_PARAMS_E820_COUNT 0x1e8u /* u8 */
#define LINUX_PARAMS_E820       0x2d0u

#define LINUX_E820_RAM      1u
#define LINUX_E820_RESERVED 2u
#define LINUX_E820_MAX      128u
struct linux_e820 {
	u64 base, len;
	u32 type;
} PACKED;

_Static_assert(sizeof(struct linux_e820) == 20, "zero-page.rst");

/* __BOOT_CS and __BOOT_DS: flat segments with these selectors, and their descriptors (SDM vol. 3A
 * 3.4.5): limit 4 GiB, present, accessed; code for 64-bit mode. */
#define LINUX_CS        0x10u
#define LINUX_DS        0x18u
#define LINUX_CODE_DESC 0x00af9b000000ffffull
#define LINUX_DATA_DESC 0x00cf93000000ffffull
#define LINUX_CODE_ATTR 0xa09bu /* as in struct vcpu_seg */
#define LINUX_DATA_ATTR 0xc093u
#define LINUX_CR0       0x80000011u /* PG, ET, PE; SDM vol. 3A 2.5 */
#define LINUX_CR4       0x20u       /* PAE */
#define LINUX_EFER      0x500u      /* LMA, LME; SDM vol. 3A 2.2.1 */
#define LINUX_RFLAGS    0x2u        /* the bit that is always set */
#define LINUX_PTE_TABLE 0x3u        /* present, writable; SDM vol. 3A 4.5 */
#define LINUX_PTE_LARGE 0x83u       /* and 2 MiB */

#endif
