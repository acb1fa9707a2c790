/* SPDX-License-Identifier: MIT */
/*
 * Descriptors to one virtio device, random or mutated from valid ones, in rings that are mostly where they
 * should be. When the device needs a reset it gets one, and everything begins anew.
 */
#include "hostdev.h"

#include <linux/pci_regs.h>

#define QUEUES_MAX   8u
#define QUEUE_BYTES  0x2000ul /* of the rings' part for each: 256 entries */
#define TABLES       (MESS_RINGS + QUEUES_MAX * QUEUE_BYTES)
#define TABLES_LEN   0x20000u
#define BATCH_SHIFTS 6u
#define MSI_ADDRESS  0xfee00000u /* of APIC ID 0 */
#define MSI_VECTOR   0x41u
#define LOOKS        32u /* at a device that has not done all yet */
#define NO_VECTOR    0xffffu
#define FIELD(name)  ((volatile u32 *)((volatile u8 *)v.common + (name)))

struct queue {
	volatile struct vring_desc *desc;
	volatile struct vring_avail *avail;
	volatile struct vring_used *used;
	u32 size; /* 0: it is not in use */
	u16 next, idx, seen;
};

static const struct kind *kind;
static struct virtio v;
static struct queue queues[QUEUES_MAX];
static u32 queue_count, posted, chains, came_back, breaks, resets, refused;

/* --- setting up --- */

static u32 msix_cap(void)
{
	return pci_capability(v.slot, PCI_CAP_ID_MSIX, 0);
}

static void mess_msix(void)
{
	u32 cap = msix_cap(), base = pci_read(v.slot, PCI_BASE_ADDRESS_0, 4) & ~0xfu;
	u32 vectors = (pci_read(v.slot, cap + PCI_MSIX_FLAGS, 2) & PCI_MSIX_FLAGS_QSIZE) + 1;
	volatile u32 *table =
		(volatile u32 *)(uintptr_t)(base + (pci_read(v.slot, cap + PCI_MSIX_TABLE, 4) &
						    PCI_MSIX_TABLE_OFFSET));

	for (u32 i = 0; i < vectors; i++, table += 4) {
		/* A half of them are such that somebody hears them. */
		bool plain = one_in(2);

		table[0] = plain ? MSI_ADDRESS : MSI_ADDRESS * pick(2) ^ (u32)rnd() >> pick(32);
		table[1] = plain ? 0 : (u32)rnd() >> pick(32);
		table[2] = plain ? MSI_VECTOR + i : msix_word((u32)rnd());
		table[3] = plain ? 0 : (u32)rnd();
	}
	pci_write(v.slot, cap + PCI_MSIX_FLAGS, 2,
		  one_in(4)   ? PCI_MSIX_FLAGS_MASKALL
		  : one_in(4) ? 0
			      : PCI_MSIX_FLAGS_ENABLE);
}

/* Rings where none can be, or somewhere in the mess. A device that takes pages away writes nothing there. */
static u64 bad_ring(bool written)
{
	u64 at = bad_address();
	u32 len = GUEST_PAGE;

	confine(&at, &len);
	if (written && kind->pfns && at < mess_end)
		at += 1ull << 40;
	return one_in(4) ? at : at & ~15ull;
}

static void put_address(u32 field, u64 at)
{
	FIELD(field)[0] = (u32)at;
	FIELD(field)[1] = (u32)(at >> 32);
}

static void setup_queue(u32 i)
{
	u32 max = virtq_max(&v, i), size = 1u << pick(9), bad = pick(256);
	u64 at = MESS_RINGS + i * QUEUE_BYTES;
	struct queue *q = &queues[i];

	*q = (struct queue){.size = size < max ? size : max};
	/* 8 bytes behind the available ring are its event and alignment. */
	q->desc = (volatile void *)(uintptr_t)at;
	q->avail = (volatile void *)(uintptr_t)(at + q->size * 16);
	q->used = (volatile void *)(uintptr_t)(at + q->size * 18 + 8 - (q->size == 1 ? 2 : 0));
	memset((void *)(uintptr_t)at, 0, QUEUE_BYTES);
	v.common->queue_size = (u16)(one_in(64) ? (u32)rnd() : q->size);
	v.common->queue_size = (u16)q->size;
	put_address(VIRTIO_PCI_COMMON_Q_DESCLO, bad == 0 ? bad_ring(false) : (uintptr_t)q->desc);
	put_address(VIRTIO_PCI_COMMON_Q_AVAILLO, bad == 1 ? bad_ring(false) : (uintptr_t)q->avail);
	put_address(VIRTIO_PCI_COMMON_Q_USEDLO, bad == 2 ? bad_ring(true) : (uintptr_t)q->used);
	v.common->queue_msix_vector = (u16)(one_in(8) ? (u32)rnd() : pick(queue_count + 1));
	v.common->queue_enable = 1;
}

