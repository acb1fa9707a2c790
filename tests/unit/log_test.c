/* SPDX-License-Identifier: MIT */
/* links: hv/log.c hv/log_level.c hv/console.c hv/lock.c hv/lib/str.c hv/lib/fmt.c tests/fake/fake_host.c */
#include "tests/fake/fake_host.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <tern/console.h>
#include <tern/lib.h>
#include <tern/log.h>

/*
 * hv/log.c is one log for the life of a node, and a node is what a process is here: tests that boot
 * run in main()'s order, and each uses the ring the one before left.
 */
#define RING_SIZE (64u << 10)
#define HEADER    64u

static char ring[RING_SIZE] __attribute__((aligned(64)));
static char prev[RING_SIZE];
static char lines[256 * 1024];
static size_t lines_len;
static u32 line_count;

static void collect(const char *text, void *arg)
{
	(void)arg;
	assert_true(strlen(text) <= LOG_LINE_MAX);
	for (const char *p = text; *p != '\0'; p++)
		assert_in_range((u8)*p, ' ', '~');
	lines_len += (size_t)snprintf(lines + lines_len, sizeof(lines) - lines_len, "%s\n", text);
	line_count++;
}

static void reset_lines(void)
{
	lines_len = 0;
	lines[0] = '\0';
	line_count = 0;
}

static const char *current(void)
{
	reset_lines();
	log_current(collect, NULL);
	return lines;
}

static void test_format(void **state)
{
	(void)state;
	fake_tsc = 12345678;
	fake_tsc_step = 0;
	fake_tsc_hz = 0;
	log_info("before calibration");
	fake_tsc_hz = 1000000000;
	log_info("acpi: %d tables", 7);
	log_warn("w");
	log_err("e");
	fake_tsc = 123456789012345678;
	fake_tsc_hz = 3000000000;
	log_debug("d");
	assert_string_equal(current(), "[    0.000000] before calibration\n"
				       "[    0.012345] acpi: 7 tables\n"
				       "[    0.012345] W w\n"
				       "[    0.012345] E e\n"
				       "[41152263.004115] D d\n");
	fake_tsc = 0;
}

static void test_levels(void **state)
{
	enum log_level level;

	(void)state;
	assert_int_equal(log_line_level("[    0.012345] text"), LOG_INFO);
	assert_int_equal(log_line_level("[    0.012345] W text"), LOG_WARN);
	assert_int_equal(log_line_level("[    0.012345] E text"), LOG_ERR);
	assert_int_equal(log_line_level("[41152263.004115] D d"), LOG_DEBUG);
	assert_int_equal(log_line_level("[    0.012345] Was"), LOG_INFO);
	assert_int_equal(log_line_level("[    0.012345] "), LOG_INFO);
	assert_int_equal(log_line_level("[    0.012345]"), LOG_INFO);
	assert_int_equal(log_line_level(""), LOG_INFO);
	assert_int_equal(log_line_level("(3 older lines were overwritten)"), LOG_INFO);
	assert_true(log_level_parse("warn", &level));
	assert_int_equal(level, LOG_WARN);
	assert_false(log_level_parse("warning", &level));
	assert_string_equal(log_level_name(LOG_DEBUG), "debug");
	assert_true(log_line_shown("[    0.012345] text"));
	assert_false(log_line_shown("[    0.012345] D text"));
	log_set_console_level(LOG_WARN);
	assert_false(log_line_shown("[    0.012345] text"));
	log_set_console_level(LOG_INFO);
}

static void test_bytes_are_clean_and_lines_short(void **state)
{
	char text[1000];
	const char *at;

	(void)state;
	log_info("a\x1b[2Jb\nc\xc3\xa9%c", '\t');
	assert_non_null(strstr(current(), "] a?[2Jb?c???\n"));
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	log_info("%s", text);
	at = strstr(current(), "] xxx");
	assert_non_null(at);
	assert_non_null(strstr(at, "xxx...\n"));
}

