/* SPDX-License-Identifier: MIT */
/* links: hv/dev/vpic.c hv/dev/parts.c hv/dev/bus.c hv/lock.c tests/fake/fake_frames.c tests/fake/fake_host.c */
/* The 8259A pair: priorities, EOI in all its kinds, modes, and what odd programming gives. */
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
static struct vcpu vcpu;
static u32 kicks;

void vcpu_kick(struct vcpu *vc)
{
	assert_ptr_equal(vc, &vcpu);
	kicks++;
}

static u8 in(u32 port)
{
	return (u8)bus_read(&vm.bus, DEV_PORT, port, 1, NULL);
}

static void out(u32 port, u8 value)
{
	bus_write(&vm.bus, DEV_PORT, port, 1, value, NULL);
}

static void line(u32 n, bool high)
{
	vpic_line(vm.platform.pic, n, high);
}

static void pulse(u32 n)
{
	line(n, false);
	line(n, true);
}

static bool asks(void)
{
	return vpic_asks(vm.platform.pic);
}

static u8 ack(void)
{
	return vpic_ack(vm.platform.pic);
}

/* As a PC's firmware and Linux do it; icw4 as given. */
static void init(u8 icw4)
{
	out(0x20, 0x11);
	out(0x21, 0x30);
	out(0x21, 0x04);
	out(0x21, icw4);
	out(0xa0, 0x11);
	out(0xa1, 0x38);
	out(0xa1, 0x02);
	out(0xa1, icw4 & 0x03);
}

static int setup(void **state)
{
	(void)state;
	fake_reset();
	fake_frames_reset(8);
	memset(&vm, 0, sizeof(vm));
	vm.vcpus[0] = &vcpu;
	kicks = 0;
	bus_init(&vm.bus);
	assert_int_equal(vpic_create(&vm, &vm.bus), 0);
	init(0x01);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	bus_destroy(&vm.bus);
	assert_int_equal(fake_frames_used(), 0);
	return 0;
}

static void test_priority(void **state)
{
	(void)state;
	assert_false(asks());
	pulse(4);
	assert_true(asks());
	assert_int_equal(kicks, 1);
	assert_int_equal(in(0x20), 0x10);
	assert_int_equal(ack(), 0x34);
	assert_false(asks());
	out(0x20, 0x0b);
	assert_int_equal(in(0x20), 0x10);
	pulse(5); /* lower: waits for the EOI */
	assert_false(asks());
	pulse(3); /* higher: nests */
	assert_int_equal(kicks, 2);
	assert_int_equal(ack(), 0x33);
	assert_int_equal(in(0x20), 0x18);
	out(0x20, 0x20);
	assert_int_equal(in(0x20), 0x10);
	assert_false(asks());
	out(0x20, 0x64);
	assert_int_equal(in(0x20), 0);
	assert_int_equal(ack(), 0x35);
	out(0x20, 0x20);
	/* The lines are still high: no edge, no interrupt. */
	assert_false(asks());
	out(0x21, 0xff);
	assert_int_equal(in(0x21), 0xff);
	pulse(1);
	assert_false(asks());
	out(0x21, 0xfd);
	assert_true(asks());
}

static void test_slave(void **state)
{
	(void)state;
	pulse(8);
	pulse(15);
	assert_int_equal(ack(), 0x38);
	out(0x20, 0x0b);
	out(0xa0, 0x0b);
	assert_int_equal(in(0x20), 0x04);
	assert_int_equal(in(0xa0), 0x01);
	assert_false(asks());
	out(0xa0, 0x20);
	assert_false(asks());
	out(0x20, 0x20);
	assert_int_equal(ack(), 0x3f);
	/* Higher than 15, but the first chip's input 2 is in service, unless it is fully nested. */
	pulse(9);
	assert_false(asks());
	out(0xa0, 0x20);
	out(0x20, 0x20);
	assert_int_equal(ack(), 0x39);
	out(0xa0, 0x20);
	out(0x20, 0x20);
	init(0x11);
	pulse(15);
	assert_int_equal(ack(), 0x3f);
	pulse(9);
	assert_int_equal(ack(), 0x39);
}

