/* SPDX-License-Identifier: MIT */
/*
 * What CPUID says to a guest: the host's answers minus what Tern does not implement, made once for a
 * VM and kept as a sorted table. docs/cpuid.md lists what is shown and why.
 */
#include "guest.h"

#include <tern/err.h>
#include <tern/lib.h>
#include <tern/vm.h>

#include "msr_regs.h"
#include "pvclock_regs.h"

#define LEAF_MAX_TSC   0x16u
#define LEAF_MAX_XSAVE 0xdu
#define LEAF_MAX_LEAST 0xbu
#define LEAF_MAX_EXT   (CPUID_EXT_BASE + 8)
#define CACHES_MAX     8u
#define BRAND_LEAVES   3u

#define SHOWN_1_ECX                                                                \
	(CPUID1_ECX_SSE3 | CPUID1_ECX_PCLMUL | CPUID1_ECX_SSSE3 | CPUID1_ECX_FMA | \
	 CPUID1_ECX_CX16 | CPUID1_ECX_PCID | CPUID1_ECX_SSE4 | CPUID1_ECX_MOVBE |  \
	 CPUID1_ECX_POPCNT | CPUID1_ECX_AES | CPUID1_ECX_XSAVE | CPUID1_ECX_AVX |  \
	 CPUID1_ECX_F16C | CPUID1_ECX_RDRAND)
#define SHOWN_1_EDX                                                                                \
	(CPUID1_EDX_FPU | CPUID1_EDX_VME | CPUID1_EDX_DE | CPUID1_EDX_PSE | CPUID1_EDX_TSC |       \
	 CPUID1_EDX_MSR | CPUID1_EDX_PAE | CPUID1_EDX_MCE | CPUID1_EDX_CX8 | CPUID1_EDX_SEP |      \
	 CPUID1_EDX_MTRR | CPUID1_EDX_PGE | CPUID1_EDX_MCA | CPUID1_EDX_CMOV | CPUID1_EDX_PAT |    \
	 CPUID1_EDX_PSE36 | CPUID1_EDX_CLFSH | CPUID1_EDX_MMX | CPUID1_EDX_FXSR | CPUID1_EDX_SSE | \
	 CPUID1_EDX_SSE2 | CPUID1_EDX_SS)
#define AVX_1_ECX (CPUID1_ECX_AVX | CPUID1_ECX_FMA | CPUID1_ECX_F16C)
#define SHOWN_7_EBX                                                                  \
	(CPUID7_EBX_FSGSBASE | CPUID7_EBX_BMI1 | CPUID7_EBX_AVX2 | CPUID7_EBX_FDP |  \
	 CPUID7_EBX_SMEP | CPUID7_EBX_BMI2 | CPUID7_EBX_ERMS | CPUID7_EBX_INVPCID |  \
	 CPUID7_EBX_FCS_FDS | CPUID7_EBX_RDSEED | CPUID7_EBX_ADX | CPUID7_EBX_SMAP | \
	 CPUID7_EBX_CLFLUSHOPT | CPUID7_EBX_CLWB | CPUID7_EBX_SHA | CPUID7_EBX_AVX512)
#define SHOWN_7_ECX                                                              \
	(CPUID7_ECX_UMIP | CPUID7_ECX_PKU | CPUID7_ECX_GFNI | CPUID7_ECX_RDPID | \
	 CPUID7_ECX_CLDEMOTE | CPUID7_ECX_MOVDIR | CPUID7_ECX_AVX | CPUID7_ECX_AVX512)
#define SHOWN_7_EDX                                                                       \
	(CPUID7_EDX_FSRM | CPUID7_EDX_MD_CLEAR | CPUID7_EDX_SERIALIZE | CPUID7_EDX_IBRS | \
	 CPUID7_EDX_STIBP | CPUID7_EDX_ARCH_CAP | CPUID7_EDX_SSBD | CPUID7_EDX_AVX512)
#define SHOWN_71_EAX (CPUID71_EAX_AVX | CPUID71_EAX_BF16 | CPUID71_EAX_FAST)
#define SHOWN_72_EDX                                                                     \
	(CPUID72_EDX_PSFD | CPUID72_EDX_IPRED | CPUID72_EDX_RRSBA | CPUID72_EDX_DDPD_U | \
	 CPUID72_EDX_BHI | CPUID72_EDX_MCDT_NO)
