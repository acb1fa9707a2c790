/* SPDX-License-Identifier: MIT */
/* All registers at once: what C cannot hold still. */
	.text
	.globl	canary_gpr, canary_set_sse, canary_get_sse, canary_set_avx, canary_get_avx

/* canary_gpr(want, got, number, pauses): RAX is the yield's, RSP the stack's. */
canary_gpr:
	push	%rbx
	push	%rbp
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	push	%rsi
	mov	%ecx, spin_left
	mov	%rdx, %rax
	mov	(%rdi), %rbx
	mov	8(%rdi), %rcx
	mov	16(%rdi), %rdx
	mov	24(%rdi), %rsi
	mov	40(%rdi), %rbp
	mov	48(%rdi), %r8
	mov	56(%rdi), %r9
	mov	64(%rdi), %r10
	mov	72(%rdi), %r11
	mov	80(%rdi), %r12
	mov	88(%rdi), %r13
	mov	96(%rdi), %r14
	mov	104(%rdi), %r15
	mov	32(%rdi), %rdi
	test	%rax, %rax
	js	1f
	cmpb	$0, on_amd
	jne	2f
	vmcall
	jmp	1f
2:	vmmcall
1:	pause
	decl	spin_left
	jnz	1b
	mov	(%rsp), %rax
	mov	%rbx, (%rax)
	mov	%rcx, 8(%rax)
	mov	%rdx, 16(%rax)
	mov	%rsi, 24(%rax)
	mov	%rdi, 32(%rax)
	mov	%rbp, 40(%rax)
	mov	%r8, 48(%rax)
	mov	%r9, 56(%rax)
	mov	%r10, 64(%rax)
	mov	%r11, 72(%rax)
	mov	%r12, 80(%rax)
	mov	%r13, 88(%rax)
	mov	%r14, 96(%rax)
	mov	%r15, 104(%rax)
	pop	%rsi
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbp
	pop	%rbx
	ret

	.irp	op, set, get
canary_\op\()_sse:
	.set	i, 0
	.irp	r, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	.ifc	\op, set
	movups	i * 16(%rdi), %xmm\r
	.else
	movups	%xmm\r, i * 16(%rdi)
	.endif
	.set	i, i + 1
	.endr
	ret
canary_\op\()_avx:
	.set	i, 0
	.irp	r, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	.ifc	\op, set
	vmovdqu	i * 32(%rdi), %ymm\r
	.else
	vmovdqu	%ymm\r, i * 32(%rdi)
	.endif
	.set	i, i + 1
	.endr
	ret
	.endr

	.bss
	.balign	4
spin_left:
	.skip	4
	.section .note.GNU-stack, "", @progbits
