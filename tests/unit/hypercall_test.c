/* SPDX-License-Identifier: MIT */
/* links: $(NODE) */
/* Each hypercall: what it does, and what it refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <abi/hypercall.h>
#include <tern/agent.h>
#include <tern/err.h>
#include <tests/fake/fake_frames.h>
#include <tests/fake/fake_host.h>
#include <tests/fake/fake_virt.h>

static struct vm *vm;
static u64 number, args[2];
static u32 cpl;

static void guest(struct vcpu *vc, u64 until, struct vm_exit *out)
{
	struct fake_vcpu *f = fake_vcpu(vc);

	(void)until;
	if (f->runs > 1 || vc->index != 0)
		return;
	f->regs[REG_RAX] = number;
	f->regs[REG_RDI] = args[0];
	f->regs[REG_RSI] = args[1];
	f->segs[SEG_SS].attr = 0xc093u | cpl << 5;
	out->kind = EXIT_HYPERCALL;
}

/* The result that the guest sees. */
static s64 call(u64 n, u64 a, u64 b)
{
	struct vcpu *vc = vm->vcpus[0];

	number = n;
	args[0] = a;
	args[1] = b;
	fake_vcpu(vc)->runs = 0;
	if (vc->state == VCPU_HALTED)
		vcpu_notify(vc);
	while (vcpu_run_slice())
		;
	return (s64)fake_vcpu(vc)->regs[REG_RAX];
}

static int setup(void **state)
{
	(void)state;
	fake_node_start(1, 4096);
	fake_virt_guest = guest;
	vm = fake_vm("a", 2, 0, 0);
	cpl = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_vm_end();
	return 0;
}

static void test_simple(void **state)
{
	(void)state;
	assert_int_equal(call(HC_NULL, 0, 0), 0);
	assert_int_equal(fake_vcpu(vm->vcpus[0])->skips, 2);
	assert_int_equal(call(HC_VERSION, 0, 0), HC_ABI_VERSION);
	assert_int_equal(call(HC_AGENT_ACK + 1, 0, 0), -TERN_ENOSYS);
	assert_int_equal(call(UINT64_MAX, 0, 0), -TERN_ENOSYS);
	assert_int_equal(vm->vcpus[0]->state, VCPU_HALTED);
}

static void test_programs(void **state)
{
	(void)state;
	cpl = 3;
	assert_int_equal(call(HC_NULL, 0, 0), 0);
	assert_int_equal(call(HC_VERSION, 0, 0), HC_ABI_VERSION);
	assert_int_equal(call(HC_CONSOLE_WRITE, 0, 1), -TERN_EPERM);
	assert_int_equal(call(HC_VCPU_START, 1, 1), -TERN_EPERM);
	assert_int_equal(call(HC_VCPU_KICK, 1, 0), -TERN_EPERM);
	assert_int_equal(vm->vcpus[1]->state, VCPU_OFF);
}

static void test_console(void **state)
{
	(void)state;
	assert_int_equal(gmem_write(&vm->mem, gpa(0xffe), "hello\n", 6), 0);
	assert_int_equal(call(HC_CONSOLE_WRITE, 0xffe, 6), 6);
	assert_non_null(strstr(fake_log(), "[vm a] hello\n"));
	assert_int_equal(call(HC_CONSOLE_WRITE, 0xffe, 0), 0);
	assert_int_equal(call(HC_CONSOLE_WRITE, 0, 257), -TERN_E2BIG);
	assert_int_equal(call(HC_CONSOLE_WRITE, 0, UINT64_MAX), -TERN_E2BIG);
	assert_int_equal(call(HC_CONSOLE_WRITE, 0x9fffe, 6), -TERN_EFAULT);
	assert_int_equal(call(HC_CONSOLE_WRITE, UINT64_MAX - 1, 6), -TERN_EFAULT);
}

