/* SPDX-License-Identifier: MIT */
/*
 * The registers of a virtual local APIC as the guest reads and writes them: in the page (xAPIC, SDM vol. 3A
 * 11.4.1) or as MSRs (x2APIC, 11.12.1). One list of them serves both, and what a write does is
 * one function, whether the CPU or Tern has put the value into the page.
 */
#include "vlapic_state.h"

#include <tern/arch.h>
#include <tern/err.h>

/* Bits that a write may change; 0: no register, or one that is read only. */
static u32 writable(u32 offset, bool x2)
{
	switch (offset) {
	case LAPIC_ID:
		return x2 ? 0 : LAPIC_ID_MASK;
	case LAPIC_TPR:
		return VECTOR_MASK;
	case LAPIC_LDR:
		return x2 ? 0 : LDR_MASK;
	case LAPIC_DFR:
		return x2 ? 0 : DFR_MASK;
	case LAPIC_SVR:
		return SVR_DEFINED;
	case LAPIC_ICR_LOW:
		return ICR_BITS;
	case LAPIC_ICR_HIGH:
		return x2 ? 0 : LAPIC_ID_MASK;
	case LAPIC_LVT_TIMER:
		return LVT_TIMER_BITS;
	case LAPIC_LVT_THERMAL:
	case LAPIC_LVT_PERF:
		return LVT_SENSOR_BITS;
	case LAPIC_LVT_LINT0:
	case LAPIC_LVT_LINT1:
		return LVT_LINT_BITS;
	case LAPIC_LVT_ERROR:
		return LVT_ERROR_BITS;
	case LAPIC_TIMER_DIVIDE:
		return TIMER_DIVIDE_BITS;
	case LAPIC_EOI:
	case LAPIC_ESR:
	case LAPIC_TIMER_INIT:
		return UINT32_MAX;
	case LAPIC_SELF_IPI:
		return x2 ? VECTOR_MASK : 0;
	default:
		return 0;
	}
}

static bool readable(u32 offset, bool x2)
{
	switch (offset) {
	case LAPIC_APR:
	case LAPIC_EOI:
	case LAPIC_RRD:
	case LAPIC_DFR:
	case LAPIC_ICR_HIGH:
		return !x2;
	case LAPIC_VERSION:
	case LAPIC_PPR:
	case LAPIC_ID:
	case LAPIC_LDR:
	case LAPIC_TIMER_NOW:
		return true;
	case LAPIC_SELF_IPI:
		return false;
	default:
		return (offset >= LAPIC_ISR && offset <= LAPIC_IRR_LAST) ||
		       writable(offset, x2) != 0;
	}
}

/* A register that is readable. */
static u32 read_register(struct vcpu *vc, u32 offset)
{
	switch (offset) {
	case LAPIC_PPR:
		return vlapic_update_ppr(vc->lapic);
	case LAPIC_TIMER_NOW:
		return vlapic_timer_count(vc);
	default:
		return vlapic_get(vc->lapic, offset);
	}
}

/* --- what a write does; the value is in the page --- */

/* SDM vol. 3A 11.4.7.2: while it is disabled by software, LVT entries cannot be unmasked. */
static u32 lvt_forced(const struct vlapic *l)
{
	return (vlapic_get(l, LAPIC_SVR) & SVR_ENABLE) == 0 ? LVT_MASKED : 0;
}

static void svr_written(struct vcpu *vc)
{
	struct vlapic *l = vc->lapic;

	if (lvt_forced(l) == 0)
		return;
	for (u32 at = LAPIC_LVT_TIMER; at <= LAPIC_LVT_ERROR; at += LAPIC_REG_STEP)
		vlapic_put(l, at, vlapic_get(l, at) | LVT_MASKED);
	vlapic_timer_lvt_written(vc);
}

void vlapic_written(struct vcpu *vc, u32 offset)
{
	struct vlapic *l = vc->lapic;
	bool x2 = vlapic_is_x2(vc);
	u32 mask = writable(offset, x2), value;

	if (mask == 0)
		return;
	value = vlapic_get(l, offset) & mask;
	switch (offset) {
	case LAPIC_EOI:
		vlapic_put(l, offset, 0);
		vlapic_eoi(vc);
		return;
	case LAPIC_ESR:
		/* What was noted since the write before; from now on errors interrupt again. */
		vlapic_put(l, offset, __atomic_exchange_n(&l->errors, 0, __ATOMIC_RELAXED));
		return;
	case LAPIC_SELF_IPI:
		vlapic_put(l, offset, 0);
		vlapic_icr(vc, value, vc->index);
		return;
	case LAPIC_DFR:
		value |= DFR_ONES;
		break;
	case LAPIC_LVT_TIMER:
	case LAPIC_LVT_THERMAL:
	case LAPIC_LVT_PERF:
	case LAPIC_LVT_LINT0:
	case LAPIC_LVT_LINT1:
	case LAPIC_LVT_ERROR:
		value |= lvt_forced(l);
		break;
	}
	vlapic_put(l, offset, value);
	switch (offset) {
	case LAPIC_TPR:
		vlapic_update_ppr(l);
		break;
	case LAPIC_SVR:
		svr_written(vc);
		break;
	case LAPIC_ICR_LOW:
		vlapic_icr(vc, value,
			   x2 ? vlapic_get(l, LAPIC_X2ICR_HIGH)
			      : vlapic_get(l, LAPIC_ICR_HIGH) >> LAPIC_ID_SHIFT);
		break;
	case LAPIC_LVT_TIMER:
		vlapic_timer_lvt_written(vc);
		break;
	case LAPIC_TIMER_INIT:
		vlapic_timer_initial_written(vc);
		break;
	case LAPIC_TIMER_DIVIDE:
		vlapic_timer_divide_written(vc);
		break;
	}
}

