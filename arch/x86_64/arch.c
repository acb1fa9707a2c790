/* SPDX-License-Identifier: MIT */
/* The small rest of tern/arch.h: this CPU, its interrupts, its canary. */
#include <tern/arch.h>

#include <tern/init.h>
#include <tern/pcpu.h>

#include "apic.h"
#include "cpu_info_arch.h"
#include "irq_arch.h"
#include "x86.h"

void arch_idle(void)
{
	struct pcpu *pc = pcpu_self();
	u64 start = rdtsc();

	__atomic_store_n(&pc->idle_since, start, __ATOMIC_RELEASE);
	/* STI takes effect after the next instruction: no interrupt is missed between the two. */
	__asm__ volatile("sti; hlt" : : : "memory");
	__atomic_store_n(&pc->idle_since, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&pc->idle_tsc, pc->idle_tsc + (rdtsc() - start), __ATOMIC_RELEASE);
}

void arch_dead(void)
{
	for (;;)
		__asm__ volatile("cli; hlt");
}

/* RDRAND, SDM vol. 1 7.3.17: it is asked up to ten times. */
#define RDRAND_TRIES 10

bool arch_random(u64 *out)
{
	static u32 state READ_MOSTLY; /* (a) 0: not looked yet, 1: none, 2: there */
	u32 s = __atomic_load_n(&state, __ATOMIC_RELAXED);

	if (s == 0) {
		s = (cpuid(1, 0).ecx & CPUID1_ECX_RDRAND) != 0 ? 2 : 1;
		__atomic_store_n(&state, s, __ATOMIC_RELAXED);
	}
	for (u32 i = 0; s == 2 && i < RDRAND_TRIES; i++) {
		u64 value;
		bool ok;

		__asm__ volatile("rdrand %0" : "=r"(value), "=@ccc"(ok));
		if (ok) {
			*out = value;
			return true;
		}
	}
	return false;
}

void init_canary(struct pcpu *pc)
{
	u64 v = rdtsc() * 0x9e3779b97f4a7c15ul + pc->index;

	if ((cpuid(1, 0).ecx & CPUID1_ECX_RDRAND) != 0) {
		u64 r;

		__asm__ volatile("rdrand %0" : "=r"(r) : : "cc");
		v ^= r;
	}
	/* A zero byte first: string functions do not run over it. */
	pc->canary = v & ~0xfful;
}

void init_interrupts(void)
{
	struct pcpu *pc = pcpu_self();

	apic_init();
	apic_cpu_init();
	pc->apic_id = apic_id();
	apic_calibrate();
	ioapic_init();
	cpu_info_fill(pc);
}
