/* SPDX-License-Identifier: MIT */
/* links: hv/net/ip.c hv/net/ip_arp.c hv/net/ip_dhcp.c hv/net/ip_parse.c hv/net/offload.c tests/fake/fake_host.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <hv/net/ip_internal.h>
#include <hv/net/offload.h>
#include <tern/err.h>
#include <tern/ip.h>

#define SECOND  1000000ull
#define US      0x0a000001u
#define PEER    0x0a000002u
#define SERVER  0x0a0000feu
#define GATEWAY 0x0a000063u
#define PORT    7837u

static const u8 our_mac[6] = {2, 0, 0, 0, 0, 1}, peer_mac[6] = {2, 0, 0, 0, 0, 2};
static const u8 other_mac[6] = {2, 0, 0, 0, 0, 3};
static const u8 all[6] = {255, 255, 255, 255, 255, 255};

static struct ip ip;
static u8 buffer[1600], sent[1600], got[1600];
static u32 sent_len, sent_count, got_len, got_count, got_src;
static u16 got_port;
static bool full;

static u8 *take_buffer(void *ctx)
{
	assert_ptr_equal(ctx, &ip);
	return full ? NULL : buffer;
}

static void send_frame(void *ctx, u8 *frame, u32 len)
{
	assert_ptr_equal(ctx, &ip);
	assert_ptr_equal(frame, buffer);
	assert_in_range(len, 60, 1514);
	memcpy(sent, frame, len);
	memset(buffer, 0xee, sizeof(buffer));
	sent_len = len;
	sent_count++;
}

static void receive(void *ctx, u64 now, u32 src, u16 port, u8 *payload, u32 len)
{
	(void)now;
	assert_ptr_equal(ctx, &got);
	memcpy(got, payload, len);
	got_len = len;
	got_src = src;
	got_port = port;
	got_count++;
}

static void start(bool dhcp)
{
	struct ip_link link = {.ctx = &ip, .mtu = 1500, .buffer = take_buffer, .send = send_frame};
	struct ip_config config = {
		.dhcp = dhcp, .addr = US, .mask = 0xffffff00, .gateway = GATEWAY};

	memcpy(link.mac, our_mac, 6);
	full = false;
	sent_count = got_count = 0;
	ip_init(&ip, &link, &config, 12345, 0);
	assert_int_equal(ip_udp_bind(&ip, PORT, receive, &got), 0);
}

static int setup(void **state)
{
	(void)state;
	start(false);
	return 0;
}

static u8 frame[1600];

static void make_arp(u32 op, const u8 *mac, u32 sender, u32 target)
{
	u8 *p = frame + 14;

	memset(frame, 0, sizeof(frame));
	memcpy(frame, op == ARP_REQUEST ? all : our_mac, 6);
	memcpy(frame + 6, mac, 6);
	ip_put16(frame + 12, 0x0806);
	ip_put16(p, 1);
	ip_put16(p + 2, 0x0800);
	p[4] = 6;
	p[5] = 4;
	ip_put16(p + 6, op);
	memcpy(p + 8, mac, 6);
	ip_put32(p + 14, sender);
	ip_put32(p + 24, target);
}

static void arp(u64 now, u32 op, const u8 *mac, u32 sender, u32 target)
{
	make_arp(op, mac, sender, target);
	ip_input(&ip, now, frame, 60);
}

/* An IPv4 packet whose body is at frame + 34; returns the frame's length. */
static u32 make_ip4(const u8 *to, u8 protocol, u32 src, u32 dst, u32 body)
{
	u8 *p = frame + 14;
	u16 sum;

	memcpy(frame, to, 6);
	memcpy(frame + 6, peer_mac, 6);
	ip_put16(frame + 12, 0x0800);
	memset(p, 0, 20);
	p[0] = 0x45;
	ip_put16(p + 2, 20 + body);
	p[8] = 64;
	p[9] = protocol;
	ip_put32(p + 12, src);
	ip_put32(p + 16, dst);
	sum = (u16)~csum_fold(csum_add(0, p, 20, false));
	memcpy(p + 10, &sum, 2);
	return 34 + body;
}

