/* SPDX-License-Identifier: MIT */
/*
 * A network device whose other end is a port of a virtual switch. What the guest sends is copied into a packet
 * at once, when it notifies; what it shall receive is copied in its own time, when a buffer is there. Offloads
 * pass from guest to guest as they are: the switch does in software only what the receiver cannot take.
 *
 * With mergeable buffers a packet fills several chains. Their segments are gathered in one chain, so that the
 * copies below need not know; the heads are kept to give the chains back.
 */
#include <tern/virtio_net.h>

#include "virtio_net_regs.h"

#include <tern/err.h>
#include <tern/frames.h>
#include <tern/lib.h>
#include <tern/vm.h>
#include <tern/vswitch.h>

#define HDR        ((u32)sizeof(struct net_hdr))
#define HEADS_MAX  VIRTIO_IN_FLIGHT_MAX
#define VLAN_TAGS  8u /* two of them: they do not count against the MTU */
#define MAC_TRIES  8u
#define FEATURE(f) (1ull << (f))

struct rx_head {
	u32 in_len;
	u16 head;
};

struct virtio_net {
	struct virtio_device v;
	struct vport *port;       /* (c) */
	u8 mac[ETH_ADDR];         /* (c) after reset */
	struct net_config config; /* what the guest sees */
	struct vpacket *pending;  /* waits for buffers */
	struct virtio_chain *all; /* (c) a page: in segments of all chains gathered */
	u32 head_count;           /* chains gathered */
	struct rx_head heads[HEADS_MAX];
	struct virtio_chain chain; /* popped last */
};
_Static_assert(sizeof(struct virtio_net) <= PAGE_SIZE, "a page");
_Static_assert(sizeof(struct virtio_chain) <= PAGE_SIZE, "a page");

static struct virtio_net *net_of(struct virtio_device *v)
{
	return container_of(v, struct virtio_net, v);
}

/* --- from the guest --- */

/* False: a header that the driver may not send with what it negotiated, or that we do not know. */
static bool tx_offload(const struct virtio_device *v, const struct net_hdr *h,
		       struct vpacket_offload *o)
{
	*o = (struct vpacket_offload){.gso = VPACKET_GSO_NONE};
	if ((h->flags & NET_HDR_F_NEEDS_CSUM) != 0) {
		o->needs_csum = true;
		o->csum_start = h->csum_start;
		o->csum_offset = h->csum_offset;
		if (!virtio_has(v, NET_F_CSUM))
			return false;
	}
	if (h->gso_type == NET_HDR_GSO_NONE)
		return true;
	o->gso_size = h->gso_size;
	o->ecn = (h->gso_type & NET_HDR_GSO_ECN) != 0;
	if (o->ecn && !virtio_has(v, NET_F_HOST_ECN))
		return false;
	switch (h->gso_type & ~NET_HDR_GSO_ECN) {
	case NET_HDR_GSO_TCPV4:
		o->gso = VPACKET_GSO_TCP4;
		return virtio_has(v, NET_F_HOST_TSO4);
	case NET_HDR_GSO_TCPV6:
		o->gso = VPACKET_GSO_TCP6;
		return virtio_has(v, NET_F_HOST_TSO6);
	}
	return false;
}

static int tx_copy(const struct virtio_chain *c, struct vpacket *p)
{
	u32 n;

	for (u32 at = 0; at < p->len; at += n) {
		u8 *piece = vpacket_at(p, at, &n);
		int rc = virtio_chain_read(c, HDR + at, piece, n);

		if (rc != 0)
			return rc;
	}
	return 0;
}

/* Sends or drops what is in n->chain. */
static int tx_packet(struct virtio_net *n)
{
	u32 len = n->chain.out_len - HDR;
	struct vpacket *p;
	struct net_hdr h;
	int rc = virtio_chain_read(&n->chain, 0, &h, HDR);

	if (rc != 0)
		return rc;
	if (len < ETH_HEADER || len > VPACKET_MAX) {
		vswitch_dropped(n->port, VDROP_SHORT);
		return 0;
	}
	p = vpacket_alloc(len);
	if (p == NULL) {
		vswitch_dropped(n->port, VDROP_MEMORY);
		return 0;
	}
	rc = tx_copy(&n->chain, p);
	if (rc != 0) {
		vpacket_put(p);
		return rc;
	}
	if (!tx_offload(&n->v, &h, &p->offload) || !vpacket_check(p)) {
		vswitch_dropped(n->port, VDROP_HEADER);
		vpacket_put(p);
		return 0;
	}
	vswitch_send(n->port, p);
	return 0;
}

