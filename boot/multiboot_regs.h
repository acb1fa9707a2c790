/* SPDX-License-Identifier: MIT */
/* The layouts of Multiboot 1 (spec 0.6.96, section 3.3) and Multiboot 2 (spec 2.0, section 3.6). */
#ifndef BOOT_MULTIBOOT_REGS_H
#define BOOT_MULTIBOOT_REGS_H

#include <abi/types.h>

/* Multiboot 1: bits of mb1_info.flags. */
#define MB1_MEMORY      (1u << 0)
#define MB1_CMDLINE     (1u << 2)
#define MB1_MODS        (1u << 3)
#define MB1_MMAP        (1u << 6)
#define MB1_LOADER_NAME (1u << 9)
#define MB1_FRAMEBUFFER (1u << 12)

struct mb1_info {
	u32 flags;
	u32 mem_lower; /* KiB from 0 */
	u32 mem_upper; /* KiB from 1 MiB to the first hole */
	u32 boot_device;
	u32 cmdline;
	u32 mods_count;
	u32 mods_addr;
	u32 syms[4];
	u32 mmap_length;
	u32 mmap_addr;
	u32 drives_length;
	u32 drives_addr;
	u32 config_table;
	u32 loader_name;
	u32 apm_table;
	u32 vbe[4];
};

struct mb1_mod {
	u32 start;
	u32 end;
	u32 string;
	u32 reserved;
};

/* size does not count itself. */
struct mb1_mmap {
	u32 size;
	u64 base;
	u64 len;
	u32 type;
} __attribute__((packed));

/* At offset 88 of the Multiboot 1 information; the body of the Multiboot 2 framebuffer tag. */
struct mb_framebuffer {
	u64 base;
	u32 pitch;
	u32 width;
	u32 height;
	u8 bpp;
	u8 type;
} __attribute__((packed));

struct mb_fb_rgb {
	u8 red_shift, red_size;
	u8 green_shift, green_size;
	u8 blue_shift, blue_size;
};

struct mb1_framebuffer {
	struct mb_framebuffer fb;
	struct mb_fb_rgb rgb;
} __attribute__((packed));

#define MB_FB_RGB      1u
#define MB_FB_EGA_TEXT 2u

/* Memory types of both versions; all others are reserved. */
#define MB_MEM_RAM          1u
#define MB_MEM_ACPI_RECLAIM 3u
#define MB_MEM_ACPI_NVS     4u
#define MB_MEM_BAD          5u

/* Multiboot 2: tags. */
#define MB2_TAG_END         0u
#define MB2_TAG_CMDLINE     1u
#define MB2_TAG_LOADER_NAME 2u
#define MB2_TAG_MODULE      3u
#define MB2_TAG_MEMORY      4u
#define MB2_TAG_MMAP        6u
#define MB2_TAG_FRAMEBUFFER 8u
#define MB2_TAG_EFI64       12u
#define MB2_TAG_RSDP_OLD    14u
#define MB2_TAG_RSDP_NEW    15u
#define MB2_TAG_EFI_MMAP    17u
#define MB2_TAG_LOAD_BASE   21u

#define MB2_TAG_ALIGN 8u

struct mb2_info {
	u32 total_size;
	u32 reserved;
};

struct mb2_tag {
	u32 type;
	u32 size; /* with this header, without the padding to 8 bytes */
};

struct mb2_module {
	u32 start;
	u32 end;
};

struct mb2_memory {
	u32 lower;
	u32 upper;
};

/* Heads the tables of MB2_TAG_MMAP and MB2_TAG_EFI_MMAP. */
struct mb2_table {
	u32 entry_size;
	u32 version;
};

struct mb2_mmap {
	u64 base;
	u64 len;
	u32 type;
} __attribute__((packed));

/* The specification's table has one reserved byte before the colours, its multiboot2.h and GRUB
 * have two. */
struct mb2_framebuffer {
	struct mb_framebuffer fb;
	u16 reserved;
	struct mb_fb_rgb rgb;
} __attribute__((packed));

/* ACPI 6.5, 5.2.5.3: bytes of the RSDP of ACPI 1.0, and of the later one. */
#define RSDP_OLD_LEN 20u
#define RSDP_NEW_LEN 36u

_Static_assert(sizeof(struct mb1_info) == 88, "spec");
_Static_assert(sizeof(struct mb1_mod) == 16, "spec");
_Static_assert(sizeof(struct mb1_mmap) == 24, "spec");
_Static_assert(sizeof(struct mb1_framebuffer) == 28, "spec");
_Static_assert(sizeof(struct mb2_mmap) == 20, "spec");
_Static_assert(sizeof(struct mb2_framebuffer) == 30, "spec");

#endif
