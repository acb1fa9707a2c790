/* SPDX-License-Identifier: MIT */
#include "fake_agent.h"

#include <string.h>
#include <tern/err.h>

struct fake_agent fake_agent;

void fake_agent_reset(void)
{
	memset(&fake_agent, 0, sizeof(fake_agent));
}

void fake_agent_event(void)
{
	fake_agent.events++;
	fake_agent.notify(fake_agent.notify_arg);
}

s64 agent_message(UNUSED struct vm *vm, enum agent_way way, u32 type, const void *message,
		  u32 bytes, struct agent_state *out)
{
	struct fake_agent *f = &fake_agent;
	struct agent_head head;

	memcpy(&head, message, sizeof(head));
	f->way = way;
	f->type = type;
	f->bytes = bytes;
	memcpy(f->message, message, bytes);
	f->seqs[f->count++ % FAKE_AGENT_LAST] = head.seq;
	if (f->result >= 0 && head.type == AGENT_QUERY)
		*out = (struct agent_state){
			.head = {.bytes = sizeof(*out), .type = AGENT_STATE, .seq = ++f->seq}};
	return f->result;
}

s64 agent_event_next(UNUSED struct vm *vm, UNUSED enum agent_way way, struct agent_event *out)
{
	if (fake_agent.events == 0)
		return 0;
	*out = (struct agent_event){
		.head = {.bytes = sizeof(*out), .type = AGENT_EVENT, .seq = fake_agent.seq + 1},
		.kind = AGENT_SHRINK,
	};
	return sizeof(*out);
}

void agent_event_sent(UNUSED struct vm *vm)
{
	fake_agent.seq++;
	fake_agent.sent++;
	if (--fake_agent.events > 0)
		fake_agent.notify(fake_agent.notify_arg);
}

u64 agent_seq(UNUSED struct vm *vm)
{
	return ++fake_agent.seq;
}

void agent_refused(UNUSED struct vm *vm, UNUSED u32 type, UNUSED enum agent_refusal why)
{
	fake_agent.refused++;
}

void agent_set_notify(UNUSED struct vm *vm, void (*notify)(void *arg), void *arg)
{
	fake_agent.notify = notify;
	fake_agent.notify_arg = arg;
}
