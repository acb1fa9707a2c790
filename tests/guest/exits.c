/* SPDX-License-Identifier: MIT */
/* Each kind of instruction that a hypervisor sees or may see: what it leaves behind. */
#include "cpu.h"
#include "guest.h"

#define EPERM                1
#define E2BIG                7
#define EFAULT               14
#define ENOSYS               38
#define CPUID_1_C_VMX        (1u << 5)
#define CPUID_1_C_MONITOR    (1u << 3)
#define CPUID_1_C_XSAVE      (1u << 26)
#define CPUID_1_C_OSXSAVE    (1u << 27)
#define CPUID_1_C_HYPERVISOR (1u << 31)
#define CPUID_81_C_SVM       (1u << 2)
#define CPUID_81_D_RDTSCP    (1u << 27)
#define DR6_QUIET            0xffff0ff0ul
#define DR7_QUIET            0x400ul
#define DR6_B0               (1ul << 0)
#define DR6_BD               (1ul << 13)
#define DR6_BS               (1ul << 14)
#define DR7_GD               (1ul << 13)
#define DR7_WRITE_0          0x10002ul /* G0, one byte, on writes */
#define DR7_EXECUTE_0        0x00002ul

const char guest_name[] = "exits";

/* A function whose body is one piece of assembly: something to try. */
#define TRY(name, text)                                                                         \
	static void name(void *arg)                                                             \
	{                                                                                       \
		__asm__ volatile(text ::"D"(arg) : "rax", "rbx", "rcx", "rdx", "memory", "cc"); \
	}

static void check_cpuid(void)
{
	struct cpuid_regs r = cpuid(0, 0), one = cpuid(1, 0);
	u64 a = ~0ull, b = ~0ull, c = ~0ull, d = ~0ull;

	check("cpuid-max-leaf", r.a >= 1);
	__asm__ volatile("mov $-1, %%rax; mov $-1, %%rcx; mov %%rax, %%rdx; mov %%rax, %%rbx;"
			 "mov $0, %%eax; cpuid"
			 : "=a"(a), "=b"(b), "=c"(c), "=d"(d));
	check_eq("cpuid-clears-high-halves", (a | b | c | d) >> 32, 0);
	check_eq("cpuid-apic-id", one.b >> 24, 0);
	check("cpuid-extended-leaves", cpuid(0x80000000u, 0).a >= 0x80000008u);
	if (!on_tern)
		return;
	r = cpuid(0x40000000u, 0);
	check("tern-says-hypervisor", one.c & CPUID_1_C_HYPERVISOR);
	check("tern-max-leaf", r.a >= 0x40000000u && r.a <= 0x4fffffffu);
	check("no-vmx-in-a-guest", !(one.c & CPUID_1_C_VMX));
	check("no-svm-in-a-guest", !(cpuid(0x80000001u, 0).c & CPUID_81_C_SVM));
	check("no-monitor-in-a-guest", !(one.c & CPUID_1_C_MONITOR));
}

TRY(do_vmcall, "xor %%eax, %%eax; vmcall")
TRY(do_vmmcall, "xor %%eax, %%eax; vmmcall")

static unsigned long user_hypercall(void *arg)
{
	return (unsigned long)hypercall((unsigned long)arg, 0, 0, 0);
}

