/* SPDX-License-Identifier: MIT */
/*
 * What the core asks of the processor architecture. arch/x86_64 implements it; tests/fake implements
 * it for host tests. Any context unless a line says otherwise.
 */
#ifndef TERN_ARCH_H
#define TERN_ARCH_H

#include <tern/addr.h>
#include <tern/types.h>

struct pcpu;

#if __STDC_HOSTED__
/* Host tests: tests/fake has them. */
u64 arch_tsc(void);
struct pcpu *pcpu_self(void);
void arch_relax(void); /* PAUSE */
/* Turns interrupts off; returns whether they were on. */
bool arch_irq_off(void);
void arch_irq_on(void);
bool arch_irq_enabled(void);
#else
#include <tern/this_cpu.h>
#endif

/* --- time: arch_tsc() counts from reset; arch_tsc_hz() is 0 until it is calibrated --- */
u64 arch_tsc_hz(void);
void arch_delay_us(u64 us); /* busy; before calibration it assumes 4 GHz, so it waits longer */

/* --- this CPU --- */
/* Called with interrupts off: turns them on and halts until the next one. Returns with them on. */
void arch_idle(void);
/* Arms this CPU's timer interrupt for an absolute TSC value; U64_MAX disarms. IRQs off. */
void arch_timer_arm(u64 tsc);
/* Interrupts another CPU so that it leaves arch_idle() and looks at its work. */
void arch_kick(struct pcpu *pc);
/* Stops all other CPUs by NMI, waits at most 100 ms, returns how many did not answer. Panic only. */
u32 arch_stop_others(void);
/* 64 random bits from the CPU's generator; false: it has none, or has none left just now. */
MUST_CHECK bool arch_random(u64 *out);
/* Writes dirty cache lines back (WBINVD): before a reset that memory must survive. */
void arch_cache_flush(void);

/* --- memory --- */
/* Where a host-physical range of RAM is mapped, read-write. Constant time. */
void *phys_to_virt(hpa_t pa);
hpa_t virt_to_phys(const void *va);
/* Maps device registers uncached. len > 0. NULL when no address space is left. Thread context. */
MUST_CHECK void *arch_map_mmio(hpa_t pa, u64 len);
/* The same for a framebuffer: write combining. */
MUST_CHECK void *arch_map_framebuffer(hpa_t pa, u64 len);
/* Maps firmware tables or modules that may lie outside RAM: cached, read-only. NULL as above. */
MUST_CHECK const void *arch_map_ro(hpa_t pa, u64 len);
/* Zeroes one 4 KiB page quickly. */
void arch_zero_page(void *page);

/* --- the machine --- */
NORETURN void arch_reboot(void);
/* Returns only when the machine cannot be switched off; the reason is in the log. */
void arch_poweroff(void);

/* --- panic: prints registers and a symbolised backtrace of this CPU by console_write_log --- */
struct arch_regs;
void arch_print_state(const struct arch_regs *regs);
NORETURN void arch_dead(void); /* interrupts off, halt forever */

#endif
