/* SPDX-License-Identifier: MIT */
/*
 * Tern's first instructions. Multiboot 1 and 2 loaders enter start_entry in 32-bit protected mode
 * (Multiboot 1 3.2, Multiboot 2 3.3); ternboot.efi enters start_entry64 in long mode, which leaves
 * long mode and joins. The image may lie anywhere below 4 GiB, a multiple of 2 MiB away from where
 * it was linked: nothing here uses an absolute address before paging is on.
 *
 * Builds the first page tables: the first 4 GiB at 0 and at the direct map, the image at its linked
 * address, all writable and executable. hpt_init() replaces them by ones that are W^X.
 */
#include <tern/layout.h>

/* Offset of a symbol from image_start, by the address boot/image.ld links that to. */
#define REL(symbol) ((symbol) - LAYOUT_IMAGE_START)

	.section .boot, "ax"
	/* Multiboot 1 header, 3.1: modules on page boundaries, memory information. */
	.balign 4
multiboot1_header:
	.long 0x1badb002, 3, -(0x1badb002 + 3)

	/* Multiboot 2 header, 3.1.1. */
	.balign 8
multiboot2_header:
	.long 0xe85250d6, 0, multiboot2_end - multiboot2_header
	.long -(0xe85250d6 + 0 + (multiboot2_end - multiboot2_header))
	.word 6, 0		/* modules on page boundaries */
	.long 8
	.word 10, 1		/* relocatable: anywhere in 2 MiB .. 4 GiB, 2 MiB aligned, low */
	.long 24, 0x200000, 0xffffffff, 0x200000, 1
	.word 5, 1		/* a framebuffer would be nice, this size best */
	.long 20, 1024, 768, 32
	.balign 8
	.word 0, 0
	.long 8
multiboot2_end:

	/* struct tern_image_header (abi/boot_info.h): how ternboot.efi finds the 64-bit entry. */
	.balign 8
	.quad ~0x4f464e494e524554
	.quad REL(image_end)
	.long REL(start_entry64)
	.long 1

	.code32
	.globl start_entry
start_entry:
	cli
	cld
	movl	%eax, %edi		/* which loader */
	rdtsc
	movl	%eax, %ebp
	movl	%edx, %ecx		/* ECX:EBP: TSC at entry */
	/*
	 * Where are we? A call needs a stack, and ESP is undefined: borrow 4 bytes of the loader's
	 * information, whose second word is then put back.
	 */
	movl	4(%ebx), %eax
	leal	8(%ebx), %esp
	call	1f
1:	popl	%esi
	movl	%eax, 4(%ebx)
	subl	$REL(1b), %esi		/* ESI: physical address of image_start */
	leal	REL(start_stack_top)(%esi), %esp

	/* CPUID 80000001h EDX.29: long mode, EDX.20: execute-disable. */
	pushl	%ebx
	pushl	%ecx
	movl	$0x80000000, %eax
	cpuid
	cmpl	$0x80000001, %eax
	jb	start_no_long_mode
	movl	$0x80000001, %eax
	cpuid
	andl	$0x20100000, %edx
	cmpl	$0x20100000, %edx
	jne	start_no_long_mode
	popl	%ecx
	popl	%ebx

	/* The top level: [0] and the direct map share one table; [511] is the image. */
	leal	REL(start_pml4)(%esi), %edx
	leal	(REL(start_pdpt_low) + 3)(%esi), %eax
	movl	%eax, (%edx)
	movl	%eax, (8 * LAYOUT_PML4_DIRECT)(%edx)
	leal	(REL(start_pdpt_image) + 3)(%esi), %eax
	movl	%eax, (8 * 511)(%edx)
	leal	(REL(start_pd_image) + 3)(%esi), %eax
	movl	%eax, (REL(start_pdpt_image) + 8 * 510)(%esi)
	/* The image: two 2 MiB pages from the second entry on, wherever it was put. */
	leal	0x83(%esi), %eax
	movl	%eax, (REL(start_pd_image) + 8)(%esi)
	addl	$0x200000, %eax
	movl	%eax, (REL(start_pd_image) + 16)(%esi)
	/* 4 GiB in 2 MiB pages. */
	leal	(REL(start_pd_low) + 3)(%esi), %eax
	leal	REL(start_pdpt_low)(%esi), %edx
	movl	%eax, (%edx)
	addl	$0x1000, %eax
	movl	%eax, 8(%edx)
	addl	$0x1000, %eax
	movl	%eax, 16(%edx)
	addl	$0x1000, %eax
	movl	%eax, 24(%edx)
	leal	REL(start_pd_low)(%esi), %edx
	movl	$0x83, %eax		/* present, writable, 2 MiB */
