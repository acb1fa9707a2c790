/* SPDX-License-Identifier: MIT */
/* links: hv/net/fabric.c hv/net/fabric_handshake.c hv/net/fabric_tx.c hv/net/fabric_rx.c hv/net/fabric_loss.c hv/net/fabric_cubic.c hv/net/fabric_mtu.c hv/net/fabric_wire.c hv/net/fabric_crypto.c arch/x86_64/ghash.c tests/fake/fake_fpu.c tests/fake/fake_road.c tests/fake/fake_host.c */
/* libs: -l:libbearssl.a */
/* Two nodes on a simulated wire: handshake, strangers, channels, limits, and links that change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <hv/net/fabric_internal.h>
#include <tern/err.h>
#include <tests/fake/fake_road.h>

#define SECOND 1000000ull
#define MS     1000ull

static struct fake_road wire;
static struct fake_node *a, *b;
static struct fake_link there, back;

static void start(u32 link_mtu, u32 rekey, const char *key_b, bool no_aes_b)
{
	there = back = (struct fake_link){.rate = 125000000, .delay_us = 100, .queue = 500000};
	fake_road_init(&wire, 4711);
	a = malloc(sizeof(*a));
	b = malloc(sizeof(*b));
	assert_true(a != NULL && b != NULL);
	fake_node_init(a, &wire, 0x0a000001, "the node key", link_mtu, rekey, false);
	fake_node_init(b, &wire, 0x0a000002, key_b, link_mtu, rekey, no_aes_b);
	fake_node_join(a, &there, b, &back);
	fake_node_expect(b, 100000);
	fake_node_expect(a, 100000);
	fake_node_tap(a);
	fake_node_tap(b);
}

static void connect_only(void)
{
	a->session = fabric_connect(&a->f, wire.now, &b->address);
	assert_non_null(a->session);
}

static void connected(void)
{
	connect_only();
	fake_nodes_run(a, b, 50 * MS, NULL, 0);
	assert_int_equal(a->ups, 1);
	assert_int_equal(b->ups, 1);
	assert_non_null(b->session);
}

static int setup(void **state)
{
	(void)state;
	start(1500, 0, "the node key", false);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (a->session != NULL)
		fabric_close(a->session);
	fake_nodes_run(a, b, 50 * MS, NULL, 0);
	/* Each place was filled or given back, nothing wrong came. */
	assert_int_equal(a->wrong + b->wrong + a->message_wrong + b->message_wrong, 0);
	fake_node_free(a);
	fake_node_free(b);
	assert_int_equal(b->places, b->filled + b->unfilled);
	free(a);
	free(b);
	fake_road_free(&wire);
	return 0;
}

static void restart(u32 link_mtu, u32 rekey, const char *key_b, bool no_aes_b)
{
	(void)teardown(NULL);
	start(link_mtu, rekey, key_b, no_aes_b);
}

/* Sends more pages and waits until all are there. */
static void pages(u64 count, u64 most_us)
{
	a->sent_end += count;
	assert_true(fake_nodes_run(a, b, most_us, &a->acked, a->sent_end));
	assert_int_equal(b->filled, a->sent_end);
}

static struct fabric_view view(const struct fake_node *n)
{
	struct fabric_view v;

	fabric_session_view(n->session, &v);
	return v;
}

