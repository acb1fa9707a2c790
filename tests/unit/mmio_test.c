/* SPDX-License-Identifier: MIT */
/* links: arch/x86_64/guest/mmio.c arch/x86_64/guest/insn.c */
/*
 * The emulated instruction against the CPU that runs this test: random instructions of the set are
 * decoded and executed on a fake guest, and run for real on a copy; memory, registers and flags
 * must come out the same. Faults and the 16- and 32-bit modes are tested by hand.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <cmocka.h>

#include <tern/err.h>
#include <tern/virt.h>

#include "arch/x86_64/guest/insn.h"
#include "arch/x86_64/guest/mmio.h"
#include "arch/x86_64/guest/walk_regs.h"

#define COUNT 100000u
#define PAGES 4u
#define BYTES (PAGES * 4096u)
#define ARITH (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)

static u64 seed = 0x7e57c0de;

static u64 rnd64(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed * 0x2545f4914f6cdd1dull;
}

static u32 rnd(u32 below)
{
	return (u32)(rnd64() >> 33) % below;
}

/* --- the fake guest --- */

struct guest {
	u64 reg[REG_COUNT];
	struct vcpu_seg seg[SEG_COUNT];
	u64 base; /* linear address of mem */
	u8 mem[BYTES];
	u32 calls, fail_at; /* translate number fail_at faults, counted from 1 */
	int fail;
	u32 loads, stores;
	u32 store_fail; /* store number store_fail finds nothing */
	char log[512];  /* accesses: "r4@1000 " */
};

static struct guest g;

static u64 reg_get(void *ctx, enum vcpu_reg reg)
{
	return ((struct guest *)ctx)->reg[reg];
}

static void reg_set(void *ctx, enum vcpu_reg reg, u64 value)
{
	((struct guest *)ctx)->reg[reg] = value;
}

static void seg_get(void *ctx, enum vcpu_segment seg, struct vcpu_seg *out)
{
	*out = ((struct guest *)ctx)->seg[seg];
}

/* Neighbouring pages are no neighbours in memory: page n is at (PAGES - 1 - n) pages. */
static int translate(void *ctx, u64 linear, bool write, gpa_t *out, struct vcpu_event *fault)
{
	struct guest *t = ctx;
	u64 off = linear - t->base;

	if (++t->calls == t->fail_at) {
		*fault = (struct vcpu_event){.type = EVENT_EXCEPTION,
					     .vector = VEC_PF,
					     .has_error = true,
					     .error = write ? PF_W : 0};
		t->reg[REG_CR2] = linear;
		return t->fail;
	}
	assert_true(off < BYTES);
	*out = gpa((PAGES - 1 - off / 4096) * 4096 + off % 4096);
	return 0;
}

static u8 *place(struct guest *t, gpa_t at, u32 width)
{
	assert_true(width == 1 || width == 2 || width == 4 || width == 8);
	assert_true(at.v % 4096 + width <= 4096 && at.v + width <= BYTES);
	return t->mem + (PAGES - 1 - at.v / 4096) * 4096 + at.v % 4096;
}

static void note(struct guest *t, char what, u32 width, gpa_t at)
{
	size_t n = strlen(t->log);

	snprintf(t->log + n, sizeof(t->log) - n, "%c%u@%llx ", what, width,
		 (unsigned long long)at.v);
}

static int load(void *ctx, gpa_t at, u32 width, u64 *value)
{
	struct guest *t = ctx;

	t->loads++;
	note(t, 'r', width, at);
	*value = 0;
	memcpy(value, place(t, at, width), width);
	return 0;
}

static int store(void *ctx, gpa_t at, u32 width, u64 value)
{
	struct guest *t = ctx;

	if (++t->stores == t->store_fail)
		return -TERN_EAGAIN;
	note(t, 'w', width, at);
	assert_true(width == 8 || value >> 8 * width == 0);
	memcpy(place(t, at, width), &value, width);
	return 0;
}

static const struct mmio_ops ops = {reg_get, reg_set, seg_get, translate, load, store};

