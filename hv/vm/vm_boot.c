/* SPDX-License-Identifier: MIT */
/* The VMs of the node's configuration. */
#include <tern/vm.h>

#include <tern/config.h>
#include <tern/err.h>
#include <tern/lib.h>
#include <tern/log.h>

static void create(const struct config_vm *c)
{
	struct vm_config vm = {
		.name = c->name,
		.memory = c->memory,
		.vcpus = c->vcpus,
		.weight = c->weight,
		.cap = c->cap,
		.kernel = c->kernel,
		.module_count = c->module_count,
		.cmdline = c->cmdline,
		.initrd = c->initrd[0] != '\0' ? c->initrd : NULL,
		.disk_count = c->disk_count,
		.nic_count = c->nic_count,
		.log_off = !c->log_console,
		.testdev = c->testdev,
	};
	struct vm_locked l;
	char why[VM_REASON_MAX];
	int rc;

	for (u32 i = 0; i < c->module_count; i++)
		vm.modules[i] = c->modules[i];
	for (u32 i = 0; i < c->disk_count; i++)
		vm.disks[i] = c->disks[i];
	for (u32 i = 0; i < c->nic_count; i++)
		vm.nics[i] = c->nics[i];
	rc = vm_create(&vm, why, sizeof(why));
	if (rc != 0) {
		log_err("vm %s: not created: %s", c->name, why);
		return;
	}
	if (!c->autostart || !vm_find_locked(c->name, &l))
		return;
	rc = vm_start(l);
	vm_unlock(l);
	if (rc != 0)
		log_err("vm %s: not started: %s", c->name, err_name(-rc));
}

void vm_create_configured(void)
{
	const struct config *c = config_get();

	for (u32 i = 0; i < c->vm_count; i++)
		create(&c->vms[i]);
}
