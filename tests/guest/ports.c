/* SPDX-License-Identifier: MIT */
/* Each width and form of port I/O, at ports that nobody has and at the 16550's scratch register. */
#include "cpu.h"
#include "guest.h"

#define PORT_SCRATCH (PORT_COM1 + 7u)

const char guest_name[] = "ports";

static u8 buffer[4096 * 3] __attribute__((aligned(4096)));

static void check_nobody(void)
{
	u64 wide = 0x1122334455667788ull;
	u32 bad = 0;

	check_eq("in8-nobody", inb(PORT_NOBODY), 0xff);
	check_eq("in16-nobody", inw(PORT_NOBODY), 0xffff);
	check_eq("in32-nobody", inl(PORT_NOBODY), 0xffffffff);
	/* What IN leaves of the register: SDM vol. 1 3.4.1.1. */
	__asm__ volatile("in %%dx, %%al" : "+a"(wide) : "d"(PORT_NOBODY));
	check_eq("in8-keeps-the-rest", wide, 0x11223344556677ffull);
	wide = 0x1122334455667788ull;
	__asm__ volatile("in %%dx, %%ax" : "+a"(wide) : "d"(PORT_NOBODY));
	check_eq("in16-keeps-the-rest", wide, 0x112233445566ffffull);
	wide = 0x1122334455667788ull;
	__asm__ volatile("in %%dx, %%eax" : "+a"(wide) : "d"(PORT_NOBODY));
	check_eq("in32-clears-the-rest", wide, 0xffffffffull);
	__asm__ volatile("in $0xe0, %%al" : "=a"(wide) : "a"(0ul));
	check_eq("in8-immediate", wide, 0xff);
	outb(PORT_NOBODY, 1);
	outw(PORT_NOBODY, 2);
	outl(PORT_NOBODY, 3);
	check_eq("out-vanishes", inl(PORT_NOBODY), 0xffffffff);
	check_eq("in-at-the-end", inb(0xffff), 0xff);
	if (!on_tern)
		return;
	/* 0xcf8 and what else the platform grows into is left out; PCI's I/O BARs begin at 0xc000. */
	for (u32 port = 0x1000; port < 0xc000; port += 7)
		bad += inb((u16)port) != 0xff;
	check_eq("high-ports-are-empty", bad, 0);
	check_eq("in32-across-the-end", inl(0xfffe), 0xffffffff);
}

static void check_scratch(void)
{
	u32 bad = 0;

	for (u32 i = 0; i < 256; i++) {
		outb(PORT_SCRATCH, (u8)i);
		bad += inb(PORT_SCRATCH) != i;
	}
	check_eq("scratch-holds-each-byte", bad, 0);
	outb(PORT_SCRATCH, 0x5a);
	__asm__ volatile("mov $0xa5, %%al; out %%al, %%dx" ::"d"(PORT_SCRATCH) : "rax");
	check_eq("out8-register", inb(PORT_SCRATCH), 0xa5);
	if (!on_tern)
		return;
	/* 0x3ff is the last of the 16550; the bytes after it are nobody's. */
	check_eq("in16-straddles-the-device", inw(PORT_SCRATCH), 0xffa5);
	outw(PORT_SCRATCH, 0x1277);
	check_eq("out16-straddles-the-device", inb(PORT_SCRATCH), 0x77);
}

/* INS and OUTS, one element and repeated, both directions. */
static void check_strings(void)
{
	u8 *to = buffer;
	const u8 *from = buffer;
	unsigned long count;

	memset(buffer, 0x11, sizeof(buffer));
	outb(PORT_SCRATCH, 0x42);
	__asm__ volatile("insb" : "+D"(to) : "d"(PORT_SCRATCH) : "memory");
	check("insb", buffer[0] == 0x42 && buffer[1] == 0x11 && to == buffer + 1);
	to = buffer;
	__asm__ volatile("insw" : "+D"(to) : "d"(PORT_NOBODY) : "memory");
	check("insw", buffer[1] == 0xff && buffer[2] == 0x11 && to == buffer + 2);
	to = buffer;
	__asm__ volatile("insl" : "+D"(to) : "d"(PORT_NOBODY) : "memory");
	check("insl", buffer[3] == 0xff && buffer[4] == 0x11 && to == buffer + 4);
	to = buffer;
	count = 5000; /* over two page ends */
	__asm__ volatile("rep insb" : "+D"(to), "+c"(count) : "d"(PORT_SCRATCH) : "memory");
	check("rep-insb",
	      count == 0 && to == buffer + 5000 && buffer[4999] == 0x42 && buffer[5000] == 0x11);
	to = buffer + 11;
	count = 3;
	__asm__ volatile("std; rep insw; cld"
			 : "+D"(to), "+c"(count)
			 : "d"(PORT_NOBODY)
			 : "memory");
	check("rep-insw-down", to == buffer + 5 && buffer[6] == 0x42 && buffer[7] == 0xff &&
				       buffer[12] == 0xff && buffer[13] == 0x42);
	count = 0;
	to = buffer;
	__asm__ volatile("rep insb" : "+D"(to), "+c"(count) : "d"(PORT_NOBODY) : "memory");
	check("rep-insb-zero-times", to == buffer && buffer[0] == 0x42);
	for (u32 i = 0; i < 5000; i++)
		buffer[i] = (u8)(i * 7);
	count = 5000;
	__asm__ volatile("rep outsb" : "+S"(from), "+c"(count) : "d"(PORT_SCRATCH) : "memory");
	check("rep-outsb", count == 0 && from == buffer + 5000);
	check_eq("rep-outsb-last", inb(PORT_SCRATCH), (u8)(4999 * 7));
	from = buffer;
	__asm__ volatile("outsw" : "+S"(from) : "d"(PORT_NOBODY) : "memory");
	__asm__ volatile("outsl" : "+S"(from) : "d"(PORT_NOBODY) : "memory");
	check("outsw-outsl", from == buffer + 6);
}

