/* SPDX-License-Identifier: MIT */
/*
 * What a NIC's driver is to the node (drivers/net): called by hv/net/netdev.c alone. A driver keeps rings; who sends,
 * who receives, when a NIC hangs and what is counted is not its business.
 *
 * Lock letters: (n) the call holds nd->lock, RANK_NETDEV, interrupts off; (p) it comes from the one poller, the boot
 * CPU's thread, no lock held; both: both.
 */
#ifndef TERN_NETDEV_DRIVER_H
#define TERN_NETDEV_DRIVER_H

#include <tern/lock.h>
#include <tern/netdev.h>
#include <tern/pci.h>
#include <tern/timer.h>

struct netdev_frame {
	u8 *data;
	u32 len;
};

enum netdev_next {
	NETDEV_NONE,  /* nothing has come */
	NETDEV_FRAME, /* *out is a frame; recycle() follows */
	NETDEV_SKIPPED, /* something has come that is no frame; it is counted, and its buffer is the NIC's again */
};

/* How it interrupts, if the machine lets it: always by one vector. */
enum netdev_irq { NETDEV_POLLED, NETDEV_MSI, NETDEV_MSIX };

struct netdev_link {
	bool up, full_duplex;
	u32 speed; /* Mbit/s; 0: unknown */
};

struct netdev_ops {
	const char *name;
	/* The name of the model; NULL: it is not for this driver. Pure. */
	const char *(*match)(const struct pci_device *d);
	/* (p) Fills mac, mtu_max, can and irq, leaving the NIC as it is. -TERN_ENODEV: it cannot be used; logged. */
	int (*probe)(struct netdev *nd);
	/* (p) The memory of its rings, for nd->mtu. -TERN_ENOMEM. free() undoes it; the NIC does nothing. */
	int (*alloc)(struct netdev *nd);
	void (*free)(struct netdev *nd);
	/* (n, p) Resets the NIC and starts it, its rings empty, interrupts off. -TERN_EIO: it does not start, and does
	 * nothing. At most some 20 ms. */
	int (*run)(struct netdev *nd);
	/* (n, p) It does nothing any more, and reads and writes no memory. */
	void (*halt)(struct netdev *nd);
	/* (n) tx is checked. -TERN_EAGAIN: no room. */
	int (*send)(struct netdev *nd, struct netdev_tx *tx);
	/* (n, p) The next frame that was sent; NULL: none. */
	struct netdev_tx *(*reap)(struct netdev *nd);
	/* (n, p) After halt(): the next frame that was not; NULL: there is none left. */
	struct netdev_tx *(*take_back)(struct netdev *nd);
	/* (p) Errors are counted by netdev_add(). */
	enum netdev_next (*receive)(struct netdev *nd, struct netdev_frame *out);
	/* (p) The buffer that receive() told last is the NIC's again. */
	void (*recycle)(struct netdev *nd);
	/* (p) After a batch: whatever recycle() has put off. */
	void (*end_batch)(struct netdev *nd);
	/* (p) */
	void (*link)(struct netdev *nd, struct netdev_link *out);
	/* (p) Adds what the NIC itself has counted since. NULL: it does not. */
	void (*collect)(struct netdev *nd);
	/* Interrupts: off and acknowledged, from their handler, any time after run(); on, (p): true: something has
	 * come that would not raise one any more. Not called of one that is polled. */
	void (*irq_off)(struct netdev *nd);
	bool (*irq_on)(struct netdev *nd);
};

struct netdev {
	const struct netdev_ops *ops; /* (c) */
	struct pci_device *pci;       /* (c) NULL: not a PCI device */
	void *driver;                 /* (c) a page for the driver, zeroed before probe() */
	const char *model;            /* (c) */
	char name[NETDEV_NAME_MAX];   /* (c) */
	u8 mac[NETDEV_MAC];           /* (c) */
	u32 mtu_max, can;             /* (c) */
	enum netdev_irq irq;          /* (c) */
	/* While open: */
	struct netdev_owner owner; /* (c) */
	u32 mtu;                   /* (c) */
	int vector;                /* (c) 0: none */
	const char *wakes;         /* (c) */
	bool open;                 /* (n) */
	u32 waiting;               /* (n) frames that the NIC has to send */
	u64 progress;              /* (n) TSC when it last had sent one, or had none to send */
	bool reset_wanted;         /* (a) */
	bool dead;                 /* (p) it did not start again; that is tried again */
	u32 link_up;               /* (a) */
	struct netdev_link link;   /* (p) */
	u64 look_at;               /* (p) TSC: the link is looked at again */
	u64 collect_at;            /* (p) TSC: the NIC's own counters are */
	u64 reset_at;              /* (p) TSC: not reset again before */
	u64 busy_until;            /* (p) TSC: polled often until then */
	struct timer timer;        /* of one that is polled */
	struct spinlock lock;      /* RANK_NETDEV */
	u64 counts[NETDEV_COUNTS]; /* (a) */
};

/* Counts. Any context. */
void netdev_add(struct netdev *nd, enum netdev_count which, u64 n);
/* Adds a NIC to the list, beside those that netdev_init() finds: for tests. Its ops and pci are set; probes it.
 * -TERN_ENOSPC, errors of probe(). */
MUST_CHECK int netdev_register(struct netdev *nd);
/* Empties the list: for tests. */
void netdev_forget_all(void);

extern const struct netdev_ops e1000_netdev, virtio_netdev;

#endif
