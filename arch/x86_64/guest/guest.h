/* SPDX-License-Identifier: MIT */
/*
 * x86 truths of a guest, shared by VT-x and AMD-V: what CPUID says, which MSRs exist, which control
 * register values are allowed, how two events become one. A backend (vmx, svm) calls these and keeps
 * the hardware's copy; nothing here touches a VMCS or VMCB.
 */
#ifndef GUEST_H
#define GUEST_H

#include <tern/types.h>
#include <tern/virt.h>

struct vcpu;

/* What a vCPU has beside what its VMCS or VMCB holds. (o): only the CPU that runs it. */
struct vcpu_arch {
	u64 gpr[16]; /* (o) by enum vcpu_reg; RSP is in the VMCS or VMCB */
	u64 cr2;
	u64 dr[4], dr6;
	u64 xcr0;
	void *xsave; /* (c) one page or more, 64-byte aligned: guest's extended state while not running */
	u64 star, lstar, cstar, sfmask, kernel_gs_base; /* (o) SYSCALL and SWAPGS MSRs */
	u64 tsc_aux, tsc_offset, tsc_adjust;
	u64 apic_base, misc_enable, pat;
	u64 spec_ctrl; /* (o) the backend loads it at each entry */
	u32 msr_last;  /* (o) row of the MSR read last: msr.c looks there first */
	u64 mtrr_def_type, mtrr_fixed[11], mtrr_var[16];
	u64 time_base;                    /* (o) vm.time_base that is in tsc_offset */
	u64 pv_wall, pv_system, pv_steal; /* (o) KVM's MSRs; 0: off */
	u64 pv_origin, pv_waited;         /* (o) what is in their pages, unless that is due */
	u32 pv_version, pv_due;           /* (o) see pvclock.c */
	struct vcpu_event pending;        /* (o) to deliver at the next entry */
	bool nmi_pending;                 /* (a) */
	const struct cpuid_policy *cpuid; /* (c) of the VM */
	void *vendor;                     /* (c) struct vmx_vcpu or svm_vcpu */
};

/* --- CPUID (cpuid_policy.c): a table per VM, made once, so that it can move with the VM --- */
#define CPUID_POLICY_MAX   64u
#define CPUID_INDEXED      32u       /* leaves found without a search */
#define CPUID_TERN_VERSION 1u        /* leaf 40000001H EAX: of the interface, docs/cpuid.md */
#define CPUID_TERN_AGENT   (1u << 0) /* EBX: HC_AGENT_* are there */
struct cpuid_entry {
	u32 leaf, subleaf;
	bool any_subleaf;
	bool constant; /* the answer as it is, whatever the vCPU's state */
	u32 eax, ebx, ecx, edx;
};
struct cpuid_policy {
	u32 count;
	bool amd;                /* AMD's rules: leaves out of range read as zero */
	u8 first[CPUID_INDEXED]; /* number of the first entry of a basic leaf, plus 1; 0: none */
	struct cpuid_entry entries[CPUID_POLICY_MAX]; /* rising by leaf, subleaf */
};
typedef void cpuid_host_fn(u32 leaf, u32 subleaf, u32 out[4]);
/* What the platform around the vCPU has; guest_cpuid_policy() takes what Tern has today. */
struct cpuid_platform {
	bool has_apic;       /* a LAPIC with both modes: APIC and x2APIC shown */
	bool has_apic_timer; /* its timer: TSC-deadline and ARAT shown */
};
/*
 * Fills *p from what the host has (host) and Tern implements, for a VM of 1 to VCPUS_PER_VM_MAX
 * vCPUs whose APIC ids are their indices. tsc_hz 0: unknown. Pure. host answers as the CPU does but
 * without what the backend's controls do not cover (RDTSCP, INVPCID). docs/cpuid.md.
 */
void guest_cpuid_policy(struct cpuid_policy *p, cpuid_host_fn *host, u32 vcpus, u64 tsc_hz);
void guest_cpuid_policy_on(struct cpuid_policy *p, cpuid_host_fn *host, u32 vcpus, u64 tsc_hz,
			   const struct cpuid_platform *on);
/* The guest executed CPUID: parts that depend on state (OSXSAVE, APIC id, XCR0 sizes) are filled in. */
struct cpuid_state {
	u32 apic_id;
	u64 cr4, xcr0;
	bool apic_enabled; /* IA32_APIC_BASE bit 11 */
};
void guest_cpuid(const struct cpuid_policy *p, const struct cpuid_state *s, u32 leaf, u32 subleaf,
		 u32 out[4]);
