/* SPDX-License-Identifier: MIT */
/*
 * Ports, queues and forwarding. A packet is copied out of the sender's memory before, and into the receiver's
 * after, the switch's lock is held; under it only references move.
 */
#include "vswitch_internal.h"

#include "net_regs.h"

#include <tern/arch.h>
#include <tern/frames.h>
#include <tern/lib.h>

/* The node has one switch; a second needs a row and a name here. */
static struct vswitch switches[] = {
	{.lock = SPINLOCK_INIT(RANK_SWITCH, "switch"), .name = VSWITCH_DEFAULT},
};

static const char *const drop_names[] = {
	[VDROP_SHORT] = "length",
	[VDROP_HEADER] = "offload header",
	[VDROP_SOURCE] = "source address",
	[VDROP_SPOOFED] = "spoofed source",
	[VDROP_RESERVED] = "reserved group",
	[VDROP_NOWHERE] = "no destination",
	[VDROP_MEMORY] = "no memory",
	[VDROP_DOWN] = "port down",
	[VDROP_FULL] = "queue full",
	[VDROP_BUFFER] = "buffer too small",
};
_Static_assert(ARRAY_SIZE(drop_names) == VDROP_COUNT, "a name each");

const char *vdrop_name(enum vdrop why)
{
	return drop_names[why];
}

const char *vswitch_name(u32 i)
{
	return i < ARRAY_SIZE(switches) ? switches[i].name : NULL;
}

struct vswitch *vswitch_find(const char *name)
{
	for (u32 i = 0; i < ARRAY_SIZE(switches); i++) {
		if (strcmp(switches[i].name, name) == 0)
			return &switches[i];
	}
	return NULL;
}

/* --- ports --- */

/* Order of the block that holds a port's stations. */
static u32 stations_order(const struct vport_config *config)
{
	u64 bytes = (config->uplink ? VPORT_STATIONS_UP : VPORT_STATIONS) * sizeof(struct station);
	u32 order = 0;

	while ((PAGE_SIZE << order) < bytes)
		order++;
	return order;
}

static struct vport *port_alloc(struct vswitch *sw, const struct vport_config *config)
{
	struct vport *port = frames_alloc_page();
	hpa_t block;

	if (port == NULL)
		return NULL;
	if (frames_alloc(stations_order(config), FRAME_ZERO, FRAME_NODE_ANY, &block) != 0) {
		frames_free_page(port);
		return NULL;
	}
	port->sw = sw;
	port->config = *config;
	str_copy(port->name, config->name, sizeof(port->name));
	port->config.name = port->name;
	port->stations = phys_to_virt(block);
	port->station_count = config->uplink ? VPORT_STATIONS_UP : VPORT_STATIONS;
	return port;
}

static void port_free(struct vport *port)
{
	frame_put(virt_to_phys(port->stations));
	frames_free_page(port);
}

/* Finds a place; the switch's lock is held. */
static int port_place(struct vswitch *sw, const struct vport *port, u32 *place)
{
	u32 found = VSWITCH_PORTS_MAX;

	for (u32 i = VSWITCH_PORTS_MAX; i-- > 0;) {
		const struct vport *o = sw->ports[i];

		if (o == NULL) {
			found = i;
			continue;
		}
		if (strcmp(o->name, port->name) == 0 ||
		    (!mac_nobody(port->config.mac) && mac_equal(o->config.mac, port->config.mac)))
			return -TERN_EEXIST;
	}
	*place = found;
	return found < VSWITCH_PORTS_MAX ? 0 : -TERN_ENOSPC;
}

int vswitch_add(struct vswitch *sw, const struct vport_config *config, struct vport **out)
{
	struct vport *port;
	lock_token token;
	u32 place;
	int rc;

	if ((config->mac[0] & ETH_GROUP) != 0 || (mac_nobody(config->mac) && !config->uplink))
		return -TERN_EINVAL;
	port = port_alloc(sw, config);
	if (port == NULL)
		return -TERN_ENOMEM;
	token = lock_take(&sw->lock);
	rc = port_place(sw, port, &place);
	if (rc == 0) {
		if (sw->seed == 0)
			sw->seed = arch_tsc() * 0x9e3779b97f4a7c15ull | 1;
		port->index = place;
		sw->ports[place] = port;
		sw->port_end = (u32)max_u64(sw->port_end, place + 1);
	}
	lock_release(&sw->lock, token);
	if (rc != 0) {
		port_free(port);
		return rc;
	}
	*out = port;
	return 0;
}

