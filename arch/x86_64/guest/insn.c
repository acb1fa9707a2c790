/* SPDX-License-Identifier: MIT */
/*
 * Instruction decoder for memory-mapped devices: two opcode tables say what an opcode is and what
 * follows it, one pass over the bytes does the rest. SDM vol. 2A chapter 2 (formats), vol. 2D
 * appendix A (opcode maps). A guest can change the bytes at any time: the caller decodes a copy.
 */
#include <tern/err.h>
#include <tern/types.h>
#include <tern/virt.h>

#include "insn.h"

/* How an opcode goes on; 0: not of our set. But for FORM_MOFFS and FORM_STRING ModRM follows. */
enum {
	FORM_VALID = 1 << 0,
	FORM_BYTE = 1 << 1,   /* operands of one byte */
	FORM_MEM8 = 1 << 2,   /* memory is one byte, the register has the operand size */
	FORM_MEM16 = 1 << 3,  /* two bytes */
	FORM_MEM32 = 1 << 4,  /* four bytes at most */
	FORM_IMM8 = 1 << 5,   /* an immediate of one byte */
	FORM_IMM = 1 << 6,    /* an immediate of the operand size, four bytes at most */
	FORM_MOFFS = 1 << 7,  /* the address follows at once */
	FORM_STRING = 1 << 8, /* addresses in rSI and rDI */
	FORM_GROUP = 1 << 9,  /* ModRM.reg chooses in groups[op] */
	FORM_NOT64 = 1 << 10, /* #UD in 64-bit mode */
	FORM_ONLY64 = 1 << 11 /* another instruction in other modes */
};

struct form {
	u8 op;  /* enum insn_op, or enum group */
	u8 src; /* enum insn_src */
	u16 how;
};

enum group { GROUP_1, GROUP_3, GROUP_4, GROUP_8, GROUP_11, GROUP_COUNT };

#define FORM(op, src, how)                                    \
	{                                                     \
		INSN_##op, INSN_SRC_##src, FORM_VALID | (how) \
	}
#define GROUP(n, how)                                         \
	{                                                     \
		GROUP_##n, 0, FORM_VALID | FORM_GROUP | (how) \
	}
/* op r/m8, r8; op r/m, r; op r8, r/m8; op r, r/m */
#define ALU(opcode, op)                                                         \
	[opcode] = FORM(op, REG, FORM_BYTE), [(opcode) + 1] = FORM(op, REG, 0), \
	[(opcode) + 2] = FORM(op, MEM, FORM_BYTE), [(opcode) + 3] = FORM(op, MEM, 0)

static const struct form one_byte[256] = {
	ALU(0x00, ADD),
	ALU(0x08, OR),
	ALU(0x20, AND),
	ALU(0x28, SUB),
	ALU(0x30, XOR),
	ALU(0x38, CMP),
	[0x63] = FORM(MOVSX, MEM, FORM_MEM32 | FORM_ONLY64), /* MOVSXD; else ARPL */
	[0x80] = GROUP(1, FORM_BYTE | FORM_IMM8),
	[0x81] = GROUP(1, FORM_IMM),
	[0x82] = GROUP(1, FORM_BYTE | FORM_IMM8 | FORM_NOT64),
	[0x83] = GROUP(1, FORM_IMM8),
	[0x84] = FORM(TEST, REG, FORM_BYTE),
	[0x85] = FORM(TEST, REG, 0),
	[0x86] = FORM(XCHG, REG, FORM_BYTE),
	[0x87] = FORM(XCHG, REG, 0),
	[0x88] = FORM(MOV, REG, FORM_BYTE),
	[0x89] = FORM(MOV, REG, 0),
	[0x8a] = FORM(MOV, MEM, FORM_BYTE),
	[0x8b] = FORM(MOV, MEM, 0),
	[0xa0] = FORM(MOV, MEM, FORM_MOFFS | FORM_BYTE),
	[0xa1] = FORM(MOV, MEM, FORM_MOFFS),
	[0xa2] = FORM(MOV, REG, FORM_MOFFS | FORM_BYTE),
	[0xa3] = FORM(MOV, REG, FORM_MOFFS),
	[0xa4] = FORM(MOVS, NONE, FORM_STRING | FORM_BYTE),
	[0xa5] = FORM(MOVS, NONE, FORM_STRING),
	[0xaa] = FORM(STOS, REG, FORM_STRING | FORM_BYTE),
	[0xab] = FORM(STOS, REG, FORM_STRING),
	[0xc6] = GROUP(11, FORM_BYTE | FORM_IMM8),
	[0xc7] = GROUP(11, FORM_IMM),
	[0xf6] = GROUP(3, FORM_BYTE),
	[0xf7] = GROUP(3, 0),
	[0xfe] = GROUP(4, FORM_BYTE),
	[0xff] = GROUP(4, 0), /* group 5, whose other members are not ours */
};