static void test_open(void **state)
{
	struct fabric_view v;

	(void)state;
	connected();
	assert_int_equal(b->f.counts[FABRIC_RX_CHALLENGED], 1);
	assert_int_equal(b->accepts, 1);
	v = view(a);
	assert_true(v.open && v.initiator);
	assert_int_equal(v.peer.addr, 0x0a000002);
	assert_int_equal(v.cipher,
			 fabric_crypto_ciphers() & 1 ? FABRIC_AES_GCM : FABRIC_CHACHA_POLY1305);
	v = view(b);
	assert_true(v.open && !v.initiator);
	assert_int_equal(fabric_view(&b->f, b->session->id % FABRIC_SESSIONS, &v), true);
	assert_int_equal(fabric_view(&b->f, (b->session->id + 1) % FABRIC_SESSIONS, &v), false);
	fabric_set_user(a->session, a);
	assert_ptr_equal(fabric_user(a->session), a);
	pages(100, SECOND);
	fabric_close(a->session);
	fake_nodes_run(a, b, 10 * MS, NULL, 0);
	assert_int_equal(a->downs, 1);
	assert_int_equal(b->downs, 1);
	assert_int_equal(b->why, FABRIC_CLOSED);
	assert_int_equal(a->allocated + b->allocated, 0);
	/* Without AES on one side. */
	restart(1500, 0, "the node key", true);
	connected();
	assert_int_equal(view(a).cipher, FABRIC_CHACHA_POLY1305);
	pages(100, SECOND);
}

/* Whatever is lost of the handshake, it is done in the end, once. */
static void test_open_lossy(void **state)
{
	(void)state;
	for (u64 seed = 1; seed < 20; seed++) {
		restart(1500, 0, "the node key", false);
		wire.random += seed * 0x123456789;
		there.loss = back.loss = 300000;
		there.duplicate = back.duplicate = 300000;
		connect_only();
		fake_nodes_run(a, b, 19 * SECOND, NULL, 0);
		assert_int_equal(a->ups, 1);
		assert_int_equal(b->ups, 1);
		assert_int_equal(b->f.session_count, 1);
		there.loss = back.loss = 0;
	}
}

static void test_wrong_key(void **state)
{
	(void)state;
	restart(1500, 0, "another key", false);
	connect_only();
	fake_nodes_run(a, b, 30 * SECOND, NULL, 0);
	assert_int_equal(a->downs, 1);
	assert_int_equal(a->why, FABRIC_TIMED_OUT);
	assert_true(a->tapped > 5);
	assert_int_equal(b->tapped, 0); /* not a word */
	assert_int_equal(b->accepts, 0);
	assert_int_equal(b->allocated, 0);
	assert_int_equal(b->f.counts[FABRIC_RX_BAD_MAC], a->tapped);
	assert_int_equal(b->f.seen_next, 0);
	/* Nor does it believe answers of who has another key. */
	connect_only();
	{
		u8 fake[CHALLENGE_LEN] = {WIRE_CHALLENGE},
		   response[RESPONSE_LEN] = {WIRE_RESPONSE, 1};

		wire_put32(fake + CHALLENGE_ID, a->session->id);
		wire_put32(response + RESPONSE_TO, a->session->id);
		wire_put32(response + RESPONSE_ID, 5);
		fake_node_receive(a, &b->address, fake, sizeof(fake));
		fake_node_receive(a, &b->address, response, sizeof(response));
		assert_int_equal(a->f.counts[FABRIC_RX_BAD_MAC], 2);
		assert_int_equal(a->session->state, SESSION_INIT);
	}
}

static void test_not_accepted(void **state)
{
	(void)state;
	b->refuse = true;
	connect_only();
	fake_nodes_run(a, b, 2 * SECOND, NULL, 0);
	assert_true(b->f.counts[FABRIC_RX_FULL] > 0);
	assert_int_equal(b->allocated, 0);
	b->refuse = false;
	b->no_memory = true;
	fake_nodes_run(a, b, 4 * SECOND, NULL, 0);
	assert_int_equal(b->ups, 0);
	b->no_memory = false;
	fake_nodes_run(a, b, 8 * SECOND, NULL, 0);
	assert_int_equal(b->ups, 1);
	/* Who is refused for ever hears it from nobody, and gives up. */
	restart(1500, 0, "the node key", false);
	b->refuse = true;
	connect_only();
	fake_nodes_run(a, b, 21 * SECOND, NULL, 0);
	assert_int_equal(a->downs, 1);
	a->no_memory = true;
	assert_null(fabric_connect(&a->f, wire.now, &b->address));
}

