/* SPDX-License-Identifier: MIT */
/* Where the TSC's frequency is known from (tsc.c). */
#ifndef TSC_H
#define TSC_H

/* "CPUID 15h", "HPET", "PM timer", "8254", or "none" before init_clock(). */
const char *tsc_source(void);

#endif
