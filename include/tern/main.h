/* SPDX-License-Identifier: MIT */
/* Where boot enters the core (hv/main.c). */
#ifndef TERN_MAIN_H
#define TERN_MAIN_H

#include <abi/boot_info.h>
#include <tern/types.h>

struct pcpu;

/* Boot CPU, interrupts off, first page tables. bi is checked and lives forever. */
NORETURN void main_start(struct boot_info *bi);

/* Every other CPU ends here, set up, interrupts off. */
NORETURN void main_ap(struct pcpu *pc);

/* TSC ticks from Tern's first instruction to the first prompt; 0 before the prompt. */
u64 main_boot_ticks(void);

/* The commit this image was built from, as git describes it. */
extern const char tern_version[];

#endif