/* 1: a chain was used; 0: there is none; or the errors of virtio_pop() and of the copies. */
static int tx_one(struct virtio_net *n)
{
	int rc = virtio_pop(virtio_queue(&n->v, NET_TX), &n->chain);

	if (rc <= 0)
		return rc;
	if (n->chain.out_len < HDR) {
		virtio_broken(&n->v, "a packet to send has %u bytes, less than its header",
			      n->chain.out_len);
		return -TERN_EIO;
	}
	rc = tx_packet(n);
	if (rc == -TERN_EAGAIN)
		virtio_unpop(&n->chain);
	if (rc != 0)
		return rc;
	virtio_push(&n->chain, 0);
	return 1;
}

/* --- to the guest --- */

static struct net_hdr rx_header(const struct vpacket *p, u32 buffers)
{
	const struct vpacket_offload *o = &p->offload;
	struct net_hdr h = {.gso_type = NET_HDR_GSO_NONE, .num_buffers = (u16)buffers};

	if (o->needs_csum) {
		h.flags = NET_HDR_F_NEEDS_CSUM;
		h.csum_start = o->csum_start;
		h.csum_offset = o->csum_offset;
	}
	if (o->gso != VPACKET_GSO_NONE) {
		h.gso_type = o->gso == VPACKET_GSO_TCP4 ? NET_HDR_GSO_TCPV4 : NET_HDR_GSO_TCPV6;
		h.gso_type |= o->ecn ? NET_HDR_GSO_ECN : 0;
		h.gso_size = o->gso_size;
		h.hdr_len = o->header_len;
	}
	return h;
}

/* Gives gathered chains back as if they had not been popped. */
static void rx_ungather(struct virtio_net *n)
{
	while (n->head_count > 0) {
		n->chain.queue = n->all->queue;
		n->chain.epoch = n->all->epoch;
		n->chain.head = n->heads[--n->head_count].head;
		virtio_unpop(&n->chain);
	}
}

/* Adds n->chain to what is gathered. False: there is no room. */
static bool rx_add(struct virtio_net *n)
{
	struct virtio_chain *all = n->all, *c = &n->chain;
	u32 count = (u32)c->count - c->out_count;

	if (all->count + count > VIRTIO_SEGMENTS_MAX)
		return false;
	memcpy(all->segments + all->count, c->segments + c->out_count,
	       count * sizeof(all->segments[0]));
	all->count = (u16)(all->count + count);
	all->in_len += c->in_len;
	n->heads[n->head_count++] = (struct rx_head){.in_len = c->in_len, .head = c->head};
	return true;
}

/* Pops chains until they hold need bytes. -TERN_ENOSPC: the driver will give more; -TERN_E2BIG: a packet that
 * large never fits; or the errors of virtio_pop(). */
static int rx_gather(struct virtio_net *n, u32 need)
{
	struct virtio_queue *q = virtio_queue(&n->v, NET_RX);
	bool merge = virtio_has(&n->v, NET_F_MRG_RXBUF);

	n->all->in_len = n->all->out_len = 0;
	n->all->count = n->all->out_count = 0;
	while (n->all->in_len < need) {
		int rc;

		if (n->head_count == (merge ? HEADS_MAX : 1))
			return -TERN_E2BIG;
		rc = virtio_pop(q, &n->chain);
		if (rc == 0)
			return n->head_count < virtio_queue_size(q) ? -TERN_ENOSPC : -TERN_E2BIG;
		if (rc < 0)
			return rc;
		if (n->chain.in_len < HDR) {
			virtio_broken(&n->v, "a receive buffer has %u bytes, less than a header",
				      n->chain.in_len);
			return -TERN_EIO;
		}
		n->all->queue = n->chain.queue;
		n->all->epoch = n->chain.epoch;
		if (!rx_add(n)) {
			virtio_unpop(&n->chain);
			return -TERN_E2BIG;
		}
	}
	return 0;
}

static int rx_copy(struct virtio_net *n, struct vpacket *p)
{
	struct net_hdr h = rx_header(p, n->head_count);
	int rc = virtio_chain_write(n->all, 0, &h, HDR);
	u32 len;

	for (u32 at = 0; rc == 0 && at < p->len; at += len) {
		const u8 *piece = vpacket_at(p, at, &len);

		rc = virtio_chain_write(n->all, HDR + at, piece, len);
	}
	return rc;
}