/* Noise of all kinds: no answer, no state, and pages go on. */
static void test_garbage(void **state)
{
	u8 p[1472];
	s64 allocated;

	(void)state;
	connected();
	allocated = b->allocated;
	b->tapped = 0;
	for (u32 i = 0; i < 60000; i++) {
		u32 len = fake_road_random(&wire) % sizeof(p), kind = i % 8;
		static const u32 lengths[] = {0, INIT_LEN, CHALLENGE_LEN, RESPONSE_LEN};

		for (u32 k = 0; k < len; k += 4)
			wire_put32(p + (k < sizeof(p) - 4 ? k : 0), fake_road_random(&wire));
		if (kind >= 1 && kind <= 3)
			len = lengths[kind];
		if (kind >= 1 && kind <= 4)
			p[0] = (u8)(WIRE_VERSION | kind);
		if (kind >= 1 && kind <= 4)
			p[2] = p[3] = 0;
		if (kind == 1)
			wire_put32(p + INIT_ZERO2, 0);
		if (kind == 3)
			wire_put32(p + RESPONSE_ZERO2, 0);
		if (kind == 4 &&
		    len >= DATA_EXTRA + 1) { /* a right id, a good number, and no key */
			p[1] = (u8)(i % 3 - 1);
			wire_put32(p + DATA_TO, b->session->id);
			wire_put64(p + DATA_NUMBER, i);
		}
		fake_node_receive(b,
				  i / 8 % 2 ? &a->address : &(struct fabric_peer){0x0a000009, 7837},
				  p, len);
		if (i % 100 == 0)
			fake_nodes_run(a, b, 10, NULL, 0);
	}
	assert_int_equal(b->tapped, 0);
	assert_int_equal(b->allocated, allocated);
	assert_int_equal(b->f.session_count, 1);
	assert_int_equal(b->downs, 0);
	assert_true(b->f.counts[FABRIC_RX_FORGED] > 1000);
	assert_true(b->f.counts[FABRIC_RX_STRANGER] > 1000);
	assert_true(b->f.counts[FABRIC_RX_BAD] > 10000);
	/* The MACs of forged INITs are checked up to a limit. */
	assert_int_equal(b->f.counts[FABRIC_RX_BAD_MAC], 1998); /* and two good ones */
	assert_true(b->f.counts[FABRIC_RX_LIMITED] > 1000);
	assert_int_equal(b->f.seen_next, 2); /* those of the session's beginning */
	pages(1000, SECOND);
}

/* All that was ever said is said again, by everybody: nothing comes of it. */
static void test_replay(void **state)
{
	struct fabric_peer other = {0x0a000009, FABRIC_PORT};
	u64 rx_pages;
	u32 said;

	(void)state;
	connected();
	pages(200, SECOND);
	assert_int_equal(fabric_send_message(a->session, "\0", 2), 0);
	fake_nodes_run(a, b, 50 * MS, NULL, 0);
	said = a->tapped;
	assert_in_range(said, 500, FAKE_TAP);
	rx_pages = view(b).rx_pages;
	b->tapped = 0;
	for (u32 i = 0; i < said; i++) {
		fake_node_receive(b, &a->address, a->tap[i].data, a->tap[i].len);
		fake_node_receive(b, &other, a->tap[i].data, a->tap[i].len);
		(void)fabric_poll(&b->f, wire.now);
	}
	assert_int_equal(b->tapped, 0);
	assert_int_equal(b->messages, 1);
	assert_int_equal(view(b).rx_pages, rx_pages);
	assert_int_equal(b->f.session_count, 1);
	pages(100, SECOND);
	/* After the session's end too. */
	fabric_close(a->session);
	fake_nodes_run(a, b, 50 * MS, NULL, 0);
	assert_int_equal(b->f.session_count, 0);
	b->tapped = 0;
	for (u32 i = 0; i < said; i++)
		fake_node_receive(b, &a->address, a->tap[i].data, a->tap[i].len);
	assert_int_equal(b->tapped, 0);
	assert_int_equal(b->f.session_count, 0);
	assert_int_equal(b->allocated, 0);
}

