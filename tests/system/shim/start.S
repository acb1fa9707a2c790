/* SPDX-License-Identifier: MIT */
/* Entry of the shim, and the jump into Tern. Multiboot 2 (2.0), 3.1 and 3.3. */
	.section .multiboot, "a"
	.balign 8
header:
	.long 0xe85250d6, 0, header_end - header
	.long -(0xe85250d6 + 0 + (header_end - header))
	.word 6, 0		/* modules on page boundaries */
	.long 8
	.word 0, 0
	.long 8
header_end:

	.text
	.globl shim_start
shim_start:
	mov	$stack_top, %esp
	push	%ebx
	call	shim_main
1:	hlt
	jmp	1b

	/* shim_enter(entry, eax, ebx): the machine state of Multiboot 2, 3.3, is the one we got. */
	.globl shim_enter
shim_enter:
	mov	4(%esp), %ecx
	mov	8(%esp), %eax
	mov	12(%esp), %ebx
	cli
	jmp	*%ecx

	.bss
	.balign 16
	.skip	16384
stack_top:
	.section .note.GNU-stack, "", @progbits
