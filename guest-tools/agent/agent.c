/* SPDX-License-Identifier: MIT */
/*
 * The loop: look, forecast, tell the node; in between, answer hints and events. One thread; the only thing that
 * may block is the kernel taking memory back, in pieces.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include <guest-tools/agent/agent.h>
#include <guest-tools/agent/log.h>
#include <guest-tools/hint/ternhint.h>

#define FDS_MAX      96u
#define DEMAND_MS    10000u
#define RETRY_MS     10000u
#define STORE_MS     60000u
#define STEP_MS      250u
#define HINT_DEMANDS 20u /* a second: the node takes 64 messages */
#define FEATURES     (AGENT_CAN_SHRINK | AGENT_CAN_DEMAND | AGENT_CAN_HINT)

extern const char tern_version[];

static u64 clock_ms(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (u64)t.tv_sec * 1000 + (u64)t.tv_nsec / 1000000;
}

static u64 now_ms(void)
{
	return clock_ms(CLOCK_BOOTTIME);
}

/* --- the node --- */

static void connect_node(struct agent *a)
{
	char name[AGENT_NAME_MAX];
	int rc;

	if (a->opt->dry_run || a->link.kind != LINK_NONE || now_ms() < a->link_retry_ms)
		return;
	a->link_retry_ms = now_ms() + RETRY_MS;
	if (link_open(&a->link, a->opt->device, a->opt->port) != 0)
		return;
	snprintf(name, sizeof(name), "tern-agent %.19s", tern_version);
	rc = link_hello(&a->link, a->now.mem.total, FEATURES, name);
	if (rc >= 0)
		rc = link_query(&a->link, &a->node);
	if (rc < 0) {
		log_say(LOG_WARNING, "the node does not take a greeting: %s", strerror(-rc));
		link_close(&a->link);
		return;
	}
	a->demanded = 0;
	log_say(LOG_NOTICE, "the node is reached by %s; %llu MiB advertised",
		a->link.kind == LINK_DEVICE ? "/dev/tern" : "a virtio port",
		(unsigned long long)a->node.advertised >> 20);
}

/* A message was refused or lost: the log says why, once a minute. */
static void complain(struct agent *a, const char *what, int rc)
{
	static u64 said_ms;

	if (a->o.now_ms - said_ms < 60000 && said_ms != 0)
		return;
	said_ms = a->o.now_ms;
	log_say(LOG_WARNING, "%s: %s", what, strerror(-rc));
}

static int tell_demand(struct agent *a)
{
	struct agent_demand m = {
		.bytes = a->result.bytes,
		.now = a->o.used,
		.horizon_ms = a->conf.horizon_s * 1000,
		.confidence = a->result.confidence,
		.source = a->result.source,
	};
	int rc;

	if (a->link.kind == LINK_NONE)
		return -ENODEV;
	rc = link_demand(&a->link, &m);
	if (rc < 0) {
		complain(a, "the node did not take the demand", rc);
		return rc;
	}
	a->demanded = m.bytes;
	a->demanded_ms = a->o.now_ms;
	return 0;
}

static void floor_result(struct agent *a)
{
	u64 min = a->conf.min < a->o.advertised ? a->conf.min : a->o.advertised;

	if (a->result.bytes < min) {
		a->result.bytes = min;
		a->result.source = AGENT_BY_HINT;
	}
}

/* Up at once, down when it is worth a word, and now and then in any case. */
static bool demand_due(const struct agent *a)
{
	u64 now = a->result.bytes, last = a->demanded;
	u64 change = now > last ? now - last : last - now;

	return last == 0 || change * 50 > last || a->o.now_ms - a->demanded_ms >= DEMAND_MS;
}

static void acknowledge(struct agent *a, u64 event, u64 bytes, int result)
{
	struct agent_ack m = {.event = event, .bytes = bytes, .result = result};
	int rc = link_ack(&a->link, &m);

	if (rc < 0)
		complain(a, "the node did not take an acknowledgement", rc);
}

static struct reclaim_view view_of(const struct agent *a)
{
	return (struct reclaim_view){
		.now_ms = now_ms(),
		.used = a->o.used,
		.cache = a->now.mem.cached + a->now.mem.buffers,
		.inactive = a->now.mem.inactive_file,
		.refaults = a->now.refaults,
		.psi_some = a->sample.psi_mem_some,
	};
}

