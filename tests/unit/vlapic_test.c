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

/* --- life --- */

static void test_create(UNUSED void **state)
{
	struct vcpu vc = {.vm = &vm, .arch = &archs[0]};
	u32 used = fake_frames_used();

	for (fake_frames_left = 0; fake_frames_left < 2;) {
		u32 left = fake_frames_left;

		assert_int_equal(vlapic_create(&vc), -TERN_ENOMEM);
		assert_null(vc.lapic);
		assert_int_equal(fake_frames_used(), used);
		fake_frames_left = left + 1;
	}
	assert_int_equal(vlapic_create(&vc), 0);
	assert_int_equal(vlapic_page(&vc).v % PAGE_SIZE, 0);
	/* Not reset yet: it takes nothing, and nothing is due. */
	assert_int_equal(vlapic_sync(&vc, NEVER - 1), NONE);
	assert_int_equal(vlapic_pending(&vc, NULL), NONE);
	vlapic_destroy(&vc);
	vlapic_destroy(&vc);
	assert_int_equal(fake_frames_used(), used);
}

static void check_reset(struct vcpu *vc, u32 id, bool first)
{
	for (u32 at = 0x100; at <= 0x270; at += 0x10)
		assert_int_equal(get(vc, at), 0);
	for (u32 at = LVT_TIMER; at <= LVT_ERROR; at += 0x10)
		assert_int_equal(get(vc, at), first && at == LINT0 ? 0x700 : MASKED);
	assert_int_equal(get(vc, ID), id);
	assert_int_equal(get(vc, VERSION), 0x50014);
	assert_int_equal(get(vc, TPR), 0);
	assert_int_equal(get(vc, PPR), 0);
	assert_int_equal(get(vc, LDR), 0);
	assert_int_equal(get(vc, DFR), 0xffffffff);
	assert_int_equal(get(vc, SVR), 0xff);
	assert_int_equal(get(vc, ICR), 0);
	assert_int_equal(get(vc, ICR_HIGH), 0);
	assert_int_equal(get(vc, TMICT), 0);
	assert_int_equal(get(vc, TMCCT), 0);
	assert_int_equal(get(vc, TDCR), 0);
	set(vc, ESR, 0);
	assert_int_equal(get(vc, ESR), 0);
	assert_true(vc->wake_at == NEVER);
}

static void spoil(struct vcpu *vc)
{
	message(vc->index, 0x55, true);
	message(vc->index, 0x91, false);
	sync_now(vc);
	vlapic_accept(vc, 0x91);
	message(vc->index, 0x92, false);
	vlapic_read(vc, 0, 4); /* ESR */
	set(vc, TPR, 0x20);
	set(vc, LDR, 0xff000000);
	set(vc, DFR, 0);
	for (u32 at = LVT_TIMER; at <= LVT_ERROR; at += 0x10)
		set(vc, at, 0x40);
	set(vc, TDCR, 3);
	set(vc, TMICT, 100);
	set(vc, ICR_HIGH, 0x30000000);
	set(vc, ICR, 0x4041);
	assert_true(vc->wake_at != NEVER);
}

/* What the operator is shown. */
static void test_view(UNUSED void **state)
{
	struct vlapic_view v;
	struct vcpu *vc = &vcpus[1];

	spoil(vc);
	vlapic_view(vc, &v);
	assert_true(v.present && v.enabled);
	assert_int_equal(v.tpr, 0x20);
	assert_true(v.irr[0] == 0 && v.irr[1] == 1ull << (0x55 - 64) && v.irr[3] == 0);
	assert_true(v.irr[2] == 1ull << (0x92 - 128)); /* posted */
	assert_true(v.isr[2] == 1ull << (0x91 - 128) && (v.isr[0] | v.isr[1] | v.isr[3]) == 0);
	vlapic_reset(vc, false);
	vlapic_view(vc, &v);
	assert_true(v.present && !v.enabled);
	assert_true((v.irr[0] | v.irr[1] | v.irr[2] | v.irr[3] | v.isr[2]) == 0);
}

/* SDM vol. 3A 11.4.7. */
static void test_reset(UNUSED void **state)
{
	for (u32 i = 0; i < 2; i++) {
		struct vcpu *vc = &vcpus[i];

		spoil(vc);
		vlapic_reset(vc, false);
		check_reset(vc, i << 24, i == 0);
		set(vc, SVR, 0x1ff);
		spoil(vc);
		set(vc, ID, 0x37000000);
		vlapic_reset(vc, true);
		check_reset(vc, 0x37000000, false);
		vlapic_reset(vc, false);
		check_reset(vc, i << 24, i == 0);
		set(vc, SVR, 0x1ff);
		assert_int_equal(pending(vc), NONE);
	}
	/* INIT leaves x2APIC mode as it is; if IA32_APIC_BASE says otherwise, so it is. */
	base(v1, X2APIC);
	vlapic_reset(v1, true);
	assert_int_equal(rdmsr(v1, 0x802), 1);
	assert_int_equal(rdmsr(v1, 0x80d), 2);
	v1->arch->apic_base = XAPIC;
	vlapic_reset(v1, true);
	check_reset(v1, 1 << 24, false);
}