static void test_level(void **state)
{
	(void)state;
	out(0x4d0, 0xff);
	out(0x4d1, 0xff);
	assert_int_equal(in(0x4d0), 0xf8);
	assert_int_equal(in(0x4d1), 0xde);
	line(10, true);
	assert_int_equal(ack(), 0x3a);
	out(0xa0, 0x20);
	out(0x20, 0x20);
	assert_int_equal(ack(), 0x3a); /* still high */
	line(10, false);
	out(0xa0, 0x20);
	out(0x20, 0x20);
	assert_false(asks());
	/* ICW1 forgets edges, not levels. */
	line(1, true);
	line(11, true);
	init(0x01);
	assert_int_equal(ack(), 0x3b);
	out(0xa0, 0x20);
	out(0x20, 0x20);
	line(11, false);
	assert_false(asks());
}

/* What goes away before it is acknowledged: vector 7, and nothing in service. */
static void test_spurious(void **state)
{
	(void)state;
	pulse(3);
	line(3, false);
	assert_false(asks());
	assert_int_equal(ack(), 0x37);
	out(0x20, 0x0b);
	assert_int_equal(in(0x20), 0);
	pulse(12);
	line(12, false);
	assert_int_equal(ack(), 0x37);
	/* A real interrupt 7 is in service. */
	pulse(7);
	assert_int_equal(ack(), 0x37);
	assert_int_equal(in(0x20), 0x80);
}

static void test_auto_eoi(void **state)
{
	(void)state;
	init(0x03);
	pulse(3);
	pulse(4);
	assert_int_equal(ack(), 0x33);
	assert_int_equal(ack(), 0x34);
	assert_false(asks());
	/* Rotation: what was served has the lowest priority. */
	out(0x20, 0x80);
	pulse(3);
	assert_int_equal(ack(), 0x33);
	pulse(3);
	pulse(4);
	assert_int_equal(ack(), 0x34);
	assert_int_equal(ack(), 0x33);
	out(0x20, 0x00);
	pulse(9);
	pulse(8);
	assert_int_equal(ack(), 0x38);
	assert_int_equal(ack(), 0x39);
	assert_int_equal(ack(), 0x37);
}

static void test_rotate(void **state)
{
	(void)state;
	out(0x20, 0xc4); /* 4 is lowest, 5 highest */
	pulse(3);
	pulse(5);
	assert_int_equal(ack(), 0x35);
	out(0x20, 0xa0); /* rotate on EOI: 5 is lowest, 6 highest */
	pulse(6);
	pulse(5);
	assert_int_equal(ack(), 0x36);
	out(0x20, 0xe6); /* rotate on specific EOI: 7 is highest */
	pulse(7);
	assert_int_equal(ack(), 0x37);
	out(0x20, 0x40); /* nothing */
	out(0x20, 0x0b);
	assert_int_equal(in(0x20), 0x80);
	out(0x20, 0x20);
	assert_int_equal(ack(), 0x33);
	out(0x20, 0x20);
	assert_int_equal(ack(), 0x35);
	out(0x20, 0x20);
	out(0x20, 0x20); /* none in service */
	assert_false(asks());
}

static void test_special_mask(void **state)
{
	(void)state;
	pulse(2 + 1);
	assert_int_equal(ack(), 0x33);
	pulse(6);
	assert_false(asks());
	out(0x20, 0x68);
	out(0x21, 0x08);
	assert_int_equal(ack(), 0x36);
	out(0x20, 0x20); /* the masked 3 stays */
	out(0x20, 0x0b);
	assert_int_equal(in(0x20), 0x08);
	out(0x20, 0x48);
	pulse(6);
	assert_false(asks());
	out(0x20, 0x20);
	assert_int_equal(ack(), 0x36);
}

