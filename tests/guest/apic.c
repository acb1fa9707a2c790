/* SPDX-License-Identifier: MIT */
/*
 * What a CPU with a local APIC does, in xAPIC and in x2APIC mode, and the old chips of a PC beside it: 8259
 * pair, 8254, I/O APIC. SDM vol. 3A chapter 11. With "storm": floods of NMIs and IPIs. Interrupts are off
 * but where a check waits for one; what the handlers see is looked at when they are done.
 */
#include "cpu.h"
#include "guest.h"

const char guest_name[] = "apic";

#define UNUSED __attribute__((unused))

/* Registers: offsets in the page; SDM vol. 3A tables 11-1 and 11-6. */
#define APIC_PAGE      0xfee00000ul
#define APIC_ID        0x020u
#define APIC_VERSION   0x030u
#define APIC_TPR       0x080u
#define APIC_APR       0x090u
#define APIC_PPR       0x0a0u
#define APIC_EOI       0x0b0u
#define APIC_RRD       0x0c0u
#define APIC_LDR       0x0d0u
#define APIC_DFR       0x0e0u
#define APIC_SVR       0x0f0u
#define APIC_ISR       0x100u
#define APIC_TMR       0x180u
#define APIC_IRR       0x200u
#define APIC_ESR       0x280u
#define APIC_ICR       0x300u
#define APIC_ICR_HIGH  0x310u
#define APIC_LVT_TIMER 0x320u
#define APIC_LVT_LINT0 0x350u
#define APIC_LVT_ERROR 0x370u
#define APIC_INITIAL   0x380u
#define APIC_CURRENT   0x390u
#define APIC_DIVIDE    0x3e0u
#define APIC_SELF      0x3f0u

#define SVR_ON         0x100u
#define ICR_LOWEST     0x100u
#define ICR_NMI        0x400u
#define ICR_INIT       0xc500u
#define ICR_INIT_OFF   0x8500u
#define ICR_SIPI       0x600u
#define ICR_LOGICAL    0x800u
#define ICR_PENDING    0x1000u
#define ICR_TO_SELF    0x40000u
#define ICR_TO_ALL     0x80000u
#define ICR_TO_OTHERS  0xc0000u
#define LVT_MASKED     0x10000u
#define LVT_PERIODIC   0x20000u
#define LVT_DEADLINE   0x40000u
#define LVT_EXTINT     0x700u
#define DIVIDE_BY_1    0xbu
#define ESR_SEND       0x20u
#define BASE_X2APIC    0x400ul
#define BASE_ON        0x800ul
#define MSR_DEADLINE   0x6e0u
#define MSR_X2         0x800u
#define CPUID_C_X2APIC (1u << 21)
#define CPUID_C_TSC_DL (1u << 24)
#define CPUID_D_APIC   (1u << 9)

/* 8259 pair, 8254, port 61h, 16550, I/O APIC. */
#define PIC1        0x20u
#define PIC2        0xa0u
#define ELCR        0x4d0u
#define PIT         0x40u
#define PIT_CONTROL 0x43u
#define PIT_KHZ     1193u
#define PORT61      0x61u
#define UART_IER    (PORT_COM1 + 1u)
#define UART_IIR    (PORT_COM1 + 2u)
#define UART_MCR    (PORT_COM1 + 4u)
#define UART_LSR    (PORT_COM1 + 5u)
#define IOAPIC      0xfec00000ul
#define RTE_IRR     (1ull << 14)
#define RTE_LEVEL   (1ull << 15)
#define RTE_MASKED  (1ull << 16)

/* Vectors. Not 81h: it is the library's. */
#define V_PIC      0x20u
#define V_TIMER    0x91u
#define V_PIT      0xa1u
#define V_UART     0xa2u
#define V_CALL     0xb1u
#define V_PING     0xb2u
#define V_PONG     0xb3u
#define V_WATCH    0xb4u
#define V_SPURIOUS 0xffu

#define CPUS_MAX   8u
#define START_PAGE 8u
#define PATIENCE   10000u /* ms */
#define PINGS      10000u
#define STORM      100000u

