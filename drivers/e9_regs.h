/* SPDX-License-Identifier: MIT */
/* The debug port of Bochs and QEMU. Source: Bochs user manual 4.3, port_e9_hack. */
#ifndef DRIVERS_E9_REGS_H
#define DRIVERS_E9_REGS_H

#define E9_PORT 0xe9u /* write: a character; read: its own number where the emulator has it */

#endif
