/* SPDX-License-Identifier: MIT */
/*
 * The local APIC: x2APIC where the CPU has it, else xAPIC through its page (SDM vol. 3A chapter 11).
 * The timer runs in TSC-deadline mode where it can, else one-shot on the APIC's own clock.
 */
#include "apic.h"

#include <tern/acpi.h>
#include <tern/arch.h>
#include <tern/err.h>
#include <tern/io.h>
#include <tern/log.h>
#include <tern/pcpu.h>
#include <tern/timer.h>
#include <tern/trace.h>

#include "apic_regs.h"
#include "x86.h"

#define APIC_PAGE_DEFAULT 0xfee00000u
#define APIC_ADDR_MASK    0x000ffffffffff000ul

static bool x2apic, deadline_mode;
static char *page;     /* xAPIC registers */
static u64 timer_hz;   /* one-shot mode: ticks a second at divide by 1 */
static u32 stop_asked; /* a panic wants the other CPUs to stand still */
static u32 stop_count;

static u32 reg_read(u32 reg)
{
	return x2apic ? (u32)rdmsr(MSR_X2APIC_BASE + reg / 16) : mmio_read32(page + reg);
}

static void reg_write(u32 reg, u32 v)
{
	if (x2apic)
		wrmsr(MSR_X2APIC_BASE + reg / 16, v);
	else
		mmio_write32(page + reg, v);
}

void apic_init(void)
{
	u32 ecx = cpuid(1, 0).ecx;
	u64 base = rdmsr(MSR_APIC_BASE);

	x2apic = (ecx & CPUID1_ECX_X2APIC) != 0;
	deadline_mode = (ecx & CPUID1_ECX_TSC_DL) != 0;
	if (x2apic)
		return;
	base = base & APIC_ADDR_MASK;
	page = arch_map_mmio(hpa(base != 0 ? base : APIC_PAGE_DEFAULT), PAGE_SIZE);
	if (page == NULL)
		panic("apic: no memory to map the local APIC");
}

void apic_cpu_init(void)
{
	u64 base = rdmsr(MSR_APIC_BASE) | APIC_BASE_ENABLE;

	wrmsr(MSR_APIC_BASE, base);
	if (x2apic)
		wrmsr(MSR_APIC_BASE, base | APIC_BASE_X2APIC);
	/* First: while it is disabled by software, as after INIT, LVT entries cannot be unmasked (SDM vol. 3A
	 * 11.4.7.2). */
	reg_write(LAPIC_SVR, SVR_ENABLE | VEC_SPURIOUS);
	reg_write(LAPIC_TPR, 0);
	reg_write(LAPIC_LVT_LINT0, LVT_MASKED); /* the 8259s are not used */
	reg_write(LAPIC_LVT_LINT1, LVT_NMI);
	reg_write(LAPIC_LVT_ERROR, LVT_MASKED);
	if (!deadline_mode)
		reg_write(LAPIC_TIMER_DIVIDE, TIMER_DIVIDE_BY_1);
	reg_write(LAPIC_LVT_TIMER, VEC_TIMER | (deadline_mode ? LVT_TSC_DEADLINE : 0));
	/* SDM vol. 3A 11.5.4.1: the mode must be set before the first deadline is written. */
	__asm__ volatile("mfence" : : : "memory");
	/* Once more: QEMU forgets a request of the 8259s, masked above, only when this is written. */
	reg_write(LAPIC_SVR, SVR_ENABLE | VEC_SPURIOUS);
}

u32 apic_id(void)
{
	struct cpuid_regs r;

	if (x2apic)
		return reg_read(LAPIC_ID);
	if (page != NULL)
		return reg_read(LAPIC_ID) >> 24;
	r = cpuid(1, 0); /* before apic_init() */
	return r.ebx >> 24;
}

bool apic_is_x2(void)
{
	return x2apic;
}

bool apic_has_deadline(void)
{
	return deadline_mode;
}

void apic_eoi(void)
{
	reg_write(LAPIC_EOI, 0);
}

static void icr_wait(void)
{
	/* An xAPIC takes one command at a time; 1 ms is far more than any needs. */
	for (u32 i = 0; i < 1000 && (reg_read(LAPIC_ICR_LOW) & ICR_PENDING) != 0; i++)
		arch_delay_us(1);
}

void apic_send(u32 dest, u32 low)
{
	bool on;

	if (x2apic) {
		/* The write does not wait for earlier stores by itself (SDM vol. 3A 11.12.3). */
		__asm__ volatile("mfence; lfence" : : : "memory");
		wrmsr(MSR_X2APIC_BASE + LAPIC_ICR_LOW / 16, (u64)dest << 32 | low);
		return;
	}
	on = arch_irq_off();
	icr_wait();
	reg_write(LAPIC_ICR_HIGH, dest << 24);
	reg_write(LAPIC_ICR_LOW, low);
	icr_wait();
	if (on)
		arch_irq_on();
}

