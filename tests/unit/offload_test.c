/* SPDX-License-Identifier: MIT */
/* links: hv/net/offload.c hv/net/vpacket.c tests/fake/fake_frames.c tests/fake/fake_host.c */
/* Checksums and segments, judged by an oracle that adds 16-bit words one by one and reads headers itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <hv/net/offload.h>
#include <tern/vpacket.h>
#include <tests/fake/fake_frames.h>
#include <tests/fake/fake_host.h>
#include <tests/fake/net_oracle.h>

static u8 frame[VPACKET_MAX], out[VPACKET_MAX];

static int setup(void **state)
{
	(void)state;
	fake_reset();
	fake_frames_reset(256);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	assert_int_equal(fake_frames_used(), 0);
	return 0;
}

static struct vpacket *packet(const struct oracle_tcp *t)
{
	u32 len = oracle_build(t, frame);
	struct vpacket *p = vpacket_alloc(len);

	assert_non_null(p);
	vpacket_write(p, 0, frame, len);
	p->offload = oracle_offload(t);
	return p;
}

/* Cuts a packet and compares every byte with what the oracle makes of it. */
static void cut(const struct oracle_tcp *t)
{
	struct vpacket_cut c = {.p = packet(t)};
	static u8 want[VPACKET_MAX];
	u32 segments = 0;

	assert_true(vpacket_check(c.p));
	assert_int_equal(c.p->offload.header_len, oracle_header_len(t));
	while (c.p != NULL) {
		struct vpacket *p = vpacket_cut_next(&c);
		u32 len = oracle_segment(t, segments++, want);

		assert_non_null(p);
		assert_int_equal(p->len, len);
		assert_false(p->offload.needs_csum);
		assert_int_equal(p->offload.gso, VPACKET_GSO_NONE);
		vpacket_read(p, 0, out, len);
		assert_memory_equal(out, want, len);
		assert_true(oracle_valid(t, out, len));
		vpacket_put(p);
	}
	assert_int_equal(segments, (t->payload + t->mss - 1) / t->mss);
}

static void test_segments(void **state)
{
	static const u32 payloads[] = {1, 1459, 1460, 1461, 2920, 40000, 65400};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(payloads); i++) {
		for (u32 k = 0; k < 16; k++) {
			struct oracle_tcp t = {.v6 = (k & 1) != 0,
					       .tags = (k >> 1) % 3,
					       .ext = k % 3,
					       .ip_options = k % 11,
					       .tcp_options = k % 10,
					       .payload = payloads[i],
					       .mss = k < 8 ? 1460 : 48 + 97 * k,
					       .flags = (u8)(k * 17),
					       .seed = i * 16 + k};

			cut(&t);
		}
	}
}

/* IP id and sequence number wrap. */
static void test_wraps(void **state)
{
	struct oracle_tcp t = {
		.payload = 10000, .mss = 1000, .flags = 0xff, .id = 0xfffe, .seq = 0xffffff00};

	(void)state;
	cut(&t);
}

/* Every field that a guest can make wrong. */
static void test_refused(void **state)
{
	struct oracle_tcp t = {.payload = 3000, .mss = 1000, .seed = 1};
	const struct {
		u32 at;
		u8 value;
	} bad[] = {
		{12, 0x86}, /* EtherType */
		{14, 0x65}, /* version */
		{14, 0x44}, /* header shorter than it can be */
		{20, 0x20}, /* a fragment */
		{21, 0x01}, /* the second one */
		{23, 17},   /* UDP */
		{46, 0x40}, /* TCP header shorter than it can be */
	};
	struct vpacket *p = packet(&t);
	struct vpacket_offload good = p->offload;

	(void)state;
	assert_true(vpacket_check(p));
	for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
		vpacket_write(p, bad[i].at, &bad[i].value, 1);
		if (vpacket_check(p))
			fail_msg("byte %u", bad[i].at);
		vpacket_write(p, 0, frame, 60);
	}
#define REFUSED(field, value)                   \
	do {                                    \
		p->offload = good;              \
		p->offload.field = (value);     \
		assert_false(vpacket_check(p)); \
		p->offload = good;              \
		assert_true(vpacket_check(p));  \
	} while (0)
	REFUSED(needs_csum, false);
	REFUSED(gso_size, 0);
	REFUSED(gso_size, 47);
	REFUSED(gso_size, 65535);
	REFUSED(csum_start, 33);
	REFUSED(csum_start, 65535);
	REFUSED(csum_offset, 6);
	REFUSED(csum_offset, 65535);
	REFUSED(gso, VPACKET_GSO_TCP6);
	REFUSED(gso, 7);
	vpacket_put(p);
	/* Nothing to cut, and headers that go on behind the end. */
	for (u32 len = 15; len <= 54; len++) {
		p = vpacket_alloc(len);
		vpacket_write(p, 0, frame, len);
		p->offload = good;
		assert_false(vpacket_check(p));
		vpacket_put(p);
	}
}

