/* SPDX-License-Identifier: MIT */
/* The fabric's sessions: who gets which packet, the table of states of docs/fabric.md, the user's calls. */
#include "fabric_internal.h"

#define REKEY_PACKETS 0x400000u
#define MACS_A_SECOND 2000u
#define RETRY_US      (250 * FABRIC_MS)
#define RETRY_SHIFT   2u
#define CONNECT_US    (20 * FABRIC_SECOND)
#define HALF_US       (10 * FABRIC_SECOND)
#define DEAD_US       (60 * FABRIC_SECOND)
#define FIRST_RTT_US  (100 * FABRIC_MS) /* until one is measured */
#define FRESH_COOKIE  3u                /* each third INIT asks for a new cookie */

void fabric_init(struct fabric *f, const struct fabric_config *config, const struct fabric_ops *ops,
		 u64 now)
{
	ASSERT(config->link_mtu >= FABRIC_MTU_BASE);
	memset(f, 0, sizeof(*f));
	f->ops = *ops;
	f->link_mtu = (u32)min_u64(config->link_mtu, UINT16_MAX);
	f->rekey_packets = config->rekey_packets != 0 ? config->rekey_packets : REKEY_PACKETS;
	f->ciphers = config->no_aes ? FABRIC_CHACHA_POLY1305 : fabric_crypto_ciphers();
	f->cookie_since = now;
	fabric_handshake_secrets(f, config->key);
}

/* --- life of a session --- */

static void start_channels(struct fabric_session *s)
{
	s->out[FABRIC_CONTROL].slots = s->out_blocks;
	s->out[FABRIC_PAGE].slots = s->out_pages;
	s->in[FABRIC_CONTROL].slots = s->in_blocks;
	s->in[FABRIC_PAGE].slots = s->in_pages;
	for (u32 i = 0; i < FABRIC_CHANNELS; i++) {
		u32 slots = i == FABRIC_PAGE ? FABRIC_PAGES : FABRIC_BLOCKS;

		s->out[i].mask = s->in[i].mask = slots - 1;
		s->out[i].head = FABRIC_NOBODY;
		s->in[i].allowed = UINT64_MAX;
	}
	/* Pages wait for the peer's first ACK: its user may want fewer than the window. */
	s->out[FABRIC_CONTROL].allowed = FABRIC_BLOCKS;
	for (u32 i = 0; i < FABRIC_BLOCKS; i++)
		s->out_blocks[i].data = s->out_data[i];
}

/* NULL: no place or no memory. The low bits of its id are its place in the table. */
static struct fabric_session *new_session(struct fabric *f, u64 now, const struct fabric_peer *peer,
					  bool initiator)
{
	struct fabric_session *s;
	u32 i = 0, id;

	while (i < FABRIC_SESSIONS && f->sessions[i] != NULL)
		i++;
	if (i == FABRIC_SESSIONS)
		return NULL;
	s = f->ops.alloc(f->ops.ctx, sizeof(*s));
	if (s == NULL)
		return NULL;
	memset(s, 0, sizeof(*s));
	f->ops.random(f->ops.ctx, (u8 *)&id, sizeof(id));
	s->id = (id | FABRIC_SESSIONS) & ~(FABRIC_SESSIONS - 1); /* not 0 */
	s->id |= i;
	f->ops.random(f->ops.ctx, s->ephemeral, sizeof(s->ephemeral));
	s->f = f;
	s->peer = *peer;
	s->initiator = initiator;
	s->since = s->heard = now;
	s->ack_at = UINT64_MAX;
	start_channels(s);
	fabric_cubic_init(&s->cubic, FABRIC_MTU_BASE);
	fabric_mtu_init(&s->mtu, f->link_mtu);
	fabric_loss_start(s, FIRST_RTT_US);
	fabric_tx_start(s, now);
	f->sessions[i] = s;
	f->used |= 1ull << i;
	f->session_count++;
	return s;
}

/* Gives back to the user what is his. */
static void give_back(struct fabric_session *s)
{
	const struct fabric_ops *ops = &s->f->ops;

	for (u32 i = 0; i < FABRIC_PAGES; i++) {
		struct fabric_out *o = &s->out_pages[i];
		struct fabric_in *in = &s->in_pages[i];

		if (o->used)
			ops->sent(ops->ctx, s, o->tag, o->cookie, -TERN_EIO);
		if (in->used && !in->whole)
			ops->unfilled(ops->ctx, s, in->tag, in->place, in->len);
	}
}

