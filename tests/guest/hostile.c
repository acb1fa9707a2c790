/* SPDX-License-Identifier: MIT */
/*
 * What a guest does that wants to hurt the node: one theme a run, named on the command line.
 *   msr, port, mmio, odd, hypercall  count=N (default a million) random operations, seed=N
 *   nmi       NMIs to itself, by its local APIC
 *   tables    descriptor tables and selectors of random content
 * With "forever" none of these ends. Always so:
 *   db        #DB while #DB is delivered (CVE-2015-8104); #AC: see prot
 *   pause     a PAUSE loop
 *   halt      HLT again and again, with nothing that could end it
 *   talk      lines to the serial port, as fast as it takes them
 *   triple    a triple fault
 * All but odd end with a pass: whatever an operation does is an exception or nothing. What never ends, or stops the machine, is for others to see: the node must go on.
 */
#include "cpu.h"
#include "guest.h"

#define COUNT_DEFAULT 1000000u
#define PROGRESS_EACH 100000u
#define GIB           0x40000000ull

/* Of IA32_APIC_BASE, SDM vol. 3A 11.12.1; of the ICR, 11.6.1. */
#define BASE_X2APIC_ON 0xc00ull
#define ICR_NMI_TO_0   0x400ull

/* G0, reads and writes, eight bytes: SDM vol. 3B 17.2.4. */
#define DR7_WATCH_8_BYTES (0x400ul | 0x2ul | 0x3ul << 16 | 0x2ul << 18)

const char guest_name[] = "hostile";

/* KVM's MSRs: they have memory written. */
#define MSR_KVM 0x4b564d00u

static u64 state;
static u32 trapped;

/* MSRs a guest may set to what ends it at once, by right: the ICR sends INIT. */
static bool deadly_msr(u32 msr)
{
	return msr == MSR_EFER || msr == MSR_FS_BASE || msr == MSR_GS_BASE ||
	       msr == MSR_APIC_BASE || msr == MSR_X2APIC_ICR || msr >> 8 == MSR_KVM >> 8;
}

static u32 random_msr(void)
{
	static const u32 bases[] = {0, 0x40000000u, 0xc0000000u, 0xc0010000u, 0x4b564d00u};
	u64 r = random_next(&state);

	/* One in sixteen from all of the space. */
	if ((r & 15) == 0)
		return (u32)(r >> 32);
	return bases[(r >> 8) % ARRAY_SIZE(bases)] + (u32)(r >> 32 & 0x1fff);
}

static void hostile_msr(void)
{
	u32 msr = random_msr();
	u64 r = random_next(&state);

	if (r & 1)
		trapped += try_rdmsr(msr, NULL) != TRAP_NONE;
	else if (!deadly_msr(msr))
		trapped += try_wrmsr(msr, random_next(&state) >> (r >> 8 & 63)) != TRAP_NONE;
}

static void hostile_string(u16 port, unsigned long n)
{
	static u8 room[256];
	u8 *to = room;

	__asm__ volatile("rep insl" : "+D"(to), "+c"(n) : "d"(port) : "memory");
}

static void hostile_port(void)
{
	u64 r = random_next(&state);
	u16 port = (u16)(r >> 16);
	u32 value = (u32)(r >> 32);

	/* Resets, by right: keyboard controller, port A, PCI's reset register. */
	if ((port >= 0x61 && port <= 0x64) || (port >= 0x8f && port <= 0x92) ||
	    (port >= 0xcf6 && port <= 0xcff))
		return;
	/* The exit port and ACPI's soft-off end us; the UART would make noise. */
	if ((port >= PORT_EXIT - 3 && port < PORT_EXIT + 4) ||
	    (port >= PORT_PM1_CNT - 3 && port < PORT_PM1_CNT + 2))
		return;
	if (port >= PORT_COM1 - 3 && port < PORT_COM1 + 8)
		return;
	/* One in 64 is a string, of up to 63: each of its elements is an exit. */
	if ((r >> 4 & 63) == 0) {
		hostile_string(port, value % 64);
		return;
	}
	switch (r & 7) {
	case 0:
		(void)inb(port);
		break;
	case 1:
		(void)inw(port);
		break;
	case 2:
		(void)inl(port);
		break;
	case 3:
		outb(port, (u8)value);
		break;
	case 4:
		outw(port, (u16)value);
		break;
	default:
		outl(port, value);
	}
}