static void test_refused_v6(void **state)
{
	struct oracle_tcp t = {.v6 = true, .ext = 2, .payload = 100, .mss = 100, .seed = 3};
	struct vpacket *p = packet(&t);
	u8 value = 44; /* a fragment header */

	(void)state;
	assert_true(vpacket_check(p));
	vpacket_write(p, 20, &value, 1);
	assert_false(vpacket_check(p));
	value = 0; /* hop-by-hop for ever: what follows is payload */
	vpacket_write(p, 20, &value, 1);
	for (u32 i = 54; i < p->len; i++)
		vpacket_write(p, i, &value, 1);
	assert_false(vpacket_check(p));
	value = 0xff; /* past the end */
	vpacket_write(p, 55, &value, 1);
	assert_false(vpacket_check(p));
	vpacket_put(p);
}

/* Any start and length, also across pages; 0 becomes 0xffff; a shared packet stays as it is. */
static void test_csum(void **state)
{
	(void)state;
	srand(1);
	for (u32 round = 0; round < 600; round++) {
		u32 len = 2 + (u32)rand() % (round % 20 == 0 ? VPACKET_MAX - 2 : 5000);
		u32 start = (u32)((u64)rand() % min_u64(len - 1, 65536));
		u32 offset = (u32)((u64)rand() % min_u64(len - 1 - start, 65536));
		struct vpacket *p = vpacket_alloc(len), *own;

		for (u32 i = 0; i < len; i++)
			frame[i] = round == 7 ? 0 : (u8)rand();
		vpacket_write(p, 0, frame, len);
		p->offload = (struct vpacket_offload){
			.needs_csum = true, .csum_start = (u16)start, .csum_offset = (u16)offset};
		assert_true(vpacket_check(p));
		if (round % 2 == 0)
			vpacket_get(p);
		own = vpacket_finish_csum(p);
		assert_non_null(own);
		assert_int_equal(own == p, round % 2 == 1);
		if (own != p) {
			vpacket_read(p, 0, out, len);
			assert_memory_equal(out, frame, len);
			assert_true(p->offload.needs_csum);
			vpacket_put(p);
		}
		oracle_put_csum(frame, len, start, offset);
		vpacket_read(own, 0, out, len);
		assert_memory_equal(out, frame, len);
		assert_false(own->offload.needs_csum);
		vpacket_put(own);
	}
	/* The two bytes themselves do not fit. */
	struct vpacket_offload o = {.needs_csum = true, .csum_start = 20, .csum_offset = 9};

	assert_false(offload_check(&o, frame, 30, 30));
	o.csum_offset = 8;
	assert_true(offload_check(&o, frame, 30, 30));
}

static void test_must_cut(void **state)
{
	struct vpacket p = {.offload = {.gso = VPACKET_GSO_NONE}};
	u32 both = VPACKET_CAN_CSUM | VPACKET_CAN_TCP4;

	(void)state;
	assert_false(vpacket_must_cut(&p, 0));
	p.offload.gso = VPACKET_GSO_TCP4;
	assert_true(vpacket_must_cut(&p, VPACKET_CAN_CSUM | VPACKET_CAN_TCP6 | VPACKET_CAN_ECN));
	assert_false(vpacket_must_cut(&p, both));
	p.offload.ecn = true;
	assert_true(vpacket_must_cut(&p, both));
	assert_false(vpacket_must_cut(&p, both | VPACKET_CAN_ECN));
	p.offload.gso = VPACKET_GSO_TCP6;
	assert_true(vpacket_must_cut(&p, both | VPACKET_CAN_ECN));
	assert_false(vpacket_must_cut(&p, VPACKET_CAN_TCP6 | VPACKET_CAN_ECN));
}

/* Wherever memory ends, nothing is lost and nothing is leaked. */
static void test_no_memory(void **state)
{
	struct oracle_tcp t = {.payload = 20000, .mss = 6000, .seed = 5};
	struct vpacket_cut c = {.p = packet(&t)};
	struct vpacket *p;

	(void)state;
	assert_true(vpacket_check(c.p));
	for (u32 left = 0; left < 2; left++) {
		fake_frames_left = left;
		assert_null(vpacket_cut_next(&c));
		assert_int_equal(c.index, 0);
	}
	vpacket_get(c.p);
	fake_frames_left = 3;
	assert_null(vpacket_finish_csum(c.p));
	vpacket_put(c.p);
	fake_frames_left = UINT32_MAX;
	for (u32 i = 0; i < 4; i++) {
		p = vpacket_cut_next(&c);
		assert_int_equal(p->len, oracle_segment(&t, i, out));
		vpacket_put(p);
	}
	assert_null(c.p);
	fake_frames_left = 5;
	assert_null(vpacket_alloc(VPACKET_MAX));
	fake_frames_left = UINT32_MAX;
	p = vpacket_alloc(VPACKET_MAX);
	assert_int_equal(vpacket_memory(p), 17 * PAGE_SIZE);
	vpacket_put(p);
	FAKE_EXPECT_PANIC((void)!vpacket_alloc(VPACKET_MAX + 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_segments, setup, teardown),
		cmocka_unit_test_setup_teardown(test_wraps, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused_v6, setup, teardown),
		cmocka_unit_test_setup_teardown(test_csum, setup, teardown),
		cmocka_unit_test_setup_teardown(test_must_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_memory, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
