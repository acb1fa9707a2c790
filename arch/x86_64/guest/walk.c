/* SPDX-License-Identifier: MIT */
/*
 * The guest's own address translation, as its MMU does it: SDM vol. 3A chapter 4. Entries are read
 * down to the leaf, the rights of all of them decide, and only an access that is allowed leaves
 * accessed and dirty bits behind. Protection keys and 5-level paging are not offered to guests.
 */
#include "guest.h"

#include <tern/err.h>
#include <tern/gmem.h>

#include "walk_regs.h"

/* How often a walk starts again because another vCPU changed an entry under it. */
#define WALK_TRIES 16u

#define LEVELS_MAX 4u

struct format {
	u32 levels; /* of 2^index_bits entries each; PAE: below the four PDPTEs */
	u32 index_bits;
	u32 entry_size;
};

static const struct format format_32 = {2, 10, 4};
static const struct format format_pae = {2, 9, 8};
static const struct format format_long = {4, 9, 8};

struct walk {
	struct gmem *mem;
	const struct walk_state *s;
	const struct format *fmt;
	u64 gva;
	enum walk_access access;
	u32 error; /* of the #PF, beside what says the kind of access */
	u32 count; /* entries used, the leaf last */
	gpa_t at[LEVELS_MAX];
	u64 entry[LEVELS_MAX];
	u32 leaf_shift;
	gpa_t last; /* the entry looked at last */
};

/* Bits hi:lo; none when hi < lo. */
static u64 bits(u32 hi, u32 lo)
{
	return hi < lo ? 0 : (~0ull >> (63 - hi)) & (~0ull << lo);
}

static bool no_execute(const struct walk_state *s)
{
	return (s->efer & EFER_NXE) != 0;
}

/* SDM vol. 3A 4.7: only where fetches have rights of their own the error code tells them apart. */
static bool tells_fetch(const struct walk_state *s)
{
	return (s->cr4 & CR4_SMEP) != 0 || ((s->cr4 & CR4_PAE) != 0 && no_execute(s));
}

static int page_fault(struct walk *w, u32 error)
{
	w->error = error | (w->access == WALK_WRITE ? PF_W : 0) | (w->s->user ? PF_U : 0) |
		   (w->access == WALK_FETCH && tells_fetch(w->s) ? PF_I : 0);
	return -TERN_EFAULT;
}

/* Where nothing is, nobody drives the bus: all ones. */
static int read_entry(struct walk *w, gpa_t at, u32 size, u64 *out)
{
	u64 entry = 0;
	int rc = gmem_read(w->mem, at, &entry, size);

	w->last = at;
	if (rc != 0 && rc != -TERN_EFAULT)
		return rc;
	*out = rc == 0 ? entry : bits(8 * size - 1, 0);
	return 0;
}

/* SDM vol. 3A tables 4-3, 4-9, 4-15 to 4-18: PS means a page here. Level 0 is a page table. */
static bool is_leaf(const struct walk *w, u32 level, u64 entry)
{
	if (level == 0)
		return true;
	if ((entry & PTE_PS) == 0)
		return false;
	if (w->fmt == &format_32)
		return (w->s->cr4 & CR4_PSE) != 0;
	return level <= 2;
}

/* Bits of a present entry that must be 0 (the same tables, and section 4.1.4 for NX). */
static u64 reserved(const struct walk *w, u32 level, bool leaf)
{
	u32 shift = PAGE_SHIFT + level * w->fmt->index_bits;
	u64 r;

	/* Of 32-bit paging 4 MiB pages alone, with PSE-36. */
	if (w->fmt == &format_32)
		return leaf && level > 0 ? bits(21, (u32)min_u64(w->s->phys_bits, PSE36_BITS) - 19)
					 : 0;
	r = bits(51, w->s->phys_bits) | (no_execute(w->s) ? 0 : PTE_NX);
	if (w->fmt == &format_pae)
		r |= PTE_RSVD_PAE;
	if (leaf && level > 0)
		r |= bits(shift - 1, PAGE_SHIFT + 1); /* bit 12 is PAT */
	if (level == 3)
		r |= PTE_PS;
	return r;
}

/* Where the walk begins. PAE: SDM vol. 3A 4.4.1, registers that MOV to CR3 filled and checked. */
static int root(struct walk *w, u64 *table)
{
	u64 pdpte;
	u32 i = w->gva >> PAGE_1G_SHIFT & 3;
	int rc;

	if (w->fmt != &format_pae) {
		*table = w->s->cr3 & (w->fmt == &format_32 ? PTE_ADDR32 : PTE_ADDR);
		return 0;
	}
	if (w->s->pdpte != NULL) {
		pdpte = w->s->pdpte[i];
	} else {
		rc = read_entry(w, gpa((w->s->cr3 & CR3_ADDR_PAE) + i * sizeof(u64)), sizeof(u64),
				&pdpte);
		if (rc != 0)
			return rc;
	}
	if ((pdpte & PDPTE_P) == 0)
		return page_fault(w, 0);
	if ((pdpte & (PDPTE_RSVD | bits(63, w->s->phys_bits))) != 0)
		return page_fault(w, PF_P | PF_RSVD);
	*table = pdpte & PTE_ADDR;
	return 0;
}

