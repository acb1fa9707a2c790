/* SPDX-License-Identifier: MIT */
/* CUBIC congestion control (RFC 9438), pure: hv/net/fabric_cubic.c. Bytes and microseconds. */
#ifndef HV_NET_FABRIC_CUBIC_H
#define HV_NET_FABRIC_CUBIC_H

#include <tern/types.h>

struct fabric_cubic {
	u64 cwnd, ssthresh;
	u64 w_max; /* window before the last reduction, fast convergence applied */
	u64 w_est; /* what Reno would have */
	u64 epoch; /* when this avoidance phase began; 0: at the next acknowledgement */
	u64 origin, k_ms;
	u32 mss;
};

void fabric_cubic_init(struct fabric_cubic *c, u32 mss);
/* acked bytes of a window that was in full use were acknowledged. now > 0. */
void fabric_cubic_acked(struct fabric_cubic *c, u64 now, u64 srtt, u64 acked);
/* Something was lost: once a round trip. */
void fabric_cubic_lost(struct fabric_cubic *c);
/* All was lost for long: from the smallest window again. */
void fabric_cubic_collapse(struct fabric_cubic *c);
void fabric_cubic_set_mss(struct fabric_cubic *c, u32 mss);

#endif
