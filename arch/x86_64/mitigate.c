/* SPDX-License-Identifier: MIT */
/*
 * Mitigations of leaks between guest and host and between guests. Each is on where the CPU says, or
 * does not deny, that it needs it, unless mitigations=off is on the command line.
 */
#include "mitigate.h"

#include <tern/lib.h>
#include <tern/virt.h>

#include "guest/msr_regs.h"
#include "mitigate_regs.h"

u32 mitigate_flags;
static bool off, has_ibpb;

u32 mitigate_choose(const struct mitigate_facts *f)
{
	u32 flags = 0;

	if ((f->cpuid7_edx & CPUID7_EDX_IBRS) != 0)
		flags |= MITIGATE_SPEC_CTRL;
	if (f->off)
		return flags;
	flags |= MITIGATE_RSB;
	if ((f->cpuid7_edx & CPUID7_EDX_IBRS) != 0)
		flags |= MITIGATE_IBPB;
	if (!f->intel)
		return flags;
	if ((f->cpuid7_edx & CPUID7_EDX_L1D_FLUSH) != 0 &&
	    (f->arch_caps & (ARCH_CAP_RDCL_NO | ARCH_CAP_SKIP_L1DFL)) == 0)
		flags |= MITIGATE_L1D;
	/* MD_CLEAR: VERW does it. The other capability bits say who suffers in spite of MDS_NO. */
	if ((f->cpuid7_edx & CPUID7_EDX_MD_CLEAR) != 0 &&
	    ((f->arch_caps & ARCH_CAP_MDS_NO) == 0 ||
	     (f->arch_caps & (ARCH_CAP_FB_CLEAR | ARCH_CAP_RFDS_CLEAR)) != 0))
		flags |= MITIGATE_VERW;
	return flags;
}

void mitigate_init(const struct mitigate_facts *f)
{
	off = f->off;
	has_ibpb = (f->cpuid7_edx & CPUID7_EDX_IBRS) != 0;
	mitigate_flags = mitigate_choose(f);
}

bool mitigate_has_ibpb(void)
{
	return has_ibpb;
}

const char *virt_mitigations(char *buf, size_t size)
{
	static const struct {
		u32 flag;
		const char *name;
	} names[] = {
		{MITIGATE_L1D, "L1D flush"},
		{MITIGATE_VERW, "VERW"},
		{MITIGATE_IBPB, "IBPB"},
		{MITIGATE_RSB, "RSB fill"},
	};
	size_t at = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if ((mitigate_flags & names[i].flag) != 0 && at < size)
			at += (size_t)fmt_str(buf + at, size - at, "%s%s", at == 0 ? "" : ", ",
					      names[i].name);
	if (at == 0)
		str_copy(buf, off ? "off (mitigations=off)" : "none needed", size);
	return buf;
}
