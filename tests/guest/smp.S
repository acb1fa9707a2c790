/* SPDX-License-Identifier: MIT */
/*
 * Where another vCPU starts: real mode, CS the page of this code, copied there. It says that it came,
 * adds to a counter that the first vCPU adds to as well, halts, and says when it was woken.
 */
	.section .rodata
	.globl smp_code, smp_data, smp_code_end
	.code16
smp_code:
	mov	%cs, %ax
	mov	%ax, %ds
	lock incl	smp_data - smp_code
1:	pause
	cmpl	$0, smp_data - smp_code + 4
	je	1b
	mov	smp_data - smp_code + 8, %ecx
2:	lock incl	smp_data - smp_code + 12
	dec	%ecx
	jnz	2b
	movl	$1, smp_data - smp_code + 16
	cli
	hlt
	movl	$2, smp_data - smp_code + 16
3:	hlt
	jmp	3b
	.balign 8
smp_data:
	.fill	5, 4, 0 /* struct meeting */
smp_code_end:
	.section .note.GNU-stack, "", @progbits
