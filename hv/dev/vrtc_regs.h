/* SPDX-License-Identifier: MIT */
/* The MC146818A (Motorola data sheet) and what PCs keep in its memory. */
#ifndef HV_DEV_VRTC_REGS_H
#define HV_DEV_VRTC_REGS_H

#define RTC_BASE       0x70u
#define RTC_LEN        2u
#define RTC_INDEX_MASK 0x7fu /* bit 7 masks NMI, which nobody sends */
#define RTC_RAM        128u
#define RTC_HZ         32768u

enum rtc_reg {
	RTC_SECOND,
	RTC_SECOND_ALARM,
	RTC_MINUTE,
	RTC_MINUTE_ALARM,
	RTC_HOUR,
	RTC_HOUR_ALARM,
	RTC_WEEKDAY, /* 1: Sunday */
	RTC_DAY,
	RTC_MONTH,
	RTC_YEAR,
	RTC_A,
	RTC_B,
	RTC_C,
	RTC_D,
};

#define RTC_A_UIP        0x80u
#define RTC_A_RATE       0x0fu
#define RTC_A_HELD       0x60u /* both: the divider is held in reset */
#define RTC_A_RESET      0x26u /* 32768 Hz; 1024 Hz */
#define RTC_B_SET        0x80u
#define RTC_B_UIE        0x10u
#define RTC_B_SQWE       0x08u
#define RTC_B_BINARY     0x04u
#define RTC_B_24H        0x02u
#define RTC_C_IRQF       0x80u
#define RTC_C_PF         0x40u /* each is enabled by the same bit of B */
#define RTC_C_AF         0x20u
#define RTC_C_UF         0x10u
#define RTC_C_FLAGS      0x70u
#define RTC_D_VALID      0x80u
#define RTC_HOUR_PM      0x80u
#define RTC_ALARM_ANY    0xc0u
#define RTC_UIP_TICKS    8u     /* 244 us before the update */
#define RTC_FIRST_UPDATE 16384u /* ticks from the release of the divider */

/* CMOS memory of a PC */
#define CMOS_EQUIPMENT     0x14u
#define CMOS_FPU           0x02u
#define CMOS_BASE_KB       0x15u
#define CMOS_EXTENDED_KB   0x17u
#define CMOS_SUM_FIRST     0x10u
#define CMOS_SUM_LAST      0x2du
#define CMOS_SUM           0x2eu /* high byte first */
#define CMOS_EXTENDED_KB_2 0x30u
#define CMOS_CENTURY       0x32u
#define CMOS_ABOVE_16M     0x34u /* to 4 GiB, in 64 KiB */
#define CMOS_ABOVE_4G      0x5bu /* in 64 KiB, 3 bytes */

#endif
