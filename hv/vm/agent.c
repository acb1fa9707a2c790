/* SPDX-License-Identifier: MIT */
/*
 * The agent of a guest, as the node knows it: its messages are checked, counted, and taken or refused as a
 * whole; events wait for it. docs/agent-abi.md is what both ends keep to.
 */
#include "agent_internal.h"

#include <tern/err.h>
#include <tern/lib.h>
#include <tern/log.h>
#include <tern/platform.h>
#include <tern/timer.h>
#include <tern/vm_time.h>

#define SECOND_US 1000000u
#define TAKEN     AGENT_REFUSALS /* there is no reason to refuse it */

static const int errors[AGENT_REFUSALS] = {
	[AGENT_REFUSED_FORM] = TERN_EINVAL,  [AGENT_REFUSED_REPLAY] = TERN_EINVAL,
	[AGENT_REFUSED_TIME] = TERN_EINVAL,  [AGENT_REFUSED_NOBODY] = TERN_ENODEV,
	[AGENT_REFUSED_EVENT] = TERN_ENOENT, [AGENT_REFUSED_RATE] = TERN_EBUSY,
	[AGENT_REFUSED_PLACE] = TERN_EFAULT, [AGENT_REFUSED_CPL] = TERN_EPERM,
};

/* --- making and ending --- */

int agent_create(struct vm *vm)
{
	struct agent *a = frames_alloc_page();

	if (a == NULL)
		return -TERN_ENOMEM;
	vm->agent = a;
	a->owner_grant = AGENT_GRANT_AUTO;
	a->grant_seen = vm->mem.grant;
	for (u32 i = 0; i < AGENT_ROW_PAGES; i++) {
		a->rows[i] = frames_alloc_page();
		if (a->rows[i] == NULL)
			return -TERN_ENOMEM;
	}
	return 0;
}

void agent_destroy(struct vm *vm)
{
	struct agent *a = vm->agent;

	if (a == NULL)
		return;
	for (u32 i = 0; i < AGENT_ROW_PAGES; i++) {
		if (a->rows[i] != NULL)
			frames_free_page(a->rows[i]);
	}
	frames_free_page(a);
	vm->agent = NULL;
}

/* --- events --- */

/* The one that has waited longest, or NULL. */
static struct agent_waiting *oldest(struct agent *a)
{
	struct agent_waiting *w = NULL;

	for (u32 i = 0; i < AGENT_EVENT_KINDS; i++) {
		if (a->waiting[i].order != 0 && (w == NULL || a->waiting[i].order < w->order))
			w = &a->waiting[i];
	}
	return w;
}

static void tell(struct vm *vm)
{
	struct agent *a = vm->agent;
	bool waits = oldest(a) != NULL, line = waits && a->way == AGENT_WAY_CALL;

	if (line != a->line) {
		a->line = line;
		platform_irq(vm, IRQ_AGENT, line);
	}
	if (waits && a->way == AGENT_WAY_PORT && a->notify != NULL)
		a->notify(a->notify_arg);
}

void agent_event_post(struct vm *vm, enum agent_event_kind kind, u64 bytes)
{
	struct agent *a = vm->agent;

	if (a->way == AGENT_WAY_NONE)
		return;
	a->waiting[kind - 1] = (struct agent_waiting){.order = ++a->order, .bytes = bytes};
	tell(vm);
}

static u32 ms_until(const struct vm *vm, u64 deadline)
{
	u64 now = vm_now(vm);

	return now < deadline ? (u32)(timer_tsc_to_us(deadline - now) / 1000) : 0;
}

s64 agent_event_next(struct vm *vm, enum agent_way way, struct agent_event *out)
{
	struct agent *a = vm->agent;
	const struct agent_waiting *w = oldest(a);

	if (a->way != way) {
		agent_refused(vm, AGENT_EVENT, AGENT_REFUSED_NOBODY);
		return -TERN_ENODEV;
	}
	if (w == NULL)
		return 0;
	*out = (struct agent_event){
		.head = {.bytes = sizeof(*out),
			 .version = AGENT_ABI_VERSION,
			 .type = AGENT_EVENT,
			 .seq = a->seq_out + 1},
		.bytes = w->bytes,
		.kind = (u32)(w - a->waiting) + 1,
	};
	if (out->kind == AGENT_SHRINK)
		out->deadline_ms = ms_until(vm, a->shrink.deadline);
	return sizeof(*out);
}

