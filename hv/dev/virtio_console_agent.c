/* SPDX-License-Identifier: MIT */
/*
 * Port 1 of the console: messages of abi/agent.h, one after the other, in buffers that the guest cuts as it likes.
 * Nothing is taken for which there is no room to answer, so a guest that does not read waits, and nothing grows.
 */
#include "virtio_console_internal.h"

#include <tern/agent.h>
#include <tern/err.h>
#include <tern/frames.h>
#include <tern/lib.h>
#include <tern/vm.h>

#define ANSWER_MAX ((u32)sizeof(struct agent_state)) /* the longest one */

_Static_assert(sizeof(struct console_agent) <= PAGE_SIZE, "one page");
_Static_assert(sizeof(struct agent_result) <= ANSWER_MAX, "ANSWER_MAX");
_Static_assert(sizeof(struct agent_event) <= CONSOLE_BYTES_MAX, "an event has room");

static bool is_open(const struct console_agent *a)
{
	return a->open && !a->closed;
}

static bool has_room(const struct console_agent *a)
{
	return CONSOLE_BYTES_MAX - a->out.count >= ANSWER_MAX;
}

/* What was on its way counts no more. */
static void forget(struct console_agent *a)
{
	a->got = 0;
	a->out.head = a->out.count = 0;
}

/* --- from the guest --- */

static void answer(struct console *con, const struct agent_head *head)
{
	struct console_agent *a = con->agent;
	struct vm *vm = con->v.vm;
	struct agent_state state;
	s64 result = agent_message(vm, AGENT_WAY_PORT, 0, a->message, a->got, &state);
	struct agent_result r = {
		.head = {.bytes = sizeof(r), .version = AGENT_ABI_VERSION, .type = AGENT_RESULT},
		.to = head->seq,
		.result = result,
	};

	if (result >= 0 && head->type == AGENT_QUERY) {
		console_put(&a->out, &state, sizeof(state));
		return;
	}
	r.head.seq = agent_seq(vm);
	console_put(&a->out, &r, sizeof(r));
}

/* The next n bytes of the message are there. */
static void advance(struct console *con, u32 n)
{
	struct console_agent *a = con->agent;
	struct agent_head head;

	a->got += n;
	if (a->got < sizeof(head))
		return;
	memcpy(&head, a->message, sizeof(head));
	if (head.bytes < sizeof(head) || head.bytes > AGENT_MESSAGE_MAX ||
	    head.version != AGENT_ABI_VERSION) {
		/* Nobody knows where the next one begins. */
		agent_refused(con->v.vm, head.type, AGENT_REFUSED_FORM);
		a->closed = true;
		forget(a);
		control_say_open(con);
	} else if (a->got == head.bytes) {
		answer(con, &head);
		a->got = 0;
	}
}

/* How much is missing, of the head or of the whole message. */
static u32 wanted(const struct console_agent *a)
{
	struct agent_head head;

	if (a->got < sizeof(head))
		return (u32)sizeof(head) - a->got;
	memcpy(&head, a->message, sizeof(head));
	return head.bytes - a->got;
}

/* Takes what is left of the chain. 1: all of it; 0: there is no room for an answer, or *left is 0; or as the copies. */
static int consume(struct console *con, u32 *left)
{
	struct console_agent *a = con->agent;

	while (is_open(a) && a->consumed < a->chain.out_len) {
		u32 n = (u32)min_u64(wanted(a), a->chain.out_len - a->consumed);
		int rc;

		if (*left == 0 || !has_room(a))
			return 0;
		--*left;
		rc = virtio_chain_read(&a->chain, a->consumed, a->message + a->got, n);
		if (rc != 0)
			return rc;
		a->consumed += n;
		advance(con, n);
	}
	return 1;
}

/* As virtio_pop(); 1: there may be more. */
static int take(struct console *con, u32 *left)
{
	struct console_agent *a = con->agent;
	struct virtio_queue *q = virtio_queue(&con->v, AGENT_TRANSMIT);
	int rc = 1;

	while (*left > 0 && has_room(a) && (rc = virtio_pop(q, &a->chain)) > 0) {
		--*left;
		rc = consume(con, left);
		if (rc <= 0) {
			virtio_unpop(&a->chain);
			if (rc == 0)
				rc = 1;
			break;
		}
		virtio_push(&a->chain, 0);
		a->consumed = 0;
	}
	virtio_flush(q);
	return rc;
}

/* --- to the guest --- */

/* An event leaves the agent's side when there is a buffer for it: until then a newer one may replace it. */
static void fetch_event(struct console *con)
{
	struct console_agent *a = con->agent;
	struct agent_event event;

	a->events = false; /* agent_event_sent() says if another one waits */
	if (agent_event_next(con->v.vm, AGENT_WAY_PORT, &event) <= 0)
		return;
	console_put(&a->out, &event, sizeof(event));
	agent_event_sent(con->v.vm);
}

static int give(struct console *con)
{
	struct console_agent *a = con->agent;
	struct virtio_queue *q = virtio_queue(&con->v, AGENT_RECEIVE);
	int rc = 0;

	while (is_open(a) && (a->out.count > 0 || a->events) &&
	       (rc = virtio_pop(q, &a->chain)) > 0) {
		if (a->out.count == 0)
			fetch_event(con);
		if (a->out.count == 0)
			virtio_unpop(&a->chain);
		else
			rc = console_give(con, &a->chain, &a->out);
		if (rc < 0)
			break;
	}
	return rc;
}

bool console_agent_work(struct console *con)
{
	u32 left = VIRTIO_BATCH;
	int taken, given;

	/* What the guest reads makes room for what it wrote. */
	do {
		taken = take(con, &left);
		given = give(con);
	} while (taken > 0 && left > 0 && has_room(con->agent));
	if (left == 0)
		virtio_request_work(&con->v);
	return taken != -TERN_EAGAIN && given != -TERN_EAGAIN;
}

/* --- life --- */

int console_agent_open(struct console *con, bool open)
{
	struct console_agent *a = con->agent;
	u32 left = VIRTIO_BATCH;

	if (open && is_open(a))
		return 0;
	/* What was sent while it was closed, or is on its way when it closes, is dropped first. */
	a->open = false;
	forget(a);
	if (take(con, &left) == -TERN_EAGAIN)
		return -TERN_EAGAIN;
	a->open = open;
	if (open && a->closed) {
		a->closed = false;
		control_say_open(con);
	}
	virtio_request_work(&con->v);
	return 0;
}

void console_agent_reset(struct console *con)
{
	struct console_agent *a = con->agent;

	a->open = a->closed = false;
	a->consumed = 0;
	forget(a);
}

/* Events may wait since before a reset of the device: a->events stays. */
static void notify(void *arg)
{
	struct console *con = arg;

	con->agent->events = true;
	virtio_request_work(&con->v);
}

int console_agent_create(struct console *con)
{
	con->agent = frames_alloc_page();
	return con->agent != NULL ? 0 : -TERN_ENOMEM;
}

void console_agent_added(struct console *con)
{
	agent_set_notify(con->v.vm, notify, con);
}

void console_agent_destroy(struct console *con)
{
	frames_free_page(con->agent);
}
