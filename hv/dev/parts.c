/* SPDX-License-Identifier: MIT */
/* Devices that lie at several places of a bus. */
#include "parts.h"

int parts_add(struct vm *vm, struct dev_bus *bus, struct device *dev, const struct part *parts,
	      u32 count)
{
	for (u32 i = 0; i < count; i++) {
		int rc;

		dev[i] = (struct device){.ops = &parts[i].ops, .vm = vm};
		rc = bus_add(bus, parts[i].space, parts[i].base, parts[i].len, &dev[i]);
		if (rc != 0) {
			if (i == 0)
				dev[0].ops->destroy(&dev[0]);
			return rc;
		}
	}
	return 0;
}

u32 parts_index(const struct device *d, const struct part *parts)
{
	return (u32)(container_of(d->ops, const struct part, ops) - parts);
}

void parts_nothing(UNUSED struct device *d)
{
}
