/* SPDX-License-Identifier: MIT */
/*
 * A histogram of sizes that forgets: a sample counts half after each half-life. Buckets grow by
 * 2 %, from 1 MiB to 16 TiB; what is outside counts in the first or the last. Pure: time comes as an
 * argument and must not run backwards.
 */
#ifndef HISTOGRAM_H
#define HISTOGRAM_H

#include <abi/types.h>

#define HISTOGRAM_BUCKETS 842u

struct histogram {
	float weight[HISTOGRAM_BUCKETS]; /* of a sample at ref_ms: 1 */
	double total;
	double half_life_ms;
	u64 ref_ms;
};

void histogram_init(struct histogram *h, u32 half_life_ms);

/* Adds a sample of bytes that counts weight, > 0. */
void histogram_add(struct histogram *h, u64 now_ms, u64 bytes, double weight);

/* The size that permille of the weight does not exceed: the upper end of its bucket, or 0 when nothing was
 * added yet. */
u64 histogram_percentile(const struct histogram *h, u32 permille);

#endif
