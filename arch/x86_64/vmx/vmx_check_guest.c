/* SPDX-License-Identifier: MIT */
/* The VM-entry auditor: guest state, in the order of SDM vol. 3C 27.3.1. */
#include "vmx_check.h"

#include <tern/virt.h>

#include "vmx_regs.h"

#define bad(what_is_bad, field, what) vmx_audit_bad(a, what_is_bad, field, what)

struct facts {
	u64 cr0, cr4, efer, rflags;
	bool ia32e, unrestricted, v86;
};

/* 27.3.1.1 */
static bool registers(const struct vmx_audit *a, const struct facts *f)
{
	const struct vmx_caps *c = a->view->caps;
	u64 free = f->unrestricted ? CR0_PE | CR0_PG : 0;
	u32 entry = (u32)vmx_audit_read(a, VMCS_ENTRY_CONTROLS);
	bool debug = (entry & ENTRY_LOAD_DEBUG) != 0;

	return bad((c->cr0_fixed0 & ~free & ~f->cr0) != 0 || (f->cr0 & ~c->cr0_fixed1) != 0,
		   VMCS_GUEST_CR0, "not as IA32_VMX_CR0_FIXED wants it") ||
	       bad((f->cr0 & CR0_PG) != 0 && (f->cr0 & CR0_PE) == 0, VMCS_GUEST_CR0,
		   "PG without PE") ||
	       bad((c->cr4_fixed0 & ~f->cr4) != 0 || (f->cr4 & ~c->cr4_fixed1) != 0, VMCS_GUEST_CR4,
		   "not as IA32_VMX_CR4_FIXED wants it") ||
	       bad(debug && (vmx_audit_read(a, VMCS_GUEST_DEBUGCTL) & ~DEBUGCTL_VALID) != 0,
		   VMCS_GUEST_DEBUGCTL, "reserved bits are not 0") ||
	       bad(f->ia32e && (f->cr0 & CR0_PG) == 0, VMCS_GUEST_CR0, "IA-32e mode without PG") ||
	       bad(f->ia32e && (f->cr4 & CR4_PAE) == 0, VMCS_GUEST_CR4,
		   "IA-32e mode without PAE") ||
	       bad(!f->ia32e && (f->cr4 & CR4_PCIDE) != 0, VMCS_GUEST_CR4,
		   "PCIDE outside IA-32e mode") ||
	       bad(vmx_audit_read(a, VMCS_GUEST_CR3) >> c->phys_bits != 0, VMCS_GUEST_CR3,
		   "beyond the physical address width") ||
	       bad(debug && vmx_audit_read(a, VMCS_GUEST_DR7) >> 32 != 0, VMCS_GUEST_DR7,
		   "bits 63:32 are not 0") ||
	       bad(!vmx_audit_canonical(vmx_audit_read(a, VMCS_GUEST_SYSENTER_ESP)),
		   VMCS_GUEST_SYSENTER_ESP, "not canonical") ||
	       bad(!vmx_audit_canonical(vmx_audit_read(a, VMCS_GUEST_SYSENTER_EIP)),
		   VMCS_GUEST_SYSENTER_EIP, "not canonical") ||
	       bad((entry & ENTRY_LOAD_EFER) != 0 && (f->efer & ~EFER_DEFINED) != 0,
		   VMCS_GUEST_EFER, "reserved bits are not 0") ||
	       bad((entry & ENTRY_LOAD_EFER) != 0 && ((f->efer & EFER_LMA) != 0) != f->ia32e,
		   VMCS_GUEST_EFER, "LMA differs from the entry control") ||
	       bad((entry & ENTRY_LOAD_EFER) != 0 && (f->cr0 & CR0_PG) != 0 &&
			   ((f->efer & EFER_LME) != 0) != f->ia32e,
		   VMCS_GUEST_EFER, "LME differs from the entry control, and PG is 1");
}

static bool pat(const struct vmx_audit *a)
{
	u64 v = vmx_audit_read(a, VMCS_GUEST_PAT);

	if ((vmx_audit_read(a, VMCS_ENTRY_CONTROLS) & ENTRY_LOAD_PAT) == 0)
		return false;
	for (u32 i = 0; i < 8; i++)
		if (bad((v >> i * 8 & 0xff) > 7 || (PAT_TYPES_VALID >> (v >> i * 8 & 7) & 1) == 0,
			VMCS_GUEST_PAT, "an entry is no memory type"))
			return true;
	return false;
}

