/* SPDX-License-Identifier: MIT */
#include "vmx_tlb.h"

#include <tern/arch.h>
#include <tern/lib.h>

#include "vmx_regs.h"

/* One word a CPU that other CPUs read: the VM whose guest it runs now. */
static struct {
	struct vmx_vm *in_guest; /* (a) */
} ALIGNED(64) cpus[CPUS_MAX];

/* A bit a VPID; 0 is the host's. */
#define VPIDS (VMS_MAX * VCPUS_PER_VM_MAX + 1)
static u64 vpids[(VPIDS + 63) / 64]; /* (a) */

void vmx_tlb_vm_init(struct vmx_vm *x)
{
	x->flush_generation = 1; /* seen[] is 0 */
}

static u16 vpid_alloc(void)
{
	if ((vmx_caps.proc2.use & PROC2_VPID) == 0)
		return 0;
	for (u32 i = 1; i < VPIDS; i++) {
		u64 bit = 1ul << i % 64;

		if ((__atomic_fetch_or(&vpids[i / 64], bit, __ATOMIC_ACQ_REL) & bit) == 0)
			return (u16)i;
	}
	return 0;
}

void vmx_tlb_vcpu_init(struct vmx_vcpu *v)
{
	v->cpu = CPUS_MAX; /* none: the VPID's last owner left translations on some */
	v->vpid = vpid_alloc();
}

void vmx_tlb_vcpu_end(const struct vmx_vcpu *v)
{
	if (v->vpid != 0)
		__atomic_fetch_and(&vpids[v->vpid / 64], ~(1ul << v->vpid % 64), __ATOMIC_ACQ_REL);
}

void vmx_flush_linear(const struct vmx_vcpu *v)
{
	if (v->vpid != 0)
		vmcs_invvpid(v->vpid);
}

bool vmx_tlb_load(struct vmx_vcpu *v, u32 cpu)
{
	if (v->cpu == cpu)
		return false;
	/* It may have run here before, and changed its page tables elsewhere since. */
	vmx_flush_linear(v);
	v->cpu = cpu;
	v->in_guest = &cpus[cpu].in_guest;
	v->seen = &v->vm->seen[cpu];
	return true;
}

void vmx_tlb_forget(struct vmx_vcpu *v)
{
	u64 generation = __atomic_load_n(&v->vm->flush_generation, __ATOMIC_SEQ_CST);

	vmcs_invept(v->vm->ept_pointer);
	__atomic_store_n(v->seen, generation, __ATOMIC_RELEASE);
}

void vmx_npt_flush(struct vm *vm)
{
	struct vmx_vm *x = vm->arch;
	u32 self = pcpu_self()->index;
	u64 generation;

	if (x == NULL)
		return; /* it never ran */
	generation = __atomic_add_fetch(&x->flush_generation, 1, __ATOMIC_SEQ_CST);
	for (u32 i = 0; i < pcpu_count(); i++)
		if (i != self && __atomic_load_n(&cpus[i].in_guest, __ATOMIC_SEQ_CST) == x)
			arch_kick(pcpu_get(i));
	/* A CPU that is not in the guest invalidates before it enters. */
	for (u32 i = 0; i < pcpu_count(); i++)
		while (i != self && __atomic_load_n(&cpus[i].in_guest, __ATOMIC_ACQUIRE) == x &&
		       __atomic_load_n(&x->seen[i], __ATOMIC_ACQUIRE) < generation)
			arch_relax();
}