/* A cookie proves an address: taken to another one it is worth nothing. */
static void test_cookie(void **state)
{
	struct fabric_peer other = {0x0a000009, FABRIC_PORT};
	struct fake_tap second;

	(void)state;
	connect_only();
	there.cut_from = wire.now + 150; /* the first INIT passes, the second does not */
	there.cut_to = UINT64_MAX;
	fake_nodes_run(a, b, 10 * MS, NULL, 0);
	assert_int_equal(a->tapped, 2);
	assert_int_equal(b->tapped, 1);
	assert_int_equal(b->tap[0].len, CHALLENGE_LEN);
	second = a->tap[1];
	assert_true(wire_get64(second.data + INIT_COOKIE) != 0);
	fake_node_receive(b, &other, second.data, second.len);
	assert_int_equal(b->f.session_count, 0);
	assert_int_equal(b->f.counts[FABRIC_RX_CHALLENGED], 2);
	/* It is burnt now, but the initiator has more attempts. */
	fake_node_receive(b, &a->address, second.data, second.len);
	assert_int_equal(b->f.session_count, 0);
	assert_int_equal(b->f.counts[FABRIC_RX_SEEN], 1);
	there.cut_to = 0;
	fake_nodes_run(a, b, SECOND, NULL, 0);
	assert_int_equal(b->ups, 1);
	/* Cookies grow old. */
	restart(1500, 0, "the node key", false);
	connect_only();
	there.cut_from = wire.now + 150;
	there.cut_to = UINT64_MAX;
	fake_nodes_run(a, b, 10 * MS, NULL, 0);
	second = a->tap[1];
	wire.now += 61 * SECOND;
	fabric_handshake_cookies(&b->f, wire.now);
	assert_true(fabric_handshake_cookie_good(&b->f, &a->address, second.data));
	wire.now += 61 * SECOND;
	fabric_handshake_cookies(&b->f, wire.now);
	assert_false(fabric_handshake_cookie_good(&b->f, &a->address, second.data));
}

/* A session that its initiator does not confirm is gone after 10 s; its user never hears of it. */
static void test_half_open(void **state)
{
	(void)state;
	connect_only();
	back.cut_from = wire.now + 250; /* the CHALLENGE passes, the RESPONSE does not */
	back.cut_to = UINT64_MAX;
	fake_nodes_run(a, b, 100 * MS, NULL, 0);
	assert_int_equal(b->f.session_count, 1);
	fake_nodes_run(a, b, 5 * SECOND, NULL, 0);
	assert_int_equal(b->f.session_count, 1); /* however often it is asked */
	fake_nodes_run(a, b, 20 * SECOND, NULL, 0);
	assert_int_equal(b->f.session_count, 0);
	assert_int_equal(b->ups + b->downs, 0);
	assert_int_equal(a->downs, 1);
}

static void test_rekey(void **state)
{
	(void)state;
	restart(1500, 16, "the node key", false);
	there.loss = back.loss = 20000;
	there.reorder = back.reorder = 100000;
	there.duplicate = 50000;
	connected();
	pages(3000, 60 * SECOND);
	assert_true(view(a).tx_generation > 256); /* more than the byte on the wire holds */
	assert_in_range(view(b).rx_generation, view(a).tx_generation - 1, view(a).tx_generation);
	/* What comes two generations late is lost. */
	assert_in_range(b->f.counts[FABRIC_RX_FORGED], 0, 20);
	/* An hour is enough without packets too. */
	restart(1500, 0, "the node key", false);
	connected();
	fake_nodes_run(a, b, 3700 * SECOND, NULL, 0);
	assert_int_equal(view(a).tx_generation, 1);
	assert_int_equal(view(b).tx_generation, 1);
	pages(100, SECOND);
}

static int say(struct fake_node *n, u64 number, u32 len)
{
	static u8 text[FABRIC_MESSAGE_MAX];

	fake_page_fill(number, text, len);
	return fabric_send_message(n->session, text, len);
}

