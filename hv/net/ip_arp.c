/* SPDX-License-Identifier: MIT */
/*
 * The neighbours' MAC addresses. An answer counts only while it is awaited; a request for our address confirms its
 * sender, and makes an entry only where one is free. So a stranger can neither fill the table nor move
 * a neighbour.
 */
#include <tern/err.h>
#include <tern/lib.h>

#include "ip_internal.h"

#define SECOND       1000000ull
#define ARP_TRIES    4u          /* one a second, then the entry is gone */
#define ARP_FRESH_US 30 * SECOND /* older: confirmed again while it is used */

static const u8 broadcast[IP_MAC] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

static void arp_send(struct ip *ip, u32 op, const u8 *to, u32 to_ip)
{
	u8 *f = ip->link.buffer(ip->link.ctx), *p = f + ETH_LEN;

	if (f == NULL) {
		ip->counts[IP_TX_FULL]++;
		return;
	}
	memset(f, 0, ETH_MIN);
	memcpy(f, op == ARP_REQUEST ? broadcast : to, IP_MAC);
	memcpy(f + ETH_SRC, ip->link.mac, IP_MAC);
	ip_put16(f + ETH_TYPE, ETH_TYPE_ARP);
	ip_put16(p + ARP_HTYPE, ARP_ETHERNET);
	ip_put16(p + ARP_PTYPE, ETH_TYPE_IP4);
	p[ARP_HLEN] = IP_MAC;
	p[ARP_PLEN] = 4;
	ip_put16(p + ARP_OP, op);
	memcpy(p + ARP_SENDER, ip->link.mac, IP_MAC);
	ip_put32(p + ARP_SENDER_IP, ip->addr);
	if (op == ARP_REPLY)
		memcpy(p + ARP_TARGET, to, IP_MAC);
	ip_put32(p + ARP_TARGET_IP, to_ip);
	ip->link.send(ip->link.ctx, f, ETH_MIN);
}

static struct ip_arp_entry *arp_find(struct ip *ip, u32 addr)
{
	for (u32 i = 0; i < IP_ARP_MAX; i++) {
		if (ip->arp[i].state != IP_ARP_FREE && ip->arp[i].addr == addr) {
			ip->arp_last = i;
			return &ip->arp[i];
		}
	}
	return NULL;
}

static struct ip_arp_entry *arp_free(struct ip *ip)
{
	for (u32 i = 0; i < IP_ARP_MAX; i++) {
		if (ip->arp[i].state == IP_ARP_FREE)
			return &ip->arp[i];
	}
	return NULL;
}

/* A free entry, or the one that was confirmed longest ago. */
static struct ip_arp_entry *arp_make(struct ip *ip)
{
	struct ip_arp_entry *best = arp_free(ip);

	for (u32 i = 0; best == NULL || i < IP_ARP_MAX; i++) {
		struct ip_arp_entry *e = &ip->arp[i];

		if (best == NULL || (best->state != IP_ARP_FREE && e->confirmed < best->confirmed))
			best = e;
	}
	return best;
}

static void arp_ask(struct ip *ip, u64 now, struct ip_arp_entry *e)
{
	e->asked = now;
	e->tries++;
	arp_send(ip, ARP_REQUEST, NULL, e->addr);
}

static void arp_confirm(struct ip_arp_entry *e, u64 now, const u8 *mac)
{
	e->state = IP_ARP_KNOWN;
	memcpy(e->mac, mac, IP_MAC);
	e->confirmed = now;
	e->tries = 0;
}

static void arp_learn(struct ip *ip, u64 now, const struct ip_arp_packet *p)
{
	struct ip_arp_entry *e = arp_find(ip, p->sender_ip);

	if (e == NULL && p->op == ARP_REQUEST) {
		e = arp_free(ip);
		if (e == NULL)
			return;
		memset(e, 0, sizeof(*e));
		e->addr = p->sender_ip;
		arp_confirm(e, now, p->sender);
	} else if (e != NULL && (e->tries > 0 || memcmp(e->mac, p->sender, IP_MAC) == 0)) {
		/* Asked for, or nothing new. While it is awaited the new MAC address counts. */
		arp_confirm(e, now, p->sender);
	} else {
		ip->counts[IP_RX_ARP_ALIEN]++;
	}
}

void ip_arp_input(struct ip *ip, u64 now, const struct ip_arp_packet *p, const u8 *eth_src)
{
	if (ip->addr == 0 || (p->op != ARP_REQUEST && p->op != ARP_REPLY))
		return;
	if (memcmp(p->sender, eth_src, IP_MAC) != 0 ||
	    memcmp(p->sender, ip->link.mac, IP_MAC) == 0) {
		ip->counts[IP_RX_BAD]++;
		return;
	}
	if (p->sender_ip == ip->addr) {
		ip->counts[IP_RX_CONFLICT]++;
		return;
	}
	if (p->target_ip != ip->addr)
		return;
	if (p->sender_ip != 0 && ((p->sender_ip ^ ip->addr) & ip->mask) == 0)
		arp_learn(ip, now, p);
	if (p->op == ARP_REQUEST)
		arp_send(ip, ARP_REPLY, p->sender, p->sender_ip);
}

const u8 *ip_arp_lookup(struct ip *ip, u64 now, u32 addr)
{
	struct ip_arp_entry *e = &ip->arp[ip->arp_last];

	if (e->state == IP_ARP_FREE || e->addr != addr)
		e = arp_find(ip, addr);
	if (e == NULL) {
		e = arp_make(ip);
		memset(e, 0, sizeof(*e));
		e->addr = addr;
		e->state = IP_ARP_WAITING;
		e->confirmed = now; /* for arp_make(): not the next to go */
		arp_ask(ip, now, e);
	}
	if (e->state != IP_ARP_KNOWN)
		return NULL;
	if (e->tries == 0 && now - e->confirmed > ARP_FRESH_US)
		arp_ask(ip, now, e);
	return e->mac;
}

u64 ip_arp_poll(struct ip *ip, u64 now)
{
	u64 next = UINT64_MAX;

	for (u32 i = 0; i < IP_ARP_MAX; i++) {
		struct ip_arp_entry *e = &ip->arp[i];

		if (e->state == IP_ARP_FREE || e->tries == 0)
			continue;
		if (now - e->asked >= SECOND) {
			if (e->tries >= ARP_TRIES) {
				e->state = IP_ARP_FREE;
				continue;
			}
			arp_ask(ip, now, e);
		}
		next = min_u64(next, e->asked + SECOND);
	}
	return next;
}
