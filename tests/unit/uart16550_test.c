/* SPDX-License-Identifier: MIT */
/* links: drivers/uart16550.c hv/console.c hv/log.c hv/lock.c hv/lib/str.c hv/lib/fmt.c tests/fake/fake_host.c */
#include "drivers/uart16550_regs.h"
#include "tests/fake/fake_host.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <tern/console.h>
#include <tern/drivers.h>
#include <tern/err.h>
#include <tern/io.h>

#define BASE 0x2f8

/* A UART as a driver sees it. Each look at LSR is a step of time. */
static struct {
	bool absent, no_fifo, broken_loop, stuck;
	u8 ier, lcr, mcr, scr, fcr;
	u16 divisor;
	u32 in_fifo; /* bytes waiting to be sent */
	u32 steps_a_byte, step;
	char sent[4096];
	u32 sent_len;
	u8 keys[1024];
	u32 key_count, key_at;
	u8 errors;     /* LSR bits that the next look finds, once */
	u32 overflows; /* writes that found the FIFO full: lost by real hardware */
	u32 lsr_reads;
} hw;

static u8 read_lsr(void)
{
	u8 v = hw.errors;

	hw.errors = 0;
	hw.lsr_reads++;
	if (!hw.stuck && hw.in_fifo != 0 && ++hw.step >= hw.steps_a_byte) {
		hw.step = 0;
		hw.in_fifo--;
	}
	if (hw.in_fifo == 0 && !hw.stuck)
		v |= LSR_THRE;
	if (hw.key_at < hw.key_count)
		v |= LSR_DATA;
	return v;
}

u8 io_in8(u16 port)
{
	if (hw.absent)
		return 0xff;
	switch (port - BASE) {
	case UART_RBR:
		assert_false(hw.lcr & LCR_DLAB);
		return hw.key_at < hw.key_count ? hw.keys[hw.key_at++] : 0;
	case UART_IIR:
		return hw.no_fifo ? 0x01 : (hw.fcr & FCR_ENABLE ? 0xc1 : 0x01);
	case UART_LSR:
		return read_lsr();
	case UART_MSR:
		if ((hw.mcr & MCR_LOOP) == 0 || hw.broken_loop)
			return 0xb0;
		return (u8)((hw.mcr & MCR_RTS ? MSR_CTS : 0) | (hw.mcr & MCR_DTR ? MSR_DSR : 0) |
			    (hw.mcr & MCR_OUT1 ? MSR_RI : 0) | (hw.mcr & MCR_OUT2 ? MSR_DCD : 0));
	case UART_SCR:
		return hw.scr;
	default:
		return 0;
	}
}

void io_out8(u16 port, u8 v)
{
	switch (port - BASE) {
	case UART_THR:
		if (hw.lcr & LCR_DLAB) {
			hw.divisor = (u16)((hw.divisor & 0xff00) | v);
			break;
		}
		if (hw.in_fifo >= (hw.no_fifo ? 1 : UART_FIFO_BYTES)) {
			hw.overflows++;
			break;
		}
		hw.in_fifo++;
		if (hw.sent_len < sizeof(hw.sent) - 1)
			hw.sent[hw.sent_len++] = (char)v;
		break;
	case UART_IER:
		if (hw.lcr & LCR_DLAB)
			hw.divisor = (u16)((hw.divisor & 0xff) | v << 8);
		else
			hw.ier = v;
		break;
	case UART_FCR:
		hw.fcr = v;
		break;
	case UART_LCR:
		hw.lcr = v;
		break;
	case UART_MCR:
		hw.mcr = v;
		break;
	case UART_SCR:
		hw.scr = v;
		break;
	default:
		fail_msg("write to port 0x%x", port);
	}
}

static int reset(void **state)
{
	(void)state;
	memset(&hw, 0, sizeof(hw));
	hw.steps_a_byte = 3;
	fake_tsc_step = 100;
	assert_int_equal(uart_init(BASE, 115200), 0);
	assert_int_equal(console_count(), 1); /* however often it is set up */
	while (console_read() >= 0)
		;
	hw.sent_len = 0;
	memset(hw.sent, 0, sizeof(hw.sent));
	return 0;
}

static void type(const char *s, u32 n)
{
	memcpy(hw.keys + hw.key_count, s, n);
	hw.key_count += n;
}

static void test_set_up(void **state)
{
	(void)state;
	assert_string_equal(console_get(0)->name, "com2");
	assert_true(console_get(0)->shell && console_get(0)->cr_lf);
	assert_int_equal(hw.divisor, 1);
	assert_int_equal(hw.lcr, LCR_8N1);
	assert_int_equal(hw.mcr, MCR_DTR | MCR_RTS);
	assert_int_equal(hw.ier, 0);
	assert_int_equal(uart_init(BASE, 9600), 0);
	assert_int_equal(hw.divisor, 12);
	assert_int_equal(uart_init(BASE, 1), 0);
	assert_int_equal(hw.divisor, 0xffff);
	assert_int_equal(uart_init(BASE, 0), 0);
	assert_int_equal(hw.divisor, 1);
	assert_int_equal(uart_init(BASE, 4000000), 0);
	assert_int_equal(hw.divisor, 1);
	uart_irq_on();
	assert_int_equal(hw.mcr, MCR_DTR | MCR_RTS | MCR_OUT2);
	assert_int_equal(hw.ier, IER_RX | IER_LINE_STATUS);
}