/* apic.S */
extern const u8 ap_code[], ap_code_end[];
extern u8 ap_stacks[CPUS_MAX][GUEST_PAGE];
u8 ap_stacks[CPUS_MAX][GUEST_PAGE] __attribute__((aligned(4096)));
NORETURN void ap_main(u32 cpu);

static bool x2; /* which mode; the same on all CPUs */
static u64 tsc_ms, timer_ms;
static u32 cpus = 1, self_id;

/* --- the two ways to the registers --- */

static u32 apic_read(u32 reg)
{
	return x2 ? (u32)rdmsr(MSR_X2 + (reg >> 4)) : *(volatile u32 *)(APIC_PAGE + reg);
}

static void apic_write(u32 reg, u32 value)
{
	if (x2)
		wrmsr(MSR_X2 + (reg >> 4), value);
	else
		*(volatile u32 *)(APIC_PAGE + reg) = value;
}

static void send(u32 dest, u32 low)
{
	if (x2) {
		wrmsr(MSR_X2 + (APIC_ICR >> 4), (u64)dest << 32 | low);
		return;
	}
	apic_write(APIC_ICR_HIGH, dest << 24);
	apic_write(APIC_ICR, low);
	for (u32 i = 0; i < 1000000 && (apic_read(APIC_ICR) & ICR_PENDING) != 0; i++)
		cpu_pause();
}

static bool vector_bit(u32 base, u32 vector)
{
	return (apic_read(base + (vector >> 5) * 0x10) >> (vector & 31) & 1) != 0;
}

static bool all_clear(u32 base)
{
	u32 bits = 0;

	for (u32 i = 0; i < 8; i++)
		bits |= apic_read(base + i * 0x10);
	return bits == 0;
}

static u32 logical_id(u32 cpu)
{
	return 1u << cpu; /* flat, and the first cluster of x2APIC ids */
}

/* --- names of both modes' checks --- */

static const char *in_mode(const char *name)
{
	static char text[80];
	const char *parts[2] = {x2 ? "x2apic-" : "xapic-", name};
	u32 n = 0;

	for (u32 i = 0; i < 2; i++) {
		for (const char *p = parts[i]; *p && n + 1 < sizeof(text); p++)
			text[n++] = *p;
	}
	text[n] = '\0';
	return text;
}

static void both_eq(const char *name, u64 got, u64 want)
{
	check_eq(in_mode(name), got, want);
}

static void both(const char *name, bool good)
{
	check(in_mode(name), good);
}

/* --- interrupts --- */

static u32 hits[CPUS_MAX][256], nmis[CPUS_MAX], nmi_depth[CPUS_MAX];
static u64 stamps[256]; /* TSC when it came last */
static void (*handlers[256])(u32 cpu);
static u8 order[16];
static u32 order_count, nmi_again;
static bool nmi_nested;
static unsigned long hlt_at, came_at;

static void note(u32 what)
{
	if (order_count < sizeof(order))
		order[order_count++] = (u8)what;
}

static void spin(u64 ticks)
{
	u64 start = rdtsc();

	while (rdtsc() - start < ticks)
		cpu_pause();
}

static void on_nmi(u32 cpu)
{
	if (nmi_depth[cpu]++ != 0)
		nmi_nested = true;
	__atomic_fetch_add(&nmis[cpu], 1, __ATOMIC_RELEASE);
	if (nmi_again != 0 && cpu == 0) {
		nmi_again--;
		send(self_id, ICR_NMI);
		send(self_id, ICR_NMI);
		spin(tsc_ms / 2);
	}
	nmi_depth[cpu]--;
}

