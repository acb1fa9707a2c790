/* SPDX-License-Identifier: MIT */
/*
 * Packets in: anti-replay, decryption, and what the frames say. A packet takes effect as a whole or, when there is no
 * place for a piece, is not acknowledged and comes again: all frames may be applied twice.
 */
#include "fabric_internal.h"

#define ACK_EVERY 4u        /* packets */
#define ACK_US    FABRIC_MS /* at the latest */

/* --- numbers: which were there, and what to acknowledge --- */

static bool replayed(const struct fabric_session *s, u64 number)
{
	if (number >= s->highest)
		return false;
	return s->highest - number > FABRIC_REPLAY ||
	       (s->replay[number / 64 % (FABRIC_REPLAY / 64)] >> number % 64 & 1) != 0;
}

static void remember(struct fabric_session *s, u64 number)
{
	if (number >= s->highest) {
		u64 last = s->highest == 0 ? 0 : (s->highest - 1) / 64;
		u64 words = min_u64(number / 64 - last, FABRIC_REPLAY / 64);

		for (u64 i = 0; i < words; i++)
			s->replay[(number / 64 - i) % (FABRIC_REPLAY / 64)] = 0;
		s->highest = number + 1;
	}
	s->replay[number / 64 % (FABRIC_REPLAY / 64)] |= 1ull << number % 64;
}

static void cut_range(struct fabric_session *s, u32 i)
{
	memmove(&s->ranges[i], &s->ranges[i + 1], (s->range_count - i - 1) * sizeof(s->ranges[0]));
	s->range_count--;
}

/* The ranges are the newest 32, highest first. number is new. */
static void add_range(struct fabric_session *s, u64 number)
{
	struct fabric_range *r = s->ranges;
	u32 i = 0;

	while (i < s->range_count && number + 1 < r[i].low)
		i++;
	if (i < s->range_count && number + 1 == r[i].low) {
		r[i].low = number;
		if (i + 1 < s->range_count && r[i + 1].high + 1 == number) {
			r[i].low = r[i + 1].low;
			cut_range(s, i + 1);
		}
		return;
	}
	if (i < s->range_count && number == r[i].high + 1) {
		r[i].high = number;
		return;
	}
	if (i == ACK_MAX || (i < s->range_count && number <= r[i].high))
		return; /* too old to be told */
	if (s->range_count == ACK_MAX)
		s->range_count--;
	memmove(&r[i + 1], &r[i], (s->range_count - i) * sizeof(r[0]));
	r[i] = (struct fabric_range){.low = number, .high = number};
	s->range_count++;
}

u32 fabric_rx_ack(struct fabric_session *s, u64 now, u8 *p, u32 room)
{
	const struct fabric_range *r = s->ranges;
	const struct fabric_in_channel *pages = &s->in[FABRIC_PAGE];
	u32 count = (u32)min_u64(s->range_count, (room - ACK_RANGES) / ACK_RANGE_LEN);

	memset(p, 0, ACK_RANGES);
	p[0] = FRAME_ACK;
	p[ACK_COUNT] = (u8)count;
	wire_put32(p + ACK_DELAY, (u32)min_u64(now - s->largest_at, UINT32_MAX));
	wire_put64(p + ACK_LARGEST, r[0].high);
	wire_put64(p + ACK_CONTROLS, s->in[FABRIC_CONTROL].base + FABRIC_BLOCKS);
	wire_put64(p + ACK_PAGES, min_u64(pages->base + FABRIC_PAGES, pages->allowed));
	for (u32 i = 0; i < count; i++) {
		u64 miss = i + 1 < count ? r[i].low - r[i + 1].high - 1 : 0;

		/* 32 bits hold what a window of numbers can be; a peer that jumps further hears less. */
		wire_put32(p + ACK_RANGES + i * ACK_RANGE_LEN,
			   (u32)min_u64(r[i].high - r[i].low + 1, UINT32_MAX));
		wire_put32(p + ACK_RANGES + i * ACK_RANGE_LEN + 4, (u32)miss);
		if (miss > UINT32_MAX || r[i].high - r[i].low >= UINT32_MAX) {
			wire_put32(p + ACK_RANGES + i * ACK_RANGE_LEN + 4, 0);
			count = i + 1;
			p[ACK_COUNT] = (u8)count;
		}
	}
	s->ack_count = 0;
	s->ack_at = UINT64_MAX;
	return ACK_RANGES + count * ACK_RANGE_LEN;
}

/* --- pieces --- */

static struct fabric_in *begin(struct fabric_session *s, enum fabric_channel channel,
			       const struct wire_frame *f)
{
	struct fabric_in_channel *c = &s->in[channel];
	struct fabric_in *in = &c->slots[f->piece.number & c->mask];
	u8 *place;

	if (channel == FABRIC_PAGE)
		place = s->f->ops.place(s->f->ops.ctx, s, f->piece.tag, f->piece.total);
	else
		place = s->in_data[f->piece.number & c->mask];
	if (place == NULL)
		return NULL;
	*in = (struct fabric_in){
		.tag = f->piece.tag, .place = place, .len = (u16)f->piece.total, .used = true};
	return in;
}

static void move_base(struct fabric_in_channel *c)
{
	struct fabric_in *in = &c->slots[c->base & c->mask];

	while (in->whole) {
		in->used = in->whole = false;
		c->base++;
		in = &c->slots[c->base & c->mask];
	}
}

