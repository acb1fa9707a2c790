/* SPDX-License-Identifier: MIT */
/* What all checks of APICs use. */
#include "apic.h"

#define PORT61 0x61u

/* The others' (apic.S). */
extern u8 ap_stacks[CPUS_MAX][GUEST_PAGE];

bool x2;
u64 tsc_ms, timer_ms;
u32 self_id;

/* --- the two ways to the registers --- */

u32 apic_read(u32 reg)
{
	return x2 ? (u32)rdmsr(MSR_X2 + (reg >> 4)) : *(volatile u32 *)(APIC_PAGE + reg);
}

void apic_write(u32 reg, u32 value)
{
	if (x2)
		wrmsr(MSR_X2 + (reg >> 4), value);
	else
		*(volatile u32 *)(APIC_PAGE + reg) = value;
}

void send(u32 dest, u32 low)
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

bool vector_bit(u32 base, u32 vector)
{
	return (apic_read(base + (vector >> 5) * 0x10) >> (vector & 31) & 1) != 0;
}

bool all_clear(u32 base)
{
	u32 bits = 0;

	for (u32 i = 0; i < 8; i++)
		bits |= apic_read(base + i * 0x10);
	return bits == 0;
}

u32 logical_id(u32 cpu)
{
	return 1u << cpu; /* flat, and the first cluster of x2APIC ids */
}

/* --- names of both modes' checks --- */

const char *in_mode(const char *name)
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

void both_eq(const char *name, u64 got, u64 want)
{
	check_eq(in_mode(name), got, want);
}

void both(const char *name, bool good)
{
	check(in_mode(name), good);
}

/* --- interrupts --- */

u32 hits[CPUS_MAX][256], nmis[CPUS_MAX], nmi_again;
u64 stamps[256];
bool nmi_nested;
unsigned long hlt_at, came_at;
void (*handlers[256])(u32 cpu);
static u32 nmi_depth[CPUS_MAX], order_count;
static u8 order[16];
u8 ap_stacks[CPUS_MAX][GUEST_PAGE] __attribute__((aligned(4096)));

void note(u32 what)
{
	if (order_count < sizeof(order))
		order[order_count++] = (u8)what;
}

void spin(u64 ticks)
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

bool on_interrupt(struct trap_frame *frame)
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

void clear_hits(void)
{
	memset(hits, 0, sizeof(hits));
	memset(nmis, 0, sizeof(nmis));
	order_count = 0;
}

bool comes_to(const u32 *word, u32 want)
{
	u64 start = rdtsc();

	while (__atomic_load_n(word, __ATOMIC_ACQUIRE) < want) {
		if (rdtsc() - start > PATIENCE * tsc_ms)
			return false;
		cpu_pause();
	}
	return true;
}

bool wait_hits(u32 vector, u32 want)
{
	bool good;

	__asm__ volatile("sti" ::: "memory");
	good = comes_to(&hits[0][vector], want);
	__asm__ volatile("cli" ::: "memory");
	return good;
}

void quiet(u32 ms)
{
	__asm__ volatile("sti" ::: "memory");
	spin(ms * tsc_ms);
	__asm__ volatile("cli" ::: "memory");
}

bool irr_comes(u32 vector)
{
	u64 start = rdtsc();

	while (!vector_bit(APIC_IRR, vector)) {
		if (rdtsc() - start > PATIENCE * tsc_ms)
			return false;
		cpu_pause();
	}
	return true;
}

bool order_is(const u8 *want)
{
	u32 n = 0;

	while (want[n] != 0)
		n++;
	return order_count == n && memcmp(order, want, n) == 0;
}

/* --- time --- */

void pit2_start(u32 count)
{
	outb(PORT61, (u8)((inb(PORT61) & ~3u) | 1));
	outb(PIT_CONTROL, 0xb0);
	outb(PIT + 2, (u8)count);
	outb(PIT + 2, (u8)(count >> 8));
}

void measure_tsc(void)
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

u32 count_ticks(u32 vector, u32 want, u64 period)
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

void enable(u32 cpu)
{
	apic_write(APIC_SVR, SVR_ON | V_SPURIOUS);
	if (!x2) {
		apic_write(APIC_DFR, ~0u);
		apic_write(APIC_LDR, logical_id(cpu) << 24);
	}
	apic_write(APIC_TPR, 0);
}
