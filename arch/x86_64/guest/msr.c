/* SPDX-License-Identifier: MIT */
/*
 * MSRs of a guest: one table of all that exist, sorted; whatever is not in it faults. docs/msrs.md
 * publishes the same rows, a unit test compares them.
 */
#include "guest.h"

#include <tern/err.h>
#include <tern/vlapic.h>
#include <tern/vm.h>

#include "msr_regs.h"
#include "pvclock_regs.h"

struct msr_row;

struct msr_access {
	struct vcpu *vc;
	const struct msr_backend *be;
	const struct msr_row *row;
	u32 msr;
};

/* A condition on the VM's CPUID, and how docs/msrs.md words it. */
struct msr_need {
	const char *text;
	bool (*met)(const struct cpuid_policy *p);
};

struct msr_row {
	u32 first, last;
	enum msr_action action;
	const char *name;
	const char *writes; /* what docs/msrs.md says of a write */
	u64 reset;
	u64 mask;                    /* bits that a write may set, where the write function asks */
	size_t field;                /* in struct vcpu_arch, of the first MSR */
	const struct msr_need *need; /* NULL: always there */
	int (*read)(const struct msr_access *a, u64 *value); /* NULL: #GP */
	int (*write)(const struct msr_access *a, u64 value); /* NULL: #GP */
};

/* --- what CPUID must show --- */

/* A CPUID bit: in EAX to EDX of a leaf. */
static bool shows(const struct cpuid_policy *p, u32 leaf, u32 subleaf, u32 ebx, u32 ecx, u32 edx)
{
	const struct cpuid_entry *e = guest_cpuid_find(p, leaf, subleaf);

	return e != NULL && ((e->ebx & ebx) | (e->ecx & ecx) | (e->edx & edx)) != 0;
}

static bool has_apic(const struct cpuid_policy *p)
{
	return shows(p, 1, 0, 0, 0, CPUID1_EDX_APIC);
}

static bool has_x2apic(const struct cpuid_policy *p)
{
	return shows(p, 1, 0, 0, CPUID1_ECX_X2APIC, 0);
}

static bool has_deadline(const struct cpuid_policy *p)
{
	return shows(p, 1, 0, 0, CPUID1_ECX_TSC_DL, 0);
}

static bool has_mca(const struct cpuid_policy *p)
{
	return shows(p, 1, 0, 0, 0, CPUID1_EDX_MCA);
}

static bool has_mtrr(const struct cpuid_policy *p)
{
	return shows(p, 1, 0, 0, 0, CPUID1_EDX_MTRR);
}

static bool has_arch_cap(const struct cpuid_policy *p)
{
	return shows(p, 7, 0, 0, 0, CPUID7_EDX_ARCH_CAP);
}

static bool has_ibpb(const struct cpuid_policy *p)
{
	return shows(p, 7, 0, 0, 0, CPUID7_EDX_IBRS) ||
	       shows(p, CPUID_EXT_BASE + 8, 0, CPUIDX8_EBX_IBPB, 0, 0);
}

static bool has_tsc_aux(const struct cpuid_policy *p)
{
	return shows(p, CPUID_EXT_BASE + 1, 0, 0, 0, CPUIDX1_EDX_RDTSCP) ||
	       shows(p, 7, 0, 0, CPUID7_ECX_RDPID, 0);
}

/* Bits of IA32_SPEC_CTRL and the CPUID bits that bring them (SDM vol. 4; APM vol. 2, 3.2.9). A CPU
 * with IBRS but without STIBP takes the STIBP bit and does nothing. */
