/* SPDX-License-Identifier: MIT */
/*
 * What callers see of the frame allocator: blocks with reference counts, over three stores.
 * A CPU's cache holds single frames of its own node, so that most requests take no lock. A node's
 * pool holds single frames that are zero already; the idle loop fills it. The buddy lists
 * (frames.c) hold the rest.
 */
#include <tern/err.h>
#include <tern/frames.h>
#include <tern/lib.h>
#include <tern/pcpu.h>

#include "frames_internal.h"

#define CACHE_FRAMES 64u
#define CACHE_BATCH  32u /* moved in one lock hold */
#define POOL_BATCH   16u
#define POOL_MAX     (MiB(16) >> PAGE_SHIFT) /* a node; less on small ones, see pool_target() */

/* This CPU only, interrupts off; count is (a) for the statistics of others. */
struct frame_cache {
	u32 count;
	u64 pfns[CACHE_FRAMES]; /* newest last */
};

static u64 zero_misses; /* (a) */
static u64 failed;      /* (a) */

static void irq_restore(bool were_on)
{
	if (were_on)
		arch_irq_on();
}

static u64 relaxed(const u64 *p)
{
	return __atomic_load_n(p, __ATOMIC_RELAXED);
}

/* --- per-CPU cache: interrupts off --- */

static void cache_set_count(struct frame_cache *fc, u32 count)
{
	__atomic_store_n(&fc->count, count, __ATOMIC_RELAXED);
}

static bool cache_fill(struct frame_cache *fc, u32 node)
{
	struct frames_node *fn = frames_node_get(node);
	lock_token token;
	u64 pfn;

	if (relaxed(&fn->free) == 0)
		return false;
	token = lock_take(&fn->lock);
	while (fc->count < CACHE_BATCH && frames_take(fn, 0, &pfn)) {
		frame_state_set(frames_entry_pfn(pfn), FRAME_CACHED);
		fc->pfns[fc->count] = pfn;
		cache_set_count(fc, fc->count + 1);
	}
	lock_release(&fn->lock, token);
	return fc->count > 0;
}

/* Gives the oldest n frames back: the newest are still in the processor's cache. */
static void cache_drain(struct frame_cache *fc, u32 node, u32 n)
{
	struct frames_node *fn = frames_node_get(node);
	lock_token token = lock_take(&fn->lock);

	for (u32 i = 0; i < n; i++)
		frames_give(fn, fc->pfns[i], 0);
	memmove(fc->pfns, fc->pfns + n, (fc->count - n) * sizeof(fc->pfns[0]));
	cache_set_count(fc, fc->count - n);
	lock_release(&fn->lock, token);
}

/* False when there is no cache for this node on this CPU, or nothing to fill it with. */
static bool cache_take(u32 node, u64 *pfn)
{
	bool irqs = arch_irq_off(), found = false;
	struct pcpu *pc = pcpu_self();
	struct frame_cache *fc = pc->frames;

	if (fc != NULL && pc->node == node && (fc->count > 0 || cache_fill(fc, node))) {
		cache_set_count(fc, fc->count - 1);
		*pfn = fc->pfns[fc->count];
		found = true;
	}
	irq_restore(irqs);
	return found;
}

static bool cache_give(u32 node, u64 pfn)
{
	bool irqs = arch_irq_off(), done = false;
	struct pcpu *pc = pcpu_self();
	struct frame_cache *fc = pc->frames;

	if (fc != NULL && pc->node == node) {
		if (fc->count == CACHE_FRAMES)
			cache_drain(fc, node, CACHE_BATCH);
		frame_state_set(frames_entry_pfn(pfn), FRAME_CACHED);
		fc->pfns[fc->count] = pfn;
		cache_set_count(fc, fc->count + 1);
		done = true;
	}
	irq_restore(irqs);
	return done;
}