struct operation {
	volatile u8 *at;
	u64 value;
	u32 kind;
};

static void do_operation(void *arg)
{
	struct operation *o = arg;
	volatile u8 *at = o->at;

	switch (o->kind) {
	case 0:
		o->value = *at;
		break;
	case 1:
		o->value = *(volatile u64 *)at;
		break;
	case 2:
		*(volatile u32 *)at = (u32)o->value;
		break;
	case 3:
		__asm__ volatile("xchgq %0, %1" : "+r"(o->value), "+m"(*(volatile u64 *)at));
		break;
	case 4:
		__asm__ volatile("lock orl $1, %0" : "+m"(*(volatile u32 *)at));
		break;
	case 5:
		__asm__ volatile("pushq %0; popq %0" : "+m"(*(volatile u64 *)at));
		break;
	case 6:
		__asm__ volatile("fxsave %0" : "+m"(*(volatile u64 *)at)::"memory");
		break;
	case 7:
		__asm__ volatile("sidt %0" : "=m"(*(volatile u64 *)at));
		break;
	case 8:
		__asm__ volatile("cmpxchg16b %0"
				 : "+m"(*(volatile u64 *)at)::"rax", "rbx", "rcx", "rdx");
		break;
	default:
		__asm__ volatile("call *%0" ::"r"(at) : "memory");
	}
}

static void operate(u32 first, u32 kinds)
{
	u64 r = random_next(&state);
	/* 3 to 4 GiB, or above 64 GiB, also where the physical address has no bits. */
	u64 physical = r & 1 ? 3 * GIB + (r >> 34) : (r >> 18 | 64 * GIB);
	struct operation o = {window_at(physical), r, first + (u32)(r >> 8) % kinds};

	trapped += trap_run(do_operation, &o) != TRAP_NONE;
}

/* Where nothing is, by instructions that devices are reached with. */
static void hostile_mmio(void)
{
	operate(0, 5);
}

/* The same by others: no device is asked like that, and this guest may be stopped for it. */
static void hostile_odd(void)
{
	operate(5, 5);
}

static void hostile_hypercall(void)
{
	u64 number = random_next(&state);

	number >>= number & 63;
	(void)hypercall(number, random_next(&state), random_next(&state), random_next(&state));
}

static void do_load_selector(void *arg)
{
	u16 selector = (u16)(unsigned long)arg;

	switch ((unsigned long)arg >> 16 & 7) {
	case 0:
		__asm__ volatile("mov %0, %%fs; mov %1, %%fs" ::"r"(selector), "r"(0));
		break;
	case 1:
		__asm__ volatile("mov %0, %%gs; mov %1, %%gs" ::"r"(selector), "r"(0));
		break;
	case 2:
		__asm__ volatile("lldt %0; lldt %1" ::"r"(selector), "r"((u16)0));
		break;
	case 3:
		__asm__ volatile("ltr %0" ::"r"(selector));
		break;
	case 4:
		__asm__ volatile("lar %0, %%eax; lsl %0, %%eax; verr %0" ::"r"(selector)
				 : "rax", "cc");
		break;
	default:
		__asm__ volatile("mov %0, %%es" ::"r"(selector));
	}
}

static void hostile_tables(void)
{
	u64 r = random_next(&state);

	for (u32 i = SEL_SPARE / 8; i < SEL_COUNT; i++)
		guest_gdt[i] = random_next(&state);
	/* Half of the time present: it comes further. */
	if (r & 1)
		guest_gdt[SEL_SPARE / 8] |= 1ull << 47;
	trapped += trap_run(do_load_selector, (void *)((SEL_SPARE + (r >> 8 & 0x2f)) |
						       (r >> 16 & 7) << 16)) != TRAP_NONE;
}

