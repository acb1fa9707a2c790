/* SPDX-License-Identifier: MIT */
/* The state of a virtio device's transport and queues: virtio_pci.c and virtio_queue.c. */
#ifndef HV_DEV_VIRTIO_INTERNAL_H
#define HV_DEV_VIRTIO_INTERNAL_H

#include <tern/virtio.h>
#include <tern/vpci.h>

/* BAR 0: where what is. */
#define VIRTIO_BAR_SIZE   0x4000u
#define VIRTIO_COMMON     0x0000u
#define VIRTIO_COMMON_LEN 0x0040u
#define VIRTIO_ISR        0x0400u
#define VIRTIO_ISR_LEN    0x0004u
#define VIRTIO_CONFIG     0x0800u
#define VIRTIO_CONFIG_MAX 0x0800u
#define VIRTIO_NOTIFY     0x1000u
#define VIRTIO_NOTIFY_MUL 4u
#define VIRTIO_MSIX_TABLE 0x2000u
#define VIRTIO_MSIX_PBA   0x3000u
/* Ports: the notification structure once more. */
#define VIRTIO_PORT_BAR   2u
#define VIRTIO_ISR_QUEUE  1u /* virtio 1.2 section 4.1.4.5 */
#define VIRTIO_ISR_CONFIG 2u

#define VIRTIO_PCI_VENDOR 0x1af4u
#define VIRTIO_PCI_DEVICE 0x1040u /* plus the device's number; virtio 1.2 section 4.1.2.1 */

/* An element of the used ring; virtio 1.2 section 2.7.8. */
struct virtio_used {
	u32 id, len;
};

/* A split virtqueue; virtio 1.2 section 2.7. Indices run freely and wrap at 2^16. */
struct virtio_queue {
	struct virtio_device *v; /* (c) */
	gpa_t desc, avail, used; /* the driver's, aligned once it is enabled */
	u16 size;                /* a power of two */
	u16 vector;              /* MSI-X, or VPCI_NO_VECTOR */
	bool enabled;
	bool event_valid; /* event is what memory holds */
	u16 event;        /* avail_event: the driver notifies when it passes this */
	u16 next;         /* of the available ring: what is popped next */
	u16 seen;         /* idx of the available ring when it was last read */
	u16 used_idx;     /* idx of the used ring, as the driver sees it */
	u32 epoch;        /* chains of another epoch are void */
	u32 in_flight;    /* chains popped that the driver has not seen used */
	u32 pushed_count;
	struct virtio_used pushed[VIRTIO_IN_FLIGHT_MAX]; /* not yet in the used ring */
};

/* A block of 2^VIRTIO_PCI_ORDER pages. */
#define VIRTIO_PCI_ORDER 1u
struct virtio_pci {
	struct vpci_function pci;
	struct virtio_device *v;
	u8 status;     /* VIRTIO_CONFIG_S_* */
	u8 isr;        /* VIRTIO_ISR_* */
	u8 generation; /* of the device configuration */
	u16 config_vector;
	u16 queue_select;
	u32 device_feature_select, driver_feature_select;
	u64 driver_features;
	u64 break_noted; /* TSC of the last line in the log about a broken rule, 0: none */
	u32 access_cap;  /* (c) offset of the PCI configuration access capability */
	struct virtio_queue queues[VIRTIO_QUEUES_MAX];
};
_Static_assert(sizeof(struct virtio_pci) <= PAGE_SIZE << VIRTIO_PCI_ORDER, "its block");

/* Interrupts for the queue, or for the configuration. */
void virtio_interrupt(struct virtio_pci *p, u8 isr, u32 vector);

/* --- virtio_queue.c --- */
/* After reset: not enabled, of the largest size, every chain void. */
void virtio_queue_reset(struct virtio_queue *q);
/* Every chain is void from now on. */
void virtio_queue_kill(struct virtio_queue *q);
/* The driver enables it. False: what it set does not make a queue. */
MUST_CHECK bool virtio_queue_enable(struct virtio_queue *q);

#endif
