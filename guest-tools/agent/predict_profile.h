/* SPDX-License-Identifier: MIT */
/* The state of the predictor "profile": who fills it gives it a store first. */
#ifndef PREDICT_PROFILE_H
#define PREDICT_PROFILE_H

#include <guest-tools/agent/profile.h>

struct live_run {
	struct run run;        /* as it was last seen */
	u32 kib[PROFILE_AGES]; /* the most at each age, as far as it was watched */
	u64 foretold;          /* the peak that its profile promised when it began */
	/* Its profile, or NULL, as of a generation of the store. */
	const struct profile *profile;
	u32 generation;
	bool seen; /* in this observation */
};

struct profile_state {
	struct profiles *store;
	u32 count;
	struct live_run live[RUNS_MAX];
};

#endif
