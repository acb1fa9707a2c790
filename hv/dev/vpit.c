/* SPDX-License-Identifier: MIT */
/*
 * An 8254. Nothing counts: what a channel shows is computed from the tick at which its count was loaded, and so
 * periods stay on one grid for ever. Only rises of channel 0's output have a timer.
 *
 * Line 0 stays high from one rise to the next, and falls only to rise again: the short or half-period low of modes 2
 * and 3 would take a request back that the guest has not acknowledged yet.
 */
#include "vpit.h"

#include "parts.h"
#include "ticks.h"
#include "vpit_regs.h"

#include <tern/err.h>
#include <tern/frames.h>
#include <tern/timer.h>
#include <tern/vm.h>

#define PIT_PARTS 2u
#define NEVER     UINT64_MAX
/* What a guest may cost its node in interrupts of the timer: one in 100 us. */
#define TICKS_APART 119u

struct channel {
	u8 mode; /* 0 to 5 */
	u8 access;
	bool bcd;
	bool gate;
	bool loaded;                /* a whole count was written since the control word */
	bool running;               /* it counts from start; else it stands at held */
	bool write_high, read_high; /* the other byte is next */
	u8 write_low;
	bool status_latched;
	u8 status;
	u8 latched; /* bytes of latch that are still to be read */
	u16 latch;
	u32 count;   /* 1 to 65536; at least 2 where it is a period */
	u32 next;    /* a count that waits for next_at, or 0 */
	u64 next_at; /* end of the period; NEVER: the next trigger */
	u64 start;   /* tick at which the count was loaded; may be the next one */
	u64 held;    /* ticks it had counted when it stopped */
};

struct vpit {
	struct device dev[PIT_PARTS]; /* as vpit_parts */
	struct channel channel[PIT_CHANNELS];
	u8 port61;
	u64 seen;   /* rises of channel 0 up to this tick are delivered */
	u64 merged; /* (a) */
	struct timer timer;
};
_Static_assert(sizeof(struct vpit) <= PAGE_SIZE, "a page");

static const struct part vpit_parts[PIT_PARTS];

static struct vpit *vpit_of(const struct device *d)
{
	return container_of(d - parts_index(d, vpit_parts), struct vpit, dev[0]);
}

u64 vpit_merged(const struct device *pit)
{
	return __atomic_load_n(&vpit_of(pit)->merged, __ATOMIC_RELAXED);
}

static bool periodic(const struct channel *c)
{
	return c->mode == 2 || c->mode == 3;
}

/* Modes 1 and 5 begin when the gate rises. */
static bool triggered(const struct channel *c)
{
	return c->mode == 1 || c->mode == 5;
}

static u64 elapsed(const struct channel *c, u64 now)
{
	if (!c->running)
		return c->held;
	return now > c->start ? now - c->start : 0;
}

/* A new count takes the place of the old one when that is due. */
static void settle(struct channel *c, u64 now)
{
	if (c->next == 0 || now < c->next_at)
		return;
	c->start = c->next_at;
	c->count = c->next;
	c->next = 0;
}

/* Rises of the output up to a tick, since the count was loaded. */
static u64 rises(const struct channel *c, u64 tick)
{
	u64 strobe = c->mode >= 4 ? 1 : 0;

	if (!c->loaded || !c->running || tick < c->start)
		return 0;
	if (periodic(c))
		return (tick - c->start) / c->count;
	return tick - c->start >= c->count + strobe ? 1 : 0;
}

/* The tick of the first rise after another tick, or NEVER. */
static u64 next_rise(const struct channel *c, u64 tick)
{
	u64 n = rises(c, tick), strobe = c->mode >= 4 ? 1 : 0;

	if (!c->loaded || !c->running)
		return NEVER;
	if (periodic(c))
		return c->start + (n + 1) * c->count;
	return n == 0 ? c->start + c->count + strobe : NEVER;
}

