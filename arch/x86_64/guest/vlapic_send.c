/* SPDX-License-Identifier: MIT */
/*
 * Interrupt messages of a VM: who is addressed (SDM vol. 3A 11.6.2, 11.12.10), and what arrives there. Any CPU
 * may run this for any vCPU: it reads the registers that say who is meant, and sets bits that the owner
 * of the vCPU moves to IRR.
 */
#include "vlapic_state.h"

#include <tern/lib.h>

_Static_assert(VCPUS_PER_VM_MAX <= 64, "vCPUs are bits of a u64");

/* --- arrival --- */

void vlapic_post(struct vcpu *vc, u32 vector, bool level)
{
	struct vlapic *l = vc->lapic;
	u32 w = VECTOR_WORD(vector);
	u64 bit = VECTOR_WORD_BIT(vector);
	bool was_level = (__atomic_load_n(&l->level[w], __ATOMIC_RELAXED) & bit) != 0;

	if (UNLIKELY(level != was_level)) {
		if (level)
			__atomic_fetch_or(&l->level[w], bit, __ATOMIC_RELAXED);
		else
			__atomic_fetch_and(&l->level[w], ~bit, __ATOMIC_RELAXED);
	}
	/* Whoever found the bit clear kicks, and the owner has not looked since. */
	if ((__atomic_fetch_or(&l->posted[w], bit, __ATOMIC_SEQ_CST) & bit) == 0)
		vcpu_kick(vc);
}

void vlapic_error(struct vcpu *vc, u32 bits)
{
	struct vlapic *l = vc->lapic;
	u32 old = __atomic_fetch_or(&l->errors, bits, __ATOMIC_RELAXED);
	u32 lvt = vlapic_get(l, LAPIC_LVT_ERROR), vector = lvt & VECTOR_MASK;

	/* An illegal vector of this very entry would be an error without end. */
	if (old == 0 && (lvt & LVT_MASKED) == 0 && vector >= VECTOR_MIN && vlapic_enabled(vc))
		vlapic_post(vc, vector, false);
}

void vlapic_post_local(struct vcpu *vc, u32 vector)
{
	if (vector < VECTOR_MIN)
		vlapic_error(vc, ESR_RECEIVE_ILLEGAL);
	else
		vlapic_post(vc, vector, false);
}

static void fixed(struct vcpu *vc, const struct apic_message *m)
{
	if (!vlapic_enabled(vc))
		return;
	if (m->vector < VECTOR_MIN)
		vlapic_error(vc, ESR_RECEIVE_ILLEGAL);
	else
		vlapic_post(vc, m->vector, m->level);
}

static void deliver_one(struct vcpu *vc, const struct apic_message *m)
{
	switch (m->delivery) {
	case APIC_FIXED:
	case APIC_LOWEST:
		fixed(vc, m);
		return;
	case APIC_SMI:
		return; /* there is no system management mode to enter */
	case APIC_NMI:
		vcpu_nmi(vc);
		return;
	case APIC_INIT:
		if (!m->level || m->assert)
			vcpu_init(vc);
		return;
	case APIC_EXTINT:
		if (!vlapic_enabled(vc))
			return;
		__atomic_store_n(&vc->lapic->extint, true, __ATOMIC_RELEASE);
		vcpu_kick(vc);
		return;
	case APIC_SIPI:
		if (vcpu_start_at(vc, m->vector) != 0)
			return; /* it does not wait for one (SDM vol. 3A 9.4.3) */
	}
}

/* Of those in the set that take interrupts, the next after the one that took the last: every one has its
 * turn, whatever their priorities. */
static u64 lowest_of(struct vm *vm, u64 set)
{
	struct vlapic *first = vm->vcpus[0]->lapic;
	u32 last = __atomic_load_n(&first->lowest, __ATOMIC_RELAXED), next;
	u64 enabled = 0, after;

	for (u64 left = set; left != 0; left &= left - 1) {
		u32 i = (u32)__builtin_ctzll(left);

		if (vlapic_enabled(vm->vcpus[i]))
			enabled |= 1ull << i;
	}
	if (enabled == 0)
		return 0;
	after = enabled & ~((2ull << last) - 1);
	next = (u32)__builtin_ctzll(after != 0 ? after : enabled);
	__atomic_store_n(&first->lowest, next, __ATOMIC_RELAXED);
	return 1ull << next;
}

static void deliver(struct vm *vm, const struct apic_message *m, u64 set)
{
	if (m->delivery == APIC_LOWEST)
		set = lowest_of(vm, set);
	for (; set != 0; set &= set - 1)
		deliver_one(vm->vcpus[__builtin_ctzll(set)], m);
}

/* --- who is addressed --- */

static u32 physical_id(const struct vcpu *vc)
{
	u32 id = vlapic_get(vc->lapic, LAPIC_ID);

	/* That of an x2APIC, in which the lower bits are used, stays a moment longer than the mode when its vCPU is
	 * reset; a SIPI may come right then. */
	return vlapic_is_x2(vc) || (id & ~LAPIC_ID_MASK) != 0 ? vc->index : id >> LAPIC_ID_SHIFT;
}

