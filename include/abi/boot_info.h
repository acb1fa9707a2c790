/* SPDX-License-Identifier: MIT */
/*
 * What every loader hands over. The Multiboot parsers (boot/multiboot.c) and ternboot.efi fill it;
 * boot_info_check() repairs or refuses it; only then the core reads it. All addresses are physical.
 */
#ifndef ABI_BOOT_INFO_H
#define ABI_BOOT_INFO_H

#include <abi/types.h>

#define BOOT_INFO_MAGIC   0x4f464e494e524554ull /* "TERNINFO", little-endian */
#define BOOT_INFO_VERSION 1u
#define BOOT_MEM_MAX      512u
#define BOOT_MODULES_MAX  32u
#define BOOT_CMDLINE_MAX  1024u
#define BOOT_NAME_MAX     64u
#define BOOT_ARGS_MAX     448u

/* When two entries overlap, the higher number wins: RAM is the weakest claim. */
enum boot_mem_type {
	BOOT_MEM_RAM = 1,
	BOOT_MEM_ACPI_RECLAIM = 2, /* RAM that holds ACPI tables */
	BOOT_MEM_RESERVED = 3,
	BOOT_MEM_ACPI_NVS = 4,
	BOOT_MEM_MMIO = 5,
	BOOT_MEM_BAD = 6,
};

struct boot_mem {
	u64 base; /* bytes, any alignment until checked, then 4 KiB */
	u64 len;  /* bytes */
	u32 type; /* enum boot_mem_type */
	u32 pad;
};

struct boot_module {
	u64 base;                 /* 4 KiB aligned */
	u64 len;                  /* bytes, may be 0 */
	char name[BOOT_NAME_MAX]; /* last path component of the first word, NUL-ended */
	char args[BOOT_ARGS_MAX]; /* the words after it, NUL-ended */
};

enum boot_loader { BOOT_MULTIBOOT1 = 1, BOOT_MULTIBOOT2 = 2, BOOT_TERNBOOT = 3 };

/* A linear framebuffer with 32 bits a pixel; base 0: none. */
struct boot_fb {
	u64 base;
	u32 pitch;  /* bytes from one line to the next */
	u32 width;  /* pixels */
	u32 height; /* pixels */
	u8 red_shift, green_shift, blue_shift, pad;
};

struct boot_info {
	u64 magic;
	u32 version;
	u32 size;       /* sizeof(struct boot_info) */
	u64 entry_tsc;  /* TSC at Tern's first instruction; set by boot/start.S */
	u64 image_base; /* where the image lies; set by boot/start.S */
	u64 image_len;
	u64 rsdp;             /* ACPI RSDP, or 0 when the loader does not know */
	u64 efi_system_table; /* or 0: booted by BIOS */
	u32 loader;           /* enum boot_loader */
	u32 mem_count;
	u32 module_count;
	u32 mem_dropped; /* entries that did not fit */
	u32 module_dropped;
	u32 text_screen; /* 1: VGA text mode at 0xb8000 */
	char loader_name[BOOT_NAME_MAX];
	char cmdline[BOOT_CMDLINE_MAX];
	struct boot_fb fb;
	struct boot_mem mem[BOOT_MEM_MAX];
	struct boot_module modules[BOOT_MODULES_MAX];
};

/*
 * How ternboot.efi finds the 64-bit entry: on an 8-byte boundary in the first TERN_IMAGE_SEARCH bytes
 * of the image. The entry is called as docs/boot.md says.
 */
#define TERN_IMAGE_MAGIC   (~BOOT_INFO_MAGIC)
#define TERN_IMAGE_VERSION 1u
#define TERN_IMAGE_SEARCH  4096u

struct tern_image_header {
	u64 magic;
	u64 image_size;     /* bytes from the image's first one to the end of .bss */
	u32 entry64_offset; /* from the image's first byte */
	u32 version;
};

_Static_assert(sizeof(struct tern_image_header) == 24, "ABI");
_Static_assert(sizeof(struct boot_mem) == 24, "ABI");
_Static_assert(sizeof(struct boot_module) == 528, "ABI");
_Static_assert(sizeof(struct boot_fb) == 24, "ABI");
_Static_assert(offsetof(struct boot_info, mem) == 80 + 64 + 1024 + 24, "ABI");

#endif
