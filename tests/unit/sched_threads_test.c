/* SPDX-License-Identifier: MIT */
/* links: hv/sched/sched.c hv/sched/sched_pick.c hv/timer.c hv/lock.c tests/fake/fake_frames.c tests/fake/fake_host.c */
/* flags: -fno-sanitize=address -fsanitize=thread */
/*
 * The run queues with a thread for each CPU: vCPUs are picked, stolen, put, woken, paused, destroyed and
 * made anew at once. None runs twice, none is lost, and none is used after it is gone.
 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <tern/sched.h>
#include <tern/timer.h>
#include <tern/trace.h>
#include <tern/vm.h>
#include <tests/fake/fake_frames.h>
#include <tests/fake/fake_host.h>

#define CPUS   4u
#define VMS    3u
#define VCPUS  4u    /* of a VM */
#define STEPS  3000u /* of a CPU, in each of so many rounds */
#define ROUNDS 40u

/* In a thread, where cmocka cannot end the test. */
#define REQUIRE(cond)                                                              \
	do {                                                                       \
		if (!(cond)) {                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond); \
			abort();                                                   \
		}                                                                  \
	} while (0)

/* The ring's fences are beyond the sanitizer. */
void trace_write(enum trace_event event, u64 a, u64 b)
{
	(void)event;
	(void)a;
	(void)b;
}

/* What this test knows of a vCPU. */
struct guest {
	struct vcpu vc;
	u32 runner; /* (a) index of the CPU that runs it + 1 */
	u32 wanted; /* (a) wakes that no turn has answered */
};

static struct {
	struct vm vm;
	struct guest *guests[VCPUS]; /* the VM's lock */
} vms[VMS];

static u64 turns, lives; /* (a) */
static u32 seeds[CPUS];

static u32 rnd(u32 n)
{
	u32 *seed = &seeds[pcpu_self()->index];

	*seed = *seed * 1664525 + 1013904223;
	return (u32)(((u64)(*seed >> 8) * n) >> 24);
}

static bool vm_runs(const struct vm *vm)
{
	return __atomic_load_n(&vm->state, __ATOMIC_ACQUIRE) == VM_RUNNING;
}

static void set_state(struct vm *vm, enum vm_state state)
{
	__atomic_store_n(&vm->state, state, __ATOMIC_RELEASE);
}

static void make_guests(u32 v)
{
	for (u32 i = 0; i < VCPUS; i++) {
		struct guest *g = calloc(1, sizeof(*g));

		g->vc.vm = &vms[v].vm;
		sched_vcpu_init(&g->vc, 64u << (v + i), v == 1 ? 10 + 20 * i : 0);
		vms[v].guests[i] = g;
	}
}

/* --- what a CPU does; IRQs are off --- */

static struct guest *guest_of(struct vcpu *vc)
{
	return container_of(vc, struct guest, vc);
}

/* A turn, as vcpu_run_slice() has them. */
static void turn(void)
{
	u32 self = pcpu_self()->index, was;
	bool goes_on = false;
	struct guest *g;
	struct vcpu *vc;
	u64 until;

	vc = sched_pick(&until);
	if (vc == NULL)
		return;
	g = guest_of(vc);
	was = __atomic_exchange_n(&g->runner, self + 1, __ATOMIC_ACQ_REL);
	REQUIRE(was == 0);
	REQUIRE(__atomic_load_n(&vc->sched.cpu, __ATOMIC_RELAXED) == self);
	__atomic_fetch_add(&turns, 1, __ATOMIC_RELAXED);
	if (vm_runs(vc->vm)) {
		__atomic_store_n(&g->wanted, 0, __ATOMIC_RELEASE);
		for (u32 i = rnd(4); i > 0 && __atomic_load_n(&vc->kick, __ATOMIC_ACQUIRE) == 0;
		     i--)
			sched_yield();
		__atomic_store_n(&vc->kick, 0, __ATOMIC_RELEASE);
		if (rnd(8) == 0)
			sched_give_way(vc);
		goes_on = rnd(2) == 0;
	}
	was = __atomic_exchange_n(&g->runner, 0, __ATOMIC_ACQ_REL);
	REQUIRE(was == self + 1);
	sched_put(vc, goes_on && vm_runs(vc->vm));
}

static void wake_one(u32 v)
{
	lock_token token = lock_take(&vms[v].vm.lock);
	struct guest *g = vms[v].guests[rnd(VCPUS)];

	if (vm_runs(&vms[v].vm)) {
		__atomic_fetch_add(&g->wanted, 1, __ATOMIC_RELEASE);
		sched_wake(&g->vc);
		(void)sched_used(&g->vc);
	}
	lock_release(&vms[v].vm.lock, token);
}

/* True when none of its vCPUs runs or will. */
static bool block_all(u32 v)
{
	bool rest = true;

	for (u32 i = 0; i < VCPUS; i++) {
		struct guest *g = vms[v].guests[i];

		if (!sched_block(&g->vc))
			rest = false;
		else
			REQUIRE(__atomic_load_n(&g->runner, __ATOMIC_ACQUIRE) == 0);
	}
	return rest;
}

