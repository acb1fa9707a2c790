/* SPDX-License-Identifier: MIT */
/*
 * The local APIC of a vCPU: its life, and the way of an interrupt through it, SDM vol. 3A 11.8.4: posted by
 * whoever sends it (vlapic_send.c), moved to IRR by the owner, to ISR when it is delivered, and
 * out of there by EOI. vlapic_access.c has the registers, vlapic_timer.c the timer.
 */
#include "vlapic_state.h"

#include <tern/arch.h>
#include <tern/err.h>
#include <tern/frames.h>

/* --- life --- */

int vlapic_create(struct vcpu *vc)
{
	struct vlapic *l = frames_alloc_page();
	void *page = l != NULL ? frames_alloc_page() : NULL;

	if (page == NULL) {
		if (l != NULL)
			frames_free_page(l);
		return -TERN_ENOMEM;
	}
	l->page = page;
	/* Until the reset nothing is due, and as the page is zero, nothing is taken. */
	l->timer.due = UINT64_MAX;
	vc->lapic = l;
	return 0;
}

void vlapic_destroy(struct vcpu *vc)
{
	if (vc->lapic == NULL)
		return;
	frames_free_page(vc->lapic->page);
	frames_free_page(vc->lapic);
	vc->lapic = NULL;
}

hpa_t vlapic_page(const struct vcpu *vc)
{
	return virt_to_phys(vc->lapic->page);
}

void vlapic_view(const struct vcpu *vc, struct vlapic_view *out)
{
	const struct vlapic *l = vc->lapic;

	*out = (struct vlapic_view){.present = vlapic_present(vc),
				    .enabled = vlapic_enabled(vc),
				    .tpr = (u8)vlapic_get(l, LAPIC_TPR)};
	for (u32 v = 0; v < LAPIC_VECTOR_REGS; v++) {
		u32 at = v * LAPIC_REG_STEP, shift = v % 2 * 32;

		out->irr[v / 2] |= (u64)vlapic_get(l, LAPIC_IRR + at) << shift;
		out->isr[v / 2] |= (u64)vlapic_get(l, LAPIC_ISR + at) << shift;
	}
	for (u32 w = 0; w < ARRAY_SIZE(l->posted); w++)
		out->irr[w] |= __atomic_load_n(&l->posted[w], __ATOMIC_RELAXED);
}

/* The id is fixed there, and the logical id follows from it: SDM vol. 3A 11.12.10.2. */
static void enter_x2apic(struct vcpu *vc)
{
	vlapic_put(vc->lapic, LAPIC_ID, vc->index);
	vlapic_put(vc->lapic, LAPIC_LDR, X2LDR(vc->index));
	vlapic_put(vc->lapic, LAPIC_ICR_HIGH, 0);
}

/* All but the id is as after power-on. */
static void reset(struct vcpu *vc, u32 id)
{
	struct vlapic *l = vc->lapic;

	for (u32 w = 0; w < ARRAY_SIZE(l->posted); w++)
		__atomic_store_n(&l->posted[w], 0, __ATOMIC_RELAXED);
	__atomic_store_n(&l->errors, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&l->extint, false, __ATOMIC_RELAXED);
	vlapic_put(l, LAPIC_ID, id);
	/* Others may address it meanwhile. */
	for (u32 at = 0; at < LAPIC_END; at += LAPIC_REG_SIZE) {
		if (at != LAPIC_ID)
			vlapic_put(l, at, 0);
	}
	vlapic_put(l, LAPIC_VERSION, LAPIC_VERSION_VALUE);
	vlapic_put(l, LAPIC_DFR, DFR_MASK | DFR_ONES);
	vlapic_put(l, LAPIC_SVR, SVR_RESET);
	for (u32 at = LAPIC_LVT_TIMER; at <= LAPIC_LVT_ERROR; at += LAPIC_REG_STEP)
		vlapic_put(l, at, LVT_MASKED);
	if (vlapic_is_x2(vc))
		enter_x2apic(vc);
	vlapic_timer_reset(vc);
}

