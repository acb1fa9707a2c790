/* SPDX-License-Identifier: MIT */
/*
 * The vendor seam: one constant table a backend (vmx, svm, and a fake one for host tests), chosen once
 * at boot. A backend runs a vCPU and turns a hardware exit into a neutral struct vm_exit; x86 truths
 * (CPUID, MSRs, control registers) end in the backend as EXIT_DONE by way of arch/x86_64/guest. One
 * switch in hv/vm/exit.c acts on the rest.
 */
#ifndef TERN_VIRT_H
#define TERN_VIRT_H

#include <tern/addr.h>
#include <tern/types.h>

struct npt_format;
struct pcpu;
struct vcpu;
struct vm;

enum exit_kind {
	EXIT_DONE,      /* finished in the backend: enter again unless the vCPU must stop */
	EXIT_PIO,       /* IN, OUT or one element of INS, OUTS */
	EXIT_MEM,       /* second-level fault: gmem first, then the device bus */
	EXIT_HYPERCALL, /* VMCALL or VMMCALL */
	EXIT_HLT,
	EXIT_PAUSE,    /* PAUSE loop: somebody else may have the CPU */
	EXIT_HOST,     /* a host interrupt came (and has been served) or the time slice is over */
	EXIT_SHUTDOWN, /* triple fault */
	EXIT_RESET,    /* INIT, or what else starts the vCPU anew */
	EXIT_FAILED,   /* the CPU refused to enter; why is in the log: this VM stops */
	EXIT_UNKNOWN,
};

struct exit_pio {
	u16 port;
	u8 width; /* bytes: 1, 2, 4 */
	bool in;  /* IN: the core sets value, virt_ops.pio_done() gives it to the guest */
	bool string;
	u32 value; /* OUT: what the guest wrote, zero-extended */
};

struct exit_mem {
	gpa_t gpa;
	bool write, fetch;
};

struct vm_exit {
	u64 tsc; /* when it came */
	enum exit_kind kind;
	u8 insn_len; /* bytes to skip when the instruction is done; 0: hardware did not say */
	union {
		struct exit_pio pio;
		struct exit_mem mem;
		u64 raw; /* EXIT_UNKNOWN, EXIT_FAILED: for the log */
	};
};

/* Registers by neutral name: save, restore and the debugger never see a vendor. */
enum vcpu_reg {
	REG_RAX,
	REG_RCX,
	REG_RDX,
	REG_RBX,
	REG_RSP,
	REG_RBP,
	REG_RSI,
	REG_RDI,
	REG_R8,
	REG_R9,
	REG_R10,
	REG_R11,
	REG_R12,
	REG_R13,
	REG_R14,
	REG_R15,
	REG_RIP,
	REG_RFLAGS,
	REG_CR0,
	REG_CR2,
	REG_CR3,
	REG_CR4,
	REG_EFER,
	REG_DR7,
	/* PAE paging: what MOV to CR3 loaded, not what memory holds (SDM vol. 3A 4.4.1). */
	REG_PDPTE0,
	REG_PDPTE1,
	REG_PDPTE2,
	REG_PDPTE3,
	REG_COUNT,
};

enum vcpu_segment {
	SEG_ES,
	SEG_CS,
	SEG_SS,
	SEG_DS,
	SEG_FS,
	SEG_GS,
	SEG_LDTR,
	SEG_TR,
	SEG_GDTR,
	SEG_IDTR,
	SEG_COUNT
};

/* attr as the VMCS has access rights (SDM vol. 3C table 25-2): bits 0-7 and 12-16. */
struct vcpu_seg {
	u64 base;
	u32 limit, attr;
	u16 selector;
};

/* An event for the guest (SDM vol. 3A 6.3). */
enum event_type { EVENT_NONE, EVENT_INTERRUPT, EVENT_NMI, EVENT_EXCEPTION };
struct vcpu_event {
	enum event_type type;
	u8 vector;
	bool has_error;
	u32 error;
};

