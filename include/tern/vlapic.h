/* SPDX-License-Identifier: MIT */
/*
 * The local APIC of a vCPU (arch/x86_64/guest/vlapic.c), SDM vol. 3A chapter 11: xAPIC and x2APIC. Its
 * registers lie in one page as SDM vol. 3A table 11-1 has them, which on VT-x is also the virtual-APIC
 * page. Interrupts from others are posted beside that page, in bits that any CPU may set; only the
 * CPU that runs the vCPU, its owner, touches the page. vc->wake_at is always the host's TSC value at which
 * the timer's next interrupt is due, or UINT64_MAX.
 */
#ifndef TERN_VLAPIC_H
#define TERN_VLAPIC_H

#include <tern/addr.h>
#include <tern/types.h>

struct vcpu;
struct vm;
struct vlapic;

#define VLAPIC_BASE 0xfee00000ull /* IA32_APIC_BASE after reset; SDM vol. 3A 11.4.5 */
#define VLAPIC_NONE (-1)          /* no vector */

/* Delivery modes of the ICR, of LVT entries, redirection entries and MSI data; SDM vol. 3A 11.6.1. */
enum apic_delivery {
	APIC_FIXED = 0,
	APIC_LOWEST = 1,
	APIC_SMI = 2,
	APIC_NMI = 4,
	APIC_INIT = 5,
	APIC_SIPI = 6,
	APIC_EXTINT = 7,
};

/* One interrupt message as it travels from an I/O APIC, a device's MSI or an ICR. */
struct apic_message {
	u32 dest;     /* APIC id or logical destination: 8 bits, or 32 from an x2APIC's ICR */
	bool x2apic;  /* dest has 32 bits */
	bool logical; /* destination mode */
	bool level;   /* trigger mode */
	bool assert;  /* of a level-triggered INIT: false is the de-assert, which does nothing */
	u8 vector;
	enum apic_delivery delivery;
};

/* --- thread context, nothing runs: -TERN_ENOMEM; sets vc->lapic --- */
MUST_CHECK int vlapic_create(struct vcpu *vc);
void vlapic_destroy(struct vcpu *vc);
/* The page of registers. */
hpa_t vlapic_page(const struct vcpu *vc);

/* For people: vectors that wait (posted ones too) and that are in service, bit v % 64 of word v / 64. Nothing runs. */
struct vlapic_view {
	bool present, enabled; /* by IA32_APIC_BASE; and by software */
	u8 tpr;
	u64 irr[4], isr[4];
};
void vlapic_view(const struct vcpu *vc, struct vlapic_view *out);

/* --- any CPU, any context but NMI; at most the bus lock is held --- */
/* To all vCPUs that m addresses; one with a vector below 16 is dropped (SDM vol. 3A 11.5.2). Wakes and
 * kicks them. Takes no lock above RANK_BUS itself but those of vcpu_kick(). */
void vlapic_send(struct vm *vm, const struct apic_message *m);
/* An MSI: address and data as SDM vol. 3A 11.11 has them. An address outside 0xfeexxxxx is ignored. */
void vlapic_msi(struct vm *vm, u64 address, u32 data);
/* True when the vCPU, asleep in HLT, has an interrupt that it would take if RFLAGS.IF is set. */
bool vlapic_wakes(struct vcpu *vc);
/* True when the vCPU takes what the 8259 asks for: LINT0 is unmasked ExtINT, or the APIC is off. */
bool vlapic_takes_extint(const struct vcpu *vc);

/* --- the owner, IRQs off, no lock held --- */
/* Power-on (init false) or INIT (true), SDM vol. 3A 11.4.7, in the mode that IA32_APIC_BASE has by then. At
 * power-on LINT0 of vCPU 0 is an unmasked ExtINT, as firmware would leave it. */
void vlapic_reset(struct vcpu *vc, bool init);
/* IA32_APIC_BASE has been written; value was checked by msr.c, which keeps it. */
void vlapic_base_changed(struct vcpu *vc, u64 old, u64 value);
/* vc->arch->tsc_offset has changed: the deadline stays a value of the guest's TSC. */
void vlapic_tsc_moved(struct vcpu *vc);
/* The VM's time stood still for so many ticks (or went ahead by as many: a negative number), and so did the guest's TSC
 * with the offset that it has now: the timer is due that much later. */
void vlapic_time_moved(struct vcpu *vc, u64 ticks);
/* x2APIC MSRs (800h to 8FFh, in x2APIC mode) and IA32_TSC_DEADLINE: as msr_backend.apic. 0, or
 * -TERN_EINVAL: #GP(0). */
MUST_CHECK int vlapic_msr(struct vcpu *vc, u32 msr, bool write, u64 *value);
/* xAPIC registers, offset in the page, aligned as the access; width 1 to 8. Reads of what is no register
 * give 0, writes vanish, and both are noted in ESR. TPR (80h) also in x2APIC mode: CR8 is its bits 7:4. */
u64 vlapic_read(struct vcpu *vc, u32 offset, u32 width);
void vlapic_write(struct vcpu *vc, u32 offset, u32 width, u64 value);
/* The CPU has written a register into the page itself (APIC-write exit, SDM vol. 3C 30.4.3.3): does what
 * the write is to do. */
void vlapic_written(struct vcpu *vc, u32 offset);
/* Moves what was posted, and the timer's interrupt if now is past its deadline, to IRR. Returns the highest
 * vector in IRR, or VLAPIC_NONE. */
int vlapic_sync(struct vcpu *vc, u64 now);
/* After vlapic_sync(): the vector to deliver now: highest in IRR, above the processor priority, the APIC
 * enabled; or VLAPIC_NONE. *blocked, where not NULL: the vector in IRR that the task priority alone holds
 * back, or VLAPIC_NONE: what the TPR threshold is set by. */
int vlapic_pending(struct vcpu *vc, int *blocked);
/* The vector is being delivered: IRR to ISR, PPR follows. */
void vlapic_accept(struct vcpu *vc, int vector);
/* The write of EOI; and the half of it that is left when the CPU has cleared ISR itself (EOI-induced exit):
 * tells the I/O APIC of a level-triggered one. */
void vlapic_eoi(struct vcpu *vc);
void vlapic_eoi_broadcast(struct vcpu *vc, u8 vector);
/* A bit for each vector whose EOI must reach vlapic_eoi_broadcast(): TMR. */
void vlapic_eoi_exits(struct vcpu *vc, u64 bits[4]);
/* Highest vector in ISR, or VLAPIC_NONE. */
int vlapic_in_service(const struct vcpu *vc);
/* The owner has taken a vector from the 8259: an ExtINT message is good for one. */
void vlapic_extint_taken(struct vcpu *vc);

#endif
