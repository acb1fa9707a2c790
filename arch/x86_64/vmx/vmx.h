/* SPDX-License-Identifier: MIT */
/* What the files of the VT-x backend share. */
#ifndef VMX_H
#define VMX_H

#include <tern/pcpu.h>
#include <tern/types.h>
#include <tern/vm.h>

#include "../guest/guest.h"
#include "vmx_caps.h"

/* A VM. */
struct vmx_vm {
	struct cpuid_policy cpuid; /* (c) */
	u64 ept_pointer;           /* (c) */
	u64 cr4_allowed;           /* (c) what the policy offers */
	u64 efer_allowed;          /* (c) */
	u64 xcr0_allowed;          /* (c) */
	u8 phys_bits;              /* (c) */
	u64 flush_generation;      /* (a) rises with each npt_flush(), and never wraps */
	u64 seen[CPUS_MAX];        /* (a) generation that each CPU has last invalidated for */
};
_Static_assert(sizeof(struct vmx_vm) <= PAGE_SIZE, "one page a VM");

/* What was being delivered to the guest when an exit came (SDM vol. 3C 28.2.4). */
struct vmx_vectoring {
	u32 info; /* as the VMCS has it; 0: nothing */
	u32 error;
	u32 len;
};

/* Where the element of an INS or OUTS lies; it may straddle two pages. */
struct vmx_string {
	gpa_t gpa[2];
	u8 first;      /* bytes on the first page */
	u8 width;      /* bytes */
	u8 addr_width; /* bytes of the index and count registers: 2, 4, 8 */
	bool rep;
};

struct vmx_vcpu {
	struct vcpu_arch arch; /* what vcpu.arch points to */
	struct vmx_vm *vm;     /* (c) */
	hpa_t vmcs;            /* (c) */
	u16 vpid;              /* (c) 0: none */
	bool ready;            /* (o) the VMCS has its constant fields */
	bool loaded;           /* (o) it is current on this CPU */
	/* (o) from here on */
	bool attention; /* an event waits: vmx_event_prepare() has work */
	bool launched;
	u32 cpu;                  /* index of the CPU that ran it last, CPUS_MAX: none */
	struct vmx_vm **in_guest; /* of that CPU: says so while this vCPU is in the guest */
	u64 *seen;                /* of that CPU in vm->seen */
	u64 until;                /* what the preemption timer was set for */
	u64 host_rsp, tsc_offset; /* as the VMCS has them */
	u64 cr0, cr4;             /* read shadows: what the guest wrote */
	u32 proc_controls;        /* as the VMCS has them */
	bool apicv;               /* the CPU delivers interrupts by itself: vmx_apic.c */
	u8 threshold;             /* of the TPR, as the VMCS has it */
	u64 eoi_exits[4];         /* as the VMCS has them */
	struct vmx_vectoring vectoring;
	struct vcpu_event interrupt; /* its delivery was put off: it has left the APIC */
	bool triple_fault;
	struct vmx_string string;
	u64 msr_value; /* what RDMSR reads: here and not on the stack, whose guard costs more */
};

/* Both, and the extended state behind them, share a page where that is large enough. */
#define VMX_XSAVE_OFFSET 1024u
_Static_assert(sizeof(struct vmx_vcpu) <= VMX_XSAVE_OFFSET, "extended state follows");

static inline struct vmx_vcpu *vmx_of(const struct vcpu *vc)
{
	return container_of(vc->arch, struct vmx_vcpu, arch);
}

/* --- vmcs.c --- */
void vmcs_clear(hpa_t vmcs);
void vmcs_load(hpa_t vmcs);
/* Fills the current VMCS, but for what vmcs_reset_guest() and vmcs_set_host() write. */
void vmcs_init(struct vcpu *vc);
void vmcs_reset_guest(struct vmx_vcpu *v);
/* Host state that differs from CPU to CPU. */
void vmcs_set_host(const struct pcpu *pc);
/* INVVPID of one vCPU, INVEPT of one VM, on this CPU. */
void vmcs_invvpid(u16 vpid);
void vmcs_invept(u64 ept_pointer);

/* --- vmx_switch.c: state that no VMCS field holds; IRQs off --- */
/* Finds the host's extended states on the first CPU. */
void vmx_switch_init(void);
u64 vmx_switch_xcr0(void);
u32 vmx_switch_xsave_size(void);
/* Loads XCR0. */
void vmx_switch_write_xcr0(u64 value);
void vmx_switch_reset(struct vcpu_arch *a);
void vmx_switch_in(struct vcpu_arch *a);
void vmx_switch_out(struct vcpu_arch *a);

