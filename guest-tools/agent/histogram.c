/* SPDX-License-Identifier: MIT */
/*
 * The histogram that forgets. Old samples are not made lighter, new ones are made heavier: a sample
 * at time t weighs 2^((t - ref) / half-life), so that adding touches one bucket only. Before weights
 * leave the range of a float, all are scaled down and ref moves up.
 */
#include <math.h>
#include <string.h>

#include <guest-tools/agent/histogram.h>

#define FIRST_BYTES    1048576.0
#define GROWTH         1.02
#define EXPONENT_MAX   60.0
#define WEIGHT_NOTHING 1e-9f

void histogram_init(struct histogram *h, u32 half_life_ms)
{
	memset(h, 0, sizeof(*h));
	h->half_life_ms = half_life_ms;
}

static u32 bucket_of(u64 bytes)
{
	double n;

	if ((double)bytes < FIRST_BYTES)
		return 0;
	n = log((double)bytes / FIRST_BYTES) / log(GROWTH) + 1;
	return n < HISTOGRAM_BUCKETS ? (u32)n : HISTOGRAM_BUCKETS - 1;
}

static void rescale(struct histogram *h, u64 now_ms)
{
	double factor = exp2(-(double)(now_ms - h->ref_ms) / h->half_life_ms);

	h->total = 0;
	for (u32 i = 0; i < HISTOGRAM_BUCKETS; i++) {
		h->weight[i] = (float)(h->weight[i] * factor);
		if (h->weight[i] < WEIGHT_NOTHING)
			h->weight[i] = 0;
		h->total += h->weight[i];
	}
	h->ref_ms = now_ms;
}

void histogram_add(struct histogram *h, u64 now_ms, u64 bytes, double weight)
{
	double w;
	float *b = &h->weight[bucket_of(bytes)];

	if (h->total == 0)
		h->ref_ms = now_ms;
	if ((double)(now_ms - h->ref_ms) > EXPONENT_MAX * h->half_life_ms)
		rescale(h, now_ms);
	w = weight * exp2((double)(now_ms - h->ref_ms) / h->half_life_ms);
	*b = (float)(*b + w);
	h->total += w;
}

u64 histogram_percentile(const struct histogram *h, u32 permille)
{
	double left = h->total * (1000 - permille) / 1000;
	u32 i = HISTOGRAM_BUCKETS - 1;

	if (h->total == 0)
		return 0;
	/* From above, where the few samples are that matter: the sum there is exact. */
	while (i > 0 && h->weight[i] <= left) {
		left -= h->weight[i];
		i--;
	}
	return (u64)(FIRST_BYTES * pow(GROWTH, i));
}
