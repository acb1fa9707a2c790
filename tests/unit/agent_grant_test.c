/* SPDX-License-Identifier: MIT */
/* links: $(NODE) */
/* The grant: what a VM's owner says, what its agent forecasts, what it touches; and shrinking. */
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

/* Somebody else takes all of the node's memory but 32 MiB. */
static hpa_t taken[FRAMES];
static u32 taken_count;

static void take_frames(void)
{
	struct gmem_room room;

	for (;;) {
		gmem_room_get(&room);
		if (room.free <= MiB(32))
			return;
		assert_int_equal(frames_alloc(0, 0, FRAME_NODE_ANY, &taken[taken_count++]), 0);
	}
}

static void give_frames(void)
{
	while (taken_count > 0)
		frame_put(taken[--taken_count]);
}

/* The order that a hint is for: the demand, the grant, the touch. */
static void test_grant_follows(void **state)
{
	static const u32 order[] = {AGENT_ROW_HELLO, AGENT_ROW_SAMPLE, AGENT_ROW_DEMAND,
				    AGENT_ROW_GRANT, AGENT_ROW_DEMAND, AGENT_ROW_GRANT,
				    AGENT_ROW_SAMPLE};
	struct agent_sample m;
	struct agent_row row;

	(void)state;
	says_hello();
	assert_int_equal(vm->mem.grant, ADVERTISED);
	m = a_sample();
	assert_int_equal(SAY(m), 0);
	assert_int_equal(demands(MiB(20)), 0);
	assert_int_equal(vm->mem.grant, MiB(36));
	assert_int_equal(demands(MiB(100)), 0);
	assert_int_equal(vm->mem.grant, MiB(116));
	assert_int_equal(last_row().backed * PAGE_SIZE, vm->mem.backed - vm->mem.backed_rom);
	assert_int_equal(touches(MiB(60)), MiB(60));
	assert_int_equal(vm->mem.grown, 0);
	m = a_sample();
	assert_int_equal(SAY(m), 0);
	for (u32 i = 0; i < ARRAY_SIZE(order); i++) {
		assert_true(agent_row_get(vm, i, &row));
		assert_int_equal(row.kind, order[i]);
	}
	assert_false(agent_row_get(vm, ARRAY_SIZE(order), &row));
	assert_true(agent_row_get(vm, 5, &row));
	assert_int_equal(row.bytes * PAGE_SIZE, MiB(36));
	assert_int_equal(row.grant * PAGE_SIZE, MiB(116));
	assert_int_equal(row.demand * PAGE_SIZE, MiB(100));
	assert_int_equal(row.used * PAGE_SIZE, ADVERTISED - MiB(100));
	assert_true(row.backed * PAGE_SIZE < MiB(1));
	assert_true(last_row().backed * PAGE_SIZE >= MiB(60));
	/* While memory is spare a lower demand lowers the grant at once, but to what is backed. */
	assert_int_equal(demands(MiB(10)), 0);
	assert_int_equal(vm->mem.grant, MiB(60));
	assert_false(view().shrinking);
}

/* A touch above the grant raises it, a step at a time; the agent hears of it. */
static void test_touch_raises(void **state)
{
	(void)state;
	says_hello();
	assert_int_equal(demands(MiB(1)), 0);
	assert_int_equal(vm->mem.grant, MiB(18));
	event_is(AGENT_GRANT_CHANGED, MiB(18));
	assert_int_equal(touches(MiB(17)), MiB(17));
	assert_int_equal(vm->mem.grant, MiB(18));
	assert_int_equal(touches(MiB(40)), MiB(40));
	assert_int_equal(vm->mem.grant, MiB(50));
	assert_int_equal(vm->mem.grown, 2);
	no_event();
	pass(1);
	event_is(AGENT_GRANT_CHANGED, MiB(50));
	assert_int_equal(last_row().kind, AGENT_ROW_GRANT);
	assert_int_equal(last_row().bytes * PAGE_SIZE, MiB(18));
	/* A device's write, too. */
	assert_int_equal(gmem_write(&vm->mem, gpa(MiB(60)), "x", 1), 0);
	assert_int_equal(touches(ADVERTISED - MiB(1)), ADVERTISED - MiB(1));
	assert_int_equal(vm->mem.over_grant, 0);
}

