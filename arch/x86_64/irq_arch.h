/* SPDX-License-Identifier: MIT */
/* Interrupts inside arch/x86_64: dispatch and the I/O APICs. */
#ifndef IRQ_ARCH_H
#define IRQ_ARCH_H

#include <tern/types.h>

/* From entry.S by way of traps.c: calls the handler, ends the interrupt. */
void irq_dispatch(u32 vector);
/* Masks the 8259s and every I/O APIC line. Boot CPU, once; needs ACPI. */
void ioapic_init(void);
/* Sends a global interrupt to a vector on a CPU. -TERN_ENODEV: no I/O APIC has that input. */
MUST_CHECK int ioapic_route(u32 gsi, bool active_low, bool level, u32 vector, u32 dest);

#endif