static bool on_interrupt(struct trap_frame *frame)
{
	u64 offset = (u64)((u8 *)frame - &ap_stacks[0][0]);
	u32 cpu = offset < sizeof(ap_stacks) ? (u32)(offset / GUEST_PAGE) : 0;
	u32 v = (u32)frame->vector;

	if (v == TRAP_NMI) {
		on_nmi(cpu);
		return true;
	}
	if (v < 32)
		return false;
	if (cpu == 0) {
		stamps[v] = rdtsc();
		note(v);
		came_at = frame->ip;
		/* It came between STI and HLT: that HLT would be the last. */
		if (hlt_at != 0 && frame->ip == hlt_at)
			frame->ip++;
	}
	__atomic_fetch_add(&hits[cpu][v], 1, __ATOMIC_RELEASE);
	if (handlers[v] != NULL)
		handlers[v](cpu);
	if (v >= V_PIC && v < V_PIC + 16) {
		if (v >= V_PIC + 8)
			outb(PIC2, 0x20);
		outb(PIC1, 0x20);
	} else if (v != V_SPURIOUS) {
		apic_write(APIC_EOI, 0);
	}
	return true;
}

static void clear_hits(void)
{
	memset(hits, 0, sizeof(hits));
	memset(nmis, 0, sizeof(nmis));
	order_count = 0;
}

static bool comes_to(const u32 *word, u32 want)
{
	u64 start = rdtsc();

	while (__atomic_load_n(word, __ATOMIC_ACQUIRE) < want) {
		if (rdtsc() - start > PATIENCE * tsc_ms)
			return false;
		cpu_pause();
	}
	return true;
}

/* Lets interrupts in until that vector has come so often. */
static bool wait_hits(u32 vector, u32 want)
{
	bool good;

	__asm__ volatile("sti" ::: "memory");
	good = comes_to(&hits[0][vector], want);
	__asm__ volatile("cli" ::: "memory");
	return good;
}

/* Lets interrupts in for a while, in which nothing should come. */
static void quiet(u32 ms)
{
	__asm__ volatile("sti" ::: "memory");
	spin(ms * tsc_ms);
	__asm__ volatile("cli" ::: "memory");
}

static bool irr_comes(u32 vector)
{
	u64 start = rdtsc();

	while (!vector_bit(APIC_IRR, vector)) {
		if (rdtsc() - start > PATIENCE * tsc_ms)
			return false;
		cpu_pause();
	}
	return true;
}

/* What came, against a text of vectors that ends with 0. */
static bool order_is(const u8 *want)
{
	u32 n = 0;

	while (want[n] != 0)
		n++;
	return order_count == n && memcmp(order, want, n) == 0;
}

/* --- time --- */

/* Channel 2, of mode 0: from 65535 down; its output tells when it has passed zero. */
static void pit2_start(u32 count)
{
	outb(PORT61, (u8)((inb(PORT61) & ~3u) | 1));
	outb(PIT_CONTROL, 0xb0);
	outb(PIT + 2, (u8)count);
	outb(PIT + 2, (u8)(count >> 8));
}

static void measure_tsc(void)
{
	tsc_ms = ~0ull;
	for (u32 i = 0; i < 3; i++) {
		u64 start, ms;
		u32 polls = 0;

		pit2_start(10 * PIT_KHZ);
		start = rdtsc();
		while (!(inb(PORT61) & 0x20) && polls < 100000000)
			polls++;
		ms = (rdtsc() - start) / 10;
		tsc_ms = ms < tsc_ms ? ms : tsc_ms;
	}
	check("tsc-counts-by-the-8254", tsc_ms > 1000);
}

static void timer_mode(u32 lvt, u32 divide)
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

/* Lets interrupts in until that vector came so often. Returns how many of its periods passed unseen. */
static u32 count_ticks(u32 vector, u32 want, u64 period)
{
	u64 start = rdtsc(), last = start, now = start;
	u32 missed = 0;

	__asm__ volatile("sti" ::: "memory");
	while (__atomic_load_n(&hits[0][vector], __ATOMIC_ACQUIRE) < want &&
	       now - start < PATIENCE * tsc_ms) {
		now = rdtsc();
		missed += (u32)((now - last) / period);
		last = now;
		cpu_pause();
	}
	__asm__ volatile("cli" ::: "memory");
	return missed;
}

/* --- one CPU, both modes --- */

