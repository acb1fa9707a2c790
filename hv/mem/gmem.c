/* SPDX-License-Identifier: MIT */
/*
 * Guest memory: regions, backing on first touch, taking back. The state of every guest frame is its
 * second-level entry (npt.h). The rule for what goes: entry cleared, every CPU flushed, and only
 * then is the frame queued for the scrubber or the table freed.
 */
#include <tern/gmem.h>

#include <tern/err.h>
#include <tern/frames.h>
#include <tern/lib.h>
#include <tern/scrub.h>

#include "gmem_internal.h"

#define PAGES_2M     512u
#define LEAVES_BATCH 128u /* taken in one lock hold and flushed at once */

int gmem_create(struct gmem *g, const struct npt_format *fmt, void (*flush)(void *owner),
		void *owner)
{
	*g = (struct gmem){
		.lock = SPINLOCK_INIT(RANK_GMEM, "gmem"),
		.policy = &gmem_policy,
		.grant_grows = true,
		.flush = flush,
		.owner = owner,
	};
	return npt_create(&g->npt, fmt);
}

int gmem_add(struct gmem *g, gpa_t base, u64 len, enum gmem_kind kind)
{
	u32 at = 0;

	if ((base.v | len) % PAGE_SIZE != 0 || len == 0 || base.v >= NPT_GPA_END ||
	    len > NPT_GPA_END - base.v)
		return -TERN_EINVAL;
	while (at < g->region_count && g->regions[at].base.v < base.v)
		at++;
	if ((at > 0 && g->regions[at - 1].base.v + g->regions[at - 1].len > base.v) ||
	    (at < g->region_count && base.v + len > g->regions[at].base.v))
		return -TERN_EINVAL;
	if (g->region_count == GMEM_REGIONS_MAX)
		return -TERN_ENOSPC;
	memmove(&g->regions[at + 1], &g->regions[at],
		(g->region_count - at) * sizeof(g->regions[0]));
	g->regions[at] = (struct gmem_region){.base = base, .len = len, .kind = kind};
	g->region_count++;
	if (kind == GMEM_RAM) {
		g->advertised += len;
		g->grant += len;
	}
	return 0;
}

const struct gmem_region *gmem_region_of(struct gmem *g, gpa_t at)
{
	const struct gmem_region *r = &g->regions[g->region_last];

	if (LIKELY(at.v - r->base.v < r->len))
		return r;
	for (u32 i = 0; i < g->region_count; i++) {
		r = &g->regions[i];
		if (at.v - r->base.v < r->len) {
			g->region_last = i;
			return r;
		}
	}
	return NULL;
}

/* --- backing; the lock is held --- */

static bool granted(const struct gmem *g, const struct gmem_region *r, u64 bytes)
{
	return r->kind == GMEM_ROM || g->backed - g->backed_rom + bytes <= g->grant;
}

void gmem_room_get(struct gmem_room *out)
{
	struct frames_stats st;

	frames_get_stats(&st);
	out->total = st.total << PAGE_SHIFT;
	out->free = (st.free + st.cached + st.zeroed + scrub_backlog()) << PAGE_SHIFT;
}

/* A touch above the grant. True: it has been raised for it. */
static bool grow(struct gmem *g)
{
	struct gmem_use use = {.grant = g->grant, .backed = g->backed - g->backed_rom};
	struct gmem_room room;
	u64 next = g->grant;

	if (g->grant_grows) {
		gmem_room_get(&room);
		use.spare = gmem_grant_spare(&room);
		next = gmem_grant_grown(&use, g->advertised);
	}
	if (next == g->grant) {
		g->over_grant++;
		return false;
	}
	g->grant = next;
	g->grown++;
	return true;
}

static void count_backed(struct gmem *g, enum gmem_kind kind, u64 bytes)
{
	g->backed += bytes;
	if (kind == GMEM_ROM)
		g->backed_rom += bytes;
}

/* A zeroed frame. When there is none, those that wait to be zeroed need not wait for idle time. */
static int alloc_frame(hpa_t *out)
{
	int rc = frames_alloc(0, FRAME_ZERO, FRAME_NODE_ANY, out);

	while (UNLIKELY(rc != 0) && scrub_some(1))
		rc = frames_alloc(0, FRAME_ZERO, FRAME_NODE_ANY, out);
	return rc;
}

