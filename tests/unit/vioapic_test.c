/* SPDX-License-Identifier: MIT */
/* links: hv/dev/vioapic.c hv/dev/platform.c hv/dev/bus.c hv/lock.c tests/fake/fake_frames.c tests/fake/fake_host.c */
/* The I/O APIC and the wiring of the lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <tern/err.h>
#include <tern/vlapic.h>
#include <tern/vm.h>
#include <tests/fake/fake_frames.h>
#include <tests/fake/fake_host.h>

static struct vm vm;
static struct apic_message last;
static u32 sent, pic_lines;

void vlapic_send(struct vm *to, const struct apic_message *m)
{
	assert_ptr_equal(to, &vm);
	last = *m;
	sent++;
}

/* As the 8259 pair gets them: a bit a line. */
void vpic_line(struct device *pic, u32 line, bool asserted)
{
	(void)pic;
	assert_true(line < 16);
	pic_lines = asserted ? pic_lines | 1u << line : pic_lines & ~(1u << line);
}

static u32 get(u32 reg)
{
	bus_write(&vm.bus, DEV_MEM, IOAPIC_BASE, 4, reg, NULL);
	return (u32)bus_read(&vm.bus, DEV_MEM, IOAPIC_BASE + 0x10, 4, NULL);
}

static void set(u32 reg, u32 value)
{
	bus_write(&vm.bus, DEV_MEM, IOAPIC_BASE, 1, reg, NULL);
	bus_write(&vm.bus, DEV_MEM, IOAPIC_BASE + 0x10, 4, value, NULL);
}

static void line(u32 pin, bool high)
{
	vioapic_line(vm.platform.ioapic, pin, high);
}

/* How many messages came since the last call. */
static u32 news(void)
{
	u32 n = sent;

	sent = 0;
	return n;
}

static int setup(void **state)
{
	(void)state;
	fake_reset();
	fake_frames_reset(4);
	memset(&vm, 0, sizeof(vm));
	sent = pic_lines = 0;
	bus_init(&vm.bus);
	assert_int_equal(vioapic_create(&vm, &vm.bus), 0);
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
	assert_int_equal(get(0), 0);
	assert_int_equal(get(1), 0x170020);
	set(0, 0xffffffff);
	assert_int_equal(get(0), 0x0f000000);
	assert_int_equal(get(2), 0x0f000000);
	set(1, 0);
	assert_int_equal(get(1), 0x170020);
	assert_int_equal(get(0x10), 0x10000);
	assert_int_equal(get(0x3e), 0x10000);
	set(0x3e, 0xffffffff);
	set(0x3f, 0xffffffff);
	assert_int_equal(get(0x3e), 0x1afff);
	assert_int_equal(get(0x3f), 0xff000000);
	/* No such register: 0, and nothing happens. */
	set(0x40, 0xffffffff);
	set(0xff, 0xffffffff);
	set(0x0f, 0xffffffff);
	assert_int_equal(get(0x40), 0);
	assert_int_equal(get(0x0f), 0);
	assert_int_equal(bus_read(&vm.bus, DEV_MEM, IOAPIC_BASE + 0x20, 4, NULL), 0);
	/* The window takes no less than 32 bits. */
	get(0x10);
	bus_write(&vm.bus, DEV_MEM, IOAPIC_BASE + 0x10, 2, 0x30, NULL);
	assert_int_equal(get(0x10), 0x10000);
	assert_int_equal(bus_read(&vm.bus, DEV_MEM, IOAPIC_BASE, 1, NULL), 0x10);
	bus_reset(&vm.bus);
	assert_int_equal(get(0x3e), 0x10000);
	assert_int_equal(get(0x3f), 0);
	assert_int_equal(news(), 0);
}

static void test_edge(void **state)
{
	(void)state;
	line(4, true); /* masked: lost */
	set(0x19, 0x03000000);
	set(0x18, 0x0834);
	assert_int_equal(news(), 0);
	line(4, true);
	assert_int_equal(news(), 0);
	line(4, false);
	line(4, true);
	assert_int_equal(news(), 1);
	assert_int_equal(last.dest, 3);
	assert_int_equal(last.vector, 0x34);
	assert_true(last.logical && last.assert && !last.level && !last.x2apic);
	assert_int_equal(last.delivery, APIC_FIXED);
	assert_int_equal(get(0x18), 0x834);
	vioapic_eoi(vm.platform.ioapic, 0x34);
	assert_int_equal(news(), 0);
}