/* XSAVES is not shown: IA32_XSS and the supervisor states are not switched. */
#define SHOWN_D1_EAX (CPUIDD1_EAX_XSAVEOPT | CPUIDD1_EAX_XGETBV1)
#define SHOWN_X1_ECX                                                                  \
	(CPUIDX1_ECX_LAHF | CPUIDX1_ECX_CR8 | CPUIDX1_ECX_LZCNT | CPUIDX1_ECX_SSE4A | \
	 CPUIDX1_ECX_MISALIGN | CPUIDX1_ECX_PREFETCHW | CPUIDX1_ECX_TBM | CPUIDX1_ECX_AVX)
#define SHOWN_X1_EDX                                                                        \
	(CPUIDX1_EDX_SYSCALL | CPUIDX1_EDX_NX | CPUIDX1_EDX_MMXEXT | CPUIDX1_EDX_FXSR_OPT | \
	 CPUIDX1_EDX_1G | CPUIDX1_EDX_RDTSCP | CPUIDX1_EDX_LM | CPUIDX1_EDX_3DNOW)
#define SHOWN_X8_EBX                                                                             \
	(CPUIDX8_EBX_CLZERO | CPUIDX8_EBX_XSAVEERPTR | CPUIDX8_EBX_WBNOINVD | CPUIDX8_EBX_IBPB | \
	 CPUIDX8_EBX_IBRS | CPUIDX8_EBX_STIBP | CPUIDX8_EBX_SSBD)

static const struct cpuid_platform tern_platform = {.has_apic = true, .has_apic_timer = true};

/* What the making of a policy knows. */
struct maker {
	struct cpuid_policy *p;
	cpuid_host_fn *host;
	const struct cpuid_platform *on;
	u32 vcpus, id_bits; /* APIC ids of the package take that many bits */
	u32 host_max, host_max_ext;
	u64 tsc_hz;
	u64 xcr0; /* allowed */
};

/* The host's answer; zero beyond its maximum, where it would repeat another leaf. */
static struct cpuid_entry ask(const struct maker *m, u32 leaf, u32 subleaf)
{
	struct cpuid_entry e = {.leaf = leaf, .subleaf = subleaf};
	u32 max = leaf < CPUID_EXT_BASE ? m->host_max : m->host_max_ext;
	u32 r[4];

	if (leaf > max)
		return e;
	m->host(leaf, subleaf, r);
	e.eax = r[0];
	e.ebx = r[1];
	e.ecx = r[2];
	e.edx = r[3];
	return e;
}

/* Entries are added in rising order: guest_cpuid_find() relies on it. */
static void add(const struct maker *m, const struct cpuid_entry *e)
{
	ASSERT(m->p->count < CPUID_POLICY_MAX);
	m->p->entries[m->p->count++] = *e;
	if (e->leaf < CPUID_INDEXED && m->p->first[e->leaf] == 0)
		m->p->first[e->leaf] = (u8)m->p->count;
}

static void add_leaf(const struct maker *m, struct cpuid_entry e)
{
	e.any_subleaf = true;
	/* Of the leaves without sub-leaves guest_cpuid() changes these two. */
	e.constant = e.leaf != 1 && e.leaf != CPUID_EXT_BASE + 1;
	add(m, &e);
}

/* AVX needs SSE, and the three AVX-512 states come together (SDM vol. 1 13.3). */
static u64 xcr0_of_host(const struct maker *m)
{
	struct cpuid_entry e = ask(m, 1, 0);
	u64 host, xcr0 = XCR0_X87 | XCR0_SSE;

	if ((e.ecx & CPUID1_ECX_XSAVE) == 0 || m->host_max < LEAF_MAX_XSAVE)
		return 0;
	e = ask(m, LEAF_MAX_XSAVE, 0);
	host = (u64)e.edx << 32 | e.eax;
	if ((host & xcr0) != xcr0)
		return 0;
	xcr0 |= host & (XCR0_AVX | XCR0_PKRU);
	if ((host & XCR0_AVX512) == XCR0_AVX512 && (xcr0 & XCR0_AVX) != 0)
		xcr0 |= XCR0_AVX512;
	return xcr0;
}

