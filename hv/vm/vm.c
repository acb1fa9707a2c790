/* SPDX-License-Identifier: MIT */
/*
 * The table of VMs, and how one is made and taken apart. The boot CPU's thread alone comes here. What
 * is made is made in an order that teardown_some() knows backwards, so that a creation that fails half
 * way and a VM that is destroyed end the same way.
 */
#include <tern/vm.h>

#include "mb1_guest.h"

#include <tern/arch.h>
#include <tern/boot_info.h>
#include <tern/err.h>
#include <tern/frames.h>
#include <tern/lib.h>
#include <tern/log.h>
#include <tern/pcpu.h>

#define LOW_RAM_END 0xa0000ull /* what a PC has below its video memory */
#define HIGH_RAM    MiB(1)
#define DEVICE_HOLE GiB(3) /* up to 4 GiB: addresses of devices */
#define MEMORY_MIN  KiB(64)
#define MEMORY_MAX  GiB(65536)
#define FREE_BATCH  256u /* frames that one step of a teardown looks at */
#define MODULES_MAX ARRAY_SIZE(((struct vm_config *)0)->modules)

_Static_assert(sizeof(struct vm) <= PAGE_SIZE && sizeof(struct vcpu) <= PAGE_SIZE, "a page each");

static struct vm *vms[VMS_MAX];
static u32 last_id;

/* --- looking --- */

struct vm *vm_get(u32 index)
{
	for (u32 i = 0; i < VMS_MAX; i++) {
		if (vms[i] != NULL && index-- == 0)
			return vms[i];
	}
	return NULL;
}

struct vm *vm_find(const char *name)
{
	struct vm *vm;
	u64 id;

	for (u32 i = 0; (vm = vm_get(i)) != NULL; i++) {
		if (strcmp(vm->name, name) == 0)
			return vm;
	}
	if (str_to_u64(name, &id) != 0)
		return NULL;
	for (u32 i = 0; (vm = vm_get(i)) != NULL; i++) {
		if (vm->id == id)
			return vm;
	}
	return NULL;
}

bool vm_find_locked(const char *name, struct vm_locked *out)
{
	struct vm *vm = vm_find(name);

	if (vm == NULL)
		return false;
	*out = (struct vm_locked){.vm = vm, .token = lock_take(&vm->lock)};
	return true;
}

void vm_unlock(struct vm_locked l)
{
	lock_release(&l.vm->lock, l.token);
}

/* --- taking apart --- */

/* True when no CPU runs one of its vCPUs and none is in a queue. */
static bool at_rest(struct vm *vm)
{
	lock_token token = lock_take(&vm->lock);
	bool rest = true;

	for (u32 i = 0; i < VCPUS_PER_VM_MAX; i++) {
		if (vm->vcpus[i] != NULL && !sched_block(vm->vcpus[i]))
			rest = false;
	}
	lock_release(&vm->lock, token);
	return rest;
}

/* A step; false when nothing is left, and vm is gone. */
static bool teardown_some(const struct virt_ops *ops, struct vm *vm)
{
	if (!at_rest(vm) || gmem_destroy_some(&vm->mem, FREE_BATCH))
		return true;
	bus_destroy(&vm->bus);
	for (u32 i = 0; i < VCPUS_PER_VM_MAX; i++) {
		if (vm->vcpus[i] == NULL)
			continue;
		timer_stop(&vm->vcpus[i]->timer);
		ops->vcpu_destroy(vm->vcpus[i]);
		frames_free_page(vm->vcpus[i]);
	}
	if (vm->backend)
		ops->vm_destroy(vm);
	frames_free_page(vm);
	return false;
}

bool vm_idle_work(void)
{
	const struct virt_ops *ops = virt_ops_get();

	for (u32 i = 0; i < VMS_MAX; i++) {
		struct vm *vm = vms[i];
		char name[VM_NAME_MAX];

		if (vm == NULL || __atomic_load_n(&vm->state, __ATOMIC_ACQUIRE) != VM_DYING)
			continue;
		str_copy(name, vm->name, sizeof(name));
		if (!teardown_some(ops, vm)) {
			vms[i] = NULL;
			log_info("vm %s: gone", name);
		}
		return true;
	}
	return false;
}

/* --- making --- */

