/* SPDX-License-Identifier: MIT */
/* The NICs of the node: which there are, and what the shell shows of them. */
#include <tern/netdev_driver.h>

#include <tern/arch.h>
#include <tern/err.h>
#include <tern/frames.h>
#include <tern/lib.h>
#include <tern/log.h>

static struct netdev pool[NETDEV_MAX]; /* of those that netdev_init() finds */
static struct netdev *list[NETDEV_MAX];
static u32 count; /* (c) after boot */

static const struct netdev_ops *const drivers[] = {&e1000_netdev, &virtio_netdev};

static const char *const count_names[] = {
	[NETDEV_TX_FRAMES] = "tx frames",
	[NETDEV_TX_BYTES] = "tx bytes",
	[NETDEV_TX_FULL] = "tx ring full",
	[NETDEV_TX_DOWN] = "tx link down",
	[NETDEV_TX_FAILED] = "tx failed",
	[NETDEV_RX_FRAMES] = "rx frames",
	[NETDEV_RX_BYTES] = "rx bytes",
	[NETDEV_RX_LENGTH] = "rx bad length",
	[NETDEV_RX_CSUM] = "rx bad CRC",
	[NETDEV_RX_ERROR] = "rx line errors",
	[NETDEV_RX_MISSED] = "rx no buffer",
	[NETDEV_RX_BROKEN] = "rx bad descriptors",
	[NETDEV_HANGS] = "hangs",
	[NETDEV_RESETS] = "resets",
	[NETDEV_LINK_CHANGES] = "link changes",
	[NETDEV_INTERRUPTS] = "interrupts",
	[NETDEV_POLLS] = "polls",
};
_Static_assert(ARRAY_SIZE(count_names) == NETDEV_COUNTS, "a name each");

const char *netdev_count_name(enum netdev_count which)
{
	return count_names[which];
}

void netdev_add(struct netdev *nd, enum netdev_count which, u64 n)
{
	__atomic_fetch_add(&nd->counts[which], n, __ATOMIC_RELAXED);
}

int netdev_register(struct netdev *nd)
{
	int rc;

	if (count == NETDEV_MAX)
		return -TERN_ENOSPC;
	nd->driver = frames_alloc_page();
	if (nd->driver == NULL)
		return -TERN_ENOMEM;
	rc = nd->ops->probe(nd);
	if (rc != 0) {
		frames_free_page(nd->driver);
		return rc;
	}
	nd->lock = (struct spinlock)SPINLOCK_INIT(RANK_NETDEV, "nic");
	fmt_str(nd->name, sizeof(nd->name), "nic%u", count);
	list[count++] = nd;
	return 0;
}

void netdev_forget_all(void)
{
	for (u32 i = 0; i < count; i++)
		frames_free_page(list[i]->driver);
	count = 0;
}

static void add_device(struct pci_device *d)
{
	for (u32 i = 0; i < ARRAY_SIZE(drivers); i++) {
		const char *model = drivers[i]->match(d);
		int rc;

		if (model == NULL)
			continue;
		if (count == NETDEV_MAX) {
			log_warn("nic: %02x:%02x.%x is left out: Tern knows at most %u NICs",
				 d->bus, d->dev, d->fn, NETDEV_MAX);
			return;
		}
		pool[count] = (struct netdev){.ops = drivers[i], .pci = d, .model = model};
		rc = netdev_register(&pool[count]);
		if (rc != 0)
			log_warn("nic: the %s at %02x:%02x.%x cannot be used: %s", model, d->bus,
				 d->dev, d->fn, err_name(-rc));
		return;
	}
}

void netdev_init(void)
{
	for (u32 i = 0; i < pci_device_count(); i++)
		add_device(pci_device_get(i));
}

struct netdev *netdev_get(u32 i)
{
	return i < count ? list[i] : NULL;
}

struct netdev *netdev_find(const char *which)
{
	struct netdev_which w;

	if (!netdev_which_parse(which, &w))
		return NULL;
	for (u32 i = 0; i < count; i++) {
		const struct pci_device *d = list[i]->pci;

		if (w.is_mac ? memcmp(list[i]->mac, w.mac, NETDEV_MAC) == 0
			     : d != NULL && d->segment == w.segment && d->bus == w.bus &&
				       d->dev == w.dev && d->fn == w.fn)
			return list[i];
	}
	return NULL;
}

const u8 *netdev_mac(const struct netdev *nd)
{
	return nd->mac;
}

u32 netdev_mtu(const struct netdev *nd)
{
	return nd->mtu;
}

u32 netdev_can(const struct netdev *nd)
{
	return nd->can;
}

bool netdev_link_up(const struct netdev *nd)
{
	return __atomic_load_n(&nd->link_up, __ATOMIC_RELAXED) != 0;
}

void netdev_view(struct netdev *nd, struct netdev_view *out)
{
	const struct pci_device *d = nd->pci;
	lock_token token;

	*out = (struct netdev_view){
		.driver = nd->ops->name,
		.model = nd->model,
		.owner = nd->open ? nd->owner.name : NULL,
		.wakes = nd->open ? nd->wakes : "",
		.mtu = nd->open ? nd->mtu : 0,
		.mtu_max = nd->mtu_max,
		.can = nd->can,
		.link_up = netdev_link_up(nd),
		.full_duplex = nd->link.full_duplex,
		.speed = nd->link.speed,
	};
	str_copy(out->name, nd->name, sizeof(out->name));
	memcpy(out->mac, nd->mac, NETDEV_MAC);
	if (d != NULL && d->segment != 0)
		fmt_str(out->where, sizeof(out->where), "%04x:%02x:%02x.%x", d->segment, d->bus,
			d->dev, d->fn);
	else if (d != NULL)
		fmt_str(out->where, sizeof(out->where), "%02x:%02x.%x", d->bus, d->dev, d->fn);
	if (nd->open && !nd->dead && nd->ops->collect != NULL)
		nd->ops->collect(nd);
	token = lock_take(&nd->lock);
	out->waiting = nd->waiting;
	lock_release(&nd->lock, token);
	for (u32 i = 0; i < NETDEV_COUNTS; i++)
		out->counts[i] = __atomic_load_n(&nd->counts[i], __ATOMIC_RELAXED);
}