static void enable(u32 cpu)
{
	apic_write(APIC_SVR, SVR_ON | V_SPURIOUS);
	if (!x2) {
		apic_write(APIC_DFR, ~0u);
		apic_write(APIC_LDR, logical_id(cpu) << 24);
	}
	apic_write(APIC_TPR, 0);
}

static void check_registers(void)
{
	u32 version = apic_read(APIC_VERSION);

	both("version-is-integrated", (version & 0xff) >= 0x10 && (version & 0xff) <= 0x15);
	both("lvt-entries", (version >> 16 & 0xff) >= 3);
	both_eq("id", x2 ? apic_read(APIC_ID) : apic_read(APIC_ID) >> 24, self_id);
	enable(0);
	both_eq("svr-reads-back", apic_read(APIC_SVR), SVR_ON | V_SPURIOUS);
	both_eq("tpr-is-clear", apic_read(APIC_TPR), 0);
	both_eq("ldr", apic_read(APIC_LDR), x2 ? logical_id(0) : logical_id(0) << 24);
	apic_write(APIC_LVT_TIMER, LVT_MASKED | LVT_PERIODIC | 0x44);
	both_eq("lvt-reads-back", apic_read(APIC_LVT_TIMER), LVT_MASKED | LVT_PERIODIC | 0x44);
	both("nothing-in-service", all_clear(APIC_ISR) && all_clear(APIC_IRR));
}

static void write_cr8(u64 value)
{
	__asm__ volatile("mov %0, %%cr8" ::"r"(value) : "memory");
}

static u64 read_cr8(void)
{
	u64 value;

	__asm__ volatile("mov %%cr8, %0" : "=r"(value)::"memory");
	return value;
}

static void check_self_ipi(void)
{
	clear_hits();
	send(self_id, 0x41);
	both("ipi-to-the-own-id", wait_hits(0x41, 1));
	send(0, ICR_TO_SELF | 0x41);
	both("ipi-to-self", wait_hits(0x41, 2));
	both_eq("icr-low-reads-back", apic_read(APIC_ICR), ICR_TO_SELF | 0x41);
	send(0, ICR_TO_SELF | 0x41);
	send(0, ICR_TO_SELF | 0x41);
	both("irr-of-an-ipi", irr_comes(0x41));
	both_eq("cli-holds-it-back", hits[0][0x41], 2);
	quiet(1);
	both_eq("two-become-one", hits[0][0x41], 3);
	both("eoi-ends-service", all_clear(APIC_ISR) && all_clear(APIC_IRR));
}

static void check_errors(void)
{
	if (on_tcg) {
		skip_check(in_mode("esr"), "TCG delivers such vectors");
		return;
	}
	apic_write(APIC_ESR, 0);
	send(0, ICR_TO_SELF | 5);
	apic_write(APIC_ESR, 0);
	both_eq("esr-illegal-vector", apic_read(APIC_ESR) & ESR_SEND, ESR_SEND);
	apic_write(APIC_ESR, 0);
	apic_write(APIC_ESR, 0);
	both_eq("esr-forgets", apic_read(APIC_ESR), 0);
}

static void check_priority(void)
{
	clear_hits();
	apic_write(APIC_TPR, 0x50);
	both_eq("cr8-follows-tpr", read_cr8(), 5);
	both_eq("ppr-follows-tpr", apic_read(APIC_PPR), 0x50);
	write_cr8(6);
	both_eq("tpr-follows-cr8", apic_read(APIC_TPR), 0x60);
	for (u32 way = 0; way < 2; way++) {
		clear_hits();
		write_cr8(5);
		send(self_id, 0x51);
		both("tpr-leaves-irr", irr_comes(0x51));
		send(self_id, 0x61);
		both("above-tpr-comes", wait_hits(0x61, 1));
		quiet(1);
		both_eq("below-tpr-waits", hits[0][0x51], 0);
		if (way == 0)
			write_cr8(4);
		else
			apic_write(APIC_TPR, 0x4f);
		both(way == 0 ? "cr8-lets-it-come" : "tpr-lets-it-come", wait_hits(0x51, 1));
	}
	both_eq("tpr-keeps-its-low-half", apic_read(APIC_TPR), 0x4f);
	write_cr8(15);
	send(self_id, 0xf1);
	quiet(1);
	both_eq("tpr-15-blocks-all", hits[0][0xf1], 0);
	write_cr8(0);
	both("tpr-0-blocks-none", wait_hits(0xf1, 1));
}

