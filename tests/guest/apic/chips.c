/* SPDX-License-Identifier: MIT */
/* The chips of a PC beside the local APIC: 8259 pair, 8254, I/O APIC, and a 16550 as the source of a level. */
#include "apic.h"

#define ELCR       0x4d0u
#define UART_IER   (PORT_COM1 + 1u)
#define UART_IIR   (PORT_COM1 + 2u)
#define UART_MCR   (PORT_COM1 + 4u)
#define UART_LSR   (PORT_COM1 + 5u)
#define IOAPIC     0xfec00000ul
#define RTE_IRR    (1ull << 14)
#define RTE_LEVEL  (1ull << 15)
#define RTE_MASKED (1ull << 16)

static u32 pic_isr;

static void on_pic_timer(UNUSED u32 cpu)
{
	outb(PIC1, 0x0b);
	pic_isr |= inb(PIC1);
	outb(PIC1, 0x0a);
}

static void pit_periodic(void)
{
	outb(PIT_CONTROL, 0x34);
	outb(PIT, (u8)PIT_KHZ);
	outb(PIT, (u8)(PIT_KHZ >> 8));
}

/* Ticks of channel 0 against the count of channel 2. */
static void count_pit(const char *comes, const char *as_often, u32 vector)
{
	u32 missed, status, elapsed, ticks;
	u64 start = rdtsc();

	clear_hits();
	pit2_start(0xffff);
	pit_periodic();
	missed = count_ticks(vector, 40, tsc_ms);
	ticks = hits[0][vector];
	outb(PIT_CONTROL, 0xc8); /* status and count of channel 2 */
	status = inb(PIT + 2);
	elapsed = inb(PIT + 2);
	elapsed =
		0xffff - (elapsed | (u32)inb(PIT + 2) << 8) + ((status & 0x80) != 0 ? 0x10000 : 0);
	outb(PIT_CONTROL, 0x30); /* it waits for a count */
	check(comes, ticks >= 40);
	if (rdtsc() - start > 100 * tsc_ms) {
		skip_check(as_often, "this machine stood still");
		return;
	}
	check(as_often, ticks * PIT_KHZ <= elapsed + 2 * PIT_KHZ &&
				(on_tcg || (ticks + missed + 2) * PIT_KHZ >= elapsed / 4 * 3));
}

static void check_pic(void)
{
	u64 start = rdtsc();
	u32 irr = 0;

	/* As Linux does. */
	outb(PIC2 + 1, 0xff);
	outb(PIC1 + 1, 0xfb);
	check_eq("8259-mask-reads-back", inb(PIC1 + 1), 0xfb);
	outb(PIC1 + 1, 0xff);
	outb(PIC1, 0x11);
	outb(PIC1 + 1, V_PIC);
	outb(PIC1 + 1, 4);
	outb(PIC1 + 1, 1);
	outb(PIC2, 0x11);
	outb(PIC2 + 1, V_PIC + 8);
	outb(PIC2 + 1, 2);
	outb(PIC2 + 1, 1);
	outb(PIC1 + 1, 0xff);
	outb(PIC2 + 1, 0xff);
	check_eq("8259-masks", (u32)inb(PIC1 + 1) << 8 | inb(PIC2 + 1), 0xffff);
	outb(PIC1, 0x0b);
	check_eq("8259-none-in-service", inb(PIC1), 0);
	outb(PIC1, 0x0a);
	clear_hits();
	apic_write(APIC_LVT_LINT0, LVT_EXTINT);
	pit_periodic();
	while (irr == 0 && rdtsc() - start < PATIENCE * tsc_ms)
		irr = inb(PIC1) & 1;
	check_eq("8259-irr", irr, 1);
	quiet(2);
	check_eq("8259-masked", hits[0][V_PIC], 0);
	handlers[V_PIC] = on_pic_timer;
	outb(PIC1 + 1, 0xfe);
	count_pit("8254-by-8259", "8254-by-8259-as-often", V_PIC);
	check_eq("8259-isr", pic_isr, 1);
	outb(PIC1 + 1, 0xff);
	handlers[V_PIC] = NULL;
	clear_hits();
	apic_write(APIC_LVT_LINT0, LVT_EXTINT | LVT_MASKED);
	outb(PIC1 + 1, 0xfe);
	pit_periodic();
	quiet(3);
	check_eq("lint0-masked", hits[0][V_PIC], 0);
	outb(PIC1 + 1, 0xff);
	outb(PIT_CONTROL, 0x30);
}

