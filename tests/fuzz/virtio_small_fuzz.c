/* SPDX-License-Identifier: MIT */
/* links: hv/dev/bus.c hv/dev/dev.c hv/lock.c hv/dev/vpci.c hv/dev/vpci_bar.c hv/dev/vpci_irq.c hv/dev/virtio_pci.c hv/dev/virtio_queue.c hv/lib/fmt.c */
/* links: hv/dev/virtio_rng.c hv/dev/virtio_console.c hv/dev/virtio_console_agent.c hv/dev/virtio_console_control.c hv/dev/vuart.c hv/dev/virtio_balloon.c hv/dev/balloon_hints.c */
/* links: tests/fake/fake_agent.c tests/fake/fake_frames.c tests/fake/fake_host.c tests/fake/fake_guest.c tests/fake/fake_driver.c */
/*
 * The devices without a state of their own worth a model: entropy, console, balloon, in one VM. Buffers
 * of all shapes on all their queues, their configuration written, the node asking at the same time. The guest's memory
 * changes in buffers to write alone, and nothing is taken back that it did not name.
 */
#include <stdlib.h>
#include <string.h>

#include <linux/virtio_balloon.h>
#include <linux/virtio_console.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>

#include <tern/virtio.h>
#include <tern/vpci.h>
#include <tests/fake/fake_agent.h>
#include <tests/fake/fake_driver.h>
#include <tests/fake/fake_frames.h>
#include <tests/fake/fake_guest.h>
#include <tests/fake/fake_host.h>

#define REQUIRE(cond)            \
	do {                     \
		if (!(cond))     \
			abort(); \
	} while (0)
#define DATA     0x20000u /* input that the device reads */
#define DATA_LEN 0x1000u
#define WRITABLE 0x100000u /* where buffers to write are */
#define SIZE     64u       /* of the queues */
#define STEPS    200u
#define FEATURES                                                                       \
	(1ull << VIRTIO_RING_F_EVENT_IDX | 1ull << VIRTIO_RING_F_INDIRECT_DESC |       \
	 1ull << VIRTIO_BALLOON_F_STATS_VQ | 1ull << VIRTIO_BALLOON_F_FREE_PAGE_HINT | \
	 1ull << VIRTIO_BALLOON_F_PAGE_POISON | 1ull << VIRTIO_BALLOON_F_REPORTING)

enum slot { RNG = 1, CONSOLE, BALLOON, SLOTS = BALLOON };

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static u32 queues[] = {[RNG] = 1, [CONSOLE] = 2, [BALLOON] = 5};
static struct vm vm;
static struct virtio_device *console, *balloon;
static u32 frames; /* in use while no hints are asked for */
static u8 readable[DATA_LEN];
static struct fake_driver drv;
static const u8 *input;
static size_t left;

static u32 byte(void)
{
	if (left == 0)
		return 0;
	left--;
	return *input++;
}

/* A chain of up to four buffers; those to write lie behind WRITABLE. */
static void post(u32 queue)
{
	u32 count = 1 + byte() % 4, out_count = byte() % 5;
	u16 head = (u16)(byte() % SIZE);

	for (u32 i = 0; i < count; i++) {
		bool in = i >= out_count;
		u32 kind = byte(), len = byte() << (kind % 9);
		u64 at = in ? WRITABLE + byte() * 0x1000u : DATA + byte() * 16u;

		if (!in && at + len > DATA + DATA_LEN)
			len = (u32)(DATA + DATA_LEN - at);
		if (kind == 255)
			at = FAKE_GUEST_MEM - 8;
		fake_desc(fake_desc_at(queue), (u16)((head + i) % SIZE), at, len,
			  (u16)((in ? VRING_DESC_F_WRITE : 0) |
				(i + 1 < count ? VRING_DESC_F_NEXT : 0)),
			  (u16)((head + i + 1) % SIZE));
	}
	fake_avail(&drv, queue, head);
	if (byte() % 4 != 0)
		fake_kick(&drv, queue);
}

/* What the guest is going to read as page numbers, statistics, commands or text. */
static void fill(void)
{
	u32 at = byte() * 15u;

	for (u32 i = 0; i < 64; i++)
		readable[at + i] = fake_guest_mem[DATA + at + i] = (u8)byte();
}

static void check_hints(void)
{
	static struct balloon_hint hints[BALLOON_HINTS_MAX];
	u32 n = balloon_hint_stop(balloon, hints, BALLOON_HINTS_MAX);

	REQUIRE(n <= BALLOON_HINTS_MAX);
	for (u32 i = 0; i < n; i++) {
		REQUIRE(hints[i].len > 0 && hints[i].base % PAGE_SIZE == 0);
		REQUIRE(hints[i].len % PAGE_SIZE == 0);
		REQUIRE(hints[i].base + hints[i].len > hints[i].base);
		REQUIRE(i == 0 || hints[i].base > hints[i - 1].base + hints[i - 1].len);
	}
}

/* The number that the guest must name lies where its next buffer may be. */
static void tell_command(void)
{
	u32 id = fake_config_read(&drv,
				  offsetof(struct virtio_balloon_config, free_page_hint_cmd_id), 4);

	memcpy(readable, &id, sizeof(id));
	memcpy(fake_guest_mem + DATA, &id, sizeof(id));
}