/* --- the real CPU --- */

struct native {
	u64 reg[16], flags;
};

/* Loads all registers but RSP from *r, "returns" to code, which jumps to native_end. */
void native_run(struct native *r, void *code);
void native_end(void);

__asm__(".pushsection .text\n"
	".globl native_run, native_end\n"
	"native_run:\n"
	"push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n"
	"push %rdi\n push %rsi\n pushq 128(%rdi)\n"
	"mov 0(%rdi), %rax\n mov 8(%rdi), %rcx\n mov 16(%rdi), %rdx\n mov 24(%rdi), %rbx\n"
	"mov 40(%rdi), %rbp\n mov 48(%rdi), %rsi\n mov 64(%rdi), %r8\n mov 72(%rdi), %r9\n"
	"mov 80(%rdi), %r10\n mov 88(%rdi), %r11\n mov 96(%rdi), %r12\n mov 104(%rdi), %r13\n"
	"mov 112(%rdi), %r14\n mov 120(%rdi), %r15\n mov 56(%rdi), %rdi\n"
	"popfq\n ret\n"
	"native_end:\n"
	"pushfq\n push %rdi\n mov 16(%rsp), %rdi\n"
	"mov %rax, 0(%rdi)\n mov %rcx, 8(%rdi)\n mov %rdx, 16(%rdi)\n mov %rbx, 24(%rdi)\n"
	"mov %rbp, 40(%rdi)\n mov %rsi, 48(%rdi)\n mov %r8, 64(%rdi)\n mov %r9, 72(%rdi)\n"
	"mov %r10, 80(%rdi)\n mov %r11, 88(%rdi)\n mov %r12, 96(%rdi)\n mov %r13, 104(%rdi)\n"
	"mov %r14, 112(%rdi)\n mov %r15, 120(%rdi)\n"
	"popq 56(%rdi)\n popq 128(%rdi)\n cld\n"
	"pop %rdi\n pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n"
	"ret\n"
	".popsection\n");

static u8 *area; /* PAGES of operands, then one of code; below 4 GiB, for 32-bit addresses */

static void native(struct native *r, const u8 *insn, u32 len)
{
	static const u8 jump[6] = {0xff, 0x25}; /* jmp *0(%rip) */
	u64 end = (u64)native_end;
	u8 *code = area + BYTES;

	memcpy(code, insn, len);
	memcpy(code + len, jump, sizeof(jump));
	memcpy(code + len + sizeof(jump), &end, sizeof(end));
	native_run(r, code);
}

/* --- random instructions --- */

static const u8 one_byte[] = {
	0x00, 0x01, 0x02, 0x03, 0x08, 0x09, 0x0a, 0x0b, 0x20, 0x21, 0x22, 0x23,
	0x28, 0x29, 0x2a, 0x2b, 0x30, 0x31, 0x32, 0x33, 0x38, 0x39, 0x3a, 0x3b,
	0x63, 0x80, 0x81, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8b,
	0xa4, 0xa5, 0xaa, 0xab, 0xc6, 0xc7, 0xf6, 0xf7, 0xfe, 0xff,
};
static const u8 two_byte[] = {0xa3, 0xab, 0xb3, 0xb6, 0xb7, 0xba, 0xbb, 0xbe, 0xbf};

/* Bytes that decode to something of the set whose registers can be given values for; else false. */
static bool generate(u8 code[INSN_LEN_MAX], u32 *modrm, struct insn *in)
{
	u32 at = 0;

	for (u32 i = 0; i < INSN_LEN_MAX; i++)
		code[i] = (u8)rnd64();
	if (rnd(3) == 0)
		code[at++] = 0x66;
	if (rnd(4) == 0)
		code[at++] = 0x67;
	if (rnd(6) == 0)
		code[at++] = 0xf0;
	if (rnd(3) == 0)
		code[at++] = (u8)(0xf2 + rnd(2));
	if (rnd(2) == 0)
		code[at++] = (u8)(0x40 + rnd(16));
	if (rnd(4) == 0) {
		code[at++] = 0x0f;
		code[at++] = two_byte[rnd(ARRAY_SIZE(two_byte))];
	} else {
		code[at++] = one_byte[rnd(ARRAY_SIZE(one_byte))];
	}
	*modrm = at;
	if (insn_decode(code, INSN_LEN_MAX, INSN_64, in) != 0)
		return false;
	/* F2 and F3 are for strings here: before others they may mean something to newer CPUs. */
	if ((in->rep || in->repne) && in->op != INSN_STOS && in->op != INSN_MOVS)
		return false;
	if (in->base == REG_RSP || in->index == in->base || in->base == INSN_REG_NONE)
		return false;
	return in->reg != REG_RSP;
}

