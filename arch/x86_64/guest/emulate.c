/* SPDX-License-Identifier: MIT */
/*
 * Instructions that reach devices through memory: fetches the one at RIP from the guest, decodes it
 * (insn.c) and executes it (mmio.c) with the registers of the loaded vCPU, its page tables, its memory
 * and its device bus.
 */
#include <tern/dev.h>
#include <tern/err.h>
#include <tern/gmem.h>
#include <tern/lib.h>
#include <tern/vlapic.h>
#include <tern/vm.h>

#include "guest.h"
#include "insn.h"
#include "mmio.h"
#include "msr_regs.h"
#include "walk_regs.h"

struct emulate {
	struct vcpu *vc;
	const struct virt_ops *ops;
	struct walk_state walk;
	u64 pdpte[4]; /* walk.pdpte, with PAE paging */
};

static u64 reg_get(void *ctx, enum vcpu_reg reg)
{
	struct emulate *e = ctx;

	return e->ops->reg_get(e->vc, reg);
}

static void reg_set(void *ctx, enum vcpu_reg reg, u64 value)
{
	struct emulate *e = ctx;

	e->ops->reg_set(e->vc, reg, value);
}

static void seg_get(void *ctx, enum vcpu_segment seg, struct vcpu_seg *out)
{
	struct emulate *e = ctx;

	e->ops->seg_get(e->vc, seg, out);
}

static int walk(struct emulate *e, u64 linear, enum walk_access access, gpa_t *out,
		struct vcpu_event *fault)
{
	int rc = guest_walk(&e->vc->vm->mem, &e->walk, linear, access, out, fault);

	if (rc == -TERN_EFAULT && fault->vector == VEC_PF)
		reg_set(e, REG_CR2, linear);
	return rc;
}

/* Memory is backed here, before a device is touched: afterwards nothing may fail. */
static int translate(void *ctx, u64 linear, bool write, gpa_t *out, struct vcpu_event *fault)
{
	struct emulate *e = ctx;
	int rc = walk(e, linear, write ? WALK_WRITE : WALK_READ, out, fault);

	if (rc != 0)
		return rc;
	switch (gmem_touch(&e->vc->vm->mem, *out, write)) {
	case GMEM_MAPPED:
	case GMEM_NOT_MEMORY:
	case GMEM_ROM_WRITE:
		return 0;
	case GMEM_OVER_GRANT:
	case GMEM_NO_FRAME:
		break;
	}
	return -TERN_EAGAIN;
}

/* The registers of the vCPU's own APIC, in xAPIC mode; they do not straddle its page. */
static bool at_apic(const struct vcpu *vc, gpa_t at)
{
	u64 base = vc->arch->apic_base;

	return (base & (APIC_BASE_ENABLE | APIC_BASE_X2APIC)) == APIC_BASE_ENABLE &&
	       align_down(at.v, PAGE_SIZE) == (base & APIC_BASE_ADDR);
}

static int load(void *ctx, gpa_t at, u32 width, u64 *value)
{
	struct emulate *e = ctx;
	bool hit;
	int rc;

	*value = 0;
	rc = gmem_read(&e->vc->vm->mem, at, value, width);
	if (rc != -TERN_EFAULT)
		return rc;
	if (at_apic(e->vc, at)) {
		*value = vlapic_read(e->vc, (u32)(at.v % PAGE_SIZE), width);
		return 0;
	}
	*value = bus_read(&e->vc->vm->bus, DEV_MEM, at.v, width, &hit);
	return 0;
}

static int store(void *ctx, gpa_t at, u32 width, u64 value)
{
	struct emulate *e = ctx;
	bool hit;
	int rc = gmem_write(&e->vc->vm->mem, at, &value, width);

	if (rc != -TERN_EFAULT)
		return rc;
	if (at_apic(e->vc, at)) {
		vlapic_write(e->vc, (u32)(at.v % PAGE_SIZE), width, value);
		vcpu_kick(e->vc); /* it may have let an interrupt through */
		return 0;
	}
	bus_write(&e->vc->vm->bus, DEV_MEM, at.v, width, value, &hit);
	return 0;
}

static const struct mmio_ops emulate_ops = {
	.reg_get = reg_get,
	.reg_set = reg_set,
	.seg_get = seg_get,
	.translate = translate,
	.load = load,
	.store = store,
};

