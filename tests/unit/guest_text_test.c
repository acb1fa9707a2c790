/* SPDX-License-Identifier: MIT */
/* links: hv/shell/guest_text.c hv/lib/str.c */
/* What passes from a guest to the operator's terminal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <hv/shell/guest_text.h>
#include <tern/lib.h>

static char out[512];
static struct guest_text text;

static const char *passed(const char *in)
{
	memset(&text, 0, sizeof(text));
	out[guest_text_pass(&text, in, strlen(in), out)] = '\0';
	return out;
}

static void test_text(void **state)
{
	(void)state;
	assert_string_equal(passed("login: \tx\b \a\r\n"), "login: \tx\b \a\r\n");
	assert_false(text.changed);
	assert_string_equal(passed("a\x01\x05\x0e\x0f\x18\x7f\x9b"
				   "b"),
			    "ab");
	assert_string_equal(passed("\xe2\x97\x8f caf\xc3\xa9"), "? caf?");
	assert_int_equal(guest_text_pass(&text, "a\0b", 3, out), 2);
}

static void test_sequences_that_pass(void **state)
{
	static const char *const good[] = {
		"\x1b[m",
		"\x1b[1;31m",
		"\x1b[H",
		"\x1b[24;80H",
		"\x1b[2J",
		"\x1b[K",
		"\x1b[?25l",
		"\x1b[?7h",
		"\x1b[?1h",
		"\x1b[1;24r",
		"\x1b[3@",
		"\x1b[P",
		"\x1b\x37x\x1b\x38",
		"\x1bM",
		"\x1b=",
		"\x1b>",
		"\x1b(0q\x1b(B",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_string_equal(passed(good[i]), good[i]);
		assert_true(text.changed);
	}
	assert_string_equal(passed(guest_text_restore), guest_text_restore);
}

static void test_sequences_that_do_not(void **state)
{
	static const char *const bad[] = {
		"\x1b[6n",
		"\x1b[c",
		"\x1b[>c",
		"\x1b[21t",
		"\x1b[5i",
		"\x1b[?1049h",
		"\x1b[?2004h",
		"\x1b[?1000h",
		"\x1b[?h",
		"\x1b[?25;6h",
		"\x1b[20h",
		"\x1b[1$p",
		"\x1b[!p",
		"\x1b[1:2m",
		"\x1b"
		"c",
		"\x1bZ",
		"\x1b#8",
		"\x1b%G",
		"\x1b(A",
		"\x1b((B",
		"\x1b]0;title\a",
		"\x1b]52;c;eA==\x1b\\",
		"\x1bP$qm\x1b\\",
		"\x1b_x\x1b\\",
		"\x1b[0000000000000000000000000000000000000000000m",
		"\x1b[3\x9b"
		"2n",
	};
	char with[128];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		snprintf(with, sizeof(with), "a%sb", bad[i]);
		if (strcmp(passed(with), "ab") != 0)
			fail_msg("row %zu passes: %s", i, out);
		assert_false(text.changed);
	}
}

static void test_broken_off(void **state)
{
	(void)state;
	assert_string_equal(passed("\x1b[3\nm"), "\nm");
	assert_string_equal(passed("\x1b[3\x1b[4m"), "\x1b[4m");
	assert_string_equal(passed("\x1b]0;no end\r\nlogin: "), "\r\nlogin: ");
	/* In pieces it is the same. */
	memset(&text, 0, sizeof(text));
	assert_int_equal(guest_text_pass(&text, "\x1b", 1, out), 0);
	assert_int_equal(guest_text_pass(&text, "[1", 2, out), 0);
	assert_int_equal(guest_text_pass(&text, "m", 1, out), 4);
	assert_memory_equal(out, "\x1b[1m", 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_sequences_that_pass),
		cmocka_unit_test(test_sequences_that_do_not),
		cmocka_unit_test(test_broken_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
