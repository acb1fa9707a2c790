/* SPDX-License-Identifier: MIT */
/* What an exit was: x86 truths are finished here, the rest becomes a neutral struct vm_exit. */
#include <tern/err.h>
#include <tern/log.h>

#include "../irq_arch.h"
#include "../x86.h"
#include "vmcs_access.h"
#include "vmx.h"
#include "vmx_decode.h"
#include "vmx_regs.h"

/* Not inlined: the frames they need would be paid for by every exit. */
#define OWN_FRAME __attribute__((noinline))

static OWN_FRAME void skip_odd(u64 next, u32 len, u32 shadow, u64 rflags)
{
	/* Outside 64-bit mode EIP wraps. */
	if ((u32)next < len && !vmx_seg_is_long())
		next = (u32)next;
	vmwrite(VMCS_GUEST_RIP, next);
	if ((shadow & (SHADOW_STI | SHADOW_MOV_SS)) != 0)
		vmwrite32(VMCS_GUEST_INTERRUPTIBILITY, shadow & ~(SHADOW_STI | SHADOW_MOV_SS));
	/* The instruction is done: its single-step trap is due. */
	if ((rflags & RFLAGS_TF) != 0 && (vmread64(VMCS_GUEST_DEBUGCTL) & DEBUGCTL_BTF) == 0)
		vmwrite(VMCS_GUEST_PENDING_DEBUG, vmread(VMCS_GUEST_PENDING_DEBUG) | PENDING_DB_BS);
}

/* Mostly RIP is all that changes. */
static inline void skip(u32 len)
{
	u64 next = vmread(VMCS_GUEST_RIP) + len, rflags = vmread(VMCS_GUEST_RFLAGS);
	u32 shadow = vmread32(VMCS_GUEST_INTERRUPTIBILITY);

	if (UNLIKELY((((shadow & (SHADOW_STI | SHADOW_MOV_SS)) | (rflags & RFLAGS_TF)) != 0) |
		     ((u32)next < len)))
		skip_odd(next, len, shadow, rflags);
	else
		vmwrite(VMCS_GUEST_RIP, next);
}

void vmx_skip(UNUSED struct vcpu *vc, const struct vm_exit *exit)
{
	skip(exit->insn_len);
}

void vmx_exit_skip(UNUSED struct vcpu *vc, struct vm_exit *out)
{
	out->insn_len = (u8)vmread32(VMCS_EXIT_INSN_LEN);
	skip(out->insn_len);
}

static OWN_FRAME void cpuid_of_state(struct vmx_vcpu *v, u32 index)
{
	u64 *gpr = v->arch.gpr;
	u32 r[4];
	/* Every CR4 bit that CPUID shows is in the shadow. */
	struct cpuid_state s = {
		.apic_id = index,
		.cr4 = v->cr4,
		.xcr0 = v->arch.xcr0,
		.apic_enabled = (v->arch.apic_base & APIC_BASE_ENABLE) != 0,
	};

	guest_cpuid(&v->vm->cpuid, &s, (u32)gpr[REG_RAX], (u32)gpr[REG_RCX], r);
	gpr[REG_RAX] = r[0];
	gpr[REG_RBX] = r[1];
	gpr[REG_RCX] = r[2];
	gpr[REG_RDX] = r[3];
}

static OWN_FRAME void do_cpuid(struct vcpu *vc, struct vm_exit *out)
{
	struct vmx_vcpu *v = vmx_of(vc);
	u64 *gpr = v->arch.gpr;
	const struct cpuid_entry *e = guest_cpuid_constant(&v->vm->cpuid, (u32)gpr[REG_RAX]);

	if (LIKELY(e != NULL)) {
		gpr[REG_RAX] = e->eax;
		gpr[REG_RBX] = e->ebx;
		gpr[REG_RCX] = e->ecx;
		gpr[REG_RDX] = e->edx;
	} else {
		cpuid_of_state(v, vc->index);
	}
	vmx_exit_skip(vc, out);
}

static OWN_FRAME void do_ept_violation(struct vcpu *vc, struct vm_exit *out)
{
	struct vmx_vcpu *v = vmx_of(vc);
	u64 q = vmread(VMCS_EXIT_QUALIFICATION);

	vmx_event_save_vectoring(v);
	if ((q & QUAL_EPT_NMI) != 0 && v->vectoring.info == 0)
		vmx_event_block_nmi();
	out->kind = EXIT_MEM;
	out->mem = vmx_decode_mem(q, vmread64(VMCS_GUEST_PHYS_ADDR));
	vcpu_count_as(vc, STAT_TOUCH);
}

static OWN_FRAME void do_interrupt(struct vcpu *vc, struct vm_exit *out)
{
	u32 info = vmread32(VMCS_EXIT_INTR_INFO);

	ASSERT((info & INTR_VALID) != 0);
	vmx_event_save_vectoring(vmx_of(vc));
	irq_dispatch(info & INTR_VECTOR);
	out->kind = EXIT_HOST;
	vcpu_count_as(vc, STAT_HOST_IRQ);
}

