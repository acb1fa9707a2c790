/* SPDX-License-Identifier: MIT */
/* links: $(NODE) hv/shell/cmd_agent.c hv/shell/cmd_vm.c hv/shell/cmd_console.c hv/shell/cmd_dump.c hv/shell/cmd_tools.c hv/shell/guest_text.c */
/* The shell's commands about VMs, word for word, on a node whose guests are scripts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <hv/shell/commands.h>
#include <tern/agent.h>
#include <tern/console.h>
#include <tern/err.h>
#include <tests/fake/fake_frames.h>
#include <tests/fake/fake_host.h>
#include <tests/fake/fake_virt.h>

static char said[65536];

void console_write(const char *text, size_t n)
{
	strncat(said, text, n);
}

void console_printf(const char *fmt, ...)
{
	size_t at = strlen(said);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(said + at, sizeof(said) - at, fmt, ap);
	va_end(ap);
}

/* tests/unit/vm_console_test.c has the session itself. */
static shell_session_fn *session;

void console_write_raw(const char *text, size_t n)
{
	console_write(text, n);
}

u64 console_hold_log(bool hold)
{
	(void)hold;
	return 0;
}

int console_read(void)
{
	return -1;
}

void shell_session(shell_session_fn *fn)
{
	session = fn;
}

/* Runs a command of words without quotes. */
static int command(shell_fn *fn, const char *text)
{
	static char copy[256];
	char *argv[SHELL_ARGS_MAX], *save = NULL;
	int argc = 0;

	said[0] = '\0';
	snprintf(copy, sizeof(copy), "%s", text);
	for (char *w = strtok_r(copy, " ", &save); w != NULL; w = strtok_r(NULL, " ", &save))
		argv[argc++] = w;
	return fn(argc, argv);
}

static void says(const char *text, const char *part)
{
	assert_int_equal(command(cmd_vm, text), 0);
	if (strstr(said, part) == NULL)
		fail_msg("no \"%s\" in:\n%s", part, said);
}

static int setup(void **state)
{
	(void)state;
	fake_node_start(1, 4096);
	fake_module("data", "abc", 3);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_vm_end();
	return 0;
}

static void test_life(void **state)
{
	(void)state;
	says("vm create web memory=64MiB kernel=guest vcpus=2 weight=512 modules=data,guest", "");
	assert_string_equal(said, "");
	says("vm list", "web                  created      2      64 MiB");
	says("vm pause web", "web: it is created: no pause\n");
	says("vm start web", "");
	while (vcpu_run_slice())
		;
	says("vm info web", "64 MiB advertised, 64 MiB grant, 24 KiB backed");
	says("vm info web", "weight 512, cap none");
	says("vm info web", "vCPU 0: halted, CPU 0\n  vCPU 1: off");
	says("vm stats web", "vCPU 0: ");
	says("vm stats web", "1 exits");
	says("vm send web hello", "");
	says("vm console web --last 5", "");
	assert_string_equal(said, "");
	says("vm pause web", "");
	says("vm resume web", "");
	assert_int_equal(command(cmd_exits, "exits web"), 0);
	assert_non_null(strstr(said, "other "));
	assert_int_equal(command(cmd_top, "top"), 0);
	assert_non_null(strstr(said, "web                  running"));
	says("vm stop web", "");
	says("vm list", "stopped by the operator");
	says("vm kill web", "");
	says("vm kill web", "web: it is dying: no kill");
	while (vm_idle_work())
		;
	says("vm info web", "there is no VM 'web'");
}

