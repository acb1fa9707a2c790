/* SPDX-License-Identifier: MIT */
/*
 * Entry of every guest: Multiboot 1 hands over in 32-bit protected mode (specification 3.2). With
 * __x86_64__ the rest of the guest is 64-bit code: page tables 1:1 up to 4 GiB are filled here.
 */
#define MULTIBOOT_MAGIC	 0x1badb002
#define MULTIBOOT_FLAGS	 0x00000003 /* modules on pages, memory information */
#define PAGE_USER_WRITE	 0x007
#define PAGE_USER_LARGE	 0x087
#define CR0_PG_WP_NE_PE	 0x80010021
#define CR4_PAE		 0x20
#define MSR_EFER	 0xc0000080
#define EFER_LME_NXE_SCE 0x901

	.section .multiboot, "a"
	.balign 4
	.long MULTIBOOT_MAGIC, MULTIBOOT_FLAGS, -(MULTIBOOT_MAGIC + MULTIBOOT_FLAGS)

	.text
	.code32
	.globl start
start:
	cli
	cld
	mov	$boot_stack_top, %esp
	mov	%eax, %esi
	mov	%ebx, %edi
	lgdt	gdt_pointer
#ifdef __x86_64__
	mov	$boot_pd, %ecx
	mov	$PAGE_USER_LARGE, %eax
1:	mov	%eax, (%ecx)
	add	$8, %ecx
	add	$0x200000, %eax
	jnc	1b
	movl	$boot_pdpt + PAGE_USER_WRITE, boot_pml4
	mov	$boot_pdpt, %ecx
	mov	$boot_pd + PAGE_USER_WRITE, %eax
	mov	$4, %edx
2:	mov	%eax, (%ecx)
	add	$8, %ecx
	add	$4096, %eax
	dec	%edx
	jnz	2b
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
	ljmp	$0x08, $start64
	.code64
start64:
	mov	$boot_stack_top, %esp
	mov	%edi, %ebx
	mov	%esi, %edi
	mov	%ebx, %esi
#else
	ljmp	$0x08, $1f
1:	push	%edi
	push	%esi
#endif
	mov	$0x10, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	mov	%eax, %fs
	mov	%eax, %gs
	call	guest_start
	ud2

	.data
	.balign 16
	.globl guest_gdt
guest_gdt:
	.quad	0
#ifdef __x86_64__
	.quad	0x00af9b000000ffff	/* 0x08 code, 64 bits */
	.quad	0x00cf93000000ffff	/* 0x10 data */
	.quad	0x00affb000000ffff	/* 0x18 user code */
#else
	.quad	0x00cf9b000000ffff
	.quad	0x00cf93000000ffff
	.quad	0x00cffb000000ffff
#endif
	.quad	0x00cff3000000ffff	/* 0x20 user data */
	.quad	0x00009b000000ffff	/* 0x28 code, 16 bits, base 0 */
	.quad	0x000093000000ffff	/* 0x30 data, 64 KiB */
	.quad	0x00cf9b000000ffff	/* 0x38 code, 32 bits */
	.fill	8, 8, 0			/* 0x40 TSS, 0x50 spare */
gdt_end:
gdt_pointer:
	.word	gdt_end - guest_gdt - 1
	.long	guest_gdt, 0

	.bss
	.balign 4096
#ifdef __x86_64__
	.globl boot_pml4, boot_pdpt, boot_pd
boot_pml4:
	.skip	4096
boot_pdpt:
	.skip	4096
boot_pd:
	.skip	4 * 4096
#endif
	.skip	16384
boot_stack_top:
	.section .note.GNU-stack, "", @progbits
