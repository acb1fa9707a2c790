/* SPDX-License-Identifier: MIT */
/* links: $(NODE) */
/* The agent's messages and events: what is taken, what is refused, what that changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <tern/err.h>
#include <tern/scrub.h>
#include <tests/fake/fake_agent_vm.h>
#include <tests/fake/fake_frames.h>
#include <tests/fake/fake_host.h>
#include <tests/fake/fake_virt.h>

/* --- what is refused --- */

/* A byte of a message becomes a value: refused, whatever it is. */
struct wrong {
	u32 offset, width;
	u64 value;
};
#define WRONG(type, field, value)                                                      \
	{                                                                              \
		offsetof(struct type, field), sizeof(((struct type *)0)->field), value \
	}

static void refused_forms(const void *message, u32 bytes, const struct wrong *wrongs, u32 count)
{
	u8 copy[AGENT_MESSAGE_MAX];
	u32 type = ((const struct agent_head *)message)->type;

	assert_int_equal(agent_check(message, bytes, 0, ADVERTISED), 0);
	assert_int_equal(agent_check(message, bytes, type, ADVERTISED), 0);
	assert_int_equal(agent_check(message, bytes, type % 6 + 1, ADVERTISED), -TERN_EINVAL);
	for (u32 n = 0; n < AGENT_MESSAGE_MAX; n++) {
		memset(copy, 0, sizeof(copy));
		memcpy(copy, message, bytes);
		if (n != bytes)
			assert_int_equal(agent_check(copy, n, 0, ADVERTISED), -TERN_EINVAL);
		((struct agent_head *)(void *)copy)->bytes = n;
		if (n != bytes)
			assert_int_equal(agent_check(copy, n, 0, ADVERTISED), -TERN_EINVAL);
	}
	for (u32 i = 0; i < count; i++) {
		memcpy(copy, message, bytes);
		memcpy(copy + wrongs[i].offset, &wrongs[i].value, wrongs[i].width);
		if (agent_check(copy, bytes, 0, ADVERTISED) != -TERN_EINVAL)
			fail_msg("type %u, wrong %u is taken", type, i);
	}
}
#define REFUSED(m, list) refused_forms(&(m), sizeof(m), list, ARRAY_SIZE(list))

static void test_hello_forms(void **state)
{
	static const struct wrong hellos[] = {
		WRONG(agent_hello, head.version, 0),
		WRONG(agent_hello, head.version, 2),
		WRONG(agent_hello, head.type, 0),
		WRONG(agent_hello, head.type, 7),
		WRONG(agent_hello, head.type, AGENT_STATE),
		WRONG(agent_hello, head.type, 65535),
		WRONG(agent_hello, mem_total, 0),
		WRONG(agent_hello, mem_total, ADVERTISED + 1),
		WRONG(agent_hello, name[0], 0),
		WRONG(agent_hello, name[3], 0x1b),
		WRONG(agent_hello, name[3], 0x7f),
		WRONG(agent_hello, name[3], 0x80),
		WRONG(agent_hello, name[3], '\n'),
		WRONG(agent_hello, name[31], 1),
	};
	struct agent_hello m = a_hello();

	(void)state;
	REFUSED(m, hellos);
	memset(m.name, 'x', sizeof(m.name));
	assert_int_equal(agent_check(&m, sizeof(m), 0, ADVERTISED), -TERN_EINVAL);
	m.name[31] = '\0';
	assert_int_equal(agent_check(&m, sizeof(m), 0, ADVERTISED), 0);
	memset(m.name, 0, sizeof(m.name));
	assert_int_equal(agent_check(&m, sizeof(m), 0, ADVERTISED), 0);
}

