/* SPDX-License-Identifier: MIT */
/* PCI configuration space by mechanism #1, bus 0, function 0; PCI Local Bus 3.0 section 3.2.2.3.2. */
#ifndef GUEST_PCI_H
#define GUEST_PCI_H

#include <abi/types.h>

#define PCI_PORT_ADDRESS 0xcf8u
#define PCI_PORT_DATA    0xcfcu
#define PCI_ENABLE       0x80000000u
#define PCI_SLOTS        32u
#define PCI_NONE         PCI_SLOTS /* no such slot */

/* width: 1, 2 or 4 bytes, all of one dword. */
u32 pci_read(u32 slot, u32 reg, u32 width);
void pci_write(u32 slot, u32 reg, u32 width, u32 value);
/* The slot of the nth such device, counted from 0, or PCI_NONE. */
u32 pci_find(u32 vendor, u32 device, u32 nth);
/* The first capability with that ID behind the one at reg after, or of all when after is 0; 0: none. */
u32 pci_capability(u32 slot, u32 id, u32 after);

#endif
