/* SPDX-License-Identifier: MIT */
/* links: arch/x86_64/acpi.c arch/x86_64/acpi_boot.c arch/x86_64/acpi_tables.c hv/lib/fmt.c hv/lib/str.c tests/fake/fake_host.c */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include <tern/acpi.h>
#include <tern/arch.h>
#include <tern/boot_info.h>
#include <arch/x86_64/acpi_regs.h>
#include <tests/fake/fake_host.h>

#define TABLES 0x7fe0000u

static struct boot_info bi;

const struct boot_info *boot_info_get(void)
{
	return &bi;
}

static void add_mem(u64 base, u64 len, u32 type)
{
	bi.mem[bi.mem_count++] = (struct boot_mem){base, len, type, 0};
}

static void fix_sum(void *p, size_t len, size_t index)
{
	u8 *b = p;
	u32 sum = 0;

	b[index] = 0;
	for (size_t i = 0; i < len; i++)
		sum += b[i];
	b[index] = (u8)(0 - sum);
}

static void *at(u64 pa)
{
	return phys_to_virt(hpa(pa));
}

/* An RSDP at rsdp, an RSDT at TABLES, and one table of len bytes at table. */
static void build(u64 rsdp, u32 table, u32 len)
{
	struct acpi_rsdp_regs *r = at(rsdp);
	struct acpi_header *rsdt = at(TABLES), *t = at(table);

	memcpy(r->sig, ACPI_RSDP_SIG, sizeof(r->sig));
	r->rsdt = TABLES;
	fix_sum(r, ACPI_RSDP_V1_LEN, offsetof(struct acpi_rsdp_regs, checksum));
	memcpy(rsdt->sig, "RSDT", ACPI_SIG_LEN);
	rsdt->length = sizeof(*rsdt) + sizeof(table);
	memcpy(rsdt + 1, &table, sizeof(table));
	fix_sum(rsdt, rsdt->length, offsetof(struct acpi_header, checksum));
	memcpy(t->sig, "TEST", ACPI_SIG_LEN);
	t->length = len;
	fix_sum(t, len, offsetof(struct acpi_header, checksum));
}

static int begin(UNUSED void **state)
{
	fake_reset();
	memset(&bi, 0, sizeof(bi));
	add_mem(0, 0x9f000, BOOT_MEM_RAM);
	add_mem(MiB(1), 0x7fd0000 - MiB(1), BOOT_MEM_RAM);
	add_mem(0x7fd0000, 0x20000, BOOT_MEM_ACPI_RECLAIM);
	add_mem(0x7ff0000, 0x10000, BOOT_MEM_ACPI_NVS);
	add_mem(0x8000000, 0x10000, BOOT_MEM_MMIO);
	return 0;
}

static void test_found_in_bios_area(UNUSED void **state)
{
	build(0xf5000, TABLES + 0x100, 100);
	acpi_init(0);
	assert_int_equal(acpi_get()->rsdp, 0xf5000);
	assert_int_equal(acpi_get()->table_count, 2);
	assert_int_equal(acpi_get()->tables_bad, 0);
	assert_string_equal(fake_log(), "");
}

/* iPXE on BIOS: the map says nothing about the memory that holds the tables. */
static void test_map_of_ram_alone(UNUSED void **state)
{
	memset(&bi, 0, sizeof(bi));
	add_mem(0, 0x9f000, BOOT_MEM_RAM);
	add_mem(MiB(1), TABLES - MiB(1), BOOT_MEM_RAM);
	build(0xf5000, TABLES + 0x100, 100);
	acpi_init(0);
	assert_int_equal(acpi_get()->table_count, 2);
	assert_int_equal(acpi_get()->tables_bad, 0);
	/* Once any firmware memory is listed, only what is listed counts. */
	add_mem(0x8000000, 0x10000, BOOT_MEM_RESERVED);
	acpi_init(0);
	assert_int_equal(acpi_get()->tables_bad, 1);
}

static void test_none(UNUSED void **state)
{
	acpi_init(0);
	assert_int_equal(acpi_get()->rsdp, 0);
	assert_int_equal(acpi_get()->node_count, 1);
	assert_non_null(strstr(fake_log(), "ACPI: no RSDP found"));
}

static void test_across_two_kinds_of_memory(UNUSED void **state)
{
	build(0xf5000, 0x7feff00, 0x200);
	acpi_init(0xf5000);
	assert_int_equal(acpi_get()->tables_bad, 0);
}

static void test_past_the_end_of_memory(UNUSED void **state)
{
	static const struct {
		u32 table, len;
	} cases[] = {
		{0x7ffff00, 0x200}, /* runs into device registers */
		{0x8000000, 0x40},  /* device registers */
		{0x9000000, 0x40},  /* nothing */
		{0xfff00, 0x200},   /* BIOS area into RAM: no table does that */
		{0x9f000, 0x62000},
	};

	for (u32 i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		begin(NULL);
		build(0xf5000, cases[i].table, cases[i].len);
		acpi_init(0xf5000);
		assert_int_equal(acpi_get()->tables_bad, 1);
		assert_string_equal(acpi_get()->tables[1].why, "past the end of memory");
		assert_non_null(strstr(fake_log(), "past the end of memory"));
	}
}

#define T(f) cmocka_unit_test_setup(f, begin)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_found_in_bios_area),         T(test_map_of_ram_alone),       T(test_none),
		T(test_across_two_kinds_of_memory), T(test_past_the_end_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
