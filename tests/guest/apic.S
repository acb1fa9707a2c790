/* SPDX-License-Identifier: MIT */
/*
 * Where a SIPI starts another CPU: in real mode, in a copy of this code that CS points to. It goes the usual
 * way by protected mode to long mode, with the page tables, descriptor tables and traps of the first CPU.
 */
#define MSR_EFER	 0xc0000080
#define EFER_LME_NXE_SCE 0x901
#define CR0_PG_WP_NE_PE	 0x80010021
#define CR4_PAE		 0x20
#define AP_STACK_SHIFT	 12

	.section .rodata
	.globl ap_code, ap_code_end
	.code16
ap_code:
	cli
	mov	%cs, %ax
	mov	%ax, %ds
	lgdtl	ap_gdt - ap_code
	mov	%cr0, %eax
	or	$1, %al
	mov	%eax, %cr0
	ljmpl	$0x38, $ap_32
ap_gdt:
	.word	16 * 8 - 1
	.long	guest_gdt
ap_code_end:

	.text
	.code32
ap_32:
	mov	$0x10, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	mov	$boot_pml4, %eax
	mov	%eax, %cr3
	mov	$CR4_PAE, %eax
	mov	%eax, %cr4
	mov	$MSR_EFER, %ecx
	mov	$EFER_LME_NXE_SCE, %eax
	xor	%edx, %edx
	wrmsr
	mov	$CR0_PG_WP_NE_PE, %eax
	mov	%eax, %cr0
	ljmp	$0x08, $ap_64
	.code64
ap_64:
	mov	$1, %eax
	cpuid
	shr	$24, %ebx
	mov	%ebx, %edi
	inc	%ebx
	shl	$AP_STACK_SHIFT, %ebx
	lea	ap_stacks(%rbx), %rsp
	lidt	ap_idt
	call	ap_main
	ud2

	.data
	.balign 8
ap_idt:
	.word	256 * 16 - 1
	.quad	guest_idt
	.section .note.GNU-stack, "", @progbits
