/* SPDX-License-Identifier: MIT */
/* links: arch/x86_64/acpi.c arch/x86_64/acpi_tables.c hv/lib/fmt.c hv/lib/str.c tests/fake/acpi_image.c */
#include <tests/fake/acpi_build.h>

/* --- MADT --- */

static void test_madt(UNUSED void **state)
{
	struct body b = madt_body(0xfee00000, 0);

	put_lapic(&b, 3, 0, 1);
	put_lapic(&b, 4, 2, 0);
	put_lapic(&b, 5, 4, 2);
	put_lapic(&b, 6, 0xff, 0);
	put(&b, (const u8[]){4, 6, 0xff, 0, 0, 1}, 6); /* LAPIC NMI */
	put_x2apic(&b, 7, 300, 1);
	put_x2apic(&b, 8, 0, 1); /* APIC ID 0 again */
	put_ioapic(&b, 9, 0xfec00000, 0);
	put_ioapic(&b, 10, 0, 24);
	put_override(&b, 0, 0, 2, 0);
	put_override(&b, 0, 9, 9, 0xf);
	put_override(&b, 1, 9, 9, 0xf);
	put_override(&b, 0, 16, 9, 0xf);
	put(&b, &(struct acpi_madt_lapic_addr){{5, 12}, 0, 0xffe00000}, 12);
	add("APIC", 5, b.data, b.len);
	finish(2);
	parse();
	assert_false(info.has_8259);
	assert_int_equal(info.lapic_base, 0xffe00000);
	assert_int_equal(info.cpu_count, 4);
	assert_int_equal(info.cpus[0].uid, 3);
	assert_true(info.cpus[0].usable);
	assert_false(info.cpus[1].usable);
	assert_false(info.cpus[2].usable);
	assert_int_equal(info.cpus[3].apic_id, 300);
	assert_int_equal(info.ioapic_count, 1);
	assert_int_equal(info.ioapics[0].base, 0xfec00000);
	assert_int_equal(info.ioapics[0].id, 9);
	assert_warned("I/O APIC 10 at 0 is not used: no address");
	assert_int_equal(info.override_count, 2);
	assert_int_equal(info.overrides[0].gsi, 2);
	assert_false(info.overrides[0].active_low || info.overrides[0].level);
	assert_true(info.overrides[1].active_low && info.overrides[1].level);
	assert_warned("override of bus 1 IRQ 9");
	assert_warned("override of bus 0 IRQ 16");
}

/* A CPU that firmware says could be brought online is not there: starting it would only wait. */
static void test_madt_online_capable_is_not_usable(UNUSED void **state)
{
	struct body b = madt_body(0xfee00000, 1);

	put_lapic(&b, 0, 0, 1);
	put_lapic(&b, 1, 1, 2);
	add("APIC", 4, b.data, b.len);
	finish(2);
	parse();
	assert_true(info.cpus[0].usable);
	assert_false(info.cpus[1].usable);
}

static void test_madt_entry_lengths(UNUSED void **state)
{
	static const u8 tails[][4] = {{0, 0, 0, 0}, {0, 1, 0, 0}, {9, 5, 0, 0}, {200, 255, 0, 0}};

	for (u32 i = 0; i < ARRAY_SIZE(tails); i++) {
		struct body b = simple_madt();

		end(NULL);
		begin(NULL);
		put(&b, tails[i], 4);
		add("APIC", 3, b.data, b.len);
		finish(2);
		parse();
		assert_warned("4 bytes are left; Tern ignores the rest of the table");
		assert_int_equal(info.cpu_count, 2);
	}
}

static void test_madt_short_entry_and_lone_byte(UNUSED void **state)
{
	struct body b = madt_body(0, 1);

	put(&b, (const u8[]){ACPI_MADT_X2APIC, 8, 0, 0, 5, 0, 0, 0}, 8);
	put_lapic(&b, 1, 1, 1);
	put(&b, (const u8[]){0}, 1);
	add("APIC", 3, b.data, b.len);
	finish(2);
	parse();
	assert_warned("entry of type 9 has length 8, 16 expected");
	assert_warned("1 bytes are left");
	assert_int_equal(info.cpu_count, 1);
	assert_int_equal(info.cpus[0].apic_id, 1);
	assert_int_equal(info.lapic_base, 0xfee00000);
}

static void test_madt_too_short(UNUSED void **state)
{
	add("APIC", 3, "\1\2\3", 3);
	finish(2);
	parse();
	assert_warned("ACPI table APIC: only 39 bytes");
	assert_false(info.madt);
}

