/* SPDX-License-Identifier: MIT */
/* The per-CPU block. Reached by pcpu_self() (GS base) or pcpu_get(index). */
#ifndef TERN_PCPU_H
#define TERN_PCPU_H

#include <tern/arch.h>
#include <tern/types.h>

#define PCPU_RANKS_MAX 8u

struct trace_ring;
struct timer_queue;
struct frame_cache;
struct sched_queue;
struct vcpu;

struct pcpu {
	struct pcpu *self; /* (c) offset 0: what GS:0 reads */
	u32 index;         /* (c) 0 is the boot CPU */
	u32 apic_id;       /* (c) */
	u32 acpi_uid;      /* (c) */
	u32 node;          /* (c) NUMA node, 0 when the machine does not say */
	u64 canary_pad[2]; /* keeps the next field at 0x28 from FS base, see below */
	u64 canary;        /* (c) FS:0x28, what the stack protector reads */
	u32 online;        /* (a) 1 once the CPU runs Tern */
	u32 work;          /* (a) bits of work for the idle loop */
	/* This CPU only, interrupts off. */
	u32 rank_count;
	u16 ranks[PCPU_RANKS_MAX]; /* locks held, debug builds */
	const char *rank_names[PCPU_RANKS_MAX];
	struct trace_ring *trace;
	struct timer_queue *timers;
	struct frame_cache *frames;
	struct sched_queue *sched; /* (c) */
	struct vcpu *vcpu;         /* that runs here now */
	u64 irq_count;             /* interrupts taken */
	u64 idle_tsc;   /* TSC ticks spent in arch_idle(), the present stay not counted */
	u64 idle_since; /* (a) TSC when the present stay began; 0: not idle */
	void *arch;     /* (c) struct cpu of arch/x86_64 */
};

_Static_assert(offsetof(struct pcpu, canary) == 0x28, "the stack protector reads FS:0x28");

/* A CPU's page: struct pcpu, and from here on what the architecture keeps (struct cpu). */
#define PCPU_ARCH_OFFSET 1024u
_Static_assert(sizeof(struct pcpu) <= PCPU_ARCH_OFFSET, "both share a page");

/* Bits of pcpu.work. */
#define PCPU_WORK_POLL 1u /* the boot CPU's shell and VMs want a look */
#define PCPU_WORK_NET  2u /* so does a NIC: netdev_poll_all() */

/* Makes the block this CPU runs on index 0. Boot CPU, first of all. */
void pcpu_init(void);
/* CPUs the firmware listed and Tern accepted, started or not. */
u32 pcpu_count(void);
/* CPUs that run. */
u32 pcpu_online_count(void);
/* index < pcpu_count(). Never NULL. */
struct pcpu *pcpu_get(u32 index);
/* TSC ticks that a CPU has been idle, up to now. */
u64 pcpu_idle_ticks(const struct pcpu *pc);
/* Adds a CPU found in the MADT; the boot CPU is always index 0. Boot CPU, before SMP.
 * Returns the block, zeroed beyond its identity, or NULL: CPUS_MAX are known already, or no memory. */
struct pcpu *pcpu_add(u32 apic_id, u32 acpi_uid);

#endif
