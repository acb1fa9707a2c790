/* SPDX-License-Identifier: MIT */
/* links: drivers/net/e1000.c drivers/net/virtio_net.c drivers/net/virtio_host.c hv/net/netdev.c hv/net/netdev_list.c hv/net/netdev_which.c drivers/pci.c drivers/pci_access.c drivers/pci_msi.c */
/* links: hv/timer.c hv/trace.c hv/lock.c hv/lib/str.c hv/lib/fmt.c hv/lib/err.c tests/fake/fake_nic.c tests/fake/fake_pci.c tests/fake/fake_frames.c tests/fake/fake_host.c */
/* Intel's NICs through the whole of netdev.c, against a model of their registers and rings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <drivers/net/e1000_regs.h>
#include <linux/pci_regs.h>
#include <tern/arch.h>
#include <tern/err.h>
#include <tern/frames.h>
#include <tern/pcpu.h>
#include <tests/fake/fake_frames.h>
#include <tests/fake/fake_host.h>
#include <tests/fake/fake_nic.h>

#define TXS 300u

static struct fake_nic nic;
static struct netdev *nd;
static struct netdev_tx txs[TXS];
static u32 done_ok, done_eio, done_enodev, received, links;
static bool link_now;
static u8 last[16384];
static u32 last_len;
static u8 *out; /* a page of host memory to send from */

static void step(void)
{
	fake_nic_step(&nic);
}

static void done(struct netdev_tx *tx, int status)
{
	assert_ptr_equal(tx->arg, tx);
	tx->arg = NULL; /* once */
	done_ok += status == 0;
	done_eio += status == -TERN_EIO;
	done_enodev += status == -TERN_ENODEV;
}

static void rx(UNUSED void *arg, u8 *frame, u32 len)
{
	received++;
	memcpy(last, frame, len);
	last_len = len;
	memset(frame, 0x5a, len); /* it is the owner's to write to */
}

static void link_changed(UNUSED void *arg, bool up)
{
	links++;
	link_now = up;
}

static const struct netdev_owner owner = {.name = "test", .rx = rx, .link = link_changed};

static void find_nic(u16 device)
{
	fake_pci_reset();
	fake_nic_add(&nic, 3, device);
	pci_scan(&fake_pci_ops);
	netdev_forget_all();
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
	find_nic(E1000_82540EM);
	fake_delayed = step;
	memset(txs, 0, sizeof(txs));
	done_ok = done_eio = done_enodev = received = links = 0;
	link_now = false;
	out = frames_alloc_page();
	for (u32 i = 0; i < PAGE_SIZE; i++)
		out[i] = (u8)(i * 7);
	return 0;
}

/* Nothing leaks, whatever the test did. */
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
	txs[i] = (struct netdev_tx){.done = done,
				    .arg = &txs[i],
				    .len = len,
				    .frag_count = 1,
				    .frags = {{virt_to_phys(out), len}}};
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

/* --- the list --- */

static void test_found(UNUSED void **state)
{
	struct netdev_view v;

	assert_non_null(nd);
	assert_null(netdev_get(1));
	assert_memory_equal(netdev_mac(nd), nic.mac, 6);
	netdev_view(nd, &v);
	assert_string_equal(v.name, "nic0");
	assert_string_equal(v.driver, "e1000");
	assert_string_equal(v.model, "82540EM");
	assert_string_equal(v.where, "00:03.0");
	assert_string_equal(v.wakes, "");
	assert_null(v.owner);
	assert_int_equal(v.mtu_max, 9000);
	assert_false(v.link_up);
	assert_ptr_equal(netdev_find("00:03.0"), nd);
	assert_ptr_equal(netdev_find("0000:00:03.0"), nd);
	assert_ptr_equal(netdev_find("52:54:00:12:34:03"), nd);
	assert_null(netdev_find("52:54:00:12:34:04"));
	assert_null(netdev_find("00:03.1"));
	assert_null(netdev_find("nic0"));
}

