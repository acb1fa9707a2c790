/* SPDX-License-Identifier: MIT */
/*
 * The level of use in the past: decaying histograms of three memories. The shortest follows at once and
 * forgets in minutes; the longest remembers the peak of each hour for days, for guests whose peaks
 * come without a sign. Which of them is right for this guest is for forecast.c to find out.
 */
#include <guest-tools/agent/histogram.h>
#include <guest-tools/agent/predict.h>

/* The next record: a peak above the common by as much again, by this part. */
#define RECORD_PART 4

struct level {
	struct histogram h;
	u64 first_ms, last_ms;
	u64 window_end_ms; /* of the peak that is being looked for */
	u64 peak;
	u32 window_ms; /* peaks of such windows are the samples; 0: every sample is */
	u32 permille;
	u32 half_life_ms;
	bool records; /* the next peak may be higher than any before */
	bool begun;
};

static void level_init(struct level *l, u32 half_life_ms, u32 window_ms, u32 permille)
{
	*l = (struct level){
		.window_ms = window_ms, .permille = permille, .half_life_ms = half_life_ms};
	histogram_init(&l->h, half_life_ms);
}

static void minute_init(void *state)
{
	level_init(state, 30000, 0, 985);
}

static void hour_init(void *state)
{
	level_init(state, 1200000, 60000, 970);
}

static void day_init(void *state)
{
	level_init(state, 86400000, 3600000, 985);
	((struct level *)state)->records = true;
}

static void level_observe(void *state, const struct observation *o)
{
	struct level *l = state;
	u64 dt = l->begun ? o->now_ms - l->last_ms : 1000;

	if (!l->begun) {
		l->first_ms = o->now_ms;
		l->window_end_ms = o->now_ms + l->window_ms;
	}
	l->begun = true;
	l->last_ms = o->now_ms;
	/* A sample counts for the time that it stands for: they do not come evenly. */
	if (l->window_ms == 0) {
		histogram_add(&l->h, o->now_ms, o->used, (double)(dt > 0 ? dt : 1));
		return;
	}
	if (o->now_ms >= l->window_end_ms) {
		histogram_add(&l->h, o->now_ms, l->peak, 1);
		l->window_end_ms = o->now_ms + l->window_ms;
		l->peak = 0;
	}
	if (o->used > l->peak)
		l->peak = o->used;
}

static u64 level_predict(const void *state, const struct observation *o, u32 horizon_ms)
{
	const struct level *l = state;
	u64 past = histogram_percentile(&l->h, l->permille), common;

	(void)o;
	(void)horizon_ms;
	if (past < l->peak)
		past = l->peak;
	/* In its first window nothing is common yet. */
	if (!l->records || l->h.total == 0)
		return past;
	common = histogram_percentile(&l->h, 500);
	return past + (past > common ? past - common : 0) / RECORD_PART;
}

/* Half after one half-life, three quarters after two. */
static u32 level_confidence(const void *state, const struct observation *o)
{
	const struct level *l = state;
	u64 age = o->now_ms - l->first_ms;

	return l->begun ? (u32)(1000 * (age + 1) / (age + l->half_life_ms)) : 0;
}

#define LEVEL(n)                                     \
	const struct predictor predict_##n = {       \
		.name = #n,                          \
		.source = AGENT_BY_HISTORY,          \
		.state_bytes = sizeof(struct level), \
		.init = n##_init,                    \
		.observe = level_observe,            \
		.predict = level_predict,            \
		.confidence = level_confidence,      \
	}

LEVEL(minute);
LEVEL(hour);
LEVEL(day);
