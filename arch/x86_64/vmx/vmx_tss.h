/* SPDX-License-Identifier: MIT */
/* Task-state segments and the descriptors that a task switch loads (SDM vol. 3A 8.2, 8.3, 8.6). Pure. */
#ifndef VMX_TSS_H
#define VMX_TSS_H

#include <tern/types.h>
#include <tern/virt.h>

#define TSS_SEGMENTS 6u   /* SEG_ES to SEG_GS */
#define TSS_MAX      104u /* bytes of the larger format that a switch looks at */

/* Both formats in one. The order of registers and segments is that of their enums. */
struct tss_state {
	u32 cr3, eip, eflags; /* cr3: of the 32-bit format alone */
	u32 gpr[8];
	u16 seg[TSS_SEGMENTS], ldt, link;
	bool trap;
};

/* wide: the 32-bit format. */
u32 tss_size(bool wide);
void tss_parse(const void *image, bool wide, struct tss_state *out);
/* Writes what a switch saves, EIP to the last selector, into the image; returns the bytes and where
 * in the image they begin. */
u32 tss_save(void *image, bool wide, const struct tss_state *s, u32 *at);

/* A descriptor as the CPU caches it. */
void tss_descriptor(u64 raw, u16 selector, struct vcpu_seg *out);
/* 0, or the vector to raise with the selector: the TSS to switch to; busy: it has to be, for IRET. */
u8 tss_check_target(const struct vcpu_seg *tss, bool busy);
bool tss_is_wide(const struct vcpu_seg *tss);
/* The same of the new task's LDT and of its segments; none of them is null. */
u8 tss_check_ldt(const struct vcpu_seg *ldt);
u8 tss_check_segment(enum vcpu_segment seg, const struct vcpu_seg *s, u32 cpl);
/* A null selector of LDTR or of a data segment. */
struct vcpu_seg tss_unusable(u16 selector);
/* A segment in virtual-8086 mode (SDM vol. 3C 27.3.1.2). */
struct vcpu_seg tss_v86_segment(u16 selector);

#endif
