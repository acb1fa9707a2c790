/* SPDX-License-Identifier: MIT */
/*
 * What became of the packets sent: round trips (RFC 6298), RACK and its adaptive reordering window (RFC 8985),
 * probes. Numbers are never used twice, so an acknowledgement is never ambiguous, and a loss that was
 * none shows as one.
 */
#include "fabric_internal.h"

#define GRANULARITY_US FABRIC_MS /* of round trips and timers (RFC 9002 section 6.1.2) */
#define ACK_DELAY_US   FABRIC_MS /* how long a peer waits, see fabric_rx.c */
#define PROBE_MAX_US   (500 * FABRIC_MS)
#define WAIT_US        (100 * FABRIC_MS) /* for a window that opens: the peer says so, this asks again */
#define PROBE_SHIFT    16u
#define REORDER_MIN_US 200u
#define REORDER_MAX    16u  /* quarters of a round trip */
#define REORDER_KEEP   16u  /* recoveries without reordering, then none is expected */
#define DUP_THRESHOLD  3u   /* packets */
#define BACK           512u /* packets below the oldest that may turn out not lost */
#define MTU_PROBES     3u

void fabric_loss_start(struct fabric_session *s, u64 rtt)
{
	s->srtt = max_u64(rtt, 1);
	s->rttvar = s->srtt / 2;
	s->min_rtt = UINT64_MAX;
	s->loss_at = UINT64_MAX;
}

/* RFC 6298 section 2, with the peer's delay taken off as RFC 9002 section 5.3 does. */
static void measure(struct fabric_session *s, u64 rtt, u64 delay)
{
	bool first = s->min_rtt == UINT64_MAX;
	u64 off;

	rtt = max_u64(rtt, 1);
	s->min_rtt = min_u64(s->min_rtt, rtt);
	delay = min_u64(delay, ACK_DELAY_US);
	if (rtt >= s->min_rtt + delay)
		rtt -= delay;
	if (first) {
		s->srtt = rtt;
		s->rttvar = rtt / 2;
		return;
	}
	off = rtt > s->srtt ? rtt - s->srtt : s->srtt - rtt;
	s->rttvar = (3 * s->rttvar + off) / 4;
	s->srtt = max_u64((7 * s->srtt + rtt) / 8, 1);
}

static u64 probe_time(const struct fabric_session *s)
{
	return s->srtt + max_u64(4 * s->rttvar, GRANULARITY_US) + ACK_DELAY_US;
}

/* When to probe next; UINT64_MAX: nothing flies, and nothing waits for the peer's window. */
static u64 probe_at(const struct fabric_session *s)
{
	u64 base = probe_time(s);

	if (s->flying == 0)
		return fabric_tx_blocked(s) ? s->last_asked + max_u64(base, WAIT_US) : UINT64_MAX;
	return s->last_asked +
	       min_u64(base << min_u64(s->probe_count, PROBE_SHIFT), max_u64(base, PROBE_MAX_US));
}

static u64 reorder_window(const struct fabric_session *s)
{
	u64 rtt = s->min_rtt == UINT64_MAX ? s->srtt : s->min_rtt;

	return max_u64(min_u64(rtt * max_u64(s->reorder, 1) / 4, s->srtt), REORDER_MIN_US);
}

static struct fabric_out *out_of(struct fabric_session *s, const struct fabric_piece *piece)
{
	struct fabric_out_channel *c = &s->out[piece->channel];
	struct fabric_out *o = &c->slots[piece->number & c->mask];

	return o->used && (u32)o->number == piece->number ? o : NULL;
}

static void move_base(struct fabric_out_channel *c)
{
	while (c->base < c->next && !c->slots[c->base & c->mask].used)
		c->base++;
}

