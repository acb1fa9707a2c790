/* SPDX-License-Identifier: MIT */
/*
 * The agent's hypercalls: says HELLO, SAMPLE and DEMAND, and sees its grant; then waits for its owner to lower the
 * grant, takes the interrupt of TERN0001 for it, and acknowledges. With "hostile": count=N calls of
 * garbage, of replayed, changed and misplaced messages, from ring 0 and ring 3, while a second vCPU does the same
 * with the same message (vcpus=2); tells how many were refused, for the node to have counted as many.
 */
#include "cpu.h"
#include "guest.h"

#include <abi/agent.h>

#define EPERM  1
#define ENOENT 2
#define EFAULT 14
#define ENODEV 19
#define EINVAL 22

#define START_PAGE  8u
#define V_AGENT     0x91u
#define PIN         10u /* docs/platform.md */
#define IOAPIC      0xfec00000ul
#define RTE_LEVEL   0x8000u
#define BASE_X2APIC 0xc00ul
#define MSR_X2_EOI  0x80bu
#define MSR_X2_SVR  0x80fu
#define SVR_ON      0x1ffu
#define CPUID_TERN  0x40000001u
#define TOUCH       (12u << 20)
#define TOUCH_AT    (4ul << 20)
#define COUNT       500000u
#define USER_CALLS  16u
#define MESSAGE     256u
#define PROGRESS    100000u
#define PATIENCE    100000000u

const char guest_name[] = "agent";

extern const u8 agent_code[], agent_data[], agent_code_end[];
struct beside {
	u32 stop, refused, calls, done;
	u8 message[MESSAGE];
};

static u64 seq = 1, state = 0x9e3779b97f4a7c15ull;

static u64 address(const volatile void *p)
{
	return (u64)(uintptr_t)p;
}

static struct agent_head head(u32 bytes, u16 type)
{
	return (struct agent_head){bytes, AGENT_ABI_VERSION, type, seq++};
}

static long say(u64 number, const void *message, u64 bytes)
{
	return hypercall(number, address(message), bytes, 0);
}

static struct agent_hello a_hello(void)
{
	struct agent_hello m = {.head = head(sizeof(m), AGENT_HELLO),
				.features = AGENT_CAN_ALL,
				.mem_total = 16u << 20,
				.name = "bare agent"};

	return m;
}

static struct agent_sample a_sample(void)
{
	struct agent_sample m = {.head = head(sizeof(m), AGENT_SAMPLE),
				 .time_ns = seq,
				 .mem_total = 16u << 20,
				 .mem_free = 4u << 20,
				 .interval_ms = 1000,
				 .vcpus = 1};

	return m;
}

static struct agent_demand a_demand(u64 bytes)
{
	struct agent_demand m = {.head = head(sizeof(m), AGENT_DEMAND),
				 .bytes = bytes,
				 .now = bytes,
				 .horizon_ms = 10000,
				 .confidence = 1000,
				 .source = AGENT_BY_HINT};

	return m;
}

/* --- the agent that behaves --- */

static u32 interrupts, shrinks, changes;
static u64 shrink_to;

/* All events; the line falls with the last. */
static void fetch(void)
{
	struct agent_event e;
	struct agent_ack ack;

	while (say(HC_AGENT_EVENT, &e, sizeof(e)) == sizeof(e)) {
		changes += e.kind == AGENT_GRANT_CHANGED;
		shrinks += e.kind == AGENT_SHRINK;
		if (e.kind == AGENT_SHRINK)
			shrink_to = e.bytes;
		ack = (struct agent_ack){.head = head(sizeof(ack), AGENT_ACK), .event = e.head.seq};
		check_eq("ack", (u64)say(HC_AGENT_ACK, &ack, sizeof(ack)), 0);
		ack.head.seq = seq++;
		check_eq("ack-again", (u64)say(HC_AGENT_ACK, &ack, sizeof(ack)), (u64)-ENOENT);
	}
}

