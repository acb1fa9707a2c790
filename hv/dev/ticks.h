/* SPDX-License-Identifier: MIT */
/*
 * The clocks of devices, as ticks since the TSC was 0. Every edge lies on the grid of its clock, however late
 * anybody looks. All products fit: hz <= 2^22, the TSC's frequency < 2^34.
 */
#ifndef HV_DEV_TICKS_H
#define HV_DEV_TICKS_H

#include <tern/arch.h>
#include <tern/types.h>

/* The tick of a clock of hz that a TSC value lies in. */
static inline u64 ticks_at(u64 tsc, u64 hz)
{
	u64 tsc_hz = arch_tsc_hz();

	return tsc / tsc_hz * hz + tsc % tsc_hz * hz / tsc_hz;
}

static inline u64 ticks_now(u64 hz)
{
	return ticks_at(arch_tsc(), hz);
}

/* The first TSC value of a tick; UINT64_MAX stays what it is: never. */
static inline u64 ticks_to_tsc(u64 tick, u64 hz)
{
	u64 tsc_hz = arch_tsc_hz();

	return tick == UINT64_MAX ? tick : tick / hz * tsc_hz + (tick % hz * tsc_hz + hz - 1) / hz;
}

#endif
