/* SPDX-License-Identifier: MIT */
/* The contents of a VMCS before its first entry, and the instructions that work on whole VMCSs. */
#include "vmcs.h"

#include <tern/err.h>
#include <tern/frames.h>
#include <tern/lib.h>
#include <tern/vlapic.h>

#include "../cpu.h"
#include "../hpt.h"
#include "../x86.h"
#include "vmcs_access.h"
#include "vmx.h"
#include "vmx_bitmaps.h"
#include "vmx_regs.h"

extern const char vmx_enter_exit[];

/* A loop of PAUSEs at most this many ticks apart is a spin loop; it may last so many ticks. */
#define PAUSE_GAP    128u
#define PAUSE_WINDOW 4096u

#define VMCS_NO_LINK (~0ul)

/* Bits of CR0 and CR4 that a guest changes without an exit; of CR4 only those its CPUID offers. */
#define CR0_OWNED (CR0_MP | CR0_EM | CR0_TS | CR0_WP | CR0_AM)
#define CR4_OWNED                                                                                 \
	(CR4_VME | CR4_PVI | CR4_TSD | CR4_DE | CR4_PGE | CR4_PCE | CR4_OSFXSR | CR4_OSXMMEXCPT | \
	 CR4_FSGSBASE)

void vmcs_access_failed(bool write, u32 field)
{
	panic("%s of %s (%#x) failed with %u, called from %p", write ? "VMWRITE" : "VMREAD",
	      vmcs_field_name(field), field,
	      field == VMCS_INSN_ERROR ? 0 : vmread32(VMCS_INSN_ERROR),
	      __builtin_return_address(0));
}

void vmcs_clear(hpa_t vmcs)
{
	bool failed;

	__asm__ volatile("vmclear %1" : "=@ccbe"(failed) : "m"(vmcs.v) : "memory");
	ASSERT(!failed);
}

void vmcs_load(hpa_t vmcs)
{
	bool failed;

	__asm__ volatile("vmptrld %1" : "=@ccbe"(failed) : "m"(vmcs.v) : "memory");
	ASSERT(!failed);
}

struct invalidate {
	u64 which, address;
};

void vmcs_invvpid(u16 vpid)
{
	struct invalidate d = {vpid, 0};
	bool failed;

	__asm__ volatile("invvpid %1, %2" : "=@ccbe"(failed) : "m"(d), "r"(INV_SINGLE) : "memory");
	ASSERT(!failed);
}

void vmcs_invept(u64 ept_pointer)
{
	struct invalidate d = {ept_pointer, 0};
	bool failed;

	__asm__ volatile("invept %1, %2" : "=@ccbe"(failed) : "m"(d), "r"(INV_SINGLE) : "memory");
	ASSERT(!failed);
}

static void init_controls(struct vmx_vcpu *v, hpa_t virtual_apic)
{
	const struct vmx_caps *c = &vmx_caps;
	u32 exit = c->exit.use, proc2 = c->proc2.use & ~PROC2_APICV;

	if (v->vpid == 0)
		proc2 &= ~PROC2_VPID;
	v->proc_controls = c->proc.use;
	vmwrite32(VMCS_PIN_CONTROLS, c->pin.use);
	vmwrite32(VMCS_PROC_CONTROLS, v->proc_controls);
	vmwrite32(VMCS_PROC2_CONTROLS, proc2);
	vmwrite32(VMCS_EXIT_CONTROLS, exit);
	vmwrite32(VMCS_ENTRY_CONTROLS, c->entry.use);
	vmwrite32(VMCS_EXCEPTION_BITMAP, 1u << VEC_DB | 1u << VEC_AC | 1u << VEC_MC);
	vmwrite32(VMCS_PF_ERROR_MASK, 0);
	vmwrite32(VMCS_PF_ERROR_MATCH, 0);
	vmwrite32(VMCS_CR3_TARGET_COUNT, 0);
	vmwrite32(VMCS_EXIT_MSR_STORE_COUNT, 0);
	vmwrite32(VMCS_EXIT_MSR_LOAD_COUNT, 0);
	vmwrite32(VMCS_ENTRY_MSR_LOAD_COUNT, 0);
	vmwrite32(VMCS_ENTRY_INTR_INFO, 0);
	vmwrite64(VMCS_IO_BITMAP_A, vmx_bitmaps_io().v);
	vmwrite64(VMCS_IO_BITMAP_B, vmx_bitmaps_io().v);
	vmwrite64(VMCS_MSR_BITMAP, vmx_bitmaps_msr(false).v);
	vmwrite64(VMCS_EPT_POINTER, v->vm->ept_pointer);
	vmwrite64(VMCS_TSC_OFFSET, 0);
	v->tsc_offset = 0;
	if ((proc2 & PROC2_VPID) != 0)
		vmwrite16(VMCS_VPID, v->vpid);
	if ((proc2 & PROC2_PAUSE_LOOP) != 0) {
		vmwrite32(VMCS_PLE_GAP, PAUSE_GAP);
		vmwrite32(VMCS_PLE_WINDOW, PAUSE_WINDOW);
	}
	if ((proc2 & PROC2_ENCLS) != 0)
		vmwrite64(VMCS_ENCLS_BITMAP, ~0ul);
	if ((v->proc_controls & PROC_TPR_SHADOW) != 0) {
		vmwrite64(VMCS_VIRTUAL_APIC_ADDR, virtual_apic.v);
		vmwrite32(VMCS_TPR_THRESHOLD, 0);
	}
	vmwrite(VMCS_CR0_MASK, ~CR0_OWNED);
	vmwrite(VMCS_CR4_MASK, ~(CR4_OWNED & v->vm->cr4_allowed));
	vmwrite64(VMCS_LINK_POINTER, VMCS_NO_LINK);
}

