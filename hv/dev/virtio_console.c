/* SPDX-License-Identifier: MIT */
/*
 * A console (virtio 1.2 section 5.3). What the guest prints to port 0 joins the output of the VM's 16550, so that there
 * is one scroll-back whatever the guest prints to. A driver that does not take F_MULTIPORT has that port alone.
 */
#include "virtio_console_internal.h"

#include <linux/virtio_ids.h>

#include <tern/dev.h>
#include <tern/err.h>
#include <tern/frames.h>
#include <tern/lib.h>
#include <tern/vm.h>

#define CLASS_CONSOLE 0x078000u /* a communication controller of another kind */
#define QUEUE_SIZE    64u
#define TURN_BYTES    8192u /* of output in one call: the VM's other devices wait meanwhile */

_Static_assert(sizeof(struct console) <= PAGE_SIZE, "one page");

static struct console *console_of(struct virtio_device *v)
{
	return container_of(v, struct console, v);
}

/* Prints what is left of the chain, at most *room bytes of it. 1: all of it is printed. */
static int print(struct console *con, u32 *room)
{
	const struct virtio_chain *c = &con->chain;
	struct device *uart = con->v.vm->platform.uart;

	while (con->printed < c->out_len) {
		u32 n = (u32)min_u64(min_u64(c->out_len - con->printed, CONSOLE_PIECE), *room);
		int rc;

		if (n == 0)
			return 0;
		rc = virtio_chain_read(c, con->printed, con->text, n);
		if (rc != 0)
			return rc;
		if (uart != NULL)
			vuart_output_locked(uart, con->text, n);
		con->printed += n;
		*room -= n;
	}
	return 1;
}

/* False: memory cannot be backed now. */
static bool transmit(struct console *con)
{
	struct virtio_queue *q = virtio_queue(&con->v, CONSOLE_TRANSMIT);
	u32 room = TURN_BYTES, left = VIRTIO_IN_FLIGHT_MAX;
	int rc = 1;

	while (left-- > 0 && (rc = virtio_pop(q, &con->chain)) > 0) {
		rc = print(con, &room);
		if (rc <= 0) {
			virtio_unpop(&con->chain);
			break;
		}
		virtio_push(&con->chain, 0);
		con->printed = 0;
	}
	virtio_flush(q);
	/* Its turn is over before it came to the end of the queue. */
	if (rc > 0 || room == 0)
		virtio_request_work(&con->v);
	return rc != -TERN_EAGAIN;
}

void console_put(struct console_bytes *b, const void *src, u32 n)
{
	const u8 *from = src;

	ASSERT(n <= CONSOLE_BYTES_MAX - b->count);
	for (u32 i = 0; i < n; i++)
		b->bytes[(b->head + b->count++) % CONSOLE_BYTES_MAX] = from[i];
}

int console_give(struct console *con, struct virtio_chain *c, struct console_bytes *b)
{
	struct virtio_queue *q = c->queue;
	u32 n = (u32)min_u64(min_u64(b->count, CONSOLE_BYTES_MAX - b->head), c->in_len);
	int rc = virtio_chain_write(c, 0, b->bytes + b->head, n);

	if (rc != 0) {
		virtio_unpop(c);
		return rc;
	}
	virtio_push(c, n);
	/* At once: chains without room are not to fill the queue. */
	virtio_flush(q);
	b->head = (b->head + n) % CONSOLE_BYTES_MAX;
	b->count -= n;
	if (n != 0)
		return 0;
	virtio_broken(&con->v, "a receive buffer without room");
	return -TERN_EIO;
}

static bool has_ports(const struct console *con)
{
	return virtio_has(&con->v, VIRTIO_CONSOLE_F_MULTIPORT);
}

/* False: memory cannot be backed now. A driver with ports says when it reads from this one. */
static bool receive(struct console *con)
{
	struct virtio_queue *q = virtio_queue(&con->v, CONSOLE_RECEIVE);
	bool open = con->open || !has_ports(con);
	int rc = 0;

	while (rc >= 0 && open && con->in.count > 0 && (rc = virtio_pop(q, &con->chain)) > 0)
		rc = console_give(con, &con->chain, &con->in);
	return rc != -TERN_EAGAIN;
}

static bool console_work(struct virtio_device *v)
{
	struct console *con = console_of(v);
	bool received = receive(con), done = transmit(con) && received;

	if (has_ports(con)) {
		/* The first may be what opens the second. */
		done = control_work(con) && done;
		done = console_agent_work(con) && done;
	}
	return done;
}

static void console_notify(struct virtio_device *v, u32 queue)
{
	struct console *con = console_of(v);
	bool done = true;

	if (queue == CONSOLE_RECEIVE)
		done = receive(con);
	else if (queue == CONSOLE_TRANSMIT)
		done = transmit(con);
	else if (has_ports(con))
		done = queue <= CONTROL_TRANSMIT ? control_work(con) : console_agent_work(con);
	if (!done)
		virtio_request_work(v);
}

static void console_reset(struct virtio_device *v)
{
	struct console *con = console_of(v);

	con->printed = 0;
	con->in.head = con->in.count = 0;
	control_reset(con);
	console_agent_reset(con);
}

static void console_free(struct console *con)
{
	console_agent_destroy(con);
	frames_free_page(con);
}

static void console_destroy(struct virtio_device *v)
{
	console_free(console_of(v));
}

static const struct virtio_ops console_ops = {
	.name = "virtio-console",
	.id = VIRTIO_ID_CONSOLE,
	.class_code = CLASS_CONSOLE,
	.queue_count = CONSOLE_QUEUES,
	.queue_size_max = QUEUE_SIZE,
	.config_size = offsetof(struct virtio_console_config, emerg_wr),
	.notify = console_notify,
	.reset = console_reset,
	.work = console_work,
	.destroy = console_destroy,
};

int virtio_console_create(struct vm *vm, struct virtio_device **out)
{
	struct console *con = frames_alloc_page();
	int rc;

	if (con == NULL)
		return -TERN_ENOMEM;
	rc = console_agent_create(con);
	if (rc != 0) {
		frames_free_page(con);
		return rc;
	}
	con->config.max_nr_ports = CONSOLE_PORTS;
	con->v = (struct virtio_device){.ops = &console_ops,
					.vm = vm,
					.offered = 1ull << VIRTIO_CONSOLE_F_MULTIPORT,
					.config = &con->config};
	rc = virtio_add(&con->v);
	if (rc != 0) {
		console_free(con);
		return rc;
	}
	console_agent_added(con);
	*out = &con->v;
	return 0;
}

size_t virtio_console_input(struct virtio_device *v, const char *text, size_t n)
{
	struct console *con = console_of(v);
	lock_token token = lock_take(&v->vm->bus.lock);
	u32 done = (u32)min_u64(n, CONSOLE_BYTES_MAX - con->in.count);

	console_put(&con->in, text, done);
	if (virtio_running(v) && !receive(con))
		virtio_request_work(v);
	lock_release(&v->vm->bus.lock, token);
	return done;
}
