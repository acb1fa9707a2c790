/* SPDX-License-Identifier: MIT */
/* links: hv/console.c hv/log.c hv/log_level.c hv/lock.c hv/lib/str.c hv/lib/fmt.c tests/fake/terminal.c tests/fake/fake_host.c */
#include "tests/fake/fake_host.h"
#include "tests/fake/terminal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <tern/console.h>
#include <tern/err.h>
#include <tern/log.h>

/* Consoles live forever: the tests run in main()'s order. */
static struct terminal term;
static char plain[8192];
static size_t plain_len;
static int next_key = -1;
static size_t longest;

static void term_write(struct console *con, const char *text, size_t n)
{
	assert_string_equal(con->name, "term");
	if (n > longest)
		longest = n;
	terminal_write(&term, text, n);
}

static int term_read(struct console *con)
{
	int key = next_key;

	(void)con;
	next_key = -1;
	return key;
}

static void plain_write(struct console *con, const char *text, size_t n)
{
	(void)con;
	assert_true(plain_len + n < sizeof(plain));
	memcpy(plain + plain_len, text, n);
	plain_len += n;
	plain[plain_len] = '\0';
}

static struct console term_console = {
	.name = "term", .write = term_write, .read = term_read, .cr_lf = true, .shell = true};
static struct console plain_console = {.name = "plain", .write = plain_write};

static void test_no_console_yet(void **state)
{
	(void)state;
	console_printf("to nobody\n");
	console_write_log("to nobody\n", 10);
	assert_int_equal(console_read(), -1);
	assert_int_equal(console_count(), 0);
	assert_null(console_get(0));
}

/* A console that comes late shows the log so far, as far as its level goes. */
static void test_late_console_shows_the_log(void **state)
{
	(void)state;
	fake_tsc_hz = 0;
	log_info("first");
	log_debug("detail");
	log_warn("second");
	terminal_reset(&term);
	assert_int_equal(console_register(&term_console), 0);
	assert_int_equal(console_register(&plain_console), 0);
	assert_string_equal(plain, "[    0.000000] first\n[    0.000000] W second\n");
	assert_string_equal(terminal_row(&term, 0), "[    0.000000] first");
	assert_string_equal(terminal_row(&term, 1), "[    0.000000] W second");
	assert_int_equal(console_count(), 2);
	assert_ptr_equal(console_get(1), &plain_console);
	assert_null(console_get(2));
}

static void test_shell_output_goes_to_shells(void **state)
{
	(void)state;
	terminal_reset(&term);
	plain_len = 0;
	console_printf("one %d\ntwo\n", 1);
	assert_string_equal(terminal_row(&term, 0), "one 1");
	assert_string_equal(terminal_row(&term, 1), "two");
	assert_int_equal(term.column, 0);
	assert_int_equal(plain_len, 0);
	log_info("both");
	assert_string_equal(terminal_row(&term, 2), "[    0.000000] both");
	assert_string_equal(plain, "[    0.000000] both\n");
	log_debug("none");
	assert_string_equal(plain, "[    0.000000] both\n");
	assert_string_equal(terminal_row(&term, 3), "");
	assert_true(arch_irq_enabled());
}

static void test_long_output(void **state)
{
	char text[2000];

	(void)state;
	for (size_t i = 0; i < sizeof(text) - 1; i++)
		text[i] = i % 70 == 69 ? '\n' : 'x';
	text[sizeof(text) - 1] = '\0';
	terminal_reset(&term);
	longest = 0;
	console_write(text, sizeof(text) - 1);
	assert_int_equal(term.bad, 0);
	assert_true(longest <= 128); /* interrupts are on in between */
	assert_int_equal(term.column, 1999 % 70);
	terminal_reset(&term);
	memset(text, 'y', sizeof(text) - 1);
	console_printf("%s", text);
	assert_string_equal(terminal_row(&term, 511 / 80) + 511 % 80 - 4, "y...");
}

