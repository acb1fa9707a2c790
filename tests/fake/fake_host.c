/* SPDX-License-Identifier: MIT */
#include "fake_host.h"

#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <tern/arch.h>
#include <tern/err.h>
#include <tern/log.h>

u64 fake_tsc, fake_tsc_step = 100, fake_tsc_hz = 1000000000;
u64 fake_armed[CPUS_MAX];
u32 fake_kicks, fake_randoms;
void (*fake_kicked)(u32 cpu);
void (*fake_relaxed)(void);
void (*fake_delayed)(void);
jmp_buf fake_panic_jmp;
bool fake_panic_armed;
char fake_panic_text[512];

static char *mem;
static char log_text[65536];
static size_t log_len;
static struct pcpu cpus[CPUS_MAX];
static u32 cpu_count = 1;
static u64 random_last;
static _Thread_local u32 cpu_now;
static _Thread_local bool irqs = true;

void fake_reset(void)
{
	if (mem != NULL)
		munmap(mem, FAKE_MEM);
	mem = mmap(NULL, FAKE_MEM, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (mem == MAP_FAILED)
		abort();
	log_len = 0;
	log_text[0] = '\0';
	fake_tsc = 0;
	fake_kicks = 0;
	fake_kicked = NULL;
	fake_relaxed = NULL;
	fake_delayed = NULL;
	fake_randoms = UINT32_MAX;
	random_last = 0;
	irqs = true;
	fake_cpus(1);
	fake_cpu_set(0);
}

void fake_cpus(u32 count)
{
	memset(cpus, 0, sizeof(cpus));
	cpu_count = count;
	for (u32 i = 0; i < CPUS_MAX; i++) {
		cpus[i].self = &cpus[i];
		cpus[i].index = i;
		cpus[i].apic_id = i;
		cpus[i].online = i < count;
		fake_armed[i] = UINT64_MAX;
	}
}

void fake_cpu_set(u32 index)
{
	cpu_now = index;
}

const char *fake_log(void)
{
	return log_text;
}

struct pcpu *pcpu_self(void)
{
	cpus[cpu_now].self = &cpus[cpu_now];
	return &cpus[cpu_now];
}

u32 pcpu_count(void)
{
	return cpu_count;
}

u32 pcpu_online_count(void)
{
	return cpu_count;
}

struct pcpu *pcpu_get(u32 index)
{
	return &cpus[index];
}

u64 arch_tsc(void)
{
	return __atomic_add_fetch(&fake_tsc, fake_tsc_step, __ATOMIC_RELAXED);
}

u64 arch_tsc_hz(void)
{
	return fake_tsc_hz;
}

void arch_delay_us(u64 us)
{
	fake_tsc += us * (fake_tsc_hz / 1000000);
	if (fake_delayed != NULL)
		fake_delayed();
}

void arch_relax(void)
{
	if (fake_relaxed != NULL)
		fake_relaxed();
	else
		sched_yield(); /* the holder may be a thread that does not run now */
}

bool arch_irq_off(void)
{
	bool was = irqs;

	irqs = false;
	return was;
}

void arch_irq_on(void)
{
	irqs = true;
}

bool arch_irq_enabled(void)
{
	return irqs;
}

void arch_idle(void)
{
	irqs = true;
}

void arch_timer_arm(u64 tsc)
{
	fake_armed[cpu_now] = tsc;
}

void arch_kick(struct pcpu *pc)
{
	__atomic_fetch_add(&fake_kicks, 1, __ATOMIC_RELAXED);
	if (fake_kicked != NULL)
		fake_kicked(pc->index);
}

u32 arch_stop_others(void)
{
	return 0;
}

bool arch_random(u64 *out)
{
	if (fake_randoms == 0)
		return false;
	if (fake_randoms != UINT32_MAX)
		fake_randoms--;
	*out = ++random_last;
	return true;
}

void arch_cache_flush(void)
{
}

void *phys_to_virt(hpa_t pa)
{
	if (pa.v >= FAKE_MEM)
		abort();
	return mem + pa.v;
}

hpa_t virt_to_phys(const void *va)
{
	return hpa((u64)((const char *)va - mem));
}

void *arch_map_mmio(hpa_t pa, u64 len)
{
	return pa.v + len <= FAKE_MEM ? mem + pa.v : NULL;
}

const void *arch_map_ro(hpa_t pa, u64 len)
{
	return arch_map_mmio(pa, len);
}

void arch_zero_page(void *page)
{
	memset(page, 0, PAGE_SIZE);
}

void arch_reboot(void)
{
	abort();
}

void arch_poweroff(void)
{
	abort();
}

/* Weak: a test that links hv/log.c has the real one. */
__attribute__((weak)) void log_write(enum log_level level, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(log_text + log_len, sizeof(log_text) - log_len - 2, fmt, ap);
	va_end(ap);
	if (n > 0)
		log_len += (size_t)n < sizeof(log_text) - log_len - 2
				   ? (size_t)n
				   : sizeof(log_text) - log_len - 3;
	log_text[log_len++] = '\n';
	log_text[log_len] = '\0';
	if (log_len > sizeof(log_text) - 1024)
		log_len = 0;
	(void)level;
}

void panic_at(const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(fake_panic_text, sizeof(fake_panic_text), fmt, ap);
	va_end(ap);
	if (fake_panic_armed)
		longjmp(fake_panic_jmp, 1);
	fprintf(stderr, "panic at %s:%d: %s\n", file, line, fake_panic_text);
	abort();
}
