/* SPDX-License-Identifier: MIT */
/* A session of the fabric, and what its files call of each other. docs/fabric.md. */
#ifndef HV_NET_FABRIC_INTERNAL_H
#define HV_NET_FABRIC_INTERNAL_H

#include <tern/err.h>
#include <tern/fabric.h>

#include "fabric_crypto.h"
#include "fabric_cubic.h"
#include "fabric_mtu.h"
#include "fabric_wire.h"

#define FABRIC_BLOCKS   32u   /* of the control channel, open at a time, a power of two */
#define FABRIC_SENT     4096u /* packets remembered, a power of two */
#define FABRIC_REPLAY   8192u /* numbers remembered, a power of two */
#define FABRIC_PIECES   4u    /* in a packet */
#define FABRIC_NOBODY   0xffffu
#define FABRIC_IP_EXTRA 28u /* IPv4 and UDP headers */
#define FABRIC_MS       1000u
#define FABRIC_SECOND   1000000u

_Static_assert(FABRIC_KEY_BYTES == FABRIC_KEY && DATA_HEADER == FABRIC_HEADER &&
		       DATA_TAG == FABRIC_MAC,
	       "docs/fabric.md");
_Static_assert(FABRIC_SESSIONS == 64, "a bit each in a u64");
_Static_assert(FABRIC_PAGE_MAX / WIRE_UNIT == 64, "the units of a page are the bits of a u64");

enum fabric_channel { FABRIC_CONTROL, FABRIC_PAGE, FABRIC_CHANNELS };

/* A block or page that is sent. */
struct fabric_out {
	u64 number, tag;
	const u8 *data;
	void *cookie;
	u64 todo;  /* units to send, for the first time or again */
	u64 acked; /* units that the peer has */
	u16 len;
	u16 next; /* in the queue of those with something to do */
	bool used, queued, again;
};

struct fabric_out_channel {
	struct fabric_out *slots;
	u32 mask;    /* (c) slots - 1 */
	u64 base;    /* the first that is not acknowledged */
	u64 next;    /* the number of the next one */
	u64 allowed; /* below that the peer takes them */
	u16 head, tail;
};

/* A block or page that is received. */
struct fabric_in {
	u64 got; /* units */
	u64 tag;
	u8 *place;
	u16 len;
	bool used, whole;
};

struct fabric_in_channel {
	struct fabric_in *slots;
	u32 mask;
	u64 base;    /* the first that is not whole */
	u64 allowed; /* by the user */
};

struct fabric_piece {
	u32 number; /* low half of the block's or page's */
	u8 channel, unit, count;
};

enum fabric_sent_state { SENT_NOTHING, SENT_FLYING, SENT_ACKED, SENT_LOST };

struct fabric_sent {
	u64 time;
	u16 bytes; /* of the IPv4 packet */
	u8 state;  /* SENT_NOTHING: nothing in it asks for an acknowledgement */
	u8 pieces;
	bool probe; /* for the MTU */
	struct fabric_piece piece[FABRIC_PIECES];
};

struct fabric_range {
	u64 low, high;
};

enum fabric_session_state { SESSION_INIT, SESSION_HALF, SESSION_OPEN };

/* The keys of a direction: the generation and the secret that the next one is made of. */
struct fabric_tx_keys {
	struct fabric_aead key;
	u8 secret[FABRIC_KEY];
	u64 generation, first; /* packet number */
	u64 since;
};

struct fabric_rx_keys {
	struct fabric_aead before, now, next;
	u8 secret[FABRIC_KEY]; /* of next */
	u64 generation, first;
};

struct fabric_session {
	struct fabric *f;
	void *user;
	struct fabric_peer peer;
	enum fabric_session_state state;
	bool initiator, closing, told, broken;
	u8 cipher;
	u32 id, peer_id;
	/* Handshake. */
	u8 ephemeral[FABRIC_KEY], peer_public[FABRIC_KEY];
	u8 init[INIT_LEN], response[RESPONSE_LEN];
	u32 attempt;
	u64 since, retry_at;
	/* Out. */
	struct fabric_tx_keys tx;
	u64 number; /* of the next packet */
	struct fabric_out_channel out[FABRIC_CHANNELS];
	u64 last_sent, last_asked; /* any packet; one that asks for an acknowledgement */
	u64 pace_ns;               /* when the next may go */
	u64 ns_per_kib;            /* of the present rate */
	u64 limit;
	bool ping, window_full;
	u32 extra; /* packets that may go whatever window and pace say */
	/* What came of it. */
	u64 oldest;  /* packet that flies */
	u64 largest; /* number + 1 that was acknowledged; 0: none */
	u64 flying;  /* bytes */
	u64 srtt, rttvar, min_rtt;
	u64 rack_rtt;
	u64 loss_at;  /* UINT64_MAX: no packet is overdue soon */
	u64 recovery; /* packets sent before do not shrink the window again */
	u64 lost_at;  /* when something was found lost last */
	u32 reorder, reorder_left;
	u32 probe_count;
	struct fabric_cubic cubic;
	struct fabric_mtu mtu;
	/* In. */
	struct fabric_rx_keys rx;
	u64 highest; /* number + 1; 0: none */
	u64 heard, largest_at;
	struct fabric_range ranges[ACK_MAX];
	u32 range_count;
	u32 ack_count; /* packets that wait for an acknowledgement */
	u64 ack_at;    /* UINT64_MAX: none does */
	struct fabric_in_channel in[FABRIC_CHANNELS];
	u32 message_len;
	bool message_held;
	struct fabric_view stats;
	u64 replay[FABRIC_REPLAY / 64];
	struct fabric_sent sent[FABRIC_SENT];
	struct fabric_out out_pages[FABRIC_PAGES], out_blocks[FABRIC_BLOCKS];
	struct fabric_in in_pages[FABRIC_PAGES], in_blocks[FABRIC_BLOCKS];
	u8 out_data[FABRIC_BLOCKS][FABRIC_PAGE_MAX], in_data[FABRIC_BLOCKS][FABRIC_PAGE_MAX];
	u8 message[FABRIC_MESSAGE_MAX];
};
_Static_assert(sizeof(struct fabric_session) <= FABRIC_ALLOC_MAX, "docs/fabric.md, Limits");

