/* SPDX-License-Identifier: MIT */
/* The virtio driver of virtio.h. Firmware, or the VM, has given the BARs their places below 4 GiB. */
#ifdef __x86_64__
#include "cpu.h"
#include "guest.h"
#include "pci.h"
#include "virtio.h"

#include <linux/pci_regs.h>

#define PATIENCE     100000000u /* PAUSEs */
#define FEATURE_BITS 32u
#define COMMAND      (PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER)

/* The BAR of the structure that the capability at cap names, with its flags. */
static u32 bar_of(u32 slot, u32 cap)
{
	return pci_read(slot, PCI_BASE_ADDRESS_0 + 4 * pci_read(slot, cap + VIRTIO_PCI_CAP_BAR, 1),
			4);
}

static volatile u8 *structure_at(u32 slot, u32 cap)
{
	u32 base = bar_of(slot, cap) & ~0xfu;

	return (volatile u8 *)(uintptr_t)(base + pci_read(slot, cap + VIRTIO_PCI_CAP_OFFSET, 4));
}

static void find_doorbells(struct virtio *v, u32 cap)
{
	u32 bar = bar_of(v->slot, cap);

	if (bar & PCI_BASE_ADDRESS_SPACE_IO)
		v->notify_port =
			(u16)((bar & ~3u) + pci_read(v->slot, cap + VIRTIO_PCI_CAP_OFFSET, 4));
	else
		v->notify = structure_at(v->slot, cap);
	v->notify_mul = pci_read(v->slot, cap + VIRTIO_PCI_NOTIFY_CAP_MULT, 4);
}

static void find_structures(struct virtio *v)
{
	u32 cap = 0;

	while ((cap = pci_capability(v->slot, PCI_CAP_ID_VNDR, cap)) != 0) {
		volatile u8 *at = structure_at(v->slot, cap);

		switch (pci_read(v->slot, cap + VIRTIO_PCI_CAP_CFG_TYPE, 1)) {
		case VIRTIO_PCI_CAP_COMMON_CFG:
			v->common = (volatile void *)at;
			break;
		case VIRTIO_PCI_CAP_ISR_CFG:
			v->isr = at;
			break;
		case VIRTIO_PCI_CAP_DEVICE_CFG:
			v->config = at;
			break;
		case VIRTIO_PCI_CAP_NOTIFY_CFG:
			find_doorbells(v, cap);
			break;
		default:
			break;
		}
	}
}

bool virtio_find(struct virtio *v, u32 id, u32 nth)
{
	memset(v, 0, sizeof(*v));
	v->slot = pci_find(VIRTIO_VENDOR, VIRTIO_DEVICE + id, nth);
	if (v->slot == PCI_NONE)
		return false;
	pci_write(v->slot, PCI_COMMAND, 2, pci_read(v->slot, PCI_COMMAND, 2) | COMMAND);
	find_structures(v);
	return v->common != NULL && v->isr != NULL && v->notify != NULL;
}

u8 virtio_status(const struct virtio *v)
{
	return v->common->device_status;
}

bool virtio_reset(const struct virtio *v)
{
	v->common->device_status = 0;
	for (u32 i = 0; i < PATIENCE; i++) {
		if (v->common->device_status == 0)
			return true;
	}
	return false;
}

static void add_status(const struct virtio *v, u8 bits)
{
	v->common->device_status = v->common->device_status | bits;
}

