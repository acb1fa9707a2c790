/* SPDX-License-Identifier: MIT */
/*
 * PCI enumeration: walks the buses that exist and notes what each function is, where firmware put
 * its BARs and which capabilities it has. Nothing is assigned or moved: a node runs with what
 * firmware set.
 */
#include <tern/pci.h>

#include <linux/pci_regs.h>
#include <tern/acpi.h>
#include <tern/arch.h>
#include <tern/err.h>
#include <tern/lib.h>
#include <tern/log.h>

#include "pci_access.h"

#define VENDOR_NONE      0xffffu
#define MULTI_FUNCTION   0x80u /* of the header type (PCI 3.0, 6.2.1) */
#define BRIDGE_BARS      2u    /* PCI-to-PCI Bridge 1.2, 3.2: the other words are bus numbers */
#define CLASS_BRIDGE     0x06u
#define SUBCLASS_HOST    0x00u
#define CAPS_MAX         48u /* more 4-byte-aligned ones do not fit behind the header */
#define CAP_ALIGN        3u
#define BAR_MEM_FLAGS    0x0full
#define BAR_IO_FLAGS     0x03ull
#define BAR_IO_UPPER     0xffff0000u
#define PCI_PHYS_MAX     (1ull << 52)
#define MSI_QMASK_SHIFT  1u
#define MSI_VECTORS_LOG2 5u /* 32 vectors: larger encodings are reserved */
#define DECODE           (PCI_COMMAND_IO | PCI_COMMAND_MEMORY)
#define BITMAP_WORDS     (PCI_BUSES / 32u)

static struct pci_device devices[PCI_DEVICES_MAX];
static u32 device_count, devices_dropped;       /* (c) after pci_scan() */
static const struct pci_config_ops *access_ops; /* (c) */

/* The buses of one segment: found and not walked yet, and walked or waiting. */
struct bus_set {
	u16 segment;
	u8 first, last;
	u8 host_fns; /* bit n: function n of the first bus's device 0 is a host bridge */
	u32 waiting[BITMAP_WORDS];
	u32 known[BITMAP_WORDS];
};

u32 pci_read(const struct pci_device *d, u16 offset, u32 width)
{
	DEBUG_ASSERT(offset % width == 0);
	return access_ops->read(d->segment, d->bus, d->dev, d->fn, offset, width);
}

void pci_write(const struct pci_device *d, u16 offset, u32 width, u32 value)
{
	DEBUG_ASSERT(offset % width == 0);
	access_ops->write(d->segment, d->bus, d->dev, d->fn, offset, width, value);
}

static u32 read_dword(const struct pci_device *d, u32 offset)
{
	return pci_read(d, (u16)offset, sizeof(u32));
}

static void write_dword(const struct pci_device *d, u32 offset, u32 value)
{
	pci_write(d, (u16)offset, sizeof(u32), value);
}

static bool bus_known(const struct bus_set *set, u32 bus)
{
	return (set->known[bus / 32] & 1u << bus % 32) != 0;
}

/* A bus is walked once, however many bridges claim it: a ring of bridges ends. */
static void bus_add(struct bus_set *set, u32 bus)
{
	if (bus < set->first || bus > set->last || bus_known(set, bus))
		return;
	set->known[bus / 32] |= 1u << bus % 32;
	set->waiting[bus / 32] |= 1u << bus % 32;
}

static bool bus_take(struct bus_set *set, u8 *bus)
{
	for (u32 i = 0; i < BITMAP_WORDS; i++) {
		if (set->waiting[i] == 0)
			continue;
		*bus = (u8)(i * 32 + (u32)__builtin_ctz(set->waiting[i]));
		set->waiting[i] &= set->waiting[i] - 1;
		return true;
	}
	return false;
}

/* Writes all ones to a BAR, reads what sticks, writes the old value back (PCI 3.0, 6.2.5.1). */
static u32 bar_probe(const struct pci_device *d, u32 offset, u32 old)
{
	u32 mask;

	write_dword(d, offset, ~0u);
	mask = read_dword(d, offset);
	write_dword(d, offset, old);
	return mask;
}

/* The lowest address bit that can be set is the size. A BAR that does not fit the address space, as
 * one of a device that just went away, counts as not set. */