/* OUTS takes a segment override, INS does not; both take 32-bit addresses. */
static void check_segments(void)
{
	unsigned long offset = 8;

	buffer[108] = 0x99;
	wrmsr(MSR_FS_BASE, (unsigned long)buffer + 100);
	__asm__ volatile("fs outsb" : "+S"(offset) : "d"(PORT_SCRATCH) : "memory");
	check_eq("fs-outsb", inb(PORT_SCRATCH), 0x99);
	buffer[208] = 0x77;
	wrmsr(MSR_GS_BASE, (unsigned long)buffer + 200);
	offset = 8;
	__asm__ volatile("gs outsb" : "+S"(offset) : "d"(PORT_SCRATCH) : "memory");
	check_eq("gs-outsb", inb(PORT_SCRATCH), 0x77);
	offset = 0xffffffff00000000ul | (unsigned long)buffer;
	buffer[0] = 0x31;
	__asm__ volatile("addr32 outsb" : "+S"(offset) : "d"(PORT_SCRATCH) : "memory");
	check_eq("addr32-outsb", inb(PORT_SCRATCH), 0x31);
	check_eq("addr32-outsb-index", offset, (unsigned long)buffer + 1);
	offset = 0xffffffff00000000ul | (unsigned long)buffer;
	__asm__ volatile("addr32 insb" : "+D"(offset) : "d"(PORT_NOBODY) : "memory");
	check_eq("addr32-insb", buffer[0], 0xff);
	wrmsr(MSR_FS_BASE, 0);
	wrmsr(MSR_GS_BASE, 0);
}

static void do_insb(void *arg)
{
	__asm__ volatile("insb" : "+D"(arg) : "d"(PORT_SCRATCH) : "memory");
}

static void do_rep_insb(void *arg)
{
	unsigned long count = 32;

	__asm__ volatile("rep insb" : "+D"(arg), "+c"(count) : "d"(PORT_SCRATCH) : "memory");
}

static void do_outsb(void *arg)
{
	__asm__ volatile("outsb" : "+S"(arg) : "d"(PORT_SCRATCH) : "memory");
}

static unsigned long user_in(void *arg)
{
	return inb((u16)(unsigned long)arg);
}

static void check_faults(void)
{
	u8 *page = buffer + 4096;

	outb(PORT_SCRATCH, 0x66);
	map_page((unsigned long)page, (unsigned long)page, PTE_PRESENT);
	check_eq("insb-read-only-page", (u64)trap_run(do_insb, page), TRAP_PF);
	check_eq("insb-fault-address", trap_cr2, (unsigned long)page);
	check_eq("insb-fault-error", trap_last.error, 3);
	check_eq("rep-insb-into-it", (u64)trap_run(do_rep_insb, page - 16), TRAP_PF);
	check_eq("rep-insb-stopped-there", trap_last.di, (unsigned long)page);
	check_eq("rep-insb-count-left", trap_last.cx, 16);
	map_page((unsigned long)page, 0, 0);
	check_eq("outsb-absent-page", (u64)trap_run(do_outsb, page), TRAP_PF);
	check_eq("outsb-fault-error", trap_last.error, 0);
	check_eq("insb-non-canonical", (u64)trap_run(do_insb, (void *)(1ul << 62)), TRAP_GP);
	map_page((unsigned long)page, (unsigned long)page, PTE_WRITE | PTE_USER | PTE_PRESENT);
	check_eq("in-cpl3", (u64)user_run(user_in, (void *)(unsigned long)PORT_SCRATCH), TRAP_GP);
}

void guest_main(void)
{
	check_nobody();
	check_scratch();
	check_strings();
	check_segments();
	check_faults();
}
