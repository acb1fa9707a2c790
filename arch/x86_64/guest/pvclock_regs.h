/* SPDX-License-Identifier: MIT */
/*
 * KVM's paravirtual clock: Linux Documentation/virt/kvm/x86/cpuid.rst and msr.rst; the layouts are those of
 * Linux' pvclock-abi.h and kvm_para.h. A unit test compares what the latter has.
 */
#ifndef PVCLOCK_REGS_H
#define PVCLOCK_REGS_H

#include <tern/types.h>

/* CPUID: KVM_CPUID_SIGNATURE may be moved up by 100H at a time. */
#define CPUID_KVM_BASE     0x40000100u
#define CPUID_KVM_FEATURES (CPUID_KVM_BASE + 1)
#define CPUID_KVM_EBX      0x4b4d564bu /* "KVMK" */
#define CPUID_KVM_ECX      0x564b4d56u /* "VMKV" */
#define CPUID_KVM_EDX      0x0000004du /* "M" */
/* KVM_FEATURE_CLOCKSOURCE2, _STEAL_TIME, _CLOCKSOURCE_STABLE_BIT */
#define KVM_EAX_CLOCK  (1u << 3)
#define KVM_EAX_STEAL  (1u << 5)
#define KVM_EAX_STABLE (1u << 24)

#define MSR_KVM_WALL_CLOCK_NEW  0x4b564d00
#define MSR_KVM_SYSTEM_TIME_NEW 0x4b564d01
#define MSR_KVM_STEAL_TIME      0x4b564d03
#define KVM_MSR_ENABLE          1ul
/* Of addresses: 4-byte aligned; 64-byte aligned (KVM_STEAL_RESERVED_MASK). */
#define KVM_WALL_RSVD   3ul
#define KVM_SYSTEM_RSVD 2ul
#define KVM_STEAL_RSVD  0x3eul

/* While the version is odd the rest is being written. */
struct pvclock_wall {
	u32 version;
	u32 sec, nsec; /* Unix time when system time was 0 */
};
_Static_assert(sizeof(struct pvclock_wall) == 12, "struct pvclock_wall_clock");

/* System time is system_time + ((TSC - tsc_timestamp) << shift) * mul / 2^32; a negative shift is to the right. */
struct pvclock_system {
	u32 version, pad0;
	u64 tsc_timestamp;
	u64 system_time; /* ns */
	u32 mul;
	s8 shift;
	u8 flags;
	u8 pad[2];
};
_Static_assert(sizeof(struct pvclock_system) == 32 && offsetof(struct pvclock_system, mul) == 24 &&
		       offsetof(struct pvclock_system, flags) == 29,
	       "struct pvclock_vcpu_time_info");
#define PVCLOCK_STABLE 1u /* PVCLOCK_TSC_STABLE_BIT: the same on all vCPUs */

/* The beginning of struct kvm_steal_time; the rest is zero. */
struct pvclock_steal {
	u64 steal; /* ns */
	u32 version;
	u32 flags;
};
_Static_assert(sizeof(struct pvclock_steal) == 16 && offsetof(struct pvclock_steal, version) == 8,
	       "struct kvm_steal_time");

#endif
