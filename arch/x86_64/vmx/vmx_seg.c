/* SPDX-License-Identifier: MIT */
/* Registers and segments of the loaded vCPU by their neutral names. */
#include <tern/err.h>

#include "../x86.h"
#include "vmcs_access.h"
#include "vmx.h"
#include "vmx_regs.h"

_Static_assert(VMCS_GUEST_PDPTE3 == VMCS_GUEST_PDPTE0 + 3 * VMCS_SEGMENT_STEP, "B.2.3");

static enum vmcs_u64 pdpte_field(enum vcpu_reg reg)
{
	return (enum vmcs_u64)(VMCS_GUEST_PDPTE0 + (reg - REG_PDPTE0) * VMCS_SEGMENT_STEP);
}

u64 vmx_reg_get(struct vcpu *vc, enum vcpu_reg reg)
{
	const struct vmx_vcpu *v = vmx_of(vc);

	if (LIKELY(reg <= REG_R15 && reg != REG_RSP))
		return v->arch.gpr[reg];
	switch (reg) {
	case REG_RSP:
		return vmread(VMCS_GUEST_RSP);
	case REG_RIP:
		return vmread(VMCS_GUEST_RIP);
	case REG_RFLAGS:
		return vmread(VMCS_GUEST_RFLAGS);
	case REG_CR0:
		return vmx_cr0_get(v);
	case REG_CR2:
		return read_cr2(); /* the guest's as long as it is loaded */
	case REG_CR3:
		return vmread(VMCS_GUEST_CR3);
	case REG_CR4:
		return vmx_cr4_get(v);
	case REG_EFER:
		return vmread64(VMCS_GUEST_EFER);
	case REG_DR7:
		return vmread(VMCS_GUEST_DR7);
	case REG_PDPTE0 ... REG_PDPTE3:
		return vmread64(pdpte_field(reg));
	default:
		panic("vCPU register %u does not exist", (u32)reg);
	}
}

void vmx_reg_set(struct vcpu *vc, enum vcpu_reg reg, u64 value)
{
	struct vmx_vcpu *v = vmx_of(vc);

	if (LIKELY(reg <= REG_R15 && reg != REG_RSP)) {
		v->arch.gpr[reg] = value;
		return;
	}
	switch (reg) {
	case REG_RSP:
		vmwrite(VMCS_GUEST_RSP, value);
		return;
	case REG_RIP:
		vmwrite(VMCS_GUEST_RIP, value);
		return;
	case REG_RFLAGS:
		vmwrite(VMCS_GUEST_RFLAGS, value);
		return;
	case REG_CR0:
		vmx_cr0_set(v, value);
		vmx_flush_linear(v);
		return;
	case REG_CR2:
		write_cr2(value);
		return;
	case REG_CR3:
		vmwrite(VMCS_GUEST_CR3, value);
		vmx_flush_linear(v);
		return;
	case REG_CR4:
		vmx_cr4_set(v, value);
		vmx_flush_linear(v);
		return;
	case REG_EFER:
		vmx_efer_set(value);
		return;
	case REG_DR7:
		vmwrite(VMCS_GUEST_DR7, value);
		return;
	case REG_PDPTE0 ... REG_PDPTE3:
		vmwrite64(pdpte_field(reg), value);
		return;
	default:
		panic("vCPU register %u does not exist", (u32)reg);
	}
}

void vmx_seg_read(enum vcpu_segment seg, struct vcpu_seg *out)
{
	u32 step = seg * VMCS_SEGMENT_STEP;

	out->base = vmread((enum vmcs_nat)(VMCS_GUEST_ES_BASE + step));
	out->limit = vmread32((enum vmcs_u32)(VMCS_GUEST_ES_LIMIT + step));
	out->selector = 0;
	out->attr = 0;
	if (seg < SEG_GDTR) {
		out->selector = vmread16((enum vmcs_u16)(VMCS_GUEST_ES_SELECTOR + step));
		out->attr = vmread32((enum vmcs_u32)(VMCS_GUEST_ES_ATTR + step));
	}
}

void vmx_seg_write(enum vcpu_segment seg, const struct vcpu_seg *in)
{
	u32 step = seg * VMCS_SEGMENT_STEP;

	vmwrite((enum vmcs_nat)(VMCS_GUEST_ES_BASE + step), in->base);
	vmwrite32((enum vmcs_u32)(VMCS_GUEST_ES_LIMIT + step), in->limit);
	if (seg < SEG_GDTR) {
		vmwrite16((enum vmcs_u16)(VMCS_GUEST_ES_SELECTOR + step), in->selector);
		vmwrite32((enum vmcs_u32)(VMCS_GUEST_ES_ATTR + step), in->attr);
	}
}

void vmx_seg_get(UNUSED struct vcpu *vc, enum vcpu_segment seg, struct vcpu_seg *out)
{
	ASSERT(seg < SEG_COUNT);
	vmx_seg_read(seg, out);
}

void vmx_seg_set(UNUSED struct vcpu *vc, enum vcpu_segment seg, const struct vcpu_seg *in)
{
	ASSERT(seg < SEG_COUNT);
	vmx_seg_write(seg, in);
}

bool vmx_seg_is_long(void)
{
	return (vmread32(VMCS_ENTRY_CONTROLS) & ENTRY_IA32E) != 0 &&
	       (vmread32(VMCS_GUEST_CS_ATTR) & ATTR_L) != 0;
}
