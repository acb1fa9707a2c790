/* SPDX-License-Identifier: MIT */
/*
 * What a sender left to do, done in software for a receiver that wants it done: checksums, and TCP segments.
 * The header is parsed when the packet enters the switch; once checked, nothing here can fail.
 */
#include "offload.h"

#include "net_regs.h"

#include <tern/err.h>
#include <tern/lib.h>

/* The least that Linux lets a peer ask for; it bounds the segments of one packet. */
#define GSO_SIZE_MIN 48u

static u32 get16(const u8 *p)
{
	return (u32)p[0] << 8 | p[1];
}

static u32 get32(const u8 *p)
{
	return get16(p) << 16 | get16(p + 2);
}

static void put16(u8 *p, u32 v)
{
	p[0] = (u8)(v >> 8);
	p[1] = (u8)v;
}

static void put32(u8 *p, u32 v)
{
	put16(p, v >> 16);
	put16(p + 2, v);
}

u16 csum_fold(u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (u16)(sum + (sum >> 16));
}

u32 csum_add(u32 sum, const u8 *data, size_t n, bool odd)
{
	u64 wide = 0;
	u32 word;
	u16 half = 0;

	for (; n >= sizeof(word); n -= sizeof(word), data += sizeof(word)) {
		memcpy(&word, data, sizeof(word));
		wide += word;
	}
	for (size_t i = 0; i < n; i++)
		wide += (u64)data[i] << (i % 2 * 8);
	wide = (wide & UINT32_MAX) + (wide >> 32);
	half = csum_fold((u32)((wide & UINT32_MAX) + (wide >> 32)));
	/* At an odd byte every byte is the other half of its 16-bit word. */
	if (odd)
		half = (u16)(half << 8 | half >> 8);
	return csum_fold(sum) + (u32)half;
}

/* --- the headers of a TCP packet --- */

struct headers {
	u32 ip;  /* offset of the IP header */
	u32 tcp; /* offset of the TCP header */
	u32 end; /* offset of the payload */
	bool v6;
};

/* Offset of the IP header and its EtherType, behind at most two tags. */
static bool parse_eth(const u8 *frame, u32 len, u32 *ip, u32 *type)
{
	u32 at = ETH_TYPE;

	for (u32 i = 0; i <= ETH_TAGS_MAX; i++, at += ETH_TAG) {
		if (at + 2 > len)
			return false;
		*type = get16(frame + at);
		if (*type != ETH_TYPE_VLAN && *type != ETH_TYPE_QINQ) {
			*ip = at + 2;
			return true;
		}
	}
	return false;
}

static bool parse_ip4(const u8 *frame, u32 len, struct headers *h)
{
	const u8 *ip = frame + h->ip;
	u32 header;

	if (len - h->ip < IP4_HEADER || ip[IP4_VERSION_IHL] >> 4 != 4)
		return false;
	header = (ip[IP4_VERSION_IHL] & 0xfu) * 4;
	if (header < IP4_HEADER || (get16(ip + IP4_FRAGMENT) & IP4_MORE_OFFSET) != 0 ||
	    ip[IP4_PROTOCOL] != IP_TCP)
		return false;
	h->tcp = h->ip + header;
	return true;
}

static bool parse_ip6(const u8 *frame, u32 len, struct headers *h)
{
	const u8 *ip = frame + h->ip;
	u8 next;

	if (len - h->ip < IP6_HEADER || ip[0] >> 4 != 6)
		return false;
	next = ip[IP6_NEXT];
	h->tcp = h->ip + IP6_HEADER;
	for (u32 i = 0; next != IP_TCP; i++) {
		if ((next != IP6_HOP_BY_HOP && next != IP6_ROUTING && next != IP6_DEST) ||
		    i == IP6_EXT_MAX || h->tcp + 8 > len)
			return false;
		next = frame[h->tcp];
		h->tcp += (frame[h->tcp + 1] + 1u) * 8;
	}
	return true;
}