2:	movl	%eax, (%edx)
	addl	$8, %edx
	addl	$0x200000, %eax
	jnc	2b

	/* Long mode: SDM vol. 3A 10.8.5. */
	movl	$0x20, %eax		/* CR4.PAE */
	movl	%eax, %cr4
	leal	REL(start_pml4)(%esi), %eax
	movl	%eax, %cr3
	pushl	%ecx
	movl	$0xc0000080, %ecx	/* EFER: NXE, LME */
	xorl	%edx, %edx
	movl	$0x900, %eax
	wrmsr
	popl	%ecx
	movl	$0x80010033, %eax	/* CR0: PG WP NE ET MP PE */
	movl	%eax, %cr0
	call	start_load_gdt
	pushl	$0x08
	leal	REL(start_long)(%esi), %eax
	pushl	%eax
	lretl

/* Loads start_gdt; it needs no relocation because the pointer to it is made on the stack. */
start_load_gdt:
	leal	REL(start_gdt)(%esi), %eax
	pushl	%eax
	pushw	$(start_gdt_end - start_gdt - 1)
	lgdtl	(%esp)
	addl	$6, %esp
	ret

start_no_long_mode:
	leal	REL(start_text)(%esi), %esi
	movl	$0xb8000, %edi
	movb	$0x4f, %ah
3:	lodsb
	testb	%al, %al
	jz	5f
	stosw
	movl	%eax, %ecx		/* the same on COM1, as it stands */
	movl	$0x3fd, %edx
	movl	$0x10000, %ebx
4:	inb	%dx, %al
	testb	$0x20, %al
	jnz	6f
	decl	%ebx
	jnz	4b
6:	movl	%ecx, %eax
	movl	$0x3f8, %edx
	outb	%al, %dx
	jmp	3b
5:	hlt
	jmp	5b
start_text:
	.asciz	"Tern needs a 64-bit CPU with execute-disable; look for 'XD' or 'NX' in the firmware setup. "

	.code64
start_long:
	xorl	%eax, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	movl	%eax, %fs
	movl	%eax, %gs
	movabsq	$start_high, %rax
	jmp	*%rax

	/*
	 * From ternboot.efi: RDI struct boot_info (below 4 GiB), RSI BOOT_INFO_MAGIC, firmware's
	 * identity map. Back to 32 bits, as if by Multiboot.
	 */
start_entry64:
	cli
	cld
	movl	%edi, %ebx
	leaq	image_start(%rip), %rsi
	leaq	REL(start_stack_top)(%rsi), %rsp
	leaq	REL(start_gdt)(%rsi), %rax
	pushq	%rax
	pushw	$(start_gdt_end - start_gdt - 1)
	lgdt	(%rsp)
	addq	$10, %rsp
	movl	$0x18, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	pushq	$0x10
	leaq	REL(start_compat)(%rsi), %rax
	pushq	%rax
	lretq
	.code32
start_compat:
	movl	%cr0, %eax
	andl	$0x7fffffff, %eax	/* paging off, and with it long mode */
	movl	%eax, %cr0
	movl	$0xc0000080, %ecx
	xorl	%eax, %eax
	xorl	%edx, %edx
	wrmsr
	xorl	%eax, %eax		/* 5-level paging, PCIDs and the rest go too */
	movl	%eax, %cr4
	movl	$LAYOUT_MAGIC_TERNBOOT, %eax
	jmp	start_entry

	.balign 8
start_gdt:
	.quad 0
	.quad 0x00af9b000000ffff	/* 08: code, 64 bits */
	.quad 0x00cf9b000000ffff	/* 10: code, 32 bits */
	.quad 0x00cf93000000ffff	/* 18: data */
start_gdt_end:

	.text
	.code64
/* Upper half at last. EDI: loader, EBX: its information, ECX:EBP: TSC, ESI: image base. */
start_high:
	leaq	start_stack_top(%rip), %rsp
	movl	%esi, %r13d
	movl	%ecx, %r12d
	shlq	$32, %r12
	movl	%ebp, %eax
	orq	%rax, %r12
	/* The stack protector reads FS:28h from the first C function on; pcpu_self() reads GS:0. */
	movq	$pcpu_boot, %rax
	movq	%rax, %rdx
	shrq	$32, %rdx
	movl	$0xc0000100, %ecx	/* IA32_FS_BASE */
	wrmsr
	incl	%ecx			/* IA32_GS_BASE */
	wrmsr
	xorl	%ebp, %ebp		/* where backtraces end */
	pushq	$0
	movl	%ebx, %esi
	movq	%r12, %rdx
	movq	%r13, %rcx
	call	boot_main
	ud2

	.bss
	.balign 4096
	.globl start_pml4
start_pml4:	.skip 4096
start_pdpt_low:	.skip 4096
start_pdpt_image: .skip 4096
start_pd_image:	.skip 4096
start_pd_low:	.skip 4 * 4096
start_stack:	.skip 16384
start_stack_top:

	.section .note.GNU-stack, "", @progbits
