/* SPDX-License-Identifier: MIT */
/* links: $(NODE) */
/* VMs from their creation to their end, on a node whose guests are scripts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <tern/err.h>
#include <tern/frames.h>
#include <tern/scrub.h>
#include <tern/timer.h>
#include <tern/vm_time.h>
#include <tests/fake/fake_frames.h>
#include <tests/fake/fake_host.h>
#include <tests/fake/fake_virt.h>

#define FRAMES 4096u
#define MS     1000000ull

#define ROM_PAGES 2u /* ACPI and SMBIOS tables: backed, but beside the grant */

static char why[VM_REASON_MAX];

static struct vm_config config(const char *name)
{
	return (struct vm_config){.name = name, .memory = MiB(64), .vcpus = 2, .kernel = "guest"};
}

static int setup(void **state)
{
	(void)state;
	fake_node_start(2, FRAMES);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_cpu_set(0);
	fake_vm_end();
	fake_tsc_step = 100;
	return 0;
}

static int act(const char *name, int (*action)(struct vm_locked l))
{
	struct vm_locked l;
	int rc;

	assert_true(vm_find_locked(name, &l));
	rc = action(l);
	vm_unlock(l);
	return rc;
}

static int stop(struct vm_locked l)
{
	return vm_stop(l, "asked to");
}

static void refused(struct vm_config c, int err, const char *text)
{
	u32 used = fake_frames_used();

	assert_int_equal(vm_create(&c, why, sizeof(why)), -err);
	if (strstr(why, text) == NULL)
		fail_msg("\"%s\" instead of \"%s\"", why, text);
	while (scrub_some(64)) /* what it had been given already */
		;
	assert_int_equal(fake_frames_used(), used);
}

static void test_refused(void **state)
{
	struct vm_config c = config("a");

	(void)state;
	assert_int_equal(vm_create(&c, why, sizeof(why)), 0);
	refused(c, TERN_EEXIST, "of that name");
	c = config("");
	refused(c, TERN_EINVAL, "a name has");
	c = config("17");
	refused(c, TERN_EINVAL, "a name has");
	c = config("a b");
	refused(c, TERN_EINVAL, "a name has");
	c = config("a234567890123456789012345678901x");
	refused(c, TERN_EINVAL, "a name has");
	c = config("b");
	c.memory = KiB(60);
	refused(c, TERN_EINVAL, "memory is");
	c.memory = MiB(1) + 1;
	refused(c, TERN_EINVAL, "memory is");
	c = config("b");
	c.vcpus = 0;
	refused(c, TERN_EINVAL, "vcpus is");
	c.vcpus = VCPUS_PER_VM_MAX + 1;
	refused(c, TERN_EINVAL, "vcpus is");
	c = config("b");
	c.kernel = "vmlinuz";
	refused(c, TERN_ENOENT, "no boot module 'vmlinuz'");
	c = config("b");
	c.memory = KiB(640);
	refused(c, TERN_EINVAL, "the VM has none there");
	fake_virt_absent = true;
	refused(config("b"), TERN_ENODEV, "cannot run guests");
	fake_virt_absent = false;
}

/* What is advertised is what was asked for, and costs nothing until it is touched. */
static void test_memory(void **state)
{
	static const u64 sizes[] = {MiB(2), MiB(64), GiB(3), GiB(4), GiB(64)};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct vm_config c = config("big");
		struct gmem_stats st;

		c.memory = sizes[i];
		assert_int_equal(vm_create(&c, why, sizeof(why)), 0);
		gmem_get_stats(&vm_find("big")->mem, &st);
		assert_int_equal(st.advertised, sizes[i]);
		assert_int_equal(st.grant, sizes[i]);
		/* Kernel, boot information, ACPI and SMBIOS tables. */
		assert_int_equal(st.backed, (2 + ROM_PAGES) * PAGE_SIZE);
		fake_vm_end();
	}
}

