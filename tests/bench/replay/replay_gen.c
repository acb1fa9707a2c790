/* SPDX-License-Identifier: MIT */
/*
 * The generators: shapes of memory use as servers have them, in samples of 10 s. Numbers come from one
 * generator (splitmix64) with a seed, so that a trace is the same on every machine.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tests/bench/replay/replay.h>

#define STEP_S 10u
#define HOUR   (3600u / STEP_S)
#define DAY    (24u * HOUR)

struct rng {
	u64 s;
};

static u64 rng_next(struct rng *r)
{
	u64 z = r->s += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

/* Between 0 and 1. */
static double rng_unit(struct rng *r)
{
	return (double)(rng_next(r) >> 11) / (double)(1ull << 53);
}

static double rng_between(struct rng *r, double low, double high)
{
	return low + (high - low) * rng_unit(r);
}

/* About normal: mean 0, deviation 1. */
static double rng_normal(struct rng *r)
{
	double sum = -6;

	for (int i = 0; i < 12; i++)
		sum += rng_unit(r);
	return sum;
}

/* Noise that has a memory, as page caches and heaps have. */
static double noise(struct rng *r, double *state, double part)
{
	*state = *state * 0.9 + rng_normal(r) * 0.436;
	return 1 + part * *state;
}

static void put(struct trace *t, u32 i, double mib)
{
	t->points[i].used = (u64)(mib > 50 ? mib * (double)MIB : 50.0 * (double)MIB);
}

static void put_run(struct trace *t, u32 i, const char *name, u32 start, double mib)
{
	struct point *p = &t->points[i];
	struct run *r = &p->runs[p->run_count++];

	*r = (struct run){.kind = RUN_EXE,
			  .start_ms = (u64)start * STEP_S * 1000,
			  .bytes = (u64)(mib * (double)MIB)};
	snprintf(r->name, sizeof(r->name), "%s", name);
}

/* A service that does what it does: 700 MiB, always. */
static void make_steady(struct trace *t, struct rng *r)
{
	double n = 0;

	for (u32 i = 0; i < t->count; i++)
		put(t, i, 700 * noise(r, &n, 0.015));
}

/* People come in the morning and go in the evening; fewer on the last two days of seven. */
static void make_daily(struct trace *t, struct rng *r)
{
	double n = 0;

	for (u32 i = 0; i < t->count; i++) {
		double hour = (double)(i % DAY) / HOUR;
		double crowd = exp(-pow((hour - 13.5) / 3.6, 4));

		if (i / DAY % 7 >= 5)
			crowd *= 0.3;
		put(t, i, (350 + 900 * crowd) * noise(r, &n, 0.02));
	}
}

/* A cache fills up over hours, stays, and is emptied by a restart. */
static void make_ramp(struct trace *t, struct rng *r)
{
	double n = 0, level = 300, step = 0, top = 300;
	u32 stay = 0;

	for (u32 i = 0; i < t->count; i++) {
		if (level >= top && stay == 0) {
			level = 300;
			top = rng_between(r, 1100, 1500);
			step = (top - level) / rng_between(r, 5 * HOUR, 9 * HOUR);
			stay = (u32)rng_between(r, HOUR, 6 * HOUR);
		} else if (level < top) {
			level += step;
		} else {
			stay--;
		}
		put(t, i, level * noise(r, &n, 0.01));
	}
}

/* Bursts of load that nothing announces: about six a day, some within seconds, most within a minute. */
static void make_spike(struct trace *t, struct rng *r)
{
	double n = 0, height = 0, level = 0, rise = 1;
	u32 left = 0;

	for (u32 i = 0; i < t->count; i++) {
		if (left == 0 && rng_unit(r) < 6.0 / DAY) {
			height = rng_between(r, 250, 700);
			rise = rng_between(r, 10, 90) / STEP_S;
			left = (u32)rng_between(r, 12, 90);
		}
		if (left > 0) {
			left--;
			level += level < height ? height / rise : 0;
			level = level > height ? height : level;
		} else {
			level *= 0.8;
		}
		put(t, i, (500 + level) * noise(r, &n, 0.015));
	}
}