static void bar_set(struct pci_bar *bar, u64 base, u64 mask)
{
	bar->size = mask & -mask;
	bar->base = base < PCI_PHYS_MAX && bar->size <= PCI_PHYS_MAX - base ? base : 0;
}

/* Reads the BAR at index with decoding off; returns how many BARs it takes. */
static u32 bar_read(struct pci_device *d, u32 index, u32 count)
{
	struct pci_bar *bar = &d->bars[index];
	u32 offset = PCI_BASE_ADDRESS_0 + index * 4;
	u32 low = read_dword(d, offset), mask = bar_probe(d, offset, low);
	u32 high, high_mask;

	if (mask == 0 || mask == PCI_ABSENT)
		return 1;
	if ((mask & PCI_BASE_ADDRESS_SPACE_IO) != 0) {
		bar->io = true;
		/* Decoders of 16 bits leave the upper half out (PCI 3.0, 6.2.5.1). */
		if ((mask & BAR_IO_UPPER) == 0)
			mask |= BAR_IO_UPPER;
		bar_set(bar, low & ~BAR_IO_FLAGS, mask & ~BAR_IO_FLAGS & ~0u);
		return 1;
	}
	bar->prefetch = (mask & PCI_BASE_ADDRESS_MEM_PREFETCH) != 0;
	if ((mask & PCI_BASE_ADDRESS_MEM_TYPE_MASK) != PCI_BASE_ADDRESS_MEM_TYPE_64) {
		bar_set(bar, low & ~BAR_MEM_FLAGS, mask & ~BAR_MEM_FLAGS);
		return 1;
	}
	if (index + 1 == count) {
		log_warn("PCI %02x:%02x.%x: BAR %u has no upper half; Tern does not use it", d->bus,
			 d->dev, d->fn, index);
		return 1;
	}
	bar->is64 = true;
	high = read_dword(d, offset + 4);
	high_mask = bar_probe(d, offset + 4, high);
	bar_set(bar, (u64)high << 32 | (low & ~BAR_MEM_FLAGS),
		(u64)high_mask << 32 | (mask & ~BAR_MEM_FLAGS));
	return 2;
}

/*
 * Sizes the BARs with decoding off, so that a device does not answer at the address of all ones
 * meanwhile. Host bridges are left alone: some of them stop decoding memory itself.
 */
static void read_bars(struct pci_device *d)
{
	u32 count = d->header_type == PCI_HEADER_TYPE_NORMAL   ? PCI_BARS
		    : d->header_type == PCI_HEADER_TYPE_BRIDGE ? BRIDGE_BARS
							       : 0;
	u32 command;

	if (count == 0 || (d->class_code == CLASS_BRIDGE && d->subclass == SUBCLASS_HOST))
		return;
	command = pci_read(d, PCI_COMMAND, sizeof(u16));
	pci_write(d, PCI_COMMAND, sizeof(u16), command & ~(u32)DECODE);
	for (u32 i = 0; i < count;)
		i += bar_read(d, i, count);
	pci_write(d, PCI_COMMAND, sizeof(u16), command);
}

/* One capability at offset; the first of its kind counts. */
static void note_capability(struct pci_device *d, u8 offset, u32 header)
{
	u32 flags = header >> 16, log2;

	switch (header & 0xff) {
	case PCI_CAP_ID_PM:
		if (d->pm_cap == 0)
			d->pm_cap = offset;
		break;
	case PCI_CAP_ID_EXP:
		if (d->pcie_cap == 0)
			d->pcie_cap = offset;
		break;
	case PCI_CAP_ID_MSI:
		log2 = (flags & PCI_MSI_FLAGS_QMASK) >> MSI_QMASK_SHIFT;
		if (d->msi_cap == 0 && log2 <= MSI_VECTORS_LOG2) {
			d->msi_cap = offset;
			d->msi_vectors = (u16)(1u << log2);
		}
		break;
	case PCI_CAP_ID_MSIX:
		if (d->msix_cap == 0) {
			d->msix_cap = offset;
			d->msix_vectors = (u16)((flags & PCI_MSIX_FLAGS_QSIZE) + 1);
		}
		break;
	default:
		break;
	}
}

