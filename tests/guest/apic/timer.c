/* SPDX-License-Identifier: MIT */
/* The timer of the local APIC, SDM vol. 3A 11.5.4, and HLT, which it ends. */
#include "apic.h"

void timer_mode(u32 lvt, u32 divide)
{
	apic_write(APIC_INITIAL, 0);
	apic_write(APIC_LVT_TIMER, lvt);
	apic_write(APIC_DIVIDE, divide);
}

static void measure_timer(void)
{
	u64 best = ~0ull, ratio;
	struct cpuid_regs clock = cpuid(0x15, 0);

	timer_mode(LVT_MASKED | V_TIMER, DIVIDE_BY_1);
	for (u32 i = 0; i < 5; i++) {
		u64 t0 = rdtsc(), t1, t2, t3, counts;

		apic_write(APIC_INITIAL, ~0u);
		t1 = rdtsc();
		spin(5 * tsc_ms);
		t2 = rdtsc();
		counts = ~0u - apic_read(APIC_CURRENT);
		t3 = rdtsc();
		if (t1 - t0 + (t3 - t2) > best)
			continue;
		best = t1 - t0 + (t3 - t2);
		timer_ms = counts * tsc_ms * 2 / (t2 + t3 - t0 - t1);
	}
	timer_mode(LVT_MASKED | V_TIMER, DIVIDE_BY_1);
	both("timer-counts", timer_ms > 100);
	if (!on_tern || cpuid(0, 0).a < 0x15 || clock.a == 0)
		return;
	ratio = timer_ms * clock.b * 100 / (tsc_ms * clock.a);
	both("timer-has-the-rate-of-cpuid", ratio > 90 && ratio < 110);
}
static void check_one_shot(void)
{
	static const u8 divides[] = {DIVIDE_BY_1, 0, 1, 2, 3, 8, 9, 10};
	u32 reads_back = 0, counts = 0, fires = 0, early = 0, zero = 0, once = 0;

	for (u32 i = 0; i < ARRAY_SIZE(divides); i++) {
		u32 count = (u32)(2 * timer_ms >> i), now;
		u64 start;

		clear_hits();
		timer_mode(V_TIMER, divides[i]);
		reads_back |= (u32)(apic_read(APIC_DIVIDE) == divides[i]) << i;
		start = rdtsc();
		apic_write(APIC_INITIAL, count);
		now = apic_read(APIC_CURRENT);
		spin(tsc_ms / 2);
		counts |= (u32)(now <= count && apic_read(APIC_CURRENT) < now + (now == 0)) << i;
		fires |= (u32)wait_hits(V_TIMER, 1) << i;
		early |= (u32)((stamps[V_TIMER] - start) * 10 < 2 * tsc_ms * 8) << i;
		zero |= (u32)(apic_read(APIC_CURRENT) == 0) << i;
		quiet(3);
		once |= (u32)(hits[0][V_TIMER] == 1) << i;
	}
	both_eq("divide-reads-back", reads_back, 0xff);
	both_eq("one-shot-counts-down", counts, 0xff);
	both_eq("one-shot-fires", fires, 0xff);
	both_eq("one-shot-is-not-early", early, 0);
	both_eq("one-shot-stays-zero", zero, 0xff);
	both_eq("one-shot-fires-once", once, 0xff);
}

