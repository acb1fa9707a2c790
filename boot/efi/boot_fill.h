/* SPDX-License-Identifier: MIT */
/* What every loader's code needs to fill a struct boot_info (the Multiboot parsers, ternboot.efi). */
#ifndef BOOT_EFI_BOOT_FILL_H
#define BOOT_EFI_BOOT_FILL_H

#include <abi/boot_info.h>
#include <tern/lib.h>
#include <tern/types.h>

static inline void boot_fill_init(struct boot_info *bi, enum boot_loader loader)
{
	memset(bi, 0, sizeof(*bi));
	bi->magic = BOOT_INFO_MAGIC;
	bi->version = BOOT_INFO_VERSION;
	bi->size = sizeof(*bi);
	bi->loader = loader;
}

/*
 * Appends one range. When the table is full RAM gives way: of the RAM entries and this one the
 * smallest is lost and counted. A reservation is lost only when the table holds no RAM at all, so
 * that none can be taken for RAM.
 */
static inline void boot_fill_mem(struct boot_info *bi, u64 base, u64 len, u32 type)
{
	const struct boot_mem m = {.base = base, .len = len, .type = type};
	struct boot_mem *victim = NULL;

	if (len == 0)
		return;
	if (bi->mem_count < BOOT_MEM_MAX) {
		bi->mem[bi->mem_count++] = m;
		return;
	}
	bi->mem_dropped++;
	for (u32 i = 0; i < BOOT_MEM_MAX; i++) {
		struct boot_mem *e = &bi->mem[i];

		if (e->type == BOOT_MEM_RAM && (!victim || e->len < victim->len))
			victim = e;
	}
	if (victim && (type != BOOT_MEM_RAM || victim->len < len))
		*victim = m;
}

/* Splits "path/name args" into the last path component of the first word and the rest. */
static inline void boot_fill_name(struct boot_module *m, const char *string)
{
	const char *base = string, *end = string;
	size_t n;

	while (*end != '\0' && *end != ' ') {
		if (*end == '/' || *end == '\\')
			base = end + 1;
		end++;
	}
	n = (size_t)(end - base);
	if (n > BOOT_NAME_MAX - 1)
		n = BOOT_NAME_MAX - 1;
	memcpy(m->name, base, n);
	m->name[n] = '\0';
	while (*end == ' ')
		end++;
	str_copy(m->args, end, sizeof(m->args));
}

#endif
