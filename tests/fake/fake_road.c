/* SPDX-License-Identifier: MIT */
#include "fake_road.h"

#include <stdlib.h>
#include <string.h>
#include <tern/err.h>
#include <tern/lib.h>

struct fake_event {
	u64 at, order;
	fake_arrive *arrive;
	void *ctx;
	struct fabric_peer from;
	u32 len;
	u8 data[];
};

void fake_road_init(struct fake_road *w, u64 seed)
{
	memset(w, 0, sizeof(*w));
	w->random = seed * 0x9e3779b97f4a7c15ull + 1;
	w->now = 1000000;
}

void fake_road_free(struct fake_road *w)
{
	for (u32 i = 0; i < w->count; i++)
		free(w->heap[i]);
	free(w->heap);
}

u32 fake_road_random(struct fake_road *w)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	w->random ^= w->random << 17;
	return (u32)(w->random >> 16);
}

static bool chance(struct fake_road *w, u32 of_a_million)
{
	return of_a_million != 0 && fake_road_random(w) % 1000000 < of_a_million;
}

static bool before(const struct fake_event *a, const struct fake_event *b)
{
	return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void push(struct fake_road *w, struct fake_event *e)
{
	u32 i = w->count++;

	if (w->count > w->room) {
		w->room = w->room * 2 + 64;
		w->heap = realloc(w->heap, w->room * sizeof(w->heap[0]));
		ASSERT(w->heap != NULL);
	}
	for (; i > 0 && before(e, w->heap[(i - 1) / 2]); i = (i - 1) / 2)
		w->heap[i] = w->heap[(i - 1) / 2];
	w->heap[i] = e;
}

static struct fake_event *pop(struct fake_road *w)
{
	struct fake_event *top = w->heap[0], *last = w->heap[--w->count];
	u32 i = 0, child;

	while ((child = 2 * i + 1) < w->count) {
		if (child + 1 < w->count && before(w->heap[child + 1], w->heap[child]))
			child++;
		if (before(last, w->heap[child]))
			break;
		w->heap[i] = w->heap[child];
		i = child;
	}
	w->heap[i] = last;
	return top;
}

static void deliver(struct fake_road *w, const struct fake_link *l, u64 at, fake_arrive *arrive,
		    void *ctx, const struct fabric_peer *from, const u8 *data, u32 len)
{
	struct fake_event *e = malloc(sizeof(*e) + len);

	ASSERT(e != NULL);
	/* Late by up to three delays: others overtake it. */
	if (chance(w, l->reorder))
		at += fake_road_random(w) % (3 * l->delay_us + 100);
	*e = (struct fake_event){.at = at,
				 .order = w->order++,
				 .arrive = arrive,
				 .ctx = ctx,
				 .from = *from,
				 .len = len};
	memcpy(e->data, data, len);
	if (chance(w, l->corrupt))
		e->data[fake_road_random(w) % len] ^= (u8)(1u << fake_road_random(w) % 8);
	push(w, e);
}

void fake_road_send(struct fake_road *w, struct fake_link *l, fake_arrive *arrive, void *ctx,
		    const struct fabric_peer *from, const u8 *data, u32 len)
{
	u64 now_ns = w->now * 1000, start = max_u64(now_ns, l->busy_ns);
	u32 bytes = len + 28 + 38; /* headers, and what Ethernet adds to them on the line */
	u64 at;

	l->sent++;
	if (l->rate != 0 && l->queue != 0 &&
	    (start - now_ns) * (l->rate / 1000) / 1000000 + bytes > l->queue) {
		l->full++;
		return;
	}
	if (l->rate != 0)
		l->busy_ns = start = start + bytes * 1000000000ull / l->rate;
	if ((w->now >= l->cut_from && w->now < l->cut_to) || (l->mtu != 0 && len + 28 > l->mtu) ||
	    chance(w, l->loss)) {
		l->lost++;
		return;
	}
	l->bytes += bytes;
	at = start / 1000 + l->delay_us;
	if (l->jitter_us != 0)
		at = max_u64(l->last_us, at + fake_road_random(w) % l->jitter_us);
	l->last_us = at;
	deliver(w, l, at, arrive, ctx, from, data, len);
	if (chance(w, l->duplicate))
		deliver(w, l, at, arrive, ctx, from, data, len);
}

u64 fake_road_next(const struct fake_road *w)
{
	return w->count > 0 ? w->heap[0]->at : UINT64_MAX;
}

void fake_road_step(struct fake_road *w)
{
	struct fake_event *e = pop(w);

	w->now = max_u64(w->now, e->at);
	e->arrive(e->ctx, &e->from, e->data, e->len);
	free(e);
}

/* --- nodes --- */

u32 fake_page_len(const struct fake_node *n, u64 tag)
{
	return n->page_len == 0 ? FABRIC_PAGE_MAX
				: 1 + (u32)((tag * 0x9e3779b97f4a7c15ull >> 40) % n->page_len);
}

void fake_page_fill(u64 tag, u8 *p, u32 len)
{
	u64 x = (tag + 1) * 0x9e3779b97f4a7c15ull, word;

	for (u32 at = 0; at < len; at += 8) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		word = x;
		memcpy(p + at, &word, min_u64(8, len - at));
	}
}