static void test_madt_many_cpus(UNUSED void **state)
{
	static struct body b;
	u32 cpus = ACPI_CPUS_MAX - 10;

	b = madt_body(0, 1);
	for (u32 i = 0; i < cpus; i++)
		put_x2apic(&b, i, i * 2, 1);
	add("APIC", 3, b.data, b.len);
	finish(2);
	parse();
	assert_int_equal(info.cpu_count, cpus);
	assert_int_equal(info.cpus_dropped, 0);
	end(NULL);
	begin(NULL);
	b = madt_body(0, 1);
	for (u32 i = 0; i < 20; i++)
		put_ioapic(&b, (u8)i, 0xfec00000 + i * 0x1000, i * 24);
	for (u32 i = 0; i < 20; i++)
		put_override(&b, 0, (u8)(i % 16), i, 0);
	add("APIC", 3, b.data, b.len);
	finish(2);
	parse();
	assert_int_equal(info.ioapic_count, ACPI_IOAPICS_MAX);
	assert_int_equal(info.override_count, ACPI_OVERRIDES_MAX);
	assert_warned("too many of them");
}

/* --- FADT --- */

static void test_fadt_v1(UNUSED void **state)
{
	static const u8 aml[] = {0x08, '_', 'S', '5', '_', 0x12, 6, 4, 0x0a, 5, 0x0a, 6, 0, 0};
	struct acpi_fadt *f = add_fadt(ACPI_FADT_V1_LEN, aml, sizeof(aml));

	/* No more than 116 bytes: what follows belongs to another table. */
	f->pm1a_cnt = 0x604;
	f->pm_tmr = 0x608;
	f->pm_tmr_len = 4;
	f->smi_cmd = 0xb2;
	f->acpi_enable = 0xf1;
	f->flags = ACPI_FADT_RESET_REG_SUP;
	sum_table(f);
	finish(0);
	parse();
	assert_string_equal(warnings, "");
	assert_true(info.fadt);
	assert_int_equal(info.pm1a_cnt, 0x604);
	assert_int_equal(info.pm1b_cnt, 0);
	assert_int_equal(info.pm_timer_port, 0x608);
	assert_false(info.pm_timer_32bit);
	assert_int_equal(info.reset_reg.space, ACPI_SPACE_NONE);
	assert_int_equal(info.smi_cmd, 0xb2);
	assert_true(info.s5);
	assert_int_equal(info.s5_type_a, 5);
	assert_int_equal(info.s5_type_b, 6);
	assert_true(table_of("DSDT")->ok);
}

static void test_fadt_x_fields(UNUSED void **state)
{
	static const u8 aml[] = {0x08, '\\', '_', 'S', '5', '_', 0x12, 8, 2, 1, 0x0b, 7, 0, 0, 0};
	struct acpi_fadt *f = add_fadt(244, aml, sizeof(aml));

	f->x_dsdt = f->dsdt;
	f->dsdt = 0xdead0000;
	f->pm1a_cnt = 0x404;
	f->pm1b_cnt = 0x408;
	f->pm_tmr = 0x40c;
	f->pm_tmr_len = 4;
	f->x_pm1a_cnt = (struct acpi_gas_regs){1, 16, 0, 2, 0x604};
	f->x_pm1b_cnt = (struct acpi_gas_regs){0, 16, 0, 2, 0xfed00000}; /* memory: not used */
	f->x_pm_tmr = (struct acpi_gas_regs){1, 32, 0, 3, 0x608};
	f->flags = ACPI_FADT_TMR_VAL_EXT | ACPI_FADT_RESET_REG_SUP;
	f->reset_reg = (struct acpi_gas_regs){1, 8, 0, 1, 0xcf9};
	f->reset_value = 6;
	sum_table(f);
	finish(2);
	parse();
	assert_string_equal(warnings, "");
	assert_int_equal(info.pm1a_cnt, 0x604);
	assert_int_equal(info.pm1b_cnt, 0x408);
	assert_int_equal(info.pm_timer_port, 0x608);
	assert_true(info.pm_timer_32bit);
	assert_int_equal(info.reset_reg.space, ACPI_SPACE_IO);
	assert_int_equal(info.reset_reg.addr, 0xcf9);
	assert_int_equal(info.reset_reg.width, 8);
	assert_int_equal(info.reset_value, 6);
	assert_true(info.s5);
	assert_int_equal(info.s5_type_a, 1);
	assert_int_equal(info.s5_type_b, 7);
}