/* A NIC that nobody opens: not a register and not the command register is other than before. */
static void test_untouched(UNUSED void **state)
{
	static u8 before[E1000_BAR_SIZE];
	u16 command;

	fake_pci_reset();
	fake_nic_add(&nic, 3, E1000_82540EM);
	fake_put16(nic.fn, PCI_COMMAND, PCI_COMMAND_IO);
	command = fake_get16(nic.fn, PCI_COMMAND);
	memcpy(before, phys_to_virt(hpa(nic.base)), sizeof(before));
	pci_scan(&fake_pci_ops);
	netdev_forget_all();
	netdev_init();
	nd = netdev_get(0);
	assert_non_null(nd);
	assert_false(netdev_poll_all());
	assert_memory_equal(before, phys_to_virt(hpa(nic.base)), sizeof(before));
	assert_int_equal(fake_get16(nic.fn, PCI_COMMAND), command);
}

static void test_unusable(UNUSED void **state)
{
	static const u8 bad[][6] = {{0}, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, {1, 2, 3, 4, 5, 6}};

	for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
		fake_pci_reset();
		fake_nic_add(&nic, 3, E1000_82540EM);
		memcpy((char *)phys_to_virt(hpa(nic.base)) + E1000_RAL, bad[i], 6);
		pci_scan(&fake_pci_ops);
		netdev_forget_all();
		netdev_init();
		assert_null(netdev_get(0));
	}
	fake_pci_reset();
	fake_nic_add(&nic, 3, E1000_82540EM);
	fake_pci_bar(nic.fn, 0, (u32)nic.base | 4, 0xffff0000); /* half as large */
	pci_scan(&fake_pci_ops);
	netdev_init();
	assert_null(netdev_get(0));
	nd = NULL;
	assert_non_null(strstr(fake_log(), "82540EM at 00:03.0 cannot be used: ENODEV"));
}

/* As in Bochs: the address is in the EEPROM alone. */
static void test_eeprom(UNUSED void **state)
{
	nic.raw = true;
	fake_nic_write(&nic, E1000_RAL, 0);
	fake_nic_write(&nic, E1000_RAH, 0);
	netdev_forget_all();
	netdev_init();
	nd = netdev_get(0);
	assert_non_null(nd);
	assert_memory_equal(netdev_mac(nd), nic.mac, 6);
	assert_int_equal(nic.resets, 0);
	open_nic();
	assert_memory_equal((char *)phys_to_virt(hpa(nic.base)) + E1000_RAL, nic.mac, 6);
	netdev_close(nd);
	/* One that never answers. */
	fake_nic_write(&nic, E1000_RAH, 0);
	fake_delayed = NULL;
	netdev_forget_all();
	netdev_init();
	nd = netdev_get(0);
	assert_null(nd);
}

static void test_too_many(UNUSED void **state)
{
	static struct fake_nic more[NETDEV_MAX + 1];

	fake_pci_reset();
	for (u32 i = 0; i < ARRAY_SIZE(more); i++)
		fake_nic_add(&more[i], (u8)(i + 1), E1000_82545EM);
	pci_scan(&fake_pci_ops);
	netdev_forget_all();
	netdev_init();
	nd = netdev_get(0);
	assert_non_null(netdev_get(NETDEV_MAX - 1));
	assert_null(netdev_get(NETDEV_MAX));
	assert_non_null(strstr(fake_log(), "00:09.0 is left out"));
}

/* --- opening --- */

static void test_open(UNUSED void **state)
{
	struct netdev_view v;
	u32 rctl;

	open_nic();
	assert_int_equal(netdev_open(nd, &owner), -TERN_EBUSY);
	assert_true(nic.resets >= 1);
	netdev_view(nd, &v);
	assert_string_equal(v.owner, "test");
	assert_string_equal(v.wakes, "polled");
	assert_int_equal(v.mtu, 1500);
	assert_int_equal(v.speed, 1000);
	assert_true(v.full_duplex);
	assert_int_equal(links, 1);
	rctl = fake_nic_read(&nic, E1000_RCTL);
	assert_int_equal(rctl & (E1000_RCTL_UPE | E1000_RCTL_LPE), 0);
	assert_int_equal(fake_nic_read(&nic, E1000_RDT), 255);
	assert_memory_equal((char *)phys_to_virt(hpa(nic.base)) + E1000_RAL, nic.mac, 6);
	assert_true(fake_get16(nic.fn, PCI_COMMAND) & PCI_COMMAND_MASTER);
	netdev_close(nd);
	assert_int_equal(fake_nic_read(&nic, E1000_RCTL), 0);
	assert_int_equal(fake_nic_read(&nic, E1000_TCTL), 0);
	assert_false(fake_get16(nic.fn, PCI_COMMAND) & PCI_COMMAND_MASTER);
	assert_int_equal(fake_frames_used(), 2); /* the driver's and ours */
	netdev_close(nd);
}

