/* SPDX-License-Identifier: MIT */
#include "fake_virtio.h"

#include <string.h>

struct fake_virtio fake_virtio;

static void fake_config_written(struct virtio_device *v, u32 offset, u32 width, u32 value)
{
	(void)v;
	memcpy(fake_virtio.config + offset, &value, width);
}

static void fake_start(struct virtio_device *v)
{
	(void)v;
	fake_virtio.starts++;
}

static void fake_notify(struct virtio_device *v, u32 queue)
{
	fake_virtio.notified[queue]++;
	if (fake_virtio.on_notify != NULL)
		fake_virtio.on_notify(v, queue);
}

static void fake_model_reset(struct virtio_device *v)
{
	(void)v;
	fake_virtio.resets++;
}

static bool fake_work(struct virtio_device *v)
{
	(void)v;
	fake_virtio.works++;
	return fake_virtio.work_done;
}

static void fake_destroy(struct virtio_device *v)
{
	(void)v;
	fake_virtio.destroys++;
}

static const struct virtio_ops ops = {
	.name = "virtio-fake",
	.id = 42,
	.class_code = 0x00ff00,
	.queue_count = 2,
	.queue_size_max = VIRTIO_QUEUE_MAX,
	.config_size = 8,
	.config_write = fake_config_written,
	.start = fake_start,
	.notify = fake_notify,
	.reset = fake_model_reset,
	.work = fake_work,
	.destroy = fake_destroy,
};

int fake_virtio_add(struct vm *vm)
{
	fake_virtio = (struct fake_virtio){.work_done = true};
	fake_virtio.v.ops = &ops;
	fake_virtio.v.vm = vm;
	fake_virtio.v.config = fake_virtio.config;
	fake_virtio.v.offered = 1ull << FAKE_FEATURE;
	return virtio_add(&fake_virtio.v);
}
