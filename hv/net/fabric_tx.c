/* SPDX-License-Identifier: MIT */
/*
 * Packets out. A packet is made when it may go, of what has something to do then: control blocks first, then what
 * was lost, then new pages. The bytes are copied once, from where the page lies to where the NIC takes
 * them, and encrypted there.
 */
#include "fabric_internal.h"

#define BATCH      64u        /* packets a turn: others want the CPU too */
#define BURST_NS   1000000ull /* that much of a rate may go at once */
#define BURST      10u        /* or so many packets */
#define STALL_US   1000u      /* when there is no buffer */
#define KEEP_US    (5 * FABRIC_SECOND)
#define REKEY_US   (3600ull * FABRIC_SECOND)
#define NS_MAX     1000000000ull /* a KiB a second is the slowest pace */
#define RING_SPARE 64u           /* for what must go although the ring is full */

void fabric_tx_queue(struct fabric_out_channel *c, struct fabric_out *o, bool first)
{
	u16 slot = (u16)(o->number & c->mask);

	if (o->queued)
		return;
	o->queued = true;
	o->next = FABRIC_NOBODY;
	if (c->head == FABRIC_NOBODY) {
		c->head = c->tail = slot;
	} else if (first) {
		o->next = c->head;
		c->head = slot;
	} else {
		c->slots[c->tail].next = slot;
		c->tail = slot;
	}
}

static void unqueue_head(struct fabric_out_channel *c)
{
	struct fabric_out *o = &c->slots[c->head];

	o->queued = false;
	c->head = o->next;
}

/* The block or page to send next; NULL: none, or the peer does not take it yet. */
static struct fabric_out *next_out(struct fabric_out_channel *c)
{
	while (c->head != FABRIC_NOBODY) {
		struct fabric_out *o = &c->slots[c->head];

		if (o->todo != 0)
			return o->number < c->allowed ? o : NULL;
		unqueue_head(c); /* acknowledged while it waited to be sent again */
	}
	return NULL;
}

bool fabric_tx_blocked(const struct fabric_session *s)
{
	for (u32 i = 0; i < FABRIC_CHANNELS; i++) {
		const struct fabric_out_channel *c = &s->out[i];

		if (c->head != FABRIC_NOBODY && c->slots[c->head].todo != 0 &&
		    c->slots[c->head].number >= c->allowed)
			return true;
	}
	return false;
}

/* One piece of o into room bytes; returns how many it took, 0: none fits. */
static u32 put_piece(struct fabric_session *s, enum fabric_channel channel, struct fabric_out *o,
		     u8 *p, u32 room, struct fabric_piece *piece)
{
	u32 unit = (u32)__builtin_ctzll(o->todo), count, len;
	u64 rest = ~(o->todo >> unit);

	if (room < PIECE_HEADER + WIRE_UNIT)
		return 0;
	count = rest != 0 ? (u32)__builtin_ctzll(rest) : 64;
	count = (u32)min_u64(count, (room - PIECE_HEADER) / WIRE_UNIT);
	len = (u32)min_u64(count * WIRE_UNIT, o->len - unit * WIRE_UNIT);
	p[0] = channel == FABRIC_PAGE ? FRAME_PAGE : FRAME_CONTROL;
	p[PIECE_UNIT] = (u8)unit;
	wire_put16(p + PIECE_LEN, len);
	wire_put32(p + PIECE_TOTAL, o->len); /* and two zeros */
	wire_put64(p + PIECE_NUMBER, o->number);
	wire_put64(p + PIECE_TAG, o->tag);
	memcpy(p + PIECE_HEADER, o->data + unit * WIRE_UNIT, len);
	*piece = (struct fabric_piece){.number = (u32)o->number,
				       .channel = (u8)channel,
				       .unit = (u8)unit,
				       .count = (u8)count};
	o->todo &= ~fabric_units(unit, count);
	s->stats.again += o->again;
	return PIECE_HEADER + len;
}

