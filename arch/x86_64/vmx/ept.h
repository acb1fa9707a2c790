/* SPDX-License-Identifier: MIT */
/* The EPT format of second-level page tables: SDM vol. 3C 29.3.2. */
#ifndef EPT_H
#define EPT_H

#include <tern/npt.h>

/* Leaves of all three sizes. */
extern const struct npt_format ept_format;
/* The format for a CPU with these capabilities (IA32_VMX_EPT_VPID_CAP): large leaves are
 * optional. */
const struct npt_format *ept_format_for(u64 ept_vpid_cap);

/* The EPT pointer for a VMCS (SDM vol. 3C 25.6.11): tables cached write-back, four levels; accessed
 * and dirty bits where the CPU has them. */
u64 ept_pointer(hpa_t root, u64 ept_vpid_cap);

#endif
