/* SPDX-License-Identifier: MIT */
/* The rule of the scheduler: who is next, and what a turn costs (hv/sched/sched_pick.c). Pure. */
#ifndef HV_SCHED_PICK_H
#define HV_SCHED_PICK_H

#include <tern/sched.h>

/* True when a comes before b in virtual time, which wraps. */
static inline bool vtime_before(u64 a, u64 b)
{
	return (s64)(a - b) < 0;
}

/* A vCPU used ticks up to now: adds them to all its accounts. period: of caps, in ticks. */
void sched_charge(struct sched_vcpu *s, u64 ticks, u64 now, u64 period);

/* How many ticks its cap still lets it use now; UINT64_MAX without a cap. */
u64 sched_budget(const struct sched_vcpu *s, u64 now, u64 period);

/*
 * The vCPU of a queue that is furthest behind, among those whose cap lets them run; NULL when there is
 * none. *retry: when the first of the others may run again, UINT64_MAX when there are no others.
 */
struct vcpu *sched_pick_next(struct vcpu *first, u64 now, u64 period, u64 *retry);

#endif