static void test_other_forms(void **state)
{
	static const struct wrong samples[] = {
		WRONG(agent_sample, mem_total, 0),
		WRONG(agent_sample, mem_total, ADVERTISED + 1),
		WRONG(agent_sample, mem_free, ADVERTISED - MiB(8) + 1),
		WRONG(agent_sample, mem_available, UINT64_MAX),
		WRONG(agent_sample, mem_cached, UINT64_MAX),
		WRONG(agent_sample, mem_anon, UINT64_MAX),
		WRONG(agent_sample, interval_ms, 0),
		WRONG(agent_sample, vcpus, 0),
		WRONG(agent_sample, cpu, 1001),
		WRONG(agent_sample, psi_mem_some, 1001),
		WRONG(agent_sample, psi_mem_full, 1001),
		WRONG(agent_sample, psi_cpu_some, 1001),
		WRONG(agent_sample, psi_io_some, UINT32_MAX),
		WRONG(agent_sample, pad, 1),
	};
	static const struct wrong wrong_demands[] = {
		WRONG(agent_demand, bytes, 0),
		WRONG(agent_demand, bytes, ADVERTISED + 1),
		WRONG(agent_demand, now, ADVERTISED + 1),
		WRONG(agent_demand, horizon_ms, 0),
		WRONG(agent_demand, horizon_ms, AGENT_HORIZON_MAX + 1),
		WRONG(agent_demand, confidence, 1001),
		WRONG(agent_demand, source, 0),
		WRONG(agent_demand, source, 4),
		WRONG(agent_demand, pad, 1),
	};
	static const struct wrong notices[] = {
		WRONG(agent_notice, kind, 0),     WRONG(agent_notice, kind, 3),
		WRONG(agent_notice, resource, 0), WRONG(agent_notice, resource, 5),
		WRONG(agent_notice, level, 1001), WRONG(agent_notice, horizon_ms, UINT32_MAX),
	};
	static const struct wrong acks[] = {
		WRONG(agent_ack, bytes, ADVERTISED + 1),
		WRONG(agent_ack, result, 1),
		WRONG(agent_ack, pad, 1),
	};
	struct agent_head query = head(sizeof(query), AGENT_QUERY);
	struct agent_sample sample = a_sample();
	struct agent_demand demand = a_demand(MiB(50));
	struct agent_notice notice = a_notice();
	struct agent_ack ack = an_ack(1);

	(void)state;
	REFUSED(sample, samples);
	REFUSED(demand, wrong_demands);
	REFUSED(notice, notices);
	REFUSED(ack, acks);
	refused_forms(&query, sizeof(query), NULL, 0);
}

/* That is refused so, counted so, and nothing else changes. */
static void refuses(const void *m, u32 bytes, enum agent_way way, s64 result,
		    enum agent_refusal why)
{
	struct agent before = *vm->agent, after;
	u32 type = ((const struct agent_head *)m)->type;

	assert_int_equal(say_by(way, m, bytes), result);
	after = *vm->agent;
	assert_int_equal(after.refused[type], before.refused[type] + 1);
	assert_int_equal(after.why[why], before.why[why] + 1);
	assert_int_equal(after.last_error, result);
	after.refused[type]--;
	after.why[why]--;
	after.last_error = before.last_error;
	assert_memory_equal(&after, &before, sizeof(after));
}
#define REFUSES(m, result, why) refuses(&(m), sizeof(m), AGENT_WAY_CALL, result, why)

static void test_refused(void **state)
{
	struct agent_demand demand = a_demand(MiB(50));
	struct agent_notice notice = a_notice();
	struct agent_hello hello;
	struct agent_sample sample;
	struct agent_ack ack = an_ack(1);

	(void)state;
	REFUSES(demand, -TERN_ENODEV, AGENT_REFUSED_NOBODY);
	REFUSES(ack, -TERN_ENODEV, AGENT_REFUSED_NOBODY);
	says_hello();
	REFUSES(demand, -TERN_EINVAL, AGENT_REFUSED_REPLAY);
	demand.head.seq = seq;
	REFUSES(demand, -TERN_EINVAL, AGENT_REFUSED_REPLAY);
	demand.head.seq = ++seq;
	refuses(&demand, sizeof(demand), AGENT_WAY_PORT, -TERN_ENODEV, AGENT_REFUSED_NOBODY);
	demand.pad = 1;
	REFUSES(demand, -TERN_EINVAL, AGENT_REFUSED_FORM);
	demand.pad = 0;
	assert_int_equal(SAY(demand), 0);
	REFUSES(demand, -TERN_EINVAL, AGENT_REFUSED_REPLAY);
	sample = a_sample();
	assert_int_equal(SAY(sample), 0);
	sample = a_sample();
	assert_int_equal(SAY(sample), 0); /* time may stand still */
	sample = a_sample();
	sample.time_ns = 4;
	REFUSES(sample, -TERN_EINVAL, AGENT_REFUSED_TIME);
	/* HELLO begins anew: numbers and time may be lower. */
	seq = 0;
	says_hello();
	assert_int_equal(view().demand.bytes, 0);
	sample = a_sample();
	sample.time_ns = 1;
	assert_int_equal(SAY(sample), 0);
	notice.head.seq = UINT64_MAX;
	assert_int_equal(SAY(notice), 0);
	assert_int_equal(view().notices, 1);
	sample.head.seq = UINT64_MAX;
	REFUSES(sample, -TERN_EINVAL, AGENT_REFUSED_REPLAY);
	ack.head.seq = UINT64_MAX;
	hello = a_hello();
	hello.mem_total = 0;
	REFUSES(hello, -TERN_EINVAL, AGENT_REFUSED_FORM);
	assert_int_equal(view().refused[AGENT_SAMPLE], 2);
	/* What has no type is counted under none. */
	hello.head.type = 77;
	assert_int_equal(SAY(hello), -TERN_EINVAL);
	assert_int_equal(say_by(AGENT_WAY_CALL, &hello, 3), -TERN_EINVAL);
	assert_int_equal(view().refused[0], 2);
}

