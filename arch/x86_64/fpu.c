/* SPDX-License-Identifier: MIT */
/* Saves a guest's XMM registers around the few calls of the host that use them. */
#include <tern/fpu.h>

#include <tern/arch.h>
#include <tern/err.h>
#include <tern/pcpu.h>

#include "cpu.h"

static struct cpu *this_cpu(void)
{
	return pcpu_self()->arch;
}

/* XCR0 is the guest's here; FXSAVE does not ask it (SDM vol. 1 10.5). */
void fpu_begin(void)
{
	struct cpu *cpu = this_cpu();

	ASSERT(!arch_irq_enabled() && !cpu->fpu_used);
	cpu->fpu_used = true;
	__asm__ volatile("fxsave64 %0" : "=m"(cpu->fxsave));
}

void fpu_end(void)
{
	struct cpu *cpu = this_cpu();

	__asm__ volatile("fxrstor64 %0" : : "m"(cpu->fxsave) : "memory");
	cpu->fpu_used = false;
}