static void test_fadt_reset_spaces(UNUSED void **state)
{
	static const struct {
		u8 space;
		u64 addr;
		enum acpi_space want;
	} cases[] = {
		{0, 0xfed00000, ACPI_SPACE_MEM}, {0, 1ull << 52, ACPI_SPACE_NONE},
		{1, 0x10000, ACPI_SPACE_NONE},   {2, 0x1f00000044, ACPI_SPACE_PCI},
		{3, 0x44, ACPI_SPACE_NONE},      {0, 0, ACPI_SPACE_NONE},
		{0x7f, 0x1234, ACPI_SPACE_NONE},
	};
	struct acpi_fadt *f = add_fadt(244, NULL, 0);

	finish(2);
	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		f->flags = ACPI_FADT_RESET_REG_SUP;
		f->reset_reg = (struct acpi_gas_regs){cases[i].space, 8, 0, 1, cases[i].addr};
		sum_table(f);
		parse();
		assert_int_equal(info.reset_reg.space, cases[i].want);
		f->flags = 0;
		sum_table(f);
		parse();
		assert_int_equal(info.reset_reg.space, ACPI_SPACE_NONE);
	}
}

static void test_fadt_hw_reduced(UNUSED void **state)
{
	struct acpi_fadt *f = add_fadt(268, NULL, 0);

	f->flags = ACPI_FADT_HW_REDUCED | ACPI_FADT_RESET_REG_SUP;
	f->pm1a_cnt = 0x604;
	f->pm_tmr = 0x608;
	f->pm_tmr_len = 4;
	f->reset_reg = (struct acpi_gas_regs){0, 8, 0, 1, 0xfed80000};
	sum_table(f);
	finish(2);
	parse();
	assert_int_equal(info.pm1a_cnt, 0);
	assert_int_equal(info.pm_timer_port, 0);
	assert_int_equal(info.reset_reg.space, ACPI_SPACE_MEM);
	assert_warned("ACPI table DSDT at 0, length 0: past the end of memory");
}

static void test_fadt_short(UNUSED void **state)
{
	add_fadt(100, NULL, 0);
	finish(2);
	parse();
	assert_warned("ACPI table FACP: only 100 bytes");
	assert_false(info.fadt);
}

static void test_dsdt_is_another_table(UNUSED void **state)
{
	struct body b = simple_madt();
	struct acpi_fadt *f = add_fadt(244, NULL, 0);

	f->dsdt = addr_of(add("APIC", 1, b.data, b.len));
	sum_table(f);
	finish(2);
	parse();
	assert_warned("wrong signature, DSDT expected");
	assert_false(info.s5);
	assert_int_equal(info.cpu_count, 2);
}

