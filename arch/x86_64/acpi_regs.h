/* SPDX-License-Identifier: MIT */
/*
 * Layouts of the ACPI tables Tern reads, as firmware wrote them: packed, at any alignment. Parsers
 * copy a structure into one of these and look only there. MADT, SRAT and MCFG are in
 * acpi_topology_regs.h.
 * Source: ACPI specification 6.5; IA-PC HPET 1.0a (HPET).
 */
#ifndef ACPI_REGS_H
#define ACPI_REGS_H

#include <tern/types.h>

#define ACPI_SIG_LEN       4u
#define ACPI_TABLE_LEN_MAX MiB(16)      /* no table in the field comes near it */
#define ACPI_PHYS_MAX      (1ull << 52) /* widest physical address of x86 (SDM vol. 3A 4.1.4) */

#define ACPI_LAPIC_DEFAULT 0xfee00000ull /* SDM vol. 3A 11.4.1 */
#define ACPI_IO_MAX        0xffffull     /* highest I/O port */

/* 5.2.5.3, Root System Description Pointer. */
#define ACPI_RSDP_SIG     "RSD PTR "
#define ACPI_RSDP_V1_LEN  20u
#define ACPI_RSDP_LEN_MAX 4096u
struct acpi_rsdp_regs {
	char sig[8];
	u8 checksum;
	char oem_id[6];
	u8 revision; /* 0: ACPI 1.0, only 20 bytes are there */
	u32 rsdt;
	u32 length;
	u64 xsdt;
	u8 ext_checksum;
	u8 reserved[3];
} PACKED;
_Static_assert(sizeof(struct acpi_rsdp_regs) == 36, "ACPI 6.5, 5.2.5.3");
_Static_assert(offsetof(struct acpi_rsdp_regs, length) == ACPI_RSDP_V1_LEN, "ACPI 6.5, 5.2.5.3");
_Static_assert(offsetof(struct acpi_rsdp_regs, xsdt) == 24, "ACPI 6.5, 5.2.5.3");

/* 5.2.5.1, where a BIOS puts the RSDP: on a 16-byte boundary of one of two areas. */
#define ACPI_RSDP_ALIGN   16u
#define ACPI_EBDA_POINTER 0x40eu /* real-mode segment of the EBDA */
#define ACPI_EBDA_SEARCH  KiB(1)
#define ACPI_EBDA_END     0xa0000u
#define ACPI_BIOS_BASE    0xe0000u
#define ACPI_BIOS_LEN     KiB(128)

/* 5.2.6, the header of every table. */
struct acpi_header {
	char sig[ACPI_SIG_LEN];
	u32 length; /* bytes, this header included */
	u8 revision;
	u8 checksum;
	char oem_id[6];
	char oem_table_id[8];
	u32 oem_revision;
	u32 creator_id;
	u32 creator_revision;
} PACKED;
_Static_assert(sizeof(struct acpi_header) == 36, "ACPI 6.5, 5.2.6");

/* 5.2.3.2, Generic Address Structure. */
enum { ACPI_GAS_MEM = 0, ACPI_GAS_IO = 1, ACPI_GAS_PCI = 2 };
struct acpi_gas_regs {
	u8 space;
	u8 bit_width;
	u8 bit_offset;
	u8 access_size;
	u64 addr;
} PACKED;
_Static_assert(sizeof(struct acpi_gas_regs) == 12, "ACPI 6.5, 5.2.3.2");

/* 5.2.9, Fixed ACPI Description Table: 116 bytes in ACPI 1.0, longer since; what is missing is 0. */
#define ACPI_FADT_V1_LEN        116u
#define ACPI_FADT_TMR_VAL_EXT   (1u << 8)
#define ACPI_FADT_RESET_REG_SUP (1u << 10)
#define ACPI_FADT_HW_REDUCED    (1u << 20)
#define ACPI_PM_TIMER_BYTES     4u
struct acpi_fadt {
	struct acpi_header header;
	u32 facs;
	u32 dsdt;
	u8 int_model;
	u8 pm_profile;
	u16 sci_int;
	u32 smi_cmd;
	u8 acpi_enable;
	u8 acpi_disable;
	u8 s4bios_req;
	u8 pstate_cnt;
	u32 pm1a_evt;
	u32 pm1b_evt;
	u32 pm1a_cnt;
	u32 pm1b_cnt;
	u32 pm2_cnt;
	u32 pm_tmr;
	u32 gpe0;
	u32 gpe1;
	u8 pm1_evt_len;
	u8 pm1_cnt_len;
	u8 pm2_cnt_len;
	u8 pm_tmr_len;
	u8 unused[20]; /* GPE lengths, C-state latencies, RTC alarms, IAPC_BOOT_ARCH */
	u32 flags;
	struct acpi_gas_regs reset_reg;
	u8 reset_value;
	u16 arm_boot_arch;
	u8 minor;
	u64 x_facs;
	u64 x_dsdt;
	struct acpi_gas_regs x_pm1a_evt;
	struct acpi_gas_regs x_pm1b_evt;
	struct acpi_gas_regs x_pm1a_cnt;
	struct acpi_gas_regs x_pm1b_cnt;
	struct acpi_gas_regs x_pm2_cnt;
	struct acpi_gas_regs x_pm_tmr;
} PACKED;
_Static_assert(offsetof(struct acpi_fadt, smi_cmd) == 48, "ACPI 6.5, table 5.9");
_Static_assert(offsetof(struct acpi_fadt, pm_tmr) == 76, "ACPI 6.5, table 5.9");
_Static_assert(offsetof(struct acpi_fadt, flags) == 112, "ACPI 6.5, table 5.9");
_Static_assert(offsetof(struct acpi_fadt, reset_reg) == ACPI_FADT_V1_LEN, "ACPI 6.5, table 5.9");
_Static_assert(offsetof(struct acpi_fadt, x_dsdt) == 140, "ACPI 6.5, table 5.9");
_Static_assert(offsetof(struct acpi_fadt, x_pm_tmr) == 208, "ACPI 6.5, table 5.9");

/* 20.2, the AML bytes around Name (_S5, Package () { SLP_TYPa, SLP_TYPb, ... }). */
enum {
	AML_ZERO_OP = 0x00,
	AML_ONE_OP = 0x01,
	AML_NAME_OP = 0x08,
	AML_BYTE_PREFIX = 0x0a,
	AML_WORD_PREFIX = 0x0b,
	AML_DWORD_PREFIX = 0x0c,
	AML_PACKAGE_OP = 0x12,
	AML_ROOT_PREFIX = 0x5c,
};
#define AML_PKG_FOLLOW(lead) ((u32)(lead) >> 6)  /* 20.2.4: bytes after the lead byte */
#define AML_PKG_SHORT(lead)  ((u32)(lead)&0x3fu) /* the length when none follow */
#define AML_PKG_NIBBLE(lead) ((u32)(lead)&0x0fu) /* its low bits when some follow */
#define AML_PKG_NIBBLE_BITS  4u
#define ACPI_SLP_TYP_MAX     7u /* PM1 control has three bits for it (4.8.3.2.1) */

/* IA-PC HPET 1.0a, 3.2.4. */
struct acpi_hpet {
	struct acpi_header header;
	u32 block_id;
	struct acpi_gas_regs base;
	u8 number;
	u16 min_tick;
	u8 protection;
} PACKED;
_Static_assert(sizeof(struct acpi_hpet) == 56, "HPET 1.0a, 3.2.4");

#endif
