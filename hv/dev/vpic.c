/* SPDX-License-Identifier: MIT */
/*
 * The pair of 8259A. Each chip's output is a function of its registers and its inputs, computed anew after
 * each change; the flag `output` is the first one's, where vCPUs look without a lock.
 */
#include <tern/platform.h>

#include "parts.h"
#include "vpic_regs.h"

#include <tern/err.h>
#include <tern/frames.h>
#include <tern/vm.h>

#define NONE      (-1)
#define PIC_PARTS 3u

/* What the next write to the odd port is. */
enum pic_step { STEP_OFF, STEP_ICW2, STEP_ICW3, STEP_ICW4, STEP_READY };

struct i8259 {
	enum pic_step step; /* STEP_OFF: never initialised; it asks for nothing, but has a mask */
	u8 lines;           /* levels of the inputs */
	u8 edges;           /* inputs that have risen, are still high, and were not acknowledged */
	u8 level;           /* inputs that are level-triggered */
	u8 imr, isr;
	u8 icw1, icw2, icw3, icw4;
	u8 lowest; /* input of lowest priority */
	bool read_isr, poll, special_mask, rotate_aeoi;
};

struct vpic {
	struct device dev[PIC_PARTS]; /* as vpic_parts */
	struct i8259 chip[2];
	u32 output; /* (a) */
};
_Static_assert(sizeof(struct vpic) <= PAGE_SIZE, "a page");

static const struct part vpic_parts[PIC_PARTS];

static struct vpic *vpic_of(const struct device *d)
{
	return container_of(d - parts_index(d, vpic_parts), struct vpic, dev[0]);
}

static u8 irr(const struct i8259 *c)
{
	return (u8)((c->edges & ~c->level) | (c->lines & c->level));
}

/* The bit of highest priority, or NONE. */
static int highest(const struct i8259 *c, u8 bits)
{
	for (u32 i = 1; bits != 0 && i <= 8; i++) {
		u32 n = (c->lowest + i) % 8;

		if ((bits >> n & 1) != 0)
			return (int)n;
	}
	return NONE;
}

/* How far an input is from the highest priority; NONE is behind all. */
static u32 rank(const struct i8259 *c, int n)
{
	return n == NONE ? 8 : ((u32)n + 7 - c->lowest) % 8;
}

static bool cascaded(const struct i8259 *c)
{
	return (c->icw1 & ICW1_SNGL) == 0;
}

/* The input that it asks an interrupt for, or NONE. */
static int asks(const struct i8259 *c)
{
	int n;
	u8 busy = c->isr;

	if (c->step != STEP_READY)
		return NONE;
	if (c->special_mask)
		busy = (u8)(busy & ~c->imr);
	/* A slave in service may interrupt itself. */
	if ((c->icw4 & ICW4_SFNM) != 0 && cascaded(c))
		busy = (u8)(busy & ~c->icw3);
	n = highest(c, (u8)(irr(c) & ~c->imr));
	return rank(c, n) < rank(c, highest(c, busy)) ? n : NONE;
}

static void set_line(struct i8259 *c, u32 n, bool high)
{
	u8 bit = (u8)(1u << n);

	if (!high) {
		c->lines = (u8)(c->lines & ~bit);
		/* An input must stay high until it is acknowledged. */
		c->edges = (u8)(c->edges & ~bit);
	} else if ((c->lines & bit) == 0) {
		c->lines |= bit;
		c->edges |= bit;
	}
}

/* After any change. The bus lock is held. */
static void update(struct vpic *p)
{
	u32 output;

	set_line(&p->chip[0], PIC_CASCADE, asks(&p->chip[1]) != NONE);
	output = asks(&p->chip[0]) != NONE;
	if (output == p->output)
		return;
	__atomic_store_n(&p->output, output, __ATOMIC_SEQ_CST);
	if (output != 0)
		vcpu_kick(p->dev[0].vm->vcpus[0]);
}

/* Input n is being served: what the first INTA pulse, and the last one in AEOI mode, do. */
static void serve(struct i8259 *c, int n)
{
	u8 bit = (u8)(1u << n);

	c->edges = (u8)(c->edges & ~bit);
	if ((c->icw4 & ICW4_AEOI) == 0)
		c->isr |= bit;
	else if (c->rotate_aeoi)
		c->lowest = (u8)n;
}

