/* SPDX-License-Identifier: MIT */
/* What the parts of the virtual switch share. What has (s) belongs to the switch's lock, (r) to the port's
 * owner. */
#ifndef HV_NET_VSWITCH_INTERNAL_H
#define HV_NET_VSWITCH_INTERNAL_H

#include <tern/err.h>
#include <tern/vswitch.h>

#define STATION_BUCKETS 512u /* a power of two */

struct station {              /* (s) */
	struct station *next; /* in its bucket */
	struct vport *port;
	u64 seen; /* TSC */
	u8 mac[ETH_ADDR];
	bool used;
	bool configured; /* the port's own: it does not age, and no other port may send from it */
};

struct capture; /* vswitch_capture.c */

struct vport {
	struct vswitch *sw;         /* (c) */
	u32 index;                  /* (c) */
	struct vport_config config; /* (c) name is in name[] */
	char name[VPORT_NAME_MAX];  /* (c) */
	bool up;                    /* (s) */
	u32 can;                    /* (s) */
	struct vpacket_cut cut;     /* (r) */
	struct vpacket *ready;      /* (r) taken from the queue; waits for memory */
	u32 head, count;            /* (s) of the queue */
	u64 memory;                 /* (s) of the packets in the queue */
	struct vpacket *queue[VPORT_PACKETS_MAX];
	struct vport_stats stats; /* (s) */
	struct station own;       /* (s) config.mac, while the port is up */
	struct station *stations; /* (s) learned; the oldest is at cursor */
	u32 station_count;        /* (c) */
	u32 cursor;               /* (s) */
	struct capture *capture;  /* (s) */
};
_Static_assert(sizeof(struct vport) <= PAGE_SIZE, "a port is one page");

struct vswitch {
	struct spinlock lock; /* RANK_SWITCH */
	char name[VSWITCH_NAME_MAX];
	u64 seed; /* (s) of the hash, so that nobody can choose addresses that collide */
	struct vport *ports[VSWITCH_PORTS_MAX];   /* (s) */
	u32 port_end;                             /* (s) all ports are below */
	struct station *buckets[STATION_BUCKETS]; /* (s) */
};

/* --- stations (vswitch_station.c); the switch's lock is held --- */
bool mac_equal(const u8 a[ETH_ADDR], const u8 b[ETH_ADDR]);
/* A group address or zero: nobody's own. */
bool mac_nobody(const u8 mac[ETH_ADDR]);
/* The station, or NULL: unknown, or too old. */
struct station *station_find(struct vswitch *sw, const u8 mac[ETH_ADDR], u64 now);
/* A frame has come from it by port: remembers that. False: it is another port's configured address. */
bool station_seen(struct vport *port, const u8 mac[ETH_ADDR], u64 now);
/* Enters the port's configured address; an uplink without one has none. */
void station_add_own(struct vport *port, u64 now);
/* Forgets all stations behind a port. */
void station_forget(struct vport *port);
bool station_fresh(const struct station *st, u64 now);

/* --- capture (vswitch_capture.c); the switch's lock is held --- */
void capture_add(struct capture *c, struct vpacket *p);

#endif
