/* SPDX-License-Identifier: MIT */
/*
 * Split virtqueues (virtio 1.2 section 2.7). The driver may be hostile and may change its memory while it
 * is looked at: every field is read once, by a checked copy, and judged before it is used. What breaks
 * the standard breaks that device.
 */
#include <tern/virtio.h>

#include "virtio_internal.h"

#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include <tern/err.h>
#include <tern/gmem.h>
#include <tern/lib.h>
#include <tern/vm.h>

/* Descriptors read at once: most chains are that short and lie in a row. */
#define WINDOW 4u

/* Offsets in the rings; virtio 1.2 sections 2.7.6 and 2.7.8. */
#define RING_FLAGS 0u
#define RING_IDX   2u
#define RING_ELEMS 4u

_Static_assert(sizeof(struct virtio_used) == sizeof(struct vring_used_elem), "used element");

static gpa_t avail_elem(const struct virtio_queue *q, u32 i)
{
	return gpa_add(q->avail, RING_ELEMS + (u64)i * sizeof(u16));
}

static gpa_t used_elem(const struct virtio_queue *q, u32 i)
{
	return gpa_add(q->used, RING_ELEMS + (u64)i * sizeof(struct virtio_used));
}

/* Where the event index lies: behind the other ring's elements. */
static gpa_t used_event(const struct virtio_queue *q)
{
	return avail_elem(q, q->size);
}

static gpa_t avail_event(const struct virtio_queue *q)
{
	return used_elem(q, q->size);
}

static bool has_events(const struct virtio_queue *q)
{
	return virtio_has(q->v, VIRTIO_RING_F_EVENT_IDX);
}

void virtio_queue_kill(struct virtio_queue *q)
{
	q->epoch++;
	q->in_flight = 0;
	q->pushed_count = 0;
}

void virtio_queue_reset(struct virtio_queue *q)
{
	virtio_queue_kill(q);
	q->desc = q->avail = q->used = gpa(0);
	q->size = q->v->ops->queue_size_max;
	q->vector = VPCI_NO_VECTOR;
	q->enabled = false;
	q->event_valid = false;
	q->next = q->seen = q->used_idx = 0;
}

bool virtio_queue_enable(struct virtio_queue *q)
{
	if (q->desc.v % VRING_DESC_ALIGN_SIZE != 0 || q->avail.v % VRING_AVAIL_ALIGN_SIZE != 0 ||
	    q->used.v % VRING_USED_ALIGN_SIZE != 0)
		return false;
	q->enabled = true;
	return true;
}

struct virtio_queue *virtio_queue(struct virtio_device *v, u32 index)
{
	ASSERT(index < v->ops->queue_count);
	return &v->pci->queues[index];
}

u32 virtio_queue_size(const struct virtio_queue *q)
{
	return q->size;
}

/* What a copy of the queue's own structures returned; a failure other than "later" breaks the device. */
static int judge(const struct virtio_queue *q, int rc, const char *what)
{
	if (rc == 0 || rc == -TERN_EAGAIN)
		return rc;
	virtio_broken(q->v, "queue %ld: the %s is not in memory", (long)(q - q->v->pci->queues),
		      what);
	return -TERN_EIO;
}

static int violated(const struct virtio_queue *q, const char *what)
{
	virtio_broken(q->v, "queue %ld: %s", (long)(q - q->v->pci->queues), what);
	return -TERN_EIO;
}

static int read_avail(struct virtio_queue *q)
{
	u16 idx;
	int rc = judge(q, gmem_read(&q->v->vm->mem, gpa_add(q->avail, RING_IDX), &idx, sizeof(idx)),
		       "available ring");

	if (rc != 0)
		return rc;
	if ((u16)(idx - q->next) > q->size)
		return violated(q, "the available index jumped");
	q->seen = idx;
	return 0;
}

