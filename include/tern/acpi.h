/* SPDX-License-Identifier: MIT */
/*
 * The ACPI tables Tern uses (arch/x86_64/acpi.c, acpi_tables.c): RSDP, RSDT/XSDT, MADT, FADT (with
 * \_S5 from the DSDT), HPET, MCFG, SRAT. A table with a wrong length or checksum is left out with a
 * warning that names it; what depends on it is then missing, the node still boots.
 * Source: ACPI specification 6.5, chapter 5.
 */
#ifndef TERN_ACPI_H
#define TERN_ACPI_H

#include <tern/addr.h>
#include <tern/types.h>

#define ACPI_TABLES_MAX    128u /* servers list dozens of SSDTs */
#define ACPI_IOAPICS_MAX   16u
#define ACPI_OVERRIDES_MAX 16u
#define ACPI_CPUS_MAX      512u /* more than CPUS_MAX: disabled ones are listed too */
#define ACPI_MCFG_MAX      16u
#define ACPI_SRAT_MEM_MAX  64u

struct acpi_table {
	char sig[5]; /* NUL-ended, unprintable bytes as '?' */
	u64 base;
	u32 len;
	bool ok;      /* length and checksum are right */
	char why[48]; /* when not ok */
};

struct acpi_cpu {
	u32 apic_id;
	u32 uid;
	u32 node;    /* from the SRAT, already a dense number from 0 */
	bool usable; /* enabled; a CPU that could be plugged in is listed, not usable */
};

struct acpi_ioapic {
	u64 base;
	u32 gsi_base;
	u8 id;
};

struct acpi_override { /* ISA IRQ -> GSI, MADT type 2 */
	u32 gsi;
	u8 irq;
	bool active_low, level;
};

struct acpi_mcfg {
	u64 base;
	u16 segment;
	u8 bus_first, bus_last;
};

struct acpi_srat_mem {
	u64 base, len;
	u32 node; /* dense */
};

/* A Generic Address Structure (ACPI 6.5, 5.2.3.2) reduced to what Tern can reach. */
enum acpi_space { ACPI_SPACE_NONE, ACPI_SPACE_MEM, ACPI_SPACE_IO, ACPI_SPACE_PCI };
struct acpi_gas {
	enum acpi_space space;
	u8 width; /* bits */
	u64 addr; /* ACPI_SPACE_PCI: bus 0, bits 47:32 device, 31:16 function, 15:0 offset */
};

struct acpi_info {
	u64 rsdp; /* 0: no ACPI */
	u8 revision;
	u32 table_count, tables_bad;
	struct acpi_table tables[ACPI_TABLES_MAX];
	/* MADT */
	bool madt;
	bool has_8259;
	u64 lapic_base;
	u32 cpu_count, cpus_dropped;
	struct acpi_cpu cpus[ACPI_CPUS_MAX];
	u32 ioapic_count;
	struct acpi_ioapic ioapics[ACPI_IOAPICS_MAX];
	u32 override_count;
	struct acpi_override overrides[ACPI_OVERRIDES_MAX];
	/* FADT */
	bool fadt;
	u32 pm_timer_port; /* 0: none */
	bool pm_timer_32bit;
	struct acpi_gas reset_reg; /* space NONE: not offered */
	u8 reset_value;
	u32 pm1a_cnt, pm1b_cnt; /* I/O ports, 0: none */
	bool s5;                /* sleep types below are valid */
	u8 s5_type_a, s5_type_b;
	u32 smi_cmd;
	u8 acpi_enable;
	/* HPET */
	u64 hpet_base; /* 0: none */
	/* MCFG */
	u32 mcfg_count;
	struct acpi_mcfg mcfg[ACPI_MCFG_MAX];
	/* SRAT */
	u32 node_count; /* >= 1 */
	u32 srat_mem_count;
	struct acpi_srat_mem srat_mem[ACPI_SRAT_MEM_MAX];
};

/* Gives len bytes at pa to read, or NULL when there is nothing there (past the end of memory). The
 * pointer stays valid. */
typedef const void *acpi_map_fn(u64 pa, u64 len, void *arg);
typedef void acpi_warn_fn(const char *text, void *arg);

/*
 * Reads everything from the RSDP at rsdp (0: fill in defaults for a machine without ACPI) into
 * *info, which it clears first. Every structure is checked against its own length, its table's and
 * what map gives; no table is trusted to be aligned. Pure but for map and warn.
 */
void acpi_parse(u64 rsdp, acpi_map_fn *map, void *arg, acpi_warn_fn *warn, struct acpi_info *info);

/* Looks for the RSDP in the BIOS areas (EBDA, 0xe0000-0xfffff; ACPI 6.5, 5.2.5.1). 0: none. */
u64 acpi_find_rsdp(acpi_map_fn *map, void *arg);

/* True when the byte sum of len bytes is 0 modulo 256. Pure. */
bool acpi_checksum_ok(const void *data, size_t len);

/*
 * Reads the tables of this machine; rsdp 0: looks in the BIOS areas. What is wrong with them goes to
 * the log. Needs boot_info_get(), for what is memory, and arch_map_ro(). Boot CPU, once.
 */
void acpi_init(u64 rsdp);
/* What boot found; constant afterwards. Before acpi_init(): all zero. */
const struct acpi_info *acpi_get(void);

#endif
