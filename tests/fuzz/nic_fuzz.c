/* SPDX-License-Identifier: MIT */
/* flags: -include tests/fake/fake_mmio.h */
/* links: drivers/net/e1000.c drivers/net/virtio_net.c drivers/net/virtio_host.c hv/net/netdev.c hv/net/netdev_list.c hv/net/netdev_which.c drivers/pci.c drivers/pci_access.c drivers/pci_msi.c hv/timer.c hv/trace.c hv/lock.c hv/lib/str.c hv/lib/fmt.c hv/lib/err.c tests/fake/fake_vnic.c tests/fake/fake_nic.c tests/fake/fake_pci.c tests/fake/fake_host.c */
/*
 * NICs that are broken, or lie: the input is what they write into rings and registers, between sends and polls. Whatever
 * that is, frames lie within their buffers, every frame that was taken is given back exactly once, and nothing leaks.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <drivers/net/e1000_regs.h>
#include <tern/arch.h>
#include <tern/err.h>
#include <tern/frames.h>
#include <tests/fake/fake_host.h>
#include <tests/fake/fake_nic.h>
#include <tests/fake/fake_vnic.h>

#define TXS    64u
#define FRAMES 512u
#define BASE   MiB(2)

/* Frames, without the care of fake_frames.c for what is in them: that would be most of the time. */
static bool used[FRAMES];
static u32 used_count, hint;

int frames_alloc(u32 order, u32 flags, UNUSED u32 node, hpa_t *out)
{
	if (order != 0 || used_count == FRAMES)
		abort();
	while (used[hint])
		hint = (hint + 1) % FRAMES;
	used[hint] = true;
	used_count++;
	*out = hpa(BASE + hint * PAGE_SIZE);
	if ((flags & FRAME_ZERO) != 0)
		memset(phys_to_virt(*out), 0, PAGE_SIZE);
	return 0;
}

void frame_put(hpa_t block)
{
	u64 i = (block.v - BASE) / PAGE_SIZE;

	if (block.v < BASE || block.v % PAGE_SIZE != 0 || i >= FRAMES || !used[i])
		abort();
	used[i] = false;
	used_count--;
}

void *frames_alloc_page(void)
{
	hpa_t pa;

	return frames_alloc(0, FRAME_ZERO, FRAME_NODE_ANY, &pa) == 0 ? phys_to_virt(pa) : NULL;
}

void frames_free_page(void *p)
{
	frame_put(virt_to_phys(p));
}

static const u8 *in;
static size_t left;
static struct fake_nic nic;
static struct fake_vnic vnic;
static struct netdev *nd;
static struct netdev_tx txs[TXS];
static u8 *page;

static u32 byte(void)
{
	if (left == 0)
		return 0;
	left--;
	return *in++;
}

static u32 word(void)
{
	u32 low = byte();

	return low | byte() << 8;
}

static void done(struct netdev_tx *tx, int status)
{
	if (tx->arg != tx || (status != 0 && status != -TERN_EIO && status != -TERN_ENODEV))
		abort();
	tx->arg = NULL;
}

/* A buffer is one page. */
static void rx(UNUSED void *arg, u8 *frame, u32 len)
{
	u64 at = virt_to_phys(frame).v;

	if (len < NETDEV_HEADER || len > NETDEV_HEADER + NETDEV_TAG + NETDEV_MTU ||
	    at % PAGE_SIZE + len > PAGE_SIZE || at < BASE || at >= BASE + FRAMES * PAGE_SIZE ||
	    !used[(at - BASE) / PAGE_SIZE])
		abort();
	memset(frame, 0xa5, len);
}

static void send(void)
{
	struct netdev_tx *tx = &txs[byte() % TXS];

	if (tx->arg != NULL)
		return;
	*tx = (struct netdev_tx){
		.done = done, .arg = tx, .frag_count = 1 + byte() % NETDEV_FRAGS_MAX};
	for (u32 i = 0; i < tx->frag_count; i++) {
		tx->frags[i] = (struct netdev_frag){virt_to_phys(page), 20 + byte() % 100};
		tx->len += tx->frags[i].len;
	}
	tx->csum = byte() % 2 == 0;
	tx->csum_start = 14;
	tx->csum_offset = 4;
	if (netdev_send(nd, tx) != 0)
		tx->arg = NULL;
}

