/* SPDX-License-Identifier: MIT */
/* links: hv/dev/bus.c hv/dev/dev.c hv/lock.c hv/dev/vpci.c hv/dev/vpci_bar.c hv/dev/vpci_irq.c hv/dev/virtio_pci.c hv/dev/virtio_queue.c hv/dev/virtio_net.c */
/* links: hv/net/offload.c hv/net/vpacket.c hv/net/vswitch.c hv/net/vswitch_station.c hv/net/vswitch_capture.c hv/timer.c hv/trace.c hv/lib/fmt.c hv/lib/str.c */
/* links: tests/fake/fake_frames.c tests/fake/fake_host.c tests/fake/fake_guest.c tests/fake/fake_driver.c */
/* The device behind its real transport and in front of the real switch, where the test is the other port. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <linux/virtio_net.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>

#include <tern/err.h>
#include <tern/virtio_net.h>
#include <tern/vpci.h>
#include <tern/vswitch.h>
#include <tests/fake/fake_driver.h>
#include <tests/fake/fake_frames.h>
#include <tests/fake/fake_guest.h>
#include <tests/fake/fake_host.h>
#include <tests/fake/net_oracle.h>

#define DATA    0x100000u /* what the guest sends */
#define BUFFERS 0x140000u /* where it receives */
#define BIT(f)  (1ull << (f))
#define ALL                                                                                        \
	(BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_GUEST_CSUM) | BIT(VIRTIO_NET_F_MTU) |           \
	 BIT(VIRTIO_NET_F_MAC) | BIT(VIRTIO_NET_F_GUEST_TSO4) | BIT(VIRTIO_NET_F_GUEST_TSO6) |     \
	 BIT(VIRTIO_NET_F_GUEST_ECN) | BIT(VIRTIO_NET_F_HOST_TSO4) | BIT(VIRTIO_NET_F_HOST_TSO6) | \
	 BIT(VIRTIO_NET_F_HOST_ECN) | BIT(VIRTIO_NET_F_MRG_RXBUF) | BIT(VIRTIO_NET_F_STATUS) |     \
	 BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_CTRL_RX) | BIT(VIRTIO_NET_F_CTRL_MAC_ADDR))
#define HDR    12u
#define BROKEN 0x40

enum { RX, TX, CTRL };

static struct vm vm;
static struct fake_driver drv;
static struct virtio_device *net;
static struct vport *peer;
static const u8 guest_mac[6] = {0x02, 0x54, 0, 0, 0, 1}, peer_mac[6] = {0x02, 0x54, 0, 0, 0, 2};
static u8 frame[VPACKET_MAX + 1000], out[VPACKET_MAX];
static u32 kicks;

static void kicked(void *arg)
{
	++*(u32 *)arg;
}

static void start(u64 features)
{
	assert_true(fake_driver_start(&drv, &vm, 1, features, 256, true));
}

static int setup(void **state)
{
	struct virtio_net_nic c = {.mac = guest_mac, .mtu = 1500, .node = "n"};
	struct vport_config p = {.name = "peer", .kick = kicked, .arg = &kicks};

	(void)state;
	fake_reset();
	fake_frames_reset(2048);
	fake_tsc_hz = 1000000000;
	fake_guest_reset(&vm);
	kicks = 0;
	memcpy(p.mac, peer_mac, 6);
	assert_int_equal(vswitch_add(vswitch_find(VSWITCH_DEFAULT), &p, &peer), 0);
	vswitch_up(peer, ~0u);
	assert_int_equal(vpci_create(&vm, &vm.bus), 0);
	assert_int_equal(virtio_net_create(&vm, &c, &net), 0);
	start(ALL | BIT(VIRTIO_RING_F_EVENT_IDX));
	for (u32 i = 0; i < sizeof(frame); i++)
		frame[i] = (u8)(i * 3 + i / 256);
	memcpy(frame, peer_mac, 6);
	memcpy(frame + 6, guest_mac, 6);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	vswitch_remove(peer);
	bus_destroy(&vm.bus);
	assert_int_equal(fake_frames_used(), 0);
	return 0;
}

static struct vport_stats stats(void)
{
	static struct vport_view v;
	struct vswitch *sw = vswitch_find(VSWITCH_DEFAULT);

