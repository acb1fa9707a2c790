/* SPDX-License-Identifier: MIT */
/* flags: -include tests/fake/fake_mmio.h */
/* links: drivers/net/virtio_net.c drivers/net/virtio_host.c drivers/net/e1000.c hv/net/netdev.c hv/net/netdev_list.c hv/net/netdev_which.c drivers/pci.c drivers/pci_access.c drivers/pci_msi.c */
/* links: hv/timer.c hv/trace.c hv/lock.c hv/lib/str.c hv/lib/fmt.c hv/lib/err.c tests/fake/fake_vnic.c tests/fake/fake_nic.c tests/fake/fake_pci.c tests/fake/fake_frames.c tests/fake/fake_host.c */
/* A virtio network device of the machine through the whole of netdev.c, against a model that acts on every access. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <linux/pci_regs.h>
#include <linux/virtio_pci.h>
#include <tern/arch.h>
#include <tern/err.h>
#include <tern/frames.h>
#include <tests/fake/fake_frames.h>
#include <tests/fake/fake_host.h>
#include <tests/fake/fake_nic.h>
#include <tests/fake/fake_vnic.h>

#define TXS 300u

static struct fake_vnic vnic;
static struct netdev *nd;
static struct netdev_tx txs[TXS];
static u32 done_ok, done_eio, received;
static bool link_now;
static u8 last[16384];
static u32 last_len;
static u8 *out;

static void done(struct netdev_tx *tx, int status)
{
	assert_ptr_equal(tx->arg, tx);
	tx->arg = NULL; /* once */
	done_ok += status == 0;
	done_eio += status == -TERN_EIO;
}

static void rx(UNUSED void *arg, u8 *frame, u32 len)
{
	received++;
	memcpy(last, frame, len);
	last_len = len;
	memset(frame, 0x5a, len);
}

static void link_changed(UNUSED void *arg, bool up)
{
	link_now = up;
}

static const struct netdev_owner owner = {.name = "test", .rx = rx, .link = link_changed};

static void find_nic(void)
{
	netdev_forget_all();
	pci_scan(&fake_pci_ops);
	netdev_init();
	nd = netdev_get(0);
}

static int begin(UNUSED void **state)
{
	netdev_forget_all();
	fake_reset();
	fake_frames_reset(8192);
	assert_int_equal(timer_cpu_init(pcpu_self()), 0);
	fake_irqs_left = UINT32_MAX;
	fake_pci_reset();
	fake_vnic_add(&vnic, 4);
	find_nic();
	memset(txs, 0, sizeof(txs));
	done_ok = done_eio = received = 0;
	link_now = false;
	out = frames_alloc_page();
	for (u32 i = 0; i < PAGE_SIZE; i++)
		out[i] = (u8)(i * 7);
	return 0;
}

static int end(UNUSED void **state)
{
	fake_frames_left = fake_frames_one = UINT32_MAX;
	if (nd != NULL)
		netdev_close(nd);
	netdev_forget_all();
	frames_free_page(out);
	assert_int_equal(fake_frames_used(), 0);
	assert_int_equal(fake_irqs, 0);
	return 0;
}

static void open_nic(void)
{
	assert_int_equal(netdev_open(nd, &owner), 0);
	netdev_poll(nd);
	assert_true(netdev_link_up(nd));
}

static int send_len(u32 i, u32 len)
{
	txs[i] = (struct netdev_tx){
		.done = done,
		.arg = &txs[i],
		.len = len,
		.frag_count = 2,
		.frags = {{virt_to_phys(out), 20}, {hpa_add(virt_to_phys(out), 20), len - 20}}};
	return netdev_send(nd, &txs[i]);
}

static u64 counted(enum netdev_count which)
{
	struct netdev_view v;

	netdev_view(nd, &v);
	return v.counts[which];
}

static void wait_us(u64 us)
{
	fake_tsc += us * (fake_tsc_hz / 1000000);
}

static void test_found(UNUSED void **state)
{
	struct netdev_view v;

	assert_non_null(nd);
	netdev_view(nd, &v);
	assert_string_equal(v.driver, "virtio-net");
	assert_string_equal(v.where, "00:04.0");
	assert_memory_equal(v.mac, "\x52\x54\x00\x12\x34\x77", 6);
	assert_int_equal(v.mtu_max, 9000);
	assert_int_equal(v.can, NETDEV_CAN_CSUM);
	assert_int_equal(vnic.resets, 0);
	assert_int_equal(vnic.status, 0);
}

