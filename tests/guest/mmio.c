/* SPDX-License-Identifier: MIT */
/*
 * Instructions that reach a guest-physical address where nothing is: reads give all ones, writes
 * vanish, registers and flags come out as the manual says. Most is read-modify-write of ones, so that the
 * result tells whether the operation was done, and with which operand. Other machines than Tern
 * give other things there: on those, RAM that is filled with ones before each instruction stands in, so
 * that at least the expectations are checked.
 */
#include "cpu.h"
#include "guest.h"

/* Above all RAM of this guest and below the devices of a PC. */
#define NOTHING 0xd0000000ul
#define FLAG_CF (1ul << 0)
#define FLAG_ZF (1ul << 6)
#define FLAG_SF (1ul << 7)

const char guest_name[] = "mmio";

struct state {
	u64 a, b, c, d, si, di, r9, flags;
};

#define ONES_PAGES 4u

static u8 scratch[64] __attribute__((aligned(64)));
static u8 ones[ONES_PAGES * GUEST_PAGE] __attribute__((aligned(4096)));

static void fill_ones(void)
{
	if (!on_tern)
		memset(ones, 0xff, sizeof(ones));
}

/* Runs one instruction with %rbx = NOTHING and other registers as in *s; flags are cleared first. */
#define FORM(text)                                                                              \
	({                                                                                      \
		struct state s_ = {0x1122334455667788ull, NOTHING, 3,  0x0f0f0f0f0f0f0f0full,   \
				   (u64)scratch,          NOTHING, 16, 0};                      \
		register u64 r9_ __asm__("r9") = s_.r9;                                         \
                                                                                                \
		fill_ones();                                                                    \
		__asm__ volatile("xor %%r10d, %%r10d; push %%r10; popfq; " text                 \
				 "; pushfq; pop %%r10; cld; mov %%r10, %7"                      \
				 : "+a"(s_.a), "+b"(s_.b), "+c"(s_.c), "+d"(s_.d), "+S"(s_.si), \
				   "+D"(s_.di), "+r"(r9_), "=m"(s_.flags)::"r10", "memory");    \
		s_.r9 = r9_;                                                                    \
		s_;                                                                             \
	})

static void check_loads(void)
{
	check_eq("mov-r8", FORM("movb (%%rbx), %%al").a, 0x11223344556677ffull);
	check_eq("mov-ah", FORM("movb (%%rbx), %%ah").a, 0x112233445566ff88ull);
	check_eq("mov-r16", FORM("movw (%%rbx), %%ax").a, 0x112233445566ffffull);
	check_eq("mov-r32", FORM("movl (%%rbx), %%eax").a, 0xffffffffull);
	check_eq("mov-r64", FORM("movq (%%rbx), %%rax").a, ~0ull);
	check_eq("mov-r9-disp8", FORM("movq 0x40(%%rbx), %%r9").r9, ~0ull);
	check_eq("mov-disp32", FORM("movl 0x1000(%%rbx), %%eax").a, 0xffffffffull);
	check_eq("mov-index", FORM("movl 4(%%rbx,%%rcx,8), %%eax").a, 0xffffffffull);
	check_eq("mov-r9-index", FORM("movl (%%rbx,%%r9,4), %%eax").a, 0xffffffffull);
	check_eq("mov-addr32", FORM("addr32 movl (%%ebx), %%eax").a, 0xffffffffull);
	check_eq("mov-moffs", FORM("movabs 0xd0000000, %%eax").a, 0xffffffffull);
	check_eq("mov-moffs8", FORM("movabs 0xd0000000, %%al").a, 0x11223344556677ffull);
	check_eq("movzx-b-l", FORM("movzbl (%%rbx), %%eax").a, 0xff);
	check_eq("movzx-b-w", FORM("movzbw (%%rbx), %%ax").a, 0x11223344556600ffull);
	check_eq("movzx-w-q", FORM("movzwq (%%rbx), %%rax").a, 0xffff);
	check_eq("movsx-b-l", FORM("movsbl (%%rbx), %%eax").a, 0xffffffffull);
	check_eq("movsx-w-q", FORM("movswq (%%rbx), %%rax").a, ~0ull);
	check_eq("movsxd", FORM("movslq (%%rbx), %%rax").a, ~0ull);
	wrmsr(MSR_FS_BASE, NOTHING);
	check_eq("mov-fs", FORM("movl %%fs:8, %%eax").a, 0xffffffffull);
	wrmsr(MSR_FS_BASE, 0);
	wrmsr(MSR_GS_BASE, NOTHING);
	check_eq("mov-gs", FORM("movq %%gs:(%%rcx), %%rax").a, ~0ull);
	wrmsr(MSR_GS_BASE, 0);
}

