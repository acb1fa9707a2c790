/* SPDX-License-Identifier: MIT */
/*
 * The table of VMs, and how one is made and taken apart. The boot CPU's thread alone comes here. What
 * is made is made in an order that teardown_some() knows backwards, so that a creation that fails half
 * way and a VM that is destroyed end the same way.
 */
#include <tern/vm.h>

#include "vm_make.h"

#include <tern/agent.h>
#include <tern/arch.h>
#include <tern/boot_info.h>
#include <tern/err.h>
#include <tern/frames.h>
#include <tern/lib.h>
#include <tern/log.h>
#include <tern/pcpu.h>
#include <tern/vlapic.h>
#include <tern/vm_time.h>

#define MEMORY_MIN  KiB(64)
#define MEMORY_MAX  GiB(65536)
#define FREE_BATCH  1u /* frames between two looks at the clock; each may be alone in its tables */
#define FREE_US     250u /* how long a teardown goes on at once: guests wait for that */
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

/* Goes on until that TSC value; false when nothing is left, and vm is gone. */
static bool teardown_some(const struct virt_ops *ops, struct vm *vm, u64 until)
{
	if (!at_rest(vm))
		return true;
	while (gmem_destroy_some(&vm->mem, FREE_BATCH)) {
		if (arch_tsc() >= until)
			return true;
	}
	bus_destroy(&vm->bus);
	agent_destroy(vm);
	if (vm->boot != NULL)
		frames_free_page(vm->boot);
	for (u32 i = 0; i < VCPUS_PER_VM_MAX; i++) {
		if (vm->vcpus[i] == NULL)
			continue;
		timer_stop(&vm->vcpus[i]->timer);
		ops->vcpu_destroy(vm->vcpus[i]);
		vlapic_destroy(vm->vcpus[i]);
		frames_free_page(vm->vcpus[i]);
	}
	if (vm->backend)
		ops->vm_destroy(vm);
	frames_free_page(vm);
	return false;
}

/* Begins anew a VM that has stopped for it. */
static void start_over(const struct virt_ops *ops, struct vm *vm)
{
	char why[VM_REASON_MAX];
	struct vm_locked l = {.vm = vm};
	int rc;

	for (u32 i = 0; i < vm->vcpu_count; i++)
		vcpu_run_reset(vm->vcpus[i]);
	(void)gmem_unback(&vm->mem, gpa(0), NPT_GPA_END);
	bus_reset(&vm->bus);
	agent_reset(vm);
	rc = vm_make_load(ops, vm, why, sizeof(why));
	l.token = lock_take(&vm->lock);
	vm->reset_wanted = false;
	if (rc == 0) {
		vm->reason[0] = '\0';
		vm->state = VM_CREATED;
		rc = vm_start(l);
	} else {
		str_copy(vm->reason, why, sizeof(vm->reason));
		log_err("vm %s: not started again: %s", vm->name, why);
	}
	vm_unlock(l);
}

bool vm_idle_work(void)
{
	const struct virt_ops *ops = virt_ops_get();

	for (u32 i = 0; i < VMS_MAX; i++) {
		struct vm *vm = vms[i];
		char name[VM_NAME_MAX];

		if (vm != NULL && vm->reset_wanted && at_rest(vm)) {
			start_over(ops, vm);
			return true;
		}
		if (vm == NULL || __atomic_load_n(&vm->state, __ATOMIC_ACQUIRE) != VM_DYING)
			continue;
		str_copy(name, vm->name, sizeof(name));
		if (!teardown_some(ops, vm, arch_tsc() + timer_us_to_tsc(FREE_US))) {
			vms[i] = NULL;
			log_info("vm %s: gone", name);
		}
		return true;
	}
	return false;
}

/* --- making --- */

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
		return vm_make_refuse(TERN_ENODEV, why, size,
				      "this machine cannot run guests; 'cpus' says why");
	if (!name_ok(c->name))
		return vm_make_refuse(
			TERN_EINVAL, why, size,
			"a name has 1 to %u letters, digits, '-', '_' and '.', and at least "
			"one letter",
			VM_NAME_MAX - 1);
	if (vm_find(c->name) != NULL)
		return vm_make_refuse(TERN_EEXIST, why, size, "there is a VM of that name");
	if (c->memory % PAGE_SIZE != 0 || c->memory < MEMORY_MIN || c->memory > MEMORY_MAX)
		return vm_make_refuse(TERN_EINVAL, why, size,
				      "memory is 64 KiB to 64 TiB, a multiple of 4 KiB");
	if (c->vcpus == 0 || c->vcpus > VCPUS_PER_VM_MAX)
		return vm_make_refuse(TERN_EINVAL, why, size, "vcpus is 1 to %u", VCPUS_PER_VM_MAX);
	if (c->weight > SCHED_WEIGHT_MAX)
		return vm_make_refuse(TERN_EINVAL, why, size, "weight is 1 to %u",
				      SCHED_WEIGHT_MAX);
	if (c->cap > 100)
		return vm_make_refuse(
			TERN_EINVAL, why, size,
			"cap is 1 to 100 per cent of a CPU for each vCPU, or 0: none");
	if (c->module_count > MODULES_MAX)
		return vm_make_refuse(TERN_EINVAL, why, size, "at most %zu modules", MODULES_MAX);
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
		return vm_make_refuse(TERN_ENOSPC, why, why_size, "there are %u VMs already",
				      VMS_MAX);
	vm = frames_alloc_page();
	if (vm == NULL)
		return vm_make_refuse(TERN_ENOMEM, why, why_size, "the node has no memory for it");
	vm->state = VM_CREATED;
	vm->lock = (struct spinlock)SPINLOCK_INIT(RANK_VM, "VM");
	str_copy(vm->name, config->name, sizeof(vm->name));
	vm->vcpu_count = config->vcpus;
	vm->weight = config->weight != 0 ? config->weight : SCHED_WEIGHT_DEFAULT;
	vm->cap = config->cap;
	vm->log_off = config->log_off;
	vm_time_init(vm);
	bus_init(&vm->bus);
	rc = vm_make_parts(ops, vm, config, why, why_size);
	if (rc == 0)
		rc = vm_make_load(ops, vm, why, why_size);
	if (rc != 0) {
		while (teardown_some(ops, vm, UINT64_MAX))
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
		lock_token token;

		if (__atomic_load_n(&vm->state, __ATOMIC_ACQUIRE) == VM_RUNNING)
			agent_poll(vm);
		token = lock_take(&vm->lock);
		if (vm->state == VM_RUNNING && __atomic_load_n(&vm->work, __ATOMIC_RELAXED) != 0)
			sched_wake(vm->vcpus[0]);
		for (u32 k = 0; vm->state == VM_RUNNING && k < vm->vcpu_count; k++) {
			if (__atomic_load_n(&vm->vcpus[k]->state, __ATOMIC_ACQUIRE) == VCPU_STALLED)
				sched_wake(vm->vcpus[k]);
		}
		lock_release(&vm->lock, token);
	}
}
