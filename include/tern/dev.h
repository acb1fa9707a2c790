/* SPDX-License-Identifier: MIT */
/*
 * Device models and how they are reached (hv/dev/bus.c): ports and guest-physical ranges. A device
 * knows nothing of exits, holds no pointer into guest memory, and is called with the bus lock held.
 */
#ifndef TERN_DEV_H
#define TERN_DEV_H

#include <tern/addr.h>
#include <tern/lock.h>
#include <tern/types.h>

#define DEV_RANGES_MAX 48u
#define DEV_HINTS      64u /* 32 for ports, by 8; 32 for memory, by 4 KiB */

struct device;

struct dev_ops {
	const char *name;
	u32 width_max; /* wider accesses reach it in pieces of that many bytes, low addresses first */
	/* width: 1, 2, 4 (ports) or 8 bytes. offset is inside the range. Reads zero-extend. */
	u64 (*read)(struct device *d, u64 offset, u32 width);
	void (*write)(struct device *d, u64 offset, u32 width, u64 value);
	void (*reset)(struct device *d);
	void (*destroy)(struct device *d); /* no lock is held, nothing runs */
	/* What dev_request_work() asked for; NULL: it never does. False: memory it needs cannot be
	 * backed now; it is called again later. On a CPU that runs one of the VM's vCPUs, in its time. */
	bool (*work)(struct device *d);
	/* The VM's time has stood still and goes on: starts again the timers of vm_deadline(). May be called
	 * for no reason. NULL: it has none. */
	void (*resumed)(struct device *d);
};

struct vm;
struct device {
	const struct dev_ops *ops;
	struct vm *vm;
	u32 work; /* (a) 1: dev_ops.work is to be called */
};

/* Has dev_ops.work called soon, on the VM's own time. Any CPU, any context but NMI, at most the bus lock of
 * any VM and locks of rank below RANK_VM held: how one VM's device gives work to another's. */
void dev_request_work(struct device *d);

enum dev_space { DEV_PORT, DEV_MEM };

struct dev_range {
	enum dev_space space;
	u64 base, len;
	struct device *dev;
};

struct dev_bus {
	struct spinlock lock; /* RANK_BUS; held around every call of a device */
	u32 count;
	u8 hints[DEV_HINTS]; /* number of the range last accessed there: looked at first */
	struct dev_range ranges[DEV_RANGES_MAX]; /* (c) once the VM runs; sorted by space, base */
};

void bus_init(struct dev_bus *bus);
/* -TERN_EINVAL: an empty range, or one past the end of the space; -TERN_EEXIST: overlaps another range; -TERN_ENOSPC. Before the VM runs. */
MUST_CHECK int bus_add(struct dev_bus *bus, enum dev_space space, u64 base, u64 len,
		       struct device *dev);
/* One access of width bytes. Nobody there: reads as all ones, writes vanish, as on a PC; *hit tells,
 * where hit is not NULL. An access that crosses a range's end is split into bytes. IRQs are off. */
u64 bus_read(struct dev_bus *bus, enum dev_space space, u64 addr, u32 width, bool *hit);
void bus_write(struct dev_bus *bus, enum dev_space space, u64 addr, u32 width, u64 value,
	       bool *hit);
/* bus_read() of ports: what guests do most. */
u32 bus_in(struct dev_bus *bus, u16 port, u32 width);
/* Puts every device into its state after power-on / destroys every device. No vCPU runs. */
void bus_reset(struct dev_bus *bus);
/* Does what dev_request_work() asked for, and tells devices that the VM goes on. Takes the bus lock. A CPU that runs one of the VM's vCPUs. */
void dev_work(struct vm *vm);
void bus_destroy(struct dev_bus *bus);

/*
 * The port where a bare guest ends itself (hv/dev/exitport.c): writing a code there stops the VM with
 * "exit code N" as its reason. Multiboot 1 kernels have it, and VMs with test devices. -TERN_ENOMEM, and the errors
 * of bus_add().
 */
#define EXITPORT_BASE 0xf4u
#define EXITPORT_LEN  4u
MUST_CHECK int exitport_create(struct vm *vm, struct dev_bus *bus);

/*
 * What QEMU's pc-testdev has, for test payloads (hv/dev/testdev.c): ports E0h to E3h read back what was written, E4h
 * takes a flush, a write to port 2000h + n sets interrupt line n (n < 24) to whether the value is 0, and 64 KiB at
 * FF000000h keep what is written. Errors as above.
 */
MUST_CHECK int testdev_create(struct vm *vm, struct dev_bus *bus);

/*
 * A 16550 at line IRQ_UART (hv/dev/vuart.c), which a VM without a chipset does not have. The newest VUART_RING
 * bytes of output are kept. Lines of output go to the log as "[vm NAME] text", as many a second as a serial console
 * can show, unless vm->log_off. Errors as above.
 */
#define VUART_BASE 0x3f8u
#define VUART_LEN  8u
#define VUART_RING 65536u
MUST_CHECK int vuart_create(struct vm *vm, struct dev_bus *bus, struct device **out);
/* Adds output as if the guest had written it to the port. The bus lock is held. */
void vuart_output_locked(struct device *d, const char *text, size_t n);
/* The calls below take the bus lock. */
/* Adds output as if the guest had written it to the port. */
void vuart_output(struct device *d, const char *text, size_t n);
/* Gives the guest bytes to read; returns how many had room. */
size_t vuart_input(struct device *d, const char *text, size_t n);
/* While somebody watches the output itself, its lines do not go to the log. */
void vuart_watch(struct device *d, bool watched);
/* Bytes of output since the VM was made. */
u64 vuart_written(struct device *d);
/* Copies output from byte number *at on, at most max bytes; returns how many, and *at is the next. Of what is not
 * kept any more nothing: *at moves up to the oldest byte that is. */
size_t vuart_read(struct device *d, u64 *at, char *out, size_t max);

#endif
