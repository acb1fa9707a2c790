/* SPDX-License-Identifier: MIT */
/* links: hv/net/uplink.c hv/net/netdev.c hv/net/netdev_list.c hv/net/netdev_which.c hv/net/offload.c hv/net/vpacket.c hv/net/vswitch.c hv/net/vswitch_station.c hv/net/vswitch_capture.c hv/shell/cmd_nic.c */
/* links: drivers/net/e1000.c drivers/net/virtio_net.c drivers/net/virtio_host.c drivers/pci.c drivers/pci_access.c drivers/pci_msi.c hv/timer.c hv/trace.c hv/lock.c hv/lib/str.c hv/lib/fmt.c hv/lib/err.c */
/* links: tests/fake/fake_wire.c tests/fake/fake_nic.c tests/fake/fake_pci.c tests/fake/fake_frames.c tests/fake/fake_host.c */
/* The uplink between the switch and a NIC, whose wire leads to the outside; and the shell's nic command. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <hv/shell/commands.h>
#include <tern/arch.h>
#include <tern/console.h>
#include <tern/err.h>
#include <tern/frames.h>
#include <tern/uplink.h>
#include <tern/vswitch.h>
#include <tests/fake/fake_frames.h>
#include <tests/fake/fake_host.h>
#include <tests/fake/fake_wire.h>

#define GUEST   "\x02\x54\x00\x00\x00\x01"
#define OUTSIDE "\x00\x11\x22\x33\x44\x55"
#define UPLINK  "02:00:00:00:00:01" /* end 0 of the wire */

static struct fake_wire *w;
static struct vswitch *sw;
static struct vport *guest;
static u32 kicks, outside_got;
static u8 outside[16384];
static u32 outside_len;
static char said[16384];

void console_printf(const char *fmt, ...)
{
	size_t at = strlen(said);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(said + at, sizeof(said) - at, fmt, ap);
	va_end(ap);
}

static void kicked(UNUSED void *arg)
{
	kicks++;
}

static void outside_rx(UNUSED void *arg, u8 *frame, u32 len)
{
	outside_got++;
	memcpy(outside, frame, len);
	outside_len = len;
}

static int begin(UNUSED void **state)
{
	const struct netdev_owner o = {.name = "outside", .rx = outside_rx};
	struct vport_config c = {.name = "web.0", .kick = kicked};

	fake_reset();
	fake_frames_reset(4096);
	assert_int_equal(timer_cpu_init(pcpu_self()), 0);
	w = malloc(sizeof(*w));
	fake_wire_make(w, 3);
	assert_int_equal(netdev_open(fake_wire_end(w, 1), &o), 0);
	sw = vswitch_find(VSWITCH_DEFAULT);
	memcpy(c.mac, GUEST, 6);
	assert_int_equal(vswitch_add(sw, &c, &guest), 0);
	vswitch_up(guest, VPACKET_CAN_CSUM | VPACKET_CAN_TCP4);
	kicks = outside_got = 0;
	said[0] = '\0';
	return 0;
}

static int end(UNUSED void **state)
{
	fake_frames_one = UINT32_MAX;
	uplink_stop();
	vswitch_remove(guest);
	fake_wire_destroy(w);
	free(w);
	assert_int_equal(fake_frames_used(), 0);
	return 0;
}

static void run_us(u64 us)
{
	u64 until = fake_tsc + us * (fake_tsc_hz / 1000000);

	while (fake_wire_step(w, until))
		;
}

static void start(void)
{
	uplink_start(UPLINK);
	run_us(1000);
}

/* The uplink's port; it comes after the guest's. */
static struct vport_view uplink_view(void)
{
	struct vport_view v;

	assert_true(vswitch_view(sw, 1, &v));
	assert_string_equal(v.name, "uplink");
	return v;
}

