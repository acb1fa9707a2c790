/* SPDX-License-Identifier: MIT */
/*
 * Events on their way into the guest: exceptions that an emulation raised, what an exit interrupted
 * the delivery of, NMIs and interrupts that wait for a window (SDM vol. 3C 27.6, 28.2.4).
 */
#include <tern/err.h>

#include "../x86.h"
#include "vmcs_access.h"
#include "vmx.h"
#include "vmx_decode.h"
#include "vmx_regs.h"

static bool protected_mode(const struct vmx_vcpu *v)
{
	return (v->cr0 & CR0_PE) != 0;
}

/* Faults push RFLAGS with RF set, so that the instruction's breakpoint does not hit again when it is
 * restarted (SDM vol. 3B 18.3.1.1). */
static bool is_fault(u8 vector)
{
	return vector != VEC_DB && vector != VEC_BP && vector != VEC_OF && vector != VEC_DF &&
	       vector != VEC_MC;
}

void vmx_inject(struct vcpu *vc, const struct vcpu_event *event)
{
	struct vmx_vcpu *v = vmx_of(vc);
	struct vcpu_event second = *event;

	v->attention = true;
	switch (event->type) {
	case EVENT_NONE:
		return;
	case EVENT_NMI:
		__atomic_store_n(&v->arch.nmi_pending, true, __ATOMIC_RELEASE);
		return;
	case EVENT_INTERRUPT:
		return; /* vmx_apic_put() finds it */
	case EVENT_EXCEPTION:
		if (v->arch.pending.type == EVENT_EXCEPTION &&
		    guest_event_merge(&v->arch.pending, &second) == EVENT_SHUTDOWN)
			v->triple_fault = true;
		v->arch.pending = second;
	}
}

static void raise(struct vcpu *vc, u8 vector)
{
	vmx_inject(vc, &(struct vcpu_event){.type = EVENT_EXCEPTION,
					    .vector = vector,
					    .has_error = guest_vector_has_error(vector)});
}

void vmx_event_gp(struct vcpu *vc)
{
	raise(vc, VEC_GP);
}

void vmx_event_ud(struct vcpu *vc)
{
	raise(vc, VEC_UD);
}

void vmx_event_block_nmi(void)
{
	vmwrite32(VMCS_GUEST_INTERRUPTIBILITY, vmread32(VMCS_GUEST_INTERRUPTIBILITY) | SHADOW_NMI);
}

void vmx_event_save_vectoring(struct vmx_vcpu *v)
{
	u32 info = vmread32(VMCS_IDT_VECTORING_INFO);

	if (LIKELY((info & INTR_VALID) == 0))
		return;
	v->attention = true;
	v->vectoring.info = info & ~INTR_RESERVED;
	v->vectoring.error = (info & INTR_ERROR) != 0 ? vmread32(VMCS_IDT_VECTORING_ERROR) : 0;
	v->vectoring.len = vmread32(VMCS_EXIT_INSN_LEN);
	/* Its delivery starts anew, and that blocks NMIs again. */
	if ((info & INTR_TYPE) == INTR_NMI)
		vmwrite32(VMCS_GUEST_INTERRUPTIBILITY,
			  vmread32(VMCS_GUEST_INTERRUPTIBILITY) & ~SHADOW_NMI);
}

void vmx_event_window(struct vmx_vcpu *v, u32 control, bool on)
{
	u32 controls = on ? v->proc_controls | control : v->proc_controls & ~control;

	if (controls == v->proc_controls)
		return;
	v->proc_controls = controls;
	vmwrite32(VMCS_PROC_CONTROLS, controls);
}

/* An exception is delivered before what it interrupted: of that, interrupts and NMIs wait; an
 * exception or a software interrupt comes again with its instruction. */
static void put_back(struct vmx_vcpu *v, u32 info)
{
	if ((info & INTR_TYPE) == INTR_NMI)
		v->arch.nmi_pending = true;
	else if ((info & INTR_TYPE) == INTR_EXTERNAL)
		v->interrupt = vmx_decode_event(info, 0);
}

static bool put_exception(struct vmx_vcpu *v)
{
	struct vcpu_event *e = &v->arch.pending;

	if (v->vectoring.info != 0) {
		struct vcpu_event first = vmx_decode_event(v->vectoring.info, v->vectoring.error);

		if (guest_event_merge(&first, e) == EVENT_SHUTDOWN)
			return false;
		put_back(v, v->vectoring.info);
		v->vectoring.info = 0;
	}
	vmwrite32(VMCS_ENTRY_INTR_INFO, vmx_decode_entry_info(e, protected_mode(v)));
	if (e->has_error)
		vmwrite32(VMCS_ENTRY_ERROR_CODE, e->error);
	if (is_fault(e->vector))
		vmwrite(VMCS_GUEST_RFLAGS, vmread(VMCS_GUEST_RFLAGS) | RFLAGS_RF);
	e->type = EVENT_NONE;
	return true;
}

