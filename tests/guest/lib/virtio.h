/* SPDX-License-Identifier: MIT */
/*
 * A driver of virtio 1.2 devices over PCI with split queues, as small as it can be: it polls. Long mode only.
 * A device is found, negotiated with, given its queues, and set going, in this order:
 *	virtio_find(&v, id, 0) && virtio_negotiate(&v, wanted) && virtq_setup(&q, &v, 0, 64, memory);
 *	virtio_go(&v);
 * Then buffers go out by virtq_post() and virtq_notify(), and come back by virtq_take() or virtq_wait().
 */
#ifndef GUEST_VIRTIO_H
#define GUEST_VIRTIO_H

#include <abi/types.h>

#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>

#define VIRTIO_VENDOR 0x1af4u
#define VIRTIO_DEVICE 0x1040u /* plus its ID; virtio 1.2 section 4.1.2.1 */
#define VIRTQ_NONE    0x10000u
/* What a queue of that size takes: descriptors, available ring, used ring. */
#define VIRTQ_BYTES(size) ((size)*26u + 16u)

struct virtio {
	u32 slot; /* on the PCI bus */
	volatile struct virtio_pci_common_cfg *common;
	volatile u8 *isr, *config, *notify; /* config: NULL when the device has none */
	u16 notify_port; /* the notification structure once more, in ports; 0: it is not */
	u32 notify_mul;  /* of both */
	u64 features;    /* that were negotiated */
};

struct virtq {
	u32 index, size;
	volatile struct vring_desc *desc;
	volatile struct vring_avail *avail;
	volatile struct vring_used *used;
	volatile u16 *doorbell;
	u16 port; /* used instead of the doorbell, unless 0 */
	u16 next_desc, next_used;
};

struct virtio_buffer {
	void *at;
	u32 len;
};

/* The nth device with that ID, counted from 0. It may use memory from now on. False: there is none. */
bool virtio_find(struct virtio *v, u32 id, u32 nth);
u8 virtio_status(const struct virtio *v);
/* True: it is reset, and says so. */
bool virtio_reset(const struct virtio *v);
/* Resets it and takes those of the wanted features that it offers; VERSION_1 always. */
bool virtio_negotiate(struct virtio *v, u64 wanted);
/* Puts a queue of that size, at least 2, into memory, which is cleared and has an address that 16 divides. The device
 * lets none be larger than virtq_max(), which is 0 for a queue that does not exist. */
u32 virtq_max(const struct virtio *v, u32 index);
bool virtq_setup(struct virtq *q, const struct virtio *v, u32 index, u32 size, void *memory);
void virtio_go(const struct virtio *v);

/* Makes a chain available: buffers that the device reads, then such that it writes. Descriptors are used in
 * turn: those of size chains ago must be free again. Returns the chain's head. */
u32 virtq_post(struct virtq *q, const struct virtio_buffer *b, u32 outs, u32 ins);
void virtq_notify(const struct virtq *q);
/* The head of the next chain that has come back, or VIRTQ_NONE; *len, unless NULL: bytes written. */
u32 virtq_take(struct virtq *q, u32 *len);
/* The same, and waits for some seconds. */
u32 virtq_wait(struct virtq *q, u32 *len);

#endif
