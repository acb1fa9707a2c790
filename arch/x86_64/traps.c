/* SPDX-License-Identifier: MIT */
/* GDT, IDT, TSS of each CPU, and what becomes of exceptions taken by the hypervisor itself. */
#include <tern/arch.h>
#include <tern/err.h>
#include <tern/init.h>
#include <tern/layout.h>
#include <tern/lib.h>
#include <tern/panic.h>
#include <tern/trace.h>

#include "apic.h"
#include "cpu.h"
#include "irq_arch.h"
#include "x86.h"

void traps_dispatch(struct arch_regs *regs);

extern const char entry_stubs[];
#define ENTRY_STUB_SIZE 16u

/* SDM vol. 3A 6.14.1 */
struct idt_gate {
	u16 offset_low, selector;
	u8 ist, type;
	u16 offset_mid;
	u32 offset_high, reserved;
};
_Static_assert(sizeof(struct idt_gate) == 16, "SDM vol. 3A figure 6-8");
#define GATE_INTERRUPT 0x8e /* present, DPL 0, interrupt gate */

struct table_pointer {
	u16 limit;
	u64 base;
} PACKED;

struct fixup {
	u64 at, go;
};
extern const struct fixup fixup_start[], fixup_end[];

static struct idt_gate idt[256] ALIGNED(16);

/* Until init_stacks() the boot CPU's exceptions share this one; they end in a panic anyway. */
static char early_stack[8192] ALIGNED(16);

struct cpu cpu_boot;
struct pcpu pcpu_boot = {
	.self = &pcpu_boot,
	.arch = &cpu_boot,
	.online = 1,
};

static u8 ist_of(u32 vector)
{
	switch (vector) {
	case VEC_NMI:
		return IST_NMI;
	case VEC_DF:
		return IST_DF;
	case VEC_MC:
		return IST_MC;
	case VEC_DB:
		return IST_DB;
	case VEC_PF:
		return IST_PF;
	default:
		return vector < VEC_EXCEPTIONS ? IST_TRAP : IST_IRQ;
	}
}

static void idt_fill(void)
{
	for (u32 v = 0; v < 256; v++) {
		u64 stub = (u64)entry_stubs + v * ENTRY_STUB_SIZE;

		idt[v] = (struct idt_gate){
			.offset_low = (u16)stub,
			.offset_mid = (u16)(stub >> 16),
			.offset_high = (u32)(stub >> 32),
			.selector = SEL_CODE,
			.ist = ist_of(v),
			.type = GATE_INTERRUPT,
		};
	}
}

void traps_load(struct pcpu *pc)
{
	struct cpu *cpu = pc->arch;
	u64 tss = (u64)&cpu->tss;
	struct table_pointer gdtr = {sizeof(cpu->gdt) - 1, (u64)cpu->gdt};
	struct table_pointer idtr = {sizeof(idt) - 1, (u64)idt};

	cpu->tss.iomap = sizeof(struct tss);
	cpu->gdt[0] = 0;
	cpu->gdt[SEL_CODE / 8] = 0x00af9b000000ffff;
	cpu->gdt[SEL_DATA / 8] = 0x00cf93000000ffff;
	/* SDM vol. 3A 8.2.3: available 64-bit TSS, present; base in two words. */
	cpu->gdt[SEL_TSS / 8] = (sizeof(struct tss) - 1) | (tss & 0xffffff) << 16 | 0x89ull << 40 |
				(tss >> 24 & 0xff) << 56;
	cpu->gdt[SEL_TSS / 8 + 1] = tss >> 32;
	__asm__ volatile("lgdt %0\n"
			 "pushq %1\n"
			 "leaq 1f(%%rip), %%rax\n"
			 "pushq %%rax\n"
			 "lretq\n"
			 "1: lidt %2\n"
			 "ltr %w3"
			 :
			 : "m"(gdtr), "i"(SEL_CODE), "m"(idtr), "r"(SEL_TSS)
			 : "rax", "memory");
	wrmsr(MSR_FS_BASE, (u64)pc);
	wrmsr(MSR_GS_BASE, (u64)pc);
}

void cpu_set_control_registers(void)
{
	struct cpuid_regs c7 = cpuid(0, 0).eax >= 7 ? cpuid(7, 0) : (struct cpuid_regs){0};
	u64 cr4 = CR4_PAE | CR4_MCE | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT;

	if ((c7.ebx & CPUID7_EBX_SMEP) != 0)
		cr4 |= CR4_SMEP;
	write_cr0(CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_PG);
	write_cr4(cr4);
	wrmsr(MSR_PAT, PAT_VALUE);
}

void init_cpu_early(void)
{
	idt_fill();
	for (u32 i = 0; i < IST_COUNT; i++)
		cpu_boot.tss.ist[i] = (u64)early_stack + sizeof(early_stack);
	traps_load(&pcpu_boot);
	cpu_set_control_registers();
}

static bool fixup(struct arch_regs *regs)
{
	for (const struct fixup *f = fixup_start; f < fixup_end; f++) {
		if (f->at == regs->rip) {
			regs->rip = f->go;
			return true;
		}
	}
	return false;
}

static const char *exception_name(u64 vector)
{
	static const char *const names[] = {
		"#DE divide error",
		"#DB debug",
		"NMI",
		"#BP breakpoint",
		"#OF overflow",
		"#BR bound range",
		"#UD invalid opcode",
		"#NM device not available",
		"#DF double fault",
		"coprocessor overrun",
		"#TS invalid TSS",
		"#NP segment not present",
		"#SS stack fault",
		"#GP general protection",
		"#PF page fault",
		"reserved",
		"#MF x87 error",
		"#AC alignment check",
		"#MC machine check",
		"#XM SIMD error",
		"#VE virtualization",
		"#CP control protection",
	};

	return vector < ARRAY_SIZE(names) ? names[vector] : "reserved";
}

static const char *page_fault_reason(u64 error, u64 address)
{
	if ((error & 1) != 0)
		return "protected";
	if (address >= LAYOUT_STACKS && address < LAYOUT_FRAMES)
		return "not mapped: the stack ran into the hole below it";
	return "not mapped";
}

void traps_dispatch(struct arch_regs *regs)
{
	if (regs->vector >= VEC_EXCEPTIONS) {
		irq_dispatch((u32)regs->vector);
		return;
	}
	if (regs->vector == VEC_NMI && apic_stop_requested())
		apic_stopped();
	if (fixup(regs))
		return;
	trace_write(TRACE_FAULT, regs->vector, regs->rip);
	if (regs->vector == VEC_PF)
		panic_regs(regs, "%s: %s of address %016lx, %s", exception_name(VEC_PF),
			   (regs->error & 16) != 0  ? "execution"
			   : (regs->error & 2) != 0 ? "write"
						    : "read",
			   read_cr2(), page_fault_reason(regs->error, read_cr2()));
	panic_regs(regs, "%s, error code %lx", exception_name(regs->vector), regs->error);
}
