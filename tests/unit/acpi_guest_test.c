/* SPDX-License-Identifier: MIT */
/* links: hv/vm/acpi_guest.c hv/vm/loader.c $(B)/obj/dsdt.c arch/x86_64/acpi.c arch/x86_64/acpi_tables.c hv/mem/gmem.c hv/mem/gmem_access.c hv/mem/gmem_grant.c hv/mem/gmem_policy.c hv/mem/scrub.c arch/x86_64/npt.c arch/x86_64/vmx/ept.c hv/lock.c hv/lib/str.c hv/lib/fmt.c tests/fake/acpi_image.c tests/fake/fake_frames.c tests/fake/fake_host.c */
/* The ACPI tables of a VM, as Tern's own parser and as ACPICA's compiler read them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include <arch/x86_64/vmx/ept.h>
#include <hv/vm/acpi_guest.h>
#include <hv/vm/layout_guest.h>
#include <hv/vm/vacpi_regs.h>
#include <tern/acpi.h>
#include <tern/err.h>
#include <tern/vm.h>
#include <tests/fake/acpi_image.h>
#include <tests/fake/fake_frames.h>
#include <tests/fake/fake_host.h>

static struct gmem mem;
static u8 rom[GUEST_ROM_LEN];
static struct acpi_image img = {.base = GUEST_ACPI, .bytes = rom, .len = sizeof(rom)};
static struct acpi_info info;
static char why[160];

static void flush(void *owner)
{
	(void)owner;
}

static int setup(void **state)
{
	(void)state;
	fake_reset();
	fake_frames_reset(256);
	assert_int_equal(gmem_create(&mem, &ept_format, flush, NULL), 0);
	assert_int_equal(gmem_add(&mem, gpa(0), GUEST_LOW_END, GMEM_RAM), 0);
	assert_int_equal(gmem_add(&mem, gpa(GUEST_ROM), GUEST_ROM_LEN, GMEM_ROM), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	acpi_image_free(&img);
	return 0;
}

static void warn(const char *text, UNUSED void *arg)
{
	fail_msg("%s", text);
}

static void load(u32 vcpus)
{
	setup(NULL);
	assert_int_equal(acpi_guest_load(&mem, vcpus, why, sizeof(why)), 0);
	assert_int_equal(gmem_read(&mem, gpa(GUEST_ACPI), rom, sizeof(rom)), 0);
	acpi_parse(GUEST_ACPI, acpi_image_map, &img, warn, &info);
}

static void test_parsed(void **state)
{
	(void)state;
	load(2);
	assert_int_equal(acpi_find_rsdp(acpi_image_map, &img), GUEST_ACPI);
	assert_int_equal(info.revision, 2);
	assert_int_equal(info.table_count, 4); /* XSDT, FADT, MADT, DSDT */
	assert_int_equal(info.tables_bad, 0);
	assert_true(info.madt && info.has_8259 && info.fadt);
	assert_int_equal(info.lapic_base, 0xfee00000);
	assert_int_equal(info.ioapic_count, 1);
	assert_int_equal(info.ioapics[0].base, 0xfec00000);
	assert_int_equal(info.ioapics[0].id, 0);
	assert_int_equal(info.ioapics[0].gsi_base, 0);
	assert_int_equal(info.override_count, 2);
	assert_int_equal(info.overrides[0].irq, 0);
	assert_int_equal(info.overrides[0].gsi, 2);
	assert_false(info.overrides[0].level || info.overrides[0].active_low);
	assert_int_equal(info.overrides[1].irq, 9);
	assert_int_equal(info.overrides[1].gsi, 9);
	assert_true(info.overrides[1].level && !info.overrides[1].active_low);
	assert_int_equal(info.pm1a_cnt, 0x604);
	assert_int_equal(info.pm1b_cnt, 0);
	assert_int_equal(info.pm_timer_port, 0x608);
	assert_true(info.pm_timer_32bit);
	assert_int_equal(info.smi_cmd, 0);
	assert_int_equal(info.reset_reg.space, ACPI_SPACE_IO);
	assert_int_equal(info.reset_reg.addr, 0xcf9);
	assert_int_equal(info.reset_reg.width, 8);
	assert_int_equal(info.reset_value, 6);
	assert_true(info.s5);
	assert_int_equal(info.s5_type_a, 5);
	/* One page is enough. */
	assert_int_equal(mem.backed, PAGE_SIZE);
	assert_int_equal(mem.backed_rom, PAGE_SIZE);
}

