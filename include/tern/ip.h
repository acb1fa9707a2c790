/* SPDX-License-Identifier: MIT */
/*
 * As much IPv4 as the fabric needs (hv/net/ip*.c): ARP, ICMP echo, UDP, DHCP. No fragments, no options, no
 * routing but one gateway. Addresses are numbers, 10.0.0.1 is 0x0a000001; time is microseconds, passed in.
 * One CPU at a time is in one struct ip; nothing is allocated.
 */
#ifndef TERN_IP_H
#define TERN_IP_H

#include <tern/types.h>

#define IP_MAC        6u
#define IP_ARP_MAX    32u
#define IP_PORTS_MAX  4u
#define IP_UDP_OFFSET 42u /* where the payload of a UDP packet lies in its frame */
#define IP_UDP_EXTRA  28u /* what IPv4 and UDP add to it */

/* The NIC, as this layer sees it. */
struct ip_link {
	void *ctx;
	u8 mac[IP_MAC];
	u32 mtu; /* bytes of IPv4 packet in a frame, >= 576 */
	/* The next free buffer, of 14 + mtu bytes; NULL: none. Asked again, it is the same one until it is sent. */
	u8 *(*buffer)(void *ctx);
	void (*send)(void *ctx, u8 *frame, u32 len);
};

struct ip_config {
	bool dhcp; /* else the three below hold */
	u32 addr, mask;
	u32 gateway; /* 0: none */
};

enum ip_count {
	IP_RX_OTHER,      /* neither ARP nor IPv4, or not for us */
	IP_RX_BAD,        /* malformed */
	IP_RX_CSUM,       /* wrong checksum */
	IP_RX_FRAGMENT,   /* fragments, and packets with options: not supported */
	IP_RX_NO_PORT,    /* UDP for a port that nobody has */
	IP_RX_ARP_ALIEN,  /* ARP answers nobody asked for, and changes that are not believed */
	IP_RX_CONFLICT,   /* somebody else uses our address */
	IP_RX_LIMITED,    /* echo requests beyond 100 a second */
	IP_RX_UDP,        /* packets handed over */
	IP_RX_ECHO,       /* echo requests answered */
	IP_TX_UNRESOLVED, /* dropped: the next hop's MAC address is not known yet */
	IP_TX_FULL,       /* dropped: no buffer */
	IP_COUNTS,
};

enum ip_arp_state { IP_ARP_FREE, IP_ARP_WAITING, IP_ARP_KNOWN };

struct ip_arp_entry {
	u32 addr;
	u8 mac[IP_MAC];
	u8 state; /* enum ip_arp_state */
	u8 tries; /* requests since it was last confirmed */
	u64 confirmed, asked;
};

enum ip_dhcp_state {
	IP_DHCP_OFF,
	IP_DHCP_SELECTING,
	IP_DHCP_REQUESTING,
	IP_DHCP_BOUND,
	IP_DHCP_RENEWING,
	IP_DHCP_REBINDING,
};

struct ip_dhcp {
	enum ip_dhcp_state state;
	u32 xid, offered, server;
	u32 tries;
	u64 began;        /* of this exchange: the field "secs" */
	u64 next;         /* when to send (again) */
	u64 t1, t2, ends; /* UINT64_MAX: a lease without end */
};

typedef void ip_udp_fn(void *ctx, u64 now, u32 src, u16 src_port, u8 *payload, u32 len);

struct ip {
	struct ip_link link;     /* (c) */
	u32 addr, mask, gateway; /* addr 0: none yet */
	u16 id;
	u32 random; /* state of a generator for what only needs to differ */
	u64 echo_window;
	u32 echo_count;
	u32 arp_last; /* entry used last */
	struct ip_arp_entry arp[IP_ARP_MAX];
	struct ip_dhcp dhcp;
	struct {
		u16 port;
		ip_udp_fn *fn;
		void *ctx;
	} ports[IP_PORTS_MAX];
	u64 counts[IP_COUNTS];
};

/* random: any number that differs between nodes and boots. */
void ip_init(struct ip *ip, const struct ip_link *link, const struct ip_config *config, u32 random,
	     u64 now);
/* Payloads for a port go to fn; they lie in the frame and may be written to until it returns. -TERN_ENOSPC. */
MUST_CHECK int ip_udp_bind(struct ip *ip, u16 port, ip_udp_fn *fn, void *ctx);
/* A frame has come. It may be written to. */
void ip_input(struct ip *ip, u64 now, u8 *frame, u32 len);
/* Sends what is due; returns when to call again, UINT64_MAX: never. */
u64 ip_poll(struct ip *ip, u64 now);

/* Where to write the payload of the next UDP packet, mtu - 28 bytes; NULL: no buffer. */
u8 *ip_udp_buffer(struct ip *ip);
/*
 * Sends that payload, without a UDP checksum. -TERN_EAGAIN: dropped, the next hop is being asked for;
 * -TERN_ENODEV: we have no address, or no way there.
 */
int ip_udp_send(struct ip *ip, u64 now, u16 src_port, u32 dst, u16 dst_port, u8 *payload, u32 len);

#endif
