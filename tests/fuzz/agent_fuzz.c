/* SPDX-License-Identifier: MIT */
/* links: $(NODE) */
/*
 * A hostile agent, by both ways, in a guest that touches its memory while its owner changes the grant: the input is
 * a list of steps. A refused message changes nothing but a counter; the grant stays within what is advertised.
 */
#include <stdlib.h>
#include <string.h>

#include <hv/vm/agent_internal.h>
#include <tern/err.h>
#include <tern/scrub.h>
#include <tests/fake/fake_frames.h>
#include <tests/fake/fake_host.h>
#include <tests/fake/fake_virt.h>

#define REQUIRE(cond)            \
	do {                     \
		if (!(cond))     \
			abort(); \
	} while (0)

#define FRAMES     9000u /* 35 MiB, of which 32 are the reserve */
#define ADVERTISED MiB(64)
#define STEPS      100u
#define PIC2       0xa0u
#define READ_IRR   0x0au

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static struct vm *vm;
static const u8 *input;
static size_t left;
static u64 seq;

static u8 byte(void)
{
	if (left == 0)
		return 0;
	left--;
	return *input++;
}

static u64 number(u32 bytes)
{
	u64 v = 0;

	while (bytes-- > 0)
		v = v << 8 | byte();
	return v;
}

/* Asserted exactly while an event waits for an agent that has hypercalls. */
static void check_line(const struct agent *a)
{
	u32 n = 0;

	for (u32 i = 0; i < AGENT_EVENT_KINDS; i++)
		n += a->waiting[i].order != 0;
	REQUIRE(n == 0 || a->way != AGENT_WAY_NONE);
	bus_write(&vm->bus, DEV_PORT, PIC2, 1, READ_IRR, NULL);
	REQUIRE(((bus_in(&vm->bus, PIC2, 1) & 1u << (IRQ_AGENT - 8)) != 0) ==
		(n > 0 && a->way == AGENT_WAY_CALL));
}

static void check(void)
{
	const struct agent *a = vm->agent;
	u64 refused = 0, why = 0;
	struct agent_view v;
	struct agent_row row;

	REQUIRE(vm->mem.grant <= ADVERTISED && vm->mem.grant % PAGE_SIZE == 0);
	REQUIRE(a->demand.bytes <= ADVERTISED && a->used <= ADVERTISED);
	agent_view(vm, &v);
	for (u32 i = 0; i < AGENT_TYPES; i++)
		refused += v.refused[i];
	for (u32 i = 0; i < AGENT_REFUSALS; i++)
		why += v.why[i];
	REQUIRE(refused == why && (refused == 0) == (v.last_error == 0));
	REQUIRE(v.name[AGENT_NAME_MAX - 1] == '\0');
	if (v.rows_next > 0) {
		REQUIRE(agent_row_get(vm, v.rows_next - 1, &row));
		REQUIRE(row.kind < AGENT_ROW_KINDS && row.grant <= ADVERTISED / PAGE_SIZE);
	}
	check_line(a);
}

/* Counters aside, which are compared by check(). */
static struct agent state_of(void)
{
	struct agent a = *vm->agent;

	memset(a.refused, 0, sizeof(a.refused));
	memset(a.why, 0, sizeof(a.why));
	a.last_error = 0;
	return a;
}

static void say(enum agent_way way, u32 type, const void *message, u32 bytes)
{
	struct agent before = state_of(), after;
	u64 grant = vm->mem.grant;
	struct agent_state out;
	lock_token token = lock_take(&vm->bus.lock);
	s64 rc = agent_message(vm, way, type, message, bytes, &out);

	lock_release(&vm->bus.lock, token);
	if (rc >= 0)
		return;
	after = state_of();
	REQUIRE(memcmp(&before, &after, sizeof(after)) == 0 && grant == vm->mem.grant);
	REQUIRE(rc == -TERN_EINVAL || rc == -TERN_ENODEV || rc == -TERN_ENOENT ||
		rc == -TERN_EBUSY);
}

static void garbage(enum agent_way way)
{
	u8 message[AGENT_MESSAGE_MAX];
	u32 bytes = byte(), type = byte() % 20;

	for (u32 i = 0; i < bytes; i++)
		message[i] = byte();
	say(way, type, message, bytes);
}

