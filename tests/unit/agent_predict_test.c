/* SPDX-License-Identifier: MIT */
/* links: guest-tools/agent/forecast.c guest-tools/agent/histogram.c guest-tools/agent/predict_level.c guest-tools/agent/predict_growth.c guest-tools/agent/predict_daily.c guest-tools/agent/predict_profile.c guest-tools/agent/predict_hint.c guest-tools/agent/profile.c hv/lib/str.c */
/* libs: -lm */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include <guest-tools/agent/forecast.h>
#include <guest-tools/agent/histogram.h>
#include <tern/types.h>

#define HORIZON 60000u

static struct forecast f;
static struct profiles store;
static struct observation o;

static int begin(void **state)
{
	(void)state;
	memset(&store, 0, sizeof(store));
	forecast_init(&f, &store);
	o = (struct observation){.now_ms = 1000000, .wall_ms = 1700000000000, .advertised = GiB(4)};
	return 0;
}

/* seconds of use at one level, in steps. */
static struct forecast_result use(u64 bytes, u32 seconds, u32 step_s)
{
	struct forecast_result r = {0};

	for (u32 i = 0; i < seconds; i += step_s) {
		o.now_ms += step_s * 1000;
		o.wall_ms += step_s * 1000;
		o.used = bytes;
		r = forecast_step(&f, &o, HORIZON);
	}
	return r;
}

static void a_histogram_forgets(void **state)
{
	static struct histogram h;

	(void)state;
	histogram_init(&h, 60000);
	assert_int_equal(histogram_percentile(&h, 900), 0);
	for (u32 i = 0; i < 100; i++)
		histogram_add(&h, i * 1000, MiB(800), 1);
	assert_in_range(histogram_percentile(&h, 900), MiB(800), MiB(800) * 103 / 100);
	/* Ten half-lives on, a thousandth of it is left. */
	for (u32 i = 0; i < 600; i++)
		histogram_add(&h, 100000 + i * 1000, MiB(100), 1);
	assert_in_range(histogram_percentile(&h, 990), MiB(100), MiB(100) * 103 / 100);
	/* Nothing for a year: weights do not leave their range. */
	histogram_add(&h, 365ull * 86400000, MiB(300), 1);
	assert_in_range(histogram_percentile(&h, 900), MiB(300), MiB(300) * 103 / 100);
	histogram_add(&h, 366ull * 86400000, UINT64_MAX, 1);
	histogram_add(&h, 366ull * 86400000, 0, 1);
	assert_true(histogram_percentile(&h, 1000) > GiB(1024));
}

static void steady_use_is_forecast_as_it_is(void **state)
{
	struct forecast_result r = use(MiB(500), 3600, 10);

	(void)state;
	assert_in_range(r.bytes, MiB(500), MiB(500) * 105 / 100);
	assert_in_range(r.confidence, 400, 600);
	r = use(MiB(500), 8 * 3600, 10);
	assert_true(r.confidence > 990);
	assert_int_equal(r.source, AGENT_BY_HISTORY);
}

static void the_forecast_is_never_below_use_nor_above_what_there_is(void **state)
{
	u64 seed = 1;

	(void)state;
	o.advertised = GiB(1);
	for (u32 i = 0; i < 20000; i++) {
		struct forecast_result r;

		seed = seed * 6364136223846793005ull + 1442695040888963407ull;
		r = use((seed >> 34) % GiB(1) + 1, 1, 1);
		assert_true(r.bytes >= o.used && r.bytes <= o.advertised);
		assert_true(r.confidence <= 1000);
	}
}

static void a_rise_is_forecast_to_go_on(void **state)
{
	struct forecast_result r = use(MiB(300), 600, 10);

	(void)state;
	assert_true(r.bytes < MiB(320));
	for (u32 i = 1; i <= 5; i++)
		r = use(MiB(300) + i * MiB(40), 10, 10);
	/* Five steps of 40 MiB: two more are to come at the least. */
	assert_true(r.bytes >= MiB(580));
}

