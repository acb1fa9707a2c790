/* SPDX-License-Identifier: MIT */
/* CUBIC: RFC 9438 in integers. Section numbers are its. */
#include "fabric_cubic.h"

#define INITIAL_WINDOW 10u /* packets (RFC 6928) */
#define MIN_WINDOW     2u
/* beta 0.7, C 0.4 (sections 4.6, 5.1); alpha of the Reno-friendly region 3 (1 - beta) / (1 + beta) = 9/17. */
#define BETA_NUM  7u
#define BETA_DEN  10u
#define ALPHA_NUM 9u
#define ALPHA_DEN 17u
#define MS_MAX    1000000u /* so far the cubic is computed: 2^64 holds its cube */

void fabric_cubic_init(struct fabric_cubic *c, u32 mss)
{
	*c = (struct fabric_cubic){
		.cwnd = INITIAL_WINDOW * mss, .ssthresh = UINT64_MAX, .mss = mss};
}

void fabric_cubic_set_mss(struct fabric_cubic *c, u32 mss)
{
	c->mss = mss;
	if (c->cwnd < MIN_WINDOW * mss)
		c->cwnd = MIN_WINDOW * mss;
}

/* The largest r with r^3 <= v, r < 2^21. */
static u64 cube_root(u64 v)
{
	u64 r = 0;

	for (u64 bit = 1ull << 20; bit > 0; bit >>= 1) {
		u64 t = r | bit;

		if (t * t * t <= v)
			r = t;
	}
	return r;
}

/* Section 4.2: K = cbrt((W_max - cwnd) / C), in milliseconds, windows in segments. */
static void start_epoch(struct fabric_cubic *c, u64 now)
{
	c->epoch = now;
	c->w_est = c->cwnd;
	c->origin = c->cwnd;
	c->k_ms = 0;
	if (c->cwnd < c->w_max) {
		c->origin = c->w_max;
		c->k_ms = cube_root((c->w_max - c->cwnd) * 2500000000ull / c->mss);
	}
}

/* Section 4.2: W_cubic(t) = C (t - K)^3 + origin. */
static u64 w_cubic(const struct fabric_cubic *c, u64 t_ms)
{
	bool below = t_ms < c->k_ms;
	u64 d = below ? c->k_ms - t_ms : t_ms - c->k_ms;
	u64 off;

	if (d > MS_MAX)
		d = MS_MAX;
	off = d * d * d / 1000 * (c->mss * 4ull) / 10000000;
	if (below)
		return off < c->origin ? c->origin - off : 0;
	return c->origin + off;
}

void fabric_cubic_acked(struct fabric_cubic *c, u64 now, u64 srtt, u64 acked)
{
	u64 target;

	if (c->cwnd < c->ssthresh) {
		c->cwnd += acked;
		return;
	}
	if (c->epoch == 0)
		start_epoch(c, now);
	target = w_cubic(c, (now - c->epoch + srtt) / 1000);
	if (target > c->cwnd + c->cwnd / 2)
		target = c->cwnd + c->cwnd / 2;
	/* Section 4.3; as fast as Reno once the old window is reached. */
	if (c->w_est < c->w_max)
		c->w_est += acked * c->mss / c->cwnd * ALPHA_NUM / ALPHA_DEN;
	else
		c->w_est += acked * c->mss / c->cwnd;
	if (target > c->cwnd)
		c->cwnd += (target - c->cwnd) * acked / c->cwnd;
	if (c->cwnd < c->w_est)
		c->cwnd = c->w_est;
}

void fabric_cubic_lost(struct fabric_cubic *c)
{
	/* Section 4.7: who shrinks twice leaves more to newcomers. */
	if (c->cwnd < c->w_max)
		c->w_max = c->cwnd * (BETA_DEN + BETA_NUM) / (2 * BETA_DEN);
	else
		c->w_max = c->cwnd;
	c->cwnd = c->cwnd * BETA_NUM / BETA_DEN;
	if (c->cwnd < MIN_WINDOW * c->mss)
		c->cwnd = MIN_WINDOW * c->mss;
	c->ssthresh = c->cwnd;
	c->epoch = 0;
}

void fabric_cubic_collapse(struct fabric_cubic *c)
{
	c->cwnd = MIN_WINDOW * c->mss;
	c->epoch = 0;
}
