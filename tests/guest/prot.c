/* SPDX-License-Identifier: MIT */
/*
 * 32-bit protected mode: paging of two and of three levels, segment limits, task switches by a task gate,
 * a far call and IRET. With "ac" on the command line: #AC while #AC is delivered, for ever
 * (CVE-2015-5307).
 */
#include "cpu.h"
#include "guest.h"

#define GATE_TASK       5u
#define GATE_INTERRUPT  14u
#define TSS_AVAILABLE   0x00008900u
#define DATA_EXPAND     0x0040f300u /* present, DPL 3, data, byte granular, 32 bits */
#define TSS16_AVAILABLE 0x00008100u
#define CODE_32         0x00409a00u
#define TASK_SEL        SEL_SPARE
#define LIMIT_SEL       (SEL_SPARE + 8u)
#define FLAT_LIMIT      0xfffffu
#define TASK_VECTOR     0x40u
#define FLAG_NT         (1ul << 14)
#define ERROR_P         1u
#define ERROR_W         2u
#define ERROR_RSVD      8u
#define PTE32_PS        0x80u
#define ALIAS           0x40000000u /* where the second mapping of a page is */

const char guest_name[] = "prot";

/* SDM vol. 3A figure 7-2. */
struct tss32 {
	u32 link, esp0, ss0, esp1, ss1, esp2, ss2, cr3, eip, eflags;
	u32 eax, ecx, edx, ebx, esp, ebp, esi, edi;
	u32 es, cs, ss, ds, fs, gs, ldt;
	u16 trap, io_map;
};
_Static_assert(sizeof(struct tss32) == 104, "TSS");

static struct tss32 task, *main_tss;
static u8 task_stack[4096] __attribute__((aligned(16)));
static u32 task_runs, task_saw_link, task_saw_nt, task_saw_error, task_saw_alias;
static u32 hook_vector, hook_error, hook_task;
static unsigned long hook_dr6;

static u32 directory[1024] __attribute__((aligned(4096)));
static u32 other_directory[1024] __attribute__((aligned(4096)));
static u32 table[1024] __attribute__((aligned(4096)));
static u64 pdpt[4] __attribute__((aligned(32)));
static u64 pae_directories[4][512] __attribute__((aligned(4096)));
static u64 pae_table[512] __attribute__((aligned(4096)));
static volatile u8 probe = 0x24; /* in the first 4 MiB */
static volatile u8 page[4096] __attribute__((aligned(4096)));

/* Runs as a task: what it sees is noted, IRET (with NT set) goes back. */
static void task_body(void)
{
	for (;;) {
		task_runs++;
		task_saw_link = task.link & 0xffff;
		task_saw_nt = read_flags() & FLAG_NT ? 1 : 0;
		__asm__ volatile("iret" ::: "memory");
	}
}

static void make_task(void)
{
	memset(&task, 0, sizeof(task));
	task.eip = (u32)task_body;
	task.esp = (u32)task_stack + sizeof(task_stack);
	task.eflags = 2;
	task.cs = SEL_CODE;
	task.ds = task.es = task.ss = task.fs = task.gs = SEL_DATA;
	task.cr3 = read_cr3();
	task.io_map = sizeof(task);
	guest_gdt[TASK_SEL / 8] = segment_descriptor((u32)&task, sizeof(task) - 1, TSS_AVAILABLE);
}

static void do_far_call(void *arg)
{
	struct {
		u32 offset;
		u16 selector;
	} __attribute__((packed)) far = {0, (u16)(unsigned long)arg};

	__asm__ volatile("lcall *%0" ::"m"(far) : "memory", "cc");
}

static void do_int(void *arg)
{
	(void)arg;
	__asm__ volatile("int %0" ::"i"(TASK_VECTOR) : "memory", "cc");
}

static u16 task_register(void)
{
	u16 selector;

	__asm__ volatile("str %0" : "=r"(selector));
	return selector;
}

/* A fault's handler: the error code lies on its stack. Goes on behind the MOV to FS that faulted. */
static void task_fault_body(void)
{
	task_saw_error = *(u32 *)(task_stack + sizeof(task_stack) - sizeof(u32));
	task_runs++;
	main_tss->eip += 2;
	__asm__ volatile("iret" ::: "memory");
}

static void task_jump_body(void)
{
	task_runs++;
	task_saw_nt = read_flags() & FLAG_NT ? 1 : 0;
	__asm__ volatile("ljmp %0, $0" ::"i"(SEL_TSS) : "memory");
}

static void task_alias_body(void)
{
	task_saw_alias = *(volatile u8 *)(ALIAS + (u32)&probe);
	__asm__ volatile("iret" ::: "memory");
}

