/* SPDX-License-Identifier: MIT */
/* Controls, exit reasons and layouts of VT-x by their names in SDM vol. 3C chapters 25-28, 31 and
 * appendices A, C. What the survey of the CPU shows too is in ../virt_regs.h. */
#ifndef VMX_REGS_H
#define VMX_REGS_H

#include "../guest/msr_regs.h"
#include "../virt_regs.h"
#include "vmx_exit_regs.h"

/* Appendix A */
#define MSR_VMX_EXIT           0x483
#define MSR_VMX_ENTRY          0x484
#define MSR_VMX_MISC           0x485
#define MSR_VMX_CR0_FIXED0     0x486
#define MSR_VMX_CR0_FIXED1     0x487
#define MSR_VMX_CR4_FIXED0     0x488
#define MSR_VMX_CR4_FIXED1     0x489
#define MSR_VMX_TRUE_PINBASED  0x48d
#define MSR_VMX_TRUE_PROCBASED 0x48e
#define MSR_VMX_TRUE_EXIT      0x48f
#define MSR_VMX_TRUE_ENTRY     0x490
#define VMX_BASIC_REVISION     0x7ffffffful
#define VMX_BASIC_SIZE_SHIFT   32
#define VMX_BASIC_SIZE_MASK    0x1ffful
#define VMX_BASIC_TYPE_SHIFT   50
#define VMX_BASIC_TYPE_MASK    0xful
#define VMX_BASIC_TYPE_WB      6
#define VMX_BASIC_INSN_INFO    (1ul << 54) /* INS and OUTS report segment and address size */
#define VMX_MISC_TIMER_RATE    0x1ful      /* the preemption timer counts TSC >> this */
#define VMX_MISC_ACTIVITY_HLT  (1ul << 6)
#define VMX_MISC_ACTIVITY_SHUT (1ul << 7)
#define VMX_MISC_ACTIVITY_SIPI (1ul << 8)
#define EPT_CAP_WB             (1ul << 14)
#define EPT_CAP_INVEPT_SINGLE  (1ul << 25)
#define EPT_CAP_INVVPID        (1ul << 32)
#define EPT_CAP_INVVPID_SINGLE (1ul << 41)

/* 25.6.1 */
#define PIN_EXT_INTR (1u << 0)
#define PIN_NMI      (1u << 3)

/* 25.6.2, table 25-6 */
#define PROC_INTR_WINDOW (1u << 2)
#define PROC_TSC_OFFSET  (1u << 3)
#define PROC_HLT         (1u << 7)
#define PROC_MWAIT       (1u << 10)
#define PROC_RDPMC       (1u << 11)
#define PROC_CR3_LOAD    (1u << 15)
#define PROC_CR3_STORE   (1u << 16)
#define PROC_CR8_LOAD    (1u << 19)
#define PROC_CR8_STORE   (1u << 20)
#define PROC_NMI_WINDOW  (1u << 22)
#define PROC_IO_BITMAPS  (1u << 25)
#define PROC_MTF         (1u << 27)
#define PROC_MSR_BITMAPS (1u << 28)
#define PROC_MONITOR     (1u << 29)

/* 25.6.2, table 25-7 */
#define PROC2_RDTSCP  (1u << 3)
#define PROC2_X2APIC  (1u << 4)
#define PROC2_WBINVD  (1u << 6)
#define PROC2_APICV   (PROC2_X2APIC | PROC2_APIC_REGS | PROC2_VINTR)
#define PROC2_INVPCID (1u << 12)
#define PROC2_ENCLS   (1u << 15)

/* 25.7.1, 25.8.1 */
#define EXIT_SAVE_DEBUG  (1u << 2)
#define EXIT_HOST_64     (1u << 9)
#define EXIT_ACK_INTR    (1u << 15)
#define EXIT_SAVE_PAT    (1u << 18)
#define EXIT_LOAD_PAT    (1u << 19)
#define EXIT_SAVE_EFER   (1u << 20)
#define EXIT_LOAD_EFER   (1u << 21)
#define EXIT_SAVE_TIMER  (1u << 22)
#define ENTRY_LOAD_DEBUG (1u << 2)
#define ENTRY_IA32E      (1u << 9)
#define ENTRY_SMM        (1u << 10)
#define ENTRY_DUAL_SMM   (1u << 11)
#define ENTRY_LOAD_PAT   (1u << 14)
#define ENTRY_LOAD_EFER  (1u << 15)

/* 31.3: types of INVEPT and INVVPID */
#define INV_SINGLE 1ul

/* Events: 25.8.3 (entry), 25.9.2 (exit), 25.9.3 (IDT vectoring) */
#define INTR_VECTOR      0xffu
#define INTR_TYPE        (7u << 8)
#define INTR_EXTERNAL    (0u << 8)
#define INTR_NMI         (2u << 8)
#define INTR_HARD        (3u << 8) /* hardware exception */
#define INTR_SOFT_INT    (4u << 8) /* INT n */
#define INTR_PRIV_SOFT   (5u << 8) /* INT1 */
#define INTR_SOFT        (6u << 8) /* INT3, INTO */
#define INTR_OTHER       (7u << 8)
#define INTR_ERROR       (1u << 11)
#define INTR_NMI_UNBLOCK (1u << 12) /* exit information: IRET had unblocked NMIs */
#define INTR_RESERVED    0x7ffff000u
#define INTR_VALID       (1u << 31)

