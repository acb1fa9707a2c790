/* SPDX-License-Identifier: MIT */
/* The shell's command about physical NICs. */
#include "commands.h"

#include <tern/console.h>
#include <tern/err.h>
#include <tern/lib.h>
#include <tern/netdev.h>

/* By its name in the list, or as netdev_find() takes it; says so when there is none. */
static struct netdev *find_nic(const char *which)
{
	struct netdev_view v;
	struct netdev *nd;

	for (u32 i = 0; (nd = netdev_get(i)) != NULL; i++) {
		netdev_view(nd, &v);
		if (strcmp(v.name, which) == 0)
			return nd;
	}
	nd = netdev_find(which);
	if (nd == NULL)
		console_printf("there is no NIC '%s'; 'nic list' lists them\n", which);
	return nd;
}

static void print_nic(const struct netdev_view *v)
{
	console_printf("%-5s %-12s %02x:%02x:%02x:%02x:%02x:%02x  %-10s ", v->name, v->where,
		       v->mac[0], v->mac[1], v->mac[2], v->mac[3], v->mac[4], v->mac[5], v->model);
	if (v->owner == NULL) {
		console_printf("not used\n");
		return;
	}
	console_printf("%s, MTU %u, %s, link ", v->owner, v->mtu, v->wakes);
	if (!v->link_up)
		console_printf("down\n");
	else if (v->speed == 0)
		console_printf("up\n");
	else
		console_printf("up, %u Mbit/s, %s duplex\n", v->speed,
			       v->full_duplex ? "full" : "half");
}

static int list(void)
{
	struct netdev_view v;
	struct netdev *nd;
	u32 i;

	for (i = 0; (nd = netdev_get(i)) != NULL; i++) {
		netdev_view(nd, &v);
		print_nic(&v);
	}
	if (i == 0)
		console_printf("no NIC that Tern has a driver for; 'pci' lists all devices\n");
	return 0;
}

static void print_stats(struct netdev *nd)
{
	struct netdev_view v;

	netdev_view(nd, &v);
	console_printf("%s:\n", v.name);
	for (u32 i = 0; i < NETDEV_COUNTS; i++) {
		if (v.counts[i] != 0)
			console_printf("  %-20s %llu\n", netdev_count_name(i),
				       (unsigned long long)v.counts[i]);
	}
	if (v.waiting != 0)
		console_printf("  %-20s %u\n", "to be sent", v.waiting);
}

static int stats(const char *which)
{
	struct netdev *nd;

	if (which != NULL) {
		nd = find_nic(which);
		if (nd != NULL)
			print_stats(nd);
		return 0;
	}
	for (u32 i = 0; (nd = netdev_get(i)) != NULL; i++)
		print_stats(nd);
	return 0;
}

static int reset(const char *which)
{
	struct netdev *nd = find_nic(which);
	struct netdev_view v;

	if (nd == NULL)
		return 0;
	netdev_view(nd, &v);
	if (v.owner == NULL) {
		console_printf("%s is not used: it is left alone\n", v.name);
		return 0;
	}
	netdev_reset(nd);
	console_printf("%s is reset; the log tells when its link is up again\n", v.name);
	return 0;
}

int cmd_nic(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "list") == 0)
		return list();
	if ((argc == 2 || argc == 3) && strcmp(argv[1], "stats") == 0)
		return stats(argc == 3 ? argv[2] : NULL);
	if (argc == 3 && strcmp(argv[1], "reset") == 0)
		return reset(argv[2]);
	return -TERN_EINVAL;
}

const char *complete_nic(int arg, u32 i)
{
	static const char *const actions[] = {"list", "reset", "stats"};
	static struct netdev_view v; /* boot CPU, thread context; valid until the next call */

	if (arg == 1)
		return i < ARRAY_SIZE(actions) ? actions[i] : NULL;
	if (arg != 2 || netdev_get(i) == NULL)
		return NULL;
	netdev_view(netdev_get(i), &v);
	return v.name;
}