static const struct {
	u64 bits;
	u32 leaf, subleaf;
	u32 ebx, edx;
} spec_ctrl_bits[] = {
	{SPEC_CTRL_IBRS | SPEC_CTRL_STIBP, 7, 0, .edx = CPUID7_EDX_IBRS},
	{SPEC_CTRL_STIBP, 7, 0, .edx = CPUID7_EDX_STIBP},
	{SPEC_CTRL_SSBD, 7, 0, .edx = CPUID7_EDX_SSBD},
	{SPEC_CTRL_PSFD, 7, 2, .edx = CPUID72_EDX_PSFD},
	{SPEC_CTRL_IPRED_DIS, 7, 2, .edx = CPUID72_EDX_IPRED},
	{SPEC_CTRL_RRSBA_DIS, 7, 2, .edx = CPUID72_EDX_RRSBA},
	{SPEC_CTRL_DDPD_U, 7, 2, .edx = CPUID72_EDX_DDPD_U},
	{SPEC_CTRL_BHI_DIS_S, 7, 2, .edx = CPUID72_EDX_BHI},
	{SPEC_CTRL_IBRS, CPUID_EXT_BASE + 8, 0, .ebx = CPUIDX8_EBX_IBRS},
	{SPEC_CTRL_STIBP, CPUID_EXT_BASE + 8, 0, .ebx = CPUIDX8_EBX_STIBP},
	{SPEC_CTRL_SSBD, CPUID_EXT_BASE + 8, 0, .ebx = CPUIDX8_EBX_SSBD},
};

static u64 spec_ctrl_allowed(const struct cpuid_policy *p)
{
	u64 bits = 0;

	for (size_t i = 0; i < ARRAY_SIZE(spec_ctrl_bits); i++)
		if (shows(p, spec_ctrl_bits[i].leaf, spec_ctrl_bits[i].subleaf,
			  spec_ctrl_bits[i].ebx, 0, spec_ctrl_bits[i].edx))
			bits |= spec_ctrl_bits[i].bits;
	return bits;
}

static bool has_spec_ctrl(const struct cpuid_policy *p)
{
	return spec_ctrl_allowed(p) != 0;
}

static bool has_kvm(const struct cpuid_policy *p, u32 eax)
{
	const struct cpuid_entry *e = guest_cpuid_find(p, CPUID_KVM_FEATURES, 0);

	return e != NULL && (e->eax & eax) != 0;
}

static bool has_kvm_clock(const struct cpuid_policy *p)
{
	return has_kvm(p, KVM_EAX_CLOCK);
}

static bool has_kvm_steal(const struct cpuid_policy *p)
{
	return has_kvm(p, KVM_EAX_STEAL);
}

static const struct msr_need need_apic = {"CPUID.1:EDX[9]", has_apic};
static const struct msr_need need_x2apic = {"CPUID.1:ECX[21], LAPIC in x2APIC mode", has_x2apic};
static const struct msr_need need_deadline = {"CPUID.1:ECX[24]", has_deadline};
static const struct msr_need need_mca = {"CPUID.1:EDX[14]", has_mca};
static const struct msr_need need_mtrr = {"CPUID.1:EDX[12]", has_mtrr};
static const struct msr_need need_arch_cap = {"CPUID.7:EDX[29]", has_arch_cap};
static const struct msr_need need_ibpb = {"CPUID.7:EDX[26] or CPUID.80000008H:EBX[12]", has_ibpb};
static const struct msr_need need_spec_ctrl = {"CPUID shows one of its bits", has_spec_ctrl};
static const struct msr_need need_tsc_aux = {"CPUID.80000001H:EDX[27] or CPUID.7:ECX[22]",
					     has_tsc_aux};

static const struct msr_need need_kvm_clock = {"CPUID.40000101H:EAX[3]", has_kvm_clock};
static const struct msr_need need_kvm_steal = {"CPUID.40000101H:EAX[5]", has_kvm_steal};

/* --- what several rows share --- */

static u64 *field_of(struct vcpu_arch *arch, const struct msr_row *row, u32 msr)
{
	u64 *first = (u64 *)(void *)((char *)arch + row->field);

	return first + (msr - row->first);
}

static u64 *field(const struct msr_access *a)
{
	return field_of(a->vc->arch, a->row, a->msr);
}

static int read_reset(const struct msr_access *a, u64 *value)
{
	*value = a->row->reset;
	return 0;
}

static int read_field(const struct msr_access *a, u64 *value)
{
	*value = *field(a);
	return 0;
}

static int read_backend(const struct msr_access *a, u64 *value)
{
	*value = a->be->read(a->vc, a->msr);
	return 0;
}

static int write_ignored(UNUSED const struct msr_access *a, UNUSED u64 value)
{
	return 0;
}