/* As many pieces as fit. */
static u32 put_pieces(struct fabric_session *s, u8 *p, u32 room, struct fabric_sent *sent)
{
	u32 at = 0;

	for (u32 channel = 0; channel < FABRIC_CHANNELS; channel++) {
		struct fabric_out_channel *c = &s->out[channel];
		struct fabric_out *o;

		while (sent->pieces < FABRIC_PIECES && (o = next_out(c)) != NULL) {
			u32 n = put_piece(s, channel, o, p + at, room - at,
					  &sent->piece[sent->pieces]);

			if (n == 0)
				return at;
			sent->pieces++;
			at += n;
			if (o->todo == 0)
				unqueue_head(c);
		}
	}
	return at;
}

/* Header, tag, and out; bytes is the length of the frames. */
static void send_packet(struct fabric_session *s, u64 now, u8 *p, u32 bytes,
			struct fabric_sent *sent)
{
	if ((s->number - s->tx.first >= s->f->rekey_packets || now - s->tx.since >= REKEY_US) &&
	    s->largest > s->tx.first)
		fabric_handshake_rekey(s, now);
	wire_put32(p, WIRE_DATA | (u32)(s->tx.generation & 0xff) << 8);
	wire_put32(p + DATA_TO, s->peer_id);
	wire_put64(p + DATA_NUMBER, s->number);
	fabric_crypto_seal(&s->tx.key, s->number, p, bytes);
	bytes += DATA_EXTRA;
	sent->time = now;
	sent->bytes = (u16)(bytes + FABRIC_IP_EXTRA);
	if (sent->state == SENT_FLYING) {
		if (s->flying == 0)
			s->oldest = s->number;
		s->flying += sent->bytes;
		s->last_asked = now;
	}
	s->number++;
	s->last_sent = now;
	s->stats.tx_packets++;
	s->stats.tx_bytes += bytes;
	s->f->ops.send(s->f->ops.ctx, now, &s->peer, p, bytes);
}

static u8 *take_buffer(struct fabric_session *s, struct fabric_sent **sent)
{
	u8 *p = s->f->ops.buffer(s->f->ops.ctx);

	if (p == NULL) {
		s->f->counts[FABRIC_TX_STALLED]++;
		return NULL;
	}
	*sent = &s->sent[s->number % FABRIC_SENT];
	if ((*sent)->state == SENT_FLYING)
		fabric_loss_forget(s, s->number - FABRIC_SENT);
	(*sent)->state = SENT_NOTHING;
	(*sent)->pieces = 0;
	(*sent)->probe = false;
	return p;
}

static bool send_ack(struct fabric_session *s, u64 now)
{
	struct fabric_sent *sent;
	u8 *p = take_buffer(s, &sent);

	if (p == NULL)
		return false;
	send_packet(
		s, now, p,
		fabric_rx_ack(s, now, p + DATA_HEADER, s->mtu.now - FABRIC_IP_EXTRA - DATA_EXTRA),
		sent);
	return true;
}

/* PING, filled up to an IPv4 packet of size bytes; size 0: alone. */
static bool send_ping(struct fabric_session *s, u64 now, u32 size)
{
	struct fabric_sent *sent;
	u8 *p = take_buffer(s, &sent);
	u32 bytes = size != 0 ? size - FABRIC_IP_EXTRA - DATA_EXTRA : 1;

	if (p == NULL)
		return false;
	memset(p + DATA_HEADER, 0, bytes);
	p[DATA_HEADER] = FRAME_PING;
	sent->state = SENT_FLYING;
	sent->probe = size != 0;
	send_packet(s, now, p, bytes, sent);
	s->ping = false;
	return true;
}

