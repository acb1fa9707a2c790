/* SPDX-License-Identifier: MIT */
/* What comes from the wire, checked and taken apart: pure functions, no byte is read past len. */
#include <tern/lib.h>

#include "ip_internal.h"
#include "offload.h"

bool ip_is_host(u32 addr)
{
	u32 top = addr >> 24;

	return top != 0 && top != 127 && top < 224;
}

bool ip_parse_arp(const u8 *p, u32 len, struct ip_arp_packet *out)
{
	if (len < ARP_LEN || ip_get16(p + ARP_HTYPE) != ARP_ETHERNET ||
	    ip_get16(p + ARP_PTYPE) != ETH_TYPE_IP4 || p[ARP_HLEN] != IP_MAC || p[ARP_PLEN] != 4)
		return false;
	out->op = ip_get16(p + ARP_OP);
	out->sender_ip = ip_get32(p + ARP_SENDER_IP);
	out->target_ip = ip_get32(p + ARP_TARGET_IP);
	memcpy(out->sender, p + ARP_SENDER, IP_MAC);
	/* A sender without an address asks whether the target is free (RFC 5227): to be answered, not learnt. */
	return (p[ARP_SENDER] & ETH_GROUP) == 0 &&
	       (out->sender_ip == 0 || ip_is_host(out->sender_ip));
}

enum ip_count ip_parse_ip4(u8 *p, u32 len, struct ip_packet *out)
{
	u32 total;

	if (len < IP4_HEADER || p[IP4_VERSION_IHL] >> 4 != 4 || (p[IP4_VERSION_IHL] & 15) < 5)
		return IP_RX_BAD;
	if (p[IP4_VERSION_IHL] != IP4_V4_IHL5)
		return IP_RX_FRAGMENT;
	total = ip_get16(p + IP4_LENGTH);
	if (total < IP4_HEADER || total > len)
		return IP_RX_BAD;
	if (csum_fold(csum_add(0, p, IP4_HEADER, false)) != 0xffff)
		return IP_RX_CSUM;
	if ((ip_get16(p + IP4_FRAGMENT) & IP4_MORE_OFFSET) != 0)
		return IP_RX_FRAGMENT;
	out->src = ip_get32(p + IP4_SRC);
	out->dst = ip_get32(p + IP4_DST);
	out->protocol = p[IP4_PROTOCOL];
	out->body = p + IP4_HEADER;
	out->len = total - IP4_HEADER;
	return IP_COUNTS;
}

enum ip_count ip_parse_udp(const struct ip_packet *p, struct ip_datagram *out)
{
	u8 pseudo[12] = {0};
	u32 len, sum;

	if (p->len < UDP_HEADER)
		return IP_RX_BAD;
	len = ip_get16(p->body + UDP_LENGTH);
	if (len < UDP_HEADER || len > p->len)
		return IP_RX_BAD;
	if (ip_get16(p->body + UDP_CSUM) != 0) {
		ip_put32(pseudo, p->src);
		ip_put32(pseudo + 4, p->dst);
		pseudo[9] = IP_UDP;
		ip_put16(pseudo + 10, len);
		sum = csum_add(0, pseudo, sizeof(pseudo), false);
		if (csum_fold(csum_add(sum, p->body, len, false)) != 0xffff)
			return IP_RX_CSUM;
	}
	out->src_port = (u16)ip_get16(p->body + UDP_SRC);
	out->dst_port = (u16)ip_get16(p->body + UDP_DST);
	out->payload = p->body + UDP_HEADER;
	out->len = len - UDP_HEADER;
	return IP_COUNTS;
}

/* One option of len bytes; false: it has a wrong length. */
static bool dhcp_option(u8 code, const u8 *p, u32 len, struct ip_offer *out)
{
	switch (code) {
	case DHCP_OPT_TYPE:
		out->type = p[0];
		return len == 1;
	case DHCP_OPT_MASK:
		out->mask = len == 4 ? ip_get32(p) : 0;
		return len == 4;
	case DHCP_OPT_ROUTER: /* a list, the best one first */
		out->router = len >= 4 ? ip_get32(p) : 0;
		return len >= 4 && len % 4 == 0;
	case DHCP_OPT_SERVER:
		out->server = len == 4 ? ip_get32(p) : 0;
		return len == 4;
	case DHCP_OPT_LEASE:
		out->lease = len == 4 ? ip_get32(p) : 0;
		return len == 4;
	case DHCP_OPT_T1:
		out->t1 = len == 4 ? ip_get32(p) : 0;
		return len == 4;
	case DHCP_OPT_T2:
		out->t2 = len == 4 ? ip_get32(p) : 0;
		return len == 4;
	default:
		return true;
	}
}

static bool dhcp_options(const u8 *p, u32 len, struct ip_offer *out)
{
	u32 at = DHCP_OPTIONS;

	while (at < len && p[at] != DHCP_OPT_END) {
		if (p[at] == DHCP_OPT_PAD) {
			at++;
			continue;
		}
		/* An option without a value is none of those that are known. */
		if (len - at < 2 || p[at + 1] == 0 || p[at + 1] > len - at - 2 ||
		    !dhcp_option(p[at], p + at + 2, p[at + 1], out))
			return false;
		at += 2 + p[at + 1];
	}
	return at < len;
}

/* Whether an offered address, mask and router go together. */
static bool dhcp_usable(struct ip_offer *o)
{
	u32 host = ~o->mask;

	if (o->mask == 0 || (host & (host + 1)) != 0 || host == 0 || !ip_is_host(o->addr))
		return false;
	if ((o->addr & host) == 0 || (o->addr & host) == host || o->lease == 0)
		return false;
	if (((o->router ^ o->addr) & o->mask) != 0 || o->router == o->addr)
		o->router = 0;
	return true;
}

bool ip_parse_dhcp(const u8 *p, u32 len, u32 xid, const u8 mac[IP_MAC], struct ip_offer *out)
{
	memset(out, 0, sizeof(*out));
	if (len < DHCP_OPTIONS || p[DHCP_OP] != DHCP_BOOTREPLY || p[DHCP_HTYPE] != ARP_ETHERNET ||
	    p[DHCP_HLEN] != IP_MAC || ip_get32(p + DHCP_XID) != xid ||
	    memcmp(p + DHCP_CHADDR, mac, IP_MAC) != 0 ||
	    ip_get32(p + DHCP_MAGIC) != DHCP_MAGIC_VALUE || !dhcp_options(p, len, out))
		return false;
	out->addr = ip_get32(p + DHCP_YIADDR);
	if (!ip_is_host(out->server))
		return false;
	if (out->type == DHCP_NAK)
		return true;
	return (out->type == DHCP_OFFER || out->type == DHCP_ACK) && dhcp_usable(out);
}
