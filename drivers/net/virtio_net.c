/* SPDX-License-Identifier: MIT */
/*
 * A virtio network device of the machine (virtio 1.2 section 5.1): one pair of queues, checksums for what is sent, one
 * buffer for each frame that comes. There is no control queue: a device without one receives what its back end lets
 * through, so that promiscuous or not is not ours to say.
 */
#include <tern/netdev_driver.h>

#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <tern/arch.h>
#include <tern/err.h>
#include <tern/frames.h>
#include <tern/io.h>
#include <tern/lib.h>

#include "virtio_host.h"

#define DEVICE_MODERN       0x1041u /* virtio 1.2 section 4.1.2.1 */
#define DEVICE_TRANSITIONAL 0x1000u
#define RING                VIRTIO_HOST_QUEUE
#define MTU_MAX             9000u
#define MTU_MIN             68u /* section 5.1.4.1 */
#define HEADER              ((u32)sizeof(struct virtio_net_hdr_v1))

#define BIT(n) (1ull << (n))
#define NEEDED BIT(VIRTIO_F_VERSION_1)
#define WANTED                                                                    \
	(BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_MAC) | BIT(VIRTIO_NET_F_MTU) | \
	 BIT(VIRTIO_NET_F_STATUS) | BIT(VIRTIO_NET_F_SPEED_DUPLEX) |              \
	 BIT(VIRTIO_F_ACCESS_PLATFORM))

enum queue { QUEUE_RX, QUEUE_TX, QUEUES };

/* What is ours of the queues, a page each. */
struct owners {
	struct netdev_tx *tx[RING]; /* (n) by first descriptor */
	u8 *rx[RING];               /* (c) buffers, by descriptor */
};
struct sending {
	struct virtio_net_hdr_v1 headers[RING]; /* by first descriptor */
	u16 next[RING];                         /* (n) chains, and the list of free descriptors */
	u8 chain[RING];                         /* (n) descriptors of the chain that begins here */
};
_Static_assert(sizeof(struct owners) <= PAGE_SIZE && sizeof(struct sending) <= PAGE_SIZE,
	       "one page each");
_Static_assert(sizeof(struct virtio_net_hdr_v1) == 12, "section 5.1.6");

struct virtio_nic {
	struct virtio_host host;
	struct virtio_host_queue queues[QUEUES];
	struct owners *own;      /* (c) from alloc() to free() */
	struct sending *sending; /* (c) the same */
	u32 rx_order, rx_size;   /* (c) of a buffer */
	u16 tx_free, tx_room;    /* (n) first of the free descriptors, how many there are */
	u16 tx_look;             /* (n) take_back() has looked at those before */
	u16 rx_now;              /* (p) buffer that receive() gave last */
	bool rx_posted[RING];    /* (p) the device has the buffer */
};
_Static_assert(sizeof(struct virtio_nic) <= PAGE_SIZE, "netdev.h gives a page");

static const char *virtio_match(const struct pci_device *d)
{
	return d->vendor == VIRTIO_HOST_VENDOR &&
			       (d->device == DEVICE_MODERN || d->device == DEVICE_TRANSITIONAL)
		       ? "virtio-net"
		       : NULL;
}

static u16 config16(const struct virtio_nic *n, size_t offset)
{
	return mmio_read16(n->host.device + offset);
}

/* Reads the configuration, which a driver may at any time (section 2.5.3). Memory is decoded meanwhile. */
static int read_config(struct netdev *nd)
{
	struct virtio_nic *n = nd->driver;
	u64 offered = virtio_host_offered(&n->host);

	if ((offered & NEEDED) != NEEDED || (offered & BIT(VIRTIO_NET_F_MAC)) == 0 ||
	    n->host.device_len < offsetof(struct virtio_net_config, duplex) + sizeof(u8))
		return -TERN_ENODEV;
	for (u32 i = 0; i < NETDEV_MAC; i++)
		nd->mac[i] = mmio_read8(n->host.device + i);
	nd->mtu_max = MTU_MAX;
	if ((offered & BIT(VIRTIO_NET_F_MTU)) != 0)
		nd->mtu_max =
			(u32)min_u64(config16(n, offsetof(struct virtio_net_config, mtu)), MTU_MAX);
	nd->can = (offered & BIT(VIRTIO_NET_F_CSUM)) != 0 ? NETDEV_CAN_CSUM : 0;
	return nd->mtu_max >= MTU_MIN && (nd->mac[0] & 1) == 0 ? 0 : -TERN_ENODEV;
}

static int virtio_probe(struct netdev *nd)
{
	struct virtio_nic *n = nd->driver;
	u32 command;
	int rc = virtio_host_find(&n->host, nd->pci);

	if (rc != 0)
		return rc;
	command = pci_read(nd->pci, PCI_COMMAND, sizeof(u16));
	pci_write(nd->pci, PCI_COMMAND, sizeof(u16), command | PCI_COMMAND_MEMORY);
	rc = read_config(nd);
	pci_write(nd->pci, PCI_COMMAND, sizeof(u16), command);
	nd->irq = NETDEV_MSIX;
	for (u16 i = 0; i < QUEUES; i++)
		n->queues[i].index = i;
	return rc;
}

