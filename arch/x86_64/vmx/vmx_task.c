/* SPDX-License-Identifier: MIT */
/*
 * Hardware task switches, SDM vol. 3A 8.3: each one exits, after the CPU has checked gate and TSS
 * descriptor (vol. 3C 26.4.2). Memory is read once, all that can fail is done first: what keeps the old
 * task from being left is raised in it, or the memory it needs is backed and the instruction starts
 * again; what is wrong with the new task's segments is raised in the new task.
 */
#include <tern/err.h>
#include <tern/gmem.h>
#include <tern/lib.h>

#include "../x86.h"
#include "vmcs_access.h"
#include "vmx.h"
#include "vmx_regs.h"
#include "vmx_tss.h"

#define DR6_BT      (1ul << 15)
#define DR7_LOCAL   0x155ul /* L0-L3, LE: a switch clears them (SDM vol. 3B 18.2.4) */
#define RFLAGS_NT   (1ul << 14)
#define DESC_BUSY   (1ull << 41)
#define DESC_ACC    (1ull << 40)
#define ERROR_EXT   1u
#define FAILED      (-TERN_EFAULT) /* struct task.fault says why */
#define CPL_USER    3u
#define LIMIT_16    0xffffu
#define CS_ANYWHERE (ATTR_REAL_CODE | ATTR_DB)

struct task {
	struct vcpu *vc;
	u32 source; /* TASK_BY_ */
	u32 event;  /* IDT vectoring information */
	u32 ext;    /* ERROR_EXT or 0 */
	bool wide;  /* the new TSS has 32 bits */
	bool paging, pae;
	struct walk_state walk, next_walk; /* as supervisor; in the new address space */
	u64 pdpte[4], next_pdpte[4];
	struct vcpu_seg gdt, old_tss, tss; /* tss: the new one */
	u64 descriptor;                    /* of tss, as it was */
	struct tss_state next;
	struct vcpu_seg ldt, seg[TSS_SEGMENTS]; /* new */
	u32 cpl;                                /* new */
	/* Why it does not go on: */
	struct vcpu_event fault;
	u64 cr2;
	gpa_t at;
};

static int fault(struct task *t, u8 vector, u32 error)
{
	t->fault = (struct vcpu_event){
		.type = EVENT_EXCEPTION, .vector = vector, .has_error = true, .error = error};
	return FAILED;
}

static int selector_fault(struct task *t, u8 vector, u16 selector)
{
	return fault(t, vector, (selector & ~SELECTOR_RPL) | t->ext);
}

/* 0, FAILED, -TERN_EAGAIN: t->at is to be backed first. What is no memory reads as ones and ignores
 * writes. */
static int copy(struct task *t, const struct walk_state *w, u64 linear, void *buf, u32 len,
		bool write)
{
	struct gmem *mem = &t->vc->vm->mem;
	u8 *bytes = buf;

	for (u32 n; len != 0; len -= n, bytes += n, linear += n) {
		int rc;

		linear = (u32)linear;
		n = (u32)min_u64(len, PAGE_SIZE - (linear & (PAGE_SIZE - 1)));
		rc = guest_walk(mem, w, linear, write ? WALK_WRITE : WALK_READ, &t->at, &t->fault);
		if (rc == -TERN_EFAULT) {
			t->cr2 = linear;
			return FAILED;
		}
		if (rc == 0)
			rc = write ? gmem_write(mem, t->at, bytes, n)
				   : gmem_read(mem, t->at, bytes, n);
		if (rc == -TERN_EFAULT && !write)
			memset(bytes, 0xff, n);
		else if (rc != 0 && rc != -TERN_EFAULT)
			return -TERN_EAGAIN;
	}
	return 0;
}

static void begin(struct task *t)
{
	const struct vmx_vcpu *v = vmx_of(t->vc);
	u64 q = vmread(VMCS_EXIT_QUALIFICATION);
	u32 type;

	t->source = (u32)(q >> QUAL_TASK_SHIFT & QUAL_TASK_MASK);
	t->tss.selector = (u16)(q & QUAL_TASK_SELECTOR);
	if (t->source == TASK_BY_GATE)
		t->event = vmread32(VMCS_IDT_VECTORING_INFO);
	type = t->event & INTR_TYPE;
	if ((t->event & INTR_VALID) != 0 && type != INTR_SOFT_INT && type != INTR_SOFT)
		t->ext = ERROR_EXT;
	/* SMAP holds whatever RFLAGS.AC says: these are implicit accesses (SDM vol. 3A 4.6.1). */
	t->walk = (struct walk_state){
		.cr0 = vmx_cr0_get(v),
		.cr3 = vmread(VMCS_GUEST_CR3),
		.cr4 = vmx_cr4_get(v),
		.efer = vmread64(VMCS_GUEST_EFER),
		.phys_bits = v->vm->phys_bits,
		.pdpte = t->pdpte,
	};
	t->paging = (t->walk.cr0 & CR0_PG) != 0;
	t->pae = t->paging && (t->walk.cr4 & CR4_PAE) != 0;
	vmx_pdptes_get(t->pdpte);
	vmx_seg_read(SEG_GDTR, &t->gdt);
	vmx_seg_read(SEG_TR, &t->old_tss);
}