/* PCI 3.0, 6.7: a list in configuration space; a broken one is a ring or leads into the header. */
static void read_capabilities(struct pci_device *d)
{
	u32 offset, header;

	if (d->header_type != PCI_HEADER_TYPE_NORMAL && d->header_type != PCI_HEADER_TYPE_BRIDGE)
		return;
	if ((pci_read(d, PCI_STATUS, sizeof(u16)) & PCI_STATUS_CAP_LIST) == 0)
		return;
	offset = pci_read(d, PCI_CAPABILITY_LIST, sizeof(u8)) & ~CAP_ALIGN;
	for (u32 i = 0; i < CAPS_MAX && offset >= PCI_STD_HEADER_SIZEOF; i++) {
		header = read_dword(d, offset);
		if (header == PCI_ABSENT)
			return;
		note_capability(d, (u8)offset, header);
		offset = header >> 8 & 0xff & ~CAP_ALIGN;
	}
}

/* The buses behind a PCI-PCI bridge: numbered after its own bus, in an unbroken range. */
static void follow_bridge(struct bus_set *set, const struct pci_device *d)
{
	u32 buses = read_dword(d, PCI_PRIMARY_BUS);
	u32 secondary = buses >> 8 & 0xff, subordinate = buses >> 16 & 0xff;

	if (secondary == 0) /* firmware left it switched off */
		return;
	if (secondary <= d->bus || subordinate < secondary || secondary > set->last ||
	    bus_known(set, secondary)) {
		log_warn("PCI %04x:%02x:%02x.%x: bridge to buses %u-%u makes no sense here. "
			 "Firmware bug: update the firmware; Tern does not look behind it",
			 d->segment, d->bus, d->dev, d->fn, secondary, subordinate);
		return;
	}
	bus_add(set, secondary);
}

static void read_ids(struct pci_device *d)
{
	u32 class = read_dword(d, PCI_CLASS_REVISION), sub, irq;

	d->revision = (u8) class;
	d->prog_if = (u8)(class >> 8);
	d->subclass = (u8)(class >> 16);
	d->class_code = (u8)(class >> 24);
	irq = read_dword(d, PCI_INTERRUPT_LINE);
	d->irq_line = (u8)irq;
	d->irq_pin = (u8)(irq >> 8);
	if (d->irq_pin > 4)
		d->irq_pin = 0;
	if (d->header_type != PCI_HEADER_TYPE_NORMAL)
		return;
	sub = read_dword(d, PCI_SUBSYSTEM_VENDOR_ID);
	d->sub_vendor = (u16)sub;
	d->sub_device = (u16)(sub >> 16);
}

/* Reads one function; returns its header type byte, 0 when there is none. */
static u8 scan_function(struct bus_set *set, u8 bus, u8 dev, u8 fn)
{
	struct pci_device d = {.segment = set->segment, .bus = bus, .dev = dev, .fn = fn};
	u32 id = read_dword(&d, PCI_VENDOR_ID);
	u8 type;

	d.vendor = (u16)id;
	d.device = (u16)(id >> 16);
	if (d.vendor == VENDOR_NONE || d.vendor == 0)
		return 0;
	type = (u8)pci_read(&d, PCI_HEADER_TYPE, sizeof(u8));
	d.header_type = type & PCI_HEADER_TYPE_MASK;
	read_ids(&d);
	read_bars(&d);
	read_capabilities(&d);
	if (d.header_type == PCI_HEADER_TYPE_BRIDGE && d.class_code == CLASS_BRIDGE)
		follow_bridge(set, &d);
	if (bus == set->first && dev == 0 && d.class_code == CLASS_BRIDGE &&
	    d.subclass == SUBCLASS_HOST)
		set->host_fns |= (u8)(1u << fn);
	if (device_count < PCI_DEVICES_MAX)
		devices[device_count++] = d;
	else
		devices_dropped++;
	return type;
}

static void scan_bus(struct bus_set *set, u8 bus)
{
	for (u8 dev = 0; dev < PCI_BUS_DEVICES; dev++) {
		if ((scan_function(set, bus, dev, 0) & MULTI_FUNCTION) == 0)
			continue;
		for (u8 fn = 1; fn < PCI_FUNCTIONS; fn++)
			scan_function(set, bus, dev, fn);
	}
}

