/* SPDX-License-Identifier: MIT */
/* IA32_APIC_BASE, and what x2APIC mode has of its own: SDM vol. 3A 11.12. */
#include "apic.h"

void check_reset_state(const char *when)
{
	u32 lvt = 0;

	for (u32 reg = APIC_LVT_TIMER; reg <= APIC_LVT_ERROR; reg += 0x10)
		lvt |= (u32)(apic_read(reg) != LVT_MASKED && reg != APIC_LVT_LINT0);
	check(when, apic_read(APIC_SVR) == 0xff && apic_read(APIC_TPR) == 0 &&
			    apic_read(APIC_ID) >> 24 == self_id && lvt == 0 &&
			    apic_read(APIC_LDR) == 0 && apic_read(APIC_DFR) == ~0u);
}

void check_off_and_on(void)
{
	u64 base = rdmsr(MSR_APIC_BASE);

	wrmsr(MSR_APIC_BASE, base & ~BASE_ON);
	check_eq("off-in-cpuid", cpuid(1, 0).d & CPUID_D_APIC, 0);
	check_eq("off-has-no-msrs", (u64)try_rdmsr(MSR_X2 + 2, NULL), TRAP_GP);
	wrmsr(MSR_APIC_BASE, base);
	check_eq("on-in-cpuid", cpuid(1, 0).d & CPUID_D_APIC, CPUID_D_APIC);
	check_reset_state("on-is-as-after-reset");
	enable(0);
	clear_hits();
	send(self_id, 0x41);
	check("on-works", wait_hits(0x41, 1));
}

/* An MSR whose read or write must raise #GP. */
static void no_read(const char *name, u32 reg)
{
	check_eq(name, (u64)try_rdmsr(MSR_X2 + (reg >> 4), NULL), TRAP_GP);
}

static void no_write(const char *name, u32 reg, u64 value)
{
	check_eq(name, (u64)try_wrmsr(MSR_X2 + (reg >> 4), value), TRAP_GP);
}

static void check_x2_registers(void)
{
	static const u16 nothing[] = {0x000, 0x010, 0x090, 0x0c0, 0x0e0, 0x310, 0x3a0, 0x3d0};
	u32 bad = 0;

	for (u32 i = 0; i < ARRAY_SIZE(nothing); i++) {
		bad += try_rdmsr(MSR_X2 + (nothing[i] >> 4), NULL) != TRAP_GP;
		bad += try_wrmsr(MSR_X2 + (nothing[i] >> 4), 0) != TRAP_GP;
	}
	for (u32 msr = MSR_X2 + 0x40; msr < MSR_X2 + 0x100; msr += 0x15)
		bad += try_rdmsr(msr, NULL) != TRAP_GP;
	check_eq("x2-registers-that-are-not", bad, 0);
	no_read("x2-eoi-is-write-only", APIC_EOI);
	no_read("x2-self-ipi-is-write-only", APIC_SELF);
	no_write("x2-id-is-read-only", APIC_ID, 0);
	no_write("x2-version-is-read-only", APIC_VERSION, 0);
	no_write("x2-ppr-is-read-only", APIC_PPR, 0);
	no_write("x2-ldr-is-read-only", APIC_LDR, 1);
	no_write("x2-isr-is-read-only", APIC_ISR, 0);
	no_write("x2-tmr-is-read-only", APIC_TMR, 0);
	no_write("x2-irr-is-read-only", APIC_IRR, 0);
	no_write("x2-current-is-read-only", APIC_CURRENT, 0);
	no_write("x2-eoi-nonzero", APIC_EOI, 1);
	no_write("x2-esr-nonzero", APIC_ESR, 1);
	no_write("x2-tpr-reserved", APIC_TPR, 0x100);
	no_write("x2-tpr-high-half", APIC_TPR, 1ull << 32);
	no_write("x2-svr-reserved", APIC_SVR, 0x101ff | 1u << 20);
	no_write("x2-icr-reserved", APIC_ICR, 1u << 20 | 0x41);
	no_write("x2-lvt-timer-reserved", APIC_LVT_TIMER, LVT_MASKED | 1u << 20);
	no_write("x2-lvt-error-reserved", APIC_LVT_ERROR, LVT_MASKED | 1u << 20);
	no_write("x2-divide-reserved", APIC_DIVIDE, 0x10);
	no_write("x2-self-ipi-reserved", APIC_SELF, 0x141);
	no_write("x2-initial-high-half", APIC_INITIAL, 1ull << 32);
	clear_hits();
	send(self_id, 0x41);
	wait_hits(0x41, 1);
	check_eq("x2-icr-is-one", rdmsr(MSR_X2 + (APIC_ICR >> 4)), (u64)self_id << 32 | 0x41);
	apic_write(APIC_SELF, 0x41);
	check("x2-self-ipi", wait_hits(0x41, 2));
}

void check_x2apic(void)
{
	u64 base = rdmsr(MSR_APIC_BASE);

	if (!(cpuid(1, 0).c & CPUID_C_X2APIC)) {
		skip_check("x2apic", "CPUID has none");
		return;
	}
	check_eq("xapic-has-no-msrs", (u64)try_rdmsr(MSR_X2 + 2, NULL), TRAP_GP);
	check_eq("base-reserved-bit", (u64)try_wrmsr(MSR_APIC_BASE, base | 1), TRAP_GP);
	check_eq("xapic-to-extd-alone",
		 (u64)try_wrmsr(MSR_APIC_BASE, (base & ~BASE_ON) | BASE_X2APIC), TRAP_GP);
	check_eq("xapic-to-x2apic", (u64)try_wrmsr(MSR_APIC_BASE, base | BASE_X2APIC),
		 (u64)TRAP_NONE);
	x2 = true;
	check_eq("x2apic-keeps-svr", apic_read(APIC_SVR), SVR_ON | V_SPURIOUS);
	check_eq("x2apic-to-xapic", (u64)try_wrmsr(MSR_APIC_BASE, base), TRAP_GP);
	check_one_mode();
	check_x2_registers();
	x2 = false;
	check_eq("x2apic-to-off", (u64)try_wrmsr(MSR_APIC_BASE, base & ~BASE_ON), (u64)TRAP_NONE);
	check_eq("off-to-x2apic", (u64)try_wrmsr(MSR_APIC_BASE, base | BASE_X2APIC), TRAP_GP);
	check_eq("off-to-extd-alone",
		 (u64)try_wrmsr(MSR_APIC_BASE, (base & ~BASE_ON) | BASE_X2APIC), TRAP_GP);
	check_eq("off-to-xapic", (u64)try_wrmsr(MSR_APIC_BASE, base), (u64)TRAP_NONE);
	check_reset_state("xapic-is-as-after-reset");
	enable(0);
}
