/* SPDX-License-Identifier: MIT */
/* A TCP flow on the simulated wire: CUBIC as Linux has it, selective acknowledgement, no pacing. The fabric's rival. */
#ifndef TCP_FLOW_H
#define TCP_FLOW_H

#include <tests/fake/fake_road.h>

#define TCP_WINDOW 8192u /* packets, a power of two */
#define TCP_MSS    1448u

struct tcp_flow {
	struct fake_road *wire;
	struct fake_link *there, *back;
	u64 next, una;    /* packets: the next new one, the first that is not acknowledged */
	u64 order;        /* of transmissions */
	u64 newest_order; /* of those acknowledged */
	u64 recovery;     /* transmissions before do not shrink the window again */
	u64 flying;
	double cwnd, ssthresh, w_max, w_est, epoch, k;
	double srtt, rttvar; /* seconds */
	u64 timer;           /* of the retransmission time-out */
	u32 backoff;
	struct {
		u64 order, sent;
		u8 state; /* enum in tcp_flow.c */
	} packets[TCP_WINDOW];
	/* The receiver. */
	u64 expected;
	u8 have[TCP_WINDOW];
	u32 unacked;
	u64 received; /* bytes in order */
};

void tcp_flow_start(struct tcp_flow *t, struct fake_road *w, struct fake_link *there,
		    struct fake_link *back);
/* Its timer; returns when to call again. */
u64 tcp_flow_poll(struct tcp_flow *t);

#endif
