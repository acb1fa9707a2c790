/* SPDX-License-Identifier: MIT */
/*
 * The clocks of devices, as ticks since the VM's time was 0. Every edge lies on the grid of its clock, however late
 * anybody looks. All products fit: hz <= 2^22, the TSC's frequency < 2^34.
 */
#ifndef HV_DEV_TICKS_H
#define HV_DEV_TICKS_H

#include <tern/arch.h>
#include <tern/timer.h>
#include <tern/types.h>
#include <tern/vm_time.h>

/* The tick of a clock of hz that a time lies in. */
static inline u64 ticks_at(u64 time, u64 hz)
{
	u64 tsc_hz = arch_tsc_hz();

	return time / tsc_hz * hz + time % tsc_hz * hz / tsc_hz;
}

static inline u64 ticks_now(const struct vm *vm, u64 hz)
{
	return ticks_at(vm_now(vm), hz);
}

/* The first time of a tick; UINT64_MAX stays what it is: never. */
static inline u64 ticks_to_time(u64 tick, u64 hz)
{
	u64 tsc_hz = arch_tsc_hz();

	return tick == UINT64_MAX ? tick : tick / hz * tsc_hz + (tick % hz * tsc_hz + hz - 1) / hz;
}

/* Starts a device's timer for a tick of its clock, or stops it: UINT64_MAX. The bus lock is held. */
static inline void ticks_arm(const struct vm *vm, struct timer *t, u64 tick, u64 hz)
{
	u64 deadline = vm_deadline(vm, ticks_to_time(tick, hz));

	if (deadline == UINT64_MAX)
		timer_cancel(t);
	else
		timer_start(t, deadline);
}

#endif
