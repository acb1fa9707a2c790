/* SPDX-License-Identifier: MIT */
/* The bitmaps all guests share (SDM vol. 3C 25.6.4, 25.6.9). */
#ifndef VMX_BITMAPS_H
#define VMX_BITMAPS_H

#include <tern/addr.h>
#include <tern/types.h>

/* Makes them, once. -TERN_ENOMEM. */
MUST_CHECK int vmx_bitmaps_init(void);
/* One page of ones, for both halves: every port exits. */
hpa_t vmx_bitmaps_io(void);
/* Every MSR exits but those that the MSR table passes. */
/* apicv: for a guest in x2APIC mode whose APIC the CPU virtualizes. */
hpa_t vmx_bitmaps_msr(bool apicv);

#endif