static void pieces_acked(struct fabric_session *s, const struct fabric_sent *sent)
{
	for (u32 i = 0; i < sent->pieces; i++) {
		const struct fabric_piece *piece = &sent->piece[i];
		struct fabric_out *o = out_of(s, piece);

		if (o == NULL)
			continue;
		o->acked |= fabric_units(piece->unit, piece->count);
		o->todo &= ~o->acked;
		if (o->acked != fabric_units(0, fabric_unit_count(o->len)))
			continue;
		/* It may still be queued to be sent again: what is free keeps its place until then. */
		o->used = false;
		if (piece->channel == FABRIC_PAGE) {
			s->stats.tx_pages++;
			s->f->ops.sent(s->f->ops.ctx, s, o->tag, o->cookie, 0);
		}
	}
}

/* What was in a packet is to be sent again. */
static void pieces_again(struct fabric_session *s, const struct fabric_sent *sent)
{
	for (u32 i = 0; i < sent->pieces; i++) {
		const struct fabric_piece *piece = &sent->piece[i];
		struct fabric_out *o = out_of(s, piece);

		if (o == NULL)
			continue;
		o->todo |= fabric_units(piece->unit, piece->count) & ~o->acked;
		o->again = true;
		if (o->todo != 0)
			fabric_tx_queue(&s->out[piece->channel], o, true);
	}
}

static void move_oldest(struct fabric_session *s)
{
	if (s->flying == 0) {
		s->oldest = s->number;
		return;
	}
	while (s->sent[s->oldest % FABRIC_SENT].state != SENT_FLYING)
		s->oldest++;
}

static void new_mtu(struct fabric_session *s)
{
	fabric_cubic_set_mss(&s->cubic, s->mtu.now);
}

static void packet_lost(struct fabric_session *s, u64 now, struct fabric_sent *sent)
{
	sent->state = SENT_LOST;
	s->flying -= sent->bytes;
	s->stats.lost++;
	if (sent->probe) {
		fabric_mtu_answer(&s->mtu, now, sent->bytes, false);
		return;
	}
	pieces_again(s, sent);
	s->lost_at = now;
	if (fabric_mtu_packet(&s->mtu, sent->bytes, false))
		new_mtu(s);
	if (sent->time < s->recovery)
		return;
	s->recovery = now + 1;
	fabric_cubic_lost(&s->cubic);
	if (s->reorder > 0 && --s->reorder_left == 0)
		s->reorder = 0;
}

/* RACK: what was sent before something that arrived, and is overdue. */
static void find_lost(struct fabric_session *s, u64 now)
{
	u64 patience = s->rack_rtt + reorder_window(s), first = 0, last = 0;

	s->loss_at = UINT64_MAX;
	for (u64 n = s->oldest; s->flying > 0 && n + 1 < s->largest; n++) {
		struct fabric_sent *sent = &s->sent[n % FABRIC_SENT];

		if (sent->state != SENT_FLYING)
			continue;
		/* RFC 8985 section 6.2: who waits where nothing is reordered shrinks later than TCP does, and takes its part. */
		if (sent->time + patience > now &&
		    (s->reorder > 0 || n + DUP_THRESHOLD >= s->largest)) {
			s->loss_at = sent->time + patience;
			break;
		}
		first = first == 0 ? sent->time : first;
		last = sent->time;
		packet_lost(s, now, sent);
	}
	if (last - first > 3 * probe_time(s))
		fabric_cubic_collapse(&s->cubic);
	move_oldest(s);
	fabric_tx_pace(s);
}

void fabric_loss_forget(struct fabric_session *s, u64 number)
{
	struct fabric_sent *sent = &s->sent[number % FABRIC_SENT];

	packet_lost(s, sent->time, sent);
	move_oldest(s);
}

/* An acknowledgement for one packet; returns the bytes that it takes out of the window. */
static u32 packet_acked(struct fabric_session *s, u64 now, struct fabric_sent *sent)
{
	u8 was = sent->state;

	sent->state = SENT_ACKED;
	if (sent->probe) {
		fabric_mtu_answer(&s->mtu, now, sent->bytes, true);
		new_mtu(s);
	} else {
		(void)fabric_mtu_packet(&s->mtu, sent->bytes, true);
	}
	pieces_acked(s, sent);
	if (was == SENT_FLYING) {
		s->flying -= sent->bytes;
		return sent->bytes;
	}
	s->stats.spurious++;
	s->reorder = (u32)min_u64(s->reorder + 1, REORDER_MAX);
	return 0;
}

