/* SPDX-License-Identifier: MIT */
/*
 * Cold memory. Gently: a 64th of the page cache every 10 s, while nobody waits for memory and nothing
 * that was taken comes back; else a pause that doubles. The pressure that the kernel measures, not our
 * opinion, says what was too much. On request: in pieces, so that the agent stays awake; under
 * pressure only when half the time is gone; what is still missing near the end is made up by dropping the clean
 * page cache as a whole, which is quick and blunt.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <guest-tools/agent/reclaim.h>
#include <tern/types.h>

#define GENTLE_MS    10000u
#define PAUSE_MAX_MS 320000u
#define GENTLE_PART  64u
#define GENTLE_MIN   MiB(1)
#define GENTLE_MAX   MiB(64)
#define REFAULTS_MAX 256u /* pages that may come back between two turns */
#define PIECE        MiB(32)

u64 reclaim_gentle(struct reclaim *r, const struct reclaim_view *v, const struct conf *c)
{
	u64 back = v->refaults - r->refaults, bytes = v->inactive / GENTLE_PART;
	bool first = r->next_ms == 0;

	if (!c->gentle || v->now_ms < r->next_ms)
		return 0;
	r->refaults = v->refaults;
	if (first || v->psi_some > c->psi_limit || back > REFAULTS_MAX) {
		r->pause_ms = first ? GENTLE_MS : r->pause_ms * 2;
		r->pause_ms = r->pause_ms < PAUSE_MAX_MS ? r->pause_ms : PAUSE_MAX_MS;
		r->next_ms = v->now_ms + r->pause_ms;
		return 0;
	}
	r->pause_ms = GENTLE_MS;
	r->next_ms = v->now_ms + GENTLE_MS;
	if (v->cache <= c->keep || bytes < GENTLE_MIN)
		return 0;
	bytes = bytes < GENTLE_MAX ? bytes : GENTLE_MAX;
	return bytes < v->cache - c->keep ? bytes : v->cache - c->keep;
}

void reclaim_begin(struct reclaim *r, u64 event, u64 target, u32 deadline_ms,
		   const struct reclaim_view *v)
{
	r->event = event;
	r->target = target;
	r->from = v->used;
	r->begun_ms = v->now_ms;
	r->deadline_ms = v->now_ms + deadline_ms;
	r->dropped = false;
}

enum reclaim_verdict reclaim_step(struct reclaim *r, const struct reclaim_view *v,
				  const struct conf *c, u64 *bytes)
{
	u64 time = r->deadline_ms - r->begun_ms, gone = v->now_ms - r->begun_ms, missing;

	*bytes = r->from > v->used ? r->from - v->used : 0;
	if (r->event == 0)
		return RECLAIM_IDLE;
	if (v->used <= r->target)
		return RECLAIM_DONE;
	if (v->now_ms >= r->deadline_ms)
		return RECLAIM_LATE;
	if (!r->dropped && gone * 4 >= time * 3) {
		r->dropped = true;
		return RECLAIM_DROP;
	}
	if (v->psi_some > 10 * c->psi_limit && gone * 2 < time)
		return RECLAIM_IDLE;
	missing = v->used - r->target;
	*bytes = missing < PIECE ? missing : PIECE;
	return RECLAIM_TAKE;
}

u64 reclaim_take(struct units *units, u64 bytes)
{
	u64 taken = 0;

	if (units->root_fd < 0)
		return 0;
	cgroup_cold(units);
	for (u32 i = 0; i < units->count && taken < bytes; i++) {
		struct unit *coldest = &units->u[0];
		u64 part;
		int rc;

		for (u32 j = 1; j < units->count; j++)
			coldest = units->u[j].cold > coldest->cold ? &units->u[j] : coldest;
		part = bytes - taken < coldest->cold ? bytes - taken : coldest->cold;
		if (part < PAGE_SIZE)
			break;
		coldest->cold = 0;
		rc = cgroup_reclaim(units, coldest, part);
		/* EAGAIN: less than asked for was taken; how much, the next sample says. */
		taken += rc == 0 || rc == -EAGAIN ? part : 0;
	}
	return taken;
}

int reclaim_drop(void)
{
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC), rc = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, "1\n", 2) != 2)
		rc = -errno;
	close(fd);
	return rc;
}
