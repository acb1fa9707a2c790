/* SPDX-License-Identifier: MIT */
/* The VM-entry auditor: controls and host state, in the order of SDM vol. 3C 27.2. */
#include "vmx_check.h"

#include <tern/lib.h>

#include "../guest/guest.h"
#include "ept_regs.h"
#include "vmx_regs.h"

#define CANONICAL_SHIFT 47

bool vmx_audit_bad(const struct vmx_audit *a, bool bad, u32 field, const char *what)
{
	if (bad)
		fmt_str(a->why, a->size, "%s (%#lx): %s", vmcs_field_name(field),
			vmx_audit_read(a, field), what);
	return bad;
}

bool vmx_audit_canonical(u64 va)
{
	u64 top = va >> CANONICAL_SHIFT;

	return top == 0 || top == ~0ul >> CANONICAL_SHIFT;
}

static bool control(const struct vmx_audit *a, u32 field, const struct vmx_control *c)
{
	u32 v = (u32)vmx_audit_read(a, field);

	return vmx_audit_bad(a, (c->must & ~v) != 0, field, "a bit is 0 that must be 1") ||
	       vmx_audit_bad(a, (v & ~c->may) != 0, field, "a bit is 1 that must be 0");
}

/* 0 means that the field is not used. */
static bool address(const struct vmx_audit *a, bool used, u32 field)
{
	u64 v = vmx_audit_read(a, field);

	return used && (vmx_audit_bad(a, (v & (PAGE_SIZE - 1)) != 0, field, "not 4 KiB aligned") ||
			vmx_audit_bad(a, v >> a->view->caps->phys_bits != 0, field,
				      "beyond the physical address width"));
}

/* SDM vol. 3C 27.2.1.1 */
static bool execution_controls(const struct vmx_audit *a)
{
	const struct vmx_caps *c = a->view->caps;
	u32 pin = (u32)vmx_audit_read(a, VMCS_PIN_CONTROLS);
	u32 proc = (u32)vmx_audit_read(a, VMCS_PROC_CONTROLS);
	u32 proc2;

	if (control(a, VMCS_PIN_CONTROLS, &c->pin) || control(a, VMCS_PROC_CONTROLS, &c->proc))
		return true;
	proc2 = (proc & PROC_SECONDARY) != 0 ? (u32)vmx_audit_read(a, VMCS_PROC2_CONTROLS) : 0;
	if ((proc & PROC_SECONDARY) != 0 && control(a, VMCS_PROC2_CONTROLS, &c->proc2))
		return true;
	return vmx_audit_bad(a, vmx_audit_read(a, VMCS_CR3_TARGET_COUNT) > 4, VMCS_CR3_TARGET_COUNT,
			     "more than 4") ||
	       address(a, (proc & PROC_IO_BITMAPS) != 0, VMCS_IO_BITMAP_A) ||
	       address(a, (proc & PROC_IO_BITMAPS) != 0, VMCS_IO_BITMAP_B) ||
	       address(a, (proc & PROC_MSR_BITMAPS) != 0, VMCS_MSR_BITMAP) ||
	       address(a, (proc & PROC_TPR_SHADOW) != 0, VMCS_VIRTUAL_APIC_ADDR) ||
	       vmx_audit_bad(a,
			     (proc & PROC_TPR_SHADOW) != 0 && (proc2 & PROC2_VINTR) == 0 &&
				     (vmx_audit_read(a, VMCS_TPR_THRESHOLD) & ~CR8_TPR) != 0,
			     VMCS_TPR_THRESHOLD, "bits 31:4 are not 0") ||
	       vmx_audit_bad(a,
			     (proc & PROC_TPR_SHADOW) == 0 &&
				     (proc2 & (PROC2_X2APIC | PROC2_APIC_REGS | PROC2_VINTR)) != 0,
			     VMCS_PROC2_CONTROLS, "APIC virtualization without TPR shadow") ||
	       vmx_audit_bad(a, (pin & PIN_NMI) == 0 && (pin & PIN_VNMI) != 0, VMCS_PIN_CONTROLS,
			     "virtual NMIs without NMI exiting") ||
	       vmx_audit_bad(a, (pin & PIN_VNMI) == 0 && (proc & PROC_NMI_WINDOW) != 0,
			     VMCS_PROC_CONTROLS, "NMI-window exiting without virtual NMIs") ||
	       vmx_audit_bad(a, (proc2 & PROC2_VINTR) != 0 && (pin & PIN_EXT_INTR) == 0,
			     VMCS_PIN_CONTROLS,
			     "virtual interrupts without external-interrupt exiting") ||
	       vmx_audit_bad(a, (pin & PIN_POSTED) != 0 && (proc2 & PROC2_VINTR) == 0,
			     VMCS_PIN_CONTROLS, "posted interrupts without virtual interrupts") ||
	       vmx_audit_bad(a, (proc2 & PROC2_VPID) != 0 && (u16)vmx_audit_read(a, VMCS_VPID) == 0,
			     VMCS_VPID, "0 is the host's") ||
	       vmx_audit_bad(a,
			     (proc2 & (PROC2_UNRESTRICTED | PROC2_PML)) != 0 &&
				     (proc2 & PROC2_EPT) == 0,
			     VMCS_PROC2_CONTROLS, "unrestricted guest or PML without EPT");
}

