/* SPDX-License-Identifier: MIT */
/* links: hv/shell/line.c hv/lib/str.c tests/fake/terminal.c */
#include "hv/shell/line.h"
#include "tests/fake/terminal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define PROMPT "tern> "

static struct line l;
static struct terminal term;
static enum line_event last;

static void flush(const struct line_out *out)
{
	for (size_t i = 0; i < out->n; i++) {
		if (out->text[i] == '\n')
			terminal_write(&term, "\r", 1);
		terminal_write(&term, &out->text[i], 1);
	}
}

/* What is on the screen is what the line says, and the cursor is where it should be. */
static void check_screen(void)
{
	char want[128];
	size_t n;

	snprintf(want, sizeof(want), "%s%.*s", PROMPT, (int)(LINE_COLUMNS - strlen(PROMPT)),
		 l.text + l.left);
	n = strlen(want);
	while (n > 0 && want[n - 1] == ' ')
		want[--n] = '\0';
	assert_string_equal(terminal_row(&term, term.row), want);
	assert_int_equal(term.column, strlen(PROMPT) + l.cursor - l.left);
	assert_int_equal(term.bad, 0);
}

static void start(void)
{
	struct line_out out;

	line_start(&l, &out);
	flush(&out);
	check_screen();
}

/* Types keys up to the first that needs an answer. */
static void keys(const char *s)
{
	struct line_out out;

	for (; *s != '\0'; s++) {
		last = line_key(&l, (u8)*s, &out);
		flush(&out);
		if (last == LINE_DONE || last == LINE_CANCEL)
			return;
		check_screen();
	}
}

static int reset(void **state)
{
	(void)state;
	terminal_reset(&term);
	line_init(&l, PROMPT);
	start();
	return 0;
}

static void test_types_and_ends(void **state)
{
	(void)state;
	keys("mem\r");
	assert_int_equal(last, LINE_DONE);
	assert_string_equal(l.text, "mem");
	assert_int_equal(term.column, 0);
	assert_string_equal(terminal_row(&term, 0), "tern> mem");
}

static void test_crlf_is_one_end(void **state)
{
	struct line_out out;

	(void)state;
	keys("a\r");
	start();
	assert_int_equal(line_key(&l, '\n', &out), LINE_MORE);
	assert_int_equal(out.n, 0);
	keys("b\n");
	assert_int_equal(last, LINE_DONE);
	start();
	keys("\n"); /* an LF of its own is an end */
	assert_int_equal(last, LINE_DONE);
	start();
	keys("\r");
	start();
	keys("\r"); /* two CR are two ends */
	assert_int_equal(last, LINE_DONE);
}

static void test_edits_in_the_middle(void **state)
{
	(void)state;
	keys("hello\x01X\x05Y\x02\x02Z");
	assert_string_equal(l.text, "XhellZoY");
	keys("\x7f\b");
	assert_string_equal(l.text, "XheloY");
	keys("\x06\x06\x06!"); /* ^F stops at the end */
	assert_string_equal(l.text, "XheloY!");
	keys("\x01\x02\x04"); /* ^B stops at the beginning, ^D deletes there */
	assert_string_equal(l.text, "heloY!");
	keys("\x06\x0b");
	assert_string_equal(l.text, "h");
	keys("\x15");
	assert_string_equal(l.text, "");
	keys("\x04\x7f\x17\x0b"); /* nothing to do on an empty line */
	assert_string_equal(l.text, "");
	assert_int_equal(last, LINE_MORE);
}

static void test_deletes_words(void **state)
{
	(void)state;
	keys("log --level  warn  \x17");
	assert_string_equal(l.text, "log --level  ");
	keys("\x17");
	assert_string_equal(l.text, "log ");
	keys("x\x02\x17");
	assert_string_equal(l.text, "x");
}

static void test_escape_sequences(void **state)
{
	(void)state;
	keys("abc\x1b[D\x1b[D-\x1bOC+");
	assert_string_equal(l.text, "a-b+c");
	keys("\x1b[H1\x1b[F2\x1bOH3\x1bOF4\x1b[1~5\x1b[4~6\x1b[7~7\x1b[8~8");
	assert_string_equal(l.text, "7531a-b+c2468");
	keys("\x1b[1~\x1b[3~");
	assert_string_equal(l.text, "531a-b+c2468");
	keys("\x1b[2~\x1b[5~\x1b[15~\x1b[1;5C\x1b[?25h\x1bOP"); /* ignored or plain moves */
	assert_string_equal(l.text, "531a-b+c2468");
	assert_int_equal(l.cursor, 1);
	keys("\x1b[\rx");
	assert_int_equal(last, LINE_DONE); /* a control character ends a sequence */
}

static void test_history(void **state)
{
	(void)state;
	keys("one\r");
	start();
	keys("two\r");
	start();
	keys("\r"); /* empty lines are not kept */
	start();
	keys("one\r"); /* moves to the top */
	start();
	keys("draft\x1b[A");
	assert_string_equal(l.text, "one");
	keys("\x1b[A");
	assert_string_equal(l.text, "two");
	keys("\x1b[A");
	assert_string_equal(l.text, "two");
	assert_int_equal(term.bells, 1);
	keys("\x1b[B\x1b[B");
	assert_string_equal(l.text, "draft");
	keys("\x1b[B");
	assert_int_equal(term.bells, 2);
	assert_int_equal(l.history_count, 2);
	keys("\x10\x0e\x10!\r");
	assert_string_equal(l.text, "one!");
}

