/* SPDX-License-Identifier: MIT */
/* Per-CPU trace ring: the last few hundred events, cheap enough to stay on (hv/trace.c). */
#ifndef TERN_TRACE_H
#define TERN_TRACE_H

#include <tern/types.h>

enum trace_event {
	TRACE_NONE,
	TRACE_IRQ,   /* a: vector */
	TRACE_TIMER, /* a: function address, b: ticks late */
	TRACE_IPI,   /* a: target CPU, b: vector */
	TRACE_SHELL, /* a: first 8 characters of the command */
	TRACE_FAULT, /* a: vector, b: address of the instruction */
	TRACE_CPU,   /* a: CPU that came up */
	TRACE_EVENTS,
};

struct trace_record {
	u64 tsc;
	u64 a, b;
	u32 event; /* enum trace_event */
	u32 seq;
};
_Static_assert(sizeof(struct trace_record) == 32, "one record is half a cache line");

struct pcpu;
/* Gives a CPU its ring. -TERN_ENOMEM, -TERN_EINVAL: its index is not below CPUS_MAX. */
MUST_CHECK int trace_cpu_init(struct pcpu *pc);
/* Any context, NMI too. Does nothing before trace_cpu_init(). */
void trace_write(enum trace_event event, u64 a, u64 b);
const char *trace_event_name(u32 event);
/* Copies the newest records of a CPU, oldest first; returns how many; *lost: overwritten so far. */
u32 trace_read(const struct pcpu *pc, struct trace_record *out, u32 max, u64 *lost);

#endif