int frames_cpu_init(struct pcpu *pc)
{
	struct frame_cache *fc = frames_alloc_page();

	if (fc == NULL)
		return -TERN_ENOMEM;
	_Static_assert(sizeof(*fc) <= PAGE_SIZE, "the cache of a CPU is one page");
	pc->frames = fc;
	return 0;
}

void frames_drain_cache(void)
{
	bool irqs = arch_irq_off();
	struct pcpu *pc = pcpu_self();

	if (pc->frames != NULL && pc->frames->count > 0)
		cache_drain(pc->frames, pc->node, pc->frames->count);
	irq_restore(irqs);
}

/* --- zeroed pool --- */

/* How many zeroed frames a node should have: 1/16 of its memory, at most 16 MiB. */
static u64 pool_target(const struct frames_node *fn)
{
	return min_u64(POOL_MAX, fn->total / 16);
}

/* Lock held, pool not empty. */
static u64 pool_pop(struct frames_node *fn)
{
	struct frame_links *l = fn->pool;

	fn->pool = l->next;
	l->next = NULL; /* the link is all that is not zero */
	__atomic_store_n(&fn->pooled, fn->pooled - 1, __ATOMIC_RELAXED);
	return virt_to_phys(l).v >> PAGE_SHIFT;
}

static void pool_push(struct frames_node *fn, u64 pfn)
{
	struct frame_links *l = frame_virt(pfn);

	l->next = fn->pool;
	fn->pool = l;
	__atomic_store_n(&fn->pooled, fn->pooled + 1, __ATOMIC_RELAXED);
}

static void check_zero(u64 pfn, const char *what)
{
	const u64 *page = frame_virt(pfn);

	for (u32 i = 0; i < PAGE_SIZE / sizeof(u64); i++) {
		if (page[i] != 0)
			panic("frame %#lx %s: %#lx at offset %#lx", pfn << PAGE_SHIFT, what,
			      page[i], i * sizeof(u64));
	}
}

static bool pool_take(u32 node, u64 *pfn)
{
	struct frames_node *fn = frames_node_get(node);
	bool found = false;
	lock_token token;

	if (relaxed(&fn->pooled) == 0)
		return false;
	token = lock_take(&fn->lock);
	if (fn->pool != NULL) {
		*pfn = pool_pop(fn);
		fn->pool_hits++;
		found = true;
	}
	lock_release(&fn->lock, token);
	if (TERN_DEBUG && found)
		check_zero(*pfn, "was written to in the zeroed pool");
	return found;
}

/* Gives all pools back to the buddy lists, a few frames a lock hold. */
static bool pools_drain(void)
{
	bool any = false;

	for (u32 n = 0; n < NODES_MAX; n++) {
		struct frames_node *fn = frames_node_get(n);

		while (relaxed(&fn->pooled) > 0) {
			lock_token token = lock_take(&fn->lock);

			for (u32 i = 0; i < POOL_BATCH && fn->pool != NULL; i++)
				frames_give(fn, pool_pop(fn), 0);
			lock_release(&fn->lock, token);
			any = true;
		}
	}
	return any;
}

/*
 * At most max frames for one node, at most POOL_BATCH. When the node has less free memory than a
 * full pool, requests that drain the pool are near: then it would be zeroed for nothing.
 */
static u32 zero_batch(struct frames_node *fn, u32 max)
{
	u64 pfns[POOL_BATCH];
	u32 n = 0;
	lock_token token = lock_take(&fn->lock);

	/* frames_take() prefers fragments: 2 MiB are broken up when there are none left. */
	while (n < max && n < POOL_BATCH && fn->pooled + n < pool_target(fn) &&
	       fn->free > pool_target(fn) && frames_take(fn, 0, &pfns[n])) {
		frame_state_set(frames_entry_pfn(pfns[n]), FRAME_POOLED);
		n++;
	}
	lock_release(&fn->lock, token);
	if (n == 0)
		return 0;
	for (u32 i = 0; i < n; i++) {
		if (TERN_DEBUG)
			frames_check_poison(pfns[i], 0);
		arch_zero_page(frame_virt(pfns[i]));
	}
	token = lock_take(&fn->lock);
	for (u32 i = 0; i < n; i++)
		pool_push(fn, pfns[i]);
	lock_release(&fn->lock, token);
	return n;
}