static void test_history_holds_sixteen(void **state)
{
	char text[16];

	(void)state;
	for (int i = 0; i < 20; i++) {
		snprintf(text, sizeof(text), "line %d\r", i);
		keys(text);
		start();
	}
	assert_int_equal(l.history_count, LINE_HISTORY);
	for (int i = 0; i < 16; i++)
		keys("\x1b[A");
	assert_string_equal(l.text, "line 4");
	keys("\r");
	assert_int_equal(l.history_count, LINE_HISTORY);
	assert_string_equal(l.history[0], "line 4");
	assert_string_equal(l.history[15], "line 5");
}

static void test_full_line_rings(void **state)
{
	(void)state;
	for (u32 i = 0; i < LINE_MAX; i++)
		keys("x");
	assert_int_equal(term.bells, 0);
	keys("y");
	assert_int_equal(term.bells, 1);
	assert_int_equal(l.len, LINE_MAX);
	keys("\x01y");
	assert_int_equal(term.bells, 2);
	keys("\r");
	assert_int_equal(strlen(l.text), LINE_MAX);
	assert_int_equal(strlen(l.history[0]), LINE_MAX);
}

static void test_long_line_scrolls(void **state)
{
	char text[] = "0123456789abcdefghijklmnopqrstuvwxyz";

	(void)state;
	for (int i = 0; i < 6; i++)
		keys(text);
	assert_true(l.left > 0);
	for (int i = 0; i < 220; i++)
		keys("\x02");
	assert_int_equal(l.left, 0);
	assert_int_equal(l.cursor, 0);
	for (int i = 0; i < 100; i++)
		keys("\x1b[C!");
	keys("\x05");
	for (int i = 0; i < 255; i++)
		keys("\x7f");
	assert_int_equal(l.len, 0);
}

static void test_cancel_and_clear(void **state)
{
	(void)state;
	keys("abc\x03");
	assert_int_equal(last, LINE_CANCEL);
	assert_string_equal(terminal_row(&term, 0), "tern> abc^C");
	start();
	keys("def\x02\x0c");
	assert_int_equal(term.row, 0);
	assert_string_equal(terminal_row(&term, 0), "tern> def");
	assert_int_equal(l.history_count, 0);
}

/* Found by the fuzzer: "^C" behind a line as wide as the screen went on to the next row. */
static void test_cancel_of_a_wide_line(void **state)
{
	(void)state;
	for (int i = 0; i < 72; i++)
		keys("x");
	keys("\x03");
	assert_int_equal(term.bad, 0);
	assert_int_equal(term.row, 1);
}

static void test_tabs(void **state)
{
	struct line_out out;

	(void)state;
	keys("a\t");
	assert_int_equal(last, LINE_TAB);
	keys("\t");
	assert_int_equal(last, LINE_LIST);
	keys("b\t");
	assert_int_equal(last, LINE_TAB);
	line_insert(&l, "cd ", 3, &out);
	flush(&out);
	check_screen();
	assert_string_equal(l.text, "abcd ");
}

static void test_strange_keys(void **state)
{
	struct line_out out;

	(void)state;
	keys("a\xc3\xa9");
	assert_string_equal(l.text, "a");
	assert_int_equal(term.bells, 2);
	assert_int_equal(line_key(&l, -1, &out), LINE_MORE);
	assert_int_equal(line_key(&l, 256, &out), LINE_MORE);
	assert_int_equal(line_key(&l, 0, &out), LINE_MORE);
	assert_string_equal(l.text, "a");
}

/* The image alone draws the same line with the same cursor. */
static void test_image(void **state)
{
	struct line_out out;

	(void)state;
	keys("hello\x02\x02");
	terminal_reset(&term);
	line_image(&l, &out);
	flush(&out);
	check_screen();
	terminal_reset(&term);
	line_redraw(&l, &out);
	flush(&out);
	check_screen();
	keys("XY\x05Z");
	assert_string_equal(l.text, "helXYloZ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_types_and_ends, reset),
		cmocka_unit_test_setup(test_crlf_is_one_end, reset),
		cmocka_unit_test_setup(test_edits_in_the_middle, reset),
		cmocka_unit_test_setup(test_deletes_words, reset),
		cmocka_unit_test_setup(test_escape_sequences, reset),
		cmocka_unit_test_setup(test_history, reset),
		cmocka_unit_test_setup(test_history_holds_sixteen, reset),
		cmocka_unit_test_setup(test_full_line_rings, reset),
		cmocka_unit_test_setup(test_long_line_scrolls, reset),
		cmocka_unit_test_setup(test_cancel_and_clear, reset),
		cmocka_unit_test_setup(test_cancel_of_a_wide_line, reset),
		cmocka_unit_test_setup(test_tabs, reset),
		cmocka_unit_test_setup(test_strange_keys, reset),
		cmocka_unit_test_setup(test_image, reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