/* A log line takes the place of the prompt, which comes back below with its cursor. */
static void test_log_keeps_off_the_prompt(void **state)
{
	static const char draw[] = "tern> mem\b\b";

	(void)state;
	terminal_reset(&term);
	console_write_prompt(draw, sizeof(draw) - 1, draw, sizeof(draw) - 1);
	log_info("x");
	assert_string_equal(terminal_row(&term, 0), "[    0.000000] x");
	assert_string_equal(terminal_row(&term, 1), "tern> mem");
	assert_int_equal(term.row, 1);
	assert_int_equal(term.column, 7);
	/* A line in two parts: the prompt waits for its end. */
	console_write_log("part", 4);
	assert_string_equal(terminal_row(&term, 1), "part");
	console_write_log(" two\n", 5);
	assert_string_equal(terminal_row(&term, 1), "part two");
	assert_string_equal(terminal_row(&term, 2), "tern> mem");
	/* The editor's next key finds the cursor where it left it. */
	console_write_prompt("X", 1, draw, sizeof(draw) - 1);
	assert_string_equal(terminal_row(&term, 2), "tern> mXm");
	console_write_prompt("\n", 1, NULL, 0);
	log_info("y");
	assert_string_equal(terminal_row(&term, 3), "[    0.000000] y");
	assert_string_equal(terminal_row(&term, 4), "");
	assert_int_equal(term.bad, 0);
}

static void test_keys(void **state)
{
	(void)state;
	next_key = 'k';
	assert_int_equal(console_read(), 'k');
	assert_int_equal(console_read(), -1);
}

static void test_table_is_full(void **state)
{
	static struct console more[CONSOLES_MAX];

	(void)state;
	for (u32 i = 0; i < CONSOLES_MAX; i++) {
		more[i] = (struct console){.name = "more", .write = plain_write};
		assert_int_equal(console_register(&more[i]),
				 i < CONSOLES_MAX - 2 ? 0 : -TERN_ENOSPC);
	}
	assert_int_equal(console_count(), CONSOLES_MAX);
	assert_int_equal(console_lost(), 0);
}

static void test_panic(void **state)
{
	static const char draw[] = "tern> ";

	(void)state;
	terminal_reset(&term);
	console_write_prompt(draw, sizeof(draw) - 1, draw, sizeof(draw) - 1);
	console_panic();
	assert_true(console_in_panic());
	console_write_log("panic\n", 6);
	assert_string_equal(terminal_row(&term, 0), "panic");
	assert_string_equal(terminal_row(&term, 1), "");
}

/* A session has the terminal: lines of the log go elsewhere, and are counted. */
static void test_log_is_held(void **state)
{
	(void)state;
	terminal_reset(&term);
	console_write_prompt("\n", 1, NULL, 0);
	plain_len = 0;
	assert_int_equal(console_hold_log(true), 0);
	console_write_log("one\n", 4);
	console_write_log("pie", 3);
	console_write_log("ce\n", 3);
	assert_string_equal(plain, "one\npiece\n");
	assert_string_equal(terminal_row(&term, 1), "");
	console_write_raw("ab\nc", 4); /* the column stays */
	assert_string_equal(terminal_row(&term, 1), "ab");
	assert_string_equal(terminal_row(&term, 2), "  c");
	assert_int_equal(console_hold_log(false), 2);
	assert_int_equal(console_hold_log(false), 0);
	console_write_log("\rtwo\n", 5);
	assert_string_equal(terminal_row(&term, 2), "two");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_console_yet),
		cmocka_unit_test(test_late_console_shows_the_log),
		cmocka_unit_test(test_shell_output_goes_to_shells),
		cmocka_unit_test(test_long_output),
		cmocka_unit_test(test_log_keeps_off_the_prompt),
		cmocka_unit_test(test_log_is_held),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_table_is_full),
		cmocka_unit_test(test_panic),
	};

	fake_reset();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
