/* SPDX-License-Identifier: MIT */
/*
 * Registers that a guest sees beyond those Tern uses itself (x86_regs.h): MSRs by their names in SDM
 * vol. 4, control register and XCR0 bits, CPUID bits that Tern shows to guests.
 */
#ifndef MSR_REGS_H
#define MSR_REGS_H

#include <arch/x86_64/x86_regs.h>

#define MSR_P5_MC_ADDR        0x0
#define MSR_P5_MC_TYPE        0x1
#define MSR_TSC               0x10
#define MSR_PLATFORM_ID       0x17
#define MSR_TSC_ADJUST        0x3b
#define MSR_SPEC_CTRL         0x48
#define MSR_PRED_CMD          0x49
#define MSR_BIOS_UPDT_TRIG    0x79
#define MSR_BIOS_SIGN_ID      0x8b
#define MSR_PLATFORM_INFO     0xce
#define MSR_MTRRCAP           0xfe
#define MSR_ARCH_CAPABILITIES 0x10a
#define MSR_MISC_FEATURES     0x140
#define MSR_SYSENTER_CS       0x174
#define MSR_SYSENTER_ESP      0x175
#define MSR_SYSENTER_EIP      0x176
#define MSR_MCG_CAP           0x179
#define MSR_MCG_STATUS        0x17a
#define MSR_MISC_ENABLE       0x1a0
#define MSR_DEBUGCTL          0x1d9
#define MSR_MTRR_PHYS         0x200
#define MSR_MTRR_PHYS_LAST    0x20f
#define MSR_MTRR_FIX64K       0x250
#define MSR_MTRR_FIX16K       0x258
#define MSR_MTRR_FIX16K_LAST  0x259
#define MSR_MTRR_FIX4K        0x268
#define MSR_MTRR_FIX4K_LAST   0x26f
#define MSR_VMX_LAST          0x491
#define MSR_X2APIC_LAST       0x8ff
#define MSR_STAR              0xc0000081
#define MSR_LSTAR             0xc0000082
#define MSR_CSTAR             0xc0000083
#define MSR_FMASK             0xc0000084
#define MSR_KERNEL_GS_BASE    0xc0000102

#define APIC_BASE_DEFAULT 0xfee00000ul
#define APIC_BASE_ADDR    (~0xffful)

/* SDM vol. 3A 11.11: 8 variable pairs, fixed ranges, write combining. */
#define MTRRCAP_VALUE    (8ul | 1ul << 8 | 1ul << 10)
#define MTRR_TYPE        0xfful
#define MTRR_BASE_RSVD   (0xful << 8)
#define MTRR_MASK_RSVD   0x7fful
#define MTRR_DEF_DEFINED (MTRR_TYPE | 3ul << 10)
/* Memory types as bits: MTRRs know UC, WC, WT, WP, WB; the PAT also UC- (SDM vol. 3A table 11-10). */
#define MTRR_TYPES_VALID 0x73u
#define PAT_TYPES_VALID  0xf3u
#define PAT_RESET        0x0007040600070406ul

#define MISC_ENABLE_FAST_STRING  (1ul << 0)
#define MISC_ENABLE_BTS_UNAVAIL  (1ul << 11)
#define MISC_ENABLE_PEBS_UNAVAIL (1ul << 12)
#define MISC_ENABLE_RESET \
	(MISC_ENABLE_FAST_STRING | MISC_ENABLE_BTS_UNAVAIL | MISC_ENABLE_PEBS_UNAVAIL)

/* Revision 1, in the upper half. */
#define BIOS_SIGN_VALUE (1ul << 32)

#define SPEC_CTRL_IBRS      (1ul << 0)
#define SPEC_CTRL_STIBP     (1ul << 1)
#define SPEC_CTRL_SSBD      (1ul << 2)
#define SPEC_CTRL_IPRED_DIS (3ul << 3)
#define SPEC_CTRL_RRSBA_DIS (3ul << 5)
#define SPEC_CTRL_PSFD      (1ul << 7)
#define SPEC_CTRL_DDPD_U    (1ul << 8)
#define SPEC_CTRL_BHI_DIS_S (1ul << 10)
#define PRED_CMD_IBPB       (1ul << 0)
/*
 * IA32_ARCH_CAPABILITIES bits that only say what the CPU does not suffer from (and IBRS_ALL, RSBA,
 * RRSBA, FB_CLEAR, RFDS_CLEAR). Not those that announce another MSR.
 */
#define ARCH_CAP_SHOWN \
	(7ul << 0 | 7ul << 4 | 1ul << 8 | 7ul << 13 | 1ul << 17 | 3ul << 19 | 1ul << 24 | 7ul << 26)

#define VIRT_BITS 48u /* 4-level paging: LA57 is not shown */

/* SDM vol. 3A 6.3.1 and 2.5; x86_regs.h has the others. */
#define VEC_DE 0
#define VEC_TS 10
#define VEC_NP 11
#define VEC_SS 12
#define VEC_AC 17
#define VEC_VE 20
#define VEC_CP 21

