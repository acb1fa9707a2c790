/* SPDX-License-Identifier: MIT */
/*
 * An MC146818A. Time of day lives in its registers, in whatever format the guest has chosen, and is brought up to date
 * when somebody looks. The timer runs only for the next event that would raise the line.
 */
#include <tern/platform.h>

#include "ticks.h"
#include "vrtc_regs.h"

#include <tern/err.h>
#include <tern/frames.h>
#include <tern/lib.h>
#include <tern/timer.h>
#include <tern/vm.h>
#include <tern/wall_clock.h>

#define NEVER UINT64_MAX

struct vrtc {
	struct device dev;
	u8 index;
	bool line;
	u64 second; /* tick at which the present second began: the divider's phase */
	u64 seen;   /* tick up to which everything has happened */
	struct timer timer;
	u8 ram[RTC_RAM];
};
_Static_assert(sizeof(struct vrtc) <= PAGE_SIZE, "a page");

static struct vrtc *vrtc_of(struct device *d)
{
	return container_of(d, struct vrtc, dev);
}

static bool in_mode(const struct vrtc *r, u32 bit)
{
	return (r->ram[RTC_B] & bit) != 0;
}

/* A register as a number. It is whatever the guest has written: at most 255. */
static u32 number(const struct vrtc *r, u32 v)
{
	return in_mode(r, RTC_B_BINARY) ? v : (v >> 4) * 10 + (v & 15);
}

static u8 digits(const struct vrtc *r, u32 v)
{
	return (u8)(in_mode(r, RTC_B_BINARY) ? v : v / 10 << 4 | v % 10);
}

static u32 hour(const struct vrtc *r, u32 reg)
{
	u32 v = r->ram[reg];

	if (in_mode(r, RTC_B_24H))
		return number(r, v);
	return number(r, v & ~RTC_HOUR_PM) % 12 + ((v & RTC_HOUR_PM) != 0 ? 12 : 0);
}

static void put_hour(struct vrtc *r, u32 h)
{
	if (in_mode(r, RTC_B_24H))
		r->ram[RTC_HOUR] = digits(r, h);
	else
		r->ram[RTC_HOUR] =
			(u8)(digits(r, h % 12 != 0 ? h % 12 : 12) | (h >= 12 ? RTC_HOUR_PM : 0));
}

static u32 time_of_day(const struct vrtc *r)
{
	return (hour(r, RTC_HOUR) * 3600 + number(r, r->ram[RTC_MINUTE]) * 60 +
		number(r, r->ram[RTC_SECOND])) %
	       SECONDS_PER_DAY;
}

/* Days as of date_to_days(), of any content of the registers. */
static u64 date(const struct vrtc *r)
{
	u64 year = number(r, r->ram[CMOS_CENTURY]) * 100 + number(r, r->ram[RTC_YEAR]);
	u32 month = (number(r, r->ram[RTC_MONTH]) + 11) % 12 + 1, day = number(r, r->ram[RTC_DAY]);

	return date_to_days((u32)max_u64(year, 1), month, (u32)max_u64(day, 1));
}

static void put_date(struct vrtc *r, u64 days)
{
	/* Years from March; a cycle of the calendar has 146097 days in 400 years. */
	u64 cycle = days / 146097, d = days % 146097;
	u64 y = (d - d / 1460 + d / 36524 - d / 146096) / 365;
	u64 m, year;

	d -= y * 365 + y / 4 - y / 100;
	m = (d * 5 + 2) / 153;
	year = cycle * 400 + y + (m >= 10 ? 1 : 0);
	r->ram[RTC_DAY] = digits(r, (u32)(d - (m * 153 + 2) / 5 + 1));
	r->ram[RTC_MONTH] = digits(r, (u32)(m >= 10 ? m - 9 : m + 3));
	r->ram[RTC_YEAR] = digits(r, (u32)(year % 100));
	r->ram[CMOS_CENTURY] = digits(r, (u32)(year / 100 % 100));
	r->ram[RTC_WEEKDAY] = digits(r, (u32)((days + 3) % 7 + 1));
}

static void put_time(struct vrtc *r, u64 days, u32 seconds)
{
	r->ram[RTC_SECOND] = digits(r, seconds % 60);
	r->ram[RTC_MINUTE] = digits(r, seconds / 60 % 60);
	put_hour(r, seconds / 3600);
	put_date(r, days);
}