/* Packets [low, high], newest first; true: one of them was new. *newest: the newest of them. */
static bool range_acked(struct fabric_session *s, u64 now, u64 low, u64 high, u64 *bytes,
			u64 *newest)
{
	bool some = false;

	for (u64 n = high + 1; n > low; n--) {
		struct fabric_sent *sent = &s->sent[(n - 1) % FABRIC_SENT];

		if (sent->state != SENT_FLYING && sent->state != SENT_LOST)
			continue;
		if (!some && *newest == 0)
			*newest = n;
		some = true;
		if (n < s->largest) { /* something sent later was here before it */
			s->reorder = (u32)max_u64(s->reorder, 1);
			s->reorder_left = REORDER_KEEP;
		}
		*bytes += packet_acked(s, now, sent);
	}
	return some;
}

bool fabric_loss_ack(struct fabric_session *s, u64 now, const struct wire_frame *f)
{
	/* Lost packets are looked at again only while their acknowledgement may be on its way. */
	u64 back = now - s->lost_at < 4 * s->srtt ? BACK : 0,
	    floor = s->oldest - min_u64(s->oldest, back);
	u64 high = f->ack.largest, bytes = 0, newest = 0;
	bool some = false;

	if (high >= s->number)
		return false;
	if (s->number > FABRIC_SENT)
		floor = max_u64(floor, s->number - FABRIC_SENT);
	s->out[FABRIC_CONTROL].allowed = max_u64(s->out[FABRIC_CONTROL].allowed, f->ack.controls);
	s->out[FABRIC_PAGE].allowed = max_u64(s->out[FABRIC_PAGE].allowed, f->ack.pages);
	for (u32 i = 0; i < f->ack.count; i++) {
		u32 have = wire_get32(f->ack.ranges + i * ACK_RANGE_LEN);
		u32 miss = wire_get32(f->ack.ranges + i * ACK_RANGE_LEN + 4);
		u64 low = high + 1 - have;

		if (high < floor)
			break;
		some |= range_acked(s, now, max_u64(low, floor), high, &bytes, &newest);
		high = low - miss - 1;
	}
	s->largest = max_u64(s->largest, f->ack.largest + 1);
	if (!some)
		return true;
	s->rack_rtt = now - s->sent[(newest - 1) % FABRIC_SENT].time;
	if (newest == f->ack.largest + 1)
		measure(s, s->rack_rtt, f->ack.delay);
	s->probe_count = 0;
	move_base(&s->out[FABRIC_CONTROL]);
	move_base(&s->out[FABRIC_PAGE]);
	move_oldest(s);
	if (s->window_full && bytes > 0)
		fabric_cubic_acked(&s->cubic, now, s->srtt, bytes);
	find_lost(s, now);
	return true;
}

/* Nothing was heard for long: what flies longest goes again, or a PING. */
static void probe(struct fabric_session *s)
{
	s->stats.probes++;
	if (s->flying == 0) {
		s->ping = true;
		return;
	}
	s->probe_count++;
	s->extra = 1;
	pieces_again(s, &s->sent[s->oldest % FABRIC_SENT]);
	if (s->probe_count == MTU_PROBES && s->mtu.now > FABRIC_MTU_BASE) {
		fabric_mtu_fall(&s->mtu);
		new_mtu(s);
	}
}

u64 fabric_loss_run(struct fabric_session *s, u64 now)
{
	if (now >= s->loss_at)
		find_lost(s, now);
	/* What probe() asks for is sent by fabric_tx_run(), which is called after this. */
	if (s->extra == 0 && !s->ping && now >= probe_at(s))
		probe(s);
	return min_u64(s->loss_at, s->extra > 0 || s->ping ? UINT64_MAX : probe_at(s));
}
