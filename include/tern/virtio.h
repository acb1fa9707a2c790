/* SPDX-License-Identifier: MIT */
/*
 * Virtio 1.2 devices over PCI (hv/dev/virtio_pci.c) and their split virtqueues (hv/dev/virtio_queue.c).
 * A model (hv/dev/virtio_*.c) embeds a struct virtio_device, pops chains of buffers from its queues,
 * reads and writes them by checked copies, pushes them back. docs/virtio.md says how one is written.
 *
 * Everything here is called with the bus lock held unless it says otherwise. All numbers are
 * little-endian, as this machine is.
 */
#ifndef TERN_VIRTIO_H
#define TERN_VIRTIO_H

#include <tern/addr.h>
#include <tern/dev.h>
#include <tern/types.h>

#define VIRTIO_QUEUES_MAX    8u
#define VIRTIO_QUEUE_SIZE    256u       /* what models use if they have no reason for another */
#define VIRTIO_QUEUE_MAX     1024u      /* largest; a power of two, as all sizes */
#define VIRTIO_IN_FLIGHT_MAX 64u        /* chains of one queue popped and not yet flushed */
#define VIRTIO_SEGMENTS_MAX  130u       /* 128 of data, a header, a status */
#define VIRTIO_CHAIN_MAX     (1u << 30) /* bytes of one chain */
#define VIRTIO_BATCH         64u /* chains to handle in one call, then virtio_request_work() */

struct virtio_device;
struct virtio_queue; /* hv/dev/virtio_internal.h; a model only names it */

struct virtio_ops {
	const char *name;   /* "virtio-blk" */
	u16 id;             /* virtio 1.2 section 5: 1 net, 2 blk, 3 console, ... */
	u32 class_code;     /* PCI: class, subclass, programming interface */
	u32 queue_count;    /* at most VIRTIO_QUEUES_MAX */
	u16 queue_size_max; /* of each queue, a power of two, at most VIRTIO_QUEUE_MAX */
	u32 config_size;    /* bytes of *config that the guest sees */
	/* The guest wrote device configuration (width 1, 2, 4, inside config_size); what of it takes effect
	 * is put into *config by the model. NULL: writes vanish. */
	void (*config_write)(struct virtio_device *v, u32 offset, u32 width, u32 value);
	/* The driver has set DRIVER_OK: v->features is final. NULL: nothing to do. */
	void (*start)(struct virtio_device *v);
	/* The driver says that queue has buffers. Only between start and reset. At most VIRTIO_BATCH chains;
	 * work that is left, or that -TERN_EAGAIN stopped, is left to work(). */
	void (*notify)(struct virtio_device *v, u32 queue);
	/* Device reset: the driver's, or the VM's. All chains popped are void: forget them; calls with
	 * such a chain do nothing and return -TERN_EIO, so a request that is still being carried out elsewhere
	 * may end later. Restore *config. Nothing of the queues is usable. */
	void (*reset)(struct virtio_device *v);
	/* What virtio_request_work() asked for, only between start and reset; also without that. False:
	 * memory cannot be backed now; called again later. NULL: the model never asks. */
	bool (*work)(struct virtio_device *v);
	void (*destroy)(
		struct virtio_device *v); /* no lock is held, nothing runs; frees the model */
};

/* The base of a model: it sets what has (m), before virtio_add(). */
struct virtio_device {
	const struct virtio_ops *ops; /* (m) */
	struct vm *vm;                /* (m) */
	u64 offered;  /* (m) its feature bits; those of transport and ring are added */
	void *config; /* (m) device configuration, config_size bytes in the model's memory */

	u64 features;           /* what was negotiated; 0 before FEATURES_OK */
	struct virtio_pci *pci; /* the transport's state and the queues: a block of two pages */
};

/* --- life --- */
/*
 * Adds the device to the VM's PCI bus. From now on the bus resets and destroys it. -TERN_ENOMEM, and the
 * errors of vpci_add(): the model is then still the caller's. Before the VM runs; no lock needed.
 */
MUST_CHECK int virtio_add(struct virtio_device *v);
/* True for a negotiated feature, by its bit number. */
bool virtio_has(const struct virtio_device *v, u32 feature);
/* DRIVER_OK is set, the device is not broken and the guest lets it use memory: queues can be used. */
bool virtio_running(const struct virtio_device *v);
/* Has ops->work called soon on the VM's own time. Any CPU, any context but NMI, no lock needed; see
 * dev_request_work() for the locks that may be held. */
void virtio_request_work(struct virtio_device *v);
/* *config has changed: new generation, configuration interrupt. Change it under the bus lock. */
void virtio_config_changed(struct virtio_device *v);
/* The driver broke a rule of the device: needs reset (virtio 1.2 section 2.1.2), and at most one line a
 * second in the log. The queues are dead from here on. */
void virtio_broken(struct virtio_device *v, const char *fmt, ...) PRINTF(2, 3);

/* --- queues --- */
struct virtio_segment {
	gpa_t at; /* not checked: the copies do that */
	u32 len;  /* may be 0 */
};

