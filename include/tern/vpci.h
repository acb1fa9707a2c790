/* SPDX-License-Identifier: MIT */
/*
 * The PCI bus of a VM (hv/dev/vpci.c): a host bridge at 0:0.0, configuration mechanism #1 at ports CF8h
 * to CFFh, up to 31 functions on bus 0, each with type 0 configuration space, BARs, INTx and MSI-X.
 * PCI Local Bus 3.0; register numbers from linux/pci_regs.h. Everything here that says nothing else
 * is called with the bus lock held, or before the VM runs.
 */
#ifndef TERN_VPCI_H
#define TERN_VPCI_H

#include <tern/dev.h>
#include <tern/types.h>

#define VPCI_SLOTS       32u /* 0 is the host bridge */
#define VPCI_BARS        6u
#define VPCI_CONFIG      256u
#define VPCI_VECTORS_MAX 16u
#define VPCI_NO_VECTOR   0xffffu
/* Where memory BARs lie and may be moved by the guest; one range of the VM's bus. */
#define VPCI_WINDOW_BASE 0xc0000000ull
#define VPCI_WINDOW_END  0xfec00000ull
/* Where I/O BARs are put; the guest may move them anywhere inside. */
#define VPCI_IO_BASE 0xc000u
#define VPCI_IO_END  0x10000u

enum vpci_bar_kind { VPCI_BAR_NONE, VPCI_BAR_MEM32, VPCI_BAR_MEM64, VPCI_BAR_IO };

struct vpci_function;

struct vpci_ops {
	const char *name;
	/* An access to BAR number bar, of 1, 2, 4 or 8 bytes, all of them inside; reads zero-extend. The
	 * MSI-X table and PBA are vpci's and do not come here. */
	u64 (*read)(struct vpci_function *f, u32 bar, u64 offset, u32 width);
	void (*write)(struct vpci_function *f, u32 bar, u64 offset, u32 width, u64 value);
	/* Before configuration space is read, and after it was written, with what config[] then holds.
	 * For registers with side effects; NULL: none. */
	void (*config_reading)(struct vpci_function *f, u32 reg, u32 width);
	void (*config_written)(struct vpci_function *f, u32 reg, u32 width);
	void (*reset)(struct vpci_function *f);   /* vpci has reset configuration space and MSI-X */
	void (*destroy)(struct vpci_function *f); /* no lock is held, nothing runs; frees it */
	bool (*work)(struct vpci_function *f);    /* as dev_ops.work; NULL: none */
};

struct vpci_bar { /* kind and size are the model's, the rest is vpci's */
	enum vpci_bar_kind kind;
	u64 size; /* a power of two; memory: >= 16, I/O: 4 to 256 */
	u64 base; /* where it is now, 0: outside its window, so that nothing reaches it */
	u64 base_created;
};

struct vpci_msix_entry { /* PCI 3.0 6.8.2.6 to 6.8.2.9 */
	u64 address;
	u32 data, control;
};

struct vpci_msix {
	u32 vectors;         /* 0: no MSI-X; at most VPCI_VECTORS_MAX */
	u32 bar, table, pba; /* which BAR, and offsets in it: multiples of 8 */
	u32 cap;             /* vpci's: offset of the capability */
	u64 pending;
	struct vpci_msix_entry entries[VPCI_VECTORS_MAX];
};

/* One function; a model embeds it, fills in what has (m) and calls vpci_add(). */
struct vpci_function {
	const struct vpci_ops *ops;      /* (m) */
	struct vm *vm;                   /* (m) */
	u16 vendor, device;              /* (m) */
	u16 sub_vendor, sub_device;      /* (m) */
	u32 class_code;                  /* (m) 24 bits: class, subclass, programming interface */
	u8 revision;                     /* (m) */
	bool intx;                       /* (m) it has a pin, INTA# */
	struct vpci_bar bars[VPCI_BARS]; /* (m) */
	struct vpci_msix msix;           /* (m) vectors, bar, table, pba */

	u32 slot;      /* (c) 1 to 31 */
	u32 caps_end;  /* where the next capability goes */
	u32 cap_last;  /* the one added last, 0: none */
	bool asserted; /* INTA# */
	u32 work;      /* (a) vpci_request_work() */
	u8 config[VPCI_CONFIG];
	u8 writable[VPCI_CONFIG]; /* bits that the guest can change */
};

/* The host bridge alone. Sets vm->platform.pci. -TERN_ENOMEM, and the errors of bus_add(). */
MUST_CHECK int vpci_create(struct vm *vm, struct dev_bus *bus);
/*
 * Puts f into the lowest free slot, gives it places for its BARs and, if it wants MSI-X, that
 * capability. From now on vm's bus resets and destroys it. -TERN_ENOSPC: no slot, or the window is full;
 * -TERN_EINVAL: f makes no sense; it is then still the caller's. Before the VM runs.
 */
MUST_CHECK int vpci_add(struct vpci_function *f);
/* Adds a capability of len bytes, header included, whose first two bytes vpci sets. Returns its
 * offset, or -TERN_ENOSPC. Before the VM runs, after vpci_add(). */
MUST_CHECK int vpci_add_capability(struct vpci_function *f, u8 id, const void *cap, u32 len);
/* The function in that slot, or NULL. Any CPU; no lock needed. */
struct vpci_function *vpci_get(const struct vm *vm, u32 slot);

/* Drives INTA#. With MSI-X enabled the pin stays low whatever is said. */
void vpci_intx(struct vpci_function *f, bool asserted);
/* Sends MSI-X message number vector, or notes it as pending while it is masked. Nothing happens when
 * MSI-X is not enabled or vector is VPCI_NO_VECTOR. */
void vpci_msix_send(struct vpci_function *f, u32 vector);
bool vpci_msix_enabled(const struct vpci_function *f);
/* The guest lets it read and write memory: it does neither, MSI-X messages included, before. */
bool vpci_bus_master(const struct vpci_function *f);

/* Has ops->work called soon: as dev_request_work(). Any CPU, any context but NMI, no lock needed. */
void vpci_request_work(struct vpci_function *f);

#endif
