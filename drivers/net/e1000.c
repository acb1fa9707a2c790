/* SPDX-License-Identifier: MIT */
/*
 * Intel 8254x and 82574 Gigabit Ethernet: two rings of 256 descriptors. The NIC is believed nothing but that it is done
 * with a descriptor: addresses come from our own arrays, lengths are compared with the buffer. 8254x are polled: their
 * INTx would need the machine's AML to be routed.
 */
#include <tern/netdev_driver.h>

#include <linux/pci_regs.h>
#include <tern/arch.h>
#include <tern/err.h>
#include <tern/frames.h>
#include <tern/io.h>
#include <tern/lib.h>
#include <tern/log.h>

#include "e1000_regs.h"

#define RING      256u
#define MTU_MAX   9000u
#define GONE      0xffffffffu /* what a register of a device that is not there reads as */
#define RESET_US  20000u      /* longest that a reset takes */
#define MASTER_US 10000u      /* longest that requests are under way */
#define SETTLE_US 5000u       /* for the EEPROM to be read again (SDM 14.5) */
#define EEPROM_US 2000u       /* longest that a word of the EEPROM takes */
#define STEP_US   100u
#define MAC_GROUP 1u
#define FCS       4u

struct model {
	u16 device;
	const char *name;
	bool express; /* 82574: PCI Express, MSI */
	u32 tipg, txdctl;
};

static const struct model models[] = {
	{E1000_82540EM, "82540EM", false, E1000_TIPG_8254X, 0},
	{E1000_82545EM, "82545EM", false, E1000_TIPG_8254X, 0},
	{E1000_82574L, "82574L", true, E1000_TIPG_82574, E1000_TXDCTL_82574},
};

/* What is ours of the rings; a page. */
struct owners {
	struct netdev_tx *tx[RING]; /* (n) at a frame's last descriptor */
	u8 *rx[RING];               /* (c) buffers */
};
_Static_assert(sizeof(struct owners) <= PAGE_SIZE, "one page");
_Static_assert(RING * sizeof(struct e1000_tx_desc) == PAGE_SIZE &&
		       RING * sizeof(struct e1000_rx_desc) == PAGE_SIZE,
	       "a ring is one page");

struct e1000 {
	const struct model *model; /* (c) */
	char *regs;                /* (c) */
	/* (c) from alloc() to free() */
	struct e1000_tx_desc *tx;
	struct e1000_rx_desc *rx;
	struct owners *own;
	u32 rx_order, rx_size, rx_bits; /* of a buffer */
	/* (n) next descriptor to fill, and the first that the NIC may still read */
	u32 tx_next, tx_first;
	/* (p) next descriptor that the NIC will fill */
	u32 rx_next;
	bool rx_skipping; /* (p) what comes belongs to a frame that was too long */
};

static u32 reg_read(const struct e1000 *e, u32 reg)
{
	return mmio_read32(e->regs + reg);
}

static void reg_write(const struct e1000 *e, u32 reg, u32 v)
{
	mmio_write32(e->regs + reg, v);
}

static const struct model *model_of(const struct pci_device *d)
{
	for (u32 i = 0; i < ARRAY_SIZE(models); i++) {
		if (d->vendor == E1000_VENDOR && d->device == models[i].device)
			return &models[i];
	}
	return NULL;
}

static const char *e1000_match(const struct pci_device *d)
{
	const struct model *m = model_of(d);

	return m != NULL ? m->name : NULL;
}

static bool mac_ok(const u8 mac[NETDEV_MAC])
{
	static const u8 zero[NETDEV_MAC];

	return (mac[0] & MAC_GROUP) == 0 && memcmp(mac, zero, NETDEV_MAC) != 0;
}

/* Asks the EEPROM of an 8254x. False: it does not answer. */
static bool read_eeprom(const struct e1000 *e, u8 mac[NETDEV_MAC])
{
	for (u32 i = 0; i < NETDEV_MAC; i += sizeof(u16)) {
		u32 v = 0;

		reg_write(e, E1000_EERD, E1000_EERD_START | i / 2 << E1000_EERD_ADDR_SHIFT);
		for (u32 t = 0; t < EEPROM_US && (v & E1000_EERD_DONE) == 0; t += STEP_US) {
			arch_delay_us(STEP_US);
			v = reg_read(e, E1000_EERD);
		}
		if ((v & E1000_EERD_DONE) == 0 || v == GONE)
			return false;
		mac[i] = (u8)(v >> E1000_EERD_DATA_SHIFT);
		mac[i + 1] = (u8)(v >> (E1000_EERD_DATA_SHIFT + 8));
	}
	return true;
}

