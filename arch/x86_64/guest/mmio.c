/* SPDX-License-Identifier: MIT */
/*
 * Instructions on devices: effective address, segment, translation, then load, compute, store. The
 * two accesses of a locked instruction are two calls: where another vCPU must not come between
 * them, the caller holds a lock around mmio_execute().
 */
#include "mmio.h"

#include <tern/err.h>

#include "guest.h"
#include "insn.h"
#include "walk_regs.h"

/* Elements of REP that one exit does: bounds the time before interrupts are looked at. */
#define REP_BATCH 64u

#define RFLAGS_ARITH (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)

struct exec {
	const struct insn *in;
	const struct mmio_ops *ops;
	void *ctx;
	struct vcpu_event *fault;
};

/* A translated operand: one piece, or two where it crosses into the next page. */
struct operand {
	u32 width;
	u32 first; /* bytes at at[0]; the rest at at[1] */
	gpa_t at[2];
};

static u64 mask_of(u32 bytes)
{
	return bytes >= 8 ? ~0ull : (1ull << 8 * bytes) - 1;
}

static s64 sign_extend(u64 v, u32 bytes)
{
	return (s64)(v << (64 - 8 * bytes)) >> (64 - 8 * bytes);
}

static u64 reg_get(const struct exec *x, u32 reg)
{
	return x->ops->reg_get(x->ctx, (enum vcpu_reg)reg);
}

/* SDM vol. 1 3.4.1.1: 32-bit results clear the upper half, shorter ones leave the rest. */
static void reg_merge(const struct exec *x, u32 reg, u32 width, u64 value)
{
	u64 keep = width >= 4 ? 0 : ~mask_of(width);

	if (keep != 0)
		keep &= reg_get(x, reg);
	x->ops->reg_set(x->ctx, (enum vcpu_reg)reg, keep | (value & mask_of(width)));
}

static u64 operand_reg(const struct exec *x)
{
	u64 v = reg_get(x, x->in->reg);

	return (x->in->reg_high ? v >> 8 : v) & mask_of(x->in->reg_width);
}

static void set_operand_reg(const struct exec *x, u64 value)
{
	if (x->in->reg_high) {
		u64 v = reg_get(x, x->in->reg);

		value = (v & ~0xff00ull) | (value & 0xff) << 8;
		x->ops->reg_set(x->ctx, (enum vcpu_reg)x->in->reg, value);
	} else {
		reg_merge(x, x->in->reg, x->in->reg_width, value);
	}
}

/* --- addresses --- */

static int segment_fault(const struct exec *x, enum vcpu_segment seg)
{
	/* SDM vol. 3B 21.1.4: real mode pushes no error codes. */
	*x->fault = (struct vcpu_event){.type = EVENT_EXCEPTION,
					.vector = seg == SEG_SS ? VEC_SS : VEC_GP,
					.has_error = (reg_get(x, REG_CR0) & CR0_PE) != 0};
	return -TERN_EFAULT;
}

/* Limit and rights outside 64-bit mode: SDM vol. 3A 5.3, 5.5; real mode has limits too. */
static bool segment_allows(const struct exec *x, const struct vcpu_seg *s, u64 offset, u32 width,
			   bool write)
{
	bool real =
		(reg_get(x, REG_CR0) & CR0_PE) == 0 || (reg_get(x, REG_RFLAGS) & RFLAGS_VM) != 0;
	bool code = (s->attr & SEG_ATTR_CODE) != 0;
	u64 last = offset + width - 1;

	if (!real) {
		if ((s->attr & SEG_ATTR_UNUSABLE) != 0 || (write && code))
			return false;
		if ((s->attr & SEG_ATTR_WRITE_READ) == 0 && (write || code))
			return false;
	}
	if (!code && (s->attr & SEG_ATTR_EXPAND_DOWN) != 0)
		return offset > s->limit &&
		       last <= ((s->attr & SEG_ATTR_DB) != 0 ? 0xffffffff : 0xffff);
	return last <= s->limit;
}

