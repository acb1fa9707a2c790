/* SPDX-License-Identifier: MIT */
/* links: hv/vm/linux_guest.c hv/vm/loader.c hv/lib/str.c hv/lib/fmt.c */
/*
 * A hostile bzImage: what the check lets through must lie in the file, and is then really copied into a
 * guest of 4 MiB, or refused with a sentence. Kernel, initrd and the low pages must not overlap.
 */
#include <stdlib.h>
#include <string.h>

#include <hv/vm/layout_guest.h>
#include <hv/vm/linux_guest.h>
#include <hv/vm/linux_regs.h>
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
	const struct linux_boot boot = {
		.file = data, .len = size, .initrd = data, .initrd_len = size, .cmdline = "x"};
	struct linux_image image;
	struct linux_start start;
	struct linux_header h;
	char why[VM_REASON_MAX] = "";
	u64 kernel, initrd;

	if (linux_guest_check(data, size, &image, why, sizeof(why)) != 0) {
		REQUIRE(why[0] != '\0');
		return 0;
	}
	REQUIRE(linux_guest_is(data, size));
	REQUIRE(image.kernel_off <= size && image.kernel_len <= size - image.kernel_off);
	REQUIRE(image.header_end <= image.kernel_off && image.header_end <= LINUX_HEADER_END);
	if (linux_guest_load(&mem, &boot, &start, why, sizeof(why)) != 0) {
		REQUIRE(why[0] != '\0');
		return 0;
	}
	memcpy(&h, memory + start.params + LINUX_HEADER_AT, sizeof(h));
	kernel = start.entry - LINUX_ENTRY_64;
	initrd = h.ramdisk_image;
	REQUIRE(kernel >= image.pref_address && kernel + image.init_size <= MEMORY);
	REQUIRE(initrd >= kernel + image.init_size && initrd + size <= image.initrd_end);
	REQUIRE(memcmp(memory + kernel, data + image.kernel_off, image.kernel_len) == 0);
	REQUIRE(memcmp(memory + initrd, data, size) == 0);
	return 0;
}
