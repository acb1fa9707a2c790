/* SPDX-License-Identifier: MIT */
/* Linux kernels for guests (hv/vm/linux_guest.c). The file comes from outside: all is checked. */
#ifndef HV_VM_LINUX_GUEST_H
#define HV_VM_LINUX_GUEST_H

#include <tern/gmem.h>
#include <tern/types.h>
#include <tern/virt.h>

/* What the setup header says. */
struct linux_image {
	u32 header_end;   /* offset in the file, at most the room in boot_params */
	u32 kernel_off;   /* in the file: the 64-bit kernel, behind the setup code */
	u64 kernel_len;   /* bytes of it */
	u64 pref_address; /* where it wants to be */
	u64 init_size;    /* memory it needs from there on; >= kernel_len */
	u64 alignment;    /* of other places; 0: it cannot be moved */
	u64 initrd_end;   /* the initrd must end at or below */
	u32 cmdline_max;  /* characters */
};

/* True when the file claims to be a bzImage. */
bool linux_guest_is(const void *file, size_t len);

/* Reads the setup header only. 0, or -TERN_EINVAL and a sentence in why. Pure. */
MUST_CHECK int linux_guest_check(const void *file, size_t len, struct linux_image *image, char *why,
				 size_t why_size);

struct linux_boot {
	const void *file;
	size_t len;
	const void *initrd;
	u64 initrd_len; /* 0: none */
	const char *cmdline;
	u64 rsdp; /* guest-physical, 0: the kernel looks for it */
};

/* Where the guest starts. */
struct linux_start {
	u64 entry, params;
};

/*
 * Puts the kernel, its initrd, command line, boot_params, GDT and page tables into fresh guest memory,
 * which reads as zero. -TERN_EINVAL, -TERN_ENOMEM (the node cannot back it) with a sentence in why.
 */
MUST_CHECK int linux_guest_load(struct gmem *mem, const struct linux_boot *boot,
				struct linux_start *start, char *why, size_t why_size);

/* Sets the registers of the 64-bit boot protocol. The vCPU is reset and loaded. */
void linux_guest_registers(const struct virt_ops *ops, struct vcpu *vc,
			   const struct linux_start *start);

#endif
