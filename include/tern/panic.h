/* SPDX-License-Identifier: MIT */
/* The end of a node that found a bug of its own (hv/panic.c). */
#ifndef TERN_PANIC_H
#define TERN_PANIC_H

#include <tern/err.h>
#include <tern/types.h>

struct arch_regs;

/* As panic(), with the registers of an exception; regs NULL: of the caller. Any context. */
NORETURN void panic_regs(const struct arch_regs *regs, const char *fmt, ...) PRINTF(2, 3);

/* After a panic: true: reset the machine; false (the default): stand still. */
void panic_set_reboot(bool reboot);

#endif
