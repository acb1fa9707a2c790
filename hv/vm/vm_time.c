/* SPDX-License-Identifier: MIT */
/*
 * The time of a VM. vm.time_base changes only while no vCPU is loaded, so a vCPU's owner may use it
 * without a lock; devices, whose timers fire on any CPU at any time, use the word vm.time alone.
 */
#include <tern/vm_time.h>

#include <tern/timer.h>
#include <tern/wall_clock.h>

static void set_time(struct vm *vm, u64 word)
{
	__atomic_store_n(&vm->time, word, __ATOMIC_RELEASE);
}

void vm_time_init(struct vm *vm)
{
	vm->wall_seconds = wall_clock_unix_seconds();
	vm->time_base = vm->wall_tsc = arch_tsc();
	set_time(vm, vm->time_base << VM_TIME_SHIFT);
}

void vm_time_stop(struct vm *vm)
{
	set_time(vm, (arch_tsc() - vm->time_base) << VM_TIME_SHIFT | VM_TIME_STOPPED);
}

/* Of a vCPU that is in no queue. */
static bool all_at_rest(struct vm *vm)
{
	bool rest = true;

	for (u32 i = 0; i < vm->vcpu_count; i++)
		rest &= sched_block(vm->vcpus[i]);
	return rest;
}

void vm_time_go_on(struct vm *vm)
{
	if ((vm->time & VM_TIME_STOPPED) == 0)
		return;
	if (all_at_rest(vm))
		vm->time_base = arch_tsc() - vm_now(vm);
	set_time(vm, vm->time_base << VM_TIME_SHIFT);
	/* The first vCPU that runs tells the devices, whose lock comes before the VM's. */
	__atomic_store_n(&vm->resumed, 1, __ATOMIC_RELEASE);
	__atomic_store_n(&vm->work, 1, __ATOMIC_RELEASE);
}

void vm_time_left(struct vcpu *vc)
{
	struct vm *vm = vc->vm;
	lock_token token = lock_take(&vm->lock);

	if ((vm->time & VM_TIME_STOPPED) != 0) {
		vm_time_stop(vm);
		timer_cancel(&vc->timer);
	}
	lock_release(&vm->lock, token);
}