/* --- vmx_seg.c --- */
u64 vmx_reg_get(struct vcpu *vc, enum vcpu_reg reg);
void vmx_reg_set(struct vcpu *vc, enum vcpu_reg reg, u64 value);
void vmx_seg_get(struct vcpu *vc, enum vcpu_segment seg, struct vcpu_seg *out);
void vmx_seg_set(struct vcpu *vc, enum vcpu_segment seg, const struct vcpu_seg *in);
void vmx_seg_write(enum vcpu_segment seg, const struct vcpu_seg *in);
void vmx_seg_read(enum vcpu_segment seg, struct vcpu_seg *out);
/* True in 64-bit code (EFER.LMA and CS.L). */
bool vmx_seg_is_long(void);

/* --- vmx_cr.c --- */
u64 vmx_cr0_get(const struct vmx_vcpu *v);
u64 vmx_cr4_get(const struct vmx_vcpu *v);
void vmx_cr0_set(struct vmx_vcpu *v, u64 value);
void vmx_cr4_set(struct vmx_vcpu *v, u64 value);
void vmx_efer_set(u64 value);
/* CR3 of a task switch. Before it, with PAE paging: reads the PDPTEs. 0, -TERN_EINVAL: #GP(0),
 * -TERN_EAGAIN: *at is to be backed first. Then the change; pdpte NULL: no PAE paging. */
MUST_CHECK int vmx_cr3_prepare(struct vcpu *vc, u64 cr3, u64 pdpte[4], gpa_t *at);
void vmx_cr3_set(struct vcpu *vc, u64 cr3, const u64 pdpte[4]);
void vmx_pdptes_get(u64 pdpte[4]);
/* Exits of MOV to and from CR, CLTS, LMSW; XSETBV. */
void vmx_cr_access(struct vcpu *vc, struct vm_exit *out);
void vmx_cr_xsetbv(struct vcpu *vc, struct vm_exit *out);

/* --- vmx_event.c --- */
void vmx_inject(struct vcpu *vc, const struct vcpu_event *event);
void vmx_event_gp(struct vcpu *vc);
void vmx_event_ud(struct vcpu *vc);
/* Keeps what an exit interrupted the delivery of. */
void vmx_event_save_vectoring(struct vmx_vcpu *v);
/* An exit from IRET, which had unblocked NMIs already: blocks them again (SDM vol. 3C 28.2.3). */
void vmx_event_block_nmi(void);
/* Puts into the VMCS what is to be delivered. False: it is a triple fault. */
MUST_CHECK bool vmx_event_prepare(struct vcpu *vc);
void vmx_event_window(struct vmx_vcpu *v, u32 control, bool on);
void vmx_event_exception(struct vcpu *vc, struct vm_exit *out);

/* --- vmx_apic.c --- */
/* Puts an interrupt that waits into the VMCS; open: the guest can take one now. True: one waits for the
 * window. */
MUST_CHECK bool vmx_apic_put(struct vcpu *vc, bool open);
/* msr_backend.apic */
MUST_CHECK int vmx_apic_msr(struct vcpu *vc, u32 msr, bool write, u64 *value);
/* EOI-induced exit, APIC write, TPR below threshold. */
void vmx_apic_exit(struct vcpu *vc, u32 reason);

/* --- vmx_exit.c --- */
void vmx_exit_decode(struct vcpu *vc, u32 reason, struct vm_exit *out);
void vmx_skip(struct vcpu *vc, const struct vm_exit *exit);
/* Skips the instruction of this exit. */
void vmx_exit_skip(struct vcpu *vc, struct vm_exit *out);

/* --- vmx_msr.c --- */
extern const struct msr_backend vmx_msr_backend;
void vmx_msr_read(struct vcpu *vc, struct vm_exit *out);
void vmx_msr_write(struct vcpu *vc, struct vm_exit *out);

/* --- vmx_pio.c --- */
void vmx_pio_decode(struct vcpu *vc, struct vm_exit *out);
void vmx_pio_done(struct vcpu *vc, const struct vm_exit *exit);

/* --- vmx_task.c --- */
void vmx_task_switch(struct vcpu *vc, struct vm_exit *out);

/* --- vmx_tlb.c; more of it in vmx_tlb.h --- */
/* Drops this vCPU's translations of linear addresses on this CPU. */
void vmx_flush_linear(const struct vmx_vcpu *v);

/* --- vmx.c --- */
/* An exit whose reason says that the entry failed on what the VMCS holds. */
void vmx_entry_failed(struct vcpu *vc, u32 reason, struct vm_exit *out);

#endif
