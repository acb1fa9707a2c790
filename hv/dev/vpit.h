/* SPDX-License-Identifier: MIT */
/* What can be asked of an 8254. */
#ifndef HV_DEV_VPIT_H
#define HV_DEV_VPIT_H

#include <tern/dev.h>

/* Ticks of channel 0 that were merged with a later one, because nobody could deliver them in time. Any CPU. */
u64 vpit_merged(const struct device *pit);

#endif
