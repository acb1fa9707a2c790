/* SPDX-License-Identifier: MIT */
/* The stacks of a CPU: its own and one for each IST entry, each with an unmapped page below it. */
#include <tern/err.h>
#include <tern/frames.h>
#include <tern/init.h>
#include <tern/layout.h>

#include "cpu.h"
#include "hpt.h"

#define STACK_SIZE     KiB(16) /* room for one stack and its hole is twice that */
#define STACKS_PER_CPU (IST_COUNT + 1u)

static int stack_map(u32 cpu, u32 n, u64 *top)
{
	u64 va = LAYOUT_STACKS + ((u64)cpu * STACKS_PER_CPU + n) * 2 * STACK_SIZE + STACK_SIZE;
	hpa_t pa;
	int rc;

	rc = frames_alloc(2, 0, pcpu_get(cpu)->node, &pa);
	if (rc != 0)
		return rc;
	rc = hpt_map(va, pa, STACK_SIZE, HPT_RW);
	if (rc != 0) {
		frame_put(pa);
		return rc;
	}
	*top = va + STACK_SIZE;
	return 0;
}
_Static_assert(STACK_SIZE == PAGE_SIZE << 2, "order 2 above");

int stacks_map(struct pcpu *pc)
{
	struct cpu *cpu = pc->arch;
	int rc = stack_map(pc->index, 0, &cpu->stack_top);

	for (u32 i = 0; rc == 0 && i < IST_COUNT; i++) {
		u64 top;

		rc = stack_map(pc->index, i + 1, &top);
		if (rc == 0)
			cpu->tss.ist[i] = top;
	}
	return rc;
}

void init_stacks(struct pcpu *pc)
{
	if (stacks_map(pc) != 0)
		panic("no memory for the stacks of the boot CPU");
}

NORETURN void entry_switch_stack(u64 stack_top, void (*fn)(void));

void init_switch_stack(void (*fn)(void))
{
	struct cpu *cpu = pcpu_self()->arch;

	entry_switch_stack(cpu->stack_top, fn);
}