static int linear_of(const struct exec *x, enum vcpu_segment seg, u64 offset, u32 width, bool write,
		     u64 *out)
{
	struct vcpu_seg s;

	x->ops->seg_get(x->ctx, seg, &s);
	if (x->in->mode == INSN_64) {
		/* SDM vol. 1 3.4.2.1: only FS and GS have a base. */
		u64 linear = offset + (seg == SEG_FS || seg == SEG_GS ? s.base : 0);

		if (!guest_canonical(linear) || !guest_canonical(linear + width - 1))
			return segment_fault(x, seg);
		*out = linear;
		return 0;
	}
	if (!segment_allows(x, &s, offset, width, write))
		return segment_fault(x, seg);
	*out = (s.base + offset) & 0xffffffff;
	return 0;
}

/* Everything about an operand that can fault. */
static int prepare(const struct exec *x, enum vcpu_segment seg, u64 offset, bool write,
		   struct operand *op)
{
	u32 width = x->in->width;
	u64 linear = 0;
	int rc = linear_of(x, seg, offset, width, write, &linear);

	if (rc != 0)
		return rc;
	op->width = width;
	op->first = (u32)min_u64(width, PAGE_SIZE - linear % PAGE_SIZE);
	rc = x->ops->translate(x->ctx, linear, write, &op->at[0], x->fault);
	if (rc != 0 || op->first == width)
		return rc;
	linear += op->first;
	if (x->in->mode != INSN_64)
		linear &= 0xffffffff;
	return x->ops->translate(x->ctx, linear, write, &op->at[1], x->fault);
}

static u64 effective_address(const struct exec *x)
{
	const struct insn *in = x->in;
	u64 ea = (u64)in->disp;

	if (in->base == INSN_REG_RIP)
		ea += reg_get(x, REG_RIP) + in->len;
	else if (in->base != INSN_REG_NONE)
		ea += reg_get(x, in->base);
	if (in->index != INSN_REG_NONE)
		ea += reg_get(x, in->index) * in->scale;
	/* SDM vol. 2A, BT: a register's bit offset is signed and reaches past the operand. */
	if (in->op >= INSN_BT && in->src == INSN_SRC_REG) {
		s64 bit = sign_extend(operand_reg(x), in->width);

		ea += (u64)((bit >> 3) & -(s64)in->width);
	}
	return ea & mask_of(in->addr_width);
}

/* --- accesses --- */

/* The largest naturally aligned piece of what is left: devices take no other widths. */
static u32 piece(gpa_t at, u32 left)
{
	u32 width = 8;

	while (width > left || at.v % width != 0)
		width /= 2;
	return width;
}

/* Loads or, with store, stores n bytes, in pieces where they are no access of their own. */
static int access_part(const struct exec *x, gpa_t at, u32 n, u64 *value, bool store)
{
	bool whole = n == 1 || n == 2 || n == 4 || n == 8;

	for (u32 done = 0, width; done < n; done += width) {
		gpa_t here = gpa_add(at, done);
		u64 part = *value >> 8 * done;
		int rc;

		width = whole ? n : piece(here, n - done);
		part &= mask_of(width);
		rc = store ? x->ops->store(x->ctx, here, width, part)
			   : x->ops->load(x->ctx, here, width, &part);
		if (rc != 0)
			return rc;
		if (!store)
			*value = (*value & ~(mask_of(width) << 8 * done)) | part << 8 * done;
	}
	return 0;
}

static int load(const struct exec *x, const struct operand *op, u64 *value)
{
	u64 low = 0, high = 0;
	int rc = access_part(x, op->at[0], op->first, &low, false);

	if (rc == 0 && op->first < op->width) {
		rc = access_part(x, op->at[1], op->width - op->first, &high, false);
		low |= high << 8 * op->first;
	}
	*value = low;
	return rc;
}

