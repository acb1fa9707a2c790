/* SPDX-License-Identifier: MIT */
/*
 * The fabric: authenticated sessions between nodes over UDP, each with a reliable, ordered channel for messages
 * and an unordered one for guest pages (hv/net/fabric*.c; docs/fabric.md is the contract).
 *
 * Nothing here knows a clock, a lock or an allocator: time is passed in (microseconds, never backwards), the rest
 * is struct fabric_ops. One CPU at a time is in one struct fabric, and on a node with interrupts off. Calls of
 * struct fabric_ops may call back into it (send, allow, close), but for fabric_input() and fabric_poll().
 */
#ifndef TERN_FABRIC_H
#define TERN_FABRIC_H

#include <tern/types.h>

#define FABRIC_PORT        7837u
#define FABRIC_KEY_BYTES   32u
#define FABRIC_SESSIONS    64u
#define FABRIC_PAGE_MAX    4096u
#define FABRIC_PAGES       1024u /* sent and not acknowledged, of one session */
#define FABRIC_MESSAGE_MAX 65536u
#define FABRIC_ALLOC_MAX   0x100000u /* bytes of memory that a session takes, at most */
#define FABRIC_SEEN        1024u     /* INITs remembered against replay */

struct fabric_session;

struct fabric_peer {
	u32 addr; /* IPv4: 10.0.0.1 is 0x0a000001 */
	u16 port;
};

/* Why a session ended. */
enum fabric_why {
	FABRIC_CLOSED,    /* by fabric_close() here or there */
	FABRIC_TIMED_OUT, /* nothing heard for 60 s, or no answer for 20 s to begin with */
	FABRIC_BROKEN,    /* the peer has the key and does not keep to the protocol */
};

struct fabric_ops {
	void *ctx;
	/* Where to write the next UDP payload, link_mtu - 28 bytes; NULL: none is free now, poll again. */
	u8 *(*buffer)(void *ctx);
	/* Sends it. That it is lost is no error here. */
	void (*send)(void *ctx, u64 now, const struct fabric_peer *to, u8 *payload, u32 len);
	/* Random bytes fit for keys. */
	void (*random)(void *ctx, u8 *out, u32 n);
	/* Memory of a session, <= FABRIC_ALLOC_MAX bytes, aligned to 64; NULL: none. */
	void *(*alloc)(void *ctx, u32 bytes);
	void (*free)(void *ctx, void *p, u32 bytes);
	/* A peer that has the key wants a session. */
	bool (*accept)(void *ctx, const struct fabric_peer *peer);
	/* The session is open; it has ended, and is not to be used any more. */
	void (*up)(void *ctx, struct fabric_session *s);
	void (*down)(void *ctx, struct fabric_session *s, enum fabric_why why);
	/* A message has come. False: not now; it comes again after fabric_resume(), and none overtakes it. */
	bool (*message)(void *ctx, struct fabric_session *s, const u8 *data, u32 len);
	/* Where a page of len bytes shall go, 1 to 4096; NULL: not now (it will be sent again). */
	void *(*place)(void *ctx, struct fabric_session *s, u64 tag, u32 len);
	/* It is there; or it never will be: the session has ended. Exactly one of them for each place. */
	void (*filled)(void *ctx, struct fabric_session *s, u64 tag, void *place, u32 len);
	void (*unfilled)(void *ctx, struct fabric_session *s, u64 tag, void *place, u32 len);
	/* A page was acknowledged (0), or the session has ended (-TERN_EIO): its memory is the sender's again. */
	void (*sent)(void *ctx, struct fabric_session *s, u64 tag, void *cookie, int status);
};

struct fabric_config {
	u8 key[FABRIC_KEY_BYTES];
	u32 link_mtu;      /* bytes of IPv4 packet that the NIC can send, >= 1280 */
	u32 rekey_packets; /* 0: 2^22, docs/fabric.md */
	bool no_aes;       /* ChaCha20-Poly1305 alone is offered and taken */
};

