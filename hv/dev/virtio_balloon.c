/* SPDX-License-Identifier: MIT */
/*
 * The memory balloon (virtio 1.2 section 5.5). Pages that the guest puts into it, or reports as free,
 * lose their frames at once; when it touches them again they are backed like any others, so deflation
 * needs nothing. Free page hints are only recorded, for a copy of the VM to leave them out.
 */
#include <tern/virtio.h>

#include "balloon_hints.h"

#include <linux/virtio_balloon.h>

#include <tern/err.h>
#include <tern/frames.h>
#include <tern/gmem.h>
#include <tern/lib.h>
#include <tern/vm.h>

enum role { INFLATE, DEFLATE, STATS, HINTS, REPORTS, ROLES };

#define CLASS_BALLOON 0x00ff00u
#define QUEUE_SIZE    128u
#define PFNS_MAX      256u /* in one chain; Linux sends that many */
#define CHAINS        8u   /* in one call: taking memory back takes time */
#define ABSENT        ROLES
#define ID_FIRST      2u /* of hint commands; those below have a meaning */

#define FEATURE(bit) (1ull << (bit))
#define FEATURES                                                                            \
	(FEATURE(VIRTIO_BALLOON_F_STATS_VQ) | FEATURE(VIRTIO_BALLOON_F_DEFLATE_ON_OOM) |    \
	 FEATURE(VIRTIO_BALLOON_F_FREE_PAGE_HINT) | FEATURE(VIRTIO_BALLOON_F_PAGE_POISON) | \
	 FEATURE(VIRTIO_BALLOON_F_REPORTING))

struct balloon {
	struct virtio_device v;
	struct virtio_balloon_config config;
	u32 queue[ROLES];            /* which one has that role, or ABSENT */
	u32 next_id;                 /* of the next hint command */
	bool hinting;                /* the guest's hints now are for this command */
	bool hints_done;             /* it has named all */
	bool stats_wanted;           /* its buffer goes back, so that it sends new ones */
	bool stats_read;             /* what the buffer holds has been read */
	struct balloon_hints *hints; /* NULL: not started */
	u64 reported, updates;
	u64 stats[BALLOON_STATS_MAX];
	u32 pfns[PFNS_MAX];
	struct virtio_chain chain;
};
_Static_assert(sizeof(struct balloon) <= PAGE_SIZE, "one page");

static struct balloon *balloon_of(struct virtio_device *v)
{
	return container_of(v, struct balloon, v);
}

/* The guest fills free pages with a pattern and will look for it: they must keep their content. */
static bool poisoned(const struct balloon *b)
{
	return virtio_has(&b->v, VIRTIO_BALLOON_F_PAGE_POISON) && b->config.poison_val != 0;
}

static void unback(struct balloon *b, u64 page, u64 count)
{
	gmem_unback(&b->v.vm->mem, gpa(page << VIRTIO_BALLOON_PFN_SHIFT),
		    count << VIRTIO_BALLOON_PFN_SHIFT);
}

/* Numbers of pages, 4 bytes each; those in a row, up or down, go at once. */
static int inflate(struct balloon *b)
{
	struct virtio_chain *c = &b->chain;
	u32 count = c->out_len / (u32)sizeof(b->pfns[0]), first = 0;
	int rc;

	if (count > PFNS_MAX) {
		virtio_broken(&b->v, "%u pages in one request", count);
		return -TERN_EIO;
	}
	rc = virtio_chain_read(c, 0, b->pfns, count * (u32)sizeof(b->pfns[0]));
	for (u32 i = 1; rc == 0 && i <= count; i++) {
		u64 n = i - first, start = b->pfns[first], last = b->pfns[i - 1];

		/* A run has its direction from its second page on. */
		if (i < count && b->pfns[i] == start + n && last == start + n - 1)
			continue;
		if (i < count && b->pfns[i] == start - n && last == start - n + 1)
			continue;
		unback(b, min_u64(last, start), n);
		first = i;
	}
	return rc;
}

static int report(struct balloon *b)
{
	const struct virtio_chain *c = &b->chain;

	for (u32 i = c->out_count; i < c->count && !poisoned(b); i++)
		b->reported += gmem_unback(&b->v.vm->mem, c->segments[i].at, c->segments[i].len);
	return 0;
}

/* A command the device reads, or free pages, which it does not. */
static int hint(struct balloon *b)
{
	const struct virtio_chain *c = &b->chain;
	u32 id;

	if (c->out_count > 0) {
		int rc = virtio_chain_read(c, 0, &id, sizeof(id));

		if (rc != 0)
			return rc;
		if (id == VIRTIO_BALLOON_CMD_ID_STOP)
			b->hints_done = b->hints_done || b->hinting;
		b->hinting = b->hints != NULL && id == b->config.free_page_hint_cmd_id;
	}
	for (u32 i = c->out_count; i < c->count && b->hinting && !poisoned(b); i++)
		balloon_hints_add(b->hints, c->segments[i].at.v, c->segments[i].len);
	return 0;
}

