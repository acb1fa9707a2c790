/* SPDX-License-Identifier: MIT */
#include "fake_vnic.h"

#include <linux/pci_regs.h>
#include <linux/virtio_pci.h>
#include <stdlib.h>
#include <string.h>
#include <tern/arch.h>
#include <tern/io.h>

#define BARS_AT  GiB(34)
#define BAR_SIZE 0x8000u
#define COMMON   0x0u
#define NOTIFY   0x1000u
#define DEVICE   0x3000u
#define TABLE    0x4000u /* of MSI-X */
#define STEP     4u      /* of notify addresses */

static struct fake_vnic *the; /* one is enough */

static void put_cap(struct fake_vnic *v, u8 at, u8 next, u8 type, u32 offset, u32 len)
{
	u8 *cap = v->fn->cfg + at;

	fake_pci_cap(v->fn, at, PCI_CAP_ID_VNDR, next);
	cap[VIRTIO_PCI_CAP_LEN] = sizeof(struct virtio_pci_notify_cap);
	cap[VIRTIO_PCI_CAP_CFG_TYPE] = type;
	cap[VIRTIO_PCI_CAP_BAR] = 4;
	fake_put32(v->fn, at + VIRTIO_PCI_CAP_OFFSET, offset);
	fake_put32(v->fn, at + VIRTIO_PCI_CAP_LENGTH, len);
	fake_put32(v->fn, at + VIRTIO_PCI_NOTIFY_CAP_MULT, STEP);
}

void fake_vnic_add(struct fake_vnic *v, u8 slot)
{
	memset(v, 0, sizeof(*v));
	the = v;
	v->fn = fake_pci_add(0, slot, 0, 0x1af4, 0x1041, 0x0200);
	v->base = BARS_AT + slot * BAR_SIZE;
	fake_pci_bar(v->fn, 4, (u32)v->base | 4, ~(BAR_SIZE - 1));
	fake_pci_bar(v->fn, 5, (u32)(v->base >> 32), ~0u);
	put_cap(v, 0x40, 0x54, VIRTIO_PCI_CAP_COMMON_CFG, COMMON, 0x1000);
	put_cap(v, 0x54, 0x68, VIRTIO_PCI_CAP_NOTIFY_CFG, NOTIFY, 0x1000);
	put_cap(v, 0x68, 0x7c, VIRTIO_PCI_CAP_DEVICE_CFG, DEVICE, 0x1000);
	fake_pci_cap(v->fn, 0x7c, PCI_CAP_ID_MSIX, 0);
	fake_put16(v->fn, 0x7c + PCI_MSIX_FLAGS, 2);
	fake_put32(v->fn, 0x7c + PCI_MSIX_TABLE, TABLE | 4);
	v->offers = 1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_NET_F_MAC |
		    1ull << VIRTIO_NET_F_STATUS | 1ull << VIRTIO_NET_F_CSUM |
		    1ull << VIRTIO_NET_F_SPEED_DUPLEX;
	v->queue_size = 256;
	v->mtu = 1500;
	v->link = VIRTIO_NET_S_LINK_UP;
}

/* --- registers --- */

static u32 queue_read(const struct fake_vnic *v, u32 reg)
{
	if (v->queue_select >= FAKE_VNIC_QUEUES)
		return 0;
	switch (reg) {
	case VIRTIO_PCI_COMMON_Q_SIZE:
		return v->queues[v->queue_select].size;
	case VIRTIO_PCI_COMMON_Q_MSIX:
		return v->queues[v->queue_select].vector;
	case VIRTIO_PCI_COMMON_Q_NOFF:
		return v->queue_select;
	default:
		return 0;
	}
}

static u32 device_read(const struct fake_vnic *v, u32 offset, u32 width)
{
	struct virtio_net_config c = {.mac = {0x52, 0x54, 0, 0x12, 0x34, 0x77},
				      .status = v->link,
				      .mtu = v->mtu,
				      .speed = 10000,
				      .duplex = 1};
	u32 value = 0;

	if (offset + width <= sizeof(c))
		memcpy(&value, (char *)&c + offset, width);
	return value;
}