static void check_stores(void)
{
	check_eq("store-r8", FORM("movb %%al, (%%rbx)").a, 0x1122334455667788ull);
	check_eq("store-r16", FORM("movw %%ax, (%%rbx)").a, 0x1122334455667788ull);
	check_eq("store-r32", FORM("movl %%eax, (%%rbx)").a, 0x1122334455667788ull);
	check_eq("store-r64", FORM("movq %%rax, (%%rbx)").a, 0x1122334455667788ull);
	check_eq("store-imm8", FORM("movb $1, (%%rbx)").b, NOTHING);
	check_eq("store-imm16", FORM("movw $1, (%%rbx)").b, NOTHING);
	check_eq("store-imm32", FORM("movl $1, (%%rbx)").b, NOTHING);
	check_eq("store-imm64", FORM("movq $-1, 8(%%rbx)").b, NOTHING);
	if (on_tern)
		check_eq("store-vanished", FORM("movl $0, (%%rbx); movl (%%rbx), %%eax").a,
			 0xffffffffull);
	check_eq("xchg-r32", FORM("xchgl %%eax, (%%rbx)").a, 0xffffffffull);
	check_eq("xchg-r8", FORM("xchgb %%al, (%%rbx)").a, 0x11223344556677ffull);
	check_eq("xchg-r64", FORM("xchgq %%rdx, (%%rbx)").d, ~0ull);
}

static void check_arithmetic(void)
{
	u64 clear = ~(FLAG_CF | FLAG_ZF | FLAG_SF);

	check_eq("and-load", FORM("andl (%%rbx), %%edx").d, 0x0f0f0f0full);
	check_eq("or-load", FORM("orl (%%rbx), %%edx").d, 0xffffffffull);
	check_eq("xor-load", FORM("xorq (%%rbx), %%rdx").d, 0xf0f0f0f0f0f0f0f0ull);
	check_eq("add-load", FORM("addl (%%rbx), %%ecx").c, 2);
	check_eq("sub-load", FORM("subl (%%rbx), %%ecx").c, 4);
	check_eq("add-load-flags", FORM("addl (%%rbx), %%ecx").flags & ~clear, FLAG_CF);
	check_eq("cmp-equal", FORM("cmpl $-1, (%%rbx)").flags & ~clear, FLAG_ZF);
	check_eq("cmp-b-imm", FORM("cmpb $0x7f, (%%rbx)").flags & ~clear, FLAG_SF);
	check_eq("cmp-below", FORM("cmpq (%%rbx), %%rcx").flags & ~clear, FLAG_CF);
	check_eq("test-imm", FORM("testl $0x80000000, (%%rbx)").flags & ~clear, FLAG_SF);
	check_eq("test-r", FORM("testb %%cl, (%%rbx)").flags & ~clear, 0);
	check_eq("and-store-zero", FORM("andl $0, (%%rbx)").flags & ~clear, FLAG_ZF);
	check_eq("lock-or", FORM("lock orl $1, (%%rbx)").flags & ~clear, FLAG_SF);
	check_eq("xor-store", FORM("xorl $-1, (%%rbx)").flags & ~clear, FLAG_ZF);
	check_eq("add-store", FORM("addb $1, (%%rbx)").flags & ~clear, FLAG_CF | FLAG_ZF);
	check_eq("sub-store", FORM("subw $1, (%%rbx)").flags & ~clear, FLAG_SF);
	check_eq("inc", FORM("incl (%%rbx)").flags & ~clear, FLAG_ZF);
	check_eq("dec-keeps-carry", FORM("stc; decl (%%rbx)").flags & ~clear, FLAG_CF | FLAG_SF);
	check_eq("not-keeps-flags", FORM("stc; notl (%%rbx)").flags & ~clear, FLAG_CF);
	check_eq("bt", FORM("btl $5, (%%rbx)").flags & FLAG_CF, FLAG_CF);
	check_eq("bts", FORM("lock btsl $5, (%%rbx)").flags & FLAG_CF, FLAG_CF);
	check_eq("btr", FORM("btrl %%ecx, (%%rbx)").flags & FLAG_CF, FLAG_CF);
	check_eq("btc", FORM("btcq $63, (%%rbx)").flags & FLAG_CF, FLAG_CF);
}

