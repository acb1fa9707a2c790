/* SPDX-License-Identifier: MIT */
/* Per-CPU deadline timers (hv/timer.c). Deadlines are absolute TSC values. */
#ifndef TERN_TIMER_H
#define TERN_TIMER_H

#include <tern/arch.h>
#include <tern/types.h>

struct timer;
/* Runs on the CPU the timer was started on, interrupts off, no lock held; may start it again. */
typedef void timer_fn(struct timer *t);

struct timer {
	struct timer *next; /* queue of one CPU, by deadline */
	u64 deadline;
	timer_fn *fn;
	void *arg;
	const char *name; /* shown by the shell's timers */
	u32 cpu;          /* index of the CPU whose queue it is in */
	bool active;
};

struct pcpu;
/* Prepares the queue of a CPU. -TERN_EINVAL: its index is not below CPUS_MAX. */
MUST_CHECK int timer_cpu_init(struct pcpu *pc);
/*
 * Starts a timer on this CPU, or moves it here from whichever CPU's queue it is in. A deadline in the past
 * fires at once, from the interrupt. Callers of one timer take turns by a lock of their own, or are one
 * CPU. The function may still be running for the deadline before.
 */
void timer_start(struct timer *t, u64 deadline);
/* Takes it out of its queue, on any CPU; the function may still be running on another. As above. */
void timer_cancel(struct timer *t);
/* timer_cancel(), and then waits until the function does not run any more: no lock is held that it
 * takes, and nobody starts it again. */
void timer_stop(struct timer *t);
/* The timer interrupt: runs what is due, arms the next. Interrupts off. */
void timer_interrupt(void);
/* Copies up to max timers of a CPU's queue in order; returns how many there are. */
struct timer_view {
	const char *name;
	u64 deadline;
};
u32 timer_list(const struct pcpu *pc, struct timer_view *out, u32 max);

/* TSC ticks in a time, and back; both saturate. 0 when the TSC is not calibrated. */
u64 timer_us_to_tsc(u64 us);
u64 timer_tsc_to_us(u64 ticks);

/*
 * For what shall happen at most once a second, as a line in the log that a guest can cause: true when *last is 0,
 * never, or a second or more before now, and *last is now then. now: TSC ticks, or a time that runs as fast. Any CPU,
 * no lock needed; two that ask at once may both be told so.
 */
static inline bool timer_once_a_second(u64 *last, u64 now)
{
	u64 before = __atomic_load_n(last, __ATOMIC_RELAXED);

	if (before != 0 && now - before < arch_tsc_hz())
		return false;
	__atomic_store_n(last, now, __ATOMIC_RELAXED);
	return true;
}

#endif