static void check_hypercalls(void)
{
	u64 di = 0x1111, si = 0x2222, dx = 0x3333, r10 = 0x4444, r8 = 0x5555, rbx = 0x6666, rax = 0;

	check_eq("the-other-vendors-hypercall",
		 (u64)trap_run(on_amd ? do_vmcall : do_vmmcall, NULL), TRAP_UD);
	if (!on_tern) {
		skip_check("hypercalls", "not on Tern");
		return;
	}
	check_eq("hypercall-null", (u64)hypercall(HYPERCALL_NULL, 0, 0, 0), 0);
	check_eq("hypercall-unknown", (u64)hypercall(HYPERCALL_UNKNOWN, 1, 2, 3), (u64)-ENOSYS);
	check_eq("hypercall-number-is-64-bits", (u64)hypercall(1ul << 32, 0, 0, 0), (u64)-ENOSYS);
	check_eq("null-from-cpl3", (u64)user_run(user_hypercall, (void *)HYPERCALL_NULL),
		 (u64)TRAP_NONE);
	check_eq("null-from-cpl3-result", user_result, 0);
	check_eq("kernel-call-from-cpl3",
		 (u64)user_run(user_hypercall, (void *)(unsigned long)HC_CONSOLE_WRITE),
		 (u64)TRAP_NONE);
	check_eq("kernel-call-from-cpl3-result", user_result, (u64)-EPERM);
	check_eq("version", (u64)hypercall(HC_VERSION, 0, 0, 0), HC_ABI_VERSION);
	check_eq("console-write-too-long",
		 (u64)hypercall(HC_CONSOLE_WRITE, 0, HC_CONSOLE_WRITE_MAX + 1, 0), (u64)-E2BIG);
	check_eq("console-write-nowhere", (u64)hypercall(HC_CONSOLE_WRITE, 1ul << 50, 8, 0),
		 (u64)-EFAULT);
	check_eq("console-write",
		 (u64)hypercall(HC_CONSOLE_WRITE, (unsigned long)"by hypercall\n", 13, 0), 13);
	register u64 reg10 __asm__("r10") = r10;
	register u64 reg8 __asm__("r8") = r8;

	if (on_amd)
		__asm__ volatile("vmmcall"
				 : "+a"(rax), "+D"(di), "+S"(si), "+d"(dx), "+r"(reg10), "+r"(reg8),
				   "+b"(rbx)::"memory");
	else
		__asm__ volatile("vmcall"
				 : "+a"(rax), "+D"(di), "+S"(si), "+d"(dx), "+r"(reg10), "+r"(reg8),
				   "+b"(rbx)::"memory");
	check("hypercall-keeps-registers", di == 0x1111 && si == 0x2222 && dx == 0x3333 &&
						   reg10 == 0x4444 && reg8 == 0x5555 &&
						   rbx == 0x6666);
}

static void check_time(void)
{
	u64 last = rdtsc();
	u32 backwards = 0, lo, hi, aux;

	for (u32 i = 0; i < 10000; i++) {
		u64 now = rdtsc();

		backwards += now < last;
		last = now;
	}
	check_eq("rdtsc-never-backwards", backwards, 0);
	if (!(cpuid(0x80000001u, 0).d & CPUID_81_D_RDTSCP)) {
		skip_check("rdtscp", "CPUID has none");
		return;
	}
	wrmsr(MSR_TSC_AUX, 0x1234567);
	__asm__ volatile("rdtscp" : "=a"(lo), "=d"(hi), "=c"(aux));
	check_eq("rdtscp-gives-tsc-aux", aux, 0x1234567);
	check("rdtscp-after-rdtsc", ((u64)hi << 32 | lo) >= last);
	wrmsr(MSR_TSC_AUX, 0);
}

TRY(do_wbinvd, "wbinvd")
/* INVD may throw away what no one has written back: in a VM it must not. */
TRY(do_invd, "mov $0x55aa, %%eax; mov %%eax, (%%rdi); invd; cmp %%eax, (%%rdi); je 1f; ud2; 1:")
TRY(do_ud2, "ud2")
TRY(do_rsm, "rsm")
TRY(do_vmxon, "vmxon (%%rdi)")
TRY(do_vmread, "vmread %%rax, %%rax")
TRY(do_vmptrst, "vmptrst (%%rdi)")
TRY(do_invept, "invept (%%rdi), %%rax")
TRY(do_monitor, "xor %%ecx, %%ecx; xor %%edx, %%edx; lea (%%rdi), %%rax; monitor")
TRY(do_divide, "xor %%ecx, %%ecx; xor %%edx, %%edx; mov $1, %%eax; div %%ecx")
TRY(do_rdpmc, "mov $0xffff, %%ecx; rdpmc")
TRY(do_cr8, "mov %%rdi, %%cr8")
TRY(do_int3, "int3")
TRY(do_hlt_pause, "pause")