/* 25.4.2, tables 25-3, 25-4 */
#define SHADOW_STI        (1u << 0)
#define SHADOW_MOV_SS     (1u << 1)
#define SHADOW_SMI        (1u << 2)
#define SHADOW_NMI        (1u << 3)
#define SHADOW_RESERVED   (~0x1fu)
#define ACTIVITY_ACTIVE   0u
#define ACTIVITY_HLT      1u
#define ACTIVITY_SHUTDOWN 2u
#define ACTIVITY_SIPI     3u
#define PENDING_DB_BPS    0xful
#define PENDING_DB_ENABLE (1ul << 12)
#define PENDING_DB_BS     (1ul << 14)
#define PENDING_DB_RTM    (1ul << 16)
#define PENDING_DB_VALID  (PENDING_DB_BPS | PENDING_DB_ENABLE | PENDING_DB_BS | PENDING_DB_RTM)

/* Access rights of a segment, table 25-2 */
#define ATTR_TYPE         0xfu
#define ATTR_ACCESSED     (1u << 0)
#define ATTR_WRITE        (1u << 1) /* data: may be written; code: may be read */
#define ATTR_DOWN         (1u << 2) /* data: expands down; code: conforming */
#define ATTR_CODE         (1u << 3)
#define ATTR_S            (1u << 4)
#define ATTR_DPL_SHIFT    5
#define ATTR_DPL          (3u << ATTR_DPL_SHIFT)
#define ATTR_P            (1u << 7)
#define ATTR_L            (1u << 13)
#define ATTR_DB           (1u << 14)
#define ATTR_G            (1u << 15)
#define ATTR_UNUSABLE     (1u << 16)
#define ATTR_RESERVED     (~0x1f0ffu)
#define ATTR_TSS_16       3u
#define ATTR_TSS_BUSY     11u
#define ATTR_TSS_BUSY_BIT (1u << 1)
#define ATTR_LDT          2u

/* What is in the CPU without VT-x, as guests see and use it (SDM vol. 3A 2.5, 18.2, vol. 4). */
#define RFLAGS_FIXED    (1ul << 1)
#define RFLAGS_TF       (1ul << 8)
#define RFLAGS_DF       (1ul << 10)
#define RFLAGS_VM       (1ul << 17)
#define RFLAGS_RESERVED 0xffffffffffc08028ul
#define DR6_INIT        0xffff0ff0ul
#define DR7_INIT        0x400ul
#define DR7_GD          (1ul << 13)
#define DEBUGCTL_LBR    (1ul << 0)
#define DEBUGCTL_BTF    (1ul << 1)
#define DEBUGCTL_VALID  0xdfc3ul

#define CR0_RESET        (CR0_CD | CR0_NW | CR0_ET)
#define CR4_VMXE         (1ul << 13)
#define CR8_TPR          0xful
#define CPUID_SIZES      0x80000008u
#define CPUID_SIZES_PHYS 0xffu
#define CPUID_XSAVE      0xdu
#define RESET_CS_BASE    0xffff0000ul
#define RESET_CS         0xf000
#define RESET_RIP        0xfff0ul
#define RESET_LIMIT      0xffffu
/* Segments in real mode: present, accessed, read-write data or readable code. */
#define ATTR_REAL_DATA (ATTR_P | ATTR_S | ATTR_WRITE | ATTR_ACCESSED)
#define ATTR_REAL_CODE (ATTR_REAL_DATA | ATTR_CODE)

/* XSAVE area, SDM vol. 1 13.4: power-on values of SDM vol. 3A table 10-1. */
#define XSAVE_FCW       0u /* byte offsets of the fields */
#define XSAVE_FTW       4u
#define XSAVE_MXCSR     24u
#define XSAVE_XSTATE_BV 512u
#define FCW_RESET       0x40
#define FTW_RESET       0xff
#define MXCSR_RESET     0x1f80

/* MSR bitmap, 25.6.9: bytes from its start */
#define MSR_BITMAP_READ_LOW  0u
#define MSR_BITMAP_READ_HIGH 1024u
#define MSR_BITMAP_WRITE     2048u /* from a read bit to its write bit */
#define MSR_BITMAP_COUNT     8192u
#define MSR_BITMAP_HIGH_BASE 0xc0000000u

/* What 27.3.1 looks at. */
#define SELECTOR_RPL    3u
#define SELECTOR_TI     4u
#define SELECTOR_RPL_TI 7u
#define LIMIT_LOW       0xfffu
#define LIMIT_HIGH      0xfff00000u
#define EFER_DEFINED    (EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE)
#define PDPTE_TABLE     0xffffffe0ul /* of CR3, with PAE paging */
#define INSN_LEN_MAX    15u

/* The EPT pointer, 25.6.11, beside ept_regs.h */
#define EPT_CAP_UC     (1ul << 8)
#define EPTP_TYPE_MASK 7ul
#define EPTP_WALK_MASK (7ul << 3)
#define EPTP_RESERVED  0xf80ul

#define RFLAGS_RF (1ul << 16)
#define VEC_OF    4
#define VEC_UD    6

#endif
