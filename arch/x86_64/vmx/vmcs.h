/* SPDX-License-Identifier: MIT */
/*
 * The fields of a VMCS, SDM vol. 3D appendix B. The width of a field is part of its type: reading one
 * with the accessor of another width is a build error. VMREAD and VMWRITE: vmcs_access.h.
 */
#ifndef VMCS_H
#define VMCS_H

#include <tern/types.h>

#define VMCS_U16_FIELDS(X)             \
	X(VPID, 0x0000)                \
	X(GUEST_INTR_STATUS, 0x0810)   \
	X(GUEST_ES_SELECTOR, 0x0800)   \
	X(GUEST_CS_SELECTOR, 0x0802)   \
	X(GUEST_SS_SELECTOR, 0x0804)   \
	X(GUEST_DS_SELECTOR, 0x0806)   \
	X(GUEST_FS_SELECTOR, 0x0808)   \
	X(GUEST_GS_SELECTOR, 0x080a)   \
	X(GUEST_LDTR_SELECTOR, 0x080c) \
	X(GUEST_TR_SELECTOR, 0x080e)   \
	X(HOST_ES_SELECTOR, 0x0c00)    \
	X(HOST_CS_SELECTOR, 0x0c02)    \
	X(HOST_SS_SELECTOR, 0x0c04)    \
	X(HOST_DS_SELECTOR, 0x0c06)    \
	X(HOST_FS_SELECTOR, 0x0c08)    \
	X(HOST_GS_SELECTOR, 0x0c0a)    \
	X(HOST_TR_SELECTOR, 0x0c0c)

#define VMCS_U64_FIELDS(X)           \
	X(IO_BITMAP_A, 0x2000)       \
	X(IO_BITMAP_B, 0x2002)       \
	X(MSR_BITMAP, 0x2004)        \
	X(TSC_OFFSET, 0x2010)        \
	X(VIRTUAL_APIC_ADDR, 0x2012) \
	X(EPT_POINTER, 0x201a)       \
	X(EOI_EXIT_BITMAP0, 0x201c)  \
	X(EOI_EXIT_BITMAP1, 0x201e)  \
	X(EOI_EXIT_BITMAP2, 0x2020)  \
	X(EOI_EXIT_BITMAP3, 0x2022)  \
	X(ENCLS_BITMAP, 0x202e)      \
	X(GUEST_PHYS_ADDR, 0x2400)   \
	X(LINK_POINTER, 0x2800)      \
	X(GUEST_DEBUGCTL, 0x2802)    \
	X(GUEST_PAT, 0x2804)         \
	X(GUEST_EFER, 0x2806)        \
	X(GUEST_PDPTE0, 0x280a)      \
	X(GUEST_PDPTE1, 0x280c)      \
	X(GUEST_PDPTE2, 0x280e)      \
	X(GUEST_PDPTE3, 0x2810)      \
	X(HOST_PAT, 0x2c00)          \
	X(HOST_EFER, 0x2c02)

#define VMCS_U32_FIELDS(X)                \
	X(PIN_CONTROLS, 0x4000)           \
	X(PROC_CONTROLS, 0x4002)          \
	X(EXCEPTION_BITMAP, 0x4004)       \
	X(PF_ERROR_MASK, 0x4006)          \
	X(PF_ERROR_MATCH, 0x4008)         \
	X(CR3_TARGET_COUNT, 0x400a)       \
	X(EXIT_CONTROLS, 0x400c)          \
	X(EXIT_MSR_STORE_COUNT, 0x400e)   \
	X(EXIT_MSR_LOAD_COUNT, 0x4010)    \
	X(ENTRY_CONTROLS, 0x4012)         \
	X(ENTRY_MSR_LOAD_COUNT, 0x4014)   \
	X(ENTRY_INTR_INFO, 0x4016)        \
	X(ENTRY_ERROR_CODE, 0x4018)       \
	X(ENTRY_INSN_LEN, 0x401a)         \
	X(TPR_THRESHOLD, 0x401c)          \
	X(PROC2_CONTROLS, 0x401e)         \
	X(PLE_GAP, 0x4020)                \
	X(PLE_WINDOW, 0x4022)             \
	X(INSN_ERROR, 0x4400)             \
	X(EXIT_REASON, 0x4402)            \
	X(EXIT_INTR_INFO, 0x4404)         \
	X(EXIT_INTR_ERROR, 0x4406)        \
	X(IDT_VECTORING_INFO, 0x4408)     \
	X(IDT_VECTORING_ERROR, 0x440a)    \
	X(EXIT_INSN_LEN, 0x440c)          \
	X(EXIT_INSN_INFO, 0x440e)         \
	X(GUEST_ES_LIMIT, 0x4800)         \
	X(GUEST_CS_LIMIT, 0x4802)         \
	X(GUEST_SS_LIMIT, 0x4804)         \
	X(GUEST_DS_LIMIT, 0x4806)         \
	X(GUEST_FS_LIMIT, 0x4808)         \
	X(GUEST_GS_LIMIT, 0x480a)         \
	X(GUEST_LDTR_LIMIT, 0x480c)       \
	X(GUEST_TR_LIMIT, 0x480e)         \
	X(GUEST_GDTR_LIMIT, 0x4810)       \
	X(GUEST_IDTR_LIMIT, 0x4812)       \
	X(GUEST_ES_ATTR, 0x4814)          \
	X(GUEST_CS_ATTR, 0x4816)          \
	X(GUEST_SS_ATTR, 0x4818)          \
	X(GUEST_DS_ATTR, 0x481a)          \
	X(GUEST_FS_ATTR, 0x481c)          \
	X(GUEST_GS_ATTR, 0x481e)          \
	X(GUEST_LDTR_ATTR, 0x4820)        \
	X(GUEST_TR_ATTR, 0x4822)          \
	X(GUEST_INTERRUPTIBILITY, 0x4824) \
	X(GUEST_ACTIVITY, 0x4826)         \
	X(GUEST_SYSENTER_CS, 0x482a)      \
	X(PREEMPTION_TIMER, 0x482e)       \
	X(HOST_SYSENTER_CS, 0x4c00)