static void test_vcpus(void **state)
{
	(void)state;
	assert_int_equal(call(HC_VCPU_START, 2, 1), -TERN_ENOENT);
	assert_int_equal(call(HC_VCPU_START, 1ull << 32, 1), -TERN_ENOENT);
	assert_int_equal(call(HC_VCPU_START, 1, 256), -TERN_EINVAL);
	assert_int_equal(call(HC_VCPU_START, 0, 1), -TERN_EBUSY);
	assert_int_equal(call(HC_VCPU_START, 1, 0x7c), 0);
	while (vcpu_run_slice())
		;
	assert_int_equal(fake_vcpu(vm->vcpus[1])->segs[SEG_CS].base, 0x7c000);
	assert_int_equal(vm->vcpus[1]->state, VCPU_HALTED);
	assert_int_equal(fake_vcpu(vm->vcpus[1])->runs, 1);
	assert_int_equal(call(HC_VCPU_KICK, 2, 0), -TERN_ENOENT);
	assert_int_equal(call(HC_VCPU_KICK, 1, 0), 0);
	while (vcpu_run_slice())
		;
	assert_int_equal(fake_vcpu(vm->vcpus[1])->runs, 2);
}

/* --- the agent's: each by its number, the structure in guest memory --- */

#define PLACE 0x3000u

static u64 agent_seq_next = 1;

static struct agent_hello a_hello(void)
{
	return (struct agent_hello){.head = {sizeof(struct agent_hello), AGENT_ABI_VERSION,
					     AGENT_HELLO, agent_seq_next++},
				    .features = AGENT_CAN_ALL,
				    .mem_total = MiB(1),
				    .name = "x"};
}

static s64 say(u64 n, const void *m, u32 bytes)
{
	assert_int_equal(gmem_write(&vm->mem, gpa(PLACE), m, bytes), 0);
	return call(n, PLACE, bytes);
}

static struct agent_view agent(void)
{
	struct agent_view v;

	agent_view(vm, &v);
	return v;
}

static void test_agent(void **state)
{
	struct agent_hello hello = a_hello();
	struct agent_sample sample = {.head = {sizeof(sample), AGENT_ABI_VERSION, AGENT_SAMPLE, 10},
				      .mem_total = MiB(1),
				      .interval_ms = 1,
				      .vcpus = 2};
	struct agent_state st;
	struct agent_event event;
	struct agent_ack ack = {.head = {sizeof(ack), AGENT_ABI_VERSION, AGENT_ACK, 11}};

	(void)state;
	assert_int_equal(say(HC_AGENT_SAMPLE, &sample, sizeof(sample)), -TERN_ENODEV);
	assert_int_equal(call(HC_AGENT_QUERY, PLACE, sizeof(st)), -TERN_ENODEV);
	assert_int_equal(call(HC_AGENT_EVENT, PLACE, sizeof(event)), -TERN_ENODEV);
	assert_int_equal(say(HC_AGENT_HELLO, &hello, sizeof(hello)), AGENT_CAN_ALL);
	assert_int_equal(say(HC_AGENT_SAMPLE, &sample, sizeof(sample)), 0);
	assert_int_equal(say(HC_AGENT_DEMAND, &sample, sizeof(sample)), -TERN_EINVAL);
	assert_int_equal(agent().refused[AGENT_DEMAND], 1);
	assert_int_equal(call(HC_AGENT_EVENT, PLACE, sizeof(event)), 0);
	assert_int_equal(agent_set_grant(vm, MiB(1)), 0);
	assert_int_equal(call(HC_AGENT_QUERY, PLACE, sizeof(st)), sizeof(st));
	assert_int_equal(gmem_read(&vm->mem, gpa(PLACE), &st, sizeof(st)), 0);
	assert_int_equal(st.grant, MiB(1));
	assert_int_equal(st.events, 1);
	assert_int_equal(call(HC_AGENT_EVENT, PLACE, sizeof(event)), sizeof(event));
	assert_int_equal(gmem_read(&vm->mem, gpa(PLACE), &event, sizeof(event)), 0);
	assert_int_equal(event.kind, AGENT_GRANT_CHANGED);
	ack.event = event.head.seq;
	assert_int_equal(say(HC_AGENT_ACK, &ack, sizeof(ack)), 0);
	assert_int_equal(call(HC_AGENT_EVENT, PLACE, sizeof(event)), 0);
}

