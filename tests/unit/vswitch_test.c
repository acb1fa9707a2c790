/* SPDX-License-Identifier: MIT */
/* links: hv/net/offload.c hv/net/vpacket.c hv/net/vswitch.c hv/net/vswitch_station.c hv/net/vswitch_capture.c */
/* links: hv/shell/cmd_switch.c hv/timer.c hv/trace.c hv/lock.c hv/lib/str.c hv/lib/fmt.c tests/fake/fake_frames.c tests/fake/fake_host.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <hv/net/pcap_regs.h>
#include <hv/shell/commands.h>
#include <tern/console.h>
#include <tern/err.h>
#include <tern/vswitch.h>
#include <tests/fake/fake_frames.h>
#include <tests/fake/fake_host.h>
#include <tests/fake/net_oracle.h>

#define PORTS 4u
#define HZ    1000000000ull

static struct vswitch *sw;
static struct vport *port[PORTS];
static u32 kicks[PORTS];
static char said[65536];

void console_write(const char *text, size_t n)
{
	strncat(said, text, n);
}

void console_printf(const char *fmt, ...)
{
	size_t at = strlen(said);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(said + at, sizeof(said) - at, fmt, ap);
	va_end(ap);
}

const char *err_name(int err)
{
	return err == TERN_ENOMEM ? "ENOMEM" : "E?";
}

static void kicked(void *arg)
{
	++*(u32 *)arg;
}

/* The configured address of port i; a station behind it. */
static const u8 *mac(u32 i)
{
	static u8 m[8][6];

	memcpy(m[i % 8], "\x02\x54\x00\x00\x00", 5);
	m[i % 8][5] = (u8)i;
	return m[i % 8];
}

static const u8 *station(u32 n)
{
	static u8 m[8][6];
	static u32 next;
	u8 *s = m[next++ % 8];

	memcpy(s, "\x06\x11", 2);
	memcpy(s + 2, &n, 4);
	return s;
}

static const u8 broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

static int add(const char *name, const u8 *m, u32 i)
{
	struct vport_config c = {.name = name, .kick = kicked, .arg = &kicks[i]};

	memcpy(c.mac, m, 6);
	return vswitch_add(sw, &c, &port[i]);
}

