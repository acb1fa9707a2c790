/* SPDX-License-Identifier: MIT */
/*
 * A console with one port (virtio 1.2 section 5.3). What the guest prints joins the output of the VM's
 * 16550, so that there is one scroll-back whatever the guest prints to.
 */
#include <tern/virtio.h>

#include <linux/virtio_ids.h>

#include <tern/dev.h>
#include <tern/err.h>
#include <tern/frames.h>
#include <tern/lib.h>
#include <tern/vm.h>

enum queue { RECEIVE, TRANSMIT, QUEUES };

#define CLASS_CONSOLE 0x078000u /* a communication controller of another kind */
#define QUEUE_SIZE    64u
#define INPUT_MAX     256u
#define PIECE         256u
#define TURN_BYTES    8192u /* of output in one call: the VM's other devices wait meanwhile */

struct console {
	struct virtio_device v;
	u32 printed; /* bytes of the chain to be popped next that have been printed */
	u32 in_head, in_count;
	char in[INPUT_MAX];
	char text[PIECE];
	struct virtio_chain chain;
};
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
		u32 n = (u32)min_u64(min_u64(c->out_len - con->printed, PIECE), *room);
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
	struct virtio_queue *q = virtio_queue(&con->v, TRANSMIT);
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

static bool receive(struct console *con)
{
	struct virtio_queue *q = virtio_queue(&con->v, RECEIVE);
	int rc = 0;

	while (con->in_count > 0 && (rc = virtio_pop(q, &con->chain)) > 0) {
		u32 n = (u32)min_u64(min_u64(con->in_count, INPUT_MAX - con->in_head),
				     con->chain.in_len);

		rc = virtio_chain_write(&con->chain, 0, con->in + con->in_head, n);
		if (rc != 0) {
			virtio_unpop(&con->chain);
			break;
		}
		virtio_push(&con->chain, n);
		/* At once: chains without room are not to fill the queue. */
		virtio_flush(q);
		con->in_head = (con->in_head + n) % INPUT_MAX;
		con->in_count -= n;
		if (n == 0) {
			virtio_broken(&con->v, "a receive buffer without room");
			break;
		}
	}
	return rc != -TERN_EAGAIN;
}

static bool console_work(struct virtio_device *v)
{
	struct console *con = console_of(v);
	bool received = receive(con), transmitted = transmit(con);

	return received && transmitted;
}

static void console_notify(struct virtio_device *v, u32 queue)
{
	struct console *con = console_of(v);

	if (!(queue == RECEIVE ? receive(con) : transmit(con)))
		virtio_request_work(v);
}

static void console_reset(struct virtio_device *v)
{
	struct console *con = console_of(v);

	con->printed = 0;
	con->in_head = con->in_count = 0;
}

static void console_destroy(struct virtio_device *v)
{
	frames_free_page(console_of(v));
}

static const struct virtio_ops console_ops = {
	.name = "virtio-console",
	.id = VIRTIO_ID_CONSOLE,
	.class_code = CLASS_CONSOLE,
	.queue_count = QUEUES,
	.queue_size_max = QUEUE_SIZE,
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
	con->v.ops = &console_ops;
	con->v.vm = vm;
	rc = virtio_add(&con->v);
	if (rc != 0)
		frames_free_page(con);
	else
		*out = &con->v;
	return rc;
}

size_t virtio_console_input(struct virtio_device *v, const char *text, size_t n)
{
	struct console *con = console_of(v);
	lock_token token = lock_take(&v->vm->bus.lock);
	size_t done = 0;

	for (; done < n && con->in_count < INPUT_MAX; done++)
		con->in[(con->in_head + con->in_count++) % INPUT_MAX] = text[done];
	if (virtio_running(v) && !receive(con))
		virtio_request_work(v);
	lock_release(&v->vm->bus.lock, token);
	return done;
}