static void test_agent_refused(void **state)
{
	static const u64 places[] = {0x9fff0, 0xa0000, MiB(3), UINT64_MAX - 8, 1ull << 63};
	struct agent_hello hello = a_hello();
	u64 refused = 0;

	(void)state;
	for (u64 n = HC_AGENT_HELLO; n <= HC_AGENT_ACK; n++) {
		for (u32 i = 0; i < ARRAY_SIZE(places); i++)
			assert_int_equal(call(n, places[i], 64), -TERN_EFAULT);
		assert_int_equal(call(n, PLACE, 0), -TERN_EINVAL);
		assert_int_equal(call(n, PLACE, 257), -TERN_EINVAL);
		assert_int_equal(call(n, PLACE, UINT64_MAX), -TERN_EINVAL);
		cpl = 3;
		assert_int_equal(call(n, PLACE, 64), -TERN_EPERM);
		cpl = 0;
		assert_int_equal(agent().last_error, -TERN_EPERM);
	}
	for (u32 i = 0; i < AGENT_TYPES; i++)
		refused += agent().refused[i];
	assert_int_equal(refused, 7 * 9);
	assert_int_equal(agent().why[AGENT_REFUSED_PLACE], 7 * 5);
	assert_int_equal(agent().why[AGENT_REFUSED_FORM], 7 * 3);
	assert_int_equal(agent().why[AGENT_REFUSED_CPL], 7);
	assert_int_equal(agent().refused[0], 9);
	assert_int_equal(agent().way, AGENT_WAY_NONE);
	/* What fails to arrive is not lost. */
	assert_int_equal(say(HC_AGENT_HELLO, &hello, sizeof(hello)), AGENT_CAN_ALL);
	assert_int_equal(agent_set_grant(vm, MiB(1)), 0);
	assert_int_equal(call(HC_AGENT_EVENT, 0x9fff0, sizeof(struct agent_event)), -TERN_EFAULT);
	assert_int_equal(agent().events, 1);
}

/* The room for an answer cannot be backed: the vCPU waits, and nothing was done. */
static void test_agent_stalls(void **state)
{
	struct agent_hello hello = a_hello();

	(void)state;
	assert_int_equal(say(HC_AGENT_HELLO, &hello, sizeof(hello)), AGENT_CAN_ALL);
	assert_int_equal(agent_set_grant(vm, PAGE_SIZE), 0);
	(void)call(HC_AGENT_EVENT, 0x40000, sizeof(struct agent_event));
	assert_int_equal(vm->vcpus[0]->state, VCPU_STALLED);
	assert_int_equal(agent().events, 2);
	assert_int_equal(agent_set_grant(vm, MiB(1)), 0);
	vm_poll();
	fake_vcpu(vm->vcpus[0])->runs = 0;
	while (vcpu_run_slice())
		;
	assert_int_equal(fake_vcpu(vm->vcpus[0])->regs[REG_RAX], sizeof(struct agent_event));
	assert_int_equal(agent().events, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_simple, setup, teardown),
		cmocka_unit_test_setup_teardown(test_programs, setup, teardown),
		cmocka_unit_test_setup_teardown(test_console, setup, teardown),
		cmocka_unit_test_setup_teardown(test_vcpus, setup, teardown),
		cmocka_unit_test_setup_teardown(test_agent, setup, teardown),
		cmocka_unit_test_setup_teardown(test_agent_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_agent_stalls, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