/* Memory is short: the grant falls below what is backed, touches stall, until there is room again. */
static void test_short(void **state)
{
	struct vm_config c = {.name = "b", .memory = MiB(256), .vcpus = 1, .kernel = "guest"};
	char why[VM_REASON_MAX];
	struct vm *b;
	u64 got;

	(void)state;
	assert_int_equal(vm_create(&c, why, sizeof(why)), 0);
	b = vm_find("b");
	says_hello();
	assert_int_equal(demands(MiB(40)), 0);
	assert_int_equal(touches(MiB(50)), MiB(50));
	for (u64 at = MiB(1); at < MiB(180); at += PAGE_SIZE)
		assert_int_equal(gmem_touch(&b->mem, gpa(at), true), GMEM_MAPPED);
	pass(1);
	assert_int_equal(vm->mem.grant, MiB(56));
	got = touches(MiB(100));
	assert_int_equal(got, MiB(56));
	assert_int_equal(vm->mem.over_grant, 1);
	assert_false(view().shrinking);
	/* What it forecasts is less than it has: it is asked. */
	assert_int_equal(demands(MiB(20)), 0);
	assert_int_equal(vm->mem.grant, MiB(36));
	assert_true(view().shrinking);
	assert_int_equal(last_row().kind, AGENT_ROW_SHRINK);
	assert_int_equal(touches(MiB(100)), got);
	gmem_unback(&b->mem, gpa(MiB(1)), MiB(170));
	while (scrub_some(64))
		;
	assert_int_equal(touches(MiB(100)), MiB(100));
	assert_true(vm->mem.grant > MiB(100));
}

/* What was left of an old grant goes as soon as memory is short, without a new forecast. */
static void test_short_later(void **state)
{
	(void)state;
	says_hello();
	assert_int_equal(demands(MiB(100)), 0);
	assert_int_equal(touches(MiB(60)), MiB(60));
	assert_int_equal(demands(MiB(20)), 0);
	assert_int_equal(vm->mem.grant, MiB(60));
	pass(1);
	assert_int_equal(vm->mem.grant, MiB(60));
	take_frames();
	pass(1);
	assert_int_equal(vm->mem.grant, MiB(36));
	assert_true(view().shrinking);
	pass(1);
	assert_int_equal(last_row().kind, AGENT_ROW_SHRINK);
	give_frames();
}

static void test_owner(void **state)
{
	(void)state;
	assert_int_equal(agent_set_grant(vm, ADVERTISED + PAGE_SIZE), -TERN_EINVAL);
	assert_int_equal(agent_set_grant(vm, MiB(1) + 1), -TERN_EINVAL);
	assert_int_equal(touches(MiB(30)), MiB(30));
	assert_int_equal(agent_set_grant(vm, MiB(20)), 0);
	assert_int_equal(vm->mem.grant, MiB(20));
	assert_false(view().shrinking); /* nobody to ask */
	assert_int_equal(touches(MiB(40)), MiB(30));
	assert_int_equal(vm->mem.grown, 0);
	/* Who begins finds out; its forecasts change nothing. */
	says_hello();
	assert_true(view().shrinking);
	event_is(AGENT_SHRINK, MiB(20));
	assert_int_equal(demands(MiB(100)), 0);
	assert_int_equal(vm->mem.grant, MiB(20));
	assert_int_equal(agent_set_grant(vm, MiB(50)), 0);
	event_is(AGENT_GRANT_CHANGED, MiB(50));
	assert_int_equal(touches(MiB(40)), MiB(40));
	assert_int_equal(agent_set_grant(vm, AGENT_GRANT_AUTO), 0);
	assert_int_equal(vm->mem.grant, MiB(116));
	event_is(AGENT_GRANT_CHANGED, MiB(116));
	no_event();
}