static u64 leaf_of(const struct gmem *g, const struct gmem_region *r, hpa_t pa, u32 level)
{
	return npt_leaf(g->npt.fmt, pa, level, r->kind == GMEM_ROM ? NPT_READ_ONLY : NPT_BACKED);
}

/* Backs one page whose entry is a hole: slot, of that level. */
static enum gmem_touch back_page(struct gmem *g, const struct gmem_region *r, gpa_t at, u64 *slot,
				 u32 level)
{
	hpa_t pa;

	if (UNLIKELY(!granted(g, r, PAGE_SIZE)))
		return GMEM_OVER_GRANT;
	if (UNLIKELY(alloc_frame(&pa) != 0))
		return GMEM_NO_FRAME;
	if (UNLIKELY(level > 0)) {
		if (npt_reserve(&g->npt, at, 0) != 0) {
			frame_put_zeroed(pa);
			return GMEM_NO_FRAME;
		}
		slot = npt_find(&g->npt, at, &level);
	}
	npt_fill(slot, leaf_of(g, r, pa, 0));
	count_backed(g, r->kind, PAGE_SIZE);
	return GMEM_MAPPED;
}

/* The page must be backed now: the grant is raised for it, if that may be. Not inlined: others do not pay for it. */
static __attribute__((noinline)) enum gmem_touch
back_above_grant(struct gmem *g, const struct gmem_region *r, gpa_t at, u64 *slot, u32 level)
{
	return grow(g) ? back_page(g, r, at, slot, level) : GMEM_OVER_GRANT;
}

/* Backed pages just below at, counted up to max, as far as one table shows them. */
static u32 run_below(const struct gmem *g, gpa_t at, const u64 *slot, u32 max)
{
	u32 n = npt_index(at, 0), level = 0, run = 0;

	if (n == 0) {
		if (at.v == 0)
			return 0;
		slot = npt_find(&g->npt, gpa(at.v - PAGE_SIZE), &level) + 1;
		n = level == 0 ? PAGES_2M : 1;
	}
	while (run < min_u64(max, n) && npt_state_of(npt_load(slot - 1 - run)) == NPT_BACKED)
		run++;
	return level > 0 && run > 0 ? max : run;
}

static u32 free_percent(void)
{
	struct frames_stats st;

	frames_get_stats(&st);
	return st.total == 0 ? 0 : (u32)(st.free * 100 / st.total);
}

/* Backs the 2 MiB that begin at at, which nothing is backed of. False: nothing has changed. */
static bool back_large(struct gmem *g, const struct gmem_region *r, gpa_t at)
{
	u32 level;
	hpa_t pa;

	if (!granted(g, r, PAGE_2M_SIZE) ||
	    frames_alloc(FRAME_ORDER_2M, FRAME_ZERO, FRAME_NODE_ANY, &pa) != 0)
		return false;
	if (npt_reserve(&g->npt, at, 1) != 0) {
		frame_put(pa);
		return false;
	}
	npt_fill(npt_find(&g->npt, at, &level), leaf_of(g, r, pa, 1));
	count_backed(g, r->kind, PAGE_2M_SIZE);
	return true;
}

/* The same if the policy wants it for a touch of at, a hole that no table is below. */
static bool back_large_sequence(struct gmem *g, const struct gmem_region *r, gpa_t at)
{
	const struct gmem_policy *p = g->policy;

	if (!p->large || g->npt.fmt->max_level == 0 || r->kind != GMEM_RAM ||
	    at.v % PAGE_2M_SIZE != 0 || r->base.v + r->len - at.v < PAGE_2M_SIZE)
		return false;
	return gmem_policy_pages(p, run_below(g, at, NULL, p->run), true, free_percent()) >=
		       PAGES_2M &&
	       back_large(g, r, at);
}

/* Backs the pages above at, a page just backed, as the policy says and as far as it goes smoothly:
 * within the table, the region, the grant and the node's memory. */
static void back_around(struct gmem *g, const struct gmem_region *r, gpa_t at, u64 *slot)
{
	const struct gmem_policy *p = g->policy;
	u32 pages = gmem_policy_pages(p, run_below(g, at, slot, p->run), false, 0);

	for (u32 i = 1; i < pages; i++) {
		at = gpa_add(at, PAGE_SIZE);
		slot++;
		if (npt_index(at, 0) == 0 || at.v - r->base.v >= r->len)
			return;
		if (npt_load(slot) == 0 && back_page(g, r, at, slot, 0) != GMEM_MAPPED)
			return;
	}
}