static bool ept_pointer(const struct vmx_audit *a)
{
	u64 p = vmx_audit_read(a, VMCS_EPT_POINTER), caps = a->view->caps->ept_vpid;

	if ((vmx_audit_read(a, VMCS_PROC_CONTROLS) & PROC_SECONDARY) == 0 ||
	    (vmx_audit_read(a, VMCS_PROC2_CONTROLS) & PROC2_EPT) == 0)
		return false;
	return vmx_audit_bad(a,
			     (p & EPTP_TYPE_MASK) != EPTP_TYPE_WB &&
				     ((p & EPTP_TYPE_MASK) != 0 || (caps & EPT_CAP_UC) == 0),
			     VMCS_EPT_POINTER, "memory type the CPU does not have") ||
	       vmx_audit_bad(a, (p & EPTP_WALK_MASK) != EPTP_WALK_4, VMCS_EPT_POINTER,
			     "page-walk length is not 4") ||
	       vmx_audit_bad(a, (p & EPTP_AD) != 0 && (caps & EPT_CAP_AD) == 0, VMCS_EPT_POINTER,
			     "A/D bits without support") ||
	       vmx_audit_bad(a, (p & EPTP_RESERVED) != 0, VMCS_EPT_POINTER,
			     "reserved bits are not 0") ||
	       vmx_audit_bad(a, p >> a->view->caps->phys_bits != 0, VMCS_EPT_POINTER,
			     "beyond the physical address width");
}

/* SDM vol. 3C 27.2.1.3: the event to inject. */
static bool entry_event(const struct vmx_audit *a)
{
	u32 info = (u32)vmx_audit_read(a, VMCS_ENTRY_INTR_INFO), type = info & INTR_TYPE;
	u32 vector = info & INTR_VECTOR, len = (u32)vmx_audit_read(a, VMCS_ENTRY_INSN_LEN);
	bool pe = (vmx_audit_read(a, VMCS_GUEST_CR0) & CR0_PE) != 0, error;
	bool soft = type == INTR_SOFT_INT || type == INTR_PRIV_SOFT || type == INTR_SOFT;

	if ((info & INTR_VALID) == 0)
		return false;
	error = pe && type == INTR_HARD && guest_vector_has_error((u8)vector);
	return vmx_audit_bad(a, type == 1u << 8, VMCS_ENTRY_INTR_INFO, "type 1 is reserved") ||
	       vmx_audit_bad(a,
			     (vmx_audit_read(a, VMCS_PROC_CONTROLS) & PROC_MTF) == 0 &&
				     type == INTR_OTHER &&
				     (a->view->caps->proc.may & PROC_MTF) == 0,
			     VMCS_ENTRY_INTR_INFO, "type 7 without monitor trap flag") ||
	       vmx_audit_bad(a, type == INTR_NMI && vector != VEC_NMI, VMCS_ENTRY_INTR_INFO,
			     "an NMI whose vector is not 2") ||
	       vmx_audit_bad(a, type == INTR_HARD && vector >= VEC_EXCEPTIONS, VMCS_ENTRY_INTR_INFO,
			     "an exception whose vector is above 31") ||
	       vmx_audit_bad(a, type == INTR_OTHER && vector != 0, VMCS_ENTRY_INTR_INFO,
			     "type 7 whose vector is not 0") ||
	       vmx_audit_bad(a, ((info & INTR_ERROR) != 0) != error, VMCS_ENTRY_INTR_INFO,
			     error ? "this exception needs an error code"
				   : "this event must have no error code") ||
	       vmx_audit_bad(a, (info & INTR_RESERVED) != 0, VMCS_ENTRY_INTR_INFO,
			     "reserved bits are not 0") ||
	       vmx_audit_bad(a,
			     (info & INTR_ERROR) != 0 &&
				     vmx_audit_read(a, VMCS_ENTRY_ERROR_CODE) > UINT16_MAX,
			     VMCS_ENTRY_ERROR_CODE, "bits 31:16 are not 0") ||
	       vmx_audit_bad(a, soft && (len == 0 || len > INSN_LEN_MAX), VMCS_ENTRY_INSN_LEN,
			     "not 1 to 15 bytes");
}