/* len: bytes at frame. */
static bool parse(const u8 *frame, u32 len, struct headers *h)
{
	u32 type, header;

	if (!parse_eth(frame, len, &h->ip, &type) || (type != ETH_TYPE_IP4 && type != ETH_TYPE_IP6))
		return false;
	h->v6 = type == ETH_TYPE_IP6;
	if (!(h->v6 ? parse_ip6(frame, len, h) : parse_ip4(frame, len, h)))
		return false;
	if (h->tcp + TCP_HEADER > len)
		return false;
	header = (u32)(frame[h->tcp + TCP_DATA_OFFSET] >> 4) * 4;
	h->end = h->tcp + header;
	return header >= TCP_HEADER && h->end <= len;
}

static bool check_gso(struct vpacket_offload *o, const u8 *frame, u32 flat, u32 len)
{
	struct headers h;

	if (!o->needs_csum || o->gso_size < GSO_SIZE_MIN || !parse(frame, flat, &h))
		return false;
	if (h.v6 != (o->gso == VPACKET_GSO_TCP6) || o->csum_start != h.tcp ||
	    o->csum_offset != TCP_CSUM || h.end >= len)
		return false;
	/* A segment's length must fit its IP header and a packet of ours. */
	if (h.end - h.ip + (u64)o->gso_size > UINT16_MAX)
		return false;
	o->header_len = (u16)h.end;
	return true;
}

bool offload_check(struct vpacket_offload *o, const u8 *frame, u32 flat, u32 len)
{
	if (o->needs_csum && (u64)o->csum_start + o->csum_offset + 2 > len)
		return false;
	switch (o->gso) {
	case VPACKET_GSO_NONE:
		return true;
	case VPACKET_GSO_TCP4:
	case VPACKET_GSO_TCP6:
		return check_gso(o, frame, flat, len);
	}
	return false;
}

/* --- segments --- */

/* The sum of the pseudo header of RFC 9293 section 3.1 and RFC 8200 section 8.1. */
static u16 pseudo_header(const u8 *addrs, u32 addrs_len, u32 tcp_len)
{
	const u8 tail[4] = {0, IP_TCP, (u8)(tcp_len >> 8), (u8)tcp_len};

	return csum_fold(csum_add(csum_add(0, addrs, addrs_len, false), tail, sizeof(tail), false));
}

static u16 segment_ip4(u8 *ip, u32 header, u32 index, u32 tcp_len)
{
	u16 csum = 0;

	put16(ip + IP4_LENGTH, header + tcp_len);
	put16(ip + IP4_ID, get16(ip + IP4_ID) + index);
	memcpy(ip + IP4_CSUM, &csum, sizeof(csum));
	csum = (u16)~csum_fold(csum_add(0, ip, header, false));
	memcpy(ip + IP4_CSUM, &csum, sizeof(csum));
	return pseudo_header(ip + IP4_SRC, IP4_ADDRS_LEN, tcp_len);
}

static u16 segment_ip6(u8 *ip, u32 header, u32 tcp_len)
{
	put16(ip + IP6_LENGTH, header - IP6_HEADER + tcp_len);
	return pseudo_header(ip + IP6_SRC, IP6_ADDRS_LEN, tcp_len);
}

void offload_segment(u8 *header, const struct vpacket_offload *o, u32 index, u32 done, u32 payload,
		     bool last)
{
	u8 *tcp = header + o->csum_start;
	u32 tcp_len = o->header_len - o->csum_start + payload, ip_at, type;
	bool known = parse_eth(header, o->header_len, &ip_at, &type);

	u16 seed;

	ASSERT(known);
	if (o->gso == VPACKET_GSO_TCP4)
		seed = segment_ip4(header + ip_at, o->csum_start - ip_at, index, tcp_len);
	else
		seed = segment_ip6(header + ip_at, o->csum_start - ip_at, tcp_len);
	put32(tcp + TCP_SEQ, get32(tcp + TCP_SEQ) + done);
	if (!last)
		tcp[TCP_FLAGS] &= (u8) ~(TCP_FIN | TCP_PSH);
	if (index > 0)
		tcp[TCP_FLAGS] &= (u8)~TCP_CWR;
	memcpy(tcp + TCP_CSUM, &seed, sizeof(seed));
}
