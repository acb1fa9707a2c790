/* SPDX-License-Identifier: MIT */
/*
 * Proportional shares: virtual time runs slower for a heavier vCPU, and who is furthest behind is
 * next. A cap is a number of ticks in each period; a turn that overruns it is paid back in the next.
 */
#include "sched_pick.h"

#include <tern/vm.h>

#define VTIME_SCALE 65536u /* so that even the heaviest vCPU pays for every tick */
_Static_assert(VTIME_SCALE >= SCHED_WEIGHT_MAX, "a tick costs at least one");

static u64 cap_ticks(const struct sched_vcpu *s, u64 period)
{
	return period / 100 * s->cap;
}

/* What is left, at a later time, of the ticks used in the period that s knows. */
static u64 used_in_period(const struct sched_vcpu *s, u64 now, u64 period)
{
	u64 periods, paid;

	if (period == 0 || now - s->period_start < period)
		return s->period_used;
	periods = (now - s->period_start) / period;
	if (__builtin_mul_overflow(periods, cap_ticks(s, period), &paid))
		return 0;
	return s->period_used > paid ? s->period_used - paid : 0;
}

void sched_charge(struct sched_vcpu *s, u64 ticks, u64 now, u64 period)
{
	s->used += ticks;
	s->vtime += ticks * VTIME_SCALE / s->weight;
	if (s->cap == 0)
		return;
	s->period_used = used_in_period(s, now, period) + ticks;
	if (period != 0)
		s->period_start = now - (now - s->period_start) % period;
}

u64 sched_budget(const struct sched_vcpu *s, u64 now, u64 period)
{
	u64 used, cap;

	if (s->cap == 0 || period == 0)
		return UINT64_MAX;
	used = used_in_period(s, now, period);
	cap = cap_ticks(s, period);
	return used < cap ? cap - used : 0;
}

/* When a vCPU whose budget is used up has one again. */
static u64 refill_time(const struct sched_vcpu *s, u64 now, u64 period)
{
	u64 start = now - (now - s->period_start) % period;
	u64 over = used_in_period(s, now, period) / cap_ticks(s, period);

	return start + over * period;
}

struct vcpu *sched_pick_next(struct vcpu *first, u64 now, u64 period, u64 *retry)
{
	struct vcpu *best = NULL;

	*retry = UINT64_MAX;
	for (struct vcpu *vc = first; vc != NULL; vc = vc->sched.next) {
		const struct sched_vcpu *s = &vc->sched;

		if (sched_budget(s, now, period) == 0)
			*retry = min_u64(*retry, refill_time(s, now, period));
		else if (best == NULL || vtime_before(s->vtime, best->sched.vtime))
			best = vc;
	}
	return best;
}
