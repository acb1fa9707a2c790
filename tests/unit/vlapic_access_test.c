/* SPDX-License-Identifier: MIT */
/* links: arch/x86_64/guest/vlapic.c arch/x86_64/guest/vlapic_access.c arch/x86_64/guest/vlapic_send.c arch/x86_64/guest/vlapic_timer.c tests/fake/fake_vlapic.c tests/fake/fake_frames.c tests/fake/fake_host.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <tern/arch.h>
#include <tern/err.h>
#include <tests/fake/fake_frames.h>
#include <tests/fake/fake_host.h>
#include <tests/fake/fake_vlapic.h>

static const struct reg {
	u32 offset, mask, fixed; /* bits that can be written, bits that read as one */
	bool x2, x2_write;       /* it is there in x2APIC mode */
	u64 x2_mask;             /* what x2APIC mode takes without #GP */
} regs[] = {
	{ID, 0xff000000, 0, true, false, 0},
	{VERSION, 0, 0x50014, true, false, 0},
	{TPR, 0xff, 0, true, true, 0xff},
	{0x90, 0, 0, false, false, 0},
	{PPR, 0, 0, true, false, 0},
	{EOI, 0, 0, false, true, 0},
	{0xc0, 0, 0, false, false, 0},
	{LDR, 0xff000000, 0, true, false, 0},
	{DFR, 0xf0000000, 0x0fffffff, false, false, 0},
	{SVR, 0x3ff, 0, true, true, 0x3ff},
	{ESR, 0, 0, true, true, 0},
	{ICR, 0xccfff, 0, true, true, 0xffffffff000ccfff},
	{ICR_HIGH, 0xff000000, 0, false, false, 0},
	{LVT_TIMER, 0x700ff, 0, true, true, 0x710ff},
	{LVT_THERMAL, 0x107ff, 0, true, true, 0x117ff},
	{LVT_PERF, 0x107ff, 0, true, true, 0x117ff},
	{LINT0, 0x1a7ff, 0, true, true, 0x1f7ff},
	{LINT1, 0x1a7ff, 0, true, true, 0x1f7ff},
	{LVT_ERROR, 0x100ff, 0, true, true, 0x110ff},
	{TMICT, 0xffffffff, 0, true, true, 0xffffffff},
	{TMCCT, 0, 0, true, false, 0},
	{TDCR, 0xb, 0, true, true, 0xb},
};

static const struct reg *reg_at(u32 offset)
{
	static const struct reg vectors = {.x2 = true};

	for (u32 i = 0; i < ARRAY_SIZE(regs); i++)
		if (regs[i].offset == offset)
			return &regs[i];
	return offset >= ISR && offset <= 0x270 ? &vectors : NULL;
}

static void test_xapic_registers(UNUSED void **state)
{
	for (u32 offset = 0; offset < PAGE_SIZE; offset += 0x10) {
		const struct reg *r = reg_at(offset);

		/* So that no time passes in the count, no ICR sends, no SVR masks. */
		set(v1, LVT_TIMER, MASKED);
		set(v1, TMICT, 0);
		assert_int_equal(esr(v1), 0);
		if (r == NULL) {
			assert_int_equal(get(v1, offset), 0);
			assert_int_equal(esr(v1), 0x80);
			assert_int_equal(esr(v1), 0);
			set(v1, offset, 0x12345678);
			assert_int_equal(esr(v1), 0x80);
			continue;
		}
		for (u32 bit = 0; bit < 32; bit++) {
			u32 value = (u32)BIT(bit) | (offset == SVR ? 0x100 : 0), expected;

			if (offset == ICR)
				value |= 0x900fc; /* nobody's logical destination, or all others */
			set(v1, offset, value);
			expected = (value & r->mask) | r->fixed;
			if (offset == TMCCT || offset == EOI || offset == VERSION)
				expected = r->fixed;
			assert_int_equal(get(v1, offset), expected);
		}
		if (offset == SVR)
			set(v1, SVR, 0x1ff);
		if (offset == TPR)
			set(v1, TPR, 0);
		drain(v1);
		assert_int_equal(esr(v1) & 0x80, 0);
	}
}

static void test_widths(UNUSED void **state)
{
	set(v1, LVT_TIMER, MASKED | 0xab);
	set(v1, ID, 0x12000000);
	assert_int_equal(vlapic_read(v1, LVT_TIMER, 1), 0xab);
	assert_int_equal(vlapic_read(v1, LVT_TIMER + 2, 2), 1);
	assert_int_equal(vlapic_read(v1, ID + 3, 1), 0x12);
	assert_int_equal(vlapic_read(v1, ID, 8), 0x12000000);
	assert_int_equal(vlapic_read(v1, ID + 4, 4), 0);
	assert_int_equal(vlapic_read(v1, ID + 8, 8), 0);
	vlapic_write(v1, LVT_TIMER, 1, 0);
	vlapic_write(v1, LVT_TIMER, 2, 0);
	vlapic_write(v1, LVT_TIMER + 4, 4, 0);
	assert_int_equal(get(v1, LVT_TIMER), MASKED | 0xab);
	vlapic_write(v1, LVT_TIMER, 8, 0xffffffff000100ccull);
	assert_int_equal(get(v1, LVT_TIMER), MASKED | 0xcc);
	assert_int_equal(esr(v1), 0);
}