/* The byte of the second INTA pulse. In MCS-80 mode that is the low half of an address. */
static u8 vector(const struct i8259 *c, int n)
{
	u32 i = (u32)n;

	if ((c->icw4 & ICW4_8086) != 0)
		return (u8)((c->icw2 & ICW2_VECTOR) | i);
	if ((c->icw1 & ICW1_INTERVAL_4) != 0)
		return (u8)((c->icw1 & ICW1_ADDRESS) | i << 2);
	return (u8)((c->icw1 & ICW1_ADDRESS & ~0x20u) | i << 3);
}

/* The acknowledge cycle of one chip: the input, 7 if it has no request any more. */
static int acknowledge(struct i8259 *c)
{
	int n = asks(c);

	if (n == NONE)
		return 7; /* spurious: ISR stays as it is */
	serve(c, n);
	return n;
}

u8 vpic_ack(struct device *pic)
{
	struct vpic *p = vpic_of(pic);
	lock_token token = lock_take(&pic->vm->bus.lock);
	struct i8259 *first = &p->chip[0], *second = &p->chip[1];
	bool spurious = asks(first) == NONE;
	int n = acknowledge(first);
	u8 v = vector(first, n);

	/* An input that has a slave, so it was told: the slave with that number gives the vector. */
	if (!spurious && cascaded(first) && (first->icw3 >> n & 1) != 0) {
		bool answers = n == (int)PIC_CASCADE && cascaded(second) &&
			       (second->icw3 & ICW3_ID) == PIC_CASCADE;

		v = answers ? vector(second, acknowledge(second)) : PIC_FLOATING;
	}
	update(p);
	lock_release(&pic->vm->bus.lock, token);
	return v;
}

bool vpic_asks(const struct device *pic)
{
	return __atomic_load_n(&vpic_of(pic)->output, __ATOMIC_SEQ_CST) != 0;
}

void vpic_line(struct device *pic, u32 line, bool asserted)
{
	struct vpic *p = vpic_of(pic);

	set_line(&p->chip[line / 8], line % 8, asserted);
	update(p);
}

static void write_icw1(struct i8259 *c, u8 v)
{
	/* LTIM does nothing here: ELCR says what is level-triggered. */
	*c = (struct i8259){.step = STEP_ICW2,
			    .lines = c->lines,
			    .level = c->level,
			    .icw1 = v,
			    .lowest = PIC_LOWEST};
}

static void write_ocw2(struct i8259 *c, u8 v)
{
	int n = v & OCW2_LEVEL;
	/* In special mask mode a non-specific EOI does not see what is masked. */
	u8 served = c->special_mask ? (u8)(c->isr & ~c->imr) : c->isr;

	switch (v & (OCW2_EOI | OCW2_SPECIFIC | OCW2_ROTATE)) {
	case 0:
		c->rotate_aeoi = false;
		return;
	case OCW2_ROTATE:
		c->rotate_aeoi = true;
		return;
	case OCW2_SPECIFIC: /* no operation */
		return;
	case OCW2_SPECIFIC | OCW2_ROTATE: /* set priority */
		c->lowest = (u8)n;
		return;
	case OCW2_EOI:
	case OCW2_EOI | OCW2_ROTATE:
		n = highest(c, served);
		break;
	default: /* specific EOI */
		break;
	}
	if (n == NONE)
		return;
	c->isr = (u8)(c->isr & ~(1u << n));
	if ((v & OCW2_ROTATE) != 0)
		c->lowest = (u8)n;
}

static void write_ocw3(struct i8259 *c, u8 v)
{
	if ((v & OCW3_ESMM) != 0)
		c->special_mask = (v & OCW3_SMM) != 0;
	if ((v & OCW3_POLL) != 0)
		c->poll = true;
	else if ((v & OCW3_RR) != 0)
		c->read_isr = (v & OCW3_RIS) != 0;
}

static void write_odd(struct i8259 *c, u8 v)
{
	bool icw4 = (c->icw1 & ICW1_IC4) != 0;

	switch (c->step) {
	case STEP_ICW2:
		c->icw2 = v;
		if (cascaded(c))
			c->step = STEP_ICW3;
		else
			c->step = icw4 ? STEP_ICW4 : STEP_READY;
		break;
	case STEP_ICW3:
		c->icw3 = v;
		c->step = icw4 ? STEP_ICW4 : STEP_READY;
		break;
	case STEP_ICW4:
		c->icw4 = v;
		c->step = STEP_READY;
		break;
	case STEP_OFF:
	case STEP_READY:
		c->imr = v;
		break;
	}
}