/* Natural width: 64 bits on the CPUs Tern runs on. */
#define VMCS_NAT_FIELDS(X)             \
	X(CR0_MASK, 0x6000)            \
	X(CR4_MASK, 0x6002)            \
	X(CR0_SHADOW, 0x6004)          \
	X(CR4_SHADOW, 0x6006)          \
	X(EXIT_QUALIFICATION, 0x6400)  \
	X(GUEST_LINEAR_ADDR, 0x640a)   \
	X(GUEST_CR0, 0x6800)           \
	X(GUEST_CR3, 0x6802)           \
	X(GUEST_CR4, 0x6804)           \
	X(GUEST_ES_BASE, 0x6806)       \
	X(GUEST_CS_BASE, 0x6808)       \
	X(GUEST_SS_BASE, 0x680a)       \
	X(GUEST_DS_BASE, 0x680c)       \
	X(GUEST_FS_BASE, 0x680e)       \
	X(GUEST_GS_BASE, 0x6810)       \
	X(GUEST_LDTR_BASE, 0x6812)     \
	X(GUEST_TR_BASE, 0x6814)       \
	X(GUEST_GDTR_BASE, 0x6816)     \
	X(GUEST_IDTR_BASE, 0x6818)     \
	X(GUEST_DR7, 0x681a)           \
	X(GUEST_RSP, 0x681c)           \
	X(GUEST_RIP, 0x681e)           \
	X(GUEST_RFLAGS, 0x6820)        \
	X(GUEST_PENDING_DEBUG, 0x6822) \
	X(GUEST_SYSENTER_ESP, 0x6824)  \
	X(GUEST_SYSENTER_EIP, 0x6826)  \
	X(HOST_CR0, 0x6c00)            \
	X(HOST_CR3, 0x6c02)            \
	X(HOST_CR4, 0x6c04)            \
	X(HOST_FS_BASE, 0x6c06)        \
	X(HOST_GS_BASE, 0x6c08)        \
	X(HOST_TR_BASE, 0x6c0a)        \
	X(HOST_GDTR_BASE, 0x6c0c)      \
	X(HOST_IDTR_BASE, 0x6c0e)      \
	X(HOST_SYSENTER_ESP, 0x6c10)   \
	X(HOST_SYSENTER_EIP, 0x6c12)   \
	X(HOST_RSP, 0x6c14)            \
	X(HOST_RIP, 0x6c16)

#define VMCS_ENUM(name, code) VMCS_##name = (code),
enum vmcs_u16 { VMCS_U16_FIELDS(VMCS_ENUM) };
enum vmcs_u32 { VMCS_U32_FIELDS(VMCS_ENUM) };
enum vmcs_u64 { VMCS_U64_FIELDS(VMCS_ENUM) };
enum vmcs_nat { VMCS_NAT_FIELDS(VMCS_ENUM) };
#undef VMCS_ENUM

/* The fields of the segment registers lie in the order of enum vcpu_segment, two apart. */
#define VMCS_SEGMENT_STEP 2u
_Static_assert(VMCS_GUEST_TR_SELECTOR == VMCS_GUEST_ES_SELECTOR + 7 * VMCS_SEGMENT_STEP, "B.1.2");
_Static_assert(VMCS_GUEST_IDTR_LIMIT == VMCS_GUEST_ES_LIMIT + 9 * VMCS_SEGMENT_STEP, "B.3.3");
_Static_assert(VMCS_GUEST_TR_ATTR == VMCS_GUEST_ES_ATTR + 7 * VMCS_SEGMENT_STEP, "B.3.3");
_Static_assert(VMCS_GUEST_IDTR_BASE == VMCS_GUEST_ES_BASE + 9 * VMCS_SEGMENT_STEP, "B.4.3");

/* The name of a field, as in the lists above; "?" when it is none of them. */
const char *vmcs_field_name(u32 field);

#endif
