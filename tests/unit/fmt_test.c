/* SPDX-License-Identifier: MIT */
/* links: hv/lib/fmt.c */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <tern/lib.h>

/* Ours and libc's must agree on text and length, whole and cut. */
static void PRINTF(1, 2) same(const char *fmt, ...)
{
	static const size_t sizes[] = {256, 20, 5, 1};
	char want[257], got[257];

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		va_list ap;
		int n;

		memset(want, '#', sizeof(want));
		memset(got, '#', sizeof(got));
		va_start(ap, fmt);
		n = vsnprintf(want, sizes[i], fmt, ap);
		va_end(ap);
		va_start(ap, fmt);
		assert_int_equal(fmt_vstr(got, sizes[i], fmt, ap), n);
		va_end(ap);
		assert_string_equal(got, want);
		assert_int_equal(got[sizes[i]], '#');
	}
}

/* Calls the formatter with a format the compiler cannot check. */
static int loose(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = fmt_vstr(buf, size, fmt, ap);
	va_end(ap);
	return n;
}

static void test_integers(UNUSED void **state)
{
	same("%d %i %u", -5, 7, 4000000000u);
	same("%d %d %d", INT_MIN, INT_MAX, 0);
	same("%ld %ld %lu", LONG_MIN, LONG_MAX, ULONG_MAX);
	same("%lld %llu", LLONG_MIN, ULLONG_MAX);
	same("%zu %zd %td %jd %ju", (size_t)-1, (ssize_t)-1, (ptrdiff_t)-9, INTMAX_MIN,
	     UINTMAX_MAX);
	same("%hd %hu %hhd %hhu", (short)-3, (unsigned short)65535, (signed char)-128,
	     (unsigned char)255);
	same("%x %X %#x %#X %#x", 0xbeefu, 0xbeefu, 0xbeefu, 0xbeefu, 0u);
	same("%lx %016lx %#018lx", ULONG_MAX, 0xffffffff80000000ul, 0x1000ul);
	same("%hhx %hx", (unsigned char)0xff, (unsigned short)0xffff);
	same("plain, no conversion");
	same("100%%");
	same("%s", "");
}

static void test_fields(UNUSED void **state)
{
	same("[%5d] [%-5d] [%05d] [%+d] [%+d] [% d]", 42, 42, 42, 42, -42, 42);
	same("[%5d] [%-5d] [%05d] [%+05d]", -42, -42, -42, 42);
	same("[%.3d] [%8.3d] [%-8.3d] [%+.3d]", 7, 7, 7, 7);
	same("[%.0d] [%.0x] [%5.0d]", 0, 0u, 0);
	same("[%#8x] [%#-8x] [%#08x] [%#8.4x]", 0xabu, 0xabu, 0xabu, 0xabu);
	same("[%*d] [%*d] [%.*d] [%.*d]", 6, 1, -6, 1, 3, 1, -3, 1);
	same("[%s] [%5s] [%-5s] [%.2s] [%5.1s]", "abc", "abc", "abc", "abc", "abc");
	same("[%.*s] [%*s] [%-*s]", 2, "abc", 5, "abc", 5, "abc");
	same("[%c] [%3c] [%-3c]", 'x', 'y', 'z');
	same("[%3d] [%2s]", 123456, "longer");
}

static void test_strings(UNUSED void **state)
{
	char buf[64];
	const char raw[3] = {'a', 'b', 'c'}; /* no NUL */

	assert_int_equal(fmt_str(buf, sizeof(buf), "%.3s", raw), 3);
	assert_string_equal(buf, "abc");
	assert_int_equal(loose(buf, sizeof(buf), "%s", NULL), 6);
	assert_string_equal(buf, "(null)");
	assert_int_equal(fmt_str(buf, sizeof(buf), "%p", (void *)0xffff800000001000ul), 18);
	assert_string_equal(buf, "0xffff800000001000");
	fmt_str(buf, sizeof(buf), "%p", (void *)0);
	assert_string_equal(buf, "0x0");
	fmt_str(buf, sizeof(buf), "%8p", (void *)0x10);
	assert_string_equal(buf, "    0x10");
}

/* Wrong formats are our bug, but the log line that has one must come out all the same. */
static void test_wrong_formats(UNUSED void **state)
{
	char buf[64];

	loose(buf, sizeof(buf), "a %q b");
	assert_string_equal(buf, "a %q b");
	loose(buf, sizeof(buf), "a %");
	assert_string_equal(buf, "a %");
	loose(buf, sizeof(buf), "a %-08");
	assert_string_equal(buf, "a %-08");
	loose(buf, sizeof(buf), "%f");
	assert_string_equal(buf, "%f");
	loose(buf, sizeof(buf), "%hhx %hhd %hx %hd", 0x1ff, 0x1ff, 0x1ffff, 0x1ffff);
	assert_string_equal(buf, "ff -1 ffff -1");
	assert_int_equal(loose(buf, sizeof(buf), "%99999999999999999999d", 1), 100000);
	assert_int_equal(loose(buf, sizeof(buf), "%*d", INT_MIN, 1), 100000);
	assert_int_equal(loose(buf, sizeof(buf), "%*d", INT_MAX, 1), 100000);
}

static void test_small_buffers(UNUSED void **state)
{
	char buf[4] = "###";

	assert_int_equal(fmt_str(NULL, 0, "%s", "hello"), 5);
	assert_int_equal(fmt_str(buf, 1, "hello"), 5);
	assert_string_equal(buf, "");
	assert_int_equal(buf[1], '#');
	assert_int_equal(fmt_str(buf, 4, "abc"), 3);
	assert_string_equal(buf, "abc");
	assert_int_equal(fmt_str(buf, 4, "abcd"), 4);
	assert_string_equal(buf, "abc");
}

static void test_size(UNUSED void **state)
{
	static const struct {
		u64 bytes;
		const char *want;
	} rows[] = {
		{0, "0 B"},
		{1023, "1023 B"},
		{1024, "1 KiB"},
		{1536, "1.5 KiB"},
		{MiB(512), "512 MiB"},
		{MiB(512) + 1, "512 MiB"},
		{GiB(3) / 2, "1.5 GiB"},
		{GiB(1) - 1, "1023.9 MiB"},
		{GiB(16384), "16 TiB"},
		{GiB(1) << 20, "1 PiB"},
		{UINT64_MAX, "15.9 EiB"},
		/* Rounded down from the exact value, not from a rounded one. */
		{1024 * 1024 + 104857, "1 MiB"},
		{1024 * 1024 + 104858, "1.1 MiB"},
	};
	char buf[16];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_string_equal(fmt_size(buf, sizeof(buf), rows[i].bytes), rows[i].want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_integers),      cmocka_unit_test(test_fields),
		cmocka_unit_test(test_strings),       cmocka_unit_test(test_wrong_formats),
		cmocka_unit_test(test_small_buffers), cmocka_unit_test(test_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
