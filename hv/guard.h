/* SPDX-License-Identifier: MIT */
/*
 * A lock for what must be usable in any context, NMI and panic included (log.c, console.c). An NMI
 * that comes while its CPU holds the lock, or waits for it, must not wait: it is refused instead,
 * and the caller counts what it could not do. In a panic only one CPU runs: nobody is locked out.
 */
#ifndef HV_GUARD_H
#define HV_GUARD_H

#include <tern/arch.h>
#include <tern/console.h>
#include <tern/lock.h>
#include <tern/pcpu.h>

struct guard {
	struct spinlock lock;
	u8 inside[CPUS_MAX]; /* that CPU only: 1 while it holds the lock or waits for it */
};

struct guard_token {
	lock_token lock;
	u32 cpu;
	bool irqs_were_on;
	bool locked;
};

/* True when this CPU holds the lock or waits for it. */
static inline bool guard_inside(const struct guard *g)
{
	return !console_in_panic() &&
	       __atomic_load_n(&g->inside[pcpu_self()->index], __ATOMIC_RELAXED) != 0;
}

/* False: refused, there is nothing to leave. The token goes to guard_leave(). */
static inline MUST_CHECK bool guard_enter(struct guard *g, struct guard_token *t)
{
	t->irqs_were_on = arch_irq_off();
	t->cpu = pcpu_self()->index;
	t->locked = false;
	if (UNLIKELY(console_in_panic()))
		return true;
	if (UNLIKELY(__atomic_load_n(&g->inside[t->cpu], __ATOMIC_RELAXED) != 0)) {
		if (t->irqs_were_on)
			arch_irq_on();
		return false;
	}
	/* An NMI comes before or after each of these, and a CPU sees its own stores in order. */
	__atomic_store_n(&g->inside[t->cpu], 1, __ATOMIC_RELAXED);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	t->lock = lock_take(&g->lock);
	t->locked = true;
	return true;
}

static inline void guard_leave(struct guard *g, const struct guard_token *t)
{
	if (LIKELY(t->locked)) {
		lock_release(&g->lock, t->lock);
		__atomic_signal_fence(__ATOMIC_SEQ_CST);
		__atomic_store_n(&g->inside[t->cpu], 0, __ATOMIC_RELAXED);
	}
	if (t->irqs_were_on)
		arch_irq_on();
}

#endif
