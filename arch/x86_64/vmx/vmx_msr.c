/* SPDX-License-Identifier: MIT */
/* MSRs: those the VMCS or the CPU holds for the loaded vCPU; guest/msr.c knows the rules. */
#include <tern/err.h>

#include "../mitigate.h"
#include "../x86.h"
#include "vmcs_access.h"
#include "vmx.h"
#include "vmx_regs.h"

static u64 backend_read(struct vcpu *vc, u32 msr)
{
	switch (msr) {
	case MSR_EFER:
		return vmread64(VMCS_GUEST_EFER);
	case MSR_PAT:
		return vmread64(VMCS_GUEST_PAT);
	case MSR_FS_BASE:
		return vmread(VMCS_GUEST_FS_BASE);
	case MSR_GS_BASE:
		return vmread(VMCS_GUEST_GS_BASE);
	case MSR_SYSENTER_CS:
		return vmread32(VMCS_GUEST_SYSENTER_CS);
	case MSR_SYSENTER_ESP:
		return vmread(VMCS_GUEST_SYSENTER_ESP);
	case MSR_SYSENTER_EIP:
		return vmread(VMCS_GUEST_SYSENTER_EIP);
	case MSR_TSC:
		return rdtsc() + vc->arch->tsc_offset;
	case MSR_STAR:
	case MSR_LSTAR:
	case MSR_CSTAR:
	case MSR_FMASK:
	case MSR_KERNEL_GS_BASE:
	case MSR_TSC_AUX:
	case MSR_ARCH_CAPABILITIES:
		return rdmsr(msr);
	default:
		return 0;
	}
}

static void backend_write(struct vcpu *vc, u32 msr, u64 value)
{
	struct vmx_vcpu *v = vmx_of(vc);

	switch (msr) {
	case MSR_EFER:
		vmx_efer_set(value);
		vmx_flush_linear(v);
		return;
	case MSR_PAT:
		vmwrite64(VMCS_GUEST_PAT, value);
		return;
	case MSR_FS_BASE:
		vmwrite(VMCS_GUEST_FS_BASE, value);
		return;
	case MSR_GS_BASE:
		vmwrite(VMCS_GUEST_GS_BASE, value);
		return;
	case MSR_SYSENTER_CS:
		vmwrite32(VMCS_GUEST_SYSENTER_CS, (u32)value);
		return;
	case MSR_SYSENTER_ESP:
		vmwrite(VMCS_GUEST_SYSENTER_ESP, value);
		return;
	case MSR_SYSENTER_EIP:
		vmwrite(VMCS_GUEST_SYSENTER_EIP, value);
		return;
	case MSR_TSC:
		v->tsc_offset = value;
		vmwrite64(VMCS_TSC_OFFSET, value);
		return;
	case MSR_PRED_CMD:
		if (mitigate_has_ibpb())
			wrmsr(MSR_PRED_CMD, PRED_CMD_IBPB);
		return;
	case MSR_STAR:
	case MSR_LSTAR:
	case MSR_CSTAR:
	case MSR_FMASK:
	case MSR_KERNEL_GS_BASE:
	case MSR_TSC_AUX:
		/* While another vCPU is loaded, or none, it is in struct vcpu_arch alone. */
		if (v->loaded)
			wrmsr(msr, value);
		return;
	default:
		return; /* SPEC_CTRL: each entry loads arch.spec_ctrl */
	}
}

const struct msr_backend vmx_msr_backend = {
	.read = backend_read,
	.write = backend_write,
	.reg = vmx_reg_get,
	.apic = vmx_apic_msr,
};

void vmx_msr_read(struct vcpu *vc, struct vm_exit *out)
{
	u64 *gpr = vc->arch->gpr, *value = &vmx_of(vc)->msr_value;

	if (guest_rdmsr(vc, &vmx_msr_backend, (u32)gpr[REG_RCX], value) != 0) {
		vmx_event_gp(vc);
		return;
	}
	gpr[REG_RAX] = (u32)*value;
	gpr[REG_RDX] = *value >> 32;
	vmx_exit_skip(vc, out);
}

void vmx_msr_write(struct vcpu *vc, struct vm_exit *out)
{
	const u64 *gpr = vc->arch->gpr;
	u64 value = gpr[REG_RDX] << 32 | (u32)gpr[REG_RAX];

	if (guest_wrmsr(vc, &vmx_msr_backend, (u32)gpr[REG_RCX], value) != 0) {
		vmx_event_gp(vc);
		return;
	}
	if ((u32)gpr[REG_RCX] == MSR_APIC_BASE)
		vmx_of(vc)->attention = true; /* another mode of delivery */
	vmx_exit_skip(vc, out);
}
