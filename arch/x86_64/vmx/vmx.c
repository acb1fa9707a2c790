/* SPDX-License-Identifier: MIT */
/* VT-x: the table of virt_ops; VMs, vCPUs, where their VMCSs are loaded, and the way into a guest. */
#include "vmx.h"

#include <tern/err.h>
#include <tern/frames.h>
#include <tern/lib.h>
#include <tern/log.h>
#include <tern/vcpu_loop.h>

#include "../mitigate.h"
#include "../mitigate_regs.h"
#include "../x86.h"
#include "ept.h"
#include "vmcs_access.h"
#include "vmx_bitmaps.h"
#include "vmx_check.h"
#include "vmx_exit_regs.h"
#include "vmx_decode.h"
#include "vmx_enter.h"
#include "vmx_regs.h"
#include "vmx_tlb.h"

_Static_assert(VMX_ENTER_HOST_RSP == VMCS_HOST_RSP && VMX_ENTER_SEL_DATA == SEL_DATA &&
		       VMX_ENTER_MITIGATE_RSB == MITIGATE_RSB,
	       "vmx_enter.h");

static struct {
	const struct vcpu *last; /* the vCPU that was loaded last; this CPU only */
} ALIGNED(64) cpus[CPUS_MAX];

static int vmx_cpu_enable(struct pcpu *pc)
{
	struct mitigate_facts facts;
	int rc = vmx_caps_enable(pc->index);

	if (rc != 0)
		return rc;
	vmx_switch_init();
	if (pc->index == 0) {
		mitigate_facts_get(&facts);
		mitigate_init(&facts);
	}
	return 0;
}

static void vmx_cpu_disable(struct pcpu *pc)
{
	vmx_caps_disable(pc->index);
}

/* CPUID as the controls let a guest have it. */
static void host_cpuid(u32 leaf, u32 subleaf, u32 out[4])
{
	struct cpuid_regs r = cpuid(leaf, subleaf);

	if (leaf == 7 && subleaf == 0 && (vmx_caps.proc2.use & PROC2_INVPCID) == 0)
		r.ebx &= ~CPUID7_EBX_INVPCID;
	if (leaf == CPUID_EXT_BASE + 1 && (vmx_caps.proc2.use & PROC2_RDTSCP) == 0)
		r.edx &= ~CPUIDX1_EDX_RDTSCP;
	if (leaf == CPUID_XSAVE && subleaf == 0) {
		r.eax &= (u32)vmx_switch_xcr0();
		r.edx &= (u32)(vmx_switch_xcr0() >> 32);
	}
	memcpy(out, &r, sizeof(r));
}

static int vmx_vm_create(struct vm *vm)
{
	struct vmx_vm *x;
	int rc = vmx_bitmaps_init();

	if (rc != 0)
		return rc;
	x = frames_alloc_page();
	if (x == NULL)
		return -TERN_ENOMEM;
	guest_cpuid_policy(&x->cpuid, host_cpuid, vm->vcpu_count, arch_tsc_hz());
	x->ept_pointer = ept_pointer(vm->mem.npt.root, vmx_caps.ept_vpid);
	x->cr4_allowed = guest_cr4_allowed(&x->cpuid);
	x->efer_allowed = guest_efer_allowed(&x->cpuid);
	x->xcr0_allowed = guest_xcr0_allowed(&x->cpuid) & vmx_switch_xcr0();
	x->phys_bits = guest_phys_bits(&x->cpuid);
	vmx_tlb_vm_init(x);
	vm->arch = x;
	return 0;
}

static void vmx_vm_destroy(struct vm *vm)
{
	frames_free_page(vm->arch);
	vm->arch = NULL;
}

static void free_parts(struct vmx_vcpu *v)
{
	if (v->vmcs.v != 0)
		frame_put(v->vmcs);
	vmx_tlb_vcpu_end(v);
	if (v->arch.xsave != NULL && v->arch.xsave != (u8 *)v + VMX_XSAVE_OFFSET)
		frame_put(virt_to_phys(v->arch.xsave));
	frames_free_page(v);
}

