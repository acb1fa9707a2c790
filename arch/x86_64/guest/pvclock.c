/* SPDX-License-Identifier: MIT */
/*
 * Time of a guest: how its TSC and its LAPIC's timer follow the VM's time, and KVM's paravirtual clock.
 *
 * The clock's origin is the VM's time 0, which is a fixed value of the guest's TSC: when the VM was paused, that TSC
 * stood still as well. So the page of a vCPU is right as it is, until the guest moves its TSC; and since it is the same on
 * all vCPUs and never computed again, their clocks agree and have no steps.
 */
#include "guest.h"

#include <tern/arch.h>
#include <tern/err.h>
#include <tern/gmem.h>
#include <tern/lib.h>
#include <tern/vlapic.h>
#include <tern/vm.h>

#include "pvclock_regs.h"

#define NS_PER_SECOND 1000000000ull

/* Bits of arch.pv_due. */
#define DUE_WALL   1u
#define DUE_SYSTEM 2u
#define DUE_STEAL  4u

struct pvclock_scale guest_pvclock_scale(u64 hz)
{
	u64 num = NS_PER_SECOND, den = hz, mul = 0;
	struct pvclock_scale s = {.shift = 0};

	for (; num >= den; s.shift++)
		den <<= 1;
	for (; num << 1 < den; s.shift--)
		num <<= 1;
	/* num / den, from 1/2 to less than 1, in 32 bits: a division by hand, which needs no more than 64. */
	for (u32 i = 0; i < 32; i++) {
		num <<= 1;
		mul <<= 1;
		if (num >= den) {
			num -= den;
			mul |= 1;
		}
	}
	/* To the nearest. */
	if (num << 1 >= den && mul < UINT32_MAX)
		mul++;
	s.mul = (u32)mul;
	return s;
}

u64 guest_pvclock_ns(struct pvclock_scale s, u64 ticks)
{
	ticks = s.shift < 0 ? ticks >> -s.shift : ticks << s.shift;
	return (u64)((unsigned __int128)ticks * s.mul >> 32);
}

/* Writes size bytes that have a version at a place of theirs: odd while they change. */
static int publish(struct vcpu *vc, u64 at, const void *body, u32 size, u32 version_at)
{
	u8 copy[sizeof(struct pvclock_system)];
	u32 *version = (u32 *)(void *)(copy + version_at);
	struct gmem *mem = &vc->vm->mem;
	int rc;

	ASSERT(size <= sizeof(copy));
	memcpy(copy, body, size);
	*version = vc->arch->pv_version | 1;
	rc = gmem_write(mem, gpa(at + version_at), version, sizeof(*version));
	if (rc == 0)
		rc = gmem_write(mem, gpa(at), copy, size);
	*version += 1;
	if (rc == 0)
		rc = gmem_write(mem, gpa(at + version_at), version, sizeof(*version));
	vc->arch->pv_version = *version;
	return rc;
}

/* The guest's TSC at the VM's time 0. */
static u64 origin(const struct vcpu *vc)
{
	return vc->vm->time_base + vc->arch->tsc_offset;
}

/* The time that it is now, less the VM's: where that stood still, the difference has grown. */
static int write_wall(struct vcpu *vc)
{
	const struct vm *vm = vc->vm;
	struct pvclock_scale s = guest_pvclock_scale(arch_tsc_hz());
	u64 now = arch_tsc();
	u64 ns = vm->wall_seconds * NS_PER_SECOND + guest_pvclock_ns(s, now - vm->wall_tsc) -
		 guest_pvclock_ns(s, now - vm->time_base);
	struct pvclock_wall w = {.sec = (u32)(ns / NS_PER_SECOND),
				 .nsec = (u32)(ns % NS_PER_SECOND)};

	return publish(vc, vc->arch->pv_wall, &w, sizeof(w),
		       offsetof(struct pvclock_wall, version));
}

static int write_system(struct vcpu *vc)
{
	struct pvclock_scale s = guest_pvclock_scale(arch_tsc_hz());
	struct pvclock_system t = {
		.tsc_timestamp = origin(vc),
		.mul = s.mul,
		.shift = s.shift,
		.flags = PVCLOCK_STABLE,
	};

	return publish(vc, vc->arch->pv_system & ~KVM_MSR_ENABLE, &t, sizeof(t),
		       offsetof(struct pvclock_system, version));
}

/* All that it ever waited: what the guest has seen must not become less, whatever becomes of the vCPU. */
static int write_steal(struct vcpu *vc)
{
	struct pvclock_steal t = {
		.steal = guest_pvclock_ns(guest_pvclock_scale(arch_tsc_hz()), vc->sched.waited)};

	return publish(vc, vc->arch->pv_steal & ~KVM_MSR_ENABLE, &t, sizeof(t),
		       offsetof(struct pvclock_steal, version));
}

/* One page, if it is due. What is not memory is off; what cannot be backed stays due. */
static void settle(struct vcpu *vc, u32 due, u64 *msr, u64 on, int (*write)(struct vcpu *vc))
{
	int rc;

	if ((vc->arch->pv_due & due) == 0)
		return;
	rc = (*msr & on) != 0 ? write(vc) : 0;
	if (rc == -TERN_EAGAIN)
		return;
	vc->arch->pv_due &= ~due;
	if (rc != 0)
		*msr = 0;
}

static void settle_all(struct vcpu *vc)
{
	struct vcpu_arch *arch = vc->arch;

	settle(vc, DUE_WALL, &arch->pv_wall, ~KVM_WALL_RSVD, write_wall);
	settle(vc, DUE_SYSTEM, &arch->pv_system, KVM_MSR_ENABLE, write_system);
	settle(vc, DUE_STEAL, &arch->pv_steal, KVM_MSR_ENABLE, write_steal);
	arch->pv_origin = origin(vc);
	arch->pv_waited = vc->sched.waited;
}

void guest_pvclock_written(struct vcpu *vc, u32 msr)
{
	struct vcpu_arch *arch = vc->arch;

	if (msr == MSR_KVM_WALL_CLOCK_NEW)
		arch->pv_due |= DUE_WALL;
	else if (msr == MSR_KVM_SYSTEM_TIME_NEW)
		arch->pv_due |= DUE_SYSTEM;
	else
		arch->pv_due |= DUE_STEAL;
	settle_all(vc);
}

void guest_time_enter(struct vcpu *vc)
{
	struct vcpu_arch *arch = vc->arch;

	if ((arch->pv_system & KVM_MSR_ENABLE) != 0 && arch->pv_origin != origin(vc))
		arch->pv_due |= DUE_SYSTEM;
	if ((arch->pv_steal & KVM_MSR_ENABLE) != 0 && arch->pv_waited != vc->sched.waited)
		arch->pv_due |= DUE_STEAL;
	if (UNLIKELY(arch->pv_due != 0))
		settle_all(vc);
}

void guest_time_load(struct vcpu *vc)
{
	struct vcpu_arch *arch = vc->arch;
	u64 moved = vc->vm->time_base - arch->time_base;

	if (LIKELY(moved == 0))
		return;
	arch->time_base = vc->vm->time_base;
	arch->tsc_offset -= moved;
	if (vc->lapic != NULL)
		vlapic_time_moved(vc, moved);
}
