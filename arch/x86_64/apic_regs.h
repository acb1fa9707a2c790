/* SPDX-License-Identifier: MIT */
/* Local APIC (SDM vol. 3A chapter 11) and I/O APIC (82093AA data sheet) registers. */
#ifndef APIC_REGS_H
#define APIC_REGS_H

/* MMIO offsets; the x2APIC MSR is MSR_X2APIC_BASE + offset / 16 (SDM vol. 3A table 11-6). */
#define LAPIC_ID           0x020
#define LAPIC_VERSION      0x030
#define LAPIC_TPR          0x080
#define LAPIC_EOI          0x0b0
#define LAPIC_SVR          0x0f0
#define LAPIC_IRR          0x200 /* 256 bits, 32 in each of 8 registers */
#define LAPIC_VECTOR_REG   0x010 /* from one of the 8 to the next */
#define LAPIC_ICR_LOW      0x300
#define LAPIC_ICR_HIGH     0x310
#define LAPIC_LVT_TIMER    0x320
#define LAPIC_LVT_THERMAL  0x330
#define LAPIC_LVT_PERF     0x340
#define LAPIC_LVT_LINT0    0x350
#define LAPIC_LVT_LINT1    0x360
#define LAPIC_LVT_ERROR    0x370
#define LAPIC_TIMER_INIT   0x380
#define LAPIC_TIMER_NOW    0x390
#define LAPIC_TIMER_DIVIDE 0x3e0

#define SVR_ENABLE        (1u << 8)
#define LVT_MASKED        (1u << 16)
#define LVT_NMI           (4u << 8)
#define LVT_TSC_DEADLINE  (2u << 17)
#define TIMER_DIVIDE_BY_1 0xbu

#define ICR_FIXED   (0u << 8)
#define ICR_NMI     (4u << 8)
#define ICR_INIT    (5u << 8)
#define ICR_STARTUP (6u << 8)
#define ICR_PENDING (1u << 12)
#define ICR_ASSERT  (1u << 14)

/* Message address and data (SDM vol. 3A 11.11). */
#define MSI_ADDR_BASE       0xfee00000u
#define MSI_ADDR_DEST_SHIFT 12

#define IOAPIC_SELECT    0x00
#define IOAPIC_WINDOW    0x10
#define IOAPIC_VERSION   1u
#define IOAPIC_REDIR(n)  (0x10u + 2u * (n))
#define REDIR_ACTIVE_LOW (1u << 13)
#define REDIR_LEVEL      (1u << 15)
#define REDIR_MASKED     (1u << 16)
#define REDIR_DEST_SHIFT 24

#endif
