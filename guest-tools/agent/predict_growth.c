/* SPDX-License-Identifier: MIT */
/*
 * The growth term: what is used now, and what will be added if it goes on like this. Two slopes: the last
 * rise, for what comes in seconds, and the trend of the last minutes, for ramps and leaks.
 */
#include <math.h>

#include <guest-tools/agent/predict.h>

#define TREND_HALF_LIFE_MS 60000.0
#define BURST_MS           20000u /* for which the last rise is believed to go on */

struct growth {
	u64 last_ms, last_used;
	double rise;  /* bytes a ms in the last interval, >= 0 */
	double trend; /* bytes a ms, mean of the last minutes */
	u32 samples;
};

static void growth_init(void *state)
{
	*(struct growth *)state = (struct growth){0};
}

static void growth_observe(void *state, const struct observation *o)
{
	struct growth *g = state;
	double dt = (double)(o->now_ms - g->last_ms), slope, keep;

	if (g->samples > 0 && dt > 0) {
		slope = ((double)o->used - (double)g->last_used) / dt;
		keep = exp2(-dt / TREND_HALF_LIFE_MS);
		g->trend = g->trend * keep + slope * (1 - keep);
		g->rise = slope > 0 ? slope : 0;
	}
	g->last_ms = o->now_ms;
	g->last_used = o->used;
	if (g->samples < UINT32_MAX)
		g->samples++;
}

static u64 growth_predict(const void *state, const struct observation *o, u32 horizon_ms)
{
	const struct growth *g = state;
	double burst = g->rise * (horizon_ms < BURST_MS ? horizon_ms : BURST_MS);
	double trend = g->trend > 0 ? g->trend * horizon_ms : 0;

	return o->used + (u64)(burst > trend ? burst : trend);
}

static u32 growth_confidence(const void *state, const struct observation *o)
{
	const struct growth *g = state;

	(void)o;
	return g->samples > 1 ? 1000 : 1;
}

const struct predictor predict_growth = {
	.name = "growth",
	.source = AGENT_BY_HISTORY,
	.state_bytes = sizeof(struct growth),
	.init = growth_init,
	.observe = growth_observe,
	.predict = growth_predict,
	.confidence = growth_confidence,
};
