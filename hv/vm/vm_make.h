/* SPDX-License-Identifier: MIT */
/* What a VM is made of: memory, vCPUs, devices, kernel (hv/vm/vm_make.c). Boot CPU, thread context. */
#ifndef HV_VM_MAKE_H
#define HV_VM_MAKE_H

#include <tern/vm.h>

/* Everything a VM has, but what vm_make_load() puts into its memory. -TERN_ENOMEM, -TERN_ENOENT, -TERN_EINVAL, with a sentence
 * in why. */
MUST_CHECK int vm_make_parts(const struct virt_ops *ops, struct vm *vm, const struct vm_config *c,
			     char *why, size_t why_size);
/* Tables and kernel into fresh memory, all vCPUs to their start. No vCPU runs. Errors as above. */
MUST_CHECK int vm_make_load(const struct virt_ops *ops, struct vm *vm, char *why, size_t why_size);
/* Its disks and network interfaces (hv/vm/vm_virtio.c). Errors as above. */
MUST_CHECK int vm_virtio_add(struct vm *vm, const struct vm_config *c, char *why, size_t why_size);
/* Writes the sentence; returns -err. */
int vm_make_refuse(int err, char *why, size_t size, const char *fmt, ...) PRINTF(4, 5);

#endif
