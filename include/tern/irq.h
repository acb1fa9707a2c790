/* SPDX-License-Identifier: MIT */
/* Host interrupts as drivers see them (arch/x86_64/irq.c). */
#ifndef TERN_IRQ_H
#define TERN_IRQ_H

#include <tern/types.h>

/* Runs on the CPU that took the interrupt, interrupts off, on the interrupt stack. */
typedef void irq_fn(void *arg);

/* Takes a free vector for a handler; name is shown by the shell's irq. Returns the vector, or
 * -TERN_ENOSPC. */
MUST_CHECK int irq_alloc(const char *name, irq_fn *fn, void *arg);
void irq_free(int vector);

/* Routes an ISA IRQ (0-15) to a vector on the boot CPU through the I/O APIC. -TERN_ENODEV: none. */
MUST_CHECK int irq_route_isa(u8 irq, int vector);

/* The MSI message (SDM vol. 3A 11.11) that raises vector on a CPU. */
void irq_msi_message(u32 cpu_index, int vector, u64 *addr, u32 *data);

/* For the shell: every used vector in order. Returns false past the last. */
struct irq_view {
	int vector;
	const char *name;
	u64 count; /* all CPUs */
};
bool irq_view_get(u32 index, struct irq_view *out);
/* Interrupts nobody had asked for, all CPUs. */
u64 irq_spurious_count(void);

#endif
