/* SPDX-License-Identifier: MIT */
/*
 * vCPU scheduling (hv/sched): a run queue per CPU, proportional shares by weight (stride in virtual
 * time), an optional cap, exact accounting in TSC ticks. Mechanism only.
 */
#ifndef TERN_SCHED_H
#define TERN_SCHED_H

#include <tern/types.h>

#define SCHED_WEIGHT_DEFAULT 256u
#define SCHED_WEIGHT_MAX     65536u
#define SCHED_CPU_ANY        UINT32_MAX

struct vcpu;
struct pcpu;

struct sched_vcpu {
	struct vcpu *next;    /* (s) run queue */
	u64 vtime;            /* (s) ticks used, scaled by weight */
	u64 used;             /* (s) ticks used in all */
	u64 period_used;      /* (s) ticks used in the cap's period */
	u64 period_start;     /* (s) */
	u64 run_start;        /* (s) 0: not running now */
	u64 wait_start;       /* (s) while it is queued */
	u64 waited;           /* (s) ticks it was queued in all; constant while it runs */
	u32 weight;           /* (c) */
	u32 cap;              /* (c) per cent of one CPU, 0: none */
	u32 cpu;              /* (a) whose queue it is in, or ran it last; (s) to change it */
	bool queued, running; /* (s) */
	bool wake;            /* (s) woken while it ran: goes on instead of waiting */
};

#define SCHED_SLICE_US  10000u  /* a turn */
#define SCHED_PERIOD_US 100000u /* a cap holds in each such period */

/* -TERN_ENOMEM. */
MUST_CHECK int sched_cpu_init(struct pcpu *pc);
void sched_vcpu_init(struct vcpu *vc, u32 weight, u32 cap);
/* Makes a vCPU runnable: queues it where it will run soonest and kicks that CPU. A vCPU that runs goes
 * on instead of waiting at its next sched_put(). Any CPU, the VM's lock held. */
void sched_wake(struct vcpu *vc);
/* Takes it out of its queue; when it runs, it is kicked. Whoever runs it sees that it may not go on from
 * the state of its VM. Returns true when it does not run any more now. Any CPU, the VM's lock held. */
bool sched_block(struct vcpu *vc);
/* The next vCPU of this CPU, or one that waits for another CPU, and until which TSC value it may run;
 * or NULL. IRQs off. */
struct vcpu *sched_pick(u64 *until);
/* True when sched_pick() would find something: look before arch_idle(). IRQs off. */
bool sched_runnable(void);
/* This CPU is done with vc for now; requeue: it wants to go on. vc may be gone afterwards. IRQs off. */
void sched_put(struct vcpu *vc, bool requeue);
/* PAUSE loop: lets the others of this CPU go first, once. It runs on this CPU. IRQs off. */
void sched_give_way(struct vcpu *vc);
/* True when another vCPU of this CPU is waiting. */
bool sched_contended(void);
/* TSC ticks it has used, the present turn too. Any CPU. */
u64 sched_used(struct vcpu *vc);

#endif