/* Gives the registers values that bring the operand into the area; false when that cannot be. */
static bool aim(u8 *code, u32 modrm, struct insn *in)
{
	static const u32 spread[] = {BYTES / 2, 4096, 8192, 12288 - 4};
	u64 target = g.base + spread[rnd(ARRAY_SIZE(spread))] + rnd(12) - 6;
	bool bits = in->op >= INSN_BT && in->src == INSN_SRC_REG;

	for (u32 i = 0; i < 16; i++)
		g.reg[i] = rnd(4) == 0 ? (u64)rnd(3) - 1 : rnd64();
	if (bits && (in->reg == in->base || in->reg == in->index))
		return false;
	if (bits) {
		u64 high = in->width == 8 ? 0 : g.reg[in->reg] << 8 * in->width;
		u64 low = in->width == 8 ? ~0ull : (1ull << 8 * in->width) - 1;

		g.reg[in->reg] = high | (((u64)rnd(4096) - 2048) & low);
	}
	if (in->op == INSN_STOS || in->op == INSN_MOVS) {
		g.reg[REG_RCX] = (g.reg[REG_RCX] << 32) | rnd(300);
		g.reg[REG_RDI] = g.base + BYTES / 2 + rnd(4096) - 2048;
		if (in->addr_width == 8)
			g.reg[REG_RCX] = rnd(300);
		else
			g.reg[REG_RDI] |= rnd64() << 32;
	}
	if (in->base == INSN_REG_RIP) {
		s32 disp = (s32)(target - (g.reg[REG_RIP] + in->len));

		memcpy(code + modrm + 1, &disp, sizeof(disp));
		return insn_decode(code, INSN_LEN_MAX, INSN_64, in) == 0 && in->disp == disp;
	}
	g.reg[in->base] = target - (u64)in->disp;
	if (in->index != INSN_REG_NONE)
		g.reg[in->base] -= g.reg[in->index] * in->scale;
	return true;
}

static u64 undefined_flags(enum insn_op op)
{
	switch (op) {
	case INSN_AND:
	case INSN_OR:
	case INSN_XOR:
	case INSN_TEST:
		return RFLAGS_AF;
	case INSN_BT:
	case INSN_BTS:
	case INSN_BTR:
	case INSN_BTC:
		return RFLAGS_OF | RFLAGS_SF | RFLAGS_AF | RFLAGS_PF;
	default:
		return 0;
	}
}

static void failed_at(const u8 *code, const struct insn *in, const char *what)
{
	for (u32 i = 0; i < in->len; i++)
		print_error("%02x ", code[i]);
	print_error(": %s differs\n", what);
	fail();
}

static void reset_guest(u64 base)
{
	memset(&g, 0, sizeof(g));
	g.base = base;
	g.reg[REG_CR0] = CR0_PE;
	g.reg[REG_RFLAGS] = 2;
	for (u32 i = 0; i < SEG_COUNT; i++)
		g.seg[i] = (struct vcpu_seg){.limit = 0xffffffff, .attr = 0xc093};
}

/* Runs to the end, at most so many exits. Returns how many. */
static u32 emulate(const struct insn *in)
{
	struct vcpu_event fault;
	u32 n = 1;
	int rc;

	while ((rc = mmio_execute(in, &ops, &g, &fault)) == MMIO_AGAIN)
		assert_true(n++ < 100);
	assert_int_equal(rc, MMIO_DONE);
	return n;
}