static void test_unusable(UNUSED void **state)
{
	struct fake_fn before = *vnic.fn;

	vnic.offers &= ~(1ull << VIRTIO_F_VERSION_1);
	find_nic();
	assert_null(nd);
	vnic.offers |= 1ull << VIRTIO_F_VERSION_1;
	vnic.offers &= ~(1ull << VIRTIO_NET_F_MAC);
	find_nic();
	assert_null(nd);
	vnic.offers |= 1ull << VIRTIO_NET_F_MAC | 1ull << VIRTIO_NET_F_MTU;
	vnic.mtu = 67;
	find_nic();
	assert_null(nd);
	vnic.mtu = 1400;
	find_nic();
	assert_non_null(nd);
	assert_int_equal(nd->mtu_max, 1400);
	assert_int_equal(netdev_open(nd, &owner), -TERN_EINVAL);
	/* Each structure outside of its BAR, or in none. */
	for (u8 cap = 0x40; cap <= 0x68; cap += 0x14) {
		fake_put32(vnic.fn, cap + VIRTIO_PCI_CAP_OFFSET, 0x7001);
		find_nic();
		assert_null(nd);
		*vnic.fn = before;
		vnic.fn->cfg[cap + VIRTIO_PCI_CAP_BAR] = 6;
		find_nic();
		assert_null(nd);
		*vnic.fn = before;
		fake_put32(vnic.fn, cap + VIRTIO_PCI_CAP_LENGTH, 0);
		find_nic();
		assert_null(nd);
		*vnic.fn = before;
	}
	fake_put32(vnic.fn, 0x40 + VIRTIO_PCI_CAP_LENGTH, 55);
	find_nic();
	assert_null(nd);
	*vnic.fn = before;
	vnic.fn->cfg[0x41] = 0x40; /* a list that is a ring */
	find_nic();
	assert_null(nd);
}

static void test_open(UNUSED void **state)
{
	struct netdev_view v;

	open_nic();
	netdev_view(nd, &v);
	assert_string_equal(v.wakes, "MSI-X");
	assert_int_equal(v.speed, 10000);
	assert_true(link_now);
	assert_true((vnic.accepted & 1ull << VIRTIO_F_VERSION_1) != 0);
	assert_int_equal(vnic.accepted & ~vnic.offers, 0);
	assert_int_equal(vnic.queues[0].vector, 0);
	assert_int_equal(vnic.queues[1].vector, 0);
	assert_int_equal(fake_vnic_avail(&vnic, 0)->idx, 256);
	assert_int_equal(vnic.notified[0] > 0, true);
	netdev_close(nd);
	assert_int_equal(vnic.status, 0);
	assert_int_equal(fake_frames_used(), 2);
}

static void test_no_memory(UNUSED void **state)
{
	u32 used = fake_frames_used();

	for (u32 n = 0; n < 6 + 256; n++) {
		fake_frames_one = n;
		assert_int_equal(netdev_open(nd, &owner), -TERN_ENOMEM);
		assert_int_equal(fake_frames_used(), used);
		assert_int_equal(vnic.resets, 0);
	}
	fake_frames_one = 6 + 256;
	assert_int_equal(netdev_open(nd, &owner), 0);
}

static void test_no_start(UNUSED void **state)
{
	u32 used = fake_frames_used();

	vnic.refuses = true;
	assert_int_equal(netdev_open(nd, &owner), -TERN_EIO);
	vnic.refuses = false;
	vnic.no_vector = true;
	assert_int_equal(netdev_open(nd, &owner), -TERN_EIO);
	vnic.no_vector = false;
	vnic.queue_size = 100;
	assert_int_equal(netdev_open(nd, &owner), -TERN_EIO);
	vnic.queue_size = 0;
	assert_int_equal(netdev_open(nd, &owner), -TERN_EIO);
	vnic.queue_size = 256;
	vnic.no_reset = true;
	assert_int_equal(netdev_open(nd, &owner), -TERN_EIO);
	vnic.no_reset = false;
	assert_int_equal(fake_frames_used(), used);
	assert_int_equal(fake_irqs, 0);
	open_nic();
}

/* Without a vector it is polled; a smaller queue is used as it is. */
static void test_small_and_polled(UNUSED void **state)
{
	struct netdev_view v;
	u32 n = 0;

	fake_irqs_left = 0;
	vnic.queue_size = 8;
	open_nic();
	netdev_view(nd, &v);
	assert_string_equal(v.wakes, "polled");
	assert_int_equal(vnic.queues[0].vector, VIRTIO_MSI_NO_VECTOR);
	while (fake_vnic_receive(&vnic, out, 100))
		n++;
	assert_int_equal(n, 8);
	netdev_poll(nd);
	assert_int_equal(received, 8);
	fake_vnic_use(&vnic, 0, 100, 60); /* a buffer that it never had */
	netdev_poll(nd);
	assert_int_equal(received, 8);
	assert_int_equal(counted(NETDEV_RX_BROKEN), 1);
	assert_int_equal(send_len(0, 60), 0);
	assert_int_equal(send_len(1, 60), 0);
	assert_int_equal(send_len(2, 60), -TERN_EAGAIN);
	fake_vnic_step(&vnic);
	netdev_poll(nd);
	assert_int_equal(done_ok, 2);
	assert_int_equal(send_len(2, 60), 0);
}

