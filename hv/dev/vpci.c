/* SPDX-License-Identifier: MIT */
/* The PCI bus of a VM: configuration mechanism #1, configuration spaces, and the host bridge. */
#include <tern/vpci.h>

#include "vpci_internal.h"

#include <linux/pci_regs.h>

#include <tern/err.h>
#include <tern/frames.h>
#include <tern/lib.h>
#include <tern/platform.h>
#include <tern/vm.h>

#define COMMAND_WRITABLE \
	(PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE)
/* As firmware leaves it. */
#define COMMAND_RESET (PCI_COMMAND_IO | PCI_COMMAND_MEMORY)

struct vpci *vpci_of(const struct vm *vm)
{
	return container_of(vm->platform.pci, struct vpci, ports);
}

struct vpci_function *vpci_get(const struct vm *vm, u32 slot)
{
	return vm->platform.pci != NULL && slot < VPCI_SLOTS ? vpci_of(vm)->slots[slot] : NULL;
}

/* What the address register points at, or NULL. */
static struct vpci_function *selected(const struct vpci *p)
{
	u32 a = p->address;

	if ((a & VPCI_ADDR_ENABLE) == 0 || VPCI_ADDR_BUS(a) != 0 || VPCI_ADDR_FN(a) != 0)
		return NULL;
	return p->slots[VPCI_ADDR_SLOT(a)];
}

static u32 config_read(struct vpci_function *f, u32 reg, u32 width)
{
	u32 value = 0;

	if (f->ops->config_reading != NULL)
		f->ops->config_reading(f, reg, width);
	memcpy(&value, &f->config[reg], width);
	return value;
}

static bool touches(u32 reg, u32 width, u32 field, u32 len)
{
	return reg < field + len && field < reg + width;
}

static void config_write(struct vpci *p, struct vpci_function *f, u32 reg, u32 width, u32 value)
{
	bool command = touches(reg, width, PCI_COMMAND, sizeof(u16));

	for (u32 i = 0; i < width; i++) {
		u8 mask = f->writable[reg + i];

		f->config[reg + i] =
			(u8)((f->config[reg + i] & ~mask) | ((value >> (i * 8)) & mask));
	}
	if (command || touches(reg, width, PCI_BASE_ADDRESS_0, VPCI_BARS * sizeof(u32)))
		vpci_bars_changed(p, f);
	if (command ||
	    (f->msix.vectors > 0 && touches(reg, width, f->msix.cap + PCI_MSIX_FLAGS, sizeof(u16))))
		vpci_irq_changed(f);
	if (f->ops->config_written != NULL)
		f->ops->config_written(f, reg, width);
}

static u64 ports_read(struct device *d, u64 offset, u32 width)
{
	struct vpci *p = container_of(d, struct vpci, ports);
	struct vpci_function *f;

	if (offset == 0 && width == sizeof(u32))
		return p->address;
	if (offset == VPCI_RESET && width == 1)
		return p->reset_control;
	if (offset < VPCI_DATA)
		return UINT64_MAX;
	f = selected(p);
	if (f == NULL)
		return UINT64_MAX;
	return config_read(f, VPCI_ADDR_REG(p->address) + (u32)offset - VPCI_DATA, width);
}

static void reset_control(struct vpci *p, u8 value)
{
	bool reset = (value & VPCI_RESET_CPU) != 0 && (p->reset_control & VPCI_RESET_CPU) == 0;

	p->reset_control = value & (VPCI_RESET_CPU | VPCI_RESET_SYS);
	if (reset)
		vm_reset_requested(p->ports.vm);
}

static void ports_write(struct device *d, u64 offset, u32 width, u64 value)
{
	struct vpci *p = container_of(d, struct vpci, ports);
	struct vpci_function *f = selected(p);

	if (offset == 0 && width == sizeof(u32))
		p->address = (u32)value & VPCI_ADDR_MASK;
	else if (offset == VPCI_RESET && width == 1)
		reset_control(p, (u8)value);
	else if (offset >= VPCI_DATA && f != NULL)
		config_write(p, f, VPCI_ADDR_REG(p->address) + (u32)offset - VPCI_DATA, width,
			     (u32)value);
}

static void function_reset(struct vpci *p, struct vpci_function *f)
{
	for (u32 i = 0; i < VPCI_CONFIG; i++)
		f->config[i] &= (u8)~f->writable[i];
	vpci_put16(f, PCI_COMMAND, COMMAND_RESET);
	if (f->intx)
		f->config[PCI_INTERRUPT_LINE] = (u8)(IRQ_PCI + f->slot % VPCI_INTX_LINES);
	vpci_bars_reset(f);
	vpci_bars_changed(p, f);
	vpci_msix_reset(f);
	vpci_intx(f, false);
}

static void ports_reset(struct device *d)
{
	struct vpci *p = container_of(d, struct vpci, ports);

	p->address = 0;
	p->reset_control = 0;
	for (u32 i = 0; i < VPCI_SLOTS; i++) {
		struct vpci_function *f = p->slots[i];

		if (f == NULL)
			continue;
		function_reset(p, f);
		if (f->ops->reset != NULL)
			f->ops->reset(f);
	}
}

static void ports_destroy(struct device *d)
{
	struct vpci *p = container_of(d, struct vpci, ports);

	for (u32 i = 1; i < VPCI_SLOTS; i++) {
		if (p->slots[i] != NULL)
			p->slots[i]->ops->destroy(p->slots[i]);
	}
	p->ports.vm->platform.pci = NULL;
	frames_free_page(p);
}

