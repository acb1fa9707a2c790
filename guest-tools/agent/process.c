/* SPDX-License-Identifier: MIT */
/*
 * The scan of /proc. The kernel lists processes by rising number, and so is the table: both are walked
 * side by side. Threads of the kernel are remembered only not to be read again.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <guest-tools/agent/process.h>
#include <guest-tools/agent/profile.h>
#include <guest-tools/agent/text.h>

#define FULL_SCAN_MS 5000u
#define YOUNG_MS     10000u /* a process that may still change its name and its group */
#define KTHREADD     2
#define PAGE_KIB     4u

/* A name is what stands between the first '(' and the last ')'; it may hold anything. */
static bool take_name(struct text *t, char name[RUN_NAME_MAX])
{
	const char *open = memchr(t->at, '(', (size_t)(t->end - t->at));
	const char *close = memrchr(t->at, ')', (size_t)(t->end - t->at));
	u32 n = 0;

	if (open == NULL || close == NULL || close < open)
		return false;
	memset(name, 0, RUN_NAME_MAX);
	for (const char *p = open + 1; p < close && n < RUN_NAME_MAX - 1; p++)
		name[n++] = *p > ' ' && *p <= '~' ? *p : '_';
	t->at = close + 1;
	return true;
}

bool process_parse(const char *s, size_t n, struct proc_stat *p)
{
	struct text t = text_of(s, n), word;
	u64 pid, v[22]; /* fields 4 to 24; negative ones are not looked at */

	memset(p, 0, sizeof(*p));
	if (!text_number(&t, &pid) || pid == 0 || pid > INT32_MAX || !take_name(&t, p->name) ||
	    !text_word(&t, &word))
		return false;
	for (u32 field = 4; field <= 24; field++) {
		bool wanted = field == 4 || field == 5 || field == 22 || field == 24;

		if (wanted ? !text_number(&t, &v[field - 4]) : !text_word(&t, &word))
			return false;
	}
	if (v[0] > INT32_MAX || v[1] > INT32_MAX || v[18] >> 48 != 0 || v[20] >> 40 != 0)
		return false;
	p->pid = (s32)pid;
	p->ppid = (s32)v[0];
	p->pgrp = (s32)v[1];
	p->start_ticks = v[18];
	p->rss_pages = v[20];
	p->kernel_thread = p->pid == KTHREADD || p->ppid == KTHREADD;
	return true;
}

static bool read_stat(int proc_fd, const char *pid, struct proc_stat *s)
{
	char path[32], text[512];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%.20s/stat", pid);
	fd = openat(proc_fd, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, text, sizeof(text));
	close(fd);
	return n > 0 && process_parse(text, (size_t)n, s);
}

/* Whether what is known of a process is good enough for this scan. */
static bool fresh(const struct process *p, bool full, u64 now_ms)
{
	u64 start_ms = p->s.start_ticks * 1000 / (u64)sysconf(_SC_CLK_TCK);

	if (p->s.kernel_thread)
		return true;
	return !full && start_ms + YOUNG_MS < now_ms;
}

static int compare_pid(const void *a, const void *b)
{
	const struct process *x = a, *y = b;

	return (x->s.pid > y->s.pid) - (x->s.pid < y->s.pid);
}

static struct process *find(struct processes *all, u32 count, s32 pid)
{
	struct process key = {.s.pid = pid};

	return bsearch(&key, all->p, count, sizeof(key), compare_pid);
}

int process_scan(struct processes *all, int proc_fd, u64 now_ms)
{
	bool full = now_ms - all->full_ms >= FULL_SCAN_MS || all->count == 0;
	int fd = openat(proc_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	u32 known = all->count, kept = 0;
	struct dirent *e;

	if (dir == NULL) {
		if (fd >= 0)
			close(fd);
		return -errno;
	}
	all->lost = 0;
	while ((e = readdir(dir)) != NULL) {
		s32 pid = e->d_name[0] >= '1' && e->d_name[0] <= '9' ? atoi(e->d_name) : 0;
		struct process *p = pid > 0 ? find(all, known, pid) : NULL;

		if (pid == 0)
			continue;
		if (p == NULL && all->count < PROCESSES_MAX) {
			p = &all->p[all->count++];
			*p = (struct process){0};
		} else if (p == NULL) {
			all->lost++;
			continue;
		}
		if (p->s.pid != 0 && fresh(p, full, now_ms))
			p->read_ms = now_ms;
		else if (read_stat(proc_fd, e->d_name, &p->s))
			p->read_ms = now_ms;
	}
	closedir(dir);
	/* What was not listed has ended. */
	for (u32 i = 0; i < all->count; i++) {
		if (all->p[i].read_ms == now_ms && all->p[i].s.pid != 0)
			all->p[kept++] = all->p[i];
	}
	all->count = kept;
	qsort(all->p, all->count, sizeof(all->p[0]), compare_pid);
	if (full)
		all->full_ms = now_ms;
	return 0;
}

static bool in_group(const struct process *p, s32 pgrp)
{
	return !p->s.kernel_thread && p->s.pgrp == pgrp;
}

/* The group that the i-th process is the first of; false when it is not the first. */
static bool group_at(const struct processes *all, u32 i, struct run *r)
{
	const struct process *first = &all->p[i], *leader = first;
	u64 hz = (u64)sysconf(_SC_CLK_TCK), pages = 0;

	if (first->s.kernel_thread || first->s.pgrp == 0)
		return false;
	for (u32 j = 0; j < all->count; j++) {
		const struct process *p = &all->p[j];

		if (!in_group(p, first->s.pgrp))
			continue;
		if (j < i)
			return false;
		if (p->s.pid == p->s.pgrp)
			leader = p;
		pages += p->s.rss_pages;
	}
	*r = (struct run){.kind = RUN_EXE, .bytes = pages * PAGE_KIB << 10};
	memcpy(r->name, leader->s.name, sizeof(r->name));
	r->start_ms = leader->s.start_ticks * 1000 / hz;
	return true;
}

u32 process_runs(const struct processes *all, struct run *runs, u32 max,
		 bool (*known)(const char *name, void *arg), void *arg)
{
	u32 count = 0;

	for (u32 i = 0; i < all->count; i++) {
		struct run r;
		u32 least = 0;

		if (!group_at(all, i, &r) || (r.bytes < PROFILE_MIN_BYTES && !known(r.name, arg)))
			continue;
		if (count < max) {
			runs[count++] = r;
			continue;
		}
		for (u32 j = 1; j < max; j++)
			least = runs[j].bytes < runs[least].bytes ? j : least;
		if (max > 0 && r.bytes > runs[least].bytes)
			runs[least] = r;
	}
	return count;
}
