/* SPDX-License-Identifier: MIT */
/*
 * Vector registers for the few calls that need them (arch/x86_64/fpu.c): libraries that were compiled
 * with SSE, and GHASH. The host is compiled without; what is in the registers is a guest's.
 */
#ifndef TERN_FPU_H
#define TERN_FPU_H

/*
 * Between the two, XMM0-XMM15 and MXCSR may be changed; fpu_end() puts back what was there. Interrupts
 * are off from one to the other, and they do not nest. Wider registers and x87 must not be touched:
 * SSE instructions leave the upper parts alone (SDM vol. 1 14.1.3 on legacy SSE).
 */
void fpu_begin(void);
void fpu_end(void);

#endif
