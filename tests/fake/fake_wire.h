/* SPDX-License-Identifier: MIT */
/*
 * A wire between two NICs for host tests: loss, delay, jitter (which reorders), duplication, corruption, a bandwidth
 * with a queue that overflows, and cuts. Both ends are NICs of hv/net/netdev.c. All chance comes from the seed and all
 * time from fake_tsc, so that a run repeats exactly.
 *
 *	fake_wire_make(&wire, 1);
 *	netdev_open(fake_wire_end(&wire, 0), ...); netdev_open(fake_wire_end(&wire, 1), ...);
 *	wire.loss = 50000;
 *	while (fake_wire_step(&wire, fake_tsc_hz * 10))
 *		;
 */
#ifndef FAKE_WIRE_H
#define FAKE_WIRE_H

#include <tern/netdev_driver.h>

#define FAKE_WIRE_FRAMES 4096u /* under way in each direction, at most */
#define FAKE_WIRE_RING   256u  /* frames that an end takes before they are on the wire */
#define FAKE_WIRE_MTU    9000u
#define FAKE_WIRE_SURE   1000000u

struct fake_wire_frame {
	u64 at; /* TSC when it arrives */
	u64 order;
	u32 len;
	u8 *data;
};

struct fake_wire_way {
	struct fake_wire_frame frames[FAKE_WIRE_FRAMES]; /* a heap by (at, order) */
	u32 count;
	u64 free_at; /* TSC when the line has sent all it was given */
	u64 carried, lost, corrupted, doubled, overflowed;
};

struct fake_wire_end {
	struct fake_wire *wire;
	u32 index;
	struct netdev_tx *ring[FAKE_WIRE_RING];
	u32 first, count; /* of the ring */
	u8 *now;          /* the frame that receive() gave last */
};

struct fake_wire {
	/* To be changed at any time; in millionths. */
	u32 loss, duplicate, corrupt;
	u64 delay_us, jitter_us; /* each frame: delay and up to jitter more */
	u64 bits_per_second;     /* 0: no limit */
	u32 queue_bytes;         /* that wait for the line at most, with a limit; 0: no limit */
	u32 mtu;                 /* longer frames are lost on the way, silently; 0: none are */
	bool cut;                /* frames are lost, links stay up */
	bool unplugged;          /* both links are down */
	bool hangs;              /* nothing is sent any more, until the reset */
	u64 random, order;
	struct fake_wire_way way[2]; /* to end 0, to end 1 */
	struct netdev nd[2];
};

/* Adds both ends to the list of NICs; their addresses are 02:00:00:00:00:01 and :02. */
void fake_wire_make(struct fake_wire *w, u64 seed);
/* Closes both, forgets all NICs, frees what is under way. */
void fake_wire_destroy(struct fake_wire *w);
struct netdev *fake_wire_end(struct fake_wire *w, u32 i);
/* TSC when the next frame arrives; U64_MAX: none is under way. */
u64 fake_wire_next(const struct fake_wire *w);
/* Lets the clock run until the next frame arrives or the next timer of CPU 0 is due, but not past until; runs that,
 * polls both NICs. False: until is reached. */
bool fake_wire_step(struct fake_wire *w, u64 until);

#endif
