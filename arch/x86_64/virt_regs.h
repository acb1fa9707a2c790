/* SPDX-License-Identifier: MIT */
/* Capability bits of VT-x (SDM vol. 3C 25.6, appendix A) and AMD-V (APM vol. 3, Fn8000_000A). */
#ifndef VIRT_REGS_H
#define VIRT_REGS_H

#define VMX_BASIC_TRUE (1ul << 55)

#define PIN_VNMI       (1u << 5)
#define PIN_PREEMPTION (1u << 6)
#define PIN_POSTED     (1u << 7)

#define PROC_TPR_SHADOW (1u << 21)
#define PROC_SECONDARY  (1u << 31)

#define PROC2_EPT          (1u << 1)
#define PROC2_VPID         (1u << 5)
#define PROC2_UNRESTRICTED (1u << 7)
#define PROC2_APIC_REGS    (1u << 8)
#define PROC2_VINTR        (1u << 9)
#define PROC2_PAUSE_LOOP   (1u << 10)
#define PROC2_SHADOW       (1u << 14)
#define PROC2_PML          (1u << 17)
#define PROC2_XSAVES       (1u << 20)
#define PROC2_TSC_SCALING  (1u << 25)

#define EPT_CAP_XO     (1ul << 0)
#define EPT_CAP_4LEVEL (1ul << 6)
#define EPT_CAP_2M     (1ul << 16)
#define EPT_CAP_1G     (1ul << 17)
#define EPT_CAP_INVEPT (1ul << 20)
#define EPT_CAP_AD     (1ul << 21)

#define SVM_NP         (1u << 0)
#define SVM_NRIPS      (1u << 3)
#define SVM_TSC_RATIO  (1u << 4)
#define SVM_CLEAN      (1u << 5)
#define SVM_FLUSH_ASID (1u << 6)
#define SVM_DECODE     (1u << 7)
#define SVM_PAUSE      (1u << 10)
#define SVM_AVIC       (1u << 13)
#define SVM_VLS        (1u << 15)
#define SVM_VGIF       (1u << 16)

#endif