static void test_open_jumbo(UNUSED void **state)
{
	struct netdev_owner o = owner;
	static u8 frame[9018];

	o.mtu = 9001;
	assert_int_equal(netdev_open(nd, &o), -TERN_EINVAL);
	o.mtu = 9000;
	o.promiscuous = true;
	assert_int_equal(netdev_open(nd, &o), 0);
	assert_int_equal(fake_nic_read(&nic, E1000_RCTL) & (E1000_RCTL_UPE | E1000_RCTL_LPE),
			 E1000_RCTL_UPE | E1000_RCTL_LPE);
	memset(frame, 0x77, sizeof(frame));
	assert_true(fake_nic_receive(&nic, frame, sizeof(frame), 0));
	netdev_poll(nd);
	assert_int_equal(received, 1);
	assert_int_equal(last_len, 9018);
	assert_memory_equal(last, frame, 9018);
}

/* Every allocation fails in turn; then the vectors. */
static void test_no_memory(UNUSED void **state)
{
	u32 used = fake_frames_used();

	for (u32 n = 0; n < 3 + 256; n++) {
		fake_frames_one = n;
		assert_int_equal(netdev_open(nd, &owner), -TERN_ENOMEM);
		assert_int_equal(fake_frames_used(), used);
		assert_int_equal(nic.resets, 0);
	}
	fake_frames_one = 3 + 256;
	assert_int_equal(netdev_open(nd, &owner), 0);
	netdev_close(nd);
	netdev_forget_all();
	fake_frames_one = 0;
	netdev_init();
	assert_null(netdev_get(0));
	nd = NULL;
}

static void test_no_start(UNUSED void **state)
{
	u32 used = fake_frames_used();

	nic.stuck = true;
	assert_int_equal(netdev_open(nd, &owner), -TERN_EIO);
	assert_int_equal(fake_frames_used(), used);
	assert_false(fake_get16(nic.fn, PCI_COMMAND) & PCI_COMMAND_MASTER);
	nic.stuck = false;
	open_nic();
}

/* --- sending --- */

static void test_send(UNUSED void **state)
{
	open_nic();
	assert_int_equal(send_len(0, 60), 0);
	netdev_poll(nd);
	assert_int_equal(done_ok, 0); /* it has not sent it yet */
	step();
	assert_int_equal(nic.sent, 1);
	assert_int_equal(nic.frame_len, 60);
	assert_memory_equal(nic.frame, out, 60);
	netdev_poll(nd);
	assert_int_equal(done_ok, 1);
	assert_int_equal(counted(NETDEV_TX_FRAMES), 1);
	assert_int_equal(counted(NETDEV_TX_BYTES), 60);
	assert_int_equal(nic.bad, 0);
}

static void test_send_pieces(UNUSED void **state)
{
	u8 *page[2] = {frames_alloc_page(), frames_alloc_page()};
	struct netdev_tx tx = {.done = done, .arg = &tx, .frag_count = 3};
	struct netdev_owner o = owner;

	o.mtu = 9000;
	memset(page[0], 0x11, PAGE_SIZE);
	memset(page[1], 0x22, PAGE_SIZE);
	assert_int_equal(netdev_open(nd, &o), 0);
	netdev_poll(nd);
	tx.frags[0] = (struct netdev_frag){virt_to_phys(out), 64};
	tx.frags[1] = (struct netdev_frag){virt_to_phys(page[0]), 4096};
	tx.frags[2] = (struct netdev_frag){hpa_add(virt_to_phys(page[1]), 96), 4000};
	tx.len = 64 + 4096 + 4000;
	assert_int_equal(netdev_send(nd, &tx), 0);
	step();
	netdev_poll(nd);
	assert_int_equal(done_ok, 1);
	assert_int_equal(nic.frame_len, tx.len);
	assert_memory_equal(nic.frame, out, 64);
	assert_memory_equal(nic.frame + 64, page[0], 4096);
	assert_memory_equal(nic.frame + 64 + 4096, page[1], 4000);
	frames_free_page(page[0]);
	frames_free_page(page[1]);
}

