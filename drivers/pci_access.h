/* SPDX-License-Identifier: MIT */
/* The two ways to PCI configuration space of a PC (drivers/pci_access.c). */
#ifndef DRIVERS_PCI_ACCESS_H
#define DRIVERS_PCI_ACCESS_H

#include <tern/pci.h>

#define PCI_BUSES       256u
#define PCI_BUS_DEVICES 32u
#define PCI_FUNCTIONS   8u

/* Ports 0xcf8 and 0xcfc (PCI 3.0, 3.2.2.3.2): segment 0, the first 256 bytes of a function. */
#define PCI_CF8_ADDRESS 0xcf8u
#define PCI_CF8_DATA    0xcfcu
#define PCI_CF8_ENABLE  0x80000000u
#define PCI_CF8_BUS     16u
#define PCI_CF8_DEV     11u
#define PCI_CF8_FN      8u

/* ECAM (PCIe 4.0, 7.2.2): the address bits of a function. */
#define PCI_ECAM_BUS 20u
#define PCI_ECAM_DEV 15u
#define PCI_ECAM_FN  12u

#define PCI_ABSENT 0xffffffffu /* what a read gives where nothing answers */

/*
 * ECAM when acpi_get() has an MCFG that tells the truth, else CF8; NULL, with a log line, when the
 * machine has neither. Boot CPU.
 */
const struct pci_config_ops *pci_access_choose(void);

#endif
