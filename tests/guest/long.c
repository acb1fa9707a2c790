/* SPDX-License-Identifier: MIT */
/* Long mode: what control registers and EFER refuse, paging with NX, write protection, A and D bits. */
#include "cpu.h"
#include "guest.h"

#define CPUID_81_D_NX (1u << 20)
#define CR4_RESERVED  (1ul << 31)
#define EFER_RESERVED (1ull << 9)
#define ERROR_P       1u
#define ERROR_W       2u
#define ERROR_U       4u
#define ERROR_RSVD    8u
#define ERROR_FETCH   16u
#define NEVER         0x7f0000000000ul /* no mapping there */

const char guest_name[] = "long";

static u8 page[4096] __attribute__((aligned(4096)));
static volatile u64 *const entry = (volatile u64 *)page;

static void check_cr0(void)
{
	unsigned long cr0 = read_cr0();

	if (on_tcg) /* 7.2 checks none of it */
		return;
	check_eq("cr0-pg-without-pe", (u64)try_write_cr0(cr0 & ~CR0_PE), TRAP_GP);
	check_eq("cr0-nw-without-cd", (u64)try_write_cr0((cr0 | CR0_NW) & ~CR0_CD), TRAP_GP);
	check_eq("cr0-high-half", (u64)try_write_cr0(cr0 | 1ul << 32), TRAP_GP);
	check_eq("cr0-cd", (u64)try_write_cr0(cr0 | CR0_CD), (u64)TRAP_NONE);
	check_eq("cr0-cd-reads-back", read_cr0(), cr0 | CR0_CD);
	check_eq("cr0-reserved-low-bits", (u64)try_write_cr0(cr0 | 1ul << 10), (u64)TRAP_NONE);
	check_eq("cr0-reserved-stay-zero", read_cr0(), cr0);
	check_eq("cr0-ne-may-be-clear", (u64)try_write_cr0(cr0 & ~CR0_NE), (u64)TRAP_NONE);
	check_eq("cr0-ne-reads-clear", read_cr0() & CR0_NE, 0);
	check_eq("cr0-et-is-one", read_cr0() >> 4 & 1, 1);
	write_cr0(cr0);
	check_eq("cr0-back", read_cr0(), cr0);
}

static void check_cr4(void)
{
	unsigned long cr4 = read_cr4();

	if (on_tcg) /* 7.2 lets it happen and is lost */
		return;
	check_eq("cr4-pae-in-long-mode", (u64)try_write_cr4(cr4 & ~CR4_PAE), TRAP_GP);
	check_eq("cr4-reserved", (u64)try_write_cr4(cr4 | CR4_RESERVED), TRAP_GP);
	check_eq("cr4-high-half", (u64)try_write_cr4(cr4 | 1ul << 40), TRAP_GP);
	check_eq("cr4-de-pse", (u64)try_write_cr4(cr4 | CR4_DE | CR4_PSE), (u64)TRAP_NONE);
	check_eq("cr4-reads-back", read_cr4(), cr4 | CR4_DE | CR4_PSE);
	check_eq("cr4-vmxe-reads-clear", read_cr4() & CR4_VMXE, 0);
	write_cr4(cr4);
	if (on_tern)
		check_eq("cr4-vmxe", (u64)try_write_cr4(cr4 | CR4_VMXE), TRAP_GP);
	if (!(cpuid(1, 0).c >> 17 & 1))
		check_eq("cr4-pcide-unsupported", (u64)try_write_cr4(cr4 | CR4_PCIDE), TRAP_GP);
}

static void check_cr3(void)
{
	unsigned long cr3 = read_cr3();
	u32 bits = cpuid(0x80000008u, 0).a & 0xff;

	if (on_tcg) /* 7.2 checks none of it */
		return;
	check_eq("cr3-beyond-physical", (u64)try_write_cr3(cr3 | 1ul << bits), TRAP_GP);
	check_eq("cr3-bit-62", (u64)try_write_cr3(cr3 | 1ul << 62), TRAP_GP);
	check_eq("cr3-same", (u64)try_write_cr3(cr3), (u64)TRAP_NONE);
}

