/* SPDX-License-Identifier: MIT */
/* The fake architecture for host tests: memory, clock, CPUs, log and panic under test control. */
#ifndef FAKE_HOST_H
#define FAKE_HOST_H

#include <setjmp.h>
#include <tern/pcpu.h>
#include <tern/types.h>

/* "Physical" memory: addresses [0, FAKE_MEM) map to one host allocation, reserved, not committed. */
#define FAKE_MEM GiB(64)

/* Forgets everything: memory reads as zero again, one CPU, clock at 0, no log. */
void fake_reset(void);

/* CPUs. fake_cpu_set() makes pcpu_self() return that CPU from now on in this thread. */
void fake_cpus(u32 count);
void fake_cpu_set(u32 index);

/* The clock: every arch_tsc() adds fake_tsc_step. */
extern u64 fake_tsc, fake_tsc_step, fake_tsc_hz;
/* The deadline last given to arch_timer_arm() on each CPU. */
extern u64 fake_armed[CPUS_MAX];
extern u32 fake_kicks;
/* Called by arch_kick(), by arch_relax(), and by arch_delay_us(), unless they are NULL. */
extern void (*fake_kicked)(u32 cpu);
extern void (*fake_relaxed)(void);
extern void (*fake_delayed)(void);
/* How many more numbers arch_random() has: 1, 2, 3, ... UINT32_MAX: it never ends. */
extern u32 fake_randoms;

/* All log lines since fake_reset(), each ended by '\n', longest 64 KiB. */
const char *fake_log(void);

/*
 * if (fake_panics()) { ... code that must panic ... ; fail(); } else { ... it did; fake_panic_text }
 * written as: FAKE_EXPECT_PANIC(code);
 */
extern jmp_buf fake_panic_jmp;
extern bool fake_panic_armed;
extern char fake_panic_text[512];
#define FAKE_EXPECT_PANIC(code)                          \
	do {                                             \
		fake_panic_armed = true;                 \
		if (setjmp(fake_panic_jmp) == 0) {       \
			code;                            \
			fake_panic_armed = false;        \
			fail_msg("no panic: %s", #code); \
		}                                        \
		fake_panic_armed = false;                \
	} while (0)

#endif
