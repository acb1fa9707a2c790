/* SPDX-License-Identifier: MIT */
/* Path-MTU discovery by probes (DPLPMTUD, RFC 8899), pure: hv/net/fabric_mtu.c. Sizes of IPv4 packets. */
#ifndef HV_NET_FABRIC_MTU_H
#define HV_NET_FABRIC_MTU_H

#include <tern/types.h>

#define FABRIC_MTU_BASE 1280u

struct fabric_mtu {
	u32 now;    /* what is used */
	u32 max;    /* (c) of the NIC */
	u32 probe;  /* size that is tried; 0: none under way */
	u32 tries;  /* probes of the next size that were lost */
	u32 lost;   /* large packets in a row */
	u64 search; /* when to search again */
};

void fabric_mtu_init(struct fabric_mtu *m, u32 max);
/* The size to probe now; 0: none. The caller sends it and calls fabric_mtu_sent(). */
u32 fabric_mtu_wanted(const struct fabric_mtu *m, u64 now);
void fabric_mtu_sent(struct fabric_mtu *m, u32 size);
/* What became of a probe. */
void fabric_mtu_answer(struct fabric_mtu *m, u64 now, u32 size, bool arrived);
/* What became of another packet. True: the path got narrower, now is the base again. */
bool fabric_mtu_packet(struct fabric_mtu *m, u32 size, bool arrived);
/* Nothing arrives: the base again. */
void fabric_mtu_fall(struct fabric_mtu *m);

#endif