static int store(const struct exec *x, const struct operand *op, u64 value)
{
	int rc = access_part(x, op->at[0], op->first, &value, true);

	if (rc != 0 || op->first == op->width)
		return rc;
	value >>= 8 * op->first;
	return access_part(x, op->at[1], op->width - op->first, &value, true);
}

/* --- arithmetic --- */

/* SF, ZF, PF of a result (SDM vol. 1 3.4.3.1). */
static u64 flags_of(u64 result, u32 width)
{
	u64 flags = result == 0 ? RFLAGS_ZF : 0;

	if ((result >> (8 * width - 1) & 1) != 0)
		flags |= RFLAGS_SF;
	if (!__builtin_parity((u32)result & 0xff))
		flags |= RFLAGS_PF;
	return flags;
}

/* a op b, both of that width; *flags gets what the operation makes of it. SDM vol. 2. */
static u64 compute(enum insn_op op, u32 width, u64 a, u64 b, u64 *flags)
{
	u64 mask = mask_of(width), sign = mask ^ mask >> 1, r, f = *flags & ~RFLAGS_ARITH;
	bool carry = false, overflow = false, adjust = false;

	switch (op) {
	case INSN_ADD:
	case INSN_INC:
		r = (a + b) & mask;
		carry = r < a;
		overflow = ((a ^ r) & (b ^ r) & sign) != 0;
		adjust = ((a ^ b ^ r) & 0x10) != 0;
		break;
	case INSN_SUB:
	case INSN_DEC:
	case INSN_CMP:
		r = (a - b) & mask;
		carry = a < b;
		overflow = ((a ^ b) & (a ^ r) & sign) != 0;
		adjust = ((a ^ b ^ r) & 0x10) != 0;
		break;
	case INSN_OR:
		r = a | b;
		break;
	case INSN_XOR:
		r = a ^ b;
		break;
	default: /* INSN_AND, INSN_TEST */
		r = a & b;
		break;
	}
	if (op == INSN_INC || op == INSN_DEC)
		carry = (*flags & RFLAGS_CF) != 0;
	f |= flags_of(r, width) | (carry ? RFLAGS_CF : 0) | (overflow ? RFLAGS_OF : 0) |
	     (adjust ? RFLAGS_AF : 0);
	*flags = f;
	return r;
}

/* BT and its kin change CF alone; the manual leaves OF, SF, AF, PF undefined, CPUs keep them. */
static u64 compute_bit(enum insn_op op, u32 width, u64 a, u64 offset, u64 *flags)
{
	u64 bit = 1ull << (offset & (8 * width - 1));

	*flags = (*flags & ~RFLAGS_CF) | ((a & bit) != 0 ? RFLAGS_CF : 0);
	switch (op) {
	case INSN_BTS:
		return a | bit;
	case INSN_BTR:
		return a & ~bit;
	case INSN_BTC:
		return a ^ bit;
	default:
		return a;
	}
}

/* --- instructions --- */

/* Those that load, compute and, unless they only look, store. */
static int modify(const struct exec *x)
{
	const struct insn *in = x->in;
	bool to_reg = in->src == INSN_SRC_MEM;
	bool looks = in->op == INSN_CMP || in->op == INSN_TEST || in->op == INSN_BT || to_reg;
	u64 flags = reg_get(x, REG_RFLAGS), memory = 0, other, result;
	struct operand op;
	int rc = prepare(x, (enum vcpu_segment)in->segment, effective_address(x), !looks, &op);

	if (rc == 0)
		rc = load(x, &op, &memory);
	if (rc != 0)
		return rc;
	if (in->src == INSN_SRC_NONE)
		other = 1; /* INC, DEC */
	else
		other = in->src == INSN_SRC_IMM ? in->imm & mask_of(in->width) : operand_reg(x);

	if (in->op == INSN_NOT)
		result = ~memory & mask_of(in->width);
	else if (in->op == INSN_XCHG)
		result = other;
	else if (in->op >= INSN_BT)
		result = compute_bit(in->op, in->width, memory, other, &flags);
	else if (to_reg)
		result = compute(in->op, in->width, other, memory, &flags);
	else
		result = compute(in->op, in->width, memory, other, &flags);

	if (!looks) {
		rc = store(x, &op, result);
		if (rc != 0)
			return rc;
	}
	if (in->op == INSN_XCHG)
		set_operand_reg(x, memory);
	else if (to_reg && in->op != INSN_CMP && in->op != INSN_TEST)
		set_operand_reg(x, result);
	x->ops->reg_set(x->ctx, REG_RFLAGS, flags);
	return MMIO_DONE;
}

