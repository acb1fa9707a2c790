/* SPDX-License-Identifier: MIT */
/*
 * Hints. A hint of B bytes means: use will rise to what it was when the hint came, plus B. A second one
 * that comes before the first was used stands upon it; when the first goes, the second comes down.
 */
#include <errno.h>

#include <guest-tools/agent/predict_hint.h>
#include <guest-tools/hint/hint_proto.h>

static void hint_state_init(void *state)
{
	((struct hint_state *)state)->count = 0;
}

/* The most that all hints together speak of. */
static u64 floor_of(const struct hint_state *s)
{
	u64 top = 0;

	for (u32 i = 0; i < s->count; i++) {
		u64 sum = s->h[i].base + s->h[i].bytes;

		top = sum > top ? sum : top;
	}
	return top;
}

static void remove_at(struct hint_state *s, u32 at)
{
	u64 bytes = s->h[at].bytes;

	for (u32 i = at; i + 1 < s->count; i++) {
		struct hint *h = &s->h[i];
		u64 above;

		*h = s->h[i + 1];
		above = h->base - h->used;
		h->base -= above < bytes ? above : bytes;
	}
	s->count--;
}

bool hint_drop(struct hint_state *s, s32 pid)
{
	for (u32 i = 0; i < s->count; i++) {
		if (s->h[i].pid == pid) {
			remove_at(s, i);
			return true;
		}
	}
	return false;
}

void hint_expire(struct hint_state *s, u64 now_ms)
{
	for (u32 i = 0; i < s->count;) {
		if (s->h[i].until_ms <= now_ms)
			remove_at(s, i);
		else
			i++;
	}
}

int hint_add(struct hint_state *s, s32 pid, u32 uid, u64 bytes, u32 seconds,
	     const struct observation *now)
{
	u64 top;
	u32 of_user = 0;

	if (bytes == 0 || seconds == 0 || seconds > HINT_SECONDS_MAX)
		return -EINVAL;
	hint_drop(s, pid);
	hint_expire(s, now->now_ms);
	for (u32 i = 0; i < s->count; i++)
		of_user += s->h[i].uid == uid;
	if (s->count == HINTS_MAX || (uid != 0 && of_user >= HINTS_OF_USER))
		return -ENOSPC;
	/* No guest uses more than it has; so the sums below cannot overflow either. */
	if (bytes > now->advertised)
		bytes = now->advertised;
	top = floor_of(s);
	s->h[s->count++] = (struct hint){
		.bytes = bytes,
		.base = top > now->used ? top : now->used,
		.used = now->used,
		.until_ms = now->now_ms + seconds * 1000ull,
		.pid = pid,
		.uid = uid,
	};
	return 0;
}

static void hint_observe(void *state, const struct observation *o)
{
	hint_expire(state, o->now_ms);
}

static u64 hint_predict(const void *state, const struct observation *o, u32 horizon_ms)
{
	u64 top = floor_of(state);

	(void)horizon_ms;
	return top > o->used ? top : o->used;
}

static u32 hint_confidence(const void *state, const struct observation *o)
{
	(void)o;
	return ((const struct hint_state *)state)->count > 0 ? 1000 : 0;
}

const struct predictor predict_hint = {
	.name = "hint",
	.source = AGENT_BY_HINT,
	.state_bytes = sizeof(struct hint_state),
	.init = hint_state_init,
	.observe = hint_observe,
	.predict = hint_predict,
	.confidence = hint_confidence,
};