/* False: it does not even answer a reset. */
static bool setup(void)
{
	u64 wanted = rnd() | rnd();

	if (one_in(64)) {
		/* What was not offered, or not the one it needs. */
		v.common->guest_feature_select = pick(3);
		v.common->guest_feature = (u32)rnd();
	}
	if (!virtio_negotiate(&v, wanted))
		return false;
	if (one_in(4))
		mess_msix();
	queue_count = v.common->num_queues;
	v.common->msix_config = (u16)pick(queue_count + 2);
	for (u32 i = 0; i < queue_count && i < QUEUES_MAX; i++)
		setup_queue(i);
	virtio_go(&v);
	return true;
}

/* What the driver may not do, before a reset takes it back. */
static void nonsense(void)
{
	v.common->device_status = (u8)rnd() | VIRTIO_CONFIG_S_ACKNOWLEDGE;
	v.common->guest_feature_select = pick(3);
	v.common->guest_feature = (u32)rnd();
	v.common->device_status = (u8)rnd() | VIRTIO_CONFIG_S_FEATURES_OK;
	refused += (virtio_status(&v) & VIRTIO_CONFIG_S_FEATURES_OK) == 0;
	v.common->queue_select = (u16)rnd();
	v.common->queue_enable = (u16)rnd();
}

/* --- chains --- */

static u16 bad_next(u32 size)
{
	u16 r = (u16)rnd();

	/* Out of range; none that is the number of a page of the image. */
	return one_in(2) ? (u16)pick(size) : (u16)(r | 0x1010);
}

static void mutate(struct chain *c)
{
	struct desc *d = &c->d[pick(c->n)], *e = &c->d[pick(c->n)], old = *d;

	switch (pick(9)) {
	case 0:
		d->addr = bad_address();
		break;
	case 1:
		d->len = bad_len();
		/* Mostly at the end: it takes long to fill all of the mess. */
		if (d->len > GUEST_PAGE && !one_in(16))
			d->addr = mess_end - pick(2 * GUEST_PAGE);
		break;
	case 2:
		d->flags ^= (u16)(1u << pick(16));
		break;
	case 3:
		d->addr ^= 1ull << pick(64);
		break;
	case 4:
		*d = *e;
		*e = old;
		break;
	case 5:
		c->n = 1 + pick(c->n);
		break;
	case 6:
		for (u32 i = 0; i < c->n; i++)
			c->d[i].len = pick(2);
		break;
	case 7:
		d->flags = (u16)rnd();
		break;
	default:
		/* The request's own header. */
		if (!kind->pfns && c->d[0].addr >= MESS && c->d[0].addr < mess_end - 16)
			*(volatile u8 *)(uintptr_t)(c->d[0].addr + pick(16)) = (u8)rnd();
	}
}

static void random_chain(struct chain *c)
{
	c->n = 1 + pick(CHAIN_MAX);
	for (u32 i = 0; i < c->n; i++) {
		c->d[i] = (struct desc){
			one_in(3) ? bad_address() : data_at(GUEST_PAGE),
			one_in(3) ? bad_len() : pick(GUEST_PAGE),
			(u16)(one_in(8) ? (u32)rnd() : pick(2) * VRING_DESC_F_WRITE), 0};
		if (c->d[i].len > GUEST_PAGE && !one_in(64))
			c->d[i].addr = mess_end - pick(2 * GUEST_PAGE);
	}
}

static void make_chain(u32 queue, struct chain *c)
{
	c->n = 0;
	if (one_in(256))
		random_chain(c);
	else
		kind->request(queue, c);
	if (one_in(32))
		mutate(c);
	for (u32 i = 0; i < c->n; i++) {
		confine(&c->d[i].addr, &c->d[i].len);
		/* What lies there may be any number: tables, the ROM. */
		if (kind->pfns && c->d[i].addr < MESS_DATA && c->d[i].addr >= LOW_END)
			c->d[i].addr += 1ull << 32;
	}
}

/* Into a table, the queue's from entry first on or an indirect one. Where it ends mostly says so. */
static void write_table(volatile struct vring_desc *table, u32 first, u32 size, struct chain *c)
{
	for (u32 i = 0; i < c->n; i++) {
		volatile struct vring_desc *d = &table[(first + i) % size];
		bool more = i + 1 < c->n, odd = one_in(512);

		d->addr = c->d[i].addr;
		d->len = c->d[i].len;
		d->flags = (u16)(c->d[i].flags ^ (more != odd ? VRING_DESC_F_NEXT : 0));
		d->next = odd ? bad_next(size) : (u16)((first + i + 1) % size);
	}
}

