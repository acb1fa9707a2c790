/* SPDX-License-Identifier: MIT */
/* A DHCP client: RFC 2131 section 4.4, without INIT-REBOOT, INFORM and DECLINE. */
#include <tern/err.h>
#include <tern/lib.h>

#include "ip_internal.h"

#define SECOND      1000000ull
#define RETRY_FIRST 4u /* seconds; doubled up to ... (RFC 2131 section 4.1) */
#define RETRY_MAX   64u
#define RENEW_RETRY 60u /* seconds: no request sooner than that after another (section 4.4.5) */
#define LEASE_MIN   60u /* seconds; shorter ones would keep both ends busy */
#define TRIES_MAX   4u  /* of a REQUEST, then a new DISCOVER */

static const u8 broadcast[IP_MAC] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

static u8 *put_option(u8 *p, u8 code, u32 value)
{
	p[0] = code;
	p[1] = 4;
	ip_put32(p + 2, value);
	return p + 6;
}

/* The options that each of our messages has; returns where the next goes. */
static u8 *put_message(struct ip *ip, u64 now, u8 *p, u8 type)
{
	static const u8 params[] = {DHCP_OPT_MASK,   DHCP_OPT_ROUTER, DHCP_OPT_LEASE,
				    DHCP_OPT_SERVER, DHCP_OPT_T1,     DHCP_OPT_T2};
	u8 *o = p + DHCP_OPTIONS;

	memset(p, 0, DHCP_MIN);
	p[DHCP_OP] = DHCP_BOOTREQUEST;
	p[DHCP_HTYPE] = ARP_ETHERNET;
	p[DHCP_HLEN] = IP_MAC;
	ip_put32(p + DHCP_XID, ip->dhcp.xid);
	ip_put16(p + DHCP_SECS, (u32)min_u64((now - ip->dhcp.began) / SECOND, UINT16_MAX));
	ip_put16(p + DHCP_FLAGS, ip->addr == 0 ? DHCP_BROADCAST : 0);
	ip_put32(p + DHCP_CIADDR, ip->addr);
	memcpy(p + DHCP_CHADDR, ip->link.mac, IP_MAC);
	ip_put32(p + DHCP_MAGIC, DHCP_MAGIC_VALUE);
	*o++ = DHCP_OPT_TYPE;
	*o++ = 1;
	*o++ = type;
	*o++ = DHCP_OPT_CLIENT;
	*o++ = 1 + IP_MAC;
	*o++ = ARP_ETHERNET;
	memcpy(o, ip->link.mac, IP_MAC);
	o += IP_MAC;
	*o++ = DHCP_OPT_PARAMS;
	*o++ = sizeof(params);
	memcpy(o, params, sizeof(params));
	return o + sizeof(params);
}

static void send_message(struct ip *ip, u64 now)
{
	struct ip_dhcp *d = &ip->dhcp;
	u8 *p = ip_udp_buffer(ip), *o;
	const u8 *mac = broadcast;
	u32 dst = IP_BROADCAST;

	if (d->state == IP_DHCP_RENEWING) { /* to the server alone, by the way there */
		mac = ip_arp_lookup(ip, now,
				    ((d->server ^ ip->addr) & ip->mask) == 0 ? d->server
									     : ip->gateway);
		dst = d->server;
	}
	if (p == NULL || mac == NULL)
		return; /* tried again later */
	o = put_message(ip, now, p, d->state == IP_DHCP_SELECTING ? DHCP_DISCOVER : DHCP_REQUEST);
	if (d->state == IP_DHCP_REQUESTING) {
		o = put_option(o, DHCP_OPT_REQUESTED, d->offered);
		o = put_option(o, DHCP_OPT_SERVER, d->server);
	}
	*o++ = DHCP_OPT_END;
	ip_udp_send_to(ip, mac, ip->addr, DHCP_CLIENT_PORT, dst, DHCP_SERVER_PORT, p,
		       (u32)max_u64((u64)(o - p), DHCP_MIN));
}

/* Sends in this state, and again after 4, 8, ... 64 s, each a second more or less. */
static void send_and_wait(struct ip *ip, u64 now)
{
	struct ip_dhcp *d = &ip->dhcp;
	u64 wait = min_u64((u64)RETRY_FIRST << min_u64(d->tries, 8), RETRY_MAX) * SECOND;

	d->tries++;
	d->next = now + wait - SECOND + ip_random(ip) % (2 * SECOND);
	send_message(ip, now);
}

