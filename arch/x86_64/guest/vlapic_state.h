/* SPDX-License-Identifier: MIT */
/* What the files of the virtual local APIC share: its state, and the calls between them. */
#ifndef VLAPIC_STATE_H
#define VLAPIC_STATE_H

#include <arch/x86_64/x86_regs.h>
#include <tern/vlapic.h>
#include <tern/vm.h>

#include "guest.h"
#include "vlapic_regs.h"

/* Times are values of the host's TSC. */
struct vlapic_timer {
	u64 due;      /* when it expires next, masked or not; UINT64_MAX: it is stopped */
	u64 period;   /* ticks in the initial count */
	u64 unit;     /* ticks in one count */
	u64 deadline; /* IA32_TSC_DEADLINE: guest's TSC, 0: not armed */
	u32 lvt;      /* what the timer goes by: the LVT register before the write being done */
};

struct vlapic {
	u64 posted[4]; /* (a) vectors that have arrived and are not in IRR yet */
	u64 level[4];  /* (a) their trigger modes: what TMR gets */
	u32 errors;    /* (a) what the next write of ESR shows */
	u32 lowest;    /* (a) of vCPU 0: who took the VM's last lowest-priority message */
	bool extint;   /* (a) a message asked for a vector of the 8259 */
	/* (c); content (o), but others read with vlapic_get() */
	void *page ALIGNED(64);
	struct vlapic_timer timer; /* (o) */
};
_Static_assert(sizeof(struct vlapic) <= PAGE_SIZE, "it has one page");

static inline u32 *vlapic_reg(const struct vlapic *l, u32 offset)
{
	return (u32 *)(void *)((char *)l->page + offset);
}

static inline u32 vlapic_get(const struct vlapic *l, u32 offset)
{
	return __atomic_load_n(vlapic_reg(l, offset), __ATOMIC_RELAXED);
}

static inline void vlapic_put(struct vlapic *l, u32 offset, u32 value)
{
	__atomic_store_n(vlapic_reg(l, offset), value, __ATOMIC_RELAXED);
}

static inline u64 vlapic_mode(const struct vcpu *vc)
{
	return __atomic_load_n(&vc->arch->apic_base, __ATOMIC_RELAXED) &
	       (APIC_BASE_ENABLE | APIC_BASE_X2APIC);
}

/* IA32_APIC_BASE: the APIC exists. */
static inline bool vlapic_present(const struct vcpu *vc)
{
	return (vlapic_mode(vc) & APIC_BASE_ENABLE) != 0;
}

static inline bool vlapic_is_x2(const struct vcpu *vc)
{
	return vlapic_mode(vc) == (APIC_BASE_ENABLE | APIC_BASE_X2APIC);
}

/* It takes interrupts: enabled in IA32_APIC_BASE and by software. */
static inline bool vlapic_enabled(const struct vcpu *vc)
{
	return vlapic_present(vc) && (vlapic_get(vc->lapic, LAPIC_SVR) & SVR_ENABLE) != 0;
}

/* The highest of the 256 bits in the eight registers from base, or VLAPIC_NONE. */
static inline int vlapic_highest(const struct vlapic *l, u32 base)
{
	for (u32 i = LAPIC_VECTOR_REGS; i-- > 0;) {
		u32 bits = vlapic_get(l, base + i * LAPIC_REG_STEP);

		if (bits != 0)
			return (int)(i * 32 + 31) - __builtin_clz(bits);
	}
	return VLAPIC_NONE;
}

/* --- vlapic.c --- */
/* PPR after a change of TPR or ISR (SDM vol. 3A 11.8.3.1); returns it. Owner. */
u32 vlapic_update_ppr(struct vlapic *l);

/* --- vlapic_send.c; any CPU --- */
/* The vector arrives, which is legal and whose APIC is enabled. */
void vlapic_post(struct vcpu *vc, u32 vector, bool level);
/* An interrupt of the vCPU's own APIC: an LVT entry, or a self IPI. */
void vlapic_post_local(struct vcpu *vc, u32 vector);
/* Notes ESR bits; the error interrupt follows unless others wait to be read (SDM vol. 3A 11.5.3). */
void vlapic_error(struct vcpu *vc, u32 bits);
/* Sends what ICR says; dest as the mode of vc has it. Owner. */
void vlapic_icr(struct vcpu *vc, u32 low, u32 dest);

/* --- vlapic_timer.c; owner --- */
/* Stopped, as after reset; the LVT and divide registers were set before. */
void vlapic_timer_reset(struct vcpu *vc);
/* Lets time pass up to now. True: its interrupt is to be delivered, once, by the caller. */
bool vlapic_timer_expire(struct vcpu *vc, u64 now);
/* After the register in the page has changed. */
void vlapic_timer_lvt_written(struct vcpu *vc);
void vlapic_timer_initial_written(struct vcpu *vc);
void vlapic_timer_divide_written(struct vcpu *vc);
u32 vlapic_timer_count(struct vcpu *vc);
/* IA32_TSC_DEADLINE. */
void vlapic_timer_set_deadline(struct vcpu *vc, u64 value);
u64 vlapic_timer_deadline(struct vcpu *vc);

#endif
