/* SPDX-License-Identifier: MIT */
/* Reset and sleep registers. */
#ifndef POWER_REGS_H
#define POWER_REGS_H

/* PM1 control (ACPI 6.5, 4.8.3.2.1) */
#define PM1_SCI_EN        (1u << 0)
#define PM1_SLP_TYP_SHIFT 10
#define PM1_SLP_TYP_MASK  (7u << PM1_SLP_TYP_SHIFT)
#define PM1_SLP_EN        (1u << 13)

/* Reset control register (Intel 8-series PCH data sheet 13.7.5) */
#define PORT_RESET 0xcf9
#define RESET_HARD 0x02
#define RESET_CPU  0x04

/* Keyboard controller (8042): pulse output line 0, which is the CPU's reset */
#define PORT_KBC        0x64
#define KBC_PULSE_RESET 0xfe

#endif
