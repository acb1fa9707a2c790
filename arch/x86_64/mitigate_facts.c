/* SPDX-License-Identifier: MIT */
/* What this machine and its operator say about mitigations. */
#include "mitigate.h"

#include <tern/boot_info.h>
#include <tern/lib.h>

#include "guest/msr_regs.h"
#include "mitigate_regs.h"
#include "x86.h"

void mitigate_facts_get(struct mitigate_facts *f)
{
	struct cpuid_regs id = cpuid(0, 0);
	char value[8];

	*f = (struct mitigate_facts){
		.cpuid7_edx = id.eax >= 7 ? cpuid(7, 0).edx : 0,
		.intel = id.ebx == CPUID_INTEL_EBX,
		.off = boot_info_option(boot_info_get()->cmdline, "mitigations", value,
					sizeof(value)) &&
		       strcmp(value, "off") == 0,
	};
	if ((f->cpuid7_edx & CPUID7_EDX_ARCH_CAP) != 0 &&
	    !rdmsr_safe(MSR_ARCH_CAPABILITIES, &f->arch_caps))
		f->arch_caps = 0;
}