static u32 nest_bad;

static void on_low(UNUSED u32 cpu)
{
	nest_bad |= !vector_bit(APIC_ISR, 0x41) || vector_bit(APIC_IRR, 0x41);
	nest_bad |= (u32)(apic_read(APIC_PPR) != 0x40) << 1;
	send(self_id, 0x42);
	send(self_id, 0x31);
	send(self_id, 0x61);
	nest_bad |= (u32)!wait_hits(0x61, 1) << 2;
	note(1);
	nest_bad |= (u32)(vector_bit(APIC_ISR, 0x61) || !vector_bit(APIC_ISR, 0x41)) << 3;
	nest_bad |= (u32)(apic_read(APIC_PPR) != 0x40) << 4;
}

static void on_high(UNUSED u32 cpu)
{
	nest_bad |= (u32)(!vector_bit(APIC_ISR, 0x41) || !vector_bit(APIC_ISR, 0x61)) << 5;
	nest_bad |= (u32)(!vector_bit(APIC_IRR, 0x42) || !vector_bit(APIC_IRR, 0x31)) << 6;
	nest_bad |= (u32)(apic_read(APIC_PPR) != 0x60) << 7;
}

static void check_nesting(void)
{
	clear_hits();
	nest_bad = 0;
	handlers[0x41] = on_low;
	handlers[0x61] = on_high;
	send(self_id, 0x41);
	both("nested-all-come", wait_hits(0x31, 1));
	handlers[0x41] = handlers[0x61] = NULL;
	both_eq("nested-isr-irr-ppr", nest_bad, 0);
	both("nested-order", order_is((const u8[]){0x41, 0x61, 1, 0x42, 0x31, 0}));
	both("nested-none-left", all_clear(APIC_ISR) && all_clear(APIC_IRR));
	clear_hits();
	for (u32 v = 0x31; v < 0xff; v += 0x20)
		send(self_id, v);
	send(self_id, 0x52);
	send(self_id, 0x32);
	both("several-at-once-all-come", wait_hits(0x31, 1));
	both("several-at-once-highest-first",
	     order_is((const u8[]){0xf1, 0xd1, 0xb1, 0x91, 0x71, 0x52, 0x51, 0x32, 0x31, 0}));
}

static void check_software_disable(void)
{
	clear_hits();
	apic_write(APIC_LVT_TIMER, V_TIMER);
	apic_write(APIC_SVR, V_SPURIOUS);
	if (on_tcg)
		skip_check(in_mode("disabled-lvt-is-masked"), "TCG is known to fail");
	else
		both_eq("disabled-lvt-is-masked", apic_read(APIC_LVT_TIMER), LVT_MASKED | V_TIMER);
	send(self_id, 0x41);
	quiet(1);
	both_eq("disabled-takes-nothing", hits[0][0x41], 0);
	send(self_id, ICR_NMI);
	both("disabled-takes-nmi", comes_to(&nmis[0], 1));
	enable(0);
	quiet(1);
	if (!on_tcg)
		both_eq("disabled-forgets", hits[0][0x41], 0);
	clear_hits();
	send(self_id, 0x41);
	both("enabled-again", wait_hits(0x41, 1));
}