static void test_cpus(void **state)
{
	static const u32 counts[] = {1, 3, VCPUS_PER_VM_MAX};

	(void)state;
	for (u32 k = 0; k < ARRAY_SIZE(counts); k++) {
		load(counts[k]);
		assert_int_equal(info.cpu_count, counts[k]);
		for (u32 i = 0; i < counts[k]; i++) {
			assert_int_equal(info.cpus[i].apic_id, i);
			assert_int_equal(info.cpus[i].uid, i);
			assert_true(info.cpus[i].usable);
		}
	}
}

static void test_fields(void **state)
{
	struct vacpi_rsdp rsdp;
	struct vacpi_xsdt xsdt;
	struct vacpi_fadt fadt;

	(void)state;
	load(1);
	memcpy(&rsdp, rom, sizeof(rsdp));
	assert_true(acpi_checksum_ok(rom, 20));
	assert_true(acpi_checksum_ok(rom, 36));
	memcpy(&xsdt, rom + rsdp.xsdt - GUEST_ACPI, sizeof(xsdt));
	memcpy(&fadt, rom + xsdt.tables[0] - GUEST_ACPI, sizeof(fadt));
	assert_int_equal(fadt.pm1a_evt, 0x600);
	assert_int_equal(fadt.sci_int, 9);
	/* A fixed power button (bit 4 clear), no fixed sleep button, no 8042, no VGA, an RTC. */
	assert_int_equal(fadt.flags & 0x00100430, 0x420);
	assert_int_equal(fadt.iapc_boot_arch, 5);
	assert_int_equal(fadt.century, 0x32);
	assert_int_equal(fadt.facs % 64, 0);
	assert_memory_equal(rom + fadt.facs - GUEST_ACPI, "FACS\100\0\0\0", 8);
	assert_int_equal(fadt.dsdt, fadt.x_dsdt);
	assert_memory_equal(rom + fadt.dsdt - GUEST_ACPI, dsdt_aml, dsdt_aml_len);
	assert_true(acpi_checksum_ok(dsdt_aml, dsdt_aml_len));
}

static void save(const char *folder, u64 at)
{
	struct vacpi_header h;
	char path[128];
	FILE *f;

	memcpy(&h, rom + at - GUEST_ACPI, sizeof(h));
	snprintf(path, sizeof(path), "%s/%.4s.dat", folder, h.sig);
	f = fopen(path, "wb");
	assert_non_null(f);
	assert_int_equal(fwrite(rom + at - GUEST_ACPI, h.length, 1, f), 1);
	fclose(f);
}

/* ACPICA reads every table without a complaint, and what it reads compiles again without one. */
static void test_acpica(void **state)
{
	char folder[] = "/tmp/tern-acpi-XXXXXX", command[512];
	struct vacpi_rsdp rsdp;
	struct vacpi_xsdt xsdt;
	struct vacpi_fadt fadt;
	int rc;

	(void)state;
	load(4);
	assert_non_null(mkdtemp(folder));
	memcpy(&rsdp, rom, sizeof(rsdp));
	memcpy(&xsdt, rom + rsdp.xsdt - GUEST_ACPI, sizeof(xsdt));
	memcpy(&fadt, rom + xsdt.tables[0] - GUEST_ACPI, sizeof(fadt));
	save(folder, rsdp.xsdt);
	save(folder, xsdt.tables[0]);
	save(folder, xsdt.tables[1]);
	save(folder, fadt.facs);
	save(folder, fadt.dsdt);
	snprintf(
		command, sizeof(command),
		"cd %s && for t in XSDT FACP APIC FACS DSDT; do"
		" iasl -d $t.dat >$t.log 2>&1 && iasl -vs -we $t.dsl >>$t.log 2>&1 &&"
		" ! grep -iE 'invalid|incorrect|unknown|[*]{4}|(error|warning)( |:)' $t.log $t.dsl ||"
		" { cat $t.log; exit 1; }; done",
		folder);
	rc = system(command);
	snprintf(command, sizeof(command), "rm -r %s", folder);
	assert_int_equal(system(command), 0);
	assert_int_equal(rc, 0);
}

static void test_no_room(void **state)
{
	(void)state;
	fake_frames_left = 0;
	assert_int_equal(acpi_guest_load(&mem, 1, why, sizeof(why)), -TERN_ENOMEM);
	assert_non_null(strstr(why, "the node has no memory left"));
	fake_frames_reset(256);
	assert_int_equal(gmem_create(&mem, &ept_format, flush, NULL), 0);
	assert_int_equal(acpi_guest_load(&mem, 1, why, sizeof(why)), -TERN_EINVAL);
	assert_string_equal(why, "36 bytes at guest address 0xe0000 cannot be written: the guest "
				 "has no memory there");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_parsed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cpus, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fields, setup, teardown),
		cmocka_unit_test_setup_teardown(test_acpica, setup, teardown),
		cmocka_unit_test_setup(test_no_room, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
