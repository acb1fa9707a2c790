/* SPDX-License-Identifier: MIT */
/* links: $(NODE) */
/* The pick rule, and run queues of several CPUs whose guests spin, sleep and wake each other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <hv/sched/sched_pick.h>
#include <tern/err.h>
#include <tern/timer.h>
#include <tests/fake/fake_frames.h>
#include <tests/fake/fake_host.h>
#include <tests/fake/fake_virt.h>

#define MS 1000000ull /* ticks: the fake TSC runs at 1 GHz */

/* CPUs in simulated time: what each runs, and when it is done with that. */
static struct {
	struct vcpu *vc;
	u64 until;
	bool sleeps; /* its vCPU halts at the end of this turn */
} cpu_state[4];
static u32 cpus;
static u64 clock;
static struct vm *napper; /* its vCPUs run 1 ms and halt; everybody else spins */

static void start(u32 n)
{
	fake_node_start(n, 8192);
	memset(cpu_state, 0, sizeof(cpu_state));
	cpus = n;
	clock = fake_tsc = MS;
	napper = NULL;
}

static bool kicked(u32 cpu)
{
	struct vcpu *vc = cpu_state[cpu].vc;

	return vc != NULL && vc->kick != 0;
}

/* One turn ends on a CPU, the next begins. */
static void turn(u32 cpu)
{
	struct vcpu *vc = cpu_state[cpu].vc;
	bool sleeps = cpu_state[cpu].sleeps && !kicked(cpu);

	fake_cpu_set(cpu);
	arch_irq_off();
	if (fake_armed[cpu] <= fake_tsc)
		timer_interrupt();
	if (vc != NULL) {
		if (sleeps)
			vc->state = VCPU_HALTED;
		sched_put(vc, !sleeps && vc->vm->state == VM_RUNNING);
	}
	do {
		vc = sched_pick(&cpu_state[cpu].until);
		if (vc != NULL && vc->vm->state != VM_RUNNING) {
			sched_put(vc, false);
			continue;
		}
		break;
	} while (true);
	cpu_state[cpu].vc = vc;
	cpu_state[cpu].sleeps = vc != NULL && vc->vm == napper;
	if (vc == NULL)
		cpu_state[cpu].until = fake_tsc + MS / 10; /* looks again */
	else if (cpu_state[cpu].sleeps)
		cpu_state[cpu].until = fake_tsc + MS;
	arch_irq_on();
	fake_cpu_set(0);
}

/* Lets all CPUs run until a time. */
static void run_until(u64 end)
{
	for (;;) {
		u32 cpu = 0;

		for (u32 i = 0; i < cpus; i++) {
			if (kicked(i) || fake_armed[i] <= fake_tsc)
				cpu_state[i].until = fake_tsc;
			if (cpu_state[i].until < cpu_state[cpu].until)
				cpu = i;
		}
		if (cpu_state[cpu].until >= end && fake_tsc >= end - MS)
			break;
		if (cpu_state[cpu].until > end) {
			fake_tsc = end;
			break;
		}
		if (cpu_state[cpu].until > fake_tsc)
			fake_tsc = cpu_state[cpu].until;
		turn(cpu);
	}
	clock = fake_tsc;
}

/* All CPUs are out of their guests. */
static void stop_all(void)
{
	for (u32 i = 0; i < cpus; i++) {
		fake_cpu_set(i);
		arch_irq_off();
		if (cpu_state[i].vc != NULL)
			sched_put(cpu_state[i].vc, false);
		cpu_state[i].vc = NULL;
		arch_irq_on();
	}
	fake_cpu_set(0);
}

static u64 used(const struct vm *vm)
{
	u64 sum = 0;

	for (u32 i = 0; i < vm->vcpu_count; i++)
		sum += sched_used(vm->vcpus[i]);
	return sum;
}

static void near(u64 value, u64 want, u64 percent)
{
	if (value < want - want * percent / 100 || value > want + want * percent / 100)
		fail_msg("%llu, not %llu", (unsigned long long)value, (unsigned long long)want);
}

