/* SPDX-License-Identifier: MIT */
/*
 * How the guest is: what /proc says, as text and then as the agent's sample. The parsers are pure; text that
 * the kernel would not write gives false, never a wrong figure.
 */
#ifndef SAMPLE_H
#define SAMPLE_H

#include <abi/agent.h>

struct meminfo { /* bytes */
	u64 total, free, available, buffers, cached, anon, swap_total, swap_free, inactive_file;
};

struct psi { /* microseconds since the boot */
	u64 some, full;
};

struct cpu_times { /* ticks since the boot, of all CPUs */
	u64 busy, all;
	u32 cpus; /* online */
};

struct io_bytes { /* since the boot */
	u64 in, out;
};

bool sample_meminfo(const char *s, size_t n, struct meminfo *m);
bool sample_vmstat(const char *s, size_t n, u64 *refaults);
bool sample_psi(const char *s, size_t n, struct psi *p);
bool sample_cpu(const char *s, size_t n, struct cpu_times *c);
bool sample_disks(const char *s, size_t n, struct io_bytes *b);
bool sample_net(const char *s, size_t n, struct io_bytes *b);

/* All counters at one moment. */
struct counters {
	u64 time_ns; /* CLOCK_MONOTONIC */
	struct meminfo mem;
	u64 refaults;
	struct psi psi_mem, psi_cpu, psi_io;
	struct cpu_times cpu;
	struct io_bytes disk, net;
};

/* The figures of a sample from two moments; head and pad stay zero. before may be equal to now. */
void sample_make(const struct counters *before, const struct counters *now, struct agent_sample *s);

/* The files behind it, kept open. */
enum sample_file {
	FILE_MEMINFO,
	FILE_VMSTAT,
	FILE_PSI_MEM,
	FILE_PSI_CPU,
	FILE_PSI_IO,
	FILE_STAT,
	FILE_DISKS,
	FILE_NET,
	SAMPLE_FILES
};

struct sampler {
	int fd[SAMPLE_FILES]; /* -1: the kernel has none */
};

/* Opens what there is. Returns 0, or a negative errno when /proc/meminfo cannot be read. */
int sample_open(struct sampler *s);

/* Reads meminfo alone. Returns as sample_read(). */
int sample_memory(struct sampler *s, struct meminfo *m);

/* Reads all. Returns 0, or -EIO when meminfo is not what it should be. */
int sample_read(struct sampler *s, struct counters *c);

#endif
