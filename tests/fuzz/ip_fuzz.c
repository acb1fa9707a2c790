/* SPDX-License-Identifier: MIT */
/* links: hv/net/ip.c hv/net/ip_arp.c hv/net/ip_dhcp.c hv/net/ip_parse.c hv/net/offload.c */
/*
 * Frames from a hostile wire: the input is a list of frames (two bytes of length, then the frame, which lies in
 * memory of just its size). The first byte chooses a fixed address or DHCP; a frame of length 0 lets 5 s pass. Bits
 * of the second byte of a length put right what chance would not: checksums, and the DHCP client's number.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <hv/net/ip_internal.h>
#include <hv/net/offload.h>
#include <tern/err.h>

#define REQUIRE(cond)            \
	do {                     \
		if (!(cond))     \
			abort(); \
	} while (0)
#define FIX_CSUM 0x80u
#define FIX_XID  0x40u

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static u8 buffer[1514];
static u32 sent;

void panic_at(const char *file, int line, const char *fmt, ...)
{
	(void)file;
	(void)line;
	(void)fmt;
	abort();
}

static u8 *take_buffer(void *ctx)
{
	(void)ctx;
	return buffer;
}

static void send_frame(void *ctx, u8 *frame, u32 len)
{
	(void)ctx;
	REQUIRE(frame == buffer && len >= 60 && len <= sizeof(buffer));
	sent++;
}

static void receive(void *ctx, u64 now, u32 src, u16 port, u8 *payload, u32 len)
{
	u8 sum = 0;

	(void)ctx;
	(void)now;
	(void)src;
	(void)port;
	for (u32 i = 0; i < len; i++)
		sum = (u8)(sum + payload[i]);
	if (len > 0)
		payload[len - 1] = sum;
}

static void put_right(const struct ip *ip, u8 *f, u32 len, u8 fix)
{
	u16 sum;

	if (len < 34 || ip_get16(f + 12) != 0x0800)
		return;
	if ((fix & FIX_CSUM) != 0) {
		memcpy(f, ip->link.mac, 6);
		memset(f + 24, 0, 2);
		sum = (u16)~csum_fold(csum_add(0, f + 14, 20, false));
		memcpy(f + 24, &sum, 2);
		if (len > 42)
			memset(f + 40, 0, f[23] == IP_UDP ? 2 : 0);
	}
	if ((fix & FIX_XID) != 0 && len > 42 + DHCP_OPTIONS) {
		ip_put32(f + 42 + DHCP_XID, ip->dhcp.xid);
		memcpy(f + 42 + DHCP_CHADDR, ip->link.mac, 6);
	}
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct ip_link link = {
		.mac = {2, 0, 0, 0, 0, 1}, .mtu = 1500, .buffer = take_buffer, .send = send_frame};
	struct ip_config config = {.addr = 0x0a000001, .mask = 0xffffff00};
	static struct ip ip;
	u64 now = 0;

	if (size < 1)
		return 0;
	config.dhcp = (data[0] & 1) != 0;
	ip_init(&ip, &link, &config, 7, now);
	REQUIRE(ip_udp_bind(&ip, 7837, receive, NULL) == 0);
	for (size_t at = 1; at + 2 <= size;) {
		u32 len = data[at] | (u32)(data[at + 1] & 7) << 8;
		u8 fix = data[at + 1], *f;
		u64 next;

		at += 2;
		len = (u32)min_u64(len, size - at);
		if (len == 0)
			now += 5000000;
		f = malloc(len > 0 ? len : 1);
		REQUIRE(f != NULL);
		memcpy(f, data + at, len);
		at += len;
		put_right(&ip, f, len, fix);
		sent = 0;
		ip_input(&ip, now, f, len);
		REQUIRE(sent <= 1); /* nobody can make us say more than he said */
		free(f);
		next = ip_poll(&ip, now);
		REQUIRE(next > now);
		REQUIRE(ip.addr == 0 || (ip_is_host(ip.addr) && ip.mask != 0));
	}
	return 0;
}