static void test_level(void **state)
{
	(void)state;
	line(16, true);
	set(0x31, 0xff000000);
	set(0x30, 0xa941); /* lowest priority, level, active low */
	assert_int_equal(news(), 1);
	assert_true(last.level);
	assert_int_equal(last.dest, 0xff);
	assert_int_equal(last.delivery, APIC_LOWEST);
	assert_int_equal(get(0x30), 0xe941);
	line(16, false);
	line(16, true);
	set(0x30, 0xa941); /* remote IRR is not the guest's to change */
	assert_int_equal(news(), 0);
	vioapic_eoi(vm.platform.ioapic, 0x40);
	assert_int_equal(news(), 0);
	vioapic_eoi(vm.platform.ioapic, 0x41); /* still asserted */
	assert_int_equal(news(), 1);
	line(16, false);
	bus_write(&vm.bus, DEV_MEM, IOAPIC_BASE + 0x40, 4, 0x41, NULL);
	assert_int_equal(news(), 0);
	assert_int_equal(get(0x30), 0xa941);
	/* Masked at the EOI: it waits for the mask to go. */
	line(16, true);
	set(0x30, 0x1a941);
	vioapic_eoi(vm.platform.ioapic, 0x41);
	assert_int_equal(news(), 1);
	set(0x30, 0xa941);
	assert_int_equal(news(), 1);
	/* To edge and back: remote IRR is gone. */
	set(0x30, 0x12941);
	assert_int_equal(get(0x30), 0x12941);
	set(0x30, 0xa941);
	assert_int_equal(news(), 1);
}

/* What no local APIC acknowledges with an EOI is sent once a rise, level or not. */
static void test_modes(void **state)
{
	static const struct {
		u32 mode, expect;
	} rows[] = {{0, 1}, {1, 1}, {2, 1}, {3, 0}, {4, 1}, {5, 1}, {6, 0}, {7, 1}};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
		bool eoi = rows[i].mode < 2;

		set(0x22, 0x8020 | rows[i].mode << 8);
		line(9, true);
		line(9, true);
		assert_int_equal(news(), rows[i].expect);
		assert_int_equal(get(0x22) & 0x4000, eoi ? 0x4000 : 0);
		line(9, false);
		vioapic_eoi(vm.platform.ioapic, 0x20);
		assert_int_equal(news(), 0);
	}
	/* A vector that nobody accepts does not jam the pin. */
	set(0x22, 0x800f);
	line(9, true);
	assert_int_equal(news(), 0);
	set(0x22, 0x8010);
	assert_int_equal(news(), 1);
}

static void test_wiring(void **state)
{
	struct device pic;

	(void)state;
	vm.platform.pic = &pic;
	set(0x10 + 2 * 2, 0x52);
	set(0x10 + 2 * 4, 0x54);
	set(0x10 + 2 * 20, 0x64);
	platform_irq(&vm, IRQ_PIT, true);
	assert_int_equal(last.vector, 0x52);
	platform_irq(&vm, IRQ_UART, true);
	assert_int_equal(last.vector, 0x54);
	platform_irq(&vm, 20, true);
	assert_int_equal(last.vector, 0x64);
	assert_int_equal(news(), 3);
	assert_int_equal(pic_lines, 0x11);
	platform_irq(&vm, IRQ_PIT, false);
	assert_int_equal(pic_lines, 0x10);
	FAKE_EXPECT_PANIC(platform_irq(&vm, IRQ_LINES, true));
	FAKE_EXPECT_PANIC(platform_irq(&vm, 2, true));
	/* A bare guest has neither. */
	vm.platform.pic = vm.platform.ioapic = NULL;
	platform_irq(&vm, IRQ_UART, false);
	assert_int_equal(pic_lines, 0x10);
}

static void test_no_room(void **state)
{
	(void)state;
	fake_frames_left = 0;
	assert_int_equal(vioapic_create(&vm, &vm.bus), -TERN_ENOMEM);
	fake_frames_left = 1;
	assert_int_equal(vioapic_create(&vm, &vm.bus), -TERN_EEXIST);
	assert_int_equal(fake_frames_used(), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_registers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_edge, setup, teardown),
		cmocka_unit_test_setup_teardown(test_level, setup, teardown),
		cmocka_unit_test_setup_teardown(test_modes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_wiring, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_room, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