static void test_send_csum(UNUSED void **state)
{
	struct netdev_tx tx = {.done = done, .arg = &tx, .frag_count = 2, .csum = true};
	u32 sum = 0;

	open_nic();
	tx.csum_start = 34;
	tx.csum_offset = 6;
	memset(out + 40, 0, 2); /* a pseudo header of zeroes */
	tx.frags[0] = (struct netdev_frag){virt_to_phys(out), 42};
	tx.frags[1] = (struct netdev_frag){hpa_add(virt_to_phys(out), 1001), 99};
	tx.len = 141;
	assert_int_equal(netdev_send(nd, &tx), 0);
	step();
	assert_int_equal(nic.bad, 0);
	for (u32 i = 34; i < 141; i += 2)
		sum += (u32)nic.frame[i] << 8 | (i + 1 < 141 ? nic.frame[i + 1] : 0);
	assert_int_equal((sum & 0xffff) + (sum >> 16), 0xffff);
	/* The next one without does not get it. */
	netdev_poll(nd);
	assert_int_equal(send_len(1, 141), 0);
	step();
	assert_memory_equal(nic.frame, out, 141);
	netdev_poll(nd);
	assert_int_equal(done_ok, 2);
}

static void test_send_full(UNUSED void **state)
{
	u32 n = 0, rounds;

	open_nic();
	nic.hangs = true;
	while (send_len(n, 100) == 0)
		n++;
	assert_int_equal(n, 255);
	assert_int_equal(send_len(n, 100), -TERN_EAGAIN);
	assert_int_equal(counted(NETDEV_TX_FULL), 2);
	nic.hangs = false;
	step();
	netdev_poll(nd);
	assert_int_equal(done_ok, 255);
	/* Round and round, with and without checksums, so that the ring wraps everywhere. */
	for (rounds = 0; rounds < 1000; rounds++) {
		struct netdev_tx *tx = &txs[rounds % 7];

		*tx = (struct netdev_tx){
			.done = done,
			.arg = tx,
			.len = 80,
			.frag_count = 2,
			.csum = rounds % 3 == 0,
			.frags = {{virt_to_phys(out), 60}, {virt_to_phys(out), 20}}};
		assert_int_equal(netdev_send(nd, tx), 0);
		if (rounds % 7 == 6) {
			step();
			netdev_poll(nd);
		}
	}
	step();
	netdev_poll(nd);
	assert_int_equal(done_ok, 255 + 1000);
	assert_int_equal(nic.sent, 255 + 1000);
	assert_int_equal(nic.bad, 0);
}

static void test_send_wrong(UNUSED void **state)
{
	struct netdev_tx tx = {.done = done, .arg = &tx, .frag_count = 1};

	assert_int_equal(send_len(0, 60), -TERN_ENODEV); /* not open */
	open_nic();
	FAKE_EXPECT_PANIC((void)send_len(0, 13));
	nd->lock = (struct spinlock)SPINLOCK_INIT(RANK_NETDEV, "nic");
	pcpu_self()->rank_count = 0;
	FAKE_EXPECT_PANIC((void)send_len(0, 1519));
	nd->lock = (struct spinlock)SPINLOCK_INIT(RANK_NETDEV, "nic");
	pcpu_self()->rank_count = 0;
	assert_int_equal(send_len(0, 1518), 0);
	step();
	netdev_poll(nd);
	assert_int_equal(done_ok, 1);
}

/* --- receiving --- */