static void pause_or_resume(u32 v)
{
	struct vm *vm = &vms[v].vm;
	lock_token token = lock_take(&vm->lock);

	if (vm->state == VM_RUNNING) {
		set_state(vm, VM_PAUSED);
		(void)block_all(v);
	} else if (vm->state == VM_PAUSED) {
		set_state(vm, VM_RUNNING);
		for (u32 i = 0; i < VCPUS; i++)
			sched_wake(&vms[v].guests[i]->vc);
	}
	lock_release(&vm->lock, token);
}

/* The VM dies and another takes its place. */
static void live_anew(u32 v)
{
	struct vm *vm = &vms[v].vm;
	lock_token token = lock_take(&vm->lock);
	bool mine = vm->state != VM_DYING, rest = false;

	if (mine)
		set_state(vm, VM_DYING);
	lock_release(&vm->lock, token);
	while (mine && !rest) {
		token = lock_take(&vm->lock);
		rest = block_all(v);
		lock_release(&vm->lock, token);
		arch_relax();
	}
	if (!mine)
		return;
	for (u32 i = 0; i < VCPUS; i++)
		free(vms[v].guests[i]);
	token = lock_take(&vm->lock);
	make_guests(v);
	set_state(vm, VM_PAUSED);
	lock_release(&vm->lock, token);
	__atomic_fetch_add(&lives, 1, __ATOMIC_RELAXED);
}

static void *cpu(void *arg)
{
	u32 self = (u32)(u64)arg;

	fake_cpu_set(self);
	arch_irq_off();
	for (u32 i = 0; i < STEPS; i++) {
		u32 v = rnd(VMS), what = rnd(1000);

		if (fake_armed[self] <= arch_tsc())
			timer_interrupt();
		if (what < 500)
			turn();
		else if (what < 900)
			wake_one(v);
		else if (what < 940)
			(void)(sched_runnable() && sched_contended());
		else if (what < 998)
			pause_or_resume(v);
		else
			live_anew(v);
	}
	return NULL;
}

static void setup(void)
{
	fake_reset();
	fake_cpus(CPUS);
	fake_frames_reset(64);
	for (u32 i = 0; i < CPUS; i++) {
		seeds[i] = i + 1;
		assert_int_equal(timer_cpu_init(pcpu_get(i)), 0);
		assert_int_equal(sched_cpu_init(pcpu_get(i)), 0);
	}
	for (u32 v = 0; v < VMS; v++) {
		vms[v].vm.lock = (struct spinlock)SPINLOCK_INIT(RANK_VM, "VM");
		vms[v].vm.state = VM_PAUSED;
		make_guests(v);
	}
}

/* Who was woken and has not had its turn is in a queue. */
static void check_none_is_lost(void)
{
	for (u32 v = 0; v < VMS; v++) {
		for (u32 i = 0; i < VCPUS; i++) {
			const struct guest *g = vms[v].guests[i];

			assert_int_equal(g->runner, 0);
			assert_false(g->vc.sched.running);
			if (vms[v].vm.state == VM_RUNNING && g->wanted > 0)
				assert_true(g->vc.sched.queued);
		}
	}
}

/* All are out of the queues: then a CPU has no load, and a vCPU that was there wakes up there. */
static void check_loads(void)
{
	for (u32 v = 0; v < VMS; v++)
		assert_true(block_all(v));
	for (u32 i = 0; i < CPUS; i++) {
		struct vcpu *vc = &vms[0].guests[0]->vc;
		u64 until;

		fake_cpu_set(i);
		assert_false(sched_contended());
		assert_false(sched_runnable());
		assert_null(sched_pick(&until));
		sched_vcpu_init(vc, SCHED_WEIGHT_MAX, 0);
		sched_wake(vc);
		assert_int_equal(vc->sched.cpu, i);
		assert_true(sched_block(vc));
	}
	fake_cpu_set(0);
}

static void test_threads(void **state)
{
	pthread_t threads[CPUS];

	(void)state;
	setup();
	arch_irq_off();
	for (u32 n = 0; n < ROUNDS; n++) {
		for (u32 i = 0; i < CPUS; i++)
			assert_int_equal(pthread_create(&threads[i], NULL, cpu, (void *)(u64)i), 0);
		for (u32 i = 0; i < CPUS; i++)
			pthread_join(threads[i], NULL);
		check_none_is_lost();
	}
	print_message("%lu turns, %lu lives\n", (unsigned long)turns, (unsigned long)lives);
	assert_true(turns > STEPS / 10 && lives > 20);
	check_loads();
	for (u32 v = 0; v < VMS; v++) {
		for (u32 i = 0; i < VCPUS; i++)
			free(vms[v].guests[i]);
	}
	arch_irq_on();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