/* The entry as it was made, or NULL: all zero. */
const struct cpuid_entry *guest_cpuid_find(const struct cpuid_policy *p, u32 leaf, u32 subleaf);
/* The answer where it is one of the basic leaves and depends on nothing, else NULL: guest_cpuid(). Most
 * of what a guest asks for while it runs. */
static inline const struct cpuid_entry *guest_cpuid_constant(const struct cpuid_policy *p, u32 leaf)
{
	const struct cpuid_entry *e;

	if (leaf >= CPUID_INDEXED || p->first[leaf] == 0)
		return NULL;
	e = &p->entries[p->first[leaf] - 1];
	return e->constant ? e : NULL;
}
/* What the policy offers: XCR0 bits, and MAXPHYADDR. */
u64 guest_xcr0_allowed(const struct cpuid_policy *p);
u8 guest_phys_bits(const struct cpuid_policy *p);

/* --- MSRs (msr.c): one table, published as docs/msrs.md --- */
enum msr_action { MSR_EMULATE, MSR_PASS, MSR_FAULT };
/*
 * How msr.c reaches what is not in struct vcpu_arch. read, write: the MSRs that the hardware holds for
 * the loaded vCPU: EFER, PAT, FS_BASE, GS_BASE, SYSENTER_*, and those that the backend switches: STAR,
 * LSTAR, CSTAR, SFMASK, KERNEL_GS_BASE, TSC_AUX. Values were checked. Also
 *   read IA32_TIME_STAMP_COUNTER	what RDTSC gives the guest now
 *   write IA32_TIME_STAMP_COUNTER	the new arch->tsc_offset, for the VMCS or VMCB
 *   read IA32_ARCH_CAPABILITIES	the host's, asked for only when CPUID shows it
 *   write IA32_PRED_CMD		the barrier is made now
 */
struct msr_backend {
	u64 (*read)(struct vcpu *vc, u32 msr);
	void (*write)(struct vcpu *vc, u32 msr, u64 value);
	/* As virt_ops.reg_get: EFER's rules depend on CR0. */
	u64 (*reg)(struct vcpu *vc, enum vcpu_reg reg);
	/* The virtual LAPIC: x2APIC MSRs (in x2APIC mode) and IA32_TSC_DEADLINE. 0, or -TERN_EINVAL:
	 * #GP(0). NULL: none, they fault. */
	int (*apic)(struct vcpu *vc, u32 msr, bool write, u64 *value);
};
/* 0, or -TERN_EINVAL: the guest gets #GP(0) and nothing has changed. vc->arch->cpuid is set. */
MUST_CHECK int guest_rdmsr(struct vcpu *vc, const struct msr_backend *be, u32 msr, u64 *value);
MUST_CHECK int guest_wrmsr(struct vcpu *vc, const struct msr_backend *be, u32 msr, u64 value);
/* True when the guest may access that MSR without an exit (for the MSR bitmap). */
bool guest_msr_passes(u32 msr);
/* Power-on values (SDM vol. 3A table 9-1) of all but the TSC, whose offset is the VM's affair. */
void guest_msr_reset(struct vcpu *vc, const struct msr_backend *be);

/* One row of the table, for those who publish it and for the MSR bitmap. */
struct msr_info {
	u32 first, last;
	enum msr_action action;
	const char *name, *when, *writes; /* as docs/msrs.md has them; when "": always there */
	u64 reset;
	bool readable, writable;
};
/* The i-th row, rising by MSR; false: no more. */
MUST_CHECK bool guest_msr_info(u32 i, struct msr_info *out);

/* --- time (pvclock.c) --- */
/* The loaded vCPU is going to enter its guest, in a while: its TSC and timer follow what vm.time_base has moved by. For
 * virt_ops.vcpu_load, which then gives arch->tsc_offset to the hardware. */