static u32 make_udp(const u8 *to, u32 src, u16 src_port, u32 dst, u16 dst_port, u32 payload)
{
	u8 *u = frame + 34;

	ip_put16(u, src_port);
	ip_put16(u + 2, dst_port);
	ip_put16(u + 4, 8 + payload);
	ip_put16(u + 6, 0);
	return make_ip4(to, 17, src, dst, 8 + payload);
}

static int say(u64 now, u32 dst)
{
	u8 *p = ip_udp_buffer(&ip);

	assert_non_null(p);
	memcpy(p, "hello", 5);
	return ip_udp_send(&ip, now, PORT, dst, 99, p, 5);
}

static void test_resolve(void **state)
{
	(void)state;
	assert_int_equal(say(0, PEER), -TERN_EAGAIN);
	assert_int_equal(sent_count, 1); /* the question */
	assert_memory_equal(sent, all, 6);
	assert_int_equal(ip_get16(sent + 12), 0x0806);
	assert_int_equal(ip_get16(sent + 14 + 6), ARP_REQUEST);
	assert_int_equal(ip_get32(sent + 14 + 24), PEER);
	assert_int_equal(say(10, PEER), -TERN_EAGAIN);
	assert_int_equal(sent_count, 1);
	assert_int_equal(ip_poll(&ip, 10), SECOND);
	assert_int_equal(ip_poll(&ip, SECOND), 2 * SECOND);
	assert_int_equal(sent_count, 2);
	arp(SECOND, ARP_REPLY, peer_mac, PEER, US);
	assert_int_equal(say(SECOND, PEER), 0);
	assert_int_equal(sent_count, 3);
	assert_memory_equal(sent, peer_mac, 6);
	assert_memory_equal(sent + 6, our_mac, 6);
	assert_int_equal(csum_fold(csum_add(0, sent + 14, 20, false)), 0xffff);
	assert_int_equal(ip_get16(sent + 14 + 2), 33);
	assert_int_equal(ip_get16(sent + 14 + 6), 0x4000);
	assert_int_equal(ip_get32(sent + 14 + 12), US);
	assert_int_equal(ip_get32(sent + 14 + 16), PEER);
	assert_int_equal(ip_get16(sent + 34), PORT);
	assert_int_equal(ip_get16(sent + 36), 99);
	assert_int_equal(ip_get16(sent + 38), 13);
	assert_int_equal(ip_get16(sent + 40), 0);
	assert_memory_equal(sent + 42, "hello", 5);
	/* Another network: the gateway is asked for. */
	assert_int_equal(say(SECOND, 0x08080808), -TERN_EAGAIN);
	assert_int_equal(ip_get32(sent + 14 + 24), GATEWAY);
	ip.gateway = 0;
	assert_int_equal(say(SECOND, 0x08080808), -TERN_ENODEV);
}

static void test_resolve_fails_and_refreshes(void **state)
{
	u64 now;

	(void)state;
	assert_int_equal(say(0, PEER), -TERN_EAGAIN);
	for (now = SECOND; ip_poll(&ip, now) != UINT64_MAX; now += SECOND)
		assert_true(now < 10 * SECOND);
	assert_int_equal(sent_count, 4);
	/* Nobody waits any more: such an answer is not learnt. */
	arp(now, ARP_REPLY, peer_mac, PEER, US);
	assert_int_equal(ip.counts[IP_RX_ARP_ALIEN], 1);
	assert_int_equal(say(now, PEER), -TERN_EAGAIN);
	arp(now, ARP_REPLY, peer_mac, PEER, US);
	assert_int_equal(say(now, PEER), 0);
	sent_count = 0;
	now += 31 * SECOND;
	assert_int_equal(say(now, PEER), 0); /* and asks again beside it */
	assert_int_equal(sent_count, 2);
	arp(now, ARP_REPLY, other_mac, PEER, US); /* it has another NIC now */
	assert_int_equal(say(now, PEER), 0);
	assert_memory_equal(sent, other_mac, 6);
	now += 31 * SECOND;
	assert_int_equal(say(now, PEER), 0);
	for (u32 i = 0; i < 5; i++)
		(void)ip_poll(&ip, now += SECOND);
	assert_int_equal(say(now, PEER), -TERN_EAGAIN); /* no answer: forgotten */
}

