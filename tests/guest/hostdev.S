/* SPDX-License-Identifier: MIT */
/*
 * The second CPU's code. In long mode it is that of the guest "apic". An NMI may come at any time, which no way to
 * long mode survives; what takes those stays in real mode, with a vector for all that can come.
 */
#include "apic.S"

#define MSR_APIC_BASE	0x1b
#define APIC_BASE_ON	0xc00
#define X2APIC_EOI	0x80b
#define X2APIC_SVR	0x80f
#define SVR_ON		0x1ff
#define REAL_STACK	0x7000
/* hostdev/init.c: struct real_counts */
#define STARTS		0x5000
#define ROUNDS		0x5004
#define NMIS		0x5008
#define INTERRUPTS	0x500c
#define EXCEPTIONS	0x5010

	.section .rodata
	.globl real_code, real_code_end, real_vectors, real_nmi, real_interrupt, real_exception
	.globl real_vectors_end
	.code16
real_code:
	cli
	xor	%ax, %ax
	mov	%ax, %ds
	mov	%ax, %ss
	mov	$REAL_STACK, %sp
	mov	$MSR_APIC_BASE, %ecx
	rdmsr
	or	$APIC_BASE_ON, %eax
	wrmsr
	mov	$X2APIC_SVR, %ecx
	mov	$SVR_ON, %eax
	xor	%edx, %edx
	wrmsr
	lock incl STARTS
	sti
1:	lock incl ROUNDS
	mov	ROUNDS, %eax
	test	$0x3f, %al
	jnz	2f
	hlt
2:	test	$3, %al
	jnz	3f
	xor	%eax, %eax
	cpuid
3:	pause
	jmp	1b
real_code_end:

	/* In a segment of their own, which begins here. DS is 0 from INIT on. */
real_vectors:
real_nmi:
	lock incl NMIS
	iret
real_interrupt:
	push	%eax
	push	%ecx
	push	%edx
	lock incl INTERRUPTS
	mov	$X2APIC_EOI, %ecx
	xor	%eax, %eax
	xor	%edx, %edx
	wrmsr
	pop	%edx
	pop	%ecx
	pop	%eax
	iret
real_exception:
	lock incl EXCEPTIONS
	cli
	hlt
real_vectors_end:
	.section .note.GNU-stack, "", @progbits