static int write_reset(const struct msr_access *a, u64 value)
{
	return value == a->row->reset ? 0 : -TERN_EINVAL;
}

static int write_backend(const struct msr_access *a, u64 value)
{
	if ((value & ~a->row->mask) != 0)
		return -TERN_EINVAL;
	a->be->write(a->vc, a->msr, value);
	return 0;
}

/* SDM vol. 1 3.3.7.1: all bits from the highest implemented one up are equal. */
static int write_address(const struct msr_access *a, u64 value)
{
	u64 high = value >> (VIRT_BITS - 1);

	if (high != 0 && high != ~0ul >> (VIRT_BITS - 1))
		return -TERN_EINVAL;
	a->be->write(a->vc, a->msr, value);
	return 0;
}

/* Bits from MAXPHYADDR up. */
static u64 not_physical(const struct msr_access *a)
{
	return ~0ul << guest_phys_bits(a->vc->arch->cpuid);
}

/* Each byte of value is a memory type of the set (bit n: type n is valid). */
static bool types_valid(u64 value, u32 set)
{
	for (u32 i = 0; i < 64; i += 8) {
		u64 type = value >> i & MTRR_TYPE;

		if (type > 7 || (set >> type & 1) == 0)
			return false;
	}
	return true;
}

/* --- one row each --- */

/* SDM vol. 3B 17.17.3: a write of either register moves the other by as much. */
static void move_tsc(const struct msr_access *a, u64 delta)
{
	struct vcpu_arch *arch = a->vc->arch;

	arch->tsc_offset += delta;
	arch->tsc_adjust += delta;
	a->be->write(a->vc, MSR_TSC, arch->tsc_offset);
	if (a->vc->lapic != NULL)
		vlapic_tsc_moved(a->vc);
	guest_pvclock_written(a->vc, MSR_KVM_SYSTEM_TIME_NEW);
}

static int write_tsc(const struct msr_access *a, u64 value)
{
	move_tsc(a, value - a->be->read(a->vc, MSR_TSC));
	return 0;
}

static int write_tsc_adjust(const struct msr_access *a, u64 value)
{
	move_tsc(a, value - a->vc->arch->tsc_adjust);
	return 0;
}

/* SDM vol. 3A 11.12.5 and figure 11-27: which modes follow each other. */
static int write_apic_base(const struct msr_access *a, u64 value)
{
	const u64 modes = APIC_BASE_ENABLE | APIC_BASE_X2APIC;
	u64 before = a->vc->arch->apic_base, old = before & modes, new = value &modes;
	u64 defined = APIC_BASE_BSP | APIC_BASE_ENABLE | (APIC_BASE_ADDR & ~not_physical(a));

	if (has_x2apic(a->vc->arch->cpuid))
		defined |= APIC_BASE_X2APIC;
	if ((value & ~defined) != 0 || new == APIC_BASE_X2APIC)
		return -TERN_EINVAL;
	if (old == modes && new == APIC_BASE_ENABLE)
		return -TERN_EINVAL;
	if (old == 0 && new == modes)
		return -TERN_EINVAL;
	/* Others read in it how to address this vCPU. */
	__atomic_store_n(&a->vc->arch->apic_base, value, __ATOMIC_RELAXED);
	if (a->vc->lapic != NULL)
		vlapic_base_changed(a->vc, before, value);
	return 0;
}

static int write_spec_ctrl(const struct msr_access *a, u64 value)
{
	if ((value & ~spec_ctrl_allowed(a->vc->arch->cpuid)) != 0)
		return -TERN_EINVAL;
	a->vc->arch->spec_ctrl = value;
	return 0;
}

static int write_pred_cmd(const struct msr_access *a, u64 value)
{
	/* Zero is allowed and asks for nothing. */
	return value == 0 ? 0 : write_backend(a, value);
}

static int read_arch_cap(const struct msr_access *a, u64 *value)
{
	*value = a->be->read(a->vc, a->msr) & ARCH_CAP_SHOWN;
	return 0;
}

/* Bits that are not writable must keep the value they have. */
static int write_misc_enable(const struct msr_access *a, u64 value)
{
	if (((value ^ a->vc->arch->misc_enable) & ~a->row->mask) != 0)
		return -TERN_EINVAL;
	a->vc->arch->misc_enable = value;
	return 0;
}

