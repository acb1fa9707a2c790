/* SPDX-License-Identifier: MIT */
/* The clocks that the TSC is measured against. */
#ifndef CLOCK_REGS_H
#define CLOCK_REGS_H

/* IA-PC HPET 1.0a, 2.3: general capabilities, configuration, main counter. */
#define HPET_CAP        0x000
#define HPET_CONFIG     0x010
#define HPET_COUNTER    0x0f0
#define HPET_SIZE       0x400
#define HPET_CONFIG_ON  (1u << 0)
#define HPET_CAP_64BIT  (1u << 13)
#define HPET_PERIOD_MAX 100000000u /* femtoseconds: 10 MHz at least */
#define FS_PER_SECOND   1000000000000000ull

/* ACPI 6.5, 4.8.2.1 */
#define PM_TIMER_HZ 3579545u

/* Intel 8254 data sheet: channel 2, gated and read back through port 61h. */
#define PIT_HZ         1193182u
#define PIT_CH2        0x42
#define PIT_CMD        0x43
#define PIT_CH2_ONE    0xb0 /* channel 2, both bytes, mode 0 */
#define PIT_LATCH2     0x80
#define PORT61         0x61
#define PORT61_GATE2   0x01
#define PORT61_SPEAKER 0x02

#endif
