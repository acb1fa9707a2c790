/* SPDX-License-Identifier: MIT */
/* Disks as virtio block devices (hv/dev/virtio_blk.c), virtio 1.2 section 5.2. docs/disks.md. */
#ifndef TERN_VIRTIO_BLK_H
#define TERN_VIRTIO_BLK_H

#include <tern/types.h>
#include <tern/vdisk.h>
#include <tern/virtio.h>

/*
 * Adds a disk to the VM's PCI bus; *out stays valid as long as the VM's bus. -TERN_EINVAL as
 * vdisk_create(), -TERN_ENOMEM, and the errors of virtio_add(). Before the VM runs.
 */
MUST_CHECK int virtio_blk_create(struct vm *vm, const struct vdisk_config *c,
				 struct virtio_device **out);
/* Puts another medium into a removable disk, or, with len 0, takes it out; the driver is told. What the guest reads
 * meanwhile fails. -TERN_EINVAL as vdisk_insert(). Takes the bus lock. */
MUST_CHECK int virtio_blk_insert(struct virtio_device *v, const void *image, u64 len);
/* What it holds. Any CPU; what is not constant, such as stats, with the VM's bus lock held. */
const struct vdisk *virtio_blk_disk(const struct virtio_device *v);

#endif
