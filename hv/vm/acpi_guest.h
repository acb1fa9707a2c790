/* SPDX-License-Identifier: MIT */
/* The ACPI tables of a VM (hv/vm/acpi_guest.c), in its ROM. docs/guest-boot.md says what they tell. */
#ifndef HV_VM_ACPI_GUEST_H
#define HV_VM_ACPI_GUEST_H

#include <tern/gmem.h>
#include <tern/types.h>

/* hv/vm/dsdt.asl as iasl compiled it. */
extern const u8 dsdt_aml[];
extern const u32 dsdt_aml_len;

/*
 * Writes the tables of a VM with that many vCPUs, 1 to VCPUS_PER_VM_MAX, into its ROM; the RSDP is at
 * GUEST_ACPI. -TERN_EINVAL: the VM has no ROM there; -TERN_ENOMEM (the node cannot back it), with a
 * sentence in why.
 */
MUST_CHECK int acpi_guest_load(struct gmem *mem, u32 vcpus, char *why, size_t why_size);

#endif
