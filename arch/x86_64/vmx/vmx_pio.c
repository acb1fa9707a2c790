/* SPDX-License-Identifier: MIT */
/*
 * Port I/O. Of INS and OUTS the exit comes before any check of the memory operand (SDM vol. 3C 28.1.2),
 * so segment, page tables and backing are looked at here, one element at a time, before the port is
 * touched: after that nothing fails.
 */
#include <tern/err.h>
#include <tern/gmem.h>
#include <tern/lib.h>

#include "../x86.h"
#include "vmcs_access.h"
#include "vmx.h"
#include "vmx_decode.h"
#include "vmx_regs.h"

#define CANONICAL_SHIFT 47

static u64 addr_mask(u8 width)
{
	return width == 8 ? ~0ul : (1ul << width * 8) - 1;
}

static bool canonical(u64 va)
{
	u64 top = va >> CANONICAL_SHIFT;

	return top == 0 || top == ~0ul >> CANONICAL_SHIFT;
}

static bool in_limit(const struct vcpu_seg *s, u64 offset, u8 width)
{
	u64 last = offset + width - 1;
	u64 top = (s->attr & ATTR_DB) != 0 ? UINT32_MAX : RESET_LIMIT;

	if ((s->attr & (ATTR_CODE | ATTR_DOWN)) == ATTR_DOWN)
		return offset > s->limit && last <= top;
	return last <= s->limit;
}

/* SDM vol. 3A 5.3, 5.5: 0, or the vector to raise. */
static u8 check_segment(enum vcpu_segment seg, u64 offset, u64 linear, u8 width, bool write)
{
	u8 vector = seg == SEG_SS ? VEC_SS : VEC_GP;
	struct vcpu_seg s;

	if (vmx_seg_is_long())
		return canonical(linear) && canonical(linear + width - 1) ? 0 : vector;
	vmx_seg_read(seg, &s);
	if ((s.attr & ATTR_UNUSABLE) != 0 || !in_limit(&s, offset, width))
		return vector;
	if (write && (s.attr & (ATTR_CODE | ATTR_WRITE)) != ATTR_WRITE)
		return VEC_GP;
	if (!write && (s.attr & (ATTR_CODE | ATTR_WRITE)) == ATTR_CODE)
		return VEC_GP;
	return 0;
}

static struct walk_state walk_of(const struct vcpu *vc)
{
	const struct vmx_vcpu *v = vmx_of(vc);

	return (struct walk_state){
		.cr0 = vmx_cr0_get(v),
		.cr3 = vmread(VMCS_GUEST_CR3),
		.cr4 = vmx_cr4_get(v),
		.efer = vmread64(VMCS_GUEST_EFER),
		.rflags = vmread(VMCS_GUEST_RFLAGS),
		.user = (vmread32(VMCS_GUEST_SS_ATTR) & ATTR_DPL) == ATTR_DPL,
		.phys_bits = v->vm->phys_bits,
	};
}

/* Finds and backs one page of the operand. False: *out or an injected event says what to do first. */
static bool find_page(struct vcpu *vc, u64 linear, bool write, gpa_t *at, struct vm_exit *out)
{
	struct walk_state w = walk_of(vc);
	struct vcpu_event fault;
	u64 pdpte[4];
	int rc;

	if ((w.cr4 & CR4_PAE) != 0 && (w.efer & EFER_LMA) == 0) {
		vmx_pdptes_get(pdpte);
		w.pdpte = pdpte;
	}
	rc = guest_walk(&vc->vm->mem, &w, linear, write ? WALK_WRITE : WALK_READ, at, &fault);
	if (rc == -TERN_EFAULT) {
		if (fault.vector == VEC_PF)
			write_cr2(linear);
		vmx_inject(vc, &fault);
		return false;
	}
	/* What is a device's or nothing reads as ones and ignores writes: copy() sees to it. */
	if (rc == 0)
		switch (gmem_touch(&vc->vm->mem, *at, write)) {
		case GMEM_MAPPED:
		case GMEM_NOT_MEMORY:
		case GMEM_ROM_WRITE:
			return true;
		case GMEM_OVER_GRANT:
		case GMEM_NO_FRAME:
			break;
		}
	out->kind = EXIT_MEM;
	out->mem = (struct exit_mem){.gpa = *at, .write = write};
	return false;
}