static int setup(void **state)
{
	char name[] = "web.0";

	(void)state;
	fake_reset();
	fake_frames_reset(4096);
	fake_tsc_hz = HZ;
	fake_tsc_step = 0;
	sw = vswitch_find(VSWITCH_DEFAULT);
	memset(kicks, 0, sizeof(kicks));
	for (u32 i = 0; i < PORTS; i++, name[4]++) {
		assert_int_equal(add(name, mac(i), i), 0);
		vswitch_up(port[i], VPACKET_CAN_CSUM | VPACKET_CAN_TCP4 | VPACKET_CAN_TCP6);
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (u32 i = 0; i < PORTS; i++) {
		if (port[i] != NULL)
			vswitch_remove(port[i]);
	}
	assert_int_equal(fake_frames_used(), 0);
	return 0;
}

static void send_len(u32 from, const u8 *dst, const u8 *src, u32 len)
{
	struct vpacket *p = vpacket_alloc(len);

	for (u32 i = 0; i < len; i++)
		vpacket_write(p, i, &(u8){(u8)i}, 1);
	vpacket_write(p, 0, dst, 6);
	vpacket_write(p, 6, src, 6);
	vswitch_send(port[from], p);
}

static void send(u32 from, const u8 *dst, const u8 *src)
{
	send_len(from, dst, src, 60);
}

/* Takes all packets of a port: how many there were. */
static u32 take(u32 i)
{
	struct vpacket *p;
	u32 n = 0;

	for (; port[i] != NULL && (p = vswitch_receive(port[i])) != NULL; n++) {
		vswitch_delivered(port[i], p);
		vpacket_put(p);
	}
	assert_false(port[i] != NULL && vswitch_waiting(port[i]));
	return n;
}

/* What every port got, as one number: a digit each, port 0 first. */
static u32 got(void)
{
	u32 n = 0;

	for (u32 i = 0; i < PORTS; i++)
		n = n * 10 + take(i);
	return n;
}

static u64 drops(u32 i, enum vdrop why)
{
	static struct vport_view v;

	assert_true(vswitch_view(sw, i, &v));
	return v.stats.drops[why];
}

static void test_learning(void **state)
{
	static struct vport_view v;

	(void)state;
	send(0, mac(2), mac(0));
	assert_int_equal(got(), 10);
	send(0, broadcast, mac(0));
	assert_int_equal(got(), 111);
	send(0, station(7), mac(0)); /* nobody knows it: flooded */
	assert_int_equal(got(), 111);
	send(3, mac(0), station(7));
	assert_int_equal(got(), 1000);
	send(0, station(7), mac(0));
	assert_int_equal(got(), 1);
	send(1, mac(0), station(7)); /* it has moved */
	assert_int_equal(got(), 1000);
	send(0, station(7), mac(0));
	assert_int_equal(got(), 100);
	send(1, station(7), mac(1)); /* to where it came from */
	assert_int_equal(got(), 0);
	assert_int_equal(drops(1, VDROP_NOWHERE), 1);
	assert_int_equal(kicks[0] + kicks[1] + kicks[2] + kicks[3], 11);
	vswitch_view(sw, 0, &v);
	assert_int_equal(v.stats.in.packets, 5);
	assert_int_equal(v.stats.in.bytes, 300);
	assert_int_equal(v.stats.in.multicast, 1);
	assert_int_equal(v.stats.out.packets, 2);
	assert_string_equal(v.name, "web.0");
}

static void test_ageing(void **state)
{
	(void)state;
	send(3, mac(0), station(7));
	assert_int_equal(got(), 1000);
	fake_tsc += (VSWITCH_AGE_S - 1) * HZ;
	send(0, station(7), mac(0));
	assert_int_equal(got(), 1);
	fake_tsc += 2 * HZ;
	send(0, station(7), mac(0));
	assert_int_equal(got(), 111);
	/* A configured address is known for ever. */
	send(0, mac(2), mac(0));
	assert_int_equal(got(), 10);
}

static void test_sources(void **state)
{
	static const u8 zero[6], pause[6] = {1, 0x80, 0xc2, 0, 0, 1},
				 group[6] = {1, 0x80, 0xc2, 0, 0, 0x10};
	struct vport_config c = {.name = "locked", .locked = true, .kick = kicked, .arg = kicks};

	(void)state;
	send(0, mac(1), broadcast);
	send(0, mac(1), zero);
	assert_int_equal(drops(0, VDROP_SOURCE), 2);
	send(0, mac(1), mac(2));
	assert_int_equal(drops(0, VDROP_SPOOFED), 1);
	send(0, pause, mac(0));
	assert_int_equal(drops(0, VDROP_RESERVED), 1);
	assert_int_equal(got(), 0);
	send(0, group, mac(0));
	assert_int_equal(got(), 111);
	send_len(0, mac(1), mac(0), 14);
	assert_int_equal(got(), 100);
	vswitch_send(port[0], vpacket_alloc(13));
	assert_int_equal(drops(0, VDROP_SHORT), 1);
	vswitch_remove(port[3]);
	memcpy(c.mac, station(1), 6);
	assert_int_equal(vswitch_add(sw, &c, &port[3]), 0);
	vswitch_up(port[3], 0);
	send(3, mac(0), station(2));
	assert_int_equal(drops(3, VDROP_SPOOFED), 1);
	send(3, mac(0), station(1));
	assert_int_equal(got(), 1000);
	/* Who may call itself what. */
	assert_int_equal(vswitch_claim(port[0], station(9)), 0);
	assert_int_equal(vswitch_claim(port[0], mac(0)), 0);
	assert_int_equal(vswitch_claim(port[0], mac(1)), -TERN_EEXIST);
	assert_int_equal(vswitch_claim(port[0], broadcast), -TERN_EINVAL);
	assert_int_equal(vswitch_claim(port[0], zero), -TERN_EINVAL);
	assert_int_equal(vswitch_claim(port[3], station(9)), -TERN_EPERM);
	assert_int_equal(vswitch_claim(port[3], station(1)), 0);
	/* While a port is down, its address may come from elsewhere: its VM runs there. */
	vswitch_down(port[1]);
	send(2, mac(0), mac(1));
	assert_int_equal(got(), 1000);
	send(0, mac(1), mac(0));
	assert_int_equal(got(), 10);
	vswitch_up(port[1], 0);
	send(0, mac(1), mac(0));
	assert_int_equal(got(), 100);
}

/* A flood of invented sources forgets only what was learned from the flooder. */
static void test_flooded_table(void **state)
{
	static struct vstation_view views[VPORT_STATIONS + 1];
	u32 heard = 0;

	(void)state;
	send(3, mac(0), station(1000000));
	for (u32 i = 0; i < 20000; i++)
		send(2, mac(1), station(i));
	(void)got();
	assert_int_equal(drops(1, VDROP_FULL), 20000 - VPORT_PACKETS_MAX);
	send(0, station(1000000), mac(0));
	assert_int_equal(got(), 1);
	send(0, station(19999), mac(0));
	assert_int_equal(got(), 10);
	send(0, station(20000 - VPORT_STATIONS), mac(0));
	assert_int_equal(got(), 10);
	send(0, station(20000 - VPORT_STATIONS - 1), mac(0));
	assert_int_equal(got(), 111);
	send(0, mac(2), mac(0));
	assert_int_equal(got(), 10);
	assert_int_equal(vswitch_stations(sw, 2, views, ARRAY_SIZE(views)), VPORT_STATIONS + 1);
	for (u32 i = 0; i < ARRAY_SIZE(views); i++)
		heard += !views[i].configured;
	assert_int_equal(heard, VPORT_STATIONS);
	assert_int_equal(vswitch_stations(sw, 2, views, 3), 3);
	assert_int_equal(vswitch_stations(sw, VSWITCH_PORTS_MAX, views, 3), 0);
}

static void test_queue_bounds(void **state)
{
	u32 before = fake_frames_used(), big = 0;

	(void)state;
	for (u32 i = 0; i < VPORT_PACKETS_MAX + 5; i++)
		send(0, mac(1), mac(0));
	assert_int_equal(drops(1, VDROP_FULL), 5);
	assert_int_equal(kicks[1], 1);
	assert_int_equal(take(1), VPORT_PACKETS_MAX);
	for (u32 i = 0; i < 40; i++)
		send_len(0, mac(1), mac(0), VPACKET_MAX);
	assert_true((fake_frames_used() - before) * PAGE_SIZE <= VPORT_MEMORY_MAX);
	assert_int_equal(kicks[1], 2);
	big = take(1);
	assert_int_equal(big, VPORT_MEMORY_MAX / (17 * PAGE_SIZE));
	assert_int_equal(drops(1, VDROP_FULL), 5 + 40 - big);
	/* One packet for all, freed by the last. */
	send_len(0, broadcast, mac(0), VPACKET_MAX);
	assert_int_equal(fake_frames_used() - before, 17);
	assert_int_equal(take(1) + take(2), 2);
	assert_int_equal(fake_frames_used() - before, 17);
	vswitch_down(port[3]);
	assert_int_equal(drops(3, VDROP_DOWN), 1);
	assert_int_equal(fake_frames_used(), before);
	/* Down: not flooded to, and nobody's destination. */
	send(0, broadcast, mac(0));
	assert_int_equal(got(), 110);
	vswitch_down(port[1]);
	vswitch_down(port[2]);
	send(0, broadcast, mac(0));
	assert_int_equal(drops(0, VDROP_NOWHERE), 1);
}

static void test_ports(void **state)
{
	struct vport_config up = {.name = "uplink", .uplink = true, .kick = kicked, .arg = kicks};
	struct vport *more[VSWITCH_PORTS_MAX], *other = NULL;
	static struct vport_view v;
	char name[16];
	u32 n = 0;

	(void)state;
	assert_ptr_equal(vswitch_find("other"), NULL);
	assert_string_equal(vswitch_name(0), VSWITCH_DEFAULT);
	assert_null(vswitch_name(1));
	vswitch_remove(port[2]);
	port[2] = NULL;
	assert_int_equal(add("web.0", station(1), 2), -TERN_EEXIST);
	assert_int_equal(add("x", mac(1), 2), -TERN_EEXIST);
	assert_int_equal(add("x", broadcast, 2), -TERN_EINVAL);
	assert_int_equal(add("x", (const u8[6]){0}, 2), -TERN_EINVAL);
	for (u32 left = 0; left < 2; left++) {
		fake_frames_left = left;
		assert_int_equal(add("x", station(1), 2), -TERN_ENOMEM);
	}
	fake_frames_left = UINT32_MAX;
	assert_null(port[2]);
	assert_int_equal(vswitch_add(sw, &up, &more[n++]), 0);
	assert_true(vswitch_view(sw, 2, &v));
	assert_true(v.uplink);
	assert_false(v.up);
	vswitch_up(more[0], 0);
	for (; n < VSWITCH_PORTS_MAX - 3; n++) {
		struct vport_config c = {.name = name, .kick = kicked, .arg = kicks};

		snprintf(name, sizeof(name), "p%u", n);
		memcpy(c.mac, station(n), 6);
		assert_int_equal(vswitch_add(sw, &c, &more[n]), 0);
	}
	up.name = "up2";
	assert_int_equal(vswitch_add(sw, &up, &other), -TERN_ENOSPC);
	assert_null(other);
	send(0, station(123456), mac(0));
	assert_int_equal(vswitch_waiting(more[0]), true);
	while (n-- > 0)
		vswitch_remove(more[n]);
	assert_false(vswitch_view(sw, 2, &v));
	assert_false(vswitch_view(sw, VSWITCH_PORTS_MAX, &v));
	assert_int_equal(got(), 101);
}

/* What the receiver cannot take is done for it, in its own time. */
static void test_offloads(void **state)
{
	static u8 frame[VPACKET_MAX], want[VPACKET_MAX], out[VPACKET_MAX];
	struct oracle_tcp t = {.payload = 5000, .mss = 1448, .tcp_options = 3, .flags = 0x18};
	u32 len = oracle_build(&t, frame);
	struct vpacket *p = vpacket_alloc(len);

	(void)state;
	memcpy(frame, broadcast, 6);
	memcpy(frame + 6, mac(0), 6);
	vpacket_write(p, 0, frame, len);
	p->offload = oracle_offload(&t);
	assert_true(vpacket_check(p));
	vswitch_up(port[2], VPACKET_CAN_CSUM);
	vswitch_up(port[3], 0);
	vswitch_send(port[0], p);
	/* As it is. */
	p = vswitch_receive(port[1]);
	assert_int_equal(p->len, len);
	assert_int_equal(p->offload.gso, VPACKET_GSO_TCP4);
	vpacket_put(p);
	/* In segments, with memory coming and going. */
	for (u32 to = 2; to < 4; to++) {
		for (u32 i = 0; i < 4; i++) {
			fake_frames_left = 0;
			assert_null(vswitch_receive(port[to]));
			assert_true(vswitch_waiting(port[to]));
			fake_frames_left = UINT32_MAX;
			p = vswitch_receive(port[to]);
			len = oracle_segment(&t, i, want);
			assert_int_equal(p->len, len);
			vpacket_read(p, 0, out, len);
			assert_memory_equal(out + 12, want + 12, len - 12);
			vpacket_put(p);
		}
		assert_false(vswitch_waiting(port[to]));
	}
	/* A checksum, of a packet that is shared. */
	t.payload = 1000;
	len = oracle_build(&t, frame);
	memcpy(frame, broadcast, 6);
	memcpy(frame + 6, mac(0), 6);
	p = vpacket_alloc(len);
	vpacket_write(p, 0, frame, len);
	p->offload = oracle_offload(&t);
	p->offload.gso = VPACKET_GSO_NONE;
	assert_true(vpacket_check(p));
	vswitch_send(port[0], p);
	fake_frames_left = 0;
	assert_null(vswitch_receive(port[3]));
	assert_true(vswitch_waiting(port[3]));
	fake_frames_left = UINT32_MAX;
	p = vswitch_receive(port[3]);
	vpacket_read(p, 0, out, len);
	assert_true(oracle_valid(&t, out, len));
	vpacket_put(p);
	p = vswitch_receive(port[2]);
	assert_true(p->offload.needs_csum);
	vpacket_put(p);
	assert_int_equal(take(1), 1);
	/* What waits for memory goes when the port goes down. */
	t.payload = 5000;
	for (u32 i = 0; i < 2; i++) {
		p = vpacket_alloc(oracle_build(&t, frame));
		memcpy(frame, mac(3), 6);
		memcpy(frame + 6, mac(0), 6);
		vpacket_write(p, 0, frame, p->len);
		p->offload = oracle_offload(&t);
		p->offload.gso = i == 0 ? VPACKET_GSO_TCP4 : VPACKET_GSO_NONE;
		assert_true(vpacket_check(p));
		if (i == 1)
			vpacket_get(p);
		vswitch_send(port[0], p);
		fake_frames_left = 0;
		assert_null(vswitch_receive(port[3]));
		fake_frames_left = UINT32_MAX;
		vswitch_down(port[3]);
		assert_int_equal(drops(3, VDROP_DOWN), i + 1);
		vswitch_up(port[3], 0);
		if (i == 1)
			vpacket_put(p);
	}
}

/* --- captures --- */

static u8 file[65536];

static u32 read_file(u32 index)
{
	u64 lost;
	u32 len, at = 0, n;

	assert_int_equal(vswitch_capture_stop(sw, index, &len, &lost), 0);
	while ((n = vswitch_capture_read(sw, index, at, file + at, 7)) != 0)
		at += n;
	assert_int_equal(at, len);
	return (u32)lost;
}

static void test_capture(void **state)
{
	struct pcap_file f;
	struct pcap_record r;
	u64 lost;
	u32 len;

	(void)state;
	assert_int_equal(vswitch_capture_start(sw, 77, 4096, 64, 0), -TERN_ENOENT);
	assert_int_equal(vswitch_capture_start(sw, 1, MiB(2) + 1, 64, 0), -TERN_EINVAL);
	assert_int_equal(vswitch_capture_start(sw, 1, 4096, 0, 0), -TERN_EINVAL);
	assert_int_equal(vswitch_capture_start(sw, 1, 4096, 4090, 0), -TERN_EINVAL);
	fake_frames_left = 0;
	assert_int_equal(vswitch_capture_start(sw, 1, 4096, 64, 0), -TERN_ENOMEM);
	fake_frames_left = UINT32_MAX;
	assert_int_equal(vswitch_capture_stop(sw, 1, &len, &lost), -TERN_ENOENT);
	assert_int_equal(vswitch_capture_start(sw, 1, 4096, 64, 10), 0);
	assert_int_equal(vswitch_capture_start(sw, 1, 4096, 64, 10), -TERN_EBUSY);
	fake_tsc = 3 * HZ + 5000;
	send(0, mac(1), mac(0));
	send_len(1, mac(2), mac(1), 5000);
	send(0, mac(2), mac(0)); /* not its business */
	fake_tsc += 10 * HZ;
	send(0, mac(1), mac(0)); /* too late */
	assert_int_equal(read_file(1), 0);
	memcpy(&f, file, sizeof(f));
	assert_int_equal(f.magic, 0xa1b2c3d4);
	assert_int_equal(f.major, 2);
	assert_int_equal(f.minor, 4);
	assert_int_equal(f.snap, 64);
	assert_int_equal(f.link_type, 1);
	memcpy(&r, file + 24, sizeof(r));
	assert_int_equal(r.seconds, 3);
	assert_int_equal(r.microseconds, 5);
	assert_int_equal(r.captured, 60);
	assert_int_equal(r.length, 60);
	assert_memory_equal(file + 40, mac(1), 6);
	memcpy(&r, file + 100, sizeof(r));
	assert_int_equal(r.captured, 64);
	assert_int_equal(r.length, 5000);
	assert_memory_equal(file + 116, mac(2), 6);
	assert_int_equal(vswitch_capture_stop(sw, 1, &len, &lost), 0);
	assert_int_equal(len, 24 + 16 + 60 + 16 + 64);
	vswitch_capture_free(sw, 1);
	assert_int_equal(vswitch_capture_stop(sw, 1, &len, &lost), -TERN_ENOENT);
	assert_int_equal(vswitch_capture_read(sw, 1, 0, file, 10), 0);
	(void)got();
}

/* The ring wraps: the newest whole records stay, whatever their lengths. */
static void test_capture_wraps(void **state)
{
	u32 lost, at = 24, next;
	struct pcap_record r = {.captured = 0};

	(void)state;
	assert_int_equal(vswitch_capture_start(sw, 0, 4096, 300, 0), 0);
	for (u32 i = 0; i < 500; i++) {
		send_len(0, mac(1), mac(0), 14 + i);
		(void)got();
	}
	lost = read_file(0);
	assert_in_range(lost, 480, 499);
	for (next = lost; next < 500; next++) {
		memcpy(&r, file + at, sizeof(r));
		assert_int_equal(r.length, 14 + next);
		assert_int_equal(r.captured, 14 + next < 300 ? 14 + next : 300);
		for (u32 i = 12; i < r.captured; i++)
			assert_int_equal(file[at + 16 + i], (u8)i);
		at += 16 + r.captured;
	}
	assert_true(at - 24 <= 4096);
	/* A port that goes takes its capture along: teardown counts frames. */
}

static int command(const char *text)
{
	static char copy[256];
	char *argv[SHELL_ARGS_MAX], *save = NULL;
	int argc = 0;

	said[0] = '\0';
	snprintf(copy, sizeof(copy), "%s", text);
	for (char *w = strtok_r(copy, " ", &save); w != NULL; w = strtok_r(NULL, " ", &save))
		argv[argc++] = w;
	return cmd_switch(argc, argv);
}

static void says(const char *text, const char *part)
{
	assert_int_equal(command(text), 0);
	if (strstr(said, part) == NULL)
		fail_msg("no \"%s\" in:\n%s", part, said);
}

static void test_shell(void **state)
{
	(void)state;
	vswitch_up(port[0], 0);
	send(1, mac(0), station(0x04030201));
	fake_tsc += 5 * HZ;
	says("switch show", "default:\n  web.0            02:54:00:00:00:00 up    offloads: none");
	says("switch show", "queued 1 (4 KiB)\n    02:54:00:00:00:00 its own\n");
	says("switch show", "offloads: csum tso4 tso6  queued 0 (0 KiB)\n");
	says("switch show", "    06:11:01:02:03:04 heard 5 s ago\n");
	for (u32 i = 0; i < 40; i++)
		send(1, mac(0), station(i));
	says("switch show", "    and 10 more\n");
	send(1, mac(0), mac(2));
	says("switch stats", "  web.1            in 42 packets, 2520 bytes, 0 to groups\n");
	says("switch stats", "                   dropped 1: spoofed source\n");
	assert_int_equal(take(0), 41);
	says("switch capture web.9", "there is no port 'web.9'; 'switch show' lists them\n");
	says("switch capture web.0 stop", "web.0 is not being captured\n");
	says("switch capture web.0", "'switch capture web.0 stop' prints it\n");
	says("switch capture web.0", "web.0 is being captured");
	says("switch show", " capturing");
	says("switch capture web.0 stop",
	     "-----BEGIN PCAP web.0: 24 bytes, 0 older packets lost-----\n"
	     "1MOyoQIABAAAAAAAAAAAAAABAAABAAAA\n-----END PCAP-----\n");
	says("switch capture web.0 60", "prints it");
	send_len(1, mac(0), mac(1), 15);
	assert_int_equal(take(0), 1);
	says("switch capture web.0 stop", "BEGIN PCAP web.0: 55 bytes");
	assert_non_null(strstr(
		said,
		"lost-----\n1MOyoQIABAAAAAAAAAAAAAABAAABAAAA\nBQAAAAAAAAAPAAAADwAAAAJUAAAAAAJUAAAAAQwNDg==\n-----END"));
	fake_frames_left = 0;
	says("switch capture web.0", "web.0 cannot be captured: ENOMEM\n");
	fake_frames_left = UINT32_MAX;
	assert_int_equal(command("switch capture web.0 0"), -TERN_EINVAL);
	assert_int_equal(command("switch capture web.0 x"), -TERN_EINVAL);
	assert_int_equal(command("switch capture"), -TERN_EINVAL);
	assert_int_equal(command("switch show x"), -TERN_EINVAL);
	assert_int_equal(command("switch"), -TERN_EINVAL);
	assert_string_equal(complete_switch(1, 1), "show");
	assert_null(complete_switch(1, 3));
	assert_string_equal(complete_switch(2, 3), "web.3");
	assert_null(complete_switch(2, 4));
	assert_string_equal(vdrop_name(VDROP_FULL), "queue full");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_learning, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ageing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sources, setup, teardown),
		cmocka_unit_test_setup_teardown(test_flooded_table, setup, teardown),
		cmocka_unit_test_setup_teardown(test_queue_bounds, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ports, setup, teardown),
		cmocka_unit_test_setup_teardown(test_offloads, setup, teardown),
		cmocka_unit_test_setup_teardown(test_capture, setup, teardown),
		cmocka_unit_test_setup_teardown(test_capture_wraps, setup, teardown),
		cmocka_unit_test_setup_teardown(test_shell, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