static void check_efer(void)
{
	u64 efer = rdmsr(MSR_EFER);

	check_eq("efer-lme-lma", efer & (EFER_LME | EFER_LMA), EFER_LME | EFER_LMA);
	if (!on_tcg) {
		check_eq("efer-lme-under-paging", (u64)try_wrmsr(MSR_EFER, efer & ~EFER_LME),
			 TRAP_GP);
		check_eq("efer-reserved", (u64)try_wrmsr(MSR_EFER, efer | EFER_RESERVED), TRAP_GP);
		check_eq("efer-high-half", (u64)try_wrmsr(MSR_EFER, efer | 1ull << 40), TRAP_GP);
	}
	check_eq("efer-lma-write-ignored", (u64)try_wrmsr(MSR_EFER, efer & ~EFER_LMA),
		 (u64)TRAP_NONE);
	check_eq("efer-unchanged", rdmsr(MSR_EFER), efer);
	check_eq("efer-sce", (u64)try_wrmsr(MSR_EFER, efer ^ EFER_SCE), (u64)TRAP_NONE);
	check_eq("efer-sce-reads-back", rdmsr(MSR_EFER), efer ^ EFER_SCE);
	wrmsr(MSR_EFER, efer);
}

static void check_addresses(void)
{
	u64 bad = 1ull << 47;

	check_strict("lstar-non-canonical", (u64)try_wrmsr(MSR_LSTAR, bad), TRAP_GP);
	check_strict("fs-base-non-canonical", (u64)try_wrmsr(MSR_FS_BASE, bad), TRAP_GP);
	check_strict("kernel-gs-base-non-canonical", (u64)try_wrmsr(MSR_KERNEL_GS_BASE, bad),
		     TRAP_GP);
	check_eq("read-non-canonical", (u64)try_read((void *)bad), TRAP_GP);
	check_strict("pat-reserved-type", (u64)try_wrmsr(MSR_PAT, 2), TRAP_GP);
	wrmsr(MSR_GS_BASE, 0x1111);
	wrmsr(MSR_KERNEL_GS_BASE, 0xffff800000002222ull);
	__asm__ volatile("swapgs");
	check("swapgs",
	      rdmsr(MSR_GS_BASE) == 0xffff800000002222ull && rdmsr(MSR_KERNEL_GS_BASE) == 0x1111);
	wrmsr(MSR_GS_BASE, 0);
}

static void do_call(void *arg)
{
	((void (*)(void))(uintptr_t)arg)();
}

static unsigned long user_read(void *arg)
{
	return *(volatile u8 *)arg;
}

static void expect_fault(const char *name, int vector, u32 error)
{
	/* TCG leaves P out beside RSVD (SDM vol. 3A 4.7: it is set). */
	if (on_tcg && (error & ERROR_RSVD))
		error &= ~ERROR_P;
	check_eq(name, (u64)vector << 32 | trap_last.error, (u64)TRAP_PF << 32 | error);
}

