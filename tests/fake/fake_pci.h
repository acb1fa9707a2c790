/* SPDX-License-Identifier: MIT */
/*
 * PCI functions for host tests: 256 bytes of configuration space each, with BARs that can be sized.
 * Reached through fake_pci_ops, or through ports CF8/CFC (io_in32() and its kin are defined here).
 */
#ifndef FAKE_PCI_H
#define FAKE_PCI_H

#include <tern/acpi.h>
#include <tern/pci.h>

#define FAKE_PCI_MAX 400u

struct fake_fn {
	u16 segment;
	u8 bus, dev, fn;
	u8 cfg[256];
	u32 bar_mask[PCI_BARS]; /* bits that can be set; the others keep their value */
	bool sized_while_decoding;
};

extern const struct pci_config_ops fake_pci_ops;
extern bool fake_cf8_present;
extern u32 fake_pci_reads;
/* What acpi_get() returns. */
extern struct acpi_info fake_acpi;

void fake_pci_reset(void);
/* Adds a function; class: class code and subclass. All else is zero. */
struct fake_fn *fake_pci_add(u8 bus, u8 dev, u8 fn, u16 vendor, u16 device, u16 class);
/* A PCI-PCI bridge. */
struct fake_fn *fake_pci_bridge(u8 bus, u8 dev, u8 fn, u8 secondary, u8 subordinate);
/* A BAR register: value with its flag bits, size (0: keep the mask as it is). */
void fake_pci_bar(struct fake_fn *f, u32 bar, u32 value, u32 mask);
/* A capability at offset with a list pointer to next; also sets the status bit and, for the first,
 * the pointer to it. */
void fake_pci_cap(struct fake_fn *f, u8 offset, u8 id, u8 next);

u16 fake_get16(const struct fake_fn *f, u32 offset);
u32 fake_get32(const struct fake_fn *f, u32 offset);
void fake_put16(struct fake_fn *f, u32 offset, u16 v);
void fake_put32(struct fake_fn *f, u32 offset, u32 v);

#endif
