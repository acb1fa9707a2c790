/* SPDX-License-Identifier: MIT */
/*
 * A 16550. Its line is infinitely fast: the transmitter is always empty, and what is received is there long
 * enough for the time-out at once. Input beyond the 16 bytes of the chip's FIFO waits here, not at the sender.
 * The ring keeps the newest output; the log gets lines, unless the VM's configuration or somebody who watches the
 * output itself says otherwise, but no more of them than the serial console of the node can show, so that a guest
 * that writes for ever takes neither the log nor the shell away.
 */
#include <tern/dev.h>

#include "vuart_regs.h"

#include <tern/arch.h>
#include <tern/err.h>
#include <tern/frames.h>
#include <tern/lib.h>
#include <tern/log.h>
#include <tern/timer.h>
#include <tern/vm.h>

#define LINE_MAX    160u
#define INPUT_MAX   256u
#define RING_ORDER  4u
#define LINES_BURST 512u /* lines that the log takes at once, and then a second */
#define LINES_PER_S 128u

struct vuart {
	struct device dev; /* first: a device is cast to its struct */
	u8 ier, lcr, mcr, scr, fcr;
	u8 overrun; /* UART_LSR_LOST, until it is read */
	u8 delta;   /* changes of the modem's lines, until they are read */
	bool empty; /* the transmitter has become empty, and IIR has not said so */
	bool irq;   /* level of the line */
	u16 divisor;
	u32 in_head, in_count;
	u8 in[INPUT_MAX];
	u32 line_len;
	char line[LINE_MAX];
	u32 credit;   /* lines that may go to the log now */
	u64 refilled; /* TSC when credit last grew */
	u64 muted;    /* lines that did not go to the log, not yet reported */
	u64 written;  /* bytes of output in all */
	bool watched; /* its lines are not for the log now */
	char *ring;   /* (c) VUART_RING bytes */
};
_Static_assert(sizeof(struct vuart) <= PAGE_SIZE, "one page");
_Static_assert(VUART_RING == PAGE_SIZE << RING_ORDER, "a block of frames");

static struct vuart *vuart_of(struct device *d)
{
	return container_of(d, struct vuart, dev);
}

static void refill(struct vuart *u)
{
	u64 second = arch_tsc_hz(), now = arch_tsc(), lines;

	if (second == 0) {
		u->credit = LINES_BURST;
		return;
	}
	lines = min_u64((now - u->refilled) / (second / LINES_PER_S), LINES_BURST - u->credit);
	if (lines == 0 && u->credit != LINES_BURST)
		return;
	u->credit += (u32)lines;
	u->refilled = now;
}

static void flush_line(struct vuart *u)
{
	u32 len = u->line_len;

	u->line_len = 0;
	if (u->watched || u->dev.vm->log_off)
		return;
	refill(u);
	if (u->credit == 0) {
		u->muted++;
	} else {
		if (u->muted != 0)
			log_warn("[vm %s] %llu lines came too fast for the log", u->dev.vm->name,
				 (unsigned long long)u->muted);
		u->muted = 0;
		u->credit--;
		log_info("[vm %s] %.*s", u->dev.vm->name, (int)len, u->line);
	}
}

static void put_byte(struct vuart *u, char c)
{
	u->ring[u->written++ % VUART_RING] = c;
	if (c == '\r')
		return;
	if (c == '\n' || u->line_len == LINE_MAX)
		flush_line(u);
	if (c != '\n')
		u->line[u->line_len++] = c;
}

/* The interrupt of highest priority, as IIR has it; PC16550D, 8.6 and 8.7. */
static u8 pending(const struct vuart *u)
{
	static const u8 levels[] = {1, 4, 8, 14};

	if ((u->ier & UART_IER_LINE) != 0 && u->overrun != 0)
		return UART_IIR_LINE;
	if ((u->ier & UART_IER_DATA) != 0 && u->in_count > 0) {
		bool fifo = (u->fcr & UART_FCR_ON) != 0;

		return !fifo || u->in_count >= levels[u->fcr >> UART_FCR_LEVEL] ? UART_IIR_DATA
										: UART_IIR_TIMEOUT;
	}
	if ((u->ier & UART_IER_EMPTY) != 0 && u->empty)
		return UART_IIR_EMPTY;
	if ((u->ier & UART_IER_MODEM) != 0 && u->delta != 0)
		return UART_IIR_MODEM;
	return UART_IIR_NONE;
}

/* After any change. On a PC the output OUT2, which loop-back switches off, lets the interrupt through. */
static void update_line(struct vuart *u)
{
	bool irq = (u->mcr & (UART_MCR_OUT2 | UART_MCR_LOOP)) == UART_MCR_OUT2 &&
		   pending(u) != UART_IIR_NONE;

	if (irq != u->irq)
		platform_irq(u->dev.vm, IRQ_UART, irq);
	u->irq = irq;
}

