/* SPDX-License-Identifier: MIT */
/*
 * What a bare guest stands on. A guest is one Multiboot 1 image of a few KiB: it runs its checks,
 * prints "ok NAME" or "FAIL NAME: got X, want Y" for each on COM1, then "pass GUEST: N checks" or "fail
 * GUEST: M of N checks", and writes 0 or a fail code to port 0xf4. In QEMU with isa-debug-exit the same
 * port ends the emulator. Built for 64-bit long mode, or for 32-bit protected mode when its name is
 * in GUEST32 (mk/guest.mk). Checks that only Tern can satisfy ask on_tern first.
 */
#ifndef GUEST_LIB_H
#define GUEST_LIB_H

#include <abi/hypercall.h>
#include <abi/types.h>

#define PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define NORETURN          __attribute__((noreturn))
#define ARRAY_SIZE(a)     (sizeof(a) / sizeof((a)[0]))
#define GUEST_PAGE        4096u

/* Each guest defines these. */
extern const char guest_name[];
void guest_main(void);

/* --- start.c: where we are, what we were given --- */
extern bool on_tern, on_kvm, on_tcg, on_amd; /* on_tcg: QEMU 7.2, which has faults of its own */
extern char guest_cmdline[256];
/* The decimal value of "WORD=N" on the command line, or otherwise. */
u32 cmdline_number(const char *word, u32 otherwise);
bool cmdline_has(const char *word);

struct ram_range {
	u64 base, len;
};
#define RAM_RANGES_MAX 16u
extern struct ram_range ram_ranges[RAM_RANGES_MAX]; /* rising, as the loader's map has them */
extern u32 ram_range_count;
/* The end of the image, its bss and stacks included. */
extern char guest_image_end[];
/* Its code and constants, which nothing changes. */
extern const u8 guest_image_start[], guest_constant_end[];
/* Ends the guest with this fail code; 0 is a pass. */
NORETURN void guest_exit(u32 code);
/* Ends it as the checks went. */
NORETURN void guest_finish(void);

/* --- print.c --- */
void print_init(void);
/* %s %c %d %u %x, with l or ll for u64 in hexadecimal; widths with 0. */
void print(const char *fmt, ...) PRINTF(1, 2);
void check(const char *name, bool good);
void check_eq(const char *name, u64 got, u64 want);
/* A check that TCG of QEMU 7.2, which checks less than a CPU, is known to fail: skipped there. */
void check_strict(const char *name, u64 got, u64 want);
void skip_check(const char *name, const char *why);
extern u32 checks_done, checks_failed;