/* The NIC has loaded its address from its EEPROM (SDM 13.5.2); Bochs's has not. */
static bool read_mac(const struct e1000 *e, u8 mac[NETDEV_MAC])
{
	u32 low = reg_read(e, E1000_RAL), high = reg_read(e, E1000_RAH);

	if ((high & E1000_RAH_AV) == 0 && !e->model->express)
		return read_eeprom(e, mac) && mac_ok(mac);
	memcpy(mac, &low, sizeof(low));
	memcpy(mac + sizeof(low), &high, NETDEV_MAC - sizeof(low));
	return mac_ok(mac);
}

/* Decoding may be off: it is then on for a few reads. */
static int e1000_probe(struct netdev *nd)
{
	struct e1000 *e = nd->driver;
	u32 command;
	bool found;

	e->model = model_of(nd->pci);
	if (nd->pci->bars[E1000_BAR].size < E1000_BAR_SIZE)
		return -TERN_ENODEV;
	e->regs = pci_map_bar(nd->pci, E1000_BAR);
	if (e->regs == NULL)
		return -TERN_ENODEV;
	command = pci_read(nd->pci, PCI_COMMAND, sizeof(u16));
	pci_write(nd->pci, PCI_COMMAND, sizeof(u16), command | PCI_COMMAND_MEMORY);
	found = read_mac(e, nd->mac);
	pci_write(nd->pci, PCI_COMMAND, sizeof(u16), command);
	if (!found)
		return -TERN_ENODEV;
	nd->mtu_max = MTU_MAX;
	nd->can = NETDEV_CAN_CSUM;
	nd->irq = e->model->express ? NETDEV_MSI : NETDEV_POLLED;
	return 0;
}

/* --- memory --- */

static void e1000_free(struct netdev *nd)
{
	struct e1000 *e = nd->driver;

	for (u32 i = 0; e->own != NULL && i < RING && e->own->rx[i] != NULL; i++)
		frame_put(virt_to_phys(e->own->rx[i]));
	if (e->own != NULL)
		frames_free_page(e->own);
	if (e->tx != NULL)
		frames_free_page(e->tx);
	if (e->rx != NULL)
		frames_free_page(e->rx);
	e->own = NULL;
	e->tx = NULL;
	e->rx = NULL;
}

/* The smallest buffers that hold a frame in one piece. */
static void choose_buffers(struct e1000 *e, u32 mtu)
{
	static const u32 bits[] = {E1000_RCTL_BSIZE_4K, E1000_RCTL_BSIZE_8K, E1000_RCTL_BSIZE_16K};

	e->rx_order = 0;
	while ((PAGE_SIZE << e->rx_order) < NETDEV_HEADER + NETDEV_TAG + mtu + FCS)
		e->rx_order++;
	e->rx_size = (u32)(PAGE_SIZE << e->rx_order);
	e->rx_bits = bits[e->rx_order] | E1000_RCTL_BSEX;
}

static int e1000_alloc(struct netdev *nd)
{
	struct e1000 *e = nd->driver;
	hpa_t block;

	choose_buffers(e, nd->mtu);
	e->tx = frames_alloc_page();
	e->rx = frames_alloc_page();
	e->own = frames_alloc_page();
	if (e->tx == NULL || e->rx == NULL || e->own == NULL)
		goto no_memory;
	for (u32 i = 0; i < RING; i++) {
		if (frames_alloc(e->rx_order, 0, FRAME_NODE_ANY, &block) != 0)
			goto no_memory;
		e->own->rx[i] = phys_to_virt(block);
	}
	return 0;
no_memory:
	e1000_free(nd);
	return -TERN_ENOMEM;
}

/* --- reset and start (SDM 14) --- */

/* Waits until bits of a register are clear. False: they are not. */
static bool wait_clear(const struct e1000 *e, u32 reg, u32 bits, u32 us)
{
	for (u32 t = 0; t < us; t += STEP_US) {
		if ((reg_read(e, reg) & bits) == 0)
			return true;
		arch_delay_us(STEP_US);
	}
	return false;
}

