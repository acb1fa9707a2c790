/* SPDX-License-Identifier: MIT */
/*
 * The queue of blocks to zero, a list through the blocks themselves: it needs no memory and has no
 * limit. Last in, first out: what was used a moment ago is still in the processor's cache.
 */
#include <tern/scrub.h>

#include <tern/arch.h>
#include <tern/frames.h>
#include <tern/lock.h>

/* In the first bytes of a waiting block. */
struct scrub_link {
	struct scrub_link *next;
	u64 order;
};

static struct spinlock scrub_lock = SPINLOCK_INIT(RANK_SCRUB, "scrub");
static struct scrub_link *queue; /* scrub_lock */
static u64 backlog;              /* (a) frames queued or being zeroed; changed under scrub_lock */

static void backlog_add(u64 frames)
{
	__atomic_store_n(&backlog, backlog + frames, __ATOMIC_RELAXED);
}

void scrub_put(hpa_t block, u32 order)
{
	struct scrub_link *l = phys_to_virt(block);
	lock_token token = lock_take(&scrub_lock);

	*l = (struct scrub_link){.next = queue, .order = order};
	queue = l;
	backlog_add(1ull << order);
	lock_release(&scrub_lock, token);
}

static struct scrub_link *pop(void)
{
	lock_token token = lock_take(&scrub_lock);
	struct scrub_link *l = queue;

	if (l != NULL)
		queue = l->next;
	lock_release(&scrub_lock, token);
	return l;
}

static void done(u64 frames)
{
	lock_token token = lock_take(&scrub_lock);

	backlog_add(-frames);
	lock_release(&scrub_lock, token);
}

bool scrub_some(u32 max)
{
	u64 zeroed = 0;

	while (zeroed < max) {
		struct scrub_link *l = pop();
		u64 frames;

		if (l == NULL)
			break;
		/* Read before the link is zeroed with the rest. */
		frames = 1ull << l->order;
		for (u64 i = 0; i < frames; i++)
			arch_zero_page((char *)l + i * PAGE_SIZE);
		frame_put_zeroed(virt_to_phys(l));
		done(frames);
		zeroed += frames;
	}
	return zeroed > 0;
}

u64 scrub_backlog(void)
{
	return __atomic_load_n(&backlog, __ATOMIC_RELAXED);
}
