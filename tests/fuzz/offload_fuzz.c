/* SPDX-License-Identifier: MIT */
/* links: hv/net/offload.c hv/net/vpacket.c tests/fake/fake_frames.c tests/fake/fake_host.c */
/*
 * A hostile packet with a hostile offload header: the first ten bytes are the header, then two bytes of length, to
 * which the rest is repeated. What the check lets through is finished and cut, and the segments must carry the
 * packet's payload in order, each with lengths and checksums that a receiver takes.
 */
#include <stdlib.h>
#include <string.h>

#include <tern/vpacket.h>
#include <tests/fake/fake_frames.h>
#include <tests/fake/fake_host.h>
#include <tests/fake/net_oracle.h>

#define REQUIRE(cond)            \
	do {                     \
		if (!(cond))     \
			abort(); \
	} while (0)
#define HEADER 12u

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static u8 frame[VPACKET_MAX], out[VPACKET_MAX];

static u32 be16(const u8 *p)
{
	return (u32)p[0] << 8 | p[1];
}

static struct vpacket *packet(const u8 *data, size_t size)
{
	u32 len = 14 + be16(data + 10) % (VPACKET_MAX - 14);
	struct vpacket *p = vpacket_alloc(len);

	memset(frame, 0, len);
	for (u32 at = 0, n; size > HEADER && at < len; at += n) {
		n = (u32)min_u64(len - at, size - HEADER);
		memcpy(frame + at, data + HEADER, n);
	}
	vpacket_write(p, 0, frame, len);
	p->offload = (struct vpacket_offload){
		.needs_csum = (data[0] & 1) != 0,
		.ecn = (data[0] & 2) != 0,
		.gso = data[1] % 4,
		.gso_size = (u16)be16(data + 2),
		.csum_start = (u16)be16(data + 4),
		.csum_offset = (u16)be16(data + 6),
		.header_len = (u16)be16(data + 8),
	};
	return p;
}

/* One segment, payload bytes done before it. */
static void check_segment(const struct vpacket_offload *o, u32 len, u32 done, u32 n)
{
	u32 ip = 12, header = o->header_len, tcp = o->csum_start;
	bool v6 = o->gso == VPACKET_GSO_TCP6;
	struct oracle_tcp t = {.v6 = v6};
	u32 seq = be16(frame + tcp + 4) << 16 | be16(frame + tcp + 6);

	while (be16(frame + ip) == 0x8100 || be16(frame + ip) == 0x88a8)
		ip += 4;
	ip += 2;
	t.tags = (ip - 14) / 4;
	REQUIRE(memcmp(out + header, frame + header + done, len - header) == 0);
	REQUIRE(v6 ? be16(out + ip + 4) == len - ip - 40 : be16(out + ip + 2) == len - ip);
	REQUIRE(v6 || oracle_sum(out + ip, tcp - ip, 0) == 0xffff);
	REQUIRE(v6 || be16(out + ip + 4) == ((be16(frame + ip + 4) + n) & 0xffff));
	REQUIRE((be16(out + tcp + 4) << 16 | be16(out + tcp + 6)) == seq + done);
	REQUIRE(oracle_sum(out + tcp, len - tcp, oracle_pseudo(&t, out, len - tcp)) == 0xffff);
}

static void cut(struct vpacket *p)
{
	const struct vpacket_offload o = p->offload;
	struct vpacket_cut c = {.p = p};
	u32 done = 0, total = p->len;

	REQUIRE(o.header_len > o.csum_start && o.header_len < total);
	for (u32 n = 0; c.p != NULL; n++) {
		struct vpacket *s = vpacket_cut_next(&c);

		REQUIRE(s != NULL && s->len > o.header_len && s->len <= o.header_len + o.gso_size);
		vpacket_read(s, 0, out, s->len);
		check_segment(&o, s->len, done, n);
		done += s->len - o.header_len;
		vpacket_put(s);
	}
	REQUIRE(done == total - o.header_len);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct vpacket *p;

	static bool ready;

	if (size < HEADER)
		return 0;
	if (!ready)
		fake_reset();
	ready = true;
	fake_frames_reset(64);
	p = packet(data, size);
	if (!vpacket_check(p)) {
		vpacket_put(p);
	} else if (vpacket_must_cut(p, 0)) {
		cut(p);
	} else if (p->offload.needs_csum) {
		oracle_put_csum(frame, p->len, p->offload.csum_start, p->offload.csum_offset);
		p = vpacket_finish_csum(p);
		REQUIRE(p != NULL);
		vpacket_read(p, 0, out, p->len);
		REQUIRE(memcmp(out, frame, p->len) == 0);
		vpacket_put(p);
	} else {
		vpacket_put(p);
	}
	REQUIRE(fake_frames_used() == 0);
	return 0;
}
