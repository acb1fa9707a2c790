/* SPDX-License-Identifier: MIT */
/*
 * The guest "apic" in parts: base.c has the two ways to the registers, the handlers, and the waiting; the
 * others are checks. Interrupts are off but where a check waits for one; what handlers see is looked at
 * when they are done.
 */
#ifndef GUEST_APIC_H
#define GUEST_APIC_H

#include "../lib/cpu.h"
#include "../lib/guest.h"

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

/* The 8259 pair and the 8254, which measures the TSC. */
#define PIC1        0x20u
#define PIC2        0xa0u
#define PIT         0x40u
#define PIT_CONTROL 0x43u
#define PIT_KHZ     1193u

#define CPUS_MAX 8u
#define PATIENCE 10000u /* ms */
#define STORM    100000u

/* --- base.c --- */
extern bool x2;              /* which mode; the same on all CPUs */
extern u64 tsc_ms, timer_ms; /* ticks of the TSC, and of the timer divided by 1 */
extern u32 self_id;
extern u32 hits[CPUS_MAX][256]; /* interrupts, by CPU and vector */
extern u32 nmis[CPUS_MAX];
extern u64 stamps[256]; /* the first CPU's TSC when it came last */
extern u32 nmi_again;   /* so many NMIs of the first CPU send two to itself */
extern bool nmi_nested;
extern unsigned long hlt_at, came_at; /* of a HLT after STI; where the last interrupt came */
/* Called before the EOI. */
extern void (*handlers[256])(u32 cpu);

u32 apic_read(u32 reg);
void apic_write(u32 reg, u32 value);
/* An IPI. */
void send(u32 dest, u32 low);
/* The bit of a vector in ISR, TMR or IRR. */
bool vector_bit(u32 base, u32 vector);
bool all_clear(u32 base);
u32 logical_id(u32 cpu);
/* After this the APIC takes interrupts. */
void enable(u32 cpu);

/* Checks whose names begin with the mode. */
const char *in_mode(const char *name);
void both_eq(const char *name, u64 got, u64 want);
void both(const char *name, bool good);

/* trap_hook */
bool on_interrupt(struct trap_frame *frame);
void clear_hits(void);
/* Vectors in the order in which they came to the first CPU, and what its handlers note. */
void note(u32 what);
/* want ends with 0. */
bool order_is(const u8 *want);

void spin(u64 ticks);
/* False: not within PATIENCE. */
bool comes_to(const u32 *word, u32 want);
bool irr_comes(u32 vector);
/* Lets interrupts in until that vector has come so often. */
bool wait_hits(u32 vector, u32 want);
/* Lets interrupts in for a while, in which nothing should come. */
void quiet(u32 ms);
/* As wait_hits(). Returns how many of the vector's periods this CPU did not run. */
u32 count_ticks(u32 vector, u32 want, u64 period);

/* Channel 2, in mode 0: from count down; its output tells when it has passed zero. */
void pit2_start(u32 count);
void measure_tsc(void);

/* --- the checks --- */
void timer_mode(u32 lvt, u32 divide);
void check_timer(void);
/* apic.c: all of one CPU in the mode it is in. */
void check_one_mode(void);
void check_reset_state(const char *name);
void check_off_and_on(void);
void check_x2apic(void);
void check_chips(void);
void check_cpus(void);

#endif
