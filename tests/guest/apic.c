/* SPDX-License-Identifier: MIT */
/*
 * What a CPU with a local APIC does, in xAPIC and in x2APIC mode, and the old chips of a PC beside it: 8259
 * pair, 8254, I/O APIC. SDM vol. 3A chapter 11. With "storm": floods of NMIs and IPIs. The rest of it
 * is in tests/guest/apic.
 */
#include "apic/apic.h"

const char guest_name[] = "apic";

static void check_registers(void)
{
	u32 version = apic_read(APIC_VERSION);

	both("version-is-integrated", (version & 0xff) >= 0x10 && (version & 0xff) <= 0x15);
	both("lvt-entries", (version >> 16 & 0xff) >= 3);
	both_eq("id", x2 ? apic_read(APIC_ID) : apic_read(APIC_ID) >> 24, self_id);
	enable(0);
	both_eq("svr-reads-back", apic_read(APIC_SVR), SVR_ON | V_SPURIOUS);
	both_eq("tpr-is-clear", apic_read(APIC_TPR), 0);
	both_eq("ldr", apic_read(APIC_LDR), x2 ? logical_id(0) : logical_id(0) << 24);
	apic_write(APIC_LVT_TIMER, LVT_MASKED | LVT_PERIODIC | 0x44);
	both_eq("lvt-reads-back", apic_read(APIC_LVT_TIMER), LVT_MASKED | LVT_PERIODIC | 0x44);
	both("nothing-in-service", all_clear(APIC_ISR) && all_clear(APIC_IRR));
}

static void write_cr8(u64 value)
{
	__asm__ volatile("mov %0, %%cr8" ::"r"(value) : "memory");
}

static u64 read_cr8(void)
{
	u64 value;

	__asm__ volatile("mov %%cr8, %0" : "=r"(value)::"memory");
	return value;
}

static void check_self_ipi(void)
{
	clear_hits();
	send(self_id, 0x41);
	both("ipi-to-the-own-id", wait_hits(0x41, 1));
	send(0, ICR_TO_SELF | 0x41);
	both("ipi-to-self", wait_hits(0x41, 2));
	both_eq("icr-low-reads-back", apic_read(APIC_ICR), ICR_TO_SELF | 0x41);
	send(0, ICR_TO_SELF | 0x41);
	send(0, ICR_TO_SELF | 0x41);
	both("irr-of-an-ipi", irr_comes(0x41));
	both_eq("cli-holds-it-back", hits[0][0x41], 2);
	quiet(1);
	both_eq("two-become-one", hits[0][0x41], 3);
	both("eoi-ends-service", all_clear(APIC_ISR) && all_clear(APIC_IRR));
}

static void check_errors(void)
{
	if (on_tcg) {
		skip_check(in_mode("esr"), "TCG delivers such vectors");
		return;
	}
	apic_write(APIC_ESR, 0);
	send(0, ICR_TO_SELF | 5);
	apic_write(APIC_ESR, 0);
	both_eq("esr-illegal-vector", apic_read(APIC_ESR) & ESR_SEND, ESR_SEND);
	apic_write(APIC_ESR, 0);
	apic_write(APIC_ESR, 0);
	both_eq("esr-forgets", apic_read(APIC_ESR), 0);
}

static void check_priority(void)
{
	clear_hits();
	apic_write(APIC_TPR, 0x50);
	both_eq("cr8-follows-tpr", read_cr8(), 5);
	both_eq("ppr-follows-tpr", apic_read(APIC_PPR), 0x50);
	write_cr8(6);
	both_eq("tpr-follows-cr8", apic_read(APIC_TPR), 0x60);
	for (u32 way = 0; way < 2; way++) {
		clear_hits();
		write_cr8(5);
		send(self_id, 0x51);
		both("tpr-leaves-irr", irr_comes(0x51));
		send(self_id, 0x61);
		both("above-tpr-comes", wait_hits(0x61, 1));
		quiet(1);
		both_eq("below-tpr-waits", hits[0][0x51], 0);
		if (way == 0)
			write_cr8(4);
		else
			apic_write(APIC_TPR, 0x4f);
		both(way == 0 ? "cr8-lets-it-come" : "tpr-lets-it-come", wait_hits(0x51, 1));
	}
	both_eq("tpr-keeps-its-low-half", apic_read(APIC_TPR), 0x4f);
	write_cr8(15);
	send(self_id, 0xf1);
	quiet(1);
	both_eq("tpr-15-blocks-all", hits[0][0xf1], 0);
	write_cr8(0);
	both("tpr-0-blocks-none", wait_hits(0xf1, 1));
}

static u32 nest_bad;

