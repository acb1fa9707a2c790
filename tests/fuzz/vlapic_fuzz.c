/* SPDX-License-Identifier: MIT */
/* links: arch/x86_64/guest/vlapic.c arch/x86_64/guest/vlapic_access.c arch/x86_64/guest/vlapic_send.c arch/x86_64/guest/vlapic_timer.c tests/fake/fake_vlapic.c tests/fake/fake_frames.c tests/fake/fake_host.c */
/*
 * Local APICs of a hostile guest: the input is a list of register accesses, messages, mode changes and
 * steps of the clock, and after each what must hold of every APIC is looked at.
 */
#include <stdlib.h>
#include <string.h>

#include <arch/x86_64/guest/vlapic_state.h>
#include <tern/arch.h>
#include <tern/err.h>
#include <tests/fake/fake_host.h>
#include <tests/fake/fake_vlapic.h>

#define REQUIRE(cond)            \
	do {                     \
		if (!(cond))     \
			abort(); \
	} while (0)
#define STEPS_MAX 400u
#define X2        (XAPIC ^ X2APIC)
#define EN        (XAPIC & X2APIC & 0x800)

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static const u8 *in;
static size_t left;

static u64 take(u32 bytes)
{
	u64 value = 0;

	for (u32 i = 0; i < bytes && left > 0; i++, left--)
		value |= (u64)*in++ << 8 * i;
	return value;
}

static void begin(const u8 *data, size_t size)
{
	static bool ready;

	in = data;
	left = size;
	if (!ready)
		setup(NULL);
	ready = true;
	fake_tsc = 1000000;
	fake_tsc_hz = 50000000ull << take(1) % 8;
	sipi_busy = false;
	for (u32 i = 0; i < CPUS; i++) {
		archs[i].apic_base = XAPIC;
		archs[i].tsc_offset = 0;
		vlapic_reset(&vcpus[i], false);
		set(&vcpus[i], SVR, 0x1ff);
	}
	forget();
}

static u32 class_at(int vector)
{
	return vector == NONE ? 0 : (u32)vector >> 4;
}

/* What holds whenever nothing is being done. */
static void check(struct vcpu *vc)
{
	const struct vlapic *l = vc->lapic;
	u32 tpr = vlapic_get(l, TPR);
	bool posted = false;

	for (u32 at = ISR; at < ISR + 0x80; at += 0x10) {
		u32 isr = vlapic_get(l, at);

		/* Delivered one above the other: one in each class. */
		REQUIRE(__builtin_popcount(isr & 0xffff) <= 1);
		REQUIRE(__builtin_popcount(isr >> 16) <= 1);
	}
	REQUIRE((vlapic_get(l, ISR) & 0xffff) == 0 && (vlapic_get(l, IRR) & 0xffff) == 0);
	REQUIRE((tpr & ~0xffu) == 0 && vlapic_get(l, EOI) == 0);
	if (class_at(vlapic_in_service(vc)) > tpr >> 4)
		REQUIRE(vlapic_update_ppr(vc->lapic) == class_at(vlapic_in_service(vc)) << 4);
	else
		REQUIRE(vlapic_update_ppr(vc->lapic) == tpr);
	for (u32 w = 0; w < 4; w++)
		posted = posted || l->posted[w] != 0;
	REQUIRE(!posted || kicks[vc->index] != 0);
	/* The timer interrupts only where it may. */
	REQUIRE(vc->wake_at == l->timer.due || vc->wake_at == NEVER);
	if (!vlapic_enabled(vc) || (vlapic_get(l, LVT_TIMER) & MASKED) != 0)
		REQUIRE(vc->wake_at == NEVER);
	REQUIRE(l->timer.lvt == vlapic_get(l, LVT_TIMER));
	if (l->timer.deadline != 0)
		REQUIRE((l->timer.lvt & DL_MODE) != 0);
	if (vlapic_is_x2(vc))
		REQUIRE(vlapic_get(l, ID) == vc->index);
}

