/* SPDX-License-Identifier: MIT */
/* From the loader's registers to one checked struct boot_info, whichever loader it was. */
#include <tern/boot_info.h>
#include <tern/err.h>
#include <tern/layout.h>
#include <tern/lib.h>
#include <tern/log.h>
#include <tern/main.h>
#include <tern/multiboot.h>

NORETURN void boot_main(u32 magic, u32 info, u64 tsc, u64 image_base);

extern const char image_start[], image_end[];

static struct boot_info boot;

/* The first page tables map 4 GiB; a loader's 32-bit addresses lie within. */
static bool read_low(u64 pa, void *dst, size_t len, UNUSED void *arg)
{
	if (pa == 0 || pa >= GiB(4) || len > GiB(4) - pa)
		return false;
	memcpy(dst, (const void *)(LAYOUT_DIRECT + pa), len);
	return true;
}

static void warn(const char *text, UNUSED void *arg)
{
	log_warn("boot: %s", text);
}

NORETURN void boot_main(u32 magic, u32 info, u64 tsc, u64 image_base)
{
	int rc;

	switch (magic) {
	case MULTIBOOT1_EAX:
		rc = multiboot1_parse(info, read_low, NULL, &boot);
		break;
	case MULTIBOOT2_EAX:
		rc = multiboot2_parse(info, read_low, NULL, &boot);
		break;
	case LAYOUT_MAGIC_TERNBOOT:
		rc = read_low(info, &boot, sizeof(boot), NULL) ? 0 : -TERN_EINVAL;
		break;
	default:
		panic("boot: unknown loader (EAX %08x); start Tern by Multiboot 1 or 2 or ternboot.efi",
		      magic);
	}
	if (rc != 0)
		panic("boot: the loader gave no usable memory map; try another boot path (docs/boot.md)");
	boot.entry_tsc = tsc;
	boot.image_base = image_base;
	boot.image_len = (u64)(image_end - image_start);
	if (boot_info_check(&boot, warn, NULL) != 0)
		panic("boot: what the loader gave cannot be used; try another boot path (docs/boot.md)");
	main_start(&boot);
}
