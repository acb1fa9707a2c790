/* SPDX-License-Identifier: MIT */
/* What x86-64 keeps for each CPU beside struct pcpu: descriptor tables and stacks. */
#ifndef CPU_H
#define CPU_H

#include <tern/cpu_info.h>
#include <tern/pcpu.h>
#include <tern/types.h>

#include "x86_regs.h"

/* SDM vol. 3A 8.7, 64-bit TSS. */
struct tss {
	u32 reserved0;
	u64 rsp[3];
	u64 reserved1;
	u64 ist[IST_COUNT];
	u64 reserved2;
	u16 reserved3;
	u16 iomap;
} PACKED;
_Static_assert(sizeof(struct tss) == 104, "SDM vol. 3A figure 8-11");

struct cpu {
	struct tss tss;
	u64 gdt[5];
	u64 stack_top;              /* (c) of the CPU's own stack */
	u8 fxsave[512] ALIGNED(16); /* what fpu_begin() found (SDM vol. 1 10.5.1) */
	bool fpu_used;
	struct cpu_info info; /* (c) once the CPU is online */
};

_Static_assert(sizeof(struct cpu) <= PAGE_SIZE - PCPU_ARCH_OFFSET,
	       "shares a page with struct pcpu");

/* The registers an exception or interrupt found, as entry.S pushes them. */
struct arch_regs {
	u64 r15, r14, r13, r12, r11, r10, r9, r8;
	u64 rdi, rsi, rbp, rdx, rcx, rbx, rax;
	u64 vector, error;
	u64 rip, cs, rflags, rsp, ss;
};
_Static_assert(sizeof(struct arch_regs) == 176, "entry.S pushes 22 registers");

extern struct pcpu pcpu_boot;
extern struct cpu cpu_boot;

/* FS and GS bases, GDT, IDT, TSS and control registers of this CPU, from pc->arch. */
void traps_load(struct pcpu *pc);
/* Maps the CPU's stacks, each with a hole below it, and points the TSS at them. -TERN_ENOMEM. */
MUST_CHECK int stacks_map(struct pcpu *pc);
/* PAT, CR0, CR4 of this CPU, the same on all. */
void cpu_set_control_registers(void);

#endif