static void end_session(struct fabric_session *s, enum fabric_why why)
{
	struct fabric *f = s->f;

	s->closing = true; /* what the user calls from here on has no effect */
	give_back(s);
	/* A session that the user never heard of ends without a word. */
	if (s->initiator || s->state == SESSION_OPEN)
		f->ops.down(f->ops.ctx, s, why);
	f->sessions[s->id % FABRIC_SESSIONS] = NULL;
	f->used &= ~(1ull << s->id % FABRIC_SESSIONS);
	f->session_count--;
	fabric_crypto_wipe(s, sizeof(*s));
	f->ops.free(f->ops.ctx, s, sizeof(*s));
}

static void send_plain(struct fabric *f, u64 now, const struct fabric_peer *to, const u8 *p,
		       u32 len)
{
	u8 *buffer = f->ops.buffer(f->ops.ctx);

	if (buffer == NULL) {
		f->counts[FABRIC_TX_STALLED]++;
		return;
	}
	memcpy(buffer, p, len);
	f->ops.send(f->ops.ctx, now, to, buffer, len);
}

static void send_init(struct fabric_session *s, u64 now, const u8 *cookie)
{
	fabric_handshake_init(s, cookie);
	send_plain(s->f, now, &s->peer, s->init, INIT_LEN);
	s->retry_at = now + (RETRY_US << min_u64(s->attempt - 1, RETRY_SHIFT));
}

struct fabric_session *fabric_connect(struct fabric *f, u64 now, const struct fabric_peer *peer)
{
	struct fabric_session *s = new_session(f, now, peer, true);

	if (s != NULL)
		send_init(s, now, NULL);
	return s;
}

static void open_session(struct fabric_session *s, u64 now)
{
	s->state = SESSION_OPEN;
	s->heard = now;
	s->ping =
		true; /* it tells the responder that we have the key, and each how much the other takes */
	fabric_tx_start(s, now);
	s->f->ops.up(s->f->ops.ctx, s);
}

/* --- packets --- */

static struct fabric_session *session_of(struct fabric *f, u32 id, const struct fabric_peer *from)
{
	struct fabric_session *s = f->sessions[id % FABRIC_SESSIONS];

	if (s == NULL || s->id != id || s->closing || s->peer.addr != from->addr ||
	    s->peer.port != from->port) {
		f->counts[FABRIC_RX_STRANGER]++;
		return NULL;
	}
	return s;
}

/* Whether an INIT may cost a MAC in this second. */
static bool may_check(struct fabric *f, u64 now)
{
	if (now / FABRIC_SECOND != f->mac_window) {
		f->mac_window = now / FABRIC_SECOND;
		f->mac_count = 0;
	}
	if (f->mac_count >= MACS_A_SECOND) {
		f->counts[FABRIC_RX_LIMITED]++;
		return false;
	}
	f->mac_count++;
	return true;
}

/* Whether this INIT was here before; it is remembered. */
static bool seen(struct fabric *f, const u8 *init)
{
	u64 mac = wire_get64(init + INIT_MAC);

	for (u32 i = 0; i < FABRIC_SEEN; i++) {
		if (f->seen[i] == mac) {
			f->counts[FABRIC_RX_SEEN]++;
			return true;
		}
	}
	f->seen[f->seen_next++ % FABRIC_SEEN] = mac;
	return false;
}

/* The session that an earlier attempt of this INIT has made. */
static struct fabric_session *made_before(struct fabric *f, const struct fabric_peer *from,
					  const u8 *init)
{
	for (u32 i = 0; i < FABRIC_SESSIONS; i++) {
		struct fabric_session *s = f->sessions[i];

		if (s != NULL && !s->initiator && s->peer.addr == from->addr &&
		    s->peer.port == from->port &&
		    memcmp(s->peer_public, init + INIT_PUBLIC, FABRIC_KEY) == 0)
			return s;
	}
	return NULL;
}

static void accept_init(struct fabric *f, u64 now, const struct fabric_peer *from, const u8 *init)
{
	struct fabric_session *s = NULL;

	if (f->ops.accept(f->ops.ctx, from))
		s = new_session(f, now, from, false);
	if (s == NULL) {
		f->counts[FABRIC_RX_FULL]++;
		return;
	}
	s->state = SESSION_HALF;
	if (!fabric_handshake_respond(s, now, init)) {
		f->counts[FABRIC_RX_INVALID]++;
		end_session(s, FABRIC_BROKEN);
		return;
	}
	send_plain(f, now, from, s->response, RESPONSE_LEN);
}

