/* SPDX-License-Identifier: MIT */
/* links: hv/dev/bus.c hv/lock.c tests/fake/fake_host.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <tern/dev.h>
#include <tern/err.h>
#include <tests/fake/fake_host.h>

struct probe {
	struct device dev;
	u64 offset, value;
	u32 width, reads, writes, resets, destroys;
};

static struct dev_bus bus;
static bool hit;

static u64 probe_read(struct device *d, u64 offset, u32 width)
{
	struct probe *p = container_of(d, struct probe, dev);

	assert_true(lock_held(&bus.lock));
	p->offset = offset;
	p->width = width;
	p->reads++;
	return 0x1122334455667788ull + offset;
}

static void probe_write(struct device *d, u64 offset, u32 width, u64 value)
{
	struct probe *p = container_of(d, struct probe, dev);

	p->offset = offset;
	p->width = width;
	p->value = value;
	p->writes++;
}

static void probe_reset(struct device *d)
{
	container_of(d, struct probe, dev)->resets++;
}

static void probe_destroy(struct device *d)
{
	container_of(d, struct probe, dev)->destroys++;
}

static const struct dev_ops wide = {"wide",        8,    probe_read, probe_write, probe_reset,
				    probe_destroy, NULL, NULL};
static const struct dev_ops bytes = {"bytes",       1,    probe_read, probe_write, probe_reset,
				     probe_destroy, NULL, NULL};
static struct probe a, b;

static int setup(void **state)
{
	(void)state;
	fake_reset();
	bus_init(&bus);
	a = (struct probe){.dev.ops = &wide};
	b = (struct probe){.dev.ops = &bytes};
	return 0;
}

static void test_add(void **state)
{
	(void)state;
	assert_int_equal(bus_add(&bus, DEV_PORT, 0x3f8, 8, &b.dev), 0);
	assert_int_equal(bus_add(&bus, DEV_PORT, 0x3ff, 1, &a.dev), -TERN_EEXIST);
	assert_int_equal(bus_add(&bus, DEV_PORT, 0x3f0, 9, &a.dev), -TERN_EEXIST);
	assert_int_equal(bus_add(&bus, DEV_PORT, 0x300, 0x200, &a.dev), -TERN_EEXIST);
	assert_int_equal(bus_add(&bus, DEV_PORT, 0x3f0, 8, &a.dev), 0);
	assert_int_equal(bus_add(&bus, DEV_PORT, 0x400, 1, &a.dev), 0);
	assert_int_equal(bus_add(&bus, DEV_MEM, 0x3f8, 8, &a.dev), 0);
	assert_int_equal(bus_add(&bus, DEV_PORT, 1, 0, &a.dev), -TERN_EINVAL);
	assert_int_equal(bus_add(&bus, DEV_PORT, 0xffff, 2, &a.dev), -TERN_EINVAL);
	assert_int_equal(bus_add(&bus, DEV_PORT, 0xffff, 1, &a.dev), 0);
	assert_int_equal(bus_add(&bus, DEV_MEM, UINT64_MAX, 2, &a.dev), -TERN_EINVAL);
	for (u32 i = bus.count; i < DEV_RANGES_MAX; i++)
		assert_int_equal(bus_add(&bus, DEV_MEM, GiB(4) - i * 16, 16, &a.dev), 0);
	assert_int_equal(bus_add(&bus, DEV_MEM, GiB(8), 16, &a.dev), -TERN_ENOSPC);
	for (u32 i = 1; i < bus.count; i++)
		assert_true(bus.ranges[i - 1].space < bus.ranges[i].space ||
			    bus.ranges[i - 1].base < bus.ranges[i].base);
	bus_reset(&bus);
	assert_int_equal(a.resets, 1);
	bus_destroy(&bus);
	assert_int_equal(a.destroys, 1);
	assert_int_equal(b.destroys, 1);
}

static void test_nobody(void **state)
{
	(void)state;
	for (u32 width = 1; width <= 8; width *= 2) {
		assert_int_equal(bus_read(&bus, DEV_MEM, 0x1000, width, &hit),
				 width == 8 ? UINT64_MAX : (1ull << (8 * width)) - 1);
		assert_false(hit);
		bus_write(&bus, DEV_MEM, UINT64_MAX, width, 5, &hit);
		assert_false(hit);
	}
}

static void test_access(void **state)
{
	(void)state;
	assert_int_equal(bus_add(&bus, DEV_MEM, 0x1000, 16, &a.dev), 0);
	assert_int_equal(bus_read(&bus, DEV_MEM, 0x1004, 2, &hit), 0x778c);
	assert_true(hit);
	assert_int_equal(a.width, 2);
	assert_int_equal(bus_read(&bus, DEV_MEM, 0x1008, 8, &hit), 0x1122334455667790ull);
	bus_write(&bus, DEV_MEM, 0x1000, 4, 0xaabbccddeeff0011ull, &hit);
	assert_int_equal(a.value, 0xeeff0011);
	/* Over the end of the range: bytes, and all ones where nobody is. */
	assert_int_equal(bus_read(&bus, DEV_MEM, 0x100e, 4, &hit), 0xffff9796);
	assert_true(hit);
	assert_int_equal(a.width, 1);
	assert_int_equal(bus_read(&bus, DEV_MEM, 0xfff, 2, &hit), 0x88ff);
}

/* An access that begins before the range: the device sees only widths that CPUs have. */
static void test_begins_before(void **state)
{
	(void)state;
	assert_int_equal(bus_add(&bus, DEV_MEM, 0x1000, 16, &a.dev), 0);
	bus_write(&bus, DEV_MEM, 0xffe, 8, 0x8877665544332211ull, &hit);
	assert_true(hit);
	assert_int_equal(a.writes, 3);
	assert_int_equal(a.width, 4);
	assert_int_equal(a.offset, 2);
	assert_int_equal(a.value, 0x88776655);
	bus_read(&bus, DEV_MEM, 0xfff, 4, &hit);
	assert_int_equal(a.reads, 2);
	assert_int_equal(a.width, 2);
}

static void test_narrow_device(void **state)
{
	(void)state;
	assert_int_equal(bus_add(&bus, DEV_PORT, 0x3f8, 8, &b.dev), 0);
	assert_int_equal(bus_read(&bus, DEV_PORT, 0x3f8, 4, &hit), 0x8b8a8988);
	assert_int_equal(b.reads, 4);
	bus_write(&bus, DEV_PORT, 0x3fa, 2, 0x1234, &hit);
	assert_int_equal(b.writes, 2);
	assert_int_equal(b.offset, 3);
	assert_int_equal(b.value, 0x12);
	/* The port space wraps. */
	assert_int_equal(bus_add(&bus, DEV_PORT, 0, 1, &b.dev), 0);
	assert_int_equal(bus_read(&bus, DEV_PORT, 0xffff, 2, &hit), 0x88ff);
	assert_true(hit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_add, setup),
		cmocka_unit_test_setup(test_nobody, setup),
		cmocka_unit_test_setup(test_access, setup),
		cmocka_unit_test_setup(test_begins_before, setup),
		cmocka_unit_test_setup(test_narrow_device, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
