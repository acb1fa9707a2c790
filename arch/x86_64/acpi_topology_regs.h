/* SPDX-License-Identifier: MIT */
/*
 * Layouts of the ACPI tables that list what the machine consists of: MADT (CPUs, I/O APICs), SRAT
 * (NUMA nodes), MCFG (PCI segments). Rules as in acpi_regs.h.
 * Source: ACPI specification 6.5; PCI Firmware specification 3.3 (MCFG).
 */
#ifndef ACPI_TOPOLOGY_REGS_H
#define ACPI_TOPOLOGY_REGS_H

#include "acpi_regs.h"

/* MADT, SRAT: structures of a type and a length byte follow a fixed part. */
struct acpi_entry {
	u8 type;
	u8 length;
} PACKED;

/* 5.2.12, Multiple APIC Description Table. */
#define ACPI_MADT_FIXED          44u
#define ACPI_MADT_PCAT_COMPAT    (1u << 0)
#define ACPI_MADT_ENABLED        (1u << 0)
#define ACPI_MADT_LAPIC_ID_NONE  0xffu
#define ACPI_MADT_X2APIC_ID_NONE 0xffffffffu
#define ACPI_MPS_POLARITY(flags) ((flags)&3u)
#define ACPI_MPS_TRIGGER(flags)  (((flags) >> 2) & 3u)
#define ACPI_MPS_ACTIVE_LOW      3u
#define ACPI_MPS_LEVEL           3u
#define ACPI_ISA_IRQS            16u
enum {
	ACPI_MADT_LAPIC = 0,
	ACPI_MADT_IOAPIC = 1,
	ACPI_MADT_OVERRIDE = 2,
	ACPI_MADT_LAPIC_ADDR = 5,
	ACPI_MADT_X2APIC = 9,
};

struct acpi_madt {
	struct acpi_header header;
	u32 lapic_addr;
	u32 flags;
} PACKED;
_Static_assert(sizeof(struct acpi_madt) == ACPI_MADT_FIXED, "ACPI 6.5, 5.2.12");

struct acpi_madt_lapic { /* 5.2.12.2 */
	struct acpi_entry entry;
	u8 uid;
	u8 apic_id;
	u32 flags;
} PACKED;
_Static_assert(sizeof(struct acpi_madt_lapic) == 8, "ACPI 6.5, 5.2.12.2");

struct acpi_madt_ioapic { /* 5.2.12.3 */
	struct acpi_entry entry;
	u8 id;
	u8 reserved;
	u32 addr;
	u32 gsi_base;
} PACKED;
_Static_assert(sizeof(struct acpi_madt_ioapic) == 12, "ACPI 6.5, 5.2.12.3");

struct acpi_madt_override { /* 5.2.12.5 */
	struct acpi_entry entry;
	u8 bus; /* 0: ISA */
	u8 source;
	u32 gsi;
	u16 flags;
} PACKED;
_Static_assert(sizeof(struct acpi_madt_override) == 10, "ACPI 6.5, 5.2.12.5");

struct acpi_madt_lapic_addr { /* 5.2.12.8 */
	struct acpi_entry entry;
	u16 reserved;
	u64 addr;
} PACKED;
_Static_assert(sizeof(struct acpi_madt_lapic_addr) == 12, "ACPI 6.5, 5.2.12.8");

struct acpi_madt_x2apic { /* 5.2.12.12 */
	struct acpi_entry entry;
	u16 reserved;
	u32 apic_id;
	u32 flags;
	u32 uid;
} PACKED;
_Static_assert(sizeof(struct acpi_madt_x2apic) == 16, "ACPI 6.5, 5.2.12.12");

/* PCI Firmware 3.3, 4.1.2. */
#define ACPI_MCFG_FIXED     44u
#define ACPI_MCFG_BUS_SHIFT 20u /* a bus has 1 MiB of configuration space */
struct acpi_mcfg_entry {
	u64 base; /* of bus 0, also when bus_first is another one */
	u16 segment;
	u8 bus_first;
	u8 bus_last;
	u32 reserved;
} PACKED;
_Static_assert(sizeof(struct acpi_mcfg_entry) == 16, "PCI Firmware 3.3, table 4-3");

/* 5.2.16, System Resource Affinity Table. */
#define ACPI_SRAT_FIXED   48u
#define ACPI_SRAT_ENABLED (1u << 0)
#define ACPI_SRAT_REV_DOMAIN8 \
	1u /* this revision has 8-bit proximity domains, the rest is reserved */
enum { ACPI_SRAT_LAPIC = 0, ACPI_SRAT_MEM = 1, ACPI_SRAT_X2APIC = 2 };

struct acpi_srat_lapic { /* 5.2.16.1 */
	struct acpi_entry entry;
	u8 domain_lo;
	u8 apic_id;
	u32 flags;
	u8 sapic_eid;
	u8 domain_hi[3];
	u32 clock_domain;
} PACKED;
_Static_assert(sizeof(struct acpi_srat_lapic) == 16, "ACPI 6.5, 5.2.16.1");

struct acpi_srat_memory { /* 5.2.16.2 */
	struct acpi_entry entry;
	u32 domain;
	u16 reserved1;
	u64 base;
	u64 len;
	u32 reserved2;
	u32 flags;
	u64 reserved3;
} PACKED;
_Static_assert(sizeof(struct acpi_srat_memory) == 40, "ACPI 6.5, 5.2.16.2");

struct acpi_srat_x2apic { /* 5.2.16.3 */
	struct acpi_entry entry;
	u16 reserved1;
	u32 domain;
	u32 apic_id;
	u32 flags;
	u32 clock_domain;
	u32 reserved2;
} PACKED;
_Static_assert(sizeof(struct acpi_srat_x2apic) == 24, "ACPI 6.5, 5.2.16.3");

#endif
