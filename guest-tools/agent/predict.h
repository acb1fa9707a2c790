/* SPDX-License-Identifier: MIT */
/*
 * The plug-ins that forecast memory. Each has one shape: it observes how the guest is, and predicts
 * what the guest will at most use within a horizon. Pure: no clock, no file, no allocation; the state
 * is theirs alone. forecast.c weighs what they say by how well they said it before.
 */
#ifndef PREDICT_H
#define PREDICT_H

#include <abi/agent.h>

#define RUN_NAME_MAX 32u
#define RUNS_MAX     64u /* live workloads that are looked at */

enum run_kind { RUN_EXE = 1, RUN_UNIT = 2 };

/* A workload that runs now: a group of processes, or a unit or container (a cgroup). */
struct run {
	char name[RUN_NAME_MAX]; /* NUL-ended, zero after it */
	enum run_kind kind;
	u64 start_ms; /* with name and kind: which run it is */
	u64 bytes;    /* it uses now */
};

struct observation {
	u64 now_ms;  /* never runs backwards */
	u64 wall_ms; /* since 1970; may jump */
	u64 used;    /* bytes: advertised minus free memory */
	u64 advertised;
	const struct run *runs;
	u32 run_count; /* <= RUNS_MAX */
};

struct predictor {
	const char *name;
	enum agent_source source;
	u32 state_bytes;
	void (*init)(void *state);
	/* Called once a sample, before predict(). */
	void (*observe)(void *state, const struct observation *o);
	/* Bytes that will at most be used from now until horizon_ms later. */
	u64 (*predict)(const void *state, const struct observation *o, u32 horizon_ms);
	/* Permille: how much it has to go by. 0: nothing, its prediction means nothing now. */
	u32 (*confidence)(const void *state, const struct observation *o);
};

extern const struct predictor predict_minute, predict_hour, predict_day; /* predict_level.c */
extern const struct predictor predict_growth, predict_daily, predict_profile, predict_hint;

#endif
