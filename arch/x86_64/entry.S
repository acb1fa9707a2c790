/* SPDX-License-Identifier: MIT */
/*
 * Exception and interrupt entries: 256 stubs of 16 bytes, each pushes its vector and joins. All
 * vectors run on a stack of the TSS (traps.c), so nothing below the interrupted RSP is touched:
 * Debian's static libraries keep data in the red zone there.
 */
	.text
	.balign 16
	.globl entry_stubs
entry_stubs:
	.set	vector, 0
	.rept	256
	.balign	16
	/* #DF #TS #NP #SS #GP #PF #AC #CP #VC #SX push an error code (SDM vol. 3A 6.13). */
	.if	vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30
	.else
	pushq	$0
	.endif
	pushq	$vector
	jmp	entry_common
	.set	vector, vector + 1
	.endr

	.balign 16
entry_common:
	pushq	%rax
	pushq	%rbx
	pushq	%rcx
	pushq	%rdx
	pushq	%rbp
	pushq	%rsi
	pushq	%rdi
	pushq	%r8
	pushq	%r9
	pushq	%r10
	pushq	%r11
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	cld
	movq	%rsp, %rdi
	xorl	%ebp, %ebp
	call	traps_dispatch
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%r11
	popq	%r10
	popq	%r9
	popq	%r8
	popq	%rdi
	popq	%rsi
	popq	%rbp
	popq	%rdx
	popq	%rcx
	popq	%rbx
	popq	%rax
	addq	$16, %rsp
	iretq

/* void entry_switch_stack(u64 stack_top, void (*fn)(void)): never returns. */
	.globl entry_switch_stack
entry_switch_stack:
	movq	%rdi, %rsp
	xorl	%ebp, %ebp
	pushq	$0
	jmp	*%rsi

/*
 * Where the other CPUs start (SDM vol. 3A 9.4.4): copied to a page below 1 MiB, entered in real mode
 * with CS:IP = page:0. smp.c fills the parameters at its end for one CPU at a time.
 */
	.section .rodata
	.balign 16
	.globl entry_ap_start, entry_ap_end, entry_ap_params
	.code16
entry_ap_start:
	cli
	cld
	xorl	%ebx, %ebx
	movw	%cs, %bx
	movw	%bx, %ds
	shll	$4, %ebx		/* EBX: where this page lies */
	leal	(ap_gdt - entry_ap_start)(%ebx), %eax
	movl	%eax, (ap_gdt_ptr + 2 - entry_ap_start)
	leal	(ap_protected - entry_ap_start)(%ebx), %eax
	movl	%eax, (ap_jump - entry_ap_start)
	leal	(ap_long - entry_ap_start)(%ebx), %eax
	movl	%eax, (ap_jump_long - entry_ap_start)	/* with paging on, this page is read-only */
	lgdtl	(ap_gdt_ptr - entry_ap_start)
	movl	$0x11, %eax
	movl	%eax, %cr0
	ljmpl	*(ap_jump - entry_ap_start)
	.code32
ap_protected:
	movl	$0x18, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	movl	$0x20, %eax		/* CR4.PAE */
	movl	%eax, %cr4
	movl	(entry_ap_params - entry_ap_start)(%ebx), %eax
	movl	%eax, %cr3
	movl	$0xc0000080, %ecx
	xorl	%edx, %edx
	movl	$0x900, %eax		/* EFER: NXE, LME */
	wrmsr
	movl	$0x80010033, %eax
	movl	%eax, %cr0
	ljmpl	*(ap_jump_long - entry_ap_start)(%ebx)
	.code64
ap_long:
	xorl	%eax, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	movl	%eax, %fs
	movl	%eax, %gs
	movq	(entry_ap_params + 8 - entry_ap_start)(%rbx), %rsp
	movq	(entry_ap_params + 16 - entry_ap_start)(%rbx), %rdi
	movq	(entry_ap_params + 24 - entry_ap_start)(%rbx), %rax
	/* FS and GS bases, as in boot/start.S, before any C. */
	pushq	%rax
	movq	%rdi, %rax
	movq	%rdi, %rdx
	shrq	$32, %rdx
	movl	$0xc0000100, %ecx
	wrmsr
	incl	%ecx
	wrmsr
	popq	%rax
	xorl	%ebp, %ebp
	pushq	$0
	jmp	*%rax
	.balign 8
ap_gdt:
	.quad 0
	.quad 0x00af9b000000ffff	/* 08: code, 64 bits */
	.quad 0x00cf9b000000ffff	/* 10: code, 32 bits */
	.quad 0x00cf93000000ffff	/* 18: data */
ap_gdt_ptr:
	.word 31
	.long 0
	.balign 4
ap_jump:
	.long 0
	.word 0x10
	.balign 4
ap_jump_long:
	.long 0
	.word 0x08
	.balign 8
entry_ap_params:
	.quad 0				/* CR3 */
	.quad 0				/* RSP */
	.quad 0				/* struct pcpu * */
	.quad 0				/* where to go */
entry_ap_end:

	.section .note.GNU-stack, "", @progbits