struct segment {
	u32 sel_field, base_field, limit_field, attr_field;
	u64 base;
	u32 limit, attr, type, dpl;
	u16 sel;
	bool usable;
};

static struct segment segment(const struct vmx_audit *a, enum vcpu_segment seg)
{
	u32 step = seg * VMCS_SEGMENT_STEP;
	struct segment s = {
		.sel_field = VMCS_GUEST_ES_SELECTOR + step,
		.base_field = VMCS_GUEST_ES_BASE + step,
		.limit_field = VMCS_GUEST_ES_LIMIT + step,
		.attr_field = VMCS_GUEST_ES_ATTR + step,
	};

	s.base = vmx_audit_read(a, s.base_field);
	s.limit = (u32)vmx_audit_read(a, s.limit_field);
	s.attr = (u32)vmx_audit_read(a, s.attr_field);
	s.sel = (u16)vmx_audit_read(a, s.sel_field);
	s.type = s.attr & ATTR_TYPE;
	s.dpl = (s.attr & ATTR_DPL) >> ATTR_DPL_SHIFT;
	s.usable = (s.attr & ATTR_UNUSABLE) == 0;
	return s;
}

/* G must tell whether the limit is in pages. */
static bool granularity(const struct vmx_audit *a, const struct segment *s)
{
	bool g = (s->attr & ATTR_G) != 0;

	return bad(g && (s->limit & LIMIT_LOW) != LIMIT_LOW, s->limit_field,
		   "G is 1 and bits 11:0 are not all 1") ||
	       bad(!g && (s->limit & LIMIT_HIGH) != 0, s->limit_field,
		   "G is 0 and the limit is above 1 MiB");
}

static bool v86_segment(const struct vmx_audit *a, const struct segment *s)
{
	return bad(s->base != (u64)s->sel << 4, s->base_field,
		   "virtual-8086 mode wants 16 times the selector") ||
	       bad(s->limit != RESET_LIMIT, s->limit_field, "virtual-8086 mode wants 0xffff") ||
	       bad(s->attr != (ATTR_REAL_DATA | ATTR_DPL), s->attr_field,
		   "virtual-8086 mode wants 0xf3");
}

static bool type_of_cs(const struct vmx_audit *a, const struct segment *s, const struct facts *f,
		       u32 ss_dpl)
{
	bool data = f->unrestricted && s->type == (ATTR_WRITE | ATTR_ACCESSED);
	bool conforming = (s->type & ATTR_DOWN) != 0;

	return bad(!data && (s->type & (ATTR_CODE | ATTR_ACCESSED)) != (ATTR_CODE | ATTR_ACCESSED),
		   s->attr_field, "CS must be accessed code") ||
	       bad(data && s->dpl != 0, s->attr_field, "type 3 wants DPL 0") ||
	       bad(!data && !conforming && s->dpl != ss_dpl, s->attr_field,
		   "non-conforming code whose DPL differs from that of SS") ||
	       bad(!data && conforming && s->dpl > ss_dpl, s->attr_field,
		   "conforming code whose DPL is above that of SS") ||
	       bad(f->ia32e && (s->attr & (ATTR_L | ATTR_DB)) == (ATTR_L | ATTR_DB), s->attr_field,
		   "L and D are both 1");
}

static bool type_of_ss(const struct vmx_audit *a, const struct segment *s, const struct facts *f,
		       const struct segment *cs)
{
	bool zero = cs->type == (ATTR_WRITE | ATTR_ACCESSED) || (f->cr0 & CR0_PE) == 0;

	return bad(s->usable && (s->type & (ATTR_CODE | ATTR_WRITE | ATTR_ACCESSED)) !=
					(ATTR_WRITE | ATTR_ACCESSED),
		   s->attr_field, "SS must be accessed writable data") ||
	       bad(!f->unrestricted && s->dpl != (s->sel & SELECTOR_RPL), s->attr_field,
		   "DPL of SS differs from its RPL") ||
	       bad(zero && s->dpl != 0, s->attr_field, "DPL of SS must be 0 here");
}

