/* SPDX-License-Identifier: MIT */
/*
 * TCP packets for the tests of offloads: built field by field, and what each of their segments must be. The
 * segment is built from scratch, not by changing the packet, and sums are added word by word.
 */
#ifndef NET_ORACLE_H
#define NET_ORACLE_H

#include <string.h>
#include <tern/vpacket.h>

struct oracle_tcp {
	bool v6;
	u32 tags;        /* VLAN tags: 0 to 2 */
	u32 ext;         /* IPv6: extension headers of 8 and 16 bytes: 0 to 2 */
	u32 ip_options;  /* IPv4: words of options, 0 to 10 */
	u32 tcp_options; /* words, 0 to 10 */
	u32 payload, mss;
	u8 flags;
	u16 id;
	u32 seq, seed;
};

static inline u16 oracle_sum(const u8 *p, size_t n, u32 sum)
{
	for (size_t i = 0; i < n; i++) {
		sum += i % 2 == 0 ? (u32)p[i] << 8 : p[i];
		if (sum > 0xffff)
			sum -= 0xffff;
	}
	return (u16)sum;
}

static inline void oracle_be16(u8 *p, u32 v)
{
	p[0] = (u8)(v >> 8);
	p[1] = (u8)v;
}

/* Puts the checksum of [start, len) at start + offset, over the seed that is there. */
static inline void oracle_put_csum(u8 *frame, u32 len, u32 start, u32 offset)
{
	u16 v = (u16)~oracle_sum(frame + start, len - start, 0);

	oracle_be16(frame + start + offset, v == 0 ? 0xffff : v);
}

static inline u32 oracle_ip_at(const struct oracle_tcp *t)
{
	return 14 + 4 * t->tags;
}

static inline u32 oracle_tcp_at(const struct oracle_tcp *t)
{
	u32 ext = t->ext == 0 ? 0 : t->ext == 1 ? 8 : 24;

	return oracle_ip_at(t) + (t->v6 ? 40 + ext : 20 + 4 * t->ip_options);
}

static inline u32 oracle_header_len(const struct oracle_tcp *t)
{
	return oracle_tcp_at(t) + 20 + 4 * t->tcp_options;
}

static inline struct vpacket_offload oracle_offload(const struct oracle_tcp *t)
{
	return (struct vpacket_offload){.needs_csum = true,
					.ecn = (t->flags & 0x80) != 0,
					.gso = t->v6 ? VPACKET_GSO_TCP6 : VPACKET_GSO_TCP4,
					.gso_size = (u16)t->mss,
					.csum_start = (u16)oracle_tcp_at(t),
					.csum_offset = 16};
}

/* The sum of addresses, protocol and length of TCP. */
static inline u16 oracle_pseudo(const struct oracle_tcp *t, const u8 *frame, u32 tcp_len)
{
	const u8 *ip = frame + oracle_ip_at(t);
	u16 sum = t->v6 ? oracle_sum(ip + 8, 32, 0) : oracle_sum(ip + 12, 8, 0);
	u8 tail[4] = {0, 6, (u8)(tcp_len >> 8), (u8)tcp_len};

	return oracle_sum(tail, 4, sum);
}

static inline void oracle_ip(const struct oracle_tcp *t, u8 *ip, u32 tcp_len, u32 id)
{
	u32 header = oracle_tcp_at(t) - oracle_ip_at(t);

	for (u32 i = 0; i < header; i++)
		ip[i] = (u8)(t->seed + 3 * i);
	if (t->v6) {
		ip[0] = 0x60;
		oracle_be16(ip + 4, header - 40 + tcp_len);
		ip[6] = t->ext == 0 ? 6 : t->ext == 1 ? 0 : 43;
		if (t->ext == 1) {
			ip[40] = 6;
			ip[41] = 0;
		} else if (t->ext == 2) {
			ip[40] = 60;
			ip[41] = 1;
			ip[56] = 6;
			ip[57] = 0;
		}
		return;
	}
	ip[0] = (u8)(0x40 | header / 4);
	oracle_be16(ip + 2, header + tcp_len);
	oracle_be16(ip + 4, id);
	oracle_be16(ip + 6, 0x4000);
	ip[9] = 6;
	oracle_be16(ip + 10, 0);
	oracle_be16(ip + 10, (u16)~oracle_sum(ip, header, 0));
}

/* A frame with n bytes of payload from byte first on; the TCP checksum is the pseudo header's sum. */
static inline u32 oracle_frame(const struct oracle_tcp *t, u32 first, u32 n, u32 index, u8 flags,
			       u8 *frame)
{
	u32 tcp_at = oracle_tcp_at(t), end = oracle_header_len(t), seq = t->seq + first;
	u8 *tcp = frame + tcp_at;

	memset(frame, 0, end);
	memcpy(frame, "\x02\x54\0\0\0\1\x02\x54\0\0\0\2", 12);
	for (u32 i = 0; i < t->tags; i++)
		oracle_be16(frame + 12 + 4 * i, i == 0 && t->tags == 2 ? 0x88a8 : 0x8100);
	oracle_be16(frame + oracle_ip_at(t) - 2, t->v6 ? 0x86dd : 0x0800);
	oracle_ip(t, frame + oracle_ip_at(t), end - tcp_at + n, t->id + index);
	for (u32 i = 0; i < end - tcp_at; i++)
		tcp[i] = (u8)(t->seed * 5 + i);
	oracle_be16(tcp + 4, seq >> 16);
	oracle_be16(tcp + 6, seq);
	tcp[12] = (u8)((end - tcp_at) / 4 << 4);
	tcp[13] = flags;
	for (u32 i = 0; i < n; i++)
		frame[end + i] = (u8)((first + i) * 7 + (first + i) / 251 + t->seed);
	oracle_be16(tcp + 16, oracle_pseudo(t, frame, end - tcp_at + n));
	return end + n;
}

/* The packet as a driver sends it. */
static inline u32 oracle_build(const struct oracle_tcp *t, u8 *frame)
{
	return oracle_frame(t, 0, t->payload, 0, t->flags, frame);
}

/* Its segment number i, complete. */
static inline u32 oracle_segment(const struct oracle_tcp *t, u32 i, u8 *frame)
{
	u32 first = i * t->mss, n = t->payload - first;
	u8 flags = t->flags;
	u32 len;

	if (n > t->mss) {
		n = t->mss;
		flags &= 0xf6; /* FIN and PSH are the last one's */
	}
	if (i > 0)
		flags &= 0x7f; /* CWR is the first one's */
	len = oracle_frame(t, first, n, i, flags, frame);
	oracle_put_csum(frame, len, oracle_tcp_at(t), 16);
	return len;
}

/* Whether a receiver would take it: both sums are all ones. */
static inline bool oracle_valid(const struct oracle_tcp *t, const u8 *frame, u32 len)
{
	u32 ip = oracle_ip_at(t), tcp = oracle_tcp_at(t);

	if (!t->v6 && oracle_sum(frame + ip, tcp - ip, 0) != 0xffff)
		return false;
	return oracle_sum(frame + tcp, len - tcp, oracle_pseudo(t, frame, len - tcp)) == 0xffff;
}

#endif
