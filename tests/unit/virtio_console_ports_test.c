/* SPDX-License-Identifier: MIT */
/* links: hv/dev/bus.c hv/dev/dev.c hv/lock.c hv/dev/vpci.c hv/dev/vpci_bar.c hv/dev/vpci_irq.c hv/dev/virtio_pci.c hv/dev/virtio_queue.c hv/lib/fmt.c */
/* links: hv/dev/virtio_console.c hv/dev/virtio_console_agent.c hv/dev/virtio_console_control.c hv/dev/vuart.c */
/* links: tests/fake/fake_agent.c tests/fake/fake_frames.c tests/fake/fake_host.c tests/fake/fake_guest.c tests/fake/fake_driver.c */
/* The console with ports: what a driver is told, and the agent's messages in every cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <linux/virtio_console.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>

#include <tern/err.h>
#include <tern/virtio.h>
#include <tern/vpci.h>
#include <tests/fake/fake_agent.h>
#include <tests/fake/fake_driver.h>
#include <tests/fake/fake_frames.h>
#include <tests/fake/fake_guest.h>
#include <tests/fake/fake_host.h>

#define FEATURES (1ull << VIRTIO_RING_F_EVENT_IDX | 1ull << VIRTIO_CONSOLE_F_MULTIPORT)
#define SIZE     16u
#define BROKEN   0x40u
#define BUFFER   0x1000u
/* Guest memory of a queue's buffers, a page each. */
#define DATA(queue, i) (0x100000u + (queue)*0x20000u + (i)*BUFFER)

enum { RX, TX, CONTROL_RX, CONTROL_TX, AGENT_RX, AGENT_TX, QUEUES };

static struct vm vm;
static struct fake_driver drv;
static struct virtio_device *console;
static u16 posted[QUEUES], seen[QUEUES];

static void work(void)
{
	for (u32 i = 0; vm.work != 0 && i < 100; i++)
		dev_work(&vm);
	assert_int_equal(vm.work, 0);
}

/* A buffer of len bytes for the device; returns where it is. */
static u64 offer(u32 queue, u32 len)
{
	u16 i = posted[queue]++ % SIZE;

	memset(fake_guest_mem + DATA(queue, i), 0xee, BUFFER);
	fake_desc(fake_desc_at(queue), i, DATA(queue, i), len, VRING_DESC_F_WRITE, 0);
	fake_post(&drv, queue, i);
	return DATA(queue, i);
}

static void put(u32 queue, const void *data, u32 len)
{
	u16 i = posted[queue]++ % SIZE;

	memcpy(fake_guest_mem + DATA(queue, i), data, len);
	fake_desc(fake_desc_at(queue), i, DATA(queue, i), len, 0, 0);
	fake_post(&drv, queue, i);
}

/* The next buffer that the device filled; its length. */
static u32 filled(u32 queue, const u8 **data)
{
	u16 i = seen[queue]++;

	if (i == fake_used_idx(queue))
		fail_msg("nothing more in queue %u", queue);
	*data = fake_guest_mem + DATA(queue, fake_used_id(&drv, queue, i));
	return fake_used_len(&drv, queue, i);
}

static void control(u32 id, u16 event, u16 value)
{
	const struct virtio_console_control m = {.id = id, .event = event, .value = value};
	u16 used = fake_used_idx(CONTROL_TX);

	put(CONTROL_TX, &m, sizeof(m));
	/* Linux turns round until it is back. */
	assert_int_equal((u16)(used + 1), fake_used_idx(CONTROL_TX));
	work();
}

static void told(u32 id, u16 event, u16 value)
{
	struct virtio_console_control m;
	const u8 *data;

	assert_int_equal(filled(CONTROL_RX, &data), sizeof(m));
	memcpy(&m, data, sizeof(m));
	assert_int_equal(m.id, id);
	assert_int_equal(m.event, event);
	assert_int_equal(m.value, value);
}

static void told_name(void)
{
	const u8 *data;

	assert_int_equal(filled(CONTROL_RX, &data), 8 + strlen("org.tern.agent"));
	assert_memory_equal(data, "\1\0\0\0\7\0\1\0org.tern.agent\xee", 8 + 14 + 1);
}