/* Whatever follows the name, only a package of small constants inside the table counts. */
static void test_s5_encodings(UNUSED void **state)
{
	static const struct {
		u8 aml[24];
		u8 len;
		bool ok;
		u8 a, b;
	} cases[] = {
		/* ZeroOp, OneOp */
		{{8, '_', 'S', '5', '_', 0x12, 4, 2, 0, 1}, 10, true, 0, 1},
		/* two-byte PkgLength */
		{{8, '_', 'S', '5', '_', 0x12, 0x45, 0, 2, 1, 0}, 11, true, 1, 0},
		{{8, '_', 'S', '5', '_', 0x12, 0x86, 0, 0, 1, 0x0a, 5}, 12, true, 5, 0},
		/* DWordConst */
		{{8, '_', 'S', '5', '_', 0x12, 9, 2, 0x0c, 3, 0, 0, 0, 0x0a, 2}, 15, true, 3, 2},
		/* one integer for both */
		{{8, '_', 'S', '5', '_', 0x12, 5, 1, 0x0b, 5, 6}, 11, true, 5, 6},
		/* first a use of the name, then its definition */
		{{0x70, '_', 'S', '5', '_', 8, '_', 'S', '5', '_', 0x12, 4, 2, 1, 1},
		 15,
		 true,
		 1,
		 1},
		/* no name operator, even at the first byte of AML */
		{{'_', 'S', '5', '_', 0x12, 4, 2, 0, 1}, 9, false, 0, 0},
		{{'\\', '_', 'S', '5', '_', 0x12, 4, 2, 0, 1}, 10, false, 0, 0},
		/* not a package */
		{{8, '_', 'S', '5', '_', 0x0a, 5}, 7, false, 0, 0},
		/* the package ends, or the table */
		{{8, '_', 'S', '5', '_', 0x12, 3, 2, 0, 1}, 10, false, 0, 0},
		{{8, '_', 'S', '5', '_', 0x12, 60, 2, 0, 1}, 10, false, 0, 0},
		{{8, '_', 'S', '5', '_', 0x12, 0, 2, 0, 1}, 10, false, 0, 0},
		{{8, '_', 'S', '5', '_', 0x12, 0xc0}, 7, false, 0, 0},
		{{8, '_', 'S', '5', '_', 0x12, 0xff, 0xff, 0xff, 0xff, 2}, 11, false, 0, 0},
		{{8, '_', 'S', '5', '_', 0x12}, 6, false, 0, 0},
		{{8, '_', 'S', '5', '_'}, 5, false, 0, 0},
		{{8, '_', 'S', '5'}, 4, false, 0, 0},
		{{8, '_', 'S', '5', '_', 0x12, 4, 2, 0, 0x0a}, 10, false, 0, 0},
		/* more than SLP_TYP holds, not a constant, empty */
		{{8, '_', 'S', '5', '_', 0x12, 5, 2, 0x0a, 8, 0}, 11, false, 0, 0},
		{{8, '_', 'S', '5', '_', 0x12, 7, 2, 'A', 'B', 'C', 'D', 0}, 13, false, 0, 0},
		{{8, '_', 'S', '5', '_', 0x12, 2, 0}, 8, false, 0, 0},
	};

	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		end(NULL);
		begin(NULL);
		add_fadt(244, cases[i].aml, cases[i].len);
		finish(2);
		parse();
		if (info.s5 != cases[i].ok || info.s5_type_a != cases[i].a ||
		    info.s5_type_b != cases[i].b)
			fail_msg("case %u: %d %u %u", i, info.s5, info.s5_type_a, info.s5_type_b);
		if (!cases[i].ok)
			assert_warned("no \\_S5 package");
	}
}

/* --- HPET, MCFG --- */

static void test_hpet(UNUSED void **state)
{
	struct acpi_hpet h = {.base = {0, 64, 0, 0, 0xfed00000}};
	struct acpi_hpet *t = add("HPET", 1, &h.block_id, sizeof(h) - sizeof(h.header));

	finish(2);
	parse();
	assert_int_equal(info.hpet_base, 0xfed00000);
	t->base.space = 1;
	sum_table(t);
	parse();
	assert_int_equal(info.hpet_base, 0);
	assert_warned("no usable address (space 1, 0xfed00000)");
	t->base.space = 0;
	t->base.addr = 0xfed00004;
	sum_table(t);
	parse();
	assert_int_equal(info.hpet_base, 0);
	t->base.addr = 0xfed00000;
	t->header.length = 52;
	sum_table(t);
	parse();
	assert_int_equal(info.hpet_base, 0);
}

static void test_mcfg(UNUSED void **state)
{
	struct body b = {.len = 8};
	static const struct acpi_mcfg_entry entries[] = {
		{0xb0000000, 0, 0, 255, 0},    {0, 1, 0, 255, 0},
		{0xb0000001, 2, 0, 255, 0},    {0xc0000000, 3, 5, 4, 0},
		{~0ull << 20, 4, 0, 255, 0},   {(1ull << 52) - MiB(1), 5, 0, 1, 0},
		{0x4000000000, 6, 64, 127, 0},
	};

	put(&b, entries, sizeof(entries));
	put(&b, "rest", 4);
	add("MCFG", 1, b.data, b.len);
	finish(2);
	parse();
	assert_int_equal(info.mcfg_count, 2);
	assert_int_equal(info.mcfg[0].base, 0xb0000000);
	assert_int_equal(info.mcfg[0].bus_last, 255);
	assert_int_equal(info.mcfg[1].segment, 6);
	assert_int_equal(info.mcfg[1].bus_first, 64);
	for (u32 s = 1; s <= 5; s++) {
		char text[32];

		snprintf(text, sizeof(text), "MCFG: segment %u,", s);
		assert_warned(text);
	}
}