static void test_wrong(void **state)
{
	static const char *const lines[] = {
		"vm",
		"vm foo",
		"vm list x",
		"vm start",
		"vm start a b",
		"vm create",
		"vm create a",
		"vm create a memory=1MiB",
		"vm create a memory=x kernel=guest",
		"vm create a memory=1MiB kernel=guest disks=1",
		"vm create a memory=1MiB kernel=guest disk=",
		"vm create a memory=1MiB kernel=guest disk=1 disk=2 disk=3 disk=4 disk=5",
		"vm create a memory=1MiB kernel=guest nic=1 nic=2 nic=3 nic=4 nic=5",
		"vm create a memory=1MiB kernel=guest log=no",
		"vm create a memory=1MiB kernel=guest testdev=1",
		"vm create a memory=1MiB kernel=guest x",
		"vm create a memory=1MiB kernel=guest weight=0",
		"vm create a memory=1MiB kernel=guest modules=a,,b",
		"vm create a memory=1MiB kernel=guest modules=1,2,3,4,5,6,7,8,9",
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(lines); i++)
		assert_int_equal(command(cmd_vm, lines[i]), -TERN_EINVAL);
	assert_int_equal(command(cmd_exits, "exits"), -TERN_EINVAL);
	assert_int_equal(command(cmd_top, "top x"), -TERN_EINVAL);
	says("vm create a memory=1MiB kernel=none",
	     "a: not created: there is no boot module 'none'");
	fake_vm("b", 1, 0, 0);
	assert_int_equal(command(cmd_vm, "vm console b --last"), -TERN_EINVAL);
	assert_int_equal(command(cmd_vm, "vm console b --last x"), -TERN_EINVAL);
	assert_int_equal(command(cmd_vm, "vm console b --first 1"), -TERN_EINVAL);
	assert_int_equal(command(cmd_vm, "vm dump b 1"), -TERN_EINVAL);
	assert_null(session);
	fake_vm_end();
	says("vm start nobody", "there is no VM 'nobody'");
	assert_null(vm_get(0));
}

/* A guest's output does not drive the operator's terminal. */
static void test_console_is_clean(void **state)
{
	struct vm *vm = fake_vm("a", 1, 0, 0);

	(void)state;
	vuart_output(vm->platform.uart, "x\x1b[2J\xffy\n", 8);
	says("vm console a --last 1", "x?[2J?y\n");
}

static void last(struct vm *vm, const char *words, const char *want)
{
	(void)vm;
	assert_int_equal(command(cmd_vm, words), 0);
	assert_string_equal(said, want);
}

static void test_last_lines(void **state)
{
	struct vm *vm = fake_vm("a", 1, 0, 0);
	struct device *uart = vm->platform.uart;

	(void)state;
	last(vm, "vm console a --last 3", "");
	vuart_output(uart, "one\r\ntwo\r\n\r\nfour", 16);
	last(vm, "vm console a --last 0", "");
	last(vm, "vm console a --last 1", "four\n");
	last(vm, "vm console a --last 2", "\nfour\n");
	last(vm, "vm console a --last 3", "two\n\nfour\n");
	last(vm, "vm console a --last 99", "one\ntwo\n\nfour\n");
	vuart_output(uart, "\n", 1);
	last(vm, "vm console a --last 1", "four\n");
	/* More than is kept: 12 bytes a line. */
	for (u32 i = 0; i < 10000; i++) {
		char text[16];

		snprintf(text, sizeof(text), "line %05u\r\n", i);
		vuart_output(uart, text, 12);
	}
	last(vm, "vm console a --last 2", "line 09998\nline 09999\n");
	assert_int_equal(command(cmd_vm, "vm console a --last 99999"), 0);
	assert_int_equal(strlen(said), VUART_RING / 12 * 11 + 3);
	assert_string_equal(said + strlen(said) - 11, "line 09999\n");
}

/* --- vm dump --- */

#define STACK 0x8000u

/* Two frames: the second returns to 0x2222 and is the last. */
static void put_frames(struct vm *vm, u32 word)
{
	static const u64 frames[] = {STACK + 0x20, 0x1111, 7, 8, 0, 0x2222};

	for (u32 i = 0; i < ARRAY_SIZE(frames); i++)
		assert_int_equal(gmem_write(&vm->mem, gpa(STACK + i * word), &frames[i], word), 0);
}