/* Seconds from now to the next one that the alarm matches, 1 to 86400, or NEVER. */
static u64 alarm_in(const struct vrtc *r)
{
	const u8 *ram = r->ram;
	bool any_s = (ram[RTC_SECOND_ALARM] & RTC_ALARM_ANY) == RTC_ALARM_ANY,
	     any_m = (ram[RTC_MINUTE_ALARM] & RTC_ALARM_ANY) == RTC_ALARM_ANY,
	     any_h = (ram[RTC_HOUR_ALARM] & RTC_ALARM_ANY) == RTC_ALARM_ANY;
	u32 s = any_s ? 0 : number(r, ram[RTC_SECOND_ALARM]),
	    m = any_m ? 0 : number(r, ram[RTC_MINUTE_ALARM]),
	    h = any_h ? 0 : hour(r, RTC_HOUR_ALARM), now = time_of_day(r), t = now + 1;

	if (s > 59 || m > 59 || h > 23)
		return NEVER;
	/* Over wrong hours, then wrong minutes, then to the second: at most some hundred steps. */
	while (t <= now + SECONDS_PER_DAY) {
		if (!any_h && t / 3600 % 24 != h)
			t = (t / 3600 + 1) * 3600;
		else if (!any_m && t / 60 % 60 != m)
			t = (t / 60 + 1) * 60;
		else if (!any_s && t % 60 != s)
			t += (s + 60 - t % 60) % 60;
		else
			return t - now;
	}
	return NEVER;
}

/* Ticks between two periodic interrupts, or 0; table 5 of the data sheet. */
static u32 period(const struct vrtc *r)
{
	u32 rate = r->ram[RTC_A] & RTC_A_RATE;

	if (rate == 0)
		return 0;
	return rate < 3 ? 1u << (rate + 6) : 1u << (rate - 1);
}

static bool held(const struct vrtc *r)
{
	return (r->ram[RTC_A] & RTC_A_HELD) == RTC_A_HELD;
}

/* What has happened up to now. */
static void settle(struct vrtc *r, u64 now)
{
	u64 n, p = period(r), t;

	if (now <= r->seen)
		return;
	if (held(r)) {
		r->second = r->seen = now;
		return;
	}
	if (p != 0 && (now - r->second) / p > (r->seen - r->second) / p)
		r->ram[RTC_C] |= RTC_C_PF;
	n = (now - r->second) / RTC_HZ;
	r->second += n * RTC_HZ;
	r->seen = now;
	if (n == 0 || in_mode(r, RTC_B_SET))
		return;
	r->ram[RTC_C] |= RTC_C_UF;
	if (alarm_in(r) <= n)
		r->ram[RTC_C] |= RTC_C_AF;
	t = time_of_day(r) + n;
	put_time(r, date(r) + t / SECONDS_PER_DAY, (u32)(t % SECONDS_PER_DAY));
}

/* The tick of the next event that would raise the line, or NEVER. */
static u64 next_event(const struct vrtc *r)
{
	u64 at = NEVER, p = period(r), alarm;

	if (held(r) || (r->ram[RTC_C] & RTC_C_IRQF) != 0)
		return NEVER;
	if (p != 0 && in_mode(r, RTC_C_PF))
		at = r->second + ((r->seen - r->second) / p + 1) * p;
	if (in_mode(r, RTC_B_SET))
		return at;
	if (in_mode(r, RTC_C_UF))
		at = min_u64(at, r->second + RTC_HZ);
	alarm = in_mode(r, RTC_C_AF) ? alarm_in(r) : NEVER;
	return alarm == NEVER ? at : min_u64(at, r->second + alarm * RTC_HZ);
}

/* After any change: the line, and the timer. */
static void update(struct vrtc *r)
{
	bool line = (r->ram[RTC_C] & r->ram[RTC_B] & RTC_C_FLAGS) != 0;

	r->ram[RTC_C] = (u8)((r->ram[RTC_C] & RTC_C_FLAGS) | (line ? RTC_C_IRQF : 0));
	if (line != r->line)
		platform_irq(r->dev.vm, IRQ_RTC, line);
	r->line = line;
	ticks_arm(r->dev.vm, &r->timer, next_event(r), RTC_HZ);
}

static void expired(struct timer *t)
{
	struct vrtc *r = t->arg;
	lock_token token = lock_take(&r->dev.vm->bus.lock);

	settle(r, ticks_now(r->dev.vm, RTC_HZ));
	update(r);
	lock_release(&r->dev.vm->bus.lock, token);
}

static u8 read_reg(struct vrtc *r, u64 now)
{
	u8 v = r->ram[r->index];

	switch (r->index) {
	case RTC_A:
		if (!held(r) && !in_mode(r, RTC_B_SET) && now - r->second >= RTC_HZ - RTC_UIP_TICKS)
			v |= RTC_A_UIP;
		break;
	case RTC_C:
		r->ram[RTC_C] = 0;
		update(r);
		break;
	case RTC_D:
		return RTC_D_VALID;
	}
	return v;
}

static u64 vrtc_read(struct device *d, u64 offset, UNUSED u32 width)
{
	struct vrtc *r = vrtc_of(d);
	u64 now = ticks_now(d->vm, RTC_HZ);

	if (offset == 0)
		return UINT64_MAX; /* write-only */
	settle(r, now);
	update(r);
	return read_reg(r, now);
}