void guest_time_load(struct vcpu *vc);
/* It enters the guest now: what the pages of KVM's clock lack is written. For virt_ops.vcpu_run. IRQs off. */
void guest_time_enter(struct vcpu *vc);
/* The guest has written one of KVM's MSRs, whose field has the value; or moved its TSC: MSR_KVM_SYSTEM_TIME_NEW. The owner. */
void guest_pvclock_written(struct vcpu *vc, u32 msr);
/* Nanoseconds of a clock of hz, 1 MHz to 8 GHz: ticks << shift, or >> -shift, times mul / 2^32. mul is from 2^31 on and right
 * to half a unit, so the rate is off by less than 0.00025 ppm. */
struct pvclock_scale {
	u32 mul;
	s8 shift;
};
struct pvclock_scale guest_pvclock_scale(u64 hz);
u64 guest_pvclock_ns(struct pvclock_scale s, u64 ticks);

/* --- control registers (cr.c), SDM vol. 3A 2.5, 4.1: 0, or -TERN_EINVAL: #GP(0) --- */
struct cr_state {
	u64 cr0, cr3, cr4, efer, xcr0;
	bool cs_long;    /* CS.L */
	bool tr_16bit;   /* TR holds a 16-bit TSS */
	u64 cr4_allowed; /* what this VM's CPUID offers */
	u64 xcr0_allowed;
	u8 phys_bits;
};
/* Checks a write and gives the values that result (EFER.LMA follows CR0.PG and EFER.LME). On error
 * *s is as before. Loading the PDPTEs is the caller's: guest_pdptes_reload(). */
MUST_CHECK int guest_cr0_write(struct cr_state *s, u64 value);
MUST_CHECK int guest_cr3_write(struct cr_state *s, u64 value);
MUST_CHECK int guest_cr4_write(struct cr_state *s, u64 value);
MUST_CHECK int guest_efer_write(struct cr_state *s, u64 value, u64 efer_allowed);
MUST_CHECK int guest_xcr0_write(struct cr_state *s, u64 value);
/* PAE paging keeps its four PDPTEs in the CPU (SDM vol. 3A 4.4.1): true when the step from one state
 * to the next loads them from CR3; 0, or -TERN_EINVAL: #GP(0) instead of the write. */
bool guest_pdptes_reload(const struct cr_state *before, const struct cr_state *after,
			 bool cr3_written);
MUST_CHECK int guest_pdptes_check(const u64 pdpte[4], u8 phys_bits);
/* CR4 and EFER bits that a CPUID policy offers. */
u64 guest_cr4_allowed(const struct cpuid_policy *p);
u64 guest_efer_allowed(const struct cpuid_policy *p);

/* --- events (event.c): SDM vol. 3A 6.15 table 6-5: what a second event makes of a first --- */
/* EVENT_DELIVER: second as it is; EVENT_DOUBLE_FAULT: *second has become #DF(0). */
enum event_merge { EVENT_DELIVER, EVENT_DOUBLE_FAULT, EVENT_SHUTDOWN };
enum event_merge guest_event_merge(const struct vcpu_event *first, struct vcpu_event *second);
/* True when the vector pushes an error code in protected mode. */
bool guest_vector_has_error(u8 vector);

/* --- page walk (walk.c): guest-virtual to guest-physical, SDM vol. 3A chapter 4 --- */
struct walk_state {
	u64 cr0, cr3, cr4, efer, rflags;
	bool user; /* CPL 3 */
	u8 phys_bits;
	/* PAE: the four PDPTE registers (VT-x keeps them in the VMCS), or NULL: read where CR3 points, as
	 * AMD-V does (APM vol. 2 15.25.10). */
	const u64 *pdpte;
};
enum walk_access { WALK_READ, WALK_WRITE, WALK_FETCH };
struct gmem;
/*
 * 0; -TERN_EFAULT: *fault is the #PF to inject (and CR2 = gva), or #GP(0) for a gva that is not
 * canonical; -TERN_EAGAIN: a table cannot be backed now; -TERN_EBUSY: other vCPUs kept changing the
 * tables, enter the guest and let it try again. *out is the entry's address with these two: a touch
 * of it does what is to be done. Sets A and D bits as the CPU does.
 */
MUST_CHECK int guest_walk(struct gmem *mem, const struct walk_state *s, u64 gva,
			  enum walk_access access, gpa_t *out, struct vcpu_event *fault);
/* True when bits 63:47 of a linear address are the same (SDM vol. 1 3.3.7.1): no LA57 here. */
static inline bool guest_canonical(u64 gva)
{
	return (u64)((s64)(gva << 16) >> 16) == gva;
}

#endif