static void test_start_state(void **state)
{
	struct vm_config c = config("a");
	struct fake_vcpu *f;
	u32 info[22];
	struct vm *vm;

	(void)state;
	c.cmdline = "hello world";
	assert_int_equal(vm_create(&c, why, sizeof(why)), 0);
	vm = vm_find("a");
	assert_ptr_equal(vm_find("1"), NULL);
	assert_int_equal(vm->state, VM_CREATED);
	f = fake_vcpu(vm->vcpus[0]);
	assert_int_equal(f->regs[REG_RIP], FAKE_GUEST_ENTRY);
	assert_int_equal(f->regs[REG_RAX], 0x2badb002);
	assert_int_equal(f->regs[REG_CR0], 0x11);
	assert_int_equal(f->segs[SEG_CS].attr, 0xc09b);
	assert_int_equal(f->segs[SEG_SS].limit, UINT32_MAX);
	assert_int_equal(gmem_read(&vm->mem, gpa(f->regs[REG_RBX]), info, sizeof(info)), 0);
	assert_int_equal(info[0], 0x24d);
	assert_int_equal(info[1], 640);
	assert_int_equal(vm->vcpus[0]->state, VCPU_OFF);
	assert_int_equal(vm->vcpus[1]->state, VCPU_OFF);
	assert_false(vcpu_run_slice());
}

static void test_states(void **state)
{
	struct vm_config c = config("a");
	struct vm *vm;

	(void)state;
	assert_int_equal(vm_create(&c, why, sizeof(why)), 0);
	vm = vm_find("a");
	assert_int_equal(act("a", vm_pause), -TERN_EINVAL);
	assert_int_equal(act("a", vm_resume), -TERN_EINVAL);
	assert_int_equal(act("a", vm_start), 0);
	assert_int_equal(act("a", vm_start), -TERN_EINVAL);
	assert_int_equal(act("a", vm_pause), 0);
	assert_false(vcpu_run_slice());
	assert_int_equal(fake_vcpu(vm->vcpus[0])->runs, 0);
	assert_int_equal(act("a", vm_resume), 0);
	assert_true(vcpu_run_slice()); /* both were woken; the second one is off */
	fake_cpu_set(1);
	assert_true(vcpu_run_slice());
	fake_cpu_set(0);
	assert_int_equal(fake_vcpu(vm->vcpus[0])->runs, 1);
	assert_int_equal(vm->vcpus[0]->state, VCPU_HALTED);
	assert_int_equal(fake_vcpu(vm->vcpus[1])->runs, 0);
	assert_int_equal(vm->vcpus[1]->state, VCPU_OFF);
	assert_false(vcpu_run_slice());
	assert_int_equal(act("a", stop), 0);
	assert_string_equal(vm->reason, "asked to");
	assert_int_equal(vm->state, VM_STOPPED);
	assert_int_equal(vm->vcpus[0]->state, VCPU_STOPPED);
	assert_int_equal(act("a", stop), -TERN_EINVAL);
	assert_int_equal(act("a", vm_resume), -TERN_EINVAL);
	assert_int_equal(act("a", vm_destroy), 0);
	assert_int_equal(act("a", vm_destroy), -TERN_EINVAL);
	assert_string_equal(vm->reason, "asked to");
	assert_int_equal(vm_create(&c, why, sizeof(why)), -TERN_EEXIST);
	while (vm_idle_work())
		;
	assert_int_equal(vm_create(&c, why, sizeof(why)), 0);
}

static int do_reset(struct vm_locked l)
{
	return vm_reset(l, "operator");
}

