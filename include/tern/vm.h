/* SPDX-License-Identifier: MIT */
/*
 * Virtual machines and vCPUs (hv/vm). A vCPU is run by one CPU at a time, its owner; what has (o)
 * belongs to the owner, what has (s) to the run queue's lock, the rest is constant or atomic.
 */
#ifndef TERN_VM_H
#define TERN_VM_H

#include <tern/dev.h>
#include <tern/gmem.h>
#include <tern/op_count.h>
#include <tern/platform.h>
#include <tern/sched.h>
#include <tern/types.h>
#include <tern/virt.h>
#include <tern/vlapic.h>

#define VMS_MAX          64u
#define VCPUS_PER_VM_MAX 64u
#define VM_NAME_MAX      32u
#define VM_REASON_MAX    160u
#define VM_MODULES_MAX   8u
#define VM_DISKS_MAX     4u
#define VM_NICS_MAX      4u

/* Exits by reason, for the shell's exits VM; a backend says which by vcpu_count_as(). */
enum exit_stat {
	STAT_CPUID,
	STAT_RDMSR,
	STAT_WRMSR,
	STAT_CR,
	STAT_DR,
	STAT_XSETBV,
	STAT_PIO,
	STAT_MMIO,
	STAT_TOUCH,
	STAT_HYPERCALL,
	STAT_HLT,
	STAT_PAUSE,
	STAT_HOST_IRQ,
	STAT_IRQ_WINDOW,
	STAT_EXCEPTION,
	STAT_TASK_SWITCH,
	STAT_DESCRIPTOR,
	STAT_TIMER,
	STAT_APIC,
	STAT_OTHER,
	STAT_COUNT,
};
const char *exit_stat_name(enum exit_stat stat);

struct exit_count {
	u64 count, ticks;  /* (o) TSC ticks from exit to the next entry */
	u64 ops[OP_COUNT]; /* (o) in builds that count them */
};

enum vcpu_state {
	VCPU_OFF,      /* waits for SIPI, or the VM is not started */
	VCPU_RUNNABLE, /* in a run queue or running */
	VCPU_HALTED,   /* HLT: an interrupt wakes it */
	VCPU_STALLED,  /* touched memory the node cannot back */
	VCPU_STOPPED,  /* for ever: the VM died */
};

#define VCPU_NO_START UINT32_MAX

/* Bits of vcpu.kick. */
#define KICK_LEAVE 1u /* leave it: the VM's state or the run queue has changed */
#define KICK_LOOK  2u /* requests, interrupts or work of devices wait */
/* Bits of vcpu.requests. */
#define REQUEST_INIT 1u
#define REQUEST_NMI  2u

struct agent;
struct vm_boot;
struct vcpu_arch; /* arch/x86_64/guest/guest.h */

struct vcpu {
	struct vm *vm;          /* (c) */
	u32 index;              /* (c) in the VM, and its APIC id */
	struct vcpu_arch *arch; /* (c) */
	struct vlapic *lapic;   /* (c) */
	u64 *gpr;               /* (c) of arch: REG_RAX to REG_R15, but not REG_RSP; content (o) */
	enum vcpu_state state;  /* (a) its owner's to change; the VM lock's while nobody runs it */
	u32 kick;               /* (a) KICK_*: before it enters the guest again */
	u32 requests;           /* (a) REQUEST_*: what arrived for it */
	u64 wake_at;            /* (o) host TSC when its LAPIC's timer is due, UINT64_MAX: never */
	struct timer timer;     /* kicks it then, while it sleeps */
	u32 event;              /* (a) 1: something is there that ends HLT */
	u32 start_vector; /* (v) VCPU_NO_START, or where it starts when it is VCPU_OFF: SIPI */
	gpa_t stalled_at; /* (o) */
	bool stalled;     /* (o) the last touch could not be backed, and the log said so */
	struct sched_vcpu sched;
	struct exit_count *exit; /* (o) of exits: as which the last one counts */
	struct exit_count exits[STAT_COUNT];
};