static void *ring(u32 low)
{
	return phys_to_virt(
		hpa(fake_nic_read(&nic, low) | (u64)fake_nic_read(&nic, low + 4) << 32));
}

/* Something in the rings or registers of the Intel NIC. */
static void disturb_intel(void)
{
	u32 what = byte() % 6, at = byte(), v = word();
	struct e1000_rx_desc *d;

	if (fake_nic_read(&nic, E1000_RDBAL) == 0 || nic.gone)
		return;
	d = (struct e1000_rx_desc *)ring(E1000_RDBAL) + at;
	switch (what) {
	case 0:
		*d = (struct e1000_rx_desc){
			.addr = v, .len = (u16)v, .status = (u8)byte(), .errors = (u8)byte()};
		return;
	case 1:
		d->len = (u16)(v % 2048);
		d->status = E1000_RXS_DD | E1000_RXS_EOP;
		return;
	case 2:
		((struct e1000_tx_desc *)ring(E1000_TDBAL) + at)->upper = v;
		return;
	case 3:
		fake_nic_write(&nic, E1000_STATUS, v);
		return;
	case 4:
		nic.stuck = v % 8 == 0;
		nic.hangs = v % 4 == 0;
		return;
	default:
		fake_nic_receive(&nic, page, 60 + v % 3000, byte());
	}
}

static void disturb_virtio(void)
{
	u32 what = byte() % 6, queue = byte() % 2, id = word(), len = word();

	if (vnic.queues[queue].used == 0)
		return;
	switch (what) {
	case 0:
		fake_vnic_use(&vnic, queue, id | byte() << 24, len | byte() << 24);
		return;
	case 1:
		fake_vnic_use(&vnic, queue, id % 256, len % 2048);
		return;
	case 2:
		fake_vnic_used(&vnic, queue)->idx = (u16)id;
		return;
	case 3:
		vnic.status |= (u8)id;
		vnic.link = (u16)len;
		return;
	case 4:
		vnic.no_reset = id % 8 == 0;
		vnic.no_vector = id % 16 == 1;
		vnic.refuses = len % 16 == 1;
		vnic.queue_size = len % 4 == 0 ? (u16)id : 256;
		vnic.hangs = len % 4 == 1;
		vnic.reorders = len % 4 == 2;
		return;
	default:
		fake_vnic_receive(&vnic, page, 60 + len % 1400);
	}
}

static void step(void)
{
	fake_nic_step(&nic);
}

static void run(bool intel)
{
	while (left > 0) {
		switch (byte() % 6) {
		case 0:
			send();
			break;
		case 1:
			netdev_poll(nd);
			break;
		case 2:
			fake_tsc += (u64)word() * 50000; /* up to 3 s */
			break;
		case 3:
			if (intel)
				fake_nic_step(&nic);
			else
				fake_vnic_step(&vnic);
			break;
		default:
			if (intel)
				disturb_intel();
			else
				disturb_virtio();
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct netdev_owner owner = {.name = "fuzz", .rx = rx};
	static bool mapped;
	bool intel;

	in = data;
	left = size;
	intel = byte() % 2 == 0;
	if (!mapped)
		fake_reset();
	mapped = true;
	fake_tsc = 0;
	hint = 0;
	fake_pci_reset();
	memset(txs, 0, sizeof(txs));
	page = frames_alloc_page();
	fake_nic_add(&nic, 3, byte() % 2 == 0 ? E1000_82540EM : E1000_82574L);
	fake_vnic_add(&vnic, 4);
	fake_delayed = step;
	pci_scan(&fake_pci_ops);
	if (timer_cpu_init(pcpu_self()) != 0)
		abort();
	netdev_init();
	nd = netdev_get(intel ? 0 : 1);
	if (netdev_open(nd, &owner) != 0)
		abort();
	run(intel);
	netdev_close(nd);
	for (u32 i = 0; i < TXS; i++) {
		if (txs[i].arg != NULL)
			abort();
	}
	netdev_forget_all();
	frames_free_page(page);
	if (used_count != 0 || fake_irqs != 0)
		abort();
	return 0;
}
