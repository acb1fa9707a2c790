/* SPDX-License-Identifier: MIT */
/*
 * Spinlocks with ranks (hv/lock.c). A CPU takes locks only in rising rank; debug builds check it
 * and panic naming both locks. docs/locking.md lists the ranks and what each lock guards.
 */
#ifndef TERN_LOCK_H
#define TERN_LOCK_H

#include <tern/err.h>
#include <tern/pcpu.h>
#include <tern/types.h>

enum lock_rank {
	RANK_SHELL = 5,
	RANK_BUS = 8,
	RANK_SWITCH = 9,
	RANK_VM = 10,
	RANK_SCHED = 15,
	RANK_GMEM = 20,
	RANK_HPT = 30,
	RANK_SCRUB = 35,
	RANK_FRAMES = 40,
	RANK_NETDEV = 45,
	RANK_PCI = 50,
	RANK_IRQ = 55,
	RANK_TIMER = 60,
	RANK_LOG = 90,
	RANK_CONSOLE = 95,
};

struct spinlock {
	u32 next;  /* (a) ticket to hand out */
	u32 owner; /* (a) ticket being served */
	u16 rank;  /* (c) enum lock_rank */
	u16 cpu;   /* (a) index of the holder + 1; 0: free */
	const char *name;
};

#define SPINLOCK_INIT(r, n)                                                    \
	{                                                                      \
		.next = 0, .owner = 0, .rank = (u16)(r), .cpu = 0, .name = (n) \
	}

/* Takes the lock with interrupts off on this CPU; the token goes back to lock_release(). */
typedef struct {
	bool irqs_were_on;
} lock_token;

/* Needs the per-CPU block. Panics when this CPU holds the lock already. Any context but NMI. */
MUST_CHECK lock_token lock_take(struct spinlock *lock);
/* Takes the lock only if it is free now. It never waits, so its rank need not be higher than those
 * held; *token is valid when it returns true. */
MUST_CHECK bool lock_try(struct spinlock *lock, lock_token *token);
void lock_release(struct spinlock *lock, lock_token token);
/* Waits until the ticket is served; false: it is not to wait, see lock_panic(). For the inline one below. */
bool lock_wait(struct spinlock *lock, u32 ticket);
/* lock_take() and lock_release() where interrupts are off already and stay off: what every exit goes through, inline. */
static inline void lock_take_irqs_off(struct spinlock *lock)
{
	u32 ticket;

	if (TERN_DEBUG) {
		(void)!lock_take(lock).irqs_were_on;
		return;
	}
	ticket = __atomic_fetch_add(&lock->next, 1, __ATOMIC_RELAXED);
	if (LIKELY(__atomic_load_n(&lock->owner, __ATOMIC_ACQUIRE) == ticket) ||
	    lock_wait(lock, ticket))
		__atomic_store_n(&lock->cpu, (u16)(pcpu_self()->index + 1), __ATOMIC_RELAXED);
}

static inline void lock_release_irqs_off(struct spinlock *lock)
{
	if (TERN_DEBUG || __atomic_load_n(&lock->cpu, __ATOMIC_RELAXED) != pcpu_self()->index + 1) {
		lock_release(lock, (lock_token){.irqs_were_on = false});
		return;
	}
	__atomic_store_n(&lock->cpu, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&lock->owner, lock->owner + 1, __ATOMIC_RELEASE);
}

/* True when this CPU holds it. For ASSERT; during a panic it tells who held it before. */
bool lock_held(const struct spinlock *lock);

/* From now on locks are neither taken nor waited for: only the panicking CPU still runs, and it
 * must get through whatever a stopped CPU holds. Called once, by panic. Any context. */
void lock_panic(void);

#endif
