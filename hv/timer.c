/* SPDX-License-Identifier: MIT */
/*
 * Per-CPU deadline timers. Each CPU has a list sorted by deadline and arms its timer interrupt for
 * the first; a CPU has a handful of timers, so a list beats every cleverer structure.
 */
#include <tern/arch.h>
#include <tern/err.h>
#include <tern/lock.h>
#include <tern/pcpu.h>
#include <tern/timer.h>
#include <tern/trace.h>

#define US_PER_SECOND 1000000ull

/* Its own CPU adds to a queue and takes out what is due; any CPU may take a timer out. */
struct timer_queue {
	struct spinlock lock;
	struct timer *first;
	struct timer *running; /* (a) whose function this CPU is in, or NULL */
};

static struct timer_queue queues[CPUS_MAX];

int timer_cpu_init(struct pcpu *pc)
{
	struct timer_queue *q;

	if (pc->index >= CPUS_MAX)
		return -TERN_EINVAL;
	q = &queues[pc->index];
	*q = (struct timer_queue){.lock = SPINLOCK_INIT(RANK_TIMER, "timers")};
	pc->timers = q;
	return 0;
}

/* Lock held. */
static void arm(const struct timer_queue *q)
{
	arch_timer_arm(q->first != NULL ? q->first->deadline : UINT64_MAX);
}

/* Takes t, which is in the queue, out of it. Lock held. */
static void unlink_timer(struct timer_queue *q, struct timer *t)
{
	struct timer **p = &q->first;

	while (*p != t) {
		ASSERT(*p != NULL);
		p = &(*p)->next;
	}
	*p = t->next;
	t->next = NULL;
	__atomic_store_n(&t->active, false, __ATOMIC_RELEASE);
}

/* Takes t out of whichever queue it is in. IRQs off. When it was first there and that CPU is another, the
 * interrupt comes for nothing. */
static void take_out(struct timer *t)
{
	while (__atomic_load_n(&t->active, __ATOMIC_ACQUIRE)) {
		struct timer_queue *q = &queues[t->cpu];
		lock_token token = lock_take(&q->lock);
		bool first = q->first == t;

		if (t->active) {
			unlink_timer(q, t);
			if (first && q == pcpu_self()->timers)
				arm(q);
		}
		lock_release(&q->lock, token);
	}
}

void timer_start(struct timer *t, u64 deadline)
{
	struct pcpu *pc;
	struct timer_queue *q;
	struct timer **p;
	lock_token token;
	bool irqs = arch_irq_off();

	/* With interrupts off: the timer must be armed on the CPU whose queue it goes to. */
	pc = pcpu_self();
	q = pc->timers;
	ASSERT(q != NULL && t->fn != NULL);
	take_out(t);
	token = lock_take(&q->lock);
	/*
	 * Never earlier than now: a function that starts its timer again with a deadline in the
	 * past runs from the next interrupt, behind all that are due, not for ever from this one.
	 */
	t->deadline = max_u64(deadline, arch_tsc() + 1);
	t->cpu = pc->index;
	t->active = true;
	for (p = &q->first; *p != NULL && (*p)->deadline <= t->deadline; p = &(*p)->next)
		;
	t->next = *p;
	*p = t;
	if (q->first == t)
		arm(q);
	lock_release(&q->lock, token);
	if (irqs)
		arch_irq_on();
}

void timer_cancel(struct timer *t)
{
	bool irqs = arch_irq_off();

	take_out(t);
	if (irqs)
		arch_irq_on();
}

void timer_stop(struct timer *t)
{
	timer_cancel(t);
	/* On this CPU it does not run now: this is not an interrupt, or it is its own function. */
	for (u32 i = 0; i < pcpu_count(); i++)
		while (i != pcpu_self()->index &&
		       __atomic_load_n(&queues[i].running, __ATOMIC_ACQUIRE) == t)
			arch_relax();
}

/* The first timer if it is due, out of the queue; else NULL, and the interrupt is armed again. */
static struct timer *next_due(struct timer_queue *q, u64 now)
{
	lock_token token = lock_take(&q->lock);
	struct timer *t = q->first;

	if (t != NULL && t->deadline <= now) {
		/* Before it leaves the queue: timer_stop() finds it in one place or the other. */
		__atomic_store_n(&q->running, t, __ATOMIC_SEQ_CST);
		unlink_timer(q, t);
	} else {
		arm(q);
		t = NULL;
	}
	lock_release(&q->lock, token);
	return t;
}

void timer_interrupt(void)
{
	struct timer_queue *q = pcpu_self()->timers;
	u64 now = arch_tsc();
	struct timer *t;

	ASSERT(q != NULL);
	/* Ends: timer_start() gives every timer started from here a deadline after now. */
	while ((t = next_due(q, now)) != NULL) {
		trace_write(TRACE_TIMER, (u64)(uintptr_t)t->fn, now - t->deadline);
		t->fn(t);
		__atomic_store_n(&q->running, NULL, __ATOMIC_RELEASE);
	}
}

u32 timer_list(const struct pcpu *pc, struct timer_view *out, u32 max)
{
	struct timer_queue *q = pc->timers;
	lock_token token;
	u32 n = 0;

	if (q == NULL)
		return 0;
	token = lock_take(&q->lock);
	for (const struct timer *t = q->first; t != NULL; t = t->next) {
		if (n < max)
			out[n] = (struct timer_view){.name = t->name, .deadline = t->deadline};
		n++;
	}
	lock_release(&q->lock, token);
	return n;
}

/*
 * v * mul / div, saturating, without a division of 128 bits: for that the compiler calls a library.
 * div > 0. Exact while (div - 1) * mul fits in 64 bits.
 */
static u64 scale(u64 v, u64 mul, u64 div)
{
	u64 whole, part, sum;

	if (__builtin_mul_overflow(v / div, mul, &whole) ||
	    __builtin_mul_overflow(v % div, mul, &part) ||
	    __builtin_add_overflow(whole, part / div, &sum))
		return UINT64_MAX;
	return sum;
}

u64 timer_us_to_tsc(u64 us)
{
	return scale(us, arch_tsc_hz(), US_PER_SECOND);
}

u64 timer_tsc_to_us(u64 ticks)
{
	u64 hz = arch_tsc_hz();

	return hz == 0 ? 0 : scale(ticks, US_PER_SECOND, hz);
}
