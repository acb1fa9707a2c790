/* SPDX-License-Identifier: MIT */
/*
 * Fixed work, again and again, without a need for anybody: it sums up memory of its own, and says after
 * each round=N (default 5) million words that it did. What it gets of a CPU beside a hostile guest is
 * what the node lets it have.
 */
#include "cpu.h"
#include "guest.h"

#define MILLION       1000000u
#define ROUND_DEFAULT 5u
#define WORDS         8192u

const char guest_name[] = "work";

static u32 words[WORDS];

void guest_main(void)
{
	u32 round = cmdline_number("round", ROUND_DEFAULT) * MILLION;

	for (u32 i = 0; i < WORDS; i++)
		words[i] = i;
	for (u32 n = 1;; n++) {
		u32 sum = 0, want = round / WORDS * (WORDS * (WORDS - 1) / 2);

		for (u32 i = 0; i < round / WORDS * WORDS; i++)
			sum += ((volatile u32 *)words)[i % WORDS];
		if (sum != want)
			check_eq("sum", sum, want);
		print("work: round %u\n", n);
	}
}
