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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_simple, setup, teardown),
		cmocka_unit_test_setup_teardown(test_programs, setup, teardown),
		cmocka_unit_test_setup_teardown(test_console, setup, teardown),
		cmocka_unit_test_setup_teardown(test_vcpus, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
