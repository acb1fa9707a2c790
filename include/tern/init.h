/* SPDX-License-Identifier: MIT */
/*
 * What hv/main.c calls once, in this order, to bring the machine up. Boot CPU, interrupts off,
 * unless a line says otherwise. arch/x86_64 implements it.
 */
#ifndef TERN_INIT_H
#define TERN_INIT_H

#include <abi/boot_info.h>
#include <tern/types.h>

struct pcpu;

/* GDT, IDT, TSS and control registers; exceptions panic readably from here on. */
void init_cpu_early(void);
/* Host page tables: W^X image, direct map of all RAM. Needs mem_boot_alloc(). */
void init_page_tables(const struct boot_info *bi);
/* Backs the frame table and starts the frame allocator. Ends mem_boot_alloc(). Needs ACPI. */
void init_frames(void);
/* Stacks with guard pages for this CPU; switches the exception stacks over to them. */
void init_stacks(struct pcpu *pc);
/* Finds the TSC's frequency and logs by what. Needs ACPI for the HPET and the PM timer. */
void init_clock(void);
/* Local APIC of this CPU, I/O APICs masked, 8259s out of the way. */
void init_interrupts(void);
/* Registers the CPUs of the MADT beside the boot CPU. */
void init_cpu_list(void);
/* Starts them. Interrupts on. */
void init_other_cpus(void);
/* Runs fn on the boot CPU's own stack, with a guard page below it; never returns. */
NORETURN void init_switch_stack(void (*fn)(void));
/* Chooses the canary; only from a function that never returns. */
void init_canary(struct pcpu *pc);

#endif
