/* SPDX-License-Identifier: MIT */
/* What the agent knows, in words: one text, that the command gets over a socket. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <guest-tools/agent/agent.h>
#include <tern/lib.h>

struct out {
	char *text;
	size_t size, n;
};

static void put(struct out *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void put(struct out *o, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(o->n < o->size ? o->text + o->n : NULL, o->n < o->size ? o->size - o->n : 0,
		      fmt, ap);
	va_end(ap);
	o->n += n > 0 ? (size_t)n : 0;
}

/* A size in words, in one of a few places that take turns. */
static const char *words(u64 bytes)
{
	static char places[4][16];
	static u32 next;
	char *p = places[next++ % 4];

	return fmt_size(p, sizeof(places[0]), bytes);
}

static void put_node(struct out *o, const struct agent *a)
{
	static const char *const links[] = {"none", "/dev/tern", "virtio port"};

	put(o, "node        %s%s, %llu messages, %llu refused\n", links[a->link.kind],
	    a->opt->dry_run ? " (dry run)" : "", (unsigned long long)a->link.sent,
	    (unsigned long long)a->link.refused);
	if (a->node.advertised != 0)
		put(o, "granted     %s of %s, backed %s, mode L%u\n", words(a->node.grant),
		    words(a->node.advertised), words(a->node.backed), a->node.mode);
}

static void put_forecast(struct out *o, const struct agent *a)
{
	static const char *const sources[] = {"nothing", "history", "a profile", "a hint"};

	put(o, "used        %s of %s\n", words(a->o.used), words(a->o.advertised));
	put(o, "forecast    %s within %u s, by %s, confidence %u permille\n",
	    words(a->result.bytes), a->conf.horizon_s, sources[a->result.source],
	    a->result.confidence);
	put(o, "pressure    memory %u/%u, cpu %u, io %u permille; refaults %llu\n",
	    a->sample.psi_mem_some, a->sample.psi_mem_full, a->sample.psi_cpu_some,
	    a->sample.psi_io_some, (unsigned long long)a->sample.refaults);
	put(o, "\n%-10s %10s %10s %10s %10s %9s\n", "predictor", "predicts", "confidence",
	    "maturity", "cost", "samples");
	for (u32 i = 0; i < PREDICTORS; i++) {
		const struct forecast_part *p = &a->forecast.part[i];

		put(o, "%-10s %10s %10u %10u %10.3f %9llu\n", forecast_predictor(i)->name,
		    p->confidence > 0 ? words(p->bytes) : "-", p->confidence, p->maturity, p->cost,
		    (unsigned long long)p->samples);
	}
}

static void put_runs(struct out *o, const struct agent *a)
{
	const struct profile_state *s = &a->forecast.profile;

	put(o, "\n%-32s %-5s %8s %10s %10s %5s %5s\n", "workload", "kind", "age", "uses",
	    "peak before", "runs", "hit");
	for (u32 i = 0; i < s->count; i++) {
		const struct live_run *l = &s->live[i];

		put(o, "%-32s %-5s %7llus %10s", l->run.name,
		    l->run.kind == RUN_UNIT ? "unit" : "exe",
		    (unsigned long long)(a->o.now_ms - l->run.start_ms) / 1000,
		    words(l->run.bytes));
		if (l->profile != NULL)
			put(o, " %10s %5u %5u\n", words(profile_peak(l->profile, 0, UINT64_MAX)),
			    l->profile->runs, l->profile->hit);
		else
			put(o, " %10s\n", "-");
	}
}

static void put_hints(struct out *o, const struct agent *a)
{
	const struct hint_state *s = &a->forecast.hint;

	put(o, "\nhints       %u now, %llu taken, %llu refused\n", s->count,
	    (unsigned long long)a->hints.taken, (unsigned long long)a->hints.refused);
	for (u32 i = 0; i < s->count; i++) {
		const struct hint *h = &s->h[i];
		u64 left = h->until_ms > a->o.now_ms ? h->until_ms - a->o.now_ms : 0;

		if (h->pid < 0)
			put(o, "  [hint.%s]", a->conf.hint[-h->pid - 1].label);
		else
			put(o, "  pid %d uid %u", h->pid, h->uid);
		put(o, ": %s on top of %s, %llu s left\n", words(h->bytes), words(h->base),
		    (unsigned long long)left / 1000);
	}
}

size_t status_text(const struct agent *a, char *text, size_t size)
{
	struct out o = {.text = text, .size = size};
	struct rusage self;
	double cpu;

	if (size > 0)
		text[0] = '\0';
	put_node(&o, a);
	put_forecast(&o, a);
	put_runs(&o, a);
	put_hints(&o, a);
	put(&o, "reclaim     %s asked for, %s taken back, pause %llu s%s\n",
	    words(a->reclaim.asked), words(a->reclaim.taken),
	    (unsigned long long)a->reclaim.pause_ms / 1000,
	    a->reclaim.event != 0 ? "; the node asks" : "");
	getrusage(RUSAGE_SELF, &self);
	cpu = (double)(self.ru_utime.tv_sec + self.ru_stime.tv_sec) +
	      (double)(self.ru_utime.tv_usec + self.ru_stime.tv_usec) / 1e6;
	put(&o, "own cost    %.3f s of CPU in %llu s and %llu samples, every %.1f s now\n", cpu,
	    (unsigned long long)(a->o.now_ms - a->started_ms) / 1000, (unsigned long long)a->ticks,
	    a->interval_ms / 1000.0);
	return o.n;
}

static int status_address(struct sockaddr_un *at, const char *path)
{
	*at = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(at->sun_path))
		return -ENAMETOOLONG;
	strcpy(at->sun_path, path);
	return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

int status_open(const char *path)
{
	struct sockaddr_un at;
	int fd = status_address(&at, path);

	if (fd < 0)
		return -errno;
	unlink(path);
	if (bind(fd, (const struct sockaddr *)&at, sizeof(at)) != 0 || chmod(path, 0600) != 0 ||
	    listen(fd, 4) != 0) {
		int rc = -errno;

		close(fd);
		return rc;
	}
	return fd;
}

void status_serve(struct agent *a)
{
	char text[16384];
	int fd = accept4(a->status_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	size_t n;

	if (fd < 0)
		return;
	n = status_text(a, text, sizeof(text));
	/* It fits into the socket's buffer; one that does not read is not waited for. */
	(void)!send(fd, text, n < sizeof(text) ? n : sizeof(text) - 1, MSG_NOSIGNAL);
	close(fd);
}

int status_ask(const char *path)
{
	struct sockaddr_un at;
	char text[4096];
	int fd = status_address(&at, path);
	ssize_t n;

	if (fd < 0 || connect(fd, (const struct sockaddr *)&at, sizeof(at)) != 0) {
		fprintf(stderr, "tern-agent: no agent answers at %s: %s\n", path, strerror(errno));
		return 1;
	}
	while ((n = read(fd, text, sizeof(text))) > 0)
		fwrite(text, 1, (size_t)n, stdout);
	close(fd);
	return n < 0 ? 1 : 0;
}
