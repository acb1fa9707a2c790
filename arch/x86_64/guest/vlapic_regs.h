/* SPDX-License-Identifier: MIT */
/*
 * The registers of a local APIC that a guest sees and Tern itself does not use; apic_regs.h has the
 * others. SDM vol. 3A, table 11-1 (offsets in the page) and table 11-6 (x2APIC: MSR 800h + offset / 16).
 */
#ifndef VLAPIC_REGS_H
#define VLAPIC_REGS_H

#include <arch/x86_64/apic_regs.h>

#define LAPIC_APR        0x090 /* arbitration priority: always 0 */
#define LAPIC_PPR        0x0a0
#define LAPIC_RRD        0x0c0 /* remote read: always 0 */
#define LAPIC_LDR        0x0d0
#define LAPIC_DFR        0x0e0
#define LAPIC_ISR        0x100
#define LAPIC_TMR        0x180
#define LAPIC_IRR_LAST   0x270
#define LAPIC_ESR        0x280
#define LAPIC_X2ICR_HIGH 0x304 /* x2APIC: the upper half of the MSR, beside LAPIC_ICR_HIGH */
#define LAPIC_SELF_IPI   0x3f0 /* x2APIC only */
#define LAPIC_END        0x400

#define LAPIC_REG_STEP    0x10u
#define LAPIC_REG_SIZE    4u
#define LAPIC_VECTOR_REGS 8u
#define X2APIC_MSR_SHIFT  4 /* from the number of an MSR past 800h to the offset */

/* Vectors: 32 in a register, 64 in a word of struct vlapic; the upper half of one is its priority class
 * (SDM vol. 3A 11.8.3). */
#define VECTOR_REG(base, v) ((base) + ((u32)(v) >> 5) * LAPIC_REG_STEP)
#define VECTOR_BIT(v)       (1u << ((u32)(v)&31u))
#define VECTOR_WORD(v)      ((u32)(v) >> 6)
#define VECTOR_WORD_BIT(v)  (1ull << ((u32)(v)&63u))
#define VECTOR_MIN          16u /* SDM vol. 3A 11.5.2: those below are illegal */
#define VECTOR_MASK         0xffu
#define PRIORITY_CLASS      0xf0u

/* 11.4.6, 11.4.8. No CMCI, and no suppression of EOI broadcasts: that needs an I/O APIC with an EOI
 * register. */
#define LAPIC_ID_SHIFT      24
#define LAPIC_ID_MASK       0xff000000u
#define LAPIC_VERSION_VALUE (5u << 16 | 0x14u) /* integrated, LVT entries 0 to 5 */

/* 11.6.2. */
#define LDR_SHIFT         24
#define LDR_MASK          0xff000000u
#define DFR_MASK          0xf0000000u
#define DFR_FLAT          0xf0000000u
#define DFR_ONES          0x0fffffffu
#define CLUSTER_MASK      0xf0u /* xAPIC cluster model: cluster, members */
#define CLUSTER_MEMBERS   0x0fu
#define X2CLUSTER_SHIFT   16 /* x2APIC, 11.12.10.2 */
#define X2CLUSTER_MEMBERS 0xffffu
#define X2LDR(id)         ((id) >> 4 << X2CLUSTER_SHIFT | 1u << ((id)&15u))
#define DEST_ALL          0xffu
#define DEST_ALL_X2       0xffffffffu

/* 11.9; bit 9 (focus checking) can be written and does nothing. */
#define SVR_RESET   0xffu
#define SVR_DEFINED 0x3ffu

/* 11.5.1. */
#define LVT_STATUS       (1u << 12) /* read only, as the next: always 0 here */
#define LVT_REMOTE_IRR   (1u << 14)
#define LVT_DELIVERY     7u
#define LVT_DELIVERY_AT  8
#define LVT_PERIODIC     (1u << 17)
#define LVT_DEADLINE     (1u << 18)
#define LVT_TIMER_BITS   (VECTOR_MASK | LVT_MASKED | LVT_PERIODIC | LVT_DEADLINE)
#define LVT_SENSOR_BITS  (VECTOR_MASK | LVT_MASKED | LVT_DELIVERY << LVT_DELIVERY_AT)
#define LVT_LINT_BITS    (LVT_SENSOR_BITS | 1u << 13 | 1u << 15)
#define LVT_ERROR_BITS   (VECTOR_MASK | LVT_MASKED)
#define LVT_LINT0_AT_RUN ((u32)APIC_EXTINT << LVT_DELIVERY_AT)

/* 11.5.4. */
#define TIMER_DIVIDE_BITS     0xbu
#define TIMER_DIVIDE_SHIFT(v) (((((v)&3u) | ((v)&8u) >> 1) + 1u) & 7u)

/* 11.5.3. */
#define ESR_SEND_ILLEGAL     (1u << 5)
#define ESR_RECEIVE_ILLEGAL  (1u << 6)
#define ESR_ILLEGAL_REGISTER (1u << 7)

/* 11.6.1, 11.12.9. */
#define ICR_DELIVERY     7u
#define ICR_DELIVERY_AT  8
#define ICR_LOGICAL      (1u << 11)
#define ICR_LEVEL        (1u << 15)
#define ICR_SHORTHAND_AT 18
#define ICR_SHORTHAND    3u
#define ICR_DEFINED      0xccfffu /* bit 12, delivery status, is not among them */
#define ICR_BITS         (ICR_DEFINED & ~ICR_PENDING)
#define ICR_DEST_AT      32
/* All that makes an IPI other than fixed, to one physical destination. */
#define ICR_NOT_PLAIN \
	(ICR_DELIVERY << ICR_DELIVERY_AT | ICR_LOGICAL | ICR_SHORTHAND << ICR_SHORTHAND_AT)
enum icr_shorthand { ICR_NO_SHORTHAND, ICR_SELF, ICR_ALL, ICR_OTHERS };

/* Message address and data, 11.11.1, 11.11.2. */
#define MSI_ADDR_MASK    0xfffffffffff00000ull
#define MSI_ADDR_REDIR   (1u << 3) /* redirection hint: one of those addressed */
#define MSI_ADDR_LOGICAL (1u << 2)
#define MSI_DELIVERY_AT  8
#define MSI_DELIVERY     7u
#define MSI_ASSERT       (1u << 14)
#define MSI_LEVEL        (1u << 15)

#endif
