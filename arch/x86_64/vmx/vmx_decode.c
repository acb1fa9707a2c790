/* SPDX-License-Identifier: MIT */
/* Exit qualifications and instruction information, taken apart. */
#include "vmx_decode.h"

#include "vmx_regs.h"

struct vmx_cr_access vmx_decode_cr(u64 q)
{
	return (struct vmx_cr_access){
		.type = (enum vmx_cr_type)(q >> QUAL_CR_TYPE_SHIFT & QUAL_CR_TYPE_MASK),
		.cr = (u8)(q & QUAL_CR_NUMBER),
		.reg = (enum vcpu_reg)(q >> QUAL_CR_REG_SHIFT & QUAL_CR_REG_MASK),
		.source = (u16)(q >> QUAL_CR_LMSW_SHIFT & QUAL_CR_LMSW_MASK),
	};
}

struct vmx_io_string vmx_decode_io_string(u32 info)
{
	return (struct vmx_io_string){
		.addr_width = (u8)(2u << (info >> INFO_IO_SIZE_SHIFT & INFO_IO_MASK)),
		.segment = (enum vcpu_segment)(info >> INFO_IO_SEG_SHIFT & INFO_IO_MASK),
	};
}

struct exit_mem vmx_decode_mem(u64 q, u64 address)
{
	return (struct exit_mem){
		.gpa = gpa(address),
		.write = (q & QUAL_EPT_WRITE) != 0,
		.fetch = (q & QUAL_EPT_FETCH) != 0,
	};
}

struct vcpu_event vmx_decode_event(u32 info, u32 error)
{
	struct vcpu_event e = {.vector = (u8)(info & INTR_VECTOR)};

	if ((info & INTR_VALID) == 0)
		return e;
	switch (info & INTR_TYPE) {
	case INTR_EXTERNAL:
	case INTR_SOFT_INT:
		e.type = EVENT_INTERRUPT;
		break;
	case INTR_NMI:
		e.type = EVENT_NMI;
		break;
	default:
		e.type = EVENT_EXCEPTION;
		e.has_error = (info & INTR_ERROR) != 0;
		e.error = e.has_error ? error : 0;
	}
	return e;
}

u32 vmx_decode_entry_info(const struct vcpu_event *e, bool protected_mode)
{
	switch (e->type) {
	case EVENT_INTERRUPT:
		return INTR_VALID | INTR_EXTERNAL | e->vector;
	case EVENT_NMI:
		return INTR_VALID | INTR_NMI | VEC_NMI;
	case EVENT_EXCEPTION:
		return INTR_VALID | INTR_HARD | e->vector |
		       (e->has_error && protected_mode ? INTR_ERROR : 0);
	case EVENT_NONE:
		break;
	}
	return 0;
}

static u64 width_mask(u8 width)
{
	return width == 8 ? ~0ul : (1ul << width * 8) - 1;
}

u64 vmx_string_index(u64 reg, u8 addr_width)
{
	return reg & width_mask(addr_width);
}

u64 vmx_string_add(u64 reg, u64 delta, u8 addr_width)
{
	u64 mask = width_mask(addr_width), value = (reg + delta) & mask;

	return addr_width == 4 ? value : (reg & ~mask) | value;
}

const char *vmx_decode_reason(u32 reason)
{
	switch (reason) {
	case EXIT_REASON_BAD_GUEST:
		return "guest state";
	case EXIT_REASON_BAD_MSR:
		return "MSR loading";
	case EXIT_REASON_MACHINE_CHECK:
		return "machine check";
	default:
		return "an unknown reason";
	}
}

const char *vmx_decode_insn_error(u32 error)
{
	static const char *const names[] = {
		[2] = "VMCLEAR: bad address",
		[3] = "VMCLEAR: the VMXON region",
		[4] = "VMLAUNCH: VMCS not clear",
		[5] = "VMRESUME: VMCS not launched",
		[6] = "VMRESUME after VMXOFF",
		[7] = "invalid controls",
		[8] = "invalid host state",
		[9] = "VMPTRLD: bad address",
		[10] = "VMPTRLD: the VMXON region",
		[11] = "VMPTRLD: wrong revision",
		[12] = "no such VMCS field",
		[13] = "read-only VMCS field",
		[15] = "VMXON in VMX operation",
		[26] = "events blocked by MOV SS",
		[28] = "INVEPT or INVVPID: bad operand",
	};

	return error < ARRAY_SIZE(names) && names[error] != NULL ? names[error] : "unknown";
}
