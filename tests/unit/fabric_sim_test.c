/* SPDX-License-Identifier: MIT */
/* links: hv/net/fabric.c hv/net/fabric_handshake.c hv/net/fabric_tx.c hv/net/fabric_rx.c hv/net/fabric_loss.c hv/net/fabric_cubic.c hv/net/fabric_mtu.c hv/net/fabric_wire.c hv/net/fabric_crypto.c arch/x86_64/ghash.c tests/fake/fake_fpu.c tests/fake/fake_road.c tests/fake/fake_host.c */
/* libs: -l:libbearssl.a */
/* 256 MiB of pages over good and bad links, in simulated time: each page arrives once, byte for byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <tests/fake/fake_road.h>

#define SECOND 1000000ull
#define PAGES  65536u /* 256 MiB */

static const struct fake_link mbit100 = {.rate = 12500000, .delay_us = 500, .queue = 64000};

static void transfer(struct fake_link link, u64 pages, u64 cut_after_us, u64 most_us)
{
	struct fake_link there = link, back = link;
	struct fake_node *a = malloc(sizeof(*a)), *b = malloc(sizeof(*b));
	struct fake_road w;
	struct fabric_view v;
	u64 began;

	assert_true(a != NULL && b != NULL);
	fake_road_init(&w, pages + link.loss);
	there.cut_from = back.cut_from = w.now + cut_after_us;
	there.cut_to = back.cut_to = there.cut_from + (cut_after_us != 0 ? 10 * SECOND : 0);
	fake_node_init(a, &w, 0x0a000001, "the key", 1500, 0, false);
	fake_node_init(b, &w, 0x0a000002, "the key", 1500, 0, false);
	fake_node_join(a, &there, b, &back);
	fake_node_expect(b, pages);
	a->session = fabric_connect(&a->f, w.now, &b->address);
	assert_non_null(a->session);
	a->sent_end = pages;
	began = w.now;
	assert_true(fake_nodes_run(a, b, most_us, &a->acked, pages));
	assert_int_equal(b->filled, pages);
	assert_int_equal(b->wrong + b->unfilled + a->failed, 0);
	assert_int_equal(b->places, pages);
	assert_int_equal(a->downs + b->downs, 0);
	fabric_session_view(a->session, &v);
	/* It is not for luck that it gets through: few packets are sent without need. */
	assert_in_range(v.lost, 0, (there.lost + there.full) * 2 + 100);
	print_message("%lu ms, %lu packets, %lu lost, %lu wrongly, %lu probes\n",
		      (w.now - began) / 1000, v.tx_packets, v.lost, v.spurious, v.probes);
	fake_node_free(a);
	fake_node_free(b);
	free(a);
	free(b);
	fake_road_free(&w);
}

static void test_good(void **state)
{
	(void)state;
	transfer(mbit100, PAGES, 0, 40 * SECOND);
}

static void test_loss_1(void **state)
{
	struct fake_link l = mbit100;

	(void)state;
	l.loss = 10000;
	l.reorder = 10000;
	l.duplicate = 10000;
	l.corrupt = 1000;
	transfer(l, PAGES, 0, 60 * SECOND);
}

static void test_loss_5_and_cut(void **state)
{
	struct fake_link l = mbit100;

	(void)state;
	l.loss = 50000;
	l.reorder = 50000;
	l.duplicate = 20000;
	l.corrupt = 5000;
	transfer(l, PAGES, 5 * SECOND, 200 * SECOND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_loss_1),
		cmocka_unit_test(test_loss_5_and_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