static void what_is_freed_is_forgotten_once_and_remembered_when_it_comes_again(void **state)
{
	struct forecast_result r;

	(void)state;
	use(MiB(200), 120, 1);
	r = use(MiB(500), 120, 1);
	assert_true(r.bytes >= MiB(500));
	r = use(MiB(200), 300, 1);
	assert_true(r.bytes < MiB(220));
	use(MiB(500), 120, 1);
	r = use(MiB(200), 300, 1);
	assert_in_range(r.bytes, MiB(490), MiB(520));
	/* And forgotten again when it does not. */
	r = use(MiB(200), 5 * 86400, 20);
	assert_true(r.bytes < MiB(220));
}

static void a_shortfall_that_could_be_foreseen_costs_the_blind(void **state)
{
	u32 before;

	(void)state;
	/* Peaks every two hours, that only the longest memory keeps. */
	use(MiB(300), 3600, 10);
	before = f.part[0].maturity;
	for (u32 i = 0; i < 4; i++) {
		use(MiB(900), 300, 10);
		use(MiB(300), 6900, 10);
	}
	assert_true(f.part[0].maturity < before);
	assert_true(f.part[2].maturity > f.part[0].maturity);
	assert_true(use(MiB(300), 10, 10).bytes >= MiB(800));
}

static void put_run(struct run *r, const char *name, u64 mib)
{
	*r = (struct run){.kind = RUN_EXE, .start_ms = o.now_ms, .bytes = MiB(mib)};
	strcpy(r->name, name);
	o.runs = r;
	o.run_count = 1;
}

/* 300 s of a run that rises to 600 MiB in the second half of its first minute. */
static struct forecast_result run_once(const char *name, struct forecast_result *first)
{
	struct run r;
	struct forecast_result last = {0};

	put_run(&r, name, 4);
	*first = use(MiB(204), 1, 1);
	last = use(MiB(204), 29, 1);
	r.bytes = MiB(600);
	last = use(MiB(800), 270, 1);
	o.run_count = 0;
	use(MiB(200), 1, 1);
	return last;
}

static void a_second_run_is_forecast_from_its_profile(void **state)
{
	struct forecast_result r;

	(void)state;
	use(MiB(200), 600, 1);
	run_once("report", &r);
	assert_true(r.bytes < MiB(300));
	assert_non_null(profile_find(&store, RUN_EXE, "report"));
	/* Long enough for history to forget it. */
	use(MiB(200), 5 * 86400, 20);
	run_once("report", &r);
	assert_int_equal(r.source, AGENT_BY_PROFILE);
	assert_in_range(r.bytes, MiB(780), MiB(820));
	/* Another program is not known by it. */
	use(MiB(200), 5 * 86400, 20);
	run_once("other", &r);
	assert_int_equal(r.source, AGENT_BY_HISTORY);
}

static void a_profile_that_does_not_foretell_counts_less(void **state)
{
	const struct profile *p;
	u32 kib[PROFILE_AGES] = {0};

	(void)state;
	kib[3] = 600 << 10;
	profile_learn(&store, RUN_EXE, "liar", kib, 0, 1);
	kib[3] = 60 << 10;
	for (u32 i = 0; i < 8; i++)
		profile_learn(&store, RUN_EXE, "liar", kib, MiB(600), 2 + i);
	p = profile_find(&store, RUN_EXE, "liar");
	assert_true(p->hit < 300);
	assert_int_equal(p->runs, 9);
	/* Less is believed by and by. */
	assert_in_range(profile_peak(p, 0, 20000), MiB(60), MiB(150));
}

