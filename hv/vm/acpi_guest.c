/* SPDX-License-Identifier: MIT */
/*
 * The ACPI tables of a VM (ACPI 6.5, chapter 5): RSDP, XSDT, FADT, FACS, MADT, and the DSDT that iasl made of
 * hv/vm/dsdt.asl. They are the same for all VMs but for the number of processors.
 */
#include "acpi_guest.h"

#include "layout_guest.h"
#include "loader.h"
#include "vacpi_regs.h"

#include <tern/err.h>
#include <tern/lib.h>
#include <tern/platform.h>
#include <tern/vm.h>

/* Only what is fixed comes in front of the DSDT. */
#define XSDT (GUEST_ACPI + 0x040)
#define FACS (GUEST_ACPI + 0x080)
#define FADT (GUEST_ACPI + 0x0c0)
#define MADT (GUEST_ACPI + 0x200)
#define DSDT (GUEST_ACPI + 0x800)

#define OEM_ID   "TERN  "
#define OEM_NAME "TERNVM  "

struct madt {
	struct vacpi_header header;
	u32 lapic_base, flags;
	struct vacpi_ioapic ioapic;
	struct vacpi_override pit, sci;
	struct vacpi_lapic_nmi nmi;
	struct vacpi_lapic lapics[VCPUS_PER_VM_MAX];
} PACKED;

_Static_assert(sizeof(struct vacpi_rsdp) <= XSDT - GUEST_ACPI, "they overlap");
_Static_assert(sizeof(struct vacpi_xsdt) <= FACS - XSDT, "they overlap");
_Static_assert(FACS % VACPI_FACS_ALIGN == 0, "ACPI 6.5, 5.2.10");
_Static_assert(sizeof(struct vacpi_facs) <= FADT - FACS, "they overlap");
_Static_assert(sizeof(struct vacpi_fadt) <= MADT - FADT, "they overlap");
_Static_assert(sizeof(struct madt) <= DSDT - MADT, "they overlap");

/* What a checksum field that is still 0 must hold for all bytes to add up to 0. */
static u8 checksum(const void *data, size_t len)
{
	const u8 *p = data;
	u8 sum = 0;

	for (size_t i = 0; i < len; i++)
		sum = (u8)(sum + p[i]);
	return (u8)-sum;
}

static struct vacpi_header header(const char *sig, u32 length, u8 revision)
{
	struct vacpi_header h = {
		.length = length, .revision = revision, .oem_revision = 1, .creator_revision = 1};

	memcpy(h.sig, sig, sizeof(h.sig));
	memcpy(h.oem_id, OEM_ID, sizeof(h.oem_id));
	memcpy(h.oem_table_id, OEM_NAME, sizeof(h.oem_table_id));
	memcpy(h.creator_id, OEM_ID, sizeof(h.creator_id));
	return h;
}

/* Completes a table and writes it. */
static int load_table(const struct loader *l, u64 at, struct vacpi_header *table)
{
	table->checksum = checksum(table, table->length);
	return loader_copy(l, at, table, table->length);
}

static int load_rsdp(const struct loader *l)
{
	struct vacpi_rsdp rsdp = {
		.revision = VACPI_RSDP_REVISION,
		.length = sizeof(rsdp),
		.xsdt = XSDT,
	};

	memcpy(rsdp.sig, "RSD PTR ", sizeof(rsdp.sig));
	memcpy(rsdp.oem_id, OEM_ID, sizeof(rsdp.oem_id));
	rsdp.checksum = checksum(&rsdp, VACPI_RSDP_V1_LEN);
	rsdp.ext_checksum = checksum(&rsdp, sizeof(rsdp));
	return loader_copy(l, GUEST_ACPI, &rsdp, sizeof(rsdp));
}

static int load_xsdt(const struct loader *l)
{
	struct vacpi_xsdt xsdt = {
		.header = header("XSDT", sizeof(xsdt), VACPI_XSDT_REVISION),
		.tables = {FADT, MADT},
	};

	return load_table(l, XSDT, &xsdt.header);
}

/* Nobody sleeps and nobody shares the global lock, but hardware that is not reduced must have one. */
static int load_facs(const struct loader *l)
{
	struct vacpi_facs facs = {.length = sizeof(facs), .version = VACPI_FACS_VERSION};

	memcpy(facs.sig, "FACS", sizeof(facs.sig));
	return loader_copy(l, FACS, &facs, sizeof(facs));
}