static void test_arp_strangers(void **state)
{
	(void)state;
	arp(0, ARP_REQUEST, peer_mac, PEER, US);
	assert_int_equal(sent_count, 1);
	assert_memory_equal(sent, peer_mac, 6);
	assert_int_equal(ip_get16(sent + 20), ARP_REPLY);
	assert_memory_equal(sent + 14 + 8, our_mac, 6);
	assert_int_equal(ip_get32(sent + 14 + 14), US);
	assert_int_equal(say(0, PEER), 0);
	/* A neighbour cannot be moved by an answer or a request. */
	arp(0, ARP_REPLY, other_mac, PEER, US);
	arp(0, ARP_REQUEST, other_mac, PEER, US);
	assert_int_equal(ip.counts[IP_RX_ARP_ALIEN], 2);
	assert_int_equal(say(0, PEER), 0);
	assert_memory_equal(sent, peer_mac, 6);
	/* Strangers fill what is free, and no more; who is needed gets a place. */
	for (u32 i = 0; i < 100; i++)
		arp(5, ARP_REQUEST, other_mac, 0x0a000010 + i % 80, US);
	assert_int_equal(say(5, GATEWAY), -TERN_EAGAIN);
	arp(5, ARP_REPLY, peer_mac, GATEWAY, US);
	assert_int_equal(say(5, GATEWAY), 0);
	/* Not learnt: other networks, our own address, no address; a question for another is not answered. */
	sent_count = 0;
	arp(6, ARP_REQUEST, other_mac, 0x0b000001, US);
	assert_int_equal(sent_count, 1);
	arp(6, ARP_REQUEST, other_mac, 0, US);
	assert_int_equal(sent_count, 2);
	arp(6, ARP_REQUEST, other_mac, US, US);
	assert_int_equal(ip.counts[IP_RX_CONFLICT], 1);
	arp(6, ARP_REQUEST, other_mac, 0x0a000009, PEER);
	assert_int_equal(sent_count, 2);
	for (u32 i = 0; i < IP_ARP_MAX; i++)
		assert_true(ip.arp[i].addr != 0x0b000001 && ip.arp[i].addr != US);
}