static int alloc_parts(struct vmx_vcpu *v)
{
	u32 size = vmx_switch_xsave_size();
	hpa_t pa;
	int rc;

	rc = frames_alloc(0, FRAME_ZERO, FRAME_NODE_ANY, &v->vmcs);
	if (rc != 0)
		return rc;
	vmx_tlb_vcpu_init(v);
	v->arch.xsave = (u8 *)v + VMX_XSAVE_OFFSET;
	if (size <= PAGE_SIZE - VMX_XSAVE_OFFSET)
		return 0;
	v->arch.xsave = NULL;
	ASSERT(size <= PAGE_SIZE << 1);
	rc = frames_alloc(1, FRAME_ZERO, FRAME_NODE_ANY, &pa);
	if (rc == 0)
		v->arch.xsave = phys_to_virt(pa);
	return rc;
}

static int vmx_vcpu_create(struct vcpu *vc)
{
	struct vmx_vcpu *v = frames_alloc_page();
	int rc;

	if (v == NULL)
		return -TERN_ENOMEM;
	v->vm = vc->vm->arch;
	rc = alloc_parts(v);
	if (rc != 0) {
		free_parts(v);
		return rc;
	}
	*(u32 *)phys_to_virt(v->vmcs) = vmx_caps.revision;
	v->arch.cpuid = &v->vm->cpuid;
	v->arch.vendor = v;
	vmx_switch_reset(&v->arch);
	vc->arch = &v->arch;
	vc->gpr = v->arch.gpr;
	return 0;
}

static void vmx_vcpu_destroy(struct vcpu *vc)
{
	for (u32 i = 0; i < CPUS_MAX; i++)
		if (__atomic_load_n(&cpus[i].last, __ATOMIC_RELAXED) == vc)
			__atomic_store_n(&cpus[i].last, NULL, __ATOMIC_RELAXED);
	free_parts(vmx_of(vc));
	vc->arch = NULL;
}

static void vmx_vcpu_reset(struct vcpu *vc)
{
	struct vmx_vcpu *v = vmx_of(vc);

	ASSERT(v->loaded);
	vmx_switch_reset(&v->arch);
	v->arch.gpr[REG_RDX] = cpuid(1, 0).eax;
	v->arch.pending.type = v->interrupt.type = EVENT_NONE;
	v->arch.nmi_pending = v->triple_fault = false;
	v->attention = true; /* whatever its APIC had is to be looked at anew */
	v->vectoring.info = 0;
	vmcs_reset_guest(v);
	guest_msr_reset(vc, &vmx_msr_backend);
	vmx_switch_in(&v->arch);
	vmx_flush_linear(v);
}

static void vmx_vcpu_load(struct vcpu *vc)
{
	struct vmx_vcpu *v = vmx_of(vc);
	struct pcpu *pc = pcpu_self();

	if (!v->ready)
		vmcs_clear(v->vmcs); /* gives it a state (SDM vol. 3C 25.11.3) */
	vmcs_load(v->vmcs);
	if (!v->ready)
		vmcs_init(vc);
	v->ready = v->loaded = true;
	if (vmx_tlb_load(v, pc->index))
		vmcs_set_host(pc);
	guest_time_load(vc);
	if (v->tsc_offset != v->arch.tsc_offset) {
		v->tsc_offset = v->arch.tsc_offset;
		vmwrite64(VMCS_TSC_OFFSET, v->tsc_offset);
	}
	if ((mitigate_flags & MITIGATE_IBPB) != 0 &&
	    __atomic_load_n(&cpus[pc->index].last, __ATOMIC_RELAXED) != vc)
		wrmsr(MSR_PRED_CMD, PRED_CMD_IBPB);
	__atomic_store_n(&cpus[pc->index].last, vc, __ATOMIC_RELAXED);
	vmx_switch_in(&v->arch);
}