static void init_input(struct fabric *f, u64 now, const struct fabric_peer *from, const u8 *init)
{
	struct fabric_session *s;
	u8 challenge[CHALLENGE_LEN];

	if (!may_check(f, now))
		return;
	if (!fabric_handshake_init_good(f, init)) {
		f->counts[FABRIC_RX_BAD_MAC]++;
		return;
	}
	if (seen(f, init))
		return;
	fabric_handshake_cookies(f, now);
	if (!fabric_handshake_cookie_good(f, from, init)) {
		f->counts[FABRIC_RX_CHALLENGED]++;
		fabric_handshake_challenge(f, from, init, challenge);
		send_plain(f, now, from, challenge, CHALLENGE_LEN);
		return;
	}
	s = made_before(f, from, init);
	if (s == NULL)
		accept_init(f, now, from, init);
	else if (s->state == SESSION_HALF)
		send_plain(f, now, from, s->response, RESPONSE_LEN);
}

static void challenge_input(struct fabric *f, u64 now, const struct fabric_peer *from, const u8 *p)
{
	struct fabric_session *s = session_of(f, wire_get32(p + CHALLENGE_ID), from);

	if (s == NULL || s->state != SESSION_INIT)
		return;
	if (!fabric_handshake_challenge_good(s, p)) {
		f->counts[FABRIC_RX_BAD_MAC]++;
		return;
	}
	send_init(s, now, p + CHALLENGE_COOKIE);
}

static void response_input(struct fabric *f, u64 now, const struct fabric_peer *from, const u8 *p)
{
	struct fabric_session *s = session_of(f, wire_get32(p + RESPONSE_TO), from);

	if (s == NULL || s->state != SESSION_INIT)
		return;
	if (!fabric_handshake_finish(s, now, p)) {
		f->counts[FABRIC_RX_BAD_MAC]++;
		return;
	}
	open_session(s, now);
}

static void data_input(struct fabric *f, u64 now, const struct fabric_peer *from, u8 *p, u32 len)
{
	struct fabric_session *s = session_of(f, wire_get32(p + DATA_TO), from);

	if (s == NULL || s->state == SESSION_INIT)
		return;
	if (fabric_rx_packet(s, now, p, len) && s->state == SESSION_HALF)
		open_session(s, now);
}

void fabric_input(struct fabric *f, u64 now, const struct fabric_peer *from, u8 *payload, u32 len)
{
	if (!fabric_wire_packet(payload, len)) {
		f->counts[FABRIC_RX_BAD]++;
		return;
	}
	switch (payload[0]) {
	case WIRE_INIT:
		init_input(f, now, from, payload);
		break;
	case WIRE_CHALLENGE:
		challenge_input(f, now, from, payload);
		break;
	case WIRE_RESPONSE:
		response_input(f, now, from, payload);
		break;
	default:
		data_input(f, now, from, payload, len);
		break;
	}
}

/* --- time --- */

/* UINT64_MAX: the session has ended. */
static u64 poll_begin(struct fabric_session *s, u64 now)
{
	u64 ends = s->since + (s->initiator ? CONNECT_US : HALF_US);

	if (now >= ends) {
		end_session(s, FABRIC_TIMED_OUT);
		return UINT64_MAX;
	}
	if (!s->initiator)
		return ends;
	if (now >= s->retry_at) {
		bool fresh = s->attempt % FRESH_COOKIE == 0;
		u8 cookie[FABRIC_MAC];

		memcpy(cookie, s->init + INIT_COOKIE, FABRIC_MAC);
		send_init(s, now, fresh ? NULL : cookie);
	}
	return min_u64(ends, s->retry_at);
}

static u64 poll_open(struct fabric_session *s, u64 now)
{
	u64 loss, next;

	if (now - s->heard >= DEAD_US) {
		end_session(s, FABRIC_TIMED_OUT);
		return UINT64_MAX;
	}
	(void)fabric_loss_run(s, now);
	next = fabric_tx_run(s, now);
	loss = fabric_loss_run(s, now); /* what was sent now is watched too */
	return min_u64(min_u64(loss, next), s->heard + DEAD_US);
}