static int move(const struct exec *x)
{
	const struct insn *in = x->in;
	bool write = in->src != INSN_SRC_MEM;
	struct operand op;
	u64 value = 0;
	int rc = prepare(x, (enum vcpu_segment)in->segment, effective_address(x), write, &op);

	if (rc != 0)
		return rc;
	if (write)
		return store(x, &op, in->src == INSN_SRC_IMM ? in->imm : operand_reg(x));
	rc = load(x, &op, &value);
	if (rc != 0)
		return rc;
	if (in->op == INSN_MOVSX)
		value = (u64)sign_extend(value, in->width);
	set_operand_reg(x, value);
	return MMIO_DONE;
}

/* One element of STOS or MOVS, without the registers that count. */
static int element(const struct exec *x)
{
	const struct insn *in = x->in;
	struct operand from, to;
	u64 value = operand_reg(x);
	int rc = 0;

	if (in->op == INSN_MOVS)
		rc = prepare(x, (enum vcpu_segment)in->segment, effective_address(x), false, &from);
	if (rc == 0)
		rc = prepare(x, SEG_ES, reg_get(x, REG_RDI) & mask_of(in->addr_width), true, &to);
	if (rc == 0 && in->op == INSN_MOVS)
		rc = load(x, &from, &value);
	return rc == 0 ? store(x, &to, value) : rc;
}

/* SDM vol. 2B, REP: registers are right after each element, so that it can end after any. */
static int string(const struct exec *x)
{
	const struct insn *in = x->in;
	bool rep = in->rep || in->repne; /* REPNE: SDM vol. 2B leaves it open, CPUs repeat */
	u64 mask = mask_of(in->addr_width), flags = reg_get(x, REG_RFLAGS);
	u64 step = (flags & RFLAGS_DF) != 0 ? -(u64)in->width : in->width;
	/* SDM vol. 3B 18.3.1.4: a single step is an element. */
	u32 batch = (flags & RFLAGS_TF) != 0 ? 1 : REP_BATCH;

	if (rep && (reg_get(x, REG_RCX) & mask) == 0)
		return MMIO_DONE;
	for (u32 i = 0; i < batch; i++) {
		u64 left = (reg_get(x, REG_RCX) - 1) & mask;
		int rc = element(x);

		if (rc != 0)
			return rc;
		if (in->op == INSN_MOVS)
			reg_merge(x, REG_RSI, in->addr_width, reg_get(x, REG_RSI) + step);
		reg_merge(x, REG_RDI, in->addr_width, reg_get(x, REG_RDI) + step);
		if (!rep)
			return MMIO_DONE;
		reg_merge(x, REG_RCX, in->addr_width, left);
		if (left == 0)
			return MMIO_DONE;
	}
	return MMIO_AGAIN;
}

int mmio_execute(const struct insn *in, const struct mmio_ops *ops, void *ctx,
		 struct vcpu_event *fault)
{
	struct exec x = {.in = in, .ops = ops, .ctx = ctx, .fault = fault};

	switch (in->op) {
	case INSN_MOV:
	case INSN_MOVZX:
	case INSN_MOVSX:
		return move(&x);
	case INSN_STOS:
	case INSN_MOVS:
		return string(&x);
	default:
		return modify(&x);
	}
}