/* Reads entries down to the leaf. */
static int descend(struct walk *w)
{
	u64 table = 0;
	int rc = root(w, &table);

	for (u32 level = w->fmt->levels; rc == 0 && level-- > 0;) {
		u32 shift = PAGE_SHIFT + level * w->fmt->index_bits;
		u64 index = w->gva >> shift & bits(w->fmt->index_bits - 1, 0);
		gpa_t at = gpa(table + index * w->fmt->entry_size);
		u64 entry = 0;
		bool leaf;

		rc = read_entry(w, at, w->fmt->entry_size, &entry);
		if (rc != 0)
			break;
		if ((entry & PTE_P) == 0)
			return page_fault(w, 0);
		leaf = is_leaf(w, level, entry);
		if ((entry & reserved(w, level, leaf)) != 0)
			return page_fault(w, PF_P | PF_RSVD);
		w->at[w->count] = at;
		w->entry[w->count++] = entry;
		w->leaf_shift = shift;
		if (leaf)
			break;
		table = entry & PTE_ADDR;
	}
	return rc;
}

/* SDM vol. 3A 4.6.1. The rights of all entries count. */
static bool allowed(const struct walk *w)
{
	const struct walk_state *s = w->s;
	u64 all = ~0ull, any = 0;
	bool user_page, writable, smap;

	for (u32 i = 0; i < w->count; i++) {
		all &= w->entry[i];
		any |= w->entry[i];
	}
	user_page = (all & PTE_U) != 0;
	if (s->user && !user_page)
		return false;
	if (w->access == WALK_FETCH) {
		if (!s->user && user_page && (s->cr4 & CR4_SMEP) != 0)
			return false;
		/* In 32-bit paging bit 63 is never set; without NXE it is reserved. */
		return (any & PTE_NX) == 0;
	}
	smap = (s->cr4 & CR4_SMAP) != 0 && (s->rflags & RFLAGS_AC) == 0;
	if (!s->user && user_page && smap)
		return false;
	writable = (all & PTE_W) != 0 || (!s->user && (s->cr0 & CR0_WP) == 0);
	return w->access == WALK_READ || writable;
}

/*
 * SDM vol. 3A 4.8. By compare and exchange, as the CPU does: an entry that another vCPU has changed
 * since it was read is not used (-TERN_EBUSY). In ROM or where nothing is the bits are lost.
 */
static int mark_used(struct walk *w)
{
	for (u32 i = 0; i < w->count; i++) {
		bool dirty = w->access == WALK_WRITE && i == w->count - 1;
		u64 old = w->entry[i], set = old | PTE_A | (dirty ? PTE_D : 0);
		int rc;

		if (set == old)
			continue;
		w->last = w->at[i];
		rc = gmem_cas(w->mem, w->at[i], w->fmt->entry_size, &old, set);
		if (rc == 0 && old != w->entry[i])
			return -TERN_EBUSY;
		if (rc != 0 && rc != -TERN_EFAULT)
			return rc;
	}
	return 0;
}

static u64 translate(const struct walk *w)
{
	u64 leaf = w->entry[w->count - 1], offset = w->gva & bits(w->leaf_shift - 1, 0);

	if (w->fmt != &format_32)
		return (leaf & PTE_ADDR & ~bits(w->leaf_shift - 1, 0)) | offset;
	if (w->leaf_shift == PAGE_4M_SHIFT)
		return (leaf & PTE_ADDR_4M) | (leaf & PTE_4M_HIGH) << PTE_4M_SHIFT | offset;
	return (leaf & PTE_ADDR32) | offset;
}

static int walk_once(struct walk *w, gpa_t *out)
{
	int rc = descend(w);

	if (rc == 0 && !allowed(w))
		rc = page_fault(w, PF_P);
	if (rc == 0)
		rc = mark_used(w);
	if (rc == 0)
		*out = gpa(translate(w));
	return rc;
}

static struct vcpu_event exception(u8 vector, u32 error)
{
	return (struct vcpu_event){
		.type = EVENT_EXCEPTION, .vector = vector, .has_error = true, .error = error};
}

int guest_walk(struct gmem *mem, const struct walk_state *s, u64 gva, enum walk_access access,
	       gpa_t *out, struct vcpu_event *fault)
{
	bool long_mode = (s->efer & EFER_LMA) != 0;
	struct walk w;
	int rc;

	if (!long_mode)
		gva &= 0xffffffff;
	if ((s->cr0 & CR0_PG) == 0) {
		*out = gpa(gva);
		return 0;
	}
	if (long_mode && !guest_canonical(gva)) {
		*fault = exception(VEC_GP, 0);
		return -TERN_EFAULT;
	}
	for (u32 i = 0; i < WALK_TRIES; i++) {
		w = (struct walk){.mem = mem, .s = s, .gva = gva, .access = access};
		w.fmt = long_mode                 ? &format_long
			: (s->cr4 & CR4_PAE) != 0 ? &format_pae
						  : &format_32;
		rc = walk_once(&w, out);
		if (rc != -TERN_EBUSY)
			break;
	}
	if (rc == -TERN_EFAULT)
		*fault = exception(VEC_PF, w.error);
	else if (rc != 0)
		*out = w.last;
	return rc;
}