static int write_pat(const struct msr_access *a, u64 value)
{
	if (!types_valid(value, PAT_TYPES_VALID))
		return -TERN_EINVAL;
	a->be->write(a->vc, a->msr, value);
	return 0;
}

static int write_mtrr_fixed(const struct msr_access *a, u64 value)
{
	if (!types_valid(value, MTRR_TYPES_VALID))
		return -TERN_EINVAL;
	*field(a) = value;
	return 0;
}

/* Pairs of base (even) and mask, SDM vol. 3A figure 11-7. */
static int write_mtrr_var(const struct msr_access *a, u64 value)
{
	bool mask = ((a->msr - MSR_MTRR_PHYS) & 1) != 0;

	if ((value & (not_physical(a) | (mask ? MTRR_MASK_RSVD : MTRR_BASE_RSVD))) != 0)
		return -TERN_EINVAL;
	if (!mask && !types_valid(value & MTRR_TYPE, MTRR_TYPES_VALID))
		return -TERN_EINVAL;
	*field(a) = value;
	return 0;
}

static int write_mtrr_default(const struct msr_access *a, u64 value)
{
	if ((value & ~a->row->mask) != 0 || !types_valid(value & MTRR_TYPE, MTRR_TYPES_VALID))
		return -TERN_EINVAL;
	*field(a) = value;
	return 0;
}

static int write_efer(const struct msr_access *a, u64 value)
{
	struct cr_state s = {.cr0 = a->be->reg(a->vc, REG_CR0),
			     .efer = a->be->read(a->vc, MSR_EFER)};

	if (guest_efer_write(&s, value, guest_efer_allowed(a->vc->arch->cpuid)) != 0)
		return -TERN_EINVAL;
	a->be->write(a->vc, MSR_EFER, s.efer);
	return 0;
}

static int apic(const struct msr_access *a, bool write, u64 *value)
{
	return a->be->apic != NULL ? a->be->apic(a->vc, a->msr, write, value) : -TERN_EINVAL;
}

static int read_deadline(const struct msr_access *a, u64 *value)
{
	return apic(a, false, value);
}

static int write_deadline(const struct msr_access *a, u64 value)
{
	return apic(a, true, &value);
}

static bool in_x2apic_mode(const struct msr_access *a)
{
	const u64 modes = APIC_BASE_ENABLE | APIC_BASE_X2APIC;

	return (a->vc->arch->apic_base & modes) == modes;
}

static int read_x2apic(const struct msr_access *a, u64 *value)
{
	return in_x2apic_mode(a) ? apic(a, false, value) : -TERN_EINVAL;
}

static int write_x2apic(const struct msr_access *a, u64 value)
{
	return in_x2apic_mode(a) ? apic(a, true, &value) : -TERN_EINVAL;
}

/* An address and, in some, a bit that turns it on. */
static int write_kvm(const struct msr_access *a, u64 value)
{
	if ((value & ~a->row->mask) != 0)
		return -TERN_EINVAL;
	*field(a) = value;
	guest_pvclock_written(a->vc, a->msr);
	return 0;
}

/* --- the table, rising --- */

#define ONE(msr)    .first = (msr), .last = (msr)
#define RANGE(a, b) .first = (a), .last = (b)
#define FIELD(f)    .field = offsetof(struct vcpu_arch, f), .read = read_field
#define READ_ONLY(value) \
	.action = MSR_EMULATE, .reset = (value), .read = read_reset, .writes = "#GP"
#define PASS_ADDRESS \
	.action = MSR_PASS, .read = read_backend, .write = write_address, .writes = "canonical"
#define PASS_BITS(bits, text)                                                             \
	.action = MSR_PASS, .read = read_backend, .write = write_backend, .mask = (bits), \
	.writes = (text)

