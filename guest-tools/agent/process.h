/* SPDX-License-Identifier: MIT */
/*
 * The processes of the guest as workloads: a process group, which is what a shell calls a job and
 * what a daemon is, with the name of its leader. New processes are seen in every scan, the memory of
 * known ones is read again every few seconds only.
 */
#ifndef PROCESS_H
#define PROCESS_H

#include <guest-tools/agent/predict.h>

#define PROCESSES_MAX 1024u

struct proc_stat { /* of /proc/PID/stat, proc(5) */
	s32 pid, ppid, pgrp;
	u64 start_ticks; /* since the boot */
	u64 rss_pages;
	char name[RUN_NAME_MAX]; /* as a run's: no blanks, printable */
	bool kernel_thread;
};

struct process {
	struct proc_stat s;
	u64 read_ms;
};

struct processes {
	u32 count;
	u32 lost;                        /* that had no room in the last scan */
	u64 full_ms;                     /* of the last scan that read all */
	struct process p[PROCESSES_MAX]; /* by pid */
};

/* Pure. False when it is not such a line. */
bool process_parse(const char *s, size_t n, struct proc_stat *p);

/* Scans the folder proc_fd (/proc). now_ms is CLOCK_BOOTTIME. Returns 0 or a negative errno. */
int process_scan(struct processes *all, int proc_fd, u64 now_ms);

/* Adds the groups that are worth it (known says of a name whether it has a profile) to runs, the greatest of
 * them when there are more than max. Returns how many there are then. */
u32 process_runs(const struct processes *all, struct run *runs, u32 max,
		 bool (*known)(const char *name, void *arg), void *arg);

#endif
