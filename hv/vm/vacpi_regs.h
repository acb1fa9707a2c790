/* SPDX-License-Identifier: MIT */
/* Layouts of the ACPI tables that a guest is shown (ACPI 6.5, chapter 5), packed as the guest reads them. */
#ifndef HV_VM_VACPI_REGS_H
#define HV_VM_VACPI_REGS_H

#include <tern/types.h>

/* 5.2.5.3, Root System Description Pointer. */
#define VACPI_RSDP_REVISION 2u
#define VACPI_RSDP_V1_LEN   20u /* what the first checksum covers */
struct vacpi_rsdp {
	char sig[8];
	u8 checksum;
	char oem_id[6];
	u8 revision;
	u32 rsdt, length;
	u64 xsdt;
	u8 ext_checksum;
	u8 reserved[3];
} PACKED;
_Static_assert(sizeof(struct vacpi_rsdp) == 36, "ACPI 6.5, 5.2.5.3");

/* 5.2.6, the header of every table. */
struct vacpi_header {
	char sig[4];
	u32 length;
	u8 revision, checksum;
	char oem_id[6];
	char oem_table_id[8];
	u32 oem_revision;
	char creator_id[4];
	u32 creator_revision;
} PACKED;
_Static_assert(sizeof(struct vacpi_header) == 36, "ACPI 6.5, 5.2.6");

/* 5.2.8. */
#define VACPI_XSDT_REVISION 1u
struct vacpi_xsdt {
	struct vacpi_header header;
	u64 tables[2];
} PACKED;

/* 5.2.3.2, Generic Address Structure. */
enum { VACPI_GAS_IO = 1 };
enum { VACPI_ACCESS_8 = 1, VACPI_ACCESS_16 = 2, VACPI_ACCESS_32 = 3 };
struct vacpi_gas {
	u8 space, bit_width, bit_offset, access_size;
	u64 addr;
} PACKED;
_Static_assert(sizeof(struct vacpi_gas) == 12, "ACPI 6.5, 5.2.3.2");

/* 5.2.9, Fixed ACPI Description Table. */
#define VACPI_FADT_REVISION   6u
#define VACPI_FADT_MINOR      5u
#define VACPI_PM1_EVT_LEN     4u
#define VACPI_PM1_CNT_LEN     2u
#define VACPI_PM_TMR_LEN      4u
#define VACPI_PM1_CNT_AT      4u /* from the begin of our PM registers, include/tern/platform.h */
#define VACPI_PM_TMR_AT       8u
#define VACPI_NO_C2           101u  /* a latency above 100 us: there is no C2 */
#define VACPI_NO_C3           1001u /* above 1000 us: no C3 */
#define VACPI_CENTURY         0x32u /* the RTC register that holds it */
#define VACPI_RESET_VALUE     6u
#define VACPI_LEGACY_DEVICES  (1u << 0) /* iapc_boot_arch; bit 1, an 8042, and 5, no RTC, stay 0 */
#define VACPI_NO_VGA          (1u << 2)
#define VACPI_WBINVD          (1u << 0) /* flags; bit 4 stays 0: a fixed power button */
#define VACPI_PROC_C1         (1u << 2)
#define VACPI_NO_SLEEP_BUTTON (1u << 5)
#define VACPI_NO_RTC_WAKE     (1u << 6)
#define VACPI_TMR_VAL_EXT     (1u << 8) /* the PM timer has 32 bits */
#define VACPI_RESET_REG_SUP   (1u << 10)
struct vacpi_fadt {
	struct vacpi_header header;
	u32 facs, dsdt;
	u8 reserved, pm_profile;
	u16 sci_int;
	u32 smi_cmd;
	u8 acpi_enable, acpi_disable, s4bios_req, pstate_cnt;
	u32 pm1a_evt, pm1b_evt, pm1a_cnt, pm1b_cnt, pm2_cnt, pm_tmr, gpe0, gpe1;
	u8 pm1_evt_len, pm1_cnt_len, pm2_cnt_len, pm_tmr_len, gpe0_len, gpe1_len, gpe1_base,
		cst_cnt;
	u16 p_lvl2_lat, p_lvl3_lat, flush_size, flush_stride;
	u8 duty_offset, duty_width, day_alrm, mon_alrm, century;
	u16 iapc_boot_arch;
	u8 reserved2;
	u32 flags;
	struct vacpi_gas reset_reg;
	u8 reset_value;
	u16 arm_boot_arch;
	u8 minor;
	u64 x_facs, x_dsdt;
	struct vacpi_gas x_pm1a_evt, x_pm1b_evt, x_pm1a_cnt, x_pm1b_cnt, x_pm2_cnt, x_pm_tmr,
		x_gpe0, x_gpe1, sleep_control, sleep_status;
	char hypervisor[8];
} PACKED;
_Static_assert(offsetof(struct vacpi_fadt, pm1_evt_len) == 88, "ACPI 6.5, table 5.9");
_Static_assert(offsetof(struct vacpi_fadt, flags) == 112, "ACPI 6.5, table 5.9");
_Static_assert(offsetof(struct vacpi_fadt, x_dsdt) == 140, "ACPI 6.5, table 5.9");
_Static_assert(offsetof(struct vacpi_fadt, hypervisor) == 268, "ACPI 6.5, table 5.9");
_Static_assert(sizeof(struct vacpi_fadt) == 276, "ACPI 6.5, table 5.9");

