/* SPDX-License-Identifier: MIT */
/* The node's side of the agent, under test control: stands in for hv/vm/agent*.c. There is one VM. */
#ifndef FAKE_AGENT_H
#define FAKE_AGENT_H

#include <tern/agent.h>

#define FAKE_AGENT_LAST 16u

struct fake_agent {
	/* What came. */
	u32 count, refused;
	enum agent_way way;
	u32 type, bytes;
	u8 message[AGENT_MESSAGE_MAX]; /* the last one */
	u64 seqs[FAKE_AGENT_LAST]; /* of the messages, the last ones: number i at i % FAKE_AGENT_LAST */
	/* What is answered, and the events that wait. */
	s64 result;
	u32 events, sent;
	u64 seq;
	void (*notify)(void *arg);
	void *notify_arg;
};
extern struct fake_agent fake_agent;

void fake_agent_reset(void);
/* One more waits. */
void fake_agent_event(void);

#endif