/* A chain of buffers; 2 KiB, so it lies in the model's pages and not on the stack. First what the device
 * reads (out), then what it writes (in); each part is one run of bytes to the copies below. */
struct virtio_chain {
	struct virtio_queue *queue; /* NULL: empty */
	u32 epoch;                  /* of the queue: a reset makes the chain void */
	u16 head;
	u16 out_count, count; /* segments that the device reads; all of them */
	u32 out_len, in_len;  /* bytes */
	struct virtio_segment segments[VIRTIO_SEGMENTS_MAX];
};

struct virtio_queue *virtio_queue(struct virtio_device *v, u32 index);
/* How many chains the driver can have made available at most. */
u32 virtio_queue_size(const struct virtio_queue *q);
/*
 * Takes the next chain that the driver made available. 1: it is in *c; 0: there is none, and the driver
 * will notify when there is; -TERN_EAGAIN: memory cannot be backed now, or VIRTIO_IN_FLIGHT_MAX chains are
 * out: the queue is as it was; -TERN_EIO: the device is broken, or not running. A queue that the driver
 * has not enabled has none.
 */
MUST_CHECK int virtio_pop(struct virtio_queue *q, struct virtio_chain *c);
/* Puts back the chain popped last, as if it had not been popped: for -TERN_EAGAIN on the way. */
void virtio_unpop(struct virtio_chain *c);
/* Gives the chain back with written bytes of its in part filled. It never fails: what memory cannot take
 * now waits in the queue. In any order. The driver sees it after virtio_flush(). c->queue is NULL then. */
void virtio_push(struct virtio_chain *c, u32 written);
/* Shows the driver what was pushed, and interrupts it if it wants that. Once after a batch of pushes. */
void virtio_flush(struct virtio_queue *q);

/*
 * Copies len bytes at offset of the out part (read) or in part (write). 0; -TERN_ERANGE: the part is
 * shorter, nothing was copied; -TERN_EAGAIN: try again with the same arguments; -TERN_EFAULT: not
 * memory, the device has been broken; -TERN_EIO: the chain is void.
 */
MUST_CHECK int virtio_chain_read(const struct virtio_chain *c, u32 offset, void *dst, u32 len);
MUST_CHECK int virtio_chain_write(const struct virtio_chain *c, u32 offset, const void *src,
				  u32 len);

/*
 * --- models --- Each adds a device to the VM: -TERN_ENOMEM, and the errors of virtio_add(). Before the
 * VM runs. *out, where there is one, stays valid as long as the VM's bus.
 */
/* Entropy (hv/dev/virtio_rng.c). -TERN_ENODEV: this CPU has no RDRAND. */
MUST_CHECK int virtio_rng_create(struct vm *vm);
/* A console (hv/dev/virtio_console.c): output joins that of vm->platform.uart. It has the port of vm->agent, which
 * was created before. */
MUST_CHECK int virtio_console_create(struct vm *vm, struct virtio_device **out);
/* Gives the guest bytes to read; returns how many had room. Takes the bus lock. */
size_t virtio_console_input(struct virtio_device *v, const char *text, size_t n);

/* Memory balloon (hv/dev/virtio_balloon.c): inflation, statistics, free page reporting and hinting. */
MUST_CHECK int virtio_balloon_create(struct vm *vm, struct virtio_device **out);

#define BALLOON_STATS_MAX 16u /* linux/virtio_balloon.h: VIRTIO_BALLOON_S_* */
struct balloon_stats {
	u32 target, actual;           /* pages of 4 KiB: asked for, in the balloon */
	u64 reported;                 /* bytes given back by free page reporting */
	u64 updates;                  /* how often the guest sent statistics */
	u64 value[BALLOON_STATS_MAX]; /* by tag; UINT64_MAX: the guest did not send it */
};
/* These take the bus lock. */
/* Asks the guest for pages of 4 KiB in all; it takes its time. */
void balloon_set_target(struct virtio_device *v, u32 pages);
/* The last statistics; asks the guest for new ones. */
void balloon_get_stats(struct virtio_device *v, struct balloon_stats *out);

/*
 * Free page hints: ranges that the guest had no use for when it named them; a copy of the VM may leave
 * them out unless they were written later than balloon_hint_start(): the caller has started its dirty log
 * before. Neighbours are merged; when there is no room for another range it is dropped, which is safe.
 */
#define BALLOON_HINTS_MAX 255u
struct balloon_hint {
	u64 base, len; /* guest-physical, whole pages */
};
/* -TERN_ENOSYS: the guest did not take the feature; -TERN_EBUSY: started already; -TERN_ENOMEM. */
MUST_CHECK int balloon_hint_start(struct virtio_device *v);
/* True once the guest has named all. */
bool balloon_hint_complete(struct virtio_device *v);
/* Ends it, complete or not: the guest may have its pages back. Copies up to max ranges in rising order;
 * returns how many. */
u32 balloon_hint_stop(struct virtio_device *v, struct balloon_hint *out, u32 max);

#endif
