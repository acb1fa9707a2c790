/* SPDX-License-Identifier: MIT */
/* links: drivers/vga_text.c drivers/screen.c hv/console.c hv/log.c hv/lock.c hv/lib/str.c hv/lib/fmt.c tests/fake/fake_host.c */
#include "tests/fake/fake_host.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <tern/console.h>
#include <tern/drivers.h>
#include <tern/err.h>
#include <tern/io.h>

#define COLUMNS 80
#define ROWS    25

static u16 video[ROWS * COLUMNS];
static u8 crtc[256], crtc_index;

void io_out8(u16 port, u8 v)
{
	if (port == 0x3d4)
		crtc_index = v;
	else if (port == 0x3d5)
		crtc[crtc_index] = v;
	else
		fail_msg("write to port 0x%x", port);
}

static void show(const char *s)
{
	console_write_log(s, strlen(s));
}

static const char *row(int r)
{
	static char text[COLUMNS + 1];
	int n = COLUMNS;

	for (int i = 0; i < COLUMNS; i++) {
		assert_int_equal(video[r * COLUMNS + i] >> 8, 0x07);
		text[i] = (char)video[r * COLUMNS + i];
	}
	while (n > 0 && text[n - 1] == ' ')
		n--;
	text[n] = '\0';
	return text;
}

static int cursor(void)
{
	return crtc[0x0e] << 8 | crtc[0x0f];
}

static int reset(void **state)
{
	(void)state;
	memset(video, 0xa5, sizeof(video));
	return vga_text_init(video);
}

static void test_init_clears(void **state)
{
	(void)state;
	for (int i = 0; i < ROWS; i++)
		assert_string_equal(row(i), "");
	assert_int_equal(cursor(), 0);
	assert_int_equal(vga_text_init(NULL), -TERN_ENODEV);
	assert_string_equal(console_get(0)->name, "vga");
	assert_false(console_get(0)->shell);
}

static void test_text_and_cursor(void **state)
{
	(void)state;
	show("one\ntwo\rT\nthree\b\bE");
	assert_string_equal(row(0), "one");
	assert_string_equal(row(1), "Two");
	assert_string_equal(row(2), "thrEe");
	assert_int_equal(cursor(), 2 * COLUMNS + 4);
	show("\n\b\tx\ty\x01\x7f\xe4");
	assert_string_equal(row(3), "        x       y??");
}

static void test_scrolls(void **state)
{
	char text[32];

	(void)state;
	for (int i = 0; i < 100; i++) {
		snprintf(text, sizeof(text), "\nline %d", i);
		show(text);
	}
	assert_string_equal(row(ROWS - 1), "line 99");
	assert_string_equal(row(0), "line 75");
	assert_int_equal(cursor(), (ROWS - 1) * COLUMNS + 7);
}

static void test_wraps(void **state)
{
	char text[COLUMNS + 1];

	(void)state;
	memset(text, 'x', COLUMNS);
	text[COLUMNS] = '\0';
	show(text); /* exactly full: no empty row below */
	show("\nnext");
	assert_string_equal(row(1), "next");
	show("\r");
	show(text);
	show("y");
	assert_string_equal(row(2), "y");
}

static void test_sequences(void **state)
{
	(void)state;
	show("hello\b\b\x1b[K");
	assert_string_equal(row(0), "hel");
	show("\x1b[1mbold\x1b[0;31m\x1b(B");
	assert_string_equal(row(0), "helboldB");
	show("\b\b\x1b[1K");
	assert_string_equal(row(0), "       B");
	show("\x1b[2K\r\x1b[?25hz\x1b[\nw");
	assert_string_equal(row(0), "z");
	assert_string_equal(row(1), "w");
	show("\x1b[2J\x1b[Htop");
	assert_string_equal(row(0), "top");
	assert_string_equal(row(1), "");
}

/* Video memory is written only where the text changes, and never read. */
static void test_writes_only_changes(void **state)
{
	(void)state;
	show("same\nsame\n");
	memset(video, 0, sizeof(video));
	show("\x1b[Hsame");
	for (int i = 0; i < ROWS * COLUMNS; i++)
		assert_int_equal(video[i], 0);
	show("X");
	assert_int_equal(video[4], 0x0700 | 'X');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_init_clears, reset),
		cmocka_unit_test_setup(test_text_and_cursor, reset),
		cmocka_unit_test_setup(test_scrolls, reset),
		cmocka_unit_test_setup(test_wraps, reset),
		cmocka_unit_test_setup(test_sequences, reset),
		cmocka_unit_test_setup(test_writes_only_changes, reset),
	};

	fake_reset();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
