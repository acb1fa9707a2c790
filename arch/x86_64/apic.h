/* SPDX-License-Identifier: MIT */
/* The local APIC of this CPU (apic.c). */
#ifndef APIC_H
#define APIC_H

#include <tern/types.h>

struct pcpu;

/* Chooses x2APIC or xAPIC, maps the latter's registers. Boot CPU, once; needs ACPI. */
void apic_init(void);
/* Enables the APIC of this CPU with its timer ready. Every CPU. */
void apic_cpu_init(void);
u32 apic_id(void);
bool apic_is_x2(void);
bool apic_has_deadline(void);
void apic_eoi(void);
/* Interrupt command to one CPU; low holds vector and ICR_* bits. Waits until it is accepted. */
void apic_send(u32 dest, u32 low);
/* Learns the frequency of the timer's own clock against the TSC; needs arch_tsc_hz(). */
void apic_calibrate(void);

/* Puts all other CPUs into wait-for-SIPI, for good: before a reset, so that none runs while firmware
 * starts anew. */
void apic_park_others(void);

/* NMI side of arch_stop_others(). */
bool apic_stop_requested(void);
void apic_stopped(void) __attribute__((noreturn));

#endif