/* A frame between two stations, its payload counting up. */
static void fill(u8 *frame, const char *to, const char *from, u32 len)
{
	memcpy(frame, to, 6);
	memcpy(frame + 6, from, 6);
	frame[12] = 0x88; /* an experimental type */
	frame[13] = 0xb5;
	for (u32 i = 14; i < len; i++)
		frame[i] = (u8)i;
}

static struct vpacket *packet(const char *to, const char *from, u32 len)
{
	u8 frame[16384];
	struct vpacket *p = vpacket_alloc(len);

	fill(frame, to, from, len);
	vpacket_write(p, 0, frame, len);
	return p;
}

static void from_outside(const char *to, const char *from, u32 len)
{
	struct fake_wire_frame *f = &w->way[0].frames[0];

	assert_int_equal(w->way[0].count, 0);
	*f = (struct fake_wire_frame){.at = 0, .len = len, .data = malloc(len)};
	fill(f->data, to, from, len);
	w->way[0].count = 1;
	run_us(1000);
}

static void test_out(UNUSED void **state)
{
	struct vport_view v;
	u8 want[1514];

	start();
	assert_true(uplink_view().up);
	assert_true(uplink_view().uplink);
	assert_int_equal(uplink_view().can, VPACKET_CAN_CSUM);
	for (u32 len = 60; len <= 1514; len += 727) {
		vswitch_send(guest, packet(OUTSIDE, GUEST, len));
		run_us(1000);
		fill(want, OUTSIDE, GUEST, len);
		assert_int_equal(outside_len, len);
		assert_memory_equal(outside, want, len);
	}
	assert_int_equal(outside_got, 3);
	v = uplink_view();
	assert_int_equal(v.stats.out.packets, 3);
	assert_int_equal(v.queued, 0);
}

static void test_in(UNUSED void **state)
{
	struct vpacket *p;
	u8 got[800], want[800];

	start();
	from_outside(GUEST, OUTSIDE, sizeof(want));
	assert_int_equal(kicks, 1);
	p = vswitch_receive(guest);
	assert_non_null(p);
	assert_int_equal(p->len, sizeof(want));
	vpacket_read(p, 0, got, sizeof(got));
	fill(want, GUEST, OUTSIDE, sizeof(want));
	assert_memory_equal(got, want, sizeof(want));
	vpacket_put(p);
	/* The outside cannot be one of the guests, and what is for nobody here goes no further. */
	from_outside(GUEST, GUEST, 100);
	assert_null(vswitch_receive(guest));
	assert_int_equal(uplink_view().stats.drops[VDROP_SPOOFED], 1);
	from_outside(OUTSIDE, "\x00\x11\x22\x33\x44\x66", 100);
	assert_null(vswitch_receive(guest));
	assert_int_equal(uplink_view().stats.drops[VDROP_NOWHERE], 1);
}

static void test_csum(UNUSED void **state)
{
	struct vpacket *p;
	u32 sum;

	start();
	for (u32 at = 14; at <= 500; at += 243) { /* by the NIC, and twice by us: too far for it */
		u16 zero = 0;

		p = packet(OUTSIDE, GUEST, 1001);
		vpacket_write(p, at + 16, &zero, sizeof(zero));
		p->offload.needs_csum = true;
		p->offload.csum_start = (u16)at;
		p->offload.csum_offset = 16;
		vswitch_send(guest, p);
		run_us(1000);
		assert_int_equal(outside_len, 1001);
		sum = 0;
		for (u32 i = at; i < 1001; i++)
			sum += (i - at) % 2 == 0 ? (u32)outside[i] << 8 : outside[i];
		while (sum >> 16 != 0)
			sum = (sum & 0xffff) + (sum >> 16);
		assert_int_equal(sum, 0xffff);
	}
	assert_int_equal(outside_got, 3);
}

static void test_too_long(UNUSED void **state)
{
	start();
	vswitch_send(guest, packet(OUTSIDE, GUEST, 1518)); /* with a tag */
	vswitch_send(guest, packet(OUTSIDE, GUEST, 1519));
	vswitch_send(guest, packet(OUTSIDE, GUEST, 9000));
	run_us(1000);
	assert_int_equal(outside_got, 1);
	assert_int_equal(uplink_view().stats.drops[VDROP_BUFFER], 2);
}