static bool type_of_data(const struct vmx_audit *a, const struct segment *s, const struct facts *f)
{
	bool conforming = (s->type & (ATTR_CODE | ATTR_DOWN)) == (ATTR_CODE | ATTR_DOWN);

	return bad((s->type & ATTR_ACCESSED) == 0, s->attr_field, "not accessed") ||
	       bad((s->type & (ATTR_CODE | ATTR_WRITE)) == ATTR_CODE, s->attr_field,
		   "code that cannot be read") ||
	       bad(!f->unrestricted && !conforming && s->dpl < (s->sel & SELECTOR_RPL),
		   s->attr_field, "DPL below the selector's RPL");
}

/* 27.3.1.2, CS, SS, DS, ES, FS, GS */
static bool code_and_data(const struct vmx_audit *a, const struct facts *f)
{
	struct segment cs = segment(a, SEG_CS), ss = segment(a, SEG_SS);

	if (bad(!f->v86 && !f->unrestricted && ((ss.sel ^ cs.sel) & SELECTOR_RPL) != 0,
		VMCS_GUEST_SS_SELECTOR, "RPL differs from that of CS"))
		return true;
	for (u32 i = SEG_ES; i <= SEG_GS; i++) {
		struct segment s = segment(a, i);
		bool high_ok = i == SEG_FS || i == SEG_GS;

		if (f->v86) {
			if (v86_segment(a, &s))
				return true;
			continue;
		}
		if (bad(high_ok && !vmx_audit_canonical(s.base), s.base_field, "not canonical") ||
		    bad(!high_ok && (s.usable || i == SEG_CS) && s.base >> 32 != 0, s.base_field,
			"bits 63:32 are not 0") ||
		    (i == SEG_CS && type_of_cs(a, &s, f, ss.dpl)) ||
		    (i == SEG_SS && type_of_ss(a, &s, f, &cs)))
			return true;
		if (!s.usable && i != SEG_CS)
			continue;
		if ((i != SEG_CS && i != SEG_SS && type_of_data(a, &s, f)) ||
		    bad((s.attr & ATTR_S) == 0, s.attr_field, "S is 0") ||
		    bad((s.attr & ATTR_P) == 0, s.attr_field, "not present") ||
		    bad((s.attr & ATTR_RESERVED) != 0, s.attr_field, "reserved bits are not 0") ||
		    granularity(a, &s))
			return true;
	}
	return false;
}

/* 27.3.1.2, TR, LDTR; 27.3.1.3 */
static bool system_segments(const struct vmx_audit *a, const struct facts *f)
{
	struct segment tr = segment(a, SEG_TR), ldtr = segment(a, SEG_LDTR);

	return bad((tr.sel & SELECTOR_TI) != 0, tr.sel_field, "TI is 1") ||
	       bad(!vmx_audit_canonical(tr.base), tr.base_field, "not canonical") ||
	       bad(tr.type != ATTR_TSS_BUSY && (f->ia32e || tr.type != ATTR_TSS_16), tr.attr_field,
		   f->ia32e ? "not a busy 64-bit TSS" : "not a busy TSS") ||
	       bad((tr.attr & ATTR_S) != 0, tr.attr_field, "S is 1") ||
	       bad((tr.attr & ATTR_P) == 0, tr.attr_field, "not present") ||
	       bad((tr.attr & ATTR_RESERVED) != 0, tr.attr_field, "reserved bits are not 0") ||
	       bad(!tr.usable, tr.attr_field, "TR must be usable") || granularity(a, &tr) ||
	       (ldtr.usable &&
		(bad((ldtr.sel & SELECTOR_TI) != 0, ldtr.sel_field, "TI is 1") ||
		 bad(!vmx_audit_canonical(ldtr.base), ldtr.base_field, "not canonical") ||
		 bad(ldtr.type != ATTR_LDT, ldtr.attr_field, "not an LDT") ||
		 bad((ldtr.attr & ATTR_S) != 0, ldtr.attr_field, "S is 1") ||
		 bad((ldtr.attr & ATTR_P) == 0, ldtr.attr_field, "not present") ||
		 bad((ldtr.attr & ATTR_RESERVED) != 0, ldtr.attr_field,
		     "reserved bits are not 0") ||
		 granularity(a, &ldtr))) ||
	       bad(!vmx_audit_canonical(vmx_audit_read(a, VMCS_GUEST_GDTR_BASE)),
		   VMCS_GUEST_GDTR_BASE, "not canonical") ||
	       bad(!vmx_audit_canonical(vmx_audit_read(a, VMCS_GUEST_IDTR_BASE)),
		   VMCS_GUEST_IDTR_BASE, "not canonical") ||
	       bad(vmx_audit_read(a, VMCS_GUEST_GDTR_LIMIT) > UINT16_MAX, VMCS_GUEST_GDTR_LIMIT,
		   "bits 31:16 are not 0") ||
	       bad(vmx_audit_read(a, VMCS_GUEST_IDTR_LIMIT) > UINT16_MAX, VMCS_GUEST_IDTR_LIMIT,
		   "bits 31:16 are not 0");
}

