/* SPDX-License-Identifier: MIT */
/* links: hv/vm/pvh_guest.c hv/vm/loader.c hv/lib/elf.c hv/lib/str.c hv/lib/fmt.c */
/*
 * A hostile PVH kernel: what the check lets through must lie in the file and between 1 MiB and 4 GiB, must
 * not overlap, and is then really copied into a guest of 4 MiB, or refused with a sentence.
 */
#include <stdlib.h>
#include <string.h>

#include <hv/vm/layout_guest.h>
#include <hv/vm/pvh_guest.h>
#include <hv/vm/pvh_regs.h>
#include <tern/err.h>
#include <tern/vm.h>

#define REQUIRE(cond)            \
	do {                     \
		if (!(cond))     \
			abort(); \
	} while (0)
#define MEMORY MiB(4)

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static u8 memory[MEMORY];

int gmem_load(struct gmem *g, gpa_t at, const void *src, u64 len)
{
	(void)g;
	REQUIRE(at.v <= MEMORY && len <= MEMORY - at.v);
	memcpy(memory + at.v, src, len);
	return 0;
}

static void check_segments(const struct elf_file *elf, size_t size, u32 entry)
{
	bool inside = false;

	for (u32 i = 0; i < elf->count; i++) {
		const struct elf_program *s = &elf->load[i];

		REQUIRE(s->file_off <= size && s->file_len <= size - s->file_off);
		REQUIRE(s->file_len <= s->mem_len && s->mem_len > 0);
		REQUIRE(s->paddr >= MiB(1) && s->mem_len <= GiB(4) &&
			s->paddr <= GiB(4) - s->mem_len);
		inside = inside || (entry >= s->paddr && entry < s->paddr + s->mem_len);
		for (u32 k = 0; k < i; k++) {
			const struct elf_program *o = &elf->load[k];

			REQUIRE(s->paddr >= o->paddr + o->mem_len ||
				o->paddr >= s->paddr + s->mem_len);
		}
	}
	REQUIRE(inside);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static struct gmem mem = {
		.region_count = 2,
		.regions = {{.base = {0}, .len = 0xa0000}, {.base = {MiB(1)}, .len = MiB(3)}}};
	const struct guest_module module = {.data = data, .len = size, .name = "m", .args = "a b"};
	const struct pvh_boot boot = {
		.file = data, .len = size, .cmdline = "x", .module_count = 1, .modules = &module};
	struct pvh_modlist_entry m;
	struct elf_file elf;
	struct pvh_start start;
	char why[VM_REASON_MAX] = "";
	u32 entry;

	if (pvh_guest_check(data, size, &elf, &entry, why, sizeof(why)) != 0) {
		REQUIRE(why[0] != '\0');
		return 0;
	}
	REQUIRE(pvh_guest_is(data, size));
	check_segments(&elf, size, entry);
	if (pvh_guest_load(&mem, &boot, &start, why, sizeof(why)) != 0) {
		REQUIRE(why[0] != '\0');
		return 0;
	}
	REQUIRE(start.entry == entry);
	memcpy(&m, memory + ((struct pvh_start_info *)(void *)(memory + start.info))->modules,
	       sizeof(m));
	REQUIRE(memcmp(memory + m.base, data, size) == 0);
	for (u32 i = 0; i < elf.count; i++) {
		const struct elf_program *s = &elf.load[i];

		REQUIRE(m.base >= s->paddr + s->mem_len);
		REQUIRE(memcmp(memory + s->paddr, data + s->file_off, s->file_len) == 0);
	}
	return 0;
}