static bool logical_match(const struct vcpu *vc, u32 dest)
{
	u32 ldr = vlapic_get(vc->lapic, LAPIC_LDR);

	if (vlapic_is_x2(vc))
		return ldr >> X2CLUSTER_SHIFT == dest >> X2CLUSTER_SHIFT &&
		       (ldr & dest & X2CLUSTER_MEMBERS) != 0;
	/* Eight bits cannot be meant by more. */
	if (dest > DEST_ALL)
		return false;
	ldr >>= LDR_SHIFT;
	if ((vlapic_get(vc->lapic, LAPIC_DFR) & DFR_MASK) == DFR_FLAT)
		return (ldr & dest) != 0;
	return ((ldr ^ dest) & CLUSTER_MASK) == 0 && (ldr & dest & CLUSTER_MEMBERS) != 0;
}

static bool reachable(const struct vm *vm, u32 index)
{
	return vm->vcpus[index]->lapic != NULL && vlapic_present(vm->vcpus[index]);
}

/* A bit for each vCPU, without those whose APIC is switched off. */
static u64 addressed(const struct vm *vm, const struct apic_message *m)
{
	u32 dest = m->x2apic ? m->dest : m->dest & DEST_ALL;
	bool all = dest == (m->x2apic ? DEST_ALL_X2 : DEST_ALL);
	u64 set = 0;

	/* As a rule its number is its id, and ids are unique. */
	if (!all && !m->logical && dest < vm->vcpu_count && reachable(vm, dest) &&
	    physical_id(vm->vcpus[dest]) == dest)
		return 1ull << dest;
	for (u32 i = 0; i < vm->vcpu_count; i++) {
		const struct vcpu *vc = vm->vcpus[i];

		if (!reachable(vm, i))
			continue;
		if (all || (m->logical ? logical_match(vc, dest) : physical_id(vc) == dest))
			set |= 1ull << i;
	}
	return set;
}

static u64 everyone(const struct vm *vm)
{
	const struct apic_message all = {.x2apic = true, .dest = DEST_ALL_X2};

	return addressed(vm, &all);
}

void vlapic_send(struct vm *vm, const struct apic_message *m)
{
	deliver(vm, m, addressed(vm, m));
}

void vlapic_msi(struct vm *vm, u64 address, u32 data)
{
	struct apic_message m = {
		.dest = (u32)(address >> MSI_ADDR_DEST_SHIFT) & DEST_ALL,
		.logical = (address & MSI_ADDR_LOGICAL) != 0,
		.level = (data & MSI_LEVEL) != 0,
		.assert = (data & MSI_ASSERT) != 0,
		.vector = (u8)data,
		.delivery = (enum apic_delivery)(data >> MSI_DELIVERY_AT & MSI_DELIVERY),
	};

	if ((address & MSI_ADDR_MASK) != MSI_ADDR_BASE)
		return;
	if (m.delivery == APIC_FIXED && (address & MSI_ADDR_REDIR) != 0)
		m.delivery = APIC_LOWEST;
	vlapic_send(vm, &m);
}

/* --- ICR --- */

/* What a shorthand may be used for: SDM vol. 3A tables 11-3 and 11-4. */
static bool shorthand_valid(u32 shorthand, enum apic_delivery delivery)
{
	return shorthand == ICR_OTHERS || delivery == APIC_FIXED;
}

static __attribute__((noinline)) void send_icr(struct vcpu *vc, u32 low, u32 dest)
{
	const struct apic_message m = {
		.dest = dest,
		.x2apic = vlapic_is_x2(vc),
		.logical = (low & ICR_LOGICAL) != 0,
		/* Level-triggered IPIs do not exist, but for the de-assert of INIT. */
		.level = (low >> ICR_DELIVERY_AT & ICR_DELIVERY) == APIC_INIT &&
			 (low & ICR_LEVEL) != 0,
		.assert = (low & ICR_ASSERT) != 0,
		.vector = (u8)low,
		.delivery = (enum apic_delivery)(low >> ICR_DELIVERY_AT & ICR_DELIVERY),
	};
	u32 shorthand = low >> ICR_SHORTHAND_AT & ICR_SHORTHAND;
	u64 self = 1ull << vc->index, set;

	if ((m.delivery == APIC_FIXED || m.delivery == APIC_LOWEST) && m.vector < VECTOR_MIN) {
		vlapic_error(vc, ESR_SEND_ILLEGAL);
		return;
	}
	/* SDM vol. 3A 11.6.1: ExtINT is not for IPIs. */
	if (m.delivery == APIC_EXTINT)
		return;
	if (shorthand == ICR_NO_SHORTHAND) {
		vlapic_send(vc->vm, &m);
		return;
	}
	if (!shorthand_valid(shorthand, m.delivery))
		return;
	set = shorthand == ICR_SELF ? self : everyone(vc->vm);
	if (shorthand == ICR_OTHERS)
		set &= ~self;
	deliver(vc->vm, &m, set);
}

void vlapic_icr(struct vcpu *vc, u32 low, u32 dest)
{
	const struct vm *vm = vc->vm;
	u32 vector = low & VECTOR_MASK;

	/* Nearly all that a guest sends. */
	if (LIKELY((low & ICR_NOT_PLAIN) == 0 && vector >= VECTOR_MIN && dest < vm->vcpu_count)) {
		struct vcpu *to = vm->vcpus[dest];

		if (LIKELY(to->lapic != NULL && vlapic_enabled(to) && physical_id(to) == dest)) {
			vlapic_post(to, vector, false);
			return;
		}
	}
	send_icr(vc, low, dest);
}
