/* SPDX-License-Identifier: MIT */
/*
 * A virtio network device over PCI for tests of the driver, virtio 1.2: it acts on every access to its registers
 * (tests/fake/fake_mmio.h) and on its queues when it is stepped. It obeys, or it does what it is told.
 */
#ifndef FAKE_VNIC_H
#define FAKE_VNIC_H

#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <tern/netdev_driver.h>
#include <tests/fake/fake_pci.h>

#define FAKE_VNIC_QUEUES 2u

struct fake_vnic {
	struct fake_fn *fn;
	u64 base;
	/* To be set before it is used. */
	u64 offers;
	u16 queue_size, mtu;
	bool refuses;   /* does not accept features */
	bool no_vector; /* cannot give queues a vector */
	bool no_reset;  /* a reset does not end */
	bool hangs;     /* takes nothing from its queues */
	bool reorders;  /* uses what was sent last first */
	u8 status;
	u16 link;
	/* What the driver has told it. */
	u32 select, guest_select;
	u64 accepted;
	u16 queue_select;
	struct {
		u16 size, vector, enable, last;
		u64 desc, avail, used;
	} queues[FAKE_VNIC_QUEUES];
	u32 resets, notified[FAKE_VNIC_QUEUES];
	/* The last frame that was sent, with its header. */
	u32 sent;
	struct virtio_net_hdr_v1 header;
	u8 frame[16384];
	u32 frame_len;
	u32 bad; /* chains that no device would understand */
};

/* Puts one at 00:SLOT.0. */
void fake_vnic_add(struct fake_vnic *v, u8 slot);
void fake_vnic_step(struct fake_vnic *v);
/* A frame comes; false: no buffer. */
bool fake_vnic_receive(struct fake_vnic *v, const void *frame, u32 len);
/* Writes any entry into a used ring. */
void fake_vnic_use(struct fake_vnic *v, u32 queue, u32 id, u32 len);
struct vring_used *fake_vnic_used(struct fake_vnic *v, u32 queue);
struct vring_avail *fake_vnic_avail(struct fake_vnic *v, u32 queue);

#endif
