/* SPDX-License-Identifier: MIT */
/*
 * The peer: the recommender of the Kubernetes Vertical Pod Autoscaler, by its defaults (kubernetes/autoscaler,
 * vertical-pod-autoscaler/docs/flags.md; pkg/recommender/model/aggregations_config.go and container.go for the
 * histogram and the daily peaks; pkg/updater/priority for when a change is made):
 *
 * - buckets from 10 MB, each 5 % wider than the one before; a percentile is the end of its bucket;
 * - weights halve in 24 h; memory counts one sample a day, its peak, which is replaced as it rises;
 * - the target is p90 with 15 % on top.
 *
 * Three rules are made of it. "vpa" grants the target at every sample, the best that can be made of it. "vpa+upd"
 * changes the grant when VPA's updater would: when it is outside the bounds (p50 and p95 with the same margin,
 * wider while there is little history), or 10 % away after 12 h. "p90" takes every sample instead of
 * daily peaks, as VPA does for CPU, and grants at once.
 *
 * In its favour: it sees and acts at every sample (VPA: once a minute), a change costs no restart, and the
 * floor of 250 MB is left out. A shortfall is no OOM kill, so nothing is added after one.
 */
#include <math.h>
#include <stdlib.h>

#include <tests/bench/replay/replay.h>

#define BUCKETS      180u
#define FIRST        1e7
#define RATIO        1.05
#define HALF_LIFE_MS 86400000.0
#define DAY_MS       86400000u
#define MARGIN       1.15
#define MIN_CHANGE   0.1
#define SETTLED_MS   (12u * 3600000u)

struct vpa {
	double end[BUCKETS]; /* of each bucket, bytes */
	double weight[BUCKETS];
	double total;
	u64 begun_ms, window_end_ms, peak;
	u64 request, request_ms;
	bool daily_peaks, updater, begun;
};

static u32 bucket_of(u64 bytes)
{
	double n = log((double)bytes * (RATIO - 1) / FIRST + 1) / log(RATIO);

	return n < BUCKETS ? (u32)n : BUCKETS - 1;
}

static void add(struct vpa *v, u64 bytes, u64 at_ms, double sign)
{
	double w = sign * exp2((double)(at_ms - v->begun_ms) / HALF_LIFE_MS);

	v->weight[bucket_of(bytes)] += w;
	v->total += w;
}

static double percentile(const struct vpa *v, double part)
{
	double sum = 0;
	u32 i = 0;

	for (; i < BUCKETS - 1; i++) {
		sum += v->weight[i];
		if (sum >= part * v->total)
			break;
	}
	return v->end[i];
}

static void observe(struct vpa *v, const struct observation *o)
{
	if (!v->daily_peaks) {
		add(v, o->used, o->now_ms, 1);
		return;
	}
	if (o->now_ms >= v->window_end_ms) {
		v->window_end_ms += DAY_MS;
		v->peak = 0;
	}
	if (o->used <= v->peak)
		return;
	if (v->peak > 0)
		add(v, v->peak, v->window_end_ms, -1);
	add(v, o->used, v->window_end_ms, 1);
	v->peak = o->used;
}

static u64 vpa_grant(void *state, const struct observation *o)
{
	struct vpa *v = state;
	double days, target, lower, upper;
	bool change;

	if (!v->begun) {
		v->begun = true;
		v->begun_ms = v->window_end_ms = o->now_ms;
	}
	observe(v, o);
	target = percentile(v, 0.9) * MARGIN;
	if (!v->updater)
		return (u64)target;
	days = (double)(o->now_ms - v->begun_ms) / DAY_MS + 1e-6;
	lower = percentile(v, 0.5) * MARGIN * pow(1 + 0.001 / days, -2);
	upper = percentile(v, 0.95) * MARGIN * (1 + 1 / days);
	change = (double)v->request < lower || (double)v->request > upper ||
		 (o->now_ms - v->request_ms >= SETTLED_MS &&
		  fabs(target - (double)v->request) >= MIN_CHANGE * (double)v->request);
	if (change) {
		v->request = (u64)target;
		v->request_ms = o->now_ms;
	}
	return v->request;
}

static void *vpa_create(void)
{
	struct vpa *v = calloc(1, sizeof(*v));

	if (v == NULL)
		abort();
	v->daily_peaks = true;
	for (u32 i = 0; i < BUCKETS; i++)
		v->end[i] = FIRST * (pow(RATIO, i + 1) - 1) / (RATIO - 1);
	return v;
}

static void *updater_create(void)
{
	struct vpa *v = vpa_create();

	v->updater = true;
	return v;
}

static void *p90_create(void)
{
	struct vpa *v = vpa_create();

	v->daily_peaks = false;
	return v;
}

const struct rule rule_vpa = {"vpa", vpa_create, vpa_grant, free};
const struct rule rule_vpa_updater = {"vpa+upd", updater_create, vpa_grant, free};
const struct rule rule_p90 = {"p90", p90_create, vpa_grant, free};
