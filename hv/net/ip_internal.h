/* SPDX-License-Identifier: MIT */
/* Between the files of the IPv4 layer: pure parsers, and the parts of struct ip. */
#ifndef HV_NET_IP_INTERNAL_H
#define HV_NET_IP_INTERNAL_H

#include <tern/ip.h>

#include "ip_regs.h"

#define IP_BROADCAST 0xffffffffu

static inline u32 ip_get16(const u8 *p)
{
	return (u32)p[0] << 8 | p[1];
}

static inline u32 ip_get32(const u8 *p)
{
	return ip_get16(p) << 16 | ip_get16(p + 2);
}

static inline void ip_put16(u8 *p, u32 v)
{
	p[0] = (u8)(v >> 8);
	p[1] = (u8)v;
}

static inline void ip_put32(u8 *p, u32 v)
{
	ip_put16(p, v >> 16);
	ip_put16(p + 2, v & 0xffff);
}

/* --- parsers (hv/net/ip_parse.c): 0, or the negative number of what to count --- */
struct ip_arp_packet {
	u32 op, sender_ip, target_ip;
	u8 sender[IP_MAC];
};
MUST_CHECK bool ip_parse_arp(const u8 *p, u32 len, struct ip_arp_packet *out);

struct ip_packet {
	u32 src, dst;
	u8 protocol;
	u8 *body; /* behind the header */
	u32 len;
};
/* IP_COUNTS: good, else what is wrong with it. */
MUST_CHECK enum ip_count ip_parse_ip4(u8 *p, u32 len, struct ip_packet *out);

struct ip_datagram {
	u16 src_port, dst_port;
	u8 *payload;
	u32 len;
};
MUST_CHECK enum ip_count ip_parse_udp(const struct ip_packet *p, struct ip_datagram *out);

struct ip_offer {
	u32 type; /* DHCP_OFFER, DHCP_ACK or DHCP_NAK */
	u32 addr, server, mask, router;
	u32 lease, t1, t2; /* seconds; UINT32_MAX: without end; t1, t2: 0 when not said */
};
/* False: not an answer to this client, or malformed. Addresses of offers and acknowledgements are usable. */
MUST_CHECK bool ip_parse_dhcp(const u8 *p, u32 len, u32 xid, const u8 mac[IP_MAC],
			      struct ip_offer *out);
/* A host's address: no network of its own, loop-back, multicast or broadcast. */
bool ip_is_host(u32 addr);

/* --- ARP (hv/net/ip_arp.c) --- */
void ip_arp_input(struct ip *ip, u64 now, const struct ip_arp_packet *p, const u8 *eth_src);
/* The MAC address of a neighbour, or NULL: it was asked for. */
const u8 *ip_arp_lookup(struct ip *ip, u64 now, u32 addr);
u64 ip_arp_poll(struct ip *ip, u64 now);

/* --- DHCP (hv/net/ip_dhcp.c) --- */
void ip_dhcp_start(struct ip *ip, u64 now);
void ip_dhcp_input(struct ip *ip, u64 now, const u8 *payload, u32 len);
u64 ip_dhcp_poll(struct ip *ip, u64 now);

/* --- hv/net/ip.c --- */
u32 ip_random(struct ip *ip);
/* A UDP packet with checksum to a MAC address; payload is what ip_udp_buffer() gave. */
void ip_udp_send_to(struct ip *ip, const u8 mac[IP_MAC], u32 src, u16 src_port, u32 dst,
		    u16 dst_port, u8 *payload, u32 len);

#endif
