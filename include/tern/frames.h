/* SPDX-License-Identifier: MIT */
/*
 * Host frames: a buddy allocator with 4 KiB, 2 MiB and 1 GiB blocks, per-CPU caches, and a pool of
 * zeroed frames (hv/mem). docs/frames.md says how.
 */
#ifndef TERN_FRAMES_H
#define TERN_FRAMES_H

#include <tern/addr.h>
#include <tern/types.h>

#define FRAME_ORDER_4K  0u
#define FRAME_ORDER_2M  9u
#define FRAME_ORDER_1G  18u
#define FRAME_ORDER_MAX FRAME_ORDER_1G
#define FRAME_NODE_ANY  0xffu

/* All the metadata a 4 KiB frame has. */
struct frame {
	u8 state; /* (a) enum frame_state of hv/mem/frames_internal.h */
	u8 order; /* of the block that this frame heads */
	u8 node;  /* (c) NUMA node; valid in the first frame of each 2 MiB */
	u8 flags; /* (a) FRAME_ENTRIES, FRAME_POISONED of hv/mem/frames_internal.h */
	u32 refs; /* (a) users of an allocated block; the last frame_put() frees it */
};
_Static_assert(sizeof(struct frame) == 8, "budget: design.md section 6");

enum { FRAME_ZERO = 1 }; /* flags of frames_alloc: contents must be zero */

struct frames_stats {
	u64 total;       /* frames the allocator was ever given: free + cached + zeroed + in use */
	u64 free;        /* in the buddy lists */
	u64 cached;      /* in per-CPU caches: free too, but only their CPU can have them */
	u64 zeroed;      /* in the zeroed pool: free too */
	u64 zero_hits;   /* FRAME_ZERO requests served from the pool */
	u64 zero_misses; /* FRAME_ZERO requests that had to zero */
	u64 failed;      /* requests refused for want of memory */
	u64 free_blocks[FRAME_ORDER_MAX + 1];
};

/*
 * table is the virtual array struct frame[] for pfn 0 upwards; the caller has mapped the pages of
 * it that cover memory it is going to add. Boot CPU, before SMP.
 */
void frames_init(struct frame *table);
/*
 * Gives [base, base + len), 4 KiB aligned, of one NUMA node to the allocator. Touches one table
 * entry per 2 MiB and the entries of partial 2 MiB at both ends, never every frame. A 2 MiB that
 * two calls share belongs to the node of the first. Returns the bytes taken: len, or 0 with a
 * warning when memory is in more pieces than the allocator can tell apart. Boot CPU, before SMP.
 */
u64 frames_add(hpa_t base, u64 len, u32 node);
/* Creates the per-CPU cache of a CPU. -TERN_ENOMEM. Boot CPU. */
struct pcpu;
MUST_CHECK int frames_cpu_init(struct pcpu *pc);

/* A block of 2^order frames, aligned to its size, with one reference. node: preferred, or
 * FRAME_NODE_ANY. *out is untouched on -TERN_ENOMEM. Any context but NMI; takes RANK_FRAMES. */
MUST_CHECK int frames_alloc(u32 order, u32 flags, u32 node, hpa_t *out);
/* One more user / one less of an allocated block, named by its first frame. The last one frees it.
 * Panics, naming the address, when that is not an allocated block. As frames_alloc. */
void frame_get(hpa_t block);
void frame_put(hpa_t block);
/* As frame_put() of the only user, for a block of zeroes: a single frame goes to the zeroed pool
 * when there is room. */
void frame_put_zeroed(hpa_t block);
/* Makes of an allocated block with one user single frames with one user each. */
void frame_split(hpa_t block);
/* NUMA node of any address that was added. */
u32 frame_node(hpa_t pa);

/* Zeroes at most max frames into the pool; returns how many: 0 when it is full or memory is short.
 * Idle time; interrupts stay on while a frame is zeroed. */
u32 frames_zero_some(u32 max);
/* Gives this CPU's cached frames back to the buddy lists. */
void frames_drain_cache(void);

/* The figures add up exactly when no other CPU allocates or frees meanwhile. */
void frames_get_stats(struct frames_stats *st);

/* Convenience for page-table pages and the like: one zeroed frame by its virtual address. */
MUST_CHECK void *frames_alloc_page(void);
void frames_free_page(void *page);

#endif
