/* SPDX-License-Identifier: MIT */
/*
 * Panic: says what and where, shows registers, backtrace and the last trace records, stops the other
 * CPUs and keeps the log for the next boot. One CPU wins; a second fault on the way is told and ends.
 */
#include <tern/panic.h>

#include <tern/arch.h>
#include <tern/console.h>
#include <tern/drivers.h>
#include <tern/lib.h>
#include <tern/lock.h>
#include <tern/log.h>
#include <tern/pcpu.h>
#include <tern/trace.h>

#define TRACE_SHOWN     12u
#define EMERGENCY_PORT  0x3f8
#define EMERGENCY_SPEED 115200u
#define REBOOT_DELAY_US 2000000u

static u32 winner; /* (a) index + 1 of the CPU that panics */
static u32 depth;  /* its panics so far */
static bool reboot_after;

void panic_set_reboot(bool reboot)
{
	reboot_after = reboot;
}

static void show_trace(void)
{
	static struct trace_record records[TRACE_SHOWN];
	struct pcpu *pc = pcpu_self();
	u64 lost;
	u32 n;

	if (pc->trace == NULL)
		return;
	n = trace_read(pc, records, TRACE_SHOWN, &lost);
	log_piecef("last trace records of CPU %u:\n", pc->index);
	for (u32 i = 0; i < n; i++)
		log_piecef("  %16lu %-8s %lx %lx\n", records[i].tsc,
			   trace_event_name(records[i].event), records[i].a, records[i].b);
}

/* Before the consoles are up a panic must still be seen somewhere. */
static void emergency_console(void)
{
	if (console_count() > 0)
		return;
	if (e9_init() != 0)
		log_debug("no port e9");
	if (uart_init(EMERGENCY_PORT, EMERGENCY_SPEED) != 0)
		log_debug("no serial port");
}

static NORETURN void finish(const struct arch_regs *regs)
{
	u32 silent = arch_stop_others();

	arch_print_state(regs);
	show_trace();
	if (silent > 0)
		log_piecef("%u CPUs did not answer the stop request\n", silent);
	if (reboot_after) {
		log_piecef("The machine restarts; 'log --previous' shows this then.\n");
		log_flush();
		arch_delay_us(REBOOT_DELAY_US);
		arch_reboot();
	}
	log_piecef(
		"The node stands still. Reset it; 'log --previous' shows this after the restart.\n");
	log_flush();
	arch_dead();
}

static NORETURN void panic_v(const struct arch_regs *regs, const char *file, int line,
			     const char *fmt, va_list ap)
{
	struct pcpu *pc = pcpu_self();
	u32 nobody = 0;
	char text[200];

	arch_irq_off();
	if (!__atomic_compare_exchange_n(&winner, &nobody, pc->index + 1, false, __ATOMIC_ACQ_REL,
					 __ATOMIC_ACQUIRE) &&
	    nobody != pc->index + 1)
		arch_dead();
	if (++depth > 2)
		arch_dead();
	console_panic();
	lock_panic();
	emergency_console();
	fmt_vstr(text, sizeof(text), fmt, ap);
	if (depth == 2) {
		log_err("panic while panicking: %s", text);
		log_flush();
		arch_dead();
	}
	log_err("PANIC on CPU %u: %s", pc->index, text);
	if (file != NULL)
		log_err("at %s:%d", file, line);
	finish(regs);
}

void panic_at(const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	panic_v(NULL, file, line, fmt, ap);
}

void panic_regs(const struct arch_regs *regs, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	panic_v(regs, NULL, 0, fmt, ap);
}

/* The stack protector's verdict on a function that returns (gcc and clang call it). */
NORETURN void __stack_chk_fail(void);

void __stack_chk_fail(void)
{
	panic("stack overflow: the canary of a function is gone");
}
