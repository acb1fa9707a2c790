/* SPDX-License-Identifier: MIT */
/* The 82093AA I/O APIC (Intel data sheet 290566, 3.0), and the EOI register that its successors with version
 * 20h have (Intel 8-series PCH data sheet, 13.5.4). */
#ifndef HV_DEV_VIOAPIC_REGS_H
#define HV_DEV_VIOAPIC_REGS_H

#define IOAPIC_REGSEL 0x00u
#define IOAPIC_WIN    0x10u
#define IOAPIC_EOI    0x40u

#define IOAPIC_REG_ID    0x00u
#define IOAPIC_REG_VER   0x01u
#define IOAPIC_REG_ARB   0x02u
#define IOAPIC_REG_TABLE 0x10u /* two a pin, low half first */

#define IOAPIC_ID_SHIFT  24
#define IOAPIC_ID_MASK   0x0f000000u
#define IOAPIC_VERSION   0x20u
#define IOAPIC_VER_SHIFT 16 /* number of the last pin */

/* Redirection entry */
#define RTE_VECTOR         0xffull
#define RTE_DELIVERY_SHIFT 8
#define RTE_DELIVERY_MASK  7u
#define RTE_LOGICAL        (1ull << 11)
#define RTE_STATUS         (1ull << 12) /* read-only: never pending, delivery takes no time */
#define RTE_REMOTE_IRR     (1ull << 14) /* read-only */
#define RTE_LEVEL          (1ull << 15)
#define RTE_MASKED         (1ull << 16)
#define RTE_DEST_SHIFT     56
#define RTE_WRITABLE       0xff0000000001afffull

#define VECTOR_LEGAL 16u /* SDM vol. 3A 11.5.2: those below are refused */

#endif
