/* SPDX-License-Identifier: MIT */
#include "fake_wire.h"

#include <stdlib.h>
#include <string.h>
#include <tern/arch.h>
#include <tern/err.h>
#include <tests/fake/fake_host.h>

static struct fake_wire *making; /* by fake_wire_make() */

static struct fake_wire_end *end_of(const struct netdev *nd)
{
	return nd->driver;
}

/* xorshift64*: enough chance for a bad line. */
static u64 roll(struct fake_wire *w)
{
	w->random ^= w->random >> 12;
	w->random ^= w->random << 25;
	w->random ^= w->random >> 27;
	return w->random * 0x2545f4914f6cdd1dull;
}

static bool happens(struct fake_wire *w, u32 millionths)
{
	return (roll(w) >> 20) % FAKE_WIRE_SURE < millionths;
}

/* --- frames under way --- */

static bool earlier(const struct fake_wire_frame *a, const struct fake_wire_frame *b)
{
	return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void swap(struct fake_wire_frame *a, struct fake_wire_frame *b)
{
	struct fake_wire_frame t = *a;

	*a = *b;
	*b = t;
}

static void push(struct fake_wire_way *way, const struct fake_wire_frame *f)
{
	u32 i = way->count++;

	way->frames[i] = *f;
	for (; i > 0 && earlier(&way->frames[i], &way->frames[(i - 1) / 2]); i = (i - 1) / 2)
		swap(&way->frames[i], &way->frames[(i - 1) / 2]);
}

static struct fake_wire_frame pop(struct fake_wire_way *way)
{
	struct fake_wire_frame f = way->frames[0];
	u32 i = 0;

	way->frames[0] = way->frames[--way->count];
	for (;;) {
		u32 least = i;

		for (u32 child = 2 * i + 1; child <= 2 * i + 2 && child < way->count; child++) {
			if (earlier(&way->frames[child], &way->frames[least]))
				least = child;
		}
		if (least == i)
			return f;
		swap(&way->frames[i], &way->frames[least]);
		i = least;
	}
}

static void put_sum(const struct netdev_tx *tx, u8 *data)
{
	u32 sum = 0, to = (u32)tx->csum_start + tx->csum_offset;

	for (u32 i = tx->csum_start; i < tx->len; i++)
		sum += (i - tx->csum_start) % 2 == 0 ? (u32)data[i] << 8 : data[i];
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	data[to] = (u8)(~sum >> 8);
	data[to + 1] = (u8)~sum;
}

static u8 *gather(const struct netdev_tx *tx)
{
	u8 *data = malloc(tx->len);
	u32 at = 0;

	for (u32 i = 0; i < tx->frag_count; at += tx->frags[i++].len)
		memcpy(data + at, phys_to_virt(tx->frags[i].at), tx->frags[i].len);
	if (tx->csum)
		put_sum(tx, data);
	return data;
}

/* One copy of a frame goes its way; it left the line at. */
static void travel(struct fake_wire *w, struct fake_wire_way *way, const struct netdev_tx *tx,
		   u64 at)
{
	struct fake_wire_frame f = {.len = tx->len, .order = w->order++};

	if (w->cut || (w->mtu != 0 && tx->len > NETDEV_HEADER + w->mtu) || happens(w, w->loss) ||
	    way->count == FAKE_WIRE_FRAMES) {
		way->lost++;
		return;
	}
	f.at = at + timer_us_to_tsc(w->delay_us);
	if (w->jitter_us != 0)
		f.at += timer_us_to_tsc((roll(w) >> 20) % (w->jitter_us + 1));
	f.data = gather(tx);
	if (happens(w, w->corrupt)) {
		f.data[(roll(w) >> 20) % f.len] ^= (u8)(1u << (roll(w) >> 40) % 8);
		way->corrupted++;
	}
	push(way, &f);
}

/* The frame gets its turn on the line. */
static void carry(struct fake_wire *w, struct fake_wire_way *way, const struct netdev_tx *tx)
{
	u64 now = fake_tsc, start = way->free_at > now ? way->free_at : now,
	    bit_us = 8 * 1000000ull;

	way->carried++;
	if (w->bits_per_second != 0) {
		u64 waits = start - now; /* in ticks; what waits for the line, in bytes */

		waits = waits / (fake_tsc_hz / 1000000) * w->bits_per_second / bit_us;
		if (w->queue_bytes != 0 && waits + tx->len > w->queue_bytes) {
			way->overflowed++;
			return;
		}
		start += tx->len * bit_us * (fake_tsc_hz / 1000000) / w->bits_per_second;
	}
	way->free_at = start;
	travel(w, way, tx, start);
	if (happens(w, w->duplicate)) {
		way->doubled++;
		travel(w, way, tx, start);
	}
}

/* --- the driver --- */

static const char *wire_match(UNUSED const struct pci_device *d)
{
	return NULL;
}

static int wire_probe(struct netdev *nd)
{
	struct fake_wire_end *e = nd->driver;

	e->wire = making;
	e->index = nd == &making->nd[1];
	memcpy(nd->mac, (u8[]){2, 0, 0, 0, 0, (u8)(e->index + 1)}, NETDEV_MAC);
	nd->mtu_max = FAKE_WIRE_MTU;
	nd->can = NETDEV_CAN_CSUM;
	return 0;
}

static int wire_alloc(UNUSED struct netdev *nd)
{
	return 0;
}

static void wire_free(struct netdev *nd)
{
	free(end_of(nd)->now);
	end_of(nd)->now = NULL;
}

static int wire_run(struct netdev *nd)
{
	end_of(nd)->wire->hangs = false;
	return 0;
}

static void wire_halt(UNUSED struct netdev *nd)
{
}

static int wire_send(struct netdev *nd, struct netdev_tx *tx)
{
	struct fake_wire_end *e = nd->driver;

	if (e->count == FAKE_WIRE_RING)
		return -TERN_EAGAIN;
	e->ring[(e->first + e->count++) % FAKE_WIRE_RING] = tx;
	return 0;
}

static struct netdev_tx *take(struct fake_wire_end *e)
{
	struct netdev_tx *tx = e->ring[e->first];

	e->first = (e->first + 1) % FAKE_WIRE_RING;
	e->count--;
	return tx;
}

/* A frame leaves the ring when the poller looks, so that what its sender changes before is seen. */
static struct netdev_tx *wire_reap(struct netdev *nd)
{
	struct fake_wire_end *e = nd->driver;
	struct netdev_tx *tx;

	if (e->count == 0 || e->wire->hangs)
		return NULL;
	tx = take(e);
	carry(e->wire, &e->wire->way[1 - e->index], tx);
	return tx;
}

static struct netdev_tx *wire_take_back(struct netdev *nd)
{
	return end_of(nd)->count > 0 ? take(end_of(nd)) : NULL;
}

static enum netdev_next wire_receive(struct netdev *nd, struct netdev_frame *out)
{
	struct fake_wire_end *e = nd->driver;
	struct fake_wire_way *way = &e->wire->way[e->index];
	struct fake_wire_frame f;

	if (way->count == 0 || way->frames[0].at > fake_tsc)
		return NETDEV_NONE;
	f = pop(way);
	e->now = f.data;
	*out = (struct netdev_frame){.data = f.data, .len = f.len};
	return NETDEV_FRAME;
}

static void wire_recycle(struct netdev *nd)
{
	free(end_of(nd)->now); /* whoever still looks at it is caught */
	end_of(nd)->now = NULL;
}

static void wire_end_batch(UNUSED struct netdev *nd)
{
}

static void wire_link(struct netdev *nd, struct netdev_link *out)
{
	*out = (struct netdev_link){
		.up = !end_of(nd)->wire->unplugged, .full_duplex = true, .speed = 1000};
}

static const struct netdev_ops wire_ops = {
	.name = "wire",
	.match = wire_match,
	.probe = wire_probe,
	.alloc = wire_alloc,
	.free = wire_free,
	.run = wire_run,
	.halt = wire_halt,
	.send = wire_send,
	.reap = wire_reap,
	.take_back = wire_take_back,
	.receive = wire_receive,
	.recycle = wire_recycle,
	.end_batch = wire_end_batch,
	.link = wire_link,
};

/* --- the test's side --- */

void fake_wire_make(struct fake_wire *w, u64 seed)
{
	memset(w, 0, sizeof(*w));
	w->random = seed * 2 + 1;
	making = w;
	for (u32 i = 0; i < 2; i++) {
		w->nd[i].ops = &wire_ops;
		w->nd[i].model = "wire";
		if (netdev_register(&w->nd[i]) != 0)
			abort();
	}
}

void fake_wire_destroy(struct fake_wire *w)
{
	for (u32 i = 0; i < 2; i++) {
		netdev_close(&w->nd[i]);
		while (w->way[i].count > 0)
			free(pop(&w->way[i]).data);
	}
	netdev_forget_all();
}

struct netdev *fake_wire_end(struct fake_wire *w, u32 i)
{
	return &w->nd[i];
}

u64 fake_wire_next(const struct fake_wire *w)
{
	u64 at = UINT64_MAX;

	for (u32 i = 0; i < 2; i++) {
		if (w->way[i].count > 0 && w->way[i].frames[0].at < at)
			at = w->way[i].frames[0].at;
	}
	return at;
}

bool fake_wire_step(struct fake_wire *w, u64 until)
{
	u64 next = fake_wire_next(w);

	if (next > fake_armed[0])
		next = fake_armed[0];
	if (next > until)
		next = until;
	/* As the boot CPU would: what somebody asked for comes before sleep. */
	if (__atomic_exchange_n(&pcpu_get(0)->work, 0, __ATOMIC_RELAXED) == 0 && next > fake_tsc)
		fake_tsc = next;
	if (fake_tsc >= fake_armed[0])
		timer_interrupt();
	for (u32 i = 0; i < 2; i++) {
		while (netdev_poll(&w->nd[i]))
			;
	}
	return fake_tsc < until;
}
