/* SPDX-License-Identifier: MIT */
/* links: arch/x86_64/acpi.c arch/x86_64/acpi_tables.c hv/lib/fmt.c hv/lib/str.c tests/fake/acpi_image.c */
#include <tests/fake/acpi_build.h>

/* --- root tables --- */

static void test_none(UNUSED void **state)
{
	acpi_parse(0, acpi_image_map, &img, warn, &info);
	assert_int_equal(info.rsdp, 0);
	assert_int_equal(info.node_count, 1);
	assert_true(info.has_8259);
	assert_int_equal(info.lapic_base, 0xfee00000);
	assert_string_equal(warnings, "");
}

static void test_rsdp_bad(UNUSED void **state)
{
	struct body b = simple_madt();

	add("APIC", 3, b.data, b.len);
	finish(0);
	bytes[9] ^= 1;
	parse();
	assert_warned("RSDP at 0xe0000: wrong checksum. Firmware bug: update the firmware");
	assert_int_equal(info.rsdp, 0);
	assert_int_equal(info.table_count, 0);
	bytes[0] = 'r';
	parse();
	assert_warned("no RSDP signature");
	acpi_parse(0xfffffff0, acpi_image_map, &img, warn, &info);
	assert_warned("RSDP at 0xfffffff0: past the end of memory");
	acpi_parse(~0ull - 3, acpi_image_map, &img, warn, &info);
	assert_int_equal(info.rsdp, 0);
}

static void test_rsdt_of_acpi_1(UNUSED void **state)
{
	struct body b = simple_madt();

	add("APIC", 1, b.data, b.len);
	finish(0);
	parse();
	assert_string_equal(warnings, "");
	assert_int_equal(info.rsdp, BASE);
	assert_int_equal(info.revision, 0);
	assert_int_equal(info.table_count, 2);
	assert_true(table_of("RSDT")->ok);
	assert_true(info.madt);
	assert_int_equal(info.cpu_count, 2);
}

static void test_xsdt_preferred(UNUSED void **state)
{
	struct body b = simple_madt();

	add("APIC", 1, b.data, b.len);
	finish(2);
	rsdp()->rsdt = 0xdead0000;
	sum_rsdp();
	parse();
	assert_string_equal(warnings, "");
	assert_true(table_of("XSDT")->ok);
	assert_int_equal(info.cpu_count, 2);
}

static void test_xsdt_bad_uses_rsdt(UNUSED void **state)
{
	struct body b = simple_madt();

	add("APIC", 1, b.data, b.len);
	finish(2);
	bytes[rsdp()->xsdt - BASE + 40] ^= 1;
	parse();
	assert_warned("ACPI table XSDT at 0x");
	assert_warned("wrong checksum");
	assert_false(table_of("XSDT")->ok);
	assert_int_equal(info.tables_bad, 1);
	assert_int_equal(info.cpu_count, 2);
}

static void test_rsdp_extended_part_bad_uses_rsdt(UNUSED void **state)
{
	struct body b = simple_madt();

	add("APIC", 1, b.data, b.len);
	finish(2);
	rsdp()->reserved[0] ^= 1;
	parse();
	assert_warned("wrong extended checksum");
	assert_int_equal(info.cpu_count, 2);
	assert_int_equal(info.table_count, 2);
	rsdp()->length = 20;
	parse();
	assert_warned("wrong extended length");
	rsdp()->length = 0xffffffff;
	parse();
	assert_warned("wrong extended length");
	assert_int_equal(info.cpu_count, 2);
}

static void test_no_root(UNUSED void **state)
{
	finish(2);
	rsdp()->rsdt = 0;
	rsdp()->xsdt = 1ull << 60;
	sum_rsdp();
	parse();
	assert_warned("ACPI table XSDT at 0x1000000000000000, length 0: past the end of memory");
	assert_warned("neither XSDT nor RSDT");
}