static struct vacpi_gas port(u32 addr, u8 bytes, u8 access)
{
	return (struct vacpi_gas){.space = VACPI_GAS_IO,
				  .bit_width = (u8)(8 * bytes),
				  .access_size = access,
				  .addr = addr};
}

/* smi_cmd is 0: ACPI is always on. */
static int load_fadt(const struct loader *l)
{
	const u32 cnt = PM_BASE + VACPI_PM1_CNT_AT, tmr = PM_BASE + VACPI_PM_TMR_AT;
	struct vacpi_fadt fadt = {
		.header = header("FACP", sizeof(fadt), VACPI_FADT_REVISION),
		.facs = FACS,
		.dsdt = DSDT,
		.x_dsdt = DSDT,
		.sci_int = IRQ_SCI,
		.pm1a_evt = PM_BASE,
		.pm1a_cnt = cnt,
		.pm_tmr = tmr,
		.pm1_evt_len = VACPI_PM1_EVT_LEN,
		.pm1_cnt_len = VACPI_PM1_CNT_LEN,
		.pm_tmr_len = VACPI_PM_TMR_LEN,
		.x_pm1a_evt = port(PM_BASE, VACPI_PM1_EVT_LEN, VACPI_ACCESS_16),
		.x_pm1a_cnt = port(cnt, VACPI_PM1_CNT_LEN, VACPI_ACCESS_16),
		.x_pm_tmr = port(tmr, VACPI_PM_TMR_LEN, VACPI_ACCESS_32),
		.p_lvl2_lat = VACPI_NO_C2,
		.p_lvl3_lat = VACPI_NO_C3,
		.century = VACPI_CENTURY,
		.iapc_boot_arch = VACPI_LEGACY_DEVICES | VACPI_NO_VGA,
		.flags = VACPI_WBINVD | VACPI_PROC_C1 | VACPI_NO_SLEEP_BUTTON | VACPI_NO_RTC_WAKE |
			 VACPI_TMR_VAL_EXT | VACPI_RESET_REG_SUP,
		.reset_reg = port(RESET_PORT, sizeof(u8), VACPI_ACCESS_8),
		.reset_value = VACPI_RESET_VALUE,
		.minor = VACPI_FADT_MINOR,
	};

	memcpy(fadt.hypervisor, "TERN", sizeof("TERN") - 1);
	return load_table(l, FADT, &fadt.header);
}

static int load_madt(const struct loader *l, u32 vcpus)
{
	const u32 length =
		(u32)(offsetof(struct madt, lapics) + vcpus * sizeof(struct vacpi_lapic));
	struct madt m = {
		.header = header("APIC", length, VACPI_MADT_REVISION),
		.lapic_base = VACPI_LAPIC_BASE,
		.flags = VACPI_PCAT_COMPAT,
		.ioapic = {VACPI_IOAPIC, sizeof(m.ioapic), IOAPIC_ID, 0, (u32)IOAPIC_BASE, 0},
		/* Line 0 of the ISA bus is pin 2, as on the boards of old (platform_irq()). */
		.pit = {VACPI_OVERRIDE, sizeof(m.pit), 0, IRQ_PIT, 2, 0},
		.sci = {VACPI_OVERRIDE, sizeof(m.sci), 0, IRQ_SCI, IRQ_SCI, VACPI_SCI_FLAGS},
		.nmi = {VACPI_LAPIC_NMI, sizeof(m.nmi), VACPI_ALL_PROCESSORS, 0, VACPI_LINT1},
	};

	for (u32 i = 0; i < vcpus; i++)
		m.lapics[i] = (struct vacpi_lapic){VACPI_LAPIC, sizeof(m.lapics[0]), (u8)i, (u8)i,
						   VACPI_LAPIC_ENABLED};
	return load_table(l, MADT, &m.header);
}

int acpi_guest_load(struct gmem *mem, u32 vcpus, char *why, size_t why_size)
{
	const struct loader l = {.mem = mem, .why = why, .why_size = why_size};
	int rc;

	ASSERT(vcpus >= 1 && vcpus <= VCPUS_PER_VM_MAX);
	ASSERT(dsdt_aml_len <= GUEST_ACPI + GUEST_ACPI_LEN - DSDT);
	rc = load_rsdp(&l);
	if (rc == 0)
		rc = load_xsdt(&l);
	if (rc == 0)
		rc = load_facs(&l);
	if (rc == 0)
		rc = load_fadt(&l);
	if (rc == 0)
		rc = load_madt(&l, vcpus);
	if (rc == 0)
		rc = loader_copy(&l, DSDT, dsdt_aml, dsdt_aml_len);
	return rc;
}
