/* SPDX-License-Identifier: MIT */
/* What hv/vm does to the time of a VM that is paused, for tests of devices: one CPU, timers of hv/timer.c. */
#ifndef FAKE_PAUSE_H
#define FAKE_PAUSE_H

#include <tern/timer.h>
#include <tern/vm_time.h>
#include <tests/fake/fake_host.h>

/* The VM is paused for so many ticks of the TSC. Returns how many timer interrupts came meanwhile. */
static inline u32 fake_pause(struct vm *vm, u64 ticks)
{
	u64 at = vm_now(vm), end = fake_tsc + ticks;
	lock_token token;
	u32 n = 0;

	vm->time = at << VM_TIME_SHIFT | VM_TIME_STOPPED;
	for (; fake_armed[0] <= end; n++) {
		fake_tsc = fake_armed[0];
		timer_interrupt();
	}
	fake_tsc = end;
	vm->time_base = end - at;
	vm->time = vm->time_base << VM_TIME_SHIFT;
	token = lock_take(&vm->bus.lock);
	for (u32 i = 0; i < vm->bus.count; i++) {
		struct device *d = vm->bus.ranges[i].dev;

		if (d->ops->resumed != NULL)
			d->ops->resumed(d);
	}
	lock_release(&vm->bus.lock, token);
	return n;
}

#endif