	for (u32 i = 0; i < VSWITCH_PORTS_MAX; i++) {
		if (vswitch_view(sw, i, &v) && strcmp(v.name, "web.0") == 0)
			return v.stats;
	}
	fail();
	return v.stats;
}

/* --- the guest sends --- */

/* Header and len bytes of frame, in one descriptor. */
static void post_tx(struct virtio_net_hdr_v1 h, u32 len, u16 i)
{
	u64 at = DATA + i * 0x800u;

	memcpy(fake_guest_mem + at, &h, HDR);
	memcpy(fake_guest_mem + at + HDR, frame, len);
	fake_desc(fake_desc_at(TX), i, at, HDR + len, 0, 0);
	fake_post(&drv, TX, i);
}

static struct vpacket *at_peer(void)
{
	struct vpacket *p = vswitch_receive(peer);

	if (p != NULL)
		vpacket_read(p, 0, out, p->len);
	return p;
}

static void test_transmit(void **state)
{
	struct virtio_net_hdr_v1 h = {.num_buffers = 0};
	struct vpacket *p;

	(void)state;
	post_tx(h, 60, 0);
	assert_int_equal(fake_used_idx(TX), 1);
	assert_int_equal(fake_used_len(&drv, TX, 0), 0);
	assert_int_equal(kicks, 1);
	p = at_peer();
	assert_int_equal(p->len, 60);
	assert_memory_equal(out, frame, 60);
	assert_false(p->offload.needs_csum);
	vpacket_put(p);
	/* A checksum that is left to us. */
	h = (struct virtio_net_hdr_v1){
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 34, .csum_offset = 6};
	post_tx(h, 1514, 1);
	p = at_peer();
	assert_int_equal(p->len, 1514);
	assert_true(p->offload.needs_csum);
	assert_int_equal(p->offload.csum_start, 34);
	assert_int_equal(p->offload.csum_offset, 6);
	vpacket_put(p);
	assert_int_equal(stats().in.packets, 2);
	/* In pieces: the header split too. */
	memcpy(fake_guest_mem + DATA, (u8[HDR]){0}, HDR);
	memcpy(fake_guest_mem + DATA + HDR, frame, 200);
	for (u16 i = 0; i < 4; i++)
		fake_desc(fake_desc_at(TX), i, DATA + i * 7u, i == 3 ? 191 : 7,
			  i == 3 ? 0 : VRING_DESC_F_NEXT, (u16)(i + 1));
	fake_post(&drv, TX, 0);
	p = at_peer();
	assert_int_equal(p->len, 200);
	assert_memory_equal(out, frame, 200);
	vpacket_put(p);
}

/* 64 KiB go through as they are. */
static void test_transmit_segmented(void **state)
{
	struct oracle_tcp t = {.payload = 60000, .mss = 1448, .tcp_options = 3, .flags = 0x98};
	struct virtio_net_hdr_v1 h = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
				      .gso_type = VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN,
				      .hdr_len = 1,
				      .gso_size = 1448,
				      .csum_start = 34,
				      .csum_offset = 16};
	u32 len = oracle_build(&t, frame);
	struct vpacket *p;

	(void)state;
	memcpy(frame, peer_mac, 6);
	memcpy(frame + 6, guest_mac, 6);
	post_tx(h, len, 0);
	p = at_peer();
	assert_int_equal(p->len, len);
	assert_memory_equal(out, frame, len);
	assert_int_equal(p->offload.gso, VPACKET_GSO_TCP4);
	assert_true(p->offload.ecn);
	assert_int_equal(p->offload.header_len, 66);
	vpacket_put(p);
	h.gso_type = VIRTIO_NET_HDR_GSO_TCPV6; /* which it is not */
	post_tx(h, len, 0);
	assert_int_equal(stats().drops[VDROP_HEADER], 1);
	h.gso_type = VIRTIO_NET_HDR_GSO_UDP;
	post_tx(h, len, 0);
	assert_int_equal(stats().drops[VDROP_HEADER], 2);
	h.gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
	h.flags = 0;
	post_tx(h, len, 0);
	assert_int_equal(stats().drops[VDROP_HEADER], 3);
	/* Not negotiated. */
	h.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	start(BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_HOST_TSO6));
	post_tx(h, len, 0);
	assert_int_equal(stats().drops[VDROP_HEADER], 4);
	start(BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_HOST_TSO4));
	h.gso_type |= VIRTIO_NET_HDR_GSO_ECN;
	post_tx(h, len, 0);
	assert_int_equal(stats().drops[VDROP_HEADER], 5);
	start(0);
	h.gso_type = 0;
	post_tx(h, len, 0);
	assert_int_equal(stats().drops[VDROP_HEADER], 6);
	assert_null(at_peer());
	assert_int_equal(fake_status(&drv) & BROKEN, 0);
}

