/* SPDX-License-Identifier: MIT */
/* The memory descriptors of UEFI (spec 2.10, section 7.2) in terms of struct boot_info. */
#ifndef BOOT_EFI_MEM_H
#define BOOT_EFI_MEM_H

#include <abi/boot_info.h>

/* EFI_MEMORY_DESCRIPTOR; a table's stride may be larger. */
struct efi_mem {
	u32 type;
	u32 pad;
	u64 base;
	u64 virt;
	u64 pages; /* of 4 KiB */
	u64 attribute;
};

_Static_assert(sizeof(struct efi_mem) == 40, "spec");

#define EFI_MEM_PAGE_SHIFT   12
#define EFI_MEM_PAGES_MAX    (1ull << 52) /* so that pages << 12 cannot wrap */
#define EFI_MEM_ATTR_RUNTIME (1ull << 63)

enum efi_mem_type {
	EFI_MEM_RESERVED = 0,
	EFI_MEM_LOADER_CODE = 1,
	EFI_MEM_LOADER_DATA = 2,
	EFI_MEM_BOOT_CODE = 3,
	EFI_MEM_BOOT_DATA = 4,
	EFI_MEM_RUNTIME_CODE = 5,
	EFI_MEM_RUNTIME_DATA = 6,
	EFI_MEM_CONVENTIONAL = 7,
	EFI_MEM_UNUSABLE = 8,
	EFI_MEM_ACPI_RECLAIM = 9,
	EFI_MEM_ACPI_NVS = 10,
	EFI_MEM_MMIO = 11,
	EFI_MEM_MMIO_PORT = 12,
};

/* After ExitBootServices: what firmware keeps stays out of Tern's hands, whatever its type. */
static inline u32 efi_mem_type(const struct efi_mem *d)
{
	if (d->attribute & EFI_MEM_ATTR_RUNTIME && d->type != EFI_MEM_MMIO &&
	    d->type != EFI_MEM_MMIO_PORT)
		return BOOT_MEM_RESERVED;
	switch (d->type) {
	case EFI_MEM_LOADER_CODE:
	case EFI_MEM_LOADER_DATA:
	case EFI_MEM_BOOT_CODE:
	case EFI_MEM_BOOT_DATA:
	case EFI_MEM_CONVENTIONAL:
		return BOOT_MEM_RAM;
	case EFI_MEM_UNUSABLE:
		return BOOT_MEM_BAD;
	case EFI_MEM_ACPI_RECLAIM:
		return BOOT_MEM_ACPI_RECLAIM;
	case EFI_MEM_ACPI_NVS:
		return BOOT_MEM_ACPI_NVS;
	case EFI_MEM_MMIO:
	case EFI_MEM_MMIO_PORT:
		return BOOT_MEM_MMIO;
	default:
		return BOOT_MEM_RESERVED;
	}
}

#endif