void vlapic_reset(struct vcpu *vc, bool init)
{
	struct vlapic *l = vc->lapic;
	u32 id = vlapic_get(l, LAPIC_ID);

	/* INIT keeps it, in the format of the mode: lower bits are those of an x2APIC's. */
	if (!init || (id & ~LAPIC_ID_MASK) != 0)
		id = vc->index << LAPIC_ID_SHIFT;
	reset(vc, id);
	/* There is no firmware to wire the 8259 through (MP specification 1.4, 3.6.2.2). */
	if (vc->index == 0 && !init)
		vlapic_put(l, LAPIC_LVT_LINT0, LVT_LINT0_AT_RUN);
}

/* SDM vol. 3A 11.12.5: switched off, it forgets; from xAPIC to x2APIC mode, it keeps what it has. */
void vlapic_base_changed(struct vcpu *vc, u64 old, u64 value)
{
	u64 changed = old ^ value;

	if ((changed & APIC_BASE_ENABLE) != 0)
		reset(vc, vc->index << LAPIC_ID_SHIFT);
	else if ((changed & value & APIC_BASE_X2APIC) != 0)
		enter_x2apic(vc);
}

/* --- to IRR --- */

static void set_bits(struct vlapic *l, u32 at, u32 bits, u32 level)
{
	u32 tmr = at - LAPIC_IRR + LAPIC_TMR;

	if (bits == 0)
		return;
	vlapic_put(l, at, vlapic_get(l, at) | bits);
	vlapic_put(l, tmr, (vlapic_get(l, tmr) & ~bits) | (level & bits));
}

static __attribute__((noinline)) void take_posted(struct vlapic *l)
{
	for (u32 w = 0; w < ARRAY_SIZE(l->posted); w++) {
		u64 bits = __atomic_exchange_n(&l->posted[w], 0, __ATOMIC_SEQ_CST);
		u64 level = __atomic_load_n(&l->level[w], __ATOMIC_RELAXED);
		u32 at = LAPIC_IRR + 2 * w * LAPIC_REG_STEP;

		set_bits(l, at, (u32)bits, (u32)level);
		set_bits(l, at + LAPIC_REG_STEP, (u32)(bits >> 32), (u32)(level >> 32));
	}
}

static __attribute__((noinline)) void take_timer(struct vcpu *vc, u64 now)
{
	u32 vector;

	if (!vlapic_timer_expire(vc, now))
		return;
	vector = vc->lapic->timer.lvt & VECTOR_MASK;
	if (vector < VECTOR_MIN)
		vlapic_error(vc, ESR_RECEIVE_ILLEGAL);
	else
		set_bits(vc->lapic, VECTOR_REG(LAPIC_IRR, vector), VECTOR_BIT(vector), 0);
}

int vlapic_sync(struct vcpu *vc, u64 now)
{
	struct vlapic *l = vc->lapic;
	u64 *p = l->posted;

	if (UNLIKELY(now >= l->timer.due))
		take_timer(vc, now);
	if (UNLIKELY((__atomic_load_n(&p[0], __ATOMIC_RELAXED) |
		      __atomic_load_n(&p[1], __ATOMIC_RELAXED) |
		      __atomic_load_n(&p[2], __ATOMIC_RELAXED) |
		      __atomic_load_n(&p[3], __ATOMIC_RELAXED)) != 0))
		take_posted(l);
	return vlapic_highest(l, LAPIC_IRR);
}

/* --- to ISR and out --- */

static u32 class_of(int vector)
{
	return vector == VLAPIC_NONE ? 0 : (u32)vector & PRIORITY_CLASS;
}

/* SDM vol. 3A 11.8.3.1. */
static u32 priority(const struct vlapic *l)
{
	u32 tpr = vlapic_get(l, LAPIC_TPR), isr = class_of(vlapic_highest(l, LAPIC_ISR));

	return (tpr & PRIORITY_CLASS) >= isr ? tpr : isr;
}

u32 vlapic_update_ppr(struct vlapic *l)
{
	u32 ppr = priority(l);

	vlapic_put(l, LAPIC_PPR, ppr);
	return ppr;
}

