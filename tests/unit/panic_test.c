/* SPDX-License-Identifier: MIT */
/* links: hv/panic.c hv/lib/str.c hv/lib/fmt.c */
/* What a panic says and in which order, with every sink replaced by a recorder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <tern/arch.h>
#include <tern/console.h>
#include <tern/drivers.h>
#include <tern/lock.h>
#include <tern/log.h>
#include <tern/panic.h>
#include <tern/pcpu.h>
#include <tern/trace.h>

static struct pcpu cpu = {.self = &cpu, .index = 3};
static char seen[8192];
static jmp_buf end;
static bool fault_again;
static u32 consoles;

static void note(const char *text)
{
	strncat(seen, text, sizeof(seen) - strlen(seen) - 1);
}

struct pcpu *pcpu_self(void)
{
	return &cpu;
}

bool arch_irq_off(void)
{
	note("<irq off>");
	return true;
}

u32 arch_stop_others(void)
{
	note("<stop>");
	return 2;
}

void arch_print_state(UNUSED const struct arch_regs *regs)
{
	note("<state>");
	if (fault_again)
		panic("second fault");
}

void arch_dead(void)
{
	note("<dead>");
	longjmp(end, 1);
}

void arch_reboot(void)
{
	note("<reboot>");
	longjmp(end, 2);
}

void arch_delay_us(UNUSED u64 us)
{
}

void console_panic(void)
{
	note("<console>");
}

void lock_panic(void)
{
	note("<locks>");
}

u32 console_count(void)
{
	return consoles;
}

int e9_init(void)
{
	return -TERN_ENODEV;
}

int uart_init(UNUSED u16 port, UNUSED u32 speed)
{
	note("<uart>");
	return 0;
}

void log_piecef(const char *fmt, ...)
{
	char buf[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	note(buf);
}

void log_write(UNUSED enum log_level level, const char *fmt, ...)
{
	char buf[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	note(buf);
	note("\n");
}

void log_flush(void)
{
	note("<flush>");
}

const char *trace_event_name(UNUSED u32 event)
{
	return "irq";
}

u32 trace_read(UNUSED const struct pcpu *pc, struct trace_record *out, UNUSED u32 max, u64 *lost)
{
	out[0] = (struct trace_record){.tsc = 42, .a = 0x20};
	*lost = 0;
	return 1;
}

/* panic.c keeps its state for good: the tests run in the order of the node's last moments. */
static void test_panic_in_panic_ends(UNUSED void **state)
{
	const char *order[] = {"<irq off>",
			       "<console>",
			       "<locks>",
			       "<uart>",
			       "PANIC on CPU 3: first 7",
			       "panic_test.c:",
			       "<stop>",
			       "<state>",
			       "panic while panicking: second fault",
			       "<flush>",
			       "<dead>"};
	const char *at = seen;

	fault_again = true;
	if (setjmp(end) == 0) {
		panic("first %d", 7);
	}
	for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
		const char *p = strstr(at, order[i]);

		if (p == NULL)
			fail_msg("'%s' missing in: %s", order[i], seen);
		else
			at = p;
	}
}

static void test_third_panic_says_nothing(UNUSED void **state)
{
	seen[0] = '\0';
	if (setjmp(end) == 0)
		panic("third");
	assert_string_equal(seen, "<irq off><dead>");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_panic_in_panic_ends),
		cmocka_unit_test(test_third_panic_says_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