static void test_transmit_wrong(void **state)
{
	struct virtio_net_hdr_v1 h = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 50, .csum_offset = 9};

	(void)state;
	post_tx(h, 60, 0);
	assert_int_equal(stats().drops[VDROP_HEADER], 1);
	h.flags = 0;
	post_tx(h, 13, 0);
	post_tx(h, VPACKET_MAX + 1, 0);
	assert_int_equal(stats().drops[VDROP_SHORT], 2);
	fake_frames_left = 0;
	post_tx(h, 60, 0);
	fake_frames_left = 5;
	post_tx(h, 60000, 0);
	fake_frames_left = UINT32_MAX;
	assert_int_equal(stats().drops[VDROP_MEMORY], 2);
	assert_int_equal(fake_used_idx(TX), 5);
	assert_int_equal(fake_status(&drv) & BROKEN, 0);
	fake_desc(fake_desc_at(TX), 0, DATA, HDR - 1, 0, 0);
	fake_post(&drv, TX, 0);
	assert_int_equal(fake_status(&drv) & BROKEN, BROKEN);
	assert_non_null(strstr(fake_log(), "less than its header"));
	start(ALL);
	fake_desc(fake_desc_at(TX), 0, FAKE_GUEST_MEM - 20, 100, 0, 0);
	fake_post(&drv, TX, 0);
	assert_int_equal(fake_status(&drv) & BROKEN, BROKEN);
	assert_null(at_peer());
}

/* Memory that cannot be had now: the packet is sent once, later. */
static void test_transmit_later(void **state)
{
	struct virtio_net_hdr_v1 h = {.num_buffers = 0};
	struct vpacket *p;

	(void)state;
	fake_later_from = DATA + 0x1000;
	fake_later_to = DATA + 0x2000;
	memcpy(fake_guest_mem + DATA + 0x1000, frame, 6); /* not read in time */
	post_tx(h, 6000, 0);
	assert_int_equal(vm.work, 1);
	assert_int_equal(fake_used_idx(TX), 0);
	dev_work(&vm);
	assert_int_equal(vm.work, 1);
	assert_null(at_peer());
	fake_later_to = 0;
	dev_work(&vm);
	assert_int_equal(vm.work, 0);
	p = at_peer();
	assert_int_equal(p->len, 6000);
	assert_memory_equal(out, frame, 6000);
	vpacket_put(p);
	assert_null(at_peer());
	assert_int_equal(fake_used_idx(TX), 1);
}

/* One notification moves a batch, the rest is left to work. */
static void test_transmit_many(void **state)
{
	u32 n = 0;
	struct vpacket *p;

	(void)state;
	memset(fake_guest_mem + DATA, 0, HDR);
	memcpy(fake_guest_mem + DATA + HDR, frame, 60);
	fake_desc(fake_desc_at(TX), 0, DATA, HDR + 60, 0, 0);
	for (u32 i = 0; i < 150; i++)
		fake_avail(&drv, TX, 0);
	fake_kick(&drv, TX);
	assert_int_equal(fake_used_idx(TX), VIRTIO_BATCH);
	assert_int_equal(vm.work, 1);
	dev_work(&vm);
	dev_work(&vm);
	assert_int_equal(fake_used_idx(TX), 150);
	assert_int_equal(vm.work, 0);
	for (; (p = at_peer()) != NULL; n++)
		vpacket_put(p);
	assert_int_equal(n, 150);
}

/* --- the guest receives --- */

static void offer(u16 first, u16 count, u32 len)
{
	for (u16 i = first; i < first + count; i++) {
		fake_desc(fake_desc_at(RX), i, BUFFERS + i * 0x800u, len, VRING_DESC_F_WRITE, 0);
		fake_avail(&drv, RX, i);
	}
	fake_kick(&drv, RX);
}