static void test_native(UNUSED void **state)
{
	static u8 before[BYTES];
	u32 by_op[INSN_OP_COUNT] = {0};

	for (u32 done = 0; done < COUNT;) {
		u8 code[INSN_LEN_MAX];
		struct insn in;
		struct native n;
		struct guest begin;
		u64 check;
		u32 modrm;

		reset_guest((u64)area);
		g.reg[REG_RIP] = (u64)area + BYTES;
		if (!generate(code, &modrm, &in) || !aim(code, modrm, &in))
			continue;
		g.reg[REG_RFLAGS] = 0x202 | (rnd64() & (ARITH | RFLAGS_DF));
		for (u32 i = 0; i < BYTES; i += 8) {
			u64 v = rnd(4) == 0 ? (u64)rnd(3) - 1 : rnd64();

			memcpy(before + i, &v, sizeof(v));
		}
		memcpy(g.mem, before, BYTES);
		memcpy(area, before, BYTES);
		memcpy(n.reg, g.reg, sizeof(n.reg));
		n.flags = g.reg[REG_RFLAGS];
		native(&n, code, in.len);

		/* First with a fault on the way, which must leave no trace but whole elements. */
		begin = g;
		g.fail_at = 1 + rnd(in.rep || in.repne ? 100 : 4);
		g.fail = -TERN_EFAULT;
		if (mmio_execute(&in, &ops, &g, &(struct vcpu_event){0}) < 0) {
			if (!in.rep && !in.repne) {
				g.reg[REG_CR2] = begin.reg[REG_CR2];
				if (memcmp(g.reg, begin.reg, sizeof(g.reg)) != 0 ||
				    memcmp(g.mem, begin.mem, BYTES) != 0 || g.loads + g.stores != 0)
					failed_at(code, &in, "state after a fault");
			}
		} else {
			g = begin;
		}
		g.fail_at = 0;
		emulate(&in);

		if (memcmp(g.mem, area, BYTES) != 0)
			failed_at(code, &in, "memory");
		n.reg[REG_RSP] = g.reg[REG_RSP];
		if (memcmp(g.reg, n.reg, sizeof(n.reg)) != 0)
			failed_at(code, &in, "a register");
		check = ~undefined_flags(in.op);
		if (((g.reg[REG_RFLAGS] ^ n.flags) & check) != 0)
			failed_at(code, &in, "a flag");
		if (g.reg[REG_RIP] != begin.reg[REG_RIP])
			failed_at(code, &in, "RIP");
		by_op[in.op]++;
		done++;
	}
	for (u32 i = 0; i < INSN_OP_COUNT; i++)
		assert_true(by_op[i] > COUNT / 200);
}

/* --- by hand --- */

static struct vcpu_event fault;

static int run(enum insn_mode mode, size_t n, const u8 *code)
{
	struct insn in;

	assert_int_equal(insn_decode(code, n, mode, &in), 0);
	assert_int_equal(in.len, n);
	memset(&fault, 0, sizeof(fault));
	return mmio_execute(&in, &ops, &g, &fault);
}

#define RUN(mode, ...) run(mode, sizeof((const u8[]){__VA_ARGS__}), (const u8[]){__VA_ARGS__})

static void assert_fault(int rc, u8 vector, bool has_error)
{
	assert_int_equal(rc, -TERN_EFAULT);
	assert_int_equal(fault.type, EVENT_EXCEPTION);
	assert_int_equal(fault.vector, vector);
	assert_int_equal(fault.has_error, has_error);
	assert_int_equal(fault.error, 0);
	assert_int_equal(g.calls + g.loads + g.stores, 0);
}

