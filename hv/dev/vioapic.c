/* SPDX-License-Identifier: MIT */
/*
 * An I/O APIC. A pin that is edge-triggered sends when it rises, and forgets what comes while it is masked; one that
 * is level-triggered sends while it is asserted, and then waits for the EOI (remote IRR).
 */
#include <tern/platform.h>

#include "vioapic_regs.h"

#include <tern/err.h>
#include <tern/frames.h>
#include <tern/vlapic.h>
#include <tern/vm.h>

struct vioapic {
	struct device dev;
	u32 id;    /* as the register has it */
	u8 regsel; /* number of the register in the window */
	u32 lines; /* levels of the pins */
	u64 table[IRQ_LINES];
};
_Static_assert(sizeof(struct vioapic) <= PAGE_SIZE, "a page");

static struct vioapic *vioapic_of(struct device *d)
{
	return container_of(d, struct vioapic, dev);
}

static enum apic_delivery delivery(u64 rte)
{
	return (enum apic_delivery)(rte >> RTE_DELIVERY_SHIFT & RTE_DELIVERY_MASK);
}

/* Only what local APICs send an EOI for can be level-triggered, whatever the entry says. */
static bool level_triggered(u64 rte)
{
	return (rte & RTE_LEVEL) != 0 &&
	       (delivery(rte) == APIC_FIXED || delivery(rte) == APIC_LOWEST);
}

/* False: nobody takes it. */
static bool send(struct vioapic *io, u64 rte)
{
	const struct apic_message m = {.dest = (u32)(rte >> RTE_DEST_SHIFT),
				       .logical = (rte & RTE_LOGICAL) != 0,
				       .level = level_triggered(rte),
				       .assert = true,
				       .vector = (u8)(rte & RTE_VECTOR),
				       .delivery = delivery(rte)};

	switch (m.delivery) {
	case APIC_FIXED:
	case APIC_LOWEST:
		if (m.vector < VECTOR_LEGAL)
			return false;
		break;
	case APIC_SMI:
	case APIC_NMI:
	case APIC_INIT:
	case APIC_EXTINT:
		break;
	case APIC_SIPI: /* reserved here, as 3 is */
	default:
		return false;
	}
	vlapic_send(io->dev.vm, &m);
	return true;
}

/* Sends what a level-triggered pin has to say. */
static void serve_level(struct vioapic *io, u32 pin)
{
	u64 rte = io->table[pin];

	if ((io->lines >> pin & 1) == 0 || (rte & (RTE_MASKED | RTE_REMOTE_IRR)) != 0 ||
	    !level_triggered(rte))
		return;
	if (send(io, rte))
		io->table[pin] |= RTE_REMOTE_IRR;
}

void vioapic_line(struct device *ioapic, u32 pin, bool asserted)
{
	struct vioapic *io = vioapic_of(ioapic);
	u32 bit = 1u << pin;
	bool rises = asserted && (io->lines & bit) == 0;
	u64 rte = io->table[pin];

	io->lines = asserted ? io->lines | bit : io->lines & ~bit;
	if (level_triggered(rte))
		serve_level(io, pin);
	else if (rises && (rte & RTE_MASKED) == 0)
		(void)send(io, rte);
}

/* End of interrupt: whoever still asserts a pin gets another one. */
static void end(struct vioapic *io, u8 vector)
{
	for (u32 pin = 0; pin < IRQ_LINES; pin++) {
		u64 *rte = &io->table[pin];

		if ((*rte & RTE_REMOTE_IRR) == 0 || (*rte & RTE_VECTOR) != vector)
			continue;
		*rte &= ~RTE_REMOTE_IRR;
		serve_level(io, pin);
	}
}

void vioapic_eoi(struct device *ioapic, u8 vector)
{
	lock_token token = lock_take(&ioapic->vm->bus.lock);

	end(vioapic_of(ioapic), vector);
	lock_release(&ioapic->vm->bus.lock, token);
}