static void test_find_rsdp(UNUSED void **state)
{
	struct acpi_image low = {.base = 0, .bytes = NULL, .len = MiB(1)};
	u8 *mem = calloc(1, MiB(1));
	struct acpi_rsdp_regs *r;

	assert_non_null(mem);
	low.bytes = mem;
	assert_int_equal(acpi_find_rsdp(acpi_image_map, &low), 0);
	r = (void *)(mem + 0xfffe0);
	memcpy(r->sig, ACPI_RSDP_SIG, 8);
	assert_int_equal(acpi_find_rsdp(acpi_image_map, &low), 0); /* a stale one: no checksum */
	fix_sum((u8 *)r, ACPI_RSDP_V1_LEN, 8);
	assert_int_equal(acpi_find_rsdp(acpi_image_map, &low), 0xfffe0);
	memcpy(mem + 0x9fc10, r, ACPI_RSDP_V1_LEN);
	mem[ACPI_EBDA_POINTER] = 0xc0;
	mem[ACPI_EBDA_POINTER + 1] = 0x9f;
	assert_int_equal(acpi_find_rsdp(acpi_image_map, &low), 0x9fc10);
	mem[ACPI_EBDA_POINTER + 1] = 0xff; /* an EBDA that cannot be */
	assert_int_equal(acpi_find_rsdp(acpi_image_map, &low), 0xfffe0);
	acpi_image_free(&low);
	free(mem);
}

static void test_table_bad(UNUSED void **state)
{
	struct body b = simple_madt();
	struct acpi_header *h = add("APIC", 1, b.data, b.len);
	static const struct {
		u32 length;
		const char *why;
	} cases[] = {
		{0, "length shorter than the header"}, {35, "length shorter than the header"},
		{IMAGE_LEN, "past the end of memory"}, {0x1000000, "past the end of memory"},
		{0x1000001, "length above 16 MiB"},    {0xffffffff, "length above 16 MiB"},
		{sizeof(*h) + 1, "wrong checksum"},
	};

	list((const u8 *)h + 7); /* garbage: unprintable signature */
	finish(2);
	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		h->length = cases[i].length;
		parse();
		assert_string_equal(table_of("APIC")->why, cases[i].why);
		assert_int_equal(table_of("APIC")->len, cases[i].length);
		assert_false(table_of("APIC")->ok);
		assert_int_equal(info.tables_bad, 2);
		assert_warned("ACPI table APIC at 0xe0040");
		assert_warned(
			"Firmware bug: update the firmware; Tern goes on without the list of CPUs"
			" and I/O APICs");
		assert_false(info.madt);
		assert_int_equal(info.cpu_count, 0);
	}
}

static void test_listed_twice(UNUSED void **state)
{
	struct body b = simple_madt();
	void *t = add("APIC", 1, b.data, b.len);

	list(t);
	listed[listed_count++] = 0;
	finish(2);
	parse();
	assert_string_equal(warnings, "");
	assert_int_equal(info.table_count, 2);
	assert_int_equal(info.cpu_count, 2);
}

static void test_two_of_one_name(UNUSED void **state)
{
	struct body b = simple_madt(), empty = madt_body(0, 0);

	add("APIC", 1, b.data, b.len);
	add("APIC", 1, empty.data, empty.len);
	finish(2);
	parse();
	assert_warned("Tern uses the first");
	assert_int_equal(info.cpu_count, 2);
}

static void test_too_many_tables(UNUSED void **state)
{
	struct body b = simple_madt();

	add("APIC", 1, b.data, b.len);
	for (u32 i = 0; i < ACPI_TABLES_MAX + 5; i++)
		add("SSDT", 1, NULL, 0);
	finish(2);
	parse();
	assert_warned("more than 128 tables");
	assert_int_equal(info.table_count, ACPI_TABLES_MAX);
	assert_int_equal(info.cpu_count, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_none),
		T(test_rsdp_bad),
		T(test_rsdt_of_acpi_1),
		T(test_xsdt_preferred),
		T(test_xsdt_bad_uses_rsdt),
		T(test_rsdp_extended_part_bad_uses_rsdt),
		T(test_no_root),
		T(test_find_rsdp),
		T(test_table_bad),
		T(test_listed_twice),
		T(test_two_of_one_name),
		T(test_too_many_tables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