static void on_low(UNUSED u32 cpu)
{
	nest_bad |= !vector_bit(APIC_ISR, 0x41) || vector_bit(APIC_IRR, 0x41);
	nest_bad |= (u32)(apic_read(APIC_PPR) != 0x40) << 1;
	send(self_id, 0x42);
	send(self_id, 0x31);
	send(self_id, 0x61);
	nest_bad |= (u32)!wait_hits(0x61, 1) << 2;
	note(1);
	nest_bad |= (u32)(vector_bit(APIC_ISR, 0x61) || !vector_bit(APIC_ISR, 0x41)) << 3;
	nest_bad |= (u32)(apic_read(APIC_PPR) != 0x40) << 4;
}

static void on_high(UNUSED u32 cpu)
{
	nest_bad |= (u32)(!vector_bit(APIC_ISR, 0x41) || !vector_bit(APIC_ISR, 0x61)) << 5;
	nest_bad |= (u32)(!vector_bit(APIC_IRR, 0x42) || !vector_bit(APIC_IRR, 0x31)) << 6;
	nest_bad |= (u32)(apic_read(APIC_PPR) != 0x60) << 7;
}

static void check_nesting(void)
{
	clear_hits();
	nest_bad = 0;
	handlers[0x41] = on_low;
	handlers[0x61] = on_high;
	send(self_id, 0x41);
	both("nested-all-come", wait_hits(0x31, 1));
	handlers[0x41] = handlers[0x61] = NULL;
	both_eq("nested-isr-irr-ppr", nest_bad, 0);
	both("nested-order", order_is((const u8[]){0x41, 0x61, 1, 0x42, 0x31, 0}));
	both("nested-none-left", all_clear(APIC_ISR) && all_clear(APIC_IRR));
	clear_hits();
	for (u32 v = 0x31; v < 0xff; v += 0x20)
		send(self_id, v);
	send(self_id, 0x52);
	send(self_id, 0x32);
	both("several-at-once-all-come", wait_hits(0x31, 1));
	both("several-at-once-highest-first",
	     order_is((const u8[]){0xf1, 0xd1, 0xb1, 0x91, 0x71, 0x52, 0x51, 0x32, 0x31, 0}));
}

static void check_software_disable(void)
{
	clear_hits();
	apic_write(APIC_LVT_TIMER, V_TIMER);
	apic_write(APIC_SVR, V_SPURIOUS);
	if (on_tcg)
		skip_check(in_mode("disabled-lvt-is-masked"), "TCG is known to fail");
	else
		both_eq("disabled-lvt-is-masked", apic_read(APIC_LVT_TIMER), LVT_MASKED | V_TIMER);
	send(self_id, 0x41);
	quiet(1);
	both_eq("disabled-takes-nothing", hits[0][0x41], 0);
	send(self_id, ICR_NMI);
	both("disabled-takes-nmi", comes_to(&nmis[0], 1));
	enable(0);
	quiet(1);
	if (!on_tcg)
		both_eq("disabled-forgets", hits[0][0x41], 0);
	clear_hits();
	send(self_id, 0x41);
	both("enabled-again", wait_hits(0x41, 1));
}

static void check_nmi(void)
{
	clear_hits();
	nmi_nested = false;
	write_cr8(15);
	send(self_id, ICR_NMI);
	both("nmi-with-interrupts-off", comes_to(&nmis[0], 1));
	write_cr8(0);
	nmi_again = 1;
	send(self_id, ICR_NMI);
	both("nmi-after-iret", comes_to(&nmis[0], 3));
	spin(tsc_ms);
	both_eq("nmi-latches-one", nmis[0], 3);
	both("nmi-is-blocked-in-its-handler", !nmi_nested);
	if (!cmdline_has("storm"))
		return;
	clear_hits();
	for (u32 i = 0; i < STORM; i++) {
		send(self_id, ICR_NMI);
		if (!comes_to(&nmis[0], i + 1))
			break;
	}
	both_eq("nmi-storm", nmis[0], STORM);
}
void check_one_mode(void)
{
	check_registers();
	check_self_ipi();
	check_errors();
	check_priority();
	check_nesting();
	check_software_disable();
	check_nmi();
	check_timer();
}
void guest_main(void)
{
	self_id = cpuid(1, 0).b >> 24;
	trap_hook = on_interrupt;
	/* Firmware may have left an 8254 that ticks. */
	outb(PIC1 + 1, 0xff);
	outb(PIC2 + 1, 0xff);
	measure_tsc();
	if (on_tern)
		check_reset_state("after-reset");
	check_one_mode();
	if (on_tern)
		check_off_and_on();
	check_chips();
	check_x2apic();
	check_cpus();
}