/* SDM vol. 3A table 11-6. */
static void test_x2apic_registers(UNUSED void **state)
{
	base(v1, X2APIC);
	for (u32 msr = 0x800; msr <= 0x8ff; msr++) {
		u32 offset = (msr - 0x800) << 4;
		const struct reg *r = offset < 0x400 ? reg_at(offset) : NULL;
		u64 value = 0x5a5a;
		bool reads = r != NULL && r->x2, writes = r != NULL && r->x2_write;

		if (msr == SELF_IPI)
			continue;
		assert_int_equal(vlapic_msr(v1, msr, false, &value), reads ? 0 : GP);
		assert_int_equal(value == 0x5a5a, !reads);
		for (u32 bit = 0; bit < 64; bit++) {
			u64 v = BIT(bit);

			if (msr == X2_ICR)
				v |= 0x80000; /* to all, or all others */
			assert_int_equal(wrmsr(v1, msr, v),
					 writes && (r->x2_mask & BIT(bit)) != 0 ? 0 : GP);
			if (writes && (r->x2_mask & BIT(bit)) != 0 && bit != 12 &&
			    (bit != 14 || msr == X2_ICR) && msr != 0x80f && msr <= 0x831)
				assert_int_equal(rdmsr(v1, msr), v);
		}
		assert_int_equal(wrmsr(v1, msr, 0), writes ? 0 : GP);
	}
	assert_int_equal(vlapic_msr(v1, SELF_IPI, false, &(u64){0}), GP);
	assert_int_equal(wrmsr(v1, SELF_IPI, 0x100), GP);
	assert_int_equal(wrmsr(v1, SELF_IPI, BIT(32)), GP);
	/* The timer's mode 3 is reserved. */
	assert_int_equal(wrmsr(v1, 0x832, PERIODIC), 0);
	assert_int_equal(wrmsr(v1, 0x832, PERIODIC | DL_MODE), GP);
	/* The ICR lies in the page both ways. */
	assert_int_equal(wrmsr(v1, X2_ICR, 0x1234567800080041), 0);
	{
		const u32 *page = phys_to_virt(vlapic_page(v1));

		assert_int_equal(page[ICR / 4], 0x80041);
		assert_int_equal(page[ICR / 4 + 1], 0x12345678);
		assert_int_equal(page[ICR_HIGH / 4], 0x12345678);
	}
	/* In xAPIC mode there are no MSRs. */
	assert_int_equal(vlapic_msr(v0, 0x802, false, &(u64){0}), GP);
	assert_int_equal(wrmsr(v0, X2_EOI, 0), GP);
	assert_int_equal(wrmsr(v0, X2_ICR, 0x4041), GP);
}

/* SDM vol. 3A 11.5.3. */
static void test_errors(UNUSED void **state)
{
	set(v1, LVT_ERROR, 0xfe);
	assert_int_equal(get(v1, ESR), 0);
	get(v1, 0x3f0);
	/* Not before the write. */
	assert_int_equal(get(v1, ESR), 0);
	assert_int_equal(drain(v1), 1);
	/* Nor another interrupt before it. */
	get(v1, 0);
	message(1, 15, false);
	set(v1, ICR, 0x4000f);
	assert_int_equal(drain(v1), 0);
	assert_int_equal(esr(v1), 0xe0);
	assert_int_equal(get(v1, ESR), 0xe0);
	assert_int_equal(esr(v1), 0);
	message(1, 0, false);
	assert_int_equal(pending(v1), 0xfe);
	drain(v1);
	assert_int_equal(esr(v1), 0x40);
	set(v1, LVT_ERROR, MASKED | 0xfe);
	set(v1, ICR, 0x40003);
	assert_int_equal(esr(v1), 0x20);
	assert_int_equal(drain(v1), 0);
	/* Its own vector may be illegal. */
	set(v1, LVT_ERROR, 3);
	get(v1, 0);
	assert_int_equal(drain(v1), 0);
	assert_int_equal(esr(v1), 0x80);
	/* x2APIC: illegal registers fault instead, the other errors are the same. */
	base(v1, X2APIC);
	assert_int_equal(wrmsr(v1, SELF_IPI, 7), 0);
	assert_int_equal(wrmsr(v1, 0x828, 0), 0);
	assert_int_equal(rdmsr(v1, 0x828), 0x20);
	assert_int_equal(wrmsr(v1, X2_ICR, 7), 0);
	assert_int_equal(wrmsr(v1, 0x801, 0), GP);
	assert_int_equal(wrmsr(v1, 0x828, 0), 0);
	assert_int_equal(rdmsr(v1, 0x828), 0x20);
	assert_int_equal(pending(v0), NONE);
}

