/* SPDX-License-Identifier: MIT */
/* What the buddy lists (frames.c) and the caches over them (frame_cache.c) share. */
#ifndef HV_MEM_FRAMES_INTERNAL_H
#define HV_MEM_FRAMES_INTERNAL_H

#include <tern/arch.h>
#include <tern/frames.h>
#include <tern/lock.h>

#define CHUNK_ORDER  FRAME_ORDER_2M
#define CHUNK_FRAMES (1ull << CHUNK_ORDER)
#define CHUNK_MASK   (CHUNK_FRAMES - 1)

enum frame_state {
	FRAME_HOLE,   /* in a partial 2 MiB, but was never added */
	FRAME_TAIL,   /* inside a block that an earlier frame heads */
	FRAME_FREE,   /* heads a block of a buddy list */
	FRAME_USED,   /* heads an allocated block */
	FRAME_CACHED, /* in a CPU's cache */
	FRAME_POOLED, /* in the zeroed pool or on its way there */
};

/* struct frame flags */
#define FRAME_ENTRIES  1u /* first frame of a 2 MiB: the other 511 entries are valid */
#define FRAME_POISONED 2u /* debug builds: bytes 16 to 4095 hold the poison */

/* In the first bytes of a free block; the zeroed pool uses next alone. */
struct frame_links {
	struct frame_links *next, *prev;
};

/* One NUMA node. All fields under lock, RANK_FRAMES; two nodes' locks are never held together. */
struct frames_node {
	struct spinlock lock;
	u32 orders;                                    /* bit n: lists[n] is not empty */
	struct frame_links lists[FRAME_ORDER_MAX + 1]; /* circular, by order */
	u64 blocks[FRAME_ORDER_MAX + 1];               /* in each list */
	u64 total;                                     /* frames ever added */
	u64 free;                                      /* frames in the lists; (a) for hints */
	struct frame_links *pool;                      /* stack of zeroed frames */
	u64 pooled;                                    /* (a) how many */
	u64 pool_hits;
} ALIGNED(64);

/* node < NODES_MAX. Never NULL; a node without memory has empty lists. */
struct frames_node *frames_node_get(u32 node);

/* Takes a block of exactly 2^order frames; its first entry is then FRAME_USED. Lock held. */
MUST_CHECK bool frames_take(struct frames_node *fn, u32 order, u64 *pfn);
/* Gives a block back and merges it with its free neighbours. Lock held. */
void frames_give(struct frames_node *fn, u64 pfn, u32 order);

/* Makes of an allocated block allocated frames. The caller is its only user. */
void frames_split_entries(u64 pfn, u32 order);

/* The entry of the block that begins at pa. Panics when pa cannot be the first frame of a block
 * because it is unaligned, was never added, or lies inside a block of 2 MiB or more. */
struct frame *frames_entry(hpa_t pa);
struct frame *frames_entry_pfn(u64 pfn);

/* The caller owns the block. Debug builds: fill it, or see that nobody wrote to it since. */
void frames_poison(u64 pfn, u32 order);
void frames_check_poison(u64 pfn, u32 order);

static inline void *frame_virt(u64 pfn)
{
	return phys_to_virt(hpa(pfn << PAGE_SHIFT));
}

static inline enum frame_state frame_state_get(const struct frame *f)
{
	return (enum frame_state)__atomic_load_n(&f->state, __ATOMIC_RELAXED);
}

/* Relaxed, because a neighbour's merge may look at a block while its owner changes it; it only asks
 * whether it is FRAME_FREE, and that state changes under the lock alone. */
static inline void frame_state_set(struct frame *f, enum frame_state state)
{
	__atomic_store_n(&f->state, (u8)state, __ATOMIC_RELAXED);
}

#endif
