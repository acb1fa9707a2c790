/* SPDX-License-Identifier: MIT */
/*
 * Decoder of the instructions that reach devices through memory (insn.c): MOV with a general
 * register or an immediate, MOVZX, MOVSX, MOVSXD, STOS, MOVS, XCHG, AND, OR, XOR, ADD, SUB, CMP,
 * TEST, INC, DEC, NOT, BT, BTS, BTR, BTC, all with a memory operand. Pure; judged against Zydis
 * (tests/unit/insn_test.c). SDM vol. 2A chapter 2, vol. 2D appendix A.
 */
#ifndef GUEST_INSN_H
#define GUEST_INSN_H

#include <tern/types.h>

#define INSN_LEN_MAX 15u

enum insn_mode { INSN_16, INSN_32, INSN_64 }; /* CS.L, CS.D */

enum insn_op {
	INSN_MOV,
	INSN_MOVZX,
	INSN_MOVSX, /* MOVSXD is INSN_MOVSX */
	INSN_STOS,
	INSN_MOVS,
	INSN_XCHG,
	INSN_ADD,
	INSN_OR,
	INSN_AND,
	INSN_SUB,
	INSN_XOR,
	INSN_CMP,
	INSN_TEST,
	INSN_INC,
	INSN_DEC,
	INSN_NOT,
	INSN_BT,
	INSN_BTS,
	INSN_BTR,
	INSN_BTC,
	INSN_OP_COUNT,
};

/* What is beside the memory operand, and which way it goes. */
enum insn_src {
	INSN_SRC_REG,  /* reg is the source, memory the destination (XCHG: both are both) */
	INSN_SRC_IMM,  /* imm is the source, memory the destination */
	INSN_SRC_MEM,  /* memory is the source and reg the destination */
	INSN_SRC_NONE, /* INC, DEC, NOT; MOVS: memory at both ends */
};

/* base and index beside the enum vcpu_reg of REG_RAX to REG_R15. */
#define INSN_REG_NONE 0xff
#define INSN_REG_RIP  0xfe /* base only: RIP of the next instruction */

struct insn {
	enum insn_op op;
	enum insn_mode mode; /* as it was decoded */
	u8 len;              /* bytes */
	u8 width;            /* bytes of the memory access: 1, 2, 4, 8 */
	u8 reg_width;        /* bytes of the register operand; differs for MOVZX and MOVSX only */
	u8 addr_width;       /* bytes of the effective address: 2, 4, 8 */
	enum insn_src src;
	u8 reg;        /* enum vcpu_reg of the register operand (RAX..R15); STOS: RAX */
	bool reg_high; /* AH, CH, DH, BH: bits 15:8 of reg, which is RAX to RBX then */
	u64 imm;       /* sign-extended to 64 bits */
	bool lock;
	bool rep, repne; /* F3 or F2, the last one: a repetition for STOS and MOVS, else ignored */
	/*
	 * Effective address: (base + index * scale + disp) modulo 2^(8 * addr_width). MOVS: of the
	 * source (segment:rSI), the destination is ES:rDI. BT and its kin with a register: of bit
	 * 0; the bit offset moves it.
	 */
	u8 base;
	u8 index;
	u8 scale; /* 1, 2, 4, 8 */
	s64 disp;
	u8 segment; /* enum vcpu_segment that applies, overrides taken into account */
};

/*
 * Decodes one instruction of the n bytes at code. 0; -TERN_EINVAL: not one of the set above, or
 * LOCK where the CPU refuses it, or longer than 15 bytes; -TERN_E2BIG: n bytes are not enough.
 * *out is written on success only.
 */
MUST_CHECK int insn_decode(const u8 *code, size_t n, enum insn_mode mode, struct insn *out);

#endif
