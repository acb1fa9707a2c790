/* SPDX-License-Identifier: MIT */
/* Instructions that C has no words for. */
#ifndef X86_H
#define X86_H

#include <tern/op_count.h>
#include <tern/types.h>

#include "x86_regs.h"

struct cpuid_regs {
	u32 eax, ebx, ecx, edx;
};

static inline struct cpuid_regs cpuid(u32 leaf, u32 subleaf)
{
	struct cpuid_regs r;

	__asm__ volatile("cpuid"
			 : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
			 : "a"(leaf), "c"(subleaf));
	return r;
}

static inline u64 rdmsr(u32 msr)
{
	u32 lo, hi;

	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
	return (u64)hi << 32 | lo;
}

static inline void wrmsr(u32 msr, u64 v)
{
	op_count(OP_WRMSR);
	__asm__ volatile("wrmsr" : : "c"(msr), "a"((u32)v), "d"((u32)(v >> 32)) : "memory");
}

/* As rdmsr, but false instead of #GP when the CPU has no such MSR. */
static inline bool rdmsr_safe(u32 msr, u64 *out)
{
	u32 lo, hi, ok;

	__asm__ volatile("movl $1, %2\n"
			 "1: rdmsr\n"
			 "2:\n"
			 ".pushsection .fixup, \"a\"\n"
			 ".quad 1b, 3f\n"
			 ".popsection\n"
			 ".pushsection .text.fixup, \"ax\"\n"
			 "3: xorl %2, %2\n"
			 "xorl %%eax, %%eax\n"
			 "xorl %%edx, %%edx\n"
			 "jmp 2b\n"
			 ".popsection"
			 : "=&a"(lo), "=&d"(hi), "=&r"(ok)
			 : "c"(msr));
	*out = (u64)hi << 32 | lo;
	return ok != 0;
}

static inline u64 rdtsc(void)
{
	u32 lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return (u64)hi << 32 | lo;
}

static inline u64 read_cr0(void)
{
	u64 v;

	__asm__ volatile("mov %%cr0, %0" : "=r"(v));
	return v;
}

static inline u64 read_cr2(void)
{
	u64 v;

	__asm__ volatile("mov %%cr2, %0" : "=r"(v));
	return v;
}

static inline u64 read_cr3(void)
{
	u64 v;

	__asm__ volatile("mov %%cr3, %0" : "=r"(v));
	return v;
}

static inline u64 read_cr4(void)
{
	u64 v;

	__asm__ volatile("mov %%cr4, %0" : "=r"(v));
	return v;
}

static inline void write_cr0(u64 v)
{
	__asm__ volatile("mov %0, %%cr0" : : "r"(v) : "memory");
}

static inline void write_cr3(u64 v)
{
	__asm__ volatile("mov %0, %%cr3" : : "r"(v) : "memory");
}

static inline void write_cr4(u64 v)
{
	__asm__ volatile("mov %0, %%cr4" : : "r"(v) : "memory");
}

static inline u64 read_rflags(void)
{
	u64 v;

	__asm__ volatile("pushfq; popq %0" : "=r"(v));
	return v;
}

static inline void invlpg(const void *va)
{
	__asm__ volatile("invlpg (%0)" : : "r"(va) : "memory");
}

static inline void write_cr2(u64 v)
{
	__asm__ volatile("mov %0, %%cr2" : : "r"(v));
}

/* Debug registers: their number is part of the instruction. */
#define X86_DR(n)                                                          \
	static inline u64 read_dr##n(void)                                 \
	{                                                                  \
		u64 v;                                                     \
                                                                           \
		__asm__ volatile("mov %%dr" #n ", %0" : "=r"(v));          \
		return v;                                                  \
	}                                                                  \
                                                                           \
	static inline void write_dr##n(u64 v)                              \
	{                                                                  \
		__asm__ volatile("mov %0, %%dr" #n : : "r"(v) : "memory"); \
	}
X86_DR(0)
X86_DR(1)
X86_DR(2)
X86_DR(3)
X86_DR(6)
#undef X86_DR

/* What SGDT and SIDT store. */
struct table_register {
	u16 limit;
	u64 base;
} PACKED;

#endif