static void test_send(UNUSED void **state)
{
	open_nic();
	assert_int_equal(send_len(0, 90), 0);
	assert_int_equal(vnic.notified[1], 1);
	fake_vnic_step(&vnic);
	assert_int_equal(vnic.sent, 1);
	assert_int_equal(vnic.frame_len, 90);
	assert_memory_equal(vnic.frame, out, 90);
	assert_int_equal(vnic.header.flags, 0);
	netdev_poll(nd);
	assert_int_equal(done_ok, 1);
	txs[0].arg = &txs[0];
	txs[0].csum = true;
	txs[0].csum_start = 14;
	txs[0].csum_offset = 4;
	fake_vnic_used(&vnic, 1)->flags = VRING_USED_F_NO_NOTIFY;
	assert_int_equal(netdev_send(nd, &txs[0]), 0);
	assert_int_equal(vnic.notified[1], 1);
	fake_vnic_step(&vnic);
	assert_int_equal(vnic.header.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
	assert_int_equal(vnic.header.csum_start, 14);
	assert_int_equal(vnic.header.csum_offset, 4);
	assert_int_equal(vnic.bad, 0);
}

/* In any order, round and round, until every descriptor was everywhere in a chain. */
static void test_send_many(UNUSED void **state)
{
	open_nic();
	for (u32 i = 0; i < 3000; i++) {
		u32 k = i % 80;

		vnic.reorders = i / 80 % 2 == 1;
		assert_int_equal(send_len(k, 60 + k), 0);
		if (k % 7 == 6 || k == 79) {
			fake_vnic_step(&vnic);
			netdev_poll(nd);
		}
	}
	fake_vnic_step(&vnic);
	netdev_poll(nd);
	assert_int_equal(done_ok, 3000);
	assert_int_equal(vnic.sent, 3000);
	assert_int_equal(vnic.bad, 0);
	vnic.hangs = true;
	for (u32 i = 0; i < 85; i++)
		assert_int_equal(send_len(i, 60), 0);
	assert_int_equal(send_len(85, 60), -TERN_EAGAIN); /* 255 of 256 are in use */
}

static void test_receive(UNUSED void **state)
{
	open_nic();
	for (u32 i = 0; i < 1000; i++) {
		u32 len = 60 + i % 1400;

		out[0] = (u8)i;
		assert_true(fake_vnic_receive(&vnic, out, len));
		netdev_poll(nd);
		assert_int_equal(received, i + 1);
		assert_int_equal(last_len, len);
		assert_memory_equal(last, out, len);
	}
}

static void test_receive_jumbo(UNUSED void **state)
{
	struct netdev_owner o = owner;
	static u8 frame[9014];

	o.mtu = 9000;
	assert_int_equal(netdev_open(nd, &o), 0);
	memset(frame, 3, sizeof(frame));
	assert_true(fake_vnic_receive(&vnic, frame, sizeof(frame)));
	netdev_poll(nd);
	assert_int_equal(last_len, 9014);
	assert_memory_equal(last, frame, 9014);
}

static void test_nonsense(UNUSED void **state)
{
	u32 resets;

	open_nic();
	resets = vnic.resets;
	fake_vnic_use(&vnic, 0, 256, 100); /* no such descriptor */
	fake_vnic_use(&vnic, 0, ~0u, 100);
	fake_vnic_use(&vnic, 0, 3, 12);   /* no frame */
	fake_vnic_use(&vnic, 0, 4, 4097); /* longer than the buffer */
	fake_vnic_use(&vnic, 0, 5, ~0u);
	fake_vnic_use(&vnic, 1, 0, 0); /* never sent */
	fake_vnic_use(&vnic, 1, 70000, 0);
	netdev_poll(nd);
	assert_int_equal(received, 0);
	assert_int_equal(counted(NETDEV_RX_BROKEN), 5);
	assert_int_equal(done_ok, 0);
	fake_vnic_use(&vnic, 0, 9, 80);
	netdev_poll(nd);
	fake_vnic_use(&vnic, 0, 9, 80);
	fake_vnic_use(&vnic, 0, 9, 80);
	netdev_poll(nd);
	assert_int_equal(received, 3); /* a buffer that was given back is the device's again */
	/* More used than there can be: nothing is believed, and it is reset. */
	fake_vnic_used(&vnic, 0)->idx = (u16)(fake_vnic_used(&vnic, 0)->idx + 257);
	assert_false(netdev_poll(nd));
	wait_us(10001);
	netdev_poll(nd); /* looks */
	netdev_poll(nd);
	assert_true(vnic.resets > resets);
	assert_int_equal(received, 3);
	assert_true(netdev_link_up(nd));
	/* Again: not before a second is over. */
	resets = vnic.resets;
	fake_vnic_used(&vnic, 1)->idx = 1000;
	for (u32 i = 0; i < 50; i++) {
		wait_us(10001);
		netdev_poll(nd);
	}
	assert_int_equal(vnic.resets, resets);
	wait_us(600000);
	netdev_poll(nd);
	assert_true(vnic.resets > resets);
}

static void test_hang_and_needs_reset(UNUSED void **state)
{
	open_nic();
	vnic.hangs = true;
	for (u32 i = 0; i < 5; i++)
		assert_int_equal(send_len(i, 60), 0);
	wait_us(2000001);
	netdev_poll(nd);
	assert_int_equal(done_eio, 5);
	assert_int_equal(counted(NETDEV_HANGS), 1);
	vnic.hangs = false;
	assert_int_equal(send_len(0, 60), 0);
	fake_vnic_step(&vnic);
	netdev_poll(nd);
	assert_int_equal(done_ok, 1);
	wait_us(1100000);
	vnic.status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	netdev_poll(nd);
	assert_false(netdev_link_up(nd));
	netdev_poll(nd);
	assert_true(netdev_link_up(nd));
	assert_int_equal(vnic.status & VIRTIO_CONFIG_S_NEEDS_RESET, 0);
	/* A reset that does not end, and a second later does. */
	vnic.no_reset = true;
	netdev_reset(nd);
	wait_us(1100000);
	netdev_poll(nd);
	assert_false(netdev_link_up(nd));
	vnic.no_reset = false;
	wait_us(1100000);
	netdev_poll(nd);
	assert_true(netdev_link_up(nd));
}

static void test_link(UNUSED void **state)
{
	open_nic();
	vnic.link = 0;
	wait_us(10001);
	netdev_poll(nd);
	assert_false(link_now);
	assert_int_equal(send_len(0, 60), -TERN_ENODEV);
	vnic.link = VIRTIO_NET_S_LINK_UP;
	wait_us(10001);
	netdev_poll(nd);
	assert_true(link_now);
}

static void test_interrupts(UNUSED void **state)
{
	open_nic();
	assert_int_equal(fake_vnic_avail(&vnic, 0)->flags, 0);
	assert_int_equal(fake_vnic_avail(&vnic, 1)->flags, 0);
	pcpu_self()->work = 0;
	fake_irq_raise();
	assert_int_equal(fake_vnic_avail(&vnic, 0)->flags, VRING_AVAIL_F_NO_INTERRUPT);
	assert_int_equal(fake_vnic_avail(&vnic, 1)->flags, VRING_AVAIL_F_NO_INTERRUPT);
	assert_true((pcpu_self()->work & PCPU_WORK_NET) != 0);
	assert_false(netdev_poll(nd));
	assert_int_equal(fake_vnic_avail(&vnic, 0)->flags, 0);
	/* What is there when they are switched on raises none: the poll goes on. */
	assert_true(fake_vnic_receive(&vnic, out, 60));
	assert_true(nd->ops->irq_on(nd));
	assert_int_equal(fake_vnic_avail(&vnic, 0)->flags, VRING_AVAIL_F_NO_INTERRUPT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_found, begin, end),
		cmocka_unit_test_setup_teardown(test_unusable, begin, end),
		cmocka_unit_test_setup_teardown(test_open, begin, end),
		cmocka_unit_test_setup_teardown(test_no_memory, begin, end),
		cmocka_unit_test_setup_teardown(test_no_start, begin, end),
		cmocka_unit_test_setup_teardown(test_small_and_polled, begin, end),
		cmocka_unit_test_setup_teardown(test_send, begin, end),
		cmocka_unit_test_setup_teardown(test_send_many, begin, end),
		cmocka_unit_test_setup_teardown(test_receive, begin, end),
		cmocka_unit_test_setup_teardown(test_receive_jumbo, begin, end),
		cmocka_unit_test_setup_teardown(test_nonsense, begin, end),
		cmocka_unit_test_setup_teardown(test_hang_and_needs_reset, begin, end),
		cmocka_unit_test_setup_teardown(test_link, begin, end),
		cmocka_unit_test_setup_teardown(test_interrupts, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
