/* SPDX-License-Identifier: MIT */
/* links: hv/vm/mb1_guest.c hv/vm/loader.c hv/lib/elf.c hv/lib/str.c hv/lib/fmt.c */
/*
 * A hostile kernel file: what the check lets through must lie in the file and below 4 GiB, must not
 * overlap, and is then really copied into a guest of 4 MiB, or refused with a sentence.
 */
#include <stdlib.h>
#include <string.h>

#include <hv/vm/mb1_guest.h>
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

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static struct gmem mem = {
		.region_count = 2,
		.regions = {{.base = {0}, .len = 0xa0000}, {.base = {MiB(1)}, .len = MiB(3)}}};
	const struct guest_module module = {.data = data, .len = size, .name = "m", .args = "a b"};
	const struct mb1_boot boot = {
		.file = data, .len = size, .cmdline = "x", .module_count = 1, .modules = &module};
	struct mb1_image image;
	struct mb1_start start;
	char why[VM_REASON_MAX] = "";

	if (mb1_guest_check(data, size, &image, why, sizeof(why)) != 0) {
		REQUIRE(why[0] != '\0');
		return 0;
	}
	for (u32 i = 0; i < image.count; i++) {
		const struct mb1_segment *s = &image.segments[i];

		REQUIRE((u64)s->file_off + s->file_len <= size && s->file_len <= s->mem_len);
		REQUIRE((u64)s->gpa + s->mem_len <= UINT32_MAX && s->gpa + s->mem_len <= image.end);
		for (u32 k = 0; k < i; k++) {
			const struct mb1_segment *o = &image.segments[k];

			REQUIRE(s->gpa >= o->gpa + o->mem_len || o->gpa >= s->gpa + s->mem_len);
		}
	}
	if (mb1_guest_load(&mem, &boot, &start, why, sizeof(why)) != 0)
		REQUIRE(why[0] != '\0');
	else
		REQUIRE(start.entry == image.entry && start.info >= image.end);
	return 0;
}