static void test_udp(void **state)
{
	u32 len = make_udp(our_mac, PEER, 77, US, PORT, 10);

	(void)state;
	memcpy(frame + 42, "0123456789", 10);
	ip_input(&ip, 0, frame, len + 8); /* padding does not count */
	assert_int_equal(got_count, 1);
	assert_int_equal(got_len, 10);
	assert_int_equal(got_port, 77);
	assert_int_equal(got_src, PEER);
	assert_memory_equal(got, "0123456789", 10);
	frame[40] = 1; /* a checksum, a wrong one */
	ip_input(&ip, 0, frame, len);
	assert_int_equal(ip.counts[IP_RX_CSUM], 1);
	len = make_udp(our_mac, PEER, 77, US, PORT + 1, 10);
	ip_input(&ip, 0, frame, len);
	assert_int_equal(ip.counts[IP_RX_NO_PORT], 1);
	len = make_udp(our_mac, PEER, 77, PEER, PORT, 10);
	ip_input(&ip, 0, frame, len);
	len = make_udp(other_mac, PEER, 77, US, PORT, 10);
	ip_input(&ip, 0, frame, len);
	len = make_udp(our_mac, 0xe0000001, 77, US, PORT, 10);
	ip_input(&ip, 0, frame, len);
	assert_int_equal(ip.counts[IP_RX_OTHER], 3);
	len = make_udp(our_mac, PEER, 77, US, PORT, 10);
	frame[14 + 6] = 0x20; /* more fragments */
	memset(frame + 24, 0, 2);
	{
		u16 sum = (u16)~csum_fold(csum_add(0, frame + 14, 20, false));

		memcpy(frame + 24, &sum, 2);
	}
	ip_input(&ip, 0, frame, len);
	frame[14] = 0x46; /* options */
	ip_input(&ip, 0, frame, len);
	assert_int_equal(ip.counts[IP_RX_FRAGMENT], 2);
	/* Every length that does not fit. */
	for (u32 n = 0; n < 34 + 18; n++) {
		(void)make_udp(our_mac, PEER, 77, US, PORT, 10);
		ip_input(&ip, 0, frame, n);
	}
	for (u32 n = 11; n < 100; n++) {
		len = make_udp(our_mac, PEER, 77, US, PORT, 10);
		ip_put16(frame + 38, 8 + n);
		ip_input(&ip, 0, frame, len);
	}
	assert_int_equal(got_count, 1);
	assert_int_equal(ip.counts[IP_RX_UDP], 1);
	for (u32 i = 1; i < IP_PORTS_MAX; i++)
		assert_int_equal(ip_udp_bind(&ip, 1, receive, NULL), 0);
	assert_int_equal(ip_udp_bind(&ip, 1, receive, NULL), -TERN_ENOSPC);
}

static void test_echo(void **state)
{
	u32 len;
	u16 sum;

	(void)state;
	for (u32 i = 0; i < 150; i++) {
		memset(frame + 34, 0, 64);
		frame[34] = 8;
		frame[41] = (u8)i;
		memcpy(frame + 42, "ping", 4);
		sum = (u16)~csum_fold(csum_add(0, frame + 34, 64, false));
		memcpy(frame + 36, &sum, 2);
		len = make_ip4(our_mac, 1, PEER, US, 64);
		ip_input(&ip, SECOND + i, frame, len);
	}
	assert_int_equal(sent_count, 100);
	assert_int_equal(ip.counts[IP_RX_LIMITED], 50);
	assert_memory_equal(sent, peer_mac, 6);
	assert_int_equal(sent[34], 0);
	assert_int_equal(sent[41], 99);
	assert_memory_equal(sent + 42, "ping", 4);
	assert_int_equal(csum_fold(csum_add(0, sent + 34, 64, false)), 0xffff);
	ip_input(&ip, 2 * SECOND, frame, len);
	assert_int_equal(sent_count, 101);
	full = true;
	ip_input(&ip, 2 * SECOND, frame, len);
	full = false;
	frame[37] ^= 1;
	ip_input(&ip, 2 * SECOND, frame, len);
	frame[34] = 5; /* a redirect */
	ip_input(&ip, 2 * SECOND, frame, len);
	assert_int_equal(sent_count, 101);
}

/* --- DHCP --- */

static u32 xid_sent(void)
{
	return ip_get32(sent + 42 + DHCP_XID);
}

/* The value of an option of the last message sent, as a number; 0: it is not there. */
static u32 option_sent(u8 code)
{
	for (u32 at = 42 + DHCP_OPTIONS; at < sent_len && sent[at] != 255;
	     at += 2u + sent[at + 1]) {
		if (sent[at] == code)
			return sent[at + 1] == 1 ? sent[at + 2] : ip_get32(sent + at + 2);
	}
	return 0;
}

