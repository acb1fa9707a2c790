/* SPDX-License-Identifier: MIT */
/*
 * Access to PCI configuration space: memory-mapped (ECAM) or by ports CF8/CFC. ECAM maps a bus when
 * it is first used: a segment has 256 MiB of it, and most machines a handful of buses.
 */
#include "pci_access.h"

#include <linux/pci_regs.h>
#include <tern/acpi.h>
#include <tern/arch.h>
#include <tern/frames.h>
#include <tern/io.h>
#include <tern/lock.h>
#include <tern/log.h>

/* Guards the pair of ports: an address, then its data. */
static struct spinlock cf8_lock = SPINLOCK_INIT(RANK_PCI, "pci");
static bool cf8_works; /* (c) */

/* Per entry of the MCFG, for each bus its mapping or NULL; an element is (a), set once. */
static void **ecam_maps[ACPI_MCFG_MAX]; /* (c) one page each */
_Static_assert(PCI_BUSES * sizeof(void *) <= PAGE_SIZE, "ecam_maps has a page an entry");

static u32 cf8_address(u8 bus, u8 dev, u8 fn, u16 offset)
{
	return PCI_CF8_ENABLE | (u32)bus << PCI_CF8_BUS | (u32)dev << PCI_CF8_DEV |
	       (u32)fn << PCI_CF8_FN | (offset & ~3u);
}

static bool cf8_reaches(u16 segment, u16 offset)
{
	return segment == 0 && offset < PCI_CFG_SPACE_SIZE;
}

static u32 cf8_read(u16 segment, u8 bus, u8 dev, u8 fn, u16 offset, u32 width)
{
	u16 port = (u16)(PCI_CF8_DATA + (offset & 3u));
	lock_token token;
	u32 v;

	if (!cf8_reaches(segment, offset))
		return PCI_ABSENT;
	token = lock_take(&cf8_lock);
	io_out32(PCI_CF8_ADDRESS, cf8_address(bus, dev, fn, offset));
	if (width == sizeof(u32))
		v = io_in32(port);
	else
		v = width == sizeof(u16) ? io_in16(port) : io_in8(port);
	lock_release(&cf8_lock, token);
	return v;
}

static void cf8_write(u16 segment, u8 bus, u8 dev, u8 fn, u16 offset, u32 width, u32 value)
{
	u16 port = (u16)(PCI_CF8_DATA + (offset & 3u));
	lock_token token;

	if (!cf8_reaches(segment, offset))
		return;
	token = lock_take(&cf8_lock);
	io_out32(PCI_CF8_ADDRESS, cf8_address(bus, dev, fn, offset));
	if (width == sizeof(u32))
		io_out32(port, value);
	else if (width == sizeof(u16))
		io_out16(port, (u16)value);
	else
		io_out8(port, (u8)value);
	lock_release(&cf8_lock, token);
}

/* The address register keeps what is written, when it exists. */
static bool cf8_probe(void)
{
	lock_token token = lock_take(&cf8_lock);
	u32 before = io_in32(PCI_CF8_ADDRESS);
	bool found;

	io_out32(PCI_CF8_ADDRESS, PCI_CF8_ENABLE);
	found = io_in32(PCI_CF8_ADDRESS) == PCI_CF8_ENABLE;
	io_out32(PCI_CF8_ADDRESS, before);
	lock_release(&cf8_lock, token);
	return found;
}

/* Where the mapping of the bus is kept; NULL when no MCFG entry has that bus. */
static void **ecam_slot(u16 segment, u8 bus, const struct acpi_mcfg **entry)
{
	const struct acpi_info *acpi = acpi_get();

	for (u32 i = 0; i < acpi->mcfg_count; i++) {
		const struct acpi_mcfg *m = &acpi->mcfg[i];

		if (m->segment == segment && bus >= m->bus_first && bus <= m->bus_last &&
		    ecam_maps[i] != NULL) {
			*entry = m;
			return &ecam_maps[i][bus];
		}
	}
	return NULL;
}

