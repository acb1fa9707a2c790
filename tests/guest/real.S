/* SPDX-License-Identifier: MIT */
/*
 * Real mode: copied to REAL_BASE and run there. It stores what it finds in the results at its end;
 * real.c judges. Enters from 32-bit code and comes back the same way.
 */
#define REAL_BASE     0x8000
#define REAL_SEGMENT  0x0800
#define REAL_STACK    0x7000
#define SEL_CODE16    0x28
#define SEL_DATA16    0x30
#define SEL_CODE      0x08
#define SEL_DATA      0x10
#define HIGH_ADDRESS  0x200000
/* Offsets in the copy. */
#define OFF(x)	      ((x) - real_begin)

	.text
	.code32
	.globl	real_run, real_begin, real_end, real_results

/* real_run(): interrupts are off; all registers are kept. */
real_run:
	pusha
	mov	%esp, saved_sp
	sidt	saved_idt
	ljmp	$SEL_CODE16, $REAL_BASE + (to_real - real_begin)

back32:
	mov	$SEL_DATA, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %fs
	mov	%eax, %gs
	mov	%eax, %ss
	mov	saved_sp, %esp
	lidt	saved_idt
	popa
	ret

	.code16
real_begin:
to_real:
	/* Big real mode: FS and GS keep a limit of 4 GiB, the others get 64 KiB. */
	mov	$SEL_DATA, %ax
	mov	%ax, %fs
	mov	%ax, %gs
	mov	$SEL_DATA16, %ax
	mov	%ax, %ds
	mov	%ax, %es
	mov	%ax, %ss
	mov	%cr0, %eax
	and	$~1, %eax
	mov	%eax, %cr0
	ljmp	$REAL_SEGMENT, $OFF(1f)
1:	mov	$REAL_SEGMENT, %ax
	mov	%ax, %ds
	xor	%ax, %ax
	mov	%ax, %es
	mov	%ax, %ss
	mov	$REAL_STACK, %sp
	lidtl	OFF(real_idt)

	/* The vectors that are used: the table at 0 (SDM vol. 3B 21.1.4). */
	.macro	vector number, handler
	movw	$OFF(\handler), %es:\number * 4
	movw	$REAL_SEGMENT, %es:\number * 4 + 2
	.endm
	vector	0, on_divide
	vector	1, on_step
	vector	3, on_count
	vector	6, on_undefined
	vector	13, on_gp
	vector	0x60, on_count

	/* Software interrupts: frame and return. */
	movw	$0, OFF(counter)
	int	$0x60
	int	$0x60
	int3
	mov	OFF(counter), %ax
	mov	%ax, OFF(result_interrupts)
	mov	%sp, OFF(result_sp)

	/* Exceptions push no error code and point at the instruction. */
	xor	%dx, %dx
	mov	$1, %ax
	xor	%cx, %cx
divide:	div	%cx
	mov	$1, %ax
undef:	ud2
	/* Beyond 64 KiB: #GP (13). */
	mov	$0xffff, %bx
beyond:	mov	(%bx), %ax
	nop

	/* Single step over three instructions, one of which a hypervisor does for us. */
	movw	$0, OFF(result_steps)
	pushf
	pop	%ax
	mov	%ax, %bx
	or	$0x100, %ax
	push	%ax
	popf
	nop
	cpuid_at_step = .
	mov	$0, %eax
	cpuid
	pushf
	pop	%ax
	and	$~0x100, %ax
	push	%ax
	popf

	/* Big real mode: 4 GiB by FS, and by 32-bit addresses. */
	movl	$HIGH_ADDRESS, %ebx
	movl	%fs:(%ebx), %eax
	mov	%eax, OFF(result_high)
	movl	$0x600dcafe, %gs:4(%ebx)
	movl	%fs:4(%ebx), %eax
	mov	%eax, OFF(result_high_written)

	/* A segment loaded in real mode: base is 16 times the selector, the limit stays. */
	mov	$0x1234, %ax
	mov	%ax, %fs
	movl	$HIGH_ADDRESS - 0x12340, %ebx
	movl	%fs:(%ebx), %eax
	mov	%eax, OFF(result_reloaded)

	/* Addresses wrap at 1 MiB or do not, as A20 is; segment 0xffff reaches above it. */
	mov	$0xffff, %ax
	mov	%ax, %es
	movl	%es:0x10, %eax
	mov	%eax, OFF(result_hma)

	/* Ports and CPUID as anywhere. */
	mov	$0x3ff, %dx
	mov	$0x5c, %al
	out	%al, %dx
	xor	%al, %al
	in	%dx, %al
	xor	%ah, %ah
	mov	%ax, OFF(result_port)
	xor	%eax, %eax
	cpuid
	mov	%ebx, OFF(result_cpuid)
	smsw	%ax
	mov	%ax, OFF(result_msw)
	rdtsc
	mov	%eax, OFF(result_tsc)

	/* REP with 16-bit and 32-bit counts: 16 bits wrap. */
	xor	%ax, %ax
	mov	%ax, %es
	mov	$0x6000, %di
	movl	$0x10010, %ecx
	mov	$0x77, %al
	rep stosb
	mov	%ecx, OFF(result_rep_cx)
	mov	%di, OFF(result_rep_di)

	/* And back. */
	mov	%cr0, %eax
	or	$1, %eax
	mov	%eax, %cr0
	ljmpl	$SEL_CODE, $back32

on_count:
	incw	%cs:OFF(counter)
	iret
on_divide:
	push	%bp
	mov	%sp, %bp
	push	%ax
	mov	2(%bp), %ax
	sub	$OFF(divide), %ax
	mov	%ax, %cs:OFF(result_divide_at)
	addw	$2, 2(%bp)
	pop	%ax
	pop	%bp
	iret
on_undefined:
	push	%bp
	mov	%sp, %bp
	push	%ax
	mov	2(%bp), %ax
	sub	$OFF(undef), %ax
	mov	%ax, %cs:OFF(result_undefined_at)
	addw	$2, 2(%bp)
	pop	%ax
	pop	%bp
	iret
on_gp:
	push	%bp
	mov	%sp, %bp
	push	%ax
	mov	2(%bp), %ax
	sub	$OFF(beyond), %ax
	mov	%ax, %cs:OFF(result_gp_at)
	addw	$2, 2(%bp)
	pop	%ax
	pop	%bp
	iret
on_step:
	incw	%cs:OFF(result_steps)
	iret

	.balign	4
real_idt:
	.word	0x3ff
	.long	0
counter:
	.word	0
	.balign	4
real_results:
result_interrupts:	.word 0
result_sp:		.word 0
result_divide_at:	.word 0xffff
result_undefined_at:	.word 0xffff
result_gp_at:		.word 0xffff
result_steps:		.word 0
result_port:		.word 0
result_msw:		.word 0
result_rep_di:		.word 0
			.word 0
result_high:		.long 0
result_high_written:	.long 0
result_reloaded:	.long 0
result_hma:		.long 0
result_cpuid:		.long 0
result_tsc:		.long 0
result_rep_cx:		.long 0
real_end:

	.bss
	.balign	4
saved_sp:
	.skip	4
saved_idt:
	.skip	8
	.section .note.GNU-stack, "", @progbits
