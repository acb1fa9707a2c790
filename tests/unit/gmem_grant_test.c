/* SPDX-License-Identifier: MIT */
/* links: hv/mem/gmem_grant.c */
/* The rules about grants, at their borders and over random figures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <tern/gmem.h>
#include <tern/types.h>

static u64 spare(u64 total, u64 free)
{
	struct gmem_room room = {.total = total, .free = free};

	return gmem_grant_spare(&room);
}

static void test_spare(void **state)
{
	(void)state;
	assert_int_equal(spare(MiB(256), MiB(32)), 0);
	assert_int_equal(spare(MiB(256), MiB(32) + PAGE_SIZE), PAGE_SIZE);
	assert_int_equal(spare(MiB(512), MiB(512)), MiB(480));
	assert_int_equal(spare(GiB(16), GiB(1)), 0);
	assert_int_equal(spare(GiB(16), GiB(1) + MiB(3)), MiB(3));
	assert_int_equal(spare(0, 0), 0);
}

static u64 grown(u64 grant, u64 backed, u64 advertised, u64 room)
{
	struct gmem_use use = {.grant = grant, .backed = backed, .spare = room};

	return gmem_grant_grown(&use, advertised);
}

static void test_grown(void **state)
{
	(void)state;
	assert_int_equal(grown(MiB(100), MiB(100), GiB(1), GiB(1)), MiB(116));
	assert_int_equal(grown(MiB(100), MiB(100), MiB(101), GiB(1)), MiB(101));
	assert_int_equal(grown(MiB(100), MiB(100), GiB(1), MiB(3)), MiB(103));
	assert_int_equal(grown(MiB(100), MiB(100), GiB(1), 0), MiB(100));
	assert_int_equal(grown(GiB(1), GiB(1), GiB(1), GiB(1)), GiB(1));
	/* It fell below what is backed when memory was short: the step is above that. */
	assert_int_equal(grown(MiB(36), MiB(56), GiB(1), GiB(1)), MiB(72));
	assert_int_equal(grown(MiB(36), MiB(56), GiB(1), 0), MiB(36));
}

static void test_wanted(void **state)
{
	(void)state;
	/* An eighth when it is sure, a quarter when it never was, at least 16 MiB, whole 2 MiB. */
	assert_int_equal(gmem_grant_wanted(MiB(800), 1000, GiB(4)), MiB(900));
	assert_int_equal(gmem_grant_wanted(MiB(800), 0, GiB(4)), MiB(1000));
	assert_int_equal(gmem_grant_wanted(MiB(800), 500, GiB(4)), MiB(950));
	assert_int_equal(gmem_grant_wanted(MiB(10), 1000, GiB(4)), MiB(26));
	assert_int_equal(gmem_grant_wanted(MiB(10) + 1, 1000, GiB(4)), MiB(28));
	assert_int_equal(gmem_grant_wanted(MiB(800), 1000, MiB(801)), MiB(801));
	assert_int_equal(gmem_grant_wanted(1, 1000, MiB(1)), MiB(1));
	assert_int_equal(gmem_grant_wanted(GiB(65536), 0, GiB(65536)), GiB(65536));
}

static u64 next(u64 wanted, u64 grant, u64 backed, u64 room)
{
	struct gmem_use use = {.grant = grant, .backed = backed, .spare = room};

	return gmem_grant_next(wanted, &use);
}

static void test_next(void **state)
{
	(void)state;
	/* Up: as far as memory goes. */
	assert_int_equal(next(MiB(500), MiB(100), MiB(90), GiB(1)), MiB(500));
	assert_int_equal(next(MiB(500), MiB(100), MiB(90), MiB(200)), MiB(290));
	assert_int_equal(next(MiB(500), MiB(100), MiB(90), 0), MiB(100));
	/* Down at once, but to what is backed only when memory is short. */
	assert_int_equal(next(MiB(100), MiB(500), MiB(90), GiB(1)), MiB(100));
	assert_int_equal(next(MiB(100), MiB(500), MiB(301), GiB(1)), MiB(302));
	assert_int_equal(next(MiB(100), MiB(500), MiB(600), GiB(1)), MiB(500));
	assert_int_equal(next(MiB(100), MiB(500), MiB(301), 0), MiB(100));
	assert_int_equal(next(MiB(100), MiB(100), MiB(90), 0), MiB(100));
}

static void test_random(void **state)
{
	u64 seed = 1;

	(void)state;
	for (u32 i = 0; i < 200000; i++) {
		u64 f[5], advertised, grant, wanted, n;

		for (u32 k = 0; k < 5; k++) {
			seed = seed * 6364136223846793005ull + 1442695040888963407ull;
			f[k] = seed >> 24 >> (seed >> 20 & 15);
		}
		advertised = (f[0] & ~(PAGE_SIZE - 1)) + PAGE_SIZE;
		grant = f[1] % (advertised / PAGE_SIZE + 1) * PAGE_SIZE;
		wanted = gmem_grant_wanted(f[2] % advertised + 1, (u32)(f[3] % 1001), advertised);
		assert_true(wanted <= advertised && wanted >= f[2] % advertised + 1);
		assert_int_equal(wanted % PAGE_SIZE, 0);
		f[3] &= ~(PAGE_SIZE - 1);
		f[4] &= ~(PAGE_SIZE - 1);
		n = next(wanted, grant, f[3], f[4]);
		assert_true(n <= advertised && n % PAGE_SIZE == 0);
		assert_true(wanted > grant ? n >= grant && n <= wanted : n <= grant && n >= wanted);
		n = grown(grant, grant, advertised, f[4]);
		assert_true(n >= grant && n <= advertised && n - grant <= f[4]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spare),  cmocka_unit_test(test_grown),
		cmocka_unit_test(test_wanted), cmocka_unit_test(test_next),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
