/* SPDX-License-Identifier: MIT */
/* The shell's command about virtual switches. */
#include "commands.h"

#include <tern/console.h>
#include <tern/err.h>
#include <tern/lib.h>
#include <tern/vswitch.h>

#define CAPTURE_BYTES 32768u /* three seconds on a serial line of 115200 bit/s */
#define CAPTURE_SNAP  256u
#define BASE64_BYTES  57u /* that make a line of 76 characters, as MIME has them */
#define STATIONS_MAX  32u /* shown of a port */

/* "02:54:..." */
static const char *mac_text(char text[18], const u8 mac[ETH_ADDR])
{
	fmt_str(text, 18, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4],
		mac[5]);
	return text;
}

/* --- switch show, switch stats --- */

static void show_port(struct vswitch *sw, u32 index, const struct vport_view *v)
{
	static struct vstation_view stations[VPORT_STATIONS_UP + 1]; /* boot CPU, thread context */
	u32 n = vswitch_stations(sw, index, stations, ARRAY_SIZE(stations));
	char mac[18];

	console_printf("  %-16s %s %-4s%s%s%s  offloads:%s%s%s%s  queued %u (%llu KiB)\n", v->name,
		       mac_text(mac, v->mac), v->up ? "up" : "down", v->locked ? " locked" : "",
		       v->uplink ? " uplink" : "", v->capturing ? " capturing" : "",
		       (v->can & VPACKET_CAN_CSUM) != 0 ? " csum" : "",
		       (v->can & VPACKET_CAN_TCP4) != 0 ? " tso4" : "",
		       (v->can & VPACKET_CAN_TCP6) != 0 ? " tso6" : "", v->can == 0 ? " none" : "",
		       v->queued, (unsigned long long)(v->queued_memory >> 10));
	for (u32 i = 0; i < n && i < STATIONS_MAX; i++) {
		console_printf("    %s ", mac_text(mac, stations[i].mac));
		if (stations[i].configured)
			console_printf("its own\n");
		else
			console_printf("heard %u s ago\n", stations[i].age_s);
	}
	if (n > STATIONS_MAX)
		console_printf("    and %u more\n", n - STATIONS_MAX);
}

static void show_stats(UNUSED struct vswitch *sw, UNUSED u32 index, const struct vport_view *v)
{
	const struct vport_stats *s = &v->stats;

	console_printf("  %-16s in %llu packets, %llu bytes, %llu to groups\n", v->name,
		       (unsigned long long)s->in.packets, (unsigned long long)s->in.bytes,
		       (unsigned long long)s->in.multicast);
	console_printf("  %-16s out %llu packets, %llu bytes, %llu to groups\n", "",
		       (unsigned long long)s->out.packets, (unsigned long long)s->out.bytes,
		       (unsigned long long)s->out.multicast);
	for (u32 i = 0; i < VDROP_COUNT; i++) {
		if (s->drops[i] != 0)
			console_printf("  %-16s dropped %llu: %s\n", "",
				       (unsigned long long)s->drops[i], vdrop_name(i));
	}
}

static int for_ports(void (*show)(struct vswitch *sw, u32 index, const struct vport_view *v))
{
	static struct vport_view v; /* boot CPU, thread context */
	const char *name;

	for (u32 k = 0; (name = vswitch_name(k)) != NULL; k++) {
		struct vswitch *sw = vswitch_find(name);

		console_printf("%s:\n", name);
		for (u32 i = 0; i < VSWITCH_PORTS_MAX; i++) {
			if (vswitch_view(sw, i, &v))
				show(sw, i, &v);
		}
	}
	return 0;
}

/* --- switch capture --- */

/* Finds a port by its name in any switch; says so when there is none. */
static struct vswitch *find_port(const char *port, u32 *index)
{
	static struct vport_view v; /* boot CPU, thread context */
	const char *name;

	for (u32 k = 0; (name = vswitch_name(k)) != NULL; k++) {
		struct vswitch *sw = vswitch_find(name);

		for (*index = 0; *index < VSWITCH_PORTS_MAX; ++*index) {
			if (vswitch_view(sw, *index, &v) && strcmp(v.name, port) == 0)
				return sw;
		}
	}
	console_printf("there is no port '%s'; 'switch show' lists them\n", port);
	return NULL;
}

/* One line: at most BASE64_BYTES. */
static void print_base64(const u8 *data, u32 n)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char line[BASE64_BYTES / 3 * 4 + 1];
	u32 at = 0;

	for (u32 i = 0; i < n; i += 3) {
		u32 v = (u32)data[i] << 16 | (i + 1 < n ? (u32)data[i + 1] << 8 : 0) |
			(i + 2 < n ? data[i + 2] : 0);

		line[at++] = digits[v >> 18];
		line[at++] = digits[v >> 12 & 63];
		line[at++] = i + 1 < n ? digits[v >> 6 & 63] : '=';
		line[at++] = i + 2 < n ? digits[v & 63] : '=';
	}
	line[at++] = '\n';
	console_write(line, at);
}

static int capture_stop(struct vswitch *sw, u32 index, const char *port)
{
	u8 data[BASE64_BYTES];
	u64 lost;
	u32 len, n;

	if (vswitch_capture_stop(sw, index, &len, &lost) != 0) {
		console_printf("%s is not being captured\n", port);
		return 0;
	}
	console_printf("-----BEGIN PCAP %s: %u bytes, %llu older packets lost-----\n", port, len,
		       (unsigned long long)lost);
	for (u32 at = 0; (n = vswitch_capture_read(sw, index, at, data, sizeof(data))) != 0;
	     at += n)
		print_base64(data, n);
	console_printf("-----END PCAP-----\n");
	vswitch_capture_free(sw, index);
	return 0;
}

static int capture(const char *port, const char *arg)
{
	u32 index;
	struct vswitch *sw = find_port(port, &index);
	u64 seconds = 0;
	int rc;

	if (sw == NULL)
		return 0;
	if (arg != NULL && strcmp(arg, "stop") == 0)
		return capture_stop(sw, index, port);
	if (arg != NULL && (str_to_u64(arg, &seconds) != 0 || seconds == 0 || seconds > UINT32_MAX))
		return -TERN_EINVAL;
	rc = vswitch_capture_start(sw, index, CAPTURE_BYTES, CAPTURE_SNAP, (u32)seconds);
	if (rc == 0)
		console_printf("'switch capture %s stop' prints it\n", port);
	else if (rc == -TERN_EBUSY)
		console_printf("%s is being captured; 'switch capture %s stop' prints that\n", port,
			       port);
	else
		console_printf("%s cannot be captured: %s\n", port, err_name(-rc));
	return 0;
}

int cmd_switch(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "show") == 0)
		return for_ports(show_port);
	if (argc == 2 && strcmp(argv[1], "stats") == 0)
		return for_ports(show_stats);
	if ((argc == 3 || argc == 4) && strcmp(argv[1], "capture") == 0)
		return capture(argv[2], argc == 4 ? argv[3] : NULL);
	return -TERN_EINVAL;
}

const char *complete_switch(int arg, u32 i)
{
	static const char *const actions[] = {"capture", "show", "stats"};
	static struct vport_view v; /* boot CPU, thread context; valid until the next call */

	if (arg == 1)
		return i < ARRAY_SIZE(actions) ? actions[i] : NULL;
	for (u32 index = 0; arg == 2 && index < VSWITCH_PORTS_MAX; index++) {
		if (vswitch_view(vswitch_find(VSWITCH_DEFAULT), index, &v) && i-- == 0)
			return v.name;
	}
	return NULL;
}
