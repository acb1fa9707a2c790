/* SPDX-License-Identifier: MIT */
/* IA32_ARCH_CAPABILITIES, SDM vol. 4 table 2-2, and what goes with it. */
#ifndef MITIGATE_REGS_H
#define MITIGATE_REGS_H

#define ARCH_CAP_RDCL_NO     (1ul << 0)
#define ARCH_CAP_SKIP_L1DFL  (1ul << 3)
#define ARCH_CAP_MDS_NO      (1ul << 5)
#define ARCH_CAP_FB_CLEAR    (1ul << 17)
#define ARCH_CAP_RFDS_CLEAR  (1ul << 28)
#define CPUID7_EDX_L1D_FLUSH (1u << 28)
#define CPUID_INTEL_EBX      0x756e6547u /* "Genu" */
#define MSR_FLUSH_CMD        0x10b
#define FLUSH_CMD_L1D        (1ul << 0)

#endif
