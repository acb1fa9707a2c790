/* SPDX-License-Identifier: MIT */
/* Ours: the forecast of the agent, and what the node grants by itself to such a demand. */
#include <stdlib.h>

#include <guest-tools/agent/forecast.h>
#include <tests/bench/replay/replay.h>

#define HORIZON_MS 60000u

struct tern {
	struct forecast f;
	struct profiles profiles;
	u64 grant;
};

/* As the node does it: the demand, and between an eighth (at full confidence) and a quarter of
 * it on top, at least 16 MiB. */
static u64 grant_of(const struct forecast_result *r)
{
	u64 margin =
		r->bytes / 8 + r->bytes / 8 * (AGENT_PERMILLE - r->confidence) / AGENT_PERMILLE;

	return r->bytes + (margin > 16 * MIB ? margin : 16 * MIB);
}

static u64 tern_grant(void *state, const struct observation *o)
{
	struct tern *t = state;
	struct forecast_result r = forecast_step(&t->f, o, HORIZON_MS);
	u64 want = grant_of(&r);

	/* The agent does not speak of every byte: up at once, down when it is worth it. */
	if (want > t->grant || want < t->grant - t->grant / 32)
		t->grant = want;
	return t->grant;
}

static void *tern_create(void)
{
	struct tern *t = calloc(1, sizeof(*t));

	if (t == NULL)
		abort();
	forecast_init(&t->f, &t->profiles);
	return t;
}

const struct rule rule_tern = {"tern", tern_create, tern_grant, free};