static void test_receive(UNUSED void **state)
{
	open_nic();
	for (u32 i = 0; i < 1000; i++) {
		u32 len = 60 + i % 1400;

		out[0] = (u8)i;
		out[len - 1] = (u8)(i >> 8);
		assert_true(fake_nic_receive(&nic, out, len, 0));
		assert_false(netdev_poll(nd));
		assert_int_equal(received, i + 1);
		assert_int_equal(last_len, len);
		assert_memory_equal(last, out, len);
	}
	assert_int_equal(counted(NETDEV_RX_FRAMES), 1000);
}

static void test_receive_burst(UNUSED void **state)
{
	u32 n = 0;

	open_nic();
	while (fake_nic_receive(&nic, out, 60, 0))
		n++;
	assert_int_equal(n, 255);
	assert_true(netdev_poll(nd));
	assert_int_equal(received, NETDEV_POLL_BATCH);
	while (netdev_poll(nd))
		;
	assert_int_equal(received, 255);
	assert_int_equal(counted(NETDEV_RX_MISSED), 1);
	assert_true(fake_nic_receive(&nic, out, 60, 0));
}

static void test_receive_errors(UNUSED void **state)
{
	static u8 large[9000];

	open_nic();
	assert_true(fake_nic_receive(&nic, out, 60, E1000_RXE_CE));
	assert_true(fake_nic_receive(&nic, out, 60, E1000_RXE_RXE));
	assert_true(fake_nic_receive(&nic, out, 13, 0));
	assert_true(fake_nic_receive(&nic, out, 1519, 0));
	assert_true(fake_nic_receive(&nic, large, sizeof(large), 0)); /* three buffers */
	netdev_poll(nd);
	assert_int_equal(received, 0);
	assert_int_equal(counted(NETDEV_RX_CSUM), 1);
	assert_int_equal(counted(NETDEV_RX_ERROR), 1);
	assert_int_equal(counted(NETDEV_RX_LENGTH), 5);
	assert_true(fake_nic_receive(&nic, out, 60, 0));
	netdev_poll(nd);
	assert_int_equal(received, 1);
}

/* What no NIC would write. */
static void test_receive_nonsense(UNUSED void **state)
{
	struct e1000_rx_desc *ring;

	open_nic();
	ring = phys_to_virt(hpa(fake_nic_read(&nic, E1000_RDBAL) |
				(u64)fake_nic_read(&nic, E1000_RDBAH) << 32));
	memset(phys_to_virt(hpa(ring[3].addr)), 0x42, 60);
	ring[0] = (struct e1000_rx_desc){.addr = ~0ull, .len = 4097, .status = 3};
	ring[1] = (struct e1000_rx_desc){.addr = ~0ull, .len = 0, .status = 3};
	ring[2] = (struct e1000_rx_desc){.addr = 0, .len = 0xffff, .status = 0xff, .errors = 0xff};
	ring[3] = (struct e1000_rx_desc){.addr = 0, .len = 60, .status = 3};
	netdev_poll(nd);
	assert_int_equal(counted(NETDEV_RX_BROKEN), 3);
	assert_int_equal(received, 1); /* whatever it says about the address, the buffer is ours */
	assert_true(last[0] == 0x42 && last[59] == 0x42);
	assert_int_not_equal(ring[2].addr, 0);
	assert_int_equal(ring[0].status, 0);
}

/* --- what goes wrong --- */

static void test_hang(UNUSED void **state)
{
	u32 resets;

	open_nic();
	resets = nic.resets;
	nic.hangs = true;
	for (u32 i = 0; i < 10; i++)
		assert_int_equal(send_len(i, 60), 0);
	netdev_poll(nd);
	wait_us(1900000);
	netdev_poll(nd);
	assert_int_equal(done_eio, 0);
	wait_us(200000);
	nic.hangs = false;
	netdev_poll(nd);
	assert_int_equal(done_eio, 10);
	assert_true(nic.resets > resets);
	assert_int_equal(counted(NETDEV_HANGS), 1);
	assert_int_equal(counted(NETDEV_RESETS), 1);
	assert_int_equal(counted(NETDEV_TX_FAILED), 10);
	assert_non_null(strstr(fake_log(), "nic0: it has sent nothing for 2000 ms"));
	/* It works again, both ways. */
	assert_int_equal(send_len(0, 60), 0);
	step();
	assert_true(fake_nic_receive(&nic, out, 60, 0));
	netdev_poll(nd);
	assert_int_equal(done_ok, 1);
	assert_int_equal(received, 1);
}