static u32 reg_read(const struct vioapic *io)
{
	u32 i = io->regsel - IOAPIC_REG_TABLE;

	switch (io->regsel) {
	case IOAPIC_REG_ID:
	case IOAPIC_REG_ARB:
		return io->id;
	case IOAPIC_REG_VER:
		return IOAPIC_VERSION | (IRQ_LINES - 1) << IOAPIC_VER_SHIFT;
	default:
		return i / 2 < IRQ_LINES ? (u32)(io->table[i / 2] >> (i % 2 * 32)) : 0;
	}
}

static void table_write(struct vioapic *io, u32 pin, bool high, u32 value)
{
	u64 old = io->table[pin];
	u64 v = high ? (old & UINT32_MAX) | (u64)value << 32 : (old & ~(u64)UINT32_MAX) | value;

	v = (v & RTE_WRITABLE) | (old & ~RTE_WRITABLE);
	/* What is edge-triggered has no remote IRR: systems switch a pin to and fro to clear it. */
	if (!level_triggered(v))
		v &= ~RTE_REMOTE_IRR;
	io->table[pin] = v;
	serve_level(io, pin);
}

static void reg_write(struct vioapic *io, u32 value)
{
	u32 i = io->regsel - IOAPIC_REG_TABLE;

	if (io->regsel == IOAPIC_REG_ID)
		io->id = value & IOAPIC_ID_MASK;
	else if (i / 2 < IRQ_LINES)
		table_write(io, i / 2, i % 2 != 0, value);
}

static u64 vioapic_read(struct device *d, u64 offset, UNUSED u32 width)
{
	const struct vioapic *io = vioapic_of(d);

	if (offset == IOAPIC_REGSEL)
		return io->regsel;
	return offset == IOAPIC_WIN ? reg_read(io) : 0;
}

/* The window takes 32 bits at once only (3.1). */
static void vioapic_write(struct device *d, u64 offset, u32 width, u64 value)
{
	struct vioapic *io = vioapic_of(d);

	if (offset == IOAPIC_REGSEL)
		io->regsel = (u8)value;
	else if (offset == IOAPIC_WIN && width == sizeof(u32))
		reg_write(io, (u32)value);
	else if (offset == IOAPIC_EOI)
		end(io, (u8)value);
}

static void vioapic_reset(struct device *d)
{
	struct vioapic *io = vioapic_of(d);

	/* The pins are as the devices drive them: those tell when they change. */
	io->id = IOAPIC_ID << IOAPIC_ID_SHIFT;
	io->regsel = 0;
	for (u32 i = 0; i < IRQ_LINES; i++)
		io->table[i] = RTE_MASKED;
}

static void vioapic_destroy(struct device *d)
{
	lock_token token = lock_take(&d->vm->bus.lock);

	/* Timers of other devices may still set lines. */
	if (d->vm->platform.ioapic == d)
		d->vm->platform.ioapic = NULL;
	lock_release(&d->vm->bus.lock, token);
	frames_free_page(vioapic_of(d));
}

static const struct dev_ops vioapic_ops = {
	.name = "I/O APIC",
	.width_max = sizeof(u32),
	.read = vioapic_read,
	.write = vioapic_write,
	.reset = vioapic_reset,
	.destroy = vioapic_destroy,
};

int vioapic_create(struct vm *vm, struct dev_bus *bus)
{
	struct vioapic *io = frames_alloc_page();
	int rc;

	if (io == NULL)
		return -TERN_ENOMEM;
	io->dev = (struct device){.ops = &vioapic_ops, .vm = vm};
	vioapic_reset(&io->dev);
	rc = bus_add(bus, DEV_MEM, IOAPIC_BASE, IOAPIC_LEN, &io->dev);
	if (rc != 0) {
		vioapic_destroy(&io->dev);
		return rc;
	}
	vm->platform.ioapic = &io->dev;
	return 0;
}
