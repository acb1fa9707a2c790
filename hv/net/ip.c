/* SPDX-License-Identifier: MIT */
/* IPv4 on one NIC: who gets what comes, headers of what goes. */
#include <tern/err.h>
#include <tern/ip.h>
#include <tern/lib.h>

#include "ip_internal.h"
#include "offload.h"

#define SECOND     1000000ull
#define ECHO_LIMIT 100u /* answers a second */

_Static_assert(IP_UDP_OFFSET == ETH_LEN + IP4_HEADER + UDP_HEADER, "RFC 768, RFC 791");
_Static_assert(IP_UDP_EXTRA == IP4_HEADER + UDP_HEADER, "RFC 768, RFC 791");

/* xorshift32: for what only needs to differ, such as transaction numbers. */
u32 ip_random(struct ip *ip)
{
	ip->random ^= ip->random << 13;
	ip->random ^= ip->random >> 17;
	ip->random ^= ip->random << 5;
	return ip->random;
}

void ip_init(struct ip *ip, const struct ip_link *link, const struct ip_config *config, u32 random,
	     u64 now)
{
	memset(ip, 0, sizeof(*ip));
	ip->link = *link;
	ip->random = random != 0 ? random : 1;
	if (config->dhcp) {
		ip_dhcp_start(ip, now);
		return;
	}
	ip->addr = config->addr;
	ip->mask = config->mask;
	ip->gateway = config->gateway;
}

int ip_udp_bind(struct ip *ip, u16 port, ip_udp_fn *fn, void *ctx)
{
	for (u32 i = 0; i < IP_PORTS_MAX; i++) {
		if (ip->ports[i].fn == NULL) {
			ip->ports[i].port = port;
			ip->ports[i].fn = fn;
			ip->ports[i].ctx = ctx;
			return 0;
		}
	}
	return -TERN_ENOSPC;
}

/* Ethernet and IPv4 header of a packet whose body of len bytes lies behind them. */
static void put_headers(struct ip *ip, u8 *f, const u8 mac[IP_MAC], u8 protocol, u32 src, u32 dst,
			u32 len)
{
	u8 *p = f + ETH_LEN;
	u16 sum;

	memcpy(f, mac, IP_MAC);
	memcpy(f + ETH_SRC, ip->link.mac, IP_MAC);
	ip_put16(f + ETH_TYPE, ETH_TYPE_IP4);
	p[IP4_VERSION_IHL] = IP4_V4_IHL5;
	p[1] = 0;
	ip_put16(p + IP4_LENGTH, IP4_HEADER + len);
	ip_put16(p + IP4_ID, ip->id++);
	ip_put16(p + IP4_FRAGMENT, IP4_DONT_FRAG);
	p[IP4_TTL] = IP4_TTL_VALUE;
	p[IP4_PROTOCOL] = protocol;
	ip_put16(p + IP4_CSUM, 0);
	ip_put32(p + IP4_SRC, src);
	ip_put32(p + IP4_DST, dst);
	sum = (u16)~csum_fold(csum_add(0, p, IP4_HEADER, false));
	memcpy(p + IP4_CSUM, &sum, sizeof(sum));
}

/* Pads to what Ethernet wants. */
static void send_frame(struct ip *ip, u8 *f, u32 len)
{
	if (len < ETH_MIN) {
		memset(f + len, 0, ETH_MIN - len);
		len = ETH_MIN;
	}
	ip->link.send(ip->link.ctx, f, len);
}

static void put_udp(u8 *u, u16 src_port, u16 dst_port, u32 len)
{
	ip_put16(u + UDP_SRC, src_port);
	ip_put16(u + UDP_DST, dst_port);
	ip_put16(u + UDP_LENGTH, UDP_HEADER + len);
	ip_put16(u + UDP_CSUM, 0);
}

void ip_udp_send_to(struct ip *ip, const u8 mac[IP_MAC], u32 src, u16 src_port, u32 dst,
		    u16 dst_port, u8 *payload, u32 len)
{
	u8 *u = payload - UDP_HEADER;
	u8 pseudo[12] = {0};
	u16 sum;

	put_udp(u, src_port, dst_port, len);
	ip_put32(pseudo, src);
	ip_put32(pseudo + 4, dst);
	pseudo[9] = IP_UDP;
	ip_put16(pseudo + 10, UDP_HEADER + len);
	sum = csum_fold(
		csum_add(csum_add(0, pseudo, sizeof(pseudo), false), u, UDP_HEADER + len, false));
	sum = sum != 0xffff ? (u16)~sum : sum; /* 0 would mean "none" */
	memcpy(u + UDP_CSUM, &sum, sizeof(sum));
	put_headers(ip, payload - IP_UDP_OFFSET, mac, IP_UDP, src, dst, UDP_HEADER + len);
	send_frame(ip, payload - IP_UDP_OFFSET, IP_UDP_OFFSET + len);
}

u8 *ip_udp_buffer(struct ip *ip)
{
	u8 *f = ip->link.buffer(ip->link.ctx);

	if (f == NULL) {
		ip->counts[IP_TX_FULL]++;
		return NULL;
	}
	return f + IP_UDP_OFFSET;
}

