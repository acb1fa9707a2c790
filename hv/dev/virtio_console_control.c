/* SPDX-License-Identifier: MIT */
/*
 * The control queues of the console (virtio 1.2 section 5.3.6.2). What the driver is to be told is one bit a port and
 * message, and what is said is what is so when there is a buffer for it: a driver that reads nothing costs nothing.
 */
#include "virtio_console_internal.h"

#include <tern/err.h>
#include <tern/lib.h>

/* A port's messages, in the order in which they go out. */
#define SAY_ADD     (1u << 0)
#define SAY_CONSOLE (1u << 1)
#define SAY_NAME    (1u << 2)
#define SAY_OPEN    (1u << 3)

#define NAME_LEN ((u32)sizeof(AGENT_PORT_NAME) - 1) /* without its NUL */

struct said {
	struct virtio_console_control control;
	char name[NAME_LEN];
};

/* Returns the message's length. */
static u32 compose(const struct console *con, u32 port, u32 bit, struct said *out)
{
	out->control = (struct virtio_console_control){.id = port, .value = 1};
	switch (bit) {
	case SAY_ADD:
		out->control.event = VIRTIO_CONSOLE_PORT_ADD;
		break;
	case SAY_CONSOLE:
		out->control.event = VIRTIO_CONSOLE_CONSOLE_PORT;
		break;
	case SAY_NAME:
		out->control.event = VIRTIO_CONSOLE_PORT_NAME;
		memcpy(out->name, AGENT_PORT_NAME, NAME_LEN);
		return offsetof(struct said, name) + NAME_LEN;
	default:
		out->control.event = VIRTIO_CONSOLE_PORT_OPEN;
		out->control.value = port != PORT_AGENT || !con->agent->closed;
		break;
	}
	return sizeof(out->control);
}

/* Says the next thing about a port. 1: done; otherwise as virtio_pop() and the copies. */
static int say(struct console *con, u32 port)
{
	struct virtio_queue *q = virtio_queue(&con->v, CONTROL_RECEIVE);
	u32 bits = con->say[port], bit = bits & -bits, len;
	struct said said;
	int rc = virtio_pop(q, &con->chain);

	if (rc <= 0)
		return rc;
	len = compose(con, port, bit, &said);
	rc = virtio_chain_write(&con->chain, 0, &said, len);
	if (rc == -TERN_ERANGE)
		virtio_broken(&con->v, "a control buffer of %u bytes", con->chain.in_len);
	if (rc != 0) {
		virtio_unpop(&con->chain);
		return rc;
	}
	virtio_push(&con->chain, len);
	virtio_flush(q);
	con->say[port] &= (u8)~bit;
	return 1;
}

static int say_all(struct console *con)
{
	int rc = 1;

	for (u32 port = 0; port < CONSOLE_PORTS; port++) {
		while (rc > 0 && con->say[port] != 0)
			rc = say(con, port);
	}
	return rc;
}

static int set_open(struct console *con, u32 port, bool open)
{
	if (port == PORT_AGENT)
		return console_agent_open(con, open);
	con->open = open;
	/* What was typed before may wait for it. */
	virtio_request_work(&con->v);
	return 0;
}

/* What makes no sense is ignored. -TERN_EAGAIN: call again later. */
static int obey(struct console *con, const struct virtio_console_control *m)
{
	if (m->event == VIRTIO_CONSOLE_DEVICE_READY) {
		/* A port that exists must not be added. */
		if (m->value == 1 && !con->added) {
			con->say[PORT_CONSOLE] |= SAY_ADD;
			con->say[PORT_AGENT] |= SAY_ADD;
			con->added = true;
		}
		return 0;
	}
	if (m->id >= CONSOLE_PORTS)
		return 0;
	/* Also of a port that was not added: a driver that resets the device when the guest sleeps knows its
	 * ports when it wakes. */
	if (m->event == VIRTIO_CONSOLE_PORT_READY && m->value == 1)
		con->say[m->id] |= SAY_OPEN | (m->id == PORT_CONSOLE ? SAY_CONSOLE : SAY_NAME);
	return m->event == VIRTIO_CONSOLE_PORT_OPEN ? set_open(con, m->id, m->value == 1) : 0;
}

/* One after another, for the driver waits for each. As virtio_pop(); 1: there may be more. */
static int hear(struct console *con)
{
	struct virtio_queue *q = virtio_queue(&con->v, CONTROL_TRANSMIT);
	int rc = 1;

	for (u32 left = VIRTIO_BATCH; left > 0 && (rc = virtio_pop(q, &con->chain)) > 0; left--) {
		struct virtio_console_control m;
		int done = virtio_chain_read(&con->chain, 0, &m, sizeof(m));

		if (done == 0)
			done = obey(con, &m);
		if (done != 0 && done != -TERN_ERANGE) {
			virtio_unpop(&con->chain);
			return done;
		}
		virtio_push(&con->chain, 0);
		virtio_flush(q);
	}
	return rc;
}

bool control_work(struct console *con)
{
	int heard = hear(con), said = say_all(con);

	if (heard > 0)
		virtio_request_work(&con->v);
	return heard != -TERN_EAGAIN && said != -TERN_EAGAIN;
}

void control_say_open(struct console *con)
{
	con->say[PORT_AGENT] |= SAY_OPEN;
	virtio_request_work(&con->v);
}

void control_reset(struct console *con)
{
	memset(con->say, 0, sizeof(con->say));
	con->added = con->open = false;
}