static void vmx_vcpu_unload(struct vcpu *vc)
{
	struct vmx_vcpu *v = vmx_of(vc);

	vmx_switch_out(&v->arch);
	/* Written back: the next load may be on another CPU (SDM vol. 3C 25.11.1). */
	vmcs_clear(v->vmcs);
	v->launched = false;
	v->loaded = false;
}

static u64 read_vmcs(UNUSED const struct vmcs_view *view, u32 field)
{
	return vmcs_read(field);
}

static void audit(struct vcpu *vc, u32 reason, u32 error)
{
	const struct vmcs_view view = {.read = read_vmcs, .caps = &vmx_caps};
	char why[160];

	if (!vmx_check(&view, why, sizeof(why)))
		str_copy(why, "the auditor finds no fault", sizeof(why));
	if (error != 0)
		log_err("vm %s: VM entry failed with error %u (%s): %s", vc->vm->name, error,
			vmx_decode_insn_error(error), why);
	else
		log_err("vm %s: VM entry failed by %s, qualification %lu: %s", vc->vm->name,
			vmx_decode_reason(reason), vmread(VMCS_EXIT_QUALIFICATION), why);
}

/* Debug builds look before they enter. */
static bool audit_entry(struct vcpu *vc)
{
	const struct vmcs_view view = {.read = read_vmcs, .caps = &vmx_caps};
	char why[160];

	if (!vmx_check(&view, why, sizeof(why)))
		return true;
	log_err("vm %s: not entered: %s", vc->vm->name, why);
	return false;
}

/*
 * The timer counts in the guest only and keeps its value across exits (EXIT_SAVE_TIMER), so it is set
 * once a time slice and not once an entry. What the host spent meanwhile is not counted: the core looks
 * at the clock after each exit.
 */
static void set_timer(struct vmx_vcpu *v, u64 until)
{
	u64 now = rdtsc(), left = until > now ? until - now : 0;

	left >>= vmx_caps.misc & VMX_MISC_TIMER_RATE;
	vmwrite32(VMCS_PREEMPTION_TIMER, (u32)min_u64(left, UINT32_MAX));
	v->until = until;
}

static u32 mitigate(const struct vmx_vcpu *v)
{
	u32 flags = 0;

	if ((mitigate_flags & MITIGATE_L1D) != 0)
		wrmsr(MSR_FLUSH_CMD, FLUSH_CMD_L1D);
	if ((mitigate_flags & MITIGATE_VERW) != 0)
		flags |= VMX_ENTER_VERW;
	if (v->arch.spec_ctrl != 0)
		wrmsr(MSR_SPEC_CTRL, v->arch.spec_ctrl);
	return flags;
}

/* Not inlined: the frames they need would be paid for by every exit. */
#define OWN_FRAME __attribute__((noinline))

/* VMLAUNCH or VMRESUME itself failed. */
static OWN_FRAME void insn_failed(struct vcpu *vc, u64 failed, struct vm_exit *out)
{
	ASSERT(failed == VMX_ENTER_FAILED);
	out->kind = EXIT_FAILED;
	out->insn_len = 0;
	out->raw = vmread32(VMCS_INSN_ERROR);
	audit(vc, 0, (u32)out->raw);
}

void vmx_entry_failed(struct vcpu *vc, u32 reason, struct vm_exit *out)
{
	vmx_of(vc)->launched = false; /* SDM vol. 3C 27.8: the launch state is as before */
	out->kind = EXIT_FAILED;
	out->raw = reason;
	audit(vc, reason & EXIT_REASON_MASK, 0);
}

/* What is not to be done before every entry. False: *out says why there is none. */
static OWN_FRAME bool prepare(struct vcpu *vc, u64 until, struct vm_exit *out)
{
	struct vmx_vcpu *v = vmx_of(vc);

	out->tsc = rdtsc();
	out->insn_len = 0;
	if (v->attention && !vmx_event_prepare(vc)) {
		out->kind = EXIT_SHUTDOWN;
		return false;
	}
	if (TERN_DEBUG && !audit_entry(vc)) {
		out->kind = EXIT_FAILED;
		out->raw = 0;
		return false;
	}
	if (until != v->until)
		set_timer(v, until);
	return true;
}

