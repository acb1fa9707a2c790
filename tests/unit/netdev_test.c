/* SPDX-License-Identifier: MIT */
/* links: hv/net/netdev.c hv/net/netdev_list.c hv/net/netdev_which.c drivers/net/e1000.c drivers/net/virtio_net.c drivers/net/virtio_host.c drivers/pci.c drivers/pci_access.c drivers/pci_msi.c */
/* links: hv/timer.c hv/trace.c hv/lock.c hv/lib/str.c hv/lib/fmt.c hv/lib/err.c tests/fake/fake_wire.c tests/fake/fake_nic.c tests/fake/fake_pci.c tests/fake/fake_frames.c tests/fake/fake_host.c */
/* What NICs have in common, over a wire between two of them; and that wire. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <tern/arch.h>
#include <tern/err.h>
#include <tern/frames.h>
#include <tests/fake/fake_frames.h>
#include <tests/fake/fake_host.h>
#include <tests/fake/fake_wire.h>

#define FRAMES 1000u
#define LEN    1000u

static struct fake_wire *w;
static u8 *pages[FRAMES];
static struct netdev_tx txs[FRAMES];
static u32 done, failed, got, afters, bad, highest, late;
static u32 seen[FRAMES];
static u64 last_at;

static void tx_done(UNUSED struct netdev_tx *tx, int status)
{
	done++;
	failed += status != 0;
}

/* Frame i is its number, again and again. */
static void rx(UNUSED void *arg, u8 *frame, u32 len)
{
	u32 i;

	got++;
	last_at = fake_tsc;
	memcpy(&i, frame + 16, sizeof(i));
	if (len != LEN || i >= FRAMES || memcmp(frame, pages[i], len) != 0) {
		bad++;
		return;
	}
	seen[i]++;
	late += i < highest;
	highest = i > highest ? i : highest;
	memset(frame, 0, len);
}

static void after(UNUSED void *arg)
{
	afters++;
}

static int begin(UNUSED void **state)
{
	const struct netdev_owner o = {.name = "test", .rx = rx, .after = after};

	fake_reset();
	fake_frames_reset(4096);
	assert_int_equal(timer_cpu_init(pcpu_self()), 0);
	w = malloc(sizeof(*w));
	fake_wire_make(w, 7);
	for (u32 i = 0; i < FRAMES; i++) {
		pages[i] = frames_alloc_page();
		for (u32 k = 0; k < LEN; k += 4)
			memcpy(pages[i] + k, &i, sizeof(i));
	}
	assert_int_equal(netdev_open(fake_wire_end(w, 0), &o), 0);
	assert_int_equal(netdev_open(fake_wire_end(w, 1), &o), 0);
	memset(seen, 0, sizeof(seen));
	done = failed = got = afters = bad = highest = late = 0;
	fake_wire_step(w, fake_tsc);
	return 0;
}

static int end(UNUSED void **state)
{
	fake_wire_destroy(w);
	free(w);
	for (u32 i = 0; i < FRAMES; i++)
		frames_free_page(pages[i]);
	assert_int_equal(fake_frames_used(), 0);
	return 0;
}

static int send(u32 i)
{
	txs[i] = (struct netdev_tx){.done = tx_done,
				    .len = LEN,
				    .frag_count = 2,
				    .frags = {{virt_to_phys(pages[i]), 300},
					      {hpa_add(virt_to_phys(pages[i]), 300), LEN - 300}}};
	return netdev_send(fake_wire_end(w, 0), &txs[i]);
}

static void run_us(u64 us)
{
	u64 until = fake_tsc + us * (fake_tsc_hz / 1000000);

	while (fake_wire_step(w, until))
		;
}

static void send_all(void)
{
	for (u32 i = 0; i < FRAMES; i++) {
		while (send(i) == -TERN_EAGAIN)
			run_us(10);
	}
	run_us(1000000);
}

static void test_plain(UNUSED void **state)
{
	w->delay_us = 500;
	send_all();
	assert_int_equal(got, FRAMES);
	assert_int_equal(done, FRAMES);
	assert_int_equal(late + bad + failed, 0);
	assert_true(afters > 10);
}

static void test_delay(UNUSED void **state)
{
	u64 start = fake_tsc;

	w->delay_us = 30000;
	assert_int_equal(send(5), 0);
	run_us(29000);
	assert_int_equal(done, 1);
	assert_int_equal(got, 0);
	run_us(2000);
	assert_int_equal(got, 1);
	assert_in_range(last_at - start, 30000000, 30000000 + 300000);
}

static void test_loss(UNUSED void **state)
{
	w->loss = 50000;
	send_all();
	assert_int_equal(got + w->way[1].lost, FRAMES);
	assert_in_range(w->way[1].lost, 20, 100);
	assert_int_equal(done, FRAMES);
}

static void test_duplicates_and_corruption(UNUSED void **state)
{
	w->duplicate = 100000;
	w->corrupt = 100000;
	send_all();
	assert_int_equal(got, FRAMES + w->way[1].doubled);
	assert_in_range(w->way[1].doubled, 50, 200);
	assert_int_equal(bad, w->way[1].corrupted);
	assert_in_range(bad, 50, 250);
}

static void test_reordering(UNUSED void **state)
{
	w->delay_us = 1000;
	w->jitter_us = 1000;
	send_all();
	assert_int_equal(got, FRAMES);
	assert_true(late > 100);
	for (u32 i = 0; i < FRAMES; i++)
		assert_int_equal(seen[i], 1);
}

static void test_same_seed_same_run(UNUSED void **state)
{
	u64 lost[2];

	for (u32 i = 0; i < 2; i++) {
		w->loss = 100000;
		w->random = 99;
		w->way[1].lost = 0;
		send_all();
		lost[i] = w->way[1].lost;
	}
	assert_int_equal(lost[0], lost[1]);
}