static void take_events(struct agent *a)
{
	struct agent_event e;
	int rc;

	while ((rc = link_event(&a->link, &e)) > 0) {
		struct reclaim_view v = view_of(a);

		if (e.kind != AGENT_SHRINK) {
			if (e.kind == AGENT_GRANT_CHANGED)
				a->node.grant = e.bytes;
			else if (e.kind == AGENT_MODE_CHANGED)
				a->node.mode = (u32)e.bytes;
			acknowledge(a, e.head.seq, 0, 0);
			continue;
		}
		if (a->reclaim.event != 0)
			acknowledge(a, a->reclaim.event, 0, -ECANCELED);
		log_say(LOG_INFO,
			"the node asks to use no more than %llu MiB within %u ms; %llu are used",
			(unsigned long long)e.bytes >> 20, e.deadline_ms,
			(unsigned long long)v.used >> 20);
		reclaim_begin(&a->reclaim, e.head.seq, e.bytes, e.deadline_ms, &v);
		a->next_step_ms = 0;
	}
	if (rc < 0)
		complain(a, "the way to the node broke", rc);
}

/* --- looking --- */

/* What is used, from a->now.mem. */
static void note_use(struct agent *a)
{
	a->o.now_ms = now_ms();
	a->o.wall_ms = clock_ms(CLOCK_REALTIME);
	a->o.advertised = a->node.advertised != 0 ? a->node.advertised : a->now.mem.total;
	a->o.used = a->o.advertised > a->now.mem.free ? a->o.advertised - a->now.mem.free : 1;
}

/* A sample: everything, and the rates since the last one. */
static void look(struct agent *a)
{
	struct counters c;

	if (sample_read(&a->sampler, &c) != 0)
		complain(a, "/proc/meminfo cannot be read", -EIO);
	else
		a->now = c;
	if (a->ticks == 0)
		a->before = a->now;
	sample_make(&a->before, &a->now, &a->sample);
	a->before = a->now;
	note_use(a);
	a->ticks++;
}

/* Only what is used, between two samples. */
static void peek(struct agent *a)
{
	struct meminfo m;

	if (sample_memory(&a->sampler, &m) == 0)
		a->now.mem = m;
	note_use(a);
}

static bool name_known(const char *name, void *arg)
{
	struct agent *a = arg;

	for (u32 i = 0; i < a->conf.hint_count; i++) {
		if (a->conf.hint[i].kind == RUN_EXE && strcmp(a->conf.hint[i].name, name) == 0)
			return true;
	}
	return a->conf.profiles && profile_find(&a->profiles, RUN_EXE, name) != NULL;
}

static void look_at_workloads(struct agent *a)
{
	u32 count = 0;

	if (process_scan(&a->processes, a->proc_fd, a->o.now_ms) == 0)
		count = process_runs(&a->processes, a->runs, RUNS_MAX / 2, name_known, a);
	cgroup_scan(&a->units, a->o.now_ms);
	a->o.runs = a->runs;
	a->o.run_count = cgroup_runs(&a->units, a->runs, count, RUNS_MAX);
}

static const struct run *find_run(const struct agent *a, const struct conf_hint *h)
{
	for (u32 i = 0; i < a->o.run_count; i++) {
		if (a->runs[i].kind == h->kind && strcmp(a->runs[i].name, h->name) == 0)
			return &a->runs[i];
	}
	return NULL;
}

/* The administrator's hints begin and end with their workloads. */
static void administrate(struct agent *a)
{
	for (u32 i = 0; i < a->conf.hint_count; i++) {
		const struct conf_hint *h = &a->conf.hint[i];
		const struct run *r = find_run(a, h);
		s32 id = -(s32)i - 1;
		u32 bit = 1u << i;

		if (r == NULL && (a->admin_hints & bit) != 0) {
			hint_drop(&a->forecast.hint, id);
			a->admin_hints &= ~bit;
		} else if (r != NULL && (a->admin_hints & bit) == 0) {
			a->admin_hints |= bit;
			/* One that runs for longer than that has what it needs. */
			if (a->o.now_ms - r->start_ms < h->seconds * 1000ull)
				hint_add(&a->forecast.hint, id, 0, h->need, h->seconds, &a->o);
		}
	}
}

/* --- a tick --- */

static void adapt(struct agent *a, u64 used_before)
{
	u64 change = a->o.used > used_before ? a->o.used - used_before : used_before - a->o.used;
	u32 least = a->conf.interval_s * 1000, most = a->conf.interval_max_s * 1000;

	if (change * 100 > a->o.used || a->forecast.hint.count > 0 || a->reclaim.event != 0)
		a->interval_ms = least;
	else if (a->ticks % 8 == 0)
		a->interval_ms = a->interval_ms * 2 < most ? a->interval_ms * 2 : most;
}

