/* SPDX-License-Identifier: MIT */
/* Exit qualifications and instruction information (SDM vol. 3C 28.2), taken apart. Pure. */
#ifndef VMX_DECODE_H
#define VMX_DECODE_H

#include <tern/types.h>
#include <tern/virt.h>

#include "vmx_exit_regs.h"

enum vmx_cr_type { VMX_CR_TO, VMX_CR_FROM, VMX_CR_CLTS, VMX_CR_LMSW };

struct vmx_cr_access {
	enum vmx_cr_type type;
	u8 cr;
	enum vcpu_reg reg;
	u16 source; /* LMSW */
};

struct vmx_io_access {
	struct exit_pio pio; /* without value */
	bool rep;
};

struct vmx_io_string {
	u8 addr_width; /* bytes: 2, 4, 8 */
	enum vcpu_segment segment;
};

struct vmx_cr_access vmx_decode_cr(u64 qualification);
/* Inline: each IN and OUT needs it. */
static inline struct vmx_io_access vmx_decode_io(u64 q)
{
	return (struct vmx_io_access){
		.pio = {.port = (u16)(q >> QUAL_IO_PORT_SHIFT),
			.width = (u8)((q & QUAL_IO_SIZE) + 1),
			.in = (q & QUAL_IO_IN) != 0,
			.string = (q & QUAL_IO_STRING) != 0},
		.rep = (q & QUAL_IO_REP) != 0,
	};
}

struct vmx_io_string vmx_decode_io_string(u32 info);
struct exit_mem vmx_decode_mem(u64 qualification, u64 gpa);
/* Event information of an exit or of IDT vectoring as a neutral event; and back, for the entry: the
 * error code goes only with protected mode (SDM vol. 3C 27.2.1.3). */
struct vcpu_event vmx_decode_event(u32 info, u32 error);
u32 vmx_decode_entry_info(const struct vcpu_event *event, bool protected_mode);
/* Registers of a string instruction of that address size, in bytes (SDM vol. 2B, INS and REP): what is
 * in use of a register, and the addition that 32-bit code clears the upper half by. */
u64 vmx_string_index(u64 reg, u8 addr_width);
u64 vmx_string_add(u64 reg, u64 delta, u8 addr_width);
/* Why an entry failed, SDM vol. 3C 27.8. Never NULL. */
const char *vmx_decode_reason(u32 reason);
/* VM-instruction errors, SDM vol. 3C 31.4. Never NULL. */
const char *vmx_decode_insn_error(u32 error);

#endif
