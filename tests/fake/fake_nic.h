/* SPDX-License-Identifier: MIT */
/*
 * A small model of Intel's 8254x and 82574 for host tests: registers in fake memory, and rings that it reads and writes
 * when it is stepped, as a NIC would between two looks of the driver. It obeys, hangs, vanishes or lies as it is told.
 * It also has the node's interrupt vectors: irq_alloc() and its kin.
 */
#ifndef FAKE_NIC_H
#define FAKE_NIC_H

#include <tern/netdev_driver.h>
#include <tests/fake/fake_pci.h>

#define FAKE_NIC_SENT 512u

struct fake_nic {
	struct fake_fn *fn;
	u64 base; /* of its registers, in host memory */
	u8 mac[NETDEV_MAC];
	bool hangs;      /* sends nothing */
	bool gone;       /* registers read as all ones */
	bool stuck;      /* a reset never ends */
	bool raw;        /* a reset does not load the address: it is in the EEPROM alone */
	u32 resets;      /* that it has seen */
	u32 sent;        /* frames */
	u32 bad;         /* descriptors that a NIC would not understand */
	u8 frame[16384]; /* the last that was sent */
	u32 frame_len;
	/* Of the frame that is being gathered, and the last context. */
	u32 gathered;
	bool sum;
	u8 tucss, tucso;
	u32 partial; /* descriptors of a frame that is not sent yet */
};

/* Puts one at 00:SLOT.0; MSI only where the model has it. */
void fake_nic_add(struct fake_nic *n, u8 slot, u16 device);
/* Its registers. */
u32 fake_nic_read(const struct fake_nic *n, u32 reg);
void fake_nic_write(struct fake_nic *n, u32 reg, u32 v);
/* Obeys CTRL.RST, sends what is in the ring. */
void fake_nic_step(struct fake_nic *n);
/* A frame comes; false: it is dropped. status: bits of the last descriptor beside DD. */
bool fake_nic_receive(struct fake_nic *n, const void *frame, u32 len, u32 errors);
/* Registers all ones from now on. */
void fake_nic_vanish(struct fake_nic *n);

/* Interrupts: how many vectors are in use, and an interrupt of the first. */
extern u32 fake_irqs;
extern u32 fake_irqs_left; /* vectors that irq_alloc() still has */
void fake_irq_raise(void);

#endif