/* A VM that has stopped, or is reset while it runs, begins anew with fresh memory and the same kernel. */
static void test_starts_again(void **state)
{
	struct vm *vm = fake_vm("a", 2, 0, 0);
	u64 backed = vm->mem.backed;
	char byte = 1;

	(void)state;
	assert_true(vcpu_run_slice());
	for (u32 round = 0; round < 3; round++) {
		assert_int_equal(gmem_write(&vm->mem, gpa(MiB(1) + KiB(64)), &byte, 1), 0);
		assert_int_equal(vm->mem.backed, backed + PAGE_SIZE);
		if (round == 0)
			vm_reset_requested(vm); /* by the guest */
		else if (round == 1)
			assert_int_equal(act("a", do_reset), 0);
		else
			vm_poweroff_requested(vm);
		assert_int_equal(vm->state, VM_STOPPED);
		if (round == 2) {
			assert_false(vm_idle_work());
			assert_string_equal(vm->reason, "switched off by the guest");
			assert_int_equal(act("a", vm_start), 0);
		}
		assert_true(vm_idle_work());
		assert_int_equal(vm->state, VM_RUNNING);
		assert_string_equal(vm->reason, "");
		assert_int_equal(vm->mem.backed, backed);
		assert_int_equal(gmem_read(&vm->mem, gpa(MiB(1) + KiB(64)), &byte, 1), 0);
		assert_int_equal(byte, 0);
		byte = 1;
		assert_int_equal(vm->vcpus[0]->state, VCPU_RUNNABLE);
		assert_int_equal(vm->vcpus[1]->state, VCPU_OFF);
		assert_true(vcpu_run_slice());
	}
}

/* A resume after which a halted vCPU was woken does not end its HLT. */
static void test_halt_lasts(void **state)
{
	struct vm *vm = fake_vm("a", 1, 0, 0);

	(void)state;
	assert_true(vcpu_run_slice());
	assert_int_equal(act("a", vm_pause), 0);
	assert_int_equal(act("a", vm_resume), 0);
	vcpu_run_slice();
	assert_int_equal(fake_vcpu(vm->vcpus[0])->runs, 1);
	assert_int_equal(vm->vcpus[0]->state, VCPU_HALTED);
	vcpu_notify(vm->vcpus[0]);
	assert_true(vcpu_run_slice());
	assert_int_equal(fake_vcpu(vm->vcpus[0])->runs, 2);
}

static struct vm *paused;

static void guest_paused(struct vcpu *vc, u64 until, struct vm_exit *out)
{
	struct vm_locked l = {.vm = vc->vm};

	(void)until;
	out->kind = EXIT_HOST;
	if (fake_vcpu(vc)->runs < 3)
		return;
	/* As another CPU would do it meanwhile. */
	paused = vc->vm;
	l.token = lock_take(&l.vm->lock);
	assert_int_equal(vm_pause(l), 0);
	vm_unlock(l);
}

static void test_pause_while_running(void **state)
{
	struct vm *vm = fake_vm("a", 1, 0, 0);

	(void)state;
	fake_virt_guest = guest_paused;
	assert_true(vcpu_run_slice());
	assert_int_equal(fake_vcpu(vm->vcpus[0])->runs, 3);
	assert_int_equal(vm->vcpus[0]->state, VCPU_RUNNABLE);
	assert_false(vcpu_run_slice());
	assert_int_equal(act("a", vm_resume), 0);
	assert_true(vcpu_run_slice());
	assert_int_equal(fake_vcpu(vm->vcpus[0])->runs, 4);
}

static u64 seen_time, seen_base, left_at;

/* Sets its timer, the third time it is paused as by another CPU, and runs on a little: then it has left. */
static void guest_looks(struct vcpu *vc, u64 until, struct vm_exit *out)
{
	(void)until;
	assert_true(vm_now(vc->vm) >= seen_time);
	seen_time = vm_now(vc->vm);
	seen_base = vc->vm->time_base;
	out->kind = EXIT_HLT;
	vc->wake_at = fake_tsc + MS;
	if (fake_vcpu(vc)->runs % 3 != 0)
		return;
	assert_int_equal(act("a", vm_pause), 0);
	assert_int_equal(vm_now(vc->vm), vm_now(vc->vm));
	fake_tsc += 1000;
	left_at = fake_tsc - seen_base;
	out->kind = EXIT_HOST;
}

