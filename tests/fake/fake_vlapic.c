/* SPDX-License-Identifier: MIT */
#include "fake_vlapic.h"

#include <string.h>
#include <tern/err.h>
#include <tests/fake/fake_frames.h>
#include <tests/fake/fake_host.h>

struct vm vm;
struct vcpu vcpus[CPUS];
struct vcpu_arch archs[CPUS];
struct device ioapic;
u32 kicks[CPUS], nmis[CPUS], inits[CPUS], sipis[CPUS], eois[256];
u8 sipi_vector;
bool sipi_busy;

void vcpu_kick(struct vcpu *vc)
{
	__atomic_fetch_add(&kicks[vc->index], 1, __ATOMIC_RELAXED);
}

void vcpu_nmi(struct vcpu *vc)
{
	nmis[vc->index]++;
}

void vcpu_init(struct vcpu *vc)
{
	inits[vc->index]++;
}

int vcpu_start_at(struct vcpu *vc, u8 vector)
{
	if (sipi_busy)
		return -TERN_EBUSY;
	sipis[vc->index]++;
	sipi_vector = vector;
	return 0;
}

void vioapic_eoi(struct device *d, u8 vector)
{
	if (d != &ioapic)
		panic("not the I/O APIC");
	eois[vector]++;
}

u32 get(struct vcpu *vc, u32 offset)
{
	return (u32)vlapic_read(vc, offset, 4);
}

void set(struct vcpu *vc, u32 offset, u32 value)
{
	vlapic_write(vc, offset, 4, value);
}

int wrmsr(struct vcpu *vc, u32 msr, u64 value)
{
	return vlapic_msr(vc, msr, true, &value);
}

u64 rdmsr(struct vcpu *vc, u32 msr)
{
	u64 value = 0x5a5a;

	if (vlapic_msr(vc, msr, false, &value) != 0)
		panic("RDMSR %x faulted", msr);
	return value;
}

void base(struct vcpu *vc, u64 value)
{
	u64 old = vc->arch->apic_base;

	vc->arch->apic_base = value;
	vlapic_base_changed(vc, old, value);
}

void all_x2(void)
{
	for (u32 i = 0; i < CPUS; i++)
		base(&vcpus[i], X2APIC);
}

void forget(void)
{
	memset(kicks, 0, sizeof(kicks));
	memset(nmis, 0, sizeof(nmis));
	memset(inits, 0, sizeof(inits));
	memset(sipis, 0, sizeof(sipis));
	memset(eois, 0, sizeof(eois));
}

int sync_now(struct vcpu *vc)
{
	return vlapic_sync(vc, fake_tsc);
}

int pending(struct vcpu *vc)
{
	sync_now(vc);
	return vlapic_pending(vc, NULL);
}

u32 drain(struct vcpu *vc)
{
	u32 count = 0;
	int vector;

	while ((vector = pending(vc)) != NONE) {
		vlapic_accept(vc, vector);
		vlapic_eoi(vc);
		count++;
	}
	return count;
}

void message(u32 dest, u8 vector, bool level)
{
	vlapic_send(&vm, &(struct apic_message){.dest = dest, .vector = vector, .level = level});
}

u32 esr(struct vcpu *vc)
{
	set(vc, ESR, 0xdead);
	return get(vc, ESR);
}

int setup(UNUSED void **state)
{
	fake_reset();
	fake_frames_reset(256);
	fake_tsc_step = 0;
	fake_tsc = 1000000;
	fake_tsc_hz = 2000000000;
	memset(&vm, 0, sizeof(vm));
	memset(archs, 0, sizeof(archs));
	memset(vcpus, 0, sizeof(vcpus));
	vm.vcpu_count = CPUS;
	vm.platform.ioapic = &ioapic;
	for (u32 i = 0; i < CPUS; i++) {
		vm.vcpus[i] = &vcpus[i];
		vcpus[i] = (struct vcpu){.vm = &vm, .index = i, .arch = &archs[i]};
		archs[i].apic_base = XAPIC;
		if (vlapic_create(&vcpus[i]) != 0)
			panic("no memory");
		vlapic_reset(&vcpus[i], false);
		set(&vcpus[i], SVR, 0x1ff);
	}
	sipi_busy = false;
	forget();
	return 0;
}

int teardown(UNUSED void **state)
{
	for (u32 i = 0; i < CPUS; i++)
		vlapic_destroy(&vcpus[i]);
	if (fake_frames_used() != 0)
		panic("frames leak");
	fake_tsc_step = 100;
	return 0;
}
