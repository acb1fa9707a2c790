/* SPDX-License-Identifier: MIT */
/*
 * Between a NIC and the switch. A frame that comes is copied once, into a packet; a packet that goes is sent from where
 * it lies. All of it runs in the NIC's poller but the kick, which only calls that. The NIC hears everything: behind this
 * port are the guests of the node, each with an address of its own.
 */
#include <tern/uplink.h>

#include <tern/arch.h>
#include <tern/err.h>
#include <tern/frames.h>
#include <tern/lib.h>
#include <tern/log.h>
#include <tern/vswitch.h>

#define CSUM_END_MAX 256u /* what a NIC's offload reaches: struct netdev_tx */

struct sending {
	struct netdev_tx tx;
	struct vpacket *p;
	struct sending *next; /* free */
};

#define SENDING_ORDER 2u
#define SENDING_COUNT ((PAGE_SIZE << SENDING_ORDER) / sizeof(struct sending))

/* Everything belongs to the boot CPU's thread. */
static struct {
	struct netdev *nd; /* NULL: there is no uplink */
	struct vport *port;
	struct sending *memory, *free;
	struct vpacket *waits; /* taken from the switch; the ring was full */
} up;

/* The switch has something for us. Its lock is held. */
static void kick(void *arg)
{
	netdev_kick(arg);
}

/* --- in --- */

static void rx(UNUSED void *arg, u8 *frame, u32 len)
{
	struct vpacket *p = vpacket_alloc(len);

	if (p == NULL) {
		vswitch_dropped(up.port, VDROP_MEMORY);
		return;
	}
	vpacket_write(p, 0, frame, len);
	vswitch_send(up.port, p);
}

/* --- out --- */

static void put_free(struct sending *s)
{
	s->next = up.free;
	up.free = s;
}

static void done(struct netdev_tx *tx, int status)
{
	struct sending *s = tx->arg;

	if (status == 0)
		vswitch_delivered(up.port, s->p);
	else
		vswitch_dropped(up.port, VDROP_DOWN);
	vpacket_put(s->p);
	put_free(s);
}

/* Describes the packet. False: the NIC cannot have it. */
static bool describe(struct sending *s, struct vpacket *p)
{
	struct netdev_tx *tx = &s->tx;
	u32 n;

	*tx = (struct netdev_tx){.done = done, .arg = s, .len = p->len};
	s->p = p;
	if (p->len > NETDEV_HEADER + NETDEV_TAG + netdev_mtu(up.nd))
		return false;
	if (p->offload.needs_csum) {
		tx->csum = true;
		tx->csum_start = (u8)p->offload.csum_start;
		tx->csum_offset = (u8)p->offload.csum_offset;
	}
	for (u32 at = 0; at < p->len; at += n) {
		const u8 *piece = vpacket_at(p, at, &n);

		if (tx->frag_count == NETDEV_FRAGS_MAX)
			return false;
		tx->frags[tx->frag_count++] = (struct netdev_frag){virt_to_phys(piece), n};
	}
	return true;
}

/* The next packet, with no more left to do than the NIC does; NULL: none. */
static struct vpacket *next_packet(void)
{
	struct vpacket *p = up.waits, *finished;

	up.waits = NULL;
	if (p == NULL)
		p = vswitch_receive(up.port);
	if (p == NULL || !p->offload.needs_csum ||
	    p->offload.csum_start + p->offload.csum_offset + sizeof(u16) <= CSUM_END_MAX)
		return p;
	finished = vpacket_finish_csum(p);
	if (finished == NULL) {
		vswitch_dropped(up.port, VDROP_MEMORY);
		vpacket_put(p);
	}
	return finished;
}

static void drop(struct sending *s, struct vpacket *p, enum vdrop why)
{
	vswitch_dropped(up.port, why);
	vpacket_put(p);
	put_free(s);
}

/* Sends what waits in the switch, as far as there is room: as many as one poll does at most. */
static void after(UNUSED void *arg)
{
	for (u32 i = 0; i < SENDING_COUNT && up.free != NULL; i++) {
		struct vpacket *p = next_packet();
		struct sending *s = up.free;
		int rc;

		if (p == NULL)
			return;
		up.free = s->next;
		if (!describe(s, p)) {
			drop(s, p, VDROP_BUFFER);
			continue;
		}
		rc = netdev_send(up.nd, &s->tx);
		if (rc == -TERN_EAGAIN) {
			put_free(s);
			up.waits = p;
			return;
		}
		if (rc != 0)
			drop(s, p, VDROP_DOWN);
	}
}

/* --- up and down --- */

static void drop_waiting(void)
{
	if (up.waits == NULL)
		return;
	vswitch_dropped(up.port, VDROP_DOWN);
	vpacket_put(up.waits);
	up.waits = NULL;
}

static void link_changed(UNUSED void *arg, bool link)
{
	if (link) {
		vswitch_up(up.port,
			   (netdev_can(up.nd) & NETDEV_CAN_CSUM) != 0 ? VPACKET_CAN_CSUM : 0);
		return;
	}
	drop_waiting();
	vswitch_down(up.port);
}

static int alloc_sending(void)
{
	hpa_t block;
	int rc = frames_alloc(SENDING_ORDER, FRAME_ZERO, FRAME_NODE_ANY, &block);

	if (rc != 0)
		return rc;
	up.memory = phys_to_virt(block);
	up.free = NULL;
	for (u32 i = 0; i < SENDING_COUNT; i++)
		put_free(&up.memory[i]);
	return 0;
}

static int start(struct netdev *nd)
{
	const struct vport_config port = {
		.name = UPLINK_NAME, .uplink = true, .kick = kick, .arg = nd};
	const struct netdev_owner owner = {.name = UPLINK_NAME,
					   .rx = rx,
					   .after = after,
					   .link = link_changed,
					   .promiscuous = true};
	int rc = vswitch_add(vswitch_find(VSWITCH_DEFAULT), &port, &up.port);

	if (rc != 0)
		return rc;
	rc = alloc_sending();
	if (rc != 0)
		goto no_memory;
	up.nd = nd;
	rc = netdev_open(nd, &owner);
	if (rc != 0)
		goto no_nic;
	return 0;
no_nic:
	up.nd = NULL;
	frame_put(virt_to_phys(up.memory));
no_memory:
	vswitch_remove(up.port);
	return rc;
}

void uplink_start(const char *which)
{
	struct netdev *nd = netdev_find(which);
	int rc;

	ASSERT(up.nd == NULL);
	if (nd == NULL) {
		log_err("uplink: there is no NIC %s that Tern has a driver for; 'nic list' lists them",
			which);
		return;
	}
	rc = start(nd);
	if (rc == -TERN_EBUSY)
		log_err("uplink: the NIC %s is in use already; give the uplink one of its own",
			which);
	else if (rc != 0)
		log_err("uplink: the NIC %s cannot be used: %s", which, err_name(-rc));
}

void uplink_stop(void)
{
	if (up.nd == NULL)
		return;
	netdev_close(up.nd);
	drop_waiting();
	vswitch_remove(up.port);
	frame_put(virt_to_phys(up.memory));
	up.nd = NULL;
}