static void test_dump(void **state)
{
	struct vm *vm;
	struct fake_vcpu *f;

	(void)state;
	says("vm create a memory=2MiB kernel=guest vcpus=2", "");
	vm = vm_find("a");
	f = fake_vcpu(vm->vcpus[0]);
	put_frames(vm, 8);
	f->regs[REG_RSP] = f->regs[REG_RBP] = STACK;
	f->regs[REG_RIP] = 0xffffffff81000000;
	f->regs[REG_PDPTE3] = 0x77;
	f->regs[REG_EFER] = 0x500;
	f->segs[SEG_CS] = (struct vcpu_seg){.selector = 0x10, .limit = 0xffffffff, .attr = 0xa09b};
	f->segs[SEG_SS] = (struct vcpu_seg){.base = 0x100000}; /* means nothing here */
	says("vm dump a", "a: created\nvCPU 0: off, CPU 0\n");
	assert_non_null(strstr(said, "  RIP  ffffffff81000000  RFL"));
	assert_non_null(strstr(said, "  PDP3 0000000000000077\n"));
	assert_non_null(strstr(said, "  CS   0010 base 0000000000000000 limit ffffffff "
				     "attributes 0a09b\n"));
	assert_non_null(strstr(said, "local APIC: disabled by software, TPR 00, IRR 0x40, "
				     "ISR 0x3f\n"));
	assert_non_null(strstr(said, "  stack:\n  0000000000008020  0000000000001111  "
				     "0000000000000007  0000000000000008\n"));
	assert_non_null(strstr(said, "  backtrace:\n  ffffffff81000000  0000000000001111  "
				     "0000000000002222\n"));
	assert_non_null(strstr(said, "vCPU 1: off"));
	assert_false(f->loaded);
	/* The top of memory ends the stack. */
	f->regs[REG_RSP] = MiB(2) + KiB(384) - 8;
	f->regs[REG_RBP] = 4;
	says("vm dump a", "  stack:\n  0000000000000000\n  backtrace:\n  ffffffff81000000\n");
	f->regs[REG_RSP] = GiB(8);
	says("vm dump a", "  stack: not readable\n");
}

/* Without 64-bit mode words are short, and SS has a base. */
static void test_dump_of_other_modes(void **state)
{
	struct vm *vm;
	struct fake_vcpu *f;

	(void)state;
	says("vm create a memory=2MiB kernel=guest", "");
	vm = vm_find("a");
	f = fake_vcpu(vm->vcpus[0]);
	put_frames(vm, 4);
	f->segs[SEG_CS] = (struct vcpu_seg){.attr = 0x409b};
	f->segs[SEG_SS] = (struct vcpu_seg){.base = STACK - 0x100};
	f->regs[REG_RSP] = f->regs[REG_RBP] = 0x100;
	f->regs[REG_RIP] = 0x1234;
	says("vm dump a", "  stack:\n  00008020  00001111  00000007  00000008\n");
	assert_non_null(strstr(said, "  backtrace:\n  00001234  00001111\n"));
	f->segs[SEG_CS].attr = 0x9b;
	says("vm dump a", "  stack:\n  8020  0000  1111  0000\n");
	assert_non_null(strstr(said, "  backtrace:\n  1234\n"));
}

/* Frames that point at each other end, as do those without end. */
static void test_dump_of_endless_frames(void **state)
{
	struct vm *vm;
	struct fake_vcpu *f;
	struct vcpu_dump d;

	(void)state;
	says("vm create a memory=2MiB kernel=guest", "");
	vm = vm_find("a");
	f = fake_vcpu(vm->vcpus[0]);
	f->regs[REG_EFER] = 0x400;
	f->segs[SEG_CS].attr = 0x2000;
	f->regs[REG_RBP] = STACK;
	for (u64 i = 0; i < 100; i++) {
		u64 frame[2] = {STACK + (i + 1) * 16, 0x1000 + i};

		assert_int_equal(gmem_write(&vm->mem, gpa(STACK + i * 16), frame, 16), 0);
	}
	assert_int_equal(vm_dump(vm, 0, &d), 0);
	assert_int_equal(d.frame_count, 16);
	assert_int_equal(d.frames[15], 0x1000 + 14);
	assert_int_equal(gmem_write(&vm->mem, gpa(STACK), &(u64){STACK}, 8), 0);
	assert_int_equal(vm_dump(vm, 0, &d), 0);
	assert_int_equal(d.frame_count, 2);
}

/* CPU 1 runs a vCPU until it is told to leave; without that, it never does. */
static u32 dump_cpu_leaves;

static void other_cpu(void)
{
	if (dump_cpu_leaves == 0 || --dump_cpu_leaves != 0)
		return;
	(void)arch_irq_off();
	fake_cpu_set(1);
	sched_put(vm_get(0)->vcpus[0], false);
	fake_cpu_set(0);
	arch_irq_on();
}

