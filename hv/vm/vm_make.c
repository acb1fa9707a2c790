/* SPDX-License-Identifier: MIT */
/*
 * What a VM is made of. What is made is made in an order that teardown_some() in vm.c knows backwards. The
 * names of its files are kept, so that a reset can load them again.
 */
#include "vm_make.h"

#include "acpi_guest.h"
#include "guest_image.h"
#include "layout_guest.h"
#include "smbios_guest.h"

#include <tern/agent.h>
#include <tern/boot_info.h>
#include <tern/err.h>
#include <tern/frames.h>
#include <tern/lib.h>
#include <tern/main.h>
#include <tern/virtio.h>
#include <tern/vlapic.h>
#include <tern/vpci.h>

#define CMDLINE_MAX 2048u /* what Linux takes (COMMAND_LINE_SIZE) */

struct vm_boot {
	const struct boot_module *kernel, *initrd, *modules[VM_MODULES_MAX];
	u32 module_count;
	u8 uuid[16];
	char cmdline[CMDLINE_MAX];
};
_Static_assert(sizeof(struct vm_boot) <= PAGE_SIZE, "one page");

int vm_make_refuse(int err, char *why, size_t size, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fmt_vstr(why, size, fmt, ap);
	va_end(ap);
	return -err;
}

static const void *data_of(const struct boot_module *m)
{
	return phys_to_virt(hpa(m->base));
}

/* --- memory, vCPUs, devices --- */

static void flush(void *owner)
{
	struct vm *vm = owner;

	if (vm->backend)
		virt_ops_get()->npt_flush(vm);
}

/* Low memory, then from 1 MiB on, with a hole for devices below 4 GiB: together what was asked for. */
static int add_memory(struct vm *vm, u64 bytes)
{
	u64 low = min_u64(bytes, GUEST_LOW_END),
	    middle = min_u64(bytes - low, GUEST_HOLE - GUEST_HIGH);
	u64 high = bytes - low - middle;
	int rc = gmem_add(&vm->mem, gpa(0), low, GMEM_RAM);

	if (rc == 0)
		rc = gmem_add(&vm->mem, gpa(GUEST_ROM), GUEST_ROM_LEN, GMEM_ROM);
	if (rc == 0 && middle > 0)
		rc = gmem_add(&vm->mem, gpa(GUEST_HIGH), middle, GMEM_RAM);
	if (rc == 0 && high > 0)
		rc = gmem_add(&vm->mem, gpa(GUEST_ABOVE), high, GMEM_RAM);
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
	rc = vlapic_create(vc);
	if (rc == 0)
		rc = ops->vcpu_create(vc);
	if (rc != 0) {
		vlapic_destroy(vc);
		frames_free_page(vc);
		return rc;
	}
	vm->vcpus[index] = vc;
	return 0;
}

static int add_devices(struct vm *vm, bool testdev)
{
	static int (*const create[])(struct vm * vm, struct dev_bus * bus) = {
		vpic_create, vioapic_create, vpit_create, vrtc_create, vpm_create, vpci_create};
	const struct boot_module *kernel = vm->boot->kernel;
	struct virtio_device *ignored;
	int rc = vuart_create(vm, &vm->bus, &vm->platform.uart);

	for (u32 i = 0; rc == 0 && i < ARRAY_SIZE(create); i++)
		rc = create[i](vm, &vm->bus);
	/* Ports that a PC does not have are not for guests made for a PC. */
	if (rc == 0 && (testdev || guest_image_is_mb1(data_of(kernel), kernel->len)))
		rc = exitport_create(vm, &vm->bus);
	if (rc == 0 && testdev)
		rc = testdev_create(vm, &vm->bus);
	if (rc == 0)
		rc = virtio_balloon_create(vm, &vm->platform.balloon);
	if (rc == 0)
		rc = virtio_console_create(vm, &ignored);
	if (rc == 0)
		rc = virtio_rng_create(vm);
	return rc == -TERN_ENODEV ? 0 : rc; /* without RDRAND there is no virtio-rng */
}

static int add_hardware(const struct virt_ops *ops, struct vm *vm, const struct vm_config *c)
{
	int rc = gmem_create(&vm->mem, ops->npt_format(), flush, vm);

	if (rc == 0)
		rc = add_memory(vm, c->memory);
	if (rc == 0)
		rc = agent_create(vm);
	if (rc == 0)
		rc = ops->vm_create(vm);
	if (rc != 0)
		return rc;
	vm->backend = true;
	for (u32 i = 0; rc == 0 && i < vm->vcpu_count; i++)
		rc = add_vcpu(ops, vm, i);
	return rc == 0 ? add_devices(vm, c->testdev) : rc;
}