static u8 *node_buffer(void *ctx)
{
	struct fake_node *n = ctx;

	return n->no_buffer ? NULL : n->buffer;
}

static void node_arrive(void *ctx, const struct fabric_peer *from, u8 *data, u32 len)
{
	struct fake_node *n = ctx;

	fabric_input(&n->f, n->wire->now, from, data, len);
	n->next_poll = 0;
}

static void node_send(void *ctx, u64 now, const struct fabric_peer *to, u8 *payload, u32 len)
{
	struct fake_node *n = ctx;

	ASSERT(now == n->wire->now && payload == n->buffer && len + 28 <= n->f.link_mtu);
	if (n->tap != NULL && len <= sizeof(n->tap->data)) {
		struct fake_tap *t = &n->tap[n->tapped++ % FAKE_TAP];

		t->len = len;
		memcpy(t->data, payload, len);
	}
	if (n->other != NULL && to->addr == n->other->address.addr)
		fake_road_send(n->wire, n->link, node_arrive, n->other, &n->address, payload, len);
}

static void node_random(void *ctx, u8 *out, u32 bytes)
{
	struct fake_node *n = ctx;

	for (u32 i = 0; i < bytes; i++)
		out[i] = (u8)fake_road_random(n->wire);
}

static void *node_alloc(void *ctx, u32 bytes)
{
	struct fake_node *n = ctx;

	ASSERT(bytes <= FABRIC_ALLOC_MAX);
	if (n->no_memory)
		return NULL;
	n->allocated += bytes;
	return aligned_alloc(64, align_up(bytes, 64));
}

static void node_free(void *ctx, void *p, u32 bytes)
{
	struct fake_node *n = ctx;

	n->allocated -= bytes;
	free(p);
}

static bool node_accept(void *ctx, const struct fabric_peer *peer)
{
	struct fake_node *n = ctx;

	ASSERT(peer->port == FABRIC_PORT);
	n->accepts++;
	return !n->refuse;
}

static void node_up(void *ctx, struct fabric_session *s)
{
	struct fake_node *n = ctx;

	n->session = s;
	n->ups++;
	if (n->allow != 0)
		fabric_allow_pages(s, n->allow);
}

static void node_down(void *ctx, struct fabric_session *s, enum fabric_why why)
{
	struct fake_node *n = ctx;

	if (n->session == s)
		n->session = NULL;
	n->downs++;
	n->why = why;
}

static bool node_message(void *ctx, struct fabric_session *s, const u8 *data, u32 len)
{
	struct fake_node *n = ctx;
	static u8 want[FABRIC_MESSAGE_MAX];

	(void)s;
	if (n->hold_messages)
		return false;
	/* Message number i has the bytes of page i, and is as long as its first four bytes say. */
	fake_page_fill(n->messages, want, len);
	if (len > 4 && memcmp(want, data, len) != 0)
		n->message_wrong++;
	n->messages++;
	return true;
}

static void *node_place(void *ctx, struct fabric_session *s, u64 tag, u32 len)
{
	struct fake_node *n = ctx;

	(void)s;
	(void)tag;
	if (n->no_place)
		return NULL;
	n->places++;
	return malloc(len); /* exactly: what is written behind it is found */
}

static void node_filled(void *ctx, struct fabric_session *s, u64 tag, void *place, u32 len)
{
	struct fake_node *n = ctx;
	u8 want[FABRIC_PAGE_MAX];

	(void)s;
	n->filled++;
	fake_page_fill(tag, want, len);
	if (tag >= n->got_max || (n->other != NULL && len != fake_page_len(n->other, tag)) ||
	    memcmp(want, place, len) != 0 || (n->got[tag / 8] >> tag % 8 & 1) != 0)
		n->wrong++;
	else
		n->got[tag / 8] |= (u8)(1u << tag % 8);
	free(place);
}

