/* SPDX-License-Identifier: MIT */
/*
 * The 16550 serial port: the console that has keys. Output is polled: the console lock is held, so
 * there is one writer. Input may be taken by the reader, by the interrupt and by a writer that
 * waits; whoever comes first drains the FIFO into a ring and the others go on.
 */
#include "uart16550_regs.h"

#include <tern/arch.h>
#include <tern/console.h>
#include <tern/drivers.h>
#include <tern/err.h>
#include <tern/io.h>

#define RX_RING        256u
#define RX_DRAIN_MAX   1024u /* a stuck "data ready" must not hold this CPU */
#define STUCK_US       500000u
#define TSC_HZ_UNKNOWN 4000000000ull

static struct {
	u16 port;
	u32 fifo;             /* bytes that may be written when LSR_THRE shows */
	u32 room;             /* how many of them are left: never more than the UART has */
	bool stuck;           /* the last wait was in vain */
	u64 tx_lost, rx_lost; /* (a) */
	u8 rx[RX_RING];
	u32 rx_head; /* (a) next to write, by the owner of rx_busy */
	u32 rx_tail; /* (a) next to read, by the reader */
	u32 rx_busy; /* (a) 1: somebody is draining */
} uart;

static u8 reg_read(u16 reg)
{
	return io_in8((u16)(uart.port + reg));
}

static void reg_write(u16 reg, u32 v)
{
	io_out8((u16)(uart.port + reg), (u8)v);
}

/* Reading LSR clears its error bits: every read goes through here and counts them. */
static u8 line_status(void)
{
	u8 lsr = reg_read(UART_LSR);

	if (UNLIKELY((lsr & LSR_ERRORS) != 0))
		__atomic_fetch_add(&uart.rx_lost, 1, __ATOMIC_RELAXED);
	return lsr;
}

static void rx_put(u8 byte)
{
	u32 head = __atomic_load_n(&uart.rx_head, __ATOMIC_RELAXED);

	if (head - __atomic_load_n(&uart.rx_tail, __ATOMIC_ACQUIRE) == RX_RING) {
		__atomic_fetch_add(&uart.rx_lost, 1, __ATOMIC_RELAXED);
		return;
	}
	uart.rx[head % RX_RING] = byte;
	__atomic_store_n(&uart.rx_head, head + 1, __ATOMIC_RELEASE);
}

/* Moves what has arrived into the ring, unless somebody else is just doing so. Any context. */
static void rx_drain(void)
{
	bool irqs = arch_irq_off();

	if (__atomic_exchange_n(&uart.rx_busy, 1, __ATOMIC_ACQUIRE) == 0) {
		for (u32 i = 0; i < RX_DRAIN_MAX; i++) {
			u8 lsr = line_status();
			u8 byte;

			if ((lsr & LSR_DATA) == 0)
				break;
			byte = reg_read(UART_RBR);
			/* A break comes with a zero byte that nobody typed. */
			if ((lsr & LSR_BREAK) == 0)
				rx_put(byte);
		}
		__atomic_store_n(&uart.rx_busy, 0, __ATOMIC_RELEASE);
	}
	if (irqs)
		arch_irq_on();
}

/* Waits until the FIFO is empty. A UART on a busy emulator or behind a serial-over-LAN controller may
 * pause for long; after half a second it counts as stuck. */
static bool tx_wait(void)
{
	u64 hz = arch_tsc_hz() != 0 ? arch_tsc_hz() : TSC_HZ_UNKNOWN;
	u64 limit = STUCK_US * (hz / 1000000), start = arch_tsc();

	for (;;) {
		u8 lsr = line_status();

		if ((lsr & LSR_THRE) != 0) {
			uart.stuck = false;
			uart.room = uart.fifo;
			return true;
		}
		/* Once stuck, it gets one look a byte until it moves again. */
		if (uart.stuck || arch_tsc() - start > limit) {
			uart.stuck = true;
			return false;
		}
		if ((lsr & LSR_DATA) != 0)
			rx_drain();
		arch_relax();
	}
}