static int teardown(void **state)
{
	(void)state;
	stop_all();
	fake_vm_end();
	fake_tsc_step = 100;
	return 0;
}

static void test_pick(void **state)
{
	struct vcpu a = {.sched = {.weight = 256, .vtime = 10}};
	struct vcpu b = {.sched = {.weight = 256, .vtime = 5, .next = &a}};
	struct vcpu c = {.sched = {.weight = 256, .vtime = UINT64_MAX - 5, .next = &b}};
	u64 retry;

	(void)state;
	assert_null(sched_pick_next(NULL, 0, 1000, &retry));
	assert_ptr_equal(sched_pick_next(&a, 0, 1000, &retry), &a);
	assert_ptr_equal(sched_pick_next(&b, 0, 1000, &retry), &b);
	assert_ptr_equal(sched_pick_next(&c, 0, 1000, &retry), &c); /* virtual time wraps */
	assert_int_equal(retry, UINT64_MAX);
	c.sched.cap = 10;
	sched_charge(&c.sched, 50, 50, 1000);
	assert_int_equal(sched_budget(&c.sched, 50, 1000), 50);
	sched_charge(&c.sched, 60, 110, 1000);
	assert_int_equal(sched_budget(&c.sched, 110, 1000), 0);
	c.sched.vtime = 0;
	assert_ptr_equal(sched_pick_next(&c, 110, 1000, &retry), &b);
	assert_int_equal(retry, 1000);
	/* The ten ticks too many are paid back in the next period. */
	assert_int_equal(sched_budget(&c.sched, 1000, 1000), 90);
	assert_int_equal(sched_budget(&c.sched, 5000, 1000), 100);
	sched_charge(&c.sched, 350, 1400, 1000);
	assert_int_equal(sched_budget(&c.sched, 4999, 1000), 40);
	assert_int_equal(c.sched.used, 460);
}

static void test_charge_is_exact(void **state)
{
	struct sched_vcpu light = {.weight = 1}, heavy = {.weight = SCHED_WEIGHT_MAX};

	(void)state;
	for (u32 i = 0; i < 1000; i++) {
		sched_charge(&light, 3, i, 0);
		sched_charge(&heavy, 3, i, 0);
	}
	assert_int_equal(light.used, 3000);
	assert_int_equal(heavy.used, 3000);
	assert_int_equal(light.vtime / heavy.vtime, SCHED_WEIGHT_MAX);
}

static void test_shares(void **state)
{
	struct vm *a, *b, *c;

	(void)state;
	start(1);
	a = fake_vm("a", 1, 256, 0);
	b = fake_vm("b", 1, 512, 0);
	c = fake_vm("c", 1, 1024, 0);
	run_until(7001 * MS);
	near(used(a), 1000 * MS, 2);
	near(used(b), 2000 * MS, 2);
	near(used(c), 4000 * MS, 2);
	near(used(a) + used(b) + used(c), 7000 * MS, 1);
}

/* The time in a queue counts, to the tick: not while it runs, sleeps or is blocked. */
static void test_waited(void **state)
{
	u64 until;
	struct sched_vcpu *s;
	struct vcpu *vc;
	struct vm *vm;

	(void)state;
	start(2);
	fake_tsc_step = 0;
	vm = fake_vm("a", 1, 256, 0);
	vc = vm->vcpus[0];
	s = &vc->sched;
	arch_irq_off();
	fake_tsc += 500;
	assert_ptr_equal(sched_pick(&until), vc);
	assert_int_equal(s->waited, 500);
	fake_tsc += 200;
	sched_put(vc, true);
	assert_int_equal(s->waited, 500);
	fake_tsc += 30;
	/* Another CPU takes it. */
	fake_cpu_set(1);
	assert_ptr_equal(sched_pick(&until), vc);
	assert_int_equal(s->waited, 530);
	fake_tsc += 1000;
	sched_put(vc, false);
	fake_tsc += 1000;
	sched_wake(vc);
	fake_tsc += 7;
	assert_true(sched_block(vc));
	assert_int_equal(s->waited, 537);
	fake_tsc += 1000;
	sched_wake(vc);
	/* Taken by a CPU whose clock is behind. */
	fake_tsc -= 50;
	assert_ptr_equal(sched_pick(&until), vc);
	assert_int_equal(s->waited, 537);
	assert_int_equal(s->used, 1200);
	sched_put(vc, false);
	arch_irq_on();
	fake_cpu_set(0);
}

