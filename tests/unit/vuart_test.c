/* SPDX-License-Identifier: MIT */
/* links: hv/dev/bus.c hv/dev/vuart.c hv/lock.c tests/fake/fake_frames.c tests/fake/fake_host.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <tern/err.h>
#include <tern/vm.h>
#include <tests/fake/fake_frames.h>
#include <tests/fake/fake_host.h>

static struct vm vm;
static struct device *uart;
static bool line;
static u32 edges;

void platform_irq(struct vm *to, u32 n, bool asserted)
{
	assert_ptr_equal(to, &vm);
	assert_int_equal(n, IRQ_UART);
	assert_true(lock_held(&vm.bus.lock));
	assert_int_not_equal(asserted, line);
	edges += asserted;
	line = asserted;
}

static u8 in(u32 reg)
{
	bool hit;

	return (u8)bus_read(&vm.bus, DEV_PORT, VUART_BASE + reg, 1, &hit);
}

static void out(u32 reg, u8 value)
{
	bool hit;

	bus_write(&vm.bus, DEV_PORT, VUART_BASE + reg, 1, value, &hit);
}

static void print(const char *text)
{
	for (; *text != '\0'; text++)
		out(0, (u8)*text);
}

static int setup(void **state)
{
	(void)state;
	fake_reset();
	fake_frames_reset(64);
	memset(&vm, 0, sizeof(vm));
	strcpy(vm.name, "web");
	line = false;
	edges = 0;
	bus_init(&vm.bus);
	assert_int_equal(vuart_create(&vm, &vm.bus, &uart), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	bus_destroy(&vm.bus);
	assert_int_equal(fake_frames_used(), 0);
	return 0;
}

static void test_registers(void **state)
{
	(void)state;
	assert_int_equal(in(5), 0x60);
	assert_int_equal(in(2), 0x01);
	out(2, 0x07);
	assert_int_equal(in(2), 0xc1);
	out(1, 0xff);
	assert_int_equal(in(1), 0x0f);
	out(7, 0xa5);
	assert_int_equal(in(7), 0xa5);
	out(3, 0x83);
	out(0, 0x01);
	out(1, 0x00);
	assert_int_equal(in(0), 0x01);
	assert_int_equal(in(1), 0x00);
	out(3, 0x03);
	assert_int_equal(in(3), 0x03);
	assert_int_equal(in(1), 0x0f);
	assert_int_equal(in(6), 0xb0);
	/* Loop-back, as drivers test for a 16550. */
	out(4, 0x1a);
	assert_int_equal(in(6), 0x90);
	out(0, 'x');
	assert_int_equal(in(5), 0x61);
	assert_int_equal(in(0), 'x');
	assert_int_equal(in(5), 0x60);
	assert_string_equal(fake_log(), "");
}

static void test_lines(void **state)
{
	char ring[64];
	u64 at = 0;

	(void)state;
	print("hello\r\nwor");
	assert_string_equal(fake_log(), "[vm web] hello\n");
	print("ld\n\n");
	assert_string_equal(fake_log(), "[vm web] hello\n[vm web] world\n[vm web] \n");
	assert_int_equal(vuart_read(uart, &at, ring, sizeof(ring)), 14);
	assert_memory_equal(ring, "hello\r\nworld\n\n", 14);
	assert_int_equal(at, 14);
	assert_int_equal(vuart_read(uart, &at, ring, sizeof(ring)), 0);
	vuart_output(uart, "no end", 6);
	bus_reset(&vm.bus);
	assert_non_null(strstr(fake_log(), "[vm web] no end\n"));
}

static void test_long_and_many(void **state)
{
	static char ring[VUART_RING + 1];
	u64 at = 100;

	(void)state;
	for (u32 i = 0; i < 100000; i++)
		out(0, (u8)('a' + i % 26));
	assert_int_equal(vuart_written(uart), 100000);
	assert_int_equal(vuart_read(uart, &at, ring, sizeof(ring)), VUART_RING);
	assert_int_equal(at, 100000);
	assert_int_equal(ring[0], 'a' + (100000 - VUART_RING) % 26);
	assert_int_equal(ring[VUART_RING - 1], 'a' + 99999 % 26);
	at = 99990;
	assert_int_equal(vuart_read(uart, &at, ring, 2), 2);
	assert_int_equal(at, 99992);
	assert_int_equal(ring[1], 'a' + 99991 % 26);
}

/* Lines that do not go to the log are in the ring all the same. */
static void test_no_log(void **state)
{
	(void)state;
	print("one\nhal");
	vuart_watch(uart, true);
	print("f\ntwo\nth");
	vuart_watch(uart, false);
	print("ree\n");
	assert_string_equal(fake_log(), "[vm web] one\n[vm web] three\n");
	vm.log_off = true;
	print("four\n");
	assert_string_equal(fake_log(), "[vm web] one\n[vm web] three\n");
	assert_int_equal(vuart_written(uart), 24);
}

/* A guest that floods its port: the log gets a bounded number of lines, and is told how many not. */
static void test_flood(void **state)
{
	u32 lines = 0;

	(void)state;
	fake_tsc_step = 0;
	for (u32 i = 0; i < 2000; i++)
		print("x\n");
	for (const char *p = fake_log(); (p = strstr(p, "[vm web] x\n")) != NULL; p++)
		lines++;
	assert_int_equal(lines, 512);
	fake_tsc += fake_tsc_hz;
	print("y\n");
	assert_non_null(strstr(fake_log(), "1488 lines came too fast"));
	assert_non_null(strstr(fake_log(), "[vm web] y\n"));
	fake_tsc_step = 100;
}

