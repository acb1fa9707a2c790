/* SPDX-License-Identifier: MIT */
/* The names of exits, as the shell shows them. */
#include <tern/vm.h>

u32 op_counts[OP_COUNT];

const char *exit_stat_name(enum exit_stat stat)
{
	static const char *const names[STAT_COUNT] = {
		[STAT_CPUID] = "CPUID",
		[STAT_RDMSR] = "RDMSR",
		[STAT_WRMSR] = "WRMSR",
		[STAT_CR] = "control register",
		[STAT_DR] = "debug register",
		[STAT_XSETBV] = "XSETBV",
		[STAT_PIO] = "port I/O",
		[STAT_MMIO] = "device memory",
		[STAT_TOUCH] = "memory touch",
		[STAT_HYPERCALL] = "hypercall",
		[STAT_HLT] = "HLT",
		[STAT_PAUSE] = "PAUSE loop",
		[STAT_HOST_IRQ] = "host interrupt",
		[STAT_IRQ_WINDOW] = "interrupt window",
		[STAT_EXCEPTION] = "exception",
		[STAT_TASK_SWITCH] = "task switch",
		[STAT_DESCRIPTOR] = "descriptor table",
		[STAT_TIMER] = "end of turn",
		[STAT_APIC] = "local APIC",
		[STAT_OTHER] = "other",
	};

	return names[stat];
}