static void test_cap(void **state)
{
	struct vm *a, *b, *c;

	(void)state;
	start(1);
	a = fake_vm("a", 1, 0, 20);
	run_until(3000 * MS);
	near(used(a), 600 * MS, 2);
	b = fake_vm("b", 1, 0, 0);
	run_until(6000 * MS);
	near(used(a), 1200 * MS, 2);
	near(used(b), 2400 * MS, 2);
	/* What waits for its cap does not hold the floor down for those who wake up. */
	c = fake_vm("c", 1, 0, 0);
	run_until(9000 * MS);
	near(used(a), 1800 * MS, 3);
	near(used(c), 1200 * MS, 3);
	near(used(b), 3600 * MS, 3);
}

/* Three on two CPUs go round, two go where the room is, one never moves. */
static void test_placement(void **state)
{
	struct vm *a, *b, *c;

	(void)state;
	start(2);
	a = fake_vm("a", 1, 0, 0);
	run_until(1000 * MS);
	near(used(a), 1000 * MS, 1);
	b = fake_vm("b", 1, 0, 0);
	run_until(2000 * MS);
	near(used(a), 2000 * MS, 1);
	near(used(b), 1000 * MS, 1);
	c = fake_vm("c", 1, 0, 0);
	run_until(5000 * MS);
	near(used(a), 4000 * MS, 3);
	near(used(b), 3000 * MS, 3);
	near(used(c), 2000 * MS, 3);
}

/* Who slept long has nothing saved up: it gets its share from now on, not what it missed. */
static void test_no_hoarding(void **state)
{
	struct vm *a, *b;
	u64 before;

	(void)state;
	start(1);
	a = fake_vm("a", 1, 0, 0);
	b = fake_vm("b", 1, 0, 0);
	napper = b;
	run_until(5000 * MS);
	near(used(a), 4998 * MS, 1);
	napper = NULL;
	before = used(a);
	vcpu_notify(b->vcpus[0]);
	run_until(6000 * MS);
	near(used(a) - before, 500 * MS, 5);
}

static void test_yield(void **state)
{
	struct vm *a, *b;
	u64 until;

	(void)state;
	start(1);
	a = fake_vm("a", 1, 0, 0);
	b = fake_vm("b", 1, 0, 0);
	arch_irq_off();
	assert_non_null(sched_pick(&until));
	assert_true(sched_contended());
	sched_give_way(pcpu_self() != NULL ? a->vcpus[0]->sched.running ? a->vcpus[0] : b->vcpus[0]
					   : NULL);
	sched_put(a->vcpus[0]->sched.running ? a->vcpus[0] : b->vcpus[0], true);
	assert_true(sched_runnable());
	for (u32 i = 0; i < 2; i++) {
		struct vcpu *vc = sched_pick(&until);

		assert_int_equal(vc->sched.used > 0, i == 1);
		sched_put(vc, false);
	}
	assert_false(sched_runnable());
	arch_irq_on();
}

/* A vCPU that is woken while it runs goes on instead of waiting. */
static void test_wake_while_running(void **state)
{
	struct vm *a;
	struct vcpu *vc;
	u64 until;

	(void)state;
	start(2);
	a = fake_vm("a", 1, 0, 0);
	arch_irq_off();
	vc = sched_pick(&until);
	assert_ptr_equal(vc, a->vcpus[0]);
	sched_wake(vc);
	assert_false(vc->sched.queued);
	sched_put(vc, false);
	assert_true(vc->sched.queued);
	assert_true(sched_block(vc));
	assert_false(vc->sched.queued);
	assert_null(sched_pick(&until));
	sched_wake(vc);
	sched_wake(vc);
	vc = sched_pick(&until);
	assert_false(sched_block(vc));
	assert_int_equal(vc->kick, 1);
	sched_put(vc, false);
	assert_false(vc->sched.queued);
	assert_true(sched_block(vc));
	arch_irq_on();
}