/* Any entry there that is not a hole: another vCPU was faster, or the access is not allowed. */
static enum gmem_touch touch_present(u64 e, bool write)
{
	switch (npt_state_of(e)) {
	case NPT_READ_ONLY:
		return write ? GMEM_ROM_WRITE : GMEM_MAPPED;
	case NPT_REMOTE:
		return GMEM_NO_FRAME;
	case NPT_BACKED:
	case NPT_ABSENT:
		break;
	}
	return GMEM_MAPPED;
}

static enum gmem_touch touch(struct gmem *g, const struct gmem_region *r, gpa_t at, bool write)
{
	enum gmem_touch result;
	u32 level;
	u64 *slot = npt_find(&g->npt, at, &level), e = npt_load(slot);

	if (UNLIKELY(e != 0))
		return touch_present(e, write);
	if (UNLIKELY(r->kind == GMEM_ROM && write))
		return GMEM_ROM_WRITE;
	if (UNLIKELY(level > 0) && back_large_sequence(g, r, at)) {
		g->faults++;
		return GMEM_MAPPED;
	}
	result = back_page(g, r, at, slot, level);
	if (UNLIKELY(result == GMEM_OVER_GRANT))
		result = back_above_grant(g, r, at, slot, level);
	if (UNLIKELY(result != GMEM_MAPPED))
		return result;
	g->faults++;
	if (UNLIKELY(level > 0))
		slot = npt_find(&g->npt, at, &level);
	/* Most touches of a guest that jumps about end here: nothing is backed just below. */
	if (npt_index(at, 0) == 0 || npt_load(slot - 1) != 0)
		back_around(g, r, at, slot);
	return GMEM_MAPPED;
}

enum gmem_touch gmem_touch(struct gmem *g, gpa_t at, bool write)
{
	lock_token token = lock_take(&g->lock);
	const struct gmem_region *r = gmem_region_of(g, at);
	enum gmem_touch result = GMEM_NOT_MEMORY;

	if (LIKELY(r != NULL))
		result = touch(g, r, gpa(align_down(at.v, PAGE_SIZE)), write);
	if (UNLIKELY(result == GMEM_OVER_GRANT || result == GMEM_NO_FRAME))
		g->stalls++;
	lock_release(&g->lock, token);
	return result;
}

enum gmem_touch gmem_back(struct gmem *g, const struct gmem_region *r, gpa_t at, u64 **slot)
{
	enum gmem_touch result;
	u32 level;
	u64 e;

	*slot = npt_find(&g->npt, at, &level);
	e = npt_load(*slot);
	if (e != 0)
		return touch_present(e, false);
	result = back_page(g, r, at, *slot, level);
	if (UNLIKELY(result == GMEM_OVER_GRANT))
		result = back_above_grant(g, r, at, *slot, level);
	*slot = npt_find(&g->npt, at, &level);
	return result;
}

/* --- taking back --- */

/* What was unlinked and waits for the flush. Not chained: until then a guest may write to it. */
struct leaves {
	u32 count;
	bool flush;   /* a CPU may remember one of them */
	hpa_t tables; /* npt_free_chain() */
	u64 bytes;
	u64 blocks[LEAVES_BATCH]; /* address | order */
};

/* Makes single pages of a 2 MiB leaf. False: no memory for the table. Lock held. */
static bool split_leaf(struct gmem *g, gpa_t at, const struct npt_entry *e)
{
	ASSERT(e->level == 1); /* nothing backs more at once */
	if (npt_reserve(&g->npt, at, 0) != 0)
		return false;
	frame_split(e->pa);
	return true;
}

static void take_leaf(struct gmem *g, gpa_t base, const struct npt_entry *e, struct leaves *l)
{
	const struct npt_entry absent = {.state = NPT_ABSENT, .level = e->level};
	u64 size = npt_size(e->level);

	l->flush |= npt_set(&g->npt, base, &absent, &l->tables);
	if (e->state == NPT_REMOTE)
		return;
	l->blocks[l->count++] = e->pa.v | 9 * e->level;
	l->bytes += size;
	g->backed -= size;
	if (e->state == NPT_READ_ONLY)
		g->backed_rom -= size;
}

/* Unlinks leaves in [*at, end) and the tables that become empty, until max leaves are waiting; then
 * *at is where to go on. Lock held. */