static bool note_trap(struct trap_frame *frame)
{
	hook_vector = (u32)frame->vector;
	hook_error = (u32)frame->error;
	hook_task = task_register();
	hook_dr6 = read_dr6();
	return true;
}

static void do_load_fs(void *arg)
{
	__asm__ volatile("mov %0, %%fs" ::"r"(arg));
}

static void do_far_jump(void *arg)
{
	(void)arg;
	__asm__ volatile("ljmp %0, $0" ::"i"(TASK_SEL) : "memory", "cc");
}

/* What a switch meets on its way (SDM vol. 3A 8.3). */
static void check_task_events(void)
{
	u64 descriptor = guest_gdt[SEL_TSS / 8];
	idt_gate old_gate = guest_idt[TRAP_GP];

	main_tss = (struct tss32 *)(u32)((descriptor >> 16 & 0xffffff) |
					 (descriptor >> 32 & 0xff000000));
	make_task();
	task.eip = (u32)task_fault_body;
	trap_gate(TRAP_GP, 0, TASK_SEL, GATE_TASK, 0);
	check_eq("task-for-fault", (u64)trap_run(do_load_fs, (void *)0xff00), (u64)TRAP_NONE);
	check_eq("task-gets-error-code", task_saw_error, 0xff00);
	guest_idt[TRAP_GP] = old_gate;
	make_task();
	task.eip = (u32)task_jump_body;
	check_eq("task-by-jump", (u64)trap_run(do_far_jump, NULL), (u64)TRAP_NONE);
	check_eq("task-by-jump-not-nested", task_saw_nt, 0);
	check_eq("task-by-jump-not-busy", guest_gdt[TASK_SEL / 8] >> 41 & 1, 0);
	__asm__ volatile("clts");
}

/* SDM vol. 3A figure 8-10. */
struct tss16 {
	u16 link, stacks[6], ip, flags, ax, cx, dx, bx, sp, bp, si, di, es, cs, ss, ds, ldt;
};

/* Its IP has 16 bits: its code segment begins at its body. No stack: SP would lie in low memory. */
static void check_task_16(void)
{
	static struct tss16 narrow;
	u32 body;

	__asm__ volatile("mov $1f, %0; jmp 2f; 1: movw %%ax, %1; 3: iret; jmp 3b; 2:"
			 : "=r"(body), "+m"(task_saw_error));
	task_saw_error = 0;
	narrow.flags = 2;
	narrow.ax = 0x1616;
	narrow.cs = LIMIT_SEL;
	narrow.ds = narrow.es = narrow.ss = SEL_DATA;
	guest_gdt[LIMIT_SEL / 8] = segment_descriptor(body, 0xfff, CODE_32);
	guest_gdt[TASK_SEL / 8] =
		segment_descriptor((u32)&narrow, sizeof(narrow) - 1, TSS16_AVAILABLE);
	check_eq("task-16", (u64)trap_run(do_far_call, (void *)TASK_SEL), (u64)TRAP_NONE);
	check_eq("task-16-ran", task_saw_error, 0x1616);
	check("task-16-link", narrow.link == SEL_TSS && (narrow.flags & FLAG_NT) == 0);
	check_eq("task-16-back", task_register(), SEL_TSS);
	__asm__ volatile("clts");
}

/* Traps of the switch itself, which TCG does not make. */
static void check_task_traps(void)
{
	trap_hook = note_trap;
	make_task();
	task.trap = 1;
	check_eq("task-with-trap", (u64)trap_run(do_far_call, (void *)TASK_SEL), (u64)TRAP_NONE);
	check("task-trap-comes", hook_vector == TRAP_DB && hook_task == TASK_SEL);
	check_eq("task-trap-dr6", hook_dr6 >> 15 & 1, 1);
	make_task();
	guest_gdt[LIMIT_SEL / 8] = segment_descriptor((u32)page, 99, DATA_EXPAND & ~0x8000u);
	task.fs = LIMIT_SEL;
	check_eq("task-bad-fs", (u64)trap_run(do_far_call, (void *)TASK_SEL), (u64)TRAP_NONE);
	check("task-bad-fs-raised-there", hook_vector == TRAP_NP && hook_task == TASK_SEL);
	check_eq("task-bad-fs-error", hook_error, LIMIT_SEL);
	trap_hook = NULL;
	__asm__ volatile("clts");
}

