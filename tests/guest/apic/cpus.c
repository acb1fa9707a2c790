/* SPDX-License-Identifier: MIT */
/* Several CPUs: started by INIT and SIPI, SDM vol. 3A 8.4.4, and IPIs of all kinds between them. */
#include "apic.h"

#define START_PAGE 8u
#define PINGS      10000u

/* apic.S */
extern const u8 ap_code[], ap_code_end[];
NORETURN void ap_main(u32 cpu);

static u32 cpus = 1;
static u32 starts[CPUS_MAX], ids[CPUS_MAX], calls_done[CPUS_MAX], spins;
static void (*calls[CPUS_MAX])(u32 cpu);

void ap_main(u32 cpu)
{
	u64 base = rdmsr(MSR_APIC_BASE);

	if (x2 && !(base & BASE_X2APIC))
		wrmsr(MSR_APIC_BASE, base | BASE_X2APIC);
	enable(cpu);
	ids[cpu] = x2 ? apic_read(APIC_ID) : apic_read(APIC_ID) >> 24;
	__atomic_fetch_add(&starts[cpu], 1, __ATOMIC_RELEASE);
	for (;;) {
		void (*fn)(u32 cpu);

		__asm__ volatile("cli" ::: "memory");
		fn = __atomic_load_n(&calls[cpu], __ATOMIC_ACQUIRE);
		if (fn != NULL) {
			calls[cpu] = NULL;
			fn(cpu);
			__atomic_fetch_add(&calls_done[cpu], 1, __ATOMIC_RELEASE);
			continue;
		}
		__asm__ volatile("sti; hlt" ::: "memory");
	}
}

static void call(u32 cpu, void (*fn)(u32 cpu))
{
	__atomic_store_n(&calls[cpu], fn, __ATOMIC_RELEASE);
	send(cpu, V_CALL);
}

static bool call_and_wait(u32 cpu, void (*fn)(u32 cpu))
{
	u32 before = __atomic_load_n(&calls_done[cpu], __ATOMIC_ACQUIRE);

	call(cpu, fn);
	return comes_to(&calls_done[cpu], before + 1);
}

static void start_cpu(u32 cpu)
{
	send(cpu, ICR_INIT);
	spin(tsc_ms);
	send(cpu, ICR_INIT_OFF);
	spin(tsc_ms);
	send(cpu, ICR_SIPI | START_PAGE);
	spin(tsc_ms / 4);
	send(cpu, ICR_SIPI | START_PAGE);
}

static void find_cpus(void)
{
	u32 want = cmdline_number("vcpus", cpuid(1, 0).b >> 16 & 0xff);

	memcpy((void *)(uintptr_t)(START_PAGE * GUEST_PAGE), ap_code,
	       (size_t)(ap_code_end - ap_code));
	for (; cpus < want && cpus < CPUS_MAX; cpus++) {
		start_cpu(cpus);
		if (!comes_to(&starts[cpus], 1))
			break;
	}
	check_eq("cpus-that-start", cpus, want == 0 ? 1 : want > CPUS_MAX ? CPUS_MAX : want);
	if (cpus == CPUS_MAX)
		return;
	start_cpu(cpus);
	spin(5 * tsc_ms);
	check_eq("cpu-that-is-not", starts[cpus], 0);
}

/* Hits of a vector: on this CPU, least and most on the others, in one number. */
static u64 spread(u32 vector)
{
	u32 least = ~0u, most = 0;

	for (u32 i = 1; i < cpus; i++) {
		u32 n = __atomic_load_n(&hits[i][vector], __ATOMIC_ACQUIRE);

		least = n < least ? n : least;
		most = n > most ? n : most;
	}
	return (u64)hits[0][vector] << 32 | (u64)least << 16 | most;
}

/* Sends, and lets them arrive. */
static void broadcast(const char *name, u32 dest, u32 low, u64 want)
{
	u64 start = rdtsc();

	clear_hits();
	send(dest, low);
	__asm__ volatile("sti" ::: "memory");
	while (spread(low & 0xff) != want && rdtsc() - start < PATIENCE * tsc_ms)
		cpu_pause();
	spin(tsc_ms);
	__asm__ volatile("cli" ::: "memory");
	both_eq(name, spread(low & 0xff), want);
}

/* On all CPUs. */
static u32 sum_of(u32 vector)
{
	u32 sum = 0;

	for (u32 i = 0; i < cpus; i++)
		sum += __atomic_load_n(&hits[i][vector], __ATOMIC_ACQUIRE);
	return sum;
}

static void check_lowest(void)
{
	u32 i = 0;

	clear_hits();
	for (bool good = true; good && i < 20; i += good) {
		u64 start = rdtsc();

		send((1u << cpus) - 1, ICR_LOGICAL | ICR_LOWEST | 0x41);
		do
			quiet(1);
		while (sum_of(0x41) < i + 1 && rdtsc() - start < PATIENCE * tsc_ms);
		good = sum_of(0x41) == i + 1;
	}
	both_eq("lowest-priority-comes-to-one", i, 20);
}