/* 1: there is something to pop. 0: nothing, and the driver has been told to notify of what comes. */
static int available(struct virtio_queue *q)
{
	int rc;

	if (q->next != q->seen)
		return 1;
	rc = read_avail(q);
	if (rc != 0 || q->next != q->seen)
		return rc != 0 ? rc : 1;
	if (!has_events(q) || (q->event_valid && q->event == q->next))
		return 0;
	rc = judge(q, gmem_write(&q->v->vm->mem, avail_event(q), &q->next, sizeof(q->next)),
		   "used ring");
	if (rc != 0)
		return rc;
	q->event = q->next;
	q->event_valid = true;
	/* The driver looks at the event after it has moved idx; one of the two must see the other. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	rc = read_avail(q);
	return rc != 0 ? rc : q->next != q->seen;
}

/* A table of descriptors, the queue's or an indirect one, with the entries that were read last. */
struct table {
	gpa_t base;
	u32 count;
	u32 first, cached; /* window[] holds entries first to first + cached - 1 */
	struct vring_desc window[WINDOW];
};

static int get_desc(const struct virtio_queue *q, struct table *t, u32 i, struct vring_desc *out)
{
	int rc;

	if (i - t->first >= t->cached) {
		t->first = i;
		t->cached = (u32)min_u64(WINDOW, t->count - i);
		rc = judge(q,
			   gmem_read(&q->v->vm->mem, gpa_add(t->base, (u64)i * sizeof(*out)),
				     t->window, t->cached * sizeof(*out)),
			   "descriptor table");
		if (rc != 0) {
			t->cached = 0;
			return rc;
		}
	}
	*out = t->window[i - t->first];
	return 0;
}

/* Goes over to the indirect table that d names; virtio 1.2 section 2.7.5.3. */
static int enter_indirect(const struct virtio_queue *q, struct table *t, const struct vring_desc *d)
{
	if (!virtio_has(q->v, VIRTIO_RING_F_INDIRECT_DESC))
		return violated(q, "an indirect descriptor, not negotiated");
	if ((d->flags & VRING_DESC_F_NEXT) != 0)
		return violated(q, "an indirect descriptor with a next one");
	if (d->len == 0 || d->len % sizeof(*d) != 0 || d->addr + d->len < d->addr)
		return violated(q, "an indirect table of bad length");
	t->base = gpa(d->addr);
	t->count = d->len / (u32)sizeof(*d);
	t->cached = 0;
	return 0;
}

static int add_segment(const struct virtio_queue *q, struct virtio_chain *c,
		       const struct vring_desc *d)
{
	bool in = (d->flags & VRING_DESC_F_WRITE) != 0;
	u32 *len = in ? &c->in_len : &c->out_len;

	if (c->count == VIRTIO_SEGMENTS_MAX)
		return violated(q, "a chain of too many buffers");
	if (!in && c->out_count != c->count)
		return violated(q, "a buffer to read after one to write");
	if (d->addr + d->len < d->addr || d->len > VIRTIO_CHAIN_MAX - c->in_len - c->out_len)
		return violated(q, "a chain that is too long");
	c->segments[c->count++] = (struct virtio_segment){.at = gpa(d->addr), .len = d->len};
	c->out_count = (u16)(c->out_count + !in);
	*len += d->len;
	return 0;
}

static int walk(const struct virtio_queue *q, u32 head, struct virtio_chain *c)
{
	struct table t = {.base = q->desc, .count = q->size};
	bool indirect = false;
	u32 i = head;

	/* Each round adds a segment, but for the one that enters an indirect table, and a chain has a
	 * bounded number of those: a loop ends there. */
	for (;;) {
		struct vring_desc d;
		int rc;

		if (i >= t.count)
			return violated(q, "a descriptor index out of range");
		rc = get_desc(q, &t, i, &d);
		if (rc != 0)
			return rc;
		if ((d.flags & VRING_DESC_F_INDIRECT) != 0) {
			rc = indirect ? violated(q, "an indirect descriptor in an indirect table")
				      : enter_indirect(q, &t, &d);
			if (rc != 0)
				return rc;
			indirect = true;
			i = 0;
			continue;
		}
		if (!indirect && c->count == q->size)
			return violated(q, "a chain with a loop");
		rc = add_segment(q, c, &d);
		if (rc != 0 || (d.flags & VRING_DESC_F_NEXT) == 0)
			return rc;
		i = d.next;
	}
}

int virtio_pop(struct virtio_queue *q, struct virtio_chain *c)
{
	u16 head;
	int rc;

	c->queue = NULL;
	if (!virtio_running(q->v))
		return -TERN_EIO;
	if (!q->enabled)
		return 0;
	rc = available(q);
	if (rc <= 0)
		return rc;
	/* A driver has no more chains than the queue has entries until it sees some used. */
	if (q->in_flight == q->size)
		return violated(q, "more chains than entries");
	if (q->in_flight == VIRTIO_IN_FLIGHT_MAX)
		return -TERN_EAGAIN;
	rc = judge(q,
		   gmem_read(&q->v->vm->mem, avail_elem(q, q->next % q->size), &head, sizeof(head)),
		   "available ring");
	if (rc != 0)
		return rc;
	c->count = c->out_count = 0;
	c->out_len = c->in_len = 0;
	rc = walk(q, head, c);
	if (rc != 0)
		return rc;
	c->queue = q;
	c->epoch = q->epoch;
	c->head = head;
	q->next++;
	q->in_flight++;
	return 1;
}

static bool is_void(const struct virtio_chain *c)
{
	return c->queue == NULL || c->epoch != c->queue->epoch;
}

void virtio_unpop(struct virtio_chain *c)
{
	if (!is_void(c)) {
		c->queue->next--;
		c->queue->in_flight--;
	}
	c->queue = NULL;
}

void virtio_push(struct virtio_chain *c, u32 written)
{
	struct virtio_queue *q = c->queue;

	ASSERT(written <= c->in_len);
	if (!is_void(c)) {
		/* As many as are in flight at most. */
		ASSERT(q->pushed_count < q->in_flight);
		q->pushed[q->pushed_count++] = (struct virtio_used){.id = c->head, .len = written};
	}
	c->queue = NULL;
}

/* Puts the elements into the ring, in two pieces where it wraps, and then moves idx. */
static int publish(struct virtio_queue *q)
{
	struct gmem *mem = &q->v->vm->mem;
	u32 at = q->used_idx % q->size;
	u32 first = (u32)min_u64(q->pushed_count, q->size - at);
	u16 idx = (u16)(q->used_idx + q->pushed_count);
	int rc = gmem_write(mem, used_elem(q, at), q->pushed, first * sizeof(q->pushed[0]));

	if (rc == 0 && first < q->pushed_count)
		rc = gmem_write(mem, used_elem(q, 0), &q->pushed[first],
				(q->pushed_count - first) * sizeof(q->pushed[0]));
	__atomic_thread_fence(__ATOMIC_RELEASE);
	if (rc == 0)
		rc = gmem_write(mem, gpa_add(q->used, RING_IDX), &idx, sizeof(idx));
	return judge(q, rc, "used ring");
}

/* Whether the driver wants to hear of used elements old to new - 1. In doubt it does. */
static bool wants_interrupt(const struct virtio_queue *q, u16 old, u16 new)
{
	gpa_t at = has_events(q) ? used_event(q) : gpa_add(q->avail, RING_FLAGS);
	u16 value;

	/* The driver moves the event and then looks at idx. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (gmem_read(&q->v->vm->mem, at, &value, sizeof(value)) != 0)
		return true;
	if (has_events(q))
		return vring_need_event(value, new, old);
	return (value & VRING_AVAIL_F_NO_INTERRUPT) == 0;
}

void virtio_flush(struct virtio_queue *q)
{
	u16 old = q->used_idx;
	int rc;

	if (q->pushed_count == 0 || !virtio_running(q->v))
		return;
	rc = publish(q);
	if (rc == -TERN_EAGAIN)
		virtio_request_work(q->v);
	if (rc != 0)
		return;
	q->used_idx = (u16)(old + q->pushed_count);
	q->in_flight -= q->pushed_count;
	q->pushed_count = 0;
	if (wants_interrupt(q, old, q->used_idx))
		virtio_interrupt(q->v->pci, VIRTIO_ISR_QUEUE, q->vector);
}

/* One of dst and src is not NULL. */
static int copy(const struct virtio_chain *c, u32 offset, u8 *dst, const u8 *src, u32 len)
{
	const struct virtio_segment *s = &c->segments[src != NULL ? c->out_count : 0];
	struct gmem *mem;
	int rc = 0;

	if (is_void(c) || !virtio_running(c->queue->v))
		return -TERN_EIO;
	if (offset > (src != NULL ? c->in_len : c->out_len) ||
	    len > (src != NULL ? c->in_len : c->out_len) - offset)
		return -TERN_ERANGE;
	mem = &c->queue->v->vm->mem;
	for (; rc == 0 && len > 0; s++) {
		u32 n;

		if (offset >= s->len) {
			offset -= s->len;
			continue;
		}
		n = (u32)min_u64(len, s->len - offset);
		rc = src != NULL ? gmem_write(mem, gpa_add(s->at, offset), src, n)
				 : gmem_read(mem, gpa_add(s->at, offset), dst, n);
		if (src != NULL)
			src += n;
		else
			dst += n;
		len -= n;
		offset = 0;
	}
	if (rc == -TERN_EFAULT)
		virtio_broken(c->queue->v, "a buffer is not in memory");
	return rc;
}

int virtio_chain_read(const struct virtio_chain *c, u32 offset, void *dst, u32 len)
{
	return copy(c, offset, dst, NULL, len);
}

int virtio_chain_write(const struct virtio_chain *c, u32 offset, const void *src, u32 len)
{
	return copy(c, offset, NULL, src, len);
}
