/* SPDX-License-Identifier: MIT */
/*
 * The grant of a VM: what its owner set, or what its agent forecasts with a margin, or all that is advertised.
 * Touches above an automatic grant raise it (hv/mem/gmem.c); here that is only noted. docs/gmem.md.
 */
#include "agent_internal.h"

#include <tern/err.h>
#include <tern/lib.h>
#include <tern/log.h>
#include <tern/timer.h>
#include <tern/vm_time.h>

#define MS_US 1000u

/* --- shrinking --- */

static void shrink_end(struct vm *vm, u64 backed)
{
	struct agent_shrink *s = &vm->agent->shrink;
	char to[16], asked[16], done[16], now[16];

	s->active = false;
	s->count++;
	s->done = s->from > backed ? s->from - backed : 0;
	s->ms = timer_tsc_to_us(vm_now(vm) - s->start) / MS_US;
	agent_row_add(vm, AGENT_ROW_SHRUNK, s->done);
	if (agent_may_log(vm))
		log_info(
			"vm %s: shrink to %s: asked for %s, %s given back after %llu ms, %s backed",
			vm->name, fmt_size(to, sizeof(to), s->to),
			fmt_size(asked, sizeof(asked), s->asked),
			fmt_size(done, sizeof(done), s->done), (unsigned long long)s->ms,
			fmt_size(now, sizeof(now), backed));
}

void agent_shrink_look(struct vm *vm)
{
	const struct agent_shrink *s = &vm->agent->shrink;
	struct gmem_stats st;

	if (!s->active)
		return;
	gmem_get_stats(&vm->mem, &st);
	/* What the agent gave back may take the guest's kernel a moment longer to report as free. */
	if (st.backed_ram <= s->to || vm_now(vm) >= s->deadline)
		shrink_end(vm, st.backed_ram);
}

static void shrink(struct vm *vm, u64 to, u64 backed)
{
	struct agent *a = vm->agent;
	struct agent_shrink *s = &a->shrink;

	if (a->way == AGENT_WAY_NONE || a->silent || (a->features & AGENT_CAN_SHRINK) == 0)
		return;
	if (s->active)
		shrink_end(vm, backed);
	s->active = true;
	s->to = to;
	s->from = backed;
	s->asked = backed - to;
	s->start = vm_now(vm);
	s->deadline = s->start + timer_us_to_tsc(AGENT_SHRINK_MS * MS_US);
	agent_row_add(vm, AGENT_ROW_SHRINK, s->asked);
	agent_event_post(vm, AGENT_SHRINK, to);
}

/* --- the grant --- */

static u64 wanted(const struct vm *vm)
{
	const struct agent_demand *d = &vm->agent->demand;

	return gmem_grant_wanted(d->bytes, d->confidence, vm->mem.advertised);
}

static u64 automatic(const struct vm *vm, const struct gmem_stats *st)
{
	struct gmem_room room;
	struct gmem_use use = {.grant = st->grant, .backed = st->backed_ram};

	if (vm->agent->demand.bytes == 0)
		return st->advertised;
	gmem_room_get(&room);
	use.spare = gmem_grant_spare(&room);
	return gmem_grant_next(wanted(vm), &use);
}

void agent_grant_look(struct vm *vm)
{
	struct agent *a = vm->agent;
	struct gmem_stats st;
	u64 before = a->grant_seen;

	gmem_get_stats(&vm->mem, &st);
	if (st.grant == before)
		return;
	a->grant_seen = st.grant;
	agent_row_add(vm, AGENT_ROW_GRANT, before);
	agent_event_post(vm, AGENT_GRANT_CHANGED, st.grant);
}

void agent_grant_apply(struct vm *vm, bool ask)
{
	struct agent *a = vm->agent;
	bool grows = a->owner_grant == AGENT_GRANT_AUTO;
	struct gmem_stats st;
	u64 next;
	int rc;

	gmem_get_stats(&vm->mem, &st);
	next = grows ? automatic(vm, &st) : a->owner_grant;
	rc = gmem_set_grant(&vm->mem, next, grows);
	ASSERT(rc == 0);
	agent_grant_look(vm);
	if (st.backed_ram > next && (ask || next < st.grant))
		shrink(vm, next, st.backed_ram);
}

int agent_set_grant(struct vm *vm, u64 bytes)
{
	lock_token token;

	if (bytes != AGENT_GRANT_AUTO && (bytes > vm->mem.advertised || bytes % PAGE_SIZE != 0))
		return -TERN_EINVAL;
	token = lock_take(&vm->bus.lock);
	vm->agent->owner_grant = bytes;
	agent_grant_apply(vm, true);
	lock_release(&vm->bus.lock, token);
	return 0;
}

/* --- now and then --- */

static void silence_look(struct vm *vm)
{
	struct agent *a = vm->agent;

	if (a->silent || vm_now(vm) - a->heard < timer_us_to_tsc(AGENT_SILENT_MS * MS_US))
		return;
	a->silent = true;
	a->demand.bytes = 0;
	agent_row_add(vm, AGENT_ROW_SILENT, 0);
	log_warn("vm %s: its agent has been silent for %u s: its forecasts count no more", vm->name,
		 AGENT_SILENT_MS / 1000);
	agent_grant_apply(vm, false);
}

/* Memory has become short since the last forecast: what was left of an old grant goes. */
static void shortage_look(struct vm *vm)
{
	const struct agent *a = vm->agent;
	struct gmem_room room;

	if (a->owner_grant != AGENT_GRANT_AUTO || a->demand.bytes == 0 ||
	    a->grant_seen <= wanted(vm))
		return;
	gmem_room_get(&room);
	if (gmem_grant_spare(&room) == 0)
		agent_grant_apply(vm, false);
}

void agent_poll(struct vm *vm)
{
	lock_token token;

	/* Without an agent nothing happens by itself. */
	if (__atomic_load_n(&vm->agent->way, __ATOMIC_RELAXED) == AGENT_WAY_NONE)
		return;
	token = lock_take(&vm->bus.lock);
	agent_grant_look(vm);
	silence_look(vm);
	shortage_look(vm);
	agent_shrink_look(vm);
	lock_release(&vm->bus.lock, token);
}
