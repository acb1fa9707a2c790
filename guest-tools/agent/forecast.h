/* SPDX-License-Identifier: MIT */
/*
 * The forecast: asks all predictors, scores each by what became of its last prediction, and weighs them
 * by that. Pure; a struct forecast is all its state.
 */
#ifndef FORECAST_H
#define FORECAST_H

#include <guest-tools/agent/predict.h>
#include <guest-tools/agent/predict_hint.h>
#include <guest-tools/agent/predict_profile.h>

#define PREDICTORS 7u

struct forecast_part {
	u64 bytes;      /* what it predicts now */
	u32 confidence; /* permille; 0: it says nothing now */
	u32 maturity;   /* permille: how well it predicted until now */
	double cost;    /* decayed mean: slack as part of use, and shortfalls */
	u64 samples;    /* it was scored by */
};

struct forecast {
	struct forecast_part part[PREDICTORS];
	u64 last_ms, last_bytes;
	double held; /* decayed part of time below the forecast before; little is known at first: 0 */
	bool begun;
	struct profile_state profile;
	struct hint_state hint;
	u64 state[2700]; /* of the predictors of history */
};

struct forecast_result {
	u64 bytes;      /* most that will be used within the horizon, <= advertised */
	u32 confidence; /* permille: how often forecasts held */
	enum agent_source source;
};

/* The predictor of a part, by its place. */
const struct predictor *forecast_predictor(u32 i);

/* Begins. store is where profiles are kept; it lives as long as *f. */
void forecast_init(struct forecast *f, struct profiles *store);

/* A sample, and what follows from it. */
struct forecast_result forecast_step(struct forecast *f, const struct observation *o,
				     u32 horizon_ms);

/* The forecast again, without a new sample: after a hint came or went. */
struct forecast_result forecast_now(struct forecast *f, const struct observation *o,
				    u32 horizon_ms);

#endif
