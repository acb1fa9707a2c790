/* SPDX-License-Identifier: MIT */
/* The machine's CMOS clock (Motorola MC146818A data sheet; ACPI 6.5, 5.2.9 for the century). */
#ifndef RTC_REGS_H
#define RTC_REGS_H

#define RTC_PORT_INDEX 0x70
#define RTC_PORT_DATA  0x71

#define RTC_SECOND   0x00
#define RTC_MINUTE   0x02
#define RTC_HOUR     0x04
#define RTC_DAY      0x07
#define RTC_MONTH    0x08
#define RTC_YEAR     0x09
#define RTC_STATUS_A 0x0a
#define RTC_STATUS_B 0x0b
#define RTC_CENTURY  0x32 /* where every PC has it that has it */

#define RTC_A_UPDATING 0x80
#define RTC_B_BINARY   0x04
#define RTC_B_24H      0x02
#define RTC_HOUR_PM    0x80

#endif