bool virtio_negotiate(struct virtio *v, u64 wanted)
{
	if (!virtio_reset(v))
		return false;
	add_status(v, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
	v->features = 0;
	wanted |= 1ull << VIRTIO_F_VERSION_1;
	for (u32 i = 0; i < 2; i++) {
		u32 part = (u32)(wanted >> (i * FEATURE_BITS));

		v->common->device_feature_select = i;
		part &= v->common->device_feature;
		v->common->guest_feature_select = i;
		v->common->guest_feature = part;
		v->features |= (u64)part << (i * FEATURE_BITS);
	}
	add_status(v, VIRTIO_CONFIG_S_FEATURES_OK);
	return (virtio_status(v) & VIRTIO_CONFIG_S_FEATURES_OK) != 0;
}

u32 virtq_max(const struct virtio *v, u32 index)
{
	v->common->queue_select = (u16)index;
	return v->common->queue_size;
}

/* Two writes of 4 bytes each; virtio 1.2 section 4.1.3.1. */
#define PUT_ADDRESS(v, field, address)                                 \
	do {                                                           \
		(v)->common->field##_lo = (u32)(uintptr_t)(address);   \
		(v)->common->field##_hi = (u32)((u64)(address) >> 32); \
	} while (0)

bool virtq_setup(struct virtq *q, const struct virtio *v, u32 index, u32 size, void *memory)
{
	u8 *at = memory;
	u32 offset;

	if (virtq_max(v, index) < size)
		return false;
	memset(memory, 0, VIRTQ_BYTES(size));
	*q = (struct virtq){.index = index, .size = size};
	q->desc = (volatile void *)at;
	q->avail = (volatile void *)(at + size * sizeof(struct vring_desc));
	/* Flags, index, elements, event; and 2 bytes for its alignment. */
	q->used = (volatile void *)(at + size * (sizeof(struct vring_desc) + sizeof(u16)) + 8);
	v->common->queue_size = (u16)size;
	PUT_ADDRESS(v, queue_desc, (uintptr_t)q->desc);
	PUT_ADDRESS(v, queue_avail, (uintptr_t)q->avail);
	PUT_ADDRESS(v, queue_used, (uintptr_t)q->used);
	offset = v->common->queue_notify_off * v->notify_mul;
	q->doorbell = (volatile void *)(v->notify + offset);
	q->port = (u16)(v->notify_port == 0 ? 0 : v->notify_port + offset);
	v->common->queue_enable = 1;
	return v->common->queue_enable == 1;
}

void virtio_go(const struct virtio *v)
{
	add_status(v, VIRTIO_CONFIG_S_DRIVER_OK);
}

u32 virtq_post(struct virtq *q, const struct virtio_buffer *b, u32 outs, u32 ins)
{
	u32 head = q->next_desc, mask = q->size - 1, n = outs + ins;

	for (u32 i = 0; i < n; i++) {
		volatile struct vring_desc *d = &q->desc[(head + i) & mask];

		d->addr = (uintptr_t)b[i].at;
		d->len = b[i].len;
		d->flags = (u16)((i >= outs ? VRING_DESC_F_WRITE : 0) |
				 (i + 1 < n ? VRING_DESC_F_NEXT : 0));
		d->next = (u16)((head + i + 1) & mask);
	}
	q->next_desc = (u16)((head + n) & mask);
	q->avail->ring[q->avail->idx & mask] = (u16)head;
	__atomic_thread_fence(__ATOMIC_RELEASE);
	q->avail->idx = (u16)(q->avail->idx + 1);
	return head;
}

void virtq_notify(const struct virtq *q)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (q->port != 0)
		outw(q->port, (u16)q->index);
	else
		*q->doorbell = (u16)q->index;
}

u32 virtq_take(struct virtq *q, u32 *len)
{
	volatile struct vring_used_elem *e = &q->used->ring[q->next_used & (q->size - 1)];

	if (q->used->idx == q->next_used)
		return VIRTQ_NONE;
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if (len != NULL)
		*len = e->len;
	q->next_used++;
	return e->id;
}

u32 virtq_wait(struct virtq *q, u32 *len)
{
	u32 head = VIRTQ_NONE;

	for (u32 i = 0; i < PATIENCE && head == VIRTQ_NONE; i++) {
		head = virtq_take(q, len);
		cpu_pause();
	}
	return head;
}
#endif