static bool input_byte(struct vuart *u, u8 c)
{
	if (u->in_count == INPUT_MAX)
		return false;
	u->in[(u->in_head + u->in_count++) % INPUT_MAX] = c;
	return true;
}

/* Not inlined: the frames they need would be paid for by every access. */
#define OWN_FRAME __attribute__((noinline))

static OWN_FRAME u8 read_data(struct vuart *u)
{
	u8 c;

	if (u->in_count == 0)
		return 0;
	c = u->in[u->in_head];
	u->in_head = (u->in_head + 1) % INPUT_MAX;
	u->in_count--;
	update_line(u);
	return c;
}

static OWN_FRAME u8 read_lsr(struct vuart *u)
{
	u8 v = (u8)(UART_LSR_EMPTY | u->overrun | (u->in_count > 0 ? UART_LSR_DATA : 0));

	if (u->overrun != 0) {
		u->overrun = 0;
		update_line(u);
	}
	return v;
}

static OWN_FRAME u8 read_iir(struct vuart *u)
{
	u8 v = pending(u);

	if (v == UART_IIR_EMPTY) {
		u->empty = false;
		update_line(u);
	}
	return (u8)(v | ((u->fcr & UART_FCR_ON) != 0 ? UART_IIR_FIFOS : 0));
}

static u8 modem_lines(const struct vuart *u)
{
	if ((u->mcr & UART_MCR_LOOP) == 0)
		return UART_MSR_READY;
	return (u8)((u->mcr & UART_MCR_RTS ? UART_MSR_CTS : 0) |
		    (u->mcr & UART_MCR_DTR ? UART_MSR_DSR : 0) |
		    (u->mcr & UART_MCR_OUT1 ? UART_MSR_RI : 0) |
		    (u->mcr & UART_MCR_OUT2 ? UART_MSR_DCD : 0));
}

static OWN_FRAME u8 read_msr(struct vuart *u)
{
	u8 v = modem_lines(u) | u->delta;

	if (u->delta != 0) {
		u->delta = 0;
		update_line(u);
	}
	return v;
}

static u64 reg_read(struct device *d, u64 offset, UNUSED u32 width)
{
	struct vuart *u = vuart_of(d);
	bool dlab = (u->lcr & UART_LCR_DLAB) != 0;

	switch ((enum uart_reg)offset) {
	case UART_DATA:
		return dlab ? u->divisor & 0xffu : read_data(u);
	case UART_IER:
		return dlab ? u->divisor >> 8 : u->ier;
	case UART_IIR_FCR:
		return read_iir(u);
	case UART_LCR:
		return u->lcr;
	case UART_MCR:
		return u->mcr;
	case UART_LSR:
		return read_lsr(u);
	case UART_MSR:
		return read_msr(u);
	case UART_SCR:
		return u->scr;
	}
	return UINT64_MAX;
}

static void write_data(struct vuart *u, u8 value)
{
	if ((u->lcr & UART_LCR_DLAB) != 0) {
		u->divisor = (u16)((u->divisor & 0xff00u) | value);
		return;
	}
	if ((u->mcr & UART_MCR_LOOP) == 0)
		put_byte(u, (char)value);
	else if (!input_byte(u, value))
		u->overrun = UART_LSR_LOST;
	/* Polled output, which asks for no interrupt, ends here. */
	if (!u->empty || (u->mcr & UART_MCR_LOOP) != 0) {
		u->empty = true;
		update_line(u);
	}
}

static void write_ier(struct vuart *u, u8 v)
{
	if ((u->lcr & UART_LCR_DLAB) != 0) {
		u->divisor = (u16)((u->divisor & 0xffu) | (u32)v << 8);
		return;
	}
	/* The transmitter is empty: whoever wants to know is told, even if IIR has said it before. */
	if ((v & ~u->ier & UART_IER_EMPTY) != 0)
		u->empty = true;
	u->ier = v & UART_IER_MASK;
	update_line(u);
}

static void write_fcr(struct vuart *u, u8 v)
{
	/* Off and on empty the FIFOs; without the first bit the others are not looked at. */
	if (((v ^ u->fcr) & UART_FCR_ON) != 0 ||
	    (v & (UART_FCR_ON | UART_FCR_CLEAR)) == (UART_FCR_ON | UART_FCR_CLEAR))
		u->in_count = 0;
	u->fcr = (v & UART_FCR_ON) != 0 ? v : 0;
	update_line(u);
}

