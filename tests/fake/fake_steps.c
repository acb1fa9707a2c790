/* SPDX-License-Identifier: MIT */
/*
 * Depth first, each interleaving from the start; one that comes to a state seen before ends there. What
 * a thread has learned by its steps is all that it can differ in, so that is its state.
 */
#include "fake_steps.h"

#undef __atomic_load_n
#undef __atomic_store_n
#undef __atomic_add_fetch

#include <sanitizer/asan_interface.h>
#include <stdlib.h>
#include <string.h>
#include <tern/pcpu.h>
#include <tests/fake/fake_host.h>

#define STACK   65536u
#define BUFFER  8u
#define DEPTH   4096u
#define STATES  (1u << 22)
#define CHOICES (2 * FAKE_STEPS_THREADS)

struct store {
	volatile void *at;
	size_t size;
	u64 value;
};

static struct thread {
	void *sp; /* while it does not run */
	char stack[STACK] ALIGNED(16);
	struct store buffer[BUFFER];
	u32 buffered;
	u64 learned; /* hash of what its steps told it */
	u64 kept;    /* the same, as of its last locked access */
	u64 last;    /* where it read last */
	u64 changes; /* that it has looked at */
	bool done, waits;
} threads[FAKE_STEPS_THREADS];

static struct {
	u8 options[CHOICES], count, at;
} path[DEPTH];

static u64 *seen; /* hash table of states; 0: free */
static const struct fake_steps *now;
static void *main_sp;
static u64 changes;            /* of memory, in this interleaving */
static struct thread *running; /* NULL: no thread */
static const char *wrong;

static u64 mix(u64 a, u64 b)
{
	a = a * 0x9e3779b97f4a7c15 + b + 0x632be59bd9b4e019;
	a = (a ^ a >> 32) * 0xd6e8feb86659fd93;
	return a ^ a >> 32;
}

static void changed(void)
{
	changes++;
	for (u32 i = 0; i < now->count; i++)
		threads[i].waits = false;
}

static void write_memory(const struct store *s)
{
	if (s->size == 8)
		*(volatile u64 *)s->at = s->value;
	else if (s->size == 4)
		*(volatile u32 *)s->at = (u32)s->value;
	else
		abort();
	changed();
}

static void drain_one(struct thread *t)
{
	write_memory(&t->buffer[0]);
	t->buffered--;
	memmove(&t->buffer[0], &t->buffer[1], t->buffered * sizeof(t->buffer[0]));
}

/* Saves the registers of a function call and the stack pointer; goes on where the other one is. */
void fake_steps_switch(void **from, void *to);
__asm__(".pushsection .text\n"
	"fake_steps_switch:\n"
	"push %rbp; push %rbx; push %r12; push %r13; push %r14; push %r15\n"
	"mov %rsp, (%rdi); mov %rsi, %rsp\n"
	"pop %r15; pop %r14; pop %r13; pop %r12; pop %rbx; pop %rbp\n"
	"ret\n"
	".popsection");

static void yield(void)
{
	fake_steps_switch(&running->sp, main_sp);
}

bool fake_steps_load(const volatile void *at, size_t size, u64 *value)
{
	if (running == NULL)
		return false;
	yield();
	running->last = (u64)at;
	for (u32 i = running->buffered; i-- > 0;) {
		if (running->buffer[i].at == at) {
			*value = running->buffer[i].value;
			running->learned = mix(running->learned, *value);
			return true;
		}
	}
	memcpy(value, (const void *)(u64)at, size);
	running->learned = mix(running->learned, *value);
	return false;
}

bool fake_steps_store(volatile void *at, size_t size, u64 value, int order)
{
	struct store s = {at, size, value};

	if (running == NULL)
		return false;
	yield();
	if (order == __ATOMIC_SEQ_CST) {
		while (running->buffered > 0)
			drain_one(running);
		write_memory(&s);
	} else {
		if (running->buffered == BUFFER)
			drain_one(running);
		running->buffer[running->buffered++] = s;
	}
	return true;
}

void fake_steps_locked(void)
{
	if (running == NULL)
		return;
	yield();
	while (running->buffered > 0)
		drain_one(running);
	changed();
	running->kept = running->learned;
}

void fake_steps_learn(u64 value)
{
	if (running == NULL)
		return;
	running->learned = mix(running->learned, value);
	running->kept = running->learned;
}