/* Gives the filled chains to the driver. */
static void rx_push(struct virtio_net *n, u32 written)
{
	for (u32 i = 0; i < n->head_count; i++) {
		u32 part = (u32)min_u64(written, n->heads[i].in_len);

		n->chain.queue = n->all->queue;
		n->chain.epoch = n->all->epoch;
		n->chain.head = n->heads[i].head;
		n->chain.in_len = n->heads[i].in_len;
		virtio_push(&n->chain, part);
		written -= part;
	}
	n->head_count = 0;
}

/* Delivers n->pending. 0; -TERN_E2BIG: it does not fit; or the errors of rx_gather() and of the copies: nothing
 * has changed. */
static int rx_packet(struct virtio_net *n)
{
	struct vpacket *p = n->pending;
	int rc;

	/* virtio 1.2 section 5.1.4.2 */
	if (p->offload.gso == VPACKET_GSO_NONE && p->len > ETH_HEADER + VLAN_TAGS + n->config.mtu)
		return -TERN_E2BIG;
	rc = rx_gather(n, HDR + p->len);
	if (rc == 0)
		rc = rx_copy(n, p);
	if (rc != 0) {
		rx_ungather(n);
		return rc;
	}
	rx_push(n, HDR + p->len);
	vswitch_delivered(n->port, p);
	return 0;
}

/* 1: a packet was delivered or dropped; 0: there is none, or no buffer for it; -TERN_EAGAIN; -TERN_EIO. */
static int rx_one(struct virtio_net *n)
{
	int rc;

	if (n->pending == NULL)
		n->pending = vswitch_receive(n->port);
	if (n->pending == NULL)
		return vswitch_waiting(n->port) ? -TERN_EAGAIN : 0;
	rc = rx_packet(n);
	if (rc == -TERN_EAGAIN) {
		/* Perhaps too many chains are out. */
		virtio_flush(virtio_queue(&n->v, NET_RX));
		rc = rx_packet(n);
	}
	if (rc == -TERN_ENOSPC)
		return 0;
	if (rc == -TERN_E2BIG)
		vswitch_dropped(n->port, VDROP_BUFFER);
	else if (rc != 0)
		return rc;
	vpacket_put(n->pending);
	n->pending = NULL;
	return 1;
}

/* --- commands --- */

/* The bytes of a table of addresses at offset of the command: 0 or an error, *end is behind it. */
static int ctrl_table(const struct virtio_chain *c, u32 at, u64 *end)
{
	u32 entries;
	int rc = virtio_chain_read(c, at, &entries, sizeof(entries));

	*end = at + sizeof(entries) + (u64)entries * ETH_ADDR;
	return rc;
}

/* The filter of unicast and of group addresses. The device lets through more than it must (virtio 1.2 section
 * 5.1.6.5.1), so only the shape counts. */
static int ctrl_mac_table(const struct virtio_chain *c)
{
	u64 end;
	int rc = ctrl_table(c, NET_CTRL_HEADER, &end);

	if (rc == 0)
		rc = end < c->out_len ? ctrl_table(c, (u32)end, &end) : -TERN_ERANGE;
	return rc == 0 && end > c->out_len ? -TERN_ERANGE : rc;
}

static int ctrl_mac_addr(struct virtio_net *n)
{
	u8 mac[ETH_ADDR];
	int rc = virtio_chain_read(&n->chain, NET_CTRL_HEADER, mac, sizeof(mac));

	if (rc == 0)
		rc = vswitch_claim(n->port, mac);
	if (rc == 0)
		memcpy(n->config.mac, mac, sizeof(mac));
	return rc;
}

/* 0; -TERN_EAGAIN, -TERN_EFAULT, -TERN_EIO from memory; any other error is the command's. */
static int ctrl_command(struct virtio_net *n)
{
	u8 header[NET_CTRL_HEADER], on;
	int rc = virtio_chain_read(&n->chain, 0, header, sizeof(header));

	if (rc != 0)
		return rc;
	if (header[0] == NET_CTRL_RX && virtio_has(&n->v, NET_F_CTRL_RX) &&
	    (header[1] == NET_CTRL_RX_PROMISC || header[1] == NET_CTRL_RX_ALLMULTI))
		return virtio_chain_read(&n->chain, NET_CTRL_HEADER, &on, sizeof(on));
	if (header[0] != NET_CTRL_MAC)
		return -TERN_EINVAL;
	if (header[1] == NET_CTRL_MAC_TABLE && virtio_has(&n->v, NET_F_CTRL_RX))
		return ctrl_mac_table(&n->chain);
	if (header[1] == NET_CTRL_MAC_ADDR && virtio_has(&n->v, NET_F_CTRL_MAC_ADDR))
		return ctrl_mac_addr(n);
	return -TERN_EINVAL;
}