static bool send_pieces(struct fabric_session *s, u64 now)
{
	struct fabric_sent *sent;
	u8 *p = take_buffer(s, &sent);
	u64 burst = max_u64(BURST_NS, BURST * s->mtu.now * s->ns_per_kib / 1024);
	u64 at = max_u64(s->pace_ns, now * 1000 - min_u64(now * 1000, burst));

	if (p == NULL)
		return false;
	sent->state = SENT_FLYING;
	send_packet(s, now, p,
		    put_pieces(s, p + DATA_HEADER, s->mtu.now - FABRIC_IP_EXTRA - DATA_EXTRA, sent),
		    sent);
	s->pace_ns = at + sent->bytes * s->ns_per_kib / 1024;
	return true;
}

void fabric_tx_close(struct fabric_session *s, u64 now)
{
	struct fabric_sent *sent;
	u8 *p = take_buffer(s, &sent);

	if (p == NULL)
		return;
	p[DATA_HEADER] = FRAME_CLOSE;
	p[DATA_HEADER + 1] = s->broken;
	send_packet(s, now, p, CLOSE_LEN, sent);
}

void fabric_tx_pace(struct fabric_session *s)
{
	bool slow_start = s->cubic.cwnd < s->cubic.ssthresh;
	u64 per_second = s->cubic.cwnd * FABRIC_SECOND / max_u64(s->srtt, 1);
	u64 rate = slow_start ? per_second * 2 : per_second + per_second / 4;

	if (s->limit != 0 && rate > s->limit)
		rate = s->limit;
	s->ns_per_kib = min_u64(1024 * 1000000000ull / max_u64(rate, 1), NS_MAX);
}

void fabric_tx_start(struct fabric_session *s, u64 now)
{
	s->last_sent = s->last_asked = now;
	s->pace_ns = now * 1000;
	fabric_tx_pace(s);
}

static bool can_take(struct fabric_session *s)
{
	return next_out(&s->out[FABRIC_CONTROL]) != NULL || next_out(&s->out[FABRIC_PAGE]) != NULL;
}

/* One packet, if there is one to send: false: not now; *next is when it may be, or is as it was. */
static bool run_one(struct fabric_session *s, u64 now, u64 *next)
{
	bool room = s->flying + s->mtu.now <= s->cubic.cwnd;
	u32 probe;

	if (s->ack_at <= now)
		return send_ack(s, now);
	if (s->extra > 0) {
		s->extra--;
		return can_take(s) ? send_pieces(s, now) : send_ping(s, now, 0);
	}
	if (s->ping)
		return send_ping(s, now, 0);
	probe = room ? fabric_mtu_wanted(&s->mtu, now) : 0;
	if (probe != 0 && s->largest > 0) {
		if (!send_ping(s, now, probe))
			return false;
		fabric_mtu_sent(&s->mtu, probe);
		return true;
	}
	if (!can_take(s)) {
		s->window_full = false;
		return false;
	}
	/* What flies longest must be acknowledged, or found lost, before its place is used again. */
	if (s->flying > 0 && s->number - s->oldest >= FABRIC_SENT - RING_SPARE)
		return false;
	if (!room) {
		s->window_full = true;
		return false;
	}
	if (s->pace_ns > now * 1000) {
		if (s->limit != 0)
			s->window_full = false;
		*next = min_u64(*next, (s->pace_ns + 999) / 1000);
		return false;
	}
	return send_pieces(s, now);
}

u64 fabric_tx_run(struct fabric_session *s, u64 now)
{
	u64 next = UINT64_MAX;

	if (now - s->last_sent >= KEEP_US)
		s->ping = true;
	for (u32 i = 0; i < BATCH; i++) {
		u64 stalled = s->f->counts[FABRIC_TX_STALLED];

		if (run_one(s, now, &next))
			continue;
		if (s->f->counts[FABRIC_TX_STALLED] != stalled)
			return now + STALL_US;
		return min_u64(next, min_u64(s->ack_at, s->last_sent + KEEP_US));
	}
	return now;
}
