/* SPDX-License-Identifier: MIT */
/* links: hv/dev/bus.c hv/dev/dev.c hv/lock.c hv/dev/vpci.c hv/dev/vpci_bar.c hv/dev/vpci_irq.c hv/dev/virtio_pci.c hv/dev/virtio_queue.c hv/lib/fmt.c */
/* links: tests/fake/fake_frames.c tests/fake/fake_host.c tests/fake/fake_guest.c tests/fake/fake_driver.c tests/fake/fake_virtio.c */
/*
 * A hostile driver: rings, descriptor tables and buffers are the input, and other CPUs of the guest
 * change them at every copy. Whatever comes out of the queue must keep its own promises; the queue must
 * never write anywhere but to the used ring and the buffers to write.
 */
#include <stdlib.h>
#include <string.h>

#include <linux/virtio_ring.h>

#include <hv/dev/virtio_internal.h>
#include <tern/err.h>
#include <tests/fake/fake_driver.h>
#include <tests/fake/fake_frames.h>
#include <tests/fake/fake_guest.h>
#include <tests/fake/fake_host.h>
#include <tests/fake/fake_virtio.h>

#define REQUIRE(cond)            \
	do {                     \
		if (!(cond))     \
			abort(); \
	} while (0)
#define AREA    0x4000u /* that much from the queue's descriptors on is input */
#define HEADER  4u
#define CHAINS  4u
#define POPS    200u
#define OUT_MAX 64u

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static struct vm vm;
static struct fake_driver drv;
static const u8 *changes;
static size_t change_count, change_next;
static struct virtio_chain chains[CHAINS];

/* Another CPU of the guest: three bytes say where and what. */
static void change(void)
{
	const u8 *c;

	if (change_next + 3 > change_count)
		return;
	c = changes + change_next;
	change_next += 3;
	fake_guest_mem[fake_desc_at(0) + (c[0] | (u32)c[1] << 8) % AREA] = c[2];
	/* Sometimes memory is not there for a while. */
	fake_later_from = fake_desc_at(0) + (c[1] & 3u) * 0x1000u;
	fake_later_to = c[2] % 8u == 0 ? fake_later_from + 0x1000u : 0;
}

static void check(const struct virtio_chain *c)
{
	u64 out = 0, in = 0;

	REQUIRE(c->queue != NULL && c->count >= 1 && c->count <= VIRTIO_SEGMENTS_MAX);
	REQUIRE(c->out_count <= c->count);
	for (u32 i = 0; i < c->count; i++) {
		const struct virtio_segment *s = &c->segments[i];

		REQUIRE(s->at.v + s->len >= s->at.v);
		if (i < c->out_count)
			out += s->len;
		else
			in += s->len;
	}
	REQUIRE(out == c->out_len && in == c->in_len && out + in <= VIRTIO_CHAIN_MAX);
}

/* Reads the beginning, writes the end; true: it can be pushed. */
static bool handle(struct virtio_chain *c)
{
	u8 text[OUT_MAX];
	u32 out = (u32)min_u64(c->out_len, OUT_MAX), in = (u32)min_u64(c->in_len, OUT_MAX);
	int rc = virtio_chain_read(c, c->out_len - out, text, out);

	memset(text, 0xee, sizeof(text));
	if (rc == 0)
		rc = virtio_chain_write(c, c->in_len - in, text, in);
	REQUIRE(rc != -TERN_ERANGE);
	return rc != -TERN_EAGAIN;
}

static void serve(struct virtio_device *v, u32 number)
{
	struct virtio_queue *q = virtio_queue(v, number);

	for (u32 i = 0; i < POPS; i++) {
		struct virtio_chain *c = &chains[i % CHAINS];
		int rc;

		if (c->queue != NULL)
			virtio_push(c, c->in_len);
		rc = virtio_pop(q, c);
		REQUIRE((rc == 1) == (c->queue != NULL));
		REQUIRE(q->in_flight <= VIRTIO_IN_FLIGHT_MAX && q->pushed_count <= q->in_flight);
		if (rc != 1)
			break;
		check(c);
		if (!handle(c)) {
			virtio_unpop(c);
			break;
		}
		if (i % 3 == 0)
			virtio_flush(q);
	}
	virtio_flush(q);
}

static void create(void)
{
	fake_reset();
	fake_frames_reset(16);
	fake_guest_reset(&vm);
	REQUIRE(vpci_create(&vm, &vm.bus) == 0 && fake_virtio_add(&vm) == 0);
	fake_virtio.on_notify = serve;
}

/* input: size of the queue and features; length of the changes; the area; the changes. */
int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	u64 features;
	size_t area;

	if (size < HEADER)
		return 0;
	if (vm.platform.pci == NULL)
		create();
	fake_copying = NULL;
	fake_later_to = 0;
	memset(fake_guest_mem, 0, fake_desc_at(2));
	memset(chains, 0, sizeof(chains));
	features = data[1] & 1 ? 1ull << VIRTIO_RING_F_EVENT_IDX : 0;
	features |= data[1] & 2 ? 1ull << VIRTIO_RING_F_INDIRECT_DESC : 0;
	REQUIRE(fake_driver_start(&drv, &vm, 1, features, (u16)(1u << data[0] % 9), true));
	change_count = (size_t)min_u64(data[2] * 3u, size - HEADER);
	changes = data + size - change_count;
	change_next = 0;
	/* The input is spread: descriptors, available ring, indirect tables behind the used ring. */
	area = size - HEADER - change_count;
	for (u32 part = 0; part < 3; part++) {
		static const u32 at[] = {0, 0x1000, 0x3000};
		size_t n = area / 3;

		memcpy(fake_guest_mem + fake_desc_at(0) + at[part], data + HEADER + part * n,
		       min_u64(n, 0x1000));
	}
	fake_copying = change;
	for (u32 i = 0; i < 3; i++) {
		fake_kick(&drv, 0);
		dev_work(&vm);
	}
	return 0;
}
