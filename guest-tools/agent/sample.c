/* SPDX-License-Identifier: MIT */
/* Memory, pressure, CPU, disk and network of the guest, from /proc. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <guest-tools/agent/sample.h>
#include <guest-tools/agent/text.h>
#include <tern/types.h>

#define SECTOR_BYTES 512u

bool sample_meminfo(const char *s, size_t n, struct meminfo *m)
{
	const struct {
		const char *name;
		u64 *to;
	} rows[] = {
		{"MemTotal:", &m->total},
		{"MemFree:", &m->free},
		{"MemAvailable:", &m->available},
		{"Buffers:", &m->buffers},
		{"Cached:", &m->cached},
		{"AnonPages:", &m->anon},
		{"SwapTotal:", &m->swap_total},
		{"SwapFree:", &m->swap_free},
		{"Inactive(file):", &m->inactive_file},
	};
	struct text t = text_of(s, n), line, name;

	memset(m, 0, sizeof(*m));
	while (text_line(&t, &line)) {
		if (!text_word(&line, &name))
			return false;
		for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
			u64 kib;

			if (!text_is(name, rows[i].name))
				continue;
			if (!text_number(&line, &kib) || kib >> 54 != 0)
				return false;
			*rows[i].to = kib << 10;
		}
	}
	return m->total > 0 && m->free <= m->total && m->available <= m->total &&
	       m->cached <= m->total && m->buffers <= m->total - m->cached &&
	       m->swap_free <= m->swap_total;
}

bool sample_vmstat(const char *s, size_t n, u64 *refaults)
{
	struct text t = text_of(s, n), line, name;
	u64 v;

	*refaults = 0;
	while (text_line(&t, &line)) {
		if (!text_word(&line, &name) || !text_starts(name, "workingset_refault"))
			continue;
		if (!text_number(&line, &v) || __builtin_add_overflow(*refaults, v, refaults))
			return false;
	}
	return true;
}

bool sample_psi(const char *s, size_t n, struct psi *p)
{
	struct text t = text_of(s, n), line, word;
	bool some = false;

	memset(p, 0, sizeof(*p));
	while (text_line(&t, &line)) {
		u64 *to = NULL;

		if (text_word(&line, &word))
			to = text_is(word, "some")   ? &p->some
			     : text_is(word, "full") ? &p->full
						     : NULL;
		if (to == NULL)
			return false;
		some |= to == &p->some;
		while (text_word(&line, &word)) {
			if (!text_starts(word, "total="))
				continue;
			word.at += strlen("total=");
			if (!text_number(&word, to))
				return false;
		}
	}
	return some;
}

bool sample_cpu(const char *s, size_t n, struct cpu_times *c)
{
	struct text t = text_of(s, n), line, name;

	memset(c, 0, sizeof(*c));
	while (text_line(&t, &line) && text_word(&line, &name) && text_starts(name, "cpu")) {
		u64 v;

		if (!text_is(name, "cpu")) {
			c->cpus++;
			continue;
		}
		/* user nice system idle iowait irq softirq steal; guest times are in user already. */
		for (u32 i = 0; i < 8 && text_number(&line, &v); i++) {
			if (v >> 58 != 0)
				return false;
			c->all += v;
			c->busy += i == 3 || i == 4 ? 0 : v;
		}
	}
	return c->cpus > 0 && c->all > 0;
}

/* A disk as a whole, not a part of one nor something built upon others. */
static bool whole_disk(struct text name)
{
	char last = name.end[-1];
	bool digit = last >= '0' && last <= '9';
	const char *p = name.end;

	if (text_starts(name, "sd") || text_starts(name, "vd") || text_starts(name, "xvd") ||
	    text_starts(name, "hd"))
		return !digit;
	if (!text_starts(name, "nvme") && !text_starts(name, "mmcblk"))
		return false;
	while (p > name.at && p[-1] >= '0' && p[-1] <= '9')
		p--;
	return digit && p > name.at && p[-1] != 'p';
}

bool sample_disks(const char *s, size_t n, struct io_bytes *b)
{
	struct text t = text_of(s, n), line, name;

	memset(b, 0, sizeof(*b));
	while (text_line(&t, &line)) {
		u64 v[7];
		bool good = true;

		if (!text_number(&line, &v[0]) || !text_number(&line, &v[0]) ||
		    !text_word(&line, &name))
			return false;
		if (!whole_disk(name))
			continue;
		/* reads, merged, sectors, ms, writes, merged, sectors (Documentation/iostats) */
		for (u32 i = 0; i < ARRAY_SIZE(v); i++)
			good = good && text_number(&line, &v[i]) && v[i] >> 48 == 0;
		if (!good)
			return false;
		b->in += v[2] * SECTOR_BYTES;
		b->out += v[6] * SECTOR_BYTES;
	}
	return true;
}

bool sample_net(const char *s, size_t n, struct io_bytes *b)
{
	struct text t = text_of(s, n), line, title, name;

	memset(b, 0, sizeof(*b));
	/* Two lines of titles. */
	if (!text_line(&t, &line) || !text_line(&t, &line))
		return false;
	while (text_line(&t, &line)) {
		const char *colon = memchr(line.at, ':', (size_t)(line.end - line.at));
		u64 v[9];
		bool good = colon != NULL;

		if (!good)
			return false;
		title = (struct text){line.at, colon};
		line.at = colon + 1;
		if (!text_word(&title, &name))
			return false;
		for (u32 i = 0; i < ARRAY_SIZE(v); i++)
			good = good && text_number(&line, &v[i]);
		if (!good)
			return false;
		if (!text_is(name, "lo")) {
			b->in += v[0];
			b->out += v[8];
		}
	}
	return true;
}

