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
	bool cr_lf;	 /* wants "\r\n" */
	bool shell;	 /* shows what the shell prints, not only the log */
	void *priv;	 /* the driver's own */
};

/* Adds a console; it lives forever. Returns 0 or -TERN_ENOSPC. Boot CPU, before SMP. */
MUST_CHECK int console_register(struct console *con);

u32 console_count(void);
const struct console *console_get(u32 index);

/* Shell output: to consoles with .shell set. Thread context. */
void console_write(const char *text, size_t n);
void console_printf(const char *fmt, ...) PRINTF(1, 2);

/* Log output: to every console. Any context; with the console lock busy in a panic it is broken. */
void console_write_log(const char *text, size_t n);

/* Next key from any console that has keys, or -1 at once. */
int console_read(void);

/* From now on the console lock is ignored: only the panicking CPU still runs. */
void console_panic(void);

#endif
