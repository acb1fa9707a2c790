/* SPDX-License-Identifier: MIT */
/* Ticket spinlocks: first come, first served. Debug builds check the order of taking them. */
#include <tern/arch.h>
#include <tern/err.h>
#include <tern/lock.h>
#include <tern/pcpu.h>

static bool panicking; /* (a) set once, never cleared */

static bool lock_ignored(void)
{
	return UNLIKELY(__atomic_load_n(&panicking, __ATOMIC_RELAXED));
}

/*
 * Every lock this CPU holds must have a lower rank: then no two CPUs can wait for each other in a
 * circle. The highest held rank is searched, because lock_try() may have added a lower one last.
 */
static void rank_check(const struct pcpu *pc, const struct spinlock *lock)
{
	for (u32 i = 0; i < pc->rank_count; i++) {
		if (pc->ranks[i] >= lock->rank)
			panic("lock order: \"%s\" (rank %u) taken while \"%s\" (rank %u) is held",
			      lock->name, lock->rank, pc->rank_names[i], pc->ranks[i]);
	}
}

static void rank_push(struct pcpu *pc, const struct spinlock *lock)
{
	pc->ranks[pc->rank_count] = lock->rank;
	pc->rank_names[pc->rank_count] = lock->name;
	pc->rank_count++;
}

/* Room is checked before a lock is taken, so that nothing is half done when it panics. */
static void rank_check_room(const struct pcpu *pc, const struct spinlock *lock)
{
	if (pc->rank_count >= PCPU_RANKS_MAX)
		panic("lock \"%s\" would be number %u held by this CPU, the limit is %u",
		      lock->name, pc->rank_count + 1, PCPU_RANKS_MAX);
}

/* Usually the newest; locks may be released in another order than they were taken. */
static void rank_pop(struct pcpu *pc, const struct spinlock *lock)
{
	u32 i = pc->rank_count;

	while (i > 0 && (pc->ranks[i - 1] != lock->rank || pc->rank_names[i - 1] != lock->name))
		i--;
	if (i == 0)
		panic("lock \"%s\" is released but not in this CPU's list", lock->name);
	for (; i < pc->rank_count; i++) {
		pc->ranks[i - 1] = pc->ranks[i];
		pc->rank_names[i - 1] = pc->rank_names[i];
	}
	pc->rank_count--;
}

static void lock_taken(struct spinlock *lock, struct pcpu *pc)
{
	__atomic_store_n(&lock->cpu, (u16)(pc->index + 1), __ATOMIC_RELAXED);
	if (TERN_DEBUG)
		rank_push(pc, lock);
}

bool lock_wait(struct spinlock *lock, u32 ticket)
{
	/* Without this test a CPU would wait for itself, silently, for ever. */
	if (!lock_ignored() && lock_held(lock))
		panic("lock \"%s\" is taken twice by CPU %u", lock->name, pcpu_self()->index);
	while (__atomic_load_n(&lock->owner, __ATOMIC_ACQUIRE) != ticket) {
		if (lock_ignored())
			return false;
		arch_relax();
	}
	return true;
}

lock_token lock_take(struct spinlock *lock)
{
	lock_token token = {.irqs_were_on = arch_irq_off()};
	struct pcpu *pc = pcpu_self();
	u32 ticket;

	if (TERN_DEBUG && !lock_ignored()) {
		if (lock_held(lock))
			panic("lock \"%s\" is taken twice by CPU %u", lock->name, pc->index);
		rank_check(pc, lock);
		rank_check_room(pc, lock);
	}
	ticket = __atomic_fetch_add(&lock->next, 1, __ATOMIC_RELAXED);
	if (LIKELY(__atomic_load_n(&lock->owner, __ATOMIC_ACQUIRE) == ticket) ||
	    lock_wait(lock, ticket))
		lock_taken(lock, pc);
	return token;
}

bool lock_try(struct spinlock *lock, lock_token *token)
{
	bool irqs_were_on = arch_irq_off();
	u32 ticket;

	token->irqs_were_on = irqs_were_on;
	if (lock_ignored())
		return true;
	if (TERN_DEBUG)
		rank_check_room(pcpu_self(), lock);
	/* The lock is free when the ticket being served is the next one to be handed out. */
	ticket = __atomic_load_n(&lock->owner, __ATOMIC_ACQUIRE);
	if (__atomic_compare_exchange_n(&lock->next, &ticket, ticket + 1, false, __ATOMIC_ACQUIRE,
					__ATOMIC_RELAXED)) {
		lock_taken(lock, pcpu_self());
		return true;
	}
	if (irqs_were_on)
		arch_irq_on();
	return false;
}

/* A panicking CPU releases what it never got. */
static __attribute__((noinline)) void lock_not_held(const struct spinlock *lock)
{
	if (!lock_ignored())
		panic("lock \"%s\" is released by a CPU that does not hold it", lock->name);
}

void lock_release(struct spinlock *lock, lock_token token)
{
	if (LIKELY(lock_held(lock))) {
		if (TERN_DEBUG && !lock_ignored())
			rank_pop(pcpu_self(), lock);
		__atomic_store_n(&lock->cpu, 0, __ATOMIC_RELAXED);
		/* Only the holder writes owner. */
		__atomic_store_n(&lock->owner, lock->owner + 1, __ATOMIC_RELEASE);
	} else {
		lock_not_held(lock);
	}
	if (token.irqs_were_on)
		arch_irq_on();
}

bool lock_held(const struct spinlock *lock)
{
	return __atomic_load_n(&lock->cpu, __ATOMIC_RELAXED) == pcpu_self()->index + 1;
}

void lock_panic(void)
{
	__atomic_store_n(&panicking, true, __ATOMIC_RELAXED);
}
