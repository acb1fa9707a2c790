/* SPDX-License-Identifier: MIT */
/* Registers and a symbolised backtrace on the consoles and into the log, for panic. */
#include <tern/arch.h>
#include <tern/layout.h>
#include <tern/lib.h>
#include <tern/log.h>

#include "cpu.h"
#include "x86.h"

/* mk/symbols.awk makes these. Addresses lack their upper 32 bits, which are all ones. */
extern const u32 symbols_count;
extern const u32 symbols_addr[], symbols_name[];
extern const char symbols_text[];
extern const char image_start[], image_text_end[];

#define DEPTH_MAX 24u

static bool in_text(u64 a)
{
	return a >= (u64)image_start && a < (u64)image_text_end;
}

static void print_address(u64 a)
{
	u32 lo = 0, hi = symbols_count;

	while (hi - lo > 1) {
		u32 mid = lo + (hi - lo) / 2;

		if (symbols_addr[mid] <= (u32)a)
			lo = mid;
		else
			hi = mid;
	}
	if (symbols_count == 0 || !in_text(a) || symbols_addr[lo] > (u32)a)
		log_piecef("  %016lx\n", a);
	else
		log_piecef("  %016lx %s+0x%x\n", a, symbols_text + symbols_name[lo],
			   (u32)a - symbols_addr[lo]);
}

/* Only what lies in Tern's own mappings is read: stacks and the image's boot stack. */
static bool frame_ok(u64 rbp)
{
	return (rbp & 7) == 0 &&
	       ((rbp >= LAYOUT_STACKS && rbp < LAYOUT_FRAMES - 16) || rbp >= LAYOUT_IMAGE);
}

static void walk(u64 rip, u64 rbp)
{
	log_piecef("backtrace:\n");
	if (rip != 0)
		print_address(rip);
	for (u32 i = 0; i < DEPTH_MAX && frame_ok(rbp); i++) {
		const u64 *frame = (const u64 *)rbp;

		if (!in_text(frame[1]))
			break;
		print_address(frame[1]);
		if (frame[0] <= rbp)
			break;
		rbp = frame[0];
	}
}

void arch_print_state(const struct arch_regs *r)
{
	if (r == NULL) {
		walk(0, (u64)__builtin_frame_address(0));
		return;
	}
	log_piecef("rax %016lx rbx %016lx rcx %016lx rdx %016lx\n", r->rax, r->rbx, r->rcx, r->rdx);
	log_piecef("rsi %016lx rdi %016lx rbp %016lx rsp %016lx\n", r->rsi, r->rdi, r->rbp, r->rsp);
	log_piecef("r8  %016lx r9  %016lx r10 %016lx r11 %016lx\n", r->r8, r->r9, r->r10, r->r11);
	log_piecef("r12 %016lx r13 %016lx r14 %016lx r15 %016lx\n", r->r12, r->r13, r->r14, r->r15);
	log_piecef("rip %016lx rflags %08lx cs %04lx error %lx\n", r->rip, r->rflags, r->cs,
		   r->error);
	log_piecef("cr0 %08lx cr2 %016lx cr3 %016lx cr4 %08lx\n", read_cr0(), read_cr2(),
		   read_cr3(), read_cr4());
	walk(r->rip, r->rbp);
}