int vlapic_pending(struct vcpu *vc, int *blocked)
{
	struct vlapic *l = vc->lapic;
	int vector = vlapic_highest(l, LAPIC_IRR);

	if (blocked != NULL)
		*blocked = VLAPIC_NONE;
	if (vector == VLAPIC_NONE || !vlapic_enabled(vc))
		return VLAPIC_NONE;
	/* Not what PPR says: where the CPU writes TPR by itself, PPR does not follow. */
	if (class_of(vector) > (vlapic_update_ppr(l) & PRIORITY_CLASS))
		return vector;
	if (blocked != NULL && class_of(vector) > class_of(vlapic_highest(l, LAPIC_ISR)))
		*blocked = vector;
	return VLAPIC_NONE;
}

void vlapic_accept(struct vcpu *vc, int vector)
{
	struct vlapic *l = vc->lapic;
	u32 irr = VECTOR_REG(LAPIC_IRR, vector), isr = VECTOR_REG(LAPIC_ISR, vector);
	u32 bit = VECTOR_BIT(vector);

	DEBUG_ASSERT((vlapic_get(l, irr) & bit) != 0);
	vlapic_put(l, irr, vlapic_get(l, irr) & ~bit);
	vlapic_put(l, isr, vlapic_get(l, isr) | bit);
	vlapic_update_ppr(l);
}

void vlapic_eoi_broadcast(struct vcpu *vc, u8 vector)
{
	struct device *ioapic = vc->vm->platform.ioapic;

	if ((vlapic_get(vc->lapic, VECTOR_REG(LAPIC_TMR, vector)) & VECTOR_BIT(vector)) != 0 &&
	    ioapic != NULL)
		vioapic_eoi(ioapic, vector);
}

void vlapic_eoi(struct vcpu *vc)
{
	struct vlapic *l = vc->lapic;
	int vector = vlapic_highest(l, LAPIC_ISR);
	u32 isr;

	if (vector == VLAPIC_NONE)
		return;
	isr = VECTOR_REG(LAPIC_ISR, vector);
	vlapic_put(l, isr, vlapic_get(l, isr) & ~VECTOR_BIT(vector));
	vlapic_update_ppr(l);
	vlapic_eoi_broadcast(vc, (u8)vector);
}

void vlapic_eoi_exits(struct vcpu *vc, u64 bits[4])
{
	for (u32 w = 0; w < 4; w++) {
		u32 at = LAPIC_TMR + 2 * w * LAPIC_REG_STEP;

		bits[w] = vlapic_get(vc->lapic, at) |
			  (u64)vlapic_get(vc->lapic, at + LAPIC_REG_STEP) << 32;
	}
}

int vlapic_in_service(const struct vcpu *vc)
{
	return vlapic_highest(vc->lapic, LAPIC_ISR);
}

/* --- what others ask about a vCPU that may sleep --- */

static int highest_posted(const struct vlapic *l)
{
	for (u32 w = ARRAY_SIZE(l->posted); w-- > 0;) {
		u64 bits = __atomic_load_n(&l->posted[w], __ATOMIC_SEQ_CST);

		if (bits != 0)
			return (int)(w * 64 + 63) - __builtin_clzll(bits);
	}
	return VLAPIC_NONE;
}

bool vlapic_wakes(struct vcpu *vc)
{
	const struct vlapic *l = vc->lapic;
	u32 class = priority(l) & PRIORITY_CLASS;

	if (!vlapic_enabled(vc))
		return false;
	if (class_of(highest_posted(l)) > class || class_of(vlapic_highest(l, LAPIC_IRR)) > class)
		return true;
	return arch_tsc() >= __atomic_load_n(&vc->wake_at, __ATOMIC_RELAXED) &&
	       (vlapic_get(l, LAPIC_LVT_TIMER) & PRIORITY_CLASS) > class;
}

bool vlapic_takes_extint(const struct vcpu *vc)
{
	const u32 bits = LVT_MASKED | LVT_DELIVERY << LVT_DELIVERY_AT;

	return !vlapic_present(vc) ||
	       (vlapic_get(vc->lapic, LAPIC_LVT_LINT0) & bits) == LVT_LINT0_AT_RUN ||
	       __atomic_load_n(&vc->lapic->extint, __ATOMIC_ACQUIRE);
}

void vlapic_extint_taken(struct vcpu *vc)
{
	__atomic_store_n(&vc->lapic->extint, false, __ATOMIC_RELAXED);
}