static void told_no_more(void)
{
	work();
	assert_int_equal(seen[CONTROL_RX], fake_used_idx(CONTROL_RX));
}

static void start(void)
{
	assert_true(fake_driver_start(&drv, &vm, 1, FEATURES, SIZE, true));
	memset(posted, 0, sizeof(posted));
	memset(seen, 0, sizeof(seen));
}

static int setup(void **state)
{
	(void)state;
	fake_reset();
	fake_frames_reset(64);
	fake_guest_reset(&vm);
	fake_agent_reset();
	assert_int_equal(vuart_create(&vm, &vm.bus, &vm.platform.uart), 0);
	assert_int_equal(vpci_create(&vm, &vm.bus), 0);
	assert_int_equal(virtio_console_create(&vm, &console), 0);
	start();
	return 0;
}

/* The agent's port is open and the driver has heard so. */
static int setup_open(void **state)
{
	setup(state);
	for (u32 i = 0; i < 8; i++)
		(void)offer(CONTROL_RX, 64);
	control(1, VIRTIO_CONSOLE_PORT_READY, 1);
	told_name();
	told(1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	control(1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	told_no_more();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	bus_destroy(&vm.bus);
	assert_int_equal(fake_frames_used(), 0);
	return 0;
}

/* --- control --- */

static void test_handshake(void **state)
{
	const u8 *data;

	(void)state;
	assert_int_equal(
		fake_config_read(&drv, offsetof(struct virtio_console_config, max_nr_ports), 4), 2);
	for (u32 i = 0; i < 12; i++)
		(void)offer(CONTROL_RX, 64);
	told_no_more();
	control(0, VIRTIO_CONSOLE_DEVICE_READY, 0);
	told_no_more();
	control(VIRTIO_CONSOLE_BAD_ID, VIRTIO_CONSOLE_DEVICE_READY, 1);
	told(0, VIRTIO_CONSOLE_PORT_ADD, 1);
	told(1, VIRTIO_CONSOLE_PORT_ADD, 1);
	/* Ports that exist are not added again. */
	control(VIRTIO_CONSOLE_BAD_ID, VIRTIO_CONSOLE_DEVICE_READY, 1);
	told_no_more();
	control(0, VIRTIO_CONSOLE_PORT_READY, 1);
	told(0, VIRTIO_CONSOLE_CONSOLE_PORT, 1);
	told(0, VIRTIO_CONSOLE_PORT_OPEN, 1);
	control(1, VIRTIO_CONSOLE_PORT_READY, 0);
	told_no_more();
	control(1, VIRTIO_CONSOLE_PORT_READY, 1);
	told_name();
	told(1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	/* What makes no sense. */
	control(2, VIRTIO_CONSOLE_PORT_READY, 1);
	control(2, VIRTIO_CONSOLE_PORT_OPEN, 1);
	control(1, VIRTIO_CONSOLE_PORT_ADD, 1);
	control(1, 99, 1);
	put(CONTROL_TX, "short", 5);
	assert_int_equal(fake_used_idx(CONTROL_TX), posted[CONTROL_TX]);
	told_no_more();
	/* Typed text waits until the driver reads from the console. */
	assert_int_equal(virtio_console_input(console, "ab", 2), 2);
	(void)offer(RX, 16);
	assert_int_equal(fake_used_idx(RX), 0);
	control(0, VIRTIO_CONSOLE_PORT_OPEN, 1);
	assert_int_equal(filled(RX, &data), 2);
	assert_memory_equal(data, "ab\xee", 3);
	put(TX, "out", 3);
	assert_int_equal(vuart_written(vm.platform.uart), 3);
	assert_int_equal(fake_status(&drv) & BROKEN, 0);
}

/* A driver without buffers is told what is so when it has some, in order, and once. */
static void test_told_late(void **state)
{
	(void)state;
	for (u32 i = 0; i < 5; i++) {
		control(VIRTIO_CONSOLE_BAD_ID, VIRTIO_CONSOLE_DEVICE_READY, 1);
		control(0, VIRTIO_CONSOLE_PORT_READY, 1);
		control(1, VIRTIO_CONSOLE_PORT_READY, 1);
	}
	control(1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	put(AGENT_TX, "this is no message at all", 25); /* closed by the device */
	for (u32 i = 0; i < 12; i++)
		(void)offer(CONTROL_RX, 64);
	told(0, VIRTIO_CONSOLE_PORT_ADD, 1);
	told(0, VIRTIO_CONSOLE_CONSOLE_PORT, 1);
	told(0, VIRTIO_CONSOLE_PORT_OPEN, 1);
	told(1, VIRTIO_CONSOLE_PORT_ADD, 1);
	told_name();
	told(1, VIRTIO_CONSOLE_PORT_OPEN, 0);
	told_no_more();
	/* A reset forgets all of that. */
	start();
	for (u32 i = 0; i < 12; i++)
		(void)offer(CONTROL_RX, 64);
	told_no_more();
	control(VIRTIO_CONSOLE_BAD_ID, VIRTIO_CONSOLE_DEVICE_READY, 1);
	told(0, VIRTIO_CONSOLE_PORT_ADD, 1);
	told(1, VIRTIO_CONSOLE_PORT_ADD, 1);
	told_no_more();
}

static void test_control_later(void **state)
{
	const struct virtio_console_control m = {
		.id = 1, .event = VIRTIO_CONSOLE_PORT_READY, .value = 1};

	(void)state;
	fake_later_from = DATA(CONTROL_TX, 0);
	fake_later_to = fake_later_from + 1;
	put(CONTROL_TX, &m, sizeof(m));
	assert_int_equal(fake_used_idx(CONTROL_TX), 0);
	fake_later_to = 0;
	fake_later_from = DATA(CONTROL_RX, 0);
	fake_later_to = fake_later_from + 1;
	(void)offer(CONTROL_RX, 64);
	dev_work(&vm);
	assert_int_equal(vm.work, 1);
	assert_int_equal(fake_used_idx(CONTROL_TX), 1);
	assert_int_equal(fake_used_idx(CONTROL_RX), 0);
	fake_later_to = 0;
	work();
	told_name();
	/* A buffer that is too small for what there is to say. */
	(void)offer(CONTROL_RX, 7);
	assert_int_equal(fake_status(&drv) & BROKEN, BROKEN);
}

/* --- messages --- */

static u64 last_seq;

static void message(struct agent_head *h, u16 type, u32 bytes)
{
	*h = (struct agent_head){
		.bytes = bytes, .version = AGENT_ABI_VERSION, .type = type, .seq = ++last_seq};
}

static void send_demand(void)
{
	struct agent_demand m = {0};

	message(&m.head, AGENT_DEMAND, sizeof(m));
	put(AGENT_TX, &m, sizeof(m));
}

static void answered(u64 to, s64 result)
{
	struct agent_result r;
	const u8 *data;

	assert_int_equal(filled(AGENT_RX, &data), sizeof(r));
	memcpy(&r, data, sizeof(r));
	assert_int_equal(r.head.bytes, sizeof(r));
	assert_int_equal(r.head.version, AGENT_ABI_VERSION);
	assert_int_equal(r.head.type, AGENT_RESULT);
	assert_int_equal(r.head.seq, fake_agent.seq);
	assert_int_equal(r.to, to);
	assert_int_equal(r.result, result);
}

static void test_message(void **state)
{
	struct agent_head query;
	struct agent_head head;
	const u8 *data;

	(void)state;
	for (u32 i = 0; i < 4; i++)
		(void)offer(AGENT_RX, BUFFER);
	fake_agent.result = 5;
	send_demand();
	assert_int_equal(fake_used_idx(AGENT_TX), 1);
	assert_int_equal(fake_used_len(&drv, AGENT_TX, 0), 0);
	assert_int_equal(fake_agent.count, 1);
	assert_int_equal(fake_agent.way, AGENT_WAY_PORT);
	assert_int_equal(fake_agent.type, 0);
	assert_int_equal(fake_agent.bytes, sizeof(struct agent_demand));
	assert_memory_equal(fake_agent.message, fake_guest_mem + DATA(AGENT_TX, 0),
			    sizeof(struct agent_demand));
	answered(last_seq, 5);
	fake_agent.result = -TERN_EBUSY;
	send_demand();
	answered(last_seq, -TERN_EBUSY);
	/* A query is answered with a state, or refused. */
	message(&query, AGENT_QUERY, sizeof(query));
	put(AGENT_TX, &query, sizeof(query));
	answered(last_seq, -TERN_EBUSY);
	fake_agent.result = sizeof(struct agent_state);
	put(AGENT_TX, &query, sizeof(query));
	assert_int_equal(filled(AGENT_RX, &data), sizeof(struct agent_state));
	memcpy(&head, data, sizeof(head));
	assert_int_equal(head.type, AGENT_STATE);
	assert_int_equal(head.seq, 4);
}

enum { MESSAGES = 8, IN = MESSAGES * sizeof(struct agent_demand) };
static u8 out[MESSAGES * sizeof(struct agent_result)];

/* Reads what fits into a buffer of that size. */
static u32 read_some(u32 got, u32 size)
{
	const u8 *data;
	u32 n;

	(void)offer(AGENT_RX, size);
	n = filled(AGENT_RX, &data);
	assert_in_range(n, 1, min_u64(size, sizeof(out) - got));
	memcpy(out + got, data, n);
	work();
	return got + n;
}

/* A stream of messages in pieces of that length, and the answers in buffers of as many bytes. */
static void stream(u32 cut)
{
	struct agent_demand m = {0};
	u8 in[IN];
	u32 got = 0;

	for (u32 i = 0; i < MESSAGES; i++) {
		message(&m.head, AGENT_DEMAND, sizeof(m));
		memcpy(in + i * sizeof(m), &m, sizeof(m));
	}
	for (u32 at = 0; at < IN; at += cut) {
		put(AGENT_TX, in + at, (u32)min_u64(cut, IN - at));
		/* There is no more room for answers. */
		while (fake_used_idx(AGENT_TX) != posted[AGENT_TX])
			got = read_some(got, cut);
	}
	while (got < sizeof(out))
		got = read_some(got, cut);
}

static void test_every_cut(void **state)
{
	(void)state;
	for (u32 cut = 1; cut <= 100; cut++) {
		fake_agent.count = 0;
		last_seq = 0;
		stream(cut);
		assert_int_equal(fake_agent.count, MESSAGES);
		for (u32 i = 0; i < MESSAGES; i++) {
			struct agent_result r;

			memcpy(&r, out + i * sizeof(r), sizeof(r));
			assert_int_equal(fake_agent.seqs[i], i + 1);
			assert_int_equal(r.to, i + 1);
			assert_int_equal(r.head.bytes, sizeof(r));
		}
	}
	assert_int_equal(fake_agent.refused, 0);
}

/* A guest that does not read is not heard any longer, until it does. */
static void test_back_pressure(void **state)
{
	struct agent_head burst[SIZE];
	u32 before;

	(void)state;
	for (u32 i = 0; i < SIZE; i++)
		message(&burst[i], AGENT_ACK, sizeof(burst[i]));
	put(AGENT_TX, burst, sizeof(burst));
	work();
	assert_int_equal(fake_used_idx(AGENT_TX), 0);
	before = fake_agent.count;
	assert_in_range(before, 1, 8);
	for (u32 i = 0; i < 3; i++) {
		put(AGENT_TX, burst, sizeof(burst));
		work();
	}
	assert_int_equal(fake_agent.count, before);
	for (u32 i = 0; i < 4 * SIZE; i++) {
		(void)offer(AGENT_RX, 32);
		work();
	}
	assert_int_equal(fake_used_idx(AGENT_TX), 4);
	assert_int_equal(fake_agent.count, 4 * SIZE);
	assert_int_equal(fake_used_idx(AGENT_RX), 4 * SIZE);
	assert_int_equal(fake_agent.refused, 0);
}

/* One huge buffer is taken in turns. */
static void test_turns(void **state)
{
	enum { COUNT = 200 };
	struct agent_head burst[COUNT];

	(void)state;
	for (u32 i = 0; i < COUNT; i++)
		message(&burst[i], AGENT_ACK, sizeof(burst[i]));
	for (u32 i = 0; i < SIZE; i++)
		(void)offer(AGENT_RX, BUFFER);
	put(AGENT_TX, burst, sizeof(burst));
	assert_int_equal(vm.work, 1);
	assert_in_range(fake_agent.count, 1, VIRTIO_BATCH);
	for (u32 i = 0; i < COUNT; i++) {
		dev_work(&vm);
		(void)offer(AGENT_RX, BUFFER);
	}
	work();
	assert_int_equal(fake_agent.count, COUNT);
	assert_int_equal(fake_used_idx(AGENT_TX), 1);
}

static void test_later(void **state)
{
	struct agent_head head[2];

	(void)state;
	message(&head[0], AGENT_ACK, sizeof(head[0]));
	message(&head[1], AGENT_ACK, sizeof(head[1]));
	/* The second lies on a page that is not backed. */
	memcpy(fake_guest_mem + DATA(AGENT_TX, 0), &head[0], sizeof(head[0]));
	memcpy(fake_guest_mem + DATA(AGENT_TX, 9), &head[1], sizeof(head[1]));
	fake_desc(fake_desc_at(AGENT_TX), 0, DATA(AGENT_TX, 0), sizeof(head[0]), VRING_DESC_F_NEXT,
		  1);
	fake_desc(fake_desc_at(AGENT_TX), 1, DATA(AGENT_TX, 9), sizeof(head[1]), 0, 0);
	fake_later_from = DATA(AGENT_TX, 9);
	fake_later_to = fake_later_from + BUFFER;
	fake_post(&drv, AGENT_TX, 0);
	assert_int_equal(fake_agent.count, 1);
	assert_int_equal(fake_used_idx(AGENT_TX), 0);
	assert_int_equal(vm.work, 1);
	/* Nothing is taken twice. */
	fake_later_to = 0;
	work();
	assert_int_equal(fake_agent.count, 2);
	assert_int_equal(fake_agent.seqs[1], last_seq);
	assert_int_equal(fake_used_idx(AGENT_TX), 1);
	/* Nor said twice. */
	fake_later_from = DATA(AGENT_RX, 0);
	fake_later_to = fake_later_from + BUFFER;
	(void)offer(AGENT_RX, 40);
	assert_int_equal(fake_used_idx(AGENT_RX), 0);
	fake_later_to = 0;
	work();
	assert_int_equal(fake_used_len(&drv, AGENT_RX, 0), 40);
	(void)offer(AGENT_RX, 40);
	assert_int_equal(fake_used_len(&drv, AGENT_RX, 1), 24);
}

/* --- open and closed --- */

static void reopen(void)
{
	control(1, VIRTIO_CONSOLE_PORT_OPEN, 0);
	control(1, VIRTIO_CONSOLE_PORT_OPEN, 1);
}

static void test_wrong_head(void **state)
{
	static const struct agent_head wrong[] = {
		{.bytes = 15, .version = AGENT_ABI_VERSION, .type = AGENT_DEMAND},
		{.bytes = 0, .version = AGENT_ABI_VERSION, .type = AGENT_DEMAND},
		{.bytes = 257, .version = AGENT_ABI_VERSION, .type = AGENT_DEMAND},
		{.bytes = UINT32_MAX, .version = AGENT_ABI_VERSION, .type = AGENT_DEMAND},
		{.bytes = 48, .version = 0, .type = AGENT_DEMAND},
		{.bytes = 48, .version = 2, .type = AGENT_DEMAND},
	};

	(void)state;
	(void)offer(AGENT_RX, BUFFER);
	for (u32 i = 0; i < ARRAY_SIZE(wrong); i++) {
		put(AGENT_TX, &wrong[i], sizeof(wrong[i]));
		work();
		told(1, VIRTIO_CONSOLE_PORT_OPEN, 0);
		assert_int_equal(fake_agent.refused, i + 1);
		/* What comes now is dropped, and the driver does not wait for it. */
		send_demand();
		assert_int_equal(fake_used_idx(AGENT_TX), posted[AGENT_TX]);
		assert_int_equal(fake_agent.count, i);
		reopen();
		told(1, VIRTIO_CONSOLE_PORT_OPEN, 1);
		told_no_more();
		send_demand();
		assert_int_equal(fake_agent.count, i + 1);
		answered(last_seq, 0);
		(void)offer(AGENT_RX, BUFFER);
		(void)offer(CONTROL_RX, 64);
		(void)offer(CONTROL_RX, 64);
	}
	/* Open again is open, also without closing first. */
	put(AGENT_TX, &wrong[0], sizeof(wrong[0]));
	work();
	told(1, VIRTIO_CONSOLE_PORT_OPEN, 0);
	control(1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	told(1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	/* The longest message there may be is none that is known, but its head is good. */
	put(AGENT_TX, (u8[AGENT_MESSAGE_MAX]){0, 1, 0, 0, AGENT_ABI_VERSION, 0, 99, 0, 77},
	    AGENT_MESSAGE_MAX);
	assert_int_equal(fake_agent.bytes, AGENT_MESSAGE_MAX);
	answered(77, 0);
	told_no_more();
}

/* Half a message is forgotten when the guest closes, and so are answers that it did not read. */
static void test_guest_closes(void **state)
{
	struct agent_head head;

	(void)state;
	send_demand(); /* answered, not read */
	message(&head, AGENT_ACK, sizeof(head));
	put(AGENT_TX, &head, 10);
	control(1, VIRTIO_CONSOLE_PORT_OPEN, 0);
	/* Before it opens it: dropped. */
	send_demand();
	assert_int_equal(fake_used_idx(AGENT_TX), posted[AGENT_TX]);
	(void)offer(AGENT_RX, BUFFER);
	work();
	assert_int_equal(fake_used_idx(AGENT_RX), 0);
	control(1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	work();
	assert_int_equal(fake_used_idx(AGENT_RX), 0);
	send_demand();
	assert_int_equal(fake_agent.count, 2);
	answered(last_seq, 0);
	/* Open twice changes nothing. */
	put(AGENT_TX, &head, 10);
	control(1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	put(AGENT_TX, (u8 *)&head + 10, 6);
	assert_int_equal(fake_agent.count, 3);
	told_no_more();
}

/* What waited in the queue for room is not the beginning of the next stream. */
static void test_closes_under_pressure(void **state)
{
	struct agent_head burst[SIZE];

	(void)state;
	for (u32 i = 0; i < SIZE; i++)
		message(&burst[i], AGENT_ACK, sizeof(burst[i]));
	put(AGENT_TX, burst, sizeof(burst));
	put(AGENT_TX, burst, 7);
	put(AGENT_TX, burst, 9);
	work();
	assert_int_equal(fake_used_idx(AGENT_TX), 0);
	/* The driver waits until the queue could be looked at. */
	fake_later_from = fake_desc_at(AGENT_TX);
	fake_later_to = fake_later_from + 1;
	put(CONTROL_TX,
	    &(struct virtio_console_control){.id = 1, .event = VIRTIO_CONSOLE_PORT_OPEN}, 8);
	put(CONTROL_TX,
	    &(struct virtio_console_control){
		    .id = 1, .event = VIRTIO_CONSOLE_PORT_OPEN, .value = 1},
	    8);
	assert_int_equal(fake_used_idx(CONTROL_TX), posted[CONTROL_TX] - 2);
	fake_later_to = 0;
	work();
	assert_int_equal(fake_used_idx(CONTROL_TX), posted[CONTROL_TX]);
	assert_int_equal(fake_used_idx(AGENT_TX), 3);
	fake_agent.count = 0;
	(void)offer(AGENT_RX, BUFFER);
	send_demand();
	assert_int_equal(fake_agent.count, 1);
	answered(last_seq, 0);
	told_no_more();
}

/* --- events --- */

static void test_events(void **state)
{
	struct agent_head head;
	const u8 *data;

	(void)state;
	/* It waits with the agent's side until there is a buffer. */
	fake_agent_event();
	fake_agent_event();
	work();
	assert_int_equal(fake_agent.sent, 0);
	(void)offer(AGENT_RX, BUFFER);
	assert_int_equal(filled(AGENT_RX, &data), sizeof(struct agent_event));
	memcpy(&head, data, sizeof(head));
	assert_int_equal(head.type, AGENT_EVENT);
	assert_int_equal(head.seq, 1);
	assert_int_equal(fake_agent.sent, 1);
	work();
	(void)offer(AGENT_RX, BUFFER);
	assert_int_equal(filled(AGENT_RX, &data), sizeof(struct agent_event));
	assert_int_equal(fake_agent.sent, 2);
	/* The buffer waits for it. */
	(void)offer(AGENT_RX, BUFFER);
	assert_int_equal(fake_used_idx(AGENT_RX), 2);
	fake_agent_event();
	assert_int_equal(vm.work, 1);
	work();
	assert_int_equal(filled(AGENT_RX, &data), sizeof(struct agent_event));
	/* One that was taken back meanwhile leaves the buffer there. */
	(void)offer(AGENT_RX, BUFFER);
	fake_agent_event();
	fake_agent.events = 0;
	work();
	assert_int_equal(fake_used_idx(AGENT_RX), 3);
	/* Not into a port that is closed; the one that opens it gets it. */
	control(1, VIRTIO_CONSOLE_PORT_OPEN, 0);
	fake_agent_event();
	work();
	assert_int_equal(fake_agent.sent, 3);
	start();
	(void)offer(AGENT_RX, BUFFER);
	assert_int_equal(fake_used_idx(AGENT_RX), 0);
	control(1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	assert_int_equal(filled(AGENT_RX, &data), sizeof(struct agent_event));
	assert_int_equal(fake_agent.sent, 4);
}

/* Answers first, an event behind them. */
static void test_event_behind_answers(void **state)
{
	struct agent_head head;
	const u8 *data;

	(void)state;
	send_demand();
	fake_agent_event();
	work();
	(void)offer(AGENT_RX, BUFFER);
	answered(last_seq, 0);
	(void)offer(AGENT_RX, 8);
	(void)offer(AGENT_RX, BUFFER);
	assert_int_equal(filled(AGENT_RX, &data), 8);
	assert_int_equal(filled(AGENT_RX, &data), sizeof(struct agent_event) - 8);
	memcpy(&head.seq, data, sizeof(head.seq));
	assert_int_equal(head.seq, fake_agent.seq);
	/* A buffer without room would go round for ever. */
	(void)offer(AGENT_RX, 0);
	send_demand();
	assert_int_equal(fake_status(&drv) & BROKEN, BROKEN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_handshake, setup, teardown),
		cmocka_unit_test_setup_teardown(test_told_late, setup, teardown),
		cmocka_unit_test_setup_teardown(test_control_later, setup, teardown),
		cmocka_unit_test_setup_teardown(test_message, setup_open, teardown),
		cmocka_unit_test_setup_teardown(test_every_cut, setup_open, teardown),
		cmocka_unit_test_setup_teardown(test_back_pressure, setup_open, teardown),
		cmocka_unit_test_setup_teardown(test_turns, setup_open, teardown),
		cmocka_unit_test_setup_teardown(test_later, setup_open, teardown),
		cmocka_unit_test_setup_teardown(test_wrong_head, setup_open, teardown),
		cmocka_unit_test_setup_teardown(test_guest_closes, setup_open, teardown),
		cmocka_unit_test_setup_teardown(test_closes_under_pressure, setup_open, teardown),
		cmocka_unit_test_setup_teardown(test_events, setup_open, teardown),
		cmocka_unit_test_setup_teardown(test_event_behind_answers, setup_open, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