void fake_steps_other(u64 value)
{
	changed();
	running->learned = mix(running->learned, value);
	yield();
}

void fake_steps_at(u64 value)
{
	running->learned = running->kept = mix(2, value);
}

void fake_steps_wait(void)
{
	running->learned = mix(running->kept, running->last);
	/* What has changed since it began to look may have been behind its back. */
	running->waits = running->changes == changes;
	running->changes = changes;
	yield();
}

void fake_steps_fail(const char *why)
{
	wrong = why;
	yield();
}

static void entry(void)
{
	now->run((u32)(running - threads));
	running->done = true;
	changed();
	yield();
}

/* As if it had called fake_steps_switch() as the first thing in entry(). */
static void start(struct thread *t)
{
	u64 *sp = (u64 *)(void *)(t->stack + STACK - 16);

	*--sp = 0; /* where entry() would return to */
	*--sp = (u64)entry;
	sp -= 6;
	memset(sp, 0, 6 * sizeof(*sp));
	t->sp = sp;
}

static void reset(void)
{
	running = NULL;
	changes = 0;
	for (u32 i = 0; i < now->count; i++) {
		struct thread *t = &threads[i];

		/* What the last interleaving left of its calls. */
		ASAN_UNPOISON_MEMORY_REGION(t->stack, STACK);
		t->buffered = 0;
		t->learned = t->kept = mix(3, i);
		t->last = t->changes = 0;
		t->done = t->waits = false;
		start(t);
	}
	now->reset();
}

static u64 state(void)
{
	u64 h = now->hash();

	for (u32 i = 0; i < now->count; i++) {
		const struct thread *t = &threads[i];

		h = mix(h, t->learned + t->done + 2u * t->waits + 4u * (t->changes == changes));
		for (u32 n = 0; n < t->buffered; n++)
			h = mix(mix(h, (u64)t->buffer[n].at), t->buffer[n].value);
		h = mix(h, t->buffered);
	}
	return h == 0 ? 1 : h;
}

/* True when it is new. */
static bool remember(u64 h)
{
	for (u64 i = h;; i++) {
		if (seen[i % STATES] == h)
			return false;
		if (seen[i % STATES] == 0) {
			seen[i % STATES] = h;
			return true;
		}
	}
}

static void find_options(u32 depth)
{
	path[depth].count = path[depth].at = 0;
	for (u32 i = 0; i < now->count; i++) {
		if (!threads[i].done && !threads[i].waits)
			path[depth].options[path[depth].count++] = (u8)(2 * i);
		if (threads[i].buffered > 0)
			path[depth].options[path[depth].count++] = (u8)(2 * i + 1);
	}
}

static void take(u32 depth)
{
	u8 option = path[depth].options[path[depth].at];
	struct thread *t = &threads[option / 2];

	if (option % 2 != 0) {
		drain_one(t);
		return;
	}
	running = t;
	t->learned = mix(t->learned, 1); /* that it is one step further */
	fake_cpu_set(option / 2);
	fake_steps_switch(&main_sp, t->sp);
	running = NULL;
}

static bool all_done(void)
{
	for (u32 i = 0; i < now->count; i++) {
		if (!threads[i].done)
			return false;
	}
	return true;
}

struct fake_steps_result fake_steps_explore(const struct fake_steps *s)
{
	struct fake_steps_result r = {0};
	u32 known = 0; /* steps of path[] to be gone again */

	now = s;
	wrong = NULL;
	seen = calloc(STATES, sizeof(*seen));
	do {
		u32 depth = 0;

		reset();
		for (;; depth++) {
			if (depth == DEPTH || r.states > STATES / 2)
				abort();
			if (depth >= known) {
				if (!remember(state()))
					break;
				r.states++;
				find_options(depth);
				if (path[depth].count == 0) {
					r.ends++;
					if (!all_done())
						wrong = "all wait for each other";
					break;
				}
			}
			take(depth);
			if (wrong != NULL)
				break;
		}
		known = depth;
		while (known > 0 && path[known - 1].at + 1 == path[known - 1].count)
			known--;
		if (known > 0)
			path[known - 1].at++;
	} while (known > 0 && wrong == NULL);
	free(seen);
	r.wrong = wrong;
	return r;
}
