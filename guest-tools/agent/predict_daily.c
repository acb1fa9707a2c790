/* SPDX-License-Identifier: MIT */
/*
 * The same time of the day before: the peak of each quarter of an hour, kept for days. It knows what comes
 * every day, such as a backup at night, before it begins.
 */
#include <guest-tools/agent/predict.h>

#define DAY_MS  86400000u
#define SLOTS   96u
#define SLOT_MS (DAY_MS / SLOTS)

struct daily {
	u64 peak[SLOTS]; /* bytes, of the days before */
	u8 days[SLOTS];  /* on how many the slot was seen, at most 255 */
	u64 now_peak;
	u32 slot; /* that is now */
	bool begun;
};

static void daily_init(void *state)
{
	*(struct daily *)state = (struct daily){0};
}

static u32 slot_of(u64 wall_ms)
{
	return (u32)(wall_ms % DAY_MS / SLOT_MS);
}

static void daily_observe(void *state, const struct observation *o)
{
	struct daily *d = state;
	u32 slot = slot_of(o->wall_ms);

	if (d->begun && slot != d->slot) {
		u64 *old = &d->peak[d->slot];

		/* A higher peak is believed at once, a lower one by and by. */
		*old = d->now_peak > *old ? d->now_peak : *old - (*old - d->now_peak) / 2;
		if (d->days[d->slot] < UINT8_MAX)
			d->days[d->slot]++;
		d->now_peak = 0;
	}
	d->begun = true;
	d->slot = slot;
	if (o->used > d->now_peak)
		d->now_peak = o->used;
}

static u64 daily_predict(const void *state, const struct observation *o, u32 horizon_ms)
{
	const struct daily *d = state;
	u64 here = d->peak[slot_of(o->wall_ms)];
	u64 next = d->peak[slot_of(o->wall_ms + horizon_ms)];

	if (next > here)
		here = next;
	return here > d->now_peak ? here : d->now_peak;
}

static u32 daily_confidence(const void *state, const struct observation *o)
{
	const struct daily *d = state;
	u32 days = d->days[slot_of(o->wall_ms)];

	return 1000 * days / (days + 1);
}

const struct predictor predict_daily = {
	.name = "daily",
	.source = AGENT_BY_HISTORY,
	.state_bytes = sizeof(struct daily),
	.init = daily_init,
	.observe = daily_observe,
	.predict = daily_predict,
	.confidence = daily_confidence,
};
