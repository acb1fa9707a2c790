/* SPDX-License-Identifier: MIT */
/* I/O APICs (82093AA): every line masked at boot, then routed one by one. And the 8259s: off. */
#include <tern/acpi.h>
#include <tern/arch.h>
#include <tern/err.h>
#include <tern/io.h>
#include <tern/lock.h>
#include <tern/log.h>

#include "apic_regs.h"
#include "irq_arch.h"
#include "x86_regs.h"

#define IOAPIC_PAGE 0x1000u

/* 8259 (Intel 8259A data sheet): command and data ports of the pair. */
#define PIC1_CMD  0x20
#define PIC1_DATA 0x21
#define PIC2_CMD  0xa0
#define PIC2_DATA 0xa1
#define PIC_ICW1  0x11
#define PIC_ICW4  0x01

static struct {
	char *regs;
	u32 gsi_base, lines;
} ioapics[ACPI_IOAPICS_MAX];
static u32 ioapic_count;
static struct spinlock ioapic_lock = SPINLOCK_INIT(RANK_IRQ, "ioapic");

static u32 reg_read(char *regs, u32 reg)
{
	mmio_write32(regs + IOAPIC_SELECT, reg);
	return mmio_read32(regs + IOAPIC_WINDOW);
}

static void reg_write(char *regs, u32 reg, u32 v)
{
	mmio_write32(regs + IOAPIC_SELECT, reg);
	mmio_write32(regs + IOAPIC_WINDOW, v);
}

/* Their stray interrupts come at VEC_PIC and are counted as spurious. */
static void pic_off(void)
{
	io_out8(PIC1_CMD, PIC_ICW1);
	io_out8(PIC2_CMD, PIC_ICW1);
	io_out8(PIC1_DATA, VEC_PIC);
	io_out8(PIC2_DATA, VEC_PIC + 8);
	io_out8(PIC1_DATA, 4);
	io_out8(PIC2_DATA, 2);
	io_out8(PIC1_DATA, PIC_ICW4);
	io_out8(PIC2_DATA, PIC_ICW4);
	io_out8(PIC1_DATA, 0xff);
	io_out8(PIC2_DATA, 0xff);
}

void ioapic_init(void)
{
	const struct acpi_info *acpi = acpi_get();

	pic_off();
	for (u32 i = 0; i < acpi->ioapic_count; i++) {
		char *regs = arch_map_mmio(hpa(acpi->ioapics[i].base), IOAPIC_PAGE);
		u32 lines;

		if (regs == NULL) {
			log_warn("ioapic: no memory to map the one at %lx", acpi->ioapics[i].base);
			continue;
		}
		lines = (reg_read(regs, IOAPIC_VERSION) >> 16 & 0xff) + 1;
		for (u32 n = 0; n < lines; n++)
			reg_write(regs, IOAPIC_REDIR(n), REDIR_MASKED);
		ioapics[ioapic_count].regs = regs;
		ioapics[ioapic_count].gsi_base = acpi->ioapics[i].gsi_base;
		ioapics[ioapic_count++].lines = lines;
	}
}

int ioapic_route(u32 gsi, bool active_low, bool level, u32 vector, u32 dest)
{
	for (u32 i = 0; i < ioapic_count; i++) {
		u32 n = gsi - ioapics[i].gsi_base;
		lock_token t;

		if (gsi < ioapics[i].gsi_base || n >= ioapics[i].lines)
			continue;
		t = lock_take(&ioapic_lock);
		reg_write(ioapics[i].regs, IOAPIC_REDIR(n), REDIR_MASKED);
		reg_write(ioapics[i].regs, IOAPIC_REDIR(n) + 1, dest << REDIR_DEST_SHIFT);
		reg_write(ioapics[i].regs, IOAPIC_REDIR(n),
			  vector | (active_low ? REDIR_ACTIVE_LOW : 0) | (level ? REDIR_LEVEL : 0));
		lock_release(&ioapic_lock, t);
		return 0;
	}
	return -TERN_ENODEV;
}
