/* SPDX-License-Identifier: MIT */
/* A virtio model that tests look into: two queues, eight bytes of configuration. */
#ifndef FAKE_VIRTIO_H
#define FAKE_VIRTIO_H

#include <tern/virtio.h>

#define FAKE_FEATURE 3u

struct fake_virtio {
	struct virtio_device v;
	u8 config[8];
	u32 starts, resets, works, notified[2], destroys;
	bool work_done;
	/* Instead of counting alone; NULL: none. */
	void (*on_notify)(struct virtio_device *v, u32 queue);
};
extern struct fake_virtio fake_virtio;

/* Adds it to the VM, in slot 1 of a bus that is empty. */
int fake_virtio_add(struct vm *vm);

#endif