static void test_poll(void **state)
{
	(void)state;
	out(0x20, 0x0c);
	assert_int_equal(in(0x20), 0);
	pulse(5);
	pulse(14);
	out(0x20, 0x0c);
	assert_int_equal(in(0x20), 0x82);
	out(0xa0, 0x0c);
	assert_int_equal(in(0xa1), 0x86);
	out(0xa0, 0x20);
	out(0x20, 0x20);
	out(0x20, 0x0f);
	assert_int_equal(in(0x21), 0x85);
	assert_int_equal(in(0x21), 0);
	assert_false(asks());
}

static void test_odd(void **state)
{
	(void)state;
	/* Half initialised: silent. */
	pulse(4);
	out(0x20, 0x11);
	assert_false(asks());
	pulse(4);
	out(0x21, 0x50);
	out(0x21, 0x04);
	assert_false(asks());
	out(0x21, 0x01);
	assert_int_equal(ack(), 0x54);
	/* No ICW4: MCS-80, every 8 or 4 bytes. */
	out(0x20, 0x90 | 0x60);
	out(0x21, 0x12);
	out(0x21, 0x04);
	pulse(3);
	assert_int_equal(ack(), 0xc0 | 3 << 3);
	out(0x20, 0x96 | 0x60);
	out(0x21, 0x12);
	pulse(3);
	assert_int_equal(ack(), 0xe0 | 3 << 2);
	/* Alone: input 2 is an input like any other. */
	out(0x20, 0x13);
	out(0x21, 0x30);
	out(0x21, 0x01);
	pulse(9);
	assert_int_equal(ack(), 0x32);
	line(9, false);
	/* Slaves that are not there. */
	init(0x01);
	out(0x20, 0x11);
	out(0x21, 0x30);
	out(0x21, 0xff);
	out(0x21, 0x01);
	pulse(5);
	assert_int_equal(ack(), 0xff);
	init(0x01);
	out(0xa0, 0x11);
	out(0xa1, 0x38);
	out(0xa1, 0x05);
	out(0xa1, 0x01);
	pulse(9);
	assert_int_equal(ack(), 0xff);
}

static void test_reset(void **state)
{
	(void)state;
	line(3, true);
	out(0x21, 0x12);
	bus_reset(&vm.bus);
	assert_int_equal(in(0x21), 0);
	assert_false(asks());
	pulse(4);
	assert_false(asks());
	/* Linux looks whether there is a mask register before it initialises anything. */
	out(0x21, 0xfb);
	assert_int_equal(in(0x21), 0xfb);
}

static void test_no_room(void **state)
{
	(void)state;
	fake_frames_left = 0;
	assert_int_equal(vpic_create(&vm, &vm.bus), -TERN_ENOMEM);
	fake_frames_left = 1;
	assert_int_equal(vpic_create(&vm, &vm.bus), -TERN_EEXIST);
	assert_int_equal(fake_frames_used(), 1);
	/* The second of three places is taken: the bus destroys the first. */
	bus_destroy(&vm.bus);
	assert_int_equal(bus_add(&vm.bus, DEV_PORT, 0x4d1, 1, vm.platform.pic), 0);
	vm.bus.ranges[0].dev = NULL;
	fake_frames_left = 1;
	assert_int_equal(vpic_create(&vm, &vm.bus), -TERN_EEXIST);
	vm.bus.count--;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_priority, setup, teardown),
		cmocka_unit_test_setup_teardown(test_slave, setup, teardown),
		cmocka_unit_test_setup_teardown(test_level, setup, teardown),
		cmocka_unit_test_setup_teardown(test_spurious, setup, teardown),
		cmocka_unit_test_setup_teardown(test_auto_eoi, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rotate, setup, teardown),
		cmocka_unit_test_setup_teardown(test_special_mask, setup, teardown),
		cmocka_unit_test_setup_teardown(test_poll, setup, teardown),
		cmocka_unit_test_setup_teardown(test_odd, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reset, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_room, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
