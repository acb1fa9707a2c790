/* SPDX-License-Identifier: MIT */
/*
 * A run queue for every CPU. A vCPU belongs to one queue, sched.cpu, whether it waits there, runs or
 * sleeps; only the lock of that queue lets it change hands. Two queues are never locked together: who
 * moves a vCPU changes sched.cpu under the lock of the old queue, and it is then the new one's.
 */
#include <tern/sched.h>

#include "sched_pick.h"

#include <tern/arch.h>
#include <tern/err.h>
#include <tern/frames.h>
#include <tern/lock.h>
#include <tern/pcpu.h>
#include <tern/timer.h>
#include <tern/vm.h>

struct sched_queue {
	struct spinlock lock; /* RANK_SCHED: (s) */
	struct vcpu *first;   /* (s) waiting, as they came */
	struct vcpu *current; /* (s) running */
	u64 min_vtime;        /* (a) no one that waits or runs is further behind; never goes back */
	u32 load;             /* (a) weights of all that wait or run */
	u32 waiting;          /* (a) how many wait, those over their cap too */
	struct timer timer;   /* this CPU's: ends the idleness when a cap's period is over */
};

static struct sched_queue *queue_of(u32 cpu)
{
	return pcpu_get(cpu)->sched;
}

/* The queue that a vCPU belongs to, locked. */
static struct sched_queue *lock_queue(const struct vcpu *vc, lock_token *token)
{
	for (;;) {
		u32 cpu = __atomic_load_n(&vc->sched.cpu, __ATOMIC_ACQUIRE);
		struct sched_queue *q = queue_of(cpu);

		*token = lock_take(&q->lock);
		/* It may have come back meanwhile, from a queue whose lock is another one. */
		if (__atomic_load_n(&vc->sched.cpu, __ATOMIC_ACQUIRE) == cpu)
			return q;
		lock_release(&q->lock, *token);
	}
}

static void kick_cpu(u32 cpu)
{
	if (cpu != pcpu_self()->index)
		arch_kick(pcpu_get(cpu));
}

/* Makes the CPU look at its queue: out of the guest, or out of its sleep. */
static void kick(u32 cpu, struct vcpu *running)
{
	if (running != NULL)
		__atomic_or_fetch(&running->kick, KICK_LEAVE, __ATOMIC_RELEASE);
	kick_cpu(cpu);
}

/* The timer's interrupt itself is what was wanted: the CPU looks at its queue after it. */
static void cap_over(struct timer *t)
{
	struct sched_queue *q = t->arg;

	if (q->current != NULL)
		__atomic_or_fetch(&q->current->kick, KICK_LEAVE, __ATOMIC_RELEASE);
}

int sched_cpu_init(struct pcpu *pc)
{
	struct sched_queue *q = frames_alloc_page();

	if (q == NULL)
		return -TERN_ENOMEM;
	q->lock = (struct spinlock)SPINLOCK_INIT(RANK_SCHED, "run queue");
	q->timer = (struct timer){.fn = cap_over, .arg = q, .name = "vCPU caps"};
	__atomic_store_n(&pc->sched, q, __ATOMIC_RELEASE);
	return 0;
}

void sched_vcpu_init(struct vcpu *vc, u32 weight, u32 cap)
{
	u32 cpu = pcpu_self()->index;

	vc->sched = (struct sched_vcpu){
		.weight = weight,
		.cap = cap,
		.cpu = cpu,
		.vtime = queue_of(cpu)->min_vtime,
		.period_start = arch_tsc(),
	};
}

/* --- a locked queue --- */

static void set_load(struct sched_queue *q, u32 load)
{
	__atomic_store_n(&q->load, load, __ATOMIC_RELAXED);
}

