/* SPDX-License-Identifier: MIT */
/* Exit reasons and qualifications, SDM vol. 3D appendix C and vol. 3C 28.2. */
#ifndef VMX_EXIT_REGS_H
#define VMX_EXIT_REGS_H

/* Appendix C */
#define EXIT_REASON_MASK          0xffffu
#define EXIT_REASON_ENTRY_FAILED  (1u << 31)
#define EXIT_REASON_NMI           0
#define EXIT_REASON_EXT_INTR      1
#define EXIT_REASON_TRIPLE_FAULT  2
#define EXIT_REASON_INIT          3
#define EXIT_REASON_SIPI          4
#define EXIT_REASON_INTR_WINDOW   7
#define EXIT_REASON_NMI_WINDOW    8
#define EXIT_REASON_TASK_SWITCH   9
#define EXIT_REASON_CPUID         10
#define EXIT_REASON_GETSEC        11
#define EXIT_REASON_HLT           12
#define EXIT_REASON_INVD          13
#define EXIT_REASON_RDPMC         15
#define EXIT_REASON_VMCALL        18
#define EXIT_REASON_VMCLEAR       19 /* up to 27: the VMX instructions */
#define EXIT_REASON_VMXON         27
#define EXIT_REASON_CR            28
#define EXIT_REASON_IO            30
#define EXIT_REASON_RDMSR         31
#define EXIT_REASON_WRMSR         32
#define EXIT_REASON_BAD_GUEST     33
#define EXIT_REASON_BAD_MSR       34
#define EXIT_REASON_MWAIT         36
#define EXIT_REASON_MONITOR       39
#define EXIT_REASON_PAUSE         40
#define EXIT_REASON_MACHINE_CHECK 41
#define EXIT_REASON_TPR           43 /* below threshold */
#define EXIT_REASON_EOI           45
#define EXIT_REASON_EPT_VIOLATION 48
#define EXIT_REASON_INVEPT        50
#define EXIT_REASON_PREEMPTION    52
#define EXIT_REASON_INVVPID       53
#define EXIT_REASON_WBINVD        54
#define EXIT_REASON_XSETBV        55
#define EXIT_REASON_APIC_WRITE    56
#define EXIT_REASON_ENCLS         60

/* Exit qualifications, 28.2.1 */
#define QUAL_CR_NUMBER     0xful
#define QUAL_CR_TYPE_SHIFT 4
#define QUAL_CR_TYPE_MASK  3ul
#define QUAL_CR_REG_SHIFT  8
#define QUAL_CR_REG_MASK   0xful
#define QUAL_CR_LMSW_SHIFT 16
#define QUAL_CR_LMSW_MASK  0xfffful
#define QUAL_IO_SIZE       7ul
#define QUAL_IO_IN         (1ul << 3)
#define QUAL_IO_STRING     (1ul << 4)
#define QUAL_IO_REP        (1ul << 5)
#define QUAL_IO_PORT_SHIFT 16
#define QUAL_EPT_WRITE     (1ul << 1)
#define QUAL_EPT_FETCH     (1ul << 2)
#define QUAL_EPT_NMI       (1ul << 12)
#define QUAL_DB_DR6        0x600ful /* B0-B3, BD, BS as DR6 has them */
#define QUAL_TASK_SELECTOR 0xfffful
#define QUAL_TASK_SHIFT    30 /* source, table 28-2: */
#define QUAL_TASK_MASK     3ul
#define TASK_BY_CALL       0
#define TASK_BY_IRET       1
#define TASK_BY_JMP        2
#define TASK_BY_GATE       3 /* in the IDT */

/* VM-exit instruction information of INS and OUTS, table 28-9 */
#define INFO_IO_SIZE_SHIFT 7
#define INFO_IO_SEG_SHIFT  15
#define INFO_IO_MASK       7u

#endif