enum fabric_count {
	FABRIC_RX_BAD,        /* version, type, length or reserved bytes */
	FABRIC_RX_STRANGER,   /* no such session, or not from its peer */
	FABRIC_RX_REPLAYED,   /* a number that was there, or is too old */
	FABRIC_RX_FORGED,     /* the tag of DATA is wrong */
	FABRIC_RX_BAD_MAC,    /* MAC or confirmation of the handshake */
	FABRIC_RX_LIMITED,    /* INITs beyond what is checked */
	FABRIC_RX_SEEN,       /* an INIT that was there */
	FABRIC_RX_CHALLENGED, /* INITs answered with a CHALLENGE */
	FABRIC_RX_FULL,       /* no session free, no memory, or not accepted */
	FABRIC_RX_INVALID,    /* frames that do not keep to the protocol */
	FABRIC_RX_REFUSED,    /* pieces for which there is no place */
	FABRIC_TX_STALLED,    /* no buffer */
	FABRIC_COUNTS,
};

struct fabric {
	struct fabric_ops ops;                               /* (c) */
	u8 mac_key[FABRIC_KEY_BYTES], psk[FABRIC_KEY_BYTES]; /* (c) */
	u8 cookie_key[2][FABRIC_KEY_BYTES];                  /* the present one, the one before */
	u64 cookie_since;
	u64 mac_window; /* MACs of INITs checked in this second */
	u32 mac_count;
	u8 ciphers;        /* (c) */
	u32 link_mtu;      /* (c) */
	u32 rekey_packets; /* (c) */
	u32 session_count;
	u64 used; /* one bit a session */
	struct fabric_session *sessions[FABRIC_SESSIONS];
	u64 seen[FABRIC_SEEN]; /* the first half of an INIT's MAC, a ring */
	u32 seen_next;
	u64 counts[FABRIC_COUNTS];
};

void fabric_init(struct fabric *f, const struct fabric_config *config, const struct fabric_ops *ops,
		 u64 now);
/* A UDP payload has come, and may be written to. */
void fabric_input(struct fabric *f, u64 now, const struct fabric_peer *from, u8 *payload, u32 len);
/* Sends what is due; returns when to call again at the latest. To be called also after anything else was. */
u64 fabric_poll(struct fabric *f, u64 now);

/* A new session; ops.up or ops.down say what became of it. NULL: all in use, or no memory. */
MUST_CHECK struct fabric_session *fabric_connect(struct fabric *f, u64 now,
						 const struct fabric_peer *peer);
/* Ends it, at the next poll. */
void fabric_close(struct fabric_session *s);
/* The user's own pointer. */
void fabric_set_user(struct fabric_session *s, void *user);
void *fabric_user(const struct fabric_session *s);
/* Bytes a second of UDP payload, at most; 0: no limit. */
void fabric_set_limit(struct fabric_session *s, u64 bytes_per_second);

/* Queues a message (copied), 1 to FABRIC_MESSAGE_MAX bytes. -TERN_EAGAIN: the channel is full. */
MUST_CHECK int fabric_send_message(struct fabric_session *s, const void *data, u32 len);
/*
 * Queues a page of 1 to 4096 bytes; data stays where it is until ops.sent, and is read whenever a piece of it is sent.
 * Two pages with one tag must not be under way at once. -TERN_EAGAIN: FABRIC_PAGES are open.
 */
MUST_CHECK int fabric_send_page(struct fabric_session *s, u64 tag, const void *data, u32 len,
				void *cookie);
/* The peer may send so many pages in the session's whole life. UINT64_MAX at first: no limit but the window; made less in
 * ops.up, later only more. */
void fabric_allow_pages(struct fabric_session *s, u64 total);
/* ops.message would take a message again. Not from ops.message. */
void fabric_resume(struct fabric_session *s);

struct fabric_view {
	struct fabric_peer peer;
	bool open, initiator;
	u8 cipher; /* 1: AES-128-GCM, 2: ChaCha20-Poly1305 */
	u32 mtu;
	u64 cwnd, in_flight, limit;                     /* bytes */
	u64 srtt, min_rtt;                              /* microseconds */
	u64 tx_packets, tx_bytes, rx_packets, rx_bytes; /* payload of UDP */
	u64 lost, spurious, probes;                     /* packets */
	u64 tx_pages, rx_pages, tx_messages, rx_messages;
	u64 again; /* pieces sent again */
	u64 tx_generation, rx_generation;
};
/* What a session is; i < FABRIC_SESSIONS. False: there is none. */
MUST_CHECK bool fabric_view(const struct fabric *f, u32 i, struct fabric_view *out);
void fabric_session_view(const struct fabric_session *s, struct fabric_view *out);

#endif