void *memcpy(void *dst, const void *src, size_t n);
void *memset(void *dst, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t str_length(const char *s);
bool str_equal(const char *a, const char *b);

/* A generator with a seed: the same figures every run (xorshift64*). */
u64 random_next(u64 *state);

/* --- trap.S, trap.c: exceptions --- */
enum trap_vector {
	TRAP_NONE = -1, /* what was tried did not trap */
	TRAP_DE = 0,
	TRAP_DB = 1,
	TRAP_NMI = 2,
	TRAP_BP = 3,
	TRAP_OF = 4,
	TRAP_BR = 5,
	TRAP_UD = 6,
	TRAP_NM = 7,
	TRAP_DF = 8,
	TRAP_TS = 10,
	TRAP_NP = 11,
	TRAP_SS = 12,
	TRAP_GP = 13,
	TRAP_PF = 14,
	TRAP_AC = 17,
	TRAP_USER_DONE = 0x81, /* INT from CPL 3: user_run()'s function returned */
};

/* As trap.S pushes it. */
struct trap_frame {
#ifdef __x86_64__
	unsigned long r15, r14, r13, r12, r11, r10, r9, r8;
#endif
	unsigned long di, si, bp;
#ifndef __x86_64__
	unsigned long pusha_sp;
#endif
	unsigned long bx, dx, cx, ax;
	unsigned long vector, error, ip, cs, flags, sp, ss; /* 32 bits: sp, ss from CPL 3 only */
};

extern struct trap_frame trap_last; /* of what trap_run() caught */
extern unsigned long trap_cr2;
/* When set, sees each trap first; true: it has dealt with it, go on at frame->ip. */
extern bool (*trap_hook)(struct trap_frame *frame);

/* Calls fn(arg). TRAP_NONE when it returned; else the vector of the trap that ended it. */
int trap_run(void (*fn)(void *arg), void *arg);
/* The same at CPL 3, on a stack of its own; fn's result lies in user_result when it returned. */
int user_run(unsigned long (*fn)(void *arg), void *arg);
extern unsigned long user_result;

/* Descriptor tables, for the guests that change them. Selectors: start.S. */
#define SEL_CODE      0x08u
#define SEL_DATA      0x10u
#define SEL_USER_CODE 0x1bu
#define SEL_USER_DATA 0x23u
#define SEL_CODE16    0x28u
#define SEL_DATA16    0x30u
#define SEL_CODE32    0x38u
#define SEL_TSS       0x40u
#define SEL_SPARE     0x50u /* and the five after it */
#define SEL_COUNT     16u
extern u64 guest_gdt[SEL_COUNT];
struct table_ptr {
	u16 limit;
	unsigned long base;
} __attribute__((packed));
#ifdef __x86_64__
typedef struct {
	u64 low, high;
} idt_gate;
#else
typedef u64 idt_gate;
#endif
extern idt_gate guest_idt[256];
void traps_init(void);
/* A gate of type (14: interrupt, 5: task) and DPL. */
void trap_gate(u32 vector, unsigned long handler, u32 selector, u32 type, u32 dpl);
#ifdef __x86_64__
/* That vector is delivered on a stack of its own, always from its top (SDM vol. 3A 6.14.5). */
void trap_stack(u32 vector, void *top);
#endif
/* Descriptor words, SDM vol. 3A figure 3-8. access: bits 8 to 15 and 20 to 23 of the high word. */
u64 segment_descriptor(u32 base, u32 limit, u32 access);

/* --- try.c: one instruction each, the vector it raised or TRAP_NONE --- */
int try_rdmsr(u32 msr, u64 *value);
int try_wrmsr(u32 msr, u64 value);
int try_write_cr0(unsigned long value);
int try_write_cr3(unsigned long value);
int try_write_cr4(unsigned long value);
int try_xsetbv(u32 index, u64 value);
int try_read(const volatile void *address);
int try_write(volatile void *address, u8 value);

/* --- hypercall: number, then arguments; VMCALL or VMMCALL. include/abi has the numbers --- */
#ifdef __x86_64__
#define HYPERCALL_NULL    0ul
#define HYPERCALL_UNKNOWN 0x7ffffffful
long hypercall(unsigned long number, unsigned long a, unsigned long b, unsigned long c);
#endif

/* --- paging.c, long mode: everything up to 4 GiB is mapped 1:1 by 2 MiB pages, user may access --- */
#define PTE_PRESENT  (1ull << 0)
#define PTE_WRITE    (1ull << 1)
#define PTE_USER     (1ull << 2)
#define PTE_ACCESSED (1ull << 5)
#define PTE_DIRTY    (1ull << 6)
#define PTE_LARGE    (1ull << 7)
#define PTE_NX       (1ull << 63)
#ifdef __x86_64__
extern u64 boot_pml4[512], boot_pdpt[512], boot_pd[4][512];
/* Maps the 4 KiB page of address to physical; flags as in the entry. One table of each is ours. */
void map_page(unsigned long address, u64 physical, u64 flags);
/* 2 MiB at WINDOW shows physical's surroundings; returns where physical itself is. */
#define WINDOW 0xffe00000ul
volatile u8 *window_at(u64 physical);
#endif

#endif
