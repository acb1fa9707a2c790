/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/* The node as the kernel module sees it: hypercalls, one at a time, through one page. */
#ifndef TERN_NODE_H
#define TERN_NODE_H

#include <abi/agent.h>

struct device;
struct tern_node;

/* The longest message first: its size is the union's. */
union tern_message {
	struct agent_sample sample;
	struct agent_head head;
	struct agent_hello hello;
	struct agent_demand demand;
	struct agent_notice notice;
	struct agent_state state;
	struct agent_event event;
	struct agent_ack ack;
};

/* 0, or -ENODEV after a line in the log that says what is missing. */
int tern_node_check(void);

/* NULL: no memory. It is given back when @dev goes. */
struct tern_node *tern_node_new(struct device *dev);

/*
 * Sends the first @bytes of @message, of type @type, by hypercall @call; writes all of its head.
 * The node's answer: 0 or more, or a negative errno; -ERESTARTSYS: a signal came before.
 */
s64 tern_node_send(struct tern_node *node, u32 call, u16 type, union tern_message *message,
		   u32 bytes);

/*
 * Has hypercall @call write @bytes of type @type to @message. Returns @bytes, 0: there is nothing,
 * or a negative errno: the node's, -EPROTO: its answer is malformed, -ERESTARTSYS.
 */
s64 tern_node_fetch(struct tern_node *node, u32 call, u16 type, union tern_message *message,
		    u32 bytes);

#endif