/* 27.3.1.4 */
static bool rip_and_rflags(const struct vmx_audit *a, const struct facts *f)
{
	u32 info = (u32)vmx_audit_read(a, VMCS_ENTRY_INTR_INFO);
	bool code64 = f->ia32e && (vmx_audit_read(a, VMCS_GUEST_CS_ATTR) & ATTR_L) != 0;
	u64 rip = vmx_audit_read(a, VMCS_GUEST_RIP);
	bool external = (info & INTR_VALID) != 0 && (info & INTR_TYPE) == INTR_EXTERNAL;

	return bad(!code64 && rip >> 32 != 0, VMCS_GUEST_RIP, "bits 63:32 are not 0") ||
	       bad(code64 && !vmx_audit_canonical(rip), VMCS_GUEST_RIP, "not canonical") ||
	       bad((f->rflags & RFLAGS_RESERVED) != 0, VMCS_GUEST_RFLAGS,
		   "reserved bits are not 0") ||
	       bad((f->rflags & RFLAGS_FIXED) == 0, VMCS_GUEST_RFLAGS, "bit 1 is 0") ||
	       bad(f->v86 && (f->ia32e || (f->cr0 & CR0_PE) == 0), VMCS_GUEST_RFLAGS,
		   "VM is 1 in a mode that has none") ||
	       bad(external && (f->rflags & RFLAGS_IF) == 0, VMCS_GUEST_RFLAGS,
		   "IF is 0 and an interrupt is injected");
}

static bool activity(const struct vmx_audit *a)
{
	u32 state = (u32)vmx_audit_read(a, VMCS_GUEST_ACTIVITY);
	u32 shadow = (u32)vmx_audit_read(a, VMCS_GUEST_INTERRUPTIBILITY);
	u64 misc = a->view->caps->misc;

	return bad(state > ACTIVITY_SIPI ||
			   (state == ACTIVITY_HLT && (misc & VMX_MISC_ACTIVITY_HLT) == 0) ||
			   (state == ACTIVITY_SHUTDOWN && (misc & VMX_MISC_ACTIVITY_SHUT) == 0) ||
			   (state == ACTIVITY_SIPI && (misc & VMX_MISC_ACTIVITY_SIPI) == 0),
		   VMCS_GUEST_ACTIVITY, "a state the CPU does not have") ||
	       bad(state == ACTIVITY_HLT && (vmx_audit_read(a, VMCS_GUEST_SS_ATTR) & ATTR_DPL) != 0,
		   VMCS_GUEST_ACTIVITY, "HLT with a CPL above 0") ||
	       bad(state != ACTIVITY_ACTIVE && (shadow & (SHADOW_STI | SHADOW_MOV_SS)) != 0,
		   VMCS_GUEST_ACTIVITY, "not active and blocked by STI or MOV SS");
}