static void from_peer(u32 len)
{
	struct vpacket *p = vpacket_alloc(len);

	memcpy(frame, guest_mac, 6);
	memcpy(frame + 6, peer_mac, 6);
	vpacket_write(p, 0, frame, len);
	vswitch_send(peer, p);
}

static void tso_from_peer(const struct oracle_tcp *t, u32 gso)
{
	struct vpacket *p = vpacket_alloc(oracle_build(t, frame));

	memcpy(frame, guest_mac, 6);
	memcpy(frame + 6, peer_mac, 6);
	vpacket_write(p, 0, frame, p->len);
	p->offload = oracle_offload(t);
	p->offload.gso = (u8)gso;
	assert_true(vpacket_check(p));
	vswitch_send(peer, p);
}

static struct virtio_net_hdr_v1 header(u16 buffer)
{
	struct virtio_net_hdr_v1 h;

	memcpy(&h, fake_guest_mem + BUFFERS + buffer * 0x800u, HDR);
	return h;
}

/* Checks that used elements first to first + n - 1, of buffers of len bytes, hold header and want. */
static void received(u16 first, u16 n, u32 len, const u8 *want, u32 want_len)
{
	u32 left = HDR + want_len, at = 0;

	assert_int_equal(header((u16)fake_used_id(&drv, RX, first)).num_buffers, n);
	for (u16 i = first; i < first + n; i++) {
		u32 part = left < len ? left : len, skip = i == first ? HDR : 0;

		assert_int_equal(fake_used_len(&drv, RX, i), part);
		assert_memory_equal(fake_guest_mem + BUFFERS + fake_used_id(&drv, RX, i) * 0x800u +
					    skip,
				    want + at, part - skip);
		at += part - skip;
		left -= part;
	}
	assert_int_equal(left, 0);
}

static void test_receive(void **state)
{
	(void)state;
	from_peer(60); /* before there is a buffer */
	assert_int_equal(vm.work, 1);
	dev_work(&vm);
	assert_int_equal(fake_used_idx(RX), 0);
	assert_int_equal(vm.work, 0);
	offer(0, 3, 1526);
	assert_int_equal(fake_used_idx(RX), 1);
	received(0, 1, 1526, frame, 60);
	assert_int_equal(fake_msi_count, 1);
	assert_int_equal(fake_msi_data, RX);
	from_peer(1514);
	assert_int_equal(fake_used_idx(RX), 1);
	dev_work(&vm);
	assert_int_equal(fake_used_idx(RX), 2);
	received(1, 1, 1526, frame, 1514);
	assert_int_equal(header(1).flags, 0);
	assert_int_equal(header(1).gso_type, 0);
	assert_int_equal(stats().out.packets, 2);
	assert_int_equal(stats().out.bytes, 1574);
}