static u64 poll_session(struct fabric_session *s, u64 now)
{
	if (s->closing) {
		if (s->state == SESSION_OPEN && !s->told)
			fabric_tx_close(s, now);
		end_session(s, s->broken ? FABRIC_BROKEN : FABRIC_CLOSED);
		return UINT64_MAX;
	}
	return s->state == SESSION_OPEN ? poll_open(s, now) : poll_begin(s, now);
}

u64 fabric_poll(struct fabric *f, u64 now)
{
	u64 next = UINT64_MAX;

	for (u64 left = f->used; left != 0; left &= left - 1)
		next = min_u64(next, poll_session(f->sessions[__builtin_ctzll(left)], now));
	return next;
}

/* --- the user's calls --- */

void fabric_close(struct fabric_session *s)
{
	s->closing = true;
}

void fabric_set_user(struct fabric_session *s, void *user)
{
	s->user = user;
}

void *fabric_user(const struct fabric_session *s)
{
	return s->user;
}

void fabric_set_limit(struct fabric_session *s, u64 bytes_per_second)
{
	s->limit = bytes_per_second;
	fabric_tx_pace(s);
	/* What the old pace has put off may be far away. */
	s->pace_ns = min_u64(s->pace_ns, s->last_sent * 1000);
}

/* The slot of the next block or page. What was there may still be queued, with nothing to do: it keeps its place. */
static struct fabric_out *next_slot(struct fabric_out_channel *c, u64 tag, u32 len)
{
	struct fabric_out *o = &c->slots[c->next & c->mask];

	o->number = c->next++;
	o->tag = tag;
	o->len = (u16)len;
	o->todo = fabric_units(0, fabric_unit_count(len));
	o->acked = 0;
	o->used = true;
	o->again = false;
	return o;
}

int fabric_send_message(struct fabric_session *s, const void *data, u32 len)
{
	struct fabric_out_channel *c = &s->out[FABRIC_CONTROL];
	u32 blocks = (len + FABRIC_PAGE_MAX - 1) / FABRIC_PAGE_MAX;

	ASSERT(len > 0 && len <= FABRIC_MESSAGE_MAX);
	if (s->closing || c->next + blocks - c->base > FABRIC_BLOCKS)
		return -TERN_EAGAIN;
	for (u32 at = 0; at < len; at += FABRIC_PAGE_MAX) {
		u32 n = (u32)min_u64(len - at, FABRIC_PAGE_MAX);
		struct fabric_out *o = next_slot(c, at + n == len, n);

		memcpy(s->out_data[o->number & c->mask], (const u8 *)data + at, n);
		fabric_tx_queue(c, o, false);
	}
	s->stats.tx_messages++;
	return 0;
}

int fabric_send_page(struct fabric_session *s, u64 tag, const void *data, u32 len, void *cookie)
{
	struct fabric_out_channel *c = &s->out[FABRIC_PAGE];
	struct fabric_out *o;

	ASSERT(len > 0 && len <= FABRIC_PAGE_MAX);
	if (s->closing || c->next - c->base >= FABRIC_PAGES)
		return -TERN_EAGAIN;
	o = next_slot(c, tag, len);
	o->data = data;
	o->cookie = cookie;
	fabric_tx_queue(c, o, false);
	return 0;
}

void fabric_allow_pages(struct fabric_session *s, u64 total)
{
	s->in[FABRIC_PAGE].allowed = total;
	if (s->range_count > 0)
		s->ack_at = 0; /* the peer may be waiting for it */
}

void fabric_resume(struct fabric_session *s)
{
	fabric_rx_messages(s);
	if (s->range_count > 0)
		s->ack_at = 0;
}

void fabric_session_view(const struct fabric_session *s, struct fabric_view *out)
{
	*out = s->stats;
	out->peer = s->peer;
	out->open = s->state == SESSION_OPEN;
	out->initiator = s->initiator;
	out->cipher = s->cipher;
	out->mtu = s->mtu.now;
	out->cwnd = s->cubic.cwnd;
	out->in_flight = s->flying;
	out->limit = s->limit;
	out->srtt = s->srtt;
	out->min_rtt = s->min_rtt;
	out->tx_generation = s->tx.generation;
	out->rx_generation = s->rx.generation;
}

bool fabric_view(const struct fabric *f, u32 i, struct fabric_view *out)
{
	if (f->sessions[i] == NULL)
		return false;
	fabric_session_view(f->sessions[i], out);
	return true;
}
