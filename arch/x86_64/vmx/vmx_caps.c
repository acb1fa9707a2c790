/* SPDX-License-Identifier: MIT */
/*
 * Turning VMX on, and the choice of controls by SDM vol. 3D A.3.1: the default1 class keeps its
 * defaults but for the bits that Tern knows, which the TRUE capability MSRs allow to be 0.
 */
#include "vmx_caps.h"

#include <tern/boot_info.h>
#include <tern/err.h>
#include <tern/frames.h>
#include <tern/lib.h>
#include <tern/log.h>

#include "../x86.h"
#include "ept.h"
#include "vmx_regs.h"

struct vmx_caps vmx_caps;
static void *vmxon_regions[CPUS_MAX];

/* What Tern asks for: it cannot do without need; good is used where it is; clear must not be set
 * although it is in the default1 class. */
struct wish {
	const char *name;
	u32 true_msr, msr;
	u32 need, good, clear;
};

static const struct wish pin_wish = {
	"pin-based controls",
	MSR_VMX_TRUE_PINBASED,
	MSR_VMX_PINBASED,
	PIN_EXT_INTR | PIN_NMI | PIN_VNMI | PIN_PREEMPTION,
	0,
	0,
};
static const struct wish proc_wish = {
	"primary controls",
	MSR_VMX_TRUE_PROCBASED,
	MSR_VMX_PROCBASED,
	PROC_TSC_OFFSET | PROC_HLT | PROC_MWAIT | PROC_MONITOR | PROC_RDPMC | PROC_IO_BITMAPS |
		PROC_MSR_BITMAPS | PROC_SECONDARY,
	PROC_TPR_SHADOW,
	PROC_CR3_LOAD | PROC_CR3_STORE,
};
static const struct wish proc2_wish = {
	"secondary controls",
	MSR_VMX_PROCBASED2,
	MSR_VMX_PROCBASED2,
	PROC2_EPT | PROC2_UNRESTRICTED | PROC2_WBINVD,
	PROC2_VPID | PROC2_RDTSCP | PROC2_INVPCID | PROC2_PAUSE_LOOP | PROC2_ENCLS | PROC2_APICV,
	0,
};
static const struct wish exit_wish = {
	"exit controls",
	MSR_VMX_TRUE_EXIT,
	MSR_VMX_EXIT,
	EXIT_SAVE_DEBUG | EXIT_HOST_64 | EXIT_ACK_INTR | EXIT_SAVE_PAT | EXIT_LOAD_PAT |
		EXIT_SAVE_EFER | EXIT_LOAD_EFER | EXIT_SAVE_TIMER,
	0,
	0,
};
static const struct wish entry_wish = {
	"entry controls",
	MSR_VMX_TRUE_ENTRY,
	MSR_VMX_ENTRY,
	ENTRY_LOAD_DEBUG | ENTRY_IA32E | ENTRY_LOAD_PAT | ENTRY_LOAD_EFER,
	0,
	0,
};

static bool choose(const struct wish *w, struct vmx_control *out)
{
	u64 truth = rdmsr(w->true_msr), old = rdmsr(w->msr);
	u32 default1 = w->true_msr != w->msr ? (u32)old : 0;

	out->must = (u32)truth;
	out->may = (u32)(truth >> 32);
	if ((w->need & ~out->may) != 0 || (w->clear & out->must) != 0) {
		log_err("VT-x: the %s of this CPU lack %#x; Tern needs them", w->name,
			(w->need & ~out->may) | (w->clear & out->must));
		return false;
	}
	out->use = out->must | w->need | (w->good & out->may) | (default1 & ~w->clear & out->may);
	return true;
}

static bool choose_all(struct vmx_caps *c)
{
	const u64 ept = EPT_CAP_4LEVEL | EPT_CAP_WB | EPT_CAP_INVEPT | EPT_CAP_INVEPT_SINGLE;
	const u64 vpid = EPT_CAP_INVVPID | EPT_CAP_INVVPID_SINGLE;
	char word[8];

	if (!choose(&pin_wish, &c->pin) || !choose(&proc_wish, &c->proc) ||
	    !choose(&proc2_wish, &c->proc2) || !choose(&exit_wish, &c->exit) ||
	    !choose(&entry_wish, &c->entry))
		return false;
	c->entry.use &= ~ENTRY_IA32E; /* follows the guest's EFER.LMA */
	c->ept_vpid = rdmsr(MSR_VMX_EPT_VPID_CAP);
	if ((c->ept_vpid & ept) != ept) {
		log_err("VT-x: EPT of this CPU lacks %#lx (4 levels, write back, INVEPT); Tern needs it",
			ept & ~c->ept_vpid);
		return false;
	}
	if ((c->ept_vpid & vpid) != vpid)
		c->proc2.use &= ~PROC2_VPID;
	if (boot_info_option(boot_info_get()->cmdline, "apicv", word, sizeof(word)) &&
	    strcmp(word, "off") == 0)
		c->proc2.use &= ~PROC2_APICV;
	/* Without TPR shadow CR8 would be the host's: then each access exits. */
	if ((c->proc.use & PROC_TPR_SHADOW) == 0)
		c->proc.use |= PROC_CR8_LOAD | PROC_CR8_STORE;
	else
		c->proc.use &= ~(PROC_CR8_LOAD | PROC_CR8_STORE) | c->proc.must;
	return true;
}

