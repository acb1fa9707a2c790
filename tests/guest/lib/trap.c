/* SPDX-License-Identifier: MIT */
/* Exceptions: the tables, and who gets one. */
#include "cpu.h"
#include "guest.h"

#define GATE_INTERRUPT 14u
#define STUB_BYTES     16u
#define TSS_AVAILABLE  0x00008900u
#define EXIT_BAD_TRAP  254u

struct trap_frame trap_last;
unsigned long trap_cr2, user_result;
bool (*trap_hook)(struct trap_frame *frame);
idt_gate guest_idt[256];

/* trap.S */
extern u8 trap_stubs[256][STUB_BYTES];
extern char trap_stack_top[];
extern unsigned long trap_sp;
NORETURN void trap_recover(int vector);
void trap_dispatch(struct trap_frame *frame);

/* SDM vol. 3A 7.2.1 and 7.7: only the stack of CPL 0 and the end of the I/O map matter to us. */
#ifdef __x86_64__
static struct {
	u32 reserved0;
	u64 rsp[3], reserved1, ist[7], reserved2;
	u16 reserved3, io_map;
} __attribute__((packed)) tss;
#else
static struct {
	u32 link, esp0, ss0, rest[22];
	u16 trap, io_map;
} __attribute__((packed)) tss;
#endif

u64 segment_descriptor(u32 base, u32 limit, u32 access)
{
	u32 high = (base & 0xff000000u) | (limit & 0xf0000u) | access | (base >> 16 & 0xffu);

	return (u64)high << 32 | base << 16 | (limit & 0xffffu);
}

void trap_gate(u32 vector, unsigned long handler, u32 selector, u32 type, u32 dpl)
{
	u64 low = (u64)(handler & 0xffff0000ul) << 32 | (u64)(0x80u | dpl << 5 | type) << 40 |
		  (u64)selector << 16 | (handler & 0xffffu);

#ifdef __x86_64__
	guest_idt[vector] = (idt_gate){low, handler >> 32};
#else
	guest_idt[vector] = low;
#endif
}

#ifdef __x86_64__
void trap_stack(u32 vector, void *top)
{
	tss.ist[0] = (unsigned long)top;
	guest_idt[vector].low |= 1ull << 32;
}
#endif

void traps_init(void)
{
	struct table_ptr idt = {sizeof(guest_idt) - 1, (unsigned long)guest_idt};
	u16 selector = SEL_TSS;

	for (u32 i = 0; i < 256; i++)
		trap_gate(i, (unsigned long)trap_stubs[i], SEL_CODE, GATE_INTERRUPT,
			  i == TRAP_USER_DONE ? 3 : 0);
	tss.io_map = sizeof(tss);
#ifdef __x86_64__
	tss.rsp[0] = (unsigned long)trap_stack_top;
#else
	tss.esp0 = (unsigned long)trap_stack_top;
	tss.ss0 = SEL_DATA;
#endif
	guest_gdt[SEL_TSS / 8] =
		segment_descriptor((u32)(unsigned long)&tss, sizeof(tss) - 1, TSS_AVAILABLE);
	__asm__ volatile("lidt %0; ltr %1" ::"m"(idt), "r"(selector) : "memory");
}

void trap_dispatch(struct trap_frame *frame)
{
	unsigned long cr2 = read_cr2();

	if (trap_hook && trap_hook(frame))
		return;
	if (trap_sp) {
		trap_last = *frame;
		trap_cr2 = cr2;
		user_result = frame->ax;
		if (frame->vector == TRAP_USER_DONE)
			trap_recover(TRAP_NONE);
		trap_recover((int)frame->vector);
	}
	print("FAIL trap: vector %lu error %lx at %lx cs %lx cr2 %lx\n", frame->vector,
	      frame->error, frame->ip, frame->cs, cr2);
	guest_exit(EXIT_BAD_TRAP);
}