static unsigned long user_hlt(void *arg)
{
	__asm__ volatile("hlt");
	return (unsigned long)arg;
}

static unsigned long user_wbinvd(void *arg)
{
	__asm__ volatile("wbinvd");
	return (unsigned long)arg;
}

static unsigned long user_cpuid(void *arg)
{
	(void)arg;
	return cpuid(0, 0).a;
}

static void check_instructions(void)
{
	static u64 room[8];
	unsigned long tpr;

	check_eq("wbinvd", (u64)trap_run(do_wbinvd, NULL), (u64)TRAP_NONE);
	check_eq("invd-loses-nothing", (u64)trap_run(do_invd, room), (u64)TRAP_NONE);
	check_eq("pause", (u64)trap_run(do_hlt_pause, NULL), (u64)TRAP_NONE);
	check_eq("ud2", (u64)trap_run(do_ud2, NULL), TRAP_UD);
	check_eq("int3", (u64)trap_run(do_int3, NULL), TRAP_BP);
	check_eq("divide", (u64)trap_run(do_divide, NULL), TRAP_DE);
	check_eq("rsm", (u64)trap_run(do_rsm, NULL), TRAP_UD);
	check_eq("hlt-cpl3", (u64)user_run(user_hlt, NULL), TRAP_GP);
	check_eq("wbinvd-cpl3", (u64)user_run(user_wbinvd, NULL), TRAP_GP);
	check_eq("cpuid-cpl3", (u64)user_run(user_cpuid, NULL), (u64)TRAP_NONE);
	check_eq("cpuid-cpl3-result", user_result, cpuid(0, 0).a);
	if (!on_amd) {
		check_eq("vmxon", (u64)trap_run(do_vmxon, room), TRAP_UD);
		check_eq("vmread", (u64)trap_run(do_vmread, room), TRAP_UD);
		check_eq("vmptrst", (u64)trap_run(do_vmptrst, room), TRAP_UD);
		check_eq("invept", (u64)trap_run(do_invept, room), TRAP_UD);
	}
	if (!(cpuid(1, 0).c & CPUID_1_C_MONITOR))
		check_eq("monitor", (u64)trap_run(do_monitor, room), TRAP_UD);
	if (on_tern)
		check_eq("rdpmc-bad-counter", (u64)trap_run(do_rdpmc, NULL), TRAP_GP);
	check_eq("cr8-write", (u64)trap_run(do_cr8, (void *)5), (u64)TRAP_NONE);
	__asm__ volatile("mov %%cr8, %0" : "=r"(tpr));
	check_eq("cr8-read", tpr, 5);
	if (!on_tcg)
		check_eq("cr8-reserved-bits", (u64)trap_run(do_cr8, (void *)16), TRAP_GP);
	check_eq("cr8-back", (u64)trap_run(do_cr8, NULL), (u64)TRAP_NONE);
}

static void do_xgetbv(void *arg)
{
	*(u64 *)arg = xgetbv(0);
}

static unsigned long user_xsetbv(void *arg)
{
	(void)arg;
	__asm__ volatile("xsetbv" ::"c"(0), "a"(1), "d"(0));
	return 0;
}