bool vmx_check_controls(const struct vmcs_view *view, char *why, size_t size)
{
	const struct vmx_audit a = {view, why, size};
	bool pin_timer = (view->read(view, VMCS_PIN_CONTROLS) & PIN_PREEMPTION) != 0;
	u32 exit = (u32)view->read(view, VMCS_EXIT_CONTROLS);
	u32 entry = (u32)view->read(view, VMCS_ENTRY_CONTROLS);
	struct vmx_control entry_allowed = view->caps->entry;

	return execution_controls(&a) || ept_pointer(&a) ||
	       control(&a, VMCS_EXIT_CONTROLS, &view->caps->exit) ||
	       vmx_audit_bad(&a, !pin_timer && (exit & EXIT_SAVE_TIMER) != 0, VMCS_EXIT_CONTROLS,
			     "saves the preemption timer without one") ||
	       control(&a, VMCS_ENTRY_CONTROLS, &entry_allowed) ||
	       vmx_audit_bad(&a, (entry & (ENTRY_SMM | ENTRY_DUAL_SMM)) != 0, VMCS_ENTRY_CONTROLS,
			     "SMM outside SMM") ||
	       entry_event(&a);
}

static bool host_selector(const struct vmx_audit *a, u32 field, bool may_be_null)
{
	u16 v = (u16)vmx_audit_read(a, field);

	return vmx_audit_bad(a, (v & SELECTOR_RPL_TI) != 0, field, "RPL or TI is not 0") ||
	       vmx_audit_bad(a, !may_be_null && v == 0, field, "null");
}

/* SDM vol. 3C 27.2.2, 27.2.3, 27.2.4, for a 64-bit host. */
bool vmx_check_host(const struct vmcs_view *view, char *why, size_t size)
{
	static const u32 canonical[] = {
		VMCS_HOST_SYSENTER_ESP, VMCS_HOST_SYSENTER_EIP, VMCS_HOST_FS_BASE,
		VMCS_HOST_GS_BASE,      VMCS_HOST_TR_BASE,      VMCS_HOST_GDTR_BASE,
		VMCS_HOST_IDTR_BASE,    VMCS_HOST_RIP,
	};
	static const u32 selectors[] = {
		VMCS_HOST_ES_SELECTOR, VMCS_HOST_SS_SELECTOR, VMCS_HOST_DS_SELECTOR,
		VMCS_HOST_FS_SELECTOR, VMCS_HOST_GS_SELECTOR,
	};
	const struct vmx_audit a = {view, why, size};
	const struct vmx_caps *c = view->caps;
	u64 cr0 = view->read(view, VMCS_HOST_CR0), cr4 = view->read(view, VMCS_HOST_CR4);
	u64 efer = view->read(view, VMCS_HOST_EFER);
	u32 exit = (u32)view->read(view, VMCS_EXIT_CONTROLS);

	if (vmx_audit_bad(&a, (c->cr0_fixed0 & ~cr0) != 0 || (cr0 & ~c->cr0_fixed1) != 0,
			  VMCS_HOST_CR0, "not as IA32_VMX_CR0_FIXED wants it") ||
	    vmx_audit_bad(&a, (c->cr4_fixed0 & ~cr4) != 0 || (cr4 & ~c->cr4_fixed1) != 0,
			  VMCS_HOST_CR4, "not as IA32_VMX_CR4_FIXED wants it") ||
	    vmx_audit_bad(&a, view->read(view, VMCS_HOST_CR3) >> c->phys_bits != 0, VMCS_HOST_CR3,
			  "beyond the physical address width") ||
	    vmx_audit_bad(&a, (cr4 & CR4_PAE) == 0, VMCS_HOST_CR4, "no PAE") ||
	    vmx_audit_bad(&a, (exit & EXIT_HOST_64) == 0, VMCS_EXIT_CONTROLS,
			  "the host is not 64-bit") ||
	    vmx_audit_bad(&a,
			  (exit & EXIT_LOAD_EFER) != 0 &&
				  (efer & (EFER_LME | EFER_LMA)) != (EFER_LME | EFER_LMA),
			  VMCS_HOST_EFER, "LME or LMA is 0"))
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(canonical); i++)
		if (vmx_audit_bad(&a, !vmx_audit_canonical(view->read(view, canonical[i])),
				  canonical[i], "not canonical"))
			return true;
	for (size_t i = 0; i < ARRAY_SIZE(selectors); i++)
		if (host_selector(&a, selectors[i], true))
			return true;
	return host_selector(&a, VMCS_HOST_CS_SELECTOR, false) ||
	       host_selector(&a, VMCS_HOST_TR_SELECTOR, false);
}

bool vmx_check(const struct vmcs_view *view, char *why, size_t size)
{
	return vmx_check_controls(view, why, size) || vmx_check_host(view, why, size) ||
	       vmx_check_guest(view, why, size);
}