/* With paging a task brings its own address space; leaving it, CR3 is not saved. */
static void check_task_space(void)
{
	make_task();
	memcpy(other_directory, directory, sizeof(directory));
	other_directory[ALIAS >> 22] = PTE32_PS | (u32)(PTE_WRITE | PTE_PRESENT);
	task.eip = (u32)task_alias_body;
	task.cr3 = (u32)other_directory;
	main_tss->cr3 = (u32)directory;
	page[0] = 0x42;
	check_eq("task-space", (u64)trap_run(do_far_call, (void *)TASK_SEL), (u64)TRAP_NONE);
	check_eq("task-space-there", task_saw_alias, 0x24);
	check_eq("task-space-back", *(volatile u8 *)ALIAS, 0x42);
	__asm__ volatile("clts");
}

static void check_tasks(void)
{
	make_task();
	check_eq("task-by-call", (u64)trap_run(do_far_call, (void *)TASK_SEL), (u64)TRAP_NONE);
	check("task-by-call-ran", task_runs == 1 && task_saw_link == SEL_TSS && task_saw_nt);
	check_eq("task-back", task_register(), SEL_TSS);
	check_eq("task-sets-ts", read_cr0() & CR0_TS, CR0_TS);
	__asm__ volatile("clts");
	check_eq("task-not-busy-afterwards", guest_gdt[TASK_SEL / 8] >> 41 & 1, 0);
	trap_gate(TASK_VECTOR, 0, TASK_SEL, GATE_TASK, 0);
	check_eq("task-by-gate", (u64)trap_run(do_int, NULL), (u64)TRAP_NONE);
	check("task-by-gate-ran", task_runs == 2 && task_saw_link == SEL_TSS && task_saw_nt);
	check_eq("task-by-gate-back", task_register(), SEL_TSS);
	__asm__ volatile("clts");
	guest_gdt[TASK_SEL / 8] |= 1ull << 41;
	check_eq("busy-task", (u64)trap_run(do_far_call, (void *)TASK_SEL), TRAP_GP);
	check_eq("busy-task-error", trap_last.error, TASK_SEL);
	guest_gdt[TASK_SEL / 8] &= ~(1ull << 47);
	guest_gdt[TASK_SEL / 8] &= ~(1ull << 41);
	check_eq("absent-task", (u64)trap_run(do_far_call, (void *)TASK_SEL), TRAP_NP);
	guest_gdt[TASK_SEL / 8] = segment_descriptor((u32)&task, sizeof(task) - 2, TSS_AVAILABLE);
	check_eq("short-task", (u64)trap_run(do_far_call, (void *)TASK_SEL), TRAP_TS);
	check_task_events();
	check_task_16();
	if (!on_tcg)
		check_task_traps();
}

static void expect_fault(const char *name, int vector, u32 error)
{
	/* TCG leaves P out beside RSVD (SDM vol. 3A 4.7: it is set). */
	if (on_tcg && (error & ERROR_RSVD))
		error &= ~ERROR_P;
	check_eq(name, (u64)(u32)vector << 32 | trap_last.error, (u64)TRAP_PF << 32 | error);
}

/* 1:1 by 4 MiB pages, and one page a second time at ALIAS. */
static void check_two_levels(void)
{
	volatile u8 *alias = (volatile u8 *)ALIAS;

	for (u32 i = 0; i < 1024; i++)
		directory[i] = i << 22 | PTE32_PS | (u32)(PTE_WRITE | PTE_PRESENT);
	directory[ALIAS >> 22] = (u32)table | (u32)(PTE_WRITE | PTE_PRESENT);
	table[0] = (u32)page | (u32)(PTE_WRITE | PTE_PRESENT);
	write_cr4(read_cr4() | CR4_PSE);
	write_cr3((unsigned long)directory);
	write_cr0(read_cr0() | CR0_PG | CR0_WP);
	page[7] = 0x21;
	check_eq("two-levels-alias", alias[7], 0x21);
	alias[8] = 0x22;
	check_eq("two-levels-write", page[8], 0x22);
	check_eq("two-levels-accessed-dirty", table[0] & (PTE_ACCESSED | PTE_DIRTY),
		 PTE_ACCESSED | PTE_DIRTY);
	expect_fault("two-levels-absent", try_read(alias + 4096), 0);
	check_eq("two-levels-cr2", trap_cr2, ALIAS + 4096);
	table[0] &= ~(u32)PTE_WRITE;
	invlpg(alias);
	expect_fault("two-levels-read-only", try_write(alias, 1), ERROR_P | ERROR_W);
	table[0] |= (u32)PTE_WRITE;
	invlpg(alias);
	check_task_space();
	write_cr0(read_cr0() & ~CR0_PG);
}