static void check_xsetbv(void)
{
	u64 supported, value = 0;

	if (!(cpuid(1, 0).c & CPUID_1_C_XSAVE)) {
		skip_check("xsetbv", "CPUID has no XSAVE");
		return;
	}
	check_eq("xgetbv-without-osxsave", (u64)trap_run(do_xgetbv, &value), TRAP_UD);
	check_eq("xsetbv-without-osxsave", (u64)try_xsetbv(0, 1), TRAP_UD);
	check_eq("osxsave-off-in-cpuid", cpuid(1, 0).c & CPUID_1_C_OSXSAVE, 0);
	write_cr4(read_cr4() | CR4_OSXSAVE);
	check("osxsave-on-in-cpuid", cpuid(1, 0).c & CPUID_1_C_OSXSAVE);
	check_eq("xgetbv", (u64)trap_run(do_xgetbv, &value), (u64)TRAP_NONE);
	check_eq("xcr0-after-reset", value, 1);
	struct cpuid_regs leaf = cpuid(0xd, 0);

	supported = (u64)leaf.d << 32 | leaf.a;
	check_eq("xcr0-without-x87", (u64)try_xsetbv(0, 2), TRAP_GP);
	check_eq("xcr0-zero", (u64)try_xsetbv(0, 0), TRAP_GP);
	check_eq("xcr0-avx-without-sse", (u64)try_xsetbv(0, 5), TRAP_GP);
	check_eq("xcr0-reserved-bit", (u64)try_xsetbv(0, 1ull << 62 | 1), TRAP_GP);
	check_eq("xcr1", (u64)try_xsetbv(1, 1), TRAP_GP);
	check_eq("xcr0-unsupported", (u64)try_xsetbv(0, ~supported | 1), TRAP_GP);
	check_eq("xcr0-all", (u64)try_xsetbv(0, supported), (u64)TRAP_NONE);
	check_eq("xcr0-reads-back", xgetbv(0), supported);
	check_eq("xsetbv-cpl3", (u64)user_run(user_xsetbv, NULL), TRAP_GP);
	check_eq("xcr0-back", (u64)try_xsetbv(0, 1), (u64)TRAP_NONE);
	write_cr4(read_cr4() & ~CR4_OSXSAVE);
}

TRY(do_dr7, "mov %%rdi, %%dr7")
TRY(do_dr6, "mov %%rdi, %%dr6")
TRY(do_read_dr4, "mov %%db4, %%rax")
TRY(do_read_dr0, "mov %%db0, %%rax")

static void do_store(void *arg)
{
	*(volatile u8 *)arg = 1;
}

static unsigned long user_dr(void *arg)
{
	(void)arg;
	return read_dr0();
}

static void check_debug_registers(void)
{
	static u8 watched[8];

	write_dr6(DR6_QUIET);
	write_dr0(0x1000);
	write_dr1(0xffff800000002000ul);
	write_dr2(0x3000);
	write_dr3(0x4000);
	check("dr0-3-read-back", read_dr0() == 0x1000 && read_dr1() == 0xffff800000002000ul &&
					 read_dr2() == 0x3000 && read_dr3() == 0x4000);
	check_eq("dr6-quiet", read_dr6(), DR6_QUIET);
	check_eq("dr7-quiet", read_dr7(), DR7_QUIET);
	check_eq("dr7-high-half", (u64)trap_run(do_dr7, (void *)(1ul << 32)), TRAP_GP);
	check_eq("dr6-high-half", (u64)trap_run(do_dr6, (void *)(1ul << 32)), TRAP_GP);
	check_eq("dr4-without-de", (u64)trap_run(do_read_dr4, NULL), (u64)TRAP_NONE);
	write_cr4(read_cr4() | CR4_DE);
	check_eq("dr4-with-de", (u64)trap_run(do_read_dr4, NULL), TRAP_UD);
	write_cr4(read_cr4() & ~CR4_DE);
	check_eq("dr-cpl3", (u64)user_run(user_dr, NULL), TRAP_GP);
	write_dr0((unsigned long)watched);
	write_dr7(DR7_QUIET | DR7_WRITE_0);
	check_eq("data-breakpoint", (u64)trap_run(do_store, watched), TRAP_DB);
	check_eq("data-breakpoint-dr6", read_dr6() & 0xf, DR6_B0);
	write_dr7(DR7_QUIET);
	write_dr6(DR6_QUIET);
	write_dr0((unsigned long)do_store);
	write_dr7(DR7_QUIET | DR7_EXECUTE_0);
	check_eq("code-breakpoint", (u64)trap_run(do_store, watched), TRAP_DB);
	check_eq("code-breakpoint-is-a-fault", trap_last.ip, (unsigned long)do_store);
	write_dr7(DR7_QUIET);
	write_dr6(DR6_QUIET);
	if (on_tcg) {
		skip_check("general-detect", "QEMU has none");
		return;
	}
	write_dr7(DR7_QUIET | DR7_GD);
	check_eq("general-detect", (u64)trap_run(do_read_dr0, NULL), TRAP_DB);
	check_eq("general-detect-dr6", read_dr6() & DR6_BD, DR6_BD);
	check_eq("general-detect-clears-gd", read_dr7(), DR7_QUIET);
	write_dr6(DR6_QUIET);
}