/* What gets further: right but for what the input says. */
static void near(enum agent_way way)
{
	static const u32 sizes[] = {sizeof(struct agent_hello),  sizeof(struct agent_sample),
				    sizeof(struct agent_demand), sizeof(struct agent_notice),
				    sizeof(struct agent_head),   sizeof(struct agent_ack)};
	union {
		struct agent_head head;
		struct agent_hello hello;
		struct agent_sample sample;
		struct agent_demand demand;
		struct agent_notice notice;
		struct agent_ack ack;
		u8 bytes[AGENT_MESSAGE_MAX];
	} m = {0};
	u32 type = byte() % 6, size = sizes[type], changes = byte() % 4;

	switch (type + 1) {
	case AGENT_HELLO:
		m.hello.features = number(1);
		m.hello.mem_total = ADVERTISED;
		break;
	case AGENT_SAMPLE:
		m.sample.mem_total = ADVERTISED;
		m.sample.mem_free = number(4);
		m.sample.interval_ms = m.sample.vcpus = 1;
		break;
	case AGENT_DEMAND:
		m.demand.bytes = m.demand.now = number(4) % ADVERTISED + 1;
		m.demand.horizon_ms = 1;
		m.demand.confidence = (u32)number(2) % 1001;
		m.demand.source = 1;
		break;
	case AGENT_NOTICE:
		m.notice.kind = m.notice.resource = 1;
		break;
	case AGENT_ACK:
		m.ack.event = number(1);
		break;
	}
	m.head = (struct agent_head){size, AGENT_ABI_VERSION, (u16)(type + 1), ++seq};
	for (u32 i = 0; i < changes; i++) {
		u32 at = byte() % size;

		m.bytes[at] = byte();
	}
	say(way, 0, &m, size);
}

static void fetch(enum agent_way way)
{
	lock_token token = lock_take(&vm->bus.lock);
	struct agent_event e;
	s64 rc = agent_event_next(vm, way, &e);

	if (rc > 0) {
		REQUIRE(rc == sizeof(e) && e.head.bytes == sizeof(e));
		REQUIRE(e.kind >= 1 && e.kind <= AGENT_EVENT_KINDS && e.bytes <= ADVERTISED);
		REQUIRE(e.deadline_ms <= AGENT_SHRINK_MS);
		agent_event_sent(vm);
	}
	lock_release(&vm->bus.lock, token);
}

static void touch(void)
{
	u64 at = MiB(2) + number(2) % 56 * MiB(1), pages = byte() % 64;

	for (u64 i = 0; i < pages; i++)
		(void)gmem_touch(&vm->mem, gpa(at + i * PAGE_SIZE), true);
}

static void step(void)
{
	u8 what = byte();
	enum agent_way way = (what & 0x80) != 0 ? AGENT_WAY_PORT : AGENT_WAY_CALL;

	switch (what % 8) {
	case 0:
		garbage(way);
		break;
	case 1:
	case 2:
		near(way);
		break;
	case 3:
		fetch(way);
		break;
	case 4:
		touch();
		break;
	case 5:
		fake_tsc += number(2) * (fake_tsc_hz / 1000);
		vm_poll();
		break;
	case 6:
		(void)agent_set_grant(vm,
				      byte() % 4 == 0 ? AGENT_GRANT_AUTO : number(2) * PAGE_SIZE);
		break;
	case 7:
		(void)gmem_unback(&vm->mem, gpa(number(1) * MiB(1)), number(1) * KiB(64));
		break;
	}
}

/* One VM for all inputs: to make one takes longer than an input. */
static void start(void)
{
	struct vm_config c = {.name = "a", .memory = ADVERTISED, .vcpus = 1, .kernel = "guest"};
	char why[VM_REASON_MAX];
	struct vm_locked l;

	fake_node_start(1, FRAMES);
	REQUIRE(vm_create(&c, why, sizeof(why)) == 0);
	REQUIRE(vm_find_locked("a", &l));
	REQUIRE(vm_start(l) == 0);
	vm_unlock(l);
	vm = l.vm;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	if (vm == NULL)
		start();
	agent_reset(vm);
	REQUIRE(agent_set_grant(vm, AGENT_GRANT_AUTO) == 0);
	(void)gmem_unback(&vm->mem, gpa(MiB(2)), MiB(62));
	while (scrub_some(64))
		;
	fake_tsc += 2 * fake_tsc_hz;
	input = data;
	left = size;
	for (u32 i = 0; left > 0 && i < STEPS; i++) {
		step();
		check();
	}
	return 0;
}
