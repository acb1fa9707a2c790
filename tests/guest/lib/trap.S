/* SPDX-License-Identifier: MIT */
/* The 256 entry stubs, trap_run() and user_run(). */
#ifdef __x86_64__
#define PTR	.quad
#define SIZE	8
#define USER_FN %rax
#else
#define PTR	.long
#define SIZE	4
#define USER_FN %eax
#endif
/* Vectors at which the CPU pushes an error code: SDM vol. 3A table 6-1. */
#define ERROR_VECTORS 0x60227d00

	.text
	.macro	stub vector
	.balign	16
	.if	!((\vector < 32) && ((ERROR_VECTORS >> (\vector & 31)) & 1))
	push	$0
	.endif
	push	$\vector
	jmp	trap_common
	.endm

	.balign	16
	.globl	trap_stubs
trap_stubs:
	.set	n, 0
	.rept	256
	stub	n
	.set	n, n + 1
	.endr

trap_common:
#ifdef __x86_64__
	push	%rax
	push	%rcx
	push	%rdx
	push	%rbx
	push	%rbp
	push	%rsi
	push	%rdi
	push	%r8
	push	%r9
	push	%r10
	push	%r11
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	cld
	mov	%rsp, %rdi
	mov	%rsp, %rbp
	and	$-16, %rsp
	call	trap_dispatch
	mov	%rbp, %rsp
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%r11
	pop	%r10
	pop	%r9
	pop	%r8
	pop	%rdi
	pop	%rsi
	pop	%rbp
	pop	%rbx
	pop	%rdx
	pop	%rcx
	pop	%rax
	add	$16, %rsp
	iretq
#else
	pusha
	mov	%ds, %ebx
	mov	$0x10, %eax
	mov	%eax, %ds
	mov	%eax, %es
	cld
	mov	%esp, %eax
	push	%eax
	call	trap_dispatch
	add	$4, %esp
	mov	%ebx, %ds
	mov	%ebx, %es
	popa
	add	$8, %esp
	iret
#endif

/*
 * trap_run(fn, arg): trap_sp is where the way back is kept, a chain when calls nest. A trap of any kind
 * comes to trap_recover with its vector.
 */
	.globl	trap_run, user_run, trap_recover, trap_sp
#ifdef __x86_64__
	.macro	save_way_back
	push	%rbx
	push	%rbp
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	pushfq
	push	trap_sp
	mov	%rsp, trap_sp
	.endm

trap_run:
	save_way_back
	mov	%rdi, %rax
	mov	%rsi, %rdi
	call	*%rax
	mov	$-1, %edi
trap_recover:
	mov	%edi, %eax
	mov	$0x10, %ecx
	mov	%ecx, %ss
	mov	trap_sp, %rsp
	pop	trap_sp
	popfq
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbp
	pop	%rbx
	ret

user_run:
	save_way_back
	mov	%rdi, %rax
	mov	%rsi, %rdi
	push	$0x23
	push	$user_stack_top
	pushfq
	push	$0x1b
	push	$user_stub
	iretq
#else
	.macro	save_way_back
	push	%ebx
	push	%ebp
	push	%esi
	push	%edi
	pushf
	push	trap_sp
	mov	%esp, trap_sp
	.endm

trap_run:
	mov	4(%esp), %eax
	mov	8(%esp), %edx
	save_way_back
	push	%edx
	call	*%eax
	push	$-1
	push	$0
trap_recover:
	mov	4(%esp), %eax
	mov	$0x10, %ecx
	mov	%ecx, %ds
	mov	%ecx, %es
	mov	%ecx, %ss
	mov	trap_sp, %esp
	pop	trap_sp
	popf
	pop	%edi
	pop	%esi
	pop	%ebp
	pop	%ebx
	ret

user_run:
	mov	4(%esp), %eax
	mov	8(%esp), %edx
	save_way_back
	mov	%edx, user_stack_top
	mov	$0x23, %ecx
	push	%ecx
	push	$user_stack_top
	pushf
	push	$0x1b
	push	$user_stub
	mov	%ecx, %ds
	mov	%ecx, %es
	iret
#endif
user_stub:
	call	*USER_FN
	int	$0x81

	.data
	.balign	8
trap_sp:
	PTR	0
	.bss
	.balign	16
	.skip	8192
user_stack_top:
	.skip	SIZE * 2
	.globl	trap_stack_top
	.balign	16
	.skip	8192
trap_stack_top:
	.section .note.GNU-stack, "", @progbits
