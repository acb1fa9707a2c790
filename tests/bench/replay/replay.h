/* SPDX-License-Identifier: MIT */
/*
 * The replay bench: traces of what a guest uses, and rules that grant it memory. A rule sees one sample after
 * the other and says what is granted until the next; it is short when the next sample is above that.
 */
#ifndef REPLAY_H
#define REPLAY_H

#include <guest-tools/agent/predict.h>

#define MIB        (1ull << 20)
#define POINT_RUNS 2u

struct point {
	u64 used;
	u32 run_count;
	struct run runs[POINT_RUNS];
};

struct trace {
	const char *name;
	u32 interval_ms;
	u32 count;
	struct point *points;
};

/* A rule that grants. grant() is told a sample and returns what is granted until the next. */
struct rule {
	const char *name;
	void *(*create)(void);
	u64 (*grant)(void *state, const struct observation *o);
	void (*destroy)(void *state);
};

extern const struct rule rule_tern;                            /* replay_tern.c */
extern const struct rule rule_vpa, rule_vpa_updater, rule_p90; /* replay_vpa.c */

#define SHAPES 8u

/* Makes trace `shape` of SHAPES; the same seed gives the same trace. */
struct trace trace_make(u32 shape, u64 seed);

/* Reads a recorded trace. Exits with a message when it cannot. */
struct trace trace_read(const char *path, const char *name);

void trace_free(struct trace *t);

#endif