static void check_messages(void)
{
	u32 others = (1u << cpus) - 2;

	for (u32 i = 1; i < cpus; i++) {
		clear_hits();
		send(i, 0x41);
		both("ipi-to-another", comes_to(&hits[i][0x41], 1));
		spin(tsc_ms);
		both_eq("ipi-to-another-alone", sum_of(0x41), 1);
		clear_hits();
		send(i, ICR_NMI);
		both("nmi-to-another", comes_to(&nmis[i], 1));
		both_eq("nmi-to-another-alone", nmis[0], 0);
	}
	broadcast("to-others", 0, ICR_TO_OTHERS | 0x41, 0x10001);
	broadcast("to-all", 0, ICR_TO_ALL | 0x41, 0x100010001);
	broadcast("to-all-by-id", x2 ? ~0u : 0xff, 0x41, 0x100010001);
	broadcast("logical-others", others, ICR_LOGICAL | 0x41, 0x10001);
	broadcast("logical-all", others | 1, ICR_LOGICAL | 0x41, 0x100010001);
	broadcast("logical-one", 2, ICR_LOGICAL | 0x41, cpus == 2 ? 0x10001 : 1);
}

static void run_for_ever(UNUSED u32 cpu)
{
	for (;;)
		__atomic_fetch_add(&spins, 1, __ATOMIC_RELAXED);
}

/* It may take a while until it runs at all. */
static bool spins_stop(void)
{
	u64 start = rdtsc();
	u32 before, now = __atomic_load_n(&spins, __ATOMIC_RELAXED);

	do {
		before = now;
		spin(20 * tsc_ms);
		now = __atomic_load_n(&spins, __ATOMIC_RELAXED);
	} while (now != before && rdtsc() - start < PATIENCE * tsc_ms);
	return now == before;
}

static void check_init(void)
{
	u32 before = starts[1], at;

	spins = 0;
	call(1, run_for_ever);
	both("runs", comes_to(&spins, 100));
	send(1, ICR_SIPI | START_PAGE);
	/* It has run since. */
	at = __atomic_load_n(&spins, __ATOMIC_RELAXED);
	both("runs-on", comes_to(&spins, at + 1000));
	both_eq("sipi-without-init", starts[1], before);
	send(1, ICR_INIT);
	both("init-stops-it", spins_stop());
	both_eq("init-waits-for-sipi", starts[1], before);
	start_cpu(1);
	both("starts-again", comes_to(&starts[1], before + 1));
	both_eq("starts-with-its-id", ids[1], 1);
	spin(tsc_ms);
	both_eq("starts-once", starts[1], before + 1);
	clear_hits();
	send(1, 0x41);
	both("takes-ipis-again", comes_to(&hits[1][0x41], 1));
}

static void on_ping(UNUSED u32 cpu)
{
	send(0, V_PONG);
}

static void on_pong(UNUSED u32 cpu)
{
	if (hits[0][V_PONG] < PINGS)
		send(1, V_PING);
}

/* Both sleep between two of them. The timer wakes this CPU up should one get lost. */
static void check_ping_pong(void)
{
	u64 start = rdtsc();

	clear_hits();
	handlers[V_PING] = on_ping;
	handlers[V_PONG] = on_pong;
	timer_mode(LVT_PERIODIC | V_WATCH, DIVIDE_BY_1);
	apic_write(APIC_INITIAL, (u32)(50 * timer_ms));
	send(1, V_PING);
	while (hits[0][V_PONG] < PINGS && rdtsc() - start < 6 * PATIENCE * tsc_ms)
		__asm__ volatile("sti; hlt; cli" ::: "memory");
	timer_mode(LVT_MASKED | V_TIMER, DIVIDE_BY_1);
	handlers[V_PING] = handlers[V_PONG] = NULL;
	both_eq("pongs", hits[0][V_PONG], PINGS);
	both_eq("pings", hits[1][V_PING], PINGS);
}

static void storm(u32 cpu)
{
	__asm__ volatile("sti" ::: "memory");
	for (u32 i = 0; i < STORM; i++)
		send((cpu + 1) % cpus, 0x51);
	__asm__ volatile("cli" ::: "memory");
}

static void idle(UNUSED u32 cpu)
{
}

static void check_storm(void)
{
	u32 done[CPUS_MAX], bad = 0;

	clear_hits();
	for (u32 i = 1; i < cpus; i++) {
		done[i] = calls_done[i];
		call(i, storm);
	}
	storm(0);
	for (u32 i = 1; i < cpus; i++)
		bad += !comes_to(&calls_done[i], done[i] + 1);
	quiet(2);
	for (u32 i = 0; i < cpus; i++)
		bad += hits[i][0x51] == 0 || hits[i][0x51] > STORM;
	both_eq("ipi-storm", bad, 0);
	clear_hits();
	for (u32 i = 0; i < STORM; i++)
		send(1, ICR_NMI);
	both("nmi-storm-ends", call_and_wait(1, idle));
	both("nmi-storm-to-another", nmis[1] != 0 && nmis[1] <= STORM);
}

static void check_mode(void)
{
	check_messages();
	check_lowest();
	check_init();
	check_ping_pong();
	if (cmdline_has("storm"))
		check_storm();
}

static void to_x2apic(UNUSED u32 cpu)
{
	wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | BASE_X2APIC);
}

void check_cpus(void)
{
	u32 moved = 0;

	find_cpus();
	if (cpus < 2)
		return;
	check_mode();
	if (!(cpuid(1, 0).c & CPUID_C_X2APIC))
		return;
	for (u32 i = 1; i < cpus; i++)
		moved += call_and_wait(i, to_x2apic);
	check_eq("all-go-to-x2apic", moved, cpus - 1);
	to_x2apic(0);
	x2 = true;
	check_mode();
}