static bool output(const struct channel *c, u64 now)
{
	u64 e = elapsed(c, now);

	if (!c->loaded)
		return c->mode != 0;
	if (c->mode == 0)
		return e >= c->count;
	if (!c->running)
		return true;
	switch (c->mode) {
	case 1:
		return e >= c->count;
	case 2:
		return e % c->count != c->count - 1;
	case 3:
		return e % c->count < (c->count + 1) / 2;
	default: /* 4 and 5: a strobe of one tick */
		return e != c->count;
	}
}

/* Digits of a BCD number, and back. What is no digit counts as its value, as in the chip. */
static u32 from_bcd(u32 v)
{
	return (v >> 12) * 1000 + (v >> 8 & 15) * 100 + (v >> 4 & 15) * 10 + (v & 15);
}

static u32 to_bcd(u32 v)
{
	return v / 1000 << 12 | v / 100 % 10 << 8 | v / 10 % 10 << 4 | v % 10;
}

/* What the counting element holds. */
static u16 value(const struct channel *c, u64 now)
{
	u32 modulus = c->bcd ? 10000 : 65536, half = (c->count + 1) / 2, v;
	u64 e = elapsed(c, now);

	if (c->mode == 3) /* counts by two, twice a period */
		v = (c->count & ~1u) - 2 * (u32)(e % c->count % half);
	else if (c->mode == 2)
		v = c->count - (u32)(e % c->count);
	else
		v = c->count + modulus - (u32)(e % modulus);
	v %= modulus;
	return (u16)(c->bcd ? to_bcd(v) : v);
}

/* Delivers the rises of channel 0 up to now. The guest gets one for all that nobody could deliver in time. */
static void deliver(struct vpit *p, u64 now)
{
	struct channel *c = &p->channel[0];
	struct vm *vm = p->dev[0].vm;
	u64 n = 0;

	/* The TSC of this CPU may be a little behind that of the one before. */
	if (now <= p->seen)
		return;
	if (c->next != 0 && now >= c->next_at) {
		n = rises(c, c->next_at) - rises(c, p->seen);
		p->seen = c->next_at;
		settle(c, now);
	}
	n += rises(c, now) - rises(c, p->seen);
	p->seen = now;
	if (n == 0)
		return;
	platform_irq(vm, IRQ_PIT, false);
	platform_irq(vm, IRQ_PIT, true);
	__atomic_store_n(&p->merged, p->merged + n - 1, __ATOMIC_RELAXED);
}

/* Starts the timer for the next rise of channel 0. */
static void arm(struct vpit *p)
{
	const struct channel *c = &p->channel[0];
	u64 at = next_rise(c, periodic(c) ? p->seen + TICKS_APART - 1 : p->seen);

	if (c->next != 0)
		at = min_u64(at, c->next_at);
	ticks_arm(p->dev[0].vm, &p->timer, at, PIT_HZ);
}

static void expired(struct timer *t)
{
	struct vpit *p = t->arg;
	struct vm *vm = p->dev[0].vm;
	lock_token token = lock_take(&vm->bus.lock);

	deliver(p, ticks_now(vm, PIT_HZ));
	/* A VM that has died may lie around for long: it costs its node no interrupts. */
	if (__atomic_load_n(&vm->state, __ATOMIC_RELAXED) != VM_STOPPED)
		arm(p);
	lock_release(&vm->bus.lock, token);
}

static void set_gate(struct channel *c, bool high, u64 now)
{
	if (c->gate == high)
		return;
	settle(c, now);
	if (!high && !triggered(c)) {
		c->held = elapsed(c, now);
		c->running = false;
	}
	c->gate = high;
	if (!high || !c->loaded)
		return;
	if (triggered(c) || periodic(c)) {
		c->count = c->next != 0 ? c->next : c->count;
		c->next = 0;
		c->start = now + 1;
	} else {
		c->start = now - c->held;
	}
	c->running = true;
}