/* As tx_one(). */
static int ctrl_one(struct virtio_net *n)
{
	int rc = virtio_pop(virtio_queue(&n->v, NET_CTRL), &n->chain);
	u8 answer;

	if (rc <= 0)
		return rc;
	if (n->chain.out_len < NET_CTRL_HEADER || n->chain.in_len == 0) {
		virtio_broken(&n->v, "a command of %u bytes with %u for the answer",
			      n->chain.out_len, n->chain.in_len);
		return -TERN_EIO;
	}
	rc = ctrl_command(n);
	if (rc == -TERN_EFAULT || rc == -TERN_EIO)
		return rc;
	if (rc != -TERN_EAGAIN) {
		answer = (u8)(rc == 0 ? NET_CTRL_OK : NET_CTRL_ERR);
		rc = virtio_chain_write(&n->chain, 0, &answer, sizeof(answer));
	}
	if (rc == -TERN_EAGAIN)
		virtio_unpop(&n->chain);
	if (rc != 0)
		return rc;
	virtio_push(&n->chain, sizeof(answer));
	return 1;
}

/* --- queues --- */

/* Handles at most a batch of a queue. 0: all is done; 1: there may be more; -TERN_EAGAIN. */
static int pump(struct virtio_net *n, enum net_queue queue)
{
	int (*const one[])(struct virtio_net * n) = {rx_one, tx_one, ctrl_one};
	int rc = 1;

	for (u32 i = 0; i < VIRTIO_BATCH && rc == 1; i++) {
		rc = one[queue](n);
		if (queue != NET_RX && (i + 1) % VIRTIO_IN_FLIGHT_MAX == 0 && rc == 1)
			virtio_flush(virtio_queue(&n->v, queue));
	}
	virtio_flush(virtio_queue(&n->v, queue));
	/* What else it can be is that the device is broken: nothing is left to do. */
	return rc == -TERN_EAGAIN || rc == 1 ? rc : 0;
}

static void net_notify(struct virtio_device *v, u32 queue)
{
	if (pump(net_of(v), queue) != 0)
		virtio_request_work(v);
}

static bool net_work(struct virtio_device *v)
{
	bool again = false, more = false;

	for (u32 queue = 0; queue < NET_QUEUES; queue++) {
		int rc = pump(net_of(v), queue);

		again |= rc == -TERN_EAGAIN;
		more |= rc == 1;
	}
	if (more)
		virtio_request_work(v);
	return !again;
}

/* --- life --- */

static void net_kick(void *arg)
{
	virtio_request_work(arg);
}

static void net_start(struct virtio_device *v)
{
	u32 can = 0;

	/* The other offloads of a receiver are nothing without this one (virtio 1.2 section 5.1.3.1). */
	if (virtio_has(v, NET_F_GUEST_CSUM)) {
		can |= VPACKET_CAN_CSUM;
		can |= virtio_has(v, NET_F_GUEST_TSO4) ? VPACKET_CAN_TCP4 : 0;
		can |= virtio_has(v, NET_F_GUEST_TSO6) ? VPACKET_CAN_TCP6 : 0;
		can |= virtio_has(v, NET_F_GUEST_ECN) ? VPACKET_CAN_ECN : 0;
	}
	vswitch_up(net_of(v)->port, can);
}

static void drop_pending(struct virtio_net *n)
{
	if (n->pending == NULL)
		return;
	vswitch_dropped(n->port, VDROP_DOWN);
	vpacket_put(n->pending);
	n->pending = NULL;
}

static void net_reset(struct virtio_device *v)
{
	struct virtio_net *n = net_of(v);

	vswitch_down(n->port);
	drop_pending(n);
	n->head_count = 0;
	memcpy(n->config.mac, n->mac, sizeof(n->mac));
}

static void net_free(struct virtio_net *n)
{
	vswitch_remove(n->port);
	frames_free_page(n->all);
	frames_free_page(n);
}