/* Bytes of code from linear to the end of its page, at most max. */
static int fetch(struct emulate *e, u64 linear, u8 *code, u32 max, u32 *n, struct vcpu_event *fault)
{
	u32 left = (u32)(PAGE_SIZE - (linear & (PAGE_SIZE - 1)));
	gpa_t at;
	int rc = walk(e, linear, WALK_FETCH, &at, fault);

	if (rc != 0)
		return rc;
	*n = left < max ? left : max;
	rc = gmem_read(&e->vc->vm->mem, at, code, *n);
	/* Code that lies where no memory is reads as ones, as on a bus. */
	if (rc == -TERN_EFAULT) {
		memset(code, 0xff, *n);
		return 0;
	}
	return rc;
}

static int decode(struct emulate *e, struct mmio_insn *bytes, struct insn *in,
		  struct vcpu_event *fault)
{
	enum insn_mode mode = INSN_16;
	struct vcpu_seg cs;
	u64 rip = reg_get(e, REG_RIP), linear;
	u32 n, more;
	int rc;

	seg_get(e, SEG_CS, &cs);
	if ((e->walk.efer & EFER_LMA) != 0 && (cs.attr & SEG_ATTR_LONG) != 0)
		mode = INSN_64;
	else if ((cs.attr & SEG_ATTR_DB) != 0)
		mode = INSN_32;
	linear = mode == INSN_64 ? rip : (u32)(cs.base + rip);
	rc = fetch(e, linear, bytes->bytes, INSN_LEN_MAX, &n, fault);
	if (rc != 0)
		return rc;
	bytes->len = (u8)n;
	rc = insn_decode(bytes->bytes, n, mode, in);
	if (rc != -TERN_E2BIG)
		return rc;
	rc = fetch(e, linear + n, bytes->bytes + n, INSN_LEN_MAX - n, &more, fault);
	if (rc != 0)
		return rc;
	bytes->len = (u8)(n + more);
	return insn_decode(bytes->bytes, bytes->len, mode, in);
}

static void begin_walks(struct emulate *e)
{
	struct vcpu_seg ss;

	seg_get(e, SEG_SS, &ss);
	e->walk = (struct walk_state){
		.cr0 = reg_get(e, REG_CR0),
		.cr3 = reg_get(e, REG_CR3),
		.cr4 = reg_get(e, REG_CR4),
		.efer = reg_get(e, REG_EFER),
		.rflags = reg_get(e, REG_RFLAGS),
		.user = (ss.attr >> SEG_ATTR_DPL_SHIFT & 3) == 3,
		.phys_bits = guest_phys_bits(e->vc->arch->cpuid),
	};
	if ((e->walk.cr0 & CR0_PG) == 0 || (e->walk.cr4 & CR4_PAE) == 0 ||
	    (e->walk.efer & EFER_LMA) != 0)
		return;
	for (u32 i = 0; i < ARRAY_SIZE(e->pdpte); i++)
		e->pdpte[i] = reg_get(e, (enum vcpu_reg)(REG_PDPTE0 + i));
	e->walk.pdpte = e->pdpte;
}

int arch_mmio(struct vcpu *vc, UNUSED gpa_t gpa, UNUSED bool write, struct mmio_insn *insn)
{
	struct emulate e = {.vc = vc, .ops = virt_ops_get()};
	struct vcpu_event fault;
	struct insn in;
	int rc;

	begin_walks(&e);
	rc = decode(&e, insn, &in, &fault);
	if (rc == 0)
		rc = mmio_execute(&in, &emulate_ops, &e, &fault);
	switch (rc) {
	case MMIO_DONE:
		e.ops->skip(vc, &(struct vm_exit){.kind = EXIT_MEM, .insn_len = in.len});
		return 0;
	case MMIO_AGAIN:
	case -TERN_EBUSY: /* other vCPUs change the page tables: enter and come back */
		return 0;
	case -TERN_EFAULT:
		e.ops->inject(vc, &fault);
		return 0;
	case -TERN_EAGAIN:
		return -TERN_EAGAIN;
	default:
		return -TERN_EINVAL;
	}
}

int arch_guest_read_linear(struct vcpu *vc, u64 linear, void *buf, u32 len)
{
	struct emulate e = {.vc = vc, .ops = virt_ops_get()};
	struct vcpu_event fault;
	u8 *to = buf;

	begin_walks(&e);
	e.walk.user = false;
	e.walk.rflags |= RFLAGS_AC;
	while (len > 0) {
		u32 n = (u32)min_u64(len, PAGE_SIZE - linear % PAGE_SIZE);
		gpa_t at;
		int rc = guest_walk(&vc->vm->mem, &e.walk, linear, WALK_READ, &at, &fault);

		if (rc == 0)
			rc = gmem_read(&vc->vm->mem, at, to, n);
		if (rc != 0)
			return rc;
		to += n;
		linear += n;
		len -= n;
	}
	return 0;
}