/* 100 frames of 1000 bytes at 8 Mbit/s take 100 ms; a queue of 20 KB takes some 20 of those that come at once. */
static void test_bandwidth(UNUSED void **state)
{
	u64 start = fake_tsc;

	w->bits_per_second = 8000000;
	for (u32 i = 0; i < 100; i++)
		assert_int_equal(send(i), 0);
	run_us(90000);
	assert_in_range(got, 88, 90);
	run_us(20000);
	assert_int_equal(got, 100);
	assert_in_range(last_at - start, 99000000, 102000000);
	w->queue_bytes = 20000;
	for (u32 i = 100; i < 200; i++)
		assert_int_equal(send(i), 0);
	run_us(200000);
	assert_in_range(got, 119, 122);
	assert_int_equal(w->way[1].overflowed, 200 - got);
}

static void test_cut_and_unplug(UNUSED void **state)
{
	w->cut = true;
	assert_int_equal(send(0), 0);
	run_us(20000);
	assert_int_equal(got, 0);
	w->cut = false;
	w->unplugged = true;
	run_us(20000);
	assert_false(netdev_link_up(fake_wire_end(w, 0)));
	assert_int_equal(send(1), -TERN_ENODEV);
	w->unplugged = false;
	run_us(20000);
	assert_int_equal(send(1), 0);
	run_us(1000);
	assert_int_equal(got, 1);
}

static void test_mtu_on_the_way(UNUSED void **state)
{
	w->mtu = LEN - NETDEV_HEADER - 1;
	assert_int_equal(send(0), 0);
	run_us(1000);
	assert_int_equal(got, 0);
	w->mtu = LEN - NETDEV_HEADER;
	assert_int_equal(send(0), 0);
	run_us(1000);
	assert_int_equal(got, 1);
}

static void test_hang(UNUSED void **state)
{
	w->hangs = true;
	assert_int_equal(send(0), 0);
	assert_int_equal(send(1), 0);
	run_us(1900000);
	assert_int_equal(done, 0);
	run_us(200000);
	assert_int_equal(failed, 2);
	assert_int_equal(send(2), 0);
	run_us(1000);
	assert_int_equal(done - failed, 1);
	assert_int_equal(got, 1);
}

static void test_csum(UNUSED void **state)
{
	u32 sum = 0;
	u8 *p = pages[3];

	send(3);
	run_us(1000);
	txs[3].csum = true;
	txs[3].csum_start = 34;
	txs[3].csum_offset = 6;
	memset(p + 40, 0, 2);
	assert_int_equal(netdev_send(fake_wire_end(w, 0), &txs[3]), 0);
	w->delay_us = 100;
	netdev_poll(fake_wire_end(w, 0));
	assert_int_equal(w->way[1].count, 1);
	p = w->way[1].frames[0].data;
	for (u32 i = 34; i < LEN; i++)
		sum += i % 2 == 0 ? (u32)p[i] << 8 : p[i];
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	assert_int_equal(sum, 0xffff);
}

/* --- names --- */

static void test_which(UNUSED void **state)
{
	static const char *const wrong[] = {
		"",
		"nic0",
		"00:03",
		"00:03.8",
		"00:20.0",
		"100:00.0",
		"00:03.0 ",
		"10000:00:03.0",
		"52:54:00:12:34",
		"52:54:00:12:34:51:",
		"00:03.",
		":03.0",
		"53:54:00:12:34:51",
		"52:54:00:12:34:5g",
		"00:00003.0",
	};
	struct netdev_which v;

	assert_true(netdev_which_parse("00:1f.7", &v));
	assert_true(!v.is_mac && v.segment == 0 && v.bus == 0 && v.dev == 31 && v.fn == 7);
	assert_true(netdev_which_parse("12:A0:03.0", &v));
	assert_true(!v.is_mac && v.segment == 0x12 && v.bus == 0xa0 && v.dev == 3 && v.fn == 0);
	assert_true(netdev_which_parse("52:54:00:12:34:aB", &v));
	assert_true(v.is_mac);
	assert_memory_equal(v.mac, "\x52\x54\x00\x12\x34\xab", 6);
	for (u32 i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_false(netdev_which_parse(wrong[i], &v));
}

static void test_names(UNUSED void **state)
{
	for (u32 i = 0; i < NETDEV_COUNTS; i++)
		assert_non_null(netdev_count_name(i));
	assert_string_equal(netdev_get(1)->name, "nic1");
	assert_ptr_equal(netdev_find("02:00:00:00:00:02"), fake_wire_end(w, 1));
	assert_null(netdev_find("00:00.0"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_plain, begin, end),
		cmocka_unit_test_setup_teardown(test_delay, begin, end),
		cmocka_unit_test_setup_teardown(test_loss, begin, end),
		cmocka_unit_test_setup_teardown(test_duplicates_and_corruption, begin, end),
		cmocka_unit_test_setup_teardown(test_reordering, begin, end),
		cmocka_unit_test_setup_teardown(test_same_seed_same_run, begin, end),
		cmocka_unit_test_setup_teardown(test_bandwidth, begin, end),
		cmocka_unit_test_setup_teardown(test_cut_and_unplug, begin, end),
		cmocka_unit_test_setup_teardown(test_mtu_on_the_way, begin, end),
		cmocka_unit_test_setup_teardown(test_hang, begin, end),
		cmocka_unit_test_setup_teardown(test_csum, begin, end),
		cmocka_unit_test_setup_teardown(test_names, begin, end),
		cmocka_unit_test(test_which),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
