/* SPDX-License-Identifier: MIT */
/* A VM's ports and device memory: a sorted table of ranges, looked up by bisection. */
#include <tern/dev.h>

#include <tern/err.h>
#include <tern/lib.h>

#define PORTS_END 0x10000u

void bus_init(struct dev_bus *bus)
{
	bus->lock = (struct spinlock)SPINLOCK_INIT(RANK_BUS, "device bus");
	bus->count = 0;
	memset(bus->hints, 0, sizeof(bus->hints));
}

static inline u8 *hint_of(struct dev_bus *bus, enum dev_space space, u64 addr)
{
	u32 at = space == DEV_PORT ? (u32)(addr >> 3) % (DEV_HINTS / 2)
				   : DEV_HINTS / 2 + (u32)(addr >> PAGE_SHIFT) % (DEV_HINTS / 2);

	return &bus->hints[at];
}

/* The first range of the table that ends behind addr. */
static u32 find(const struct dev_bus *bus, enum dev_space space, u64 addr)
{
	u32 low = 0, high = bus->count;

	while (low < high) {
		u32 mid = (low + high) / 2;
		const struct dev_range *r = &bus->ranges[mid];

		if (r->space < space || (r->space == space && r->base + (r->len - 1) < addr))
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

int bus_add(struct dev_bus *bus, enum dev_space space, u64 base, u64 len, struct device *dev)
{
	u64 last = base + (len - 1);
	u32 at;

	if (len == 0 || last < base || (space == DEV_PORT && last >= PORTS_END))
		return -TERN_EINVAL;
	at = find(bus, space, base);
	if (at < bus->count && bus->ranges[at].space == space && bus->ranges[at].base <= last)
		return -TERN_EEXIST;
	if (bus->count == DEV_RANGES_MAX)
		return -TERN_ENOSPC;
	memmove(&bus->ranges[at + 1], &bus->ranges[at], (bus->count - at) * sizeof(bus->ranges[0]));
	bus->ranges[at] = (struct dev_range){.space = space, .base = base, .len = len, .dev = dev};
	bus->count++;
	return 0;
}

static __attribute__((noinline)) const struct dev_range *search(struct dev_bus *bus,
								enum dev_space space, u64 addr)
{
	u32 i = find(bus, space, addr);
	const struct dev_range *r = &bus->ranges[i];

	if (i == bus->count || r->space != space || r->base > addr)
		return NULL;
	*hint_of(bus, space, addr) = (u8)i;
	return r;
}

/* The range that holds addr, or NULL. Lock held. */
static const struct dev_range *range_at(struct dev_bus *bus, enum dev_space space, u64 addr)
{
	const struct dev_range *r = &bus->ranges[*hint_of(bus, space, addr)];

	/* Unused ones are empty. */
	return r->space == space && addr - r->base < r->len ? r : search(bus, space, addr);
}

/* How many bytes at addr one call of a device may have: all that are left, when the range and the
 * device take them and a CPU has accesses of that width: it may have begun before the range. */
static u32 piece(const struct dev_range *r, u64 addr, u32 left)
{
	u32 n;

	if (r == NULL || r->len - (addr - r->base) < left)
		return 1;
	n = left <= r->dev->ops->width_max ? left : r->dev->ops->width_max;
	return (n & (n - 1)) == 0 ? n : 1;
}

/* A mask for each width. */
static const u64 ones[] = {0,          0xff,         0xffff,         0xffffff,
			   0xffffffff, 0xffffffffff, 0xffffffffffff, 0xffffffffffffff,
			   UINT64_MAX};

/* Ports wrap at the end of their space, as the address lines of the bus do. */
static u64 address(enum dev_space space, u64 addr)
{
	return space == DEV_PORT ? addr % PORTS_END : addr;
}

/* What several devices or none have, byte by byte or in pieces. */
static __attribute__((noinline)) u64 read_pieces(struct dev_bus *bus, enum dev_space space,
						 u64 addr, u32 width, bool *hit)
{
	u64 value = 0;

	for (u32 done = 0, n; done < width; done += n) {
		u64 a = address(space, addr + done);
		const struct dev_range *r = range_at(bus, space, a);
		u64 part;

		n = piece(r, a, width - done);
		part = ones[n];
		if (r != NULL) {
			part &= r->dev->ops->read(r->dev, a - r->base, n);
			if (hit != NULL)
				*hit = true;
		}
		value |= part << (done * 8);
	}
	return value;
}

/*
 * Nearly all accesses: all bytes lie in the range last accessed there, and its device takes them at once. Lock
 * held. Unused ranges are empty.
 */
static inline const struct dev_range *whole(struct dev_bus *bus, enum dev_space space, u64 addr,
					    u32 width)
{
	const struct dev_range *r = &bus->ranges[*hint_of(bus, space, addr)];
	u64 offset = addr - r->base;

	if (LIKELY(r->space == space && offset < r->len && r->len - offset >= width &&
		   width <= r->dev->ops->width_max))
		return r;
	return NULL;
}

static __attribute__((noinline)) u64 read_other(struct dev_bus *bus, enum dev_space space, u64 addr,
						u32 width, bool *hit)
{
	const struct dev_range *r = search(bus, space, addr);

	if (hit != NULL)
		*hit = r != NULL;
	if (whole(bus, space, addr, width) != NULL)
		return r->dev->ops->read(r->dev, addr - r->base, width) & ones[width];
	return read_pieces(bus, space, addr, width, hit);
}

u64 bus_read(struct dev_bus *bus, enum dev_space space, u64 addr, u32 width, bool *hit)
{
	const struct dev_range *r;
	u64 value;

	lock_take_irqs_off(&bus->lock);
	r = whole(bus, space, addr, width);
	if (LIKELY(r != NULL)) {
		if (hit != NULL)
			*hit = true;
		value = r->dev->ops->read(r->dev, addr - r->base, width) & ones[width];
	} else {
		value = read_other(bus, space, addr, width, hit);
	}
	lock_release_irqs_off(&bus->lock);
	return value;
}

/* bus_read() again, with less to keep in mind. */
u32 bus_in(struct dev_bus *bus, u16 port, u32 width)
{
	const struct dev_range *r;
	u64 value;

	lock_take_irqs_off(&bus->lock);
	r = whole(bus, DEV_PORT, port, width);
	if (LIKELY(r != NULL))
		value = r->dev->ops->read(r->dev, port - r->base, width);
	else
		value = read_other(bus, DEV_PORT, port, width, NULL);
	lock_release_irqs_off(&bus->lock);
	return (u32)(value & ones[width]);
}

static __attribute__((noinline)) void write_pieces(struct dev_bus *bus, enum dev_space space,
						   u64 addr, u32 width, u64 value, bool *hit)
{
	for (u32 done = 0, n; done < width; done += n) {
		u64 a = address(space, addr + done);
		const struct dev_range *r = range_at(bus, space, a);

		n = piece(r, a, width - done);
		if (r == NULL)
			continue;
		r->dev->ops->write(r->dev, a - r->base, n, (value >> (done * 8)) & ones[n]);
		if (hit != NULL)
			*hit = true;
	}
}

static __attribute__((noinline)) void write_other(struct dev_bus *bus, enum dev_space space,
						  u64 addr, u32 width, u64 value, bool *hit)
{
	const struct dev_range *r = search(bus, space, addr);

	if (hit != NULL)
		*hit = r != NULL;
	if (whole(bus, space, addr, width) != NULL)
		r->dev->ops->write(r->dev, addr - r->base, width, value & ones[width]);
	else
		write_pieces(bus, space, addr, width, value, hit);
}

void bus_write(struct dev_bus *bus, enum dev_space space, u64 addr, u32 width, u64 value, bool *hit)
{
	const struct dev_range *r;

	lock_take_irqs_off(&bus->lock);
	r = whole(bus, space, addr, width);
	if (LIKELY(r != NULL)) {
		if (hit != NULL)
			*hit = true;
		r->dev->ops->write(r->dev, addr - r->base, width, value & ones[width]);
	} else {
		write_other(bus, space, addr, width, value, hit);
	}
	lock_release_irqs_off(&bus->lock);
}

/* True when a range before number i has the same device: it is visited once. */
static bool seen(const struct dev_bus *bus, u32 i)
{
	for (u32 k = 0; k < i; k++) {
		if (bus->ranges[k].dev == bus->ranges[i].dev)
			return true;
	}
	return false;
}

void bus_reset(struct dev_bus *bus)
{
	lock_token token = lock_take(&bus->lock);

	for (u32 i = 0; i < bus->count; i++) {
		if (!seen(bus, i))
			bus->ranges[i].dev->ops->reset(bus->ranges[i].dev);
	}
	lock_release(&bus->lock, token);
}

void bus_destroy(struct dev_bus *bus)
{
	/* From the end: what seen() compares with is destroyed later. */
	for (u32 i = bus->count; i > 0; i--) {
		if (!seen(bus, i - 1))
			bus->ranges[i - 1].dev->ops->destroy(bus->ranges[i - 1].dev);
	}
	bus->count = 0;
}