static const struct msr_row rows[] = {
	{ONE(MSR_P5_MC_ADDR), .name = "IA32_P5_MC_ADDR", READ_ONLY(0)},
	{ONE(MSR_P5_MC_TYPE), .name = "IA32_P5_MC_TYPE", READ_ONLY(0)},
	{ONE(MSR_TSC), .name = "IA32_TIME_STAMP_COUNTER", .action = MSR_EMULATE,
	 .read = read_backend, .write = write_tsc, .writes = "any; moves IA32_TSC_ADJUST"},
	{ONE(MSR_PLATFORM_ID), .name = "IA32_PLATFORM_ID", READ_ONLY(0)},
	{ONE(MSR_APIC_BASE), .name = "IA32_APIC_BASE", .action = MSR_EMULATE, FIELD(apic_base),
	 .reset = APIC_BASE_DEFAULT | APIC_BASE_ENABLE, .need = &need_apic,
	 .write = write_apic_base, .writes = "defined bits, mode changes of SDM vol. 3A 11.12.5"},
	{ONE(MSR_FEATURE_CONTROL), .name = "IA32_FEATURE_CONTROL", .action = MSR_FAULT,
	 .writes = "#GP"},
	{ONE(MSR_TSC_ADJUST), .name = "IA32_TSC_ADJUST", .action = MSR_EMULATE, FIELD(tsc_adjust),
	 .write = write_tsc_adjust, .writes = "any; moves IA32_TIME_STAMP_COUNTER"},
	{ONE(MSR_SPEC_CTRL), .name = "IA32_SPEC_CTRL", .action = MSR_EMULATE, FIELD(spec_ctrl),
	 .need = &need_spec_ctrl, .write = write_spec_ctrl, .writes = "bits that CPUID shows"},
	{ONE(MSR_PRED_CMD), .name = "IA32_PRED_CMD", .action = MSR_EMULATE, .need = &need_ibpb,
	 .write = write_pred_cmd, .mask = PRED_CMD_IBPB, .writes = "bit 0: barrier"},
	{ONE(MSR_BIOS_UPDT_TRIG), .name = "IA32_BIOS_UPDT_TRIG", .action = MSR_EMULATE,
	 .write = write_ignored, .writes = "ignored"},
	{ONE(MSR_BIOS_SIGN_ID), .name = "IA32_BIOS_SIGN_ID", .action = MSR_EMULATE,
	 .reset = BIOS_SIGN_VALUE, .read = read_reset, .write = write_ignored, .writes = "ignored"},
	{ONE(MSR_PLATFORM_INFO), .name = "MSR_PLATFORM_INFO", READ_ONLY(0)},
	{ONE(MSR_MTRRCAP), .name = "IA32_MTRRCAP", READ_ONLY(MTRRCAP_VALUE), .need = &need_mtrr},
	{ONE(MSR_ARCH_CAPABILITIES), .name = "IA32_ARCH_CAPABILITIES", .action = MSR_EMULATE,
	 .need = &need_arch_cap, .read = read_arch_cap, .writes = "#GP"},
	{ONE(MSR_MISC_FEATURES), .name = "MSR_MISC_FEATURES_ENABLES", .action = MSR_EMULATE,
	 .read = read_reset, .write = write_reset, .writes = "0"},
	{ONE(MSR_SYSENTER_CS), .name = "IA32_SYSENTER_CS", PASS_BITS(UINT32_MAX, "bits 31:0")},
	{ONE(MSR_SYSENTER_ESP), .name = "IA32_SYSENTER_ESP", PASS_ADDRESS},
	{ONE(MSR_SYSENTER_EIP), .name = "IA32_SYSENTER_EIP", PASS_ADDRESS},
	{ONE(MSR_MCG_CAP), .name = "IA32_MCG_CAP", READ_ONLY(0), .need = &need_mca},
	{ONE(MSR_MCG_STATUS), .name = "IA32_MCG_STATUS", .action = MSR_EMULATE, .need = &need_mca,
	 .read = read_reset, .write = write_reset, .writes = "0"},
	{ONE(MSR_MISC_ENABLE), .name = "IA32_MISC_ENABLE", .action = MSR_EMULATE,
	 FIELD(misc_enable), .reset = MISC_ENABLE_RESET, .mask = MISC_ENABLE_FAST_STRING,
	 .write = write_misc_enable, .writes = "only bit 0 may change"},
	{ONE(MSR_DEBUGCTL), .name = "IA32_DEBUGCTL", .action = MSR_EMULATE, .read = read_reset,
	 .write = write_reset, .writes = "0"},
	{RANGE(MSR_MTRR_PHYS, MSR_MTRR_PHYS_LAST), .name = "IA32_MTRR_PHYSBASE0 - PHYSMASK7",
	 .action = MSR_EMULATE, FIELD(mtrr_var), .need = &need_mtrr, .write = write_mtrr_var,
	 .writes = "defined bits below MAXPHYADDR, MTRR type"},
	{ONE(MSR_MTRR_FIX64K), .name = "IA32_MTRR_FIX64K_00000", .action = MSR_EMULATE,
	 FIELD(mtrr_fixed[0]), .need = &need_mtrr, .write = write_mtrr_fixed,
	 .writes = "8 MTRR types"},
	{RANGE(MSR_MTRR_FIX16K, MSR_MTRR_FIX16K_LAST), .name = "IA32_MTRR_FIX16K_80000 - A0000",
	 .action = MSR_EMULATE, FIELD(mtrr_fixed[1]), .need = &need_mtrr, .write = write_mtrr_fixed,
	 .writes = "8 MTRR types"},
	{RANGE(MSR_MTRR_FIX4K, MSR_MTRR_FIX4K_LAST), .name = "IA32_MTRR_FIX4K_C0000 - F8000",
	 .action = MSR_EMULATE, FIELD(mtrr_fixed[3]), .need = &need_mtrr, .write = write_mtrr_fixed,
	 .writes = "8 MTRR types"},
	{ONE(MSR_PAT), .name = "IA32_PAT", .action = MSR_EMULATE, .reset = PAT_RESET,
	 .read = read_backend, .write = write_pat, .writes = "8 PAT types"},
	{ONE(MSR_MTRR_DEF_TYPE), .name = "IA32_MTRR_DEF_TYPE", .action = MSR_EMULATE,
	 FIELD(mtrr_def_type), .mask = MTRR_DEF_DEFINED, .need = &need_mtrr,
	 .write = write_mtrr_default, .writes = "bits 11, 10, MTRR type"},
	{RANGE(MSR_VMX_BASIC, MSR_VMX_LAST), .name = "IA32_VMX_*", .action = MSR_FAULT,
	 .writes = "#GP"},
	{ONE(MSR_TSC_DEADLINE), .name = "IA32_TSC_DEADLINE", .action = MSR_EMULATE,
	 .need = &need_deadline, .read = read_deadline, .write = write_deadline,
	 .writes = "any; by the virtual LAPIC"},
	{RANGE(MSR_X2APIC_BASE, MSR_X2APIC_LAST), .name = "IA32_X2APIC_*", .action = MSR_EMULATE,
	 .need = &need_x2apic, .read = read_x2apic, .write = write_x2apic,
	 .writes = "by the virtual LAPIC"},
	{ONE(MSR_KVM_WALL_CLOCK_NEW), .name = "MSR_KVM_WALL_CLOCK_NEW", .action = MSR_EMULATE,
	 FIELD(pv_wall), .mask = ~KVM_WALL_RSVD, .need = &need_kvm_clock, .write = write_kvm,
	 .writes = "bits 63:2: address"},
	{ONE(MSR_KVM_SYSTEM_TIME_NEW), .name = "MSR_KVM_SYSTEM_TIME_NEW", .action = MSR_EMULATE,
	 FIELD(pv_system), .mask = ~KVM_SYSTEM_RSVD, .need = &need_kvm_clock, .write = write_kvm,
	 .writes = "bits 63:2: address; bit 0: on"},
	{ONE(MSR_KVM_STEAL_TIME), .name = "MSR_KVM_STEAL_TIME", .action = MSR_EMULATE,
	 FIELD(pv_steal), .mask = ~KVM_STEAL_RSVD, .need = &need_kvm_steal, .write = write_kvm,
	 .writes = "bits 63:6: address; bit 0: on"},
	{ONE(MSR_EFER), .name = "IA32_EFER", .action = MSR_EMULATE, .read = read_backend,
	 .write = write_efer, .writes = "bits that CPUID shows; LME only while CR0.PG = 0"},
	{ONE(MSR_STAR), .name = "IA32_STAR", PASS_BITS(UINT64_MAX, "any")},
	{ONE(MSR_LSTAR), .name = "IA32_LSTAR", PASS_ADDRESS},
	{ONE(MSR_CSTAR), .name = "IA32_CSTAR", PASS_ADDRESS},
	{ONE(MSR_FMASK), .name = "IA32_FMASK", PASS_BITS(UINT32_MAX, "bits 31:0")},
	{ONE(MSR_FS_BASE), .name = "IA32_FS_BASE", PASS_ADDRESS},
	{ONE(MSR_GS_BASE), .name = "IA32_GS_BASE", PASS_ADDRESS},
	{ONE(MSR_KERNEL_GS_BASE), .name = "IA32_KERNEL_GS_BASE", PASS_ADDRESS},
	{ONE(MSR_TSC_AUX), .name = "IA32_TSC_AUX", .need = &need_tsc_aux,
	 PASS_BITS(UINT32_MAX, "bits 31:0")},
};

