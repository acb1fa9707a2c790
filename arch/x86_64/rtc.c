/* SPDX-License-Identifier: MIT */
/* The machine's CMOS clock, read once; after that the TSC counts. It is taken to be in UTC. */
#include <tern/wall_clock.h>

#include <tern/arch.h>
#include <tern/io.h>
#include <tern/lib.h>
#include <tern/log.h>
#include <tern/timer.h>

#include "rtc.h"
#include "rtc_regs.h"

#define TRIES       5u
#define UPDATE_US   10000u /* an update takes 2.2 ms */
#define CENTURY_MIN 19u
#define CENTURY_MAX 29u

static u8 reg(u8 index)
{
	io_out8(RTC_PORT_INDEX, index);
	return io_in8(RTC_PORT_DATA);
}

static bool wait_update(void)
{
	u64 start = arch_tsc(), limit = timer_us_to_tsc(UPDATE_US);

	while ((reg(RTC_STATUS_A) & RTC_A_UPDATING) != 0) {
		if (arch_tsc() - start > limit)
			return false;
		arch_relax();
	}
	return true;
}

static void read_once(struct rtc_time *t)
{
	*t = (struct rtc_time){
		.second = reg(RTC_SECOND),
		.minute = reg(RTC_MINUTE),
		.hour = reg(RTC_HOUR),
		.day = reg(RTC_DAY),
		.month = reg(RTC_MONTH),
		.year = reg(RTC_YEAR),
		.century = reg(RTC_CENTURY),
		.status_b = reg(RTC_STATUS_B),
	};
}

/* Two readings that are the same: no update came between the registers of one. */
bool rtc_read(struct rtc_time *t)
{
	for (u32 i = 0; i < TRIES; i++) {
		struct rtc_time again;

		if (!wait_update())
			return false;
		read_once(t);
		if (!wait_update())
			return false;
		read_once(&again);
		if (memcmp(t, &again, sizeof(again)) == 0)
			return true;
	}
	return false;
}

/* 255, which is out of every range, for what is no BCD number. */
static u32 number(u8 v, bool binary)
{
	if (binary)
		return v;
	return v >> 4 > 9 || (v & 15) > 9 ? 255 : (v >> 4) * 10u + (v & 15u);
}

/* 0 to 23, or 255. */
static u32 hour_of(const struct rtc_time *t, bool binary)
{
	u32 h;

	if ((t->status_b & RTC_B_24H) != 0)
		return number(t->hour, binary);
	h = number((u8)(t->hour & ~RTC_HOUR_PM), binary);
	if (h < 1 || h > 12)
		return 255;
	return h % 12 + ((t->hour & RTC_HOUR_PM) != 0 ? 12 : 0);
}

bool rtc_decode(const struct rtc_time *t, u64 *unix_seconds)
{
	bool binary = (t->status_b & RTC_B_BINARY) != 0;
	u32 second = number(t->second, binary), minute = number(t->minute, binary),
	    hour = hour_of(t, binary), day = number(t->day, binary),
	    month = number(t->month, binary), year = number(t->year, binary),
	    century = number(t->century, binary);

	if (second > 59 || minute > 59 || hour > 23 || day < 1 || day > 31 || month < 1 ||
	    month > 12 || year > 99)
		return false;
	/* Not every machine has a century; those that have none are younger than 1999. Some keep it in BCD always. */
	if (binary && (t->century >> 4) * 10u + (t->century & 15u) == CENTURY_MIN + 1)
		century = CENTURY_MIN + 1;
	if (century < CENTURY_MIN || century > CENTURY_MAX)
		century = CENTURY_MIN + 1;
	year += century * 100;
	if (year < 1970)
		return false;
	*unix_seconds = (date_to_days(year, month, day) - DAYS_TO_1970) * SECONDS_PER_DAY +
			hour * 3600u + minute * 60u + second;
	return true;
}

u64 wall_clock_unix_seconds(void)
{
	static bool known;
	static u64 origin, origin_tsc;
	struct rtc_time t;

	if (!known) {
		if (!rtc_read(&t) || !rtc_decode(&t, &origin))
			log_warn("clock: the machine's CMOS clock gives no time; guests start at "
				 "1970-01-01. Set it in the firmware's setup");
		origin_tsc = arch_tsc();
		known = true;
	}
	return origin + timer_tsc_to_us(arch_tsc() - origin_tsc) / 1000000;
}
