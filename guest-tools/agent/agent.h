/* SPDX-License-Identifier: MIT */
/* The agent as a whole: what it knows, and the loop that it lives in. */
#ifndef AGENT_H
#define AGENT_H

#include <guest-tools/agent/cgroup.h>
#include <guest-tools/agent/conf.h>
#include <guest-tools/agent/forecast.h>
#include <guest-tools/agent/hint.h>
#include <guest-tools/agent/link.h>
#include <guest-tools/agent/notice.h>
#include <guest-tools/agent/process.h>
#include <guest-tools/agent/reclaim.h>
#include <guest-tools/agent/sample.h>

#define AGENT_PATH_MAX 108u

/* Where things are; what main() read from the command line. */
struct agent_options {
	const char *config, *run_dir, *state_dir, *device, *port;
	bool dry_run; /* tells the node nothing, takes nothing back */
	bool once;
};

struct agent {
	const struct agent_options *opt;
	struct conf conf;
	struct link link;
	struct sampler sampler;
	struct counters before, now;
	struct agent_sample sample;
	struct processes processes;
	struct units units;
	int proc_fd;
	struct run runs[RUNS_MAX];
	struct observation o; /* the last */
	struct profiles profiles;
	struct forecast forecast;
	struct forecast_result result; /* the last */
	struct hint_server hints;
	u32 admin_hints; /* bit by bit: the hints of the configuration that stand */
	struct reclaim reclaim;
	struct notice notice;
	struct agent_state node; /* the node's last STATE */
	int status_fd;
	char status_path[AGENT_PATH_MAX], hint_path[AGENT_PATH_MAX], profile_path[AGENT_PATH_MAX];
	u64 started_ms, next_tick_ms, next_step_ms, link_retry_ms, stored_ms, demanded_ms;
	u64 demanded; /* bytes, the last that the node took */
	u64 hint_second, hint_demands;
	u64 ticks;
	u32 interval_ms;
	bool stop;
};

/* Opens all. Returns 0, or a negative errno after a message. */
int agent_open(struct agent *a, const struct agent_options *opt);

/* Runs until a signal ends it (or once). Returns the exit status. */
int agent_run(struct agent *a);

/* Stores what was learned, and closes all. */
void agent_close(struct agent *a);

/* The text of `tern-agent status`. Returns its length, as snprintf(3). */
size_t status_text(const struct agent *a, char *text, size_t size);

/* The socket it is read from: opened by the daemon, asked by the command. status_ask() copies the text to
 * standard output and returns an exit status. */
int status_open(const char *path);
void status_serve(struct agent *a);
int status_ask(const char *path);

#endif
