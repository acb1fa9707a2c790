/* SPDX-License-Identifier: MIT */
/*
 * The chipset of a VM: what a PC has beside CPUs and memory, and how its interrupt lines are wired. Each
 * device is one file of hv/dev. docs/platform.md.
 */
#ifndef TERN_PLATFORM_H
#define TERN_PLATFORM_H

#include <tern/dev.h>
#include <tern/timer.h>
#include <tern/types.h>

struct virtio_device;
struct vm;

/* (c) once the VM runs; NULL: the VM has none. */
struct platform {
	struct device *uart, *pic, *ioapic, *pit, *rtc, *pm, *pci;
	struct virtio_device *balloon;
	struct virtio_device *tools; /* the disk that vm_tools() puts the guest tools into */
};

/* Interrupt lines: 0 to 15 are the ISA bus's, to the 8259 pair and to the I/O APIC's pin of the same
 * number, but for line 0, which is pin 2 there; 16 to 23 are pins of the I/O APIC alone. */
#define IRQ_PIT     0u
#define IRQ_UART    4u
#define IRQ_RTC     8u
#define IRQ_SCI     9u
#define IRQ_AGENT   10u /* ACPI device TERN0001, level-triggered: tern/agent.h */
#define IRQ_PCI     16u /* to 23 */
#define IRQ_LINES   24u
#define IOAPIC_BASE 0xfec00000ull
#define IOAPIC_LEN  0x1000u
#define IOAPIC_ID   0u
#define PM_BASE     0x600u /* ACPI: PM1a event 0-3, PM1a control 4-5, PM timer 8-11 (32 bits) */
#define PM_LEN      16u
#define RESET_PORT  0xcf9u /* reset control register: 6 resets; it lies among the PCI bus's ports */

/* Sets a line. High may mean asserted or not: the redirection entry's polarity is not looked at, devices
 * say true for asserted. The bus lock is held. */
void platform_irq(struct vm *vm, u32 line, bool asserted); /* hv/dev/platform.c */

/* Each: -TERN_ENOMEM, or the errors of bus_add(). Sets its pointer in vm->platform. Before the VM runs. */
MUST_CHECK int vpic_create(struct vm *vm, struct dev_bus *bus); /* 20h, 21h, A0h, A1h, 4D0h, 4D1h */
MUST_CHECK int vioapic_create(struct vm *vm, struct dev_bus *bus); /* IOAPIC_BASE, 24 pins */
MUST_CHECK int vpit_create(struct vm *vm, struct dev_bus *bus);    /* 40h to 43h, 61h */
MUST_CHECK int vrtc_create(struct vm *vm, struct dev_bus *bus);    /* 70h, 71h */
MUST_CHECK int vpm_create(struct vm *vm, struct dev_bus *bus);     /* PM_BASE, 64h (reset) */

/* --- the 8259 pair --- */
void vpic_line(struct device *pic, u32 line, bool asserted); /* bus lock held */
/* True when it asks for an interrupt. Any CPU; no lock needed: a hint that vpic_ack() settles. */
bool vpic_asks(const struct device *pic);
/* The interrupt acknowledge cycle: the vector, spurious if there is nothing any more. No lock is held. */
u8 vpic_ack(struct device *pic);

/* --- the I/O APIC --- */
void vioapic_line(struct device *ioapic, u32 pin, bool asserted); /* bus lock held */
/* End of a level-triggered interrupt, as the local APICs broadcast it. No lock is held. */
void vioapic_eoi(struct device *ioapic, u8 vector);

/* --- power management --- */
/* Presses the power button: the guest gets an SCI and may switch itself off. Takes the bus lock. */
void vpm_power_button(struct device *pm);
/* The guest asked for it (PM1 control SLP_EN, or the reset port): what the core does then. IRQs off or on,
 * the bus lock held. hv/vm. */
void vm_poweroff_requested(struct vm *vm);
void vm_reset_requested(struct vm *vm);

#endif