/* One that sends, however slowly, does not hang. */
static void test_slow_is_no_hang(UNUSED void **state)
{
	open_nic();
	for (u32 i = 0; i < 20; i++) {
		assert_int_equal(send_len(i, 60), 0);
		step();
		nic.hangs = true;
		assert_int_equal(send_len(i + 100, 60), 0);
		nic.hangs = false;
		wait_us(1500000);
		netdev_poll(nd);
		step();
	}
	assert_int_equal(counted(NETDEV_HANGS), 0);
}

static void test_gone(UNUSED void **state)
{
	open_nic();
	assert_int_equal(send_len(0, 60), 0);
	fake_nic_vanish(&nic);
	wait_us(10001);
	netdev_poll(nd);
	assert_false(netdev_link_up(nd));
	assert_false(link_now);
	assert_int_equal(send_len(1, 60), -TERN_ENODEV);
	wait_us(2000001);
	netdev_poll(nd);
	assert_int_equal(done_eio, 1);
	assert_non_null(strstr(fake_log(), "it does not start again"));
	assert_int_equal(counted(NETDEV_RX_CSUM), 0); /* all ones are no count */
	/* It comes back. */
	nic.gone = false;
	memset(phys_to_virt(hpa(nic.base)), 0, E1000_BAR_SIZE);
	fake_nic_write(&nic, E1000_CTRL, E1000_CTRL_RST);
	step();
	wait_us(1000001);
	netdev_poll(nd);
	assert_true(link_now);
	assert_int_equal(send_len(0, 60), 0);
	step();
	netdev_poll(nd);
	assert_int_equal(done_ok, 1);
}

static void test_link(UNUSED void **state)
{
	u32 status;

	open_nic();
	assert_int_equal(send_len(0, 60), 0);
	nic.hangs = true;
	status = fake_nic_read(&nic, E1000_STATUS);
	fake_nic_write(&nic, E1000_STATUS, status & ~(u32)E1000_STATUS_LU);
	netdev_poll(nd); /* not looked at yet */
	assert_int_equal(links, 1);
	wait_us(10001);
	netdev_poll(nd);
	assert_int_equal(links, 2);
	assert_false(link_now);
	assert_int_equal(send_len(1, 60), -TERN_ENODEV);
	assert_int_equal(counted(NETDEV_TX_DOWN), 1);
	wait_us(2000001);
	nic.hangs = false;
	netdev_poll(nd); /* what waited is given back */
	assert_int_equal(done_eio, 1);
	assert_int_equal(counted(NETDEV_HANGS), 0);
	assert_true(link_now); /* the reset has brought it up in this model */
	assert_int_equal(counted(NETDEV_LINK_CHANGES), 3);
}

static void test_reset_and_close(UNUSED void **state)
{
	open_nic();
	nic.hangs = true;
	assert_int_equal(send_len(0, 60), 0);
	assert_int_equal(send_len(1, 60), 0);
	netdev_reset(nd);
	assert_int_equal(done_eio, 0);
	netdev_poll(nd);
	assert_int_equal(done_eio, 2);
	assert_int_equal(counted(NETDEV_RESETS), 1);
	assert_int_equal(send_len(2, 60), 0);
	netdev_close(nd);
	assert_int_equal(done_enodev, 1);
	assert_false(netdev_poll(nd));
	assert_int_equal(send_len(3, 60), -TERN_ENODEV);
}

/* --- what wakes the poller --- */