static void uart_write(UNUSED struct console *con, const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (uart.room == 0 && !tx_wait()) {
			__atomic_fetch_add(&uart.tx_lost, 1, __ATOMIC_RELAXED);
			continue;
		}
		uart.room--;
		reg_write(UART_THR, (u8)text[i]);
	}
}

static int uart_read(UNUSED struct console *con)
{
	u32 tail = __atomic_load_n(&uart.rx_tail, __ATOMIC_RELAXED);
	u8 byte;

	if (tail == __atomic_load_n(&uart.rx_head, __ATOMIC_ACQUIRE)) {
		rx_drain();
		if (tail == __atomic_load_n(&uart.rx_head, __ATOMIC_ACQUIRE))
			return -1;
	}
	byte = uart.rx[tail % RX_RING];
	__atomic_store_n(&uart.rx_tail, tail + 1, __ATOMIC_RELEASE);
	return byte;
}

static struct console uart_console = {
	.name = "com",
	.write = uart_write,
	.read = uart_read,
	.cr_lf = true,
	.shell = true,
};

/* A port without a UART floats: neither what is written to SCR nor a loop-back comes back. */
static bool uart_present(void)
{
	static const u8 patterns[] = {0x55, 0xaa};
	u8 lines;

	for (u32 i = 0; i < ARRAY_SIZE(patterns); i++) {
		reg_write(UART_SCR, patterns[i]);
		if (reg_read(UART_SCR) != patterns[i])
			return false;
	}
	reg_write(UART_MCR, MCR_LOOP | MCR_RTS | MCR_OUT2);
	lines = reg_read(UART_MSR) & MSR_LINES;
	reg_write(UART_MCR, 0);
	return lines == (MSR_CTS | MSR_DCD);
}

static const char *port_name(u16 port)
{
	static const u16 ports[] = {0x3f8, 0x2f8, 0x3e8, 0x2e8}; /* as every PC has them */
	static const char *const names[] = {"com1", "com2", "com3", "com4"};

	for (u32 i = 0; i < ARRAY_SIZE(ports); i++) {
		if (ports[i] == port)
			return names[i];
	}
	return "com";
}

int uart_init(u16 port, u32 speed)
{
	u32 divisor = speed != 0 ? (UART_CLOCK + speed / 2) / speed : 1;

	divisor = (u32)min_u64(max_u64(divisor, 1), UINT16_MAX);
	uart.port = port;
	if (!uart_present())
		return -TERN_ENODEV;
	reg_write(UART_IER, 0);
	reg_write(UART_LCR, LCR_DLAB);
	reg_write(UART_DLL, divisor & 0xff);
	reg_write(UART_DLM, divisor >> 8);
	reg_write(UART_LCR, LCR_8N1);
	reg_write(UART_FCR, FCR_ENABLE | FCR_CLEAR_RX | FCR_CLEAR_TX | FCR_TRIGGER_8);
	reg_write(UART_MCR, MCR_DTR | MCR_RTS);
	/* 8250 and 16450 have no FIFO, the first 16550 a broken one (IIR reads 10 in bits 7:6). */
	uart.fifo = (reg_read(UART_IIR) & IIR_FIFO_MASK) == IIR_FIFO_ON ? UART_FIFO_BYTES : 1;
	if (uart.fifo == 1)
		reg_write(UART_FCR, 0);
	uart.room = 0;
	uart.stuck = false;
	uart_console.name = port_name(port);
	return console_register(&uart_console);
}

void uart_irq_on(void)
{
	/* OUT2 gates the interrupt line on a PC. */
	reg_write(UART_MCR, MCR_DTR | MCR_RTS | MCR_OUT2);
	reg_write(UART_IER, IER_RX | IER_LINE_STATUS);
	/* What arrived before raises no edge any more. */
	rx_drain();
}

void uart_interrupt(UNUSED void *arg)
{
	rx_drain();
}

u64 uart_lost(void)
{
	return __atomic_load_n(&uart.rx_lost, __ATOMIC_RELAXED);
}

u64 uart_tx_lost(void)
{
	return __atomic_load_n(&uart.tx_lost, __ATOMIC_RELAXED);
}
