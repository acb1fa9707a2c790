/* SPDX-License-Identifier: MIT */
/*
 * The virtual switch (hv/net/vswitch*.c): a learning Ethernet switch between the network devices of VMs and,
 * through a port like theirs, the node's NIC. A port's queue is bounded; what does not fit is dropped and
 * counted. docs/network.md.
 */
#ifndef TERN_VSWITCH_H
#define TERN_VSWITCH_H

#include <tern/lock.h>
#include <tern/types.h>
#include <tern/vpacket.h>

#define VSWITCH_NAME_MAX  16u
#define VSWITCH_DEFAULT   "default"
#define VSWITCH_PORTS_MAX 128u
#define VPORT_NAME_MAX    40u
#define VPORT_PACKETS_MAX 256u   /* in a port's queue */
#define VPORT_MEMORY_MAX  MiB(2) /* of the packets in a port's queue */
#define VPORT_STATIONS    128u   /* addresses learned behind a port; an uplink: */
#define VPORT_STATIONS_UP 1024u
#define VSWITCH_AGE_S     300u /* seconds that a station is remembered without a frame from it */

/* Why a packet went nowhere. Up to VDROP_MEMORY the port is the one it came from, else the receiver. */
enum vdrop {
	VDROP_SHORT,    /* less than an Ethernet header, or more than VPACKET_MAX */
	VDROP_HEADER,   /* what is left to do does not fit the packet */
	VDROP_SOURCE,   /* the source is a group address or zero */
	VDROP_SPOOFED,  /* the source is another port's address, or the port is locked to its own */
	VDROP_RESERVED, /* to 01:80:c2:00:00:0x, which no bridge forwards (IEEE 802.1D 7.12.6) */
	VDROP_NOWHERE,  /* nobody else is there, or it is for the port it came from */
	VDROP_MEMORY,   /* no memory for it */
	VDROP_DOWN,     /* the receiver's driver is not there (any more) */
	VDROP_FULL,     /* the receiver's queue is full */
	VDROP_BUFFER,   /* the receiver's buffer is too small */
	VDROP_COUNT,
};
const char *vdrop_name(enum vdrop why);

struct vport_count {
	u64 packets, bytes, multicast;
};

struct vport_stats {
	struct vport_count in, out; /* from and to what is at the port */
	u64 drops[VDROP_COUNT];
};

struct vswitch;
struct vport;

/* What a new port shall be; copied. */
struct vport_config {
	const char *name; /* "web.0" */
	u8 mac[ETH_ADDR]; /* its configured address: no other port may send from it while this one is up */
	bool locked; /* it may send from that address alone */
	bool uplink; /* many stations are behind it; mac may be zero: none */
	/* Called when a queue that was empty is not any more. Any CPU, the switch's lock is held, and
	 * perhaps a bus lock of another VM. */
	void (*kick)(void *arg);
	void *arg;
};

/* The switch of that name, or NULL. Any context. */
struct vswitch *vswitch_find(const char *name);
/* Adds a port, down. -TERN_ENOMEM, -TERN_ENOSPC, -TERN_EEXIST: name or address are another port's,
 * -TERN_EINVAL: the address is a group's or, but for an uplink, zero. Thread context. */
MUST_CHECK int vswitch_add(struct vswitch *sw, const struct vport_config *config,
			   struct vport **out);
/* Takes a port away, with its queue: kick is not called any more. No lock of rank above RANK_BUS is held. */
void vswitch_remove(struct vport *port);

/*
 * The calls below are the port's owner's, one at a time (a device: with its bus lock held); at most the bus
 * lock is held.
 */
/* The port is there for packets, which may be delivered with that left to do: VPACKET_CAN_*. */
void vswitch_up(struct vport *port, u32 can);
/* It is not: its queue is dropped. */
void vswitch_down(struct vport *port);
/* Forwards a packet; takes it. */
void vswitch_send(struct vport *port, struct vpacket *p);
/* The oldest packet for the port, with no more left to do than the port can: now the caller's. NULL: there is
 * none; or, when vswitch_waiting() is true, no memory now. */
MUST_CHECK struct vpacket *vswitch_receive(struct vport *port);
bool vswitch_waiting(struct vport *port);
/* Counts what the owner itself dropped, or what really left for it. */
void vswitch_dropped(struct vport *port, enum vdrop why);
void vswitch_delivered(struct vport *port, struct vpacket *p);
/* Whether the port may send from that address: 0, -TERN_EPERM: it is locked, -TERN_EEXIST: the address is
 * another port's, -TERN_EINVAL: it is a group's or zero. */
MUST_CHECK int vswitch_claim(struct vport *port, const u8 mac[ETH_ADDR]);

/* --- for the shell; thread context, no lock of rank RANK_SWITCH or above held --- */
struct vport_view {
	char name[VPORT_NAME_MAX];
	u8 mac[ETH_ADDR];
	bool up, locked, uplink, capturing;
	u32 can;
	u32 queued; /* packets */
	u64 queued_memory;
	struct vport_stats stats;
};
/* The i-th switch's name, or NULL past the last. */
const char *vswitch_name(u32 i);
/* False: there is no port of that number (below VSWITCH_PORTS_MAX). */
bool vswitch_view(struct vswitch *sw, u32 index, struct vport_view *out);

struct vstation_view {
	u8 mac[ETH_ADDR];
	bool configured;
	u32 age_s;
};
/* The stations behind a port: copies at most max, returns how many. */
u32 vswitch_stations(struct vswitch *sw, u32 index, struct vstation_view *out, u32 max);

/*
 * Captures what passes a port, both ways, into a ring of at most bytes (4 KiB to 2 MiB, rounded up to a power
 * of two), the newest packets, at most snap bytes of each, for at most seconds (0: until stopped).
 * -TERN_ENOENT: no such port, -TERN_EBUSY: it is being captured, -TERN_EINVAL, -TERN_ENOMEM.
 */
MUST_CHECK int vswitch_capture_start(struct vswitch *sw, u32 index, u32 bytes, u32 snap,
				     u32 seconds);
/* Ends the recording; it can be read until vswitch_capture_free(). -TERN_ENOENT: there is none. *len: bytes
 * that vswitch_capture_read() will give; *lost: packets the ring had no room for. */
MUST_CHECK int vswitch_capture_stop(struct vswitch *sw, u32 index, u32 *len, u64 *lost);
/* Bytes from offset of the pcap file (little-endian, microseconds, LINKTYPE_ETHERNET); returns how many. */
u32 vswitch_capture_read(struct vswitch *sw, u32 index, u32 offset, void *out, u32 max);
void vswitch_capture_free(struct vswitch *sw, u32 index);

#endif
