/* SPDX-License-Identifier: MIT */
/* The network device of a VM (hv/dev/virtio_net.c), virtio 1.2 section 5.1: a port of a virtual switch. */
#ifndef TERN_VIRTIO_NET_H
#define TERN_VIRTIO_NET_H

#include <tern/types.h>
#include <tern/virtio.h>

#define VIRTIO_NET_MTU_DEFAULT 1500u
#define VIRTIO_NET_MTU_MIN     1280u /* of IPv6; virtio 1.2 section 5.1.4.1 asks for 68 at least */
#define VIRTIO_NET_MTU_MAX     65535u

struct virtio_net_nic {
	u32 index;        /* of the VM's network devices: its port is called "VM.index" */
	const u8 *mac;    /* 6 bytes; NULL: derived from the node's and the VM's name and index */
	bool locked;      /* the guest may send from that address alone */
	u32 mtu;          /* 0: VIRTIO_NET_MTU_DEFAULT */
	const char *node; /* name of the node, for derived addresses */
	const char *sw;   /* name of the switch; NULL: VSWITCH_DEFAULT */
};

/* Adds the device. -TERN_ENOENT: no such switch; -TERN_EINVAL: mtu; -TERN_EEXIST: another port has that
 * address; -TERN_ENOMEM; errors of vswitch_add() and virtio_add(). Before the VM runs. *out, where it is not
 * NULL, stays valid as long as the VM's bus. */
MUST_CHECK int virtio_net_create(struct vm *vm, const struct virtio_net_nic *config,
				 struct virtio_device **out);

/* The address that is derived for a device: locally administered, 02:54 and 32 bits of what the names and
 * numbers give; try: another one, should it be taken. Pure. */
void virtio_net_mac(u8 mac[6], const char *node, const char *vm, u32 index, u32 try);

#endif
