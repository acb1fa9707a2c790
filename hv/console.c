/* SPDX-License-Identifier: MIT */
/*
 * The registry of consoles. Two streams meet here: what the shell prints, and log lines that come
 * at any time. While the shell's prompt is on the screen, this file knows the bytes that draw it, so
 * that a log line from any CPU can take its place and put it back below.
 */
#include "guard.h"

#include <tern/console.h>
#include <tern/err.h>
#include <tern/lib.h>
#include <tern/log.h>

/* Carriage return, then "erase in line" (ECMA-48 8.3.41): an empty line. */
static const char erase_line[] = "\r\x1b[K";

/* c: all below */
static struct guard guard = {.lock = SPINLOCK_INIT(RANK_CONSOLE, "console")};
static struct console *consoles[CONSOLES_MAX]; /* (c) after boot */
static u32 count;                              /* (c) after boot */
static char prompt[CONSOLE_REDRAW_MAX];        /* draws the prompt line anew */
static size_t prompt_n;                        /* 0: there is no prompt */
static bool prompt_shown;                      /* false while part of a log line is in its place */
static bool holding;                           /* log lines stay away from shell consoles */
static u64 held;                               /* how many since then */
static u64 lost;                               /* (a) */
static bool in_panic;                          /* (a) */

/* Writes to one console, in pieces long enough to fill a UART's FIFO several times. raw: as it is. */
static void emit(struct console *con, const char *text, size_t n, bool raw)
{
	char buf[128];
	size_t used = 0;

	if (raw || !con->cr_lf) {
		con->write(con, text, n);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		if (used + 2 > sizeof(buf)) {
			con->write(con, buf, used);
			used = 0;
		}
		if (text[i] == '\n')
			buf[used++] = '\r';
		buf[used++] = text[i];
	}
	if (used != 0)
		con->write(con, buf, used);
}

static void emit_shell(const char *text, size_t n, bool raw)
{
	for (u32 i = 0; i < count; i++) {
		if (consoles[i]->shell)
			emit(consoles[i], text, n, raw);
	}
}

static bool enter(struct guard_token *t)
{
	if (guard_enter(&guard, t))
		return true;
	__atomic_fetch_add(&lost, 1, __ATOMIC_RELAXED);
	return false;
}

static void replay(const char *text, void *arg)
{
	if (!log_line_shown(text))
		return;
	emit(arg, text, strlen(text), false);
	emit(arg, "\n", 1, false);
}

int console_register(struct console *con)
{
	struct guard_token t;

	for (u32 i = 0; i < count; i++) {
		if (consoles[i] == con)
			return 0;
	}
	if (count == CONSOLES_MAX)
		return -TERN_ENOSPC;
	/* Before it is in the table: a line written meanwhile would come twice. */
	log_current(replay, con);
	if (!enter(&t))
		return -TERN_ENOSPC;
	consoles[count++] = con;
	guard_leave(&guard, &t);
	return 0;
}

u32 console_count(void)
{
	return count;
}

const struct console *console_get(u32 index)
{
	return index < count ? consoles[index] : NULL;
}

static void write(const char *text, size_t n, bool raw)
{
	/* Interrupts are off inside: a long text goes out in pieces, so that none waits long. */
	const size_t piece_max = 64;
	struct guard_token t;

	while (n > 0) {
		size_t piece = n < piece_max ? n : piece_max;

		if (!enter(&t))
			return;
		emit_shell(text, piece, raw);
		guard_leave(&guard, &t);
		text += piece;
		n -= piece;
	}
}

void console_write(const char *text, size_t n)
{
	write(text, n, false);
}

void console_write_raw(const char *text, size_t n)
{
	write(text, n, true);
}

u64 console_hold_log(bool hold)
{
	struct guard_token t;
	u64 was;

	if (!enter(&t))
		return 0;
	was = held;
	holding = hold;
	held = 0;
	guard_leave(&guard, &t);
	return was;
}

void console_printf(const char *fmt, ...)
{
	static const char cut[] = "...";
	char buf[512];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = fmt_vstr(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	if (n <= 0)
		return;
	if ((size_t)n >= sizeof(buf)) {
		n = sizeof(buf) - 1;
		memcpy(buf + sizeof(buf) - sizeof(cut), cut, sizeof(cut));
	}
	console_write(buf, (size_t)n);
}

void console_write_prompt(const char *text, size_t n, const char *redraw, size_t redraw_n)
{
	struct guard_token t;

	ASSERT(redraw_n <= sizeof(prompt));
	if (!enter(&t))
		return;
	emit_shell(text, n, false);
	if (redraw_n != 0)
		memcpy(prompt, redraw, redraw_n);
	prompt_n = redraw_n;
	prompt_shown = redraw_n != 0;
	guard_leave(&guard, &t);
}

void console_write_log(const char *text, size_t n)
{
	struct guard_token t;
	bool hide;

	if (n == 0 || !enter(&t))
		return;
	if (prompt_shown) {
		emit_shell(erase_line, sizeof(erase_line) - 1, false);
		prompt_shown = false;
	}
	hide = holding && !console_in_panic();
	if (hide && text[n - 1] == '\n')
		held++;
	for (u32 i = 0; i < count; i++) {
		if (!hide || !consoles[i]->shell)
			emit(consoles[i], text, n, false);
	}
	if (prompt_n != 0 && text[n - 1] == '\n' && !console_in_panic()) {
		emit_shell(prompt, prompt_n, false);
		prompt_shown = true;
	}
	guard_leave(&guard, &t);
}

int console_read(void)
{
	for (u32 i = 0; i < count; i++) {
		int key = consoles[i]->read != NULL ? consoles[i]->read(consoles[i]) : -1;

		if (key >= 0)
			return key;
	}
	return -1;
}

bool console_busy(void)
{
	return guard_inside(&guard);
}

u64 console_lost(void)
{
	return __atomic_load_n(&lost, __ATOMIC_RELAXED);
}

void console_panic(void)
{
	__atomic_store_n(&in_panic, true, __ATOMIC_SEQ_CST);
}

bool console_in_panic(void)
{
	return __atomic_load_n(&in_panic, __ATOMIC_RELAXED);
}