/* Afterwards it neither reads nor writes memory. False: it did not answer. */
static bool reset(const struct e1000 *e)
{
	reg_write(e, E1000_IMC, E1000_INT_ALL);
	reg_write(e, E1000_RCTL, 0);
	reg_write(e, E1000_TCTL, 0);
	if (e->model->express) {
		/* A reset in the midst of a request could hang the bus (82574 10.2: CTRL). */
		reg_write(e, E1000_CTRL, reg_read(e, E1000_CTRL) | E1000_CTRL_GIO_MASTER_DISABLE);
		(void)wait_clear(e, E1000_STATUS, E1000_STATUS_GIO_MASTER, MASTER_US);
	}
	reg_write(e, E1000_CTRL, reg_read(e, E1000_CTRL) | E1000_CTRL_RST);
	arch_delay_us(STEP_US);
	if (!wait_clear(e, E1000_CTRL, E1000_CTRL_RST, RESET_US))
		return false;
	arch_delay_us(SETTLE_US);
	reg_write(e, E1000_IMC, E1000_INT_ALL);
	(void)reg_read(e, E1000_ICR);
	return true;
}

/* Our address is its only one; without flow control, so that no neighbour can stop it. */
static void start_filters(const struct netdev *nd)
{
	const struct e1000 *e = nd->driver;
	u32 low, high = 0;

	memcpy(&low, nd->mac, sizeof(low));
	memcpy(&high, nd->mac + sizeof(low), NETDEV_MAC - sizeof(low));
	reg_write(e, E1000_RAL, low);
	reg_write(e, E1000_RAH, high | E1000_RAH_AV);
	for (u32 i = 1; i < E1000_RA_PAIRS; i++)
		reg_write(e, E1000_RAH + i * E1000_RA_STRIDE, 0);
	for (u32 i = 0; i < E1000_MTA_WORDS; i++)
		reg_write(e, E1000_MTA + i * (u32)sizeof(u32), 0);
	reg_write(e, E1000_FCAL, 0);
	reg_write(e, E1000_FCAH, 0);
	reg_write(e, E1000_FCT, 0);
	reg_write(e, E1000_FCTTV, 0);
	reg_write(e, E1000_FCRTL, 0);
	reg_write(e, E1000_FCRTH, 0);
	reg_write(e, E1000_RXCSUM, 0);
}

static void start_tx(struct e1000 *e)
{
	u64 ring = virt_to_phys(e->tx).v;

	e->tx_next = e->tx_first = 0;
	memset(e->tx, 0, PAGE_SIZE);
	reg_write(e, E1000_TDBAL, (u32)ring);
	reg_write(e, E1000_TDBAH, (u32)(ring >> 32));
	reg_write(e, E1000_TDLEN, PAGE_SIZE);
	reg_write(e, E1000_TDH, 0);
	reg_write(e, E1000_TDT, 0);
	reg_write(e, E1000_TIDV, E1000_TIDV_MIN);
	reg_write(e, E1000_TADV, 0);
	reg_write(e, E1000_TXDCTL, e->model->txdctl);
	reg_write(e, E1000_TIPG, e->model->tipg);
	reg_write(e, E1000_TCTL,
		  E1000_TCTL_EN | E1000_TCTL_PSP | E1000_TCTL_CT | E1000_TCTL_COLD_FD);
}

/* Gives the NIC the buffer of a descriptor. */
static void fill_rx(struct e1000 *e, u32 i)
{
	e->rx[i] = (struct e1000_rx_desc){.addr = virt_to_phys(e->own->rx[i]).v};
}

static void start_rx(struct netdev *nd)
{
	struct e1000 *e = nd->driver;
	u64 ring = virt_to_phys(e->rx).v;
	u32 control =
		E1000_RCTL_EN | E1000_RCTL_MPE | E1000_RCTL_BAM | E1000_RCTL_SECRC | e->rx_bits;

	if (nd->owner.promiscuous)
		control |= E1000_RCTL_UPE;
	if (nd->mtu > NETDEV_MTU)
		control |= E1000_RCTL_LPE;
	e->rx_next = 0;
	e->rx_skipping = false;
	for (u32 i = 0; i < RING; i++)
		fill_rx(e, i);
	reg_write(e, E1000_RDBAL, (u32)ring);
	reg_write(e, E1000_RDBAH, (u32)(ring >> 32));
	reg_write(e, E1000_RDLEN, PAGE_SIZE);
	reg_write(e, E1000_RDH, 0);
	reg_write(e, E1000_RDT, 0);
	reg_write(e, E1000_RDTR, 0);
	reg_write(e, E1000_RADV, 0);
	reg_write(e, E1000_RCTL, control);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	reg_write(e, E1000_RDT, RING - 1); /* one is never the NIC's: full and empty differ */
}