static void take_leaves(struct gmem *g, gpa_t *at, gpa_t end, bool rom, u32 max, struct leaves *l)
{
	gpa_t last = *at; /* in the table that the last leaf came from */
	struct npt_entry e;

	l->count = 0;
	l->flush = false;
	l->tables = hpa(0);
	l->bytes = 0;
	while (l->count < max && npt_next(&g->npt, at, end, &e)) {
		u64 size = npt_size(e.level);
		gpa_t base = gpa(align_down(at->v, size)), next = gpa_add(base, size);

		if (base.v < at->v || next.v > end.v) {
			u64 stop = min_u64(next.v, end.v);

			if (split_leaf(g, base, &e))
				continue;
			memset((char *)phys_to_virt(e.pa) + (at->v - base.v), 0, stop - at->v);
			*at = gpa(stop);
			continue;
		}
		*at = next;
		if (e.state == NPT_READ_ONLY && !rom)
			continue;
		if (base.v >> PAGE_2M_SHIFT != last.v >> PAGE_2M_SHIFT)
			npt_prune(&g->npt, last, &l->tables);
		last = base;
		take_leaf(g, base, &e, l);
	}
	npt_prune(&g->npt, last, &l->tables);
}

/* No CPU remembers them any more. */
static void give_leaves(const struct leaves *l)
{
	for (u32 i = 0; i < l->count; i++)
		scrub_put(hpa(l->blocks[i] & NPT_ADDR), (u32)(l->blocks[i] & ~NPT_ADDR));
	npt_free_chain(l->tables);
}

u64 gmem_unback(struct gmem *g, gpa_t at, u64 len)
{
	gpa_t end;
	u64 bytes = 0;

	if (at.v >= NPT_GPA_END)
		return 0;
	end = gpa(align_down(at.v + min_u64(len, NPT_GPA_END - at.v), PAGE_SIZE));
	at = gpa(align_up(at.v, PAGE_SIZE));
	while (at.v < end.v) {
		lock_token token = lock_take(&g->lock);
		struct leaves l;

		if (g->dying) {
			lock_release(&g->lock, token);
			break;
		}
		take_leaves(g, &at, end, false, LEAVES_BATCH, &l);
		lock_release(&g->lock, token);
		if (l.flush || l.tables.v != 0)
			g->flush(g->owner);
		give_leaves(&l);
		bytes += l.bytes;
	}
	return bytes;
}

int gmem_set_grant(struct gmem *g, u64 bytes, bool grows)
{
	lock_token token;

	if (bytes > g->advertised || bytes % PAGE_SIZE != 0)
		return -TERN_EINVAL;
	token = lock_take(&g->lock);
	g->grant = bytes;
	g->grant_grows = grows;
	lock_release(&g->lock, token);
	return 0;
}

/* Nothing is memory from here on, so nothing can be backed again. */
static void begin_to_die(struct gmem *g)
{
	lock_token token = lock_take(&g->lock);

	g->dying = true;
	g->region_count = 0;
	memset(g->regions, 0, sizeof(g->regions));
	lock_release(&g->lock, token);
	/* CPUs that ran the VM remember translations by its root, which another VM may get. */
	g->flush(g->owner);
}

bool gmem_destroy_some(struct gmem *g, u32 batch)
{
	lock_token token;

	if (g->npt.root.v == 0)
		return false;
	if (!g->dying)
		begin_to_die(g);
	for (u32 seen = 0; g->destroyed.v < NPT_GPA_END;) {
		struct leaves l;

		if (seen >= batch)
			return true;
		token = lock_take(&g->lock);
		take_leaves(g, &g->destroyed, gpa(NPT_GPA_END), true,
			    (u32)min_u64(batch - seen, LEAVES_BATCH), &l);
		lock_release(&g->lock, token);
		give_leaves(&l);
		seen += l.count;
	}
	token = lock_take(&g->lock);
	npt_destroy(&g->npt, NULL, NULL);
	ASSERT(g->backed == 0 && g->backed_rom == 0);
	lock_release(&g->lock, token);
	return false;
}

void gmem_get_stats(struct gmem *g, struct gmem_stats *st)
{
	lock_token token = lock_take(&g->lock);

	*st = (struct gmem_stats){
		.advertised = g->advertised,
		.grant = g->grant,
		.backed = g->backed,
		.backed_ram = g->backed - g->backed_rom,
		.tables = g->npt.table_pages * PAGE_SIZE,
		.faults = g->faults,
		.stalls = g->stalls,
		.grown = g->grown,
		.over_grant = g->over_grant,
	};
	lock_release(&g->lock, token);
}
