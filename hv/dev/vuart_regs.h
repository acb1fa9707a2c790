/* SPDX-License-Identifier: MIT */
/* The registers of a 16550 (National Semiconductor PC16550D data sheet, table II). */
#ifndef HV_DEV_VUART_REGS_H
#define HV_DEV_VUART_REGS_H

enum uart_reg {
	UART_DATA,
	UART_IER,
	UART_IIR_FCR,
	UART_LCR,
	UART_MCR,
	UART_LSR,
	UART_MSR,
	UART_SCR
};

#define UART_IER_MASK  0x0fu
#define UART_IER_DATA  0x01u
#define UART_IER_EMPTY 0x02u
#define UART_IER_LINE  0x04u
#define UART_IER_MODEM 0x08u
#define UART_FCR_ON    0x01u
#define UART_FCR_CLEAR 0x02u /* receiver */
#define UART_FCR_LEVEL 6     /* shift of the trigger level */
#define UART_IIR_FIFOS 0xc0u

/* What IIR says, by falling priority (table IV). */
#define UART_IIR_NONE    0x01u /* no interrupt is pending */
#define UART_IIR_LINE    0x06u
#define UART_IIR_DATA    0x04u
#define UART_IIR_TIMEOUT 0x0cu /* less in the FIFO than the trigger level */
#define UART_IIR_EMPTY   0x02u
#define UART_IIR_MODEM   0x00u

#define UART_LCR_DLAB  0x80u
#define UART_MCR_MASK  0x1fu
#define UART_MCR_LOOP  0x10u
#define UART_LSR_DATA  0x01u
#define UART_LSR_LOST  0x02u /* overrun */
#define UART_LSR_EMPTY 0x60u /* transmitter: holding register and shift register */
#define UART_MSR_READY 0xb0u /* CTS, DSR, DCD */

/* Loop-back mode: the outputs of MCR are the inputs of MSR. */
#define UART_MCR_DTR  0x01u
#define UART_MCR_RTS  0x02u
#define UART_MCR_OUT1 0x04u
#define UART_MCR_OUT2 0x08u
#define UART_MSR_CTS  0x10u
#define UART_MSR_DSR  0x20u
#define UART_MSR_RI   0x40u
#define UART_MSR_DCD  0x80u
#define UART_MSR_DELTA \
	4 /* shift to the bits that say which of them have changed; RI: that it fell */

#define UART_DIVISOR_RESET 12u /* 9600 bit/s, as firmware leaves it */

#endif