#define CR0_EM       (1ul << 2)
#define CR0_TS       (1ul << 3)
#define CR0_AM       (1ul << 18)
#define CR4_VME      (1ul << 0)
#define CR4_PVI      (1ul << 1)
#define CR4_TSD      (1ul << 2)
#define CR4_DE       (1ul << 3)
#define CR4_PSE      (1ul << 4)
#define CR4_PCE      (1ul << 8)
#define CR4_LA57     (1ul << 12)
#define CR4_FSGSBASE (1ul << 16)
#define CR4_PCIDE    (1ul << 17)
#define CR4_OSXSAVE  (1ul << 18)
#define CR4_SMAP     (1ul << 21)
#define CR4_PKE      (1ul << 22)
#define CR3_PCID     0xffful
#define CR3_NOFLUSH  (1ul << 63)
#define EFER_SCE     (1ul << 0)
#define EFER_FFXSR   (1ul << 14)
#define PDPTE_P      1ul
#define PDPTE_RSVD   0x1e6ul /* bits 2:1 and 8:5, SDM vol. 3A table 4-8 */

#define XCR0_X87          (1ul << 0)
#define XCR0_SSE          (1ul << 1)
#define XCR0_AVX          (1ul << 2)
#define XCR0_BND          (3ul << 3)
#define XCR0_AVX512       (7ul << 5)
#define XCR0_PKRU         (1ul << 9)
#define XCR0_AMX          (3ul << 17)
#define XSAVE_LEGACY      576u /* legacy region and header */
#define XSAVE_FIRST       2u   /* components that leaf 0DH describes one by one */
#define XSAVE_LAST        9u
#define XSAVE_ECX_ALIGNED (1u << 1)