static void load(struct channel *c, u32 raw, u64 now)
{
	u32 count = c->bcd ? from_bcd(raw) : raw;

	if (count == 0)
		count = c->bcd ? 10000 : 65536;
	if (count == 1 && periodic(c))
		count = 2; /* 1 is illegal */
	if (c->loaded && c->running && (periodic(c) || triggered(c)) && now >= c->start) {
		if (c->next == 0)
			c->next_at = periodic(c) ? next_rise(c, now) : NEVER;
		c->next = count;
		return;
	}
	c->count = count;
	c->next = 0;
	c->start = now + 1;
	c->held = 0;
	c->loaded = true;
	c->running = c->gate && !triggered(c);
}

static void write_count(struct vpit *p, u32 n, u8 v, u64 now)
{
	struct channel *c = &p->channel[n];

	settle(c, now);
	if (c->access == PIT_ACCESS_LOW) {
		load(c, v, now);
	} else if (c->access == PIT_ACCESS_HIGH) {
		load(c, (u32)v << 8, now);
	} else if (c->write_high) {
		c->write_high = false;
		load(c, (u32)v << 8 | c->write_low, now);
	} else {
		c->write_high = true;
		c->write_low = v;
		if (c->mode == 0) /* the first byte stops the count */
			c->loaded = false;
	}
	if (n == 0 && c->mode == 0)
		platform_irq(p->dev[0].vm, IRQ_PIT, false);
}

static void latch_count(struct channel *c, u64 now)
{
	if (c->latched != 0)
		return;
	c->latch = value(c, now);
	c->latched = c->access == PIT_ACCESS_BOTH ? 2 : 1;
	c->read_high = false;
}

static void latch_status(struct channel *c, u64 now)
{
	bool null = !c->loaded || c->next != 0 || (c->running && now < c->start);

	if (c->status_latched)
		return;
	c->status_latched = true;
	c->status = (u8)((output(c, now) ? PIT_STATUS_OUT : 0) | (null ? PIT_STATUS_NULL : 0) |
			 (u32)c->access << PIT_ACCESS_SHIFT | (u32)c->mode << PIT_MODE_SHIFT |
			 (c->bcd ? PIT_BCD : 0));
}

static void read_back(struct vpit *p, u8 v, u64 now)
{
	for (u32 i = 0; i < PIT_CHANNELS; i++) {
		struct channel *c = &p->channel[i];

		if ((v & PIT_RB_CHANNEL(i)) == 0)
			continue;
		settle(c, now);
		if ((v & PIT_RB_NO_COUNT) == 0)
			latch_count(c, now);
		if ((v & PIT_RB_NO_STATUS) == 0)
			latch_status(c, now);
	}
}

static void write_control(struct vpit *p, u8 v, u64 now)
{
	u32 n = v >> PIT_SELECT_SHIFT, access = v >> PIT_ACCESS_SHIFT & PIT_ACCESS_MASK;
	u32 mode = v >> PIT_MODE_SHIFT & PIT_MODE_MASK;
	struct channel *c;

	if (n == PIT_READ_BACK) {
		read_back(p, v, now);
		return;
	}
	c = &p->channel[n];
	settle(c, now);
	if (access == 0) {
		latch_count(c, now);
		return;
	}
	/* 6 and 7 are 2 and 3. */
	*c = (struct channel){.mode = (u8)(mode > 5 ? mode - 4 : mode),
			      .access = (u8)access,
			      .bcd = (v & PIT_BCD) != 0,
			      .gate = c->gate,
			      .count = c->count};
	if (n == 0)
		platform_irq(p->dev[0].vm, IRQ_PIT, output(c, now));
}

static void vpit_write(struct device *d, u64 offset, UNUSED u32 width, u64 v)
{
	struct vpit *p = vpit_of(d);
	u64 now = ticks_now(d->vm, PIT_HZ);

	deliver(p, now);
	if (offset == PIT_CONTROL)
		write_control(p, (u8)v, now);
	else
		write_count(p, (u32)offset, (u8)v, now);
	arm(p);
}

