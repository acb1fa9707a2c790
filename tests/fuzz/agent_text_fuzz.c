/* SPDX-License-Identifier: MIT */
/* links: guest-tools/agent/sample.c guest-tools/agent/text.c guest-tools/agent/process.c guest-tools/agent/cgroup.c */
/* The kernel's text files as a container or a broken kernel might show them: the first byte says which. */
#include <stdlib.h>

#include <guest-tools/agent/cgroup.h>
#include <guest-tools/agent/process.h>
#include <guest-tools/agent/sample.h>

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static void require(bool cond)
{
	if (!cond)
		abort();
}

static void memory(const char *s, size_t n)
{
	struct counters c = {0};
	struct agent_sample sample;

	if (!sample_meminfo(s, n, &c.mem))
		return;
	sample_make(&c, &c, &sample);
	/* What the node would refuse. */
	require(sample.mem_total > 0 && sample.mem_free <= sample.mem_total);
	require(sample.mem_available <= sample.mem_total && sample.mem_cached <= sample.mem_total);
	require(sample.interval_ms > 0 && sample.vcpus > 0);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	const char *s = (const char *)data + 1;
	size_t n = size - 1;
	struct counters a = {0}, b = {.time_ns = 1000000000};
	struct agent_sample sample;
	struct proc_stat p;
	u64 v;

	if (size == 0)
		return 0;
	switch (data[0] % 8) {
	case 0:
		memory(s, n);
		break;
	case 1:
		sample_vmstat(s, n, &v);
		break;
	case 2:
		sample_psi(s, n, &b.psi_mem);
		break;
	case 3:
		sample_cpu(s, n, &b.cpu);
		break;
	case 4:
		sample_disks(s, n, &b.disk);
		break;
	case 5:
		sample_net(s, n, &b.net);
		break;
	case 6:
		if (process_parse(s, n, &p))
			require(p.pid > 0 && p.name[RUN_NAME_MAX - 1] == '\0');
		break;
	default:
		cgroup_number(s, n, &v);
		cgroup_stat(s, n, "inactive_file", &v);
	}
	sample_make(&a, &b, &sample);
	require(sample.psi_mem_some <= AGENT_PERMILLE && sample.cpu <= AGENT_PERMILLE);
	return 0;
}