void agent_event_sent(struct vm *vm)
{
	struct agent *a = vm->agent;
	struct agent_waiting *w = oldest(a);

	ASSERT(w != NULL);
	w->order = 0;
	a->sent[a->sent_next++ % AGENT_EVENTS_MAX] = agent_seq(vm);
	tell(vm);
}

u64 agent_seq(struct vm *vm)
{
	return ++vm->agent->seq_out;
}

void agent_set_notify(struct vm *vm, void (*notify)(void *arg), void *arg)
{
	vm->agent->notify = notify;
	vm->agent->notify_arg = arg;
}

static void forget_events(struct agent *a)
{
	memset(a->waiting, 0, sizeof(a->waiting));
	memset(a->sent, 0, sizeof(a->sent));
}

void agent_reset(struct vm *vm)
{
	lock_token token = lock_take(&vm->bus.lock);
	struct agent *a = vm->agent;

	a->way = AGENT_WAY_NONE;
	a->silent = false;
	a->used = a->demand.bytes = 0;
	a->shrink.active = false;
	forget_events(a);
	agent_grant_apply(vm, false);
	tell(vm);
	lock_release(&vm->bus.lock, token);
}

/* --- what is refused --- */

void agent_refused(struct vm *vm, u32 type, enum agent_refusal why)
{
	struct agent *a = vm->agent;

	a->refused[type < AGENT_TYPES ? type : 0]++;
	a->why[why]++;
	a->last_error = -errors[why];
}

bool agent_may_log(struct vm *vm)
{
	return timer_once_a_second(&vm->agent->logged, vm_now(vm));
}

static u64 *sent_event(struct agent *a, u64 seq)
{
	for (u32 i = 0; seq != 0 && i < AGENT_EVENTS_MAX; i++) {
		if (a->sent[i] == seq)
			return &a->sent[i];
	}
	return NULL;
}

static bool too_many(const struct vm *vm)
{
	const struct agent *a = vm->agent;

	return a->messages >= AGENT_RATE && vm_now(vm) - a->second < timer_us_to_tsc(SECOND_US);
}

/* What the state of things says about a well-formed message that is not HELLO. */
static enum agent_refusal look(struct agent *a, enum agent_way way, const void *message)
{
	struct agent_head head;

	memcpy(&head, message, sizeof(head));
	if (a->way != way)
		return AGENT_REFUSED_NOBODY;
	if (head.seq <= a->seq_in)
		return AGENT_REFUSED_REPLAY;
	if (head.type == AGENT_SAMPLE) {
		struct agent_sample m;

		memcpy(&m, message, sizeof(m));
		return m.time_ns < a->sample_time ? AGENT_REFUSED_TIME : TAKEN;
	}
	if (head.type == AGENT_ACK) {
		struct agent_ack m;

		memcpy(&m, message, sizeof(m));
		return sent_event(a, m.event) == NULL ? AGENT_REFUSED_EVENT : TAKEN;
	}
	return TAKEN;
}

static s64 refuse(struct vm *vm, u32 type, enum agent_refusal why)
{
	agent_refused(vm, type, why);
	return -errors[why];
}

static void count_taken(struct vm *vm, u32 type)
{
	struct agent *a = vm->agent;
	u64 now = vm_now(vm);

	if (now - a->second >= timer_us_to_tsc(SECOND_US)) {
		a->second = now;
		a->messages = 0;
	}
	a->messages++;
	a->taken[type]++;
}

/* --- what is taken --- */

static void heard(struct vm *vm)
{
	vm->agent->heard = vm_now(vm);
	vm->agent->silent = false;
}

static s64 hello(struct vm *vm, enum agent_way way, const void *message)
{
	struct agent *a = vm->agent;
	struct agent_hello m;

	memcpy(&m, message, sizeof(m));
	__atomic_store_n(&a->way, way, __ATOMIC_RELAXED);
	memcpy(a->name, m.name, sizeof(a->name));
	a->features = m.features & AGENT_CAN_ALL;
	a->sample_time = a->used = a->demand.bytes = 0;
	forget_events(a);
	heard(vm);
	a->since = a->heard;
	agent_row_add(vm, AGENT_ROW_HELLO, m.mem_total);
	if (agent_may_log(vm))
		log_info("vm %s: agent \"%s\"", vm->name, a->name);
	agent_grant_apply(vm, true);
	tell(vm);
	return (s64)a->features;
}

