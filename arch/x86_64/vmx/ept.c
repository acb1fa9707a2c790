/* SPDX-License-Identifier: MIT */
/* EPT as arch/x86_64/npt.c wants it described. */
#include "ept.h"

#include <arch/x86_64/virt_regs.h>

#include "ept_regs.h"

/* An entry with permissions of a table says all three: the leaf alone decides. */
#define FORMAT(text, largest)                                                         \
	{                                                                             \
		.name = text, .read = EPT_READ, .write = EPT_WRITE, .exec = EPT_EXEC, \
		.accessed = EPT_ACCESSED, .dirty = EPT_DIRTY, .large = EPT_LARGE,     \
		.memory_type = EPT_TYPE_WB, .table = EPT_READ | EPT_WRITE | EPT_EXEC, \
		.max_level = largest                                                  \
	}

const struct npt_format ept_format = FORMAT("EPT", 2);
static const struct npt_format ept_format_2m = FORMAT("EPT, leaves up to 2 MiB", 1);
static const struct npt_format ept_format_4k = FORMAT("EPT, leaves of 4 KiB", 0);

_Static_assert(((EPT_READ | EPT_WRITE | EPT_EXEC | EPT_TYPE_WB | EPT_LARGE | EPT_ACCESSED |
		 EPT_DIRTY) &
		(NPT_ADDR | NPT_STATE)) == 0,
	       "bits of EPT, address and state do not overlap");

const struct npt_format *ept_format_for(u64 ept_vpid_cap)
{
	if ((ept_vpid_cap & EPT_CAP_2M) == 0)
		return &ept_format_4k;
	return (ept_vpid_cap & EPT_CAP_1G) != 0 ? &ept_format : &ept_format_2m;
}

u64 ept_pointer(hpa_t root, u64 ept_vpid_cap)
{
	return root.v | EPTP_TYPE_WB | EPTP_WALK_4 |
	       ((ept_vpid_cap & EPT_CAP_AD) != 0 ? EPTP_AD : 0);
}
