/* SPDX-License-Identifier: MIT */
/*
 * The devices that QEMU's pc-testdev gives to test payloads for x86: ports that echo, a port that flushes nothing,
 * ports that drive interrupt lines, and device memory that keeps what is written.
 */
#include <tern/dev.h>

#include "parts.h"

#include <tern/err.h>
#include <tern/frames.h>
#include <tern/lib.h>
#include <tern/vm.h>

#define ECHO_BASE   0xe0u
#define ECHO_LEN    4u
#define FLUSH_BASE  0xe4u
#define FLUSH_LEN   4u
#define LINES_BASE  0x2000u
#define MEM_BASE    0xff000000ull
#define MEM_LEN     0x10000ull
#define MEM_ORDER   4u
#define LINE_NOBODY 2u /* the second 8259 is there */

_Static_assert(MEM_LEN == PAGE_SIZE << MEM_ORDER, "a block of frames");

/* As parts have them. */
enum { ECHO, FLUSH, LINES, MEM, PARTS };

struct testdev {
	struct device dev[PARTS]; /* first: a device is cast to its struct */
	u8 echo[ECHO_LEN];
	u32 lines; /* those that are asserted by it */
	u8 *mem;   /* (c) MEM_LEN bytes */
};
_Static_assert(sizeof(struct testdev) <= PAGE_SIZE, "one page");

static const struct part parts[PARTS];

static struct testdev *testdev_of(struct device *d)
{
	return container_of(d - parts_index(d, parts), struct testdev, dev[0]);
}

static u64 bytes_read(const u8 *from, u32 width)
{
	u64 value = 0;

	memcpy(&value, from, width);
	return value;
}

static u64 echo_read(struct device *d, u64 offset, u32 width)
{
	return bytes_read(&testdev_of(d)->echo[offset], width);
}

static void echo_write(struct device *d, u64 offset, u32 width, u64 value)
{
	memcpy(&testdev_of(d)->echo[offset], &value, width);
}

static u64 nothing_read(UNUSED struct device *d, UNUSED u64 offset, UNUSED u32 width)
{
	return 0;
}

/* What the CPUs remember of guest memory is always right. */
static void flush_write(UNUSED struct device *d, UNUSED u64 offset, UNUSED u32 width,
			UNUSED u64 value)
{
}

static void set_line(struct testdev *t, u32 line, bool asserted)
{
	u32 bit = 1u << line;

	t->lines = asserted ? t->lines | bit : t->lines & ~bit;
	platform_irq(t->dev[0].vm, line, asserted);
}

static void lines_write(struct device *d, u64 offset, UNUSED u32 width, u64 value)
{
	if (offset != LINE_NOBODY)
		set_line(testdev_of(d), (u32)offset, value != 0);
}

static u64 mem_read(struct device *d, u64 offset, u32 width)
{
	return bytes_read(testdev_of(d)->mem + offset, width);
}

static void mem_write(struct device *d, u64 offset, u32 width, u64 value)
{
	memcpy(testdev_of(d)->mem + offset, &value, width);
}

static void testdev_reset(struct device *d)
{
	struct testdev *t = testdev_of(d);

	memset(t->echo, 0, sizeof(t->echo));
	memset(t->mem, 0, MEM_LEN);
	for (u32 line = 0; line < IRQ_LINES; line++) {
		if ((t->lines & 1u << line) != 0)
			set_line(t, line, false);
	}
}

static void testdev_destroy(struct device *d)
{
	frame_put(virt_to_phys(testdev_of(d)->mem));
	frames_free_page(testdev_of(d));
}

static const struct part parts[PARTS] = {
	[ECHO] = {.ops = {.name = "test ports",
			  .width_max = 4,
			  .read = echo_read,
			  .write = echo_write,
			  .reset = testdev_reset,
			  .destroy = testdev_destroy},
		  .space = DEV_PORT,
		  .base = ECHO_BASE,
		  .len = ECHO_LEN},
	[FLUSH] = {.ops = {.name = "test flush",
			   .width_max = 4,
			   .read = nothing_read,
			   .write = flush_write,
			   .reset = parts_nothing,
			   .destroy = parts_nothing},
		   .space = DEV_PORT,
		   .base = FLUSH_BASE,
		   .len = FLUSH_LEN},
	[LINES] = {.ops = {.name = "test lines",
			   .width_max = 1,
			   .read = nothing_read,
			   .write = lines_write,
			   .reset = parts_nothing,
			   .destroy = parts_nothing},
		   .space = DEV_PORT,
		   .base = LINES_BASE,
		   .len = IRQ_LINES},
	[MEM] = {.ops = {.name = "test memory",
			 .width_max = 8,
			 .read = mem_read,
			 .write = mem_write,
			 .reset = parts_nothing,
			 .destroy = parts_nothing},
		 .space = DEV_MEM,
		 .base = MEM_BASE,
		 .len = MEM_LEN},
};

int testdev_create(struct vm *vm, struct dev_bus *bus)
{
	struct testdev *t = frames_alloc_page();
	hpa_t mem;
	int rc;

	if (t == NULL)
		return -TERN_ENOMEM;
	rc = frames_alloc(MEM_ORDER, FRAME_ZERO, FRAME_NODE_ANY, &mem);
	if (rc != 0) {
		frames_free_page(t);
		return rc;
	}
	t->mem = phys_to_virt(mem);
	return parts_add(vm, bus, t->dev, parts, PARTS);
}