/* The exit that is being handled counts as one of these. The owner. */
static inline void vcpu_count_as(struct vcpu *vc, enum exit_stat stat)
{
	vc->exit = &vc->exits[stat];
}

enum vm_state { VM_NONE, VM_CREATED, VM_RUNNING, VM_PAUSED, VM_STOPPED, VM_DYING };

struct vm {
	u32 id;                 /* (c) from 1 */
	char name[VM_NAME_MAX]; /* (c) */
	enum vm_state state;    /* (a) to read, (v) to change: vm->lock, RANK_VM */
	struct spinlock lock;
	u32 vcpu_count;                       /* (c) */
	struct vcpu *vcpus[VCPUS_PER_VM_MAX]; /* (c) */
	u32 weight, cap;                      /* (c) see sched.h */
	struct gmem mem;
	struct dev_bus bus;
	struct platform platform;   /* (c) */
	bool backend;               /* (c) virt_ops.vm_create() has been called */
	u64 stall_logged;           /* (a) TSC of the last line about a stall */
	char reason[VM_REASON_MAX]; /* (v) why it stopped */
	u32 work;                   /* (a) 1: a device of its bus wants dev_ops.work called */
	u32 resumed;                /* (a) 1: dev_ops.resumed is to be called; work is 1, too */
	u64 time;                   /* (a) see vm_time.h; (v) to change */
	u64 time_base; /* (v) host TSC when its time was 0; constant while a vCPU runs */
	/* (c) Unix time at a value of the host's TSC; 0: not known. */
	u64 wall_seconds, wall_tsc;
	struct vm_boot *boot; /* (c) what vm_make_load() loads, hv/vm/vm_make.c */
	bool reset_wanted;    /* (v) stopped to begin anew */
	struct agent *agent;  /* (c) tern/agent.h; content: the bus lock */
	void *arch;           /* (c) the backend's */
	bool log_off;         /* (c) output of its 16550 does not go to the log */
};

/* What a new VM shall be; strings are copied. */
struct vm_config {
	const char *name;
	u64 memory; /* bytes advertised, a multiple of 4 KiB, at least 64 KiB */
	u32 vcpus;
	u32 weight;         /* 0: SCHED_WEIGHT_DEFAULT */
	u32 cap;            /* per cent of one CPU, 0: none */
	const char *kernel; /* boot module: a Linux bzImage, a PVH or a Multiboot 1 kernel */
	const char *initrd; /* boot module, or NULL */
	const char *modules[VM_MODULES_MAX];
	u32 module_count;
	const char *cmdline; /* NULL: "" */
	/* Words: "MODULE", or "none" for a disk without an image; then "size=SIZE", "ro". */
	const char *disks[VM_DISKS_MAX];
	u32 disk_count;
	/* Words: name of the switch; then "mac=XX:XX:XX:XX:XX:XX". */
	const char *nics[VM_NICS_MAX];
	u32 nic_count;
	bool log_off; /* see struct vm */
	bool testdev; /* test devices: hv/dev/testdev.c */
};

/*
 * The functions of this part run on the boot CPU, in thread context: it alone reads and changes the
 * table of VMs, so a VM that it found stays for as long as it looks.
 */
/* -TERN_EEXIST, -TERN_EINVAL, -TERN_ENOENT, -TERN_ENOMEM, -TERN_ENOSPC, -TERN_ENODEV; why gets a
 * sentence. The VM has its kernel in memory and waits for vm_start(). */
MUST_CHECK int vm_create(const struct vm_config *config, char *why, size_t why_size);
/* By name or decimal id, with its lock held. */
struct vm_locked {
	struct vm *vm;
	lock_token token;
};
MUST_CHECK bool vm_find_locked(const char *name, struct vm_locked *out);
void vm_unlock(struct vm_locked l);
/* Each: -TERN_EINVAL in a state it makes no sense in. The lock is held. A VM that has stopped can be started
 * again: see vm_reset(). */
