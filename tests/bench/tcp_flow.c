/* SPDX-License-Identifier: MIT */
/* Written from RFC 5681, 6298, 6675 and 9438, in floating point, apart from the fabric's code: it is the judge. */
#include "tcp_flow.h"

#include <math.h>
#include <string.h>

enum { NOT_SENT, FLYING, SACKED, LOST };

#define SACK_BITS 1024u
#define DUP       3u

struct ack {
	u64 expected, echo; /* echo: when the packet that caused it was sent */
	u8 bits[SACK_BITS / 8];
};

static double seconds(const struct tcp_flow *t)
{
	return (double)t->wire->now / 1e6;
}

static void arm(struct tcp_flow *t)
{
	double rto = fmax(0.2, t->srtt + 4 * t->rttvar) * (double)(1u << t->backoff);

	t->timer = t->una < t->next ? t->wire->now + (u64)(rto * 1e6) : UINT64_MAX;
}

static void ack_arrives(void *ctx, const struct fabric_peer *from, u8 *data, u32 len);

struct segment {
	u64 number, sent;
	u8 rest[TCP_MSS + 12 - 16];
};

/* 1448 bytes and 12 of options: with headers an IPv4 packet of 1500, as fake_link counts 28. */
static void segment_arrives(void *ctx, const struct fabric_peer *from, u8 *data, u32 len)
{
	struct tcp_flow *t = ctx;
	struct segment s;
	struct ack a;

	(void)len;
	memcpy(&s, data, sizeof(s));
	if (s.number >= t->expected && s.number < t->expected + TCP_WINDOW)
		t->have[s.number % TCP_WINDOW] = 1;
	bool in_order = s.number == t->expected;

	while (t->have[t->expected % TCP_WINDOW]) {
		t->have[t->expected % TCP_WINDOW] = 0;
		t->expected++;
		t->received += TCP_MSS;
	}
	if (in_order && ++t->unacked < 2)
		return; /* every second; the flow never ends, so no timer is needed */
	t->unacked = 0;
	memset(&a, 0, sizeof(a));
	a.expected = t->expected;
	a.echo = s.sent;
	for (u32 i = 0; i < SACK_BITS; i++) {
		if (t->have[(t->expected + i) % TCP_WINDOW])
			a.bits[i / 8] |= (u8)(1u << i % 8);
	}
	fake_road_send(t->wire, t->back, ack_arrives, t, from, (u8 *)&a, sizeof(a));
}

static void transmit(struct tcp_flow *t, u64 n)
{
	struct fabric_peer nobody = {0};
	struct segment s = {.number = n, .sent = t->wire->now};

	t->packets[n % TCP_WINDOW].order = t->order++;
	t->packets[n % TCP_WINDOW].sent = t->wire->now;
	t->packets[n % TCP_WINDOW].state = FLYING;
	t->flying++;
	/* 12 bytes less than UDP's 28: TCP's header of 32 bytes in place of UDP's 8. */
	fake_road_send(t->wire, t->there, segment_arrives, t, &nobody, (u8 *)&s, sizeof(s) + 12);
}

static void shrink(struct tcp_flow *t)
{
	t->w_max = t->cwnd < t->w_max ? t->cwnd * 0.85 : t->cwnd;
	t->ssthresh = t->cwnd = fmax(2, t->cwnd * 0.7);
	t->epoch = 0;
	t->recovery = t->order;
}

static void grow(struct tcp_flow *t, double acked)
{
	double target, time;

	if (t->cwnd < t->ssthresh) {
		t->cwnd += acked;
		return;
	}
	if (t->epoch == 0) {
		t->epoch = seconds(t);
		t->w_est = t->cwnd;
		t->k = t->cwnd < t->w_max ? cbrt((t->w_max - t->cwnd) / 0.4) : 0;
		if (t->cwnd >= t->w_max)
			t->w_max = t->cwnd;
	}
	time = seconds(t) - t->epoch + t->srtt;
	target = fmin(0.4 * pow(time - t->k, 3) + t->w_max, 1.5 * t->cwnd);
	t->w_est += (t->w_est < t->w_max ? 9.0 / 17 : 1) * acked / t->cwnd;
	if (target > t->cwnd)
		t->cwnd += (target - t->cwnd) / t->cwnd * acked;
	t->cwnd = fmax(t->cwnd, t->w_est);
}

