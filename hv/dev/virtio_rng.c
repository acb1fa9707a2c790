/* SPDX-License-Identifier: MIT */
/* An entropy device (virtio 1.2 section 5.4): the CPU's own random numbers. */
#include <tern/virtio.h>

#include <linux/virtio_ids.h>

#include <tern/arch.h>
#include <tern/err.h>
#include <tern/frames.h>
#include <tern/lib.h>

#define REQUESTS   0u
#define CLASS_RNG  0x00ff00u
#define BYTES_MAX  256u /* to one chain; a device may give less than there is room for */
#define WORDS_MAX  (BYTES_MAX / sizeof(u64))
#define QUEUE_SIZE 64u

struct rng {
	struct virtio_device v;
	u64 words[WORDS_MAX]; /* zero but while they are handed out */
	struct virtio_chain chain;
};
_Static_assert(sizeof(struct rng) <= PAGE_SIZE, "one page");

static struct rng *rng_of(struct virtio_device *v)
{
	return container_of(v, struct rng, v);
}

/* Returns how many bytes of words[] are random. */
static u32 collect(struct rng *r, u32 bytes)
{
	u32 words = 0, want = (u32)((bytes + sizeof(u64) - 1) / sizeof(u64));

	while (words < want && arch_random(&r->words[words]))
		words++;
	return (u32)min_u64(bytes, words * sizeof(u64));
}

/* False: try again later. */
static bool serve(struct rng *r)
{
	struct virtio_chain *c = &r->chain;
	u32 n = (u32)min_u64(c->in_len, BYTES_MAX);
	u32 got = collect(r, n);
	int rc = got == 0 && n > 0 ? -TERN_EAGAIN : virtio_chain_write(c, 0, r->words, got);

	memset(r->words, 0, sizeof(r->words));
	if (rc == -TERN_EAGAIN) {
		virtio_unpop(c);
		return false;
	}
	virtio_push(c, got);
	return true;
}

static bool rng_work(struct virtio_device *v)
{
	struct rng *r = rng_of(v);
	struct virtio_queue *q = virtio_queue(v, REQUESTS);
	u32 left = VIRTIO_BATCH;
	int rc = 1;

	while (left > 0 && (rc = virtio_pop(q, &r->chain)) > 0) {
		if (!serve(r)) {
			rc = -TERN_EAGAIN;
			break;
		}
		if (--left % VIRTIO_IN_FLIGHT_MAX == 0)
			virtio_flush(q);
	}
	virtio_flush(q);
	if (left == 0)
		virtio_request_work(v);
	return rc != -TERN_EAGAIN;
}

static void rng_notify(struct virtio_device *v, UNUSED u32 queue)
{
	if (!rng_work(v))
		virtio_request_work(v);
}

static void rng_reset(UNUSED struct virtio_device *v)
{
}

static void rng_destroy(struct virtio_device *v)
{
	frames_free_page(rng_of(v));
}

static const struct virtio_ops rng_ops = {
	.name = "virtio-rng",
	.id = VIRTIO_ID_RNG,
	.class_code = CLASS_RNG,
	.queue_count = 1,
	.queue_size_max = QUEUE_SIZE,
	.notify = rng_notify,
	.reset = rng_reset,
	.work = rng_work,
	.destroy = rng_destroy,
};

int virtio_rng_create(struct vm *vm)
{
	struct rng *r;
	u64 probe;
	int rc;

	if (!arch_random(&probe))
		return -TERN_ENODEV;
	r = frames_alloc_page();
	if (r == NULL)
		return -TERN_ENOMEM;
	r->v.ops = &rng_ops;
	r->v.vm = vm;
	rc = virtio_add(&r->v);
	if (rc != 0)
		frames_free_page(r);
	return rc;
}
