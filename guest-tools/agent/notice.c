/* SPDX-License-Identifier: MIT */
/* When a notice is due: its condition has held for a while, and it was not said in the last minutes. */
#include <guest-tools/agent/notice.h>

#define AGAIN_MS 300000u

static u32 permille(u64 part, u64 of)
{
	u64 v = of > 0 ? (u64)((double)part * 1000 / (double)of) : 0;

	return v < AGENT_PERMILLE ? (u32)v : AGENT_PERMILLE;
}

static const struct rule {
	enum agent_notice_kind kind;
	enum agent_resource resource;
	u32 hold_ms;
} rules[NOTICE_RULES] = {
	{AGENT_PRE_CONGESTION, AGENT_MEMORY, 0},
	{AGENT_PRE_CONGESTION, AGENT_CPU, 10000},
	{AGENT_LOW_UTILIZATION, AGENT_MEMORY, 600000},
	{AGENT_LOW_UTILIZATION, AGENT_CPU, 600000},
};

static bool holds(const struct rule *r, const struct notice_view *v)
{
	const struct agent_sample *s = v->sample;

	if (r->kind == AGENT_PRE_CONGESTION)
		return r->resource == AGENT_MEMORY ? permille(v->forecast, v->advertised) >= 900 ||
							     s->psi_mem_some > 100
						   : s->cpu >= 900 && s->psi_cpu_some > 100;
	return r->resource == AGENT_MEMORY ? permille(v->forecast, v->advertised) < 250
					   : s->cpu < 50;
}

bool notice_next(struct notice *n, const struct notice_view *v, struct agent_notice *m)
{
	for (u32 i = 0; i < NOTICE_RULES; i++) {
		const struct rule *r = &rules[i];
		u32 level = r->resource == AGENT_MEMORY ? permille(v->used, v->advertised)
							: v->sample->cpu;

		if (!holds(r, v)) {
			n->since_ms[i] = 0;
			continue;
		}
		if (n->since_ms[i] == 0)
			n->since_ms[i] = v->now_ms;
		if (v->now_ms - n->since_ms[i] < r->hold_ms ||
		    (n->said_ms[i] != 0 && v->now_ms - n->said_ms[i] < AGAIN_MS))
			continue;
		n->said_ms[i] = v->now_ms;
		*m = (struct agent_notice){
			.kind = r->kind, .resource = r->resource, .level = level};
		if (r->kind == AGENT_PRE_CONGESTION && level < 900)
			m->horizon_ms = v->horizon_ms;
		return true;
	}
	return false;
}