static u32 bits_for(u32 count)
{
	return count > 1 ? 32 - (u32)__builtin_clz(count - 1) : 0;
}

/* Maximum leaf and vendor, version and features, cache descriptors. */
static void make_first(const struct maker *m)
{
	struct cpuid_entry e = ask(m, 0, 0);

	e.eax = m->xcr0 != 0 ? LEAF_MAX_XSAVE : LEAF_MAX_LEAST;
	if (m->tsc_hz != 0 && !m->p->amd)
		e.eax = LEAF_MAX_TSC;
	add_leaf(m, e);

	e = ask(m, 1, 0);
	/* EBX: brand index, CLFLUSH size, APIC ids of the package; the own id comes with the answer. */
	e.ebx = (e.ebx & 0xffff) | m->vcpus << 16;
	e.ecx = (e.ecx & SHOWN_1_ECX) | CPUID1_ECX_HV;
	e.edx &= SHOWN_1_EDX;
	if (m->on->has_apic) {
		e.ecx |= CPUID1_ECX_X2APIC;
		e.edx |= CPUID1_EDX_APIC;
	}
	if (m->on->has_apic && m->on->has_apic_timer)
		e.ecx |= CPUID1_ECX_TSC_DL;
	if (m->vcpus > 1)
		e.edx |= CPUID1_EDX_HTT;
	if ((m->xcr0 & XCR0_AVX) == 0)
		e.ecx &= ~AVX_1_ECX;
	if (m->xcr0 == 0)
		e.ecx &= ~CPUID1_ECX_XSAVE;
	add_leaf(m, e);
	if (!m->p->amd)
		add_leaf(m, ask(m, 2, 0));
}

/* SDM vol. 2A, leaf 4: first and second level of a core's own, the others of the package. */
static void make_caches(const struct maker *m)
{
	for (u32 i = 0; i < CACHES_MAX && !m->p->amd; i++) {
		struct cpuid_entry e = ask(m, 4, i);
		u32 ids = (1u << m->id_bits) - 1;

		if ((e.eax & 0x1f) == 0)
			return;
		e.eax &= 0x3fff;
		if ((e.eax >> 5 & 7) > 2)
			e.eax |= ids << 14;
		e.eax |= ids << 26;
		add(m, &e);
	}
}

static void make_features(const struct maker *m)
{
	struct cpuid_entry e = {.leaf = 6};
	u32 subleaves;

	if (m->on->has_apic && m->on->has_apic_timer)
		e.eax = CPUID6_EAX_ARAT;
	add_leaf(m, e);

	e = ask(m, 7, 0);
	subleaves = (u32)min_u64(e.eax, 2);
	e.eax = subleaves;
	/* TSC_ADJUST is emulated: it needs nothing of the host. */
	e.ebx = (e.ebx & SHOWN_7_EBX) | CPUID7_EBX_TSC_ADJUST;
	e.ecx &= SHOWN_7_ECX;
	e.edx &= SHOWN_7_EDX;
	if ((m->xcr0 & XCR0_AVX) == 0) {
		e.ebx &= ~CPUID7_EBX_AVX2;
		e.ecx &= ~CPUID7_ECX_AVX;
	}
	if ((m->xcr0 & XCR0_AVX512) == 0) {
		e.ebx &= ~CPUID7_EBX_AVX512;
		e.ecx &= ~CPUID7_ECX_AVX512;
		e.edx &= ~CPUID7_EDX_AVX512;
	}
	if ((m->xcr0 & XCR0_PKRU) == 0)
		e.ecx &= ~CPUID7_ECX_PKU;
	add(m, &e);
	if (subleaves >= 1) {
		e = ask(m, 7, 1);
		e = (struct cpuid_entry){.leaf = 7, .subleaf = 1, .eax = e.eax & SHOWN_71_EAX};
		if ((m->xcr0 & XCR0_AVX) == 0)
			e.eax &= ~CPUID71_EAX_AVX;
		if ((m->xcr0 & XCR0_AVX512) == 0)
			e.eax &= ~CPUID71_EAX_BF16;
		add(m, &e);
	}
	if (subleaves >= 2) {
		e = ask(m, 7, 2);
		e = (struct cpuid_entry){.leaf = 7, .subleaf = 2, .edx = e.edx & SHOWN_72_EDX};
		add(m, &e);
	}
}

