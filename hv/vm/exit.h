/* SPDX-License-Identifier: MIT */
/* What an exit does to a vCPU (hv/vm/exit.c), and the hypercalls (hv/vm/hypercall.c). */
#ifndef HV_VM_EXIT_H
#define HV_VM_EXIT_H

#include <tern/vcpu_loop.h>
#include <tern/virt.h>
#include <tern/vm.h>

/* True when something ends the HLT that it is in (hv/vm/vcpu_run.c). The loaded vCPU, IRQs off, no lock held. */
MUST_CHECK bool vcpu_wakes(const struct virt_ops *ops, struct vcpu *vc);

/* This vCPU waits for memory that cannot be backed now, and tries again at vm_poll(); the others run
 * on. The loaded vCPU, IRQs off, no lock held. */
enum exit_next exit_stall(struct vcpu *vc, gpa_t at, const char *why);

/* Carries out the hypercall the guest stands at, puts the result into RAX and skips the instruction;
 * or stalls, and nothing was done. As above. */
enum exit_next hypercall(const struct virt_ops *ops, struct vcpu *vc, const struct vm_exit *e);

#endif