static void insert(struct sched_queue *q, struct vcpu *vc, u64 now)
{
	struct vcpu **p = &q->first;

	/* Last: of two that are equally far behind, who came first is next. */
	while (*p != NULL)
		p = &(*p)->sched.next;
	*p = vc;
	vc->sched.next = NULL;
	vc->sched.queued = true;
	vc->sched.wait_start = now;
	__atomic_store_n(&q->waiting, q->waiting + 1, __ATOMIC_RELAXED);
	set_load(q, q->load + vc->sched.weight);
}

static void remove(struct sched_queue *q, struct vcpu *vc, u64 now)
{
	struct vcpu **p = &q->first;

	while (*p != vc) {
		ASSERT(*p != NULL);
		p = &(*p)->sched.next;
	}
	*p = vc->sched.next;
	vc->sched.next = NULL;
	vc->sched.queued = false;
	/* The TSC of this CPU may be a little behind that of the other. */
	if (now > vc->sched.wait_start)
		vc->sched.waited += now - vc->sched.wait_start;
	__atomic_store_n(&q->waiting, q->waiting - 1, __ATOMIC_RELAXED);
	set_load(q, q->load - vc->sched.weight);
}

/*
 * The floor follows whoever is furthest behind. A vCPU that slept starts there: it was not waiting
 * for a CPU, so it has nothing saved up. Nor has one that waits for its cap: it rises with the floor.
 */
static void raise_floor(struct sched_queue *q, u64 now)
{
	u64 period = timer_us_to_tsc(SCHED_PERIOD_US), floor = q->current->sched.vtime;

	for (const struct vcpu *vc = q->first; vc != NULL; vc = vc->sched.next) {
		if (vtime_before(vc->sched.vtime, floor) &&
		    sched_budget(&vc->sched, now, period) > 0)
			floor = vc->sched.vtime;
	}
	if (vtime_before(floor, q->min_vtime))
		floor = q->min_vtime;
	__atomic_store_n(&q->min_vtime, floor, __ATOMIC_RELAXED);
	for (struct vcpu *vc = q->first; vc != NULL; vc = vc->sched.next) {
		if (vtime_before(vc->sched.vtime, floor))
			vc->sched.vtime = floor;
	}
}

/* What a vCPU has over the floor of its queue it takes along to another. */
static void change_queue(struct vcpu *vc, struct sched_queue *from, u32 cpu)
{
	u64 to = __atomic_load_n(&queue_of(cpu)->min_vtime, __ATOMIC_RELAXED);
	u64 over = vc->sched.vtime - from->min_vtime;

	vc->sched.vtime = to + ((s64)over > 0 ? over : 0);
	__atomic_store_n(&vc->sched.cpu, cpu, __ATOMIC_RELEASE);
}

static bool usable(u32 cpu)
{
	const struct pcpu *pc = pcpu_get(cpu);

	return __atomic_load_n(&pc->online, __ATOMIC_ACQUIRE) != 0 &&
	       __atomic_load_n(&pc->sched, __ATOMIC_ACQUIRE) != NULL;
}

static u32 load_of(u32 cpu)
{
	return __atomic_load_n(&queue_of(cpu)->load, __ATOMIC_RELAXED);
}

/* The CPU with the least to do beside this one; the same one when there is no other. */
static u32 least_loaded_other(u32 cpu)
{
	u32 best = cpu, best_load = UINT32_MAX;

	for (u32 i = 0; i < pcpu_count() && best_load > 0; i++) {
		if (i != cpu && usable(i) && load_of(i) < best_load) {
			best = i;
			best_load = load_of(i);
		}
	}
	return best;
}

/* Where a vCPU that wakes up will run soonest: where it ran last, unless another CPU has less to do. */
static u32 wake_cpu(u32 last)
{
	u32 other;

	if (load_of(last) == 0)
		return last;
	other = least_loaded_other(last);
	return load_of(other) < load_of(last) ? other : last;
}

