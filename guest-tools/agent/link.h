/* SPDX-License-Identifier: MIT */
/*
 * The way to the node: /dev/tern of the kernel module, else the virtio-console port, else none. docs/agent-abi.md.
 */
#ifndef LINK_H
#define LINK_H

#include <abi/agent.h>

#define LINK_EVENTS_MAX 8u

enum link_kind { LINK_NONE, LINK_DEVICE, LINK_PORT };

struct link {
	enum link_kind kind;
	int fd; /* -1 with LINK_NONE */
	u64 seq;
	u64 features;                /* that both ends have */
	u64 sent, refused;           /* messages */
	u32 event_count, event_lost; /* events that came while an answer was waited for */
	struct agent_event event[LINK_EVENTS_MAX];
};

/* Opens the first way there is: device (/dev/tern), then port (a path, or NULL: found by its name).
 * Returns 0, or -ENODEV when there is none, or the errno of the device. */
int link_open(struct link *l, const char *device, const char *port);

/* Takes an open connection that speaks as the port does. For tests and for link_open(). */
void link_use_port(struct link *l, int fd);

void link_close(struct link *l);

/*
 * Each sends a message, whose head is filled in here, and returns the node's result: 0 or more, or a negative
 * errno. -ENODEV: there is no way. -EPIPE or -EPROTO: it broke; the link is closed then.
 */
int link_hello(struct link *l, u64 mem_total, u64 features, const char *name);
int link_sample(struct link *l, struct agent_sample *m);
int link_demand(struct link *l, struct agent_demand *m);
int link_notice(struct link *l, struct agent_notice *m);
int link_ack(struct link *l, struct agent_ack *m);
int link_query(struct link *l, struct agent_state *to);

/* Takes the next event. 1, 0 when there is none, or a negative errno. Never blocks. */
int link_event(struct link *l, struct agent_event *to);

#endif
