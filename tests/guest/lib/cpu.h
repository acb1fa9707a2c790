/* SPDX-License-Identifier: MIT */
/* The instructions that C does not know. */
#ifndef GUEST_CPU_H
#define GUEST_CPU_H

#include <abi/types.h>

#define CR0_PE      (1ul << 0)
#define CR0_TS      (1ul << 3)
#define CR0_NE      (1ul << 5)
#define CR0_WP      (1ul << 16)
#define CR0_AM      (1ul << 18)
#define CR0_NW      (1ul << 29)
#define CR0_CD      (1ul << 30)
#define CR0_PG      (1ul << 31)
#define CR4_PSE     (1ul << 4)
#define CR4_DE      (1ul << 3)
#define CR4_PAE     (1ul << 5)
#define CR4_OSFXSR  (1ul << 9)
#define CR4_VMXE    (1ul << 13)
#define CR4_PCIDE   (1ul << 17)
#define CR4_OSXSAVE (1ul << 18)
#define FLAG_TF     (1ul << 8)
#define FLAG_IF     (1ul << 9)
#define FLAG_AC     (1ul << 18)
#define FLAG_ID     (1ul << 21)

#define MSR_APIC_BASE      0x0000001bu
#define MSR_MISC_ENABLE    0x000001a0u
#define MSR_X2APIC_ICR     0x00000830u
#define MSR_SYSENTER_CS    0x00000174u
#define MSR_PAT            0x00000277u
#define MSR_EFER           0xc0000080u
#define MSR_STAR           0xc0000081u
#define MSR_LSTAR          0xc0000082u
#define MSR_CSTAR          0xc0000083u
#define MSR_SFMASK         0xc0000084u
#define MSR_FS_BASE        0xc0000100u
#define MSR_GS_BASE        0xc0000101u
#define MSR_KERNEL_GS_BASE 0xc0000102u
#define MSR_TSC_AUX        0xc0000103u
#define EFER_SCE           (1ul << 0)
#define EFER_LME           (1ul << 8)
#define EFER_LMA           (1ul << 10)
#define EFER_NXE           (1ul << 11)

#define PORT_COM1    0x3f8u
#define PORT_EXIT    0xf4u
#define PORT_PM1_CNT 0x604u /* of Tern: docs/platform.md */
/* Nobody owns these on a PC without that card. */
#define PORT_NOBODY 0x2c0u

struct cpuid_regs {
	u32 a, b, c, d;
};

static inline struct cpuid_regs cpuid(u32 leaf, u32 subleaf)
{
	struct cpuid_regs r;

	__asm__ volatile("cpuid"
			 : "=a"(r.a), "=b"(r.b), "=c"(r.c), "=d"(r.d)
			 : "a"(leaf), "c"(subleaf));
	return r;
}

static inline u64 rdtsc(void)
{
	u32 lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi)::"memory");
	return (u64)hi << 32 | lo;
}

static inline u64 rdmsr(u32 msr)
{
	u32 lo, hi;

	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr) : "memory");
	return (u64)hi << 32 | lo;
}

static inline void wrmsr(u32 msr, u64 value)
{
	__asm__ volatile("wrmsr" ::"c"(msr), "a"((u32)value), "d"((u32)(value >> 32)) : "memory");
}

static inline u64 xgetbv(u32 index)
{
	u32 lo, hi;

	__asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(index));
	return (u64)hi << 32 | lo;
}

#define CPU_PORT(letter, type)                                                                  \
	static inline type in##letter(u16 port)                                                 \
	{                                                                                       \
		type value;                                                                     \
                                                                                                \
		__asm__ volatile("in" #letter " %1, %0" : "=a"(value) : "Nd"(port) : "memory"); \
		return value;                                                                   \
	}                                                                                       \
	static inline void out##letter(u16 port, type value)                                    \
	{                                                                                       \
		__asm__ volatile("out" #letter " %0, %1" ::"a"(value), "Nd"(port) : "memory");  \
	}

CPU_PORT(b, u8)
CPU_PORT(w, u16)
CPU_PORT(l, u32)

#define CPU_REGISTER(name)                                                       \
	static inline unsigned long read_##name(void)                            \
	{                                                                        \
		unsigned long value;                                             \
                                                                                 \
		__asm__ volatile("mov %%" #name ", %0" : "=r"(value)::"memory"); \
		return value;                                                    \
	}                                                                        \
	static inline void write_##name(unsigned long value)                     \
	{                                                                        \
		__asm__ volatile("mov %0, %%" #name ::"r"(value) : "memory");    \
	}

CPU_REGISTER(cr0)
CPU_REGISTER(cr2)
CPU_REGISTER(cr3)
CPU_REGISTER(cr4)
CPU_REGISTER(dr0)
CPU_REGISTER(dr1)
CPU_REGISTER(dr2)
CPU_REGISTER(dr3)
CPU_REGISTER(dr6)
CPU_REGISTER(dr7)

static inline void cpu_pause(void)
{
	__asm__ volatile("pause" ::: "memory");
}

static inline void invlpg(const volatile void *address)
{
	__asm__ volatile("invlpg (%0)" ::"r"(address) : "memory");
}

static inline unsigned long read_flags(void)
{
	unsigned long flags;

	__asm__ volatile("pushf; pop %0" : "=r"(flags)::"memory");
	return flags;
}

static inline void write_flags(unsigned long flags)
{
	__asm__ volatile("push %0; popf" ::"r"(flags) : "memory", "cc");
}

#endif