static void check_paging(void)
{
	unsigned long at = (unsigned long)page;

	page[0] = 0xc3; /* ret */
	expect_fault("absent", try_read((void *)NEVER), 0);
	check_eq("absent-cr2", trap_cr2, NEVER);
	expect_fault("absent-write", try_write((void *)NEVER, 1), ERROR_W);
	map_page(at, at, PTE_USER | PTE_PRESENT);
	expect_fault("read-only-write", try_write(page, 1), ERROR_P | ERROR_W);
	write_cr0(read_cr0() & ~CR0_WP);
	check_eq("read-only-write-without-wp", (u64)try_write(page + 8, 1), (u64)TRAP_NONE);
	write_cr0(read_cr0() | CR0_WP);
	map_page(at, at, PTE_WRITE | PTE_PRESENT);
	expect_fault("supervisor-page", user_run(user_read, page), ERROR_P | ERROR_U);
	check_eq("supervisor-reads-it", (u64)try_read(page), (u64)TRAP_NONE);
	if (cpuid(0x80000001u, 0).d & CPUID_81_D_NX) {
		check_eq("call-without-nx", (u64)trap_run(do_call, page), (u64)TRAP_NONE);
		map_page(at, at, PTE_NX | PTE_WRITE | PTE_PRESENT);
		expect_fault("call-with-nx", trap_run(do_call, page), ERROR_P | ERROR_FETCH);
		wrmsr(MSR_EFER, rdmsr(MSR_EFER) & ~EFER_NXE);
		write_cr3(read_cr3());
		expect_fault("nx-is-reserved-without-nxe", try_read(page), ERROR_P | ERROR_RSVD);
		wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_NXE);
	}
	map_page(at, at | 1ull << (cpuid(0x80000008u, 0).a & 0xff), PTE_WRITE | PTE_PRESENT);
	expect_fault("reserved-address-bit", try_read(page), ERROR_P | ERROR_RSVD);
	map_page(at, at, PTE_WRITE | PTE_USER | PTE_PRESENT);
}

/* The window's entry is a large page that nobody has touched since it was written. */
static void check_accessed_dirty(void)
{
	volatile u64 *large = &boot_pd[WINDOW >> 30][WINDOW >> 21 & 511];
	volatile u8 *at = window_at((unsigned long)page);

	check_eq("fresh-entry", *large & (PTE_ACCESSED | PTE_DIRTY), 0);
	(void)*at;
	check_eq("read-sets-accessed", *large & (PTE_ACCESSED | PTE_DIRTY), PTE_ACCESSED);
	at[16] = 0x77;
	check_eq("write-sets-dirty", *large & (PTE_ACCESSED | PTE_DIRTY), PTE_ACCESSED | PTE_DIRTY);
	check_eq("large-page-shows-memory", page[16], 0x77);
	*entry = 0;
}

/* INVLPG and a new CR3 take effect at once: no stale translation is used. */
static void check_flush(void)
{
	static u8 two[2][4096] __attribute__((aligned(4096)));
	unsigned long at = (unsigned long)page;
	u32 stale = 0;

	two[0][0] = 1;
	two[1][0] = 2;
	for (u32 i = 0; i < 1000; i++) {
		map_page(at, (unsigned long)two[i & 1], PTE_WRITE | PTE_PRESENT);
		stale += *(volatile u8 *)page != (i & 1) + 1;
	}
	check_eq("invlpg-takes-effect", stale, 0);
	map_page(at, at, PTE_WRITE | PTE_USER | PTE_PRESENT);
}

static unsigned long user_nothing(void *arg)
{
	return (unsigned long)arg + 1;
}

static unsigned long user_cli(void *arg)
{
	__asm__ volatile("cli");
	return (unsigned long)arg;
}

static unsigned long user_int3(void *arg)
{
	__asm__ volatile("int $0x20");
	return (unsigned long)arg;
}

static void check_privilege(void)
{
	check_eq("cpl3-runs", (u64)user_run(user_nothing, (void *)41), (u64)TRAP_NONE);
	check_eq("cpl3-result", user_result, 42);
	check_eq("cpl3-cli", (u64)user_run(user_cli, NULL), TRAP_GP);
	check_eq("cpl3-int-dpl0", (u64)user_run(user_int3, NULL), TRAP_GP);
	check_strict("cpl3-int-dpl0-error", trap_last.error, 0x20 << 3 | 2);
	check_eq("cpl3-cs", trap_last.cs, SEL_USER_CODE);
}

void guest_main(void)
{
	check_cr0();
	check_cr4();
	check_cr3();
	check_efer();
	check_addresses();
	check_paging();
	check_accessed_dirty();
	check_flush();
	check_privilege();
}
