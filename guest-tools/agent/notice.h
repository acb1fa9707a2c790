/* SPDX-License-Identifier: MIT */
/* Notices to who places VMs: something will soon be short, or is hardly used. Pure. */
#ifndef NOTICE_H
#define NOTICE_H

#include <abi/agent.h>

#define NOTICE_RULES 4u

struct notice {
	u64 since_ms[NOTICE_RULES]; /* that the condition holds; 0: it does not */
	u64 said_ms[NOTICE_RULES];  /* 0: never */
};

struct notice_view {
	u64 now_ms;
	u64 used, forecast, advertised;
	u32 horizon_ms;
	const struct agent_sample *sample;
};

/* The next notice that is due, in *m (its head is not filled). False when there is none. */
bool notice_next(struct notice *n, const struct notice_view *v, struct agent_notice *m);

#endif