static int PRINTF(4, 5) refuse(int err, char *why, size_t size, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fmt_vstr(why, size, fmt, ap);
	va_end(ap);
	return -err;
}

static bool name_ok(const char *name)
{
	size_t len = strlen(name);
	bool letter = false;

	for (const char *s = name; *s != '\0'; s++) {
		if ((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z'))
			letter = true;
		else if (!(*s >= '0' && *s <= '9') && strchr("-_.", *s) == NULL)
			return false;
	}
	return letter && len < VM_NAME_MAX;
}

static int check(const struct vm_config *c, const struct virt_ops *ops, char *why, size_t size)
{
	if (ops == NULL || pcpu_self()->sched == NULL)
		return refuse(TERN_ENODEV, why, size,
			      "this machine cannot run guests; 'cpus' says why");
	if (!name_ok(c->name))
		return refuse(TERN_EINVAL, why, size,
			      "a name has 1 to %u letters, digits, '-', '_' and '.', and at least "
			      "one letter",
			      VM_NAME_MAX - 1);
	if (vm_find(c->name) != NULL)
		return refuse(TERN_EEXIST, why, size, "there is a VM of that name");
	if (c->memory % PAGE_SIZE != 0 || c->memory < MEMORY_MIN || c->memory > MEMORY_MAX)
		return refuse(TERN_EINVAL, why, size,
			      "memory is 64 KiB to 64 TiB, a multiple of 4 KiB");
	if (c->vcpus == 0 || c->vcpus > VCPUS_PER_VM_MAX)
		return refuse(TERN_EINVAL, why, size, "vcpus is 1 to %u", VCPUS_PER_VM_MAX);
	if (c->weight > SCHED_WEIGHT_MAX)
		return refuse(TERN_EINVAL, why, size, "weight is 1 to %u", SCHED_WEIGHT_MAX);
	if (c->cap > 100)
		return refuse(TERN_EINVAL, why, size,
			      "cap is 1 to 100 per cent of a CPU for each vCPU, or 0: none");
	if (c->module_count > MODULES_MAX)
		return refuse(TERN_EINVAL, why, size, "at most %zu modules", MODULES_MAX);
	return 0;
}

static void flush(void *owner)
{
	struct vm *vm = owner;

	if (vm->backend)
		virt_ops_get()->npt_flush(vm);
}

/* Low memory, then from 1 MiB on, with a hole for devices below 4 GiB: together what was asked for. */
static int add_memory(struct vm *vm, u64 bytes)
{
	u64 low = min_u64(bytes, LOW_RAM_END),
	    middle = min_u64(bytes - low, DEVICE_HOLE - HIGH_RAM);
	u64 high = bytes - low - middle;
	int rc = gmem_add(&vm->mem, gpa(0), low, GMEM_RAM);

	if (rc == 0 && middle > 0)
		rc = gmem_add(&vm->mem, gpa(HIGH_RAM), middle, GMEM_RAM);
	if (rc == 0 && high > 0)
		rc = gmem_add(&vm->mem, gpa(GiB(4)), high, GMEM_RAM);
	return rc;
}

static int add_vcpu(const struct virt_ops *ops, struct vm *vm, u32 index)
{
	struct vcpu *vc = frames_alloc_page();
	int rc;

	if (vc == NULL)
		return -TERN_ENOMEM;
	vc->vm = vm;
	vc->index = index;
	vc->state = VCPU_OFF;
	vc->start_vector = VCPU_NO_START;
	sched_vcpu_init(vc, vm->weight, vm->cap);
	vcpu_run_init(vc);
	rc = ops->vcpu_create(vc);
	if (rc != 0) {
		frames_free_page(vc);
		return rc;
	}
	vm->vcpus[index] = vc;
	return 0;
}

static int add_parts(const struct virt_ops *ops, struct vm *vm, u64 memory)
{
	int rc = gmem_create(&vm->mem, ops->npt_format(), flush, vm);

	if (rc == 0)
		rc = add_memory(vm, memory);
	if (rc == 0)
		rc = ops->vm_create(vm);
	if (rc != 0)
		return rc;
	vm->backend = true;
	for (u32 i = 0; rc == 0 && i < vm->vcpu_count; i++)
		rc = add_vcpu(ops, vm, i);
	if (rc == 0)
		rc = vuart_create(vm, &vm->bus, &vm->platform.uart);
	if (rc == 0)
		rc = exitport_create(vm, &vm->bus);
	return rc;
}

static int find_module(const char *name, const struct boot_module **out, char *why, size_t size)
{
	*out = boot_info_module(boot_info_get(), name);
	return *out != NULL ? 0
			    : refuse(TERN_ENOENT, why, size,
				     "there is no boot module '%s'; 'mmap' lists them", name);
}

static int load(const struct virt_ops *ops, struct vm *vm, const struct vm_config *c, char *why,
		size_t size)
{
	struct guest_module modules[MODULES_MAX];
	const struct boot_module *kernel, *m;
	struct mb1_start start;
	struct mb1_boot boot = {.cmdline = c->cmdline != NULL ? c->cmdline : "",
				.module_count = c->module_count,
				.modules = modules};
	int rc = find_module(c->kernel, &kernel, why, size);
	bool irqs;

	for (u32 i = 0; rc == 0 && i < c->module_count; i++) {
		rc = find_module(c->modules[i], &m, why, size);
		if (rc == 0)
			modules[i] = (struct guest_module){.data = phys_to_virt(hpa(m->base)),
							   .len = m->len,
							   .name = m->name,
							   .args = m->args};
	}
	if (rc != 0)
		return rc;
	boot.file = phys_to_virt(hpa(kernel->base));
	boot.len = kernel->len;
	rc = mb1_guest_load(&vm->mem, &boot, &start, why, size);
	if (rc != 0)
		return rc;
	irqs = arch_irq_off();
	for (u32 i = 0; i < vm->vcpu_count; i++) {
		ops->vcpu_load(vm->vcpus[i]);
		ops->vcpu_reset(vm->vcpus[i]);
		if (i == 0)
			mb1_guest_registers(ops, vm->vcpus[i], &start);
		ops->vcpu_unload(vm->vcpus[i]);
	}
	if (irqs)
		arch_irq_on();
	return 0;
}

int vm_create(const struct vm_config *config, char *why, size_t why_size)
{
	const struct virt_ops *ops = virt_ops_get();
	int rc = check(config, ops, why, why_size);
	struct vm *vm;
	u32 slot = 0;

	if (rc != 0)
		return rc;
	while (slot < VMS_MAX && vms[slot] != NULL)
		slot++;
	if (slot == VMS_MAX)
		return refuse(TERN_ENOSPC, why, why_size, "there are %u VMs already", VMS_MAX);
	vm = frames_alloc_page();
	if (vm == NULL)
		return refuse(TERN_ENOMEM, why, why_size, "the node has no memory for it");
	vm->state = VM_CREATED;
	vm->lock = (struct spinlock)SPINLOCK_INIT(RANK_VM, "VM");
	str_copy(vm->name, config->name, sizeof(vm->name));
	vm->vcpu_count = config->vcpus;
	vm->weight = config->weight != 0 ? config->weight : SCHED_WEIGHT_DEFAULT;
	vm->cap = config->cap;
	bus_init(&vm->bus);
	fmt_str(why, why_size, "the node has no memory for it");
	rc = add_parts(ops, vm, config->memory);
	if (rc == 0)
		rc = load(ops, vm, config, why, why_size);
	if (rc != 0) {
		while (teardown_some(ops, vm))
			;
		return rc;
	}
	vm->id = ++last_id;
	vms[slot] = vm;
	why[0] = '\0';
	return 0;
}

/* --- waiting for memory --- */

void vm_poll(void)
{
	struct vm *vm;

	for (u32 i = 0; (vm = vm_get(i)) != NULL; i++) {
		lock_token token = lock_take(&vm->lock);

		if (vm->state == VM_RUNNING && __atomic_load_n(&vm->work, __ATOMIC_RELAXED) != 0)
			sched_wake(vm->vcpus[0]);
		for (u32 k = 0; vm->state == VM_RUNNING && k < vm->vcpu_count; k++) {
			if (__atomic_load_n(&vm->vcpus[k]->state, __ATOMIC_ACQUIRE) == VCPU_STALLED)
				sched_wake(vm->vcpus[k]);
		}
		lock_release(&vm->lock, token);
	}
}
