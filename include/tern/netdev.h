/* SPDX-License-Identifier: MIT */
/*
 * The node's physical NICs: frames in, frames out (hv/net/netdev.c). A NIC has at most one owner, which opens it;
 * one that nobody opens is only looked at. Drivers are behind tern/netdev_driver.h. docs/nics.md.
 *
 * What is sent lies in host memory wherever it is, in up to NETDEV_FRAGS_MAX pieces, and stays the NIC's until done()
 * was called, which happens exactly once for every frame that netdev_send() took. What is received is handed to the
 * owner in the driver's own buffer.
 *
 * Everything but netdev_send() and netdev_kick() belongs to the boot CPU's thread. There netdev_poll() runs, and from
 * it the owner's calls: interrupts on, no lock held, so that they may take any, send, and take their time.
 */
#ifndef TERN_NETDEV_H
#define TERN_NETDEV_H

#include <tern/addr.h>
#include <tern/types.h>

#define NETDEV_MAX        8u
#define NETDEV_NAME_MAX   8u
#define NETDEV_FRAGS_MAX  8u
#define NETDEV_MAC        6u
#define NETDEV_HEADER     14u /* Ethernet; not in the MTU */
#define NETDEV_TAG        4u  /* IEEE 802.1Q, one at most; not in the MTU either */
#define NETDEV_MTU        1500u
#define NETDEV_POLL_BATCH 64u /* frames received by one netdev_poll(), at most */
#define NETDEV_HANG_US \
	2000000u /* a NIC that has sent nothing for so long, with frames waiting, is reset */

struct netdev_frag {
	hpa_t at;
	u32 len; /* 1 to 4096 bytes, in one piece of host memory */
};

/* A frame to send: from the destination address to the last byte of payload, without the frame check sequence. */
struct netdev_tx {
	/*
	 * It is the sender's again. 0: it is on the wire, as far as the NIC knows; -TERN_EIO: the NIC was reset before
	 * it had said so; -TERN_ENODEV: the NIC was closed. From netdev_poll(), netdev_close().
	 */
	void (*done)(struct netdev_tx *tx, int status);
	void *arg;              /* the sender's */
	struct netdev_tx *next; /* the NIC's */
	u32 len;        /* sum of the pieces: NETDEV_HEADER to NETDEV_HEADER + netdev_mtu() */
	u32 frag_count; /* 1 to NETDEV_FRAGS_MAX; the first piece holds all headers */
	/* With NETDEV_CAN_CSUM: the NIC puts the ones' complement sum from csum_start to the end at csum_start +
	 * csum_offset, where the sum of the pseudo header is (not inverted). Both are below 256. */
	bool csum;
	u8 csum_start, csum_offset;
	struct netdev_frag frags[NETDEV_FRAGS_MAX];
};

#define NETDEV_CAN_CSUM 1u /* checksums of UDP and TCP over IPv4 and IPv6, see struct netdev_tx */

/* Who uses a NIC. All calls come from netdev_poll(). */
struct netdev_owner {
	const char *name; /* "fabric", "uplink" */
	/*
	 * A frame has come, without its frame check sequence; NETDEV_HEADER <= len <= NETDEV_HEADER + NETDEV_TAG +
	 * netdev_mtu(). The buffer is the owner's to write to (to decrypt in place), and only until the call
	 * returns: what is to stay is copied once, to where it is to be.
	 */
	void (*rx)(void *arg, u8 *frame, u32 len);
	/* At the end of every netdev_poll(): frames can be answered together, and there may be room to send
	 * again. NULL: not called. */
	void (*after)(void *arg);
	/* The link is up or down now. NULL: not called. */
	void (*link)(void *arg, bool up);
	void *arg;
	bool promiscuous; /* it wants every station's frames, else its own, broadcast and multicast */
	u32 mtu;          /* 0: NETDEV_MTU */
};

struct netdev;

/* --- the list: all NICs that a driver knows, opened or not --- */
/* Looks for them. Nothing is written to a NIC but what it takes to read its address. After pci_init(). */
void netdev_init(void);
/* NULL past the last. */
struct netdev *netdev_get(u32 i);
/* By PCI address ("00:03.0", "0001:00:03.0") or MAC address ("52:54:00:12:34:51"); NULL: there is none. */
struct netdev *netdev_find(const char *which);

