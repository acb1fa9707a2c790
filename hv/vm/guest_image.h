/* SPDX-License-Identifier: MIT */
/* The kernel of a VM, whatever its boot protocol (hv/vm/guest_image.c). */
#ifndef HV_VM_GUEST_IMAGE_H
#define HV_VM_GUEST_IMAGE_H

#include "loader.h"

#include <tern/gmem.h>
#include <tern/types.h>
#include <tern/virt.h>

enum guest_protocol { GUEST_LINUX, GUEST_PVH, GUEST_MB1 };

struct guest_image_config {
	const void *file;
	size_t len;
	const void *initrd;
	u64 initrd_len; /* 0: none */
	const char *cmdline;
	u32 module_count;
	const struct guest_module *modules;
	u64 rsdp; /* guest-physical, 0: none */
};

/* Where the guest starts, and with what boot information: as the protocol has them. */
struct guest_start {
	enum guest_protocol protocol;
	u64 entry, info;
};

/* "Linux", "PVH", "Multiboot 1". */
const char *guest_protocol_name(enum guest_protocol protocol);

/* True when guest_image_load() would take it for a Multiboot 1 kernel. */
bool guest_image_is_mb1(const void *file, size_t len);

/*
 * Finds out what the file is and puts it, with all that belongs to it, into fresh guest memory, which reads
 * as zero; the regions of mem are the guest's memory map. -TERN_EINVAL (what is wrong with the file, or no
 * room), -TERN_ENOMEM (the node cannot back it) with a sentence in why.
 */
MUST_CHECK int guest_image_load(struct gmem *mem, const struct guest_image_config *c,
				struct guest_start *start, char *why, size_t why_size);

/* Sets the registers to start with. The vCPU is reset and loaded. */
void guest_image_registers(const struct virt_ops *ops, struct vcpu *vc,
			   const struct guest_start *start);

#endif