static void test_input(void **state)
{
	char text[300];

	(void)state;
	assert_int_equal(in(0), 0);
	assert_int_equal(vuart_input(uart, "ab", 2), 2);
	assert_int_equal(in(5), 0x61);
	assert_int_equal(in(0), 'a');
	assert_int_equal(in(0), 'b');
	assert_int_equal(in(5), 0x60);
	memset(text, 'z', sizeof(text));
	assert_int_equal(vuart_input(uart, text, sizeof(text)), 256);
	out(2, 0x03);
	assert_int_equal(in(5), 0x60);
}

static void test_receive_interrupt(void **state)
{
	(void)state;
	out(1, 0x01);
	vuart_input(uart, "a", 1);
	assert_false(line); /* OUT2 is the gate */
	assert_int_equal(in(2), 0x04);
	out(4, 0x08);
	assert_true(line);
	out(4, 0x18);
	assert_false(line);
	out(4, 0x08);
	assert_int_equal(in(0), 'a');
	assert_false(line);
	assert_int_equal(in(2), 0x01);
	/* FIFO: the trigger level, and the time-out for what is below it. */
	out(2, 0x81);
	vuart_input(uart, "1234567", 7);
	assert_true(line);
	assert_int_equal(in(2), 0xcc);
	vuart_input(uart, "8", 1);
	assert_int_equal(in(2), 0xc4);
	in(0);
	assert_int_equal(in(2), 0xcc);
	edges = 0;
	for (u32 i = 0; i < 7; i++) {
		assert_true(line);
		in(0);
	}
	assert_false(line);
	vuart_input(uart, "x", 1);
	assert_int_equal(edges, 1);
	/* Off and on empty the FIFO; without the first bit the others do nothing. */
	out(2, 0x00);
	assert_false(line);
	vuart_input(uart, "y", 1);
	out(2, 0xc2);
	assert_int_equal(in(2), 0x04);
	assert_int_equal(in(0), 'y');
	vuart_input(uart, "z", 1);
	bus_reset(&vm.bus);
	assert_false(line);
}

static void test_transmit_interrupt(void **state)
{
	(void)state;
	out(4, 0x08);
	print("polled");
	assert_int_equal(edges, 0);
	/* Enabled: the transmitter is empty, IIR says so once. */
	out(1, 0x02);
	assert_true(line);
	assert_int_equal(in(2), 0x02);
	assert_false(line);
	assert_int_equal(in(2), 0x01);
	out(1, 0x02);
	assert_false(line);
	/* A handler that writes a FIFO full gets one interrupt for it. */
	print("0123456789abcdef");
	assert_int_equal(edges, 2);
	assert_true(line);
	/* Linux asks whether it is told again after off and on. */
	assert_int_equal(in(2), 0x02);
	out(1, 0x00);
	out(1, 0x02);
	assert_int_equal(in(2), 0x02);
	/* What is received goes first, and leaves it pending. */
	out(1, 0x03);
	print("x");
	vuart_input(uart, "i", 1);
	assert_int_equal(in(2), 0x04);
	assert_int_equal(in(0), 'i');
	assert_true(line);
	assert_int_equal(in(2), 0x02);
	assert_false(line);
}

static void test_status_interrupts(void **state)
{
	char text[256];

	(void)state;
	/* An overrun in loop-back, seen when it ends. */
	memset(text, 'z', sizeof(text));
	out(4, 0x18);
	vuart_input(uart, text, sizeof(text));
	out(0, 'x');
	out(1, 0x0f);
	assert_int_equal(in(2), 0x06);
	out(4, 0x08);
	assert_true(line);
	assert_int_equal(in(5), 0x63);
	assert_int_equal(in(5), 0x61);
	assert_int_equal(in(2), 0x04);
	out(2, 0x03);
	out(2, 0x01);
	in(2);
	assert_false(line);
	/* The modem's lines, inside loop-back. */
	assert_int_equal(in(6), 0xb0);
	out(4, 0x14);
	assert_int_equal(in(6), 0x40);
	out(4, 0x1b);
	assert_int_equal(in(2), 0xc0);
	assert_int_equal(in(6), 0xbf);
	assert_int_equal(in(6), 0xb0);
	assert_int_equal(in(2), 0xc1);
	out(4, 0x1f); /* RI rises: nothing */
	assert_int_equal(in(6), 0xf0);
	out(4, 0x1e);
	out(4, 0x08);
	assert_true(line);
	assert_int_equal(in(6), 0xb2);
	assert_false(line);
}

static void test_no_memory(void **state)
{
	struct device *d;

	(void)state;
	for (u32 n = 0; n < 2; n++) {
		fake_frames_left = n;
		assert_int_equal(vuart_create(&vm, &vm.bus, &d), -TERN_ENOMEM);
	}
	fake_frames_left = 2;
	assert_int_equal(vuart_create(&vm, &vm.bus, &d), -TERN_EEXIST);
	fake_frames_left = UINT32_MAX;
	assert_int_equal(fake_frames_used(), 1 + VUART_RING / PAGE_SIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_registers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lines, setup, teardown),
		cmocka_unit_test_setup_teardown(test_long_and_many, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_log, setup, teardown),
		cmocka_unit_test_setup_teardown(test_flood, setup, teardown),
		cmocka_unit_test_setup_teardown(test_input, setup, teardown),
		cmocka_unit_test_setup_teardown(test_receive_interrupt, setup, teardown),
		cmocka_unit_test_setup_teardown(test_transmit_interrupt, setup, teardown),
		cmocka_unit_test_setup_teardown(test_status_interrupts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_memory, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
