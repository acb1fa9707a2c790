/* SPDX-License-Identifier: MIT */
/* Where a bare guest ends itself with a code, as QEMU's isa-debug-exit has it. */
#include <tern/dev.h>

#include <tern/err.h>
#include <tern/frames.h>
#include <tern/vm.h>

static u64 exitport_read(UNUSED struct device *d, UNUSED u64 offset, UNUSED u32 width)
{
	return UINT64_MAX;
}

static void exitport_write(struct device *d, UNUSED u64 offset, UNUSED u32 width, u64 value)
{
	vm_kill(d->vm, "exit code %llu", (unsigned long long)value);
}

static void exitport_reset(UNUSED struct device *d)
{
}

static void exitport_destroy(struct device *d)
{
	frames_free_page(d);
}

static const struct dev_ops exitport_ops = {
	.name = "exit port",
	.width_max = EXITPORT_LEN,
	.read = exitport_read,
	.write = exitport_write,
	.reset = exitport_reset,
	.destroy = exitport_destroy,
};

int exitport_create(struct vm *vm, struct dev_bus *bus)
{
	struct device *d = frames_alloc_page();
	int rc;

	if (d == NULL)
		return -TERN_ENOMEM;
	d->ops = &exitport_ops;
	d->vm = vm;
	rc = bus_add(bus, DEV_PORT, EXITPORT_BASE, EXITPORT_LEN, d);
	if (rc != 0)
		exitport_destroy(d);
	return rc;
}