static u32 make_answer(u8 type, u32 addr, u32 server, u32 lease)
{
	u8 *p = frame + 42, *o = p + DHCP_OPTIONS;
	u32 values[][2] = {{DHCP_OPT_SERVER, server},
			   {DHCP_OPT_LEASE, lease},
			   {DHCP_OPT_MASK, 0xffffff00},
			   {DHCP_OPT_ROUTER, GATEWAY}};

	memset(frame, 0, sizeof(frame));
	p[0] = 2;
	p[1] = 1;
	p[2] = 6;
	ip_put32(p + DHCP_XID, xid_sent());
	ip_put32(p + DHCP_YIADDR, addr);
	memcpy(p + DHCP_CHADDR, our_mac, 6);
	ip_put32(p + DHCP_MAGIC, DHCP_MAGIC_VALUE);
	*o++ = DHCP_OPT_TYPE;
	*o++ = 1;
	*o++ = type;
	*o++ = DHCP_OPT_PAD;
	for (u32 i = 0; i < 4; i++, o += 6) {
		o[0] = (u8)values[i][0];
		o[1] = 4;
		ip_put32(o + 2, values[i][1]);
	}
	*o++ = 255;
	return make_udp(all, server, 67, 0xffffffff, 68, (u32)(o - p));
}

static void answer(u64 now, u8 type, u32 addr, u32 server, u32 lease)
{
	u32 len = make_answer(type, addr, server, lease);

	ip_input(&ip, now, frame, len);
}

/* The time at which something is sent. */
static u64 until_sent(u64 now)
{
	for (;;) {
		u64 next = ip_poll(&ip, now);

		if (sent_count > 0)
			return now;
		now = next;
	}
}

static u64 bind_address(u64 now, u32 lease)
{
	start(true);
	assert_int_equal(say(now, PEER), -TERN_ENODEV);
	now = until_sent(now);
	assert_true(now < SECOND);
	assert_int_equal(option_sent(DHCP_OPT_TYPE), DHCP_DISCOVER);
	assert_int_equal(ip_get16(sent + 42 + DHCP_FLAGS), 0x8000);
	assert_int_equal(ip_get32(sent + 14 + 12), 0);
	assert_int_equal(ip_get32(sent + 14 + 16), 0xffffffff);
	answer(now, DHCP_OFFER, US, SERVER, lease);
	assert_int_equal(sent_count, 2);
	assert_int_equal(option_sent(DHCP_OPT_TYPE), DHCP_REQUEST);
	assert_int_equal(option_sent(DHCP_OPT_REQUESTED), US);
	assert_int_equal(option_sent(DHCP_OPT_SERVER), SERVER);
	assert_int_equal(ip.addr, 0);
	answer(now, DHCP_ACK, US, SERVER, lease);
	assert_int_equal(ip.dhcp.state, IP_DHCP_BOUND);
	assert_int_equal(ip.addr, US);
	assert_int_equal(ip.mask, 0xffffff00);
	assert_int_equal(ip.gateway, GATEWAY);
	return now;
}

static void test_dhcp_lease(void **state)
{
	u64 now = bind_address(0, 3600), began = now;

	(void)state;
	assert_int_equal(ip_poll(&ip, now), now + 1800 * SECOND);
	now += 1800 * SECOND;
	(void)ip_poll(&ip, now); /* RENEWING wants the server's MAC address first */
	assert_int_equal(ip.dhcp.state, IP_DHCP_RENEWING);
	assert_int_equal(ip_get16(sent + 12), 0x0806);
	assert_int_equal(ip_get32(sent + 14 + 24), SERVER);
	arp(now, ARP_REPLY, peer_mac, SERVER, US);
	now = ip_poll(&ip, now);
	(void)ip_poll(&ip, now);
	assert_memory_equal(sent, peer_mac, 6);
	assert_int_equal(option_sent(DHCP_OPT_TYPE), DHCP_REQUEST);
	assert_int_equal(option_sent(DHCP_OPT_REQUESTED), 0);
	assert_int_equal(ip_get32(sent + 42 + DHCP_CIADDR), US);
	assert_int_equal(ip_get32(sent + 14 + 16), SERVER);
	answer(now, DHCP_ACK, US, SERVER + 1, 3600); /* another server cannot */
	assert_int_equal(ip.dhcp.state, IP_DHCP_RENEWING);
	answer(now, DHCP_ACK, US, SERVER, 3600);
	assert_int_equal(ip.dhcp.state, IP_DHCP_BOUND);
	assert_int_equal(ip.dhcp.ends, now + 3600 * SECOND);
	/* Nobody answers: all servers are asked from T2 on, and at the end the address is gone. */
	began = now;
	for (u64 next = now; ip.dhcp.state != IP_DHCP_REBINDING;) {
		now = next;
		next = ip_poll(&ip, now);
	}
	assert_int_equal(now, began + 3150 * SECOND);
	assert_memory_equal(sent, all, 6);
	answer(now, DHCP_ACK, US, SERVER + 1, 3600);
	assert_int_equal(ip.dhcp.state, IP_DHCP_BOUND);
	began = now;
	for (u64 next = now; ip.dhcp.state != IP_DHCP_SELECTING;) {
		assert_int_equal(ip.addr, US);
		now = next;
		next = ip_poll(&ip, now);
	}
	assert_int_equal(ip.addr, 0);
	assert_int_equal(now, began + 3600 * SECOND);
}

