/* SPDX-License-Identifier: MIT */
/* Shell commands that show what happened: log, trace. */
#include "commands.h"

#include <tern/console.h>
#include <tern/err.h>
#include <tern/lib.h>
#include <tern/log.h>
#include <tern/pcpu.h>
#include <tern/timer.h>
#include <tern/trace.h>

#define TRACE_COUNT     20u
#define TRACE_COUNT_MAX 256u

static const char *const log_options[] = {"--level", "--previous"};

const char *complete_log(int arg, u32 i)
{
	if (i < ARRAY_SIZE(log_options))
		return log_options[i];
	i -= (u32)ARRAY_SIZE(log_options);
	/* The first argument is no level yet. */
	return arg > 1 && i <= LOG_DEBUG ? log_level_name((enum log_level)i) : NULL;
}

static void print_line(const char *text, void *arg)
{
	const enum log_level *level = arg;

	if (log_line_level(text) <= *level)
		console_printf("%s\n", text);
}

int cmd_log(int argc, char **argv)
{
	enum log_level level = LOG_DEBUG;
	bool previous = false;
	u64 lost = log_lost();

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--previous") == 0)
			previous = true;
		else if (strcmp(argv[i], "--level") != 0 || ++i == argc ||
			 !log_level_parse(argv[i], &level))
			return -TERN_EINVAL;
	}
	if (!previous) {
		if (lost != 0)
			console_printf("(%llu older lines were overwritten)\n",
				       (unsigned long long)lost);
		log_current(print_line, &level);
	} else if (!log_previous(print_line, &level)) {
		console_printf("no log of an earlier boot is in memory: power was off, or the\n"
			       "firmware cleared it\n");
	}
	return 0;
}

/* The text of TRACE_SHELL: at most eight characters, packed into a number. */
static void print_name(u64 v)
{
	char text[sizeof(v) + 1];
	u32 n = 0;

	for (; v != 0; v >>= 8)
		text[n++] = (char)(v & 0xff) >= ' ' ? (char)(v & 0xff) : '?';
	text[n] = '\0';
	console_printf("%s\n", text);
}

static void print_trace(const struct pcpu *pc, u32 count)
{
	static struct trace_record records[TRACE_COUNT_MAX]; /* the shell has one user */
	u64 lost = 0, us;
	u32 n = trace_read(pc, records, count, &lost);

	console_printf("CPU %u: newest %u records, %llu older ones overwritten\n", pc->index, n,
		       (unsigned long long)lost);
	for (u32 i = 0; i < n; i++) {
		const struct trace_record *r = &records[i];

		us = timer_tsc_to_us(r->tsc);
		console_printf("  [%5llu.%06llu] %-6s ", (unsigned long long)(us / 1000000),
			       (unsigned long long)(us % 1000000), trace_event_name(r->event));
		if (r->event == TRACE_SHELL)
			print_name(r->a);
		else
			console_printf("0x%llx 0x%llx\n", (unsigned long long)r->a,
				       (unsigned long long)r->b);
	}
}

int cmd_trace(int argc, char **argv)
{
	u64 cpu = 0, count = TRACE_COUNT;

	if (argc > 3 || (argc > 1 && str_to_u64(argv[1], &cpu) != 0) ||
	    (argc > 2 && str_to_u64(argv[2], &count) != 0))
		return -TERN_EINVAL;
	if (count == 0 || count > TRACE_COUNT_MAX) {
		console_printf("COUNT is 1 to %u\n", TRACE_COUNT_MAX);
		return -TERN_EINVAL;
	}
	if (cpu >= pcpu_count()) {
		console_printf("there is no CPU %llu: this machine has 0 to %u\n",
			       (unsigned long long)cpu, pcpu_count() - 1);
		return -TERN_EINVAL;
	}
	if (argc > 1) {
		print_trace(pcpu_get((u32)cpu), (u32)count);
		return 0;
	}
	for (u32 i = 0; i < pcpu_count(); i++) {
		struct pcpu *pc = pcpu_get(i);

		if (__atomic_load_n(&pc->online, __ATOMIC_ACQUIRE) != 0)
			print_trace(pc, (u32)count);
	}
	return 0;
}
