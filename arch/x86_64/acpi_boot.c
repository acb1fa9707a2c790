/* SPDX-License-Identifier: MIT */
/* ACPI of this machine: reads the tables once at boot and keeps what they say. */
#include <tern/acpi.h>
#include <tern/arch.h>
#include <tern/boot_info.h>
#include <tern/log.h>

#define BIOS_AREA_END MiB(1) /* real-mode data, EBDA and BIOS: there on every PC, listed or not */

/* Firmware keeps its tables at the top of the memory below 4 GiB, within this many bytes. */
#define FIRMWARE_TOP MiB(64)

static struct acpi_info machine;

static bool holds_tables(u32 type)
{
	return type == BOOT_MEM_RAM || type == BOOT_MEM_ACPI_RECLAIM || type == BOOT_MEM_ACPI_NVS ||
	       type == BOOT_MEM_RESERVED;
}

/*
 * iPXE's Multiboot map lists RAM and nothing else. Then firmware's own memory is taken to begin where
 * the RAM below 4 GiB ends. Returns that address, or 0 when the map does list firmware's memory.
 */
static u64 unlisted_firmware(const struct boot_info *bi)
{
	u64 end = 0;

	for (u32 i = 0; i < bi->mem_count; i++) {
		const struct boot_mem *m = &bi->mem[i];

		if (m->type != BOOT_MEM_RAM && m->base >= BIOS_AREA_END)
			return 0;
		if (m->type == BOOT_MEM_RAM && m->base + m->len <= GiB(4))
			end = m->base + m->len;
	}
	return end;
}

/* True when the boot map has memory for the whole range; the map is sorted and has no overlaps. */
static bool range_is_memory(const struct boot_info *bi, u64 pa, u64 len)
{
	u64 top = unlisted_firmware(bi);

	if (top != 0 && pa >= top && pa - top < FIRMWARE_TOP && len <= FIRMWARE_TOP - (pa - top))
		return true;
	if (pa < BIOS_AREA_END && len <= BIOS_AREA_END - pa)
		return true;
	for (u32 i = 0; i < bi->mem_count; i++) {
		const struct boot_mem *m = &bi->mem[i];
		u64 have;

		if (!holds_tables(m->type) || pa < m->base || pa - m->base >= m->len)
			continue;
		have = m->len - (pa - m->base);
		if (len <= have)
			return true;
		pa += have; /* may go on in the next entry */
		len -= have;
	}
	return false;
}

/* Tables of devices and of nothing at all are not touched: a read could hang the machine. */
static const void *map_table(u64 pa, u64 len, void *arg)
{
	return len != 0 && range_is_memory(arg, pa, len) ? arch_map_ro(hpa(pa), len) : NULL;
}

static void warn_log(const char *text, UNUSED void *arg)
{
	log_warn("%s", text);
}

void acpi_init(u64 rsdp)
{
	/* map_table() only reads it. */
	void *bi = (void *)(uintptr_t)boot_info_get();

	if (rsdp == 0)
		rsdp = acpi_find_rsdp(map_table, bi);
	if (rsdp == 0)
		log_warn("ACPI: no RSDP found; Tern goes on without ACPI: one CPU, no I/O APIC. "
			 "Switch ACPI on in the firmware setup");
	acpi_parse(rsdp, map_table, bi, warn_log, &machine);
}

const struct acpi_info *acpi_get(void)
{
	return &machine;
}