static void enter(struct ip *ip, u64 now, enum ip_dhcp_state state)
{
	ip->dhcp.state = state;
	ip->dhcp.tries = 0;
	ip->dhcp.began = now;
}

void ip_dhcp_start(struct ip *ip, u64 now)
{
	ip->addr = ip->mask = ip->gateway = 0;
	memset(ip->arp, 0, sizeof(ip->arp));
	enter(ip, now, IP_DHCP_SELECTING);
	ip->dhcp.xid = ip_random(ip);
	ip->dhcp.next =
		now + ip_random(ip) % SECOND; /* nodes that start together do not speak together */
}

static void bind(struct ip *ip, u64 now, const struct ip_offer *o)
{
	struct ip_dhcp *d = &ip->dhcp;
	u64 lease = max_u64(o->lease, LEASE_MIN), t1 = o->t1, t2 = o->t2;

	if (t2 == 0 || t2 >= lease)
		t2 = lease - lease / 8;
	if (t1 == 0 || t1 >= t2)
		t1 = min_u64(lease / 2, t2 - 1);
	if (ip->addr != o->addr)
		memset(ip->arp, 0, sizeof(ip->arp));
	ip->addr = o->addr;
	ip->mask = o->mask;
	ip->gateway = o->router;
	enter(ip, now, IP_DHCP_BOUND);
	d->server = o->server;
	d->t1 = d->t2 = d->ends = UINT64_MAX;
	if (o->lease != UINT32_MAX) {
		d->t1 = now + t1 * SECOND;
		d->t2 = now + t2 * SECOND;
		d->ends = now + lease * SECOND;
	}
	d->next = d->t1;
}

void ip_dhcp_input(struct ip *ip, u64 now, const u8 *payload, u32 len)
{
	struct ip_dhcp *d = &ip->dhcp;
	struct ip_offer o;
	bool asked = d->state == IP_DHCP_REQUESTING || d->state == IP_DHCP_RENEWING ||
		     d->state == IP_DHCP_REBINDING;

	if (!ip_parse_dhcp(payload, len, d->xid, ip->link.mac, &o)) {
		ip->counts[IP_RX_BAD]++;
		return;
	}
	if (d->state == IP_DHCP_SELECTING && o.type == DHCP_OFFER) {
		d->offered = o.addr;
		d->server = o.server;
		enter(ip, now, IP_DHCP_REQUESTING);
		send_and_wait(ip, now);
	} else if (asked && o.type == DHCP_ACK) {
		if (d->state != IP_DHCP_REBINDING && o.server != d->server)
			return;
		bind(ip, now, &o);
	} else if (asked && o.type == DHCP_NAK) {
		ip_dhcp_start(ip, now);
	}
}

/* Half of the time to a deadline, not too often (RFC 2131 section 4.4.5). */
static u64 half_way(u64 now, u64 until)
{
	return min_u64(now + max_u64((until - now) / 2, RENEW_RETRY * SECOND), until);
}

/* Asks for more of the lease: the server that gave it, after T2 all of them. */
static void renew(struct ip *ip, u64 now)
{
	struct ip_dhcp *d = &ip->dhcp;

	if (d->state == IP_DHCP_BOUND) {
		d->xid = ip_random(ip);
		enter(ip, now, IP_DHCP_RENEWING);
	}
	if (now >= d->t2)
		d->state = IP_DHCP_REBINDING;
	d->next = half_way(now, d->state == IP_DHCP_RENEWING ? d->t2 : d->ends);
	send_message(ip, now);
}

u64 ip_dhcp_poll(struct ip *ip, u64 now)
{
	struct ip_dhcp *d = &ip->dhcp;

	if (d->state == IP_DHCP_OFF)
		return UINT64_MAX;
	if (d->state >= IP_DHCP_BOUND && now >= d->ends)
		ip_dhcp_start(ip, now);
	if (now < d->next)
		return d->next;
	if (d->state >= IP_DHCP_BOUND)
		renew(ip, now);
	else if (d->state == IP_DHCP_REQUESTING && d->tries >= TRIES_MAX)
		ip_dhcp_start(ip, now);
	else
		send_and_wait(ip, now);
	return d->next;
}