static u32 steps;
static unsigned long step_dr6;

static bool count_step(struct trap_frame *frame)
{
	if (frame->vector != TRAP_DB)
		return false;
	steps++;
	step_dr6 |= read_dr6();
	write_dr6(DR6_QUIET);
	return true;
}

#define STEP(text)                                                   \
	__asm__ volatile("pushfq; orl $0x100, (%%rsp); popfq; " text \
			 "; pushfq; andl $~0x100, (%%rsp); popfq" :: \
				 : "rax", "rbx", "rcx", "rdx", "memory", "cc")

/*
 * TF raises #DB after each instruction, also after one that the hypervisor has done for us. Three
 * steps belong to the instructions that end it: PUSHF, AND, and POPF, which TF still traps.
 */
static void check_single_step(void)
{
	trap_hook = count_step;
	steps = 0;
	STEP("nop; nop");
	check_eq("step-nop", steps, 5);
	check_eq("step-dr6", step_dr6 & DR6_BS, DR6_BS);
	steps = 0;
	STEP("xor %%eax, %%eax; cpuid; nop");
	check_eq("step-cpuid", steps, 6);
	steps = 0;
	STEP("mov $0x1b, %%ecx; rdmsr; nop");
	check_eq("step-rdmsr", steps, 6);
	steps = 0;
	STEP("mov $0x3ff, %%edx; in %%dx, %%al; nop");
	check_eq("step-in", steps, 6);
	steps = 0;
	STEP("mov %%cr0, %%rax; mov %%rax, %%cr0; nop");
	check_eq("step-mov-cr0", steps, 6);
	if (on_tern && !on_amd) {
		steps = 0;
		STEP("xor %%eax, %%eax; vmcall; nop");
		check_eq("step-vmcall", steps, 6);
	}
	trap_hook = NULL;
}

static void do_lmsw(void *arg)
{
	__asm__ volatile("lmsw %w0" ::"r"((unsigned long)arg) : "memory");
}

static void check_tables(void)
{
	struct table_ptr ptr;
	unsigned long msw, selector;

	__asm__ volatile("sidt %0" : "=m"(ptr));
	check_eq("sidt-base", ptr.base, (unsigned long)guest_idt);
	check_eq("sidt-limit", ptr.limit, sizeof(guest_idt) - 1);
	__asm__ volatile("sgdt %0" : "=m"(ptr));
	check_eq("sgdt-base", ptr.base, (unsigned long)guest_gdt);
	__asm__ volatile("str %0" : "=r"(selector));
	check_eq("str", selector, SEL_TSS);
	__asm__ volatile("sldt %0" : "=r"(selector));
	check_eq("sldt", selector, 0);
	write_cr0(read_cr0() | CR0_TS);
	__asm__ volatile("smsw %0" : "=r"(msw));
	check_eq("smsw", msw & 0xffff, read_cr0() & 0xffff);
	__asm__ volatile("clts");
	check_eq("clts", read_cr0() & CR0_TS, 0);
	check_eq("lmsw-sets-ts", (u64)trap_run(do_lmsw, (void *)(CR0_PE | CR0_TS)), (u64)TRAP_NONE);
	check_eq("lmsw-ts", read_cr0() & CR0_TS, CR0_TS);
	check_eq("lmsw-cannot-clear-pe", (u64)trap_run(do_lmsw, NULL), (u64)TRAP_NONE);
	check_eq("lmsw-pe", read_cr0() & (CR0_PE | CR0_TS), CR0_PE);
}

void guest_main(void)
{
	check_cpuid();
	check_hypercalls();
	check_time();
	check_instructions();
	check_xsetbv();
	check_debug_registers();
	check_single_step();
	check_tables();
}