/* False: the packet cannot be taken. */
static bool take_piece(struct fabric_session *s, enum fabric_channel channel,
		       const struct wire_frame *f)
{
	struct fabric_in_channel *c = &s->in[channel];
	struct fabric_in *in = &c->slots[f->piece.number & c->mask];
	u64 units = fabric_units(f->piece.unit, fabric_unit_count(f->piece.len));

	if (f->piece.number < c->base)
		return true; /* it was here */
	if (f->piece.number - c->base > c->mask || f->piece.number >= c->allowed) {
		s->f->counts[FABRIC_RX_REFUSED]++;
		return false;
	}
	if (!in->used) {
		in = begin(s, channel, f);
		if (in == NULL) {
			s->f->counts[FABRIC_RX_REFUSED]++;
			return false;
		}
	}
	if (in->len != f->piece.total || in->tag != f->piece.tag) {
		s->broken = s->closing = true;
		return false;
	}
	if (in->whole || (in->got & units) == units)
		return true;
	memcpy(in->place + f->piece.unit * WIRE_UNIT, f->piece.data, f->piece.len);
	in->got |= units;
	if (in->got != fabric_units(0, fabric_unit_count(in->len)))
		return true;
	in->whole = true;
	if (channel == FABRIC_PAGE) {
		s->stats.rx_pages++;
		s->f->ops.filled(s->f->ops.ctx, s, in->tag, in->place, in->len);
		move_base(c);
	} else {
		fabric_rx_messages(s);
	}
	return true;
}

void fabric_rx_messages(struct fabric_session *s)
{
	struct fabric_in_channel *c = &s->in[FABRIC_CONTROL];

	while (!s->closing) {
		struct fabric_in *in = &c->slots[c->base & c->mask];

		if (!s->message_held) {
			if (!in->whole)
				return;
			if (in->len > FABRIC_MESSAGE_MAX - s->message_len) {
				s->broken = s->closing = true;
				return;
			}
			memcpy(s->message + s->message_len, in->place, in->len);
			s->message_len += in->len;
			s->message_held = in->tag == 1; /* the last block of it */
			in->used = in->whole = false;
			c->base++;
		}
		if (s->message_held) {
			if (!s->f->ops.message(s->f->ops.ctx, s, s->message, s->message_len))
				return;
			s->stats.rx_messages++;
			s->message_held = false;
			s->message_len = 0;
		}
	}
}

/* --- packets --- */

static bool open_packet(struct fabric_session *s, u64 number, u8 *p, u32 len)
{
	struct fabric_rx_keys *k = &s->rx;
	u8 generation = p[DATA_GENERATION];

	if (generation == (u8)k->generation)
		return fabric_crypto_open(&k->now, number, p, len);
	if (generation == (u8)(k->generation + 1)) {
		if (!fabric_crypto_open(&k->next, number, p, len))
			return false;
		fabric_handshake_follow(s, number);
		return true;
	}
	return generation == (u8)(k->generation - 1) && k->generation > 0 && number < k->first &&
	       fabric_crypto_open(&k->before, number, p, len);
}

/* False: the packet cannot be taken now. */
static bool apply(struct fabric_session *s, u64 now, const u8 *p, u32 len, bool *asks)
{
	struct wire_frame f;
	bool taken = true;

	for (u32 at = 0, n; at < len && taken && !s->closing; at += n) {
		n = fabric_wire_frame(p + at, len - at, &f);
		switch (f.type) {
		case FRAME_PING:
			*asks = true;
			break;
		case FRAME_ACK:
			if (!fabric_loss_ack(s, now, &f))
				s->broken = s->closing = true;
			break;
		case FRAME_CONTROL:
		case FRAME_PAGE:
			*asks = true;
			taken = take_piece(s, f.type == FRAME_PAGE ? FABRIC_PAGE : FABRIC_CONTROL,
					   &f);
			break;
		case FRAME_CLOSE:
			s->closing = true;
			s->told = true; /* no need to answer */
			break;
		default:
			break;
		}
	}
	return taken;
}

bool fabric_rx_packet(struct fabric_session *s, u64 now, u8 *packet, u32 len)
{
	u64 number = wire_get64(packet + DATA_NUMBER);
	u32 bytes = len - DATA_EXTRA;
	bool asks = false, in_order;

	if (number >= UINT64_MAX / 2 || replayed(s, number)) {
		s->f->counts[FABRIC_RX_REPLAYED]++;
		return false;
	}
	if (!open_packet(s, number, packet, bytes)) {
		s->f->counts[FABRIC_RX_FORGED]++;
		return false;
	}
	s->heard = now;
	s->stats.rx_packets++;
	s->stats.rx_bytes += len;
	if (!fabric_wire_check(packet + DATA_HEADER, bytes)) {
		s->f->counts[FABRIC_RX_INVALID]++;
		return true;
	}
	in_order = number == s->highest;
	if (!apply(s, now, packet + DATA_HEADER, bytes, &asks))
		return true;
	if (number >= s->highest)
		s->largest_at = now;
	remember(s, number);
	add_range(s, number);
	if (asks) {
		s->ack_count++;
		if (s->ack_count >= ACK_EVERY || !in_order)
			s->ack_at = now;
		else
			s->ack_at = min_u64(s->ack_at, now + ACK_US);
	}
	return true;
}