static int e1000_run(struct netdev *nd)
{
	struct e1000 *e = nd->driver;

	if (!reset(e))
		return -TERN_EIO;
	start_filters(nd);
	reg_write(e, E1000_CTRL,
		  (reg_read(e, E1000_CTRL) & ~(u32)E1000_CTRL_NOT_OURS) | E1000_CTRL_SLU);
	reg_write(e, E1000_ITR, E1000_ITR_50US);
	start_tx(e);
	start_rx(nd);
	return 0;
}

static void e1000_halt(struct netdev *nd)
{
	(void)reset(nd->driver);
}

/* --- sending --- */

static u32 after(u32 i)
{
	return (i + 1) % RING;
}

/* What follows is about the frames behind it (SDM 3.3.6). */
static void put_context(struct e1000 *e, const struct netdev_tx *tx)
{
	u64 at = tx->csum_start, to = at + tx->csum_offset;

	e->tx[e->tx_next] = (struct e1000_tx_desc){
		.addr = at << E1000_TXC_TUCSS_SHIFT | to << E1000_TXC_TUCSO_SHIFT,
		.lower = E1000_TXD_DEXT,
	};
	e->tx_next = after(e->tx_next);
}

static int e1000_send(struct netdev *nd, struct netdev_tx *tx)
{
	struct e1000 *e = nd->driver;
	u32 room = (e->tx_first + RING - e->tx_next - 1) % RING, last = 0;

	if (room < tx->frag_count + (tx->csum ? 1 : 0))
		return -TERN_EAGAIN;
	if (tx->csum)
		put_context(e, tx);
	for (u32 i = 0; i < tx->frag_count; i++) {
		u32 lower = tx->frags[i].len | E1000_TXD_DATA | E1000_TXD_DEXT | E1000_TXD_IFCS;

		if (i + 1 == tx->frag_count)
			lower |= E1000_TXD_EOP | E1000_TXD_RS;
		last = e->tx_next;
		e->tx[last] = (struct e1000_tx_desc){
			.addr = tx->frags[i].at.v,
			.lower = lower,
			.upper = tx->csum ? E1000_TXP_TXSM : 0,
		};
		e->tx_next = after(last);
	}
	e->own->tx[last] = tx;
	__atomic_thread_fence(__ATOMIC_RELEASE);
	reg_write(e, E1000_TDT, e->tx_next);
	return 0;
}

/* The last descriptor of the oldest frame; false: there is no frame. */
static bool oldest(const struct e1000 *e, u32 *last)
{
	for (u32 i = e->tx_first; i != e->tx_next; i = after(i)) {
		if (e->own->tx[i] == NULL)
			continue;
		*last = i;
		return true;
	}
	return false;
}

static struct netdev_tx *take(struct e1000 *e, u32 last)
{
	struct netdev_tx *tx = e->own->tx[last];

	e->own->tx[last] = NULL;
	e->tx_first = after(last);
	return tx;
}

static struct netdev_tx *e1000_reap(struct netdev *nd)
{
	struct e1000 *e = nd->driver;
	u32 last;

	if (!oldest(e, &last) ||
	    (__atomic_load_n(&e->tx[last].upper, __ATOMIC_ACQUIRE) & E1000_TXS_DD) == 0)
		return NULL;
	return take(e, last);
}

static struct netdev_tx *e1000_take_back(struct netdev *nd)
{
	struct e1000 *e = nd->driver;
	u32 last;

	return oldest(e, &last) ? take(e, last) : NULL;
}

/* --- receiving --- */

static void e1000_recycle(struct netdev *nd)
{
	struct e1000 *e = nd->driver;

	fill_rx(e, e->rx_next);
	e->rx_next = after(e->rx_next);
}

/* What is wrong with a descriptor that the NIC is done with; NETDEV_COUNTS: nothing. */
static enum netdev_count fault_of(struct e1000 *e, u32 len, u32 status, u32 errors)
{
	bool end = (status & E1000_RXS_EOP) != 0, skipping = e->rx_skipping;

