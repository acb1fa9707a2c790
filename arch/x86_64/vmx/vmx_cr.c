/* SPDX-License-Identifier: MIT */
/*
 * Control registers. What the guest wrote lies in the read shadows; the CPU's own bits are what VMX
 * wants (SDM vol. 3C 24.8) and, of the bits that the guest owns, what it wrote.
 */
#include <tern/err.h>
#include <tern/vlapic.h>
#include <tern/gmem.h>

#include "../apic_regs.h"
#include "../x86.h"
#include "vmcs_access.h"
#include "vmx.h"
#include "vmx_decode.h"
#include "vmx_regs.h"

u64 vmx_cr0_get(const struct vmx_vcpu *v)
{
	u64 mask = vmread(VMCS_CR0_MASK);

	return (v->cr0 & mask) | (vmread(VMCS_GUEST_CR0) & ~mask);
}

u64 vmx_cr4_get(const struct vmx_vcpu *v)
{
	u64 mask = vmread(VMCS_CR4_MASK);

	return (v->cr4 & mask) | (vmread(VMCS_GUEST_CR4) & ~mask);
}

void vmx_cr0_set(struct vmx_vcpu *v, u64 value)
{
	/* An unrestricted guest may leave protection and paging. CD and NW stay the host's: VM entry
	 * does not load them, and caching disabled by a guest would slow its neighbours. */
	u64 fixed = vmx_caps.cr0_fixed0 & ~(CR0_PE | CR0_PG);

	v->cr0 = value;
	vmwrite(VMCS_CR0_SHADOW, value);
	vmwrite(VMCS_GUEST_CR0, ((value & ~(CR0_CD | CR0_NW)) | fixed) & vmx_caps.cr0_fixed1);
}

void vmx_cr4_set(struct vmx_vcpu *v, u64 value)
{
	/* A machine check with CR4.MCE = 0 would shut the node down. */
	v->cr4 = value;
	vmwrite(VMCS_CR4_SHADOW, value);
	vmwrite(VMCS_GUEST_CR4, value | vmx_caps.cr4_fixed0 | CR4_MCE);
}

void vmx_efer_set(u64 value)
{
	u32 entry = vmread32(VMCS_ENTRY_CONTROLS) & ~ENTRY_IA32E;

	if ((value & EFER_LMA) != 0)
		entry |= ENTRY_IA32E;
	vmwrite32(VMCS_ENTRY_CONTROLS, entry);
	vmwrite64(VMCS_GUEST_EFER, value);
}

static struct cr_state state_of(const struct vcpu *vc)
{
	const struct vmx_vcpu *v = vmx_of(vc);
	u32 tr = vmread32(VMCS_GUEST_TR_ATTR);

	return (struct cr_state){
		.cr0 = vmx_cr0_get(v),
		.cr3 = vmread(VMCS_GUEST_CR3),
		.cr4 = vmx_cr4_get(v),
		.efer = vmread64(VMCS_GUEST_EFER),
		.xcr0 = v->arch.xcr0,
		.cs_long = (vmread32(VMCS_GUEST_CS_ATTR) & ATTR_L) != 0,
		.tr_16bit = (tr & ATTR_TYPE) == ATTR_TSS_16,
		.cr4_allowed = v->vm->cr4_allowed,
		.xcr0_allowed = v->vm->xcr0_allowed,
		.phys_bits = v->vm->phys_bits,
	};
}

/* PAE paging: the four PDPTEs that CR3 points to go into the CPU (SDM vol. 3C 27.3.2.4). 0, or
 * -TERN_EINVAL: #GP(0), -TERN_EAGAIN: *at is to be backed first. */
static int read_pdptes(struct vcpu *vc, const struct cr_state *s, u64 pdpte[4], gpa_t *at)
{
	int rc;

	*at = gpa(s->cr3 & PDPTE_TABLE);
	rc = gmem_read(&vc->vm->mem, *at, pdpte, 4 * sizeof(pdpte[0]));
	if (rc == -TERN_EFAULT)
		return -TERN_EINVAL; /* no memory there: all ones, reserved bits */
	return rc != 0 ? rc : guest_pdptes_check(pdpte, s->phys_bits);
}

static void write_pdptes(const u64 pdpte[4])
{
	vmwrite64(VMCS_GUEST_PDPTE0, pdpte[0]);
	vmwrite64(VMCS_GUEST_PDPTE1, pdpte[1]);
	vmwrite64(VMCS_GUEST_PDPTE2, pdpte[2]);
	vmwrite64(VMCS_GUEST_PDPTE3, pdpte[3]);
}

/* Makes *s what the vCPU has, or does what a write that cannot be gets. */
static void commit(struct vcpu *vc, const struct cr_state *s, bool cr3_written, struct vm_exit *out)
{
	struct vmx_vcpu *v = vmx_of(vc);
	struct cr_state before = state_of(vc);
	u64 pdpte[4];
	gpa_t at;

	if (guest_pdptes_reload(&before, s, cr3_written)) {
		int rc = read_pdptes(vc, s, pdpte, &at);

		if (rc == -TERN_EAGAIN) {
			out->kind = EXIT_MEM;
			out->mem = (struct exit_mem){.gpa = at};
			return;
		}
		if (rc != 0) {
			vmx_event_gp(vc);
			return;
		}
		write_pdptes(pdpte);
	}
	if (s->cr0 != before.cr0)
		vmx_cr0_set(v, s->cr0);
	if (s->cr4 != before.cr4)
		vmx_cr4_set(v, s->cr4);
	if (s->efer != before.efer)
		vmx_efer_set(s->efer);
	vmwrite(VMCS_GUEST_CR3, s->cr3);
	/* Which translations a change drops is said in SDM vol. 3A 4.10.4.1; these exits are rare. */
	vmx_flush_linear(v);
	vmx_exit_skip(vc, out);
}

