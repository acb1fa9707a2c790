/* SPDX-License-Identifier: MIT */
#ifndef CPU_INFO_ARCH_H
#define CPU_INFO_ARCH_H

struct pcpu;

/* Surveys the CPU it runs on and keeps the result for cpu_info_get(). */
void cpu_info_fill(struct pcpu *pc);

#endif