/* Time stands still in a pause, and starts from where the last vCPU has left it. */
static void test_time_stands_still(void **state)
{
	struct vm *vm = fake_vm("a", 2, 0, 0);
	u64 base = vm->time_base, at;

	(void)state;
	fake_tsc_step = 0;
	seen_time = 0;
	assert_int_equal(vm_now(vm), fake_tsc - base);
	fake_virt_guest = guest_looks;
	/* Paused while all sleep: their timers are stopped. */
	assert_true(vcpu_run_slice());
	assert_int_equal(fake_armed[0], fake_tsc + MS);
	at = vm_now(vm);
	assert_int_equal(act("a", vm_pause), 0);
	assert_int_equal(fake_armed[0], UINT64_MAX);
	assert_true(vm_deadline(vm, at + 5) == UINT64_MAX);
	fake_tsc += 60000 * MS;
	assert_int_equal(vm_now(vm), at);
	assert_int_equal(act("a", vm_resume), 0);
	assert_int_equal(vm_now(vm), at);
	assert_int_equal(vm->time_base, base + 60000 * MS);
	assert_int_equal(vm_deadline(vm, at + 5), fake_tsc + 5);
	assert_true(vm_deadline(vm, UINT64_MAX) == UINT64_MAX);
	assert_int_equal(vm->resumed, 1);
	/* The vCPU that sleeps on has its timer again; the local APIC's fake knows nothing of time. */
	assert_true(vcpu_run_slice());
	assert_int_equal(vm->resumed, 0);
	assert_true(fake_armed[0] != UINT64_MAX);
	/* Paused while one runs: what it saw while it left counts. */
	vcpu_notify(vm->vcpus[0]);
	assert_true(vcpu_run_slice());
	vcpu_notify(vm->vcpus[0]);
	assert_true(vcpu_run_slice());
	assert_int_equal(fake_vcpu(vm->vcpus[0])->runs, 3);
	assert_int_equal(fake_armed[0], UINT64_MAX);
	assert_int_equal(vm_now(vm), left_at);
	fake_tsc += 60000 * MS;
	assert_int_equal(vm_now(vm), left_at);
	/* Stopped and started again from there: it goes on all the same. */
	assert_int_equal(act("a", stop), 0);
	fake_tsc += MS;
	assert_int_equal(act("a", vm_start), 0);
	assert_true(vm_idle_work());
	assert_int_equal(vm_now(vm), left_at);
	fake_tsc += 7;
	assert_int_equal(vm_now(vm), left_at + 7);
}

/* A device's timer is due as much later as the pause was long, and meanwhile it fires once at most. */
static void test_devices_stand_still(void **state)
{
	struct vm *vm = fake_vm("a", 1, 0, 0);
	u64 left;

	(void)state;
	fake_tsc_step = 0;
	while (vcpu_run_slice())
		;
	/* The 8254, at 100 Hz. */
	bus_write(&vm->bus, DEV_PORT, 0x43, 1, 0x34, NULL);
	bus_write(&vm->bus, DEV_PORT, 0x40, 1, 0x9b, NULL);
	bus_write(&vm->bus, DEV_PORT, 0x40, 1, 0x2e, NULL);
	fake_tsc += 3 * MS;
	left = fake_armed[0] - fake_tsc;
	assert_in_range(left, 6 * MS, 8 * MS);
	for (u32 i = 0; i < 3; i++) {
		assert_int_equal(act("a", vm_pause), 0);
		fake_tsc += 60000 * MS;
		timer_interrupt();
		assert_int_equal(fake_armed[0], UINT64_MAX);
		assert_int_equal(act("a", vm_resume), 0);
		while (vcpu_run_slice())
			;
		assert_int_equal(fake_armed[0] - fake_tsc, left);
	}
}