int vmx_cr3_prepare(struct vcpu *vc, u64 cr3, u64 pdpte[4], gpa_t *at)
{
	struct cr_state s = state_of(vc);

	s.cr3 = cr3;
	return read_pdptes(vc, &s, pdpte, at);
}

void vmx_cr3_set(struct vcpu *vc, u64 cr3, const u64 pdpte[4])
{
	if (pdpte != NULL)
		write_pdptes(pdpte);
	vmwrite(VMCS_GUEST_CR3, cr3);
	vmx_flush_linear(vmx_of(vc));
}

void vmx_pdptes_get(u64 pdpte[4])
{
	pdpte[0] = vmread64(VMCS_GUEST_PDPTE0);
	pdpte[1] = vmread64(VMCS_GUEST_PDPTE1);
	pdpte[2] = vmread64(VMCS_GUEST_PDPTE2);
	pdpte[3] = vmread64(VMCS_GUEST_PDPTE3);
}

static u64 operand(struct vcpu *vc, enum vcpu_reg reg)
{
	u64 value = vmx_reg_get(vc, reg);

	return vmx_seg_is_long() ? value : (u32)value;
}

/* SDM vol. 3A 11.8.6 */
#define TPR_CR8_SHIFT 4

/* Without TPR shadow only: with it, the CPU accesses the page itself. */
static void access_cr8(struct vcpu *vc, const struct vmx_cr_access *a, struct vm_exit *out)
{
	u64 value;

	if (a->type == VMX_CR_FROM) {
		vmx_reg_set(vc, a->reg, vlapic_read(vc, LAPIC_TPR, 4) >> TPR_CR8_SHIFT);
		vmx_exit_skip(vc, out);
		return;
	}
	value = operand(vc, a->reg);
	if ((value & ~CR8_TPR) != 0) {
		vmx_event_gp(vc);
		return;
	}
	vlapic_write(vc, LAPIC_TPR, 4, value << TPR_CR8_SHIFT);
	vmx_of(vc)->attention = true;
	vmx_exit_skip(vc, out);
}

void vmx_cr_access(struct vcpu *vc, struct vm_exit *out)
{
	struct vmx_cr_access a = vmx_decode_cr(vmread(VMCS_EXIT_QUALIFICATION));
	struct cr_state s = state_of(vc);
	int rc = -TERN_EINVAL;

	if (a.cr == 8) {
		access_cr8(vc, &a, out);
		return;
	}
	switch (a.type) {
	case VMX_CR_TO:
		if (a.cr == 0)
			rc = guest_cr0_write(&s, operand(vc, a.reg));
		else if (a.cr == 3)
			rc = guest_cr3_write(&s, operand(vc, a.reg));
		else if (a.cr == 4)
			rc = guest_cr4_write(&s, operand(vc, a.reg));
		break;
	case VMX_CR_FROM: /* only CR3 exits when it is read */
		vmx_reg_set(vc, a.reg, s.cr3);
		vmx_exit_skip(vc, out);
		return;
	case VMX_CR_CLTS:
		rc = guest_cr0_write(&s, s.cr0 & ~CR0_TS);
		break;
	case VMX_CR_LMSW: /* loads bits 3:0 and cannot clear PE (SDM vol. 2A) */
		rc = guest_cr0_write(&s, (s.cr0 & ~(CR0_MP | CR0_EM | CR0_TS)) |
						 (a.source & (CR0_PE | CR0_MP | CR0_EM | CR0_TS)));
		break;
	}
	if (rc != 0)
		vmx_event_gp(vc);
	else
		commit(vc, &s, a.type == VMX_CR_TO && a.cr == 3, out);
}

void vmx_cr_xsetbv(struct vcpu *vc, struct vm_exit *out)
{
	struct vcpu_arch *a = vc->arch;
	struct cr_state s = state_of(vc);
	u64 value = (u64)(u32)a->gpr[REG_RDX] << 32 | (u32)a->gpr[REG_RAX];

	/* #GP(0) outside ring 0 (SDM vol. 2D, XSETBV) has priority over the exit by SDM vol. 3C 26.1.1,
	 * but not on every CPU: a program in the guest must not choose XCR0. */
	if ((vmread32(VMCS_GUEST_SS_ATTR) & ATTR_DPL) != 0 || (u32)a->gpr[REG_RCX] != 0 ||
	    guest_xcr0_write(&s, value) != 0) {
		vmx_event_gp(vc);
		return;
	}
	/* The guest's XCR0 stays loaded across exits: the host uses no extended state of its own. */
	a->xcr0 = s.xcr0;
	vmx_switch_write_xcr0(a->xcr0);
	vmx_exit_skip(vc, out);
}
