/* SPDX-License-Identifier: MIT */
/* Which mitigations this node needs at guest entry and exit, from CPUID and IA32_ARCH_CAPABILITIES. */
#ifndef MITIGATE_H
#define MITIGATE_H

#include <tern/types.h>

#define MITIGATE_L1D       (1u << 0) /* flush the L1 data cache before an entry: L1TF */
#define MITIGATE_VERW      (1u << 1) /* overwrite buffers before an entry: MDS, TAA, MMIO, RFDS */
#define MITIGATE_IBPB      (1u << 2) /* branch predictor barrier when another vCPU is loaded */
#define MITIGATE_RSB       (1u << 3) /* fill the return stack after an exit */
#define MITIGATE_SPEC_CTRL (1u << 4) /* not an option: the guest's IA32_SPEC_CTRL is switched */

/* (c) after mitigate_init() */
extern u32 mitigate_flags;

bool mitigate_has_ibpb(void);
/* What it depends on. */
struct mitigate_facts {
	u32 cpuid7_edx;
	u64 arch_caps; /* 0: no such MSR */
	bool intel;
	bool off; /* mitigations=off */
};
/* mitigate_facts.c */
void mitigate_facts_get(struct mitigate_facts *f);
/* Chooses, once, on the first CPU. */
void mitigate_init(const struct mitigate_facts *f);
/* What mitigate_init() decides. Pure. */
u32 mitigate_choose(const struct mitigate_facts *f);

#endif