/* The new TSS, and with it the new address space. */
static int read_tss(struct task *t)
{
	u16 selector = t->tss.selector;
	u64 at = t->gdt.base + (selector & ~SELECTOR_RPL_TI);
	u8 image[TSS_MAX], vector;
	int rc;

	/* The CPU has checked it, but not what is read here: memory may change at any time. */
	if ((selector & SELECTOR_TI) != 0 || (selector | SELECTOR_RPL_TI) > t->gdt.limit)
		return selector_fault(t, VEC_GP, selector);
	rc = copy(t, &t->walk, at, &t->descriptor, sizeof(t->descriptor), false);
	if (rc != 0)
		return rc;
	tss_descriptor(t->descriptor, selector, &t->tss);
	vector = tss_check_target(&t->tss, t->source == TASK_BY_IRET);
	if (vector != 0)
		return selector_fault(t, vector, selector);
	if (t->old_tss.limit < tss_size(tss_is_wide(&t->old_tss)) - 1)
		return selector_fault(t, VEC_TS, t->old_tss.selector);
	t->wide = tss_is_wide(&t->tss);
	rc = copy(t, &t->walk, t->tss.base, image, tss_size(t->wide), false);
	if (rc != 0)
		return rc;
	tss_parse(image, t->wide, &t->next);
	t->next_walk = t->walk;
	if (!t->paging || !t->wide) /* 16 bits: no CR3 in it */
		return 0;
	t->next_walk.cr3 = t->next.cr3;
	if (!t->pae)
		return 0;
	t->next_walk.pdpte = t->next_pdpte;
	rc = vmx_cr3_prepare(t->vc, t->next.cr3, t->next_pdpte, &t->at);
	return rc == -TERN_EINVAL ? fault(t, VEC_GP, 0) : rc;
}

/* Reads a descriptor that is not null; *at is where it is. */
static int read_descriptor(struct task *t, u16 selector, u64 *at, u64 *raw)
{
	const struct vcpu_seg *table = (selector & SELECTOR_TI) != 0 ? &t->ldt : &t->gdt;

	if ((table->attr & ATTR_UNUSABLE) != 0 || (selector | SELECTOR_RPL_TI) > table->limit)
		return selector_fault(t, VEC_TS, selector);
	*at = table->base + (selector & ~SELECTOR_RPL_TI);
	return copy(t, &t->next_walk, *at, raw, sizeof(*raw), false);
}

static int load_ldt(struct task *t)
{
	u16 selector = t->next.ldt;
	u64 raw, at;
	int rc;

	t->ldt = tss_unusable(selector);
	if ((selector & ~SELECTOR_RPL) == 0)
		return 0;
	if ((selector & SELECTOR_TI) != 0)
		return selector_fault(t, VEC_TS, selector);
	rc = read_descriptor(t, selector, &at, &raw);
	if (rc != 0)
		return rc;
	tss_descriptor(raw, selector, &t->ldt);
	if (tss_check_ldt(&t->ldt) == 0)
		return 0;
	t->ldt = tss_unusable(selector);
	return selector_fault(t, VEC_TS, selector);
}

static int load_segment(struct task *t, enum vcpu_segment seg)
{
	u16 selector = t->next.seg[seg];
	struct vcpu_seg s;
	u64 raw, at;
	u8 vector;
	int rc;

	if ((selector & ~SELECTOR_RPL) == 0)
		return seg == SEG_CS || seg == SEG_SS ? selector_fault(t, VEC_TS, selector) : 0;
	rc = read_descriptor(t, selector, &at, &raw);
	if (rc != 0)
		return rc;
	tss_descriptor(raw, selector, &s);
	vector = tss_check_segment(seg, &s, t->cpl);
	if (vector != 0)
		return selector_fault(t, vector, selector);
	if ((raw & DESC_ACC) == 0) {
		raw |= DESC_ACC;
		rc = copy(t, &t->next_walk, at, &raw, sizeof(raw), true);
		if (rc != 0)
			return rc;
		s.attr |= ATTR_ACCESSED;
	}
	t->seg[seg] = s;
	return 0;
}