/* A packet over many buffers, then over too few: it waits for more, whole. */
static void test_receive_merged(void **state)
{
	struct oracle_tcp t = {.payload = 65000, .mss = 1448, .flags = 0x10};
	u16 n = (65000 + 54 + HDR + 1525) / 1526;

	(void)state;
	tso_from_peer(&t, VPACKET_GSO_TCP4);
	offer(0, 20, 1526);
	dev_work(&vm);
	assert_int_equal(fake_used_idx(RX), 0);
	assert_int_equal(vm.work, 0);
	assert_int_equal(fake_avail_event(&drv, RX), 20);
	offer(20, 40, 1526);
	assert_int_equal(fake_used_idx(RX), n);
	received(0, n, 1526, frame, 65054);
	assert_int_equal(header(0).flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
	assert_int_equal(header(0).gso_type, VIRTIO_NET_HDR_GSO_TCPV4);
	assert_int_equal(header(0).gso_size, 1448);
	assert_int_equal(header(0).hdr_len, 54);
	assert_int_equal(header(0).csum_start, 34);
	assert_int_equal(header(0).csum_offset, 16);
	/* Memory comes late in the middle; the used ring sees nothing before. */
	t.payload = 4000;
	t.v6 = true;
	t.flags = 0x90;
	tso_from_peer(&t, VPACKET_GSO_TCP6);
	fake_later_from = BUFFERS + (n + 1) * 0x800u;
	fake_later_to = fake_later_from + 1;
	dev_work(&vm);
	assert_int_equal(fake_used_idx(RX), n);
	assert_int_equal(vm.work, 1);
	fake_later_to = 0;
	dev_work(&vm);
	assert_int_equal(vm.work, 0);
	received(n, 3, 1526, frame, 4074);
	assert_int_equal(header(n).gso_type, VIRTIO_NET_HDR_GSO_TCPV6 | VIRTIO_NET_HDR_GSO_ECN);
}

/* A driver without offloads gets what a wire would carry. */
static void test_receive_plain(void **state)
{
	static u8 want[VPACKET_MAX];
	struct oracle_tcp t = {.payload = 5000, .mss = 1448, .flags = 0x18};
	u32 len;

	(void)state;
	start(BIT(VIRTIO_NET_F_MAC) | BIT(VIRTIO_NET_F_GUEST_TSO4)); /* which needs GUEST_CSUM */
	tso_from_peer(&t, VPACKET_GSO_TCP4);
	offer(0, 8, 1526);
	dev_work(&vm);
	assert_int_equal(fake_used_idx(RX), 4);
	for (u16 i = 0; i < 4; i++) {
		len = oracle_segment(&t, i, want);
		memcpy(want, guest_mac, 6);
		memcpy(want + 6, peer_mac, 6);
		received(i, 1, 1526, want, len);
		assert_int_equal(header(i).flags | header(i).gso_type, 0);
	}
	assert_int_equal(stats().out.packets, 4);
	/* With checksums alone. */
	start(BIT(VIRTIO_NET_F_GUEST_CSUM));
	t.payload = 100;
	tso_from_peer(&t, VPACKET_GSO_NONE);
	offer(0, 1, 1526);
	dev_work(&vm);
	received(0, 1, 1526, frame, 154);
	assert_int_equal(header(0).flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
}

static void test_receive_too_large(void **state)
{
	struct oracle_tcp t = {.payload = 20000, .mss = 1448, .flags = 0x10};

	(void)state;
	/* Above the MTU, with room for two tags. */
	offer(0, 4, 1600);
	from_peer(1522);
	from_peer(1523);
	dev_work(&vm);
	assert_int_equal(fake_used_idx(RX), 1);
	assert_int_equal(stats().drops[VDROP_BUFFER], 1);
	/* Not merged: one buffer holds it or it is dropped; the buffer stays. */
	start(ALL & ~BIT(VIRTIO_NET_F_MRG_RXBUF));
	offer(0, 2, 1000);
	from_peer(989);
	from_peer(988);
	dev_work(&vm);
	assert_int_equal(fake_used_idx(RX), 1);
	assert_int_equal(fake_used_id(&drv, RX, 0), 0);
	received(0, 1, 1000, frame, 988);
	assert_int_equal(stats().drops[VDROP_BUFFER], 2);
	/* Merged, but more buffers than one packet may have, or than the ring has. */
	start(ALL);
	offer(0, 100, 300);
	tso_from_peer(&t, VPACKET_GSO_TCP4);
	dev_work(&vm);
	assert_int_equal(fake_used_idx(RX), 0);
	assert_int_equal(stats().drops[VDROP_BUFFER], 3);
	assert_true(fake_driver_start(&drv, &vm, 1, ALL, 8, true));
	offer(0, 8, 1526);
	tso_from_peer(&t, VPACKET_GSO_TCP4);
	from_peer(60);
	dev_work(&vm);
	assert_int_equal(stats().drops[VDROP_BUFFER], 4);
	assert_int_equal(fake_used_idx(RX), 1);
	received(0, 1, 1526, frame, 60);
	/* No room for a header. */
	start(ALL);
	offer(0, 1, HDR - 1);
	from_peer(60);
	dev_work(&vm);
	assert_int_equal(fake_status(&drv) & BROKEN, BROKEN);
	assert_non_null(strstr(fake_log(), "less than a header"));
}

/* More than one call may deliver, more chains than may be out at once, and no memory for segments. */
static void test_receive_many(void **state)
{
	struct oracle_tcp t = {.payload = 3000, .mss = 1448};

	(void)state;
	offer(0, 200, 1526);
	for (u32 i = 0; i < 150; i++)
		from_peer(2000 - 500 * (i % 2 + 1)); /* 1500, 1000 */
	dev_work(&vm);
	assert_int_equal(fake_used_idx(RX), VIRTIO_BATCH);
	assert_int_equal(vm.work, 1);
	dev_work(&vm);
	dev_work(&vm);
	assert_int_equal(fake_used_idx(RX), 150);
	assert_int_equal(vm.work, 0);
	start(0);
	offer(0, 10, 1526);
	tso_from_peer(&t, VPACKET_GSO_TCP4);
	fake_frames_left = 0;
	dev_work(&vm);
	assert_int_equal(fake_used_idx(RX), 0);
	assert_int_equal(vm.work, 1);
	fake_frames_left = UINT32_MAX;
	dev_work(&vm);
	assert_int_equal(fake_used_idx(RX), 3);
	assert_int_equal(vm.work, 0);
}

/* Small merged buffers: 45 a packet, so that the second packet finds too many chains out. */
static void test_receive_in_flight(void **state)
{
	struct oracle_tcp t = {.payload = 65000, .mss = 1448};
	u16 n = (65000 + 54 + HDR + 1525) / 1526;

	(void)state;
	for (u32 i = 0; i < 4; i++)
		tso_from_peer(&t, VPACKET_GSO_TCP4);
	offer(0, 200, 1526);
	dev_work(&vm);
	assert_int_equal(fake_used_idx(RX), 4 * n);
	for (u16 i = 0; i < 4; i++)
		received((u16)(i * n), n, 1526, frame, 65054);
	assert_int_equal(vm.work, 0);
}

static void test_reset(void **state)
{
	(void)state;
	from_peer(60);
	from_peer(61);
	dev_work(&vm); /* one is taken from the queue and waits for a buffer */
	fake_common_write(&drv, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	assert_int_equal(stats().drops[VDROP_DOWN], 2);
	from_peer(62);
	assert_int_equal(stats().drops[VDROP_DOWN], 2);
	start(ALL);
	offer(0, 4, 1526);
	assert_int_equal(fake_used_idx(RX), 0);
	from_peer(63);
	dev_work(&vm);
	assert_int_equal(fake_used_idx(RX), 1);
	from_peer(64); /* still waits when the VM ends */
}

/* --- configuration and commands --- */

static void read_mac(u8 *mac)
{
	for (u32 i = 0; i < 6; i++)
		mac[i] = (u8)fake_config_read(&drv, i, 1);
}

/* Sends a command of len bytes; returns the answer, or 0xee: none. */
static u8 command(const void *data, u32 len)
{
	memcpy(fake_guest_mem + DATA, data, len);
	fake_guest_mem[DATA + 0x1000] = 0xee;
	fake_desc(fake_desc_at(CTRL), 0, DATA, len, VRING_DESC_F_NEXT, 1);
	fake_desc(fake_desc_at(CTRL), 1, DATA + 0x1000, 1, VRING_DESC_F_WRITE, 0);
	fake_post(&drv, CTRL, 0);
	return fake_guest_mem[DATA + 0x1000];
}

static void test_config(void **state)
{
	u8 mac[6];

	(void)state;
	assert_int_equal(fake_pci_read(&vm, 1, 0, 4), 0x10411af4);
	read_mac(mac);
	assert_memory_equal(mac, guest_mac, 6);
	assert_int_equal(fake_config_read(&drv, 6, 2), 1);
	assert_int_equal(fake_config_read(&drv, 10, 2), 1500);
	fake_config_write(&drv, 0, 4, 0x12345678);
	read_mac(mac);
	assert_memory_equal(mac, guest_mac, 6);
	assert_false(fake_driver_start(&drv, &vm, 1, ALL | BIT(VIRTIO_NET_F_HOST_UFO), 256, true));
}

static void test_commands(void **state)
{
	static u8 table[2 + 4 + 12 + 4 + 6] = {1, 0, 2};
	u8 mac[6], set[8] = {1, 1, 0x02, 0xaa, 0, 0, 0, 9};

	(void)state;
	assert_int_equal(command("\0\0\1", 3), 0); /* promiscuous */
	assert_int_equal(command("\0\1\0", 3), 0);
	assert_int_equal(fake_used_len(&drv, CTRL, 1), 1);
	assert_int_equal(command("\0\0", 2), 1);
	assert_int_equal(command("\0\2\1", 3), 1); /* CTRL_RX_EXTRA is not offered */
	assert_int_equal(command("\2\0\1\0", 4), 1);
	assert_int_equal(command("\1\2\1\0", 4), 1);
	table[18] = 1;
	assert_int_equal(command(table, sizeof(table)), 0);
	for (u32 len = 2; len < sizeof(table); len++)
		assert_int_equal(command(table, len), 1);
	table[5] = 0xff;
	assert_int_equal(command(table, sizeof(table)), 1);
	assert_int_equal(command(set, 7), 1);
	assert_int_equal(command(set, 8), 0);
	read_mac(mac);
	assert_memory_equal(mac, set + 2, 6);
	memcpy(set + 2, peer_mac, 6);
	assert_int_equal(command(set, 8), 1);
	set[2] = 3;
	assert_int_equal(command(set, 8), 1);
	read_mac(mac);
	assert_int_equal(mac[1], 0xaa);
	/* Memory comes later, for the command and for the answer. */
	for (u64 at = DATA; at <= DATA + 0x1000; at += 0x1000) {
		fake_later_from = at;
		fake_later_to = at + 1;
		assert_int_equal(command("\0\0\1", 3), 0xee);
		fake_later_to = 0;
		dev_work(&vm);
		assert_int_equal(fake_guest_mem[DATA + 0x1000], 0);
		assert_int_equal(vm.work, 0);
	}
	start(BIT(VIRTIO_NET_F_CTRL_VQ));
	read_mac(mac);
	assert_memory_equal(mac, guest_mac, 6);
	assert_int_equal(command("\0\0\1", 3), 1);
	assert_int_equal(command(set, 8), 1);
	assert_int_equal(fake_status(&drv) & BROKEN, 0);
	assert_int_equal(command("\0", 1), 0xee);
	assert_int_equal(fake_status(&drv) & BROKEN, BROKEN);
	assert_non_null(strstr(fake_log(), "a command of 1 bytes with 1 for the answer"));
}

static void test_create(void **state)
{
	struct virtio_net_nic c = {.index = 1, .node = "n"};
	struct virtio_device *other = NULL;
	struct vport_config taken = {.name = "taken", .kick = kicked, .arg = &kicks};
	struct vport *holder;
	u8 mac[6], second[6];
	u32 before = fake_frames_used();

	(void)state;
	c.sw = "other";
	assert_int_equal(virtio_net_create(&vm, &c, &other), -TERN_ENOENT);
	c.sw = NULL;
	c.mtu = 1279;
	assert_int_equal(virtio_net_create(&vm, &c, &other), -TERN_EINVAL);
	c.mtu = 65536;
	assert_int_equal(virtio_net_create(&vm, &c, &other), -TERN_EINVAL);
	c.mtu = 9000;
	c.mac = guest_mac;
	assert_int_equal(virtio_net_create(&vm, &c, &other), -TERN_EEXIST);
	c.mac = NULL;
	for (u32 left = 0; left < 5; left++) {
		fake_frames_left = left;
		assert_int_equal(virtio_net_create(&vm, &c, &other), -TERN_ENOMEM);
		fake_frames_left = UINT32_MAX;
		assert_int_equal(fake_frames_used(), before);
	}
	assert_null(other);
	virtio_net_mac(mac, "n", "web", 1, 0);
	virtio_net_mac(second, "n", "web", 1, 1);
	assert_memory_equal(mac, "\x02\x54", 2);
	assert_memory_not_equal(mac, second, 6);
	virtio_net_mac(second, "m", "web", 1, 0);
	assert_memory_not_equal(mac, second, 6);
	memcpy(taken.mac, mac, 6);
	assert_int_equal(vswitch_add(vswitch_find(VSWITCH_DEFAULT), &taken, &holder), 0);
	assert_int_equal(virtio_net_create(&vm, &c, &other), 0);
	assert_true(fake_driver_start(&drv, &vm, 2, ALL, 16, true));
	read_mac(mac);
	virtio_net_mac(second, "n", "web", 1, 1);
	assert_memory_equal(mac, second, 6);
	assert_int_equal(fake_config_read(&drv, 10, 2), 9000);
	vswitch_remove(holder);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_transmit),       T(test_transmit_segmented), T(test_transmit_wrong),
		T(test_transmit_later), T(test_transmit_many),      T(test_receive),
		T(test_receive_merged), T(test_receive_plain),      T(test_receive_too_large),
		T(test_receive_many),   T(test_receive_in_flight),  T(test_reset),
		T(test_config),         T(test_commands),           T(test_create),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