/* Devices see natural widths only; what lies within a page is one access as it is. */
static void test_pieces(UNUSED void **state)
{
	reset_guest(0);
	g.reg[REG_RBX] = 4096 - 3;
	g.reg[REG_RAX] = 0x8877665544332211;
	assert_int_equal(RUN(INSN_64, 0x48, 0x89, 0x03), MMIO_DONE);
	assert_string_equal(g.log, "w1@3ffd w2@3ffe w4@2000 w1@2004 ");
	assert_memory_equal(g.mem + 4096 - 3, "\x11\x22\x33\x44\x55\x66\x77\x88", 8);
	g.log[0] = '\0';
	assert_int_equal(RUN(INSN_64, 0x48, 0x8b, 0x13), MMIO_DONE);
	assert_string_equal(g.log, "r1@3ffd r2@3ffe r4@2000 r1@2004 ");
	assert_true(g.reg[REG_RDX] == g.reg[REG_RAX]);
	g.log[0] = '\0';
	g.reg[REG_RBX] = 0x103;
	assert_int_equal(RUN(INSN_64, 0x01, 0x03), MMIO_DONE);
	assert_string_equal(g.log, "r4@3103 w4@3103 ");
	/* Looking does not write. */
	g.log[0] = '\0';
	assert_int_equal(RUN(INSN_64, 0x39, 0x03), MMIO_DONE);
	assert_int_equal(RUN(INSN_64, 0x85, 0x03), MMIO_DONE);
	assert_int_equal(RUN(INSN_64, 0x0f, 0xba, 0x23, 0x05), MMIO_DONE);
	assert_string_equal(g.log, "r4@3103 r4@3103 r4@3103 ");
}

static void test_fault_is_told(UNUSED void **state)
{
	/* add [rbx], eax across pages: the second page's fault, before anything is read */
	reset_guest(0);
	g.reg[REG_RBX] = 4096 - 1;
	g.fail_at = 2;
	g.fail = -TERN_EFAULT;
	assert_int_equal(RUN(INSN_64, 0x01, 0x03), -TERN_EFAULT);
	assert_int_equal(fault.vector, VEC_PF);
	assert_int_equal(fault.error, PF_W);
	assert_int_equal(g.reg[REG_CR2], 4096);
	assert_int_equal(g.loads + g.stores, 0);
	/* cmp [rbx], eax asks for reading only */
	g.calls = 0;
	assert_int_equal(RUN(INSN_64, 0x39, 0x03), -TERN_EFAULT);
	assert_int_equal(fault.error, 0);
	/* movs: the destination's, before the source is read */
	g.calls = 0;
	g.reg[REG_RSI] = 0x10;
	g.reg[REG_RDI] = 0x20;
	assert_int_equal(RUN(INSN_64, 0xa4), -TERN_EFAULT);
	assert_int_equal(g.loads, 0);
	assert_int_equal(g.reg[REG_RSI], 0x10);
	/* Other errors come through as they are. */
	g.calls = 0;
	g.fail = -TERN_EAGAIN;
	assert_int_equal(RUN(INSN_64, 0xa4), -TERN_EAGAIN);
	/* Memory that was taken away in between: registers stay. */
	g.fail_at = 0;
	g.store_fail = g.stores + 1;
	g.reg[REG_RBX] = 0;
	g.reg[REG_RAX] = 5;
	assert_int_equal(RUN(INSN_64, 0x87, 0x03), -TERN_EAGAIN);
	assert_int_equal(g.reg[REG_RAX], 5);
	assert_int_equal(g.reg[REG_RFLAGS], 2);
}