static void test_text_in_pieces(void **state)
{
	(void)state;
	log_piece("RAX 1 ", 6);
	log_piece("RBX 2\nRCX", 9);
	assert_non_null(strstr(current(), "\nRAX 1 RBX 2\n"));
	assert_null(strstr(lines, "RCX"));
	log_piece(" 3\n\n", 4);
	assert_non_null(strstr(current(), "\nRCX 3\n\n"));
}

/* An NMI while this CPU writes a line must neither wait nor spoil it. */
static bool nmi;
static void nmi_write(struct console *con, const char *text, size_t n)
{
	(void)con;
	(void)text;
	(void)n;
	if (nmi)
		log_err("from the NMI");
}
static struct console nmi_console = {.name = "nmi", .write = nmi_write, .shell = true};

static void test_nmi_is_refused_and_counted(void **state)
{
	u64 before = log_lost();

	(void)state;
	assert_int_equal(console_register(&nmi_console), 0);
	nmi = true;
	log_info("interrupted");
	assert_int_equal(log_lost(), before + 1);
	console_printf("interrupted too\n"); /* debug builds would find a wrong lock order */
	assert_int_equal(log_lost(), before + 2);
	nmi = false;
	assert_null(strstr(current(), "NMI"));
	assert_non_null(strstr(lines, "] interrupted\n"));
	assert_true(arch_irq_enabled());
}

static void test_early_overwrites_whole_lines(void **state)
{
	u64 before = log_lost();
	u32 stored;

	(void)state;
	for (int i = 0; i < 1000; i++)
		log_info("early line %d", i);
	stored = (current(), line_count);
	assert_non_null(strstr(lines, "early line 999\n"));
	assert_memory_equal(lines, "[", 1);
	assert_true(stored > 200 && stored < 1000);
	assert_true(log_lost() - before >= 1000 - stored);
}

/* What a power-on leaves in memory is refused; the early lines move over whole. */
static void test_garbage_ring(void **state)
{
	char *before = strdup(current());

	(void)state;
	srandom(1);
	for (u32 i = 0; i < RING_SIZE; i++)
		ring[i] = (char)random();
	log_init_ring(ring, sizeof(ring), prev, sizeof(prev));
	assert_false(log_previous(collect, NULL));
	assert_int_equal(log_boot_count(), 1);
	assert_string_equal(current(), before);
	free(before);
	log_info("in the ring");
	assert_non_null(strstr(current(), "early line 999\n"));
	assert_non_null(strstr(lines, "in the ring\n"));
}

static void test_ring_wraps(void **state)
{
	(void)state;
	for (int i = 0; i < 10000; i++)
		log_info("%.*s %d", i % 200,
			 "--------------------------------------------------"
			 "--------------------------------------------------"
			 "--------------------------------------------------"
			 "--------------------------------------------------",
			 i);
	current();
	assert_true(lines_len < RING_SIZE - HEADER);
	assert_true(lines_len > RING_SIZE - HEADER - 2 * LOG_LINE_MAX);
	assert_memory_equal(lines, "[", 1);
	assert_non_null(strstr(lines, " 9999\n"));
}

static void reading_while_written(const char *text, void *arg)
{
	u32 *n = arg;

	(void)text;
	if (++*n < 5000)
		log_info("one more");
}

static void test_reader_survives_writers(void **state)
{
	u32 n = 0;

	(void)state;
	log_current(reading_while_written, &n);
	assert_true(n > 100 && n < 5000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_format),
		cmocka_unit_test(test_levels),
		cmocka_unit_test(test_bytes_are_clean_and_lines_short),
		cmocka_unit_test(test_text_in_pieces),
		cmocka_unit_test(test_nmi_is_refused_and_counted),
		cmocka_unit_test(test_early_overwrites_whole_lines),
		cmocka_unit_test(test_garbage_ring),
		cmocka_unit_test(test_ring_wraps),
		cmocka_unit_test(test_reader_survives_writers),
	};

	fake_reset();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