static void post(struct queue *q, u32 queue)
{
	struct chain c;
	u32 head = q->next;

	make_chain(queue, &c);
	posted += c.n;
	chains++;
	if ((v.features & 1ull << VIRTIO_RING_F_INDIRECT_DESC && one_in(3)) || c.n > q->size ||
	    one_in(512)) {
		u64 at = TABLES + (pick(TABLES_LEN - GUEST_PAGE) & ~15u);
		u32 bytes = c.n * (u32)sizeof(struct vring_desc);

		write_table((volatile void *)(uintptr_t)at, 0, c.n, &c);
		c.d[0] = (struct desc){at, one_in(256) ? bad_len() : bytes, VRING_DESC_F_INDIRECT,
				       0};
		if (one_in(256))
			c.d[0].addr = bad_address();
		confine(&c.d[0].addr, &c.d[0].len);
		c.n = 1;
		posted++;
	}
	write_table(q->desc, head, q->size, &c);
	q->next = (u16)((head + c.n) % q->size);
	q->avail->ring[q->idx % q->size] = (u16)(one_in(512) ? bad_next(q->size) : head);
	q->idx++;
}

/* --- rounds --- */

/* Of the chains that came back. True: no more than left are out. */
static bool settled(struct queue *q, u32 left)
{
	u16 used = q->used->idx;

	came_back += (u16)(used - q->seen) <= q->size ? (u16)(used - q->seen) : 0;
	q->seen = used;
	return (u16)(q->idx - used) <= left;
}

static void notify(u32 queue)
{
	volatile u8 *at = v.notify + queue * v.notify_mul;

	if (one_in(64)) {
		/* One that is not there, or not how it is done. */
		*(v.notify + pick(0x1000)) = (u8)rnd();
		*(volatile u16 *)(v.notify + (queue_count + pick(100)) * v.notify_mul) = (u16)rnd();
	}
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	*(volatile u16 *)at = (u16)queue;
}

static void mess_ring(struct queue *q)
{
	if (one_in(2))
		q->avail->ring[q->size] = (u16)rnd(); /* the event */
	q->avail->flags = (u16)(one_in(4) ? (u32)rnd() : 0);
	if (one_in(256))
		q->idx = (u16)rnd();
	q->avail->idx = q->idx;
}

static void mess_config(void)
{
	u32 at = pick(64) & ~3u;

	if (v.config != NULL)
		*(volatile u32 *)(v.config + at) = (u32)rnd();
	(void)*v.isr;
}

/* A batch of chains to one queue. False: it must be reset now. */
static bool round(void)
{
	u32 queue = pick(queue_count), n = 1u << pick(BATCH_SHIFTS);
	struct queue *q = &queues[queue];

	n = n < q->size ? n : q->size;
	if (n == 0 || !settled(q, q->size - n))
		return !one_in(8);
	for (u32 i = 0; i < n; i++)
		post(q, queue);
	if (kind->id == VIRTIO_ID_NET && one_in(2))
		peer_send();
	if (one_in(64))
		mess_config();
	mess_ring(q);
	notify(queue);
	for (u32 i = 0; i < LOOKS; i++) {
		if (virtio_status(&v) & VIRTIO_CONFIG_S_NEEDS_RESET) {
			breaks++;
			settled(q, 0);
			return false;
		}
		/* What it is to fill comes back when there is something to fill it with. */
		if (settled(q, 0) || (i > 2 && queue == 0))
			break;
	}
	return !one_in(256);
}

static void storm(u32 count)
{
	u32 told = 0;
	bool good = setup();

	while (good && posted < count) {
		progress(&told, posted);
		if (round())
			continue;
		resets++;
		if (one_in(16))
			nonsense();
		good = setup();
	}
	check("answers-every-reset", good);
}

static const struct kind *kind_wanted(void)
{
	char word[16] = "dev=";

	for (u32 i = 0; i < kind_count; i++) {
		memcpy(word + 4, kinds[i].name, str_length(kinds[i].name) + 1);
		if (cmdline_has(word))
			return &kinds[i];
	}
	return NULL;
}

void hostile_virtq(u32 count)
{
	kind = kind_wanted();
	check("device-is-there", kind != NULL && virtio_find(&v, kind->id, 0));
	if (kind == NULL || v.common == NULL)
		return;
	print("hostdev: virtq %s\n", kind->name);
	take_interrupts();
	if (kind->id == VIRTIO_ID_NET)
		peer_start();
	storm(count);
	pci_write(v.slot, msix_cap() + PCI_MSIX_FLAGS, 2, 0);
	/* The log takes no more lines of ours for a while when a console was full of nonsense. */
	if (kind->id == VIRTIO_ID_CONSOLE)
		wait_seconds(4);
	print("hostdev: virtq %s, %u descriptors in %u chains, %u came back, %u interrupts\n",
	      kind->name, posted, chains, came_back, interrupts);
	print("hostdev: the device needed %u resets and got %u, and refused features %u times\n",
	      breaks, resets, refused);
	/* By chance: a short run may do without. */
	if (count >= INTERRUPTS_SURE)
		check("interrupts-come", interrupts > 0);
	check("some-come-back", came_back > 0);
	check("some-break-it", breaks > 0);
	check("works-after-all", kind->works(&v));
}