static void check_nmi(void)
{
	clear_hits();
	nmi_nested = false;
	write_cr8(15);
	send(self_id, ICR_NMI);
	both("nmi-with-interrupts-off", comes_to(&nmis[0], 1));
	write_cr8(0);
	nmi_again = 1;
	send(self_id, ICR_NMI);
	both("nmi-after-iret", comes_to(&nmis[0], 3));
	spin(tsc_ms);
	both_eq("nmi-latches-one", nmis[0], 3);
	both("nmi-is-blocked-in-its-handler", !nmi_nested);
	if (!cmdline_has("storm"))
		return;
	clear_hits();
	for (u32 i = 0; i < STORM; i++) {
		send(self_id, ICR_NMI);
		if (!comes_to(&nmis[0], i + 1))
			break;
	}
	both_eq("nmi-storm", nmis[0], STORM);
}

/* --- the timer --- */

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

static void check_one_mode(void)
{
	check_registers();
	check_self_ipi();
	check_errors();
	check_priority();
	check_nesting();
	check_software_disable();
	check_nmi();
	measure_timer();
	check_one_shot();
	check_periodic();
	check_deadline();
	check_hlt();
}

/* --- IA32_APIC_BASE, x2APIC --- */

static void check_reset_state(const char *when)
{
	u32 lvt = 0;

	for (u32 reg = APIC_LVT_TIMER; reg <= APIC_LVT_ERROR; reg += 0x10)
		lvt |= (u32)(apic_read(reg) != LVT_MASKED && reg != APIC_LVT_LINT0);
	check(when, apic_read(APIC_SVR) == 0xff && apic_read(APIC_TPR) == 0 &&
			    apic_read(APIC_ID) >> 24 == self_id && lvt == 0 &&
			    apic_read(APIC_LDR) == 0 && apic_read(APIC_DFR) == ~0u);
}

static void check_off_and_on(void)
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

static void check_x2apic(void)
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

/* --- the old chips --- */

static u32 pic_isr;

static void on_pic_timer(UNUSED u32 cpu)
{
	outb(PIC1, 0x0b);
	pic_isr |= inb(PIC1);
	outb(PIC1, 0x0a);
}

static void pit_periodic(void)
{
	outb(PIT_CONTROL, 0x34);
	outb(PIT, (u8)PIT_KHZ);
	outb(PIT, (u8)(PIT_KHZ >> 8));
}

/* Ticks of channel 0 against the count of channel 2. */
static void count_pit(const char *comes, const char *as_often, u32 vector)
{
	u32 missed, status, elapsed, ticks;
	u64 start = rdtsc();

	clear_hits();
	pit2_start(0xffff);
	pit_periodic();
	missed = count_ticks(vector, 40, tsc_ms);
	ticks = hits[0][vector];
	outb(PIT_CONTROL, 0xc8); /* status and count of channel 2 */
	status = inb(PIT + 2);
	elapsed = inb(PIT + 2);
	elapsed =
		0xffff - (elapsed | (u32)inb(PIT + 2) << 8) + ((status & 0x80) != 0 ? 0x10000 : 0);
	outb(PIT_CONTROL, 0x30); /* it waits for a count */
	check(comes, ticks >= 40);
	if (rdtsc() - start > 100 * tsc_ms) {
		skip_check(as_often, "this machine stood still");
		return;
	}
	check(as_often, ticks * PIT_KHZ <= elapsed + PIT_KHZ &&
				(on_tcg || (ticks + missed + 2) * PIT_KHZ >= elapsed / 4 * 3));
}