static void check_pae(void)
{
	volatile u8 *alias = (volatile u8 *)ALIAS;

	for (u32 i = 0; i < 2048; i++)
		pae_directories[i / 512][i % 512] =
			(u64)i << 21 | PTE_LARGE | PTE_WRITE | PTE_PRESENT;
	pae_directories[ALIAS >> 30][0] = (u32)pae_table | PTE_WRITE | PTE_PRESENT;
	pae_table[0] = (u32)page | PTE_WRITE | PTE_PRESENT;
	for (u32 i = 0; i < 4; i++)
		pdpt[i] = (u32)pae_directories[i] | PTE_PRESENT;
	write_cr4(read_cr4() | CR4_PAE);
	write_cr3((unsigned long)pdpt);
	write_cr0(read_cr0() | CR0_PG);
	page[9] = 0x31;
	check_eq("pae-alias", alias[9], 0x31);
	expect_fault("pae-absent", try_read(alias + 4096), 0);
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) & ~EFER_NXE);
	pae_table[1] = (u32)page | PTE_NX | PTE_PRESENT;
	expect_fault("pae-nx-reserved", try_read(alias + 4096), ERROR_P | ERROR_RSVD);
	/* The four entries are in the CPU: a change of memory shows with the next MOV to CR3 only. */
	pdpt[3] = 0;
	check_strict("pdpte-is-cached", (u64)try_read((void *)0xc0000000u), (u64)TRAP_NONE);
	write_cr3((unsigned long)pdpt);
	expect_fault("pdpte-after-mov-cr3", try_read((void *)0xc0000000u), 0);
	pdpt[3] = (u32)pae_directories[3] | PTE_PRESENT | PTE_WRITE; /* bit 1 is reserved here */
	if (!on_tcg)
		check_eq("pdpte-reserved-bit", (u64)try_write_cr3((unsigned long)pdpt), TRAP_GP);
	pdpt[3] = (u32)pae_directories[3] | PTE_PRESENT;
	write_cr3((unsigned long)pdpt);
	write_cr0(read_cr0() & ~CR0_PG);
	write_cr4(read_cr4() & ~CR4_PAE);
}

static void do_read_fs(void *arg)
{
	u8 value;

	__asm__ volatile("movb %%fs:(%1), %0" : "=q"(value) : "r"(arg));
}

static void check_segments(void)
{
	guest_gdt[LIMIT_SEL / 8] = segment_descriptor((u32)page, 99, DATA_EXPAND);
	page[99] = 5;
	check_eq("load-segment", (u64)trap_run(do_load_fs, (void *)LIMIT_SEL), (u64)TRAP_NONE);
	check_eq("limit-last-byte", (u64)trap_run(do_read_fs, (void *)99), (u64)TRAP_NONE);
	check_strict("beyond-the-limit", (u64)trap_run(do_read_fs, (void *)100), TRAP_GP);
	guest_gdt[LIMIT_SEL / 8] &= ~(1ull << 47);
	check_eq("absent-segment", (u64)trap_run(do_load_fs, (void *)LIMIT_SEL), TRAP_NP);
	check_eq("absent-segment-error", trap_last.error, LIMIT_SEL);
	check_eq("beyond-the-table", (u64)trap_run(do_load_fs, (void *)0xff00), TRAP_GP);
	check_eq("null-segment", (u64)trap_run(do_load_fs, NULL), (u64)TRAP_NONE);
	check_strict("null-segment-use", (u64)trap_run(do_read_fs, NULL), TRAP_GP);
	(void)trap_run(do_load_fs, (void *)SEL_DATA);
}

static void check_cr0(void)
{
	if (on_tcg) /* 7.2 checks neither */
		return;
	check_eq("pg-without-pe", (u64)try_write_cr0((read_cr0() | CR0_PG) & ~CR0_PE), TRAP_GP);
	check_eq("nw-without-cd", (u64)try_write_cr0((read_cr0() | CR0_NW) & ~CR0_CD), TRAP_GP);
}

static unsigned long user_misaligned_stack(void *arg)
{
	(void)arg;
	/* Alignment checks on, the stack odd: the store raises #AC, and so does its delivery. */
	__asm__ volatile(
		"pushf; orl %0, (%%esp); mov %%esp, %%eax; popf; inc %%eax; mov %%eax, %%esp;"
		"mov %%eax, (%%eax)" ::"i"(FLAG_AC)
		: "eax", "memory");
	return 0;
}

/* #AC has a gate into a segment of ring 3, so that its frame goes onto the odd stack. */
static void endless_ac(void)
{
	print("prot: endless #AC\n");
	write_cr0(read_cr0() | CR0_AM);
	trap_gate(TRAP_AC, (unsigned long)task_body, SEL_USER_CODE, GATE_INTERRUPT, 3);
	(void)user_run(user_misaligned_stack, NULL);
}

void guest_main(void)
{
	if (cmdline_has("ac"))
		endless_ac();
	check_cr0();
	check_segments();
	check_tasks();
	check_two_levels();
	check_pae();
}
