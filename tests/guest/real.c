/* SPDX-License-Identifier: MIT */
/* Real mode: interrupts by the vector table, exceptions, big real mode, and the way there and back. */
#include "cpu.h"
#include "guest.h"

#define REAL_BASE    0x8000u /* as in real.S */
#define REAL_STACK   0x7000u
#define HIGH_ADDRESS 0x200000u
#define HMA_ADDRESS  0x100000u
#define REP_ADDRESS  0x6000u
#define REP_COUNT    0x10u
#define ROUND_TRIPS  100u

const char guest_name[] = "real";

struct results {
	u16 interrupts, sp, divide_at, undefined_at, gp_at, steps, port, msw, rep_di, unused;
	u32 high, high_written, reloaded, hma, cpuid, tsc, rep_cx;
};

/* real.S */
extern u8 real_begin[], real_end[];
extern struct results real_results;
void real_run(void);

static struct results *run_once(void)
{
	u8 *copy = (u8 *)REAL_BASE;

	memcpy(copy, real_begin, (size_t)(real_end - real_begin));
	real_run();
	return (struct results *)(copy + ((u8 *)&real_results - real_begin));
}

void guest_main(void)
{
	volatile u32 *high = (volatile u32 *)HIGH_ADDRESS;
	const volatile u8 *rep = (const volatile u8 *)REP_ADDRESS;
	const struct results *r;
	u32 tsc = (u32)rdtsc(), bad = 0;

	high[0] = 0x12345678;
	memset((void *)REP_ADDRESS, 0, 2 * REP_COUNT);
	r = run_once();
	check_eq("software-interrupts", r->interrupts, 3);
	check_eq("stack-after-interrupts", r->sp, REAL_STACK);
	check_eq("divide-points-at-itself", r->divide_at, 0);
	check_eq("undefined-points-at-itself", r->undefined_at, 0);
	check_strict("limit-64-kib", r->gp_at, 0);
	/* NOP, MOV, CPUID, PUSHF, POP, AND, PUSH, and the POPF that ends it. */
	check_eq("single-steps", r->steps, 8);
	check_eq("big-real-reads", r->high, 0x12345678);
	check_eq("big-real-writes", r->high_written, 0x600dcafe);
	check_eq("big-real-wrote-memory", high[1], 0x600dcafe);
	check_eq("segment-reload-keeps-limit", r->reloaded, 0x12345678);
	check_eq("above-1-mib", r->hma, *(const volatile u32 *)HMA_ADDRESS);
	check_eq("port", r->port, 0x5c);
	check_eq("cpuid", r->cpuid, cpuid(0, 0).b);
	check_eq("msw", r->msw & CR0_PE, 0);
	check("tsc-goes-on", r->tsc - tsc < 0x80000000u);
	check_eq("rep-counts-16-bits", r->rep_cx, 0x10000);
	check_eq("rep-index", r->rep_di, REP_ADDRESS + REP_COUNT);
	check("rep-wrote", rep[0] == 0x77 && rep[REP_COUNT - 1] == 0x77 && rep[REP_COUNT] == 0);
	for (u32 i = 0; i < ROUND_TRIPS; i++)
		bad += run_once()->interrupts != 3;
	check_eq("round-trips", bad, 0);
}
