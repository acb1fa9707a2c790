/* SPDX-License-Identifier: MIT */
/*
 * The second vCPU of the hostile agent, in real mode: changes the message that both send, at any time, makes one of the
 * agent's calls with it, counts those that are refused, until it is told to stop. CS is the page of its copy.
 */
#define HC_FIRST 5
#define HC_KINDS 7
#define BYTES	 64

	.section .rodata
	.globl agent_code, agent_data, agent_code_end
	.code16
agent_code:
	mov	%cs, %ax
	mov	%ax, %ds
	xor	%ebp, %ebp
1:	cmpl	$0, agent_data - agent_code
	jne	3f
	inc	%ebp
	mov	%ebp, %eax
	xor	%edx, %edx
	mov	$HC_KINDS, %ecx
	div	%ecx
	lea	HC_FIRST(%edx), %eax
	mov	%bp, %bx
	and	$BYTES - 1, %bx
	/* Up and down again: every other one is what it was. */
	xorb	$0x41, agent_message - agent_code(%bx)
	xor	%edi, %edi
	mov	%cs, %di
	shl	$4, %edi
	add	$agent_message - agent_code, %edi
	mov	$BYTES, %esi
	vmcall
	test	%eax, %eax
	jns	1b
	incl	agent_data - agent_code + 4
	jmp	1b
3:	mov	%ebp, agent_data - agent_code + 8
	movl	$1, agent_data - agent_code + 12
	cli
4:	hlt
	jmp	4b
	.balign 8
agent_data:
	.fill	4, 4, 0 /* struct beside */
agent_message:
	.fill	256
agent_code_end:
	.section .note.GNU-stack, "", @progbits