void sched_wake(struct vcpu *vc)
{
	u32 target = wake_cpu(__atomic_load_n(&vc->sched.cpu, __ATOMIC_ACQUIRE));

	for (;;) {
		lock_token token;
		struct sched_queue *q = lock_queue(vc, &token);
		struct vcpu *running = q->current;

		if (vc->sched.running) {
			vc->sched.wake = true;
			/* It may wait for what it is woken for in the guest. */
			if (__atomic_load_n(&vc->kick, __ATOMIC_ACQUIRE) != 0)
				kick_cpu(vc->sched.cpu);
		}
		if (vc->sched.running || vc->sched.queued) {
			lock_release(&q->lock, token);
			return;
		}
		if (vc->sched.cpu != target) {
			change_queue(vc, q, target);
			lock_release(&q->lock, token);
			continue;
		}
		if (vtime_before(vc->sched.vtime, q->min_vtime))
			vc->sched.vtime = q->min_vtime;
		insert(q, vc, arch_tsc());
		/* Under the lock: afterwards the vCPU that runs there may be gone. */
		kick(target, running);
		lock_release(&q->lock, token);
		return;
	}
}

bool sched_block(struct vcpu *vc)
{
	lock_token token;
	struct sched_queue *q = lock_queue(vc, &token);
	bool running = vc->sched.running;

	if (vc->sched.queued)
		remove(q, vc, arch_tsc());
	vc->sched.wake = false;
	if (running)
		kick(vc->sched.cpu, vc);
	lock_release(&q->lock, token);
	return !running;
}

/* --- this CPU --- */

static u64 period_ticks(void)
{
	return timer_us_to_tsc(SCHED_PERIOD_US);
}

/* Takes a vCPU that waits for another CPU: it runs now, on this one. */
static struct vcpu *steal(u32 self, u64 now)
{
	for (u32 n = 1; n < pcpu_count(); n++) {
		u32 victim = (self + n) % pcpu_count();
		struct sched_queue *q;
		struct vcpu *vc;
		lock_token token;
		u64 retry;

		if (!usable(victim))
			continue;
		q = queue_of(victim);
		if (__atomic_load_n(&q->waiting, __ATOMIC_RELAXED) == 0)
			continue;
		token = lock_take(&q->lock);
		vc = sched_pick_next(q->first, now, period_ticks(), &retry);
		if (vc != NULL) {
			remove(q, vc, now);
			/* From here on it is this CPU's, and nobody takes it for asleep. */
			vc->sched.running = true;
			change_queue(vc, q, self);
		}
		lock_release(&q->lock, token);
		if (vc != NULL)
			return vc;
	}
	return NULL;
}

/* Makes vc, in no queue any more, the one that runs. Lock held. */
static void run(struct sched_queue *q, struct vcpu *vc, u64 now, u64 *until)
{
	struct sched_vcpu *s = &vc->sched;
	u64 turn = timer_us_to_tsc(SCHED_SLICE_US);

	q->current = vc;
	set_load(q, q->load + s->weight);
	s->running = true;
	s->wake = false;
	s->run_start = now;
	/* What made it run also is what a kick before now wanted. */
	__atomic_and_fetch(&vc->kick, ~KICK_LEAVE, __ATOMIC_RELAXED);
	*until = now + min_u64(turn, sched_budget(s, now, period_ticks()));
}

struct vcpu *sched_pick(u64 *until)
{
	struct pcpu *pc = pcpu_self();
	struct sched_queue *q = pc->sched;
	u64 now = arch_tsc(), retry;
	struct vcpu *vc;
	lock_token token;

	ASSERT(!arch_irq_enabled());
	if (q == NULL)
		return NULL;
	token = lock_take(&q->lock);
	ASSERT(q->current == NULL);
	vc = sched_pick_next(q->first, now, period_ticks(), &retry);
	if (vc != NULL) {
		remove(q, vc, now);
		run(q, vc, now, until);
	}
	/* Who is over its cap may run again before the turn of the other ends. */
	if (retry != UINT64_MAX)
		timer_start(&q->timer, retry);
	lock_release(&q->lock, token);
	if (vc != NULL)
		return vc;
	vc = steal(pc->index, now);
	if (vc == NULL)
		return NULL;
	token = lock_take(&q->lock);
	run(q, vc, now, until);
	lock_release(&q->lock, token);
	return vc;
}

