/* SPDX-License-Identifier: MIT */
/* links: hv/lib/str.c hv/lib/err.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <tern/err.h>
#include <tern/lib.h>

#define UNTOUCHED 0x5a5a5a5aull

static void test_copy(UNUSED void **state)
{
	char buf[8];

	assert_int_equal(str_copy(buf, "", sizeof(buf)), 0);
	assert_string_equal(buf, "");
	assert_int_equal(str_copy(buf, "1234567", sizeof(buf)), 7);
	assert_string_equal(buf, "1234567");
	assert_int_equal(str_copy(buf, "12345678", sizeof(buf)), 8);
	assert_string_equal(buf, "1234567");
	assert_int_equal(str_copy(buf, "abc", 1), 3);
	assert_string_equal(buf, "");
}

static void test_starts(UNUSED void **state)
{
	assert_true(str_starts("console=", "console"));
	assert_true(str_starts("console", "console"));
	assert_true(str_starts("x", ""));
	assert_false(str_starts("consol", "console"));
	assert_false(str_starts("", "c"));
}

static void test_to_u64(UNUSED void **state)
{
	static const struct {
		const char *text;
		int err;
		u64 want;
	} rows[] = {
		{"0", 0, 0},
		{"007", 0, 7},
		{"18446744073709551615", 0, UINT64_MAX},
		{"18446744073709551616", -TERN_ERANGE, 0},
		{"99999999999999999999999", -TERN_ERANGE, 0},
		{"0xffffffffffffffff", 0, UINT64_MAX},
		{"0X3F8", 0, 0x3f8},
		{"0x10000000000000000", -TERN_ERANGE, 0},
		{"", -TERN_EINVAL, 0},
		{"0x", -TERN_EINVAL, 0},
		{"x", -TERN_EINVAL, 0},
		{"12a", -TERN_EINVAL, 0},
		{"99999999999999999999999z", -TERN_EINVAL, 0},
		{" 1", -TERN_EINVAL, 0},
		{"1 ", -TERN_EINVAL, 0},
		{"-1", -TERN_EINVAL, 0},
		{"+1", -TERN_EINVAL, 0},
		{"0xg", -TERN_EINVAL, 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		u64 got = UNTOUCHED;

		assert_int_equal(str_to_u64(rows[i].text, &got), rows[i].err);
		assert_int_equal(got, rows[i].err ? UNTOUCHED : rows[i].want);
	}
}

static void test_to_size(UNUSED void **state)
{
	static const struct {
		const char *text;
		int err;
		u64 want;
	} rows[] = {
		{"0", 0, 0},
		{"64", 0, 64},
		{"4KiB", 0, 4096},
		{"512MiB", 0, MiB(512)},
		{"2GiB", 0, GiB(2)},
		{"1TiB", 0, GiB(1024)},
		{"16777215TiB", 0, 16777215ull << 40},
		{"16777216TiB", -TERN_ERANGE, 0},
		{"18446744073709551616KiB", -TERN_ERANGE, 0},
		{"", -TERN_EINVAL, 0},
		{"GiB", -TERN_EINVAL, 0},
		{"2GB", -TERN_EINVAL, 0},
		{"2G", -TERN_EINVAL, 0},
		{"2 GiB", -TERN_EINVAL, 0},
		{"2GiBx", -TERN_EINVAL, 0},
		{"2gib", -TERN_EINVAL, 0},
		{"0x10", -TERN_EINVAL, 0},
		{"-1", -TERN_EINVAL, 0},
		{"1.5GiB", -TERN_EINVAL, 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		u64 got = UNTOUCHED;

		assert_int_equal(str_to_size(rows[i].text, &got), rows[i].err);
		assert_int_equal(got, rows[i].err ? UNTOUCHED : rows[i].want);
	}
}

static void test_crc32(UNUSED void **state)
{
	char zeros[32] = {0};

	/* The check value every catalogue of CRCs gives for this one. */
	assert_int_equal(crc32("123456789", 9), 0xcbf43926);
	assert_int_equal(crc32("", 0), 0);
	assert_int_equal(crc32("The quick brown fox jumps over the lazy dog", 43), 0x414fa339);
	assert_int_equal(crc32(zeros, sizeof(zeros)), 0x190a55ad);
}

static void test_err_name(UNUSED void **state)
{
	static const struct {
		int err;
		const char *name;
	} rows[] = {
		{TERN_EPERM, "EPERM"},
		{TERN_ENOENT, "ENOENT"},
		{TERN_EIO, "EIO"},
		{TERN_E2BIG, "E2BIG"},
		{TERN_EAGAIN, "EAGAIN"},
		{TERN_ENOMEM, "ENOMEM"},
		{TERN_EFAULT, "EFAULT"},
		{TERN_EBUSY, "EBUSY"},
		{TERN_EEXIST, "EEXIST"},
		{TERN_ENODEV, "ENODEV"},
		{TERN_EINVAL, "EINVAL"},
		{TERN_ENOSPC, "ENOSPC"},
		{TERN_ERANGE, "ERANGE"},
		{TERN_ENOSYS, "ENOSYS"},
		{TERN_ETIMEDOUT, "ETIMEDOUT"},
		{0, "E?"},
		{-TERN_EINVAL, "E?"},
		{12345, "E?"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_string_equal(err_name(rows[i].err), rows[i].name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_copy),   cmocka_unit_test(test_starts),
		cmocka_unit_test(test_to_u64), cmocka_unit_test(test_to_size),
		cmocka_unit_test(test_crc32),  cmocka_unit_test(test_err_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