	e->rx_skipping = !end;
	if (len == 0 || len > e->rx_size)
		return NETDEV_RX_BROKEN;
	if (skipping || !end)
		return NETDEV_RX_LENGTH;
	if ((errors & E1000_RXE_CE) != 0)
		return NETDEV_RX_CSUM;
	return (errors & E1000_RXE_LINE) != 0 ? NETDEV_RX_ERROR : NETDEV_COUNTS;
}

static enum netdev_next e1000_receive(struct netdev *nd, struct netdev_frame *out)
{
	struct e1000 *e = nd->driver;
	const struct e1000_rx_desc *d = &e->rx[e->rx_next];
	u32 status = __atomic_load_n(&d->status, __ATOMIC_ACQUIRE), len;
	enum netdev_count fault;

	if ((status & E1000_RXS_DD) == 0)
		return NETDEV_NONE;
	len = __atomic_load_n(&d->len, __ATOMIC_RELAXED);
	fault = fault_of(e, len, status, __atomic_load_n(&d->errors, __ATOMIC_RELAXED));
	if (fault != NETDEV_COUNTS) {
		netdev_add(nd, fault, 1);
		e1000_recycle(nd);
		return NETDEV_SKIPPED;
	}
	*out = (struct netdev_frame){.data = e->own->rx[e->rx_next], .len = len};
	return NETDEV_FRAME;
}

static void e1000_end_batch(struct netdev *nd)
{
	struct e1000 *e = nd->driver;

	__atomic_thread_fence(__ATOMIC_RELEASE);
	reg_write(e, E1000_RDT, (e->rx_next + RING - 1) % RING);
}

/* --- the rest --- */

static void e1000_link(struct netdev *nd, struct netdev_link *out)
{
	static const u32 speeds[] = {10, 100, 1000, 1000};
	u32 status = reg_read(nd->driver, E1000_STATUS);

	*out = (struct netdev_link){.up = false};
	if (status == GONE || (status & E1000_STATUS_LU) == 0)
		return;
	out->up = true;
	out->full_duplex = (status & E1000_STATUS_FD) != 0;
	out->speed = speeds[status >> E1000_STATUS_SPEED_SHIFT & E1000_STATUS_SPEED_MASK];
}

static void e1000_collect(struct netdev *nd)
{
	static const struct {
		u32 reg;
		enum netdev_count count;
	} counters[] = {
		{E1000_CRCERRS, NETDEV_RX_CSUM}, {E1000_ALGNERRC, NETDEV_RX_ERROR},
		{E1000_RXERRC, NETDEV_RX_ERROR}, {E1000_MPC, NETDEV_RX_MISSED},
		{E1000_RUC, NETDEV_RX_LENGTH},   {E1000_RFC, NETDEV_RX_LENGTH},
		{E1000_ROC, NETDEV_RX_LENGTH},   {E1000_RJC, NETDEV_RX_LENGTH},
	};
	struct e1000 *e = nd->driver;

	if (reg_read(e, E1000_STATUS) == GONE)
		return;
	for (u32 i = 0; i < ARRAY_SIZE(counters); i++)
		netdev_add(nd, counters[i].count, reg_read(e, counters[i].reg));
}

static void e1000_irq_off(struct netdev *nd)
{
	struct e1000 *e = nd->driver;

	reg_write(e, E1000_IMC, E1000_INT_ALL);
	(void)reg_read(e, E1000_ICR);
}

/* Causes that are set already raise an interrupt now. */
static bool e1000_irq_on(struct netdev *nd)
{
	reg_write(nd->driver, E1000_IMS,
		  E1000_INT_TXDW | E1000_INT_LSC | E1000_INT_RXDMT0 | E1000_INT_RXO |
			  E1000_INT_RXT0);
	return false;
}

const struct netdev_ops e1000_netdev = {
	.name = "e1000",
	.match = e1000_match,
	.probe = e1000_probe,
	.alloc = e1000_alloc,
	.free = e1000_free,
	.run = e1000_run,
	.halt = e1000_halt,
	.send = e1000_send,
	.reap = e1000_reap,
	.take_back = e1000_take_back,
	.receive = e1000_receive,
	.recycle = e1000_recycle,
	.end_batch = e1000_end_batch,
	.link = e1000_link,
	.collect = e1000_collect,
	.irq_off = e1000_irq_off,
	.irq_on = e1000_irq_on,
};