/* SDM vol. 3A 8.9: one thread a core, all cores in one package. ECX and EDX come with the answer. */
static void make_topology(const struct maker *m)
{
	struct cpuid_entry smt = {.leaf = 0xb, .ebx = 1, .ecx = CPUIDB_ECX_SMT};
	struct cpuid_entry core = {.leaf = 0xb,
				   .subleaf = 1,
				   .eax = m->id_bits,
				   .ebx = m->vcpus,
				   .ecx = CPUIDB_ECX_CORE};

	add(m, &smt);
	add(m, &core);
}

/* SDM vol. 1 13.2. EBX of the first two depends on XCR0 and comes with the answer. */
static void make_xsave(const struct maker *m)
{
	struct cpuid_entry e, first = {.leaf = LEAF_MAX_XSAVE, .eax = (u32)m->xcr0};
	u32 at;

	if (m->xcr0 == 0)
		return;
	first.ecx = XSAVE_LEGACY;
	at = m->p->count;
	add(m, &first);
	e = ask(m, LEAF_MAX_XSAVE, 1);
	e = (struct cpuid_entry){.leaf = LEAF_MAX_XSAVE, .subleaf = 1, .eax = e.eax & SHOWN_D1_EAX};
	add(m, &e);
	for (u32 i = XSAVE_FIRST; i <= XSAVE_LAST; i++) {
		if ((m->xcr0 >> i & 1) == 0)
			continue;
		e = ask(m, LEAF_MAX_XSAVE, i);
		e.ecx &= XSAVE_ECX_ALIGNED;
		e.edx = 0;
		add(m, &e);
		first.ecx = (u32)max_u64(first.ecx, (u64)e.ebx + e.eax);
	}
	m->p->entries[at] = first;
}

/*
 * SDM vol. 2A, leaves 15H and 16H: TSC = ECX * EBX / EAX. The "crystal" is the TSC itself, or the
 * largest whole part of it that 32 bits hold; a guest's LAPIC timer counts at that rate.
 */
static void make_clock(const struct maker *m)
{
	struct cpuid_entry e = {.leaf = 0x15, .eax = 1};

	if (m->tsc_hz == 0 || m->p->amd)
		return;
	e.ebx = (u32)(m->tsc_hz >> 32) + 1;
	e.ecx = (u32)(m->tsc_hz / e.ebx);
	add_leaf(m, e);
	e = (struct cpuid_entry){.leaf = LEAF_MAX_TSC};
	e.eax = e.ebx = (u32)min_u64(m->tsc_hz / 1000000, 0xffff);
	add_leaf(m, e);
}

/* Signature and interface version; then KVM's leaves, which need a clock of known frequency. */
static void make_hypervisor(const struct maker *m)
{
	struct cpuid_entry e = {.leaf = CPUID_HV_BASE, .eax = CPUID_HV_BASE + 1};

	memcpy(&e.ebx, "Tern", 4);
	e.ecx = e.edx = e.ebx;
	add_leaf(m, e);
	add_leaf(m, (struct cpuid_entry){.leaf = CPUID_HV_BASE + 1,
					 .eax = CPUID_TERN_VERSION,
					 .ebx = CPUID_TERN_AGENT});
	if (m->tsc_hz == 0)
		return;
	add_leaf(m, (struct cpuid_entry){.leaf = CPUID_KVM_BASE,
					 .eax = CPUID_KVM_FEATURES,
					 .ebx = CPUID_KVM_EBX,
					 .ecx = CPUID_KVM_ECX,
					 .edx = CPUID_KVM_EDX});
	add_leaf(m, (struct cpuid_entry){.leaf = CPUID_KVM_FEATURES,
					 .eax = KVM_EAX_CLOCK | KVM_EAX_STEAL | KVM_EAX_STABLE});
}

