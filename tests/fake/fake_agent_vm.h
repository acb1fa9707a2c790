/* SPDX-License-Identifier: MIT */
/* A VM whose agent is the test, on a node of 256 MiB: for tests of hv/vm/agent*.c. */
#ifndef FAKE_AGENT_VM_H
#define FAKE_AGENT_VM_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <hv/vm/agent_internal.h>
#include <tern/err.h>
#include <tern/scrub.h>
#include <tests/fake/fake_frames.h>
#include <tests/fake/fake_host.h>
#include <tests/fake/fake_virt.h>

#define FRAMES     65536u /* 256 MiB */
#define ADVERTISED MiB(192)
#define MS         1000000ull /* of the fake clock, 1 GHz */

#define PIC2         0xa0u
#define PIC_READ_IRR 0x0au

static struct vm *vm;
static u64 seq;
static u32 notified;

static inline int setup(void **state)
{
	struct vm_config c = {.name = "a", .memory = ADVERTISED, .vcpus = 1, .kernel = "guest"};
	struct vm_locked l;
	char why[VM_REASON_MAX];

	(void)state;
	fake_node_start(1, FRAMES);
	fake_virt_guest = NULL;
	assert_int_equal(vm_create(&c, why, sizeof(why)), 0);
	assert_true(vm_find_locked("a", &l));
	assert_int_equal(vm_start(l), 0);
	vm_unlock(l);
	vm = l.vm;
	seq = 100;
	notified = 0;
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	fake_vm_end();
	assert_int_equal(scrub_backlog(), 0);
	return 0;
}

/* --- messages --- */

static inline struct agent_head head(u32 bytes, u16 type)
{
	return (struct agent_head){bytes, AGENT_ABI_VERSION, type, ++seq};
}

#define HEAD(m, type) head(sizeof(struct m), type)

static inline struct agent_hello a_hello(void)
{
	return (struct agent_hello){.head = HEAD(agent_hello, AGENT_HELLO),
				    .features = AGENT_CAN_ALL | 1ull << 60,
				    .mem_total = ADVERTISED - MiB(8),
				    .name = "agent 1.0"};
}

static inline struct agent_sample a_sample(void)
{
	return (struct agent_sample){.head = HEAD(agent_sample, AGENT_SAMPLE),
				     .time_ns = 5,
				     .mem_total = ADVERTISED - MiB(8),
				     .mem_free = MiB(100),
				     .mem_available = MiB(120),
				     .interval_ms = 1000,
				     .vcpus = 1};
}

static inline struct agent_demand a_demand(u64 bytes)
{
	return (struct agent_demand){.head = HEAD(agent_demand, AGENT_DEMAND),
				     .bytes = bytes,
				     .now = bytes,
				     .horizon_ms = 5000,
				     .confidence = 1000,
				     .source = AGENT_BY_HINT};
}

static inline struct agent_notice a_notice(void)
{
	return (struct agent_notice){.head = HEAD(agent_notice, AGENT_NOTICE),
				     .kind = AGENT_PRE_CONGESTION,
				     .resource = AGENT_MEMORY,
				     .level = 950};
}

static inline struct agent_ack an_ack(u64 event)
{
	return (struct agent_ack){.head = HEAD(agent_ack, AGENT_ACK), .event = event};
}

static struct agent_state answer;

static inline s64 say_by(enum agent_way way, const void *m, u32 bytes)
{
	lock_token token = lock_take(&vm->bus.lock);
	s64 result = agent_message(vm, way, 0, m, bytes, &answer);

	lock_release(&vm->bus.lock, token);
	return result;
}

#define SAY(m) say_by(AGENT_WAY_CALL, &(m), sizeof(m))

static inline void says_hello(void)
{
	struct agent_hello m = a_hello();

	assert_int_equal(SAY(m), AGENT_CAN_ALL);
}

static inline s64 demands(u64 bytes)
{
	struct agent_demand m = a_demand(bytes);

	return SAY(m);
}

static inline s64 event_by(enum agent_way way, struct agent_event *out)
{
	lock_token token = lock_take(&vm->bus.lock);
	s64 result = agent_event_next(vm, way, out);

	if (result > 0)
		agent_event_sent(vm);
	lock_release(&vm->bus.lock, token);
	return result;
}

/* The next event must be that one; returns its number. */
static inline u64 event_is(u32 kind, u64 bytes)
{
	struct agent_event e;

	assert_int_equal(event_by(AGENT_WAY_CALL, &e), sizeof(e));
	assert_int_equal(e.head.bytes, sizeof(e));
	assert_int_equal(e.head.version, AGENT_ABI_VERSION);
	assert_int_equal(e.head.type, AGENT_EVENT);
	assert_int_equal(e.kind, kind);
	assert_int_equal(e.bytes, bytes);
	return e.head.seq;
}

static inline void no_event(void)
{
	struct agent_event e;

	assert_int_equal(event_by(AGENT_WAY_CALL, &e), 0);
}

static inline bool line(void)
{
	bus_write(&vm->bus, DEV_PORT, PIC2, 1, PIC_READ_IRR, NULL);
	return (bus_in(&vm->bus, PIC2, 1) & 1u << (IRQ_AGENT - 8)) != 0;
}

static inline void pass(u64 ms)
{
	fake_tsc += ms * MS;
	vm_poll();
}

/* The guest touches that much from 1 MiB on. Returns how much it got. */
static inline u64 touches(u64 bytes)
{
	for (u64 done = 0; done < bytes; done += PAGE_SIZE) {
		if (gmem_touch(&vm->mem, gpa(MiB(1) + done), true) != GMEM_MAPPED)
			return done;
	}
	return bytes;
}

static inline struct agent_view view(void)
{
	struct agent_view v;

	agent_view(vm, &v);
	return v;
}

static inline struct agent_row last_row(void)
{
	struct agent_row row = {0};

	assert_true(agent_row_get(vm, view().rows_next - 1, &row));
	return row;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