/* SDM vol. 3A 11.12.5. */
static void test_modes(UNUSED void **state)
{
	struct vcpu *vc = &vcpus[18];

	set(vc, ID, 0x99000000);
	set(vc, LDR, 0x42000000);
	set(vc, LVT_TIMER, 0x44);
	set(vc, TMICT, 5000);
	set(vc, ICR_HIGH, 0x05000000);
	message(0x99, 0x61, false);
	base(vc, X2APIC);
	assert_int_equal(rdmsr(vc, 0x802), 18);
	assert_int_equal(rdmsr(vc, 0x80d), 0x10004);
	assert_int_equal(rdmsr(vc, 0x832), 0x44);
	assert_int_equal(rdmsr(vc, X2_ICR), 0);
	assert_int_equal(((u32 *)phys_to_virt(vlapic_page(vc)))[ICR_HIGH / 4], 0);
	assert_int_equal(vc->wake_at, fake_tsc + 10000);
	assert_int_equal(pending(vc), 0x61);
	/* Off: it forgets, and nothing arrives. */
	base(vc, XAPIC & ~0x800ull);
	check_reset(vc, 18 << 24, false);
	message(18, 0x61, false);
	vlapic_send(&vm, &(struct apic_message){.dest = 18, .delivery = APIC_NMI});
	vlapic_send(&vm, &(struct apic_message){.dest = 18, .delivery = APIC_INIT});
	assert_int_equal(pending(vc), NONE);
	assert_int_equal(nmis[18] + inits[18] + kicks[18], 1);
	base(vc, XAPIC);
	check_reset(vc, 18 << 24, false);
	set(vc, SVR, 0x1ff);
	message(18, 0x62, false);
	assert_int_equal(pending(vc), 0x62);
	/* The first vCPU's 8259 wire is what the guest makes of it. */
	base(v0, XAPIC & ~0x800ull);
	assert_true(vlapic_takes_extint(v0));
	base(v0, XAPIC);
	check_reset(v0, 0, false);
	assert_false(vlapic_takes_extint(v0));
	/* The base address alone means nothing here. */
	set(v1, SVR, 0x1ab);
	base(v1, 0xfe000800);
	assert_int_equal(get(v1, SVR), 0x1ab);
}

/* --- the way of an interrupt --- */

/* SDM vol. 3A 11.8.3.1: every task priority against every class in service and waiting. */
static void test_priorities(UNUSED void **state)
{
	for (u32 in_service = 0; in_service < 16; in_service += 3) {
		u32 isr = in_service == 0 ? 0 : in_service * 16 + 5;

		if (isr != 0) {
			message(1, (u8)isr, false);
			vlapic_accept(v1, pending(v1));
		}
		for (u32 tpr = 0; tpr < 256; tpr += 7) {
			u32 ppr = tpr / 16 >= in_service ? tpr : in_service * 16;

			set(v1, TPR, tpr);
			assert_int_equal(get(v1, PPR), ppr);
			for (u32 class = 1; class < 16; class ++) {
				u8 vector = (u8)(class * 16 + 9);
				u32 *irr = phys_to_virt(vlapic_page(v1));
				int blocked = 77;
				bool free = class > ppr / 16;

				message(1, vector, false);
				assert_int_equal(vlapic_wakes(v1), free);
				assert_int_equal(sync_now(v1), vector);
				assert_int_equal(vlapic_wakes(v1), free);
				assert_int_equal(vlapic_pending(v1, &blocked),
						 free ? vector : NONE);
				assert_int_equal(blocked,
						 !free && class > in_service ? vector : NONE);
				/* Takes it back. */
				irr[(IRR + vector / 32 * 16) / 4] = 0;
			}
		}
		set(v1, TPR, 0);
		assert_int_equal(vlapic_in_service(v1), isr == 0 ? NONE : (int)isr);
		vlapic_eoi(v1);
		assert_int_equal(get(v1, PPR), 0);
	}
	/* The CPU may have written TPR behind our back. */
	((u32 *)phys_to_virt(vlapic_page(v1)))[TPR / 4] = 0xf0;
	message(1, 0xe1, false);
	assert_int_equal(pending(v1), NONE);
	assert_int_equal(get(v1, PPR), 0xf0);
}