/*
 * What the segments are if loading them stops half way. No code runs with it, the exception comes first;
 * but VM entry wants a code segment and one CPL (SDM vol. 3C 27.3.1.2).
 */
static void make_placeholders(struct task *t)
{
	u32 dpl = t->cpl << ATTR_DPL_SHIFT;

	for (u32 i = 0; i < TSS_SEGMENTS; i++)
		t->seg[i] = tss_unusable(t->next.seg[i]);
	t->seg[SEG_SS].attr |= dpl;
	t->seg[SEG_CS].attr = CS_ANYWHERE | dpl;
	t->seg[SEG_CS].limit = LIMIT_16;
}

/* The order of SDM vol. 3A table 8-1. */
static int load_segments(struct task *t)
{
	static const enum vcpu_segment order[] = {SEG_CS, SEG_SS, SEG_DS, SEG_ES, SEG_FS, SEG_GS};
	bool v86 = (t->next.eflags & RFLAGS_VM) != 0;
	int rc;

	t->cpl = v86 ? CPL_USER : t->next.seg[SEG_CS] & SELECTOR_RPL;
	make_placeholders(t);
	if (v86)
		for (u32 i = 0; i < TSS_SEGMENTS; i++)
			t->seg[i] = tss_v86_segment(t->next.seg[i]);
	rc = load_ldt(t);
	for (u32 i = 0; rc == 0 && !v86 && i < ARRAY_SIZE(order); i++)
		rc = load_segment(t, order[i]);
	return rc;
}

/* The error code of an exception goes onto the new stack, as wide as the TSS is (SDM vol. 3A 6.13). */
static int push_error(struct task *t)
{
	const struct vcpu_seg *ss = &t->seg[SEG_SS];
	u32 error = vmread32(VMCS_IDT_VECTORING_ERROR), width = t->wide ? 4 : 2;
	u32 mask = (ss->attr & ATTR_DB) != 0 ? UINT32_MAX : LIMIT_16;
	u32 sp = (t->next.gpr[REG_RSP] - width) & mask;
	struct walk_state w = t->next_walk;
	u64 last = (u64)sp + width - 1;
	bool outside =
		(ss->attr & ATTR_DOWN) != 0 ? sp <= ss->limit || last > mask : last > ss->limit;
	int rc;

	if (outside)
		return fault(t, VEC_SS, t->ext);
	w.user = t->cpl == CPL_USER;
	w.rflags = t->next.eflags;
	rc = copy(t, &w, ss->base + sp, &error, width, true);
	if (rc == 0)
		t->next.gpr[REG_RSP] = (t->next.gpr[REG_RSP] & ~mask) | sp;
	return rc;
}

/* EIP of the old task is behind what it executed, but at what made a fault or was interrupted. */
static u32 old_eip(const struct task *t)
{
	u32 type = t->event & INTR_TYPE, eip = (u32)vmread(VMCS_GUEST_RIP);

	if (t->source != TASK_BY_GATE || type == INTR_SOFT_INT || type == INTR_SOFT ||
	    type == INTR_PRIV_SOFT)
		eip += vmread32(VMCS_EXIT_INSN_LEN);
	return eip;
}

static int save_old(struct task *t)
{
	bool wide = tss_is_wide(&t->old_tss);
	struct tss_state s = {.eip = old_eip(t), .eflags = (u32)vmread(VMCS_GUEST_RFLAGS)};
	struct vcpu_seg seg;
	u8 image[TSS_MAX];
	u32 at, len;

	if (t->source == TASK_BY_IRET)
		s.eflags &= ~(u32)RFLAGS_NT;
	for (enum vcpu_reg r = REG_RAX; r <= REG_RDI; r++)
		s.gpr[r] = (u32)vmx_reg_get(t->vc, r);
	for (u32 i = 0; i < TSS_SEGMENTS; i++) {
		vmx_seg_read((enum vcpu_segment)i, &seg);
		s.seg[i] = seg.selector;
	}
	len = tss_save(image, wide, &s, &at);
	return copy(t, &t->walk, t->old_tss.base + at, image + at, len, true);
}