void vswitch_remove(struct vport *port)
{
	struct vswitch *sw = port->sw;
	lock_token token;

	vswitch_down(port);
	vswitch_capture_free(sw, port->index);
	token = lock_take(&sw->lock);
	sw->ports[port->index] = NULL;
	lock_release(&sw->lock, token);
	port_free(port);
}

void vswitch_up(struct vport *port, u32 can)
{
	lock_token token = lock_take(&port->sw->lock);

	port->can = can;
	if (!port->up)
		station_add_own(port, arch_tsc());
	port->up = true;
	lock_release(&port->sw->lock, token);
}

/* Takes the oldest packet of the queue, or returns NULL. The switch's lock is held. */
static struct vpacket *dequeue(struct vport *port)
{
	struct vpacket *p;

	if (port->count == 0)
		return NULL;
	p = port->queue[port->head];
	port->head = (port->head + 1) % VPORT_PACKETS_MAX;
	port->count--;
	port->memory -= vpacket_memory(p);
	return p;
}

void vswitch_down(struct vport *port)
{
	lock_token token = lock_take(&port->sw->lock);
	struct vpacket *p;

	port->up = false;
	station_forget(port);
	while ((p = dequeue(port)) != NULL) {
		port->stats.drops[VDROP_DOWN]++;
		vpacket_put(p);
	}
	if (port->ready != NULL) {
		port->stats.drops[VDROP_DOWN]++;
		vpacket_put(port->ready);
	}
	if (port->cut.p != NULL) {
		port->stats.drops[VDROP_DOWN]++;
		vpacket_put(port->cut.p);
	}
	port->ready = NULL;
	port->cut = (struct vpacket_cut){.p = NULL};
	lock_release(&port->sw->lock, token);
}

int vswitch_claim(struct vport *port, const u8 mac[ETH_ADDR])
{
	lock_token token;
	struct station *st;
	int rc = 0;

	if (mac_nobody(mac))
		return -TERN_EINVAL;
	if (port->config.locked)
		return mac_equal(mac, port->config.mac) ? 0 : -TERN_EPERM;
	token = lock_take(&port->sw->lock);
	st = station_find(port->sw, mac, arch_tsc());
	if (st != NULL && st->configured && st->port != port)
		rc = -TERN_EEXIST;
	lock_release(&port->sw->lock, token);
	return rc;
}

/* --- forwarding; the switch's lock is held --- */

static void count(struct vport_count *c, struct vpacket *p)
{
	u32 n;

	c->packets++;
	c->bytes += p->len;
	c->multicast += vpacket_at(p, 0, &n)[0] & ETH_GROUP;
}

static void enqueue(struct vport *port, struct vpacket *p)
{
	u32 memory = vpacket_memory(p);

	if (!port->up) {
		port->stats.drops[VDROP_DOWN]++;
		return;
	}
	if (port->count == VPORT_PACKETS_MAX || port->memory + memory > VPORT_MEMORY_MAX) {
		port->stats.drops[VDROP_FULL]++;
		return;
	}
	vpacket_get(p);
	port->queue[(port->head + port->count) % VPORT_PACKETS_MAX] = p;
	port->memory += memory;
	if (port->capture != NULL)
		capture_add(port->capture, p);
	if (port->count++ == 0)
		port->config.kick(port->config.arg);
}

/* To all ports that are up but from. False: there is none. */
static bool flood(struct vport *from, struct vpacket *p)
{
	struct vswitch *sw = from->sw;
	bool any = false;

	for (u32 i = 0; i < sw->port_end; i++) {
		if (sw->ports[i] == NULL || sw->ports[i] == from || !sw->ports[i]->up)
			continue;
		enqueue(sw->ports[i], p);
		any = true;
	}
	return any;
}