static u64 vpit_read(struct device *d, u64 offset, UNUSED u32 width)
{
	struct vpit *p = vpit_of(d);
	u64 now = ticks_now(d->vm, PIT_HZ);
	struct channel *c;
	bool high;
	u16 v;

	if (offset == PIT_CONTROL)
		return UINT64_MAX;
	deliver(p, now);
	c = &p->channel[offset];
	settle(c, now);
	if (c->status_latched) {
		c->status_latched = false;
		return c->status;
	}
	v = c->latched != 0 ? c->latch : value(c, now);
	if (c->latched != 0)
		c->latched--;
	high = c->access == PIT_ACCESS_HIGH || (c->access == PIT_ACCESS_BOTH && c->read_high);
	c->read_high = !c->read_high;
	return high ? v >> 8 : v & 0xffu;
}

static u64 port61_read(struct device *d, UNUSED u64 offset, UNUSED u32 width)
{
	struct vpit *p = vpit_of(d);
	u64 now = ticks_now(d->vm, PIT_HZ);

	settle(&p->channel[2], now);
	return p->port61 | (now / REFRESH_TICKS % 2 != 0 ? PORT61_REFRESH : 0) |
	       (output(&p->channel[2], now) ? PORT61_OUT2 : 0);
}

static void port61_write(struct device *d, UNUSED u64 offset, UNUSED u32 width, u64 v)
{
	struct vpit *p = vpit_of(d);

	p->port61 = v & PORT61_STORED;
	set_gate(&p->channel[2], (v & PORT61_GATE2) != 0, ticks_now(d->vm, PIT_HZ));
}

/* Nothing counts until it is programmed; the outputs are high, as firmware leaves them. Lock held. */
static void stop(struct vpit *p)
{
	for (u32 i = 0; i < PIT_CHANNELS; i++)
		p->channel[i] = (struct channel){
			.mode = 3, .access = PIT_ACCESS_BOTH, .gate = i != 2, .count = 65536};
	p->port61 = 0;
	p->seen = ticks_now(p->dev[0].vm, PIT_HZ);
	arm(p);
}

static void vpit_reset(struct device *d)
{
	stop(vpit_of(d));
	platform_irq(d->vm, IRQ_PIT, true);
}

static void vpit_resumed(struct device *d)
{
	arm(vpit_of(d));
}

static void vpit_destroy(struct device *d)
{
	struct vpit *p = vpit_of(d);
	lock_token token = lock_take(&d->vm->bus.lock);

	/* Stopped, its timer is not started again by a function that runs just now. */
	stop(p);
	lock_release(&d->vm->bus.lock, token);
	timer_stop(&p->timer);
	frames_free_page(p);
}

static const struct part vpit_parts[PIT_PARTS] = {
	{{.name = "8254",
	  .width_max = 1,
	  .read = vpit_read,
	  .write = vpit_write,
	  .reset = vpit_reset,
	  .destroy = vpit_destroy,
	  .resumed = vpit_resumed},
	 DEV_PORT,
	 PIT_BASE,
	 PIT_LEN},
	{{.name = "port 61h",
	  .width_max = 1,
	  .read = port61_read,
	  .write = port61_write,
	  .reset = parts_nothing,
	  .destroy = parts_nothing},
	 DEV_PORT,
	 PORT61_BASE,
	 PORT61_LEN},
};

int vpit_create(struct vm *vm, struct dev_bus *bus)
{
	struct vpit *p = frames_alloc_page();
	lock_token token;
	int rc;

	if (p == NULL)
		return -TERN_ENOMEM;
	p->timer = (struct timer){.fn = expired, .arg = p, .name = "8254"};
	rc = parts_add(vm, bus, p->dev, vpit_parts, PIT_PARTS);
	if (rc != 0)
		return rc;
	token = lock_take(&bus->lock);
	vpit_reset(&p->dev[0]);
	lock_release(&bus->lock, token);
	vm->platform.pit = &p->dev[0];
	return 0;
}