static void write_reg(struct vrtc *r, u8 v, u64 now)
{
	bool was_held = held(r);

	switch (r->index) {
	case RTC_A:
		r->ram[RTC_A] = (u8)(v & ~RTC_A_UIP);
		if (was_held && !held(r))
			r->second = now - (RTC_HZ - RTC_FIRST_UPDATE);
		break;
	case RTC_B:
		if ((v & RTC_B_SET) != 0 && !in_mode(r, RTC_B_SET))
			v = (u8)(v & ~RTC_B_UIE);
		r->ram[RTC_B] = v;
		break;
	case RTC_C: /* read-only */
	case RTC_D:
		break;
	default:
		r->ram[r->index] = v;
		break;
	}
}

static void vrtc_write(struct device *d, u64 offset, UNUSED u32 width, u64 v)
{
	struct vrtc *r = vrtc_of(d);
	u64 now = ticks_now(d->vm, RTC_HZ);

	if (offset == 0) {
		r->index = v & RTC_INDEX_MASK;
		return;
	}
	settle(r, now);
	write_reg(r, (u8)v, now);
	update(r);
}

/* The RESET pin: time and memory stay, that is what the battery is for. */
static void vrtc_reset(struct device *d)
{
	struct vrtc *r = vrtc_of(d);

	settle(r, ticks_now(d->vm, RTC_HZ));
	r->index = 0;
	r->ram[RTC_B] = (u8)(r->ram[RTC_B] & ~(RTC_C_FLAGS | RTC_B_SQWE));
	r->ram[RTC_C] = 0;
	update(r);
}

static void vrtc_resumed(struct device *d)
{
	update(vrtc_of(d));
}

static void vrtc_destroy(struct device *d)
{
	struct vrtc *r = vrtc_of(d);
	lock_token token = lock_take(&d->vm->bus.lock);

	/* With no interrupt enabled the timer is not started again by a function that runs just now. */
	vrtc_reset(d);
	lock_release(&d->vm->bus.lock, token);
	timer_stop(&r->timer);
	frames_free_page(r);
}

static void put(struct vrtc *r, u32 at, u32 bytes, u64 v)
{
	v = min_u64(v, (1ull << bytes * 8) - 1);
	for (u32 i = 0; i < bytes; i++)
		r->ram[at + i] = (u8)(v >> i * 8);
}

/* Bytes of RAM in [from, to). */
static u64 ram_between(const struct gmem *mem, u64 from, u64 to)
{
	u64 sum = 0;

	for (u32 i = 0; i < mem->region_count; i++) {
		const struct gmem_region *g = &mem->regions[i];
		u64 low = max_u64(g->base.v, from), high = min_u64(g->base.v + g->len, to);

		if (g->kind == GMEM_RAM && high > low)
			sum += high - low;
	}
	return sum;
}

/* What firmware writes there at power-on. */
static void fill(struct vrtc *r, const struct gmem *mem)
{
	u64 extended = ram_between(mem, MiB(1), GiB(4)) / KiB(1);
	u32 sum = 0;

	r->ram[CMOS_EQUIPMENT] = CMOS_FPU;
	put(r, CMOS_BASE_KB, 2, ram_between(mem, 0, MiB(1)) / KiB(1));
	put(r, CMOS_EXTENDED_KB, 2, extended);
	put(r, CMOS_EXTENDED_KB_2, 2, extended);
	put(r, CMOS_ABOVE_16M, 2, ram_between(mem, MiB(16), GiB(4)) / KiB(64));
	put(r, CMOS_ABOVE_4G, 3, ram_between(mem, GiB(4), UINT64_MAX) / KiB(64));
	for (u32 i = CMOS_SUM_FIRST; i <= CMOS_SUM_LAST; i++)
		sum += r->ram[i];
	r->ram[CMOS_SUM] = (u8)(sum >> 8);
	r->ram[CMOS_SUM + 1] = (u8)sum;
}

static const struct dev_ops vrtc_ops = {
	.name = "MC146818",
	.width_max = 1,
	.read = vrtc_read,
	.write = vrtc_write,
	.reset = vrtc_reset,
	.destroy = vrtc_destroy,
	.resumed = vrtc_resumed,
};

int vrtc_create(struct vm *vm, struct dev_bus *bus)
{
	struct vrtc *r = frames_alloc_page();
	u64 seconds;
	int rc;

	if (r == NULL)
		return -TERN_ENOMEM;
	r->dev = (struct device){.ops = &vrtc_ops, .vm = vm};
	r->timer = (struct timer){.fn = expired, .arg = r, .name = "MC146818"};
	r->ram[RTC_A] = RTC_A_RESET;
	r->ram[RTC_B] = RTC_B_24H;
	seconds = wall_clock_unix_seconds();
	r->second = r->seen = ticks_now(vm, RTC_HZ);
	put_time(r, seconds / SECONDS_PER_DAY + DAYS_TO_1970, (u32)(seconds % SECONDS_PER_DAY));
	fill(r, &vm->mem);
	rc = bus_add(bus, DEV_PORT, RTC_BASE, RTC_LEN, &r->dev);
	if (rc != 0) {
		vrtc_destroy(&r->dev);
		return rc;
	}
	vm->platform.rtc = &r->dev;
	return 0;
}