/* Paused and resumed before the vCPU that runs has noticed: time never stood still. */
static void guest_resumed(struct vcpu *vc, u64 until, struct vm_exit *out)
{
	(void)until;
	out->kind = EXIT_HOST;
	if (fake_vcpu(vc)->runs != 1) {
		out->kind = EXIT_HLT;
		return;
	}
	assert_int_equal(act("a", vm_pause), 0);
	fake_tsc += MS;
	assert_int_equal(act("a", vm_resume), 0);
	seen_base = vc->vm->time_base;
	seen_time = vm_now(vc->vm);
}

static void test_resumed_while_running(void **state)
{
	struct vm *vm = fake_vm("a", 1, 0, 0);
	u64 base = vm->time_base, resumed;

	(void)state;
	fake_tsc_step = 0;
	fake_virt_guest = guest_resumed;
	resumed = fake_tsc + MS;
	while (vcpu_run_slice())
		;
	assert_int_equal(seen_base, base);
	assert_int_equal(seen_time, resumed - base);
	assert_int_equal(fake_vcpu(vm->vcpus[0])->runs, 2);
}

/* A VM is destroyed while another CPU is in its guest: nothing goes before that CPU is out. */
static void guest_destroyed(struct vcpu *vc, u64 until, struct vm_exit *out)
{
	struct vm_locked l = {.vm = vc->vm};

	(void)until;
	out->kind = EXIT_HOST;
	l.token = lock_take(&l.vm->lock);
	assert_int_equal(vm_destroy(l), 0);
	vm_unlock(l);
	for (u32 i = 0; i < 10; i++)
		assert_true(vm_idle_work());
	assert_non_null(vm_get(0));
}

static void test_destroy_while_running(void **state)
{
	u32 used = fake_frames_used();

	(void)state;
	fake_vm("a", 2, 0, 0);
	fake_virt_guest = guest_destroyed;
	assert_true(vcpu_run_slice());
	while (vm_idle_work() || scrub_some(100))
		;
	assert_null(vm_get(0));
	assert_int_equal(fake_frames_used(), used);
}

/* Guests wait for each step: it ends soon even when every frame has page tables of its own. */
static void test_a_sparse_vm_is_taken_apart_in_short_steps(void **state)
{
	const u32 pages = 100;
	struct vm_config c = config("a");
	u64 step = fake_tsc_step;
	u32 used = fake_frames_used();
	struct gmem *g;

	(void)state;
	c.memory = GiB(64);
	assert_int_equal(vm_create(&c, why, sizeof(why)), 0);
	g = &vm_get(0)->mem;
	for (u32 i = 0; i < pages; i++)
		assert_int_equal(gmem_touch(g, gpa(GiB(4) + i * MiB(64)), true), GMEM_MAPPED);
	assert_int_equal(act("a", vm_destroy), 0);
	/* A millisecond passes at every look at the clock. */
	fake_tsc_step = fake_tsc_hz / 1000;
	for (u32 i = 0; i < pages; i++) {
		u64 backed = g->backed;

		assert_true(vm_idle_work());
		assert_int_equal(g->backed, backed - PAGE_SIZE);
	}
	fake_tsc_step = step;
	while (vm_idle_work() || scrub_some(100))
		;
	assert_int_equal(fake_frames_used(), used);
}

static u64 touch_at;

static void guest_touches(struct vcpu *vc, u64 until, struct vm_exit *out)
{
	(void)until;
	(void)vc;
	out->kind = EXIT_MEM;
	out->mem = (struct exit_mem){.gpa = gpa(touch_at), .write = true};
	touch_at += PAGE_SIZE;
}