/*
 * One entry and exit by vmx_enter.S; VMX_ENTERED or why the instruction failed. The compiler is told that
 * all registers but two are lost, so what they hold is saved once before the loop and not at each entry.
 */
static inline u64 vmx_enter(u64 *gpr, u64 flags, u64 *host_rsp)
{
	u64 result;

	__asm__ volatile("call vmx_enter"
			 : "=a"(result), "+D"(gpr), "+S"(flags), "+d"(host_rsp)
			 :
			 : "rcx", "r8", "r9", "r10", "r11", "r13", "r14", "r15", "memory", "cc");
	return result;
}

/* What a guest does most on purpose is not one of many cases. */
static inline void vmx_exit_hypercall(struct vcpu *vc, struct vm_exit *out)
{
	out->kind = EXIT_HYPERCALL;
	out->insn_len = (u8)vmread32(VMCS_EXIT_INSN_LEN);
	vcpu_count_as(vc, STAT_HYPERCALL);
}

VCPU_LOOP_INLINE u64 enter(struct vmx_vcpu *v)
{
	u32 flags = v->launched ? VMX_ENTER_RESUME : 0;
	u64 failed;

	vmx_tlb_enter(v);
	if (UNLIKELY(mitigate_flags != 0))
		flags |= mitigate(v);
	failed = vmx_enter(v->arch.gpr, flags, &v->host_rsp);
	if (UNLIKELY(mitigate_flags != 0) && v->arch.spec_ctrl != 0)
		wrmsr(MSR_SPEC_CTRL, 0);
	vmx_tlb_leave(v);
	return failed;
}

VCPU_LOOP_INLINE void enter_once(struct vcpu *vc, u64 until, struct vm_exit *out)
{
	struct vmx_vcpu *v = vmx_of(vc);
	u64 failed;
	u32 reason;

	if (UNLIKELY(v->attention || until != v->until || TERN_DEBUG) && !prepare(vc, until, out))
		return;
	failed = enter(v);
	out->tsc = rdtsc();
	if (UNLIKELY(failed != VMX_ENTERED)) {
		insn_failed(vc, failed, out);
		return;
	}
	v->launched = true;
	reason = vmread32(VMCS_EXIT_REASON);
	if (reason == EXIT_REASON_VMCALL)
		vmx_exit_hypercall(vc, out);
	else
		vmx_exit_decode(vc, reason, out);
}

static bool vmx_vcpu_run(struct vcpu *vc, u64 until)
{
	guest_time_enter(vc);
	return vcpu_loop(&virt_vmx, vc, until, enter_once);
}

static const struct npt_format *vmx_npt_format(void)
{
	return ept_format_for(vmx_caps.ept_vpid);
}

const struct virt_ops virt_vmx = {
	.name = "VT-x",
	.npt_format = vmx_npt_format,
	.cpu_enable = vmx_cpu_enable,
	.cpu_disable = vmx_cpu_disable,
	.vm_create = vmx_vm_create,
	.vm_destroy = vmx_vm_destroy,
	.vcpu_create = vmx_vcpu_create,
	.vcpu_destroy = vmx_vcpu_destroy,
	.vcpu_reset = vmx_vcpu_reset,
	.vcpu_load = vmx_vcpu_load,
	.vcpu_unload = vmx_vcpu_unload,
	.vcpu_run = vmx_vcpu_run,
	.reg_get = vmx_reg_get,
	.reg_set = vmx_reg_set,
	.seg_get = vmx_seg_get,
	.seg_set = vmx_seg_set,
	.skip = vmx_skip,
	.pio_done = vmx_pio_done,
	.inject = vmx_inject,
	.npt_flush = vmx_npt_flush,
};