int ip_udp_send(struct ip *ip, u64 now, u16 src_port, u32 dst, u16 dst_port, u8 *payload, u32 len)
{
	bool near = ((dst ^ ip->addr) & ip->mask) == 0;
	const u8 *mac;

	ASSERT(len + IP_UDP_EXTRA <= ip->link.mtu);
	if (ip->addr == 0 || (!near && ip->gateway == 0))
		return -TERN_ENODEV;
	mac = ip_arp_lookup(ip, now, near ? dst : ip->gateway);
	if (mac == NULL) {
		ip->counts[IP_TX_UNRESOLVED]++;
		return -TERN_EAGAIN;
	}
	put_udp(payload - UDP_HEADER, src_port, dst_port, len);
	put_headers(ip, payload - IP_UDP_OFFSET, mac, IP_UDP, ip->addr, dst, UDP_HEADER + len);
	send_frame(ip, payload - IP_UDP_OFFSET, IP_UDP_OFFSET + len);
	return 0;
}

static void icmp_input(struct ip *ip, u64 now, const u8 *eth_src, const struct ip_packet *p)
{
	u8 *f;
	u16 sum;

	if (p->len < ICMP_HEADER || p->body[ICMP_TYPE] != ICMP_ECHO || p->body[ICMP_CODE] != 0 ||
	    p->len + IP4_HEADER > ip->link.mtu) {
		ip->counts[IP_RX_OTHER]++;
		return;
	}
	if (csum_fold(csum_add(0, p->body, p->len, false)) != 0xffff) {
		ip->counts[IP_RX_CSUM]++;
		return;
	}
	if (now / SECOND != ip->echo_window) {
		ip->echo_window = now / SECOND;
		ip->echo_count = 0;
	}
	f = ip->link.buffer(ip->link.ctx);
	if (f == NULL || ip->echo_count >= ECHO_LIMIT) {
		ip->counts[f == NULL ? IP_TX_FULL : IP_RX_LIMITED]++;
		return;
	}
	ip->echo_count++;
	ip->counts[IP_RX_ECHO]++;
	memcpy(f + ETH_LEN + IP4_HEADER, p->body, p->len);
	f[ETH_LEN + IP4_HEADER + ICMP_TYPE] = ICMP_ECHO_REPLY;
	ip_put16(f + ETH_LEN + IP4_HEADER + ICMP_CSUM, 0);
	sum = (u16)~csum_fold(csum_add(0, f + ETH_LEN + IP4_HEADER, p->len, false));
	memcpy(f + ETH_LEN + IP4_HEADER + ICMP_CSUM, &sum, sizeof(sum));
	/* Back to where it came from: an answer needs no neighbour to be learnt. */
	put_headers(ip, f, eth_src, IP_ICMP, ip->addr, p->src, p->len);
	send_frame(ip, f, ETH_LEN + IP4_HEADER + p->len);
}

static void udp_input(struct ip *ip, u64 now, const struct ip_packet *p)
{
	struct ip_datagram d;
	enum ip_count bad = ip_parse_udp(p, &d);

	if (bad != IP_COUNTS) {
		ip->counts[bad]++;
		return;
	}
	if (d.dst_port == DHCP_CLIENT_PORT && d.src_port == DHCP_SERVER_PORT &&
	    ip->dhcp.state != IP_DHCP_OFF) {
		ip_dhcp_input(ip, now, d.payload, d.len);
		return;
	}
	for (u32 i = 0; i < IP_PORTS_MAX && p->dst == ip->addr; i++) {
		if (ip->ports[i].fn != NULL && ip->ports[i].port == d.dst_port) {
			ip->counts[IP_RX_UDP]++;
			ip->ports[i].fn(ip->ports[i].ctx, now, p->src, d.src_port, d.payload,
					d.len);
			return;
		}
	}
	ip->counts[IP_RX_NO_PORT]++;
}

static void ip4_input(struct ip *ip, u64 now, const u8 *eth_src, u8 *body, u32 len)
{
	struct ip_packet p;
	enum ip_count bad = ip_parse_ip4(body, len, &p);
	bool dhcp;

	if (bad != IP_COUNTS) {
		ip->counts[bad]++;
		return;
	}
	/* A server may speak to the address that it is about to give. */
	dhcp = ip->dhcp.state != IP_DHCP_OFF && p.protocol == IP_UDP;
	if (!ip_is_host(p.src) || p.src == ip->addr ||
	    ((ip->addr == 0 || p.dst != ip->addr) && !dhcp)) {
		ip->counts[IP_RX_OTHER]++;
		return;
	}
	if (p.protocol == IP_UDP)
		udp_input(ip, now, &p);
	else if (p.protocol == IP_ICMP)
		icmp_input(ip, now, eth_src, &p);
	else
		ip->counts[IP_RX_OTHER]++;
}

void ip_input(struct ip *ip, u64 now, u8 *frame, u32 len)
{
	struct ip_arp_packet arp;
	u32 type;

	if (len < ETH_LEN || (frame[ETH_SRC] & ETH_GROUP) != 0) {
		ip->counts[IP_RX_BAD]++;
		return;
	}
	if ((frame[0] & ETH_GROUP) == 0 && memcmp(frame, ip->link.mac, IP_MAC) != 0) {
		ip->counts[IP_RX_OTHER]++;
		return;
	}
	type = ip_get16(frame + ETH_TYPE);
	if (type == ETH_TYPE_IP4)
		ip4_input(ip, now, frame + ETH_SRC, frame + ETH_LEN, len - ETH_LEN);
	else if (type != ETH_TYPE_ARP)
		ip->counts[IP_RX_OTHER]++;
	else if (ip_parse_arp(frame + ETH_LEN, len - ETH_LEN, &arp))
		ip_arp_input(ip, now, &arp, frame + ETH_SRC);
	else
		ip->counts[IP_RX_BAD]++;
}

u64 ip_poll(struct ip *ip, u64 now)
{
	u64 dhcp = ip_dhcp_poll(ip, now);

	return min_u64(dhcp, ip_arp_poll(ip, now));
}