static void tell(struct agent *a)
{
	struct notice_view v = {
		.now_ms = a->o.now_ms,
		.used = a->o.used,
		.forecast = a->result.bytes,
		.advertised = a->o.advertised,
		.horizon_ms = a->conf.horizon_s * 1000,
		.sample = &a->sample,
	};
	struct agent_notice m;
	struct agent_sample s = a->sample;
	int rc;

	if (a->link.kind == LINK_NONE)
		return;
	rc = link_sample(&a->link, &s);
	if (rc < 0)
		complain(a, "the node did not take a sample", rc);
	if (demand_due(a))
		tell_demand(a);
	while (a->link.kind != LINK_NONE && notice_next(&a->notice, &v, &m)) {
		rc = link_notice(&a->link, &m);
		if (rc < 0)
			complain(a, "the node did not take a notice", rc);
	}
	if (a->link.kind != LINK_NONE && a->ticks % 10 == 0)
		link_query(&a->link, &a->node);
}

static void reclaim_gently(struct agent *a)
{
	struct reclaim_view v = view_of(a);
	u64 bytes = a->reclaim.event == 0 ? reclaim_gentle(&a->reclaim, &v, &a->conf) : 0;

	if (bytes == 0 || a->opt->dry_run)
		return;
	a->reclaim.asked += bytes;
	a->reclaim.taken += reclaim_take(&a->units, bytes);
}

static void store(struct agent *a, bool at_once)
{
	int rc;

	if (!a->profiles.changed || (!at_once && a->o.now_ms - a->stored_ms < STORE_MS))
		return;
	a->stored_ms = a->o.now_ms;
	rc = profile_store(&a->profiles, a->profile_path);
	if (rc != 0)
		complain(a, a->profile_path, rc);
}

static void tick(struct agent *a)
{
	u64 used_before = a->o.used;

	look(a);
	connect_node(a);
	look_at_workloads(a);
	hint_reap(&a->hints, &a->forecast.hint);
	administrate(a);
	if (!a->conf.profiles)
		a->o.run_count = 0;
	a->result = forecast_step(&a->forecast, &a->o, a->conf.horizon_s * 1000);
	floor_result(a);
	tell(a);
	reclaim_gently(a);
	store(a, false);
	adapt(a, used_before);
	a->next_tick_ms = a->o.now_ms + a->interval_ms;
}

/* --- in between --- */

static void answer_hints(struct agent *a)
{
	struct hint_peer peer;
	size_t n;
	u8 packet[64];
	int client;

	hint_accept(&a->hints, now_ms());
	if (hint_reap(&a->hints, &a->forecast.hint))
		a->next_tick_ms = 0;
	while ((client = hint_receive(&a->hints, packet, sizeof(packet), &n, &peer)) >= 0) {
		u64 second;
		int rc;

		peek(a);
		rc = hint_apply(&a->forecast.hint, packet, n, &peer, &a->conf, &a->o);
		if (rc == 0 && a->forecast.hint.count > 0)
			rc = hint_watch(&a->hints, peer.pid);
		if (rc != 0) {
			hint_drop(&a->forecast.hint, peer.pid);
			hint_reply(&a->hints, client, rc, 0);
			continue;
		}
		a->result = forecast_now(&a->forecast, &a->o, a->conf.horizon_s * 1000);
		floor_result(a);
		second = a->o.now_ms / 1000;
		if (second != a->hint_second)
			a->hint_demands = 0;
		a->hint_second = second;
		rc = a->hint_demands++ < HINT_DEMANDS ? tell_demand(a) : -EBUSY;
		hint_reply(&a->hints, client, rc == 0 ? 0 : TERN_HINT_NO_NODE, a->result.bytes);
		a->interval_ms = a->conf.interval_s * 1000;
	}
}

/* One step towards what the node asked for. */
static void shrink(struct agent *a)
{
	struct reclaim_view v;
	enum reclaim_verdict verdict;
	u64 bytes;

	if (a->reclaim.event == 0 || now_ms() < a->next_step_ms)
		return;
	a->next_step_ms = now_ms() + STEP_MS;
	peek(a);
	v = view_of(a);
	verdict = reclaim_step(&a->reclaim, &v, &a->conf, &bytes);
	if (verdict == RECLAIM_TAKE) {
		a->reclaim.asked += bytes;
		a->reclaim.taken += reclaim_take(&a->units, bytes);
	} else if (verdict == RECLAIM_DROP) {
		int rc = reclaim_drop();

		if (rc != 0)
			complain(a, "/proc/sys/vm/drop_caches", rc);
	} else if (verdict != RECLAIM_IDLE) {
		log_say(LOG_INFO, "%llu MiB given back%s", (unsigned long long)bytes >> 20,
			verdict == RECLAIM_LATE ? ", not all that was asked for" : "");
		acknowledge(a, a->reclaim.event, bytes, verdict == RECLAIM_LATE ? -ETIMEDOUT : 0);
		a->reclaim.event = 0;
	}
}