static void go_on(struct vcpu *vc)
{
	bool wakes = vlapic_wakes(vc), illegal = (vlapic_get(vc->lapic, LVT_TIMER) & 0xf0) == 0;
	int highest = vlapic_sync(vc, fake_tsc), blocked, vector = vlapic_pending(vc, &blocked);
	u32 ppr = vlapic_get(vc->lapic, PPR);

	kicks[vc->index] = 0;
	/* It wakes for what it takes, and for nothing else; an error of the timer's comes later. */
	REQUIRE(!wakes || vector != NONE);
	REQUIRE(wakes || illegal || vector == NONE);
	REQUIRE(vc->wake_at > fake_tsc);
	REQUIRE(vector == NONE || blocked == NONE);
	REQUIRE(blocked == NONE || blocked == highest);
	for (u32 w = 0; w < 4; w++)
		REQUIRE(vc->lapic->posted[w] == 0);
	if (blocked != NONE)
		REQUIRE(class_at(blocked) <= ppr >> 4 &&
			class_at(blocked) > class_at(vlapic_in_service(vc)));
	if (vector == NONE)
		return;
	REQUIRE(vector == highest && vector >= 16 && class_at(vector) > ppr >> 4);
	vlapic_accept(vc, vector);
	REQUIRE(vlapic_in_service(vc) == vector);
	REQUIRE(vlapic_get(vc->lapic, PPR) == ((u32)vector & 0xf0));
	REQUIRE(vlapic_pending(vc, NULL) == NONE || vlapic_pending(vc, NULL) != vector);
}

/* IA32_APIC_BASE, as msr.c lets it through. */
static void change_mode(struct vcpu *vc, u32 how)
{
	u64 now = archs[vc->index].apic_base;

	if ((now & EN) == 0)
		base(vc, XAPIC);
	else if ((how & 1) != 0)
		base(vc, X2APIC);
	else
		base(vc, now & ~(EN | X2));
}

static void access_msr(struct vcpu *vc)
{
	u32 msr = (u32)take(1) + 0x800;
	bool write = (msr & 0x80) != 0;
	u64 value = take(8);

	msr &= ~0x80u;
	if (msr == 0x801)
		msr = DEADLINE;
	if (vlapic_msr(vc, msr, write, &value) == 0)
		REQUIRE(vlapic_is_x2(vc) || msr == DEADLINE);
}

static void send(void)
{
	struct apic_message m = {.dest = (u32)take(1), .vector = (u8)take(1)};
	u32 bits = (u32)take(1);

	m.delivery = (enum apic_delivery)(bits & 7);
	m.logical = (bits & 8) != 0;
	m.level = (bits & 16) != 0;
	m.assert = (bits & 32) != 0;
	m.x2apic = (bits & 64) != 0;
	if ((bits & 128) != 0)
		m.dest <<= 12;
	vlapic_send(&vm, &m);
}

/* A read of the count: never more than the initial count. */
static void count(struct vcpu *vc)
{
	if (vlapic_present(vc))
		REQUIRE(get(vc, TMCCT) <= vlapic_get(vc->lapic, TMICT));
}

static struct vcpu *step(void)
{
	u32 op = (u32)take(1);
	/* The last four are in the second x2APIC cluster. */
	struct vcpu *vc = &vcpus[(op >> 4) + (op >> 4 < 12 ? 0 : CPUS - 16)];
	u32 *page = vc->lapic->page, offset;

	switch (op & 15) {
	case 0:
		change_mode(vc, (u32)take(1));
		break;
	case 1:
	case 2:
		access_msr(vc);
		break;
	case 3:
		if (!vlapic_present(vc) || vlapic_is_x2(vc))
			break;
		offset = (u32)take(1) << 2;
		vlapic_write(vc, offset, 4, take(4));
		break;
	case 4:
		if (vlapic_present(vc) && !vlapic_is_x2(vc))
			vlapic_read(vc, (u32)take(2) & 0xfff, 1u << take(1) % 4);
		break;
	case 5:
		send();
		break;
	case 6:
		vlapic_msi(&vm, 0xfee00000 + take(4), (u32)take(2));
		break;
	case 7:
		fake_tsc += take(2);
		break;
	case 8:
		fake_tsc += take(5);
		break;
	case 9:
		vlapic_eoi(vc);
		break;
	case 10:
		/* The CPU writes for the guest where a write may be done. */
		offset = ((u32)take(1) & 0x3f) << 4;
		if (!vlapic_present(vc) ||
		    !(offset == TPR || offset == SVR || offset == ICR ||
		      (offset >= LVT_TIMER && offset <= TMICT) || offset == TDCR))
			break;
		page[offset / 4] = (u32)take(4);
		vlapic_written(vc, offset);
		break;
	case 11:
		archs[vc->index].tsc_offset = take(8);
		vlapic_tsc_moved(vc);
		break;
	case 12:
		vlapic_reset(vc, (take(1) & 1) != 0);
		break;
	case 13:
		count(vc);
		break;
	default:
		go_on(vc);
		break;
	}
	return vc;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	begin(data, size);
	for (u32 n = 0; n < STEPS_MAX && left > 0; n++)
		check(step());
	for (u32 i = 0; i < CPUS; i++)
		check(&vcpus[i]);
	for (u32 i = 0; i < CPUS; i++)
		while (vlapic_enabled(&vcpus[i]) && vlapic_in_service(&vcpus[i]) != NONE)
			vlapic_eoi(&vcpus[i]);
	return 0;
}
