/* SPDX-License-Identifier: MIT */
/* A guest's PCI code and virtio driver, as small as can be, on the memory of fake_guest. */
#ifndef FAKE_DRIVER_H
#define FAKE_DRIVER_H

#include <tern/vm.h>

#define FAKE_MSI_ADDRESS 0xfee00000ull
#define FAKE_CONFIG_DATA 100u /* MSI data of the configuration interrupt; queue q has data q */

/* Configuration space by ports, and device memory. */
u32 fake_pci_read(struct vm *vm, u32 slot, u32 reg, u32 width);
void fake_pci_write(struct vm *vm, u32 slot, u32 reg, u32 width, u32 value);
u64 fake_mem_read(struct vm *vm, u64 at, u32 width);
void fake_mem_write(struct vm *vm, u64 at, u32 width, u64 value);

struct fake_driver {
	struct vm *vm;
	u32 slot;
	u64 bar;
	u16 size; /* of the queues, at most 256 */
	u64 features;
	u32 doorbell; /* port of queue 0 */
	u64 parts[6]; /* where the capabilities say that the structures are, by their type */
};

/* Registers of the BAR, after fake_driver_start(). */
u32 fake_common_read(struct fake_driver *d, u32 reg, u32 width);
void fake_common_write(struct fake_driver *d, u32 reg, u32 width, u32 value);
u32 fake_config_read(struct fake_driver *d, u32 offset, u32 width);
void fake_config_write(struct fake_driver *d, u32 offset, u32 width, u32 value);
u32 fake_isr(struct fake_driver *d);
u8 fake_status(struct fake_driver *d);

/* Resets the device in that slot, negotiates VERSION_1 and features, sets up all queues of that size (at
 * most 256), with MSI-X if msix, sets DRIVER_OK. False: the device refused the features. */
bool fake_driver_start(struct fake_driver *d, struct vm *vm, u32 slot, u64 features, u16 size,
		       bool msix);

/* Where the queue's parts are. */
u64 fake_desc_at(u32 queue);
u64 fake_avail_at(u32 queue);
u64 fake_used_at(u32 queue);
/* Sets a descriptor of the table at. */
void fake_desc(u64 table, u16 i, u64 addr, u32 len, u16 flags, u16 next);
/* Makes a chain available. / Notifies. / Both. */
void fake_avail(struct fake_driver *d, u32 queue, u16 head);
void fake_kick(struct fake_driver *d, u32 queue);
void fake_post(struct fake_driver *d, u32 queue, u16 head);
u16 fake_used_idx(u32 queue);
/* Number i of the used ring. */
u32 fake_used_id(struct fake_driver *d, u32 queue, u16 i);
u32 fake_used_len(struct fake_driver *d, u32 queue, u16 i);
/* The two event indices. */
void fake_used_event(struct fake_driver *d, u32 queue, u16 event);
u16 fake_avail_event(struct fake_driver *d, u32 queue);

#endif