/* Binary search: an exit's cost counts. */
static const struct msr_row *row_of(u32 msr)
{
	size_t low = 0, high = ARRAY_SIZE(rows);

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (msr > rows[mid].last)
			low = mid + 1;
		else if (msr < rows[mid].first)
			high = mid;
		else
			return &rows[mid];
	}
	return NULL;
}

/* The row of an MSR that this VM has, or NULL. */
static const struct msr_row *row_for(const struct vcpu *vc, u32 msr)
{
	const struct msr_row *row = row_of(msr);

	if (row == NULL || (row->need != NULL && !row->need->met(vc->arch->cpuid)))
		return NULL;
	return row;
}

/* Not inlined: what it keeps on the stack would be paid for by those that need none of it. */
static __attribute__((noinline)) int read_any(struct vcpu *vc, const struct msr_backend *be,
					      u32 msr, u64 *value)
{
	const struct msr_access a = {vc, be, row_for(vc, msr), msr};

	if (a.row == NULL || a.row->read == NULL)
		return -TERN_EINVAL;
	vc->arch->msr_last = (u32)(a.row - rows);
	return a.row->read(&a, value);
}

int guest_rdmsr(struct vcpu *vc, const struct msr_backend *be, u32 msr, u64 *value)
{
	const struct msr_row *row = &rows[vc->arch->msr_last];

	/* The same as the last time, and no more to it than a field. */
	if (msr - row->first <= row->last - row->first && row->need == NULL &&
	    row->read == read_field) {
		*value = *field_of(vc->arch, row, msr);
		return 0;
	}
	return read_any(vc, be, msr, value);
}