/* --- files --- */

static int find_module(const char *name, const struct boot_module **out, char *why, size_t size)
{
	*out = boot_info_module(boot_info_get(), name);
	return *out != NULL
		       ? 0
		       : vm_make_refuse(TERN_ENOENT, why, size,
					"there is no boot module '%s'; 'mmap' lists them", name);
}

static int note_files(struct vm_boot *b, const struct vm_config *c, char *why, size_t size)
{
	int rc = find_module(c->kernel, &b->kernel, why, size);

	if (rc == 0 && c->initrd != NULL)
		rc = find_module(c->initrd, &b->initrd, why, size);
	for (; rc == 0 && b->module_count < c->module_count; b->module_count++)
		rc = find_module(c->modules[b->module_count], &b->modules[b->module_count], why,
				 size);
	if (rc == 0 && c->cmdline != NULL &&
	    str_copy(b->cmdline, c->cmdline, sizeof(b->cmdline)) >= sizeof(b->cmdline))
		rc = vm_make_refuse(TERN_EINVAL, why, size, "its command line is longer than %u",
				    CMDLINE_MAX - 1);
	return rc;
}

/* RFC 4122 version 4; where there is no RDRAND, the same at every start of this VM. */
static void make_uuid(u8 uuid[16], const char *name)
{
	u64 half[2] = {arch_tsc_hz(), arch_tsc_hz()};

	for (const char *s = name; *s != '\0'; s++)
		half[0] = half[0] * 31 + (u8)*s;
	if (!arch_random(&half[0]) || !arch_random(&half[1]))
		half[1] = ~half[0];
	memcpy(uuid, half, sizeof(half));
	uuid[6] = (u8)((uuid[6] & 0x0f) | 0x40);
	uuid[8] = (u8)((uuid[8] & 0x3f) | 0x80);
}

int vm_make_parts(const struct virt_ops *ops, struct vm *vm, const struct vm_config *c, char *why,
		  size_t why_size)
{
	int rc;

	fmt_str(why, why_size, "the node has no memory for it");
	vm->boot = frames_alloc_page();
	if (vm->boot == NULL)
		return -TERN_ENOMEM;
	make_uuid(vm->boot->uuid, c->name);
	rc = note_files(vm->boot, c, why, why_size);
	if (rc == 0)
		rc = add_hardware(ops, vm, c);
	return rc == 0 ? vm_virtio_add(vm, c, why, why_size) : rc;
}

static int load_tables(struct vm *vm, char *why, size_t size)
{
	struct smbios_guest_config smbios = {
		.serial = vm->name, .version = tern_version, .vcpus = vm->vcpu_count, .sockets = 1};
	int rc = acpi_guest_load(&vm->mem, vm->vcpu_count, why, size);

	memcpy(smbios.uuid, vm->boot->uuid, sizeof(smbios.uuid));
	return rc == 0 ? smbios_guest_load(&vm->mem, &smbios, why, size) : rc;
}

static int load_kernel(struct vm *vm, struct guest_start *start, char *why, size_t size)
{
	const struct vm_boot *b = vm->boot;
	struct guest_module modules[VM_MODULES_MAX];
	struct guest_image_config c = {.file = data_of(b->kernel),
				       .len = b->kernel->len,
				       .cmdline = b->cmdline,
				       .module_count = b->module_count,
				       .modules = modules,
				       .rsdp = GUEST_ACPI};

	if (b->initrd != NULL) {
		c.initrd = data_of(b->initrd);
		c.initrd_len = b->initrd->len;
	}
	for (u32 i = 0; i < b->module_count; i++)
		modules[i] = (struct guest_module){.data = data_of(b->modules[i]),
						   .len = b->modules[i]->len,
						   .name = b->modules[i]->name,
						   .args = b->modules[i]->args};
	return guest_image_load(&vm->mem, &c, start, why, size);
}

int vm_make_load(const struct virt_ops *ops, struct vm *vm, char *why, size_t why_size)
{
	struct guest_start start;
	int rc = load_tables(vm, why, why_size);
	bool irqs;

	if (rc == 0)
		rc = load_kernel(vm, &start, why, why_size);
	if (rc != 0)
		return rc;
	irqs = arch_irq_off();
	for (u32 i = 0; i < vm->vcpu_count; i++) {
		ops->vcpu_load(vm->vcpus[i]);
		ops->vcpu_reset(vm->vcpus[i]);
		vlapic_reset(vm->vcpus[i], false);
		if (i == 0)
			guest_image_registers(ops, vm->vcpus[i], &start);
		ops->vcpu_unload(vm->vcpus[i]);
	}
	if (irqs)
		arch_irq_on();
	return 0;
}