static void sample(struct vm *vm, const void *message)
{
	struct agent *a = vm->agent;
	struct agent_sample m;

	memcpy(&m, message, sizeof(m));
	a->sample_time = m.time_ns;
	a->used = vm->mem.advertised - m.mem_free;
	heard(vm);
	agent_row_add(vm, AGENT_ROW_SAMPLE, m.mem_total);
}

static void demand(struct vm *vm, const void *message)
{
	struct agent *a = vm->agent;

	memcpy(&a->demand, message, sizeof(a->demand));
	heard(vm);
	agent_row_add(vm, AGENT_ROW_DEMAND, a->demand.bytes);
	agent_grant_apply(vm, false);
}

static void notice(struct vm *vm, const void *message)
{
	static const char *const names[] = {
		[AGENT_MEMORY] = "memory",
		[AGENT_CPU] = "CPU",
		[AGENT_DISK] = "disk",
		[AGENT_NET] = "network",
	};
	struct agent *a = vm->agent;
	const struct agent_notice *n = &a->notice;

	memcpy(&a->notice, message, sizeof(a->notice));
	a->notices++;
	agent_row_add(vm, AGENT_ROW_NOTICE, 0);
	if (agent_may_log(vm))
		log_info("vm %s: agent: %s %s: %u permille in use, in %u ms", vm->name,
			 names[n->resource],
			 n->kind == AGENT_PRE_CONGESTION ? "becomes short" : "is hardly used",
			 n->level, n->horizon_ms);
}

static void ack(struct vm *vm, const void *message)
{
	struct agent_ack m;

	memcpy(&m, message, sizeof(m));
	*sent_event(vm->agent, m.event) = 0;
	agent_row_add(vm, AGENT_ROW_ACK, m.bytes);
	agent_shrink_look(vm);
}

static s64 state(struct vm *vm, struct agent_state *out)
{
	const struct agent *a = vm->agent;
	struct gmem_stats st;

	gmem_get_stats(&vm->mem, &st);
	*out = (struct agent_state){
		.head = {.bytes = sizeof(*out),
			 .version = AGENT_ABI_VERSION,
			 .type = AGENT_STATE,
			 .seq = agent_seq(vm)},
		.advertised = st.advertised,
		.grant = st.grant,
		.backed = st.backed_ram,
		.demand = a->demand.bytes,
	};
	for (u32 i = 0; i < AGENT_EVENT_KINDS; i++)
		out->events += a->waiting[i].order != 0;
	return sizeof(*out);
}

s64 agent_query(struct vm *vm, enum agent_way way, struct agent_state *out)
{
	if (vm->agent->way != way)
		return refuse(vm, AGENT_QUERY, AGENT_REFUSED_NOBODY);
	if (too_many(vm))
		return refuse(vm, AGENT_QUERY, AGENT_REFUSED_RATE);
	count_taken(vm, AGENT_QUERY);
	return state(vm, out);
}

s64 agent_message(struct vm *vm, enum agent_way way, u32 type, const void *message, u32 bytes,
		  struct agent_state *out)
{
	struct agent *a = vm->agent;
	enum agent_refusal why = TAKEN;
	struct agent_head head = {0};

	if (bytes >= sizeof(head))
		memcpy(&head, message, sizeof(head));
	if (agent_check(message, bytes, type, vm->mem.advertised) != 0)
		return refuse(vm, type != 0 ? type : head.type, AGENT_REFUSED_FORM);
	if (head.type != AGENT_HELLO)
		why = look(a, way, message);
	if (why == TAKEN && too_many(vm))
		why = AGENT_REFUSED_RATE;
	if (why != TAKEN)
		return refuse(vm, head.type, why);
	count_taken(vm, head.type);
	a->seq_in = head.seq;
	switch ((enum agent_type)head.type) {
	case AGENT_HELLO:
		return hello(vm, way, message);
	case AGENT_SAMPLE:
		sample(vm, message);
		break;
	case AGENT_DEMAND:
		demand(vm, message);
		break;
	case AGENT_NOTICE:
		notice(vm, message);
		break;
	case AGENT_QUERY:
		return state(vm, out);
	case AGENT_ACK:
		ack(vm, message);
		break;
	case AGENT_STATE:
	case AGENT_EVENT:
	case AGENT_RESULT:
		break; /* agent_check() has refused them */
	}
	return 0;
}