static void chip_write(struct vpic *p, struct i8259 *c, u64 offset, u8 v)
{
	if (offset != 0)
		write_odd(c, v);
	else if ((v & PIC_ICW1) != 0)
		write_icw1(c, v);
	else if ((v & PIC_OCW3) != 0)
		write_ocw3(c, v);
	else
		write_ocw2(c, v);
	update(p);
}

/* The read that follows a poll command is an acknowledge cycle, at either port. */
static u8 poll(struct vpic *p, struct i8259 *c)
{
	int n = asks(c);

	c->poll = false;
	if (n == NONE)
		return 0;
	serve(c, n);
	update(p);
	return (u8)(PIC_POLL_REQUEST | (u32)n);
}

static u8 chip_read(struct vpic *p, struct i8259 *c, u64 offset)
{
	if (c->poll)
		return poll(p, c);
	if (offset != 0)
		return c->imr;
	return c->read_isr ? c->isr : irr(c);
}

static u64 vpic_read(struct device *d, u64 offset, UNUSED u32 width)
{
	struct vpic *p = vpic_of(d);

	return chip_read(p, &p->chip[parts_index(d, vpic_parts)], offset);
}

static void vpic_write(struct device *d, u64 offset, UNUSED u32 width, u64 value)
{
	struct vpic *p = vpic_of(d);

	chip_write(p, &p->chip[parts_index(d, vpic_parts)], offset, (u8)value);
}

/* The cascade is level-triggered, whatever the guest says: no request of the second chip is lost. */
static u64 elcr_read(struct device *d, u64 offset, UNUSED u32 width)
{
	const struct i8259 *c = &vpic_of(d)->chip[offset];

	return c->level & (offset == 0 ? ELCR1_MASK : ELCR2_MASK);
}

static void elcr_write(struct device *d, u64 offset, UNUSED u32 width, u64 value)
{
	struct vpic *p = vpic_of(d);

	if (offset == 0)
		p->chip[0].level = (u8)((value & ELCR1_MASK) | 1u << PIC_CASCADE);
	else
		p->chip[1].level = value & ELCR2_MASK;
	update(p);
}

static void vpic_reset(struct device *d)
{
	struct vpic *p = vpic_of(d);

	/* The inputs are as the devices drive them: those tell when they change. */
	for (u32 i = 0; i < ARRAY_SIZE(p->chip); i++)
		p->chip[i] = (struct i8259){.lines = p->chip[i].lines, .lowest = PIC_LOWEST};
	p->chip[0].level = 1u << PIC_CASCADE;
	update(p);
}

static void vpic_destroy(struct device *d)
{
	lock_token token = lock_take(&d->vm->bus.lock);

	/* Timers of other devices may still set lines. */
	if (d->vm->platform.pic == d)
		d->vm->platform.pic = NULL;
	lock_release(&d->vm->bus.lock, token);
	frames_free_page(vpic_of(d));
}

static const struct part vpic_parts[PIC_PARTS] = {
	{{.name = "8259A 1",
	  .width_max = 1,
	  .read = vpic_read,
	  .write = vpic_write,
	  .reset = vpic_reset,
	  .destroy = vpic_destroy},
	 DEV_PORT,
	 PIC1_BASE,
	 PIC_LEN},
	{{.name = "8259A 2",
	  .width_max = 1,
	  .read = vpic_read,
	  .write = vpic_write,
	  .reset = parts_nothing,
	  .destroy = parts_nothing},
	 DEV_PORT,
	 PIC2_BASE,
	 PIC_LEN},
	{{.name = "ELCR",
	  .width_max = 1,
	  .read = elcr_read,
	  .write = elcr_write,
	  .reset = parts_nothing,
	  .destroy = parts_nothing},
	 DEV_PORT,
	 ELCR_BASE,
	 ELCR_LEN},
};

int vpic_create(struct vm *vm, struct dev_bus *bus)
{
	struct vpic *p = frames_alloc_page();
	int rc;

	if (p == NULL)
		return -TERN_ENOMEM;
	rc = parts_add(vm, bus, p->dev, vpic_parts, PIC_PARTS);
	if (rc != 0)
		return rc;
	vpic_reset(&p->dev[0]);
	vm->platform.pic = &p->dev[0];
	return 0;
}