/* CPUID leaf 1 */
#define CPUID_HV_BASE          0x40000000u
#define CPUID_HV_END           0x50000000u
#define CPUID_EXT_BASE         0x80000000u
#define CPUID_AMD_EBX          0x68747541u /* "Auth" */
#define CPUID_HYGON_EBX        0x6f677948u /* "Hygo" */
#define PHYS_BITS_DEFAULT      36u
#define CPUIDB_ECX_SMT         (1u << 8)
#define CPUIDB_ECX_CORE        (2u << 8)
#define CPUID1_ECX_SSE3        (1u << 0)
#define CPUID1_ECX_PCLMUL      (1u << 1)
#define CPUID1_ECX_SSSE3       (1u << 9)
#define CPUID1_ECX_FMA         (1u << 12)
#define CPUID1_ECX_CX16        (1u << 13)
#define CPUID1_ECX_PCID        (1u << 17)
#define CPUID1_ECX_SSE4        (3u << 19) /* 4.1, 4.2 */
#define CPUID1_ECX_MOVBE       (1u << 22)
#define CPUID1_ECX_POPCNT      (1u << 23)
#define CPUID1_ECX_AES         (1u << 25)
#define CPUID1_ECX_XSAVE       (1u << 26)
#define CPUID1_ECX_OSXSAVE     (1u << 27)
#define CPUID1_ECX_AVX         (1u << 28)
#define CPUID1_ECX_F16C        (1u << 29)
#define CPUID1_EDX_FPU         (1u << 0)
#define CPUID1_EDX_VME         (1u << 1)
#define CPUID1_EDX_DE          (1u << 2)
#define CPUID1_EDX_PSE         (1u << 3)
#define CPUID1_EDX_TSC         (1u << 4)
#define CPUID1_EDX_MSR         (1u << 5)
#define CPUID1_EDX_PAE         (1u << 6)
#define CPUID1_EDX_MCE         (1u << 7)
#define CPUID1_EDX_CX8         (1u << 8)
#define CPUID1_EDX_APIC        (1u << 9)
#define CPUID1_EDX_SEP         (1u << 11)
#define CPUID1_EDX_MTRR        (1u << 12)
#define CPUID1_EDX_PGE         (1u << 13)
#define CPUID1_EDX_MCA         (1u << 14)
#define CPUID1_EDX_CMOV        (1u << 15)
#define CPUID1_EDX_PAT         (1u << 16)
#define CPUID1_EDX_PSE36       (1u << 17)
#define CPUID1_EDX_CLFSH       (1u << 19)
#define CPUID1_EDX_MMX         (1u << 23)
#define CPUID1_EDX_FXSR        (1u << 24)
#define CPUID1_EDX_SSE         (1u << 25)
#define CPUID1_EDX_SSE2        (1u << 26)
#define CPUID1_EDX_SS          (1u << 27)
#define CPUID1_EDX_HTT         (1u << 28)
#define CPUID6_EAX_ARAT        (1u << 2)
#define CPUID7_EBX_FSGSBASE    (1u << 0)
#define CPUID7_EBX_TSC_ADJUST  (1u << 1)
#define CPUID7_EBX_BMI1        (1u << 3)
#define CPUID7_EBX_AVX2        (1u << 5)
#define CPUID7_EBX_FDP         (1u << 6)
#define CPUID7_EBX_BMI2        (1u << 8)
#define CPUID7_EBX_ERMS        (1u << 9)
#define CPUID7_EBX_INVPCID     (1u << 10)
#define CPUID7_EBX_FCS_FDS     (1u << 13)
#define CPUID7_EBX_AVX512      0xdc230000u /* F, DQ, IFMA, PF, ER, CD, BW, VL */
#define CPUID7_EBX_RDSEED      (1u << 18)
#define CPUID7_EBX_ADX         (1u << 19)
#define CPUID7_EBX_SMAP        (1u << 20)
#define CPUID7_EBX_CLFLUSHOPT  (1u << 23)
#define CPUID7_EBX_CLWB        (1u << 24)
#define CPUID7_EBX_SHA         (1u << 29)
#define CPUID7_ECX_AVX512      0x5842u /* VBMI, VBMI2, VNNI, BITALG, VPOPCNTDQ */
#define CPUID7_ECX_PKU         (1u << 3)
#define CPUID7_ECX_OSPKE       (1u << 4)
#define CPUID7_ECX_GFNI        (1u << 8)
#define CPUID7_ECX_AVX         (3u << 9) /* VAES, VPCLMULQDQ */
#define CPUID7_ECX_RDPID       (1u << 22)
#define CPUID7_ECX_CLDEMOTE    (1u << 25)
#define CPUID7_ECX_MOVDIR      (3u << 27) /* MOVDIRI, MOVDIR64B */
#define CPUID7_EDX_AVX512      0x80010cu  /* 4VNNIW, 4FMAPS, VP2INTERSECT, FP16 */
#define CPUID7_EDX_FSRM        (1u << 4)
#define CPUID7_EDX_MD_CLEAR    (1u << 10)
#define CPUID7_EDX_SERIALIZE   (1u << 14)
#define CPUID7_EDX_IBRS        (1u << 26)
#define CPUID7_EDX_STIBP       (1u << 27)
#define CPUID7_EDX_ARCH_CAP    (1u << 29)
#define CPUID7_EDX_SSBD        (1u << 31)
#define CPUID71_EAX_AVX        0x800010u /* VNNI, IFMA */
#define CPUID71_EAX_BF16       (1u << 5)
#define CPUID71_EAX_FAST       (7u << 10) /* FZRM, FSRS, FSRC */
#define CPUID72_EDX_PSFD       (1u << 0)
#define CPUID72_EDX_IPRED      (1u << 1)
#define CPUID72_EDX_RRSBA      (1u << 2)
#define CPUID72_EDX_DDPD_U     (1u << 3)
#define CPUID72_EDX_BHI        (1u << 4)
#define CPUID72_EDX_MCDT_NO    (1u << 5)
#define CPUIDD1_EAX_XSAVEOPT   (1u << 0)
#define CPUIDD1_EAX_XGETBV1    (1u << 2)
#define CPUIDX1_ECX_LAHF       (1u << 0)
#define CPUIDX1_ECX_CMP_LEGACY (1u << 1)
#define CPUIDX1_ECX_CR8        (1u << 4)
#define CPUIDX1_ECX_LZCNT      (1u << 5)
#define CPUIDX1_ECX_SSE4A      (1u << 6)
#define CPUIDX1_ECX_MISALIGN   (1u << 7)
#define CPUIDX1_ECX_PREFETCHW  (1u << 8)
#define CPUIDX1_ECX_AVX        0x10800u /* XOP, FMA4 */
#define CPUIDX1_ECX_TBM        (1u << 21)
#define CPUIDX1_EDX_SYSCALL    (1u << 11)
#define CPUIDX1_EDX_NX         (1u << 20)
#define CPUIDX1_EDX_MMXEXT     (1u << 22)
#define CPUIDX1_EDX_FXSR_OPT   (1u << 25)
#define CPUIDX1_EDX_LM         (1u << 29)
#define CPUIDX1_EDX_3DNOW      (3u << 30) /* 3DNOW, 3DNOWEXT */
/* Bits that AMD repeats from leaf 1: 9:0, 17:12, 24:23. */
#define CPUIDX1_EDX_SAME       0x0183f3ffu
#define CPUIDX8_EBX_CLZERO     (1u << 0)
#define CPUIDX8_EBX_XSAVEERPTR (1u << 2)
#define CPUIDX8_EBX_WBNOINVD   (1u << 9)
#define CPUIDX8_EBX_IBPB       (1u << 12)
#define CPUIDX8_EBX_IBRS       (1u << 14)
#define CPUIDX8_EBX_STIBP      (1u << 15)
#define CPUIDX8_EBX_SSBD       (1u << 24)

#endif
