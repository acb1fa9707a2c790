/* SPDX-License-Identifier: MIT */
/* Control registers, MSRs, CPUID bits and descriptor layouts, by their names in the SDM. */
#ifndef X86_REGS_H
#define X86_REGS_H

/* Segment selectors of the GDT of every CPU (traps.c); the TSS takes two entries. */
#define SEL_CODE 0x08
#define SEL_DATA 0x10
#define SEL_TSS  0x18

/* SDM vol. 3A 2.5 */
#define CR0_PE (1ul << 0)
#define CR0_MP (1ul << 1)
#define CR0_ET (1ul << 4)
#define CR0_NE (1ul << 5)
#define CR0_WP (1ul << 16)
#define CR0_NW (1ul << 29)
#define CR0_CD (1ul << 30)
#define CR0_PG (1ul << 31)

#define CR4_PAE        (1ul << 5)
#define CR4_MCE        (1ul << 6)
#define CR4_PGE        (1ul << 7)
#define CR4_OSFXSR     (1ul << 9)
#define CR4_OSXMMEXCPT (1ul << 10)
#define CR4_UMIP       (1ul << 11)
#define CR4_SMEP       (1ul << 20)

#define EFER_LME (1ul << 8)
#define EFER_LMA (1ul << 10)
#define EFER_NXE (1ul << 11)

#define RFLAGS_IF (1ul << 9)

/* SDM vol. 4, chapter 2 */
#define MSR_APIC_BASE        0x1b
#define MSR_FEATURE_CONTROL  0x3a
#define MSR_MTRR_DEF_TYPE    0x2ff
#define MSR_PAT              0x277
#define MSR_VMX_BASIC        0x480
#define MSR_VMX_PINBASED     0x481
#define MSR_VMX_PROCBASED    0x482
#define MSR_VMX_PROCBASED2   0x48b
#define MSR_VMX_EPT_VPID_CAP 0x48c
#define MSR_TSC_DEADLINE     0x6e0
#define MSR_X2APIC_BASE      0x800
#define MSR_EFER             0xc0000080
#define MSR_FS_BASE          0xc0000100
#define MSR_GS_BASE          0xc0000101
#define MSR_TSC_AUX          0xc0000103
/* AMD APM vol. 2, 15.30.1 */
#define MSR_VM_CR 0xc0010114

#define APIC_BASE_BSP    (1ul << 8)
#define APIC_BASE_X2APIC (1ul << 10)
#define APIC_BASE_ENABLE (1ul << 11)

#define FEATURE_CONTROL_LOCK      (1ul << 0)
#define FEATURE_CONTROL_VMX_NOSMX (1ul << 2)
#define VM_CR_SVMDIS              (1ul << 4)
#define VM_CR_LOCK                (1ul << 3)

/* SDM vol. 3A 12.12.4: PAT entry n in byte n. Entry 1 becomes write combining, the rest stays. */
#define PAT_VALUE 0x0007040600070106ul

/* CPUID (SDM vol. 2A) */
#define CPUID1_ECX_VMX      (1u << 5)
#define CPUID1_ECX_X2APIC   (1u << 21)
#define CPUID1_ECX_TSC_DL   (1u << 24)
#define CPUID1_ECX_RDRAND   (1u << 30)
#define CPUID1_ECX_HV       (1u << 31)
#define CPUID7_EBX_SMEP     (1u << 7)
#define CPUID7_ECX_UMIP     (1u << 2)
#define CPUIDX1_ECX_SVM     (1u << 2)
#define CPUIDX1_EDX_1G      (1u << 26)
#define CPUIDX1_EDX_RDTSCP  (1u << 27)
#define CPUIDX7_EDX_TSC_INV (1u << 8)

/* Exception vectors (SDM vol. 3A 6.3.1) */
#define VEC_DB         1
#define VEC_NMI        2
#define VEC_BP         3
#define VEC_DF         8
#define VEC_GP         13
#define VEC_PF         14
#define VEC_MC         18
#define VEC_EXCEPTIONS 32

/* Interrupt vectors: devices from VEC_FIRST to VEC_LAST, the 8259s' stray ones at VEC_PIC. */
#define VEC_FIRST    0x20
#define VEC_LAST     0xdf
#define VEC_PIC      0xe0
#define VEC_TIMER    0xf0
#define VEC_KICK     0xf1
#define VEC_SPURIOUS 0xff

/* Interrupt stacks in the TSS (SDM vol. 3A 7.7); IST 0 would be "the current stack". */
#define IST_IRQ   1
#define IST_NMI   2
#define IST_DF    3
#define IST_MC    4
#define IST_DB    5
#define IST_PF    6
#define IST_TRAP  7
#define IST_COUNT 7

#endif
