/* SPDX-License-Identifier: MIT */
/* Task-state segments and the descriptors that a task switch loads. */
#include "vmx_tss.h"

#include <tern/lib.h>

#include "../x86.h"
#include "vmx_regs.h"

/* SDM vol. 3A figure 8-2. */
struct tss32 {
	u32 link, stacks[6], cr3, eip, eflags, gpr[8], seg[TSS_SEGMENTS], ldt;
	u16 trap, io_map;
};
_Static_assert(sizeof(struct tss32) == TSS_MAX, "figure 8-2");

/* Figure 8-10: no FS, GS, CR3. */
struct tss16 {
	u16 link, stacks[6], ip, flags, gpr[8], seg[4], ldt;
};
_Static_assert(sizeof(struct tss16) == 44, "figure 8-10");

#define TSS_TRAP      1u
#define DESC_ATTR     0xf0ffu /* of the upper half, shifted by DESC_ATTR_AT */
#define DESC_ATTR_AT  40
#define DESC_GRANULES 0xfffu

u32 tss_size(bool wide)
{
	return wide ? sizeof(struct tss32) : sizeof(struct tss16);
}

void tss_parse(const void *image, bool wide, struct tss_state *out)
{
	struct tss32 t;
	struct tss16 n;

	*out = (struct tss_state){0};
	if (wide) {
		memcpy(&t, image, sizeof(t));
		out->cr3 = t.cr3;
		out->eip = t.eip;
		out->eflags = t.eflags;
		memcpy(out->gpr, t.gpr, sizeof(t.gpr));
		for (u32 i = 0; i < ARRAY_SIZE(t.seg); i++)
			out->seg[i] = (u16)t.seg[i];
		out->ldt = (u16)t.ldt;
		out->link = (u16)t.link;
		out->trap = (t.trap & TSS_TRAP) != 0;
		return;
	}
	memcpy(&n, image, sizeof(n));
	out->eip = n.ip;
	out->eflags = n.flags;
	for (u32 i = 0; i < ARRAY_SIZE(n.gpr); i++)
		out->gpr[i] = n.gpr[i];
	memcpy(out->seg, n.seg, sizeof(n.seg));
	out->ldt = n.ldt;
	out->link = n.link;
}

u32 tss_save(void *image, bool wide, const struct tss_state *s, u32 *at)
{
	struct tss32 t = {.eip = s->eip, .eflags = s->eflags};
	struct tss16 n = {.ip = (u16)s->eip, .flags = (u16)s->eflags};

	if (wide) {
		memcpy(t.gpr, s->gpr, sizeof(t.gpr));
		for (u32 i = 0; i < ARRAY_SIZE(t.seg); i++)
			t.seg[i] = s->seg[i];
		memcpy(image, &t, sizeof(t));
		*at = __builtin_offsetof(struct tss32, eip);
		return (u32) __builtin_offsetof(struct tss32, ldt) - *at;
	}
	for (u32 i = 0; i < ARRAY_SIZE(n.gpr); i++)
		n.gpr[i] = (u16)s->gpr[i];
	memcpy(n.seg, s->seg, sizeof(n.seg));
	memcpy(image, &n, sizeof(n));
	*at = __builtin_offsetof(struct tss16, ip);
	return (u32) __builtin_offsetof(struct tss16, ldt) - *at;
}

void tss_descriptor(u64 raw, u16 selector, struct vcpu_seg *out)
{
	u32 limit = (u32)(raw & 0xffff) | (u32)(raw >> 32 & 0xf0000);

	out->selector = selector;
	out->base = (raw >> 16 & 0xffffff) | (raw >> 32 & 0xff000000);
	out->attr = (u32)(raw >> DESC_ATTR_AT) & DESC_ATTR;
	out->limit = (out->attr & ATTR_G) != 0 ? limit << PAGE_SHIFT | DESC_GRANULES : limit;
}

bool tss_is_wide(const struct vcpu_seg *tss)
{
	return (tss->attr & ATTR_TYPE & ~ATTR_TSS_BUSY_BIT) == (ATTR_TSS_BUSY & ~ATTR_TSS_BUSY_BIT);
}

/* SDM vol. 3A table 8-1. */
u8 tss_check_target(const struct vcpu_seg *tss, bool busy)
{
	u32 type = tss->attr & (ATTR_S | ATTR_TYPE);
	u32 state = busy ? ATTR_TSS_BUSY_BIT : 0;
	u8 wrong = busy ? VEC_TS : VEC_GP;

	if (type != ((ATTR_TSS_BUSY & ~ATTR_TSS_BUSY_BIT) | state) &&
	    type != ((ATTR_TSS_16 & ~ATTR_TSS_BUSY_BIT) | state))
		return wrong;
	if ((tss->attr & ATTR_P) == 0)
		return VEC_NP;
	return tss->limit < tss_size(tss_is_wide(tss)) - 1 ? VEC_TS : 0;
}

u8 tss_check_ldt(const struct vcpu_seg *ldt)
{
	bool ok = (ldt->attr & (ATTR_P | ATTR_S | ATTR_TYPE)) == (ATTR_P | ATTR_LDT);

	return (ldt->selector & SELECTOR_TI) == 0 && ok ? 0 : VEC_TS;
}

u8 tss_check_segment(enum vcpu_segment seg, const struct vcpu_seg *s, u32 cpl)
{
	u32 dpl = (s->attr & ATTR_DPL) >> ATTR_DPL_SHIFT, rpl = s->selector & SELECTOR_RPL;
	u32 kind = s->attr & (ATTR_S | ATTR_CODE | ATTR_WRITE);
	bool code = (s->attr & ATTR_CODE) != 0, conforming = code && (s->attr & ATTR_DOWN) != 0;

	if ((kind & ATTR_S) == 0)
		return VEC_TS;
	switch (seg) {
	case SEG_CS:
		if (!code || (conforming ? dpl > rpl : dpl != rpl))
			return VEC_TS;
		return (s->attr & ATTR_P) != 0 ? 0 : VEC_NP;
	case SEG_SS:
		if (kind != (ATTR_S | ATTR_WRITE) || dpl != cpl || rpl != cpl)
			return VEC_TS;
		return (s->attr & ATTR_P) != 0 ? 0 : VEC_SS;
	default:
		if (kind == (ATTR_S | ATTR_CODE)) /* cannot be read */
			return VEC_TS;
		if (!conforming && (dpl < cpl || dpl < rpl))
			return VEC_TS;
		return (s->attr & ATTR_P) != 0 ? 0 : VEC_NP;
	}
}

struct vcpu_seg tss_unusable(u16 selector)
{
	return (struct vcpu_seg){.selector = selector, .attr = ATTR_UNUSABLE};
}

struct vcpu_seg tss_v86_segment(u16 selector)
{
	return (struct vcpu_seg){
		.base = (u64)selector << 4,
		.limit = RESET_LIMIT,
		.selector = selector,
		.attr = ATTR_REAL_DATA | ATTR_DPL,
	};
}