static bool on_interrupt(struct trap_frame *frame)
{
	if (frame->vector != V_AGENT)
		return false;
	interrupts++;
	fetch();
	wrmsr(MSR_X2_EOI, 0);
	return true;
}

static void interrupts_on(void)
{
	trap_hook = on_interrupt;
	wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | BASE_X2APIC);
	wrmsr(MSR_X2_SVR, SVR_ON);
	*(volatile u32 *)IOAPIC = 0x10 + 2 * PIN;
	*(volatile u32 *)(IOAPIC + 0x10) = RTE_LEVEL | V_AGENT;
}

static void wait_interrupts(u32 want)
{
	while (interrupts < want)
		__asm__ volatile("sti; hlt; cli" ::: "memory");
}

static void talk(void)
{
	struct agent_hello hello = a_hello();
	struct agent_sample sample = a_sample();
	struct agent_demand demand;
	struct agent_state st;

	check_eq("no-hello", (u64)say(HC_AGENT_SAMPLE, &sample, sizeof(sample)), (u64)-ENODEV);
	check_eq("hello", (u64)say(HC_AGENT_HELLO, &hello, sizeof(hello)), AGENT_CAN_ALL);
	check_eq("sample", (u64)say(HC_AGENT_SAMPLE, &sample, sizeof(sample)), 0);
	check_eq("replay", (u64)say(HC_AGENT_SAMPLE, &sample, sizeof(sample)), (u64)-EINVAL);
	check_eq("other-call", (u64)say(HC_AGENT_DEMAND, &sample, sizeof(sample)), (u64)-EINVAL);
	check_eq("nowhere", (u64)hypercall(HC_AGENT_SAMPLE, 0xa0000, sizeof(sample), 0),
		 (u64)-EFAULT);
	demand = a_demand(2u << 20);
	check_eq("demand", (u64)say(HC_AGENT_DEMAND, &demand, sizeof(demand)), 0);
	check_eq("query", (u64)say(HC_AGENT_QUERY, &st, sizeof(st)), sizeof(st));
	check_eq("state-demand", st.demand, 2u << 20);
	check_eq("grant-follows", st.grant, 18u << 20);
	check("backed-within-grant", st.backed > 0 && st.backed <= st.grant);
	check_eq("an-event-waits", st.events, 1);
}

static void obey(void)
{
	volatile u8 *memory = (u8 *)(uintptr_t)TOUCH_AT;

	interrupts_on();
	wait_interrupts(1);
	check_eq("grant-has-changed", changes, 1);
	for (u32 i = 0; i < TOUCH; i += GUEST_PAGE)
		memory[i] = 1;
	print("agent: lower my grant\n");
	wait_interrupts(2);
	check_eq("shrink", shrinks, 1);
	check_eq("shrink-to", shrink_to, 8u << 20);
	print("agent: lift it\n");
	wait_interrupts(interrupts + 1);
	check("changed-again", changes >= 2);
	check_eq("no-other-shrink", shrinks, 1);
}

/* --- the one that does not --- */

static u32 refused, taken;

static void count(long result)
{
	refused += result < 0;
	taken += result >= 0;
}

static struct beside *room(void)
{
	u8 *page = (u8 *)(uintptr_t)(START_PAGE * GUEST_PAGE);

	return (struct beside *)(void *)(page + (agent_data - agent_code));
}

static unsigned long user_calls(void *arg)
{
	unsigned long denied = 0;

	for (u32 i = 0; i < USER_CALLS; i++)
		denied += hypercall(HC_AGENT_HELLO + i % 7, address(arg),
				    sizeof(struct agent_hello), 0) == -EPERM;
	return denied;
}

static void from_ring_3(void)
{
	if (user_run(user_calls, room()->message) != TRAP_NONE || user_result != USER_CALLS)
		check("ring-3-is-denied", false);
	refused += (u32)user_result;
}