/* A CPU that has nothing takes what waits for another. */
static void test_steal(void **state)
{
	struct vm *a, *b;
	struct vcpu *first, *second;
	u64 until;

	(void)state;
	start(2);
	pcpu_get(1)->online = 0;
	a = fake_vm("a", 1, 0, 0);
	b = fake_vm("b", 1, 0, 0);
	pcpu_get(1)->online = 1;
	arch_irq_off();
	first = sched_pick(&until);
	fake_cpu_set(1);
	assert_true(sched_runnable());
	second = sched_pick(&until);
	assert_non_null(second);
	assert_ptr_not_equal(first, second);
	assert_true(first == a->vcpus[0] || first == b->vcpus[0]);
	assert_int_equal(second->sched.cpu, 1);
	sched_put(second, false);
	fake_cpu_set(0);
	sched_put(first, false);
	arch_irq_on();
}

/* A CPU that gets no run queue: an error, nothing is left behind, and the others do without it. */
static void test_no_queue(void **state)
{
	struct sched_queue *had;
	u32 frames;
	u64 until;

	(void)state;
	start(2);
	frames = fake_frames_used();
	had = pcpu_get(1)->sched;
	pcpu_get(1)->sched = NULL;
	fake_frames_left = 0;
	assert_int_equal(sched_cpu_init(pcpu_get(1)), -TERN_ENOMEM);
	fake_frames_left = UINT32_MAX;
	assert_null(pcpu_get(1)->sched);
	assert_int_equal(fake_frames_used(), frames);
	fake_vm("a", 2, 0, 0);
	fake_cpu_set(1);
	arch_irq_off();
	assert_null(sched_pick(&until));
	assert_false(sched_runnable());
	arch_irq_on();
	fake_cpu_set(0);
	run_until(100 * MS);
	assert_null(cpu_state[1].vc);
	assert_non_null(cpu_state[0].vc);
	near(used(vm_find("a")), 99 * MS, 5);
	pcpu_get(1)->sched = had;
}

/* Random events on four CPUs: the books stay right, and a vCPU never runs twice (fake_virt checks). */
static void test_storm(void **state)
{
	struct vm *vms[6];
	u32 seed = 7;
	u64 sum = 0;

	(void)state;
	start(4);
	for (u32 i = 0; i < 6; i++) {
		char name[8];

		snprintf(name, sizeof(name), "v%u", i);
		vms[i] = fake_vm(name, 1, 128 << (i % 3), i == 5 ? 30 : 0);
	}
	for (u32 i = 0; i < 3000; i++) {
		struct vm_locked l;
		struct vm *vm;

		seed = seed * 1664525 + 1013904223;
		vm = vms[(seed >> 16) % 6];
		l = (struct vm_locked){.vm = vm, .token = lock_take(&vm->lock)};
		if ((seed >> 8) % 3 == 0)
			(void)!vm_pause(l);
		else
			(void)!vm_resume(l);
		vm_unlock(l);
		run_until(clock + MS);
	}
	for (u32 i = 0; i < 6; i++)
		sum += used(vms[i]);
	assert_true(sum > 0 && sum <= 4 * clock);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pick),
		cmocka_unit_test(test_charge_is_exact),
		cmocka_unit_test_teardown(test_shares, teardown),
		cmocka_unit_test_teardown(test_waited, teardown),
		cmocka_unit_test_teardown(test_cap, teardown),
		cmocka_unit_test_teardown(test_placement, teardown),
		cmocka_unit_test_teardown(test_no_hoarding, teardown),
		cmocka_unit_test_teardown(test_yield, teardown),
		cmocka_unit_test_teardown(test_wake_while_running, teardown),
		cmocka_unit_test_teardown(test_steal, teardown),
		cmocka_unit_test_teardown(test_no_queue, teardown),
		cmocka_unit_test_teardown(test_storm, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
