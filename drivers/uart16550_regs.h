/* SPDX-License-Identifier: MIT */
/* Registers of the 16550 UART. Source: National Semiconductor PC16550D data sheet, section 8. */
#ifndef DRIVERS_UART16550_REGS_H
#define DRIVERS_UART16550_REGS_H

#include <tern/types.h>

#define UART_CLOCK      115200u /* 1.8432 MHz / 16: bit/s at divisor 1 */
#define UART_FIFO_BYTES 16u

/* Offsets from the base port. */
enum {
	UART_RBR = 0, /* read: received byte */
	UART_THR = 0, /* write: byte to send */
	UART_DLL = 0, /* divisor, low byte, while LCR.DLAB is set */
	UART_DLM = 1, /* divisor, high byte */
	UART_IER = 1,
	UART_IIR = 2, /* read */
	UART_FCR = 2, /* write */
	UART_LCR = 3,
	UART_MCR = 4,
	UART_LSR = 5,
	UART_MSR = 6,
	UART_SCR = 7,
};

enum { IER_RX = 0x01, IER_LINE_STATUS = 0x04 };
enum { IIR_FIFO_MASK = 0xc0, IIR_FIFO_ON = 0xc0 };
enum { FCR_ENABLE = 0x01, FCR_CLEAR_RX = 0x02, FCR_CLEAR_TX = 0x04, FCR_TRIGGER_8 = 0x80 };
enum { LCR_8N1 = 0x03, LCR_DLAB = 0x80 };
enum { MCR_DTR = 0x01, MCR_RTS = 0x02, MCR_OUT1 = 0x04, MCR_OUT2 = 0x08, MCR_LOOP = 0x10 };
enum {
	LSR_DATA = 0x01,
	LSR_OVERRUN = 0x02,
	LSR_PARITY = 0x04,
	LSR_FRAMING = 0x08,
	LSR_BREAK = 0x10,
	LSR_THRE = 0x20, /* the FIFO is empty: it takes UART_FIFO_BYTES */
	LSR_ERRORS = LSR_OVERRUN | LSR_PARITY | LSR_FRAMING,
};
/* In loop-back RTS shows as CTS, DTR as DSR, OUT1 as RI, OUT2 as DCD. */
enum { MSR_CTS = 0x10, MSR_DSR = 0x20, MSR_RI = 0x40, MSR_DCD = 0x80, MSR_LINES = 0xf0 };

#endif
