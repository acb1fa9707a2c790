/* SPDX-License-Identifier: MIT */
/*
 * Who is behind which port. Each port has its own fixed number of entries, used in turn, so a guest that
 * floods the switch with invented addresses forgets only what was learned from itself. An address that is
 * configured for a port cannot be learned elsewhere while that port is up.
 */
#include "vswitch_internal.h"

#include <tern/arch.h>
#include <tern/lib.h>
#include <tern/timer.h>

bool mac_equal(const u8 a[ETH_ADDR], const u8 b[ETH_ADDR])
{
	return memcmp(a, b, ETH_ADDR) == 0;
}

bool mac_nobody(const u8 mac[ETH_ADDR])
{
	static const u8 zero[ETH_ADDR];

	return (mac[0] & 1) != 0 || mac_equal(mac, zero);
}

static struct station **bucket_of(struct vswitch *sw, const u8 mac[ETH_ADDR])
{
	u64 v = 0;

	memcpy(&v, mac, ETH_ADDR);
	v = (v ^ sw->seed) * 0x9e3779b97f4a7c15ull;
	v = (v ^ v >> 29 ^ sw->seed) * 0xbf58476d1ce4e5b9ull;
	return &sw->buckets[(v >> 32) % STATION_BUCKETS];
}

bool station_fresh(const struct station *st, u64 now)
{
	return st->configured || now - st->seen < timer_us_to_tsc(VSWITCH_AGE_S * 1000000ull) ||
	       now < st->seen;
}

static struct station *lookup(struct vswitch *sw, const u8 mac[ETH_ADDR])
{
	struct station *st = *bucket_of(sw, mac);

	while (st != NULL && !mac_equal(st->mac, mac))
		st = st->next;
	return st;
}

struct station *station_find(struct vswitch *sw, const u8 mac[ETH_ADDR], u64 now)
{
	struct station *st = lookup(sw, mac);

	return st != NULL && station_fresh(st, now) ? st : NULL;
}

static void unlink_station(struct vswitch *sw, struct station *st)
{
	struct station **at = bucket_of(sw, st->mac);

	while (*at != st)
		at = &(*at)->next;
	*at = st->next;
	st->used = false;
}

static void link_station(struct vport *port, struct station *st, const u8 mac[ETH_ADDR], u64 now,
			 bool configured)
{
	struct station **at = bucket_of(port->sw, mac);

	*st = (struct station){
		.next = *at, .port = port, .seen = now, .used = true, .configured = configured};
	memcpy(st->mac, mac, ETH_ADDR);
	*at = st;
}

bool station_seen(struct vport *port, const u8 mac[ETH_ADDR], u64 now)
{
	struct station *st = lookup(port->sw, mac);

	if (st != NULL && st->port == port) {
		st->seen = now;
		return true;
	}
	if (st != NULL && st->configured)
		return false;
	if (st != NULL) /* it has moved */
		unlink_station(port->sw, st);
	st = &port->stations[port->cursor];
	port->cursor = (port->cursor + 1) % port->station_count;
	if (st->used)
		unlink_station(port->sw, st);
	link_station(port, st, mac, now, false);
	return true;
}

void station_add_own(struct vport *port, u64 now)
{
	struct station *st = lookup(port->sw, port->config.mac);

	if (mac_nobody(port->config.mac))
		return;
	if (st != NULL)
		unlink_station(port->sw, st);
	link_station(port, &port->own, port->config.mac, now, true);
}

void station_forget(struct vport *port)
{
	for (u32 i = 0; i < port->station_count; i++) {
		if (port->stations[i].used)
			unlink_station(port->sw, &port->stations[i]);
	}
	if (port->own.used)
		unlink_station(port->sw, &port->own);
}

u32 vswitch_stations(struct vswitch *sw, u32 index, struct vstation_view *out, u32 max)
{
	lock_token token = lock_take(&sw->lock);
	struct vport *port = index < VSWITCH_PORTS_MAX ? sw->ports[index] : NULL;
	u64 now = arch_tsc();
	u32 n = 0;

	for (u32 i = 0; port != NULL && i <= port->station_count && n < max; i++) {
		const struct station *st = i == 0 ? &port->own : &port->stations[i - 1];

		if (!st->used || !station_fresh(st, now))
			continue;
		out[n].configured = st->configured;
		out[n].age_s = (u32)(timer_tsc_to_us(now - st->seen) / 1000000);
		memcpy(out[n++].mac, st->mac, ETH_ADDR);
	}
	lock_release(&sw->lock, token);
	return n;
}