static const struct form two_byte[256] = {
	[0xa3] = FORM(BT, REG, 0),
	[0xab] = FORM(BTS, REG, 0),
	[0xb3] = FORM(BTR, REG, 0),
	[0xb6] = FORM(MOVZX, MEM, FORM_MEM8),
	[0xb7] = FORM(MOVZX, MEM, FORM_MEM16),
	[0xba] = GROUP(8, FORM_IMM8),
	[0xbb] = FORM(BTC, REG, 0),
	[0xbe] = FORM(MOVSX, MEM, FORM_MEM8),
	[0xbf] = FORM(MOVSX, MEM, FORM_MEM16),
};

/* SDM vol. 2D table A-6. how adds to that of the opcode. */
static const struct form groups[GROUP_COUNT][8] = {
	[GROUP_1] = {FORM(ADD, IMM, 0), FORM(OR, IMM, 0), [4] = FORM(AND, IMM, 0),
		     FORM(SUB, IMM, 0), FORM(XOR, IMM, 0), FORM(CMP, IMM, 0)},
	/* /1 is not in the manual; every CPU takes it for /0. */
	[GROUP_3] = {FORM(TEST, IMM, FORM_IMM), FORM(TEST, IMM, FORM_IMM), FORM(NOT, NONE, 0)},
	[GROUP_4] = {FORM(INC, NONE, 0), FORM(DEC, NONE, 0)},
	[GROUP_8] = {[4] = FORM(BT, IMM, 0),
		     FORM(BTS, IMM, 0),
		     FORM(BTR, IMM, 0),
		     FORM(BTC, IMM, 0)},
	[GROUP_11] = {FORM(MOV, IMM, 0)},
};

/* SDM vol. 2A, LOCK: these, and only with memory as destination. */
static const bool lockable[INSN_OP_COUNT] = {
	[INSN_XCHG] = true, [INSN_ADD] = true, [INSN_OR] = true,  [INSN_AND] = true,
	[INSN_SUB] = true,  [INSN_XOR] = true, [INSN_INC] = true, [INSN_DEC] = true,
	[INSN_NOT] = true,  [INSN_BTS] = true, [INSN_BTR] = true, [INSN_BTC] = true,
};

#define SEG_NONE 0xff

enum { REX_B = 1 << 0, REX_X = 1 << 1, REX_R = 1 << 2, REX_W = 1 << 3 };

struct decoder {
	const u8 *code;
	size_t n, at;
	bool cut; /* the bytes ended early */
	enum insn_mode mode;
	u8 rex;       /* 0x40 to 0x4f, or 0 */
	u8 segment;   /* an override, or SEG_NONE */
	bool operand; /* 66 */
	bool address; /* 67 */
};

/* Little endian, sign-extended. Past the end it reads zeros and remembers that. */
static u64 take(struct decoder *d, u32 bytes)
{
	u64 v = 0;

	if (d->n - d->at < bytes) {
		d->cut = true;
		d->at = d->n;
		return 0;
	}
	for (u32 i = 0; i < bytes; i++)
		v |= (u64)d->code[d->at++] << (8 * i);
	if (bytes < 8 && (v >> (8 * bytes - 1) & 1) != 0)
		v |= ~0ull << (8 * bytes);
	return v;
}

