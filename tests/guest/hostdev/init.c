/* SPDX-License-Identifier: MIT */
/*
 * The second CPU is started, stopped by INIT at any moment, and started again elsewhere, with messages of all kinds
 * between: first in long mode, without NMIs, then in real mode (hostdev.S says why).
 */
#include "hostdev.h"

#define X2APIC_ICR     0x830u
#define X2APIC_TIMER   0x832u
#define X2APIC_COUNT   0x838u
#define ICR_LOWEST     0x100u
#define ICR_SMI        0x200u
#define ICR_NMI        0x400u
#define ICR_INIT       0xc500u
#define ICR_INIT_OFF   0x8500u
#define ICR_SIPI       0x600u
#define ICR_LOGICAL    0x800u
#define ICR_TO_OTHERS  0xc0000u
#define OTHER          1u
#define VECTOR         0x51u
#define CPUS           2u
#define PATIENCE       2000000u /* PAUSEs */
#define SPIN_MAX       4000u
#define VECTORS_AT     0x5100u /* what the vectors of real mode point to */
#define IVT_ENTRIES    256u
#define IVT_EXCEPTIONS 16u

/* apic.S, hostdev.S */
extern const u8 ap_code[], ap_code_end[], real_code[], real_code_end[];
extern const u8 real_vectors[], real_vectors_end[], real_nmi[], real_interrupt[], real_exception[];
extern u8 ap_stacks[CPUS][GUEST_PAGE];
u8 ap_stacks[CPUS][GUEST_PAGE] __attribute__((aligned(4096)));
NORETURN void ap_main(u32 cpu);

/* At 5000h, where real mode reaches it; hostdev.S. */
static struct real_counts {
	u32 starts, rounds, nmis, interrupts, exceptions;
} *const real = (void *)0x5000;

/* Pages that a SIPI may start. */
static const u8 pages[] = {0x08, 0x09, 0x40, 0x9e};
static u32 starts, rounds;
static volatile u8 *nowhere = (volatile u8 *)BARS_END - GUEST_PAGE;

/* What is interrupted by INIT: exits of several kinds, sleep, and plain code. */
void ap_main(UNUSED u32 cpu)
{
	u64 own = rdtsc();

	apic_on();
	__atomic_fetch_add(&starts, 1, __ATOMIC_RELEASE);
	for (;;) {
		__atomic_fetch_add(&rounds, 1, __ATOMIC_RELAXED);
		switch (random_next(&own) >> 40 & 7) {
		case 0:
			(void)cpuid(0, 0);
			break;
		case 1:
			(void)inb(PORT_NOBODY);
			break;
		case 2:
			(void)*nowhere;
			break;
		case 3:
			/* Memory that may not be there yet. */
			*(volatile u8 *)(uintptr_t)(MESS_DATA + (random_next(&own) & 0x3fffff)) = 1;
			break;
		case 4:
			wrmsr(X2APIC_ICR, VECTOR);
			break;
		case 5:
			/* Its timer, and sleep until that or something else. */
			wrmsr(X2APIC_TIMER, VECTOR);
			wrmsr(X2APIC_COUNT, 1000);
			__asm__ volatile("sti; hlt; cli" ::: "memory");
			break;
		default:
			for (u32 i = 0; i < 100; i++)
				cpu_pause();
		}
	}
}

static void place(const u8 *code, const u8 *end)
{
	for (u32 i = 0; i < ARRAY_SIZE(pages); i++)
		memcpy((void *)(uintptr_t)(pages[i] * GUEST_PAGE), code, (size_t)(end - code));
}

static u32 ivt_entry(const u8 *handler)
{
	return VECTORS_AT >> 4 << 16 | (u32)(handler - real_vectors);
}

static void place_real(void)
{
	volatile u32 *ivt = (volatile u32 *)NULL;

	for (u32 i = 0; i < IVT_ENTRIES; i++) {
		const u8 *to = i == TRAP_NMI        ? real_nmi
			       : i < IVT_EXCEPTIONS ? real_exception
						    : real_interrupt;

		ivt[i] = ivt_entry(to);
	}
	memcpy((void *)(uintptr_t)VECTORS_AT, real_vectors,
	       (size_t)(real_vectors_end - real_vectors));
	place(real_code, real_code_end);
}