/* --- memory --- */

static void virtio_free(struct netdev *nd)
{
	struct virtio_nic *n = nd->driver;

	for (u32 i = 0; n->own != NULL && i < RING && n->own->rx[i] != NULL; i++)
		frame_put(virt_to_phys(n->own->rx[i]));
	if (n->own != NULL)
		frames_free_page(n->own);
	if (n->sending != NULL)
		frames_free_page(n->sending);
	n->own = NULL;
	n->sending = NULL;
	for (u32 i = 0; i < QUEUES; i++)
		virtio_host_queue_free(&n->queues[i]);
}

static int alloc_all(struct virtio_nic *n)
{
	hpa_t block;

	for (u32 i = 0; i < QUEUES; i++) {
		if (virtio_host_queue_alloc(&n->queues[i]) != 0)
			return -TERN_ENOMEM;
	}
	n->own = frames_alloc_page();
	n->sending = frames_alloc_page();
	if (n->own == NULL || n->sending == NULL)
		return -TERN_ENOMEM;
	for (u32 i = 0; i < RING; i++) {
		if (frames_alloc(n->rx_order, 0, FRAME_NODE_ANY, &block) != 0)
			return -TERN_ENOMEM;
		n->own->rx[i] = phys_to_virt(block);
	}
	return 0;
}

static int virtio_alloc(struct netdev *nd)
{
	struct virtio_nic *n = nd->driver;
	int rc;

	n->rx_order = 0;
	while ((PAGE_SIZE << n->rx_order) < HEADER + NETDEV_HEADER + NETDEV_TAG + nd->mtu)
		n->rx_order++;
	n->rx_size = (u32)(PAGE_SIZE << n->rx_order);
	rc = alloc_all(n);
	if (rc != 0)
		virtio_free(nd);
	return rc;
}

/* --- reset and start --- */

static void start_tx(struct virtio_nic *n)
{
	u16 size = n->queues[QUEUE_TX].size;

	for (u16 i = 0; i < size; i++)
		n->sending->next[i] = (u16)(i + 1);
	n->tx_free = 0;
	n->tx_room = size;
}

static void post(struct virtio_nic *n, u16 i)
{
	struct virtio_host_queue *q = &n->queues[QUEUE_RX];

	q->desc[i] = (struct vring_desc){
		.addr = virt_to_phys(n->own->rx[i]).v,
		.len = n->rx_size,
		.flags = VRING_DESC_F_WRITE,
	};
	n->rx_posted[i] = true;
	virtio_host_offer(q, i);
}

static int virtio_run(struct netdev *nd)
{
	struct virtio_nic *n = nd->driver;
	int rc = virtio_host_begin(&n->host, WANTED, NEEDED);

	for (u32 i = 0; rc == 0 && i < QUEUES; i++)
		rc = virtio_host_queue(&n->host, &n->queues[i], nd->vector != 0);
	if (rc != 0) {
		(void)!virtio_host_reset(&n->host);
		return rc;
	}
	start_tx(n);
	memset(n->rx_posted, 0, sizeof(n->rx_posted));
	for (u16 i = 0; i < n->queues[QUEUE_RX].size; i++)
		post(n, i);
	virtio_host_go(&n->host);
	virtio_host_kick(&n->queues[QUEUE_RX]);
	return 0;
}

static void virtio_halt(struct netdev *nd)
{
	struct virtio_nic *n = nd->driver;

	(void)!virtio_host_reset(&n->host);
	n->tx_look = 0;
}

/* --- sending --- */

/* Takes a free descriptor and fills it; the next of its chain is the next free one. */
static u16 put_desc(struct virtio_nic *n, hpa_t at, u32 len, bool last)
{
	u16 i = n->tx_free, next = n->sending->next[i];

	n->queues[QUEUE_TX].desc[i] = (struct vring_desc){
		.addr = at.v,
		.len = len,
		.flags = last ? 0 : VRING_DESC_F_NEXT,
		.next = last ? 0 : next,
	};
	n->tx_free = next;
	n->tx_room--;
	return i;
}

static int virtio_send(struct netdev *nd, struct netdev_tx *tx)
{
	struct virtio_nic *n = nd->driver;
	struct virtio_net_hdr_v1 *header;
	u16 head = n->tx_free;

	if (n->tx_room < tx->frag_count + 1)
		return -TERN_EAGAIN;
	header = &n->sending->headers[head];
	*header = (struct virtio_net_hdr_v1){.gso_type = VIRTIO_NET_HDR_GSO_NONE};
	if (tx->csum) {
		header->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		header->csum_start = tx->csum_start;
		header->csum_offset = tx->csum_offset;
	}
	put_desc(n, virt_to_phys(header), HEADER, false);
	for (u32 i = 0; i < tx->frag_count; i++)
		put_desc(n, tx->frags[i].at, tx->frags[i].len, i + 1 == tx->frag_count);
	n->own->tx[head] = tx;
	n->sending->chain[head] = (u8)(tx->frag_count + 1);
	virtio_host_offer(&n->queues[QUEUE_TX], head);
	virtio_host_kick(&n->queues[QUEUE_TX]);
	return 0;
}