static u32 reg_read(struct fake_vnic *v, u32 offset, u32 width)
{
	if (offset >= DEVICE && offset < TABLE)
		return device_read(v, offset - DEVICE, width);
	switch (offset) {
	case VIRTIO_PCI_COMMON_DF:
		return v->select < 2 ? (u32)(v->offers >> 32 * v->select) : 0;
	case VIRTIO_PCI_COMMON_STATUS:
		return v->no_reset ? v->status | 1u : v->status;
	default:
		return queue_read(v, offset);
	}
}

static void reset(struct fake_vnic *v)
{
	v->resets++;
	v->accepted = 0;
	memset(v->queues, 0, sizeof(v->queues));
	for (u32 i = 0; i < FAKE_VNIC_QUEUES; i++) {
		v->queues[i].size = v->queue_size;
		v->queues[i].vector = VIRTIO_MSI_NO_VECTOR;
	}
}

static void put_half(u64 *address, u32 half, u32 value)
{
	memcpy((char *)address + half, &value, sizeof(value));
}

static void queue_write(struct fake_vnic *v, u32 reg, u32 value)
{
	u16 i = v->queue_select;

	if (i >= FAKE_VNIC_QUEUES)
		abort();
	switch (reg) {
	case VIRTIO_PCI_COMMON_Q_SIZE:
		v->queues[i].size = (u16)value;
		return;
	case VIRTIO_PCI_COMMON_Q_MSIX:
		v->queues[i].vector = v->no_vector ? VIRTIO_MSI_NO_VECTOR : (u16)value;
		return;
	case VIRTIO_PCI_COMMON_Q_ENABLE:
		v->queues[i].enable = (u16)value;
		return;
	case VIRTIO_PCI_COMMON_Q_DESCLO:
	case VIRTIO_PCI_COMMON_Q_DESCHI:
		put_half(&v->queues[i].desc, reg - VIRTIO_PCI_COMMON_Q_DESCLO, value);
		return;
	case VIRTIO_PCI_COMMON_Q_AVAILLO:
	case VIRTIO_PCI_COMMON_Q_AVAILHI:
		put_half(&v->queues[i].avail, reg - VIRTIO_PCI_COMMON_Q_AVAILLO, value);
		return;
	case VIRTIO_PCI_COMMON_Q_USEDLO:
	case VIRTIO_PCI_COMMON_Q_USEDHI:
		put_half(&v->queues[i].used, reg - VIRTIO_PCI_COMMON_Q_USEDLO, value);
		return;
	default:
		abort();
	}
}

static void reg_write(struct fake_vnic *v, u32 offset, u32 value)
{
	if (offset >= NOTIFY && offset < NOTIFY + STEP * FAKE_VNIC_QUEUES) {
		v->notified[(offset - NOTIFY) / STEP]++;
		return;
	}
	switch (offset) {
	case VIRTIO_PCI_COMMON_DFSELECT:
		v->select = value;
		return;
	case VIRTIO_PCI_COMMON_GFSELECT:
		v->guest_select = value;
		return;
	case VIRTIO_PCI_COMMON_GF:
		put_half(&v->accepted, v->guest_select * 4, value);
		return;
	case VIRTIO_PCI_COMMON_STATUS:
		v->status = (u8)value;
		if (value == 0)
			reset(v);
		if (v->refuses || (v->accepted & ~v->offers) != 0)
			v->status &= (u8)~VIRTIO_CONFIG_S_FEATURES_OK;
		return;
	case VIRTIO_PCI_COMMON_Q_SELECT:
		v->queue_select = (u16)value;
		return;
	default:
		queue_write(v, offset, value);
	}
}

/* The register's offset, or UINT32_MAX: it is memory. */
static u32 offset_of(const volatile void *p)
{
	u64 at;

	if (the == NULL)
		return UINT32_MAX;
	at = virt_to_phys((const void *)(uintptr_t)p).v;
	return at >= the->base && at < the->base + TABLE ? (u32)(at - the->base) : UINT32_MAX;
}

