/* SPDX-License-Identifier: MIT */
/*
 * A VM of 20 vCPUs whose local APICs are real, for host tests of them: what they do to vCPUs and to the I/O
 * APIC is counted. Its TSC and its timers' bus run at 2 GHz, and the clock stands still by itself.
 */
#ifndef FAKE_VLAPIC_H
#define FAKE_VLAPIC_H

#include <arch/x86_64/guest/guest.h>
#include <tern/vlapic.h>
#include <tern/vm.h>

#define BIT(n) (1ull << (n))
#define GP     (-TERN_EINVAL)
#define NONE   VLAPIC_NONE
#define NEVER  UINT64_MAX
#define CPUS   20u

enum { /* SDM vol. 3A table 11-1 */
       ID = 0x20,
       VERSION = 0x30,
       TPR = 0x80,
       PPR = 0xa0,
       EOI = 0xb0,
       LDR = 0xd0,
       DFR = 0xe0,
       SVR = 0xf0,
       ISR = 0x100,
       TMR = 0x180,
       IRR = 0x200,
       ESR = 0x280,
       ICR = 0x300,
       ICR_HIGH = 0x310,
       LVT_TIMER = 0x320,
       LVT_THERMAL = 0x330,
       LVT_PERF = 0x340,
       LINT0 = 0x350,
       LINT1 = 0x360,
       LVT_ERROR = 0x370,
       TMICT = 0x380,
       TMCCT = 0x390,
       TDCR = 0x3e0,
       DEADLINE = 0x6e0,
       X2_EOI = 0x80b,
       X2_ICR = 0x830,
       SELF_IPI = 0x83f,
};
#define MASKED   0x10000u
#define PERIODIC 0x20000u
#define DL_MODE  0x40000u
#define XAPIC    0xfee00800ull
#define X2APIC   0xfee00c00ull

extern struct vm vm;
extern struct vcpu vcpus[CPUS];
extern struct vcpu_arch archs[CPUS];
extern struct device ioapic;
/* What arrived since forget(). */
extern u32 kicks[CPUS], nmis[CPUS], inits[CPUS], sipis[CPUS], eois[256];
extern u8 sipi_vector;
extern bool sipi_busy; /* nobody waits for a SIPI */

static struct vcpu *const v0 UNUSED = &vcpus[0];
static struct vcpu *const v1 UNUSED = &vcpus[1];

/* cmocka's; all APICs are enabled by software then, in xAPIC mode. */
int setup(void **state);
int teardown(void **state);
void forget(void);
/* xAPIC registers, and MSRs: a read that faults is a panic. */
u32 get(struct vcpu *vc, u32 offset);
void set(struct vcpu *vc, u32 offset, u32 value);
int wrmsr(struct vcpu *vc, u32 msr, u64 value);
u64 rdmsr(struct vcpu *vc, u32 msr);
/* Writes ESR and reads it. */
u32 esr(struct vcpu *vc);
/* Writes IA32_APIC_BASE; all vCPUs to x2APIC mode. */
void base(struct vcpu *vc, u64 value);
void all_x2(void);
/* vlapic_sync(), and with it vlapic_pending(), at the time that it is. */
int sync_now(struct vcpu *vc);
int pending(struct vcpu *vc);
/* Delivers and ends everything that can be; how many. */
u32 drain(struct vcpu *vc);
/* A fixed message to a physical id. */
void message(u32 dest, u8 vector, bool level);

#endif
