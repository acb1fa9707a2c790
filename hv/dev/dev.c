/* SPDX-License-Identifier: MIT */
/* Work that devices do later, on the time of their VM. */
#include <tern/dev.h>

#include <tern/vm.h>

void dev_request_work(struct device *d)
{
	__atomic_store_n(&d->work, 1, __ATOMIC_RELEASE);
	__atomic_store_n(&d->vm->work, 1, __ATOMIC_RELEASE);
	/* Any vCPU would do, whatever it waits for; this one exists. */
	vcpu_kick(d->vm->vcpus[0]);
}

static void tell_resumed(const struct dev_bus *bus)
{
	for (u32 i = 0; i < bus->count; i++) {
		struct device *d = bus->ranges[i].dev;

		if (d->ops->resumed != NULL)
			d->ops->resumed(d);
	}
}

void dev_work(struct vm *vm)
{
	struct dev_bus *bus = &vm->bus;
	lock_token token = lock_take(&bus->lock);

	__atomic_store_n(&vm->work, 0, __ATOMIC_SEQ_CST);
	if (__atomic_exchange_n(&vm->resumed, 0, __ATOMIC_ACQ_REL) != 0)
		tell_resumed(bus);
	for (u32 i = 0; i < bus->count; i++) {
		struct device *d = bus->ranges[i].dev;

		if (__atomic_exchange_n(&d->work, 0, __ATOMIC_ACQ_REL) == 0 || d->ops->work(d))
			continue;
		/* vm_poll() comes back to it. */
		__atomic_store_n(&d->work, 1, __ATOMIC_RELEASE);
		__atomic_store_n(&vm->work, 1, __ATOMIC_RELEASE);
	}
	lock_release(&bus->lock, token);
}
