/* SPDX-License-Identifier: MIT */
#include "fake_driver.h"

#include "fake_guest.h"

#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <string.h>

#define QUEUE_SPACE 0x4000u

u32 fake_pci_read(struct vm *vm, u32 slot, u32 reg, u32 width)
{
	bus_write(&vm->bus, DEV_PORT, 0xcf8, 4, 0x80000000u | slot << 11 | (reg & 0xfcu), NULL);
	return (u32)bus_read(&vm->bus, DEV_PORT, 0xcfc + (reg & 3u), width, NULL);
}

void fake_pci_write(struct vm *vm, u32 slot, u32 reg, u32 width, u32 value)
{
	bus_write(&vm->bus, DEV_PORT, 0xcf8, 4, 0x80000000u | slot << 11 | (reg & 0xfcu), NULL);
	bus_write(&vm->bus, DEV_PORT, 0xcfc + (reg & 3u), width, value, NULL);
}

u64 fake_mem_read(struct vm *vm, u64 at, u32 width)
{
	return bus_read(&vm->bus, DEV_MEM, at, width, NULL);
}

void fake_mem_write(struct vm *vm, u64 at, u32 width, u64 value)
{
	bus_write(&vm->bus, DEV_MEM, at, width, value, NULL);
}

static void find_parts(struct fake_driver *d)
{
	u32 at = fake_pci_read(d->vm, d->slot, PCI_CAPABILITY_LIST, 1);

	for (; at != 0; at = fake_pci_read(d->vm, d->slot, at + 1, 1)) {
		u32 type = fake_pci_read(d->vm, d->slot, at + VIRTIO_PCI_CAP_CFG_TYPE, 1);
		u32 bar = fake_pci_read(d->vm, d->slot, at + VIRTIO_PCI_CAP_BAR, 1);

		if (fake_pci_read(d->vm, d->slot, at, 1) != PCI_CAP_ID_VNDR || type >= 6)
			continue;
		if (bar != 0)
			d->doorbell =
				fake_pci_read(d->vm, d->slot, PCI_BASE_ADDRESS_0 + bar * 4, 4) &
				0xfffcu;
		else
			d->parts[type] = d->bar + fake_pci_read(d->vm, d->slot,
								at + VIRTIO_PCI_CAP_OFFSET, 4);
	}
}

u32 fake_common_read(struct fake_driver *d, u32 reg, u32 width)
{
	return (u32)fake_mem_read(d->vm, d->parts[VIRTIO_PCI_CAP_COMMON_CFG] + reg, width);
}

void fake_common_write(struct fake_driver *d, u32 reg, u32 width, u32 value)
{
	fake_mem_write(d->vm, d->parts[VIRTIO_PCI_CAP_COMMON_CFG] + reg, width, value);
}

u32 fake_config_read(struct fake_driver *d, u32 offset, u32 width)
{
	return (u32)fake_mem_read(d->vm, d->parts[VIRTIO_PCI_CAP_DEVICE_CFG] + offset, width);
}

void fake_config_write(struct fake_driver *d, u32 offset, u32 width, u32 value)
{
	fake_mem_write(d->vm, d->parts[VIRTIO_PCI_CAP_DEVICE_CFG] + offset, width, value);
}

u32 fake_isr(struct fake_driver *d)
{
	return (u32)fake_mem_read(d->vm, d->parts[VIRTIO_PCI_CAP_ISR_CFG], 1);
}

u8 fake_status(struct fake_driver *d)
{
	return (u8)fake_common_read(d, VIRTIO_PCI_COMMON_STATUS, 1);
}

static void msix_on(struct fake_driver *d, u32 queues)
{
	u32 at = fake_pci_read(d->vm, d->slot, PCI_CAPABILITY_LIST, 1);
	u64 table;

	while (fake_pci_read(d->vm, d->slot, at, 1) != PCI_CAP_ID_MSIX)
		at = fake_pci_read(d->vm, d->slot, at + 1, 1);
	table = d->bar +
		(fake_pci_read(d->vm, d->slot, at + PCI_MSIX_TABLE, 4) & PCI_MSIX_TABLE_OFFSET);
	for (u32 i = 0; i <= queues; i++) {
		fake_mem_write(d->vm, table + i * 16, 8, FAKE_MSI_ADDRESS);
		fake_mem_write(d->vm, table + i * 16 + 8, 4, i < queues ? i : FAKE_CONFIG_DATA);
		fake_mem_write(d->vm, table + i * 16 + 12, 4, 0);
	}
	fake_pci_write(d->vm, d->slot, at + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE);
	fake_common_write(d, VIRTIO_PCI_COMMON_MSIX, 2, queues);
}