static void test_rep(UNUSED void **state)
{
	/* rep stosb of 150: 64, 64, 22 */
	reset_guest(0);
	g.reg[REG_RCX] = 150;
	g.reg[REG_RAX] = 0xee;
	assert_int_equal(RUN(INSN_64, 0xf3, 0xaa), MMIO_AGAIN);
	assert_int_equal(g.reg[REG_RCX], 86);
	assert_int_equal(g.reg[REG_RDI], 64);
	assert_int_equal(RUN(INSN_64, 0xf3, 0xaa), MMIO_AGAIN);
	assert_int_equal(RUN(INSN_64, 0xf3, 0xaa), MMIO_DONE);
	assert_int_equal(g.stores, 150);
	/* None at all. */
	assert_int_equal(RUN(INSN_64, 0xf3, 0xaa), MMIO_DONE);
	assert_int_equal(g.stores, 150);
	/* A fault in the third element: two are complete. */
	g.reg[REG_RCX] = 5;
	g.reg[REG_RDI] = 0;
	g.calls = 0;
	g.fail_at = 3;
	g.fail = -TERN_EFAULT;
	assert_int_equal(RUN(INSN_64, 0xf3, 0xaa), -TERN_EFAULT);
	assert_int_equal(g.reg[REG_RCX], 3);
	assert_int_equal(g.reg[REG_RDI], 2);
	/* Single steps. */
	g.fail_at = 0;
	g.reg[REG_RFLAGS] |= RFLAGS_TF;
	assert_int_equal(RUN(INSN_64, 0xf3, 0xaa), MMIO_AGAIN);
	assert_int_equal(g.reg[REG_RCX], 2);
	/* 16-bit addresses leave the upper halves alone. */
	reset_guest(0);
	g.reg[REG_RCX] = 0x12340001;
	g.reg[REG_RDI] = 0x56780010;
	assert_int_equal(RUN(INSN_16, 0xf3, 0xab), MMIO_DONE);
	assert_true(g.reg[REG_RCX] == 0x12340000 && g.reg[REG_RDI] == 0x56780012);
}

/* mov [bx], al; mov al, [bx]; mov [bp+0], al */
static void test_segments(UNUSED void **state)
{
	reset_guest(0);
	g.seg[SEG_DS] = (struct vcpu_seg){.base = 0x100, .limit = 0x1f, .attr = 0x93};
	g.reg[REG_RBX] = 0x1f;
	g.reg[REG_RAX] = 0x77;
	assert_int_equal(RUN(INSN_16, 0x88, 0x07), MMIO_DONE);
	assert_int_equal(g.mem[0x11f], 0x77);
	/* Two bytes of which one is beyond the limit. */
	g.calls = g.stores = 0;
	assert_fault(RUN(INSN_16, 0x89, 0x07), VEC_GP, true);
	/* Real mode has limits, but no error codes and no rights. */
	g.reg[REG_CR0] = 0;
	assert_fault(RUN(INSN_16, 0x89, 0x07), VEC_GP, false);
	g.seg[SEG_DS].attr = 0x91;
	assert_int_equal(RUN(INSN_16, 0x88, 0x07), MMIO_DONE);
	g.calls = g.stores = 0;
	g.reg[REG_CR0] = CR0_PE;
	assert_fault(RUN(INSN_16, 0x88, 0x07), VEC_GP, true);
	/* Nor has virtual-8086 mode rights; its faults have codes. */
	g.reg[REG_RFLAGS] |= RFLAGS_VM;
	assert_int_equal(RUN(INSN_16, 0x88, 0x07), MMIO_DONE);
	g.calls = g.stores = 0;
	assert_fault(RUN(INSN_16, 0x89, 0x07), VEC_GP, true);
	g.reg[REG_RFLAGS] = 2;
	/* Read-only data can be read, executable code not, no code can be written. */
	assert_int_equal(RUN(INSN_16, 0x8a, 0x07), MMIO_DONE);
	g.calls = g.loads = 0;
	g.seg[SEG_DS].attr = 0x99;
	assert_fault(RUN(INSN_16, 0x8a, 0x07), VEC_GP, true);
	g.seg[SEG_DS].attr = 0x9b;
	assert_fault(RUN(INSN_16, 0x88, 0x07), VEC_GP, true);
	assert_int_equal(RUN(INSN_16, 0x8a, 0x07), MMIO_DONE);
	g.calls = g.loads = 0;
	/* A null selector. */
	g.seg[SEG_DS].attr = 0x93 | SEG_ATTR_UNUSABLE;
	assert_fault(RUN(INSN_16, 0x8a, 0x07), VEC_GP, true);
	/* MOVS goes to ES, whatever the prefix says of its source. */
	g.seg[SEG_FS] = (struct vcpu_seg){.base = 0x20, .limit = 0xffff, .attr = 0x93};
	g.seg[SEG_ES] = (struct vcpu_seg){.base = 0x40, .limit = 0xffff, .attr = 0x93};
	g.mem[0x20] = 0x99;
	g.reg[REG_RSI] = g.reg[REG_RDI] = 0;
	assert_int_equal(RUN(INSN_16, 0x64, 0xa4), MMIO_DONE);
	assert_int_equal(g.mem[0x40], 0x99);
	g.calls = g.loads = g.stores = 0;
	/* The stack has its own exception. Expand-down: above the limit, to 64 KiB or 4 GiB. */
	g.seg[SEG_SS] = (struct vcpu_seg){.limit = 0xff, .attr = 0x97};
	g.reg[REG_RBP] = 0xff;
	assert_fault(RUN(INSN_16, 0x88, 0x46, 0x00), VEC_SS, true);
	g.reg[REG_RBP] = 0x100;
	assert_int_equal(RUN(INSN_16, 0x88, 0x46, 0x00), MMIO_DONE);
	g.calls = g.stores = 0;
	g.reg[REG_RBP] = 0xffff;
	assert_fault(RUN(INSN_16, 0x89, 0x46, 0x00), VEC_SS, true);
	g.seg[SEG_SS].attr |= SEG_ATTR_DB;
	g.base = 0xf000;
	assert_int_equal(RUN(INSN_16, 0x89, 0x46, 0x00), MMIO_DONE);
}

