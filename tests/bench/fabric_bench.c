/* SPDX-License-Identifier: MIT */
/*
 * make bench-fabric. "table": goodput on a simulated link of 100 Mbit/s beside a TCP flow that has it alone, and the
 * fabric's share when both have it together. "send" and "receive": a thousand pages in bench_send() and bench_receive(),
 * for callgrind to count (tests/bench/fabric_bench.py).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tern/err.h>

#include "tcp_flow.h"

#define SECOND  1000000ull
#define LINE    12500000ull /* 100 Mbit/s */
#define COUNTED 1000u
#define JITTER \
	200u /* microseconds: no machine answers like clockwork, and a tail drop makes much of small patterns */

void bench_send(struct fake_node *a, u64 tag);
void bench_receive(struct fake_node *b, struct fake_tap *t);
void bench_acked(struct fake_node *a, struct fake_tap *t);

static struct fake_node nodes[2];
static struct fake_link links[2];
static struct fake_road wire;
static struct tcp_flow tcp;

static void set_up(u64 delay_us, u32 queue, u32 loss, u64 seed)
{
	fake_road_init(&wire, seed);
	for (u32 i = 0; i < 2; i++)
		links[i] = (struct fake_link){.rate = LINE,
					      .delay_us = delay_us,
					      .queue = queue,
					      .loss = loss,
					      .jitter_us = JITTER};
	for (u32 i = 0; i < 2; i++)
		fake_node_init(&nodes[i], &wire, 0x0a000001 + i, "key", 1500, 0, false);
	fake_node_join(&nodes[0], &links[0], &nodes[1], &links[1]);
	fake_node_expect(&nodes[1], 4000000);
}

static void tear_down(void)
{
	fake_node_free(&nodes[0]);
	fake_node_free(&nodes[1]);
	fake_road_free(&wire);
}

/* Runs the fabric, TCP or both for a time, in slices so that TCP's timer is looked at. */
static void run(bool fabric, bool with_tcp, u64 us)
{
	u64 end = wire.now + us;

	if (fabric && nodes[0].session == NULL) {
		nodes[0].sent_end = UINT64_MAX;
		nodes[0].session = fabric_connect(&nodes[0].f, wire.now, &nodes[1].address);
	}
	if (with_tcp && tcp.wire == NULL)
		tcp_flow_start(&tcp, &wire, &links[0], &links[1]);
	while (wire.now < end) {
		fake_nodes_run(&nodes[0], &nodes[1], 1000, NULL, 0);
		if (with_tcp)
			(void)tcp_flow_poll(&tcp);
	}
}

static double mbit(u64 bytes, u64 us)
{
	return (double)bytes * 8 / (double)us;
}

static double alone(bool fabric, u64 delay_us, u32 queue, u32 loss)
{
	u64 before;
	double rate;

	set_up(delay_us, queue, loss, 7 + loss);
	memset(&tcp, 0, sizeof(tcp));
	run(fabric, !fabric, 5 * SECOND);
	before = fabric ? nodes[1].filled * 4096 : tcp.received;
	run(fabric, !fabric, 40 * SECOND);
	rate = mbit((fabric ? nodes[1].filled * 4096 : tcp.received) - before, 40 * SECOND);
	tear_down();
	return rate;
}

/* The fabric's part of what both get, in per cent. */
static double together(u64 delay_us, u32 queue, bool fabric_first, double *sum)
{
	u64 pages, bytes;

	set_up(delay_us, queue, 0, 99);
	memset(&tcp, 0, sizeof(tcp));
	run(fabric_first, !fabric_first, 5 * SECOND);
	run(true, true, 15 * SECOND);
	pages = nodes[1].filled;
	bytes = tcp.received;
	run(true, true, 120 * SECOND);
	pages = (nodes[1].filled - pages) * 4096;
	bytes = tcp.received - bytes;
	tear_down();
	*sum = mbit(pages + bytes, 120 * SECOND);
	return 100.0 * (double)pages / (double)(pages + bytes);
}

static void table(void)
{
	static const struct {
		u64 delay_us;
		u32 queue;
	} paths[] = {{100, 64000}, {500, 64000}, {5000, 125000}, {20000, 500000}};

	printf("goodput, Mbit/s, 100 Mbit/s link    fabric     TCP\n");
	for (u32 p = 0; p < ARRAY_SIZE(paths); p++) {
		for (u32 loss = 0; loss <= 50000; loss += loss == 0 ? 10000 : 40000)
			printf("  rtt %5.1f ms, loss %u %%            %6.1f  %6.1f\n",
			       (double)paths[p].delay_us / 500, loss / 10000,
			       alone(true, paths[p].delay_us, paths[p].queue, loss),
			       alone(false, paths[p].delay_us, paths[p].queue, loss));
	}
	printf("share of the fabric beside one TCP flow, 120 s    fabric came first   TCP came first\n");
	for (u32 p = 0; p < ARRAY_SIZE(paths); p++) {
		double sum1, sum2;
		double share1 = together(paths[p].delay_us, paths[p].queue, true, &sum1);
		double share2 = together(paths[p].delay_us, paths[p].queue, false, &sum2);

		printf("  rtt %5.1f ms, queue %6u bytes         %5.1f %% of %5.1f    %5.1f %% of %5.1f\n",
		       (double)paths[p].delay_us / 500, paths[p].queue, share1, sum1, share2, sum2);
	}
}

/* --- what callgrind counts --- */

__attribute__((noinline)) void bench_send(struct fake_node *a, u64 tag)
{
	if (fabric_send_page(a->session, tag, a->pages[tag % FABRIC_PAGES], 4096, a->pages[0]) != 0)
		abort();
	(void)fabric_poll(&a->f, wire.now);
}

__attribute__((noinline)) void bench_receive(struct fake_node *b, struct fake_tap *t)
{
	fabric_input(&b->f, wire.now, &nodes[0].address, t->data, t->len);
	(void)fabric_poll(&b->f, wire.now);
}

__attribute__((noinline)) void bench_acked(struct fake_node *a, struct fake_tap *t)
{
	fabric_input(&a->f, wire.now, &nodes[1].address, t->data, t->len);
}

static void count(void)
{
	set_up(50, 0, 0, 1);
	links[0].rate = links[1].rate = 1250000000;
	nodes[0].session = fabric_connect(&nodes[0].f, wire.now, &nodes[1].address);
	nodes[0].sent_end = 20000; /* until the window is wide */
	if (!fake_nodes_run(&nodes[0], &nodes[1], 10 * SECOND, &nodes[0].acked, 20000))
		abort();
	fake_nodes_run(&nodes[0], &nodes[1], SECOND, NULL, 0);
	fake_node_tap(&nodes[0]);
	fake_node_tap(&nodes[1]);
	nodes[0].other = nodes[1].other = NULL; /* from here on packets are carried by hand */
	for (u32 i = 0, told = 0, acked = 0; i < COUNTED; i++) {
		bench_send(&nodes[0], 20000 + i);
		wire.now += 40;
		for (; told < nodes[0].tapped; told++)
			bench_receive(&nodes[1], &nodes[0].tap[told % FAKE_TAP]);
		wire.now += 40;
		for (; acked < nodes[1].tapped; acked++)
			bench_acked(&nodes[0], &nodes[1].tap[acked % FAKE_TAP]);
	}
	if (nodes[1].filled != 20000 + COUNTED)
		abort();
	printf("%u pages, %u packets, %u acknowledgements\n", COUNTED, nodes[0].tapped,
	       nodes[1].tapped);
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "count") == 0)
		count();
	else
		table();
	return 0;
}
