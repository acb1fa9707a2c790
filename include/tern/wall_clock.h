/* SPDX-License-Identifier: MIT */
/* What time it is outside (arch/x86_64/rtc.c), and days of the Gregorian calendar. */
#ifndef TERN_WALL_CLOCK_H
#define TERN_WALL_CLOCK_H

#include <tern/types.h>

#define SECONDS_PER_DAY 86400u
#define DAYS_TO_1970    719468u /* of date_to_days() */

/* Seconds since 1970-01-01 00:00 UTC; 0 with a warning in the log when the machine does not know. The first call reads
 * the machine's clock, which takes some milliseconds at most. Boot CPU, thread context. */
u64 wall_clock_unix_seconds(void);

/* Days from 1 March of year 0 to a date; year from 1, month 1 to 12, day from 1. */
static inline u64 date_to_days(u32 year, u32 month, u32 day)
{
	/* Years begin in March: so leap days come last, and months follow a rule. */
	u64 y = month > 2 ? year : year - 1, m = (month + 9) % 12;

	return y * 365 + y / 4 - y / 100 + y / 400 + (m * 153 + 2) / 5 + day - 1;
}

#endif
