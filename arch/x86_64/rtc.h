/* SPDX-License-Identifier: MIT */
/* The parts of rtc.c that tests look at. */
#ifndef RTC_H
#define RTC_H

#include <tern/types.h>

struct rtc_time { /* as the registers have it */
	u8 second, minute, hour, day, month, year, century, status_b;
};

/* Pure. False: that is no time. */
MUST_CHECK bool rtc_decode(const struct rtc_time *t, u64 *unix_seconds);
/* False: there is no clock, or it does not hold still. */
MUST_CHECK bool rtc_read(struct rtc_time *t);

#endif