static void node_unfilled(void *ctx, struct fabric_session *s, u64 tag, void *place, u32 len)
{
	struct fake_node *n = ctx;

	(void)s;
	(void)tag;
	(void)len;
	n->unfilled++;
	free(place);
}

static void node_sent(void *ctx, struct fabric_session *s, u64 tag, void *cookie, int status)
{
	struct fake_node *n = ctx;

	(void)s;
	(void)tag;
	/* Its memory is ours again: it must not be read any more. */
	memset(cookie, 0xee, FABRIC_PAGE_MAX);
	if (status == 0)
		n->acked++;
	else
		n->failed++;
}

void fake_node_init(struct fake_node *n, struct fake_road *w, u32 addr, const char *key,
		    u32 link_mtu, u32 rekey, bool no_aes)
{
	struct fabric_ops ops = {.ctx = n,
				 .buffer = node_buffer,
				 .send = node_send,
				 .random = node_random,
				 .alloc = node_alloc,
				 .free = node_free,
				 .accept = node_accept,
				 .up = node_up,
				 .down = node_down,
				 .message = node_message,
				 .place = node_place,
				 .filled = node_filled,
				 .unfilled = node_unfilled,
				 .sent = node_sent};
	struct fabric_config config = {
		.link_mtu = link_mtu, .rekey_packets = rekey, .no_aes = no_aes};

	memset(n, 0, sizeof(*n));
	n->wire = w;
	n->address = (struct fabric_peer){.addr = addr, .port = FABRIC_PORT};
	memcpy(config.key, key, strlen(key));
	fabric_init(&n->f, &config, &ops, w->now);
	for (u32 i = 0; i < FABRIC_PAGES; i++)
		n->pages[i] = malloc(FABRIC_PAGE_MAX);
}

void fake_node_join(struct fake_node *a, struct fake_link *from_a, struct fake_node *b,
		    struct fake_link *from_b)
{
	a->link = from_a;
	a->other = b;
	b->link = from_b;
	b->other = a;
}

void fake_node_free(struct fake_node *n)
{
	for (u32 i = 0; i < FABRIC_SESSIONS; i++) {
		if (n->f.sessions[i] != NULL)
			fabric_close(n->f.sessions[i]);
	}
	(void)fabric_poll(&n->f, n->wire->now);
	ASSERT(n->allocated == 0 && n->f.session_count == 0);
	for (u32 i = 0; i < FABRIC_PAGES; i++)
		free(n->pages[i]);
	free(n->got);
	free(n->tap);
}

void fake_node_tap(struct fake_node *n)
{
	n->tap = malloc(FAKE_TAP * sizeof(n->tap[0]));
	ASSERT(n->tap != NULL);
	n->tapped = 0;
}

void fake_node_expect(struct fake_node *n, u64 max)
{
	free(n->got);
	n->got = calloc(1, max / 8 + 1);
	n->got_max = max;
	ASSERT(n->got != NULL);
}

void fake_node_receive(struct fake_node *n, const struct fabric_peer *from, const u8 *data, u32 len)
{
	u8 *copy = malloc(len > 0 ? len : 1);

	ASSERT(copy != NULL);
	memcpy(copy, data, len);
	node_arrive(n, from, copy, len);
	free(copy);
}

/* A page's memory is that of its place in the window, which is free when it is taken. */
static void feed(struct fake_node *n)
{
	while (n->session != NULL && n->sent_next < n->sent_end) {
		u64 tag = n->sent_next;
		u8 *p = n->pages[tag % FABRIC_PAGES];
		u32 len = fake_page_len(n, tag);

		if (tag - n->acked >= FABRIC_PAGES && n->failed == 0)
			return;
		if (fabric_send_page(n->session, tag, p, len, p) != 0)
			return;
		fake_page_fill(tag, p, len);
		n->sent_next++;
	}
}

static void poll_node(struct fake_node *n)
{
	if (n->next_poll > n->wire->now)
		return;
	feed(n);
	n->next_poll = fabric_poll(&n->f, n->wire->now);
}

bool fake_nodes_run(struct fake_node *a, struct fake_node *b, u64 us, const u64 *count, u64 want)
{
	struct fake_road *w = a->wire;
	u64 end = w->now + us;

	a->next_poll = b->next_poll = 0;
	for (;;) {
		u64 next;

		poll_node(a);
		poll_node(b);
		if (count != NULL && *count >= want)
			return true;
		next = min_u64(min_u64(a->next_poll, b->next_poll), fake_road_next(w));
		if (next > end) {
			w->now = end;
			return false;
		}
		if (fake_road_next(w) <= next)
			fake_road_step(w);
		else
			w->now = max_u64(w->now, next);
	}
}
