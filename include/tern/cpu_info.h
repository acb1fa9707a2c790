/* SPDX-License-Identifier: MIT */
/* What each CPU is and what virtualization it offers, for people (arch/x86_64/cpu_info.c). */
#ifndef TERN_CPU_INFO_H
#define TERN_CPU_INFO_H

#include <tern/types.h>

#define CPU_FEATURES_MAX 32u

enum cpu_virt { CPU_VIRT_NONE, CPU_VIRT_VTX, CPU_VIRT_SVM };

/*
 * One virtualization feature that Tern knows of, by the name its manual gives it: "EPT", "EPT 2 MiB
 * pages", "unrestricted guest", "VPID", "PML", ... The first feature of a VT-x CPU is "EPT", of an
 * AMD-V CPU "nested paging (AMD's EPT)".
 */
struct cpu_feature {
	const char *name;
	bool present;
};

/* Two CPUs of one model have equal bytes here: the memory is zeroed before it is filled. */
struct cpu_info {
	char vendor[13]; /* CPUID leaf 0: "GenuineIntel" */
	char model[49];  /* CPUID leaves 80000002h-80000004h, without leading spaces */
	u32 family;      /* display family, extended family added */
	u32 model_no;    /* display model, extended model added */
	u32 stepping;
	u8 phys_bits, virt_bits; /* address widths, CPUID 80000008h */
	bool x2apic;             /* the CPU has it and Tern uses it */
	bool tsc_invariant;      /* CPUID 80000007h EDX bit 8 */
	u64 tsc_hz;              /* 0: not calibrated */
	const char *tsc_source;  /* "CPUID 15h", "HPET", "PM timer"; static text, never NULL */
	enum cpu_virt virt;
	bool virt_usable;   /* and not locked off by firmware */
	char virt_why[200]; /* when not usable: which firmware switch to look for */
	u32 feature_count;
	struct cpu_feature features[CPU_FEATURES_MAX]; /* names are static texts */
};

/* What CPU number cpu_index found on itself; constant once it is online. NULL when that CPU never
 * came up, or there is none of that number. */
const struct cpu_info *cpu_info_get(u32 cpu_index);

#endif