/* Copies the element from or to the pages that find_page() found. */
static void copy(struct vcpu *vc, u32 *value, bool to_guest)
{
	const struct vmx_string *s = &vmx_of(vc)->string;
	u8 *bytes = (u8 *)value, first = s->first, rest = (u8)(s->width - s->first);
	struct gmem *mem = &vc->vm->mem;
	int rc[2] = {0, 0};

	if (to_guest) {
		rc[0] = gmem_write(mem, s->gpa[0], bytes, first);
		if (rest != 0)
			rc[1] = gmem_write(mem, s->gpa[1], bytes + first, rest);
		return;
	}
	rc[0] = gmem_read(mem, s->gpa[0], bytes, first);
	if (rest != 0)
		rc[1] = gmem_read(mem, s->gpa[1], bytes + first, rest);
	if (rc[0] != 0)
		memset(bytes, 0xff, first);
	if (rc[1] != 0)
		memset(bytes + first, 0xff, rest);
}

/* These two are not inlined: what they keep on the stack would be paid for by every IN and OUT. */
#define OWN_FRAME __attribute__((noinline))

static OWN_FRAME void decode_string(struct vcpu *vc, u64 qualification, struct vm_exit *out)
{
	const struct vmx_io_access access = vmx_decode_io(qualification), *io = &access;
	struct vmx_vcpu *v = vmx_of(vc);
	struct vmx_io_string info = vmx_decode_io_string(vmread32(VMCS_EXIT_INSN_INFO));
	enum vcpu_segment seg = io->pio.in ? SEG_ES : info.segment;
	u64 index = v->arch.gpr[io->pio.in ? REG_RDI : REG_RSI] & addr_mask(info.addr_width);
	u64 linear = vmread(VMCS_GUEST_LINEAR_ADDR);
	u8 width = io->pio.width, vector = check_segment(seg, index, linear, width, io->pio.in);
	u64 left = PAGE_SIZE - (linear & (PAGE_SIZE - 1));
	struct vmx_string *s = &v->string;

	out->kind = EXIT_DONE;
	/* Some CPUs exit before they look at the count. Of no elements none is checked or faults. */
	if (io->rep && vmx_string_index(v->arch.gpr[REG_RCX], info.addr_width) == 0) {
		vmx_skip(vc, out);
		return;
	}
	if (vector != 0) {
		vmx_inject(vc, &(struct vcpu_event){.type = EVENT_EXCEPTION,
						    .vector = vector,
						    .has_error = true});
		return;
	}
	*s = (struct vmx_string){.first = (u8)min_u64(width, left),
				 .width = width,
				 .addr_width = info.addr_width,
				 .rep = io->rep};
	if (!find_page(vc, linear, io->pio.in, &s->gpa[0], out))
		return;
	if (s->first < width && !find_page(vc, linear + s->first, io->pio.in, &s->gpa[1], out))
		return;
	out->kind = EXIT_PIO;
	if (!io->pio.in)
		copy(vc, &out->pio.value, false);
}

void vmx_pio_decode(struct vcpu *vc, struct vm_exit *out)
{
	u64 qualification = vmread(VMCS_EXIT_QUALIFICATION);
	u32 rax = (u32)vc->arch->gpr[REG_RAX];

	out->kind = EXIT_PIO;
	out->insn_len = (u8)vmread32(VMCS_EXIT_INSN_LEN);
	out->pio = vmx_decode_io(qualification).pio;
	if (UNLIKELY(out->pio.string))
		decode_string(vc, qualification, out);
	else if (!out->pio.in)
		out->pio.value = rax & (u32)addr_mask(out->pio.width);
}

static OWN_FRAME void string_done(struct vcpu *vc, const struct vm_exit *exit)
{
	const struct vmx_string *s = &vmx_of(vc)->string;
	u64 *gpr = vc->arch->gpr, delta = exit->pio.width, *index;
	u32 value = exit->pio.value;

	if (exit->pio.in)
		copy(vc, &value, true);
	if ((vmread(VMCS_GUEST_RFLAGS) & RFLAGS_DF) != 0)
		delta = 0 - delta;
	index = &gpr[exit->pio.in ? REG_RDI : REG_RSI];
	*index = vmx_string_add(*index, delta, s->addr_width);
	if (s->rep) {
		gpr[REG_RCX] = vmx_string_add(gpr[REG_RCX], ~0ul, s->addr_width);
		if (vmx_string_index(gpr[REG_RCX], s->addr_width) != 0)
			return;
	}
	vmx_skip(vc, exit);
}

void vmx_pio_done(struct vcpu *vc, const struct vm_exit *exit)
{
	u64 *rax = &vc->arch->gpr[REG_RAX], mask = addr_mask(exit->pio.width);

	if (UNLIKELY(exit->pio.string)) {
		string_done(vc, exit);
		return;
	}
	if (exit->pio.in)
		*rax = exit->pio.width == 4 ? exit->pio.value
					    : (*rax & ~mask) | (exit->pio.value & mask);
	vmx_skip(vc, exit);
}
