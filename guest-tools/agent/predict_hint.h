/* SPDX-License-Identifier: MIT */
/*
 * Hints: what processes or the administrator said will be needed. Bounded, and a hint never outlives its
 * process or its time. This is the state of the predictor "hint" as well; pure.
 */
#ifndef PREDICT_HINT_H
#define PREDICT_HINT_H

#include <guest-tools/agent/predict.h>

#define HINTS_MAX     64u
#define HINTS_OF_USER 8u /* of one user who is not root */

struct hint {
	u64 bytes;    /* more than base */
	u64 base;     /* use when it came, with what earlier hints still had to take */
	u64 used;     /* when it came */
	u64 until_ms; /* of observation.now_ms */
	s32 pid;      /* whose it is; of an administrator's hint the process that it is for */
	u32 uid;
};

struct hint_state {
	u32 count;
	struct hint h[HINTS_MAX]; /* in the order they came */
};

/* Adds a hint, or puts it in the place of an earlier one of the process. Returns 0; -EINVAL nothing, or
 * more than a day; -ENOSPC too many. */
int hint_add(struct hint_state *s, s32 pid, u32 uid, u64 bytes, u32 seconds,
	     const struct observation *now);

/* The process took it back, or ended. Returns whether there was one. */
bool hint_drop(struct hint_state *s, s32 pid);

/* Drops those whose time is over. */
void hint_expire(struct hint_state *s, u64 now_ms);

#endif