static void init_host(void)
{
	vmwrite(VMCS_HOST_CR0, read_cr0());
	vmwrite(VMCS_HOST_CR3, hpt_root().v);
	vmwrite(VMCS_HOST_CR4, read_cr4());
	vmwrite16(VMCS_HOST_CS_SELECTOR, SEL_CODE);
	vmwrite16(VMCS_HOST_SS_SELECTOR, SEL_DATA);
	vmwrite16(VMCS_HOST_DS_SELECTOR, SEL_DATA);
	vmwrite16(VMCS_HOST_ES_SELECTOR, SEL_DATA);
	vmwrite16(VMCS_HOST_FS_SELECTOR, 0);
	vmwrite16(VMCS_HOST_GS_SELECTOR, 0);
	vmwrite16(VMCS_HOST_TR_SELECTOR, SEL_TSS);
	vmwrite32(VMCS_HOST_SYSENTER_CS, 0);
	vmwrite(VMCS_HOST_SYSENTER_ESP, 0);
	vmwrite(VMCS_HOST_SYSENTER_EIP, 0);
	vmwrite64(VMCS_HOST_EFER, rdmsr(MSR_EFER));
	vmwrite64(VMCS_HOST_PAT, PAT_VALUE);
	vmwrite(VMCS_HOST_RIP, (u64)vmx_enter_exit);
	vmwrite(VMCS_HOST_RSP, 0);
}

void vmcs_init(struct vcpu *vc)
{
	struct vmx_vcpu *v = vmx_of(vc);

	init_controls(v, vlapic_page(vc));
	init_host();
	v->host_rsp = 0;
}

void vmcs_set_host(const struct pcpu *pc)
{
	const struct cpu *cpu = pc->arch;
	struct table_register idtr;

	__asm__ volatile("sidt %0" : "=m"(idtr));
	/* FS: the stack protector's canary; GS: pcpu_self(). */
	vmwrite(VMCS_HOST_FS_BASE, (u64)pc);
	vmwrite(VMCS_HOST_GS_BASE, (u64)pc);
	vmwrite(VMCS_HOST_TR_BASE, (u64)&cpu->tss);
	vmwrite(VMCS_HOST_GDTR_BASE, (u64)cpu->gdt);
	vmwrite(VMCS_HOST_IDTR_BASE, idtr.base);
}

/* SDM vol. 3A table 10-1: power-on. */
void vmcs_reset_guest(struct vmx_vcpu *v)
{
	static const struct vcpu_seg data = {.limit = RESET_LIMIT, .attr = ATTR_REAL_DATA};
	static const struct vcpu_seg table = {.limit = RESET_LIMIT};
	static const struct vcpu_seg code = {.base = RESET_CS_BASE,
					     .limit = RESET_LIMIT,
					     .attr = ATTR_REAL_CODE,
					     .selector = RESET_CS};
	static const struct vcpu_seg ldt = {.limit = RESET_LIMIT, .attr = ATTR_P | ATTR_LDT};
	static const struct vcpu_seg tss = {.limit = RESET_LIMIT, .attr = ATTR_P | ATTR_TSS_BUSY};

	for (u32 s = SEG_ES; s <= SEG_GS; s++)
		vmx_seg_write(s, &data);
	vmx_seg_write(SEG_CS, &code);
	vmx_seg_write(SEG_LDTR, &ldt);
	vmx_seg_write(SEG_TR, &tss);
	vmx_seg_write(SEG_GDTR, &table);
	vmx_seg_write(SEG_IDTR, &table);
	vmwrite(VMCS_GUEST_RIP, RESET_RIP);
	vmwrite(VMCS_GUEST_RSP, 0);
	vmwrite(VMCS_GUEST_RFLAGS, RFLAGS_FIXED);
	vmwrite(VMCS_GUEST_DR7, DR7_INIT);
	vmwrite(VMCS_GUEST_CR3, 0);
	vmwrite64(VMCS_GUEST_EFER, 0);
	vmwrite64(VMCS_GUEST_PAT, v->arch.pat);
	vmwrite64(VMCS_GUEST_DEBUGCTL, 0);
	vmwrite32(VMCS_GUEST_SYSENTER_CS, 0);
	vmwrite(VMCS_GUEST_SYSENTER_ESP, 0);
	vmwrite(VMCS_GUEST_SYSENTER_EIP, 0);
	vmwrite32(VMCS_GUEST_INTERRUPTIBILITY, 0);
	vmwrite32(VMCS_GUEST_ACTIVITY, ACTIVITY_ACTIVE);
	vmwrite(VMCS_GUEST_PENDING_DEBUG, 0);
	vmwrite32(VMCS_ENTRY_INTR_INFO, 0);
	vmwrite32(VMCS_ENTRY_CONTROLS, vmx_caps.entry.use);
	v->proc_controls = vmx_caps.proc.use;
	vmwrite32(VMCS_PROC_CONTROLS, v->proc_controls);
	vmx_cr0_set(v, CR0_RESET);
	vmx_cr4_set(v, 0);
}
