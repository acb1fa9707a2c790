/* SPDX-License-Identifier: MIT */
/*
 * Earlier runs of what runs now: a workload that has a profile is going to use what it used at this age
 * before. What it has not taken yet comes on top of what is used now. The ages of a run are watched while it
 * lives and learned when it ends.
 */
#include <string.h>

#include <guest-tools/agent/predict_profile.h>

static void profile_state_init(void *state)
{
	struct profile_state *s = state;

	/* The store is the owner's, who loaded it; a new start of the forecast does not empty it. */
	*s = (struct profile_state){.store = s->store};
}

static bool same_run(const struct run *a, const struct run *b)
{
	return a->start_ms == b->start_ms && a->kind == b->kind &&
	       memcmp(a->name, b->name, RUN_NAME_MAX) == 0;
}

static void watch(struct live_run *l, const struct observation *o, const struct run *r)
{
	u64 age = o->now_ms - r->start_ms, kib = r->bytes >> 10;
	u32 *slot = &l->kib[profile_age(age)];

	l->run = *r;
	l->seen = true;
	if (kib > *slot)
		*slot = kib < UINT32_MAX ? (u32)kib : UINT32_MAX;
}

static void look_up(struct live_run *l, struct profiles *store)
{
	l->profile = profile_find(store, l->run.kind, l->run.name);
	l->generation = store->generation;
}

static void begin(struct profile_state *s, const struct observation *o, const struct run *r)
{
	struct live_run *l;

	if (s->count == RUNS_MAX || r->start_ms > o->now_ms)
		return;
	l = &s->live[s->count++];
	*l = (struct live_run){0};
	watch(l, o, r);
	look_up(l, s->store);
	/* Only for a run that is seen from its beginning the whole peak is still to come. */
	if (l->profile != NULL && o->now_ms - r->start_ms < 30000)
		l->foretold = profile_peak(l->profile, 0, UINT64_MAX);
}

static void profile_observe(void *state, const struct observation *o)
{
	struct profile_state *s = state;

	for (u32 i = 0; i < s->count; i++)
		s->live[i].seen = false;
	for (u32 j = 0; j < o->run_count; j++) {
		u32 i = 0;

		while (i < s->count && !same_run(&s->live[i].run, &o->runs[j]))
			i++;
		if (i < s->count)
			watch(&s->live[i], o, &o->runs[j]);
		else
			begin(s, o, &o->runs[j]);
	}
	for (u32 i = 0; i < s->count;) {
		struct live_run *l = &s->live[i];

		if (l->seen) {
			i++;
			continue;
		}
		profile_learn(s->store, l->run.kind, l->run.name, l->kib, l->foretold,
			      o->wall_ms / 1000);
		*l = s->live[--s->count];
	}
	for (u32 i = 0; i < s->count; i++) {
		if (s->live[i].generation != s->store->generation)
			look_up(&s->live[i], s->store);
	}
}

/* What a run will still take, weighed by how well its profile foretold before. */
static u64 rise(const struct live_run *l, const struct observation *o, u32 horizon_ms)
{
	const struct profile *p = l->profile;
	u64 age = o->now_ms - l->run.start_ms, peak;

	if (p == NULL)
		return 0;
	peak = profile_peak(p, age, age + horizon_ms);
	if (peak <= l->run.bytes)
		return 0;
	return (peak - l->run.bytes) * (p->hit >= 500 ? 1000 : p->hit * 2) / 1000;
}

/* A unit holds its processes: the rises of units and of groups of processes are the same memory
 * seen twice, so the greater sum counts. */
static u64 rises(const struct profile_state *s, const struct observation *o, u32 horizon_ms)
{
	u64 exe = 0, unit = 0;

	for (u32 i = 0; i < s->count; i++) {
		u64 r = rise(&s->live[i], o, horizon_ms);

		if (s->live[i].run.kind == RUN_UNIT)
			unit += r;
		else
			exe += r;
	}
	return unit > exe ? unit : exe;
}

static u64 profile_predict(const void *state, const struct observation *o, u32 horizon_ms)
{
	return o->used + rises(state, o, horizon_ms);
}

static u32 profile_confidence(const void *state, const struct observation *o)
{
	const struct profile_state *s = state;
	u32 best = 0;

	for (u32 i = 0; i < s->count; i++) {
		const struct live_run *l = &s->live[i];

		if (l->profile != NULL && l->profile->hit > best &&
		    rise(l, o, AGENT_HORIZON_MAX) > 0)
			best = l->profile->hit;
	}
	return best;
}

const struct predictor predict_profile = {
	.name = "profile",
	.source = AGENT_BY_PROFILE,
	.state_bytes = sizeof(struct profile_state),
	.init = profile_state_init,
	.observe = profile_observe,
	.predict = profile_predict,
	.confidence = profile_confidence,
};
