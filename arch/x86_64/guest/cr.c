/* SPDX-License-Identifier: MIT */
/*
 * Control registers of a guest: which values a write may have, and what else it changes. Each
 * function looks at one state and one value; on error the state is as it was.
 */
#include "guest.h"

#include <tern/err.h>

#include "msr_regs.h"

#define CR0_DEFINED                                                                                \
	(CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | \
	 CR0_PG)
/* Their change makes the CPU load the PDPTEs again (SDM vol. 3A 4.4.1). */
#define CR0_PDPTE (CR0_CD | CR0_NW | CR0_PG)
#define CR4_PDPTE (CR4_PAE | CR4_PGE | CR4_PSE | CR4_SMEP)

static u64 above(u8 phys_bits)
{
	return phys_bits < 64 ? ~0ul << phys_bits : 0;
}

int guest_cr0_write(struct cr_state *s, u64 value)
{
	u64 efer = s->efer;

	/* SDM vol. 3A 2.5: reserved bits of the lower half cannot be set, ET is always 1. */
	if (value >> 32 != 0)
		return -TERN_EINVAL;
	value = (value & CR0_DEFINED) | CR0_ET;
	if ((value & CR0_PG) != 0 && (value & CR0_PE) == 0)
		return -TERN_EINVAL;
	if ((value & CR0_NW) != 0 && (value & CR0_CD) == 0)
		return -TERN_EINVAL;
	if ((value & CR0_PG) != 0 && (s->cr0 & CR0_PG) == 0 && (efer & EFER_LME) != 0) {
		/* SDM vol. 3A 9.8.5.3: what must hold before IA-32e mode becomes active. */
		if ((s->cr4 & CR4_PAE) == 0 || s->cs_long || s->tr_16bit)
			return -TERN_EINVAL;
		efer |= EFER_LMA;
	}
	if ((value & CR0_PG) == 0 && (s->cr0 & CR0_PG) != 0) {
		/* SDM vol. 3A 9.8.5.4: IA-32e mode is left from compatibility mode, without PCIDs. */
		if ((efer & EFER_LMA) != 0 && s->cs_long)
			return -TERN_EINVAL;
		if ((s->cr4 & CR4_PCIDE) != 0)
			return -TERN_EINVAL;
		efer &= ~EFER_LMA;
	}
	s->cr0 = value;
	s->efer = efer;
	return 0;
}

int guest_cr3_write(struct cr_state *s, u64 value)
{
	/* SDM vol. 3A 4.10.4.1: bit 63 asks to keep translations of the PCID and is not stored. */
	if ((s->cr4 & CR4_PCIDE) != 0)
		value &= ~CR3_NOFLUSH;
	/* SDM vol. 3A 4.5; outside IA-32e mode an operand has 32 bits and this cannot fail. */
	if ((value & above(s->phys_bits)) != 0)
		return -TERN_EINVAL;
	s->cr3 = value;
	return 0;
}

int guest_cr4_write(struct cr_state *s, u64 value)
{
	bool long_mode = (s->efer & EFER_LMA) != 0;

	if ((value & ~s->cr4_allowed) != 0)
		return -TERN_EINVAL;
	/* SDM vol. 2B, MOV to control registers. */
	if (long_mode && (value & CR4_PAE) == 0)
		return -TERN_EINVAL;
	if (long_mode && ((value ^ s->cr4) & CR4_LA57) != 0)
		return -TERN_EINVAL;
	/* SDM vol. 3A 4.10.1. */
	if ((value & CR4_PCIDE) != 0 && (s->cr4 & CR4_PCIDE) == 0 &&
	    (!long_mode || (s->cr3 & CR3_PCID) != 0))
		return -TERN_EINVAL;
	s->cr4 = value;
	return 0;
}

int guest_efer_write(struct cr_state *s, u64 value, u64 efer_allowed)
{
	/* SDM vol. 4: LMA is read-only, a write of it has no effect. */
	value &= ~EFER_LMA;
	if ((value & ~efer_allowed) != 0)
		return -TERN_EINVAL;
	/* SDM vol. 3A 9.8.5: LME changes only while paging is off. */
	if (((value ^ s->efer) & EFER_LME) != 0 && (s->cr0 & CR0_PG) != 0)
		return -TERN_EINVAL;
	s->efer = value | (s->efer & EFER_LMA);
	return 0;
}

/* True when none or all bits of a group are set. */
static bool whole(u64 value, u64 group)
{
	return (value & group) == 0 || (value & group) == group;
}