static void simple(struct vcpu *vc, struct vm_exit *out, enum exit_kind kind, enum exit_stat stat)
{
	out->kind = kind;
	out->insn_len = (u8)vmread32(VMCS_EXIT_INSN_LEN);
	vcpu_count_as(vc, stat);
}

static OWN_FRAME void unknown(struct vcpu *vc, u32 reason, struct vm_exit *out)
{
	log_err("vm %s: VT-x exit %u at RIP %#lx, qualification %#lx, guest-physical %#lx",
		vc->vm->name, reason & EXIT_REASON_MASK, vmread(VMCS_GUEST_RIP),
		vmread(VMCS_EXIT_QUALIFICATION), vmread64(VMCS_GUEST_PHYS_ADDR));
	out->kind = EXIT_UNKNOWN;
	out->raw = reason;
}

/* The rare ones. */
static OWN_FRAME void decode_rest(struct vcpu *vc, u32 reason, struct vm_exit *out)
{
	struct vmx_vcpu *v = vmx_of(vc);

	vcpu_count_as(vc, STAT_OTHER);
	if ((reason & EXIT_REASON_ENTRY_FAILED) != 0) {
		vmx_entry_failed(vc, reason, out);
		return;
	}
	switch (reason) {
	case EXIT_REASON_NMI:
		vmx_event_exception(vc, out);
		return;
	case EXIT_REASON_INTR_WINDOW:
		v->attention = true;
		vcpu_count_as(vc, STAT_IRQ_WINDOW);
		return;
	case EXIT_REASON_NMI_WINDOW:
		v->attention = true;
		vcpu_count_as(vc, STAT_IRQ_WINDOW);
		return;
	case EXIT_REASON_TPR:
	case EXIT_REASON_EOI:
	case EXIT_REASON_APIC_WRITE:
		vcpu_count_as(vc, STAT_APIC);
		vmx_apic_exit(vc, reason);
		return;
	case EXIT_REASON_TRIPLE_FAULT:
		out->kind = EXIT_SHUTDOWN;
		return;
	case EXIT_REASON_INIT:
	case EXIT_REASON_SIPI:
		out->kind = EXIT_RESET;
		return;
	case EXIT_REASON_TASK_SWITCH:
		vcpu_count_as(vc, STAT_TASK_SWITCH);
		vmx_task_switch(vc, out);
		return;
	case EXIT_REASON_INVD: /* as WBINVD: nothing a guest could notice is uncached */
	case EXIT_REASON_WBINVD:
		vmx_exit_skip(vc, out);
		return;
	case EXIT_REASON_RDPMC: /* no counters: SDM vol. 2B, RDPMC */
		vmx_event_gp(vc);
		return;
	case EXIT_REASON_VMCLEAR ... EXIT_REASON_VMXON: /* CR4.VMXE is 0 */
	case EXIT_REASON_INVEPT:
	case EXIT_REASON_INVVPID:
	case EXIT_REASON_GETSEC:
	case EXIT_REASON_ENCLS:
	case EXIT_REASON_MWAIT: /* not in CPUID */
	case EXIT_REASON_MONITOR:
		vmx_event_ud(vc);
		return;
	default:
		unknown(vc, reason, out);
	}
}

void vmx_exit_decode(struct vcpu *vc, u32 reason, struct vm_exit *out)
{
	out->kind = EXIT_DONE;
	out->insn_len = 0;
	switch (reason) {
	case EXIT_REASON_EPT_VIOLATION:
		do_ept_violation(vc, out);
		return;
	case EXIT_REASON_IO:
		vcpu_count_as(vc, STAT_PIO);
		vmx_pio_decode(vc, out);
		return;
	case EXIT_REASON_EXT_INTR:
		do_interrupt(vc, out);
		return;
	case EXIT_REASON_PREEMPTION:
		vmx_of(vc)->until = 0; /* set it anew */
		out->kind = EXIT_HOST;
		vcpu_count_as(vc, STAT_TIMER);
		return;
	case EXIT_REASON_CPUID:
		vcpu_count_as(vc, STAT_CPUID);
		do_cpuid(vc, out);
		return;
	case EXIT_REASON_RDMSR:
		vcpu_count_as(vc, STAT_RDMSR);
		vmx_msr_read(vc, out);
		return;
	case EXIT_REASON_WRMSR:
		vcpu_count_as(vc, STAT_WRMSR);
		vmx_msr_write(vc, out);
		return;
	case EXIT_REASON_HLT:
		simple(vc, out, EXIT_HLT, STAT_HLT);
		return;
	case EXIT_REASON_PAUSE:
		simple(vc, out, EXIT_PAUSE, STAT_PAUSE);
		return;
	case EXIT_REASON_CR:
		vcpu_count_as(vc, STAT_CR);
		vmx_cr_access(vc, out);
		return;
	case EXIT_REASON_XSETBV:
		vcpu_count_as(vc, STAT_XSETBV);
		vmx_cr_xsetbv(vc, out);
		return;
	default:
		decode_rest(vc, reason, out);
	}
}