static void net_destroy(struct virtio_device *v)
{
	drop_pending(net_of(v));
	net_free(net_of(v));
}

static const struct virtio_ops net_ops = {
	.name = "virtio-net",
	.id = VIRTIO_ID_NET,
	.class_code = NET_CLASS,
	.queue_count = NET_QUEUES,
	.queue_size_max = VIRTIO_QUEUE_SIZE,
	.config_size = sizeof(struct net_config),
	.start = net_start,
	.notify = net_notify,
	.reset = net_reset,
	.work = net_work,
	.destroy = net_destroy,
};

void virtio_net_mac(u8 mac[6], const char *node, const char *vm, u32 index, u32 try)
{
	char text[128];
	u32 bits;

	fmt_str(text, sizeof(text), "%s/%s/%u/%u", node, vm, index, try);
	bits = crc32(text, strlen(text));
	mac[0] = 0x02;
	mac[1] = 0x54;
	for (u32 i = 0; i < 4; i++)
		mac[2 + i] = (u8)(bits >> (24 - 8 * i));
}

/* Adds the port; an address that we derived may be taken by chance. */
static int add_port(struct virtio_net *n, struct vswitch *sw, const struct virtio_net_nic *config)
{
	char name[VPORT_NAME_MAX];
	struct vport_config port = {
		.name = name, .locked = config->locked, .kick = net_kick, .arg = &n->v};
	u32 tries = config->mac != NULL ? 1 : MAC_TRIES;
	int rc = -TERN_EEXIST;

	fmt_str(name, sizeof(name), "%s.%u", n->v.vm->name, config->index);
	for (u32 try = 0; try < tries && rc == -TERN_EEXIST; try++) {
		if (config->mac != NULL)
			memcpy(port.mac, config->mac, sizeof(port.mac));
		else
			virtio_net_mac(port.mac, config->node, n->v.vm->name, config->index, try);
		rc = vswitch_add(sw, &port, &n->port);
	}
	if (rc == 0)
		memcpy(n->mac, port.mac, sizeof(n->mac));
	return rc;
}

int virtio_net_create(struct vm *vm, const struct virtio_net_nic *config,
		      struct virtio_device **out)
{
	struct vswitch *sw = vswitch_find(config->sw != NULL ? config->sw : VSWITCH_DEFAULT);
	u32 mtu = config->mtu != 0 ? config->mtu : VIRTIO_NET_MTU_DEFAULT;
	struct virtio_net *n;
	int rc = -TERN_ENOMEM;

	if (sw == NULL)
		return -TERN_ENOENT;
	if (mtu < VIRTIO_NET_MTU_MIN || mtu > VIRTIO_NET_MTU_MAX)
		return -TERN_EINVAL;
	n = frames_alloc_page();
	if (n == NULL)
		return rc;
	n->all = frames_alloc_page();
	n->v.ops = &net_ops;
	n->v.vm = vm;
	n->v.config = &n->config;
	n->v.offered = FEATURE(NET_F_CSUM) | FEATURE(NET_F_GUEST_CSUM) | FEATURE(NET_F_MTU) |
		       FEATURE(NET_F_MAC) | FEATURE(NET_F_GUEST_TSO4) | FEATURE(NET_F_GUEST_TSO6) |
		       FEATURE(NET_F_GUEST_ECN) | FEATURE(NET_F_HOST_TSO4) |
		       FEATURE(NET_F_HOST_TSO6) | FEATURE(NET_F_HOST_ECN) |
		       FEATURE(NET_F_MRG_RXBUF) | FEATURE(NET_F_STATUS) | FEATURE(NET_F_CTRL_VQ) |
		       FEATURE(NET_F_CTRL_RX) | FEATURE(NET_F_CTRL_MAC_ADDR);
	if (n->all != NULL)
		rc = add_port(n, sw, config);
	if (rc != 0)
		goto no_port;
	n->config = (struct net_config){.status = NET_S_LINK_UP, .mtu = (u16)mtu};
	memcpy(n->config.mac, n->mac, sizeof(n->mac));
	rc = virtio_add(&n->v);
	if (rc != 0) {
		net_free(n);
		return rc;
	}
	if (out != NULL)
		*out = &n->v;
	return 0;
no_port:
	if (n->all != NULL)
		frames_free_page(n->all);
	frames_free_page(n);
	return rc;
}