static void test_silence(void **state)
{
	struct agent_sample m;

	(void)state;
	says_hello();
	assert_int_equal(demands(MiB(20)), 0);
	assert_int_equal(vm->mem.grant, MiB(36));
	pass(29000);
	m = a_sample();
	assert_int_equal(SAY(m), 0);
	pass(29999);
	assert_false(view().silent);
	assert_int_equal(vm->mem.grant, MiB(36));
	pass(1);
	assert_true(view().silent);
	assert_int_equal(view().demand.bytes, 0);
	assert_int_equal(vm->mem.grant, ADVERTISED);
	assert_non_null(strstr(fake_log(), "vm a: its agent has been silent for 30 s"));
	/* A question is no sign of life; a sample is, but the old forecast is gone. */
	assert_int_equal(agent_query(vm, AGENT_WAY_CALL, &answer), sizeof(answer));
	assert_int_equal(answer.demand, 0);
	assert_true(view().silent);
	m = a_sample();
	assert_int_equal(SAY(m), 0);
	assert_false(view().silent);
	assert_int_equal(vm->mem.grant, ADVERTISED);
	assert_int_equal(demands(MiB(20)), 0);
	assert_int_equal(vm->mem.grant, MiB(36));
}

/* The VM's time counts: a paused guest cannot speak. */
static void test_paused(void **state)
{
	struct vm_locked l;

	(void)state;
	says_hello();
	assert_true(vm_find_locked("a", &l));
	assert_int_equal(vm_pause(l), 0);
	vm_unlock(l);
	pass(100000);
	assert_true(vm_find_locked("a", &l));
	assert_int_equal(vm_resume(l), 0);
	vm_unlock(l);
	pass(29000);
	assert_false(view().silent);
	pass(1500);
	assert_true(view().silent);
}

/* --- shrinking: what is reported is what became of backed --- */

static void test_shrink(void **state)
{
	struct agent_ack m;

	(void)state;
	says_hello();
	assert_int_equal(touches(MiB(64)), MiB(64));
	gmem_unback(&vm->mem, gpa(0), MiB(1));
	assert_int_equal(agent_set_grant(vm, MiB(32)), 0);
	assert_int_equal(view().shrink_asked, MiB(32));
	event_is(AGENT_GRANT_CHANGED, MiB(32));
	m = an_ack(event_is(AGENT_SHRINK, MiB(32)));
	fake_tsc += 3000 * MS;
	m.bytes = MiB(32);
	assert_int_equal(SAY(m), 0);
	assert_true(view().shrinking); /* it says so, but nothing has come back */
	gmem_unback(&vm->mem, gpa(MiB(1)), MiB(40));
	pass(500);
	assert_false(view().shrinking);
	assert_int_equal(view().shrink_done, MiB(40));
	assert_true(view().shrink_ms >= 3500 && view().shrink_ms < 3510);
	assert_non_null(strstr(fake_log(), "vm a: shrink to 32 MiB: asked for 32 MiB, 40 MiB given "
					   "back after 35"));
	assert_int_equal(last_row().kind, AGENT_ROW_SHRUNK);
	assert_int_equal(last_row().bytes * PAGE_SIZE, MiB(40));
	/* Nothing happens: reported when the deadline has passed. */
	assert_int_equal(agent_set_grant(vm, MiB(16)), 0);
	pass(9999);
	assert_true(view().shrinking);
	pass(1);
	assert_false(view().shrinking);
	assert_int_equal(view().shrink_done, 0);
	assert_int_equal(view().shrinks, 2);
	assert_non_null(strstr(fake_log(), "asked for 8 MiB, 0 B given back after 10"));
	/* A newer one ends an older one. */
	assert_int_equal(agent_set_grant(vm, MiB(12)), 0);
	assert_int_equal(agent_set_grant(vm, MiB(8)), 0);
	assert_int_equal(view().shrinks, 3);
	assert_true(view().shrinking);
	assert_int_equal(view().shrink_asked, MiB(16));
}

/* Who cannot is not asked. */
static void test_cannot_shrink(void **state)
{
	struct agent_hello m = a_hello();

	(void)state;
	m.features = AGENT_CAN_DEMAND;
	assert_int_equal(SAY(m), AGENT_CAN_DEMAND);
	assert_int_equal(touches(MiB(64)), MiB(64));
	assert_int_equal(agent_set_grant(vm, MiB(32)), 0);
	assert_false(view().shrinking);
	event_is(AGENT_GRANT_CHANGED, MiB(32));
	no_event();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_grant_follows), TEST(test_touch_raises), TEST(test_short),
		TEST(test_short_later),   TEST(test_owner),        TEST(test_silence),
		TEST(test_paused),        TEST(test_shrink),       TEST(test_cannot_shrink),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