/* --- xAPIC --- */

/* Only the first four of the sixteen bytes of a register are there; SDM vol. 3A 11.4.1 leaves open what other
 * accesses than of those four do. */
u64 vlapic_read(struct vcpu *vc, u32 offset, u32 width)
{
	u32 byte = offset % LAPIC_REG_STEP;
	u64 value;

	if (!readable(offset - byte, false)) {
		vlapic_error(vc, ESR_ILLEGAL_REGISTER);
		return 0;
	}
	if (byte >= LAPIC_REG_SIZE)
		return 0;
	value = (u64)read_register(vc, offset - byte) >> byte * 8;
	return width < LAPIC_REG_SIZE ? value & ((1ull << width * 8) - 1) : value;
}

void vlapic_write(struct vcpu *vc, u32 offset, u32 width, u64 value)
{
	u32 byte = offset % LAPIC_REG_STEP;

	if (writable(offset - byte, false) == 0) {
		if (!readable(offset - byte, false))
			vlapic_error(vc, ESR_ILLEGAL_REGISTER);
		return;
	}
	if (byte != 0 || width < LAPIC_REG_SIZE)
		return;
	vlapic_put(vc->lapic, offset, (u32)value);
	vlapic_written(vc, offset);
}

/* --- x2APIC --- */

static int write_icr(struct vcpu *vc, u64 value)
{
	struct vlapic *l = vc->lapic;
	u32 low = (u32)value, dest = (u32)(value >> ICR_DEST_AT);

	if ((low & ~ICR_BITS) != 0)
		return -TERN_EINVAL;
	/* Some that read the page for the guest take the upper half from the next register. */
	vlapic_put(l, LAPIC_ICR_LOW, low);
	vlapic_put(l, LAPIC_X2ICR_HIGH, dest);
	vlapic_put(l, LAPIC_ICR_HIGH, dest);
	vlapic_icr(vc, low, dest);
	return 0;
}

static int write_msr(struct vcpu *vc, u32 offset, u64 value)
{
	u64 allowed = writable(offset, true);

	if (allowed == 0)
		return -TERN_EINVAL;
	if (offset == LAPIC_EOI || offset == LAPIC_ESR)
		allowed = 0;
	else if (offset == LAPIC_LVT_LINT0 || offset == LAPIC_LVT_LINT1)
		allowed |= LVT_STATUS | LVT_REMOTE_IRR;
	else if (offset >= LAPIC_LVT_TIMER && offset <= LAPIC_LVT_ERROR)
		allowed |= LVT_STATUS;
	if ((value & ~allowed) != 0)
		return -TERN_EINVAL;
	/* Both bits of the timer's mode: reserved. */
	if (offset == LAPIC_LVT_TIMER && (~value & (LVT_PERIODIC | LVT_DEADLINE)) == 0)
		return -TERN_EINVAL;
	vlapic_put(vc->lapic, offset, (u32)value);
	vlapic_written(vc, offset);
	return 0;
}

static int read_msr(struct vcpu *vc, u32 offset, u64 *value)
{
	if (!readable(offset, true) || offset == LAPIC_EOI)
		return -TERN_EINVAL;
	*value = read_register(vc, offset);
	if (offset == LAPIC_ICR_LOW)
		*value |= (u64)vlapic_get(vc->lapic, LAPIC_X2ICR_HIGH) << ICR_DEST_AT;
	return 0;
}

int vlapic_msr(struct vcpu *vc, u32 msr, bool write, u64 *value)
{
	u32 offset = (msr - MSR_X2APIC_BASE) << X2APIC_MSR_SHIFT;

	if (msr == MSR_TSC_DEADLINE) {
		if (write)
			vlapic_timer_set_deadline(vc, *value);
		else
			*value = vlapic_timer_deadline(vc);
		return 0;
	}
	if (UNLIKELY(!vlapic_is_x2(vc) || offset >= LAPIC_END))
		return -TERN_EINVAL;
	if (!write)
		return read_msr(vc, offset, value);
	if (LIKELY(offset == LAPIC_ICR_LOW))
		return write_icr(vc, *value);
	if (LIKELY(offset == LAPIC_EOI && *value == 0)) {
		vlapic_eoi(vc);
		return 0;
	}
	return write_msr(vc, offset, *value);
}
