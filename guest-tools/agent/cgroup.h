/* SPDX-License-Identifier: MIT */
/*
 * Services, scopes and containers: the cgroups (version 2) whose memory is looked at, and through which
 * cold memory is given back.
 */
#ifndef CGROUP_H
#define CGROUP_H

#include <guest-tools/agent/predict.h>

#define UNITS_MAX     64u
#define UNIT_PATH_MAX 192u
#define CGROUP_ROOT   "/sys/fs/cgroup"

struct unit {
	char path[UNIT_PATH_MAX]; /* below the root */
	u64 start_ms;             /* CLOCK_BOOTTIME, when it was made */
	u64 bytes;                /* memory.current */
	u64 cold;                 /* inactive_file, as of the last cgroup_cold() */
	bool listed;
};

struct units {
	int root_fd; /* -1: no cgroup v2 with a memory controller */
	u32 count;
	u32 lost; /* that had no room */
	u64 listed_ms;
	struct unit u[UNITS_MAX];
};

/* Pure: a file that is one number, and the number of a row of memory.stat. */
bool cgroup_number(const char *s, size_t n, u64 *v);
bool cgroup_stat(const char *s, size_t n, const char *row, u64 *v);

/* Whether a folder's name is that of a workload (a service, a scope), not of a group of them. */
bool cgroup_is_unit(const char *name);

/* Opens the root; units->root_fd is -1 when there is none that serves. */
void cgroup_open(struct units *units, const char *root);

/* Lists the units, at most every 10 s, and reads what each uses. now_ms is CLOCK_BOOTTIME. */
void cgroup_scan(struct units *units, u64 now_ms);

/* Adds the units to runs. Returns how many there are then. */
u32 cgroup_runs(const struct units *units, struct run *runs, u32 count, u32 max);

/* Reads how much of each unit is cold. */
void cgroup_cold(struct units *units);

/* Asks the kernel to take bytes back from a unit. Blocks while it does. Returns 0, -EAGAIN when it could not
 * take as much, or another negative errno. */
int cgroup_reclaim(const struct units *units, const struct unit *unit, u64 bytes);

#endif
