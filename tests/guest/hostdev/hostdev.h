/* SPDX-License-Identifier: MIT */
/*
 * The guest "hostdev" in parts: virtq.c posts what is random or mutated to a virtio device's queues, kinds.c
 * knows the devices, pci.c storms at configuration space and BARs, init.c at the second vCPU.
 *
 * Nothing of this may hit the guest itself. Devices are told of memory in the mess alone, which lies behind the
 * image, of low memory, where nothing is, or of what is no memory; confine() sees to that.
 */
#ifndef GUEST_HOSTDEV_H
#define GUEST_HOSTDEV_H

#include "../lib/cpu.h"
#include "../lib/guest.h"
#include "../lib/pci.h"
#include "../lib/virtio.h"

#define UNUSED        __attribute__((unused))
#define COUNT_DEFAULT 1000000u
#define PROGRESS_EACH 100000u

/* The mess: first the rings and the tables of indirect descriptors, then data, up to the end of memory. A
 * power of two, so that a bit moves an address into it. */
#define MESS       0x800000ul
#define RINGS_LEN  0x40000ul
#define MESS_RINGS MESS
#define MESS_DATA  (MESS + RINGS_LEN)
/* Low memory is zero, and nobody's. */
#define LOW_END 0x9f000ul
#define ROM     0xe0000ul
#define ROM_END 0x100000ul
/* Where BARs can be. */
#define BARS     0xc0000000ul
#define BARS_END 0xfec00000ul

/* --- hostdev.c --- */
extern u64 mess_end;
u64 rnd(void);
/* One of n. */
u32 pick(u32 n);
/* True once in n. */
bool one_in(u32 n);
/* An address in the data part, with room for len bytes behind it. */
u64 data_at(u32 len);
/* One that may lie anywhere but in what is ours. */
u64 bad_address(void);
u32 bad_len(void);
/* Moves a range that would touch what is ours into the mess. */
void confine(u64 *addr, u32 *len);
#define BYTES_SET 0x10101010u
void fill(u64 at, u32 len);
/* This CPU's, as an x2APIC. */
void apic_on(void);
#define INTERRUPTS_SURE 100000u /* operations among which some bring an interrupt */

/* Interrupts are taken, counted and forgotten from now on. */
void take_interrupts(void);
extern u32 interrupts;
/* A word of an MSI-X table: no INIT or ExtINT, which would end us by right, nor an exception's vector. */
u32 msix_word(u32 value);
void wait_seconds(u32 seconds);
void progress(u32 *told, u32 done);

/* --- kinds.c --- */
struct desc {
	u64 addr;
	u32 len;
	u16 flags, next;
};
#define CHAIN_MAX 16u
struct chain {
	u32 n;
	struct desc d[CHAIN_MAX];
};
struct kind {
	const char *name;
	u32 id;
	bool pfns; /* what it reads may be numbers of pages that it takes away */
	/* A request that is valid, or nearly so. */
	void (*request)(u32 queue, struct chain *c);
	bool (*works)(struct virtio *v);
};
extern const struct kind kinds[];
extern const u32 kind_count;
/* Another network device sends to the first, so that it has something to receive. */
void peer_start(void);
void peer_send(void);

/* --- the themes --- */
void hostile_virtq(u32 count);
void hostile_pci(u32 count);
void hostile_init(u32 count);

#endif
