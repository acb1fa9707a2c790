/* SPDX-License-Identifier: MIT */
/*
 * Recorded traces: text, lines of "MIB" or "MIB RUN:START_S:MIB", one an interval; '#' begins a comment and
 * "interval_ms N" comes first. tests/bench/replay/record.py writes them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tests/bench/replay/replay.h>

#define POINTS_MAX 100000u

static void bad(const char *path, u32 line)
{
	fprintf(stderr, "replay: %s:%u: not a line of a trace\n", path, line);
	exit(2);
}

/* " NAME:START_S:MIB" */
static bool read_run(const char *text, struct run *r)
{
	unsigned long long start, mib;
	char name[RUN_NAME_MAX] = "";

	if (sscanf(text, " %31[^: ]:%llu:%llu", name, &start, &mib) != 3)
		return false;
	*r = (struct run){.kind = RUN_EXE, .start_ms = start * 1000, .bytes = mib * MIB};
	memcpy(r->name, name, sizeof(name));
	return true;
}

struct trace trace_read(const char *path, const char *name)
{
	struct trace t = {.name = name, .points = calloc(POINTS_MAX, sizeof(t.points[0]))};
	FILE *f = fopen(path, "re");
	char text[256];
	u32 line = 0;

	if (f == NULL || t.points == NULL) {
		perror(path);
		exit(2);
	}
	while (fgets(text, sizeof(text), f) != NULL) {
		struct point *p = &t.points[t.count];
		char *end;

		line++;
		if (text[0] == '#' || text[0] == '\n')
			continue;
		if (sscanf(text, "interval_ms %u", &t.interval_ms) == 1)
			continue;
		p->used = strtoull(text, &end, 10) * MIB;
		if (end == text || t.interval_ms == 0 || t.count == POINTS_MAX - 1)
			bad(path, line);
		for (; *end == ' ' && p->run_count < POINT_RUNS;
		     end += strcspn(end + 1, " \n") + 1) {
			if (!read_run(end, &p->runs[p->run_count++]))
				bad(path, line);
		}
		t.count++;
	}
	fclose(f);
	return t;
}
