/* SPDX-License-Identifier: MIT */
/* What each CPU is and can virtualize, from CPUID and the capability MSRs; for people to read. */
#include <tern/cpu_info.h>

#include <tern/arch.h>
#include <tern/err.h>
#include <tern/lib.h>
#include <tern/pcpu.h>

#include "apic.h"
#include "cpu.h"
#include "cpu_info_arch.h"
#include "tsc.h"
#include "virt_regs.h"
#include "x86.h"

static void add(struct cpu_info *ci, const char *name, bool present)
{
	ASSERT(ci->feature_count < CPU_FEATURES_MAX);
	ci->features[ci->feature_count++] = (struct cpu_feature){name, present};
}

static void copy_regs(char *dst, const u32 *regs, u32 count)
{
	memcpy(dst, regs, count * sizeof(u32));
	dst[count * sizeof(u32)] = '\0';
}

static void identify(struct cpu_info *ci)
{
	struct cpuid_regs r = cpuid(0, 0);
	u32 max_ext = cpuid(0x80000000, 0).eax;
	u32 words[12];
	const char *p;

	copy_regs(ci->vendor, (const u32[]){r.ebx, r.edx, r.ecx}, 3);
	r = cpuid(1, 0);
	/* SDM vol. 2A, CPUID figure 3-6. */
	ci->stepping = r.eax & 0xf;
	ci->model_no = r.eax >> 4 & 0xf;
	ci->family = r.eax >> 8 & 0xf;
	if (ci->family == 6 || ci->family == 15)
		ci->model_no |= r.eax >> 12 & 0xf0;
	if (ci->family == 15)
		ci->family += r.eax >> 20 & 0xff;
	if (max_ext >= 0x80000004) {
		char name[49];

		for (u32 i = 0; i < 3; i++) {
			r = cpuid(0x80000002 + i, 0);
			memcpy(&words[i * 4], &r, sizeof(r));
		}
		copy_regs(name, words, 12);
		for (p = name; *p == ' '; p++)
			;
		str_copy(ci->model, p, sizeof(ci->model));
	}
	ci->phys_bits = 36;
	ci->virt_bits = 48;
	if (max_ext >= 0x80000008) {
		r = cpuid(0x80000008, 0);
		ci->phys_bits = (u8)r.eax;
		ci->virt_bits = (u8)(r.eax >> 8);
	}
	if (max_ext >= 0x80000007)
		ci->tsc_invariant = (cpuid(0x80000007, 0).edx & CPUIDX7_EDX_TSC_INV) != 0;
	ci->x2apic = apic_is_x2();
	ci->tsc_hz = arch_tsc_hz();
	ci->tsc_source = tsc_source();
}

/* SDM vol. 3C 24.7 and appendix A. "Allowed 1" settings are the upper halves. */
static void survey_vtx(struct cpu_info *ci)
{
	u64 control, basic, pin, proc, proc2 = 0, ept = 0;
	static const char firmware[] =
		"in the firmware setup, look for 'Intel Virtualization Technology', 'VT-x' or 'VMX' "
		"under CPU or Security, enable it and switch the machine off and on";

	ci->virt = CPU_VIRT_VTX;
	if (!rdmsr_safe(MSR_FEATURE_CONTROL, &control))
		control = 0;
	ci->virt_usable =
		(control & FEATURE_CONTROL_LOCK) == 0 || (control & FEATURE_CONTROL_VMX_NOSMX) != 0;
	if (!ci->virt_usable)
		fmt_str(ci->virt_why, sizeof(ci->virt_why), "VT-x is locked off by firmware: %s",
			firmware);
	if (!rdmsr_safe(MSR_VMX_BASIC, &basic) || !rdmsr_safe(MSR_VMX_PINBASED, &pin) ||
	    !rdmsr_safe(MSR_VMX_PROCBASED, &proc)) {
		ci->virt_usable = false;
		str_copy(ci->virt_why, "the VMX capability MSRs cannot be read",
			 sizeof(ci->virt_why));
		return;
	}
	if ((proc >> 32 & PROC_SECONDARY) != 0)
		(void)rdmsr_safe(MSR_VMX_PROCBASED2, &proc2);
	if ((proc2 >> 32 & (PROC2_EPT | PROC2_VPID)) != 0)
		(void)rdmsr_safe(MSR_VMX_EPT_VPID_CAP, &ept);
	add(ci, "EPT", (proc2 >> 32 & PROC2_EPT) != 0);
	add(ci, "EPT 4-level", (ept & EPT_CAP_4LEVEL) != 0);
	add(ci, "EPT 2 MiB pages", (ept & EPT_CAP_2M) != 0);
	add(ci, "EPT 1 GiB pages", (ept & EPT_CAP_1G) != 0);
	add(ci, "EPT A/D", (ept & EPT_CAP_AD) != 0);
	add(ci, "EPT execute-only", (ept & EPT_CAP_XO) != 0);
	add(ci, "INVEPT", (ept & EPT_CAP_INVEPT) != 0);
	add(ci, "unrestricted guest", (proc2 >> 32 & PROC2_UNRESTRICTED) != 0);
	add(ci, "VPID", (proc2 >> 32 & PROC2_VPID) != 0);
	add(ci, "PML", (proc2 >> 32 & PROC2_PML) != 0);
	add(ci, "TPR shadow", (proc >> 32 & PROC_TPR_SHADOW) != 0);
	add(ci, "APICv",
	    (proc2 >> 32 & (PROC2_APIC_REGS | PROC2_VINTR)) == (PROC2_APIC_REGS | PROC2_VINTR));
	add(ci, "posted interrupts", (pin >> 32 & PIN_POSTED) != 0);
	add(ci, "preemption timer", (pin >> 32 & PIN_PREEMPTION) != 0);
	add(ci, "virtual NMIs", (pin >> 32 & PIN_VNMI) != 0);
	add(ci, "PAUSE-loop exiting", (proc2 >> 32 & PROC2_PAUSE_LOOP) != 0);
	add(ci, "TSC scaling", (proc2 >> 32 & PROC2_TSC_SCALING) != 0);
	add(ci, "XSAVES", (proc2 >> 32 & PROC2_XSAVES) != 0);
	add(ci, "VMCS shadowing", (proc2 >> 32 & PROC2_SHADOW) != 0);
	add(ci, "true controls", (basic & VMX_BASIC_TRUE) != 0);
	if (ci->virt_usable && !ci->features[0].present) {
		ci->virt_usable = false;
		str_copy(ci->virt_why, "this CPU has VT-x without EPT; Tern needs EPT",
			 sizeof(ci->virt_why));
	}
}

