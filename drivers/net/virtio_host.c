/* SPDX-License-Identifier: MIT */
/* Virtio over PCI as a driver sees it: capabilities, negotiation, split queues. */
#include "virtio_host.h"

#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <tern/arch.h>
#include <tern/err.h>
#include <tern/frames.h>
#include <tern/io.h>
#include <tern/lib.h>

#define CAPS_MAX    48u /* more 4-byte-aligned ones do not fit behind the header */
#define CAP_ALIGN   3u
#define RESET_US    20000u
#define STEP_US     100u
#define NO_VECTOR   0xffffu
#define USED_OFFSET 1024u /* in the page that begins with the available ring */
#define COMMON_LEN  56u   /* up to the end of queue_used, section 4.1.4.3 */

_Static_assert(VIRTIO_HOST_QUEUE * sizeof(struct vring_desc) <= PAGE_SIZE, "one page");
_Static_assert(sizeof(struct vring_avail) + (VIRTIO_HOST_QUEUE + 1) * sizeof(u16) <= USED_OFFSET,
	       "the used ring is behind the available ring");
_Static_assert(USED_OFFSET + sizeof(struct vring_used) +
			       VIRTIO_HOST_QUEUE * sizeof(struct vring_used_elem) + sizeof(u16) <=
		       PAGE_SIZE,
	       "one page for both");

/* --- the structures --- */

/* Maps what a capability at offset names; NULL: it makes no sense. */
static char *map_cap(const struct pci_device *d, u32 offset, u32 *len)
{
	u32 bar = pci_read(d, (u16)(offset + VIRTIO_PCI_CAP_BAR), sizeof(u8));
	u32 at = pci_read(d, (u16)(offset + VIRTIO_PCI_CAP_OFFSET), sizeof(u32));
	const struct pci_bar *b;

	*len = pci_read(d, (u16)(offset + VIRTIO_PCI_CAP_LENGTH), sizeof(u32));
	if (bar >= PCI_BARS)
		return NULL;
	b = &d->bars[bar];
	if (b->io || b->base == 0 || at > b->size || *len > b->size - at || *len == 0)
		return NULL;
	return arch_map_mmio(hpa(b->base + at), *len);
}

/* The first capability of each kind that is usable counts (section 4.1.4). */
static void note_cap(struct virtio_host *v, const struct pci_device *d, u32 offset)
{
	u32 len;

	switch (pci_read(d, (u16)(offset + VIRTIO_PCI_CAP_CFG_TYPE), sizeof(u8))) {
	case VIRTIO_PCI_CAP_COMMON_CFG:
		if (v->common == NULL)
			v->common = map_cap(d, offset, &len);
		if (v->common != NULL && len < COMMON_LEN)
			v->common = NULL;
		break;
	case VIRTIO_PCI_CAP_NOTIFY_CFG:
		if (v->notify == NULL)
			v->notify = map_cap(d, offset, &v->notify_len);
		v->notify_step =
			pci_read(d, (u16)(offset + VIRTIO_PCI_NOTIFY_CAP_MULT), sizeof(u32));
		break;
	case VIRTIO_PCI_CAP_DEVICE_CFG:
		if (v->device == NULL)
			v->device = map_cap(d, offset, &v->device_len);
		break;
	default:
		break;
	}
}

int virtio_host_find(struct virtio_host *v, const struct pci_device *d)
{
	u32 offset;

	*v = (struct virtio_host){.common = NULL};
	if ((pci_read(d, PCI_STATUS, sizeof(u16)) & PCI_STATUS_CAP_LIST) == 0)
		return -TERN_ENODEV;
	offset = pci_read(d, PCI_CAPABILITY_LIST, sizeof(u8)) & ~CAP_ALIGN;
	for (u32 i = 0; i < CAPS_MAX && offset >= PCI_STD_HEADER_SIZEOF; i++) {
		if (pci_read(d, (u16)offset, sizeof(u8)) == PCI_CAP_ID_VNDR &&
		    offset + sizeof(struct virtio_pci_notify_cap) <= PCI_CFG_SPACE_SIZE)
			note_cap(v, d, offset);
		offset = pci_read(d, (u16)(offset + PCI_CAP_LIST_NEXT), sizeof(u8)) & ~CAP_ALIGN;
	}
	return v->common != NULL && v->notify != NULL && v->device != NULL ? 0 : -TERN_ENODEV;
}

/* --- negotiation --- */

static u32 status_of(const struct virtio_host *v)
{
	return mmio_read8(v->common + VIRTIO_PCI_COMMON_STATUS);
}

static void set_status(const struct virtio_host *v, u32 status)
{
	mmio_write8(v->common + VIRTIO_PCI_COMMON_STATUS, (u8)status);
}

u64 virtio_host_offered(const struct virtio_host *v)
{
	u64 features;

	mmio_write32(v->common + VIRTIO_PCI_COMMON_DFSELECT, 1);
	features = (u64)mmio_read32(v->common + VIRTIO_PCI_COMMON_DF) << 32;
	mmio_write32(v->common + VIRTIO_PCI_COMMON_DFSELECT, 0);
	return features | mmio_read32(v->common + VIRTIO_PCI_COMMON_DF);
}

bool virtio_host_reset(const struct virtio_host *v)
{
	set_status(v, 0);
	for (u32 t = 0; t < RESET_US; t += STEP_US) {
		if (status_of(v) == 0)
			return true;
		arch_delay_us(STEP_US);
	}
	return false;
}

