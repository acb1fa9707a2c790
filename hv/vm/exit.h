/* SPDX-License-Identifier: MIT */
/* What an exit does to a vCPU (hv/vm/exit.c), and the hypercalls (hv/vm/hypercall.c). */
#ifndef HV_VM_EXIT_H
#define HV_VM_EXIT_H

#include <tern/virt.h>
#include <tern/vm.h>

enum exit_next {
	NEXT_ENTER, /* into the guest again */
	NEXT_YIELD, /* it could go on, but others first */
	NEXT_WAIT,  /* its state says for what */
};

/* Acts on an exit. The loaded vCPU, IRQs off, no lock held. */
enum exit_next exit_handle(const struct virt_ops *ops, struct vcpu *vc, struct vm_exit *e);

/* This vCPU waits for memory that cannot be backed now, and tries again at vm_poll(); the others run
 * on. As above. */
enum exit_next exit_stall(struct vcpu *vc, gpa_t at, const char *why);

/* Carries out the hypercall the guest stands at, puts the result into RAX and skips the instruction;
 * or stalls, and nothing was done. As above. */
enum exit_next hypercall(const struct virt_ops *ops, struct vcpu *vc, const struct vm_exit *e);

#endif
