/* SPDX-License-Identifier: MIT */
/* Whether a message of an agent is well-formed: length, version, type, pad, every figure in its range. */
#include <tern/agent.h>

#include <tern/err.h>
#include <tern/lib.h>

static bool name_ok(const char *name)
{
	u32 n = 0;

	while (n < AGENT_NAME_MAX && name[n] >= ' ' && name[n] <= '~')
		n++;
	if (n == AGENT_NAME_MAX)
		return false;
	while (n < AGENT_NAME_MAX && name[n] == '\0')
		n++;
	return n == AGENT_NAME_MAX;
}

static bool hello_ok(const void *message, u64 advertised)
{
	struct agent_hello m;

	memcpy(&m, message, sizeof(m));
	return m.mem_total > 0 && m.mem_total <= advertised && name_ok(m.name);
}

static bool sample_ok(const void *message, u64 advertised)
{
	struct agent_sample m;

	memcpy(&m, message, sizeof(m));
	return m.mem_total > 0 && m.mem_total <= advertised && m.mem_free <= m.mem_total &&
	       m.mem_available <= m.mem_total && m.mem_cached <= m.mem_total &&
	       m.mem_anon <= m.mem_total && m.interval_ms > 0 && m.vcpus > 0 &&
	       m.cpu <= AGENT_PERMILLE && m.psi_mem_some <= AGENT_PERMILLE &&
	       m.psi_mem_full <= AGENT_PERMILLE && m.psi_cpu_some <= AGENT_PERMILLE &&
	       m.psi_io_some <= AGENT_PERMILLE && m.pad == 0;
}

static bool demand_ok(const void *message, u64 advertised)
{
	struct agent_demand m;

	memcpy(&m, message, sizeof(m));
	return m.bytes > 0 && m.bytes <= advertised && m.now <= advertised && m.horizon_ms > 0 &&
	       m.horizon_ms <= AGENT_HORIZON_MAX && m.confidence <= AGENT_PERMILLE &&
	       m.source >= AGENT_BY_HISTORY && m.source <= AGENT_BY_HINT && m.pad == 0;
}

static bool notice_ok(const void *message, UNUSED u64 advertised)
{
	struct agent_notice m;

	memcpy(&m, message, sizeof(m));
	return m.kind >= AGENT_PRE_CONGESTION && m.kind <= AGENT_LOW_UTILIZATION &&
	       m.resource >= AGENT_MEMORY && m.resource <= AGENT_NET && m.level <= AGENT_PERMILLE &&
	       m.horizon_ms <= AGENT_HORIZON_MAX;
}

static bool query_ok(UNUSED const void *message, UNUSED u64 advertised)
{
	return true;
}

static bool ack_ok(const void *message, u64 advertised)
{
	struct agent_ack m;

	memcpy(&m, message, sizeof(m));
	return m.bytes <= advertised && m.result <= 0 && m.pad == 0;
}

static const struct {
	u32 bytes;
	bool (*ok)(const void *message, u64 advertised);
} forms[AGENT_TYPES] = {
	[AGENT_HELLO] = {sizeof(struct agent_hello), hello_ok},
	[AGENT_SAMPLE] = {sizeof(struct agent_sample), sample_ok},
	[AGENT_DEMAND] = {sizeof(struct agent_demand), demand_ok},
	[AGENT_NOTICE] = {sizeof(struct agent_notice), notice_ok},
	[AGENT_QUERY] = {sizeof(struct agent_head), query_ok},
	[AGENT_ACK] = {sizeof(struct agent_ack), ack_ok},
};

int agent_check(const void *message, u32 bytes, u32 type, u64 advertised)
{
	struct agent_head head;

	if (bytes < sizeof(head))
		return -TERN_EINVAL;
	memcpy(&head, message, sizeof(head));
	if (head.bytes != bytes || head.version != AGENT_ABI_VERSION ||
	    head.type >= ARRAY_SIZE(forms) || (type != 0 && head.type != type) ||
	    forms[head.type].bytes != bytes)
		return -TERN_EINVAL;
	return forms[head.type].ok(message, advertised) ? 0 : -TERN_EINVAL;
}