#define CALIBRATE_US      5000u
#define DEADLINE_CHECK_US 10u

/*
 * A deadline far ahead must not fire at once. In Bochs 2.7 it does after a warm reset: its deadlines
 * are compared with a clock that the reset does not set back, and the CPU would do nothing but take
 * timer interrupts. Interrupts are off: one that fired shows in the request register, and is later
 * taken as a timer interrupt with nothing due.
 */
static bool deadline_works(void)
{
	u32 irr;

	wrmsr(MSR_TSC_DEADLINE, rdtsc() + arch_tsc_hz());
	arch_delay_us(DEADLINE_CHECK_US);
	irr = reg_read(LAPIC_IRR + VEC_TIMER / 32 * LAPIC_VECTOR_REG);
	wrmsr(MSR_TSC_DEADLINE, 0);
	return (irr & 1u << VEC_TIMER % 32) == 0;
}

void apic_calibrate(void)
{
	u32 start, end;
	u64 tsc0, tsc1;

	if (deadline_mode && deadline_works())
		return;
	if (deadline_mode)
		log_warn("apic: TSC deadlines fire too early here; using the APIC's own clock");
	deadline_mode = false;
	reg_write(LAPIC_TIMER_DIVIDE, TIMER_DIVIDE_BY_1);
	reg_write(LAPIC_LVT_TIMER, LVT_MASKED);
	reg_write(LAPIC_TIMER_INIT, UINT32_MAX);
	start = reg_read(LAPIC_TIMER_NOW);
	tsc0 = rdtsc();
	arch_delay_us(CALIBRATE_US);
	end = reg_read(LAPIC_TIMER_NOW);
	tsc1 = rdtsc();
	reg_write(LAPIC_TIMER_INIT, 0);
	reg_write(LAPIC_LVT_TIMER, VEC_TIMER);
	if (start <= end || tsc1 <= tsc0)
		panic("apic: the timer does not count; this machine cannot run Tern");
	timer_hz = (u64)(start - end) * (arch_tsc_hz() / 1000) / (tsc1 - tsc0) * 1000;
	log_info("apic: timer at %lu kHz", timer_hz / 1000);
}

void arch_timer_arm(u64 tsc)
{
	u64 now, ticks;

	if (deadline_mode) {
		/* 0 disarms; a deadline in the past fires at once (SDM vol. 3A 11.5.4.1). */
		wrmsr(MSR_TSC_DEADLINE, tsc == UINT64_MAX ? 0 : max_u64(tsc, 1));
		return;
	}
	if (tsc == UINT64_MAX) {
		reg_write(LAPIC_TIMER_INIT, 0);
		return;
	}
	now = rdtsc();
	if (tsc <= now) {
		ticks = 1;
	} else {
		/* Coming early is fine: timer_interrupt() arms again. Cap at one second. */
		ticks = min_u64(tsc - now, arch_tsc_hz());
		ticks = ticks * (timer_hz / 1000) / (arch_tsc_hz() / 1000) + 1;
	}
	reg_write(LAPIC_TIMER_INIT, (u32)min_u64(ticks, UINT32_MAX));
}

void arch_kick(struct pcpu *pc)
{
	trace_write(TRACE_IPI, pc->index, VEC_KICK);
	apic_send(pc->apic_id, ICR_FIXED | ICR_ASSERT | VEC_KICK);
}

bool apic_stop_requested(void)
{
	return __atomic_load_n(&stop_asked, __ATOMIC_ACQUIRE) != 0;
}

void apic_stopped(void)
{
	__atomic_fetch_add(&stop_count, 1, __ATOMIC_RELEASE);
	arch_dead();
}

void apic_park_others(void)
{
	if (!x2apic && page == NULL)
		return;
	for (u32 i = 0; i < pcpu_count(); i++) {
		if (pcpu_get(i) != pcpu_self())
			apic_send(pcpu_get(i)->apic_id, ICR_INIT | ICR_ASSERT);
	}
}

#define STOP_WAIT_US 100000u

u32 arch_stop_others(void)
{
	u32 others = 0;

	if (!x2apic && page == NULL)
		return 0; /* too early for other CPUs to run */
	__atomic_store_n(&stop_asked, 1, __ATOMIC_RELEASE);
	for (u32 i = 0; i < pcpu_count(); i++) {
		struct pcpu *pc = pcpu_get(i);

		if (pc == pcpu_self() || __atomic_load_n(&pc->online, __ATOMIC_ACQUIRE) == 0)
			continue;
		others++;
		apic_send(pc->apic_id, ICR_NMI | ICR_ASSERT);
	}
	for (u32 us = 0; us < STOP_WAIT_US; us += 10) {
		if (__atomic_load_n(&stop_count, __ATOMIC_ACQUIRE) >= others)
			return 0;
		arch_delay_us(10);
	}
	return others - __atomic_load_n(&stop_count, __ATOMIC_ACQUIRE);
}
