/* SPDX-License-Identifier: MIT */
/* links: $(NODE) */
/* What each kind of exit does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <tern/err.h>
#include <tests/fake/fake_frames.h>
#include <tests/fake/fake_host.h>
#include <tests/fake/fake_virt.h>

static struct vm *vm;
static struct vcpu *vc;
static struct vm_exit script[8];
static u32 script_len, script_at;

/* The exits of the script, then HLT. */
static void guest(struct vcpu *who, u64 until, struct vm_exit *out)
{
	(void)until;
	if (who == vc && script_at < script_len)
		*out = script[script_at++];
}

static int setup(void **state)
{
	(void)state;
	fake_node_start(2, 4096);
	fake_virt_guest = guest;
	vm = fake_vm("a", 2, 0, 0);
	vc = vm->vcpus[0];
	script_len = script_at = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_vm_end();
	return 0;
}

static void run(struct vm_exit e)
{
	script[0] = e;
	script_len = 1;
	script_at = 0;
	vcpu_notify(vc);
	vc->event = 0;
	if (vc->state == VCPU_HALTED)
		vc->state = VCPU_RUNNABLE;
	assert_true(vcpu_run_slice());
}

static void test_pio(void **state)
{
	struct vm_exit e = {.kind = EXIT_PIO, .pio = {.port = 0x3fd, .width = 1, .in = true}};

	(void)state;
	run(e);
	assert_int_equal(fake_vcpu(vc)->pio_value, 0x60);
	e.pio.port = 0x1234;
	e.pio.width = 4;
	run(e);
	assert_int_equal(fake_vcpu(vc)->pio_value, UINT32_MAX);
	e = (struct vm_exit){.kind = EXIT_PIO, .pio = {.port = 0x3f8, .width = 1, .value = '\n'}};
	run(e);
	assert_non_null(strstr(fake_log(), "[vm a] \n"));
	assert_int_equal(fake_vcpu(vc)->pio_dones, 3);
	assert_int_equal(vm->state, VM_RUNNING);
	e = (struct vm_exit){.kind = EXIT_PIO, .pio = {.port = 0xf4, .width = 4, .value = 77}};
	run(e);
	assert_int_equal(vm->state, VM_STOPPED);
	assert_string_equal(vm->reason, "exit code 77");
	assert_int_equal(vc->state, VCPU_STOPPED);
	assert_int_equal(fake_vcpu(vc)->pio_dones, 4);
}

static void test_memory(void **state)
{
	struct vm_exit e = {.kind = EXIT_MEM, .mem = {.gpa = gpa(MiB(1) + 0x5000), .write = true}};
	u64 backed = vm->mem.backed;

	(void)state;
	run(e);
	assert_int_equal(vm->mem.backed, backed + PAGE_SIZE);
	assert_int_equal(vc->exits[STAT_TOUCH].count, 1);
	/* Nobody there: all ones. */
	e.mem = (struct exit_mem){.gpa = gpa(0xfed00000)};
	run(e);
	assert_int_equal(fake_mmio_value, UINT32_MAX);
	assert_int_equal(vc->exits[STAT_MMIO].count, 1);
	e.mem.write = true;
	run(e);
	assert_int_equal(vm->state, VM_RUNNING);
	fake_mmio_result = -TERN_EAGAIN;
	run(e);
	assert_int_equal(vc->state, VCPU_STALLED);
	fake_mmio_result = -TERN_EINVAL;
	run(e);
	assert_int_equal(vm->state, VM_STOPPED);
	assert_string_equal(vm->reason, "vCPU 0 writes device memory at 0xfed00000 by an "
					"instruction Tern does not know: 0f 0b");
}

static void test_fetch(void **state)
{
	(void)state;
	run((struct vm_exit){.kind = EXIT_MEM, .mem = {.gpa = gpa(GiB(3)), .fetch = true}});
	assert_non_null(strstr(vm->reason, "runs at guest address 0xc0000000"));
}

static void test_ends(void **state)
{
	static const struct {
		enum exit_kind kind;
		const char *reason;
	} ends[] = {
		{EXIT_SHUTDOWN, "triple fault on vCPU 0"},
		{EXIT_FAILED, "the CPU refused to enter vCPU 0: error 0x21"},
		{EXIT_UNKNOWN, "vCPU 0 made an exit that Tern does not know: 0x21"},
		{EXIT_RESET, "reset by the guest"},
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(ends); i++) {
		run((struct vm_exit){.kind = ends[i].kind, .raw = 0x21});
		assert_int_equal(vm->state, VM_STOPPED);
		assert_string_equal(vm->reason, ends[i].reason);
		fake_vm_end();
		vm = fake_vm("a", 1, 0, 0);
		vc = vm->vcpus[0];
	}
}