/* The grant is used up: this vCPU waits, tries again at each poll, and goes on with a larger one. */
static void test_stall(void **state)
{
	struct vm *vm = fake_vm("a", 1, 0, 0);
	u64 backed;

	(void)state;
	touch_at = 0;
	fake_virt_guest = guest_touches;
	assert_int_equal(gmem_set_grant(&vm->mem, 20 * PAGE_SIZE, false), 0);
	assert_true(vcpu_run_slice());
	assert_int_equal(vm->vcpus[0]->state, VCPU_STALLED);
	assert_int_equal(vm->vcpus[0]->stalled_at.v, 18 * PAGE_SIZE);
	assert_int_equal(vm->mem.backed, (20 + ROM_PAGES) * PAGE_SIZE);
	assert_non_null(strstr(fake_log(), "vm a: vCPU 0 waits for memory at 0x12000: its grant"));
	assert_false(vcpu_run_slice());
	for (u32 i = 0; i < 5; i++) {
		touch_at = 18 * PAGE_SIZE;
		vm_poll();
		assert_true(vcpu_run_slice());
		assert_int_equal(vm->vcpus[0]->state, VCPU_STALLED);
	}
	assert_null(strstr(strstr(fake_log(), "waits") + 1, "waits"));
	assert_int_equal(gmem_set_grant(&vm->mem, 30 * PAGE_SIZE, false), 0);
	touch_at = 18 * PAGE_SIZE;
	vm_poll();
	assert_true(vcpu_run_slice());
	assert_int_equal(vm->mem.backed, (30 + ROM_PAGES) * PAGE_SIZE);
	/* And when the node has nothing: the others' memory is what it waits for. */
	assert_int_equal(gmem_set_grant(&vm->mem, MiB(2), false), 0);
	touch_at = 28 * PAGE_SIZE;
	backed = vm->mem.backed;
	fake_frames_left = 3;
	vm_poll();
	assert_true(vcpu_run_slice());
	assert_int_equal(vm->mem.backed, backed + 3 * PAGE_SIZE);
	assert_int_equal(vm->vcpus[0]->state, VCPU_STALLED);
	assert_int_equal(vm->state, VM_RUNNING);
	fake_frames_left = UINT32_MAX;
}

static void test_kill_is_alone(void **state)
{
	struct vm *a = fake_vm("a", 1, 0, 0), *b = fake_vm("b", 1, 0, 0);

	(void)state;
	vm_kill(a, "it did %u", 42u);
	vm_kill(a, "a second reason");
	assert_string_equal(a->reason, "it did 42");
	assert_int_equal(a->state, VM_STOPPED);
	assert_int_equal(b->state, VM_RUNNING);
	while (vcpu_run_slice())
		;
	assert_int_equal(fake_vcpu(a->vcpus[0])->runs, 0);
	assert_int_equal(fake_vcpu(b->vcpus[0])->runs, 1);
}

/* A thousand VMs, each with some memory touched: everything comes back, to the frame. */
static void test_thousand(void **state)
{
	u32 used = fake_frames_used();

	(void)state;
	fake_virt_guest = guest_touches;
	for (u32 i = 0; i < 1000; i++) {
		struct vm *vm = fake_vm("cycle", 1 + i % 3, 0, 0);

		touch_at = (i % 50) * PAGE_SIZE;
		assert_int_equal(gmem_set_grant(&vm->mem, 40 * PAGE_SIZE, false), 0);
		assert_true(vcpu_run_slice());
		fake_vm_end();
		assert_int_equal(fake_frames_used(), used);
		assert_int_equal(scrub_backlog(), 0);
	}
	assert_int_equal(fake_virt_objects, 0);
}

/* Each allocation fails once: an error, a sentence, and nothing stays behind. */
static void test_each_allocation_fails(void **state)
{
	u32 used = fake_frames_used(), failures = 0;
	struct vm_config c = config("a");

	(void)state;
	for (u32 n = 0;; n++) {
		int rc;

		fake_frames_left = n;
		rc = vm_create(&c, why, sizeof(why));
		fake_frames_left = UINT32_MAX;
		if (rc == 0)
			break;
		failures++;
		assert_int_equal(rc, -TERN_ENOMEM);
		assert_non_null(strstr(why, "no memory"));
		while (scrub_some(64))
			;
		assert_int_equal(fake_frames_used(), used);
		assert_int_equal(fake_virt_objects, 0);
		assert_null(vm_get(0));
	}
	/* VM, its tables, backend, two vCPUs with theirs, two devices with a ring, two pages. */
	assert_true(failures >= 14);
}