/* The chain's descriptors are free again. */
static struct netdev_tx *take(struct virtio_nic *n, u32 head)
{
	struct netdev_tx *tx = n->own->tx[head];
	u16 last = (u16)head;

	for (u32 i = 1; i < n->sending->chain[head]; i++)
		last = n->sending->next[last];
	n->sending->next[last] = n->tx_free;
	n->tx_free = (u16)head;
	n->tx_room = (u16)(n->tx_room + n->sending->chain[head]);
	n->own->tx[head] = NULL;
	return tx;
}

static struct netdev_tx *virtio_reap(struct netdev *nd)
{
	struct virtio_nic *n = nd->driver;
	u32 head, len;

	while (virtio_host_take(&n->queues[QUEUE_TX], &head, &len)) {
		if (head < RING && n->own->tx[head] != NULL)
			return take(n, head);
	}
	return NULL;
}

static struct netdev_tx *virtio_take_back(struct netdev *nd)
{
	struct virtio_nic *n = nd->driver;

	for (; n->tx_look < RING; n->tx_look++) {
		if (n->own->tx[n->tx_look] != NULL)
			return take(n, n->tx_look);
	}
	return NULL;
}

/* --- receiving --- */

static void virtio_recycle(struct netdev *nd)
{
	struct virtio_nic *n = nd->driver;

	post(n, n->rx_now);
}

static enum netdev_next virtio_receive(struct netdev *nd, struct netdev_frame *out)
{
	struct virtio_nic *n = nd->driver;
	u32 head, len;

	if (!virtio_host_take(&n->queues[QUEUE_RX], &head, &len))
		return NETDEV_NONE;
	if (head >= RING || !n->rx_posted[head]) {
		netdev_add(nd, NETDEV_RX_BROKEN, 1);
		return NETDEV_SKIPPED;
	}
	n->rx_posted[head] = false;
	n->rx_now = (u16)head;
	if (len <= HEADER || len > n->rx_size) {
		netdev_add(nd, NETDEV_RX_BROKEN, 1);
		virtio_recycle(nd);
		return NETDEV_SKIPPED;
	}
	*out = (struct netdev_frame){.data = n->own->rx[head] + HEADER, .len = len - HEADER};
	return NETDEV_FRAME;
}

static void virtio_end_batch(struct netdev *nd)
{
	struct virtio_nic *n = nd->driver;

	virtio_host_kick(&n->queues[QUEUE_RX]);
}

/* --- the rest --- */

static void virtio_link(struct netdev *nd, struct netdev_link *out)
{
	struct virtio_nic *n = nd->driver;
	u64 features = n->host.features;

	*out = (struct netdev_link){.up = true, .full_duplex = true};
	if (virtio_host_needs_reset(&n->host) || virtio_host_broken(&n->queues[QUEUE_RX]) ||
	    virtio_host_broken(&n->queues[QUEUE_TX])) {
		netdev_reset(nd);
		out->up = false;
	} else if ((features & BIT(VIRTIO_NET_F_STATUS)) != 0) {
		u16 status = config16(n, offsetof(struct virtio_net_config, status));

		out->up = (status & VIRTIO_NET_S_LINK_UP) != 0;
	}
	if ((features & BIT(VIRTIO_NET_F_SPEED_DUPLEX)) != 0) {
		u32 speed = mmio_read32(n->host.device + offsetof(struct virtio_net_config, speed));

		out->speed = speed <= INT32_MAX ? speed : 0; /* section 5.1.4: else unknown */
	}
}

static void virtio_irq_off(struct netdev *nd)
{
	struct virtio_nic *n = nd->driver;

	for (u32 i = 0; i < QUEUES; i++)
		virtio_host_interrupts(&n->queues[i], false);
}

static bool virtio_irq_on(struct netdev *nd)
{
	struct virtio_nic *n = nd->driver;
	bool come = false;

	for (u32 i = 0; i < QUEUES; i++)
		virtio_host_interrupts(&n->queues[i], true);
	/* What came before they were on raises none (section 2.7.14.1). */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	for (u32 i = 0; i < QUEUES; i++)
		come |= virtio_host_used(&n->queues[i]);
	if (come)
		virtio_irq_off(nd);
	return come;
}

const struct netdev_ops virtio_netdev = {
	.name = "virtio-net",
	.match = virtio_match,
	.probe = virtio_probe,
	.alloc = virtio_alloc,
	.free = virtio_free,
	.run = virtio_run,
	.halt = virtio_halt,
	.send = virtio_send,
	.reap = virtio_reap,
	.take_back = virtio_take_back,
	.receive = virtio_receive,
	.recycle = virtio_recycle,
	.end_batch = virtio_end_batch,
	.link = virtio_link,
	.irq_off = virtio_irq_off,
	.irq_on = virtio_irq_on,
};