/* AMD APM vol. 3, CPUID Fn8000_000A; vol. 2, 15.30.1 VM_CR. */
static void survey_svm(struct cpu_info *ci)
{
	struct cpuid_regs r = {0};
	u64 vm_cr;

	ci->virt = CPU_VIRT_SVM;
	if (!rdmsr_safe(MSR_VM_CR, &vm_cr))
		vm_cr = 0;
	ci->virt_usable = (vm_cr & VM_CR_SVMDIS) == 0;
	if (!ci->virt_usable)
		str_copy(
			ci->virt_why,
			"AMD-V is switched off by firmware: in the firmware setup, look for 'SVM Mode', "
			"'AMD-V' or 'Virtualization' under CPU, enable it, switch the machine off and on",
			sizeof(ci->virt_why));
	if (cpuid(0x80000000, 0).eax >= 0x8000000a)
		r = cpuid(0x8000000a, 0);
	add(ci, "nested paging (AMD's EPT)", (r.edx & SVM_NP) != 0);
	add(ci, "NRIP save", (r.edx & SVM_NRIPS) != 0);
	add(ci, "VMCB clean bits", (r.edx & SVM_CLEAN) != 0);
	add(ci, "flush by ASID", (r.edx & SVM_FLUSH_ASID) != 0);
	add(ci, "decode assists", (r.edx & SVM_DECODE) != 0);
	add(ci, "pause filter", (r.edx & SVM_PAUSE) != 0);
	add(ci, "TSC ratio", (r.edx & SVM_TSC_RATIO) != 0);
	add(ci, "AVIC", (r.edx & SVM_AVIC) != 0);
	add(ci, "virtual GIF", (r.edx & SVM_VGIF) != 0);
	add(ci, "virtual VMLOAD/VMSAVE", (r.edx & SVM_VLS) != 0);
	if (ci->virt_usable && !ci->features[0].present) {
		ci->virt_usable = false;
		str_copy(ci->virt_why, "this CPU has AMD-V without nested paging; Tern needs it",
			 sizeof(ci->virt_why));
	}
}

static void survey_none(struct cpu_info *ci)
{
	bool in_vm = (cpuid(1, 0).ecx & CPUID1_ECX_HV) != 0;

	str_copy(
		ci->virt_why,
		in_vm ? "the hypervisor below does not offer it: enable nested virtualization there "
			"(KVM: kvm_intel.nested=1 and '-cpu host')"
		      : "this CPU has neither VT-x nor AMD-V, or the firmware hides it: look for 'Intel "
			"Virtualization Technology' or 'SVM Mode' in the firmware setup",
		sizeof(ci->virt_why));
}

void cpu_info_fill(struct pcpu *pc)
{
	struct cpu *cpu = pc->arch;
	struct cpu_info *ci = &cpu->info;

	memset(ci, 0, sizeof(*ci));
	identify(ci);
	if ((cpuid(1, 0).ecx & CPUID1_ECX_VMX) != 0)
		survey_vtx(ci);
	else if ((cpuid(0x80000001, 0).ecx & CPUIDX1_ECX_SVM) != 0)
		survey_svm(ci);
	else
		survey_none(ci);
}

const struct cpu_info *cpu_info_get(u32 cpu_index)
{
	const struct pcpu *pc;

	if (cpu_index >= pcpu_count())
		return NULL;
	pc = pcpu_get(cpu_index);
	if (__atomic_load_n(&pc->online, __ATOMIC_ACQUIRE) == 0)
		return NULL;
	return &((const struct cpu *)pc->arch)->info;
}
