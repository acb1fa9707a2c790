/* SPDX-License-Identifier: MIT */
/* links: arch/x86_64/guest/event.c */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include <arch/x86_64/guest/guest.h>

/* SDM vol. 3A table 6-4, one letter a vector: benign, contributory, page fault, double fault. */
static const char classes[] = "cbbbbbbbdbccccpbbbbbpcbbbbbbbbbb";

/* SDM vol. 3A table 6-5: the first event's row, the second's column "bcp". */
static const char *const table[] = {
	"b sss", "c sds", "p sdd", "d shh", /* "handle serially" or shutdown */
};

static char class_of(const struct vcpu_event *e)
{
	if (e->type != EVENT_EXCEPTION)
		return 'b';
	return e->vector < sizeof(classes) - 1 ? classes[e->vector] : 'b';
}

static char expected(const struct vcpu_event *first, const struct vcpu_event *second)
{
	char one = class_of(first), two = class_of(second);

	/* A double fault is never a second event: it is made of two. Were it one, it is delivered. */
	if (two == 'd')
		return 's';
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (table[i][0] == one)
			return table[i][2 + (strchr("bcp", two) - "bcp")];
	fail();
	return 0;
}

static void check(const struct vcpu_event *first, const struct vcpu_event *second)
{
	struct vcpu_event result = *second;
	enum event_merge merge = guest_event_merge(first, &result);

	switch (expected(first, second)) {
	case 's':
		assert_int_equal(merge, EVENT_DELIVER);
		assert_memory_equal(&result, second, sizeof(result));
		break;
	case 'd':
		assert_int_equal(merge, EVENT_DOUBLE_FAULT);
		assert_int_equal(result.type, EVENT_EXCEPTION);
		assert_int_equal(result.vector, 8);
		assert_true(result.has_error);
		assert_int_equal(result.error, 0);
		break;
	default:
		assert_int_equal(merge, EVENT_SHUTDOWN);
		assert_memory_equal(&result, second, sizeof(result));
		break;
	}
}

static void test_every_pair(UNUSED void **state)
{
	struct vcpu_event a, b;

	memset(&a, 0, sizeof(a));
	memset(&b, 0, sizeof(b));
	b.has_error = true;
	b.error = 0x1234;
	for (u32 one = 0; one < 4 * 256; one++) {
		for (u32 two = 0; two < 4 * 256; two++) {
			a.type = (enum event_type)(one >> 8);
			a.vector = (u8)one;
			b.type = (enum event_type)(two >> 8);
			b.vector = (u8)two;
			check(&a, &b);
		}
	}
}

/* The pairs people remember, written out. */
static void test_known_pairs(UNUSED void **state)
{
	struct vcpu_event gp = {EVENT_EXCEPTION, 13, true, 0}, pf = {EVENT_EXCEPTION, 14, true, 2};
	struct vcpu_event df = {EVENT_EXCEPTION, 8, true, 0}, db = {EVENT_EXCEPTION, 1, false, 0};
	struct vcpu_event irq = {EVENT_INTERRUPT, 14, false, 0}, e;

	e = pf;
	assert_int_equal(guest_event_merge(&gp, &e), EVENT_DELIVER);
	e = gp;
	assert_int_equal(guest_event_merge(&pf, &e), EVENT_DOUBLE_FAULT);
	e = pf;
	assert_int_equal(guest_event_merge(&pf, &e), EVENT_DOUBLE_FAULT);
	e = gp;
	assert_int_equal(guest_event_merge(&df, &e), EVENT_SHUTDOWN);
	e = pf;
	assert_int_equal(guest_event_merge(&df, &e), EVENT_SHUTDOWN);
	e = db;
	assert_int_equal(guest_event_merge(&df, &e), EVENT_DELIVER);
	/* The vector of an interrupt does not make it a page fault. */
	e = gp;
	assert_int_equal(guest_event_merge(&irq, &e), EVENT_DELIVER);
	assert_int_equal(e.vector, 13);
}

/* SDM vol. 3A table 6-1, column "error code". */
static void test_error_codes(UNUSED void **state)
{
	static const char pushes[] = "00000000101111100100010000000000";

	for (u32 v = 0; v < 256; v++)
		assert_int_equal(guest_vector_has_error((u8)v),
				 v < sizeof(pushes) - 1 && pushes[v] == '1');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_pair),
		cmocka_unit_test(test_known_pairs),
		cmocka_unit_test(test_error_codes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
