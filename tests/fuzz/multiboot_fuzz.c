/* SPDX-License-Identifier: MIT */
/* links: boot/multiboot.c hv/boot_info.c hv/lib/str.c hv/lib/fmt.c tests/fake/fake_host.c */
/*
 * From a loader's bytes to the checked boot information. The first byte of an input chooses the
 * version, the rest is the physical memory from BASE on, with the information at its start. What
 * boot_info_check() lets through must keep every promise of its header.
 */
#include <stdlib.h>
#include <string.h>

#include <tern/boot_info.h>
#include <tern/multiboot.h>

#define BASE     0x10000ull
#define PA_LIMIT (1ull << 52)

#define REQUIRE(cond)            \
	do {                     \
		if (!(cond))     \
			abort(); \
	} while (0)

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

struct memory {
	const u8 *data;
	size_t size;
};

static bool read_memory(u64 pa, void *dst, size_t len, void *arg)
{
	const struct memory *m = arg;

	if (pa < BASE || pa - BASE > m->size || len > m->size - (pa - BASE))
		return false;
	memcpy(dst, m->data + (pa - BASE), len);
	return true;
}

static void ignore(const char *text, void *arg)
{
	(void)arg;
	REQUIRE(strlen(text) < 256);
}

static void check_map(const struct boot_info *bi)
{
	for (u32 i = 0; i < bi->mem_count; i++) {
		const struct boot_mem *e = &bi->mem[i];

		REQUIRE(e->len > 0 && e->base % PAGE_SIZE == 0 && e->len % PAGE_SIZE == 0);
		REQUIRE(e->base < PA_LIMIT && e->len <= PA_LIMIT - e->base);
		REQUIRE(e->type >= BOOT_MEM_RAM && e->type <= BOOT_MEM_BAD);
		if (i > 0) {
			const u64 end = e[-1].base + e[-1].len;

			REQUIRE(end < e->base || (end == e->base && e[-1].type != e->type));
		}
	}
}

static void check_modules(const struct boot_info *bi)
{
	for (u32 i = 0; i < bi->module_count; i++) {
		const struct boot_module *m = &bi->modules[i];
		bool in_ram = m->len == 0;

		REQUIRE(memchr(m->name, 0, sizeof(m->name)) && memchr(m->args, 0, sizeof(m->args)));
		for (u32 k = 0; k < bi->mem_count; k++)
			in_ram |= bi->mem[k].type == BOOT_MEM_RAM && m->base >= bi->mem[k].base &&
				  m->base + m->len <= bi->mem[k].base + bi->mem[k].len;
		REQUIRE(in_ram);
		for (u32 k = 0; k < i && m->len > 0; k++) {
			const struct boot_module *o = &bi->modules[k];

			REQUIRE(o->len == 0 || m->base >= o->base + o->len ||
				o->base >= m->base + m->len);
		}
	}
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static struct boot_info bi;
	char value[16];
	struct memory m;
	int rc;

	if (size < 1)
		return 0;
	m = (struct memory){data + 1, size - 1};
	memset(&bi, 0xa5, sizeof(bi));
	if (data[0] & 1)
		rc = multiboot2_parse(BASE, read_memory, &m, &bi);
	else
		rc = multiboot1_parse(BASE, read_memory, &m, &bi);
	REQUIRE(bi.magic == BOOT_INFO_MAGIC && bi.mem_count <= BOOT_MEM_MAX);
	if (rc != 0)
		return 0;
	bi.image_base = MiB(2);
	bi.image_len = MiB(1);
	if (boot_info_check(&bi, ignore, NULL) != 0)
		return 0;
	check_map(&bi);
	check_modules(&bi);
	boot_info_option(bi.cmdline, "log", value, sizeof(value));
	return 0;
}