static void reload(struct agent *a)
{
	struct conf c;
	struct conf_error e;

	if (conf_load(&c, a->opt->config, &e) != 0) {
		log_say(LOG_ERR, "%s:%u:%u: %s; the configuration stays as it was", a->opt->config,
			e.line, e.col, e.text);
		return;
	}
	for (u32 i = 0; i < a->conf.hint_count; i++)
		hint_drop(&a->forecast.hint, -(s32)i - 1);
	a->admin_hints = 0;
	a->conf = c;
	log_say(LOG_NOTICE, "%s read again", a->opt->config);
}

static void take_signal(struct agent *a, int fd)
{
	struct signalfd_siginfo s;

	if (read(fd, &s, sizeof(s)) != (ssize_t)sizeof(s))
		return;
	if (s.ssi_signo == SIGHUP)
		reload(a);
	else
		a->stop = true;
}

static int open_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int time_to_wait(const struct agent *a)
{
	u64 now = now_ms(), until = a->next_tick_ms;

	if (a->reclaim.event != 0 && a->next_step_ms < until)
		until = a->next_step_ms;
	return until > now ? (int)(until - now) : 0;
}

/* Waits for something to do, and does what is not a tick. */
static void wait_and_serve(struct agent *a, int signals)
{
	struct pollfd fds[FDS_MAX] = {{.fd = signals, .events = POLLIN},
				      {.fd = a->status_fd, .events = POLLIN},
				      {.fd = a->link.fd, .events = POLLIN}};
	u32 n = 3 + hint_poll(&a->hints, fds + 3, FDS_MAX - 3);

	if (poll(fds, n, time_to_wait(a)) < 0)
		return;
	if (fds[0].revents != 0)
		take_signal(a, signals);
	if (fds[1].revents != 0)
		status_serve(a);
	if ((fds[2].revents & POLLIN) != 0 || a->link.event_count > 0)
		take_events(a);
	else if (fds[2].revents != 0)
		link_close(&a->link);
	answer_hints(a);
	shrink(a);
}

int agent_run(struct agent *a)
{
	int signals = open_signals();

	a->started_ms = now_ms();
	a->interval_ms = a->conf.interval_s * 1000;
	while (!a->stop) {
		if (now_ms() >= a->next_tick_ms) {
			tick(a);
			a->stop |= a->opt->once && a->ticks >= 2;
		}
		if (!a->stop)
			wait_and_serve(a, signals);
	}
	close(signals);
	return 0;
}

int agent_open(struct agent *a, const struct agent_options *opt)
{
	struct conf_error e;
	int rc;

	*a = (struct agent){.opt = opt,
			    .link.fd = -1,
			    .status_fd = -1,
			    .hints.listen_fd = -1,
			    .units.root_fd = -1};
	if (conf_load(&a->conf, opt->config, &e) != 0) {
		log_say(LOG_ERR, "%s:%u:%u: %s", opt->config, e.line, e.col, e.text);
		return -EINVAL;
	}
	snprintf(a->status_path, sizeof(a->status_path), "%s/agent.sock", opt->run_dir);
	snprintf(a->hint_path, sizeof(a->hint_path), "%s/hint.sock", opt->run_dir);
	snprintf(a->profile_path, sizeof(a->profile_path), "%s/profiles", opt->state_dir);
	rc = sample_open(&a->sampler);
	if (rc != 0) {
		log_say(LOG_ERR, "/proc/meminfo: %s", strerror(-rc));
		return rc;
	}
	a->proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cgroup_open(&a->units, CGROUP_ROOT);
	rc = profile_load(&a->profiles, a->profile_path);
	if (rc != 0)
		log_say(LOG_WARNING, "%s: %s; begins without profiles", a->profile_path,
			rc == -EINVAL ? "not a file of profiles" : strerror(-rc));
	forecast_init(&a->forecast, &a->profiles);
	if (opt->once)
		return 0;
	rc = hint_open(&a->hints, a->hint_path);
	if (rc == 0)
		rc = a->status_fd = status_open(a->status_path);
	if (rc < 0)
		log_say(LOG_ERR, "sockets in %s: %s", opt->run_dir, strerror(-rc));
	return rc < 0 ? rc : 0;
}

void agent_close(struct agent *a)
{
	store(a, true);
	hint_close(&a->hints, a->hint_path);
	if (a->status_fd >= 0) {
		close(a->status_fd);
		unlink(a->status_path);
	}
	link_close(&a->link);
}