/* Messages of all sizes come in order, beside pages, whatever the link does. */
static void test_messages(void **state)
{
	static const u32 sizes[] = {1, 5, 64, 4095, 4096, 4097, 8192, 65535, 65536, 100};
	u64 said = 0;

	(void)state;
	there.loss = back.loss = 50000;
	there.reorder = 100000;
	there.duplicate = 50000;
	connect_only();
	a->sent_end = 2000;
	while (said < 200) {
		assert_non_null(a->session);
		if (say(a, said, sizes[said % 10]) == 0)
			said++;
		else
			fake_nodes_run(a, b, 10 * MS, NULL, 0);
	}
	assert_true(fake_nodes_run(a, b, 60 * SECOND, &b->messages, 200));
	assert_true(fake_nodes_run(a, b, 60 * SECOND, &a->acked, 2000));
	assert_int_equal(view(b).rx_messages, 200);
	/* The other way, at the same time nothing. */
	for (u32 i = 0; i < 32; i++)
		assert_int_equal(say(b, i, 10), 0);
	assert_int_equal(say(b, 32, 10), -TERN_EAGAIN);
	assert_true(fake_nodes_run(a, b, 10 * SECOND, &a->messages, 32));
}

/* A user that takes no messages holds the sender, and loses none. */
static void test_held_messages(void **state)
{
	u64 said = 0;

	(void)state;
	connected();
	b->hold_messages = true;
	for (u32 i = 0; i < 50; i++) {
		while (say(a, said, 40000) == 0)
			said++;
		fake_nodes_run(a, b, 100 * MS, NULL, 0);
	}
	assert_in_range(said, 3, 12);
	assert_int_equal(b->messages, 0);
	b->hold_messages = false;
	fabric_resume(b->session);
	assert_in_range(b->messages, 3, 5); /* what was whole */
	assert_true(fake_nodes_run(a, b, SECOND, &b->messages, said));
	pages(10, SECOND);
}

static void test_flow(void **state)
{
	u64 packets;

	(void)state;
	b->allow = 10;
	a->sent_end = 50;
	connected();
	fake_nodes_run(a, b, SECOND, NULL, 0);
	assert_int_equal(b->filled, 10);
	assert_int_equal(b->f.counts[FABRIC_RX_REFUSED], 0);
	packets = view(a).tx_packets;
	fake_nodes_run(a, b, 10 * SECOND, NULL, 0);
	assert_in_range(view(a).tx_packets - packets, 90, 110); /* it asks, and not often */
	fabric_allow_pages(b->session, 30);
	fake_nodes_run(a, b, 10 * MS, NULL, 0);
	assert_int_equal(b->filled, 30);
	/* The word that it may send more is lost: it asks. */
	back.cut_from = wire.now;
	back.cut_to = wire.now + 500;
	fabric_allow_pages(b->session, 50);
	fake_nodes_run(a, b, SECOND, NULL, 0);
	assert_int_equal(b->filled, 50);
	/* No place at the moment: they come again. */
	fabric_allow_pages(b->session, UINT64_MAX);
	fake_nodes_run(a, b, 10 * MS, NULL, 0);
	b->no_place = true;
	a->sent_end = 60;
	fake_nodes_run(a, b, 200 * MS, NULL, 0);
	assert_true(b->f.counts[FABRIC_RX_REFUSED] > 0);
	assert_int_equal(b->filled, 50);
	b->no_place = false;
	assert_true(fake_nodes_run(a, b, 5 * SECOND, &a->acked, 60));
	/* No more than the window is open at once. */
	b->no_place = true;
	a->sent_end = 5000;
	fake_nodes_run(a, b, SECOND, NULL, 0);
	assert_int_equal(a->sent_next - a->acked, FABRIC_PAGES);
	b->no_place = false;
	assert_true(fake_nodes_run(a, b, 60 * SECOND, &a->acked, 5000));
}