static void test_dump_of_a_running_vm(void **state)
{
	struct vcpu_dump d;
	struct vm *vm;
	u64 until;

	(void)state;
	fake_node_start(2, 4096);
	vm = fake_vm("a", 1, 0, 0);
	/* In a queue: it is out of it, and in again. */
	assert_int_equal(vm_dump(vm, 0, &d), 0);
	assert_int_equal(d.state, VCPU_RUNNABLE);
	assert_int_equal(vm->state, VM_RUNNING);
	assert_true(vm->vcpus[0]->sched.queued);
	/* On another CPU. */
	(void)arch_irq_off();
	fake_cpu_set(1);
	assert_ptr_equal(sched_pick(&until), vm->vcpus[0]);
	fake_cpu_set(0);
	arch_irq_on();
	dump_cpu_leaves = 0;
	fake_relaxed = other_cpu;
	says("vm dump a", "vCPU 0: its CPU does not let go of it\n");
	assert_int_equal(vm->state, VM_RUNNING);
	assert_true(vm->vcpus[0]->kick & KICK_LEAVE);
	dump_cpu_leaves = 3;
	assert_int_equal(vm_dump(vm, 0, &d), 0);
	assert_int_equal(vm->state, VM_RUNNING);
	assert_true(vm->vcpus[0]->sched.queued);
	/* One that is paused stays so. */
	says("vm pause a", "");
	assert_int_equal(vm_dump(vm, 0, &d), 0);
	assert_int_equal(vm->state, VM_PAUSED);
	fake_relaxed = NULL;
}

/* What "vm create" makes of its words. */
static void test_create_options(void **state)
{
	struct vm *vm;

	(void)state;
	says("vm create a memory=2MiB kernel=guest log=off testdev=on", "");
	vm = vm_find("a");
	assert_non_null(vm);
	assert_true(vm->log_off);
	bus_write(&vm->bus, DEV_PORT, 0xe0, 1, 0x5a, NULL);
	assert_int_equal(bus_in(&vm->bus, 0xe0, 1), 0x5a);
	says("vm create b memory=2MiB kernel=guest log=on testdev=off", "");
	vm = vm_find("b");
	assert_non_null(vm);
	assert_false(vm->log_off);
	assert_int_equal(bus_in(&vm->bus, 0xe0, 1), 0xff);
}

/* What an agent says, and the grant, as people see them. */
static void test_agent(void **state)
{
	struct agent_hello hello = {.head = {sizeof(hello), AGENT_ABI_VERSION, AGENT_HELLO, 1},
				    .features = AGENT_CAN_ALL,
				    .mem_total = MiB(1),
				    .name = "agent 1"};
	struct agent_demand demand = {.head = {sizeof(demand), AGENT_ABI_VERSION, AGENT_DEMAND, 2},
				      .bytes = MiB(1),
				      .now = MiB(1),
				      .horizon_ms = 2000,
				      .confidence = 900,
				      .source = AGENT_BY_HINT};
	struct vm *vm = fake_vm("a", 1, 0, 0);

	(void)state;
	says("vm info a", "  grant: automatic, raised by 0 touches, refused to 0\n  agent: none\n");
	says("vm grant a 3MiB", "a: a grant is whole pages of 4 KiB, at most 2 MiB\n");
	says("vm grant a 100", "a: a grant is whole pages");
	says("vm grant a 1MiB", "");
	assert_string_equal(said, "");
	assert_non_null(strstr(fake_log(), "vm a: grant 1 MiB, by its owner"));
	says("vm info a", "2 MiB advertised, 1 MiB grant");
	says("vm info a", "grant: by its owner");
	says("vm grant a 4KiB", " more are backed; it has no agent that could give them back\n");
	assert_int_equal(agent_message(vm, AGENT_WAY_CALL, 0, &hello, sizeof(hello), NULL),
			 AGENT_CAN_ALL);
	says("vm info a", "agent: \"agent 1\" by hypercalls, for 0 s, 1 events wait for it\n"
			  "    used 0 B, no demand\n    messages: 1 taken, 0 refused\n"
			  "    shrink to 4 KiB: asked for ");
	says("vm info a", "under way\n");
	says("vm grant a 4KiB", " more are backed; its agent is asked to give them back\n");
	says("vm grant a auto", "");
	assert_non_null(strstr(fake_log(), "vm a: grant 2 MiB, automatic"));
	assert_int_equal(agent_message(vm, AGENT_WAY_CALL, 0, &demand, sizeof(demand), NULL), 0);
	assert_int_equal(agent_message(vm, AGENT_WAY_CALL, 0, &demand, sizeof(demand), NULL),
			 -TERN_EINVAL);
	says("vm info a", "demand 1 MiB (hint, 900 permille sure, the next 2000 ms)\n"
			  "    messages: 2 taken, 1 refused, the last with EINVAL\n");
	says("vm agent a", "taken, refused: other 0 0, hello 1 0, sample 0 0, demand 1 1,");
	says("vm agent a", "refused: malformed 0, replayed 1, ");
	says("vm agent a",
	     "   time (ms)  event             KiB         used       demand        grant "
	     "      backed\n");
	says("vm agent a 1", "  demand           1024            0         1024         2048 ");
	assert_null(strstr(said, "  hello   "));
	says("vm agent a", "  hello   ");
	says("vm agent a 999", "  shrink  ");
	assert_int_equal(command(cmd_vm, "vm agent a 0"), -TERN_EINVAL);
	assert_int_equal(command(cmd_vm, "vm agent a x"), -TERN_EINVAL);
	assert_int_equal(command(cmd_vm, "vm agent a 1 2"), -TERN_EINVAL);
	assert_int_equal(command(cmd_vm, "vm grant a"), -TERN_EINVAL);
	assert_int_equal(command(cmd_vm, "vm grant a much"), -TERN_EINVAL);
	fake_tsc += 31 * fake_tsc_hz;
	vm_poll();
	says("vm info a", ", silent the last 31 s\n    used 0 B, no demand\n");
	says("vm info a", " given back after ");
}

