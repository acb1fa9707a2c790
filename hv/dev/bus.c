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
	bus->last = 0;
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
	bus->last = i;
	return r;
}

/* The range that holds addr, or NULL. Lock held. */
static const struct dev_range *range_at(struct dev_bus *bus, enum dev_space space, u64 addr)
{
	const struct dev_range *r = &bus->ranges[bus->last];

	/* Unused ones are empty. */
	return LIKELY(r->space == space && addr - r->base < r->len) ? r : search(bus, space, addr);
}

/* True when one call of the device takes all width bytes at offset of its range. */
static bool whole(const struct dev_range *r, u64 offset, u32 width)
{
	return r->len - offset >= width && width <= r->dev->ops->width_max;
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

static u64 ones(u32 bytes)
{
	return bytes >= sizeof(u64) ? UINT64_MAX : (1ull << (bytes * 8)) - 1;
}

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
		part = ones(n);
		if (r != NULL) {
			part &= r->dev->ops->read(r->dev, a - r->base, n);
			if (hit != NULL)
				*hit = true;
		}
		value |= part << (done * 8);
	}
	return value;
}

u64 bus_read(struct dev_bus *bus, enum dev_space space, u64 addr, u32 width, bool *hit)
{
	lock_token token = lock_take(&bus->lock);
	const struct dev_range *r = range_at(bus, space, addr);
	u64 value;

	if (hit != NULL)
		*hit = r != NULL;
	/* Nearly all accesses: a device takes them whole. */
	if (LIKELY(r != NULL && whole(r, addr - r->base, width)))
		value = r->dev->ops->read(r->dev, addr - r->base, width) & ones(width);
	else if (r == NULL && width == 1)
		value = ones(width);
	else
		value = read_pieces(bus, space, addr, width, hit);
	lock_release(&bus->lock, token);
	return value;
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
		r->dev->ops->write(r->dev, a - r->base, n, (value >> (done * 8)) & ones(n));
		if (hit != NULL)
			*hit = true;
	}
}

void bus_write(struct dev_bus *bus, enum dev_space space, u64 addr, u32 width, u64 value, bool *hit)
{
	lock_token token = lock_take(&bus->lock);
	const struct dev_range *r = range_at(bus, space, addr);

	if (hit != NULL)
		*hit = r != NULL;
	if (LIKELY(r != NULL && whole(r, addr - r->base, width)))
		r->dev->ops->write(r->dev, addr - r->base, width, value & ones(width));
	else
		write_pieces(bus, space, addr, width, value, hit);
	lock_release(&bus->lock, token);
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