static void test_all_vectors(UNUSED void **state)
{
	for (u32 v = 16; v < 256; v++)
		message(1, (u8)v, v % 3 == 0);
	assert_int_equal(kicks[1], 240);
	for (int v = 255; v >= 16; v--) {
		assert_int_equal(sync_now(v1), v);
		assert_int_equal(pending(v1), v);
		vlapic_accept(v1, v);
		assert_int_equal(vlapic_in_service(v1), v);
		assert_int_equal(get(v1, PPR), v & 0xf0);
		assert_int_equal(get(v1, (u32)(ISR + v / 32 * 16)) >> v % 32 & 1, 1);
		assert_int_equal(get(v1, (u32)(IRR + v / 32 * 16)) >> v % 32 & 1, 0);
		vlapic_eoi(v1);
		assert_int_equal(eois[v], v % 3 == 0);
		assert_int_equal(vlapic_in_service(v1), NONE);
	}
	assert_int_equal(sync_now(v1), NONE);
	vlapic_eoi(v1);
}

static void test_nesting(UNUSED void **state)
{
	message(1, 0x41, false);
	vlapic_accept(v1, pending(v1));
	message(1, 0x4f, false);
	assert_int_equal(pending(v1), NONE);
	message(1, 0x51, false);
	assert_int_equal(pending(v1), 0x51);
	vlapic_accept(v1, 0x51);
	/* The same again while it is in service: once more after it. */
	message(1, 0x51, false);
	message(1, 0x51, false);
	assert_int_equal(pending(v1), NONE);
	set(v1, EOI, 0);
	assert_int_equal(vlapic_in_service(v1), 0x41);
	assert_int_equal(pending(v1), 0x51);
	vlapic_accept(v1, 0x51);
	set(v1, EOI, 123);
	set(v1, EOI, 0);
	assert_int_equal(vlapic_in_service(v1), NONE);
	assert_int_equal(pending(v1), 0x4f);
}

static void test_trigger_modes(UNUSED void **state)
{
	u64 exits[4];

	message(1, 0x31, true);
	message(1, 0xc1, true);
	message(1, 0x32, false);
	assert_int_equal(pending(v1), 0xc1);
	vlapic_eoi_exits(v1, exits);
	assert_true(exits[0] == BIT(0x31) && exits[1] == 0 && exits[2] == 0 && exits[3] == BIT(1));
	assert_int_equal(get(v1, TMR + 0x10), 1u << 0x11);
	/* What arrives last is what TMR says. */
	message(1, 0xc1, false);
	message(1, 0x32, true);
	sync_now(v1);
	vlapic_eoi_exits(v1, exits);
	assert_true(exits[0] == (BIT(0x31) | BIT(0x32)) && exits[3] == 0);
	assert_int_equal(drain(v1), 3);
	assert_int_equal(eois[0x31], 1);
	assert_int_equal(eois[0x32], 1);
	assert_int_equal(eois[0xc1], 0);
	/* The half that the CPU leaves. */
	vlapic_eoi_broadcast(v1, 0x31);
	vlapic_eoi_broadcast(v1, 0xc1);
	assert_int_equal(eois[0x31], 2);
	assert_int_equal(eois[0xc1], 0);
	vm.platform.ioapic = NULL;
	vlapic_eoi_broadcast(v1, 0x31);
	assert_int_equal(eois[0x31], 2);
}

static void test_kicks_once(UNUSED void **state)
{
	message(1, 0x41, false);
	message(1, 0x41, false);
	message(1, 0x41, true);
	assert_int_equal(kicks[1], 1);
	message(1, 0x42, false);
	assert_int_equal(kicks[1], 2);
	sync_now(v1);
	message(1, 0x41, false);
	assert_int_equal(kicks[1], 3);
	assert_int_equal(drain(v1), 2);
}

static void test_wakes(UNUSED void **state)
{
	assert_false(vlapic_wakes(v1));
	message(1, 0x41, false);
	assert_true(vlapic_wakes(v1));
	set(v1, TPR, 0x41);
	assert_false(vlapic_wakes(v1));
	set(v1, TPR, 0x3f);
	assert_true(vlapic_wakes(v1));
	drain(v1);
	/* The timer, from the moment that it is due. */
	set(v1, LVT_TIMER, 0x51);
	set(v1, TMICT, 100);
	fake_tsc += 199;
	assert_false(vlapic_wakes(v1));
	fake_tsc++;
	assert_true(vlapic_wakes(v1));
	set(v1, TPR, 0x50);
	assert_false(vlapic_wakes(v1));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(create),  T(reset),         T(modes),      T(priorities), T(all_vectors),
		T(nesting), T(trigger_modes), T(kicks_once), T(wakes),      T(view),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