static u8 take_byte(struct decoder *d)
{
	return (u8)take(d, 1);
}

/*
 * SDM vol. 2A 2.1.1, 2.2.1. Of two prefixes of a group the later one counts. In 64-bit mode the
 * segments without a base cannot be chosen: their prefixes do nothing, not even undo FS or GS. A
 * REX prefix that is not the last prefix is ignored. Returns the first byte of the opcode.
 */
static u8 take_prefixes(struct decoder *d, struct insn *in)
{
	for (;;) {
		u8 b = take_byte(d);

		if (d->cut)
			return 0;
		if (d->mode == INSN_64 && (b & 0xf0) == 0x40) {
			d->rex = b;
			continue;
		}
		switch (b) {
		case 0x26:
		case 0x2e:
		case 0x36:
		case 0x3e:
			if (d->mode != INSN_64)
				d->segment = (u8)(SEG_ES + (b >> 3 & 3));
			break;
		case 0x64:
			d->segment = SEG_FS;
			break;
		case 0x65:
			d->segment = SEG_GS;
			break;
		case 0x66:
			d->operand = true;
			break;
		case 0x67:
			d->address = true;
			break;
		case 0xf0:
			in->lock = true;
			break;
		case 0xf2:
		case 0xf3:
			in->repne = b == 0xf2;
			in->rep = b == 0xf3;
			break;
		default:
			return b;
		}
		d->rex = 0;
	}
}

static u8 operand_width(const struct decoder *d)
{
	if ((d->rex & REX_W) != 0)
		return 8;
	return d->operand == (d->mode == INSN_16) ? 4 : 2;
}

static u8 address_width(const struct decoder *d)
{
	if (d->mode == INSN_64)
		return d->address ? 4 : 8;
	return d->address == (d->mode == INSN_16) ? 4 : 2;
}

/* SDM vol. 2A table 2-1. */
static void take_address16(struct decoder *d, struct insn *in, u8 mod, u8 rm)
{
	static const u8 bases[8] = {REG_RBX, REG_RBX, REG_RBP, REG_RBP,
				    REG_RSI, REG_RDI, REG_RBP, REG_RBX};

	if (mod == 0 && rm == 6) {
		in->disp = (s64)take(d, 2);
		return;
	}
	in->base = bases[rm];
	if (rm < 4)
		in->index = (rm & 1) != 0 ? REG_RDI : REG_RSI;
	if (mod != 0)
		in->disp = (s64)take(d, mod);
}

/* SDM vol. 2A tables 2-2, 2-3, 2-5 (REX does not change which encodings are special), 2-7. */
static void take_address(struct decoder *d, struct insn *in, u8 mod, u8 rm)
{
	u8 base = rm;

	if (rm == 4) {
		u8 sib = take_byte(d);
		u8 index = (u8)((sib >> 3 & 7) | ((d->rex & REX_X) != 0 ? 8 : 0));

		base = sib & 7;
		if (index != 4) {
			in->index = index;
			in->scale = (u8)(1 << (sib >> 6));
		}
	}
	if (mod == 0 && base == 5) {
		if (rm == 5 && d->mode == INSN_64)
			in->base = INSN_REG_RIP;
		in->disp = (s64)take(d, 4);
		return;
	}
	in->base = (u8)(base | ((d->rex & REX_B) != 0 ? 8 : 0));
	if (mod != 0)
		in->disp = (s64)take(d, mod == 1 ? 1 : 4);
}

/* False: the operand is a register, not memory. */
static bool take_modrm_operands(struct decoder *d, struct insn *in, u8 modrm)
{
	u8 mod = modrm >> 6, rm = modrm & 7;

	if (mod == 3)
		return false;
	if (in->addr_width == 2)
		take_address16(d, in, mod, rm);
	else
		take_address(d, in, mod, rm);
	if (in->src == INSN_SRC_REG || in->src == INSN_SRC_MEM)
		in->reg = (u8)((modrm >> 3 & 7) | ((d->rex & REX_R) != 0 ? 8 : 0));
	/* SDM vol. 1 3.7.4: what stands on the stack pointers is on the stack. */
	in->segment = in->base == REG_RSP || in->base == REG_RBP ? SEG_SS : SEG_DS;
	return true;
}