/* Walks until no bus is left. Bridges add to the set while it runs. */
static void scan_waiting(struct bus_set *set)
{
	u8 bus;

	while (bus_take(set, &bus))
		scan_bus(set, bus);
}

/* A bus that no bridge leads to may be another root: of the host bridge with its number as function
 * (of several at device 0), or, when all buses are looked at, any with a device 0. */
static bool is_peer_root(const struct bus_set *set, u32 bus, bool look)
{
	u32 fn = bus - set->first, id;

	if (fn < PCI_FUNCTIONS && (set->host_fns & 1u << fn) != 0)
		return true;
	if (!look)
		return false;
	id = access_ops->read(set->segment, (u8)bus, 0, 0, PCI_VENDOR_ID, sizeof(u32));
	return (id & VENDOR_NONE) != VENDOR_NONE && (id & VENDOR_NONE) != 0;
}

/* Walks buses first-last of a segment from the first; look: see is_peer_root(). */
static void scan_segment(u16 segment, u8 first, u8 last, bool look)
{
	struct bus_set set = {.segment = segment, .first = first, .last = last};

	bus_add(&set, first);
	scan_waiting(&set);
	for (u32 bus = first; bus <= last; bus++) {
		if (bus_known(&set, bus) || !is_peer_root(&set, bus, look))
			continue;
		bus_add(&set, bus);
		scan_waiting(&set);
	}
}

void pci_scan(const struct pci_config_ops *ops)
{
	const struct acpi_info *acpi = acpi_get();

	access_ops = ops;
	device_count = 0;
	devices_dropped = 0;
	for (u32 i = 0; i < acpi->mcfg_count; i++) {
		const struct acpi_mcfg *m = &acpi->mcfg[i];

		scan_segment(m->segment, m->bus_first, m->bus_last, true);
	}
	if (acpi->mcfg_count == 0)
		scan_segment(0, 0, PCI_BUSES - 1, false);
	if (devices_dropped != 0)
		log_warn("PCI: %u devices beyond %u are not used", devices_dropped,
			 PCI_DEVICES_MAX);
}

void pci_init(void)
{
	const struct pci_config_ops *ops = pci_access_choose();

	if (ops != NULL)
		pci_scan(ops);
}

const char *pci_access_name(void)
{
	return access_ops != NULL ? access_ops->name : "none";
}

u32 pci_device_count(void)
{
	return device_count;
}

u32 pci_devices_dropped(void)
{
	return devices_dropped;
}

struct pci_device *pci_device_get(u32 index)
{
	ASSERT(index < device_count);
	return &devices[index];
}

struct pci_device *pci_find(u16 vendor, u16 device, u32 n)
{
	for (u32 i = 0; i < device_count; i++) {
		if (devices[i].vendor == vendor && devices[i].device == device && n-- == 0)
			return &devices[i];
	}
	return NULL;
}

void pci_enable(const struct pci_device *d, bool on)
{
	u32 command = pci_read(d, PCI_COMMAND, sizeof(u16));
	u32 bits = PCI_COMMAND_MASTER;

	if (!on) {
		pci_write(d, PCI_COMMAND, sizeof(u16), command & ~(bits | DECODE));
		return;
	}
	/* A space with no BAR that is set stays off: the device would answer at address 0. */
	for (u32 i = 0; i < PCI_BARS; i++) {
		if (d->bars[i].size != 0 && d->bars[i].base != 0)
			bits |= d->bars[i].io ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY;
	}
	if (d->header_type == PCI_HEADER_TYPE_BRIDGE) /* it forwards both to what is behind it */
		bits |= DECODE;
	pci_write(d, PCI_COMMAND, sizeof(u16), command | bits);
}

void *pci_map_bar(const struct pci_device *d, u32 bar)
{
	const struct pci_bar *b;

	ASSERT(bar < PCI_BARS);
	b = &d->bars[bar];
	if (b->io || b->size == 0 || b->base == 0)
		return NULL;
	return arch_map_mmio(hpa(b->base), b->size);
}