/* More than the NIC's ring and our memory hold at once: nothing is lost but what the queue refuses. */
static void test_many(UNUSED void **state)
{
	start();
	w->hangs = true;
	for (u32 i = 0; i < 300; i++)
		vswitch_send(guest, packet(OUTSIDE, GUEST, 100));
	run_us(1000);
	for (u32 i = 0; i < 300; i++)
		vswitch_send(guest, packet(OUTSIDE, GUEST, 100));
	run_us(1000);
	assert_int_equal(outside_got, 0);
	w->hangs = false;
	run_us(100000);
	assert_int_equal(outside_got + uplink_view().stats.drops[VDROP_FULL], 600);
	assert_in_range(outside_got, 256, 400);
	assert_int_equal(uplink_view().stats.out.packets, outside_got);
}

static void ignore(UNUSED struct netdev_tx *tx, UNUSED int status)
{
}

/* The ring is full of others' frames: what was taken from the switch waits for room. */
static void test_ring_full(UNUSED void **state)
{
	static struct netdev_tx txs[FAKE_WIRE_RING - 5];
	u8 *page = frames_alloc_page();

	start();
	w->hangs = true;
	for (u32 i = 0; i < ARRAY_SIZE(txs); i++) {
		txs[i] = (struct netdev_tx){.done = ignore,
					    .len = 60,
					    .frag_count = 1,
					    .frags = {{virt_to_phys(page), 60}}};
		assert_int_equal(netdev_send(fake_wire_end(w, 0), &txs[i]), 0);
	}
	for (u32 i = 0; i < 20; i++)
		vswitch_send(guest, packet(OUTSIDE, GUEST, 100));
	run_us(1000);
	assert_int_equal(uplink_view().queued, 14); /* five are in the ring, one waits for it */
	w->hangs = false;
	run_us(1000);
	assert_int_equal(outside_got, ARRAY_SIZE(txs) + 20);
	/* A link that goes down drops the one that waits. */
	w->hangs = true;
	for (u32 i = 0; i < ARRAY_SIZE(txs); i++)
		assert_int_equal(netdev_send(fake_wire_end(w, 0), &txs[i]), 0);
	for (u32 i = 0; i < 20; i++)
		vswitch_send(guest, packet(OUTSIDE, GUEST, 100));
	run_us(1000);
	w->unplugged = true;
	run_us(20000);
	assert_int_equal(uplink_view().stats.drops[VDROP_DOWN], 15);
	uplink_stop();
	frames_free_page(page);
}

static void test_link(UNUSED void **state)
{
	start();
	w->unplugged = true;
	run_us(20000);
	assert_false(uplink_view().up);
	vswitch_send(guest, packet(OUTSIDE, GUEST, 100));
	w->unplugged = false;
	run_us(20000);
	assert_true(uplink_view().up);
	assert_int_equal(outside_got, 0);
	vswitch_send(guest, packet(OUTSIDE, GUEST, 100));
	run_us(1000);
	assert_int_equal(outside_got, 1);
	/* A reset loses what waits, and is counted there. */
	w->hangs = true;
	vswitch_send(guest, packet(OUTSIDE, GUEST, 100));
	run_us(2200000);
	assert_int_equal(uplink_view().stats.drops[VDROP_DOWN], 1);
	vswitch_send(guest, packet(OUTSIDE, GUEST, 100));
	run_us(1000);
	assert_int_equal(outside_got, 2);
}