static void set_widths(const struct decoder *d, struct insn *in, u16 how)
{
	in->reg_width = (how & FORM_BYTE) != 0 ? 1 : operand_width(d);
	in->width = in->reg_width;
	if ((how & FORM_MEM8) != 0)
		in->width = 1;
	else if ((how & FORM_MEM16) != 0)
		in->width = 2;
	else if ((how & FORM_MEM32) != 0 && in->width > 4)
		in->width = 4;
}

/* The opcode's form and all flags that apply, ModRM taken; false: not of our set. */
static bool take_opcode(struct decoder *d, struct insn *in, struct form *form, u8 *modrm)
{
	u8 b = take_prefixes(d, in);

	*form = b == 0x0f ? two_byte[take_byte(d)] : one_byte[b];
	if (form->how == 0 || (form->how & (d->mode == INSN_64 ? FORM_NOT64 : FORM_ONLY64)) != 0)
		return false;
	if ((form->how & (FORM_MOFFS | FORM_STRING)) != 0)
		return true;
	*modrm = take_byte(d);
	if ((form->how & FORM_GROUP) != 0) {
		const struct form *member = &groups[form->op][*modrm >> 3 & 7];
		u16 how = form->how;

		if (member->how == 0)
			return false;
		*form = *member;
		form->how |= how;
	}
	return true;
}

static bool decode(struct decoder *d, struct insn *in)
{
	struct form form;
	u8 modrm = 0;

	if (!take_opcode(d, in, &form, &modrm))
		return false;
	in->op = form.op;
	in->src = form.src;
	in->addr_width = address_width(d);
	set_widths(d, in, form.how);
	/* MOVSXD to 16 bits reads two bytes by the SDM, four by others: nobody relies on it. */
	if ((form.how & FORM_MEM32) != 0 && in->width < 4)
		return false;
	if (in->lock && (!lockable[in->op] || in->src == INSN_SRC_MEM))
		return false;

	if ((form.how & FORM_MOFFS) != 0) {
		u32 width = in->addr_width;
		u64 offset = take(d, width); /* unsigned: SDM vol. 2B, MOV */

		in->disp = (s64)(width == 8 ? offset : offset & ((1ull << 8 * width) - 1));
		in->segment = SEG_DS;
	} else if ((form.how & FORM_STRING) != 0) {
		in->base = in->op == INSN_STOS ? REG_RDI : REG_RSI;
		in->segment = in->op == INSN_STOS ? SEG_ES : SEG_DS;
	} else if (!take_modrm_operands(d, in, modrm)) {
		return false;
	}
	if (d->segment != SEG_NONE && in->op != INSN_STOS)
		in->segment = d->segment;

	/* SDM vol. 2A table 3-1: without REX the byte registers 4 to 7 are AH, CH, DH, BH. */
	if (in->reg_width == 1 && d->rex == 0 && in->reg >= 4) {
		in->reg_high = true;
		in->reg &= 3;
	}
	if (in->src == INSN_SRC_IMM)
		in->imm = take(d, (form.how & FORM_IMM8) != 0 ? 1
				  : in->reg_width < 4         ? in->reg_width
							      : 4);
	return true;
}

int insn_decode(const u8 *code, size_t n, enum insn_mode mode, struct insn *out)
{
	struct decoder d = {
		.code = code, .n = min_u64(n, INSN_LEN_MAX), .mode = mode, .segment = SEG_NONE};
	struct insn in = {.mode = mode, .base = INSN_REG_NONE, .index = INSN_REG_NONE, .scale = 1};
	bool ours = decode(&d, &in);

	/* A byte that is not there leads nowhere: what decode() made of it does not count. */
	if (d.cut)
		return n < INSN_LEN_MAX ? -TERN_E2BIG : -TERN_EINVAL;
	if (!ours)
		return -TERN_EINVAL;
	in.len = (u8)d.at;
	*out = in;
	return 0;
}