/* The configuration space of a bus. Two CPUs may map it at once: the first one's mapping stays. */
static void *ecam_bus(u16 segment, u8 bus)
{
	const struct acpi_mcfg *m;
	void **slot = ecam_slot(segment, bus, &m);
	void *map, *none = NULL;

	if (slot == NULL)
		return NULL;
	map = __atomic_load_n(slot, __ATOMIC_ACQUIRE);
	if (map != NULL)
		return map;
	map = arch_map_mmio(hpa(m->base + ((u64)bus << PCI_ECAM_BUS)), 1ull << PCI_ECAM_BUS);
	if (map == NULL) {
		log_warn("PCI: no address space for the configuration of segment %u, bus %u: "
			 "its devices are not used",
			 segment, bus);
		return NULL;
	}
	if (!__atomic_compare_exchange_n(slot, &none, map, false, __ATOMIC_ACQ_REL,
					 __ATOMIC_ACQUIRE))
		map = none;
	return map;
}

static void *ecam_register(u16 segment, u8 bus, u8 dev, u8 fn, u16 offset)
{
	char *map = ecam_bus(segment, bus);

	if (map == NULL || offset >= PCI_CFG_SPACE_EXP_SIZE)
		return NULL;
	return map + ((u32)dev << PCI_ECAM_DEV | (u32)fn << PCI_ECAM_FN | offset);
}

/* Is anything there? That question alone, put to each bus of a segment, must not map them all. */
static bool ecam_only_looks(u16 segment, u8 bus, u16 offset)
{
	const struct acpi_mcfg *m;
	void **slot = ecam_slot(segment, bus, &m);

	return cf8_works && segment == 0 && offset == PCI_VENDOR_ID && slot != NULL &&
	       __atomic_load_n(slot, __ATOMIC_RELAXED) == NULL;
}

static u32 ecam_read(u16 segment, u8 bus, u8 dev, u8 fn, u16 offset, u32 width)
{
	void *reg;

	if (ecam_only_looks(segment, bus, offset))
		return cf8_read(segment, bus, dev, fn, offset, width);
	reg = ecam_register(segment, bus, dev, fn, offset);
	if (reg == NULL)
		return PCI_ABSENT;
	if (width == sizeof(u32))
		return mmio_read32(reg);
	return width == sizeof(u16) ? mmio_read16(reg) : mmio_read8(reg);
}

static void ecam_write(u16 segment, u8 bus, u8 dev, u8 fn, u16 offset, u32 width, u32 value)
{
	void *reg = ecam_register(segment, bus, dev, fn, offset);

	if (reg == NULL)
		return;
	if (width == sizeof(u32))
		mmio_write32(reg, value);
	else if (width == sizeof(u16))
		mmio_write16(reg, (u16)value);
	else
		mmio_write8(reg, (u8)value);
}

static const struct pci_config_ops cf8_ops = {"CF8", cf8_read, cf8_write};
static const struct pci_config_ops ecam_ops = {"ECAM", ecam_read, ecam_write};

/*
 * An MCFG that names the wrong place would make every device a ghost. The first device of segment 0
 * must read the same both ways; its class is read because the vendor may come through CF8 anyway.
 */
static bool ecam_true(const struct acpi_mcfg *m)
{
	if (!cf8_works || m->segment != 0)
		return true;
	return ecam_read(0, m->bus_first, 0, 0, PCI_CLASS_REVISION, sizeof(u32)) ==
	       cf8_read(0, m->bus_first, 0, 0, PCI_CLASS_REVISION, sizeof(u32));
}

static bool ecam_init(void)
{
	const struct acpi_info *acpi = acpi_get();

	for (u32 i = 0; i < acpi->mcfg_count; i++) {
		const struct acpi_mcfg *m = &acpi->mcfg[i];

		ecam_maps[i] = frames_alloc_page();
		if (ecam_maps[i] == NULL) {
			log_warn("PCI: no memory for the table of segment %u", m->segment);
			return false;
		}
		if (!ecam_true(m)) {
			log_warn("PCI: ECAM at %#llx, which the ACPI table MCFG names, shows other "
				 "devices than port CF8. Firmware bug: update the firmware; Tern "
				 "uses CF8",
				 (unsigned long long)m->base);
			return false;
		}
	}
	return acpi->mcfg_count != 0;
}

const struct pci_config_ops *pci_access_choose(void)
{
	cf8_works = cf8_probe();
	if (ecam_init())
		return &ecam_ops;
	if (cf8_works)
		return &cf8_ops;
	log_warn("PCI: neither an MCFG table nor ports CF8/CFC; Tern goes on without PCI devices");
	return NULL;
}