static int handle(struct balloon *b, enum role role)
{
	if (role == INFLATE)
		return inflate(b);
	if (role == HINTS)
		return hint(b);
	return role == REPORTS ? report(b) : 0;
}

/* False: memory cannot be backed now. */
static bool serve(struct balloon *b, enum role role)
{
	struct virtio_queue *q;
	u32 left = CHAINS;
	int rc = 1;

	if (b->queue[role] == ABSENT)
		return true;
	q = virtio_queue(&b->v, b->queue[role]);
	while (left > 0 && (rc = virtio_pop(q, &b->chain)) > 0) {
		rc = handle(b, role);
		if (rc == -TERN_EAGAIN) {
			virtio_unpop(&b->chain);
			break;
		}
		if (rc == -TERN_ERANGE)
			virtio_broken(&b->v, "a hint command that is too short");
		virtio_push(&b->chain, 0);
		left--;
	}
	virtio_flush(q);
	if (left == 0)
		virtio_request_work(&b->v);
	return rc != -TERN_EAGAIN;
}

static int read_stats(struct balloon *b)
{
	struct virtio_balloon_stat s[BALLOON_STATS_MAX];
	u32 count = (u32)min_u64(b->chain.out_len / sizeof(s[0]), BALLOON_STATS_MAX);
	int rc = virtio_chain_read(&b->chain, 0, s, count * (u32)sizeof(s[0]));

	if (rc != 0)
		return rc;
	memset(b->stats, 0xff, sizeof(b->stats));
	for (u32 i = 0; i < count; i++) {
		if (s[i].tag < BALLOON_STATS_MAX)
			b->stats[s[i].tag] = s[i].val;
	}
	b->updates++;
	return 0;
}

/* The guest has one buffer with statistics in the queue; it stays there until new ones are wanted. Looked
 * for once more then, so that the guest is asked to notify of the next. */
static bool serve_stats(struct balloon *b)
{
	struct virtio_queue *q;
	int rc;

	if (b->queue[STATS] == ABSENT)
		return true;
	q = virtio_queue(&b->v, b->queue[STATS]);
	while ((rc = virtio_pop(q, &b->chain)) > 0) {
		rc = b->stats_read ? 0 : read_stats(b);
		b->stats_read = rc == 0;
		if (rc != 0 || !b->stats_wanted) {
			virtio_unpop(&b->chain);
			break;
		}
		virtio_push(&b->chain, 0);
		virtio_flush(q);
		b->stats_wanted = b->stats_read = false;
	}
	return rc != -TERN_EAGAIN;
}

static bool balloon_work(struct virtio_device *v)
{
	struct balloon *b = balloon_of(v);
	bool done = serve_stats(b);

	for (enum role role = INFLATE; role < ROLES; role++)
		done = (role == STATS || serve(b, role)) && done;
	return done;
}

static void balloon_notify(struct virtio_device *v, u32 queue)
{
	struct balloon *b = balloon_of(v);

	for (enum role role = INFLATE; role < ROLES; role++) {
		if (b->queue[role] == queue && !(role == STATS ? serve_stats(b) : serve(b, role)))
			virtio_request_work(v);
	}
}

/* Queues of features that were not negotiated are left out, and those behind them move up, as drivers
 * have it. */
static void balloon_start(struct virtio_device *v)
{
	static const u32 features[ROLES] = {[STATS] = VIRTIO_BALLOON_F_STATS_VQ,
					    [HINTS] = VIRTIO_BALLOON_F_FREE_PAGE_HINT,
					    [REPORTS] = VIRTIO_BALLOON_F_REPORTING};
	struct balloon *b = balloon_of(v);
	u32 next = 0;

	for (enum role role = INFLATE; role < ROLES; role++)
		b->queue[role] = role <= DEFLATE || virtio_has(v, features[role]) ? next++ : ABSENT;
}

static void end_hints(struct balloon *b)
{
	frames_free_page(b->hints);
	b->hints = NULL;
	b->hinting = b->hints_done = false;
}