/* What is open when a session ends comes back to its owner. */
static void test_end(void **state)
{
	(void)state;
	connected();
	there.loss = 500000;
	a->sent_end = 900;
	fake_nodes_run(a, b, 3 * MS, NULL, 0);
	assert_true(a->acked < a->sent_next);
	fabric_close(b->session);
	there.loss = 0;
	fake_nodes_run(a, b, 10 * MS, NULL, 0);
	assert_int_equal(a->downs, 1);
	assert_int_equal(b->downs, 1);
	assert_int_equal(a->acked + a->failed, 900);
	assert_true(a->failed > 0 && b->unfilled > 0);
	assert_int_equal(b->places, b->filled + b->unfilled);
}

static void test_small_pages(void **state)
{
	u64 packets;

	(void)state;
	connected();
	a->page_len = 300;
	packets = view(a).tx_packets;
	pages(4000, 10 * SECOND);
	/* Four to a packet. */
	assert_in_range(view(a).tx_packets - packets, 1000, 1150);
}

static void test_mtu(void **state)
{
	(void)state;
	restart(9000, 0, "the node key", false);
	connected();
	fake_nodes_run(a, b, SECOND, NULL, 0);
	pages(1000, SECOND);
	assert_int_equal(view(a).mtu, 9000);
	assert_int_equal(view(b).mtu, 9000);
	/* The path gets narrower in the middle: it is noticed, and found out again. */
	there.mtu = 1500;
	pages(1000, 10 * SECOND);
	assert_int_equal(view(a).mtu, 1500);
	pages(1000, 10 * SECOND);
	assert_int_equal(view(a).mtu, 1500);
	assert_int_equal(a->downs + b->downs, 0);
	/* And wider: after ten minutes. */
	there.mtu = 0;
	fake_nodes_run(a, b, 660 * SECOND, NULL, 0);
	pages(100, SECOND);
	assert_int_equal(view(a).mtu, 9000);
	restart(1492, 0, "the node key", false);
	there.mtu = 1300;
	connected();
	pages(1000, SECOND);
	assert_int_equal(view(a).mtu, 1280);
	there.mtu = 0;
	fake_nodes_run(a, b, 660 * SECOND, NULL, 0);
	assert_int_equal(view(a).mtu, 1492);
}

static void test_limit(void **state)
{
	u64 began, bytes;

	(void)state;
	connected();
	pages(1000, SECOND);
	for (u64 limit = 500000; limit <= 8000000; limit *= 4) {
		fabric_set_limit(a->session, limit);
		a->sent_end = 90000;
		bytes = view(a).tx_bytes;
		began = wire.now;
		fake_nodes_run(a, b, 2 * SECOND, NULL, 0);
		bytes = (view(a).tx_bytes - bytes) * SECOND / (wire.now - began);
		assert_in_range(bytes, limit * 95 / 100, limit * 103 / 100);
	}
	/* From very slow to no limit, at once. */
	fabric_set_limit(a->session, 1);
	fake_nodes_run(a, b, 5 * SECOND, NULL, 0);
	bytes = view(a).tx_bytes;
	fake_nodes_run(a, b, 5 * SECOND, NULL, 0);
	assert_in_range(view(a).tx_bytes - bytes, 0, 15000);
	fabric_set_limit(a->session, 0);
	bytes = view(a).tx_bytes;
	fake_nodes_run(a, b, 500 * MS, NULL, 0);
	assert_true(view(a).tx_bytes - bytes > 10000000);
}

static void test_keep_alive(void **state)
{
	u64 packets;

	(void)state;
	connected();
	fake_nodes_run(a, b, SECOND, NULL, 0);
	packets = view(a).tx_packets;
	fake_nodes_run(a, b, 300 * SECOND, NULL, 0);
	assert_int_equal(a->downs + b->downs, 0);
	assert_in_range(view(a).tx_packets - packets, 55, 130);
	there.cut_from = back.cut_from = wire.now;
	there.cut_to = back.cut_to = wire.now + 55 * SECOND;
	fake_nodes_run(a, b, 100 * SECOND, NULL, 0);
	assert_int_equal(a->downs + b->downs, 0);
	pages(100, SECOND);
	there.cut_to = back.cut_to = UINT64_MAX;
	a->sent_end += 100;
	fake_nodes_run(a, b, 61 * SECOND, NULL, 0);
	assert_int_equal(a->downs, 1);
	assert_int_equal(a->why, FABRIC_TIMED_OUT);
	assert_int_equal(b->why, FABRIC_TIMED_OUT);
	assert_int_equal(a->allocated + b->allocated, 0);
}