static void make_extended(const struct maker *m)
{
	struct cpuid_entry e = ask(m, CPUID_EXT_BASE, 0);
	u32 phys, virt, edx;

	e.eax = LEAF_MAX_EXT;
	add_leaf(m, e);

	e = ask(m, 1, 0);
	edx = e.edx & SHOWN_1_EDX & CPUIDX1_EDX_SAME;
	if (m->on->has_apic)
		edx |= CPUID1_EDX_APIC;
	e = ask(m, CPUID_EXT_BASE + 1, 0);
	e.ecx &= SHOWN_X1_ECX;
	e.edx &= SHOWN_X1_EDX;
	if ((m->xcr0 & XCR0_AVX) == 0)
		e.ecx &= ~CPUIDX1_ECX_AVX;
	if (m->p->amd) {
		e.edx |= edx;
		if (m->vcpus > 1)
			e.ecx |= CPUIDX1_ECX_CMP_LEGACY;
	}
	add_leaf(m, e);
	for (u32 i = 2; i < 2 + BRAND_LEAVES; i++)
		add_leaf(m, ask(m, CPUID_EXT_BASE + i, 0));
	add_leaf(m, ask(m, CPUID_EXT_BASE + 5, 0));
	add_leaf(m, ask(m, CPUID_EXT_BASE + 6, 0));
	e = ask(m, CPUID_EXT_BASE + 7, 0);
	e = (struct cpuid_entry){.leaf = CPUID_EXT_BASE + 7, .edx = e.edx & CPUIDX7_EDX_TSC_INV};
	add_leaf(m, e);

	/* Second-level tables of four levels translate 48 bits. */
	e = ask(m, LEAF_MAX_EXT, 0);
	phys = (e.eax & 0xff) != 0 ? e.eax & 0xff : PHYS_BITS_DEFAULT;
	virt = (e.eax >> 8 & 0xff) != 0 ? e.eax >> 8 & 0xff : VIRT_BITS;
	e.eax = (u32)min_u64(phys, VIRT_BITS) | (u32)min_u64(virt, VIRT_BITS) << 8;
	e.ebx &= SHOWN_X8_EBX;
	e.ecx = m->p->amd ? (m->vcpus - 1) | m->id_bits << 12 : 0;
	e.edx = 0;
	add_leaf(m, e);
}

void guest_cpuid_policy_on(struct cpuid_policy *p, cpuid_host_fn *host, u32 vcpus, u64 tsc_hz,
			   const struct cpuid_platform *on)
{
	struct maker m = {.p = p, .host = host, .on = on, .vcpus = vcpus, .tsc_hz = tsc_hz};
	u32 r[4];

	ASSERT(vcpus >= 1 && vcpus <= VCPUS_PER_VM_MAX);
	memset(p, 0, sizeof(*p));
	m.id_bits = bits_for(vcpus);
	host(0, 0, r);
	m.host_max = r[0];
	p->amd = r[1] == CPUID_AMD_EBX || r[1] == CPUID_HYGON_EBX;
	host(CPUID_EXT_BASE, 0, r);
	/* A CPU without extended leaves answers with its last basic leaf. */
	m.host_max_ext = r[0] >= CPUID_EXT_BASE && r[0] < CPUID_EXT_BASE + 0x10000 ? r[0] : 0;
	m.xcr0 = xcr0_of_host(&m);
	make_first(&m);
	make_caches(&m);
	make_features(&m);
	make_topology(&m);
	make_xsave(&m);
	make_clock(&m);
	make_hypervisor(&m);
	make_extended(&m);
}

void guest_cpuid_policy(struct cpuid_policy *p, cpuid_host_fn *host, u32 vcpus, u64 tsc_hz)
{
	guest_cpuid_policy_on(p, host, vcpus, tsc_hz, &tern_platform);
}