static void balloon_reset(struct virtio_device *v)
{
	struct balloon *b = balloon_of(v);

	b->config.actual = 0;
	b->config.poison_val = 0;
	b->config.free_page_hint_cmd_id = VIRTIO_BALLOON_CMD_ID_STOP;
	for (enum role role = INFLATE; role < ROLES; role++)
		b->queue[role] = ABSENT;
	b->stats_wanted = b->stats_read = false;
	memset(b->stats, 0xff, sizeof(b->stats));
	/* What was hinted before is in use again for all that is known. */
	if (b->hints != NULL)
		b->hints->count = 0;
	b->hinting = b->hints_done = false;
}

static void balloon_config_write(struct virtio_device *v, u32 offset, u32 width, u32 value)
{
	struct balloon *b = balloon_of(v);

	if (width != sizeof(u32))
		return;
	if (offset == offsetof(struct virtio_balloon_config, actual))
		b->config.actual = value;
	else if (offset == offsetof(struct virtio_balloon_config, poison_val))
		b->config.poison_val = value;
}

static void balloon_destroy(struct virtio_device *v)
{
	struct balloon *b = balloon_of(v);

	if (b->hints != NULL)
		end_hints(b);
	frames_free_page(b);
}

static const struct virtio_ops balloon_ops = {
	.name = "virtio-balloon",
	.id = VIRTIO_ID_BALLOON,
	.class_code = CLASS_BALLOON,
	.queue_count = ROLES,
	.queue_size_max = QUEUE_SIZE,
	.config_size = sizeof(struct virtio_balloon_config),
	.config_write = balloon_config_write,
	.start = balloon_start,
	.notify = balloon_notify,
	.reset = balloon_reset,
	.work = balloon_work,
	.destroy = balloon_destroy,
};

int virtio_balloon_create(struct vm *vm, struct virtio_device **out)
{
	struct balloon *b = frames_alloc_page();
	int rc;

	if (b == NULL)
		return -TERN_ENOMEM;
	b->v.ops = &balloon_ops;
	b->v.vm = vm;
	b->v.offered = FEATURES;
	b->v.config = &b->config;
	b->next_id = ID_FIRST;
	balloon_reset(&b->v);
	rc = virtio_add(&b->v);
	if (rc != 0)
		frames_free_page(b);
	else
		*out = &b->v;
	return rc;
}

void balloon_set_target(struct virtio_device *v, u32 pages)
{
	lock_token token = lock_take(&v->vm->bus.lock);

	balloon_of(v)->config.num_pages = pages;
	virtio_config_changed(v);
	lock_release(&v->vm->bus.lock, token);
}

void balloon_get_stats(struct virtio_device *v, struct balloon_stats *out)
{
	struct balloon *b = balloon_of(v);
	lock_token token = lock_take(&v->vm->bus.lock);

	out->target = b->config.num_pages;
	out->actual = b->config.actual;
	out->reported = b->reported;
	out->updates = b->updates;
	memcpy(out->value, b->stats, sizeof(b->stats));
	b->stats_wanted = true;
	/* A guest that runs its device answers; the work is done on its own time. */
	virtio_request_work(v);
	lock_release(&v->vm->bus.lock, token);
}

int balloon_hint_start(struct virtio_device *v)
{
	struct balloon *b = balloon_of(v);
	lock_token token = lock_take(&v->vm->bus.lock);
	int rc = 0;

	if (!virtio_running(v) || b->queue[HINTS] == ABSENT)
		rc = -TERN_ENOSYS;
	else if (b->hints != NULL)
		rc = -TERN_EBUSY;
	else if ((b->hints = frames_alloc_page()) == NULL)
		rc = -TERN_ENOMEM;
	if (rc == 0) {
		b->hinting = b->hints_done = false;
		b->config.free_page_hint_cmd_id = b->next_id;
		b->next_id = b->next_id == UINT32_MAX ? ID_FIRST : b->next_id + 1;
		virtio_config_changed(v);
	}
	lock_release(&v->vm->bus.lock, token);
	return rc;
}

bool balloon_hint_complete(struct virtio_device *v)
{
	lock_token token = lock_take(&v->vm->bus.lock);
	bool done = balloon_of(v)->hints_done;

	lock_release(&v->vm->bus.lock, token);
	return done;
}

u32 balloon_hint_stop(struct virtio_device *v, struct balloon_hint *out, u32 max)
{
	struct balloon *b = balloon_of(v);
	lock_token token = lock_take(&v->vm->bus.lock);
	u32 n = 0;

	if (b->hints != NULL) {
		n = (u32)min_u64(b->hints->count, max);
		memcpy(out, b->hints->ranges, n * sizeof(out[0]));
		end_hints(b);
		/* The guest may use the pages again from here on. */
		b->config.free_page_hint_cmd_id = VIRTIO_BALLOON_CMD_ID_DONE;
		virtio_config_changed(v);
	}
	lock_release(&v->vm->bus.lock, token);
	return n;
}
