/* SPDX-License-Identifier: MIT */
/* Devices that lie at several places of a bus: each place is a struct device of its own in one struct. */
#ifndef HV_DEV_PARTS_H
#define HV_DEV_PARTS_H

#include <tern/dev.h>

struct part {
	struct dev_ops ops;
	enum dev_space space;
	u64 base, len;
};

/*
 * Puts dev[i] at parts[i]. The first has the lowest address, so that bus_destroy() comes to it last: its destroy
 * frees them all, and its reset resets them all. The errors of bus_add(); then either the first has been destroyed,
 * or the bus will do it.
 */
MUST_CHECK int parts_add(struct vm *vm, struct dev_bus *bus, struct device *dev,
			 const struct part *parts, u32 count);
/* Which of the parts a device is. */
u32 parts_index(const struct device *d, const struct part *parts);
/* reset and destroy of the others. */
void parts_nothing(struct device *d);

#endif
