/* SPDX-License-Identifier: MIT */
/* Names of PCI classes (PCI Code and ID Assignment 1.11, section 1), for the shell's pci. */
#include <tern/pci.h>

#define ANY 0xffu /* subclass: all that have no line of their own */

static const struct {
	u8 class_code, subclass;
	const char *name;
} names[] = {
	{0x00, 0x01, "VGA compatible device"},
	{0x00, ANY, "Device of no class"},
	{0x01, 0x00, "SCSI controller"},
	{0x01, 0x01, "IDE controller"},
	{0x01, 0x02, "Floppy controller"},
	{0x01, 0x04, "RAID controller"},
	{0x01, 0x05, "ATA controller"},
	{0x01, 0x06, "SATA controller"},
	{0x01, 0x07, "SAS controller"},
	{0x01, 0x08, "NVM controller"},
	{0x01, ANY, "Mass storage controller"},
	{0x02, 0x00, "Ethernet controller"},
	{0x02, 0x07, "InfiniBand controller"},
	{0x02, 0x08, "Fabric controller"},
	{0x02, ANY, "Network controller"},
	{0x03, 0x00, "VGA compatible controller"},
	{0x03, 0x02, "3D controller"},
	{0x03, ANY, "Display controller"},
	{0x04, 0x01, "Audio device"},
	{0x04, 0x03, "HD audio device"},
	{0x04, ANY, "Multimedia controller"},
	{0x05, 0x00, "RAM controller"},
	{0x05, 0x02, "CXL memory"},
	{0x05, ANY, "Memory controller"},
	{0x06, 0x00, "Host bridge"},
	{0x06, 0x01, "ISA bridge"},
	{0x06, 0x04, "PCI bridge"},
	{0x06, 0x07, "CardBus bridge"},
	{0x06, 0x09, "Semi-transparent PCI bridge"},
	{0x06, ANY, "Bridge"},
	{0x07, 0x00, "Serial controller"},
	{0x07, 0x01, "Parallel controller"},
	{0x07, ANY, "Communication controller"},
	{0x08, 0x00, "Interrupt controller"},
	{0x08, 0x01, "DMA controller"},
	{0x08, 0x02, "Timer"},
	{0x08, 0x03, "Real-time clock"},
	{0x08, 0x05, "SD host controller"},
	{0x08, 0x06, "IOMMU"},
	{0x08, 0x07, "Root complex event collector"},
	{0x08, ANY, "System peripheral"},
	{0x09, ANY, "Input device"},
	{0x0a, ANY, "Docking station"},
	{0x0b, 0x40, "Co-processor"},
	{0x0b, ANY, "Processor"},
	{0x0c, 0x00, "FireWire controller"},
	{0x0c, 0x03, "USB controller"},
	{0x0c, 0x04, "Fibre Channel controller"},
	{0x0c, 0x05, "SMBus controller"},
	{0x0c, 0x06, "InfiniBand controller"},
	{0x0c, 0x07, "IPMI interface"},
	{0x0c, ANY, "Serial bus controller"},
	{0x0d, ANY, "Wireless controller"},
	{0x0e, ANY, "Intelligent I/O controller"},
	{0x0f, ANY, "Satellite controller"},
	{0x10, ANY, "Encryption controller"},
	{0x11, ANY, "Signal processing controller"},
	{0x12, ANY, "Processing accelerator"},
	{0x13, ANY, "Instrumentation device"},
};

const char *pci_class_name(u8 class_code, u8 subclass)
{
	for (u32 i = 0; i < ARRAY_SIZE(names); i++) {
		if (names[i].class_code == class_code &&
		    (names[i].subclass == subclass || names[i].subclass == ANY))
			return names[i].name;
	}
	return "Unknown device";
}