/* The units [unit, unit + count) of a page; 0 < count, unit + count <= 64. */
static inline u64 fabric_units(u32 unit, u32 count)
{
	return (~0ull >> (64 - count)) << unit;
}

static inline u32 fabric_unit_count(u32 len)
{
	return (len + WIRE_UNIT - 1) / WIRE_UNIT;
}

/* --- hv/net/fabric_handshake.c: the bytes of the handshake --- */
void fabric_handshake_secrets(struct fabric *f, const u8 key[FABRIC_KEY]);
/* Writes the session's next INIT into s->init; cookie NULL: none. */
void fabric_handshake_init(struct fabric_session *s, const u8 *cookie);
MUST_CHECK bool fabric_handshake_init_good(const struct fabric *f, const u8 *init);
/* A new cookie secret when the present one is 60 s old. */
void fabric_handshake_cookies(struct fabric *f, u64 now);
MUST_CHECK bool fabric_handshake_cookie_good(const struct fabric *f, const struct fabric_peer *from,
					     const u8 *init);
void fabric_handshake_challenge(const struct fabric *f, const struct fabric_peer *from,
				const u8 *init, u8 out[CHALLENGE_LEN]);
/* The cookie of a CHALLENGE for the session's INIT. */
MUST_CHECK bool fabric_handshake_challenge_good(const struct fabric_session *s,
						const u8 *challenge);
/* Responder: derives the keys and writes s->response. False: the public key is worthless. */
MUST_CHECK bool fabric_handshake_respond(struct fabric_session *s, u64 now, const u8 *init);
/* Initiator: derives the keys. False: the RESPONSE is not confirmed, nothing has changed. */
MUST_CHECK bool fabric_handshake_finish(struct fabric_session *s, u64 now, const u8 *response);
/* The sender's next generation. */
void fabric_handshake_rekey(struct fabric_session *s, u64 now);
/* The receiver's: next becomes now. first: number of the packet that showed it. */
void fabric_handshake_follow(struct fabric_session *s, u64 first);

/* --- hv/net/fabric_tx.c --- */
void fabric_tx_start(struct fabric_session *s, u64 now);
/* Puts a block or page that has something to do into its queue. */
void fabric_tx_queue(struct fabric_out_channel *c, struct fabric_out *o, bool first);
/* The pace after window, round trip or limit has changed. */
void fabric_tx_pace(struct fabric_session *s);
/* Sends what may be sent; returns when more may. */
u64 fabric_tx_run(struct fabric_session *s, u64 now);
void fabric_tx_close(struct fabric_session *s, u64 now);
/* Whether something to send waits only for the peer's window. */
bool fabric_tx_blocked(const struct fabric_session *s);

/* --- hv/net/fabric_rx.c --- */
/* A DATA packet for this session, of a good form. True: it opened. */
MUST_CHECK bool fabric_rx_packet(struct fabric_session *s, u64 now, u8 *packet, u32 len);
/* Hands over messages that are whole. */
void fabric_rx_messages(struct fabric_session *s);
/* Writes an ACK frame of at most room bytes (>= 40); returns its length. */
u32 fabric_rx_ack(struct fabric_session *s, u64 now, u8 *p, u32 room);

/* --- hv/net/fabric_loss.c --- */
void fabric_loss_start(struct fabric_session *s, u64 rtt);
/* False: it acknowledges what was never sent. */
MUST_CHECK bool fabric_loss_ack(struct fabric_session *s, u64 now, const struct wire_frame *f);
/* A packet that flies is given up: its place is needed. */
void fabric_loss_forget(struct fabric_session *s, u64 number);
/* What is due; returns when the next is. */
u64 fabric_loss_run(struct fabric_session *s, u64 now);

#endif
