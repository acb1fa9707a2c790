/* SPDX-License-Identifier: MIT */
/* The table of CPUs. */
#include <tern/pcpu.h>

#include <tern/err.h>
#include <tern/frames.h>

static struct pcpu *cpus[CPUS_MAX];
static u32 count;

void pcpu_init(void)
{
	cpus[0] = pcpu_self();
	count = 1;
}

u32 pcpu_count(void)
{
	return count;
}

u32 pcpu_online_count(void)
{
	u32 online = 0;

	for (u32 i = 0; i < count; i++)
		online += __atomic_load_n(&cpus[i]->online, __ATOMIC_ACQUIRE);
	return online;
}

struct pcpu *pcpu_get(u32 index)
{
	ASSERT(index < count);
	return cpus[index];
}

u64 pcpu_idle_ticks(const struct pcpu *pc)
{
	u64 since = __atomic_load_n(&pc->idle_since, __ATOMIC_ACQUIRE);
	u64 ticks = __atomic_load_n(&pc->idle_tsc, __ATOMIC_RELAXED);
	u64 now = arch_tsc();

	return since != 0 && since < now ? ticks + (now - since) : ticks;
}

struct pcpu *pcpu_add(u32 apic_id, u32 acpi_uid)
{
	struct pcpu *pc;

	if (count == CPUS_MAX)
		return NULL;
	pc = frames_alloc_page();
	if (pc == NULL)
		return NULL;
	pc->self = pc;
	pc->index = count;
	pc->apic_id = apic_id;
	pc->acpi_uid = acpi_uid;
	pc->arch = (char *)pc + PCPU_ARCH_OFFSET;
	cpus[count++] = pc;
	return pc;
}
