/* SPDX-License-Identifier: MIT */
/*
 * Giving memory back: gently, all the time, what is cold; and as much as the node asks for, by a
 * deadline. The rules are pure; reclaim_take() carries them out through memory.reclaim.
 */
#ifndef RECLAIM_H
#define RECLAIM_H

#include <guest-tools/agent/cgroup.h>
#include <guest-tools/agent/conf.h>

struct reclaim {
	u64 next_ms, pause_ms; /* of the gentle one */
	u64 refaults;
	u64 asked, taken; /* bytes, since the start */
	/* What the node asked for; event 0: nothing. */
	u64 event, target, from, deadline_ms, begun_ms;
	bool dropped; /* the page cache, for this event */
};

/* What is known when it is decided. */
struct reclaim_view {
	u64 now_ms;
	u64 used;     /* bytes: advertised minus free */
	u64 cache;    /* page cache and buffers */
	u64 inactive; /* of it, inactive */
	u64 refaults; /* since the boot */
	u32 psi_some; /* permille, of the last interval */
};

/* How many bytes to take back now for the sake of it; 0: none. Pure. */
u64 reclaim_gentle(struct reclaim *r, const struct reclaim_view *v, const struct conf *c);

/* The node asks; an earlier request that was not done is replaced. */
void reclaim_begin(struct reclaim *r, u64 event, u64 target, u32 deadline_ms,
		   const struct reclaim_view *v);

enum reclaim_verdict {
	RECLAIM_IDLE, /* nothing asked for, or wait */
	RECLAIM_TAKE, /* take *bytes */
	RECLAIM_DROP, /* drop the clean page cache: time is short */
	RECLAIM_DONE, /* acknowledge *bytes, 0 */
	RECLAIM_LATE, /* acknowledge *bytes, -ETIMEDOUT */
};

/* What to do for the node's request now. Pure but for *r. */
enum reclaim_verdict reclaim_step(struct reclaim *r, const struct reclaim_view *v,
				  const struct conf *c, u64 *bytes);

/* Takes bytes from the units, those with the most cold memory first. Returns what was asked for and
 * not refused. */
u64 reclaim_take(struct units *units, u64 bytes);

/* Drops the clean page cache. Returns 0 or a negative errno. */
int reclaim_drop(void);

#endif
