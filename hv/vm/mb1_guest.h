/* SPDX-License-Identifier: MIT */
/* Multiboot 1 kernels for guests (hv/vm/mb1_guest.c). The file comes from outside: all is checked. */
#ifndef HV_VM_MB1_GUEST_H
#define HV_VM_MB1_GUEST_H

#include "loader.h"

#include <tern/elf.h>
#include <tern/gmem.h>
#include <tern/types.h>
#include <tern/virt.h>

#define MB1_SEGMENTS_MAX ELF_SEGMENTS_MAX

struct mb1_segment {
	u32 gpa;
	u32 file_off, file_len; /* within the file */
	u32 mem_len;            /* >= file_len; the rest is zero */
};

struct mb1_image {
	u32 entry; /* guest-physical */
	u32 end;   /* behind the last segment */
	u32 count;
	struct mb1_segment segments[MB1_SEGMENTS_MAX];
};

/* True when the file has a Multiboot 1 header. */
bool mb1_guest_is(const void *file, size_t len);

/*
 * Reads headers only: what of the file goes where. 0, or -TERN_EINVAL and a sentence in why. Segments
 * neither overlap nor wrap; whether the guest has memory there is not checked. Pure.
 */
MUST_CHECK int mb1_guest_check(const void *file, size_t len, struct mb1_image *image, char *why,
			       size_t why_size);

struct mb1_boot {
	const void *file;
	size_t len;
	const char *cmdline;
	u32 module_count;
	const struct guest_module *modules;
};

/* Where the guest starts. */
struct mb1_start {
	u32 entry, info;
};

/*
 * Puts the kernel, its modules and the boot information into fresh guest memory, which reads as zero.
 * -TERN_EINVAL, -TERN_ENOMEM (the node cannot back it) with a sentence in why.
 */
MUST_CHECK int mb1_guest_load(struct gmem *mem, const struct mb1_boot *boot,
			      struct mb1_start *start, char *why, size_t why_size);

/* Sets the registers that section 3.2 of the specification demands. The vCPU is reset and loaded. */
void mb1_guest_registers(const struct virt_ops *ops, struct vcpu *vc,
			 const struct mb1_start *start);

#endif