/* SDM vol. 1 13.3 and vol. 2C, XSETBV. */
int guest_xcr0_write(struct cr_state *s, u64 value)
{
	if ((value & ~s->xcr0_allowed) != 0 || (value & XCR0_X87) == 0)
		return -TERN_EINVAL;
	if ((value & XCR0_AVX) != 0 && (value & XCR0_SSE) == 0)
		return -TERN_EINVAL;
	if ((value & XCR0_AVX512) != 0 && (value & XCR0_AVX) == 0)
		return -TERN_EINVAL;
	if (!whole(value, XCR0_BND) || !whole(value, XCR0_AVX512) || !whole(value, XCR0_AMX))
		return -TERN_EINVAL;
	s->xcr0 = value;
	return 0;
}

static bool pae_paging(const struct cr_state *s)
{
	return (s->cr0 & CR0_PG) != 0 && (s->cr4 & CR4_PAE) != 0 && (s->efer & EFER_LMA) == 0;
}

bool guest_pdptes_reload(const struct cr_state *before, const struct cr_state *after,
			 bool cr3_written)
{
	if (!pae_paging(after))
		return false;
	return cr3_written || !pae_paging(before) ||
	       ((before->cr0 ^ after->cr0) & CR0_PDPTE) != 0 ||
	       ((before->cr4 ^ after->cr4) & CR4_PDPTE) != 0;
}

int guest_pdptes_check(const u64 pdpte[4], u8 phys_bits)
{
	for (u32 i = 0; i < 4; i++)
		if ((pdpte[i] & PDPTE_P) != 0 && (pdpte[i] & (PDPTE_RSVD | above(phys_bits))) != 0)
			return -TERN_EINVAL;
	return 0;
}

/* A control register bit that exists when a CPUID bit is set. */
struct cr_feature {
	u64 bits;
	u32 leaf;
	u32 eax, ebx, ecx, edx; /* one of these masks is not 0 */
};

static const struct cr_feature cr4_features[] = {
	{CR4_VME | CR4_PVI, 1, .edx = CPUID1_EDX_VME},
	{CR4_TSD, 1, .edx = CPUID1_EDX_TSC},
	{CR4_DE, 1, .edx = CPUID1_EDX_DE},
	{CR4_PSE, 1, .edx = CPUID1_EDX_PSE},
	{CR4_PAE, 1, .edx = CPUID1_EDX_PAE},
	{CR4_MCE, 1, .edx = CPUID1_EDX_MCE},
	{CR4_PGE, 1, .edx = CPUID1_EDX_PGE},
	{CR4_OSFXSR, 1, .edx = CPUID1_EDX_FXSR},
	{CR4_OSXMMEXCPT, 1, .edx = CPUID1_EDX_SSE},
	{CR4_UMIP, 7, .ecx = CPUID7_ECX_UMIP},
	{CR4_FSGSBASE, 7, .ebx = CPUID7_EBX_FSGSBASE},
	{CR4_PCIDE, 1, .ecx = CPUID1_ECX_PCID},
	{CR4_OSXSAVE, 1, .ecx = CPUID1_ECX_XSAVE},
	{CR4_SMEP, 7, .ebx = CPUID7_EBX_SMEP},
	{CR4_SMAP, 7, .ebx = CPUID7_EBX_SMAP},
	{CR4_PKE, 7, .ecx = CPUID7_ECX_PKU},
};

static const struct cr_feature efer_features[] = {
	{EFER_SCE, CPUID_EXT_BASE + 1, .edx = CPUIDX1_EDX_SYSCALL},
	{EFER_LME | EFER_LMA, CPUID_EXT_BASE + 1, .edx = CPUIDX1_EDX_LM},
	{EFER_NXE, CPUID_EXT_BASE + 1, .edx = CPUIDX1_EDX_NX},
	{EFER_FFXSR, CPUID_EXT_BASE + 1, .edx = CPUIDX1_EDX_FXSR_OPT},
};

static u64 offered(const struct cpuid_policy *p, const struct cr_feature *f, size_t count)
{
	u64 bits = 0;

	for (size_t i = 0; i < count; i++) {
		const struct cpuid_entry *e = guest_cpuid_find(p, f[i].leaf, 0);

		if (e != NULL && ((e->eax & f[i].eax) | (e->ebx & f[i].ebx) | (e->ecx & f[i].ecx) |
				  (e->edx & f[i].edx)) != 0)
			bits |= f[i].bits;
	}
	return bits;
}

u64 guest_cr4_allowed(const struct cpuid_policy *p)
{
	/* PCE has no CPUID bit: RDPMC is older than them. It faults for other reasons here. */
	return CR4_PCE | offered(p, cr4_features, ARRAY_SIZE(cr4_features));
}

u64 guest_efer_allowed(const struct cpuid_policy *p)
{
	return offered(p, efer_features, ARRAY_SIZE(efer_features));
}