bool sched_runnable(void)
{
	u64 now = arch_tsc(), retry;

	if (pcpu_self()->sched == NULL)
		return false;
	for (u32 i = 0; i < pcpu_count(); i++) {
		struct sched_queue *q;
		lock_token token;
		bool found;

		if (!usable(i))
			continue;
		q = queue_of(i);
		if (__atomic_load_n(&q->waiting, __ATOMIC_RELAXED) == 0)
			continue;
		token = lock_take(&q->lock);
		found = sched_pick_next(q->first, now, period_ticks(), &retry) != NULL;
		lock_release(&q->lock, token);
		if (found)
			return true;
	}
	return false;
}

/*
 * Where a vCPU that must wait for its next turn here had better wait. Three vCPUs on two CPUs go round:
 * each has two thirds of a CPU, though no placement is even. Lock held.
 */
static u32 better_cpu(const struct sched_queue *q)
{
	u32 self = pcpu_self()->index, other;

	if (q->first == NULL)
		return self;
	other = least_loaded_other(self);
	return load_of(other) <= q->load ? other : self;
}

void sched_put(struct vcpu *vc, bool requeue)
{
	struct sched_queue *q = pcpu_self()->sched;
	struct sched_vcpu *s = &vc->sched;
	u64 now = arch_tsc();
	u32 target = s->cpu;
	lock_token token;

	ASSERT(!arch_irq_enabled());
	token = lock_take(&q->lock);
	ASSERT(q->current == vc);
	sched_charge(s, now - s->run_start, now, period_ticks());
	raise_floor(q, now);
	q->current = NULL;
	set_load(q, q->load - s->weight);
	s->run_start = 0;
	requeue |= s->wake;
	s->wake = false;
	if (requeue)
		target = better_cpu(q);
	if (requeue && target == s->cpu)
		insert(q, vc, now);
	if (!requeue || target == s->cpu) {
		s->running = false;
		lock_release(&q->lock, token);
		return;
	}
	/* It stays "running" on its way, so that nobody frees it. */
	change_queue(vc, q, target);
	lock_release(&q->lock, token);
	q = lock_queue(vc, &token);
	s->running = false;
	insert(q, vc, now);
	/* It waited its turn here, and does there, too. */
	if (q->current == NULL)
		kick(target, NULL);
	lock_release(&q->lock, token);
}

void sched_give_way(struct vcpu *vc)
{
	struct sched_queue *q = pcpu_self()->sched;
	const struct vcpu *next = NULL;
	lock_token token = lock_take(&q->lock);

	/* Behind the one that is next, and no further: a spinning vCPU keeps its share. */
	for (const struct vcpu *o = q->first; o != NULL; o = o->sched.next) {
		if (next == NULL || vtime_before(o->sched.vtime, next->sched.vtime))
			next = o;
	}
	if (next != NULL && !vtime_before(next->sched.vtime, vc->sched.vtime))
		vc->sched.vtime = next->sched.vtime + 1;
	lock_release(&q->lock, token);
}

bool sched_contended(void)
{
	return __atomic_load_n(&pcpu_self()->sched->waiting, __ATOMIC_RELAXED) != 0;
}

u64 sched_used(struct vcpu *vc)
{
	lock_token token;
	struct sched_queue *q = lock_queue(vc, &token);
	u64 now = arch_tsc(), used = vc->sched.used;

	if (vc->sched.run_start != 0)
		used += now - vc->sched.run_start;
	lock_release(&q->lock, token);
	return used;
}