static void write_mcr(struct vuart *u, u8 v)
{
	u8 was = modem_lines(u), changed;
	bool inside = (u->mcr & v & UART_MCR_LOOP) != 0;

	u->mcr = v & UART_MCR_MASK;
	/* Going into loop-back and out of it is no change of a line. */
	if (inside) {
		changed = was ^ modem_lines(u);
		if ((was & UART_MSR_RI) == 0) /* it tells its fall only */
			changed = (u8)(changed & ~UART_MSR_RI);
		u->delta |= changed >> UART_MSR_DELTA;
	}
	update_line(u);
}

static void reg_write(struct device *d, u64 offset, UNUSED u32 width, u64 value)
{
	struct vuart *u = vuart_of(d);
	u8 v = (u8)value;

	switch ((enum uart_reg)offset) {
	case UART_DATA:
		write_data(u, v);
		break;
	case UART_IER:
		write_ier(u, v);
		break;
	case UART_IIR_FCR:
		write_fcr(u, v);
		break;
	case UART_LCR:
		u->lcr = v;
		break;
	case UART_MCR:
		write_mcr(u, v);
		break;
	case UART_SCR:
		u->scr = v;
		break;
	case UART_LSR: /* read-only */
	case UART_MSR:
		break;
	}
}

static void vuart_reset(struct device *d)
{
	struct vuart *u = vuart_of(d);

	if (u->line_len > 0)
		flush_line(u);
	u->ier = u->lcr = u->mcr = u->scr = u->fcr = u->overrun = u->delta = 0;
	u->empty = true;
	u->divisor = UART_DIVISOR_RESET;
	u->in_count = 0;
	update_line(u);
}

static void vuart_destroy(struct device *d)
{
	struct vuart *u = vuart_of(d);

	if (u->line_len > 0)
		flush_line(u);
	frame_put(virt_to_phys(u->ring));
	frames_free_page(u);
}

static const struct dev_ops vuart_ops = {
	.name = "16550",
	.width_max = 1,
	.read = reg_read,
	.write = reg_write,
	.reset = vuart_reset,
	.destroy = vuart_destroy,
};

int vuart_create(struct vm *vm, struct dev_bus *bus, struct device **out)
{
	struct vuart *u = frames_alloc_page();
	hpa_t ring;
	int rc;

	if (u == NULL)
		return -TERN_ENOMEM;
	rc = frames_alloc(RING_ORDER, 0, FRAME_NODE_ANY, &ring);
	if (rc != 0) {
		frames_free_page(u);
		return rc;
	}
	u->ring = phys_to_virt(ring);
	u->dev = (struct device){.ops = &vuart_ops, .vm = vm};
	u->credit = LINES_BURST;
	u->refilled = arch_tsc();
	vuart_reset(&u->dev);
	rc = bus_add(bus, DEV_PORT, VUART_BASE, VUART_LEN, &u->dev);
	if (rc != 0) {
		vuart_destroy(&u->dev);
		return rc;
	}
	*out = &u->dev;
	return 0;
}

void vuart_output_locked(struct device *d, const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		put_byte(vuart_of(d), text[i]);
}

void vuart_output(struct device *d, const char *text, size_t n)
{
	lock_token token = lock_take(&d->vm->bus.lock);

	vuart_output_locked(d, text, n);
	lock_release(&d->vm->bus.lock, token);
}

size_t vuart_input(struct device *d, const char *text, size_t n)
{
	lock_token token = lock_take(&d->vm->bus.lock);
	size_t i = 0;

	while (i < n && input_byte(vuart_of(d), (u8)text[i]))
		i++;
	update_line(vuart_of(d));
	lock_release(&d->vm->bus.lock, token);
	return i;
}

void vuart_watch(struct device *d, bool watched)
{
	lock_token token = lock_take(&d->vm->bus.lock);

	vuart_of(d)->watched = watched;
	lock_release(&d->vm->bus.lock, token);
}

u64 vuart_written(struct device *d)
{
	lock_token token = lock_take(&d->vm->bus.lock);
	u64 written = vuart_of(d)->written;

	lock_release(&d->vm->bus.lock, token);
	return written;
}

size_t vuart_read(struct device *d, u64 *at, char *out, size_t max)
{
	lock_token token = lock_take(&d->vm->bus.lock);
	const struct vuart *u = vuart_of(d);
	size_t n;

	*at = max_u64(*at, u->written - min_u64(u->written, VUART_RING));
	n = min_u64(u->written - *at, max);
	for (size_t i = 0; i < n; i++)
		out[i] = u->ring[(*at + i) % VUART_RING];
	*at += n;
	lock_release(&d->vm->bus.lock, token);
	return n;
}
