/* SPDX-License-Identifier: MIT */
/*
 * A VM's guest-physical memory as a PC has it, and where the loaders of hv/vm put things. The loaders
 * themselves go by the regions of struct gmem; docs/guest-boot.md draws the map.
 */
#ifndef HV_VM_LAYOUT_GUEST_H
#define HV_VM_LAYOUT_GUEST_H

#include <tern/types.h>

#define GUEST_LOW_END    0xa0000ull /* RAM from 0; then the hole of the VGA and of option ROMs */
#define GUEST_ROM        0xe0000ull /* ROM to 1 MiB: ACPI tables, then SMBIOS */
#define GUEST_ROM_LEN    0x20000ull
#define GUEST_ACPI       GUEST_ROM /* begins with the RSDP */
#define GUEST_ACPI_LEN   0x10000ull
#define GUEST_SMBIOS     0xf0000ull /* begins with the entry point */
#define GUEST_SMBIOS_LEN 0x10000ull
#define GUEST_HIGH       MiB(1) /* RAM from here */
#define GUEST_HOLE       GiB(3) /* to here: devices' memory */
#define GUEST_ABOVE      GiB(4) /* the rest of RAM */

/* For the start of a Linux or PVH kernel, in pages of their own below GUEST_LOW_END. The first page is
 * left alone: kernels look there for what a BIOS would have left. */
#define GUEST_GDT         0x1000ull
#define GUEST_INFO        0x2000ull /* struct boot_params, or hvm_start_info and its tables */
#define GUEST_INFO_LEN    0x2000ull
#define GUEST_TABLES      0x4000ull /* page tables: six pages */
#define GUEST_TABLES_LEN  0x6000ull
#define GUEST_STRINGS     0x10000ull /* the command line, those of modules */
#define GUEST_STRINGS_LEN 0x10000ull

_Static_assert(GUEST_INFO + GUEST_INFO_LEN <= GUEST_TABLES, "they overlap");
_Static_assert(GUEST_TABLES + GUEST_TABLES_LEN <= GUEST_STRINGS, "they overlap");
_Static_assert(GUEST_STRINGS + GUEST_STRINGS_LEN <= GUEST_LOW_END, "they overlap");

#endif
