/* SPDX-License-Identifier: MIT */
/* links: hv/dev/bus.c hv/dev/dev.c hv/lock.c hv/dev/vpci.c hv/dev/vpci_bar.c hv/dev/vpci_irq.c hv/dev/virtio_pci.c hv/dev/virtio_queue.c hv/lib/fmt.c */
/* links: tests/fake/fake_frames.c tests/fake/fake_host.c tests/fake/fake_guest.c tests/fake/fake_virtio.c */
/*
 * A hostile driver at the registers: any access to the BAR and to configuration space, in any order.
 * The state that it can see must be one that the standard has.
 */
#include <stdlib.h>
#include <string.h>

#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include <hv/dev/virtio_internal.h>
#include <tests/fake/fake_frames.h>
#include <tests/fake/fake_guest.h>
#include <tests/fake/fake_host.h>
#include <tests/fake/fake_virtio.h>

#define REQUIRE(cond)            \
	do {                     \
		if (!(cond))     \
			abort(); \
	} while (0)

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static struct vm vm;
static struct virtio_chain chain;

static void serve(struct virtio_device *v, u32 number)
{
	struct virtio_queue *q = virtio_queue(v, number);
	u8 byte;

	REQUIRE(virtio_running(v) && q->enabled);
	for (u32 i = 0; i < VIRTIO_BATCH && virtio_pop(q, &chain) > 0; i++) {
		if (chain.out_len > 0)
			(void)!virtio_chain_read(&chain, 0, &byte, 1);
		virtio_push(&chain, 0);
		virtio_flush(q);
	}
	if (virtio_running(v) && number == 1)
		virtio_config_changed(v);
}

static void create(void)
{
	fake_reset();
	fake_frames_reset(16);
	fake_guest_reset(&vm);
	REQUIRE(vpci_create(&vm, &vm.bus) == 0 && fake_virtio_add(&vm) == 0);
	fake_virtio.on_notify = serve;
}

static void check(void)
{
	const struct virtio_device *v = &fake_virtio.v;
	const struct virtio_pci *p = v->pci;
	bool negotiated = (p->status & VIRTIO_CONFIG_S_FEATURES_OK) != 0;

	REQUIRE(negotiated == (v->features != 0));
	REQUIRE((v->features & ~v->offered) == 0);
	REQUIRE(!negotiated || (v->features >> VIRTIO_F_VERSION_1 & 1) != 0);
	REQUIRE((p->status & VIRTIO_CONFIG_S_DRIVER_OK) == 0 || negotiated);
	REQUIRE(p->config_vector == VPCI_NO_VECTOR || p->config_vector < p->pci.msix.vectors);
	for (u32 i = 0; i < 2; i++) {
		const struct virtio_queue *q = &p->queues[i];

		REQUIRE(q->size > 0 && q->size <= VIRTIO_QUEUE_MAX &&
			(q->size & (q->size - 1)) == 0);
		REQUIRE(!q->enabled || (q->desc.v % 16 == 0 && q->avail.v % 2 == 0 && negotiated &&
					q->used.v % 4 == 0));
		REQUIRE(q->vector == VPCI_NO_VECTOR || q->vector < p->pci.msix.vectors);
	}
}

/* Seven bytes: kind and width, offset, value. */
static void access(const u8 *d)
{
	u32 width = 1u << (d[0] & 3), at = d[1] | (u32)(d[2] & 0x3f) << 8, value;
	struct dev_bus *bus = &vm.bus;

	memcpy(&value, d + 3, sizeof(value));
	if (d[0] & 0x40) {
		width = width > 4 ? 4 : width;
		bus_write(bus, DEV_PORT, 0xcf8, 4, 0x80000800u | (at & 0xfcu), NULL);
		if (d[0] & 0x10)
			bus_write(bus, DEV_PORT, 0xcfcu + (at & 3u), width, value, NULL);
		else
			bus_read(bus, DEV_PORT, 0xcfcu + (at & 3u), width, NULL);
		return;
	}
	/* Mostly common configuration. */
	if (d[0] & 0x20)
		at &= 0x3fu;
	if (d[0] & 0x10)
		bus_write(bus, DEV_MEM, VPCI_WINDOW_BASE + at, width, value, NULL);
	else
		bus_read(bus, DEV_MEM, VPCI_WINDOW_BASE + at, width, NULL);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	if (vm.platform.pci == NULL)
		create();
	memset(fake_guest_mem, 0, 0x10000);
	memcpy(fake_guest_mem, data, min_u64(size, 0x10000));
	bus_reset(&vm.bus);
	check();
	for (size_t i = 0; i + 7 <= size && i < 4096; i += 7) {
		access(data + i);
		check();
	}
	dev_work(&vm);
	check();
	return 0;
}
