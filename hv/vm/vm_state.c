/* SPDX-License-Identifier: MIT */
/*
 * The states of a VM: created, running, paused, stopped, dying. They change under the VM's lock; the
 * CPUs that run its vCPUs are kicked and see the new state before they enter a guest again.
 */
#include <tern/vm.h>

#include <tern/err.h>
#include <tern/lib.h>
#include <tern/log.h>
#include <tern/timer.h>
#include <tern/vm_time.h>

const char *vm_state_name(enum vm_state state)
{
	static const char *const names[] = {
		[VM_NONE] = "none",     [VM_CREATED] = "created", [VM_RUNNING] = "running",
		[VM_PAUSED] = "paused", [VM_STOPPED] = "stopped", [VM_DYING] = "dying",
	};

	return names[state];
}

const char *vcpu_state_name(enum vcpu_state state)
{
	static const char *const names[] = {
		[VCPU_OFF] = "off",         [VCPU_RUNNABLE] = "runnable",
		[VCPU_HALTED] = "halted",   [VCPU_STALLED] = "waits for memory",
		[VCPU_STOPPED] = "stopped",
	};

	return names[state];
}

static void set_state(struct vm *vm, enum vm_state state)
{
	__atomic_store_n(&vm->state, state, __ATOMIC_RELEASE);
}

static void wake_all(struct vm *vm)
{
	for (u32 i = 0; i < vm->vcpu_count; i++)
		sched_wake(vm->vcpus[i]);
}

/* Those that run leave the guest soon after. What the others sleep for does not come while time stands still;
 * the CPU that runs one next starts its timer again. */
static void block_all(struct vm *vm)
{
	for (u32 i = 0; i < vm->vcpu_count; i++) {
		if (sched_block(vm->vcpus[i]))
			timer_cancel(&vm->vcpus[i]->timer);
	}
}

static void halt(struct vm *vm, enum vm_state state, const char *reason)
{
	set_state(vm, state);
	if (reason != vm->reason)
		str_copy(vm->reason, reason, sizeof(vm->reason));
	for (u32 i = 0; i < vm->vcpu_count; i++) {
		struct vcpu *vc = vm->vcpus[i];

		/* Of one that runs, the CPU that runs it does the same. */
		if (sched_block(vc))
			__atomic_store_n(&vc->state, VCPU_STOPPED, __ATOMIC_RELEASE);
	}
	log_info("vm %s: %s: %s", vm->name, vm_state_name(state), vm->reason);
}

static bool alive(const struct vm *vm)
{
	return vm->state == VM_CREATED || vm->state == VM_RUNNING || vm->state == VM_PAUSED;
}

int vm_start(struct vm_locked l)
{
	struct vm *vm = l.vm;

	if (vm->state == VM_STOPPED)
		return vm_reset(l, "started again");
	if (vm->state != VM_CREATED)
		return -TERN_EINVAL;
	__atomic_store_n(&vm->vcpus[0]->state, VCPU_RUNNABLE, __ATOMIC_RELEASE);
	set_state(vm, VM_RUNNING);
	vm_time_go_on(vm); /* it was stopped while it was paused */
	wake_all(vm);
	log_info("vm %s: started", vm->name);
	return 0;
}

int vm_pause(struct vm_locked l)
{
	if (l.vm->state != VM_RUNNING)
		return -TERN_EINVAL;
	set_state(l.vm, VM_PAUSED);
	block_all(l.vm);
	vm_time_stop(l.vm);
	return 0;
}

int vm_resume(struct vm_locked l)
{
	if (l.vm->state != VM_PAUSED)
		return -TERN_EINVAL;
	set_state(l.vm, VM_RUNNING);
	vm_time_go_on(l.vm);
	wake_all(l.vm);
	return 0;
}

int vm_stop(struct vm_locked l, const char *reason)
{
	if (!alive(l.vm))
		return -TERN_EINVAL;
	halt(l.vm, VM_STOPPED, reason);
	return 0;
}

int vm_reset(struct vm_locked l, const char *reason)
{
	if (l.vm->state == VM_DYING)
		return -TERN_EINVAL;
	l.vm->reset_wanted = true;
	halt(l.vm, VM_STOPPED, reason);
	return 0;
}

int vm_destroy(struct vm_locked l)
{
	if (l.vm->state == VM_DYING)
		return -TERN_EINVAL;
	l.vm->reset_wanted = false;
	halt(l.vm, VM_DYING, alive(l.vm) ? "destroyed by the operator" : l.vm->reason);
	return 0;
}

void vm_poweroff_requested(struct vm *vm)
{
	vm_kill(vm, "switched off by the guest");
}

void vm_reset_requested(struct vm *vm)
{
	lock_token token = lock_take(&vm->lock);

	if (alive(vm))
		(void)!vm_reset((struct vm_locked){.vm = vm, .token = token}, "reset by the guest");
	lock_release(&vm->lock, token);
}

void vm_kill(struct vm *vm, const char *fmt, ...)
{
	char reason[VM_REASON_MAX];
	lock_token token;
	va_list ap;

	va_start(ap, fmt);
	fmt_vstr(reason, sizeof(reason), fmt, ap);
	va_end(ap);
	token = lock_take(&vm->lock);
	/* The first reason counts. */
	if (alive(vm))
		halt(vm, VM_STOPPED, reason);
	lock_release(&vm->lock, token);
}
