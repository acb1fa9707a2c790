/* SPDX-License-Identifier: MIT */
/*
 * Interrupts of a vCPU's local APIC on their way into the guest. Where the CPU has APIC-register
 * virtualization and virtual-interrupt delivery (SDM vol. 3C chapter 30), a guest in x2APIC mode takes
 * interrupts and ends them without an exit: here only what was posted is made known to the CPU. In
 * the other modes, and on other CPUs, one is injected when the guest can take it, and the TPR
 * threshold or the interrupt window says when that is.
 */
#include <tern/err.h>
#include <tern/lib.h>
#include <tern/vlapic.h>

#include "../guest/vlapic_regs.h"
#include "../x86.h"
#include "vmcs_access.h"
#include "vmx.h"
#include "vmx_bitmaps.h"
#include "vmx_decode.h"
#include "vmx_regs.h"

/* Guest interrupt status, SDM vol. 3C 25.4.2: requesting and servicing virtual interrupt. */
#define STATUS_RVI       0xffu
#define STATUS_SVI_SHIFT 8

#define CLASS_SHIFT 4 /* of a vector: its priority class, SDM vol. 3A 11.8.3 */

static void set_threshold(struct vmx_vcpu *v, u32 class)
{
	if (v->threshold == class || (v->proc_controls & PROC_TPR_SHADOW) == 0)
		return;
	v->threshold = (u8) class;
	vmwrite32(VMCS_TPR_THRESHOLD, class);
}

static u32 vector_or_0(int vector)
{
	return vector == VLAPIC_NONE ? 0 : (u32)vector;
}

static bool virtualizes(const struct vcpu *vc)
{
	const u64 x2apic = APIC_BASE_ENABLE | APIC_BASE_X2APIC;

	return (vc->arch->apic_base & x2apic) == x2apic &&
	       (vmx_caps.proc2.use & PROC2_APICV) == PROC2_APICV;
}

static void write_eoi_exits(struct vmx_vcpu *v, const u64 bits[4])
{
	vmwrite64(VMCS_EOI_EXIT_BITMAP0, bits[0]);
	vmwrite64(VMCS_EOI_EXIT_BITMAP1, bits[1]);
	vmwrite64(VMCS_EOI_EXIT_BITMAP2, bits[2]);
	vmwrite64(VMCS_EOI_EXIT_BITMAP3, bits[3]);
	for (u32 i = 0; i < ARRAY_SIZE(v->eoi_exits); i++)
		v->eoi_exits[i] = bits[i];
}

/* The mode of the APIC has changed. */
static void switch_mode(struct vcpu *vc, bool on)
{
	static const u64 none[4];
	struct vmx_vcpu *v = vmx_of(vc);
	u32 proc2 = vmx_caps.proc2.use & ~PROC2_APICV;

	if (v->vpid == 0)
		proc2 &= ~PROC2_VPID;
	v->apicv = on;
	vmwrite32(VMCS_PROC2_CONTROLS, on ? proc2 | PROC2_APICV : proc2);
	vmwrite64(VMCS_MSR_BITMAP, vmx_bitmaps_msr(on).v);
	set_threshold(v, 0);
	if (!on)
		return;
	write_eoi_exits(v, none);
	vmwrite16(VMCS_GUEST_INTR_STATUS,
		  (u16)(vector_or_0(vlapic_in_service(vc)) << STATUS_SVI_SHIFT));
}

/* The CPU finds the rest in the page: RVI, and which EOIs the I/O APIC waits for. */
static void tell_cpu(struct vcpu *vc, int highest)
{
	struct vmx_vcpu *v = vmx_of(vc);
	u16 status = vmread16(VMCS_GUEST_INTR_STATUS);
	u16 wanted = (u16)((status & ~STATUS_RVI) | vector_or_0(highest));
	u64 bits[4];

	if (wanted != status)
		vmwrite16(VMCS_GUEST_INTR_STATUS, wanted);
	vlapic_eoi_exits(vc, bits);
	if (((bits[0] ^ v->eoi_exits[0]) | (bits[1] ^ v->eoi_exits[1]) |
	     (bits[2] ^ v->eoi_exits[2]) | (bits[3] ^ v->eoi_exits[3])) != 0)
		write_eoi_exits(v, bits);
}

static bool pic_asks(const struct vcpu *vc)
{
	const struct device *pic = vc->vm->platform.pic;

	return pic != NULL && vpic_asks(pic) && vlapic_takes_extint(vc);
}

/* Takes in what was posted, and tells the CPU of it. The vector that Tern is to inject, or VLAPIC_NONE. */
static int sync(struct vcpu *vc)
{
	struct vmx_vcpu *v = vmx_of(vc);
	int highest = vlapic_sync(vc, rdtsc()), next, blocked;

	if (v->apicv) {
		tell_cpu(vc, highest);
		return VLAPIC_NONE;
	}
	next = vlapic_pending(vc, &blocked);
	/* Before every entry with another TPR: a threshold above it fails the entry (SDM vol. 3C 27.2.1.1). */
	set_threshold(v, vector_or_0(blocked) >> CLASS_SHIFT);
	return next;
}

bool vmx_apic_put(struct vcpu *vc, bool open)
{
	struct vmx_vcpu *v = vmx_of(vc);
	/* One whose delivery was put off has left the APIC already. */
	bool put_off = v->interrupt.type != EVENT_NONE;
	int next;

	if (UNLIKELY(v->apicv != virtualizes(vc)))
		switch_mode(vc, !v->apicv);
	next = sync(vc);
	if (!put_off && next == VLAPIC_NONE && !pic_asks(vc))
		return false;
	if (!open)
		return true;
	if (!put_off && next != VLAPIC_NONE) {
		vlapic_accept(vc, next);
		v->interrupt.vector = (u8)next;
	} else if (!put_off) {
		v->interrupt.vector = vpic_ack(vc->vm->platform.pic);
		vlapic_extint_taken(vc);
	}
	v->interrupt.type = EVENT_INTERRUPT;
	vmwrite32(VMCS_ENTRY_INTR_INFO, vmx_decode_entry_info(&v->interrupt, true));
	v->interrupt.type = EVENT_NONE;
	/* What is left may be of higher priority: the 8259's, or beside one that was put off the APIC's. Else
	 * the APIC's others wait for EOI. */
	return (put_off && next != VLAPIC_NONE) || pic_asks(vc);
}

int vmx_apic_msr(struct vcpu *vc, u32 msr, bool write, u64 *value)
{
	int rc = vlapic_msr(vc, msr, write, value);

	/* A timer that is due and an IPI to itself make themselves felt. */
	if (write && msr != MSR_TSC_DEADLINE &&
	    msr != MSR_X2APIC_BASE + (LAPIC_ICR_LOW >> X2APIC_MSR_SHIFT))
		vmx_of(vc)->attention = true;
	return rc;
}

void vmx_apic_exit(struct vcpu *vc, u32 reason)
{
	u64 q;

	vmx_of(vc)->attention = true;
	switch (reason) {
	case EXIT_REASON_EOI:
		q = vmread(VMCS_EXIT_QUALIFICATION);
		vlapic_eoi_broadcast(vc, (u8)q);
		return;
	case EXIT_REASON_APIC_WRITE:
		q = vmread(VMCS_EXIT_QUALIFICATION);
		vlapic_written(vc, (u32)q & (PAGE_SIZE - 1));
		return;
	default: /* TPR below threshold */
		return;
	}
}