static void check_periodic(void)
{
	u64 start, periods;
	u32 missed;

	clear_hits();
	timer_mode(LVT_PERIODIC | V_TIMER, DIVIDE_BY_1);
	start = rdtsc();
	apic_write(APIC_INITIAL, (u32)timer_ms);
	missed = count_ticks(V_TIMER, 100, tsc_ms);
	periods = (rdtsc() - start) / tsc_ms;
	apic_write(APIC_INITIAL, 0);
	both("periodic-100-ticks", hits[0][V_TIMER] >= 100);
	both("periodic-none-doubled", hits[0][V_TIMER] <= periods * 11 / 10 + 2);
	/* QEMU's clock may stop while its guest runs. */
	if (!on_tcg)
		both("periodic-none-lost", hits[0][V_TIMER] + missed + 2 >= periods * 9 / 10);
	quiet(3);
	clear_hits();
	apic_write(APIC_INITIAL, (u32)timer_ms);
	both("periodic-irr", irr_comes(V_TIMER));
	spin(5 * tsc_ms);
	apic_write(APIC_INITIAL, 0);
	quiet(3);
	both_eq("periodic-one-is-pending", hits[0][V_TIMER], 1);
	clear_hits();
	timer_mode(LVT_MASKED | V_TIMER, DIVIDE_BY_1);
	apic_write(APIC_INITIAL, (u32)timer_ms);
	quiet(3);
	both_eq("masked-does-not-fire", hits[0][V_TIMER], 0);
	both_eq("masked-counts", apic_read(APIC_CURRENT), 0);
	apic_write(APIC_LVT_TIMER, V_TIMER);
	quiet(1);
	both_eq("unmasked-does-not-fire-late", hits[0][V_TIMER], 0);
}

static void check_deadline(void)
{
	u64 deadline;

	if (!(cpuid(1, 0).c & CPUID_C_TSC_DL)) {
		skip_check(in_mode("tsc-deadline"), "CPUID has none");
		return;
	}
	clear_hits();
	timer_mode(LVT_DEADLINE | V_TIMER, DIVIDE_BY_1);
	__asm__ volatile("mfence" ::: "memory");
	deadline = rdtsc() + 1000 * tsc_ms;
	wrmsr(MSR_DEADLINE, deadline);
	both_eq("deadline-reads-back", rdmsr(MSR_DEADLINE), deadline);
	deadline = rdtsc() + 2 * tsc_ms;
	wrmsr(MSR_DEADLINE, deadline);
	both("deadline-fires", wait_hits(V_TIMER, 1));
	both("deadline-is-not-early", stamps[V_TIMER] >= deadline);
	both_eq("deadline-disarms", rdmsr(MSR_DEADLINE), 0);
	wrmsr(MSR_DEADLINE, rdtsc() - 1);
	both("deadline-past-fires", wait_hits(V_TIMER, 2));
	wrmsr(MSR_DEADLINE, rdtsc() + 2 * tsc_ms);
	wrmsr(MSR_DEADLINE, 0);
	apic_write(APIC_INITIAL, 1);
	quiet(4);
	both_eq("deadline-0-disarms", hits[0][V_TIMER], 2);
	wrmsr(MSR_DEADLINE, rdtsc() + 1000 * tsc_ms);
	timer_mode(V_TIMER, DIVIDE_BY_1);
	both_eq("deadline-ends-with-its-mode", rdmsr(MSR_DEADLINE), 0);
	wrmsr(MSR_DEADLINE, 1);
	quiet(1);
	both_eq("deadline-needs-its-mode", hits[0][V_TIMER], 2);
}

#define STI_HLT "lea 1f(%%rip), %%rax; mov %%rax, hlt_at(%%rip); sti; 1: hlt; cli"

static void check_hlt(void)
{
	clear_hits();
	timer_mode(V_TIMER, DIVIDE_BY_1);
	apic_write(APIC_INITIAL, (u32)(2 * timer_ms));
	__asm__ volatile(STI_HLT ::: "rax", "memory");
	both_eq("hlt-wakes-by-the-timer", hits[0][V_TIMER], 1);
	both_eq("hlt-is-over", came_at, hlt_at + 1);
	apic_write(APIC_INITIAL, (u32)(timer_ms / 4));
	both("cli-leaves-irr", irr_comes(V_TIMER));
	spin(tsc_ms);
	both_eq("cli-holds-the-timer-back", hits[0][V_TIMER], 1);
	__asm__ volatile(STI_HLT ::: "rax", "memory");
	both_eq("sti-hlt-with-one-pending", hits[0][V_TIMER], 2);
	both_eq("sti-shadow", came_at, hlt_at + 1);
	hlt_at = 0;
}

void check_timer(void)
{
	measure_timer();
	check_one_shot();
	check_periodic();
	check_deadline();
	check_hlt();
}
