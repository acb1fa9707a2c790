/* SPDX-License-Identifier: MIT */
/*
 * The time of a VM (hv/vm/vm_time.c), in ticks of the host's TSC: 0 when the VM was made, and it stands still
 * while the VM is paused. All its clocks are computed from it: TSCs, LAPIC timers, devices, the
 * paravirtual clock.
 */
#ifndef TERN_VM_TIME_H
#define TERN_VM_TIME_H

#include <tern/arch.h>
#include <tern/types.h>
#include <tern/vm.h>

#define VM_TIME_STOPPED 1u /* of vm.time: the rest is the time; else it is vm.time_base */
#define VM_TIME_SHIFT   1u

/* What time it is. Any CPU, any context: all of it is in one word. */
static inline u64 vm_now(const struct vm *vm)
{
	u64 word = __atomic_load_n(&vm->time, __ATOMIC_ACQUIRE);
	u64 v = (u64)((s64)word >> VM_TIME_SHIFT);

	return (word & VM_TIME_STOPPED) != 0 ? v : arch_tsc() - v;
}

/* The host's TSC at a time of the VM: for timer_start(). UINT64_MAX when it never comes: the VM is paused, or time is
 * UINT64_MAX. When the VM goes on, dev_ops.resumed is called. The bus lock is held. */
static inline u64 vm_deadline(const struct vm *vm, u64 time)
{
	u64 word = __atomic_load_n(&vm->time, __ATOMIC_ACQUIRE);

	if (time == UINT64_MAX || (word & VM_TIME_STOPPED) != 0)
		return UINT64_MAX;
	return time + (u64)((s64)word >> VM_TIME_SHIFT);
}

/* It is 0 now. The VM is being made. */
void vm_time_init(struct vm *vm);
/* Stops it; again: lets it stand where it would be by now, had it gone on. VM lock held. */
void vm_time_stop(struct vm *vm);
/* Goes on where it stopped; where a vCPU has run all along, as if it had never stopped, since a clock that its guest has
 * seen does not go back. Before the vCPUs are woken. VM lock held. */
void vm_time_go_on(struct vm *vm);
/* vc has left its guest because of its VM's state: where that is paused, time stops no earlier than this, and vc->timer
 * is stopped. The owner, no lock held. */
void vm_time_left(struct vcpu *vc);

#endif