static void send_more(struct tcp_flow *t)
{
	for (u64 n = t->una; n < t->next && (double)t->flying < t->cwnd; n++) {
		if (t->packets[n % TCP_WINDOW].state == LOST)
			transmit(t, n);
	}
	while ((double)t->flying < t->cwnd && t->next - t->una < TCP_WINDOW / 2)
		transmit(t, t->next++);
	if (t->timer == UINT64_MAX)
		arm(t);
}

static void one_acked(struct tcp_flow *t, u64 n, double *acked)
{
	u8 *state = &t->packets[n % TCP_WINDOW].state;

	if (*state == SACKED)
		return;
	if (*state == FLYING)
		t->flying--;
	if (t->packets[n % TCP_WINDOW].order > t->newest_order)
		t->newest_order = t->packets[n % TCP_WINDOW].order;
	*state = SACKED;
	*acked += 1;
}

static void ack_arrives(void *ctx, const struct fabric_peer *from, u8 *data, u32 len)
{
	struct tcp_flow *t = ctx;
	double acked = 0, rtt;
	bool lost = false;
	struct ack a;

	(void)from;
	(void)len;
	memcpy(&a, data, sizeof(a));
	for (u64 n = t->una; n < a.expected && n < t->next; n++)
		one_acked(t, n, &acked);
	for (u64 n = 0; n < SACK_BITS && a.expected + n < t->next; n++) {
		if (a.expected + n >= t->una && (a.bits[n / 8] >> n % 8 & 1) != 0)
			one_acked(t, a.expected + n, &acked);
	}
	if (a.expected > t->una) {
		t->una = a.expected;
		t->backoff = 0;
		arm(t);
	}
	rtt = (double)(t->wire->now - a.echo) / 1e6;
	if (t->srtt == 0) {
		t->srtt = rtt;
		t->rttvar = rtt / 2;
	}
	t->rttvar = 0.75 * t->rttvar + 0.25 * fabs(t->srtt - rtt);
	t->srtt = 0.875 * t->srtt + 0.125 * rtt;
	for (u64 n = t->una; n < t->next; n++) {
		u64 i = n % TCP_WINDOW;

		if (t->packets[i].state == FLYING && t->packets[i].order + DUP <= t->newest_order) {
			t->packets[i].state = LOST;
			t->flying--;
			lost |= t->packets[i].order >= t->recovery;
		}
	}
	if (lost)
		shrink(t);
	else if (acked > 0)
		grow(t, acked);
	send_more(t);
}

void tcp_flow_start(struct tcp_flow *t, struct fake_road *w, struct fake_link *there,
		    struct fake_link *back)
{
	memset(t, 0, sizeof(*t));
	t->wire = w;
	t->there = there;
	t->back = back;
	t->cwnd = 10;
	t->ssthresh = 1e9;
	t->timer = UINT64_MAX;
	t->order = 1;
	send_more(t);
}

u64 tcp_flow_poll(struct tcp_flow *t)
{
	if (t->wire->now < t->timer)
		return t->timer;
	for (u64 n = t->una; n < t->next; n++) {
		if (t->packets[n % TCP_WINDOW].state == FLYING)
			t->packets[n % TCP_WINDOW].state = LOST;
	}
	t->flying = 0;
	shrink(t);
	t->cwnd = 1;
	if (t->backoff < 6)
		t->backoff++;
	arm(t);
	send_more(t);
	return t->timer;
}
