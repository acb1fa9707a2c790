/* SPDX-License-Identifier: MIT */
/* PVH kernels for guests (hv/vm/pvh_guest.c). The file comes from outside: all is checked. */
#ifndef HV_VM_PVH_GUEST_H
#define HV_VM_PVH_GUEST_H

#include "loader.h"

#include <tern/elf.h>
#include <tern/gmem.h>
#include <tern/types.h>
#include <tern/virt.h>

#define PVH_MODULES_MAX 8u

/* True when the file is an ELF executable with a note of a PVH entry. */
bool pvh_guest_is(const void *file, size_t len);

/*
 * Reads headers and notes only: what of the file goes where, and the guest-physical entry. 0, or
 * -TERN_EINVAL and a sentence in why. All lies between 1 MiB and 4 GiB. Pure.
 */
MUST_CHECK int pvh_guest_check(const void *file, size_t len, struct elf_file *elf, u32 *entry,
			       char *why, size_t why_size);

struct pvh_boot {
	const void *file;
	size_t len;
	const void *initrd;
	u64 initrd_len; /* 0: none; else the first module, without a string */
	const char *cmdline;
	u32 module_count;
	const struct guest_module *modules;
	u64 rsdp; /* guest-physical, 0: the kernel looks for it */
};

/* Where the guest starts. */
struct pvh_start {
	u32 entry, info;
};

/*
 * Puts the kernel, its modules and hvm_start_info into fresh guest memory, which reads as zero.
 * -TERN_EINVAL, -TERN_ENOMEM (the node cannot back it) with a sentence in why.
 */
MUST_CHECK int pvh_guest_load(struct gmem *mem, const struct pvh_boot *boot,
			      struct pvh_start *start, char *why, size_t why_size);

/* Sets the registers that PVH demands. The vCPU is reset and loaded. */
void pvh_guest_registers(const struct virt_ops *ops, struct vcpu *vc,
			 const struct pvh_start *start);

#endif
