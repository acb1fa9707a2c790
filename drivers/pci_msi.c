/* SPDX-License-Identifier: MIT */
/* Message-signalled interrupts of PCI devices: MSI (PCI 3.0, 6.8.1) and MSI-X (6.8.2). */
#include <tern/pci.h>

#include <linux/pci_regs.h>
#include <tern/arch.h>
#include <tern/err.h>
#include <tern/io.h>
#include <tern/log.h>

#define MSI_DATA_MAX 0xffffu

static u32 read_word(const struct pci_device *d, u32 offset)
{
	return pci_read(d, (u16)offset, sizeof(u16));
}

static void write_word(const struct pci_device *d, u32 offset, u32 value)
{
	pci_write(d, (u16)offset, sizeof(u16), value);
}

static void write_dword(const struct pci_device *d, u32 offset, u32 value)
{
	pci_write(d, (u16)offset, sizeof(u32), value);
}

/* Clears and sets bits of a 16-bit register. */
static void change_word(const struct pci_device *d, u32 offset, u32 clear, u32 set)
{
	write_word(d, offset, (read_word(d, offset) & ~clear) | set);
}

static void msi_disable(const struct pci_device *d)
{
	if (d->msi_cap != 0)
		change_word(d, d->msi_cap + PCI_MSI_FLAGS, PCI_MSI_FLAGS_ENABLE, 0);
}

static void msix_disable(const struct pci_device *d)
{
	if (d->msix_cap != 0)
		change_word(d, d->msix_cap + PCI_MSIX_FLAGS, PCI_MSIX_FLAGS_ENABLE, 0);
}

int pci_msi_set(struct pci_device *d, u64 addr, u32 data)
{
	u32 cap = d->msi_cap, flags;
	bool wide;

	if (cap == 0)
		return -TERN_ENODEV;
	flags = read_word(d, cap + PCI_MSI_FLAGS);
	wide = (flags & PCI_MSI_FLAGS_64BIT) != 0;
	if (data > MSI_DATA_MAX || (!wide && addr >> 32 != 0))
		return -TERN_EINVAL;
	msix_disable(d); /* only one of the two may be on */
	d->msix_on = false;
	/* One vector; off while address and data change, so that no message goes astray. */
	flags &= ~(u32)(PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE);
	write_word(d, cap + PCI_MSI_FLAGS, flags);
	write_dword(d, cap + PCI_MSI_ADDRESS_LO, (u32)addr);
	if (wide)
		write_dword(d, cap + PCI_MSI_ADDRESS_HI, (u32)(addr >> 32));
	write_word(d, cap + (wide ? PCI_MSI_DATA_64 : PCI_MSI_DATA_32), data);
	if ((flags & PCI_MSI_FLAGS_MASKBIT) != 0)
		write_dword(d, cap + (wide ? PCI_MSI_MASK_64 : PCI_MSI_MASK_32), 0);
	change_word(d, PCI_COMMAND, 0, PCI_COMMAND_INTX_DISABLE);
	write_word(d, cap + PCI_MSI_FLAGS, flags | PCI_MSI_FLAGS_ENABLE);
	return 0;
}

static volatile char *msix_entry(const struct pci_device *d, u32 index)
{
	return (volatile char *)d->msix_table_map + (size_t)index * PCI_MSIX_ENTRY_SIZE;
}

static void msix_mask(const struct pci_device *d, u32 index, bool on)
{
	mmio_write32(msix_entry(d, index) + PCI_MSIX_ENTRY_VECTOR_CTRL,
		     on ? PCI_MSIX_ENTRY_CTRL_MASKBIT : 0);
}

/* Maps the vector table once. It must lie as a whole in a memory BAR that firmware set. */
static int msix_map(struct pci_device *d)
{
	u32 reg, bir;
	u64 offset, len = (u64)d->msix_vectors * PCI_MSIX_ENTRY_SIZE;
	const struct pci_bar *bar;

	if (d->msix_table_map != NULL)
		return 0;
	reg = pci_read(d, (u16)(d->msix_cap + PCI_MSIX_TABLE), sizeof(u32));
	bir = reg & PCI_MSIX_TABLE_BIR;
	offset = reg & PCI_MSIX_TABLE_OFFSET;
	bar = bir < PCI_BARS ? &d->bars[bir] : NULL;
	if (bar == NULL || bar->io || bar->base == 0 || offset > bar->size ||
	    len > bar->size - offset) {
		log_warn("PCI %02x:%02x.%x: MSI-X table at BAR %u offset %#llx cannot be used: the "
			 "BAR is not set or too small. Update the firmware of device and machine",
			 d->bus, d->dev, d->fn, bir, (unsigned long long)offset);
		return -TERN_ENOMEM;
	}
	d->msix_table_map = arch_map_mmio(hpa(bar->base + offset), len);
	return d->msix_table_map != NULL ? 0 : -TERN_ENOMEM;
}

/* Switches MSI-X on with every vector masked, whatever ran before us left there. */
static void msix_start(const struct pci_device *d)
{
	u32 flags = d->msix_cap + PCI_MSIX_FLAGS;

	msi_disable(d); /* only one of the two may be on */
	change_word(d, PCI_COMMAND, 0, PCI_COMMAND_MEMORY | PCI_COMMAND_INTX_DISABLE);
	change_word(d, flags, 0, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	for (u32 i = 0; i < d->msix_vectors; i++)
		msix_mask(d, i, true);
	change_word(d, flags, PCI_MSIX_FLAGS_MASKALL, 0);
}

int pci_msix_set(struct pci_device *d, u32 index, u64 addr, u32 data)
{
	volatile char *entry;
	int rc;

	if (d->msix_cap == 0)
		return -TERN_ENODEV;
	if (index >= d->msix_vectors)
		return -TERN_EINVAL;
	rc = msix_map(d);
	if (rc != 0)
		return rc;
	if ((read_word(d, d->msix_cap + PCI_MSIX_FLAGS) & PCI_MSIX_FLAGS_ENABLE) == 0 ||
	    !d->msix_on)
		msix_start(d);
	d->msix_on = true;
	entry = msix_entry(d, index);
	msix_mask(d, index, true); /* an entry changes only while it is masked (6.8.2) */
	mmio_write32(entry + PCI_MSIX_ENTRY_LOWER_ADDR, (u32)addr);
	mmio_write32(entry + PCI_MSIX_ENTRY_UPPER_ADDR, (u32)(addr >> 32));
	mmio_write32(entry + PCI_MSIX_ENTRY_DATA, data);
	msix_mask(d, index, false);
	return 0;
}

void pci_msi_off(struct pci_device *d)
{
	msi_disable(d);
	msix_disable(d);
	d->msix_on = false;
	change_word(d, PCI_COMMAND, PCI_COMMAND_INTX_DISABLE, 0);
}