static void test_mcfg_too_many(UNUSED void **state)
{
	struct body b = {.len = 8};

	for (u32 i = 0; i < ACPI_MCFG_MAX + 2; i++)
		put(&b, &(struct acpi_mcfg_entry){GiB(4) + i * MiB(256), (u16)i, 0, 255, 0}, 16);
	add("MCFG", 1, b.data, b.len);
	finish(2);
	parse();
	assert_int_equal(info.mcfg_count, ACPI_MCFG_MAX);
	assert_warned("segment 17, buses 0-255 at 0x210000000 is not used: too many of them");
}

/* --- SRAT --- */

static void test_srat_before_madt(UNUSED void **state)
{
	struct body s = {.len = 12}, m = madt_body(0xfee00000, 1);

	put_srat_lapic(&s, 0x12345607, 0, 1);
	put_srat_lapic(&s, 9, 1, 1);
	put_srat_lapic(&s, 11, 2, 0); /* not enabled */
	put_srat_mem(&s, 9, GiB(4), GiB(1));
	put_srat_mem(&s, 0x12345607, 0, GiB(3));
	put_srat_mem(&s, 9, GiB(8), 0);
	put_srat_mem(&s, 9, ~0ull - 10, 100);
	put(&s, &(struct acpi_srat_x2apic){{ACPI_SRAT_X2APIC, 24}, 0, 9, 300, 1, 0, 0}, 24);
	put_lapic(&m, 0, 0, 1);
	put_lapic(&m, 1, 1, 1);
	put_lapic(&m, 2, 2, 1);
	put_x2apic(&m, 3, 300, 1);
	add("SRAT", 3, s.data, s.len);
	add("APIC", 3, m.data, m.len);
	finish(2);
	parse();
	assert_int_equal(info.node_count, 2);
	assert_int_equal(info.cpus[0].node, 0);
	assert_int_equal(info.cpus[1].node, 1);
	assert_int_equal(info.cpus[2].node, 0);
	assert_int_equal(info.cpus[3].node, 1);
	assert_int_equal(info.srat_mem_count, 2);
	assert_int_equal(info.srat_mem[0].base, GiB(4));
	assert_int_equal(info.srat_mem[0].node, 1);
	assert_int_equal(info.srat_mem[1].node, 0);
	assert_warned("memory at 0xfffffffffffffff5");
}

/* Revision 1: the upper bytes of a domain are reserved and hold anything. */
static void test_srat_old_revision(UNUSED void **state)
{
	struct body s = {.len = 12}, m = simple_madt();

	put_srat_lapic(&s, 0xaaaaaa01, 0, 1);
	put_srat_lapic(&s, 0xbbbbbb01, 1, 1);
	add("APIC", 1, m.data, m.len);
	add("SRAT", 1, s.data, s.len);
	finish(2);
	parse();
	assert_int_equal(info.node_count, 1);
}

static void test_srat_many_domains(UNUSED void **state)
{
	struct body s = {.len = 12};

	for (u32 i = 0; i < NODES_MAX + 3; i++)
		put_srat_mem(&s, 100 + i, i * GiB(1), GiB(1));
	for (u32 i = 0; i < ACPI_SRAT_MEM_MAX; i++)
		put_srat_mem(&s, 101, (100 + i) * GiB(1), GiB(1));
	add("SRAT", 3, s.data, s.len);
	finish(2);
	parse();
	assert_int_equal(info.node_count, NODES_MAX);
	assert_int_equal(info.srat_mem[NODES_MAX - 1].node, NODES_MAX - 1);
	assert_int_equal(info.srat_mem[NODES_MAX].node, 0);
	assert_warned("more than 16 NUMA nodes");
	assert_int_equal(info.srat_mem_count, ACPI_SRAT_MEM_MAX);
}

static void test_srat_short(UNUSED void **state)
{
	add("SRAT", 3, "\1\2", 2);
	finish(2);
	parse();
	assert_int_equal(info.node_count, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_madt),
		T(test_madt_online_capable_is_not_usable),
		T(test_madt_entry_lengths),
		T(test_madt_short_entry_and_lone_byte),
		T(test_madt_too_short),
		T(test_madt_many_cpus),
		T(test_fadt_v1),
		T(test_fadt_x_fields),
		T(test_fadt_reset_spaces),
		T(test_fadt_hw_reduced),
		T(test_fadt_short),
		T(test_dsdt_is_another_table),
		T(test_s5_encodings),
		T(test_hpet),
		T(test_mcfg),
		T(test_mcfg_too_many),
		T(test_srat_before_madt),
		T(test_srat_old_revision),
		T(test_srat_many_domains),
		T(test_srat_short),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
