/* SPDX-License-Identifier: MIT */
/* The 8259A (Intel data sheet 231468), and the edge/level registers of the PCI chipsets (Intel 82371AB data
 * sheet 290562, 7.2.6). */
#ifndef HV_DEV_VPIC_REGS_H
#define HV_DEV_VPIC_REGS_H

#define PIC1_BASE 0x20u
#define PIC2_BASE 0xa0u
#define PIC_LEN   2u
#define ELCR_BASE 0x4d0u
#define ELCR_LEN  2u

#define PIC_CASCADE 2u /* the first one's input where the second one is */
#define PIC_LOWEST  7u /* the input with the lowest priority, unless it was rotated */

/* Writes to the even port: bits 4 and 3 tell which word it is. */
#define PIC_ICW1 0x10u
#define PIC_OCW3 0x08u

#define ICW1_IC4         0x01u /* ICW4 follows */
#define ICW1_SNGL        0x02u /* no cascade, no ICW3 */
#define ICW1_INTERVAL_4  0x04u /* MCS-80: bytes from vector to vector: 4, else 8 */
#define ICW1_ADDRESS     0xe0u /* MCS-80: bits of the vector */
#define ICW2_VECTOR      0xf8u
#define ICW3_ID          0x07u
#define ICW4_8086        0x01u
#define ICW4_AEOI        0x02u
#define ICW4_SFNM        0x10u /* special fully nested mode */
#define OCW2_LEVEL       0x07u
#define OCW2_EOI         0x20u
#define OCW2_SPECIFIC    0x40u
#define OCW2_ROTATE      0x80u
#define OCW3_RIS         0x01u /* with RR: read ISR, else IRR */
#define OCW3_RR          0x02u
#define OCW3_POLL        0x04u
#define OCW3_SMM         0x20u
#define OCW3_ESMM        0x40u
#define PIC_POLL_REQUEST 0x80u

/* Lines that can be level-triggered: not 0, 1, 2, 8 and 13. */
#define ELCR1_MASK 0xf8u
#define ELCR2_MASK 0xdeu

#define PIC_FLOATING 0xffu /* what a CPU reads that nobody answers */

#endif
