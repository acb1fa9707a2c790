/* SPDX-License-Identifier: MIT */
/*
 * The console device (virtio 1.2 section 5.3): port 0 is the console (virtio_console.c), port 1 the agent's
 * (virtio_console_agent.c), and the control queues say so (virtio_console_control.c). The bus lock is held
 * in all of it.
 */
#ifndef HV_DEV_VIRTIO_CONSOLE_INTERNAL_H
#define HV_DEV_VIRTIO_CONSOLE_INTERNAL_H

#include <abi/agent.h>
#include <linux/virtio_console.h>
#include <tern/virtio.h>

/* Virtio 1.2 section 5.3.2. Without F_MULTIPORT there are only the first two. */
enum console_queue {
	CONSOLE_RECEIVE,
	CONSOLE_TRANSMIT,
	CONTROL_RECEIVE,
	CONTROL_TRANSMIT,
	AGENT_RECEIVE,
	AGENT_TRANSMIT,
	CONSOLE_QUEUES,
};

enum console_port { PORT_CONSOLE, PORT_AGENT, CONSOLE_PORTS };

/* Bytes that wait for a buffer of the guest. */
#define CONSOLE_BYTES_MAX 256u
struct console_bytes {
	u32 head, count;
	u8 bytes[CONSOLE_BYTES_MAX];
};

/* The agent's port. It is open when both sides have opened it; this side has, until it closes it. */
struct console_agent {
	bool open, closed; /* by the guest; by this side */
	bool events;       /* one waits: tern/agent.h said so */
	u32 consumed;      /* bytes of the chain to be popped next that were taken */
	u32 got;           /* bytes of message */
	u8 message[AGENT_MESSAGE_MAX];
	struct console_bytes out;
	struct virtio_chain chain;
};

#define CONSOLE_PIECE 256u
struct console {
	struct virtio_device v;
	struct virtio_console_config config; /* (c) */
	struct console_agent *agent;         /* (c) */
	u8 say[CONSOLE_PORTS];               /* what the driver is to be told of a port */
	bool added;                          /* it was told that there are ports */
	bool open;                           /* port 0, by the guest */
	u32 printed; /* bytes of the chain to be popped next that have been printed */
	struct console_bytes in;
	char text[CONSOLE_PIECE];
	struct virtio_chain chain;
};

/* --- virtio_console.c --- */
/* Adds n bytes, as many as there is room for at most. */
void console_put(struct console_bytes *b, const void *src, u32 n);
/* Moves what it can of what waits into the chain, which was popped for that, and gives the chain back. 0, or what the
 * copies return: it is in its queue again, or void. */
MUST_CHECK int console_give(struct console *con, struct virtio_chain *c, struct console_bytes *b);

/* --- virtio_console_control.c --- */
/* False: memory cannot be backed now. */
MUST_CHECK bool control_work(struct console *con);
/* This side has opened or closed the agent's port. */
void control_say_open(struct console *con);
void control_reset(struct console *con);

/* --- virtio_console_agent.c --- */
/* -TERN_ENOMEM. */
MUST_CHECK int console_agent_create(struct console *con);
/* The device was added: from now on it is told of events. */
void console_agent_added(struct console *con);
void console_agent_destroy(struct console *con);
/* False: memory cannot be backed now. */
MUST_CHECK bool console_agent_work(struct console *con);
/* The guest opens or closes the port. -TERN_EAGAIN: call again later. */
MUST_CHECK int console_agent_open(struct console *con, bool open);
void console_agent_reset(struct console *con);

#endif