/* 27.3.1.5 */
static bool interruptibility(const struct vmx_audit *a, const struct facts *f)
{
	const u32 field = VMCS_GUEST_INTERRUPTIBILITY, both = SHADOW_STI | SHADOW_MOV_SS;
	u32 shadow = (u32)vmx_audit_read(a, field);
	u32 info = (u32)vmx_audit_read(a, VMCS_ENTRY_INTR_INFO), type = info & INTR_TYPE;
	bool event = (info & INTR_VALID) != 0, nmi = event && type == INTR_NMI;
	bool vnmi = (vmx_audit_read(a, VMCS_PIN_CONTROLS) & PIN_VNMI) != 0;
	u64 pending = vmx_audit_read(a, VMCS_GUEST_PENDING_DEBUG);
	bool btf = (vmx_audit_read(a, VMCS_GUEST_DEBUGCTL) & DEBUGCTL_BTF) != 0;
	bool trap = (f->rflags & RFLAGS_TF) != 0 && !btf;
	bool held = (shadow & both) != 0 || vmx_audit_read(a, VMCS_GUEST_ACTIVITY) == ACTIVITY_HLT;

	return bad((shadow & SHADOW_RESERVED) != 0, field, "reserved bits are not 0") ||
	       bad((shadow & both) == both, field, "blocked by STI and by MOV SS") ||
	       bad((shadow & SHADOW_STI) != 0 && (f->rflags & RFLAGS_IF) == 0, field,
		   "blocked by STI and IF is 0") ||
	       bad(event && type == INTR_EXTERNAL && (shadow & both) != 0, field,
		   "an interrupt is injected into its shadow") ||
	       bad(nmi && (shadow & SHADOW_MOV_SS) != 0, field,
		   "an NMI is injected into the shadow of MOV SS") ||
	       bad((shadow & SHADOW_SMI) != 0, field, "blocked by SMI outside SMM") ||
	       bad(nmi && vnmi && (shadow & SHADOW_NMI) != 0, field,
		   "an NMI is injected while NMIs are blocked") ||
	       bad((pending & ~PENDING_DB_VALID) != 0, VMCS_GUEST_PENDING_DEBUG,
		   "reserved bits are not 0") ||
	       bad(held && trap && (pending & PENDING_DB_BS) == 0, VMCS_GUEST_PENDING_DEBUG,
		   "BS is 0 and a single-step trap is held back") ||
	       bad(held && !trap && (pending & PENDING_DB_BS) != 0, VMCS_GUEST_PENDING_DEBUG,
		   "BS is 1 and nothing single-steps");
}

/* 27.3.1.5 (link pointer), 27.3.1.6 */
static bool link_and_pdptes(const struct vmx_audit *a, const struct facts *f)
{
	u64 link = vmx_audit_read(a, VMCS_LINK_POINTER);

	if (bad(link != ~0ul &&
			((link & (PAGE_SIZE - 1)) != 0 || link >> a->view->caps->phys_bits != 0),
		VMCS_LINK_POINTER, "neither all ones nor a page"))
		return true;
	if (f->ia32e || (f->cr0 & CR0_PG) == 0 || (f->cr4 & CR4_PAE) == 0)
		return false;
	for (u32 field = VMCS_GUEST_PDPTE0; field <= VMCS_GUEST_PDPTE3; field += 2) {
		u64 e = vmx_audit_read(a, field);

		if (bad((e & PDPTE_P) != 0 &&
				((e & PDPTE_RSVD) != 0 || e >> a->view->caps->phys_bits != 0),
			field, "reserved bits are not 0"))
			return true;
	}
	return false;
}

bool vmx_check_guest(const struct vmcs_view *view, char *why, size_t size)
{
	const struct vmx_audit a = {view, why, size};
	bool secondary = (view->read(view, VMCS_PROC_CONTROLS) & PROC_SECONDARY) != 0;
	struct facts f = {
		.cr0 = view->read(view, VMCS_GUEST_CR0),
		.cr4 = view->read(view, VMCS_GUEST_CR4),
		.efer = view->read(view, VMCS_GUEST_EFER),
		.rflags = view->read(view, VMCS_GUEST_RFLAGS),
		.ia32e = (view->read(view, VMCS_ENTRY_CONTROLS) & ENTRY_IA32E) != 0,
		.unrestricted = secondary &&
				(view->read(view, VMCS_PROC2_CONTROLS) & PROC2_UNRESTRICTED) != 0,
	};

	f.v86 = (f.rflags & RFLAGS_VM) != 0;
	return registers(&a, &f) || pat(&a) || code_and_data(&a, &f) || system_segments(&a, &f) ||
	       rip_and_rflags(&a, &f) || activity(&a) || interruptibility(&a, &f) ||
	       link_and_pdptes(&a, &f);
}
