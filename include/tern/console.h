/* SPDX-License-Identifier: MIT */
/*
 * Consoles: places that show text, and places that keys come from (hv/console.c). A driver fills one
 * struct console and registers it; the core never knows what is behind it.
 */
#ifndef TERN_CONSOLE_H
#define TERN_CONSOLE_H

#include <stdarg.h>
#include <tern/types.h>

#define CONSOLES_MAX 4u

struct console {
	const char *name; /* "com1", "vga", "fb", "e9" */
	/* Writes n bytes; '\n' is already "\r\n" when cr_lf is set. console lock held, IRQs off. */
	void (*write)(struct console *con, const char *text, size_t n);
	/* Next key or -1 at once when there is none. NULL: output only. */
	int (*read)(struct console *con);
	bool cr_lf; /* wants "\r\n" */
	bool shell; /* shows what the shell prints, not only the log */
	void *priv; /* the driver's own */
};

/* Adds a console, which lives forever, and shows it the log so far; one that is known already stays
 * as it is. Returns 0 or -TERN_ENOSPC. Boot CPU, before SMP. */
MUST_CHECK int console_register(struct console *con);

u32 console_count(void);
const struct console *console_get(u32 index);

/* Shell output: to consoles with .shell set. Thread context. A console_printf() longer than 511
 * bytes is cut and ends in "...". */
void console_write(const char *text, size_t n);
void console_printf(const char *fmt, ...) PRINTF(1, 2);
/* As console_write(), byte for byte: '\n' stays what it is. */
void console_write_raw(const char *text, size_t n);
/* While true, log lines do not reach the consoles with .shell set, but in a panic. Returns how many did not since the
 * last call. */
u64 console_hold_log(bool hold);

/*
 * What the line editor prints: n bytes as console_write(), and from now on the last line of the
 * shell consoles is the prompt. Log output is then kept apart from it: the prompt line is erased,
 * the log line printed, and the redraw_n bytes at redraw put the prompt back. redraw_n 0: no prompt.
 */
#define CONSOLE_REDRAW_MAX 192u
void console_write_prompt(const char *text, size_t n, const char *redraw, size_t redraw_n);

/* Log output: to every console. Any context; with the console lock busy in a panic it is broken. */
void console_write_log(const char *text, size_t n);

/* Next key from any console that has keys, or -1 at once. */
int console_read(void);

/* True in an NMI that came while this CPU was writing: the calls above then drop what they get. */
bool console_busy(void);

/* Calls to the above that an NMI made while its CPU was writing, and that were dropped. */
u64 console_lost(void);

/* From now on the locks of console and log are ignored: only the panicking CPU still runs. */
void console_panic(void);
bool console_in_panic(void);

#endif