static void test_no_memory(UNUSED void **state)
{
	u32 used = fake_frames_used(), n;

	for (n = 0;; n++) {
		fake_frames_one = n;
		uplink_start(UPLINK);
		if (fake_frames_one != UINT32_MAX)
			break;
		assert_int_equal(fake_frames_used(), used);
	}
	fake_frames_one = UINT32_MAX;
	assert_int_equal(n, 3); /* port, stations, what is being sent */
	assert_non_null(strstr(fake_log(), "uplink: the NIC " UPLINK " cannot be used: ENOMEM"));
	run_us(1000);
	fake_frames_one = 0;
	from_outside(GUEST, OUTSIDE, 100);
	assert_int_equal(uplink_view().stats.drops[VDROP_MEMORY], 1);
}

static void test_no_nic(UNUSED void **state)
{
	u32 used = fake_frames_used();

	uplink_start("00:03.0");
	assert_non_null(strstr(fake_log(), "uplink: there is no NIC 00:03.0"));
	uplink_start("02:00:00:00:00:02");
	assert_non_null(strstr(fake_log(), "02:00:00:00:00:02 is in use already"));
	assert_int_equal(fake_frames_used(), used);
	uplink_stop();
}

/* --- the shell --- */

static void nic(int argc, const char *a, const char *b)
{
	char *argv[] = {(char *)(uintptr_t) "nic", (char *)(uintptr_t)a, (char *)(uintptr_t)b};

	said[0] = '\0';
	assert_int_equal(cmd_nic(argc, argv), 0);
}

static void test_shell(UNUSED void **state)
{
	char *bad[] = {(char *)(uintptr_t) "nic", (char *)(uintptr_t) "reset"};

	nic(2, "list", NULL);
	assert_string_equal(
		said,
		"nic0               02:00:00:00:00:01  wire       not used\n"
		"nic1               02:00:00:00:00:02  wire       outside, MTU 1500, polled, link down\n");
	nic(3, "reset", "nic0");
	assert_string_equal(said, "nic0 is not used: it is left alone\n");
	start();
	vswitch_send(guest, packet(OUTSIDE, GUEST, 100));
	run_us(1000);
	nic(2, "list", NULL);
	assert_non_null(strstr(
		said, "wire       uplink, MTU 1500, polled, link up, 1000 Mbit/s, full duplex\n"));
	nic(3, "stats", UPLINK);
	assert_non_null(strstr(said, "nic0:\n  tx frames            1\n"
				     "  tx bytes             100\n  link changes         1\n"));
	assert_null(strstr(said, "nic1"));
	nic(2, "stats", NULL);
	assert_non_null(strstr(said, "nic1:\n  rx frames            1\n"));
	nic(3, "reset", "nic0");
	assert_string_equal(said, "nic0 is reset; the log tells when its link is up again\n");
	run_us(1000);
	nic(3, "stats", "nic0");
	assert_non_null(strstr(said, "  resets               1\n"));
	nic(3, "reset", "eth0");
	assert_string_equal(said, "there is no NIC 'eth0'; 'nic list' lists them\n");
	assert_int_equal(cmd_nic(2, bad), -TERN_EINVAL);
	assert_string_equal(complete_nic(1, 1), "reset");
	assert_null(complete_nic(1, 3));
	assert_string_equal(complete_nic(2, 1), "nic1");
	assert_null(complete_nic(2, 2));
	uplink_stop();
	netdev_close(fake_wire_end(w, 1));
	netdev_forget_all();
	nic(2, "list", NULL);
	assert_non_null(strstr(said, "no NIC that Tern has a driver for"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_out, begin, end),
		cmocka_unit_test_setup_teardown(test_in, begin, end),
		cmocka_unit_test_setup_teardown(test_csum, begin, end),
		cmocka_unit_test_setup_teardown(test_too_long, begin, end),
		cmocka_unit_test_setup_teardown(test_many, begin, end),
		cmocka_unit_test_setup_teardown(test_ring_full, begin, end),
		cmocka_unit_test_setup_teardown(test_link, begin, end),
		cmocka_unit_test_setup_teardown(test_no_memory, begin, end),
		cmocka_unit_test_setup_teardown(test_no_nic, begin, end),
		cmocka_unit_test_setup_teardown(test_shell, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
