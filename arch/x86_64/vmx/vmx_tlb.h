/* SPDX-License-Identifier: MIT */
/*
 * Who invalidates which translations and when. A VM's translations of guest-physical addresses are
 * tagged with its EPT pointer, a vCPU's of linear addresses with its VPID.
 */
#ifndef VMX_TLB_H
#define VMX_TLB_H

#include "vmx.h"

/* A new VM: no CPU knows that its EPT root may have been another VM's. */
void vmx_tlb_vm_init(struct vmx_vm *x);

/* A new vCPU gets a VPID. 0: none is left, or the CPU has none; that vCPU flushes at each entry: slow,
 * not wrong. */
void vmx_tlb_vcpu_init(struct vmx_vcpu *v);
/* It does not run any more; also one that vmx_tlb_vcpu_init() has not seen, all zero. */
void vmx_tlb_vcpu_end(const struct vmx_vcpu *v);

/* The vCPU is loaded on the CPU of this index, this one. True: it was last loaded on another. */
bool vmx_tlb_load(struct vmx_vcpu *v, u32 cpu);

/* INVEPT of this vCPU's VM, on this CPU. */
void vmx_tlb_forget(struct vmx_vcpu *v);

/* virt_ops.npt_flush */
void vmx_npt_flush(struct vm *vm);

/* Says that this CPU is in the guest, then looks for a flush: vmx_npt_flush() does the same in the
 * other order, so one of the two sees the other. */
static inline void vmx_tlb_enter(struct vmx_vcpu *v)
{
	__atomic_store_n(v->in_guest, v->vm, __ATOMIC_SEQ_CST);
	if (UNLIKELY(__atomic_load_n(v->seen, __ATOMIC_RELAXED) !=
		     __atomic_load_n(&v->vm->flush_generation, __ATOMIC_SEQ_CST)))
		vmx_tlb_forget(v);
}

static inline void vmx_tlb_leave(const struct vmx_vcpu *v)
{
	__atomic_store_n(v->in_guest, NULL, __ATOMIC_RELEASE);
}

#endif
