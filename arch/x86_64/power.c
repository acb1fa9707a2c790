/* SPDX-License-Identifier: MIT */
/* Switching off and resetting the machine: ACPI first, then what every PC has. */
#include <tern/acpi.h>
#include <tern/arch.h>
#include <tern/err.h>
#include <tern/io.h>
#include <tern/log.h>
#include <tern/pci.h>

#include "apic.h"
#include "power_regs.h"
#include "x86.h"

#define RESET_WAIT_US  50000u
#define ENABLE_WAIT_US 1000000u

static void acpi_reset(void)
{
	const struct acpi_gas *reg = &acpi_get()->reset_reg;
	u8 value = acpi_get()->reset_value;

	if (reg->space == ACPI_SPACE_IO && reg->addr <= UINT16_MAX) {
		io_out8((u16)reg->addr, value);
	} else if (reg->space == ACPI_SPACE_MEM) {
		u8 *p = arch_map_mmio(hpa(reg->addr), 1);

		if (p != NULL)
			mmio_write8(p, value);
	} else if (reg->space == ACPI_SPACE_PCI) {
		struct pci_device d = {
			.dev = (u8)(reg->addr >> 32),
			.fn = (u8)(reg->addr >> 16),
		};

		pci_write(&d, (u16)reg->addr, 1, value);
	} else {
		return;
	}
	arch_delay_us(RESET_WAIT_US);
}

void arch_reboot(void)
{
	static const struct {
		u16 limit;
		u64 base;
	} PACKED no_idt = {0, 0};

	arch_irq_off();
	arch_cache_flush();
	apic_park_others();
	acpi_reset();
	io_out8(PORT_RESET, RESET_HARD);
	io_out8(PORT_RESET, RESET_HARD | RESET_CPU);
	arch_delay_us(RESET_WAIT_US);
	io_out8(PORT_KBC, KBC_PULSE_RESET);
	arch_delay_us(RESET_WAIT_US);
	/* A triple fault is the last way out. */
	__asm__ volatile("lidt %0; int3" : : "m"(no_idt));
	arch_dead();
}

/* ACPI 6.5, 4.8.3.2.1: until SCI_EN is set the PM1 registers belong to firmware. */
static bool acpi_enable(void)
{
	const struct acpi_info *acpi = acpi_get();
	u16 port = (u16)acpi->pm1a_cnt;

	if ((io_in16(port) & PM1_SCI_EN) != 0)
		return true;
	if (acpi->smi_cmd == 0 || acpi->acpi_enable == 0)
		return false;
	io_out8((u16)acpi->smi_cmd, acpi->acpi_enable);
	for (u32 us = 0; us < ENABLE_WAIT_US; us += 100) {
		if ((io_in16(port) & PM1_SCI_EN) != 0)
			return true;
		arch_delay_us(100);
	}
	return false;
}

static void pm1_sleep(u32 port, u8 type)
{
	u32 v;

	if (port == 0)
		return;
	v = io_in16((u16)port) & ~(PM1_SLP_TYP_MASK | PM1_SLP_EN);
	io_out16((u16)port, (u16)(v | (u32)type << PM1_SLP_TYP_SHIFT | PM1_SLP_EN));
}

void arch_poweroff(void)
{
	const struct acpi_info *acpi = acpi_get();

	arch_cache_flush();
	if (!acpi->s5 || acpi->pm1a_cnt == 0) {
		log_err("poweroff: the ACPI tables do not say how (no \\_S5 or PM1a control); use the button");
		return;
	}
	if (!acpi_enable())
		log_warn(
			"poweroff: firmware did not hand over the PM1 registers; trying all the same");
	pm1_sleep(acpi->pm1a_cnt, acpi->s5_type_a);
	pm1_sleep(acpi->pm1b_cnt, acpi->s5_type_b);
	arch_delay_us(ENABLE_WAIT_US);
	log_err("poweroff: the machine did not switch off; use the button");
}

void arch_cache_flush(void)
{
	__asm__ volatile("wbinvd" : : : "memory");
}