static const struct cpuid_entry *search(const struct cpuid_policy *p, u32 leaf, u32 subleaf)
{
	u64 key = (u64)leaf << 32 | subleaf;
	u32 low = 0, high = p->count;
	const struct cpuid_entry *e;

	/* The last entry that is not above the key. */
	while (low < high) {
		u32 mid = (low + high) / 2;

		e = &p->entries[mid];
		if (((u64)e->leaf << 32 | e->subleaf) <= key)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == 0)
		return NULL;
	e = &p->entries[low - 1];
	return e->leaf == leaf && (e->any_subleaf || e->subleaf == subleaf) ? e : NULL;
}

/* Basic leaves are what guests ask for most, mostly their only sub-leaf or the first. */
const struct cpuid_entry *guest_cpuid_find(const struct cpuid_policy *p, u32 leaf, u32 subleaf)
{
	const struct cpuid_entry *e;

	if (leaf >= CPUID_INDEXED)
		return search(p, leaf, subleaf);
	if (p->first[leaf] == 0)
		return NULL;
	e = &p->entries[p->first[leaf] - 1];
	return e->any_subleaf || e->subleaf == subleaf ? e : search(p, leaf, subleaf);
}

u64 guest_xcr0_allowed(const struct cpuid_policy *p)
{
	const struct cpuid_entry *e = guest_cpuid_find(p, LEAF_MAX_XSAVE, 0);

	return e != NULL ? (u64)e->edx << 32 | e->eax : 0;
}

u8 guest_phys_bits(const struct cpuid_policy *p)
{
	const struct cpuid_entry *e = guest_cpuid_find(p, LEAF_MAX_EXT, 0);

	return e != NULL ? (u8)e->eax : PHYS_BITS_DEFAULT;
}

/* Bytes of the XSAVE area for xcr0, SDM vol. 1 13.4.3. */
static u32 xsave_size(const struct cpuid_policy *p, u64 xcr0)
{
	u32 size = XSAVE_LEGACY;

	for (u32 i = XSAVE_FIRST; i <= XSAVE_LAST; i++) {
		const struct cpuid_entry *e;

		if ((xcr0 >> i & 1) == 0)
			continue;
		e = guest_cpuid_find(p, LEAF_MAX_XSAVE, i);
		if (e != NULL)
			size = (u32)max_u64(size, (u64)e->ebx + e->eax);
	}
	return size;
}

/* Whatever the guest asked for beyond the range is the last basic leaf (SDM vol. 2A, CPUID). */
static u32 in_range(const struct cpuid_policy *p, u32 leaf)
{
	u32 max = p->entries[0].eax;

	if (leaf <= max || p->amd || (leaf >= CPUID_EXT_BASE && leaf <= LEAF_MAX_EXT) ||
	    (leaf >= CPUID_HV_BASE && leaf < CPUID_HV_END))
		return leaf;
	return max;
}

void guest_cpuid(const struct cpuid_policy *p, const struct cpuid_state *s, u32 leaf, u32 subleaf,
		 u32 out[4])
{
	const struct cpuid_entry *e;

	leaf = in_range(p, leaf);
	e = guest_cpuid_find(p, leaf, subleaf);
	out[0] = e != NULL ? e->eax : 0;
	out[1] = e != NULL ? e->ebx : 0;
	out[2] = e != NULL ? e->ecx : 0;
	out[3] = e != NULL ? e->edx : 0;
	switch (leaf) {
	case 1:
		out[1] |= s->apic_id << 24;
		if ((s->cr4 & CR4_OSXSAVE) != 0)
			out[2] |= CPUID1_ECX_OSXSAVE;
		if (!s->apic_enabled)
			out[3] &= ~CPUID1_EDX_APIC;
		break;
	case 7:
		if (subleaf == 0 && (s->cr4 & CR4_PKE) != 0)
			out[2] |= CPUID7_ECX_OSPKE;
		break;
	case 0xb:
		/* Sub-leaves beyond the last level repeat the input and the id. */
		out[2] |= subleaf & 0xff;
		out[3] = s->apic_id;
		break;
	case LEAF_MAX_XSAVE:
		if (e != NULL && subleaf == 0)
			out[1] = xsave_size(p, s->xcr0);
		break;
	case CPUID_EXT_BASE + 1:
		if (p->amd && !s->apic_enabled)
			out[3] &= ~CPUID1_EDX_APIC;
		break;
	default:
		break;
	}
}
