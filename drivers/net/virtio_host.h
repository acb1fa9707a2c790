/* SPDX-License-Identifier: MIT */
/* A virtio device of the machine over PCI, virtio 1.2 section 4.1, modern interface alone, and its split queues
 * (section 2.7). The device is not trusted: what it writes is checked against what we know. */
#ifndef DRIVERS_NET_VIRTIO_HOST_H
#define DRIVERS_NET_VIRTIO_HOST_H

#include <linux/virtio_ring.h>
#include <tern/pci.h>
#include <tern/types.h>

#define VIRTIO_HOST_VENDOR 0x1af4u /* section 4.1.2 */
#define VIRTIO_HOST_QUEUE  256u    /* descriptors, at most; a table of them is one page */

struct virtio_host {
	char *common, *notify, *device; /* (c) mapped structures, section 4.1.4 */
	u32 device_len;                 /* (c) */
	u32 notify_len, notify_step;    /* (c) */
	u64 features;                   /* (c) once started */
};

struct virtio_host_queue {
	u16 index; /* (c) */
	u16 size;  /* (c) */
	u16 *notify;
	struct vring_desc *desc; /* a page */
	struct vring_avail *avail;
	struct vring_used *used; /* in the page of avail */
	u16 next_avail;          /* what is ours to write to avail->idx */
	u16 next_used;           /* the next entry of used that is looked at */
};

/* Finds and maps the structures. -TERN_ENODEV. */
MUST_CHECK int virtio_host_find(struct virtio_host *v, const struct pci_device *d);
u64 virtio_host_offered(const struct virtio_host *v);
/* Reset, section 2.4. False: it does not answer. Afterwards it does not touch memory. */
MUST_CHECK bool virtio_host_reset(const struct virtio_host *v);
/* Reset and negotiation up to FEATURES_OK (section 3.1.1): of wanted what is offered, all of needed. -TERN_EIO. */
MUST_CHECK int virtio_host_begin(struct virtio_host *v, u64 wanted, u64 needed);
/* Tells the device about an empty queue, whose memory is zeroed here. vector: use vector 0 of MSI-X. -TERN_EIO. */
MUST_CHECK int virtio_host_queue(const struct virtio_host *v, struct virtio_host_queue *q,
				 bool vector);
/* DRIVER_OK */
void virtio_host_go(const struct virtio_host *v);
bool virtio_host_needs_reset(const struct virtio_host *v);

/* The two pages of a queue. -TERN_ENOMEM. */
MUST_CHECK int virtio_host_queue_alloc(struct virtio_host_queue *q);
void virtio_host_queue_free(struct virtio_host_queue *q);
/* Makes a chain that begins at head the device's; kick() tells it. */
void virtio_host_offer(struct virtio_host_queue *q, u16 head);
void virtio_host_kick(struct virtio_host_queue *q);
/* Whether the device has used something; whether it claims to have used more than there can be: only a reset helps. */
bool virtio_host_used(const struct virtio_host_queue *q);
bool virtio_host_broken(const struct virtio_host_queue *q);
/* The next used chain; false: virtio_host_used() is. */
bool virtio_host_take(struct virtio_host_queue *q, u32 *head, u32 *len);
void virtio_host_interrupts(struct virtio_host_queue *q, bool on);

#endif
