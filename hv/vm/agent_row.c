/* SPDX-License-Identifier: MIT */
/* What became of an agent, for people: counters, and a table of used, demand, grant and backed over time. */
#include "agent_internal.h"

#include <tern/lib.h>
#include <tern/timer.h>
#include <tern/vm_time.h>

const char *agent_row_name(u32 kind)
{
	static const char *const names[AGENT_ROW_KINDS] = {
		[AGENT_ROW_HELLO] = "hello",   [AGENT_ROW_SAMPLE] = "sample",
		[AGENT_ROW_DEMAND] = "demand", [AGENT_ROW_NOTICE] = "notice",
		[AGENT_ROW_GRANT] = "grant",   [AGENT_ROW_SHRINK] = "shrink",
		[AGENT_ROW_ACK] = "ack",       [AGENT_ROW_SHRUNK] = "shrunk",
		[AGENT_ROW_SILENT] = "silent",
	};

	return kind < AGENT_ROW_KINDS ? names[kind] : "?";
}

const char *agent_refusal_name(enum agent_refusal why)
{
	static const char *const names[AGENT_REFUSALS] = {
		[AGENT_REFUSED_FORM] = "malformed",      [AGENT_REFUSED_REPLAY] = "replayed",
		[AGENT_REFUSED_TIME] = "time runs back", [AGENT_REFUSED_NOBODY] = "no hello",
		[AGENT_REFUSED_EVENT] = "no such event", [AGENT_REFUSED_RATE] = "too many",
		[AGENT_REFUSED_PLACE] = "not in memory", [AGENT_REFUSED_CPL] = "by programs",
	};

	return names[why];
}

static u64 ms_of(u64 ticks)
{
	return timer_tsc_to_us(ticks) / 1000;
}

static u32 pages(u64 bytes)
{
	return (u32)min_u64(bytes >> PAGE_SHIFT, UINT32_MAX);
}

static struct agent_row *slot(struct agent *a, u64 number)
{
	u64 i = number % AGENT_ROWS;

	return &a->rows[i / AGENT_PAGE_ROWS][i % AGENT_PAGE_ROWS];
}

void agent_row_add(struct vm *vm, enum agent_row_kind kind, u64 bytes)
{
	struct agent *a = vm->agent;
	struct gmem_stats st;

	gmem_get_stats(&vm->mem, &st);
	*slot(a, a->row_count++) = (struct agent_row){
		.time_ms = ms_of(vm_now(vm)),
		.kind = kind,
		.bytes = pages(bytes),
		.used = pages(a->used),
		.demand = pages(a->demand.bytes),
		.grant = pages(st.grant),
		.backed = pages(st.backed_ram),
	};
}

static u64 rows_first(const struct agent *a)
{
	return a->row_count > AGENT_ROWS ? a->row_count - AGENT_ROWS : 0;
}

bool agent_row_get(struct vm *vm, u64 number, struct agent_row *out)
{
	lock_token token = lock_take(&vm->bus.lock);
	struct agent *a = vm->agent;
	bool there = number >= rows_first(a) && number < a->row_count;

	if (there)
		*out = *slot(a, number);
	lock_release(&vm->bus.lock, token);
	return there;
}

static u32 waiting(const struct agent *a)
{
	u32 n = 0;

	for (u32 i = 0; i < AGENT_EVENT_KINDS; i++)
		n += a->waiting[i].order != 0;
	return n;
}

void agent_view(struct vm *vm, struct agent_view *out)
{
	lock_token token = lock_take(&vm->bus.lock);
	const struct agent *a = vm->agent;

	*out = (struct agent_view){
		.way = a->way,
		.now_ms = ms_of(vm_now(vm)),
		.since_ms = ms_of(a->since),
		.heard_ms = ms_of(a->heard),
		.silent = a->silent,
		.owner_grant = a->owner_grant,
		.used = a->used,
		.demand = a->demand,
		.last_error = a->last_error,
		.events = waiting(a),
		.notices = a->notices,
		.notice = a->notice,
		.shrinking = a->shrink.active,
		.shrinks = a->shrink.count,
		.shrink_to = a->shrink.to,
		.shrink_asked = a->shrink.asked,
		.shrink_done = a->shrink.done,
		.shrink_ms = a->shrink.ms,
		.rows_first = rows_first(a),
		.rows_next = a->row_count,
	};
	memcpy(out->name, a->name, sizeof(out->name));
	memcpy(out->taken, a->taken, sizeof(out->taken));
	memcpy(out->refused, a->refused, sizeof(out->refused));
	memcpy(out->why, a->why, sizeof(out->why));
	lock_release(&vm->bus.lock, token);
}