/* SDM vol. 3A 11.4.7.2. */
static void test_software_disable(UNUSED void **state)
{
	for (u32 at = LVT_TIMER; at <= LVT_ERROR; at += 0x10)
		set(v1, at, 0x40);
	set(v1, TMICT, 1000);
	message(1, 0x50, false);
	sync_now(v1);
	message(1, 0x60, false);
	set(v1, SVR, 0xff);
	for (u32 at = LVT_TIMER; at <= LVT_ERROR; at += 0x10) {
		assert_int_equal(get(v1, at), MASKED | 0x40);
		set(v1, at, 0x41);
		assert_int_equal(get(v1, at), MASKED | 0x41);
	}
	assert_true(v1->wake_at == NEVER);
	/* What is there is held, what comes is lost, but for what is no interrupt. */
	forget();
	message(1, 0x70, false);
	vlapic_send(&vm, &(struct apic_message){.dest = 1, .delivery = APIC_EXTINT});
	assert_int_equal(kicks[1], 0);
	assert_false(vlapic_takes_extint(v1));
	message(1, 3, false);
	assert_int_equal(esr(v1), 0);
	assert_int_equal(sync_now(v1), 0x60);
	assert_int_equal(pending(v1), NONE);
	assert_false(vlapic_wakes(v1));
	for (u32 i = 0; i < 3; i++) {
		static const enum apic_delivery still[] = {APIC_NMI, APIC_INIT, APIC_SIPI};

		vlapic_send(&vm, &(struct apic_message){.dest = 1, .delivery = still[i]});
	}
	assert_int_equal(nmis[1] + inits[1] + sipis[1], 3);
	/* It still sends. */
	set(v1, ICR_HIGH, 0);
	set(v1, ICR, 0x4042);
	assert_int_equal(pending(v0), 0x42);
	set(v1, SVR, 0x1ff);
	assert_int_equal(pending(v1), 0x60);
	assert_int_equal(get(v1, LVT_TIMER), MASKED | 0x41);
	assert_int_equal(drain(v1), 2);
}

/* What the CPU has put into the page itself has the same effect. */
static void test_written(UNUSED void **state)
{
	u32 *page = phys_to_virt(vlapic_page(v1));

	page[TPR / 4] = 0xffffff20;
	vlapic_written(v1, TPR);
	assert_int_equal(page[PPR / 4], 0x20);
	assert_int_equal(get(v1, TPR), 0x20);
	assert_int_equal(get(v1, PPR), 0x20);
	page[LVT_TIMER / 4] = 0xffffffff & ~(MASKED | DL_MODE);
	vlapic_written(v1, LVT_TIMER);
	assert_int_equal(get(v1, LVT_TIMER), PERIODIC | 0xff);
	page[TMICT / 4] = 500;
	vlapic_written(v1, TMICT);
	assert_int_equal(v1->wake_at, fake_tsc + 1000);
	page[TDCR / 4] = 0xfffffff4;
	vlapic_written(v1, TDCR);
	assert_int_equal(get(v1, TDCR), 0);
	page[ICR_HIGH / 4] = 0x02ffffff;
	vlapic_written(v1, ICR_HIGH);
	page[ICR / 4] = 0x5041;
	vlapic_written(v1, ICR);
	assert_int_equal(pending(&vcpus[2]), 0x41);
	assert_int_equal(get(v1, ICR), 0x4041);
	message(1, 0x88, true);
	vlapic_accept(v1, pending(v1));
	page[EOI / 4] = 99;
	vlapic_written(v1, EOI);
	assert_int_equal(vlapic_in_service(v1), NONE);
	assert_int_equal(eois[0x88], 1);
	page[SVR / 4] = 0x20;
	vlapic_written(v1, SVR);
	assert_int_equal(get(v1, LVT_TIMER), MASKED | PERIODIC | 0xff);
	assert_true(v1->wake_at == NEVER);
	/* No register: nothing. */
	vlapic_written(v1, 0x3f0);
	vlapic_written(v1, VERSION);
	assert_int_equal(esr(v1), 0);
	base(v1, X2APIC);
	page[ICR / 4] = 0x43;
	page[ICR / 4 + 1] = 3;
	vlapic_written(v1, ICR);
	assert_int_equal(pending(&vcpus[3]), 0x43);
	page[0x3f0 / 4] = 0x44;
	vlapic_reset(v1, true);
	assert_int_equal(wrmsr(v1, 0x80f, 0x1ff), 0);
	page[0x3f0 / 4] = 0x44;
	vlapic_written(v1, 0x3f0);
	assert_int_equal(pending(v1), 0x44);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(xapic_registers), T(widths),           T(x2apic_registers),
		T(errors),          T(software_disable), T(written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