static void the_store_is_bounded_and_the_oldest_goes(void **state)
{
	u32 kib[PROFILE_AGES] = {100 << 10};
	char name[RUN_NAME_MAX];

	(void)state;
	for (u32 i = 0; i < PROFILES_MAX + 5; i++) {
		snprintf(name, sizeof(name), "w%u", i);
		profile_learn(&store, RUN_EXE, name, kib, 0, 1000 + i);
	}
	assert_null(profile_find(&store, RUN_EXE, "w0"));
	assert_null(profile_find(&store, RUN_EXE, "w4"));
	assert_non_null(profile_find(&store, RUN_EXE, "w5"));
	assert_non_null(profile_find(&store, RUN_EXE, "w260"));
	/* Small ones are not worth a place, and a unit is not a program. */
	kib[0] = 15 << 10;
	profile_learn(&store, RUN_EXE, "little", kib, 0, 9999);
	assert_null(profile_find(&store, RUN_EXE, "little"));
	assert_null(profile_find(&store, RUN_UNIT, "w260"));
}

static void ages_are_told_apart(void **state)
{
	(void)state;
	assert_int_equal(profile_age(0), 0);
	assert_int_equal(profile_age(999), 0);
	assert_int_equal(profile_age(1000), 1);
	assert_int_equal(profile_age(3999), 2);
	assert_int_equal(profile_age(4000), 3);
	assert_int_equal(profile_age(UINT64_MAX), PROFILE_AGES - 1);
}

static void profiles_survive_the_disk(void **state)
{
	static struct profiles back;
	static u8 text[PROFILE_FILE_MAX];
	u32 kib[PROFILE_AGES] = {0, 100 << 10, 200 << 10};
	size_t n;

	(void)state;
	profile_learn(&store, RUN_EXE, "make", kib, 0, 7);
	profile_learn(&store, RUN_UNIT, "db.service", kib, 0, 8);
	n = profile_encode(&store, text);
	assert_int_equal(n, 16 + 2 * 128);
	assert_int_equal(profile_decode(&back, text, n), 0);
	assert_memory_equal(profile_find(&back, RUN_EXE, "make"),
			    profile_find(&store, RUN_EXE, "make"), sizeof(struct profile));
	/* A bit that fell over, anywhere, and any other length. */
	for (size_t i = 0; i < n; i++) {
		text[i] ^= 0x40;
		assert_int_equal(profile_decode(&back, text, n), -EINVAL);
		assert_int_equal(back.p[0].name[0], 0);
		text[i] ^= 0x40;
	}
	for (size_t i = 0; i < n; i++)
		assert_int_equal(profile_decode(&back, text, i), -EINVAL);
}

static void a_file_is_replaced_as_a_whole(void **state)
{
	static struct profiles back;
	char dir[] = "/tmp/tern-profiles-XXXXXX", path[64], beside[72];
	u32 kib[PROFILE_AGES] = {100 << 10};

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/profiles", dir);
	snprintf(beside, sizeof(beside), "%s.new", path);
	assert_int_equal(profile_load(&back, path), 0);
	profile_learn(&store, RUN_EXE, "make", kib, 0, 7);
	assert_int_equal(profile_store(&store, path), 0);
	assert_false(store.changed);
	assert_int_equal(access(beside, F_OK), -1);
	assert_int_equal(profile_load(&back, path), 0);
	assert_non_null(profile_find(&back, RUN_EXE, "make"));
	/* Where nothing can be written the old one stays. */
	assert_int_equal(mkdir(beside, 0700), 0);
	profile_learn(&store, RUN_EXE, "cc1", kib, 0, 8);
	assert_true(profile_store(&store, path) < 0);
	assert_true(store.changed);
	assert_int_equal(profile_load(&back, path), 0);
	assert_null(profile_find(&back, RUN_EXE, "cc1"));
	rmdir(beside);
	unlink(path);
	rmdir(dir);
}

static void a_hint_lifts_the_forecast_at_once_and_ends(void **state)
{
	struct forecast_result r = use(MiB(200), 600, 10);

	(void)state;
	assert_int_equal(hint_add(&f.hint, 100, 0, MiB(600), 120, &o), 0);
	r = forecast_now(&f, &o, HORIZON);
	assert_int_equal(r.bytes, MiB(800));
	assert_int_equal(r.source, AGENT_BY_HINT);
	/* What it takes does not come on top again. */
	r = use(MiB(500), 10, 10);
	assert_true(r.bytes >= MiB(800) && r.bytes < MiB(1200));
	assert_true(hint_drop(&f.hint, 100));
	assert_false(hint_drop(&f.hint, 100));
	r = use(MiB(200), 600, 10);
	assert_true(r.bytes < MiB(800));
	assert_int_equal(hint_add(&f.hint, 100, 0, MiB(600), 120, &o), 0);
	use(MiB(200), 130, 10);
	assert_int_equal(f.hint.count, 0);
}