/* A service that loses memory, and is restarted when somebody sees it. */
static void make_leak(struct trace *t, struct rng *r)
{
	double n = 0, level = 300, rate = 0, limit = 0;

	for (u32 i = 0; i < t->count; i++) {
		if (level >= limit) {
			level = 300;
			rate = rng_between(r, 18, 30) / HOUR;
			limit = rng_between(r, 1000, 1400);
		}
		level += rate * rng_between(r, 0, 2);
		put(t, i, level * noise(r, &n, 0.01));
	}
}

/* A report, the same program every two hours; it takes its memory within minutes. */
static void make_batch(struct trace *t, struct rng *r)
{
	double n = 0, need = 0, has = 0, rise = 1;
	u32 start = 0, left = 0, wait = HOUR;

	for (u32 i = 0; i < t->count; i++) {
		if (left == 0 && wait-- == 0) {
			start = i;
			need = rng_between(r, 560, 640);
			rise = rng_between(r, 40, 150) / STEP_S;
			left = (u32)rng_between(r, 80, 110);
			wait = (u32)rng_between(r, 1.7 * HOUR, 2.3 * HOUR);
			has = 4;
		}
		if (left > 0) {
			put_run(t, i, "report", start, has);
			left--;
		} else {
			has = 0;
		}
		put(t, i, (300 + has) * noise(r, &n, 0.012));
		if (left > 0)
			has = has + need / rise < need ? has + need / rise : need;
	}
}

/* A managed heap: use rises until the collector runs, every few minutes, more by day. */
static void make_heap(struct trace *t, struct rng *r)
{
	double n = 0, live = 400, garbage = 0;

	for (u32 i = 0; i < t->count; i++) {
		double hour = (double)(i % DAY) / HOUR;
		double load = 0.4 + 0.6 * exp(-pow((hour - 14) / 5, 2));

		live += (380 + 150 * load - live) * 0.001;
		garbage += 14 * load * rng_between(r, 0.5, 1.5);
		if (garbage > live * 0.45)
			garbage = live * rng_between(r, 0.02, 0.08);
		put(t, i, (live + garbage) * noise(r, &n, 0.004));
	}
}

/* A quiet guest that makes a backup every night, and has a user now and then. */
static void make_nightly(struct trace *t, struct rng *r)
{
	double n = 0, cache = 0, user = 0;
	u32 start = 0, left = 0, user_left = 0;

	for (u32 i = 0; i < t->count; i++) {
		if (i % DAY == 2 * HOUR) {
			left = (u32)rng_between(r, 250, 330);
			start = i;
		}
		if (left > 0) {
			put_run(t, i, "backup", start, 30 + cache);
			left--;
			cache += (rng_between(r, 650, 700) - cache) * 0.12;
		} else {
			cache *= 0.95;
		}
		if (user_left == 0 && rng_unit(r) < 3.0 / DAY)
			user_left = (u32)rng_between(r, 60, 360);
		user_left -= user_left > 0;
		user += ((user_left > 0 ? 120 : 0) - user) * 0.1;
		put(t, i, (250 + cache + user) * noise(r, &n, 0.01));
	}
}

struct trace trace_make(u32 shape, u64 seed)
{
	static const struct {
		const char *name;
		void (*make)(struct trace *t, struct rng *r);
		u32 days;
	} shapes[SHAPES] = {
		{"steady", make_steady, 4},     {"daily cycle", make_daily, 8},
		{"ramp", make_ramp, 5},         {"spike", make_spike, 6},
		{"leak", make_leak, 8},         {"periodic batch", make_batch, 5},
		{"managed heap", make_heap, 5}, {"nightly backup", make_nightly, 8},
	};
	struct rng r = {seed * 1000 + shape};
	struct trace t = {.name = shapes[shape].name,
			  .interval_ms = STEP_S * 1000,
			  .count = shapes[shape].days * DAY};

	t.points = calloc(t.count, sizeof(t.points[0]));
	if (t.points == NULL)
		abort();
	shapes[shape].make(&t, &r);
	return t;
}

void trace_free(struct trace *t)
{
	free(t->points);
	t->points = NULL;
}
