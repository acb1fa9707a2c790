/* SPDX-License-Identifier: MIT */
/* Access to PCI configuration space, and how a device is found. Long mode only, as what needs it. */
#ifdef __x86_64__
#include "cpu.h"
#include "guest.h"
#include "pci.h"

#include <linux/pci_regs.h>

static u16 select_register(u32 slot, u32 reg)
{
	outl(PCI_PORT_ADDRESS, PCI_ENABLE | slot << 11 | (reg & 0xfc));
	return (u16)(PCI_PORT_DATA + (reg & 3));
}

u32 pci_read(u32 slot, u32 reg, u32 width)
{
	u16 port = select_register(slot, reg);

	return width == 1 ? inb(port) : width == 2 ? inw(port) : inl(port);
}

void pci_write(u32 slot, u32 reg, u32 width, u32 value)
{
	u16 port = select_register(slot, reg);

	if (width == 1)
		outb(port, (u8)value);
	else if (width == 2)
		outw(port, (u16)value);
	else
		outl(port, value);
}

u32 pci_find(u32 vendor, u32 device, u32 nth)
{
	u32 slot = 0;

	for (; slot < PCI_SLOTS; slot++) {
		if (pci_read(slot, PCI_VENDOR_ID, 4) == (device << 16 | vendor) && nth-- == 0)
			break;
	}
	return slot;
}

u32 pci_capability(u32 slot, u32 id, u32 after)
{
	u32 at = pci_read(slot, after ? after + PCI_CAP_LIST_NEXT : PCI_CAPABILITY_LIST, 1);

	while (at != 0 && pci_read(slot, at, 1) != id)
		at = pci_read(slot, at + PCI_CAP_LIST_NEXT, 1);
	return at;
}
#endif