static void check_pic(void)
{
	u64 start = rdtsc();
	u32 irr = 0;

	/* As Linux does. */
	outb(PIC2 + 1, 0xff);
	outb(PIC1 + 1, 0xfb);
	check_eq("8259-mask-reads-back", inb(PIC1 + 1), 0xfb);
	outb(PIC1 + 1, 0xff);
	outb(PIC1, 0x11);
	outb(PIC1 + 1, V_PIC);
	outb(PIC1 + 1, 4);
	outb(PIC1 + 1, 1);
	outb(PIC2, 0x11);
	outb(PIC2 + 1, V_PIC + 8);
	outb(PIC2 + 1, 2);
	outb(PIC2 + 1, 1);
	outb(PIC1 + 1, 0xff);
	outb(PIC2 + 1, 0xff);
	check_eq("8259-masks", (u32)inb(PIC1 + 1) << 8 | inb(PIC2 + 1), 0xffff);
	outb(PIC1, 0x0b);
	check_eq("8259-none-in-service", inb(PIC1), 0);
	outb(PIC1, 0x0a);
	clear_hits();
	apic_write(APIC_LVT_LINT0, LVT_EXTINT);
	pit_periodic();
	while (irr == 0 && rdtsc() - start < PATIENCE * tsc_ms)
		irr = inb(PIC1) & 1;
	check_eq("8259-irr", irr, 1);
	quiet(2);
	check_eq("8259-masked", hits[0][V_PIC], 0);
	handlers[V_PIC] = on_pic_timer;
	outb(PIC1 + 1, 0xfe);
	count_pit("8254-by-8259", "8254-by-8259-as-often", V_PIC);
	check_eq("8259-isr", pic_isr, 1);
	outb(PIC1 + 1, 0xff);
	handlers[V_PIC] = NULL;
	outb(PIC1 + 1, 0xfe);
	apic_write(APIC_LVT_LINT0, LVT_EXTINT | LVT_MASKED);
	clear_hits();
	pit_periodic();
	quiet(3);
	check_eq("lint0-masked", hits[0][V_PIC], 0);
	outb(PIC1 + 1, 0xff);
	outb(PIT_CONTROL, 0x30);
}

static void check_elcr(void)
{
	u32 was = inw(ELCR);

	outb(ELCR, 0xff);
	outb(ELCR + 1, 0xff);
	check_eq("elcr-writable-bits", (u32)inb(ELCR) | (u32)inb(ELCR + 1) << 8, 0xdef8);
	outb(ELCR, 0);
	outb(ELCR + 1, 0);
	check_eq("elcr-clear", (u32)inb(ELCR) | (u32)inb(ELCR + 1) << 8, 0);
	outb(ELCR, (u8)was);
	outb(ELCR + 1, (u8)(was >> 8));
}

static u32 ioapic_read(u32 reg)
{
	*(volatile u32 *)IOAPIC = reg;
	return *(volatile u32 *)(IOAPIC + 0x10);
}

static void ioapic_pin(u32 pin, u64 entry)
{
	*(volatile u32 *)IOAPIC = 0x11 + 2 * pin;
	*(volatile u32 *)(IOAPIC + 0x10) = (u32)(entry >> 32);
	*(volatile u32 *)IOAPIC = 0x10 + 2 * pin;
	*(volatile u32 *)(IOAPIC + 0x10) = (u32)entry;
}

static u32 uart_iir, uart_rte, uart_tmr;

/* The first two times nobody asks the chip why. */
static void on_uart(UNUSED u32 cpu)
{
	uart_rte |= ioapic_read(0x10 + 2 * 4);
	uart_tmr |= vector_bit(APIC_TMR, V_UART);
	if (hits[0][V_UART] >= 3)
		uart_iir = inb(UART_IIR);
}

static void check_ioapic(void)
{
	u32 version = ioapic_read(1);

	check_eq("ioapic-pins", version >> 16 & 0xff, 23);
	ioapic_pin(2, (u64)self_id << 56 | V_PIT);
	check_eq("ioapic-entry-reads-back", ioapic_read(0x14), V_PIT);
	count_pit("8254-by-ioapic", "8254-by-ioapic-as-often", V_PIT);
	check("edge-is-not-in-tmr", !vector_bit(APIC_TMR, V_PIT));
	ioapic_pin(2, RTE_MASKED | V_PIT);
	clear_hits();
	pit_periodic();
	quiet(3);
	check_eq("ioapic-masked", hits[0][V_PIT], 0);
	outb(PIT_CONTROL, 0x30);

	handlers[V_UART] = on_uart;
	while ((inb(UART_LSR) & 0x60) != 0x60)
		cpu_pause();
	outb(UART_MCR, 0x0b);
	ioapic_pin(4, (u64)self_id << 56 | RTE_LEVEL | V_UART);
	quiet(1);
	version = hits[0][V_UART];
	outb(UART_IER, 2);
	wait_hits(V_UART, 3);
	quiet(3);
	version = version << 16 | hits[0][V_UART];
	outb(UART_IER, 0);
	handlers[V_UART] = NULL;
	check_eq("level-comes-until-it-is-deasserted", version, 3);
	check_eq("level-iir", uart_iir & 0xf, 2);
	check_eq("level-in-tmr", uart_tmr, 1);
	check_eq("level-remote-irr", uart_rte & RTE_IRR, RTE_IRR);
	check_eq("level-remote-irr-is-over", ioapic_read(0x10 + 2 * 4) & RTE_IRR, 0);
	ioapic_pin(4, RTE_MASKED);
}