u32 frames_zero_some(u32 max)
{
	u32 near = pcpu_self()->node;
	u32 done = 0;

	/* Nodes without CPUs have nobody else to do it. */
	for (u32 i = 0; i < NODES_MAX && done < max; i++) {
		struct frames_node *fn = frames_node_get((near + i) % NODES_MAX);
		u32 n;

		if (relaxed(&fn->pooled) >= pool_target(fn))
			continue;
		do {
			n = zero_batch(fn, max - done);
			done += n;
		} while (n > 0 && done < max);
	}
	return done;
}

/* --- requests --- */

static bool take_locked(u32 node, u32 order, u64 *pfn)
{
	struct frames_node *fn = frames_node_get(node);
	lock_token token;
	bool found;

	if (relaxed(&fn->free) == 0)
		return false;
	token = lock_take(&fn->lock);
	found = frames_take(fn, order, pfn);
	lock_release(&fn->lock, token);
	return found;
}

/* One go over all stores; the nearest node first, "near" being the next number. */
static bool alloc_try(u32 order, bool *zero, u32 near, u64 *pfn)
{
	bool want_zero = *zero;

	*zero = false;
	if (order == 0 && want_zero && pool_take(near, pfn)) {
		*zero = true;
		return true;
	}
	if (order == 0 && cache_take(near, pfn))
		return true;
	for (u32 i = 0; i < NODES_MAX; i++) {
		if (take_locked((near + i) % NODES_MAX, order, pfn))
			return true;
	}
	*zero = want_zero;
	return false;
}

/* Brings free memory together that alloc_try() cannot reach. */
static bool reclaim(void)
{
	const struct frame_cache *fc = pcpu_self()->frames;
	bool any = fc != NULL && fc->count > 0;

	frames_drain_cache();
	return pools_drain() || any;
}

int frames_alloc(u32 order, u32 flags, u32 node, hpa_t *out)
{
	u32 near = node == FRAME_NODE_ANY ? pcpu_self()->node : node;
	bool want_zero = (flags & FRAME_ZERO) != 0, zero = want_zero;
	struct frame *f;
	u64 pfn;

	ASSERT(order <= FRAME_ORDER_MAX);
	ASSERT(near < NODES_MAX);
	ASSERT((flags & ~(u32)FRAME_ZERO) == 0);
	if (!alloc_try(order, &zero, near, &pfn) &&
	    (!reclaim() || !alloc_try(order, &zero, near, &pfn))) {
		__atomic_add_fetch(&failed, 1, __ATOMIC_RELAXED);
		return -TERN_ENOMEM;
	}
	if (TERN_DEBUG)
		frames_check_poison(pfn, order);
	if (want_zero && !zero) {
		for (u64 i = 0; i < 1ull << order; i++)
			arch_zero_page(frame_virt(pfn + i));
		__atomic_add_fetch(&zero_misses, 1, __ATOMIC_RELAXED);
	}
	f = frames_entry_pfn(pfn);
	f->order = (u8)order;
	frame_state_set(f, FRAME_USED);
	__atomic_store_n(&f->refs, 1, __ATOMIC_RELAXED);
	*out = hpa(pfn << PAGE_SHIFT);
	return 0;
}

/* The entry of an allocated block; anything else is a bug of the caller's, named by its address. */
static struct frame *used_entry(hpa_t block, const char *what)
{
	struct frame *f = frames_entry(block);

