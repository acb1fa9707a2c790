/* SPDX-License-Identifier: MIT */
/*
 * The timer of a virtual local APIC, SDM vol. 3A 11.5.4. It does not tick: it knows when it expires next, and
 * the current count follows from that. It counts at the rate that CPUID 15H promises (docs/cpuid.md),
 * which is the TSC's or a whole part of it, so that all times are exact in TSC ticks.
 */
#include "vlapic_state.h"

#include <tern/arch.h>

#define HZ_BITS 32 /* CPUID.15H:EBX is one more than what the TSC's rate has above that */
/* A guest that asks for periodic interrupts faster than this many a second gets that many, or it would do
 * nothing but leave and enter. */
#define PERIODIC_MAX_HZ 100000u

static bool deadline_mode(const struct vlapic_timer *t)
{
	return (t->lvt & LVT_DEADLINE) != 0;
}

static u64 add_saturating(u64 a, u64 b)
{
	u64 sum;

	return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

static void set_due(struct vcpu *vc, u64 due)
{
	struct vlapic_timer *t = &vc->lapic->timer;

	t->due = due;
	__atomic_store_n(&vc->wake_at, (t->lvt & LVT_MASKED) != 0 ? UINT64_MAX : due,
			 __ATOMIC_RELAXED);
}

static u64 unit_of(const struct vlapic *l)
{
	return ((arch_tsc_hz() >> HZ_BITS) + 1)
	       << TIMER_DIVIDE_SHIFT(vlapic_get(l, LAPIC_TIMER_DIVIDE));
}

void vlapic_timer_reset(struct vcpu *vc)
{
	struct vlapic *l = vc->lapic;

	l->timer = (struct vlapic_timer){.lvt = vlapic_get(l, LAPIC_LVT_TIMER), .unit = unit_of(l)};
	set_due(vc, UINT64_MAX);
}

/* The least number of whole periods that is not faster than PERIODIC_MAX_HZ. */
static u64 step_of(const struct vlapic_timer *t)
{
	u64 least = arch_tsc_hz() / PERIODIC_MAX_HZ;

	if (LIKELY(t->period >= least))
		return t->period;
	return (least + t->period - 1) / t->period * t->period;
}

bool vlapic_timer_expire(struct vcpu *vc, u64 now)
{
	struct vlapic_timer *t = &vc->lapic->timer;
	u64 due = UINT64_MAX, step;

	if (now < t->due || t->due == UINT64_MAX)
		return false;
	if (deadline_mode(t)) {
		t->deadline = 0;
	} else if ((t->lvt & LVT_PERIODIC) != 0) {
		/* However late it is, the next one is on the grid that the first began. */
		step = step_of(t);
		due = add_saturating(t->due, ((now - t->due) / step + 1) * step);
	}
	set_due(vc, due);
	return (t->lvt & LVT_MASKED) == 0;
}

/* What was due before the guest touches the timer happens first. Returns the time. */
static u64 catch_up(struct vcpu *vc)
{
	u64 now = arch_tsc();

	if (UNLIKELY(now >= vc->lapic->timer.due) && vlapic_timer_expire(vc, now))
		vlapic_post_local(vc, vc->lapic->timer.lvt & VECTOR_MASK);
	return now;
}

/* Counts left at now, to which time was let pass. */
static u64 count_at(const struct vlapic_timer *t, u64 now)
{
	u64 left;

	if (deadline_mode(t) || t->due == UINT64_MAX)
		return 0;
	left = t->due - now;
	/* More than a period where step_of() leaves some out. */
	if (left > t->period)
		left = (left - 1) % t->period + 1;
	return (left + t->unit - 1) / t->unit;
}

void vlapic_timer_lvt_written(struct vcpu *vc)
{
	struct vlapic_timer *t = &vc->lapic->timer;
	u32 lvt = vlapic_get(vc->lapic, LAPIC_LVT_TIMER);
	bool other;

	catch_up(vc);
	/* SDM vol. 3A 11.5.4.1: to TSC-deadline mode or from it, the timer is disarmed. */
	other = ((lvt ^ t->lvt) & LVT_DEADLINE) != 0;
	t->lvt = lvt;
	if (other)
		t->deadline = 0;
	set_due(vc, other ? UINT64_MAX : t->due);
}

void vlapic_timer_initial_written(struct vcpu *vc)
{
	struct vlapic_timer *t = &vc->lapic->timer;
	u64 now = catch_up(vc);
	u32 count = vlapic_get(vc->lapic, LAPIC_TIMER_INIT);

	/* SDM vol. 3A 11.5.4.1: ignored in TSC-deadline mode. */
	if (deadline_mode(t)) {
		vlapic_put(vc->lapic, LAPIC_TIMER_INIT, 0);
		return;
	}
	t->period = count * t->unit;
	set_due(vc, count == 0 ? UINT64_MAX : add_saturating(now, t->period));
}

void vlapic_timer_divide_written(struct vcpu *vc)
{
	struct vlapic_timer *t = &vc->lapic->timer;
	u64 now = catch_up(vc), count = count_at(t, now);

	t->unit = unit_of(vc->lapic);
	if (count == 0)
		return;
	t->period = vlapic_get(vc->lapic, LAPIC_TIMER_INIT) * t->unit;
	set_due(vc, add_saturating(now, count * t->unit));
}

u32 vlapic_timer_count(struct vcpu *vc)
{
	u64 now = catch_up(vc);

	return (u32)count_at(&vc->lapic->timer, now);
}

/* When the guest's TSC reaches value: at once if it has passed it. */
static void arm_deadline(struct vcpu *vc, u64 value, u64 now)
{
	u64 guest = now + vc->arch->tsc_offset, due = now;

	vc->lapic->timer.deadline = value;
	if (value == 0)
		due = UINT64_MAX;
	else if (LIKELY(value > guest))
		due = add_saturating(now, value - guest);
	set_due(vc, due);
}

void vlapic_timer_set_deadline(struct vcpu *vc, u64 value)
{
	u64 now;

	if (!deadline_mode(&vc->lapic->timer))
		return;
	now = catch_up(vc);
	arm_deadline(vc, value, now);
}

u64 vlapic_timer_deadline(struct vcpu *vc)
{
	catch_up(vc);
	return vc->lapic->timer.deadline;
}

void vlapic_time_moved(struct vcpu *vc, u64 ticks)
{
	struct vlapic_timer *t = &vc->lapic->timer;

	if (t->due == UINT64_MAX)
		return;
	if ((s64)ticks < 0)
		set_due(vc, t->due - min_u64(t->due, 0 - ticks));
	else
		set_due(vc, add_saturating(t->due, ticks));
}

void vlapic_tsc_moved(struct vcpu *vc)
{
	struct vlapic_timer *t = &vc->lapic->timer;
	u64 now = catch_up(vc);

	if (t->deadline != 0)
		arm_deadline(vc, t->deadline, now);
}