static void put_vectoring(struct vmx_vcpu *v)
{
	vmwrite32(VMCS_ENTRY_INTR_INFO, v->vectoring.info);
	if ((v->vectoring.info & INTR_ERROR) != 0)
		vmwrite32(VMCS_ENTRY_ERROR_CODE, v->vectoring.error);
	vmwrite32(VMCS_ENTRY_INSN_LEN, v->vectoring.len);
	v->vectoring.info = 0;
}

/* NMIs go before interrupts; the slot for one event may be taken already. */
static void put_waiting(struct vcpu *vc, bool taken)
{
	struct vmx_vcpu *v = vmx_of(vc);
	u32 shadow = vmread32(VMCS_GUEST_INTERRUPTIBILITY);
	bool nmi = __atomic_load_n(&v->arch.nmi_pending, __ATOMIC_ACQUIRE), open, waits;

	if (nmi && !taken && (shadow & (SHADOW_STI | SHADOW_MOV_SS | SHADOW_NMI)) == 0) {
		__atomic_store_n(&v->arch.nmi_pending, false, __ATOMIC_RELAXED);
		vmwrite32(VMCS_ENTRY_INTR_INFO, INTR_VALID | INTR_NMI | VEC_NMI);
		nmi = false;
		taken = true;
	}
	open = !taken && (shadow & (SHADOW_STI | SHADOW_MOV_SS)) == 0 &&
	       (vmread(VMCS_GUEST_RFLAGS) & RFLAGS_IF) != 0;
	waits = vmx_apic_put(vc, open);
	v->attention = nmi || waits;
	vmx_event_window(v, PROC_NMI_WINDOW, nmi);
	vmx_event_window(v, PROC_INTR_WINDOW, waits);
}

bool vmx_event_prepare(struct vcpu *vc)
{
	struct vmx_vcpu *v = vmx_of(vc);
	bool taken = true;

	if (v->triple_fault)
		return false;
	if (v->arch.pending.type == EVENT_EXCEPTION) {
		if (!put_exception(v))
			return false;
	} else if (v->vectoring.info != 0) {
		put_vectoring(v);
	} else {
		taken = false;
	}
	put_waiting(vc, taken);
	return true;
}

/* #DB was intercepted before it changed what the guest can see (SDM vol. 3C 28.1). */
static void debug_state(void)
{
	u64 shadow = vmread32(VMCS_GUEST_INTERRUPTIBILITY) & (SHADOW_STI | SHADOW_MOV_SS);

	write_dr6((read_dr6() & ~PENDING_DB_BPS) | (vmread(VMCS_EXIT_QUALIFICATION) & QUAL_DB_DR6));
	vmwrite(VMCS_GUEST_DR7, vmread(VMCS_GUEST_DR7) & ~DR7_GD);
	vmwrite64(VMCS_GUEST_DEBUGCTL, vmread64(VMCS_GUEST_DEBUGCTL) & ~DEBUGCTL_LBR);
	/* SDM vol. 3C 27.3.1.5 wants the trap pending while it is blocked. */
	if (shadow != 0 && (vmread(VMCS_GUEST_RFLAGS) & RFLAGS_TF) != 0 &&
	    (vmread64(VMCS_GUEST_DEBUGCTL) & DEBUGCTL_BTF) == 0)
		vmwrite(VMCS_GUEST_PENDING_DEBUG, vmread(VMCS_GUEST_PENDING_DEBUG) | PENDING_DB_BS);
}

/*
 * NMI, #MC: the host's. #DB and #AC: the guest's, given back at once; they exit because their delivery
 * can raise them again for ever, with no instruction in between at which an interrupt would exit.
 */
void vmx_event_exception(struct vcpu *vc, struct vm_exit *out)
{
	struct vmx_vcpu *v = vmx_of(vc);
	u32 info = vmread32(VMCS_EXIT_INTR_INFO), vector = info & INTR_VECTOR;

	if ((info & INTR_TYPE) == INTR_NMI || vector == VEC_MC) {
		vmx_event_save_vectoring(v);
		if (vector == VEC_MC)
			__asm__ volatile("int %0" : : "i"(VEC_MC) : "memory");
		else
			__asm__ volatile("int %0" : : "i"(VEC_NMI) : "memory");
		out->kind = EXIT_HOST;
		vcpu_count_as(vc, STAT_HOST_IRQ);
		return;
	}
	ASSERT(vector == VEC_DB || vector == VEC_AC);
	vcpu_count_as(vc, STAT_EXCEPTION);
	if (vector == VEC_DB)
		debug_state();
	vmx_event_save_vectoring(v);
	if (v->vectoring.info != 0) {
		u32 error = (info & INTR_ERROR) != 0 ? vmread32(VMCS_EXIT_INTR_ERROR) : 0;
		struct vcpu_event e = vmx_decode_event(info, error);

		vmx_inject(vc, &e);
		return;
	}
	if ((info & INTR_NMI_UNBLOCK) != 0)
		vmx_event_block_nmi();
	v->attention = true;
	v->vectoring.info = info & ~INTR_RESERVED;
	v->vectoring.error = (info & INTR_ERROR) != 0 ? vmread32(VMCS_EXIT_INTR_ERROR) : 0;
	v->vectoring.len = vmread32(VMCS_EXIT_INSN_LEN);
}