/* What was added in between, 0 when the counter began again. */
static u64 grown(u64 before, u64 now)
{
	return now > before ? now - before : 0;
}

static u64 per_second(u64 amount, u64 us)
{
	return (u64)((double)amount * 1e6 / (double)us);
}

static u32 permille(u64 part, u64 of)
{
	u64 v = of > 0 ? (u64)((double)part * 1000 / (double)of) : 0;

	return v < AGENT_PERMILLE ? (u32)v : AGENT_PERMILLE;
}

void sample_make(const struct counters *before, const struct counters *now, struct agent_sample *s)
{
	u64 us = grown(before->time_ns, now->time_ns) / 1000;
	u64 ms = us / 1000;

	if (us == 0)
		us = 1;
	*s = (struct agent_sample){
		.time_ns = now->time_ns,
		.mem_total = now->mem.total,
		.mem_free = now->mem.free,
		.mem_available = now->mem.available,
		.mem_cached = now->mem.cached + now->mem.buffers,
		.mem_anon = now->mem.anon,
		.swap_used = now->mem.swap_total - now->mem.swap_free,
		.refaults = now->refaults,
		.disk_read = per_second(grown(before->disk.in, now->disk.in), us),
		.disk_write = per_second(grown(before->disk.out, now->disk.out), us),
		.net_rx = per_second(grown(before->net.in, now->net.in), us),
		.net_tx = per_second(grown(before->net.out, now->net.out), us),
		.interval_ms = ms == 0           ? 1
			       : ms < UINT32_MAX ? (u32)ms
						 : UINT32_MAX,
		.vcpus = now->cpu.cpus > 0 ? now->cpu.cpus : 1,
		.cpu = permille(grown(before->cpu.busy, now->cpu.busy),
				grown(before->cpu.all, now->cpu.all)),
		.psi_mem_some = permille(grown(before->psi_mem.some, now->psi_mem.some), us),
		.psi_mem_full = permille(grown(before->psi_mem.full, now->psi_mem.full), us),
		.psi_cpu_some = permille(grown(before->psi_cpu.some, now->psi_cpu.some), us),
		.psi_io_some = permille(grown(before->psi_io.some, now->psi_io.some), us),
	};
}

int sample_open(struct sampler *s)
{
	static const char *const names[SAMPLE_FILES] = {
		[FILE_MEMINFO] = "/proc/meminfo",         [FILE_VMSTAT] = "/proc/vmstat",
		[FILE_PSI_MEM] = "/proc/pressure/memory", [FILE_PSI_CPU] = "/proc/pressure/cpu",
		[FILE_PSI_IO] = "/proc/pressure/io",      [FILE_STAT] = "/proc/stat",
		[FILE_DISKS] = "/proc/diskstats",         [FILE_NET] = "/proc/net/dev",
	};

	for (u32 i = 0; i < SAMPLE_FILES; i++) {
		s->fd[i] = open(names[i], O_RDONLY | O_CLOEXEC);
		if (s->fd[i] < 0 && i == FILE_MEMINFO)
			return -errno;
	}
	return 0;
}

static size_t read_file(const struct sampler *s, enum sample_file file, char *text, size_t size)
{
	ssize_t n = s->fd[file] >= 0 ? pread(s->fd[file], text, size, 0) : 0;

	return n > 0 ? (size_t)n : 0;
}

int sample_memory(struct sampler *s, struct meminfo *m)
{
	char text[4096];

	return sample_meminfo(text, read_file(s, FILE_MEMINFO, text, sizeof(text)), m) ? 0 : -EIO;
}

int sample_read(struct sampler *s, struct counters *c)
{
	char text[16384];
	struct timespec now;

	*c = (struct counters){0};
	clock_gettime(CLOCK_MONOTONIC, &now);
	c->time_ns = (u64)now.tv_sec * 1000000000 + (u64)now.tv_nsec;
	if (!sample_meminfo(text, read_file(s, FILE_MEMINFO, text, sizeof(text)), &c->mem))
		return -EIO;
	/* The others may be missing: pressure is a boot option, and what is not there reads as 0. */
	sample_vmstat(text, read_file(s, FILE_VMSTAT, text, sizeof(text)), &c->refaults);
	sample_psi(text, read_file(s, FILE_PSI_MEM, text, sizeof(text)), &c->psi_mem);
	sample_psi(text, read_file(s, FILE_PSI_CPU, text, sizeof(text)), &c->psi_cpu);
	sample_psi(text, read_file(s, FILE_PSI_IO, text, sizeof(text)), &c->psi_io);
	sample_cpu(text, read_file(s, FILE_STAT, text, sizeof(text)), &c->cpu);
	sample_disks(text, read_file(s, FILE_DISKS, text, sizeof(text)), &c->disk);
	sample_net(text, read_file(s, FILE_NET, text, sizeof(text)), &c->net);
	return 0;
}