	switch (frame_state_get(f)) {
	case FRAME_USED:
		return f;
	case FRAME_FREE:
	case FRAME_CACHED:
	case FRAME_POOLED:
		panic("%s: frame %#lx is free already", what, block.v);
	case FRAME_TAIL:
		panic("%s: frame %#lx is not the first of a block", what, block.v);
	case FRAME_HOLE:
		panic("%s: frame %#lx is not memory of the allocator", what, block.v);
	}
	panic("%s: metadata of frame %#lx is damaged (state %u)", what, block.v, f->state);
}

void frame_get(hpa_t block)
{
	struct frame *f = used_entry(block, "frame_get");
	u32 old = __atomic_fetch_add(&f->refs, 1, __ATOMIC_RELAXED);

	if (old == 0 || old == UINT32_MAX)
		panic("frame_get: frame %#lx has %u references", block.v, old);
}

void frame_put(hpa_t block)
{
	struct frame *f = used_entry(block, "frame_put");
	u64 pfn = block.v >> PAGE_SHIFT;
	/* Release: our accesses come before the free; acquire: so do those of the other users. */
	u32 old = __atomic_fetch_sub(&f->refs, 1, __ATOMIC_ACQ_REL);
	struct frames_node *fn;
	lock_token token;
	u32 node;

	if (old == 0)
		panic("frame_put: frame %#lx is free already", block.v);
	if (old > 1)
		return;
	node = frame_node(block);
	if (TERN_DEBUG)
		frames_poison(pfn, f->order);
	if (f->order == 0 && cache_give(node, pfn))
		return;
	fn = frames_node_get(node);
	token = lock_take(&fn->lock);
	frames_give(fn, pfn, f->order);
	lock_release(&fn->lock, token);
}

void frame_put_zeroed(hpa_t block)
{
	struct frame *f = used_entry(block, "frame_put_zeroed");
	struct frames_node *fn = frames_node_get(frame_node(block));
	u64 pfn = block.v >> PAGE_SHIFT;
	lock_token token;
	bool room;

	if (f->refs != 1)
		panic("frame_put_zeroed: frame %#lx has %u users", block.v, f->refs);
	for (u64 i = 0; TERN_DEBUG && i < 1ull << f->order; i++)
		check_zero(pfn + i, "is said to be zero");
	token = lock_take(&fn->lock);
	room = f->order == 0 && fn->pooled < pool_target(fn);
	if (room) {
		f->refs = 0;
		frame_state_set(f, FRAME_POOLED);
		pool_push(fn, pfn);
	}
	lock_release(&fn->lock, token);
	if (!room)
		frame_put(block);
}

void frame_split(hpa_t block)
{
	struct frame *f = used_entry(block, "frame_split");

	if (f->refs != 1)
		panic("frame_split: frame %#lx has %u users", block.v, f->refs);
	frames_split_entries(block.v >> PAGE_SHIFT, f->order);
}

void *frames_alloc_page(void)
{
	hpa_t pa;

	return frames_alloc(0, FRAME_ZERO, FRAME_NODE_ANY, &pa) == 0 ? phys_to_virt(pa) : NULL;
}

void frames_free_page(void *page)
{
	frame_put(virt_to_phys(page));
}

void frames_get_stats(struct frames_stats *st)
{
	*st = (struct frames_stats){
		.zero_misses = relaxed(&zero_misses),
		.failed = relaxed(&failed),
	};
	for (u32 n = 0; n < NODES_MAX; n++) {
		struct frames_node *fn = frames_node_get(n);
		lock_token token = lock_take(&fn->lock);

		st->total += fn->total;
		st->free += fn->free;
		st->zeroed += fn->pooled;
		st->zero_hits += fn->pool_hits;
		for (u32 o = 0; o <= FRAME_ORDER_MAX; o++)
			st->free_blocks[o] += fn->blocks[o];
		lock_release(&fn->lock, token);
	}
	for (u32 i = 0; i < pcpu_count(); i++) {
		const struct frame_cache *fc = pcpu_get(i)->frames;

		if (fc != NULL)
			st->cached += __atomic_load_n(&fc->count, __ATOMIC_RELAXED);
	}
}