int virtio_host_begin(struct virtio_host *v, u64 wanted, u64 needed)
{
	u32 status = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER;

	if (!virtio_host_reset(v))
		return -TERN_EIO;
	set_status(v, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	set_status(v, status);
	v->features = virtio_host_offered(v) & (wanted | needed);
	if ((v->features & needed) != needed)
		return -TERN_EIO;
	mmio_write32(v->common + VIRTIO_PCI_COMMON_GFSELECT, 0);
	mmio_write32(v->common + VIRTIO_PCI_COMMON_GF, (u32)v->features);
	mmio_write32(v->common + VIRTIO_PCI_COMMON_GFSELECT, 1);
	mmio_write32(v->common + VIRTIO_PCI_COMMON_GF, (u32)(v->features >> 32));
	status |= VIRTIO_CONFIG_S_FEATURES_OK;
	set_status(v, status);
	return (status_of(v) & VIRTIO_CONFIG_S_FEATURES_OK) != 0 ? 0 : -TERN_EIO;
}

static void write_address(const struct virtio_host *v, u32 reg, const void *at)
{
	u64 pa = virt_to_phys(at).v;

	mmio_write32(v->common + reg, (u32)pa);
	mmio_write32(v->common + reg + sizeof(u32), (u32)(pa >> 32));
}

int virtio_host_queue(const struct virtio_host *v, struct virtio_host_queue *q, bool vector)
{
	u64 notify;
	u16 size;

	memset(q->desc, 0, PAGE_SIZE);
	memset(q->avail, 0, PAGE_SIZE);
	q->next_avail = q->next_used = 0;
	mmio_write16(v->common + VIRTIO_PCI_COMMON_Q_SELECT, q->index);
	size = mmio_read16(v->common + VIRTIO_PCI_COMMON_Q_SIZE);
	if (size == 0 || (size & (size - 1)) != 0)
		return -TERN_EIO;
	q->size = (u16)min_u64(size, VIRTIO_HOST_QUEUE);
	mmio_write16(v->common + VIRTIO_PCI_COMMON_Q_SIZE, q->size);
	mmio_write16(v->common + VIRTIO_PCI_COMMON_Q_MSIX, vector ? 0 : NO_VECTOR);
	if (vector && mmio_read16(v->common + VIRTIO_PCI_COMMON_Q_MSIX) != 0)
		return -TERN_EIO;
	write_address(v, VIRTIO_PCI_COMMON_Q_DESCLO, q->desc);
	write_address(v, VIRTIO_PCI_COMMON_Q_AVAILLO, q->avail);
	write_address(v, VIRTIO_PCI_COMMON_Q_USEDLO, q->used);
	notify = (u64)mmio_read16(v->common + VIRTIO_PCI_COMMON_Q_NOFF) * v->notify_step;
	if (notify + sizeof(u16) > v->notify_len)
		return -TERN_EIO;
	q->notify = (u16 *)(void *)(v->notify + notify);
	virtio_host_interrupts(q, false);
	mmio_write16(v->common + VIRTIO_PCI_COMMON_Q_ENABLE, 1);
	return 0;
}

void virtio_host_go(const struct virtio_host *v)
{
	set_status(v, status_of(v) | VIRTIO_CONFIG_S_DRIVER_OK);
}

bool virtio_host_needs_reset(const struct virtio_host *v)
{
	return (status_of(v) & VIRTIO_CONFIG_S_NEEDS_RESET) != 0;
}

/* --- queues --- */

int virtio_host_queue_alloc(struct virtio_host_queue *q)
{
	q->desc = frames_alloc_page();
	q->avail = frames_alloc_page();
	if (q->desc == NULL || q->avail == NULL) {
		virtio_host_queue_free(q);
		return -TERN_ENOMEM;
	}
	q->used = (struct vring_used *)(void *)((char *)q->avail + USED_OFFSET);
	return 0;
}

void virtio_host_queue_free(struct virtio_host_queue *q)
{
	if (q->desc != NULL)
		frames_free_page(q->desc);
	if (q->avail != NULL)
		frames_free_page(q->avail);
	q->desc = NULL;
	q->avail = NULL;
}

void virtio_host_offer(struct virtio_host_queue *q, u16 head)
{
	q->avail->ring[q->next_avail++ % q->size] = head;
	__atomic_store_n(&q->avail->idx, q->next_avail, __ATOMIC_RELEASE);
}

void virtio_host_kick(struct virtio_host_queue *q)
{
	/* The device sets its flag, then looks at the index once more (section 2.7.13.4.1). */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if ((__atomic_load_n(&q->used->flags, __ATOMIC_RELAXED) & VRING_USED_F_NO_NOTIFY) == 0)
		mmio_write16(q->notify, q->index);
}

static u16 used_count(const struct virtio_host_queue *q)
{
	return (u16)(__atomic_load_n(&q->used->idx, __ATOMIC_ACQUIRE) - q->next_used);
}

bool virtio_host_used(const struct virtio_host_queue *q)
{
	u16 count = used_count(q);

	return count > 0 && count <= q->size;
}

bool virtio_host_broken(const struct virtio_host_queue *q)
{
	return used_count(q) > q->size;
}

bool virtio_host_take(struct virtio_host_queue *q, u32 *head, u32 *len)
{
	const struct vring_used_elem *e;

	if (!virtio_host_used(q))
		return false;
	e = &q->used->ring[q->next_used++ % q->size];
	*head = __atomic_load_n(&e->id, __ATOMIC_RELAXED);
	*len = __atomic_load_n(&e->len, __ATOMIC_RELAXED);
	return true;
}

void virtio_host_interrupts(struct virtio_host_queue *q, bool on)
{
	__atomic_store_n(&q->avail->flags, on ? 0 : VRING_AVAIL_F_NO_INTERRUPT, __ATOMIC_RELEASE);
}
