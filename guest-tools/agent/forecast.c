/* SPDX-License-Identifier: MIT */
/*
 * How the predictors are weighed. Each pays, sample by sample, for what it would have kept granted for
 * nothing and, far more, for what it would not have granted. The forecast of history is the highest
 * prediction that a share of the weight, taken from above, supports: one voice that was right often enough
 * lifts it, one that always cries has lost its weight. A profile or a hint knows what history cannot
 * know, so they lift it further, a profile by as much as it foretold well before.
 */
#include <math.h>
#include <string.h>

#include <guest-tools/agent/forecast.h>

#define COST_HALF_LIFE_MS (24 * 3600000.0)
#define COST_SHORTFALL    10000.0 /* samples of slack as large as what is used */
#define COST_FLOOR        0.03
#define SUPPORT           0.12
#define HELD_HALF_LIFE_MS 3600000.0
/* What the node adds to a demand at the least: a prediction that is short by less does no harm. */
#define MARGIN 0.125

static const struct predictor *const predictors[PREDICTORS] = {
	&predict_minute, &predict_hour,    &predict_day,  &predict_growth,
	&predict_daily,  &predict_profile, &predict_hint,
};
/* The cost each begins with: until they have proved themselves, the peaks of the last hours
 * count more than what is quick to forget them. */
static const double priors[PREDICTORS] = {0.6, 1.0, 0.15, 0.6, 1.0, 0.15, 0.15};

const struct predictor *forecast_predictor(u32 i)
{
	return predictors[i];
}

/* The states of the predictors of history lie one after the other, as their sizes say. */
static void *state_of(struct forecast *f, u32 i)
{
	size_t at = 0;

	if (predictors[i] == &predict_profile)
		return &f->profile;
	if (predictors[i] == &predict_hint)
		return &f->hint;
	for (u32 j = 0; j < i; j++)
		at += (predictors[j]->state_bytes + 7) / 8;
	return &f->state[at];
}

void forecast_init(struct forecast *f, struct profiles *store)
{
	memset(f, 0, sizeof(*f));
	f->profile.store = store;
	for (u32 i = 0; i < PREDICTORS; i++) {
		predictors[i]->init(state_of(f, i));
		f->part[i].cost = priors[i];
	}
}

static bool history(u32 i)
{
	return predictors[i]->source == AGENT_BY_HISTORY;
}

/* Whether a grant by this prediction would have done for what is used now. */
static bool covered(const struct forecast_part *p, u64 used)
{
	return p->confidence > 0 && (double)p->bytes * (1 + MARGIN) >= (double)used;
}

/*
 * Whether predictors of history are to blame when they fell short of this sample: what none of them foresaw
 * is nobody's fault, and what a profile or a hint foresaw did no harm.
 */
static bool to_blame(const struct forecast *f, u64 used)
{
	bool foreseen = false;

	for (u32 i = 0; i < PREDICTORS; i++) {
		if (!covered(&f->part[i], used))
			continue;
		if (!history(i))
			return false;
		foreseen = true;
	}
	return foreseen;
}

/* What became of the predictions before this sample. */
static void score(struct forecast *f, const struct observation *o)
{
	double dt = (double)(o->now_ms - f->last_ms), held = exp2(-dt / HELD_HALF_LIFE_MS);
	double keep = exp2(-dt / COST_HALF_LIFE_MS);
	bool blame = to_blame(f, o->used);

	if (!f->begun || o->used == 0)
		return;
	for (u32 i = 0; i < PREDICTORS; i++) {
		struct forecast_part *p = &f->part[i];
		double cost = (double)p->bytes / (double)o->used - 1;

		if (p->confidence == 0)
			continue;
		if (blame && !covered(p, o->used))
			cost = COST_SHORTFALL;
		p->cost = p->cost * keep + (cost > 0 ? cost : 0) * (1 - keep);
		p->samples++;
	}
	f->held = f->held * held + (o->used <= f->last_bytes ? 1 - held : 0);
}

static double weight(const struct forecast_part *p)
{
	double c = p->cost + COST_FLOOR;

	return p->confidence / (c * c);
}

/* The highest prediction of history that SUPPORT of the weight reaches. */
static u64 vote(const struct forecast *f)
{
	bool taken[PREDICTORS] = {false};
	double all = 0, sum = 0;

	for (u32 i = 0; i < PREDICTORS; i++)
		all += history(i) ? weight(&f->part[i]) : 0;
	for (;;) {
		u32 top = PREDICTORS;

		for (u32 i = 0; i < PREDICTORS; i++) {
			if (history(i) && !taken[i] && f->part[i].confidence > 0 &&
			    (top == PREDICTORS || f->part[i].bytes > f->part[top].bytes))
				top = i;
		}
		if (top == PREDICTORS)
			return 0;
		taken[top] = true;
		sum += weight(&f->part[top]);
		if (sum >= SUPPORT * all)
			return f->part[top].bytes;
	}
}

static void ask(struct forecast *f, const struct observation *o, u32 horizon_ms)
{
	for (u32 i = 0; i < PREDICTORS; i++) {
		struct forecast_part *p = &f->part[i];
		const void *state = state_of(f, i);

		p->confidence = predictors[i]->confidence(state, o);
		p->bytes = predictors[i]->predict(state, o, horizon_ms);
		p->maturity = (u32)(1000 / (1 + p->cost));
	}
}

struct forecast_result forecast_now(struct forecast *f, const struct observation *o, u32 horizon_ms)
{
	struct forecast_result r = {.source = AGENT_BY_HISTORY};

	ask(f, o, horizon_ms);
	r.bytes = vote(f);
	if (r.bytes < o->used)
		r.bytes = o->used;
	for (u32 i = 0; i < PREDICTORS; i++) {
		if (!history(i) && f->part[i].confidence > 0 && f->part[i].bytes > r.bytes) {
			r.bytes = f->part[i].bytes;
			r.source = predictors[i]->source;
		}
	}
	if (r.bytes > o->advertised)
		r.bytes = o->advertised;
	r.confidence = (u32)(1000 * f->held);
	f->last_ms = o->now_ms;
	f->last_bytes = r.bytes;
	return r;
}

struct forecast_result forecast_step(struct forecast *f, const struct observation *o,
				     u32 horizon_ms)
{
	score(f, o);
	f->begun = true;
	for (u32 i = 0; i < PREDICTORS; i++)
		predictors[i]->observe(state_of(f, i), o);
	return forecast_now(f, o, horizon_ms);
}
