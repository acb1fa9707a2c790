/* SPDX-License-Identifier: MIT */
/*
 * All interleavings of a few small threads, with the store buffers of x86 (SDM vol. 3A 9.2.3.2): a store
 * that is not locked waits in its CPU's buffer, which that CPU reads first and which drains, in order,
 * when it likes. Include this file before all others (flags: -include): each access by one of the
 * builtins below is then a step, and between any two steps any other thread may go on.
 */
#ifndef FAKE_STEPS_H
#define FAKE_STEPS_H

#include <tern/types.h>

#define FAKE_STEPS_THREADS 4u

/* --- for the threads; each is one step. Outside of a thread they do nothing but the access. --- */
bool fake_steps_load(const volatile void *at, size_t size, u64 *value);
bool fake_steps_store(volatile void *at, size_t size, u64 value, int order);
void fake_steps_locked(void);
void fake_steps_learn(u64 value);
/* A step of another kind; value is what the thread learns from it. */
void fake_steps_other(u64 value);
/* Not a step: all that the thread has learned matters no more, but for value. */
void fake_steps_at(u64 value);
/* A loop that looks again when another thread has changed something. What this one has read since its
 * last locked access, or fake_steps_at(), may matter only in where it reads again. */
void fake_steps_wait(void);

#define __atomic_load_n(p, order)                                            \
	({                                                                   \
		u64 value_ = 0;                                              \
		bool own_ = fake_steps_load((p), sizeof(*(p)), &value_);     \
		own_ ? (__typeof__(*(p)))value_ : __atomic_load_n(p, order); \
	})
#define __atomic_store_n(p, v, order)                                       \
	({                                                                  \
		__typeof__(*(p)) new_ = (v);                                \
		if (!fake_steps_store((p), sizeof(*(p)), (u64)new_, order)) \
			__atomic_store_n(p, new_, order);                   \
	})
#define __atomic_add_fetch(p, v, order)                                  \
	({                                                               \
		fake_steps_locked();                                     \
		__typeof__(*(p)) sum_ = __atomic_add_fetch(p, v, order); \
		fake_steps_learn((u64)sum_);                             \
		sum_;                                                    \
	})

/* --- for the test --- */
struct fake_steps {
	u32 count;               /* threads */
	void (*run)(u32 thread); /* what each does */
	void (*reset)(void);     /* before each interleaving */
	u64 (*hash)(void);       /* of all memory that the threads share */
};
struct fake_steps_result {
	u64 states, ends;  /* that are different; interleavings that ran to their end */
	const char *wrong; /* NULL: nothing */
};
/* Follows all interleavings until one goes wrong. */
struct fake_steps_result fake_steps_explore(const struct fake_steps *s);
/* This interleaving is wrong. */
void fake_steps_fail(const char *why);

#endif
