/* SPDX-License-Identifier: MIT */
/* The SMBIOS tables of a VM (hv/vm/smbios_guest.c), in its ROM: who it is and what it has. */
#ifndef HV_VM_SMBIOS_GUEST_H
#define HV_VM_SMBIOS_GUEST_H

#include <tern/gmem.h>
#include <tern/types.h>

struct smbios_guest_config {
	u8 uuid[16];         /* in the order it is written in (RFC 4122) */
	const char *serial;  /* "": none */
	const char *version; /* of Tern; not empty */
	u32 vcpus;           /* 1 to VCPUS_PER_VM_MAX */
	u32 sockets;         /* a divisor of vcpus */
};

/*
 * Writes the tables into the VM's ROM, the entry point at GUEST_SMBIOS; the memory is that of the regions of
 * mem. -TERN_EINVAL: the VM has no ROM there, or the strings do not fit; -TERN_ENOMEM (the node cannot back
 * it), with a sentence in why.
 */
MUST_CHECK int smbios_guest_load(struct gmem *mem, const struct smbios_guest_config *c, char *why,
				 size_t why_size);

#endif