static void icr(u32 dest, u32 low)
{
	wrmsr(X2APIC_ICR, (u64)dest << 32 | low);
}

static u32 sipi(void)
{
	return ICR_SIPI | pages[pick(ARRAY_SIZE(pages))];
}

/* To the other alone, in one of the ways there are. */
static void to_other(u32 low)
{
	switch (pick(4)) {
	case 0:
		icr(0, low | ICR_TO_OTHERS);
		break;
	case 1:
		/* Of the first cluster; it has this id while its x2APIC is on. */
		icr(1u << OTHER, low | ICR_LOGICAL);
		break;
	default:
		icr(OTHER, low);
	}
}

static void wait_a_little(void)
{
	for (u32 i = one_in(2) ? 0 : pick(SPIN_MAX); i > 0; i--)
		cpu_pause();
}

static void operate(bool nmi)
{
	switch (pick(16)) {
	case 0:
		to_other(ICR_LOWEST | VECTOR);
		break;
	case 1:
		to_other(ICR_SMI);
		break;
	case 2:
		to_other(ICR_INIT_OFF);
		break;
	case 3:
		/* Who is not there, or a vector that cannot be. */
		icr(CPUS + pick(1000), pick(2) ? sipi() : ICR_INIT | pick(256));
		icr(OTHER, pick(16));
		break;
	case 4:
	case 5:
		if (nmi)
			to_other(ICR_NMI);
		break;
	case 6:
	case 7:
		to_other(VECTOR + pick(16));
		break;
	case 8:
	case 9:
		to_other(sipi());
		break;
	case 10:
		to_other(ICR_INIT);
		break;
	default:
		to_other(ICR_INIT);
		wait_a_little();
		to_other(sipi());
		wait_a_little();
	}
}

/* It may sleep: a message now and then ends that. */
static bool more_than(const u32 *word, u32 before)
{
	for (u32 i = 0; i < PATIENCE; i++) {
		if (i % SPIN_MAX == 0)
			icr(OTHER, VECTOR);
		if (__atomic_load_n(word, __ATOMIC_ACQUIRE) != before)
			return true;
		cpu_pause();
	}
	return false;
}

/* As operating systems do it. */
static bool starts_again(const u32 *count)
{
	u32 before;

	icr(OTHER, ICR_INIT);
	/* It may still be on its way. */
	for (u32 i = 0; i < SPIN_MAX * 10; i++)
		cpu_pause();
	before = __atomic_load_n(count, __ATOMIC_ACQUIRE);
	icr(OTHER, sipi());
	return more_than(count, before);
}

static bool runs_on(const u32 *runs)
{
	return more_than(runs, __atomic_load_n(runs, __ATOMIC_ACQUIRE));
}

static void storm(u32 count, const u32 *begun, const u32 *runs, bool nmi)
{
	u32 told = 0, dead = 0, idle = 0;

	for (u32 done = 0; done < count; done++) {
		progress(&told, done);
		if (done % 1024 == 0) {
			dead += !starts_again(begun);
			idle += !runs_on(runs);
		}
		operate(nmi);
	}
	check_eq("starts-in-between", dead, 0);
	check_eq("runs-in-between", idle, 0);
	check("starts-at-the-end", starts_again(begun));
	check("runs-at-the-end", runs_on(runs));
	icr(OTHER, ICR_INIT);
}

void hostile_init(u32 count)
{
	print("hostdev: init\n");
	take_interrupts();
	place(ap_code, ap_code_end);
	storm(count / 2, &starts, &rounds, false);
	print("hostdev: init, long mode: %u starts, %u rounds, %u interrupts here\n", starts,
	      rounds, interrupts);
	place_real();
	storm(count - count / 2, &real->starts, &real->rounds, true);
	print("hostdev: init, real mode: %u starts, %u rounds, %u NMIs, %u interrupts\n",
	      real->starts, real->rounds, real->nmis, real->interrupts);
	check_eq("no-exceptions", real->exceptions, 0);
	check("nmis-come", real->nmis > 0);
}
