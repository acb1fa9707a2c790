/* SPDX-License-Identifier: MIT */
/*
 * A simulated network in simulated time: links with rate, delay, queue, loss, reordering, duplication, corruption and
 * cuts, all from one seed, and nodes whose fabrics talk over it. The same seed gives the same run.
 */
#ifndef FAKE_ROAD_H
#define FAKE_ROAD_H

#include <tern/fabric.h>
#include <tern/types.h>

struct fake_link {
	u64 rate;      /* bytes a second; 0: no limit */
	u64 delay_us;  /* one way */
	u32 jitter_us; /* and up to that much more; nobody overtakes for that */
	u32 queue;     /* bytes that may wait for the rate; 0: no limit */
	u32 mtu;       /* larger IPv4 packets disappear; 0: no limit */
	u32 loss, reorder, duplicate, corrupt; /* of a million packets */
	u64 cut_from, cut_to;                  /* nothing passes in between */
	/* What it did. */
	u64 last_us; /* when the newest packet arrives */
	u64 busy_ns; /* until then the rate is used up */
	u64 sent, lost, full, bytes;
};

typedef void fake_arrive(void *ctx, const struct fabric_peer *from, u8 *data, u32 len);

struct fake_road {
	u64 now; /* microseconds */
	u64 random;
	struct fake_event **heap;
	u32 count, room;
	u64 order;
};

void fake_road_init(struct fake_road *w, u64 seed);
void fake_road_free(struct fake_road *w);
u32 fake_road_random(struct fake_road *w);
/* A packet of len bytes of UDP payload, 28 less than it has on the link. */
void fake_road_send(struct fake_road *w, struct fake_link *l, fake_arrive *arrive, void *ctx,
		    const struct fabric_peer *from, const u8 *data, u32 len);
/* When the next packet arrives, UINT64_MAX: none is under way; and lets it arrive. */
u64 fake_road_next(const struct fake_road *w);
void fake_road_step(struct fake_road *w);

/* A node: its fabric, its side of the link, a user that sends and checks pages made from their tags. */
struct fake_node {
	struct fabric f;
	struct fake_road *wire;
	struct fake_link *link; /* to the other one */
	struct fake_node *other;
	struct fabric_peer address;
	struct fabric_session *session; /* opened last */
	u64 next_poll;
	bool refuse, no_memory, no_buffer, hold_messages, no_place;
	/* What the user does: sends pages [sent_next, sent_end) with these tags, as many at once as it may. */
	u64 sent_next, sent_end;
	u64 allow;    /* pages that it takes, unless 0 */
	u32 page_len; /* 0: 4096; else each has 1 to page_len bytes */
	/* What came of it. */
	u32 ups, downs, accepts;
	enum fabric_why why;
	u64 acked, failed, filled, unfilled, wrong, places;
	u64 messages, message_wrong;
	u8 *pages[FABRIC_PAGES]; /* sent from */
	u8 *got;                 /* one bit a tag that was filled */
	u64 got_max;
	s64 allocated;
	u32 tapped; /* packets in tap, the newest FAKE_TAP */
	struct fake_tap *tap;
	u8 buffer[9216];
};

#define FAKE_TAP 4096u
struct fake_tap {
	u32 len;
	u8 data[1500];
};

void fake_node_init(struct fake_node *n, struct fake_road *w, u32 addr, const char *key,
		    u32 link_mtu, u32 rekey, bool no_aes);
void fake_node_join(struct fake_node *a, struct fake_link *from_a, struct fake_node *b,
		    struct fake_link *from_b);
void fake_node_free(struct fake_node *n);
/* Keeps what it sends, but for jumbo packets. */
void fake_node_tap(struct fake_node *n);
/* Room for tags [0, max) of pages that come. */
void fake_node_expect(struct fake_node *n, u64 max);
/* Lets a packet arrive at it at once. */
void fake_node_receive(struct fake_node *n, const struct fabric_peer *from, const u8 *data,
		       u32 len);
/* Runs both for a time, or until *count is at least want. True: it is. */
bool fake_nodes_run(struct fake_node *a, struct fake_node *b, u64 us, const u64 *count, u64 want);
/* The bytes of a page. */
u32 fake_page_len(const struct fake_node *n, u64 tag);
void fake_page_fill(u64 tag, u8 *p, u32 len);

#endif
