/* SPDX-License-Identifier: MIT */
/* What firmware knows of the machine, put into struct boot_info (boot/efi/machine.c). */
#ifndef BOOT_EFI_MACHINE_H
#define BOOT_EFI_MACHINE_H

#include <abi/boot_info.h>
#include <efi.h>
#include <tern/types.h>

/* ACPI's root pointer, the system table, the screen. */
void machine_describe(struct boot_info *bi);

/*
 * Takes the machine from the firmware and fills the memory map. On success boot services are gone:
 * no call into firmware may follow. A failed attempt may have left them half gone: the machine is
 * reset then, so that a failure returns only when nothing was touched yet.
 */
MUST_CHECK EFI_STATUS machine_take(EFI_HANDLE image, struct boot_info *bi);

#endif
