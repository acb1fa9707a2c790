/* SPDX-License-Identifier: MIT */
/*
 * The hostile loader of the boot tests. GRUB starts it in Tern's place, by Multiboot 2, with tern.elf
 * as the module "image":
 *   ternrun --kernel build/shim/shim.elf --module image=build/tern.elf --cmdline map=wrap
 * It loads tern.elf as a loader would and enters it with Multiboot 2 information of its own, in which
 * the words of its command line choose what is wrong:
 *   map=overlap     unsorted, overlapping entries
 *   map=wrap        entries that wrap around 2^64, or have no length
 *   map=none        no memory map
 *   acpi=checksum   RSDP and XSDT are right, the MADT's checksum is wrong
 *   acpi=length     the MADT, at the end of RAM, claims 8 MiB
 *   acpi=huge       the MADT claims nearly 4 GiB
 *   acpi=wild       the XSDT points at addresses that do not exist
 *   module=truncated  the last module's end lies past RAM
 *   module=reversed   the last module ends before it begins
 *   tags=garbage    unknown tags, then one that runs past the end
 *   tags=tiny       the last tag is shorter than its own head
 *   tags=short      the whole is said to be shorter than its tags
 */
#ifndef SHIM_H
#define SHIM_H

#include <abi/types.h>

#define MODULES_MAX  8u
#define MODULE_BYTES 65536u

/* A module of ours, moved out of the way of what is loaded. */
struct shim_module {
	u8 *data;
	u32 size;
	char string[64];
};

/* One entry of the memory map: Multiboot 2, 3.6.8. */
struct mb_mmap {
	u64 base, len;
	u32 type, zero;
} __attribute__((packed));

/* Where the information for Tern is put together. */
struct mb2_out {
	u8 *start, *next, *end;
};

/* start.S */
__attribute__((noreturn)) void shim_enter(u32 entry, u32 eax, u32 ebx);

/* shim.c */
bool shim_word(const char *word);
void shim_say(const char *text);
__attribute__((noreturn)) void shim_fail(const char *text);
void *memcpy(void *dst, const void *src, size_t n);
void *memset(void *dst, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
/* Begins a tag of size bytes of content; returns where the content goes. */
u8 *shim_tag(struct mb2_out *out, u32 type, u32 size);

/* lies.c: each adds its tags, true or not as the command line says. */
void lies_map(struct mb2_out *out, const struct mb_mmap *map, u32 count);
void lies_modules(struct mb2_out *out, const struct shim_module *mods, u32 count);
void lies_acpi(struct mb2_out *out);
void lies_tags(struct mb2_out *out);

#endif
