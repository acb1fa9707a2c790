/* SPDX-License-Identifier: MIT */
/* ACPI fixed hardware (ACPI 6.5, 4.8.3 and 4.8.2.1) at PM_BASE, and the keyboard controller's reset. */
#ifndef HV_DEV_VPM_REGS_H
#define HV_DEV_VPM_REGS_H

#define PM1_STS    0u /* offsets; two bytes each */
#define PM1_EN     2u
#define PM1_CNT    4u
#define PM_TMR     8u /* four bytes */
#define PM_TMR_HZ  3579545u
#define PM_TMR_TOP 31 /* the bit whose changes set TMR_STS: FADT.TMR_VAL_EXT */

#define PM1_TMR     0x0001u /* of status and enable */
#define PM1_PWRBTN  0x0100u
#define PM1_EN_MASK 0x0721u /* timer, global lock, power button, sleep button, RTC */

#define PM1_CNT_SCI_EN  0x0001u
#define PM1_CNT_STORED  0x1c02u /* BM_RLD, SLP_TYP */
#define PM1_CNT_SLP_EN  0x2000u
#define PM1_CNT_TYPE(v) ((v) >> 10 & 7u)
#define PM1_CNT_TYPE_S5 5u

#define KBC_BASE        0x64u
#define KBC_LEN         1u
#define KBC_PULSE       0xf0u /* F0h to FFh pulse the outputs whose bits are 0; output 0 is the reset */
#define KBC_PULSE_RESET 0x01u

#endif