static void hints_stand_upon_each_other(void **state)
{
	(void)state;
	use(MiB(200), 10, 10);
	assert_int_equal(hint_add(&f.hint, 100, 0, MiB(100), 120, &o), 0);
	assert_int_equal(hint_add(&f.hint, 101, 0, MiB(50), 120, &o), 0);
	assert_int_equal(forecast_now(&f, &o, HORIZON).bytes, MiB(350));
	assert_true(hint_drop(&f.hint, 100));
	assert_int_equal(forecast_now(&f, &o, HORIZON).bytes, MiB(250));
	/* A later hint of the same process takes the place of the earlier. */
	assert_int_equal(hint_add(&f.hint, 101, 0, MiB(70), 120, &o), 0);
	assert_int_equal(f.hint.count, 1);
	assert_int_equal(forecast_now(&f, &o, HORIZON).bytes, MiB(270));
}

static void hints_are_bounded(void **state)
{
	(void)state;
	use(MiB(200), 10, 10);
	assert_int_equal(hint_add(&f.hint, 1, 5, 0, 10, &o), -EINVAL);
	assert_int_equal(hint_add(&f.hint, 1, 5, 1, 0, &o), -EINVAL);
	assert_int_equal(hint_add(&f.hint, 1, 5, 1, 86401, &o), -EINVAL);
	for (s32 i = 1; i <= (s32)HINTS_OF_USER; i++)
		assert_int_equal(hint_add(&f.hint, i, 5, UINT64_MAX, 10, &o), 0);
	assert_int_equal(hint_add(&f.hint, 1000, 5, MiB(1), 10, &o), -ENOSPC);
	assert_int_equal(hint_add(&f.hint, 1, 5, MiB(1), 10, &o), 0);
	for (u32 i = f.hint.count; i < HINTS_MAX; i++)
		assert_int_equal(hint_add(&f.hint, 2000 + (s32)i, 0, UINT64_MAX, 10, &o), 0);
	assert_int_equal(hint_add(&f.hint, 3000, 0, MiB(1), 10, &o), -ENOSPC);
	assert_int_equal(forecast_now(&f, &o, HORIZON).bytes, o.advertised);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_histogram_forgets, begin),
		cmocka_unit_test_setup(steady_use_is_forecast_as_it_is, begin),
		cmocka_unit_test_setup(the_forecast_is_never_below_use_nor_above_what_there_is,
				       begin),
		cmocka_unit_test_setup(a_rise_is_forecast_to_go_on, begin),
		cmocka_unit_test_setup(
			what_is_freed_is_forgotten_once_and_remembered_when_it_comes_again, begin),
		cmocka_unit_test_setup(a_shortfall_that_could_be_foreseen_costs_the_blind, begin),
		cmocka_unit_test_setup(a_second_run_is_forecast_from_its_profile, begin),
		cmocka_unit_test_setup(a_profile_that_does_not_foretell_counts_less, begin),
		cmocka_unit_test_setup(the_store_is_bounded_and_the_oldest_goes, begin),
		cmocka_unit_test_setup(ages_are_told_apart, begin),
		cmocka_unit_test_setup(profiles_survive_the_disk, begin),
		cmocka_unit_test_setup(a_file_is_replaced_as_a_whole, begin),
		cmocka_unit_test_setup(a_hint_lifts_the_forecast_at_once_and_ends, begin),
		cmocka_unit_test_setup(hints_stand_upon_each_other, begin),
		cmocka_unit_test_setup(hints_are_bounded, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