/* 5.2.10, Firmware ACPI Control Structure. */
#define VACPI_FACS_ALIGN   64u
#define VACPI_FACS_VERSION 2u
struct vacpi_facs {
	char sig[4];
	u32 length, hardware_signature, waking_vector, global_lock, flags;
	u64 x_waking_vector;
	u8 version;
	u8 reserved[31];
} PACKED;
_Static_assert(sizeof(struct vacpi_facs) == 64, "ACPI 6.5, 5.2.10");

/* 5.2.12, Multiple APIC Description Table. */
#define VACPI_MADT_REVISION  5u
#define VACPI_LAPIC_BASE     0xfee00000u /* SDM vol. 3A 11.4.1 */
#define VACPI_PCAT_COMPAT    (1u << 0)   /* there is an 8259 pair */
#define VACPI_LAPIC_ENABLED  (1u << 0)
#define VACPI_ALL_PROCESSORS 0xffu
#define VACPI_LINT1          1u
#define VACPI_SCI_FLAGS      0xdu /* MPS INTI: active high, level-triggered */
enum { VACPI_LAPIC = 0, VACPI_IOAPIC = 1, VACPI_OVERRIDE = 2, VACPI_LAPIC_NMI = 4 };
struct vacpi_lapic { /* 5.2.12.2 */
	u8 type, length, uid, apic_id;
	u32 flags;
} PACKED;
_Static_assert(sizeof(struct vacpi_lapic) == 8, "ACPI 6.5, 5.2.12.2");
struct vacpi_ioapic { /* 5.2.12.3 */
	u8 type, length, id, reserved;
	u32 addr, gsi_base;
} PACKED;
_Static_assert(sizeof(struct vacpi_ioapic) == 12, "ACPI 6.5, 5.2.12.3");
struct vacpi_override { /* 5.2.12.5 */
	u8 type, length, bus, irq;
	u32 gsi;
	u16 flags;
} PACKED;
_Static_assert(sizeof(struct vacpi_override) == 10, "ACPI 6.5, 5.2.12.5");
struct vacpi_lapic_nmi { /* 5.2.12.7 */
	u8 type, length, uid;
	u16 flags;
	u8 lint;
} PACKED;
_Static_assert(sizeof(struct vacpi_lapic_nmi) == 6, "ACPI 6.5, 5.2.12.7");

#endif
