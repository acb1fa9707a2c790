/* SPDX-License-Identifier: MIT */
/* What VT-x offers here and what Tern uses of it (SDM vol. 3D appendix A). */
#ifndef VMX_CAPS_H
#define VMX_CAPS_H

#include <tern/types.h>

/* One word of controls. */
struct vmx_control {
	u32 must; /* bits that have to be 1 */
	u32 may;  /* bits that can be 1 */
	u32 use;  /* what Tern sets */
};

struct vmx_caps {
	struct vmx_control pin, proc, proc2, exit, entry;
	u64 cr0_fixed0, cr0_fixed1, cr4_fixed0, cr4_fixed1;
	u64 ept_vpid, misc;
	u32 revision;
	u32 phys_bits;
};

/* Constant once the first CPU has VMX on. */
extern struct vmx_caps vmx_caps;

/* Turns VMX on on this CPU: 0, or -TERN_ENODEV, -TERN_ENOMEM with the reason in the log. IRQs off. */
MUST_CHECK int vmx_caps_enable(u32 cpu);
void vmx_caps_disable(u32 cpu);

#endif
