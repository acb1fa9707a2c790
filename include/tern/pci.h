/* SPDX-License-Identifier: MIT */
/*
 * PCI: enumeration by ECAM (MCFG) or ports CF8/CFC, BARs, MSI, MSI-X (drivers/pci*.c).
 * Source: PCI Local Bus 3.0, PCIe Base 4.0 7.5; register numbers from linux/pci_regs.h.
 */
#ifndef TERN_PCI_H
#define TERN_PCI_H

#include <tern/addr.h>
#include <tern/types.h>

#define PCI_DEVICES_MAX 256u
#define PCI_BARS        6u

struct pci_bar {
	u64 base; /* 0: not set by firmware, or no BAR */
	u64 size; /* bytes, 0: no BAR here (or the upper half of a 64-bit one) */
	bool io, is64, prefetch;
};

struct pci_device {
	u16 segment;
	u8 bus, dev, fn;
	u8 revision, prog_if, subclass, class_code, header_type;
	u16 vendor, device, sub_vendor, sub_device;
	u8 irq_pin;                             /* 0: none, 1-4: INTA-INTD */
	u8 irq_line;                            /* what firmware wrote */
	u8 msi_cap, msix_cap, pcie_cap, pm_cap; /* offsets in configuration space, 0: absent */
	u16 msi_vectors, msix_vectors;          /* how many the device can use */
	struct pci_bar bars[PCI_BARS];
	bool msix_on;        /* switched on by pci_msix_set() */
	u64 *msix_table_map; /* MMIO mapping once MSI-X was set up, else NULL */
};

/* Configuration space access, one backend at a time; offset is aligned to its width (1, 2, 4). */
struct pci_config_ops {
	const char *name; /* "ECAM", "CF8" */
	u32 (*read)(u16 segment, u8 bus, u8 dev, u8 fn, u16 offset, u32 width);
	void (*write)(u16 segment, u8 bus, u8 dev, u8 fn, u16 offset, u32 width, u32 value);
};

/* Chooses the access method and walks all buses that exist. Boot CPU. Devices past
 * PCI_DEVICES_MAX are counted and not used. */
void pci_init(void);
/* The walk alone, over given access functions: for pci_init() and host tests. */
void pci_scan(const struct pci_config_ops *ops);

const char *pci_access_name(void);
u32 pci_device_count(void);
u32 pci_devices_dropped(void);
struct pci_device *pci_device_get(u32 index);
/* The n-th device (from 0) with this vendor and device number, or NULL. */
struct pci_device *pci_find(u16 vendor, u16 device, u32 n);

u32 pci_read(const struct pci_device *d, u16 offset, u32 width);
void pci_write(const struct pci_device *d, u16 offset, u32 width, u32 value);

/* Switches memory/I-O decoding and bus mastering on (true) or off. */
void pci_enable(const struct pci_device *d, bool on);
/* Maps a memory BAR uncached; NULL when it is I/O, empty, unset or cannot be mapped. */
MUST_CHECK void *pci_map_bar(const struct pci_device *d, u32 bar);

/*
 * Point vector number index of the device at (addr, data), as the architecture's irq_msi_message()
 * says, and switch MSI (one vector, index 0) or MSI-X on. INTx is switched off. Returns 0,
 * -TERN_ENODEV when the device has no such capability, -TERN_EINVAL for an index out of range or a
 * message that the device cannot send (64-bit address, more than 16 bits of MSI data), -TERN_ENOMEM
 * when the table cannot be mapped. The driver has called pci_enable(): a message is a DMA write.
 */
MUST_CHECK int pci_msi_set(struct pci_device *d, u64 addr, u32 data);
MUST_CHECK int pci_msix_set(struct pci_device *d, u32 index, u64 addr, u32 data);
/* Both off, INTx on again. */
void pci_msi_off(struct pci_device *d);

/* "Ethernet controller", "VGA compatible controller", ... by class codes; never NULL. */
const char *pci_class_name(u8 class_code, u8 subclass);

#endif
