/* SPDX-License-Identifier: MIT */
/*
 * How many VMREADs, VMWRITEs and WRMSRs an exit takes, for `make bench`: an emulator's clock counts each as
 * one instruction, a CPU takes tens of cycles for it. Only builds with COUNT=1 count, and they are for one
 * CPU; in all others this compiles to nothing.
 */
#ifndef TERN_OP_COUNT_H
#define TERN_OP_COUNT_H

#include <tern/types.h>

#ifndef TERN_COUNT
#define TERN_COUNT 0
#endif

enum op { OP_VMREAD, OP_VMWRITE, OP_WRMSR, OP_COUNT };

/* Since the counts were last taken. hv/vm/exit_stat.c. */
extern u32 op_counts[OP_COUNT];

static inline __attribute__((always_inline)) void op_count(enum op op)
{
	if (TERN_COUNT)
		op_counts[op]++;
}

/* Moves them to an exit's. */
static inline void op_count_take(u64 *to)
{
	for (u32 i = 0; TERN_COUNT && i < OP_COUNT; i++) {
		to[i] += op_counts[i];
		op_counts[i] = 0;
	}
}

#endif