struct netdev_which {
	bool is_mac;
	u8 mac[NETDEV_MAC];
	u16 segment;
	u8 bus, dev, fn;
};
/* Reads what netdev_find() takes (hv/net/netdev_which.c). False: it is neither. Pure. */
MUST_CHECK bool netdev_which_parse(const char *text, struct netdev_which *out);

/*
 * Resets the NIC and starts it for an owner (copied). -TERN_EBUSY: it has one, -TERN_EINVAL: it cannot have frames
 * of that MTU, -TERN_ENOMEM, -TERN_EIO: it does not start. Its link comes up later: see netdev_owner.link.
 */
MUST_CHECK int netdev_open(struct netdev *nd, const struct netdev_owner *owner);
/* Stops it; frames that were not sent are done with -TERN_ENODEV. Not from an owner's call. */
void netdev_close(struct netdev *nd);
/* Asks for a reset at the next poll: frames that were not sent are done with -TERN_EIO. */
void netdev_reset(struct netdev *nd);

/* --- of an open NIC --- */
/*
 * Queues a frame. 0: taken, done() will be called; -TERN_EAGAIN: its ring is full, owner.after() is the time to try
 * again; -TERN_ENODEV: the link is down, or the NIC is not open. Any CPU, any context but NMI; takes RANK_NETDEV.
 */
MUST_CHECK int netdev_send(struct netdev *nd, struct netdev_tx *tx);
/* Has netdev_poll() called soon. Any CPU, any context but NMI, any lock held. */
void netdev_kick(struct netdev *nd);
/* Frames that were sent are done, at most NETDEV_POLL_BATCH that came are handed over, a NIC that hangs is reset.
 * True: call again at once, there may be more. */
bool netdev_poll(struct netdev *nd);
/* All open NICs. */
bool netdev_poll_all(void);

/* Any context. */
const u8 *netdev_mac(const struct netdev *nd); /* NETDEV_MAC bytes */
u32 netdev_mtu(const struct netdev *nd);       /* as opened */
u32 netdev_can(const struct netdev *nd);       /* NETDEV_CAN_* */
bool netdev_link_up(const struct netdev *nd);

/* --- for the shell --- */
enum netdev_count {
	NETDEV_TX_FRAMES, /* done with 0 */
	NETDEV_TX_BYTES,
	NETDEV_TX_FULL,   /* -TERN_EAGAIN */
	NETDEV_TX_DOWN,   /* -TERN_ENODEV */
	NETDEV_TX_FAILED, /* done with an error */
	NETDEV_RX_FRAMES,
	NETDEV_RX_BYTES,
	NETDEV_RX_LENGTH, /* too short or too long */
	NETDEV_RX_CSUM,   /* its frame check sequence is wrong */
	NETDEV_RX_ERROR,  /* another error of the line */
	NETDEV_RX_MISSED, /* there was no free buffer */
	NETDEV_RX_BROKEN, /* the NIC told nonsense about it */
	NETDEV_HANGS,
	NETDEV_RESETS, /* of hangs, and asked for */
	NETDEV_LINK_CHANGES,
	NETDEV_INTERRUPTS,
	NETDEV_POLLS,
	NETDEV_COUNTS,
};
/* "tx frames" */
const char *netdev_count_name(enum netdev_count which);

struct netdev_view {
	char name[NETDEV_NAME_MAX]; /* "nic0" */
	const char *driver;         /* "e1000" */
	const char *model;          /* "82540EM" */
	const char *owner;          /* NULL: nobody's */
	const char *wakes;          /* "MSI-X", "MSI", "polled"; "" while nobody's */
	char where[16];             /* PCI address */
	u8 mac[NETDEV_MAC];
	u32 mtu, mtu_max, can;
	bool link_up, full_duplex;
	u32 speed;   /* Mbit/s; 0: unknown */
	u32 waiting; /* frames to be sent */
	u64 counts[NETDEV_COUNTS];
};
void netdev_view(struct netdev *nd, struct netdev_view *out);

#endif
