/* SPDX-License-Identifier: MIT */
/*
 * u64 vmx_enter(u64 *gpr, u32 flags, u64 *host_rsp): enters the guest of the current VMCS and comes
 * back after its exit. Loads and saves the general-purpose registers but RSP, which is in the VMCS. It
 * keeps RBP, RBX and R12 alone: vmx.c, its only caller, knows. HOST_RSP is written only when the stack
 * is another than the last time.
 */
#include "vmx_enter.h"

#define GPR(n) (n * 8)(%rdi)

.macro	LOAD_GUEST
	movq	GPR(0), %rax
	movq	GPR(1), %rcx
	movq	GPR(2), %rdx
	movq	GPR(3), %rbx
	movq	GPR(5), %rbp
	movq	GPR(6), %rsi
	movq	GPR(8), %r8
	movq	GPR(9), %r9
	movq	GPR(10), %r10
	movq	GPR(11), %r11
	movq	GPR(12), %r12
	movq	GPR(13), %r13
	movq	GPR(14), %r14
	movq	GPR(15), %r15
	movq	GPR(7), %rdi
.endm

	.text
	.balign	16
	.globl	vmx_enter, vmx_enter_exit
vmx_enter:
	pushq	%rbp
	pushq	%rbx
	pushq	%r12
	pushq	%rdi
	cmpq	%rsp, (%rdx)
	jne	first
1:	cmpl	$VMX_ENTER_RESUME, %esi
	jne	odd
	LOAD_GUEST
	vmresume
	jmp	4f

first:
	movq	%rsp, (%rdx)
	movl	$VMX_ENTER_HOST_RSP, %eax
	vmwrite	%rsp, %rax
	jmp	1b

odd:
	testb	$VMX_ENTER_VERW, %sil
	jz	2f
	pushq	$VMX_ENTER_SEL_DATA
	verw	(%rsp)
	popq	%rax
2:	testb	$VMX_ENTER_RESUME, %sil
	LOAD_GUEST			/* flags stay */
	jz	3f
	vmresume
	jmp	4f
3:	vmlaunch
	/* Only a failure gets here: CF invalid, ZF with an error number (SDM vol. 3C 31.2). */
4:	movl	$VMX_ENTER_INVALID, %eax
	jc	5f
	movl	$VMX_ENTER_FAILED, %eax
5:	popq	%rdi
	jmp	6f

	/* HOST_RIP. The guest's RDI waits on the stack while gpr is fetched from below it. */
	.balign	16
vmx_enter_exit:
	pushq	%rdi
	movq	8(%rsp), %rdi
	movq	%rax, GPR(0)
	movq	%rcx, GPR(1)
	movq	%rdx, GPR(2)
	movq	%rbx, GPR(3)
	movq	%rbp, GPR(5)
	movq	%rsi, GPR(6)
	popq	GPR(7)
	movq	%r8, GPR(8)
	movq	%r9, GPR(9)
	movq	%r10, GPR(10)
	movq	%r11, GPR(11)
	movq	%r12, GPR(12)
	movq	%r13, GPR(13)
	movq	%r14, GPR(14)
	movq	%r15, GPR(15)
	popq	%rsi			/* gpr */
	xorl	%eax, %eax		/* VMX_ENTERED */
	testb	$VMX_ENTER_MITIGATE_RSB, mitigate_flags(%rip)
	jnz	harden
6:	popq	%r12
	popq	%rbx
	popq	%rbp
	ret

harden:
	/* Nothing of the guest stays in registers that code could use speculatively. Those that are kept
	 * are loaded after it. */
	xorl	%ecx, %ecx
	xorl	%edx, %edx
	xorl	%esi, %esi
	xorl	%edi, %edi
	xorl	%r8d, %r8d
	xorl	%r9d, %r9d
	xorl	%r10d, %r10d
	xorl	%r11d, %r11d
	xorl	%r13d, %r13d
	xorl	%r14d, %r14d
	xorl	%r15d, %r15d
	/* 32 calls that never return: a return that the guest trained finds these instead. */
	.rept	32
	call	7f
8:	pause
	lfence
	jmp	8b
7:
	.endr
	addq	$(32 * 8), %rsp
	lfence
	jmp	6b

	.section .note.GNU-stack, "", @progbits