static void test_tools(void **state)
{
	static u8 iso[5000];
	struct vm *old;

	(void)state;
	says("vm create old memory=2MiB kernel=guest", "");
	says("vm tools old", "the node has no guest tools; give its loader a boot module "
			     "'guest-tools.iso' and restart it\n");
	fake_module("guest-tools.iso", iso, sizeof(iso));
	old = vm_find("old");
	assert_null(old->platform.tools);
	says("vm tools old", "old: it was made without a disk for the guest tools");
	says("vm create new memory=2MiB kernel=guest disk=data", "");
	says("vm tools new --eject", "new: the guest tools are out already\n");
	says("vm tools new", "new: the guest tools (4.8 KiB) are in its disk 'tern-tools'; ");
	says("vm tools new", "new: the guest tools are in already\n");
	says("vm tools new --eject", "new: the guest tools are out\n");
	says("vm tools new", "are in its disk");
	assert_int_equal(command(cmd_vm, "vm tools new --out"), -TERN_EINVAL);
	assert_int_equal(command(cmd_vm, "vm tools new --eject x"), -TERN_EINVAL);
	assert_int_equal(command(cmd_vm, "vm tools"), -TERN_EINVAL);
}

static void test_complete(void **state)
{
	(void)state;
	fake_vm("a", 1, 0, 0);
	assert_string_equal(complete_vm(1, 0), "agent");
	assert_string_equal(complete_vm(1, 3), "dump");
	assert_string_equal(complete_vm(1, 15), "stop");
	assert_string_equal(complete_vm(1, 16), "tools");
	assert_null(complete_vm(1, 17));
	assert_string_equal(complete_vm(2, 0), "a");
	assert_null(complete_vm(2, 1));
	assert_null(complete_vm(3, 0));
	assert_string_equal(complete_exits(1, 0), "a");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_life, setup, teardown),
		cmocka_unit_test_setup_teardown(test_wrong, setup, teardown),
		cmocka_unit_test_setup_teardown(test_console_is_clean, setup, teardown),
		cmocka_unit_test_setup_teardown(test_last_lines, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dump, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dump_of_other_modes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dump_of_endless_frames, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dump_of_a_running_vm, setup, teardown),
		cmocka_unit_test_setup_teardown(test_create_options, setup, teardown),
		cmocka_unit_test_setup_teardown(test_agent, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tools, setup, teardown),
		cmocka_unit_test_setup_teardown(test_complete, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