/* 01:80:c2:00:00:00 to 0f. */
static bool mac_reserved(const u8 mac[ETH_ADDR])
{
	static const u8 prefix[] = {0x01, 0x80, 0xc2, 0x00, 0x00};

	return memcmp(mac, prefix, sizeof(prefix)) == 0 && mac[5] < 0x10;
}

/* False: the packet is dropped, *why tells. */
static bool forward(struct vport *from, struct vpacket *p, enum vdrop *why)
{
	u64 now = arch_tsc();
	u32 n;
	const u8 *dst = vpacket_at(p, 0, &n), *src = dst + ETH_ADDR;
	const struct station *to;

	*why = VDROP_SOURCE;
	if (mac_nobody(src))
		return false;
	*why = VDROP_SPOOFED;
	if ((from->config.locked && !mac_equal(src, from->config.mac)) ||
	    !station_seen(from, src, now))
		return false;
	*why = VDROP_RESERVED;
	if (mac_reserved(dst))
		return false;
	*why = VDROP_NOWHERE;
	to = (dst[0] & ETH_GROUP) != 0 ? NULL : station_find(from->sw, dst, now);
	if (to == NULL)
		return flood(from, p);
	if (to->port == from)
		return false;
	enqueue(to->port, p);
	return true;
}

void vswitch_send(struct vport *port, struct vpacket *p)
{
	lock_token token = lock_take(&port->sw->lock);
	enum vdrop why = VDROP_SHORT;

	if (p->len >= ETH_HEADER) {
		count(&port->stats.in, p);
		if (port->capture != NULL)
			capture_add(port->capture, p);
	}
	if (p->len < ETH_HEADER || !forward(port, p, &why))
		port->stats.drops[why]++;
	lock_release(&port->sw->lock, token);
	vpacket_put(p);
}

/* --- the receiver --- */

struct vpacket *vswitch_receive(struct vport *port)
{
	struct vpacket *p;

	if (port->cut.p == NULL && port->ready == NULL) {
		lock_token token = lock_take(&port->sw->lock);

		port->ready = dequeue(port);
		lock_release(&port->sw->lock, token);
	}
	if (port->ready != NULL && vpacket_must_cut(port->ready, port->can)) {
		port->cut = (struct vpacket_cut){.p = port->ready};
		port->ready = NULL;
	}
	if (port->cut.p != NULL)
		return vpacket_cut_next(&port->cut);
	p = port->ready;
	if (p != NULL && p->offload.needs_csum && (port->can & VPACKET_CAN_CSUM) == 0)
		p = vpacket_finish_csum(p);
	if (p != NULL)
		port->ready = NULL;
	return p;
}

bool vswitch_waiting(struct vport *port)
{
	lock_token token = lock_take(&port->sw->lock);
	bool waiting = port->count > 0 || port->ready != NULL || port->cut.p != NULL;

	lock_release(&port->sw->lock, token);
	return waiting;
}

void vswitch_dropped(struct vport *port, enum vdrop why)
{
	lock_token token = lock_take(&port->sw->lock);

	port->stats.drops[why]++;
	lock_release(&port->sw->lock, token);
}

void vswitch_delivered(struct vport *port, struct vpacket *p)
{
	lock_token token = lock_take(&port->sw->lock);

	count(&port->stats.out, p);
	lock_release(&port->sw->lock, token);
}

/* --- for the shell --- */

bool vswitch_view(struct vswitch *sw, u32 index, struct vport_view *out)
{
	lock_token token = lock_take(&sw->lock);
	const struct vport *port = index < VSWITCH_PORTS_MAX ? sw->ports[index] : NULL;

	if (port != NULL) {
		*out = (struct vport_view){
			.up = port->up,
			.locked = port->config.locked,
			.uplink = port->config.uplink,
			.capturing = port->capture != NULL,
			.can = port->can,
			.queued = port->count,
			.queued_memory = port->memory,
			.stats = port->stats,
		};
		str_copy(out->name, port->name, sizeof(out->name));
		memcpy(out->mac, port->config.mac, ETH_ADDR);
	}
	lock_release(&sw->lock, token);
	return port != NULL;
}
