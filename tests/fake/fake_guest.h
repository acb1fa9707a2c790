/* SPDX-License-Identifier: MIT */
/*
 * What a device of a VM reaches, under test control: guest memory, interrupts, the core. Stands in for
 * hv/mem/gmem*.c, hv/dev/platform.c, vlapic.c and hv/vm. There is one VM.
 */
#ifndef FAKE_GUEST_H
#define FAKE_GUEST_H

#include <tern/types.h>
#include <tern/vm.h>

#define FAKE_GUEST_MEM MiB(2)
#define FAKE_RANGES    64u

extern u8 fake_guest_mem[FAKE_GUEST_MEM];
/* Forgets everything, and gives the VM a name, a bus and a vCPU; the test bus_destroy()s. */
void fake_guest_reset(struct vm *vm);

/* Guest memory that cannot be backed now: [from, to). */
extern u64 fake_later_from, fake_later_to;
/* Copies made since the reset. */
extern u32 fake_copies;
/* Called before each copy, unless it is NULL: other CPUs of the guest. */
extern void (*fake_copying)(void);

/* What gmem_unback() was called with. */
struct fake_range {
	u64 base, len;
};
extern struct fake_range fake_unbacked[FAKE_RANGES];
extern u32 fake_unbacked_count;

/* Interrupts. */
extern bool fake_lines[IRQ_LINES];
extern u32 fake_line_changes, fake_msi_count, fake_msi_data;
extern u64 fake_msi_address;

extern u32 fake_vm_kicks, fake_vm_resets;
extern char fake_vm_killed[VM_REASON_MAX];

#endif
