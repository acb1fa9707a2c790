/* SPDX-License-Identifier: MIT */
/* The shell command "vm dump": what every vCPU of a VM is at. */
#include "commands.h"

#include <tern/console.h>
#include <tern/err.h>
#include <tern/lib.h>
#include <tern/vm.h>

#define REGS_A_LINE  4u
#define WORDS_A_LINE 4u
#define VECTORS_TEXT 64u

typedef unsigned long long ull;

static const char *const reg_names[REG_COUNT] = {
	[REG_RAX] = "RAX",     [REG_RCX] = "RCX",     [REG_RDX] = "RDX",     [REG_RBX] = "RBX",
	[REG_RSP] = "RSP",     [REG_RBP] = "RBP",     [REG_RSI] = "RSI",     [REG_RDI] = "RDI",
	[REG_R8] = "R8",       [REG_R9] = "R9",       [REG_R10] = "R10",     [REG_R11] = "R11",
	[REG_R12] = "R12",     [REG_R13] = "R13",     [REG_R14] = "R14",     [REG_R15] = "R15",
	[REG_RIP] = "RIP",     [REG_RFLAGS] = "RFL",  [REG_CR0] = "CR0",     [REG_CR2] = "CR2",
	[REG_CR3] = "CR3",     [REG_CR4] = "CR4",     [REG_EFER] = "EFER",   [REG_DR7] = "DR7",
	[REG_PDPTE0] = "PDP0", [REG_PDPTE1] = "PDP1", [REG_PDPTE2] = "PDP2", [REG_PDPTE3] = "PDP3",
};

static const char *const seg_names[SEG_COUNT] = {
	[SEG_ES] = "ES",     [SEG_CS] = "CS",     [SEG_SS] = "SS",     [SEG_DS] = "DS",
	[SEG_FS] = "FS",     [SEG_GS] = "GS",     [SEG_LDTR] = "LDTR", [SEG_TR] = "TR",
	[SEG_GDTR] = "GDTR", [SEG_IDTR] = "IDTR",
};

static void print_registers(const struct vcpu_dump *d)
{
	for (u32 i = 0; i < REG_COUNT; i++)
		console_printf("  %-4s %016llx%s", reg_names[i], (ull)d->regs[i],
			       i % REGS_A_LINE == REGS_A_LINE - 1 ? "\n" : "");
	for (u32 i = 0; i < SEG_COUNT; i++) {
		const struct vcpu_seg *s = &d->segs[i];

		console_printf("  %-4s %04x base %016llx limit %08x attributes %05x\n",
			       seg_names[i], s->selector, (ull)s->base, s->limit, s->attr);
	}
}

/* "IRR 0x31 0xef", as many as fit. */
static void print_vectors(const char *name, const u64 bits[4])
{
	char text[VECTORS_TEXT];
	size_t n = 0;

	text[0] = '\0';
	for (u32 v = 0; v < 256; v++) {
		if ((bits[v / 64] >> (v % 64) & 1) != 0 && n < sizeof(text))
			n += (size_t)fmt_str(text + n, sizeof(text) - n, " 0x%x", v);
	}
	console_printf("%s%s%s", name, n == 0 ? " none" : text, n >= sizeof(text) ? "..." : "");
}

static void print_words(const char *label, const u64 *words, u32 count, u32 bytes)
{
	console_printf("  %s:%s\n", label, count == 0 ? " not readable" : "");
	for (u32 i = 0; i < count; i++)
		console_printf("  %0*llx%s", (int)(2 * bytes), (ull)words[i],
			       i % WORDS_A_LINE == WORDS_A_LINE - 1 || i == count - 1 ? "\n" : "");
}

static void print(const struct vm *vm, u32 index, const struct vcpu_dump *d)
{
	console_printf("vCPU %u: %s, CPU %u\n", index, vcpu_state_name(d->state),
		       vm->vcpus[index]->sched.cpu);
	print_registers(d);
	console_printf("  local APIC: %s, TPR %02x, ",
		       !d->lapic.present   ? "off"
		       : !d->lapic.enabled ? "disabled by software"
					   : "enabled",
		       d->lapic.tpr);
	print_vectors("IRR", d->lapic.irr);
	print_vectors(", ISR", d->lapic.isr);
	console_printf("\n");
	print_words("stack", d->stack, d->stack_count, d->word);
	print_words("backtrace", d->frames, d->frame_count, d->word);
}

int vm_show_dump(struct vm *vm, UNUSED int argc, UNUSED char **argv)
{
	static struct vcpu_dump dump; /* boot CPU, thread context */

	console_printf("%s: %s%s%s\n", vm->name, vm_state_name(vm->state),
		       vm->reason[0] != '\0' ? ": " : "", vm->reason);
	for (u32 i = 0; i < vm->vcpu_count; i++) {
		if (vm_dump(vm, i, &dump) == 0)
			print(vm, i, &dump);
		else
			console_printf("vCPU %u: its CPU does not let go of it\n", i);
	}
	return 0;
}