/* Numbers and lengths as an attacker has them: right, near, anything. */
static u64 some_bytes(u64 r)
{
	static const u64 sizes[] = {64, 144, 48, 32, 56, 32, 40, 16, 0, 15, 256, 257, ~0ull};

	return (r & 1) != 0 ? sizes[(r >> 1) % ARRAY_SIZE(sizes)] : r >> 40 & 511;
}

static u64 some_address(u64 r)
{
	static const u64 places[] = {0, 0x9fff0, 0xa0000, 0xfec00000u, ~0ull, 1ull << 47};

	return (r & 7) != 0 ? address(room()->message) : places[(r >> 3) % ARRAY_SIZE(places)];
}

static void fill(u64 r)
{
	u8 *m = room()->message;
	struct agent_hello hello = a_hello();
	struct agent_sample sample = a_sample();
	struct agent_demand demand = a_demand((r >> 8) % (16u << 20) + 1);

	switch (r % 6) {
	case 0:
		for (u32 i = 0; i < MESSAGE; i += 8)
			*(u64 *)(void *)(m + i) = random_next(&state);
		break;
	case 1:
		memcpy(m, &hello, sizeof(hello));
		break;
	case 2:
		memcpy(m, &sample, sizeof(sample));
		break;
	case 3:
		memcpy(m, &demand, sizeof(demand));
		break;
	case 4:
		m[r >> 8 & 63] ^= (u8)(1u << (r >> 16 & 7));
		break;
	default:
		break; /* the same again */
	}
}

static void attack(void)
{
	u64 r = random_next(&state), number = HC_AGENT_HELLO + (r >> 56) % 7;
	struct agent_head *h = (void *)room()->message;

	fill(r);
	/* Often the call and the length that go with it: those come furthest. */
	if ((r >> 40 & 3) != 0 && h->type >= AGENT_HELLO && h->type <= AGENT_DEMAND)
		count(hypercall(HC_AGENT_HELLO + h->type - 1u, address(h), h->bytes, 0));
	else
		count(hypercall(number, some_address(r >> 20), some_bytes(r >> 30), 0));
	if ((r >> 48 & 0xff) == 0)
		from_ring_3();
}

/* Starts the second vCPU; it goes on until it is told to stop. */
static void beside_start(void)
{
	u8 *page = (u8 *)(uintptr_t)(START_PAGE * GUEST_PAGE);

	memcpy(page, agent_code, (size_t)(agent_code_end - agent_code));
	if (cmdline_number("vcpus", 1) > 1)
		check_eq("start", (u64)hypercall(HC_VCPU_START, 1, START_PAGE, 0), 0);
	else
		room()->done = 1;
}

static void beside_stop(void)
{
	struct beside *b = room();
	u32 i = 0;

	__atomic_store_n(&b->stop, 1, __ATOMIC_RELEASE);
	while (__atomic_load_n(&b->done, __ATOMIC_ACQUIRE) == 0 && i++ < PATIENCE)
		cpu_pause();
	check("the-other-stops", b->done == 1);
	print("agent: the other made %u calls, %u refused\n", b->calls, b->refused);
	refused += b->refused;
	taken += b->calls - b->refused;
}

static void hostile(void)
{
	u32 calls = cmdline_number("count", COUNT);

	beside_start();
	print("agent: hostile\n");
	for (u32 i = 1; i <= calls; i++) {
		attack();
		if (i % PROGRESS == 0)
			print("agent: %u so far\n", i);
	}
	beside_stop();
	check("some-were-taken", taken > 0);
	print("agent: refused %u, taken %u\n", refused, taken);
}

void guest_main(void)
{
	if (!on_tern) {
		skip_check("agent", "not on Tern");
		return;
	}
	check_eq("cpuid-says-so", cpuid(CPUID_TERN, 0).b & 1, 1);
	if (cmdline_has("hostile")) {
		hostile();
		return;
	}
	talk();
	obey();
}
