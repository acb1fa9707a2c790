/* SPDX-License-Identifier: MIT */
/*
 * The part of tern/arch.h that every exit and every lock goes through, inline for x86-64: a call would
 * cost more than what it does. Included by tern/arch.h alone.
 */
#ifndef TERN_THIS_CPU_H
#define TERN_THIS_CPU_H

#include <tern/types.h>

#define THIS_CPU_RFLAGS_IF 0x200u

struct pcpu;

static inline u64 arch_tsc(void)
{
	u64 lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return hi << 32 | lo;
}

/* GS base is the CPU's block, whose first field is its address. */
static inline struct pcpu *pcpu_self(void)
{
	struct pcpu *pc;

	__asm__("movq %%gs:0, %0" : "=r"(pc));
	return pc;
}

static inline void arch_relax(void)
{
	__asm__ volatile("pause");
}

static inline bool arch_irq_enabled(void)
{
	u64 rflags;

	__asm__ volatile("pushfq; popq %0" : "=r"(rflags));
	return (rflags & THIS_CPU_RFLAGS_IF) != 0;
}

static inline bool arch_irq_off(void)
{
	bool on = arch_irq_enabled();

	__asm__ volatile("cli" : : : "memory");
	return on;
}

static inline void arch_irq_on(void)
{
	__asm__ volatile("sti" : : : "memory");
}

#endif
