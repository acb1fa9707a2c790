/* SPDX-License-Identifier: MIT */
/* The agent by hypercalls: a structure is copied once, then checked and used; see docs/agent-abi.md. */
#include "agent_internal.h"

#include <tern/err.h>

static s64 refuse(struct vm *vm, u32 type, enum agent_refusal why, s64 rc)
{
	lock_token token = lock_take(&vm->bus.lock);

	agent_refused(vm, type, why);
	lock_release(&vm->bus.lock, token);
	return rc;
}

/* A copy from or to the guest failed. */
static s64 not_copied(struct vm *vm, u32 type, int rc)
{
	return rc == -TERN_EFAULT ? refuse(vm, type, AGENT_REFUSED_PLACE, rc) : rc;
}

static s64 take(struct vm *vm, u32 type, u64 at, u32 bytes)
{
	u8 message[AGENT_MESSAGE_MAX];
	int rc = gmem_read(&vm->mem, gpa(at), message, bytes);
	lock_token token;
	s64 result;

	if (rc != 0)
		return not_copied(vm, type, rc);
	token = lock_take(&vm->bus.lock);
	result = agent_message(vm, AGENT_WAY_CALL, type, message, bytes, NULL);
	lock_release(&vm->bus.lock, token);
	return result;
}

/* The guest's room for it is written to before, so that what fails fails without having done anything. */
static s64 give(struct vm *vm, u32 type, u64 at)
{
	union {
		struct agent_state state;
		struct agent_event event;
	} out = {0};
	u64 size = type == AGENT_QUERY ? sizeof(out.state) : sizeof(out.event);
	int rc = gmem_write(&vm->mem, gpa(at), &out, size);
	lock_token token;
	s64 result;

	if (rc != 0)
		return not_copied(vm, type, rc);
	token = lock_take(&vm->bus.lock);
	result = type == AGENT_QUERY ? agent_query(vm, AGENT_WAY_CALL, &out.state)
				     : agent_event_next(vm, AGENT_WAY_CALL, &out.event);
	if (result > 0)
		rc = gmem_write(&vm->mem, gpa(at), &out, size);
	if (result > 0 && rc == 0 && type == AGENT_EVENT)
		agent_event_sent(vm);
	lock_release(&vm->bus.lock, token);
	return rc != 0 ? rc : result;
}

s64 agent_call(struct vcpu *vc, const u64 *args, s64 type)
{
	struct vm *vm = vc->vm;
	u64 least = 0;

	if (type == AGENT_QUERY)
		least = sizeof(struct agent_state);
	if (type == AGENT_EVENT)
		least = sizeof(struct agent_event);
	if (args[1] > AGENT_MESSAGE_MAX || args[1] < least)
		return refuse(vm, (u32)type, AGENT_REFUSED_FORM, -TERN_EINVAL);
	return least != 0 ? give(vm, (u32)type, args[0])
			  : take(vm, (u32)type, args[0], (u32)args[1]);
}

void agent_call_denied(struct vcpu *vc, s64 type)
{
	(void)refuse(vc->vm, (u32)type, AGENT_REFUSED_CPL, 0);
}