/* The link is cut at every moment of a transfer: it goes on when the link does, without waste. */
static void test_cuts(void **state)
{
	(void)state;
	for (u64 at = 0; at < 40; at++) {
		restart(1500, 0, "the node key", false);
		there.rate = back.rate = 12500000;
		there.cut_from = wire.now + at * 7 * MS;
		there.cut_to = there.cut_from + 10 * SECOND;
		if (at % 2 != 0) {
			back.cut_from = there.cut_from;
			back.cut_to = there.cut_to;
		}
		connect_only();
		pages(1000, 14 * SECOND);
		assert_in_range(view(a).tx_packets, 2950, 4100);
	}
}

static void test_many_sessions(void **state)
{
	struct fabric_session *s[FABRIC_SESSIONS];

	(void)state;
	for (u32 i = 0; i < FABRIC_SESSIONS; i++) {
		s[i] = fabric_connect(&a->f, wire.now, &b->address);
		assert_non_null(s[i]);
	}
	assert_null(fabric_connect(&a->f, wire.now, &b->address));
	fake_nodes_run(a, b, 2 * SECOND, NULL, 0);
	assert_int_equal(a->ups, FABRIC_SESSIONS);
	assert_int_equal(b->ups, FABRIC_SESSIONS);
	/* Pages through all of them. */
	for (u32 i = 0; i < FABRIC_SESSIONS; i++) {
		fake_page_fill(i, a->pages[i], 4096);
		assert_int_equal(fabric_send_page(s[i], i, a->pages[i], 4096, a->pages[i]), 0);
	}
	assert_true(fake_nodes_run(a, b, SECOND, &a->acked, FABRIC_SESSIONS));
	/* One that is closed makes place for one. */
	fabric_close(s[7]);
	fake_nodes_run(a, b, 10 * MS, NULL, 0);
	assert_int_equal(a->downs + b->downs, 2);
	a->session = fabric_connect(&a->f, wire.now, &b->address);
	assert_non_null(a->session);
	assert_null(fabric_connect(&a->f, wire.now, &b->address));
	fake_nodes_run(a, b, SECOND, NULL, 0);
	assert_int_equal(a->ups, FABRIC_SESSIONS + 1);
}

/* The NIC has no buffer for a while. */
static void test_stall(void **state)
{
	(void)state;
	connected();
	a->sent_end = 500;
	fake_nodes_run(a, b, MS, NULL, 0);
	a->no_buffer = b->no_buffer = true;
	fake_nodes_run(a, b, SECOND, NULL, 0);
	assert_true(a->f.counts[FABRIC_TX_STALLED] > 10 && a->f.counts[FABRIC_TX_STALLED] < 5000);
	a->no_buffer = b->no_buffer = false;
	assert_true(fake_nodes_run(a, b, SECOND, &a->acked, 500));
}

/* A peer that has the key and does not keep to the protocol: its session ends, nothing else happens. */
static void say_frames(const u8 *frames, u32 len)
{
	u8 p[1500] = {0};

	wire_put32(p, WIRE_DATA | (u32)a->session->tx.generation << 8);
	wire_put32(p + DATA_TO, b->session->id);
	wire_put64(p + DATA_NUMBER, a->session->number);
	memcpy(p + DATA_HEADER, frames, len);
	fabric_crypto_seal(&a->session->tx.key, a->session->number++, p, len);
	fake_node_receive(b, &a->address, p, len + DATA_EXTRA);
}