static void test_halt_and_pause(void **state)
{
	u32 runs;

	(void)state;
	run((struct vm_exit){.kind = EXIT_PAUSE});
	assert_int_equal(fake_vcpu(vc)->skips, 2); /* PAUSE, and the HLT after it */
	assert_int_equal(vc->state, VCPU_HALTED);
	/* What came before the HLT ends it at once. */
	while (vcpu_run_slice())
		;
	runs = fake_vcpu(vc)->runs;
	vcpu_notify(vc);
	assert_true(vcpu_run_slice());
	assert_int_equal(vc->state, VCPU_HALTED);
	assert_int_equal(fake_vcpu(vc)->runs, runs + 1);
	assert_false(vcpu_run_slice());
}

/* Two that wait for each other by PAUSE take turns. */
static void test_pause_gives_way(void **state)
{
	struct vm *other = fake_vm("b", 1, 0, 0);

	(void)state;
	pcpu_get(1)->online = 0;
	script[0] = script[1] = (struct vm_exit){.kind = EXIT_PAUSE};
	script_len = 2;
	for (u32 i = 0; i < 6; i++)
		vcpu_run_slice();
	assert_int_equal(script_at, 2);
	assert_true(fake_vcpu(other->vcpus[0])->runs > 0);
}

static void test_start_and_init(void **state)
{
	struct vcpu *second = vm->vcpus[1];
	struct fake_vcpu *f = fake_vcpu(second);

	(void)state;
	while (vcpu_run_slice())
		;
	assert_int_equal(f->runs, 0);
	assert_int_equal(vcpu_start_at(vc, 8), -TERN_EBUSY);
	assert_int_equal(vcpu_start_at(second, 0x9f), 0);
	assert_int_equal(vcpu_start_at(second, 0x10), -TERN_EBUSY);
	while (vcpu_run_slice())
		;
	assert_int_equal(f->runs, 1);
	assert_int_equal(f->segs[SEG_CS].base, 0x9f000);
	assert_int_equal(f->segs[SEG_CS].selector, 0x9f00);
	assert_int_equal(f->regs[REG_RIP], 0);
	assert_int_equal(second->state, VCPU_HALTED);
	/* INIT puts it back to where a SIPI starts it. */
	vc = second;
	run((struct vm_exit){.kind = EXIT_RESET});
	assert_int_equal(second->state, VCPU_OFF);
	assert_int_equal(vcpu_start_at(second, 1), 0);
	while (vcpu_run_slice())
		;
	assert_int_equal(second->state, VCPU_HALTED);
}

/* Both come while it waits for its turn. Found by the guest "hostdev": it never started again. */
static void test_sipi_after_an_init_that_was_not_taken_yet(void **state)
{
	struct vcpu *second = vm->vcpus[1];
	struct fake_vcpu *f = fake_vcpu(second);

	(void)state;
	assert_int_equal(vcpu_start_at(second, 8), 0);
	while (vcpu_run_slice())
		;
	assert_int_equal(second->state, VCPU_HALTED);
	vcpu_init(second);
	assert_int_equal(vcpu_start_at(second, 9), 0);
	assert_int_equal(vcpu_start_at(second, 10), -TERN_EBUSY);
	while (vcpu_run_slice())
		;
	assert_int_equal(f->runs, 2);
	assert_int_equal(f->segs[SEG_CS].base, 0x9000);
	assert_int_equal(second->state, VCPU_HALTED);
}

/* Found by the guest "hostdev": INIT was forgotten, and what started went on. */
static void test_init_after_a_sipi_that_was_not_taken_yet(void **state)
{
	struct vcpu *second = vm->vcpus[1];
	struct fake_vcpu *f = fake_vcpu(second);

	(void)state;
	assert_int_equal(vcpu_start_at(second, 8), 0);
	vcpu_init(second);
	while (vcpu_run_slice())
		;
	assert_int_equal(f->runs, 0);
	assert_int_equal(second->state, VCPU_OFF);
	assert_int_equal(vcpu_start_at(second, 9), 0);
	while (vcpu_run_slice())
		;
	assert_int_equal(f->runs, 1);
	assert_int_equal(f->segs[SEG_CS].base, 0x9000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_pio, setup, teardown),
		cmocka_unit_test_setup_teardown(test_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fetch, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ends, setup, teardown),
		cmocka_unit_test_setup_teardown(test_halt_and_pause, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pause_gives_way, setup, teardown),
		cmocka_unit_test_setup_teardown(test_start_and_init, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sipi_after_an_init_that_was_not_taken_yet,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_init_after_a_sipi_that_was_not_taken_yet,
						setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