#define MMIO(bits)                                                                     \
	u##bits mmio_read##bits(const volatile void *p)                                \
	{                                                                              \
		u32 offset = offset_of(p);                                             \
                                                                                       \
		return offset != UINT32_MAX ? (u##bits)reg_read(the, offset, bits / 8) \
					    : *(const volatile u##bits *)p;            \
	}                                                                              \
	void mmio_write##bits(volatile void *p, u##bits v)                             \
	{                                                                              \
		u32 offset = offset_of(p);                                             \
                                                                                       \
		if (offset != UINT32_MAX)                                              \
			reg_write(the, offset, (u32)v);                                \
		else                                                                   \
			*(volatile u##bits *)p = v;                                    \
	}
MMIO(8)
MMIO(16)
MMIO(32)
MMIO(64)

/* --- queues --- */

struct vring_used *fake_vnic_used(struct fake_vnic *v, u32 queue)
{
	return phys_to_virt(hpa(v->queues[queue].used));
}

struct vring_avail *fake_vnic_avail(struct fake_vnic *v, u32 queue)
{
	return phys_to_virt(hpa(v->queues[queue].avail));
}

void fake_vnic_use(struct fake_vnic *v, u32 queue, u32 id, u32 len)
{
	struct vring_used *used = fake_vnic_used(v, queue);

	used->ring[used->idx % v->queues[queue].size] = (struct vring_used_elem){id, len};
	used->idx++;
}

/* The next chain that was offered. False: none. */
static bool next_chain(struct fake_vnic *v, u32 queue, u16 *head)
{
	const struct vring_avail *avail = fake_vnic_avail(v, queue);

	if (!v->queues[queue].enable || v->queues[queue].last == avail->idx)
		return false;
	*head = avail->ring[v->queues[queue].last++ % v->queues[queue].size];
	return true;
}

static void send_chain(struct fake_vnic *v, u16 head)
{
	struct vring_desc *desc = phys_to_virt(hpa(v->queues[1].desc));
	u8 all[sizeof(v->header) + sizeof(v->frame)];
	u32 len = 0;

	for (u16 i = head;; i = desc[i].next) {
		if (i >= v->queues[1].size || (desc[i].flags & VRING_DESC_F_WRITE) != 0 ||
		    desc[i].len == 0 || len + desc[i].len > sizeof(all)) {
			v->bad++;
			return;
		}
		memcpy(all + len, phys_to_virt(hpa(desc[i].addr)), desc[i].len);
		len += desc[i].len;
		if ((desc[i].flags & VRING_DESC_F_NEXT) == 0)
			break;
	}
	memcpy(&v->header, all, sizeof(v->header));
	v->frame_len = len - (u32)sizeof(v->header);
	memcpy(v->frame, all + sizeof(v->header), v->frame_len);
	v->sent++;
}

void fake_vnic_step(struct fake_vnic *v)
{
	u16 heads[256];
	u32 n = 0;

	if (v->hangs || (v->status & VIRTIO_CONFIG_S_DRIVER_OK) == 0)
		return;
	while (n < 256 && next_chain(v, 1, &heads[n]))
		send_chain(v, heads[n++]);
	for (u32 i = 0; i < n; i++)
		fake_vnic_use(v, 1, heads[v->reorders ? n - 1 - i : i], 0);
}

bool fake_vnic_receive(struct fake_vnic *v, const void *frame, u32 len)
{
	struct virtio_net_hdr_v1 header = {.num_buffers = 1};
	struct vring_desc *desc = phys_to_virt(hpa(v->queues[0].desc));
	u16 head;

	if ((v->status & VIRTIO_CONFIG_S_DRIVER_OK) == 0 || !next_chain(v, 0, &head))
		return false;
	if ((desc[head].flags & (VRING_DESC_F_WRITE | VRING_DESC_F_NEXT)) != VRING_DESC_F_WRITE ||
	    desc[head].len < len + sizeof(header))
		abort();
	memcpy(phys_to_virt(hpa(desc[head].addr)), &header, sizeof(header));
	memcpy((char *)phys_to_virt(hpa(desc[head].addr)) + sizeof(header), frame, len);
	fake_vnic_use(v, 0, head, len + (u32)sizeof(header));
	return true;
}
