/* SPDX-License-Identifier: MIT */
/* What boot starts in drivers/: serial port and screens. Each registers a struct console. */
#ifndef TERN_DRIVERS_H
#define TERN_DRIVERS_H

#include <abi/boot_info.h>
#include <tern/types.h>

/*
 * The 16550 (drivers/uart16550.c). Probes by scratch register and loop-back, sets speed, 8N1, FIFO.
 * Returns 0 and registers the console, or -TERN_ENODEV when no UART answers at port. Output is
 * polled; input comes from a 256-byte ring filled by uart_interrupt() and by every read. May be
 * called again, for another port or speed: there is one UART console.
 */
MUST_CHECK int uart_init(u16 port, u32 speed);
/* Switches the receive interrupt on; the caller has routed the IRQ to uart_interrupt(). */
void uart_irq_on(void);
void uart_interrupt(void *arg);
/* Received characters that did not fit in the ring, and line errors. */
u64 uart_lost(void);
/* Characters not sent because the UART did not take them in time. */
u64 uart_tx_lost(void);

/* VGA text screen 80x25 (drivers/vga_text.c); base is the mapped 0xb8000. */
MUST_CHECK int vga_text_init(void *base);
/* Linear framebuffer, 32 bits a pixel, 8x16 font (drivers/framebuffer.c); base is mapped. */
MUST_CHECK int framebuffer_init(const struct boot_fb *fb, void *base);
/* Port 0xe9 of Bochs and QEMU (drivers/e9.c): log only; absent on real machines (reads not 0xe9). */
MUST_CHECK int e9_init(void);

#endif