static int set_busy(struct task *t, u16 selector, bool busy)
{
	u64 raw, at = t->gdt.base + (selector & ~SELECTOR_RPL_TI);
	int rc = copy(t, &t->walk, at, &raw, sizeof(raw), false);

	if (rc != 0)
		return rc;
	raw = busy ? raw | DESC_BUSY : raw & ~DESC_BUSY;
	return copy(t, &t->walk, at, &raw, sizeof(raw), true);
}

/* Each step can be made again, should a later one have to wait for memory; what makes the CPU refuse to
 * start again, the new task's busy bit, is the last. */
static int write_memory(struct task *t)
{
	bool nested = t->source == TASK_BY_CALL || t->source == TASK_BY_GATE;
	u16 link = t->old_tss.selector;
	int rc = save_old(t);

	if (rc == 0 && nested)
		rc = copy(t, &t->walk, t->tss.base, &link, sizeof(link), true);
	if (rc == 0 && !nested)
		rc = set_busy(t, t->old_tss.selector, false);
	if (rc == 0 && t->source != TASK_BY_IRET)
		rc = set_busy(t, t->tss.selector, true);
	return rc;
}

static void write_registers(struct task *t)
{
	struct vmx_vcpu *v = vmx_of(t->vc);
	u32 shadow = vmread32(VMCS_GUEST_INTERRUPTIBILITY) & ~(SHADOW_STI | SHADOW_MOV_SS);
	u64 flags = (t->next.eflags & ~RFLAGS_RESERVED) | RFLAGS_FIXED;

	if (t->source == TASK_BY_CALL || t->source == TASK_BY_GATE)
		flags |= RFLAGS_NT;
	t->tss.attr |= ATTR_TSS_BUSY_BIT;
	vmx_seg_write(SEG_TR, &t->tss);
	if (t->paging && t->wide)
		vmx_cr3_set(t->vc, t->next.cr3, t->pae ? t->next_pdpte : NULL);
	vmx_cr0_set(v, vmx_cr0_get(v) | CR0_TS);
	vmwrite(VMCS_GUEST_DR7, vmread(VMCS_GUEST_DR7) & ~DR7_LOCAL);
	vmwrite(VMCS_GUEST_RIP, t->next.eip);
	vmwrite(VMCS_GUEST_RFLAGS, flags);
	for (enum vcpu_reg r = REG_RAX; r <= REG_RDI; r++)
		vmx_reg_set(t->vc, r, t->next.gpr[r]);
	vmx_seg_write(SEG_LDTR, &t->ldt);
	for (u32 i = 0; i < TSS_SEGMENTS; i++)
		vmx_seg_write((enum vcpu_segment)i, &t->seg[i]);
	/* Delivery of an NMI blocks others, IRET ends that (SDM vol. 3A 6.7.1). */
	if (t->source == TASK_BY_IRET)
		shadow &= ~SHADOW_NMI;
	else if ((t->event & INTR_VALID) != 0 && (t->event & INTR_TYPE) == INTR_NMI)
		shadow |= SHADOW_NMI;
	vmwrite32(VMCS_GUEST_INTERRUPTIBILITY, shadow);
}

static void inject(struct task *t)
{
	if (t->fault.vector == VEC_PF)
		write_cr2(t->cr2);
	vmx_inject(t->vc, &t->fault);
}

void vmx_task_switch(struct vcpu *vc, struct vm_exit *out)
{
	struct task t = {.vc = vc};
	struct vcpu_event first = {0};
	int rc, loaded = 0;

	begin(&t);
	rc = read_tss(&t);
	if (rc == 0) {
		loaded = load_segments(&t);
		if (loaded == 0 && (t.event & INTR_VALID) != 0 && (t.event & INTR_ERROR) != 0)
			loaded = push_error(&t);
		first = t.fault;
		rc = loaded == -TERN_EAGAIN ? loaded : write_memory(&t);
	}
	if (rc != 0) { /* nothing has happened: what led here is delivered again */
		vmx_event_save_vectoring(vmx_of(vc));
		if (rc == FAILED) {
			inject(&t);
			return;
		}
		out->kind = EXIT_MEM;
		out->mem = (struct exit_mem){.gpa = t.at, .write = true};
		return;
	}
	write_registers(&t);
	if (loaded == FAILED) {
		t.fault = first;
		inject(&t);
	} else if (t.next.trap) { /* a trap before the new task's first instruction */
		write_dr6(read_dr6() | DR6_BT);
		vmx_inject(vc, &(struct vcpu_event){.type = EVENT_EXCEPTION, .vector = VEC_DB});
	}
}