static bool negotiate(struct fake_driver *d)
{
	u8 status = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER;

	fake_common_write(d, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	fake_common_write(d, VIRTIO_PCI_COMMON_STATUS, 1, status);
	for (u32 i = 0; i < 2; i++) {
		fake_common_write(d, VIRTIO_PCI_COMMON_GFSELECT, 4, i);
		fake_common_write(d, VIRTIO_PCI_COMMON_GF, 4, (u32)(d->features >> (32 * i)));
	}
	fake_common_write(d, VIRTIO_PCI_COMMON_STATUS, 1, status | VIRTIO_CONFIG_S_FEATURES_OK);
	return (fake_status(d) & VIRTIO_CONFIG_S_FEATURES_OK) != 0;
}

bool fake_driver_start(struct fake_driver *d, struct vm *vm, u32 slot, u64 features, u16 size,
		       bool msix)
{
	u32 queues;

	*d = (struct fake_driver){.vm = vm, .slot = slot, .size = size};
	d->features = features | 1ull << VIRTIO_F_VERSION_1;
	d->bar = fake_pci_read(vm, slot, PCI_BASE_ADDRESS_0, 4) & ~15u;
	fake_pci_write(vm, slot, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	find_parts(d);
	if (!negotiate(d))
		return false;
	queues = fake_common_read(d, VIRTIO_PCI_COMMON_NUMQ, 2);
	if (msix)
		msix_on(d, queues);
	for (u32 i = 0; i < queues; i++) {
		memset(fake_guest_mem + fake_desc_at(i), 0, QUEUE_SPACE);
		fake_common_write(d, VIRTIO_PCI_COMMON_Q_SELECT, 2, i);
		fake_common_write(d, VIRTIO_PCI_COMMON_Q_SIZE, 2, size);
		if (msix)
			fake_common_write(d, VIRTIO_PCI_COMMON_Q_MSIX, 2, i);
		fake_common_write(d, VIRTIO_PCI_COMMON_Q_DESCLO, 4, (u32)fake_desc_at(i));
		fake_common_write(d, VIRTIO_PCI_COMMON_Q_AVAILLO, 4, (u32)fake_avail_at(i));
		fake_common_write(d, VIRTIO_PCI_COMMON_Q_USEDLO, 4, (u32)fake_used_at(i));
		fake_common_write(d, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	}
	fake_common_write(d, VIRTIO_PCI_COMMON_STATUS, 1,
			  fake_status(d) | VIRTIO_CONFIG_S_DRIVER_OK);
	return true;
}

u64 fake_desc_at(u32 queue)
{
	return 0x1000 + queue * QUEUE_SPACE;
}

u64 fake_avail_at(u32 queue)
{
	return fake_desc_at(queue) + 0x1000;
}

u64 fake_used_at(u32 queue)
{
	return fake_desc_at(queue) + 0x2000;
}

static u16 get16(u64 at)
{
	u16 v;

	memcpy(&v, fake_guest_mem + at, sizeof(v));
	return v;
}

static u32 get32(u64 at)
{
	u32 v;

	memcpy(&v, fake_guest_mem + at, sizeof(v));
	return v;
}

static void put16(u64 at, u16 v)
{
	memcpy(fake_guest_mem + at, &v, sizeof(v));
}

void fake_desc(u64 table, u16 i, u64 addr, u32 len, u16 flags, u16 next)
{
	u64 at = table + i * 16u;

	memcpy(fake_guest_mem + at, &addr, sizeof(addr));
	memcpy(fake_guest_mem + at + 8, &len, sizeof(len));
	put16(at + 12, flags);
	put16(at + 14, next);
}

void fake_avail(struct fake_driver *d, u32 queue, u16 head)
{
	u64 at = fake_avail_at(queue);
	u16 idx = get16(at + 2);

	put16(at + 4 + (idx % d->size) * 2u, head);
	put16(at + 2, (u16)(idx + 1));
}

void fake_kick(struct fake_driver *d, u32 queue)
{
	fake_mem_write(d->vm, d->parts[VIRTIO_PCI_CAP_NOTIFY_CFG] + queue * 4, 2, queue);
}

void fake_post(struct fake_driver *d, u32 queue, u16 head)
{
	fake_avail(d, queue, head);
	fake_kick(d, queue);
}

u16 fake_used_idx(u32 queue)
{
	return get16(fake_used_at(queue) + 2);
}

u32 fake_used_id(struct fake_driver *d, u32 queue, u16 i)
{
	return get32(fake_used_at(queue) + 4 + (i % d->size) * 8u);
}

u32 fake_used_len(struct fake_driver *d, u32 queue, u16 i)
{
	return get32(fake_used_at(queue) + 8 + (i % d->size) * 8u);
}

void fake_used_event(struct fake_driver *d, u32 queue, u16 event)
{
	put16(fake_avail_at(queue) + 4 + d->size * 2u, event);
}

u16 fake_avail_event(struct fake_driver *d, u32 queue)
{
	return get16(fake_used_at(queue) + 4 + d->size * 8u);
}