static int survey(struct vmx_caps *c)
{
	u64 basic = rdmsr(MSR_VMX_BASIC);

	if ((basic & VMX_BASIC_TRUE) == 0 || (basic & VMX_BASIC_INSN_INFO) == 0 ||
	    (basic >> VMX_BASIC_TYPE_SHIFT & VMX_BASIC_TYPE_MASK) != VMX_BASIC_TYPE_WB ||
	    (basic >> VMX_BASIC_SIZE_SHIFT & VMX_BASIC_SIZE_MASK) > PAGE_SIZE) {
		log_err("VT-x: IA32_VMX_BASIC is %#lx; Tern needs true controls, INS/OUTS information "
			"and write-back VMCSs of at most 4 KiB",
			basic);
		return -TERN_ENODEV;
	}
	if ((cpuid(1, 0).ecx & CPUID1_ECX_XSAVE) == 0) {
		log_err("VT-x: this CPU has no XSAVE; Tern needs it to switch guests");
		return -TERN_ENODEV;
	}
	c->revision = (u32)(basic & VMX_BASIC_REVISION);
	c->misc = rdmsr(MSR_VMX_MISC);
	c->cr0_fixed0 = rdmsr(MSR_VMX_CR0_FIXED0);
	c->cr0_fixed1 = rdmsr(MSR_VMX_CR0_FIXED1);
	c->cr4_fixed0 = rdmsr(MSR_VMX_CR4_FIXED0);
	c->cr4_fixed1 = rdmsr(MSR_VMX_CR4_FIXED1);
	c->phys_bits = cpuid(CPUID_SIZES, 0).eax & CPUID_SIZES_PHYS;
	return choose_all(c) ? 0 : -TERN_ENODEV;
}

/* SDM vol. 3C 24.7: VMXON faults unless firmware, or we now, locked the register with VMX on. */
static bool unlock(void)
{
	u64 control = rdmsr(MSR_FEATURE_CONTROL);

	if ((control & FEATURE_CONTROL_LOCK) == 0) {
		control |= FEATURE_CONTROL_LOCK | FEATURE_CONTROL_VMX_NOSMX;
		wrmsr(MSR_FEATURE_CONTROL, control);
	}
	if ((control & FEATURE_CONTROL_VMX_NOSMX) != 0)
		return true;
	log_err("VT-x is locked off by firmware: in the firmware setup, enable 'Intel Virtualization "
		"Technology', 'VT-x' or 'VMX' and switch the machine off and on");
	return false;
}

static bool vmxon(hpa_t region)
{
	bool failed;

	__asm__ volatile("vmxon %1" : "=@ccbe"(failed) : "m"(region.v) : "memory");
	return !failed;
}

int vmx_caps_enable(u32 cpu)
{
	struct vmx_caps caps;
	void *region;
	int rc;

	memset(&caps, 0, sizeof(caps));
	if (!unlock())
		return -TERN_ENODEV;
	rc = survey(&caps);
	if (rc != 0)
		return rc;
	if (vmx_caps.revision == 0) {
		vmx_caps = caps;
	} else if (memcmp(&caps, &vmx_caps, sizeof(caps)) != 0) {
		log_err("VT-x: CPU %u offers other features than the first; it runs no guests",
			cpu);
		return -TERN_ENODEV;
	}
	region = frames_alloc_page();
	if (region == NULL) {
		log_err("VT-x: no memory for CPU %u", cpu);
		return -TERN_ENOMEM;
	}
	*(u32 *)region = caps.revision;
	write_cr0((read_cr0() | caps.cr0_fixed0) & caps.cr0_fixed1);
	write_cr4(((read_cr4() | CR4_OSXSAVE | CR4_VMXE) | caps.cr4_fixed0) & caps.cr4_fixed1);
	if (!vmxon(virt_to_phys(region))) {
		write_cr4(read_cr4() & ~CR4_VMXE);
		frames_free_page(region);
		log_err("VT-x: VMXON failed on CPU %u", cpu);
		return -TERN_ENODEV;
	}
	vmxon_regions[cpu] = region;
	return 0;
}

void vmx_caps_disable(u32 cpu)
{
	if (vmxon_regions[cpu] == NULL)
		return;
	__asm__ volatile("vmxoff" : : : "memory", "cc");
	write_cr4(read_cr4() & ~CR4_VMXE);
	frames_free_page(vmxon_regions[cpu]);
	vmxon_regions[cpu] = NULL;
}