int guest_wrmsr(struct vcpu *vc, const struct msr_backend *be, u32 msr, u64 value)
{
	struct msr_access a = {vc, be, row_for(vc, msr), msr};

	if (a.row == NULL || a.row->write == NULL)
		return -TERN_EINVAL;
	return a.row->write(&a, value);
}

bool guest_msr_passes(u32 msr)
{
	const struct msr_row *row = row_of(msr);

	return row != NULL && row->action == MSR_PASS;
}

void guest_msr_reset(struct vcpu *vc, const struct msr_backend *be)
{
	vc->arch->msr_last = 0;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct msr_access a = {vc, be, &rows[i], rows[i].first};

		if (a.row->first == MSR_TSC)
			continue;
		for (; a.msr <= a.row->last; a.msr++) {
			if (a.row->read == read_field)
				*field(&a) = a.row->reset;
			else if (a.row->read == read_backend && row_for(vc, a.msr) != NULL)
				be->write(vc, a.msr, a.row->reset);
		}
	}
	if (vc->index == 0)
		vc->arch->apic_base |= APIC_BASE_BSP;
}

bool guest_msr_info(u32 i, struct msr_info *out)
{
	const struct msr_row *row;

	if (i >= ARRAY_SIZE(rows))
		return false;
	row = &rows[i];
	*out = (struct msr_info){
		.first = row->first,
		.last = row->last,
		.action = row->action,
		.name = row->name,
		.when = row->need != NULL ? row->need->text : "",
		.writes = row->writes,
		.reset = row->reset,
		.readable = row->read != NULL,
		.writable = row->write != NULL,
	};
	return true;
}