static void test_too_many(void **state)
{
	struct agent_sample m;

	(void)state;
	says_hello();
	for (u32 i = 1; i < AGENT_RATE; i++) {
		m = a_sample();
		assert_int_equal(SAY(m), 0);
	}
	m = a_sample();
	REFUSES(m, -TERN_EBUSY, AGENT_REFUSED_RATE);
	fake_tsc += 900 * MS;
	REFUSES(m, -TERN_EBUSY, AGENT_REFUSED_RATE);
	fake_tsc += 100 * MS;
	assert_int_equal(SAY(m), 0);
	assert_int_equal(view().taken[AGENT_SAMPLE], AGENT_RATE);
	for (u32 i = 1; i < AGENT_RATE; i++) {
		m = a_sample();
		assert_int_equal(SAY(m), 0);
	}
	m = a_sample();
	REFUSES(m, -TERN_EBUSY, AGENT_REFUSED_RATE);
}

/* --- what is taken --- */

static void test_query(void **state)
{
	struct agent_head m;
	u64 last;

	(void)state;
	says_hello();
	assert_int_equal(demands(MiB(64)), 0);
	m = head(sizeof(m), AGENT_QUERY);
	assert_int_equal(SAY(m), sizeof(answer));
	assert_int_equal(answer.head.bytes, sizeof(answer));
	assert_int_equal(answer.head.type, AGENT_STATE);
	assert_int_equal(answer.advertised, ADVERTISED);
	assert_int_equal(answer.grant, MiB(80));
	assert_int_equal(answer.backed, vm->mem.backed - vm->mem.backed_rom);
	assert_int_equal(answer.demand, MiB(64));
	assert_int_equal(answer.mode, 0);
	assert_int_equal(answer.events, 1);
	last = answer.head.seq;
	assert_int_equal(agent_query(vm, AGENT_WAY_CALL, &answer), sizeof(answer));
	assert_true(answer.head.seq > last);
	assert_int_equal(agent_query(vm, AGENT_WAY_PORT, &answer), -TERN_ENODEV);
}

/* --- events --- */

static void test_events(void **state)
{
	struct agent_event e;
	struct agent_ack m;
	u64 first, second;

	(void)state;
	assert_int_equal(event_by(AGENT_WAY_CALL, &e), -TERN_ENODEV);
	assert_int_equal(agent_set_grant(vm, MiB(64)), 0);
	says_hello();
	no_event(); /* what was before it is in the state */
	assert_false(line());
	assert_int_equal(agent_set_grant(vm, MiB(50)), 0);
	assert_true(line());
	assert_int_equal(agent_set_grant(vm, MiB(40)), 0);
	assert_int_equal(view().events, 1);
	assert_true(line());
	first = event_is(AGENT_GRANT_CHANGED, MiB(40));
	assert_false(line());
	no_event();
	assert_int_equal(touches(MiB(30)), MiB(30));
	assert_int_equal(agent_set_grant(vm, MiB(20)), 0);
	assert_int_equal(view().events, 2);
	second = event_is(AGENT_GRANT_CHANGED, MiB(20));
	assert_true(second > first);
	assert_true(line());
	fake_tsc += 4000 * MS;
	assert_int_equal(event_by(AGENT_WAY_CALL, &e), sizeof(e));
	assert_int_equal(e.kind, AGENT_SHRINK);
	assert_true(e.deadline_ms <= 6000 && e.deadline_ms > 5900);
	assert_false(line());
	/* Each event that was sent can be acknowledged, once. */
	m = an_ack(second);
	assert_int_equal(SAY(m), 0);
	m = an_ack(second);
	REFUSES(m, -TERN_ENOENT, AGENT_REFUSED_EVENT);
	m = an_ack(first);
	assert_int_equal(SAY(m), 0);
	m = an_ack(0);
	REFUSES(m, -TERN_ENOENT, AGENT_REFUSED_EVENT);
	m = an_ack(e.head.seq + 1);
	REFUSES(m, -TERN_ENOENT, AGENT_REFUSED_EVENT);
	/* Not by who comes later. */
	says_hello();
	m = an_ack(e.head.seq);
	REFUSES(m, -TERN_ENOENT, AGENT_REFUSED_EVENT);
}