static void test_addresses(UNUSED void **state)
{
	/* 16-bit: bx + si wraps at 64 KiB. */
	reset_guest(0);
	g.reg[REG_RBX] = 0xabcdfff0;
	g.reg[REG_RSI] = 0x20;
	g.reg[REG_RAX] = 0x77;
	assert_int_equal(RUN(INSN_16, 0x88, 0x00), MMIO_DONE);
	assert_int_equal(g.mem[0x10], 0x77);
	/* 32-bit: base and offset wrap at 4 GiB. */
	g.seg[SEG_DS].base = 0xfffff000;
	g.reg[REG_RBX] = 0x1008;
	assert_int_equal(RUN(INSN_32, 0x88, 0x03), MMIO_DONE);
	assert_int_equal(g.mem[8], 0x77);
	/* 64-bit: DS has no base, GS has. */
	reset_guest(0);
	g.seg[SEG_DS].base = g.seg[SEG_GS].base = 0x200;
	g.seg[SEG_DS].limit = 0;
	g.reg[REG_RBX] = 4;
	g.reg[REG_RAX] = 0x66;
	assert_int_equal(RUN(INSN_64, 0x88, 0x03), MMIO_DONE);
	assert_int_equal(g.mem[4], 0x66);
	assert_int_equal(RUN(INSN_64, 0x65, 0x88, 0x03), MMIO_DONE);
	assert_int_equal(g.mem[0x204], 0x66);
	/* Not canonical, the last byte alone too; SS where RBP is the base. */
	g.calls = g.stores = 0;
	g.reg[REG_RBX] = 1ull << 47;
	assert_fault(RUN(INSN_64, 0x88, 0x03), VEC_GP, true);
	g.reg[REG_RBX] = (1ull << 47) - 3;
	assert_fault(RUN(INSN_64, 0x89, 0x03), VEC_GP, true);
	g.reg[REG_RBP] = 1ull << 63;
	assert_fault(RUN(INSN_64, 0x88, 0x45, 0x00), VEC_SS, true);
	/* The upper half is. */
	g.base = 0xffff800000000000;
	g.reg[REG_RBX] = g.base;
	assert_int_equal(RUN(INSN_64, 0x89, 0x03), MMIO_DONE);
}

static int setup(UNUSED void **state)
{
	area = mmap(NULL, BYTES + 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	return area == MAP_FAILED ? -1 : 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_native),        cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_fault_is_told), cmocka_unit_test(test_rep),
		cmocka_unit_test(test_segments),      cmocka_unit_test(test_addresses),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