/* Messages that begin well: one for the control queue, some for the agent, where the next buffers may be. */
static void tell_ports(void)
{
	struct virtio_console_control control = {
		.id = byte() % 3, .event = (u16)(byte() % 9), .value = (u16)(byte() % 3)};
	struct agent_head head = {.version = AGENT_ABI_VERSION, .type = (u16)(byte() % 8)};
	u32 at = 16;

	memcpy(readable, &control, sizeof(control));
	for (u32 i = byte() % 8; i > 0; i--) {
		head.bytes = 16 + byte() % 64 * 4;
		head.seq++;
		memcpy(readable + at, &head, sizeof(head));
		at += head.bytes;
	}
	memcpy(fake_guest_mem + DATA, readable, sizeof(readable));
}

static void check_agent(void)
{
	struct agent_head head;

	if (fake_agent.count == 0)
		return;
	memcpy(&head, fake_agent.message, sizeof(head));
	REQUIRE(fake_agent.way == AGENT_WAY_PORT && fake_agent.bytes == head.bytes);
	REQUIRE(head.bytes >= sizeof(head) && head.bytes <= AGENT_MESSAGE_MAX);
	REQUIRE(head.version == AGENT_ABI_VERSION);
}

static void node_asks(void)
{
	struct balloon_stats stats;
	char text[64];

	switch (byte() % 8) {
	case 0:
		balloon_set_target(balloon, byte() << 8 | byte());
		break;
	case 1:
		balloon_get_stats(balloon, &stats);
		break;
	case 2:
		(void)!balloon_hint_start(balloon);
		tell_command();
		break;
	case 3:
		(void)balloon_hint_complete(balloon);
		break;
	case 4:
		check_hints();
		break;
	case 5:
		memset(text, (int)byte(), sizeof(text));
		(void)virtio_console_input(console, text, byte() % sizeof(text));
		break;
	case 6:
		fake_agent_event();
		break;
	case 7:
		fake_agent.result = (s8)byte();
		break;
	}
}

static void step(u32 slot)
{
	switch (byte() % 8) {
	case 0:
	case 1:
	case 2:
		post(byte() % queues[slot]);
		break;
	case 3:
		node_asks();
		break;
	case 4:
		dev_work(&vm);
		break;
	case 5:
		fill();
		break;
	case 6:
		fake_later_from = byte() * 0x2000u;
		fake_later_to = fake_later_from + byte() % 3 * 0x1000u;
		break;
	case 7:
		if (slot == CONSOLE)
			tell_ports();
		else if (slot == BALLOON)
			fake_config_write(&drv, byte() % 16 & ~3u, 4, byte() | byte() << 8);
		break;
	}
	/* Pages by their numbers, or parts of buffers that the device may write. */
	for (u32 i = 0; i < fake_unbacked_count; i++)
		REQUIRE(fake_unbacked[i].base % PAGE_SIZE == 0 ||
			fake_unbacked[i].base >= WRITABLE);
	fake_unbacked_count = 0;
	check_agent();
}

static void create(void)
{
	fake_reset();
	fake_frames_reset(1024);
	fake_guest_reset(&vm);
	REQUIRE(vuart_create(&vm, &vm.bus, &vm.platform.uart) == 0);
	REQUIRE(vpci_create(&vm, &vm.bus) == 0 && virtio_rng_create(&vm) == 0);
	REQUIRE(virtio_console_create(&vm, &console) == 0);
	REQUIRE(virtio_balloon_create(&vm, &balloon) == 0);
	frames = fake_frames_used();
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	u64 features = FEATURES;
	u32 slot, flags;

	if (vm.platform.pci == NULL)
		create();
	input = data;
	left = size;
	memset(fake_guest_mem + DATA, 0, sizeof(readable));
	memset(readable, 0, sizeof(readable));
	slot = 1 + byte() % SLOTS;
	flags = byte();
	if (slot != BALLOON)
		features &= 1ull << VIRTIO_RING_F_EVENT_IDX | 1ull << VIRTIO_RING_F_INDIRECT_DESC;
	features &= ~((flags & 1) == 0 ? 1ull << VIRTIO_BALLOON_F_PAGE_POISON : 0);
	queues[CONSOLE] = (flags & 2) != 0 ? 6 : 2;
	if (slot == CONSOLE && (flags & 2) != 0)
		features |= 1ull << VIRTIO_CONSOLE_F_MULTIPORT;
	fake_agent.count = fake_agent.events = 0;
	fake_agent.result = 0;
	REQUIRE(fake_driver_start(&drv, &vm, slot, features, SIZE, true));
	for (u32 i = 0; i < STEPS && left > 0; i++)
		step(slot);
	REQUIRE(memcmp(readable, fake_guest_mem + DATA, sizeof(readable)) == 0);
	fake_later_to = 0;
	dev_work(&vm);
	fake_common_write(&drv, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	(void)balloon_hint_stop(balloon, NULL, 0);
	REQUIRE(fake_frames_used() == frames);
	return 0;
}