static void check_strings(void)
{
	struct state s = FORM("rep stosl");

	check("rep-stos", s.c == 0 && s.di == NOTHING + 12);
	s = FORM("stosb");
	check_eq("stosb", s.di, NOTHING + 1);
	s = FORM("xchg %%rsi, %%rdi; movsb");
	check("movs-load", scratch[0] == 0xff && s.si == NOTHING + 1);
	memset(scratch, 0, sizeof(scratch));
	s = FORM("xchg %%rsi, %%rdi; rep movsl");
	check("rep-movs-load", s.c == 0 && scratch[11] == 0xff && scratch[12] == 0);
	s = FORM("rep movsq");
	check("rep-movs-store", s.c == 0 && s.di == NOTHING + 24);
	s = FORM("std; add $8, %%rdi; rep stosl");
	check("rep-stos-down", s.c == 0 && s.di == NOTHING - 4);
}

/* An access with one foot in RAM and one in nothing, and code at such an end. */
static void check_straddling(void)
{
	static u8 pages[2 * 4096] __attribute__((aligned(4096)));
	static const u8 load[] = {0x8b, 0x07, 0xc3}; /* mov (%rdi), %eax; ret */
	volatile u32 *across = (volatile u32 *)(pages + 4094);
	u32 (*code)(const void *) = (u32(*)(const void *))(uintptr_t)(pages + 4095);

	memset(pages, 0, sizeof(pages));
	fill_ones();
	map_page((unsigned long)pages + 4096, on_tern ? NOTHING : (unsigned long)ones,
		 PTE_WRITE | PTE_USER | PTE_PRESENT);
	check_eq("load-out-of-ram", *across, 0xffff0000);
	*across = 0x12345678;
	check_eq("store-out-of-ram", *across, on_tern ? 0xffff5678 : 0x12345678);
	fill_ones();
	check_eq("load-across-nothing", *(volatile u32 *)(NOTHING + 4094), 0xffffffff);
	map_page((unsigned long)pages + 4096, (unsigned long)pages + 4096,
		 PTE_WRITE | PTE_USER | PTE_PRESENT);
	memcpy(pages + 4095, load, sizeof(load));
	check_eq("instruction-across-a-page-end", code((void *)NOTHING), 0xffffffff);
}

/* The instruction changes between two runs: what is emulated is what is there now. */
static void check_self_modifying(void)
{
	static u8 text[] = {0x8b, 0x07, 0xc3, 0x90}; /* mov (%rdi), %eax; ret */
	u32 (*code)(const void *) = (u32(*)(const void *))(uintptr_t)text;
	u32 bad = 0;

	for (u32 i = 0; i < 100; i++) {
		memcpy(text, (u8[]){0x8b, 0x07, 0xc3, 0x90}, 4);
		bad += code((void *)NOTHING) != 0xffffffff;
		memcpy(text, (u8[]){0x0f, 0xb6, 0x07, 0xc3}, 4); /* movzbl (%rdi), %eax */
		bad += code((void *)NOTHING) != 0xff;
	}
	check_eq("self-modifying", bad, 0);
}

void guest_main(void)
{
	if (!on_tern) {
		for (u32 i = 0; i < ONES_PAGES; i++)
			map_page(NOTHING + (i - 1ul) * GUEST_PAGE,
				 (unsigned long)ones + i * GUEST_PAGE,
				 PTE_WRITE | PTE_USER | PTE_PRESENT);
	}
	check_loads();
	check_stores();
	check_arithmetic();
	check_strings();
	check_straddling();
	check_self_modifying();
	map_page(NOTHING, 0, 0);
	check_eq("absent-page-first", (u64)try_read((void *)NOTHING), TRAP_PF);
}