static void notify(void *arg)
{
	assert_ptr_equal(arg, &notified);
	assert_true(lock_held(&vm->bus.lock));
	notified++;
}

/* By the port: no line, but a call; the other way is not the agent any more. */
static void test_port(void **state)
{
	struct agent_hello m;
	struct agent_event e;

	(void)state;
	agent_set_notify(vm, notify, &notified);
	says_hello();
	assert_int_equal(agent_set_grant(vm, MiB(64)), 0);
	assert_true(line());
	assert_int_equal(notified, 0);
	m = a_hello();
	assert_int_equal(say_by(AGENT_WAY_PORT, &m, sizeof(m)), AGENT_CAN_ALL);
	assert_false(line());
	assert_int_equal(demands(MiB(20)), -TERN_ENODEV);
	assert_int_equal(event_by(AGENT_WAY_CALL, &e), -TERN_ENODEV);
	assert_int_equal(agent_set_grant(vm, MiB(32)), 0);
	assert_int_equal(notified, 1);
	assert_false(line());
	assert_int_equal(event_by(AGENT_WAY_PORT, &e), sizeof(e));
	assert_int_equal(e.bytes, MiB(32));
	assert_int_equal(event_by(AGENT_WAY_PORT, &e), 0);
	assert_true(agent_seq(vm) > e.head.seq);
}

/* --- the rest --- */

static void test_rows_wrap(void **state)
{
	struct agent_row row;

	(void)state;
	says_hello();
	for (u32 i = 0; i < 2 * AGENT_ROWS; i++) {
		struct agent_sample m = a_sample();

		if (i % 60 == 0)
			fake_tsc += 1000 * MS;
		assert_int_equal(SAY(m), 0);
	}
	assert_int_equal(view().rows_next, 2 * AGENT_ROWS + 1);
	assert_int_equal(view().rows_first, AGENT_ROWS + 1);
	assert_false(agent_row_get(vm, AGENT_ROWS, &row));
	assert_true(agent_row_get(vm, AGENT_ROWS + 1, &row));
	assert_int_equal(row.kind, AGENT_ROW_SAMPLE);
	assert_false(agent_row_get(vm, 2 * AGENT_ROWS + 1, &row));
	assert_string_equal(agent_row_name(AGENT_ROW_SHRUNK), "shrunk");
	assert_string_equal(agent_row_name(99), "?");
}

/* Lines that a guest causes are one a second. */
static void test_log(void **state)
{
	u32 lines = 0;

	(void)state;
	for (u32 i = 0; i < 40; i++)
		says_hello();
	for (const char *s = fake_log(); (s = strstr(s, "agent \"agent 1.0\"")) != NULL; s++)
		lines++;
	assert_int_equal(lines, 1);
	fake_tsc += 1000 * MS;
	struct agent_notice m = a_notice();
	assert_int_equal(SAY(m), 0);
	assert_non_null(strstr(fake_log(), "vm a: agent: memory becomes short: 950 permille"));
}

static void test_reset(void **state)
{
	struct vm_locked l;

	(void)state;
	says_hello();
	assert_int_equal(demands(MiB(20)), 0);
	assert_true(line());
	assert_true(vm_find_locked("a", &l));
	assert_int_equal(vm_reset(l, "a test"), 0);
	vm_unlock(l);
	while (vm_idle_work())
		;
	assert_int_equal(vm->state, VM_RUNNING);
	assert_int_equal(view().way, AGENT_WAY_NONE);
	assert_int_equal(vm->mem.grant, ADVERTISED);
	assert_false(line());
	assert_int_equal(demands(MiB(20)), -TERN_ENODEV);
	assert_int_equal(agent_set_grant(vm, MiB(64)), 0);
	assert_true(vm_find_locked("a", &l));
	assert_int_equal(vm_reset(l, "a test"), 0);
	vm_unlock(l);
	while (vm_idle_work())
		;
	assert_int_equal(vm->mem.grant, MiB(64)); /* its owner's */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_hello_forms), TEST(test_other_forms), TEST(test_refused),
		TEST(test_too_many),    TEST(test_query),       TEST(test_events),
		TEST(test_port),        TEST(test_rows_wrap),   TEST(test_log),
		TEST(test_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