static void piece(u8 *p, u8 type, u8 unit, u32 len, u32 total, u64 number, u64 tag)
{
	memset(p, 0, PIECE_HEADER + 64);
	p[0] = type;
	p[PIECE_UNIT] = unit;
	wire_put16(p + PIECE_LEN, len);
	wire_put16(p + PIECE_TOTAL, total);
	wire_put64(p + PIECE_NUMBER, number);
	wire_put64(p + PIECE_TAG, tag);
}

static void test_protocol(void **state)
{
	u8 p[256];

	(void)state;
	connected();
	/* Invalid frames: counted, without effect. */
	for (u32 type = 6; type < 256; type++) {
		memset(p, 0, sizeof(p));
		p[0] = (u8)type;
		say_frames(p, 100);
	}
	piece(p, FRAME_PAGE, 0, 65, 4096, 0, 0); /* not whole units */
	say_frames(p, 24 + 65);
	piece(p, FRAME_PAGE, 63, 64, 4032, 0, 0); /* behind the end */
	say_frames(p, 24 + 64);
	piece(p, FRAME_PAGE, 0, 64, 4097, 0, 0);
	say_frames(p, 24 + 64);
	piece(p, FRAME_PAGE, 0, 64, 64, 0, 0); /* more than there is */
	say_frames(p, 24 + 63);
	piece(p, FRAME_CONTROL, 0, 64, 64, 0, 2);
	say_frames(p, 24 + 64);
	assert_int_equal(b->f.counts[FABRIC_RX_INVALID], 250 + 5);
	assert_int_equal(b->places, 0);
	/* A page beyond the window, again and again: refused. */
	piece(p, FRAME_PAGE, 0, 64, 4096, FABRIC_PAGES, 0);
	say_frames(p, 24 + 64);
	piece(p, FRAME_PAGE, 0, 64, 4096, UINT64_MAX, 0);
	say_frames(p, 24 + 64);
	assert_int_equal(b->f.counts[FABRIC_RX_REFUSED], 2);
	assert_int_equal(b->downs, 0);
	/* One page, two lengths. */
	piece(p, FRAME_PAGE, 0, 64, 4096, 3, 9);
	say_frames(p, 24 + 64);
	assert_int_equal(b->places, 1);
	piece(p, FRAME_PAGE, 1, 64, 2048, 3, 9);
	say_frames(p, 24 + 64);
	fake_nodes_run(a, b, MS, NULL, 0);
	assert_int_equal(b->why, FABRIC_BROKEN);
	assert_int_equal(b->unfilled, 1);
	/* It acknowledges what was never sent. */
	restart(1500, 0, "the node key", false);
	connected();
	memset(p, 0, sizeof(p));
	p[0] = FRAME_ACK;
	p[ACK_COUNT] = 1;
	wire_put64(p + ACK_LARGEST, 1000000);
	wire_put32(p + ACK_RANGES, 1);
	say_frames(p, 40);
	fake_nodes_run(a, b, MS, NULL, 0);
	assert_int_equal(b->downs, 1);
	assert_int_equal(b->why, FABRIC_BROKEN);
	/* A message without an end. */
	restart(1500, 0, "the node key", false);
	connected();
	for (u32 i = 0; i < 1025; i++) {
		piece(p, FRAME_CONTROL, 0, 64, 64, i, 0);
		say_frames(p, 24 + 64);
	}
	fake_nodes_run(a, b, MS, NULL, 0);
	assert_int_equal(b->why, FABRIC_BROKEN);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_open),          TEST(test_open_lossy),    TEST(test_wrong_key),
		TEST(test_not_accepted),  TEST(test_garbage),       TEST(test_replay),
		TEST(test_cookie),        TEST(test_half_open),     TEST(test_rekey),
		TEST(test_messages),      TEST(test_held_messages), TEST(test_flow),
		TEST(test_end),           TEST(test_small_pages),   TEST(test_mtu),
		TEST(test_limit),         TEST(test_keep_alive),    TEST(test_cuts),
		TEST(test_many_sessions), TEST(test_stall),         TEST(test_protocol),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
