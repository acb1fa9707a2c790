/* SPDX-License-Identifier: MIT */
/* links: hv/dev/bus.c hv/dev/dev.c hv/lock.c hv/dev/vpci.c hv/dev/vpci_bar.c hv/dev/vpci_irq.c hv/dev/virtio_pci.c hv/dev/virtio_queue.c hv/dev/virtio_net.c */
/* links: hv/net/offload.c hv/net/vpacket.c hv/net/vswitch.c hv/net/vswitch_station.c hv/net/vswitch_capture.c hv/timer.c hv/trace.c hv/lib/fmt.c hv/lib/str.c */
/* links: tests/fake/fake_frames.c tests/fake/fake_host.c tests/fake/fake_guest.c tests/fake/fake_driver.c */
/*
 * Two hostile guests' worth of input on one device: byte by byte, buffers of all shapes are given to its three
 * queues, packets come from another port, memory and frames come and go. The device may drop and break; it
 * may not lose a frame of memory, send what is not a packet, or write where no buffer is.
 */
#include <stdlib.h>
#include <string.h>

#include <linux/virtio_net.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>

#include <tern/virtio_net.h>
#include <tern/vpci.h>
#include <tern/vswitch.h>
#include <tests/fake/fake_driver.h>
#include <tests/fake/fake_frames.h>
#include <tests/fake/fake_guest.h>
#include <tests/fake/fake_host.h>

#define REQUIRE(cond)            \
	do {                     \
		if (!(cond))     \
			abort(); \
	} while (0)
#define DATA     0x20000u  /* input that the device reads */
#define WRITABLE 0x100000u /* where buffers to write are */
#define SIZE     64u       /* of the queues */
#define STEPS    200u
#define HEADERS  80u /* bytes of a packet from the other port that are input */
#define FEATURES \
	(0x0087bbabull | 1ull << VIRTIO_RING_F_EVENT_IDX | 1ull << VIRTIO_RING_F_INDIRECT_DESC)

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static struct vm vm;
static struct vport *peer;
static u32 frames;            /* in use while nothing is under way */
static u8 readable[256 * 16]; /* what DATA holds */
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

static void nothing(void *arg)
{
	(void)arg;
}

/* Takes what was sent to the port. */
static void drain(void)
{
	struct vpacket *p;

	while ((p = vswitch_receive(peer)) != NULL) {
		REQUIRE(p->len >= ETH_HEADER && p->len <= VPACKET_MAX);
		REQUIRE(!p->offload.needs_csum && p->offload.gso == VPACKET_GSO_NONE);
		vpacket_put(p);
	}
}

/* A packet from the other port: its content is input, its offload may ask for anything that the check lets
 * through. */
static void send(void)
{
	static u8 frame[VPACKET_MAX];
	struct vpacket *p = vpacket_alloc(14 + (byte() << 8 | byte()) % 65000);

	if (p == NULL)
		return;
	for (u32 i = 0; i < HEADERS; i++)
		frame[i] = (u8)byte();
	vpacket_write(p, 0, frame, p->len);
	p->offload = (struct vpacket_offload){.needs_csum = true,
					      .ecn = (byte() & 1) != 0,
					      .gso = (u8)(byte() % 3),
					      .gso_size = (u16)(byte() << 4),
					      .csum_start = (u16)byte(),
					      .csum_offset = (u16)byte()};
	if (vpacket_check(p))
		vswitch_send(peer, p);
	else
		vpacket_put(p);
}

/* A chain of up to four buffers; those to write lie behind WRITABLE. */
static void post(u32 queue)
{
	u32 count = 1 + byte() % 4, out_count = queue == 0 ? 0 : queue == 1 ? count : byte() % 5;
	u16 head = (u16)(byte() % SIZE);

	for (u32 i = 0; i < count; i++) {
		bool in = i >= out_count;
		u32 kind = byte(), len = byte() << (kind % 9);
		u64 at = in ? WRITABLE + byte() * 0x1000u : DATA + byte() * 16u;

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

static void step(void)
{
	u32 what = byte() % 9;

	switch (what) {
	case 0:
	case 1:
	case 2:
		post(what);
		break;
	case 3:
		send();
		break;
	case 4:
		dev_work(&vm);
		break;
	case 5:
		drain();
		break;
	case 6:
		fake_later_from = byte() * 0x2000u;
		fake_later_to = fake_later_from + byte() % 3 * 0x1000u;
		break;
	case 7:
		fake_frames_left = byte() % 2 == 0 ? byte() : UINT32_MAX;
		break;
	case 8: {
		u32 at = byte() * 15u;

		for (u32 i = 0; i < 60; i++)
			readable[at + i] = fake_guest_mem[DATA + at + i] = (u8)byte();
		break;
	}
	}
}

static void create(void)
{
	const struct vport_config config = {
		.name = "peer", .mac = {2, 0, 0, 0, 0, 9}, .kick = nothing};
	const struct virtio_net_nic nic = {.node = "n", .mtu = 1500};

	fake_reset();
	fake_frames_reset(1024);
	fake_guest_reset(&vm);
	REQUIRE(vswitch_add(vswitch_find(VSWITCH_DEFAULT), &config, &peer) == 0);
	vswitch_up(peer, 0);
	REQUIRE(vpci_create(&vm, &vm.bus) == 0 && virtio_net_create(&vm, &nic, NULL) == 0);
	frames = fake_frames_used();
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	u64 features = FEATURES;

	if (vm.platform.pci == NULL)
		create();
	input = data;
	left = size;
	memset(fake_guest_mem + DATA, 0, sizeof(readable));
	memset(readable, 0, sizeof(readable));
	features &= ~(byte() % 2 == 0 ? 1ull << VIRTIO_NET_F_MRG_RXBUF : 0);
	features &= ~(byte() % 2 == 0 ? 1ull << VIRTIO_NET_F_GUEST_CSUM : 0);
	REQUIRE(fake_driver_start(&drv, &vm, 1, features, SIZE, true));
	for (u32 i = 0; i < STEPS && left > 0; i++)
		step();
	REQUIRE(memcmp(readable, fake_guest_mem + DATA, sizeof(readable)) == 0);
	fake_later_to = 0;
	fake_frames_left = UINT32_MAX;
	dev_work(&vm);
	drain();
	fake_common_write(&drv, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	REQUIRE(fake_frames_used() == frames);
	return 0;
}