struct virt_ops {         /* at most 24 functions, none NULL */
	const char *name; /* "VT-x", "AMD-V", "fake" */
	/* This CPU, IRQs off. cpu_enable: 0 or -TERN_ENODEV with the reason in the log. */
	int (*cpu_enable)(struct pcpu *pc);
	void (*cpu_disable)(struct pcpu *pc);
	/* How its second-level page tables look: the core makes vm->mem with it before vm_create(). */
	const struct npt_format *(*npt_format)(void);
	/* Hardware state of a VM and of a vCPU; -TERN_ENOMEM. Thread context. */
	int (*vm_create)(struct vm *vm);
	void (*vm_destroy)(struct vm *vm);
	int (*vcpu_create)(struct vcpu *vc);
	void (*vcpu_destroy)(struct vcpu *vc);
	/* Power-on state, SDM vol. 3A table 9-1. The loaded vCPU, IRQs off. */
	void (*vcpu_reset)(struct vcpu *vc);
	/* The vCPU is about to run on this CPU / will not run here any more. IRQs off. */
	void (*vcpu_load)(struct vcpu *vc);
	void (*vcpu_unload)(struct vcpu *vc);
	/* Runs the loaded vCPU until it waits, is kicked, the CPU has other work or TSC value until:
	 * vcpu_loop() of tern/vcpu_loop.h around the backend's entry. True: it wants to go on. IRQs off,
	 * returns with them off. */
	bool (*vcpu_run)(struct vcpu *vc, u64 until);
	/* The loaded vCPU, IRQs off. */
	u64 (*reg_get)(struct vcpu *vc, enum vcpu_reg reg);
	void (*reg_set)(struct vcpu *vc, enum vcpu_reg reg, u64 value);
	void (*seg_get)(struct vcpu *vc, enum vcpu_segment seg, struct vcpu_seg *out);
	void (*seg_set)(struct vcpu *vc, enum vcpu_segment seg, const struct vcpu_seg *in);
	/* Moves RIP past the instruction that made this exit; ends interrupt shadow. The core calls it
	 * for EXIT_HLT, EXIT_PAUSE and EXIT_HYPERCALL. */
	void (*skip)(struct vcpu *vc, const struct vm_exit *exit);
	/* Finishes an EXIT_PIO: IN's value into AL, AX or EAX, or the string element; then skip. */
	void (*pio_done)(struct vcpu *vc, const struct vm_exit *exit);
	/* Delivers an exception, now (vcpu_run merges it with what was under way, SDM vol. 3A 6.15), or an
	 * NMI when it is not blocked. EVENT_INTERRUPT: one may wait in its local APIC or the 8259. */
	void (*inject)(struct vcpu *vc, const struct vcpu_event *event);
	/* No CPU uses a stale second-level translation of the VM after it returns. */
	void (*npt_flush)(struct vm *vm);
};

extern const struct virt_ops virt_vmx; /* arch/x86_64/vmx */

/*
 * The guest accessed gpa, where no memory is (or it wrote to read-only memory): carries out the
 * instruction at its RIP through bus_read() and bus_write() of its VM, then skips it. Parts of its
 * operands that are memory are read by gmem_read(). The loaded vCPU, IRQs off. 0; -TERN_EAGAIN: memory it
 * needs cannot be backed now, nothing was done; -TERN_EINVAL: Tern does not know this instruction:
 * *insn holds its len bytes, as many as could be read.
 */
struct mmio_insn {
	u8 len;
	u8 bytes[15];
};
MUST_CHECK int arch_mmio(struct vcpu *vc, gpa_t gpa, bool write, struct mmio_insn *insn);

/*
 * Copies len bytes that the guest's kernel would find at a linear address, by the page tables of the loaded vCPU. Reads
 * what it may not read itself just now (SMAP), and injects nothing. IRQs off. 0; -TERN_EFAULT: not mapped, or no memory;
 * -TERN_EAGAIN, -TERN_EBUSY as guest_walk(). buf is undefined then.
 */
MUST_CHECK int arch_guest_read_linear(struct vcpu *vc, u64 linear, void *buf, u32 len);

/* What guards against leaks through the CPU at guest entry and exit, for people: "VERW, IBPB, RSB fill",
 * "none needed", "off (mitigations=off)". Returns buf. Once a CPU is enabled. */
const char *virt_mitigations(char *buf, size_t size);

/* The backend of this machine, or NULL: no guests here (the log says why). */
const struct virt_ops *virt_ops_get(void);

#endif
