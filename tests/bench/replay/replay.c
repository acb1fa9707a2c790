/* SPDX-License-Identifier: MIT */
/*
 * The replay bench: every trace through every rule, side by side, and again with other seeds. Shortfalls are a
 * few a seed, so the promise is about all seeds together: no more of them than VPA in all, and at
 * most half its slack on the mean of the traces. The exit status is 1 when it does not hold.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tests/bench/replay/replay.h>

#define SEED         1u
#define SEEDS_MAX    1000u
#define ADVERTISED   (4096 * MIB)
#define RECORDED_MAX 8u

enum { TERN, VPA, UPDATER, P90, RULES };

static const struct rule *const rules[RULES] = {&rule_tern, &rule_vpa, &rule_vpa_updater,
						&rule_p90};

struct outcome {
	double used, slack; /* means, bytes */
	u32 shortfalls, changes;
};

struct sums {
	double slack[RULES]; /* of the traces' mean slacks, each as part of its mean use */
	double slack_mib[RULES];
	u32 shortfalls[RULES], changes[RULES];
	u32 traces;
};

static struct outcome replay(const struct trace *t, const struct rule *rule)
{
	void *state = rule->create();
	struct outcome out = {0};
	u64 granted = 0;

	for (u32 i = 0; i < t->count; i++) {
		const struct point *p = &t->points[i];
		struct observation o = {
			.now_ms = (u64)i * t->interval_ms,
			.wall_ms = (u64)i * t->interval_ms,
			.used = p->used,
			.advertised = ADVERTISED,
			.runs = p->runs,
			.run_count = p->run_count,
		};
		u64 next;

		if (i > 0) {
			out.used += (double)p->used;
			out.slack += granted > p->used ? (double)(granted - p->used) : 0;
			out.shortfalls += granted < p->used;
		}
		next = rule->grant(state, &o);
		out.changes += i > 0 && next != granted;
		granted = next;
	}
	rule->destroy(state);
	out.used /= t->count - 1;
	out.slack /= t->count - 1;
	return out;
}

static void run_trace(const struct trace *t, struct sums *sums, bool print)
{
	struct outcome o[RULES];

	for (u32 i = 0; i < RULES; i++) {
		o[i] = replay(t, rules[i]);
		sums->slack[i] += o[i].slack / o[i].used;
		sums->slack_mib[i] += o[i].slack / (double)MIB;
		sums->shortfalls[i] += o[i].shortfalls;
		sums->changes[i] += o[i].changes;
	}
	sums->traces++;
	if (!print)
		return;
	printf("%-15s %7u %6.0f", t->name, t->count, o[0].used / (double)MIB);
	for (u32 i = 0; i < RULES; i++)
		printf(" | %6.0f %4.0f%% %6u %7u", o[i].slack / (double)MIB,
		       100 * o[i].slack / o[i].used, o[i].shortfalls, o[i].changes);
	printf(" | %5.2f\n", o[TERN].slack / o[VPA].slack);
}

static bool promise(const struct sums *s)
{
	return s->shortfalls[TERN] <= s->shortfalls[VPA] && s->slack[TERN] <= 0.5 * s->slack[VPA] &&
	       s->slack_mib[TERN] <= 0.5 * s->slack_mib[VPA];
}

static void add(struct sums *to, const struct sums *s)
{
	for (u32 i = 0; i < RULES; i++) {
		to->slack[i] += s->slack[i];
		to->slack_mib[i] += s->slack_mib[i];
		to->shortfalls[i] += s->shortfalls[i];
		to->changes[i] += s->changes[i];
	}
	to->traces += s->traces;
}

static void print_sums(const struct sums *s)
{
	printf("%-15s %7s %6s", "mean", "", "");
	for (u32 i = 0; i < RULES; i++)
		printf(" | %6.0f %4.0f%% %6u %7u", s->slack_mib[i] / s->traces,
		       100 * s->slack[i] / s->traces, s->shortfalls[i], s->changes[i]);
	printf(" | %5.2f\n", s->slack_mib[TERN] / s->slack_mib[VPA]);
}

static struct sums run_all(u64 seed, const struct trace *recorded, u32 recorded_count, bool print)
{
	struct sums sums = {0};

	for (u32 i = 0; i < SHAPES; i++) {
		struct trace t = trace_make(i, seed);

		run_trace(&t, &sums, print);
		trace_free(&t);
	}
	for (u32 i = 0; i < recorded_count; i++)
		run_trace(&recorded[i], &sums, print);
	return sums;
}

static void head(void)
{
	static const char *const titles[RULES] = {"tern", "vpa: p90 of daily peaks",
						  "vpa, changed by its updater",
						  "p90 of all samples"};

	printf("%-15s %7s %6s", "", "", "");
	for (u32 i = 0; i < RULES; i++)
		printf(" | %-27s", titles[i]);
	printf(" | tern\n%-15s %7s %6s", "trace", "samples", "used");
	for (u32 i = 0; i < RULES; i++)
		printf(" | %6s %5s %6s %7s", "slack", "", "short", "changes");
	printf(" | / vpa\n");
}

int main(int argc, char **argv)
{
	struct trace recorded[RECORDED_MAX];
	u32 recorded_count = 0, seeds = 0, kept = 0;
	struct sums sums;
	bool good;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--seeds") == 0 && i + 1 < argc) {
			seeds = (u32)strtoul(argv[++i], NULL, 10);
		} else if (argv[i][0] != '-' && recorded_count < RECORDED_MAX) {
			const char *slash = strrchr(argv[i], '/');

			recorded[recorded_count++] =
				trace_read(argv[i], slash != NULL ? slash + 1 : argv[i]);
		} else {
			fprintf(stderr, "usage: replay [--seeds N] [RECORDED...]\n");
			return 2;
		}
	}
	head();
	sums = run_all(SEED, recorded, recorded_count, true);
	print_sums(&sums);
	kept = promise(&sums);
	printf("slack and use in MiB, means of all samples; short: samples with more used than granted (sum); "
	       "changes of the grant (sum)\n");
	for (u32 i = 1; i <= seeds && i < SEEDS_MAX; i++) {
		struct sums other = run_all(SEED + i, recorded, recorded_count, false);

		printf("seed %3llu: slack %.2f of vpa's (%.2f relative to use), shortfalls %u against %u\n",
		       (unsigned long long)(SEED + i), other.slack_mib[TERN] / other.slack_mib[VPA],
		       other.slack[TERN] / other.slack[VPA], other.shortfalls[TERN],
		       other.shortfalls[VPA]);
		kept += promise(&other);
		add(&sums, &other);
	}
	if (seeds > 0)
		printf("%u of %u seeds keep the promise by themselves; all together: slack %.2f of "
		       "vpa's, shortfalls %u against %u (with its updater %u)\n",
		       kept, seeds + 1, sums.slack_mib[TERN] / sums.slack_mib[VPA],
		       sums.shortfalls[TERN], sums.shortfalls[VPA], sums.shortfalls[UPDATER]);
	good = promise(&sums);
	printf("promise (no more shortfalls than vpa, at most half its slack): %s\n",
	       good ? "kept" : "BROKEN");
	for (u32 i = 0; i < recorded_count; i++)
		trace_free(&recorded[i]);
	return good ? 0 : 1;
}