static void test_dhcp_refused(void **state)
{
	u64 now = 0;
	u32 len;

	(void)state;
	(void)bind_address(0, UINT32_MAX);
	assert_int_equal(ip_poll(&ip, SECOND), UINT64_MAX);
	start(true);
	now = until_sent(now);
	/* Retries get rarer. */
	for (u64 before = now, wait = 0; sent_count < 6; before = now) {
		now = ip_poll(&ip, now);
		(void)ip_poll(&ip, now);
		assert_true(now - before >= wait);
		wait = now - before > 60 * SECOND ? 60 * SECOND : now - before;
	}
	/* Not for us, or nonsense. */
	len = make_answer(DHCP_OFFER, US, SERVER, 60);
	frame[42 + DHCP_XID] ^= 1;
	ip_input(&ip, now, frame, len);
	len = make_answer(DHCP_OFFER, US, SERVER, 60);
	frame[42 + DHCP_CHADDR] ^= 1;
	ip_input(&ip, now, frame, len);
	answer(now, DHCP_OFFER, 0x7f000001, SERVER, 60);
	answer(now, DHCP_OFFER, 0x0a0000ff, SERVER, 60); /* the broadcast address */
	answer(now, DHCP_OFFER, US, 0, 60);
	answer(now, DHCP_OFFER, US, SERVER, 0);
	answer(now, DHCP_ACK, US, SERVER, 60); /* nobody asked */
	assert_int_equal(ip.dhcp.state, IP_DHCP_SELECTING);
	/* Cut at every byte: the end mark is missing. */
	len = make_answer(DHCP_OFFER, US, SERVER, 60) - 42;
	for (u32 n = 0; n < len; n++) {
		struct ip_offer o;

		assert_false(ip_parse_dhcp(frame + 42, n, xid_sent(), our_mac, &o));
	}
	answer(now, DHCP_OFFER, US, SERVER, 60);
	assert_int_equal(ip.dhcp.state, IP_DHCP_REQUESTING);
	answer(now, DHCP_NAK, 0, SERVER, 60);
	assert_int_equal(ip.dhcp.state, IP_DHCP_SELECTING);
	sent_count = 0;
	now = until_sent(now);
	answer(now, DHCP_OFFER, US, SERVER, 60);
	for (u32 i = 0; ip.dhcp.state == IP_DHCP_REQUESTING; i++) {
		assert_true(i < 5);
		now = ip_poll(&ip, now);
	}
	assert_int_equal(ip.dhcp.state, IP_DHCP_SELECTING);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_resolve, setup),
		cmocka_unit_test_setup(test_resolve_fails_and_refreshes, setup),
		cmocka_unit_test_setup(test_arp_strangers, setup),
		cmocka_unit_test_setup(test_udp, setup),
		cmocka_unit_test_setup(test_echo, setup),
		cmocka_unit_test_setup(test_dhcp_lease, setup),
		cmocka_unit_test_setup(test_dhcp_refused, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