MUST_CHECK int vm_start(struct vm_locked l);
MUST_CHECK int vm_pause(struct vm_locked l);
MUST_CHECK int vm_resume(struct vm_locked l);
MUST_CHECK int vm_stop(struct vm_locked l, const char *reason);
/* Stops it, and has it begin anew as soon as no CPU runs it: fresh memory, the same kernel. */
MUST_CHECK int vm_reset(struct vm_locked l, const char *reason);
/* Stops it if need be. Returns at once; memory is scrubbed in idle time. The name is free again when
 * that is done. */
MUST_CHECK int vm_destroy(struct vm_locked l);
/*
 * What a vCPU is at, for people. A VM that runs is paused meanwhile, some microseconds; reading its memory may set
 * accessed bits in its page tables. -TERN_EBUSY: a CPU does not let go of a vCPU. No lock is held.
 */
#define VCPU_DUMP_STACK  16u
#define VCPU_DUMP_FRAMES 16u
struct vcpu_dump {
	enum vcpu_state state;
	u64 regs[REG_COUNT];
	struct vcpu_seg segs[SEG_COUNT];
	struct vlapic_view lapic;
	u32 word; /* bytes of a word of its stack: 2, 4 or 8 */
	u32 stack_count, frame_count;
	u64 stack[VCPU_DUMP_STACK];   /* from RSP up, as much as could be read */
	u64 frames[VCPU_DUMP_FRAMES]; /* RIP, then where frame pointers say that it returns to */
};
MUST_CHECK int vm_dump(struct vm *vm, u32 index, struct vcpu_dump *out);
/*
 * Puts the guest tools, the boot module VM_TOOLS_MODULE, into the VM's disk for them, or takes them out; *size: bytes
 * of them. -TERN_ENOENT: the node has no such module; -TERN_ENODEV: the VM no such disk; -TERN_EEXIST: it is so
 * already. No lock is held.
 */
#define VM_TOOLS_MODULE "guest-tools.iso"
MUST_CHECK int vm_tools(struct vm *vm, bool in, u64 *size);
/* The i-th VM in use, or NULL. */
struct vm *vm_get(u32 index);
/* By name or decimal id, or NULL. */
struct vm *vm_find(const char *name);
/* Idle work: gives back a little of what destroyed VMs had; true when there is more. */
bool vm_idle_work(void);
/* Lets stalled vCPUs try again, looks after agents. Every few milliseconds. */
void vm_poll(void);
/* Creates the VMs of the configuration and starts those that want it. Once. */
void vm_create_configured(void);

/* --- any CPU --- */
const char *vm_state_name(enum vm_state state);
const char *vcpu_state_name(enum vcpu_state state);
/* The guest did what cannot go on: stops that VM alone. IRQs off or on, at most the bus lock held. */
void vm_kill(struct vm *vm, const char *fmt, ...) PRINTF(2, 3);
/* Runs a vCPU of this CPU's queue until its turn is over, it waits, or pcpu.work is set. False: none
 * was runnable. Thread context. */
bool vcpu_run_slice(void);
/* Ends the HLT it is in, or the next one. */
void vcpu_notify(struct vcpu *vc);
/* Something waits for it (an interrupt was posted, the 8259 asks): it looks before it executes another
 * instruction, and wakes from HLT if that is worth it. Any CPU, any context but NMI; at most a bus lock and
 * locks of rank below RANK_VM held. */
void vcpu_kick(struct vcpu *vc);
/* Prepares what the calls above need. Before it runs. */
void vcpu_run_init(struct vcpu *vc);
/* As it was before it ever ran; it does not run. */
void vcpu_run_reset(struct vcpu *vc);
/* An NMI, or an INIT, arrives. As vcpu_kick(). */
void vcpu_nmi(struct vcpu *vc);
void vcpu_init(struct vcpu *vc);
/* Starts a vCPU that is off in real mode at vector << 12, as a SIPI does (SDM vol. 3A 9.4). -TERN_EBUSY:
 * it is not off. Not its own VM's lock held. */
MUST_CHECK int vcpu_start_at(struct vcpu *vc, u8 vector);

#endif
