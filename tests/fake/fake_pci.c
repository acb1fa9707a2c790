/* SPDX-License-Identifier: MIT */
#include "fake_pci.h"

#include <stdlib.h>
#include <string.h>

#include <linux/pci_regs.h>
#include <tern/io.h>

#include <drivers/pci_access.h>

bool fake_cf8_present;
u32 fake_pci_reads;
struct acpi_info fake_acpi;

static struct fake_fn fns[FAKE_PCI_MAX];
static u32 fn_count;
static u32 cf8;

const struct acpi_info *acpi_get(void)
{
	return &fake_acpi;
}

void fake_pci_reset(void)
{
	memset(fns, 0, sizeof(fns));
	memset(&fake_acpi, 0, sizeof(fake_acpi));
	fn_count = 0;
	fake_pci_reads = 0;
	cf8 = 0;
	fake_cf8_present = true;
}

u16 fake_get16(const struct fake_fn *f, u32 offset)
{
	u16 v;

	memcpy(&v, f->cfg + offset, sizeof(v));
	return v;
}

u32 fake_get32(const struct fake_fn *f, u32 offset)
{
	u32 v;

	memcpy(&v, f->cfg + offset, sizeof(v));
	return v;
}

void fake_put16(struct fake_fn *f, u32 offset, u16 v)
{
	memcpy(f->cfg + offset, &v, sizeof(v));
}

void fake_put32(struct fake_fn *f, u32 offset, u32 v)
{
	memcpy(f->cfg + offset, &v, sizeof(v));
}

struct fake_fn *fake_pci_add(u8 bus, u8 dev, u8 fn, u16 vendor, u16 device, u16 class)
{
	struct fake_fn *f;

	if (fn_count == FAKE_PCI_MAX)
		abort();
	f = &fns[fn_count++];
	f->bus = bus;
	f->dev = dev;
	f->fn = fn;
	fake_put16(f, PCI_VENDOR_ID, vendor);
	fake_put16(f, PCI_DEVICE_ID, device);
	fake_put16(f, PCI_CLASS_DEVICE, class);
	return f;
}

struct fake_fn *fake_pci_bridge(u8 bus, u8 dev, u8 fn, u8 secondary, u8 subordinate)
{
	struct fake_fn *f = fake_pci_add(bus, dev, fn, 0x8086, 0x244e, 0x0604);

	f->cfg[PCI_HEADER_TYPE] = PCI_HEADER_TYPE_BRIDGE;
	f->cfg[PCI_PRIMARY_BUS] = bus;
	f->cfg[PCI_SECONDARY_BUS] = secondary;
	f->cfg[PCI_SUBORDINATE_BUS] = subordinate;
	return f;
}

void fake_pci_bar(struct fake_fn *f, u32 bar, u32 value, u32 mask)
{
	fake_put32(f, PCI_BASE_ADDRESS_0 + bar * 4, value);
	f->bar_mask[bar] = mask;
}

void fake_pci_cap(struct fake_fn *f, u8 offset, u8 id, u8 next)
{
	f->cfg[offset] = id;
	f->cfg[offset + 1] = next;
	fake_put16(f, PCI_STATUS, PCI_STATUS_CAP_LIST);
	if (f->cfg[PCI_CAPABILITY_LIST] == 0)
		f->cfg[PCI_CAPABILITY_LIST] = offset;
}

static struct fake_fn *find(u16 segment, u8 bus, u8 dev, u8 fn)
{
	for (u32 i = 0; i < fn_count; i++) {
		if (fns[i].segment == segment && fns[i].bus == bus && fns[i].dev == dev &&
		    fns[i].fn == fn)
			return &fns[i];
	}
	return NULL;
}

static u32 fake_read(u16 segment, u8 bus, u8 dev, u8 fn, u16 offset, u32 width)
{
	const struct fake_fn *f = find(segment, bus, dev, fn);
	u32 v = 0;

	fake_pci_reads++;
	if (offset % width != 0)
		abort();
	if (f == NULL || offset >= sizeof(f->cfg))
		return width == 4 ? ~0u : (1u << 8 * width) - 1;
	memcpy(&v, f->cfg + offset, width);
	return v;
}

static u32 bar_count(const struct fake_fn *f)
{
	return (f->cfg[PCI_HEADER_TYPE] & 0x7f) == PCI_HEADER_TYPE_NORMAL ? PCI_BARS : 2;
}

static void fake_write(u16 segment, u8 bus, u8 dev, u8 fn, u16 offset, u32 width, u32 value)
{
	struct fake_fn *f = find(segment, bus, dev, fn);
	u32 bar = (offset - PCI_BASE_ADDRESS_0) / 4u;

	if (offset % width != 0)
		abort();
	if (f == NULL || offset >= sizeof(f->cfg))
		return;
	if (offset >= PCI_BASE_ADDRESS_0 && bar < bar_count(f)) {
		if (f->cfg[PCI_COMMAND] & (PCI_COMMAND_IO | PCI_COMMAND_MEMORY))
			f->sized_while_decoding = true;
		value = (value & f->bar_mask[bar]) | (fake_get32(f, offset) & ~f->bar_mask[bar]);
	}
	memcpy(f->cfg + offset, &value, width);
}

const struct pci_config_ops fake_pci_ops = {"fake", fake_read, fake_write};

/* --- ports CF8 and CFC --- */

static u32 port_read(u16 port, u32 width)
{
	u32 none = width == 4 ? ~0u : (1u << 8 * width) - 1;

	if (!fake_cf8_present)
		return none;
	if (port == PCI_CF8_ADDRESS && width == 4)
		return cf8;
	if (port < PCI_CF8_DATA || port >= PCI_CF8_DATA + 4 || (cf8 & PCI_CF8_ENABLE) == 0)
		return none;
	return fake_read(0, (u8)(cf8 >> 16), cf8 >> 11 & 31, cf8 >> 8 & 7,
			 (u16)((cf8 & 0xfc) + (port & 3u)), width);
}

static void port_write(u16 port, u32 width, u32 v)
{
	if (!fake_cf8_present)
		return;
	if (port == PCI_CF8_ADDRESS && width == 4)
		cf8 = v;
	else if (port >= PCI_CF8_DATA && port < PCI_CF8_DATA + 4)
		fake_write(0, (u8)(cf8 >> 16), cf8 >> 11 & 31, cf8 >> 8 & 7,
			   (u16)((cf8 & 0xfc) + (port & 3u)), width, v);
}

u8 io_in8(u16 port)
{
	return (u8)port_read(port, 1);
}

u16 io_in16(u16 port)
{
	return (u16)port_read(port, 2);
}

u32 io_in32(u16 port)
{
	return port_read(port, 4);
}

void io_out8(u16 port, u8 v)
{
	port_write(port, 1, v);
}

void io_out16(u16 port, u16 v)
{
	port_write(port, 2, v);
}

void io_out32(u16 port, u32 v)
{
	port_write(port, 4, v);
}