static void test_absent(void **state)
{
	(void)state;
	hw.absent = true;
	assert_int_equal(uart_init(BASE, 115200), -TERN_ENODEV);
	hw.absent = false;
	hw.broken_loop = true; /* something with a scratch register that is no UART */
	assert_int_equal(uart_init(BASE, 115200), -TERN_ENODEV);
}

static void test_writes_in_bursts(void **state)
{
	char text[1000];

	(void)state;
	memset(text, 'a', sizeof(text));
	hw.lsr_reads = 0;
	console_write(text, sizeof(text));
	assert_int_equal(hw.sent_len, sizeof(text));
	assert_int_equal(hw.overflows, 0);
	assert_int_equal(uart_tx_lost(), 0);
	/* Not one look more than sending takes: 1000 bytes of 3 steps. */
	assert_true(hw.lsr_reads <= 3 * sizeof(text) + sizeof(text) / 16 + 2);
	console_printf("x\ny");
	assert_string_equal(hw.sent + sizeof(text), "x\r\ny");
}

static void test_writes_without_fifo(void **state)
{
	(void)state;
	hw.no_fifo = true;
	assert_int_equal(uart_init(BASE, 115200), 0);
	assert_int_equal(hw.fcr, 0);
	console_printf("0123456789abcdefghij");
	assert_string_equal(hw.sent, "0123456789abcdefghij");
	assert_int_equal(hw.overflows, 0);
}

static void test_stuck_uart_does_not_hang(void **state)
{
	u64 lost = uart_tx_lost(), start = fake_tsc;
	char text[600];

	(void)state;
	memset(text, 'a', sizeof(text));
	hw.stuck = true;
	console_write(text, sizeof(text));
	assert_int_equal(uart_tx_lost() - lost, sizeof(text) - hw.sent_len);
	/* One wait of half a second for all of it. */
	assert_true(fake_tsc - start < fake_tsc_hz * 6 / 10);
	hw.stuck = false;
	for (u32 i = 0; i < 100; i++)
		console_write("b", 1); /* it drains meanwhile */
	hw.sent_len = 0;
	memset(hw.sent, 0, sizeof(hw.sent));
	lost = uart_tx_lost();
	console_write("again", 5);
	assert_string_equal(hw.sent, "again");
	assert_int_equal(uart_tx_lost(), lost);
}

static void test_reads_with_and_without_interrupt(void **state)
{
	(void)state;
	assert_int_equal(console_read(), -1);
	type("ab", 2);
	assert_int_equal(console_read(), 'a');
	assert_int_equal(console_read(), 'b');
	assert_int_equal(console_read(), -1);
	type("cd\xff", 3);
	uart_interrupt(NULL);
	assert_int_equal(hw.key_at, hw.key_count);
	assert_int_equal(console_read(), 'c');
	assert_int_equal(console_read(), 'd');
	assert_int_equal(console_read(), 0xff);
	assert_int_equal(console_read(), -1);
	assert_true(arch_irq_enabled());
}

/* Keys that arrive while a long text goes out are not lost. */
static void test_reads_while_writing(void **state)
{
	(void)state;
	console_printf("0123456789abcdef");
	type("key", 3);
	console_printf("0123456789abcdef");
	assert_int_equal(hw.key_at, hw.key_count);
	assert_int_equal(console_read(), 'k');
	assert_int_equal(console_read(), 'e');
	assert_int_equal(console_read(), 'y');
}

static void test_losses_are_counted(void **state)
{
	u64 lost = uart_lost();
	char text[300];

	(void)state;
	memset(text, 'x', sizeof(text));
	type(text, sizeof(text));
	uart_interrupt(NULL);
	assert_int_equal(uart_lost() - lost, sizeof(text) - 256);
	for (u32 i = 0; i < 256; i++)
		assert_int_equal(console_read(), 'x');
	assert_int_equal(console_read(), -1);
	lost = uart_lost();
	hw.errors = LSR_OVERRUN;
	uart_interrupt(NULL);
	assert_int_equal(uart_lost() - lost, 1);
	hw.errors = LSR_BREAK;
	type("\0", 1);
	assert_int_equal(console_read(), -1); /* a break is no key */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_set_up, reset),
		cmocka_unit_test_setup(test_absent, reset),
		cmocka_unit_test_setup(test_writes_in_bursts, reset),
		cmocka_unit_test_setup(test_writes_without_fifo, reset),
		cmocka_unit_test_setup(test_stuck_uart_does_not_hang, reset),
		cmocka_unit_test_setup(test_reads_with_and_without_interrupt, reset),
		cmocka_unit_test_setup(test_reads_while_writing, reset),
		cmocka_unit_test_setup(test_losses_are_counted, reset),
	};

	fake_reset();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