/* --- several CPUs --- */

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

static void check_messages(void)
{
	u32 others = (1u << cpus) - 2, sum, rounds = 0;

	for (u32 i = 1; i < cpus; i++) {
		clear_hits();
		send(i, 0x41);
		both("ipi-to-another", comes_to(&hits[i][0x41], 1));
		spin(tsc_ms);
		sum = 0;
		for (u32 k = 0; k < cpus; k++)
			sum += hits[k][0x41];
		both_eq("ipi-to-another-alone", sum, 1);
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
	clear_hits();
	for (u32 i = 0; i < 20; i++) {
		send(others | 1, ICR_LOGICAL | ICR_LOWEST | 0x41);
		quiet(1);
		sum = 0;
		for (u32 k = 0; k < cpus; k++)
			sum += __atomic_load_n(&hits[k][0x41], __ATOMIC_ACQUIRE);
		rounds += sum <= i + 1;
	}
	both_eq("lowest-priority-not-to-two", rounds, 20);
	for (u64 start = rdtsc(); sum < 20 && rdtsc() - start < PATIENCE * tsc_ms;) {
		quiet(1);
		sum = 0;
		for (u32 k = 0; k < cpus; k++)
			sum += __atomic_load_n(&hits[k][0x41], __ATOMIC_ACQUIRE);
	}
	both_eq("lowest-priority-to-one", sum, 20);
}

static void run_for_ever(UNUSED u32 cpu)
{
	for (;;)
		__atomic_fetch_add(&spins, 1, __ATOMIC_RELAXED);
}

static void check_init(void)
{
	u32 before = starts[1], at;

	spins = 0;
	call(1, run_for_ever);
	both("runs", comes_to(&spins, 100));
	send(1, ICR_SIPI | START_PAGE);
	spin(2 * tsc_ms);
	both_eq("sipi-without-init", starts[1], before);
	send(1, ICR_INIT);
	spin(10 * tsc_ms);
	at = __atomic_load_n(&spins, __ATOMIC_RELAXED);
	spin(10 * tsc_ms);
	both_eq("init-stops-it", __atomic_load_n(&spins, __ATOMIC_RELAXED), at);
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

static void check_cpus(void)
{
	check_messages();
	check_init();
	check_ping_pong();
	if (cmdline_has("storm"))
		check_storm();
}

static void to_x2apic(UNUSED u32 cpu)
{
	wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | BASE_X2APIC);
}

void guest_main(void)
{
	bool has_x2 = (cpuid(1, 0).c & CPUID_C_X2APIC) != 0;
	u32 moved = 0;

	self_id = cpuid(1, 0).b >> 24;
	trap_hook = on_interrupt;
	outb(PIC1 + 1, 0xff);
	outb(PIC2 + 1, 0xff);
	measure_tsc();
	if (on_tern)
		check_reset_state("after-reset");
	check_one_mode();
	if (on_tern)
		check_off_and_on();
	check_pic();
	check_elcr();
	check_ioapic();
	check_x2apic();
	find_cpus();
	if (cpus < 2)
		return;
	check_cpus();
	if (!has_x2)
		return;
	for (u32 i = 1; i < cpus; i++)
		moved += call_and_wait(i, to_x2apic);
	check_eq("all-go-to-x2apic", moved, cpus - 1);
	to_x2apic(0);
	x2 = true;
	check_cpus();
}