static void refill(struct vm_config *c)
{
	*c = config("a");
	c->vcpus = 3;
	c->module_count = 1;
	c->modules[0] = "initrd";
	c->cmdline = "quiet";
}

/* A whole life: guests touch memory, stall, go on, and the VM goes. False: it was not created. */
static bool live(u32 used)
{
	struct vm_config c;
	struct vm *vm;
	int rc;

	refill(&c);
	memset(why, 0, sizeof(why));
	rc = vm_create(&c, why, sizeof(why));
	if (rc != 0) {
		assert_int_equal(rc, -TERN_ENOMEM);
		assert_non_null(strstr(why, "no memory"));
	} else {
		assert_string_equal(why, "");
		vm = vm_find("a");
		touch_at = MiB(32);
		assert_int_equal(gmem_set_grant(&vm->mem, 60 * PAGE_SIZE, false), 0);
		assert_int_equal(act("a", vm_start), 0);
		for (u32 i = 0; i < 6; i++) {
			fake_cpu_set(i % 2);
			vcpu_run_slice();
			fake_cpu_set(0);
			touch_at -= PAGE_SIZE;
			vm_poll();
		}
		assert_int_equal(vm->state, VM_RUNNING);
		assert_int_equal(vm->vcpus[0]->state, VCPU_STALLED);
	}
	fake_vm_end();
	assert_int_equal(fake_frames_used(), used);
	assert_int_equal(scrub_backlog(), 0);
	return rc == 0;
}

/* The n-th allocation alone fails, or all from the n-th on: never more than that is lost. */
static void test_each_allocation_of_a_life_fails(void **state)
{
	u32 used = fake_frames_used(), all, refused_lives = 0;

	(void)state;
	fake_module("initrd", "some bytes", 10);
	fake_virt_guest = guest_touches;
	all = fake_frames_asked;
	assert_true(live(used));
	all = fake_frames_asked - all;
	assert_true(all > 60);
	for (u32 n = 0; n < 2 * all; n++) {
		*(n < all ? &fake_frames_left : &fake_frames_one) = n % all;
		refused_lives += !live(used);
		fake_frames_left = fake_frames_one = UINT32_MAX;
	}
	assert_true(refused_lives >= 2 * 18 && refused_lives < all);
}

static void test_table_full(void **state)
{
	char name[16];

	(void)state;
	fake_node_start(1, 8 * FRAMES);
	for (u32 i = 0; i < VMS_MAX; i++) {
		struct vm_config c = config(name);

		snprintf(name, sizeof(name), "vm%u", i);
		assert_int_equal(vm_create(&c, why, sizeof(why)), 0);
	}
	refused(config("more"), TERN_ENOSPC, "64 VMs");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(test_start_state, setup, teardown),
		cmocka_unit_test_setup_teardown(test_states, setup, teardown),
		cmocka_unit_test_setup_teardown(test_starts_again, setup, teardown),
		cmocka_unit_test_setup_teardown(test_halt_lasts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pause_while_running, setup, teardown),
		cmocka_unit_test_setup_teardown(test_time_stands_still, setup, teardown),
		cmocka_unit_test_setup_teardown(test_devices_stand_still, setup, teardown),
		cmocka_unit_test_setup_teardown(test_resumed_while_running, setup, teardown),
		cmocka_unit_test_setup_teardown(test_destroy_while_running, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_sparse_vm_is_taken_apart_in_short_steps,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_stall, setup, teardown),
		cmocka_unit_test_setup_teardown(test_kill_is_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_thousand, setup, teardown),
		cmocka_unit_test_setup_teardown(test_each_allocation_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(test_each_allocation_of_a_life_fails, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_table_full, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
