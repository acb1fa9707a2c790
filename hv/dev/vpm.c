/* SPDX-License-Identifier: MIT */
/*
 * ACPI power management, in ACPI mode from the start: power button, timer, soft-off; and the reset of a keyboard
 * controller that is not there otherwise. The PM timer has 32 bits: the FADT says so by TMR_VAL_EXT.
 */
#include <tern/platform.h>

#include "parts.h"
#include "ticks.h"
#include "vpm_regs.h"

#include <tern/err.h>
#include <tern/frames.h>
#include <tern/timer.h>
#include <tern/vm.h>

#define PM_PARTS   2u
#define BYTE(v, n) ((u64)((v) >> (n)*8 & 0xffu))

struct vpm {
	struct device dev[PM_PARTS]; /* as vpm_parts */
	u16 status, enable, control;
	bool sci;
	u64 origin; /* tick at which the PM timer was 0 */
	u64 seen;   /* what it was when status was last brought up to date; it never wraps here */
	struct timer timer;
};
_Static_assert(sizeof(struct vpm) <= PAGE_SIZE, "a page");

static const struct part vpm_parts[PM_PARTS];

static struct vpm *vpm_of(struct device *d)
{
	return container_of(d - parts_index(d, vpm_parts), struct vpm, dev[0]);
}

/* Brings the timer's status up to date; returns the timer. */
static u64 settle(struct vpm *p)
{
	u64 now = ticks_now(p->dev[0].vm, PM_TMR_HZ) - p->origin;

	/* The TSC of this CPU may be a little behind that of the one before. */
	if (now <= p->seen || now >> 63 != 0)
		return p->seen;
	if (now >> PM_TMR_TOP != p->seen >> PM_TMR_TOP)
		p->status |= PM1_TMR;
	p->seen = now;
	return now;
}

/* After any change: the line, and the timer for the next change of the top bit. */
static void update(struct vpm *p)
{
	bool sci = (p->status & p->enable) != 0,
	     waits = (p->enable & PM1_TMR) != 0 && (p->status & PM1_TMR) == 0;

	if (sci != p->sci)
		platform_irq(p->dev[0].vm, IRQ_SCI, sci);
	p->sci = sci;
	ticks_arm(p->dev[0].vm, &p->timer,
		  waits ? p->origin + (((p->seen >> PM_TMR_TOP) + 1) << PM_TMR_TOP) : UINT64_MAX,
		  PM_TMR_HZ);
}

static void expired(struct timer *t)
{
	struct vpm *p = t->arg;
	struct dev_bus *bus = &p->dev[0].vm->bus;
	lock_token token = lock_take(&bus->lock);

	(void)settle(p);
	update(p);
	lock_release(&bus->lock, token);
}

void vpm_power_button(struct device *pm)
{
	struct vpm *p = vpm_of(pm);
	lock_token token = lock_take(&pm->vm->bus.lock);

	p->status |= PM1_PWRBTN;
	update(p);
	lock_release(&pm->vm->bus.lock, token);
}

static u64 read_byte(const struct vpm *p, u32 at, u64 timer)
{
	switch (at & ~1u) {
	case PM1_STS:
		return BYTE(p->status, at & 1);
	case PM1_EN:
		return BYTE(p->enable, at & 1);
	case PM1_CNT:
		return BYTE(p->control | PM1_CNT_SCI_EN, at & 1);
	case PM_TMR:
	case PM_TMR + 2:
		return BYTE(timer, at - PM_TMR);
	default: /* no register */
		return 0;
	}
}

static u64 vpm_read(struct device *d, u64 offset, u32 width)
{
	struct vpm *p = vpm_of(d);
	u64 timer = settle(p), v = 0;

	update(p);
	for (u32 i = 0; i < width; i++)
		v |= read_byte(p, (u32)offset + i, timer) << i * 8;
	return v;
}

/* The byte of a register that is written, in its place, and a mask of it. */
static void write_byte(struct vpm *p, u32 at, u8 byte)
{
	u32 v = (u32)byte << (at & 1) * 8, mask = 0xffu << (at & 1) * 8;

	switch (at & ~1u) {
	case PM1_STS: /* 1 clears */
		p->status = (u16)(p->status & ~v);
		break;
	case PM1_EN:
		p->enable = (u16)((p->enable & ~mask) | (v & PM1_EN_MASK));
		break;
	case PM1_CNT:
		p->control = (u16)((p->control & ~mask) | (v & PM1_CNT_STORED));
		/* Type and enable are in one byte. Of the sleeping states there is but S5. */
		if ((v & PM1_CNT_SLP_EN) != 0 && PM1_CNT_TYPE(v) == PM1_CNT_TYPE_S5)
			vm_poweroff_requested(p->dev[0].vm);
		break;
	default: /* the timer is read-only */
		break;
	}
}

static void vpm_write(struct device *d, u64 offset, u32 width, u64 value)
{
	struct vpm *p = vpm_of(d);

	(void)settle(p);
	for (u32 i = 0; i < width; i++)
		write_byte(p, (u32)offset + i, (u8)BYTE(value, i));
	update(p);
}

/* As if nobody were there, so that looking for a keyboard controller ends at once. */
static u64 kbc_read(UNUSED struct device *d, UNUSED u64 offset, UNUSED u32 width)
{
	return UINT64_MAX;
}

static void kbc_write(struct device *d, UNUSED u64 offset, UNUSED u32 width, u64 v)
{
	if ((v & KBC_PULSE) == KBC_PULSE && (v & KBC_PULSE_RESET) == 0)
		vm_reset_requested(d->vm);
}

/* Lock held. The PM timer counts on. */
static void vpm_reset(struct device *d)
{
	struct vpm *p = vpm_of(d);

	(void)settle(p);
	p->status = p->enable = p->control = 0;
	update(p);
}

static void vpm_resumed(struct device *d)
{
	update(vpm_of(d));
}

static void vpm_destroy(struct device *d)
{
	struct vpm *p = vpm_of(d);
	lock_token token = lock_take(&d->vm->bus.lock);

	/* With nothing enabled the timer is not started again by a function that runs just now. */
	vpm_reset(d);
	lock_release(&d->vm->bus.lock, token);
	timer_stop(&p->timer);
	frames_free_page(p);
}

static const struct part vpm_parts[PM_PARTS] = {
	{{.name = "keyboard reset",
	  .width_max = 1,
	  .read = kbc_read,
	  .write = kbc_write,
	  .reset = vpm_reset,
	  .destroy = vpm_destroy,
	  .resumed = vpm_resumed},
	 DEV_PORT,
	 KBC_BASE,
	 KBC_LEN},
	{{.name = "ACPI PM",
	  .width_max = sizeof(u32),
	  .read = vpm_read,
	  .write = vpm_write,
	  .reset = parts_nothing,
	  .destroy = parts_nothing},
	 DEV_PORT,
	 PM_BASE,
	 PM_LEN},
};

int vpm_create(struct vm *vm, struct dev_bus *bus)
{
	struct vpm *p = frames_alloc_page();
	int rc;

	if (p == NULL)
		return -TERN_ENOMEM;
	p->timer = (struct timer){.fn = expired, .arg = p, .name = "ACPI PM timer"};
	p->origin = ticks_now(vm, PM_TMR_HZ);
	rc = parts_add(vm, bus, p->dev, vpm_parts, PM_PARTS);
	if (rc != 0)
		return rc;
	vm->platform.pm = &p->dev[PM_PARTS - 1];
	return 0;
}