static void test_polled(UNUSED void **state)
{
	open_nic();
	pcpu_self()->work = 0;
	fake_armed[0] = UINT64_MAX;
	assert_int_equal(send_len(0, 60), 0);
	assert_true((pcpu_self()->work & PCPU_WORK_NET) != 0);
	netdev_poll(nd);
	pcpu_self()->work = 0;
	assert_true(fake_armed[0] - fake_tsc <= 250000);
	fake_tsc = fake_armed[0];
	timer_interrupt();
	assert_true((pcpu_self()->work & PCPU_WORK_NET) != 0);
	step();
	netdev_poll(nd);
	/* Without traffic the node's own poll is enough. */
	wait_us(30000);
	timer_interrupt();
	netdev_poll(nd);
	assert_int_equal(fake_armed[0], UINT64_MAX);
	/* From another CPU it takes a kick, once. */
	fake_cpus(2);
	assert_int_equal(timer_cpu_init(pcpu_self()), 0);
	fake_cpu_set(1);
	fake_kicks = 0;
	netdev_kick(nd);
	netdev_kick(nd);
	assert_int_equal(fake_kicks, 1);
	fake_cpu_set(0);
}

static void test_msi(UNUSED void **state)
{
	struct netdev_view v;

	find_nic(E1000_82574L);
	fake_nic_write(&nic, E1000_STATUS, fake_nic_read(&nic, E1000_STATUS));
	open_nic();
	netdev_view(nd, &v);
	assert_string_equal(v.wakes, "MSI");
	assert_string_equal(v.model, "82574L");
	assert_int_equal(fake_irqs, 1);
	assert_int_equal(fake_get16(nic.fn, 0x40 + PCI_MSI_FLAGS) & PCI_MSI_FLAGS_ENABLE, 1);
	assert_int_equal(fake_nic_read(&nic, E1000_TXDCTL), 1u << 22);
	assert_int_not_equal(fake_nic_read(&nic, E1000_IMS), 0);
	pcpu_self()->work = 0;
	fake_nic_write(&nic, E1000_IMC, 0);
	fake_irq_raise();
	assert_int_equal(fake_nic_read(&nic, E1000_IMC), 0xffffffff);
	assert_true((pcpu_self()->work & PCPU_WORK_NET) != 0);
	assert_int_equal(counted(NETDEV_INTERRUPTS), 1);
	netdev_close(nd);
	assert_int_equal(fake_irqs, 0);
	assert_int_equal(fake_get16(nic.fn, 0x40 + PCI_MSI_FLAGS) & PCI_MSI_FLAGS_ENABLE, 0);
	/* No vector: it is polled. */
	fake_irqs_left = 0;
	open_nic();
	netdev_view(nd, &v);
	assert_string_equal(v.wakes, "polled");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_found, begin, end),
		cmocka_unit_test_setup_teardown(test_untouched, begin, end),
		cmocka_unit_test_setup_teardown(test_unusable, begin, end),
		cmocka_unit_test_setup_teardown(test_eeprom, begin, end),
		cmocka_unit_test_setup_teardown(test_too_many, begin, end),
		cmocka_unit_test_setup_teardown(test_open, begin, end),
		cmocka_unit_test_setup_teardown(test_open_jumbo, begin, end),
		cmocka_unit_test_setup_teardown(test_no_memory, begin, end),
		cmocka_unit_test_setup_teardown(test_no_start, begin, end),
		cmocka_unit_test_setup_teardown(test_send, begin, end),
		cmocka_unit_test_setup_teardown(test_send_pieces, begin, end),
		cmocka_unit_test_setup_teardown(test_send_csum, begin, end),
		cmocka_unit_test_setup_teardown(test_send_full, begin, end),
		cmocka_unit_test_setup_teardown(test_send_wrong, begin, end),
		cmocka_unit_test_setup_teardown(test_receive, begin, end),
		cmocka_unit_test_setup_teardown(test_receive_burst, begin, end),
		cmocka_unit_test_setup_teardown(test_receive_errors, begin, end),
		cmocka_unit_test_setup_teardown(test_receive_nonsense, begin, end),
		cmocka_unit_test_setup_teardown(test_hang, begin, end),
		cmocka_unit_test_setup_teardown(test_slow_is_no_hang, begin, end),
		cmocka_unit_test_setup_teardown(test_gone, begin, end),
		cmocka_unit_test_setup_teardown(test_link, begin, end),
		cmocka_unit_test_setup_teardown(test_reset_and_close, begin, end),
		cmocka_unit_test_setup_teardown(test_polled, begin, end),
		cmocka_unit_test_setup_teardown(test_msi, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