static void check_elcr(void)
{
	u32 was = inw(ELCR);

	outb(ELCR, 0xff);
	outb(ELCR + 1, 0xff);
	check_eq("elcr-writable-bits", (u32)inb(ELCR) | (u32)inb(ELCR + 1) << 8, 0xdef8);
	outb(ELCR, 0);
	outb(ELCR + 1, 0);
	check_eq("elcr-clear", (u32)inb(ELCR) | (u32)inb(ELCR + 1) << 8, 0);
	outb(ELCR, (u8)was);
	outb(ELCR + 1, (u8)(was >> 8));
}

static u32 ioapic_read(u32 reg)
{
	*(volatile u32 *)IOAPIC = reg;
	return *(volatile u32 *)(IOAPIC + 0x10);
}

static void ioapic_pin(u32 pin, u64 entry)
{
	*(volatile u32 *)IOAPIC = 0x11 + 2 * pin;
	*(volatile u32 *)(IOAPIC + 0x10) = (u32)(entry >> 32);
	*(volatile u32 *)IOAPIC = 0x10 + 2 * pin;
	*(volatile u32 *)(IOAPIC + 0x10) = (u32)entry;
}

static u32 uart_iir, uart_rte, uart_tmr, uart_early;

/* The first two times nobody asks the chip why. */
static void on_uart(UNUSED u32 cpu)
{
	uart_rte |= ioapic_read(0x10 + 2 * 4);
	uart_tmr |= vector_bit(APIC_TMR, V_UART);
	if (hits[0][V_UART] >= 3)
		uart_iir = inb(UART_IIR);
}

static void check_ioapic(void)
{
	check_eq("ioapic-pins", ioapic_read(1) >> 16 & 0xff, 23);
	ioapic_pin(2, (u64)self_id << 56 | V_PIT);
	check_eq("ioapic-entry-reads-back", ioapic_read(0x14), V_PIT);
	count_pit("8254-by-ioapic", "8254-by-ioapic-as-often", V_PIT);
	check("edge-is-not-in-tmr", !vector_bit(APIC_TMR, V_PIT));
	ioapic_pin(2, RTE_MASKED | V_PIT);
	quiet(1); /* one may be in IRR */
	clear_hits();
	pit_periodic();
	quiet(3);
	check_eq("ioapic-masked", hits[0][V_PIT], 0);
	outb(PIT_CONTROL, 0x30);
}

/* The transmitter that is empty asserts the line until IIR has told so. */
static void check_level(void)
{
	clear_hits();
	handlers[V_UART] = on_uart;
	while ((inb(UART_LSR) & 0x60) != 0x60)
		cpu_pause();
	outb(UART_MCR, 0x0b);
	ioapic_pin(4, (u64)self_id << 56 | RTE_LEVEL | V_UART);
	quiet(1);
	uart_early = hits[0][V_UART];
	outb(UART_IER, 2);
	wait_hits(V_UART, 3);
	quiet(3);
	outb(UART_IER, 0);
	handlers[V_UART] = NULL;
	check_eq("level-not-yet-asserted", uart_early, 0);
	check_eq("level-comes-until-deasserted", hits[0][V_UART], 3);
	check_eq("level-iir", uart_iir & 0xf, 2);
	check_eq("level-in-tmr", uart_tmr, 1);
	check_eq("level-remote-irr", uart_rte & RTE_IRR, RTE_IRR);
	check_eq("level-remote-irr-is-over", ioapic_read(0x10 + 2 * 4) & RTE_IRR, 0);
	ioapic_pin(4, RTE_MASKED);
}

void check_chips(void)
{
	check_pic();
	check_elcr();
	check_ioapic();
	check_level();
}