static u32 nmis;

static bool count_nmi(struct trap_frame *frame)
{
	nmis += frame->vector == TRAP_NMI;
	return frame->vector == TRAP_NMI;
}

/*
 * By its APIC ID, 0: "self" is not for NMIs (SDM vol. 3A table 11-3). Each comes before the next
 * instruction, for the write to the ICR is an exit: none is lost.
 */
static void hostile_nmi(void)
{
	if (trap_hook == NULL) {
		wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | BASE_X2APIC_ON);
		trap_hook = count_nmi;
	}
	nmis = 0;
	wrmsr(MSR_X2APIC_ICR, ICR_NMI_TO_0);
	trapped += nmis;
}

static const struct theme {
	const char *name;
	void (*once)(void);
	bool tern_only;
} themes[] = {
	{"msr", hostile_msr, true},
	{"port", hostile_port, true},
	{"mmio", hostile_mmio, true},
	{"odd", hostile_odd, true},
	{"hypercall", hostile_hypercall, true},
	{"nmi", hostile_nmi, true},
	{"tables", hostile_tables, false},
};

static bool again(struct trap_frame *frame)
{
	return frame->vector == TRAP_DB;
}

/*
 * #DB comes on a stack of its own whose first word has a data breakpoint: delivery raises #DB again, and
 * again, without one instruction between. Hardware never leaves that loop by itself, not even for an
 * interrupt of the host, unless #DB makes an exit.
 */
static void endless_db(void)
{
	static u8 stack[8192] __attribute__((aligned(64)));
	unsigned long top = (unsigned long)stack + sizeof(stack);

	print("hostile: endless #DB\n");
	trap_hook = again;
	trap_stack(TRAP_DB, (void *)top);
	write_dr0(top - 8);
	write_dr7(DR7_WATCH_8_BYTES);
	for (;;)
		*(volatile u8 *)(top - 8) = 1;
}

static void triple_fault(void)
{
	struct table_ptr none = {0, 0};

	print("hostile: triple fault\n");
	__asm__ volatile("lidt %0; ud2" ::"m"(none));
}

static void endless_pause(void)
{
	print("hostile: endless PAUSE\n");
	for (;;)
		cpu_pause();
}

static void endless_halt(void)
{
	print("hostile: endless HLT\n");
	for (;;)
		__asm__ volatile("hlt");
}

static void endless_talk(void)
{
	for (u32 n = 0;; n++)
		print("hostile: line %u, which nobody wants to read and which is quite long\n", n);
}

static const struct ending {
	const char *name;
	void (*run)(void);
} endings[] = {
	{"db", endless_db},     {"triple", triple_fault}, {"pause", endless_pause},
	{"halt", endless_halt}, {"talk", endless_talk},
};

void guest_main(void)
{
	u32 count = cmdline_number("count", COUNT_DEFAULT);

	state = 0x123456789abcdefull + cmdline_number("seed", 1);
	for (u32 i = 0; i < ARRAY_SIZE(themes); i++) {
		const struct theme *t = &themes[i];

		if (!cmdline_has(t->name))
			continue;
		if (t->tern_only && !on_tern) {
			skip_check(t->name, "not on Tern: it would be hostile to this machine");
			continue;
		}
		trapped = 0;
		print("hostile: %s\n", t->name);
		for (u32 n = 0; n < count || cmdline_has("forever"); n += n < count) {
			t->once();
			/* Who waits for us takes a long silence for the end. */
			if (n % PROGRESS_EACH == PROGRESS_EACH - 1)
				print("hostile: %u so far\n", n + 1);
		}
		print("hostile: %s, %u operations, %u trapped\n", t->name, count, trapped);
		check(t->name, true);
		if (t->once == hostile_nmi)
			check_eq("every-nmi", trapped, count);
	}
	for (u32 i = 0; i < ARRAY_SIZE(endings); i++) {
		if (cmdline_has(endings[i].name))
			endings[i].run();
	}
}
