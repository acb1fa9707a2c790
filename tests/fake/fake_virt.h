/* SPDX-License-Identifier: MIT */
/*
 * The third backend: a guest is a function of the test that says which exit comes next. Around it a
 * node with CPUs, run queues, timers, frames and one boot module, "guest", a Multiboot 1 kernel.
 */
#ifndef FAKE_VIRT_H
#define FAKE_VIRT_H

#include <tern/boot_info.h>
#include <tern/virt.h>
#include <tern/vm.h>

#define FAKE_GUEST_ENTRY  0x100020u
#define FAKE_MODULE_PLACE GiB(1) /* host-physical, outside of fake_frames */

/* What the backend keeps of a vCPU. */
struct fake_vcpu {
	u64 regs[REG_COUNT];
	struct vcpu_seg segs[SEG_COUNT];
	bool loaded;
	u32 cpu; /* where it is loaded */
	u32 resets, runs, skips, pio_dones;
	u32 pio_value; /* of the last pio_done() */
};

/* What the guest does: fills *out, may move the clock. NULL: HLT. */
extern void (*fake_virt_guest)(struct vcpu *vc, u64 until, struct vm_exit *out);
extern bool fake_virt_absent; /* this machine has no backend */
extern u32 fake_virt_flushes; /* npt_flush() */
extern u32 fake_virt_objects; /* VMs and vCPUs of the backend that exist */
extern int fake_mmio_result;  /* of arch_mmio(); when 0 it moves 4 bytes */
extern u32 fake_mmio_value;   /* read or to be written */

/* A fresh node with that many CPUs and frames for guests. */
void fake_node_start(u32 cpus, u32 frames);
struct fake_vcpu *fake_vcpu(struct vcpu *vc);
/* A VM "name" of 2 MiB with that many vCPUs and the kernel "guest"; started. */
struct vm *fake_vm(const char *name, u32 vcpus, u32 weight, u32 cap);
/* Kills all VMs and does idle work until nothing is left. */
void fake_vm_end(void);
/* Adds a boot module with a copy of len bytes. */
void fake_module(const char *name, const void *data, size_t len);

#endif