static bool ports_work(struct device *d)
{
	struct vpci *p = container_of(d, struct vpci, ports);
	bool done = true;

	for (u32 i = 1; i < VPCI_SLOTS; i++) {
		struct vpci_function *f = p->slots[i];

		if (f == NULL || __atomic_exchange_n(&f->work, 0, __ATOMIC_ACQ_REL) == 0 ||
		    f->ops->work(f))
			continue;
		__atomic_store_n(&f->work, 1, __ATOMIC_RELEASE);
		done = false;
	}
	return done;
}

static const struct dev_ops ports_ops = {
	.name = "PCI bus",
	.width_max = sizeof(u32),
	.read = ports_read,
	.write = ports_write,
	.reset = ports_reset,
	.destroy = ports_destroy,
	.work = ports_work,
};

void vpci_request_work(struct vpci_function *f)
{
	__atomic_store_n(&f->work, 1, __ATOMIC_RELEASE);
	dev_request_work(f->vm->platform.pci);
}

/* Configuration space after power-on. */
static void fill(struct vpci_function *f)
{
	vpci_put16(f, PCI_VENDOR_ID, f->vendor);
	vpci_put16(f, PCI_DEVICE_ID, f->device);
	vpci_put32(f, PCI_CLASS_REVISION, f->class_code << 8 | f->revision);
	vpci_put16(f, PCI_SUBSYSTEM_VENDOR_ID, f->sub_vendor);
	vpci_put16(f, PCI_SUBSYSTEM_ID, f->sub_device);
	f->config[PCI_INTERRUPT_PIN] = f->intx ? 1 : 0;
	f->writable[PCI_COMMAND] = COMMAND_WRITABLE & 0xffu;
	f->writable[PCI_COMMAND + 1] = COMMAND_WRITABLE >> 8;
	f->writable[PCI_CACHE_LINE_SIZE] = 0xff;
	f->writable[PCI_INTERRUPT_LINE] = 0xff;
	f->caps_end = VPCI_CAPS_START;
}

int vpci_add_capability(struct vpci_function *f, u8 id, const void *cap, u32 len)
{
	u32 at = f->caps_end;

	if (len < 2 || len > VPCI_CONFIG - at)
		return -TERN_ENOSPC;
	memcpy(&f->config[at], cap, len);
	f->config[at] = id;
	f->config[at + 1] = 0;
	/* At the end of the list, so that a guest finds them in the order in which they were added. */
	f->config[f->cap_last == 0 ? PCI_CAPABILITY_LIST : f->cap_last + 1] = (u8)at;
	f->config[PCI_STATUS] |= PCI_STATUS_CAP_LIST;
	f->cap_last = at;
	f->caps_end = (u32)align_up(at + len, sizeof(u32));
	return (int)at;
}

int vpci_add(struct vpci_function *f)
{
	struct vpci *p;
	u32 slot = 1;
	int rc;

	if (f->vm->platform.pci == NULL || vpci_bars_check(f) != 0 || vpci_msix_check(f) != 0)
		return -TERN_EINVAL;
	p = vpci_of(f->vm);
	while (slot < VPCI_SLOTS && p->slots[slot] != NULL)
		slot++;
	if (slot == VPCI_SLOTS)
		return -TERN_ENOSPC;
	f->slot = slot;
	fill(f);
	rc = vpci_bars_place(p, f);
	if (rc == 0 && f->msix.vectors > 0)
		rc = vpci_msix_add(f);
	if (rc != 0)
		return rc;
	p->slots[slot] = f;
	function_reset(p, f);
	return 0;
}

static const struct vpci_ops host_ops = {.name = "host bridge"};

int vpci_create(struct vm *vm, struct dev_bus *bus)
{
	struct vpci *p = frames_alloc_page();
	int rc;

	if (p == NULL)
		return -TERN_ENOMEM;
	p->ports = (struct device){.ops = &ports_ops, .vm = vm};
	p->mem = (struct device){.ops = &vpci_mem_ops, .vm = vm};
	p->io = (struct device){.ops = &vpci_io_ops, .vm = vm};
	p->mem_next = VPCI_WINDOW_BASE;
	p->io_next = VPCI_IO_BASE;
	p->host.ops = &host_ops;
	p->host.vm = vm;
	p->host.vendor = VPCI_HOST_VENDOR;
	p->host.device = VPCI_HOST_DEVICE;
	p->host.class_code = VPCI_CLASS_HOST;
	p->host.revision = VPCI_HOST_REV;
	rc = bus_add(bus, DEV_PORT, VPCI_PORTS, VPCI_PORTS_LEN, &p->ports);
	if (rc != 0) {
		frames_free_page(p);
		return rc;
	}
	/* From here on the bus destroys it: last of the three, because its range is the lowest. */
	vm->platform.pci = &p->ports;
	fill(&p->host);
	p->slots[0] = &p->host;
	function_reset(p, &p->host);
	rc = bus_add(bus, DEV_PORT, VPCI_IO_BASE, VPCI_IO_END - VPCI_IO_BASE, &p->io);
	if (rc != 0)
		return rc;
	return bus_add(bus, DEV_MEM, VPCI_WINDOW_BASE, VPCI_WINDOW_END - VPCI_WINDOW_BASE, &p->mem);
}
