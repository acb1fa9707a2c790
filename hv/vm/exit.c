/* SPDX-License-Identifier: MIT */
/* The one switch over what a guest can do that needs the core. */
#include "exit.h"

#include <tern/arch.h>
#include <tern/err.h>
#include <tern/lib.h>
#include <tern/log.h>
#include <tern/timer.h>

#define INSN_TEXT (3 * sizeof(((struct mmio_insn *)0)->bytes) + 1)

static void set_state(struct vcpu *vc, enum vcpu_state state)
{
	__atomic_store_n(&vc->state, state, __ATOMIC_RELEASE);
}

/*
 * The cases of the switch below are functions that it ends with, not inlined: then each exit pays for
 * the registers and the stack that it needs itself.
 */
#define OWN_FRAME __attribute__((noinline))

static OWN_FRAME enum exit_next port_io(const struct virt_ops *ops, struct vcpu *vc,
					struct vm_exit *e)
{
	struct exit_pio *pio = &e->pio;

	if (pio->in)
		pio->value = bus_in(&vc->vm->bus, pio->port, pio->width);
	else
		bus_write(&vc->vm->bus, DEV_PORT, pio->port, pio->width, pio->value, NULL);
	ops->pio_done(vc, e);
	return NEXT_ENTER;
}

enum exit_next exit_stall(struct vcpu *vc, gpa_t at, const char *why)
{
	vc->stalled_at = at;
	/* A guest that stalls and goes on again and again gets one line a second. */
	if (!vc->stalled && timer_once_a_second(&vc->vm->stall_logged, arch_tsc())) {
		log_warn("vm %s: vCPU %u waits for memory at 0x%llx: %s", vc->vm->name, vc->index,
			 (unsigned long long)at.v, why);
		vc->stalled = true;
	}
	set_state(vc, VCPU_STALLED);
	return NEXT_WAIT;
}

static OWN_FRAME enum exit_next mmio(struct vcpu *vc, const struct exit_mem *mem)
{
	struct mmio_insn insn = {0};
	char text[INSN_TEXT] = "";
	u32 n = 0;
	int rc;

	vcpu_count_as(vc, STAT_MMIO);
	if (mem->fetch) {
		vm_kill(vc->vm, "vCPU %u runs at guest address 0x%llx, where no memory is",
			vc->index, (unsigned long long)mem->gpa.v);
		return NEXT_WAIT;
	}
	rc = arch_mmio(vc, mem->gpa, mem->write, &insn);
	if (rc == 0)
		return NEXT_ENTER;
	if (rc == -TERN_EAGAIN)
		return exit_stall(vc, mem->gpa, "an operand is not backed");
	for (u32 i = 0; i < insn.len && i < sizeof(insn.bytes); i++)
		n += (u32)fmt_str(text + n, sizeof(text) - n, " %02x", insn.bytes[i]);
	vm_kill(vc->vm,
		"vCPU %u %s device memory at 0x%llx by an instruction Tern does not know:%s",
		vc->index, mem->write ? "writes" : "reads", (unsigned long long)mem->gpa.v, text);
	return NEXT_WAIT;
}

static OWN_FRAME enum exit_next memory(struct vcpu *vc, const struct exit_mem *mem)
{
	vcpu_count_as(vc, STAT_TOUCH);
	switch (gmem_touch(&vc->vm->mem, mem->gpa, mem->write)) {
	case GMEM_MAPPED:
		vc->stalled = false;
		return NEXT_ENTER;
	case GMEM_OVER_GRANT:
		return exit_stall(vc, mem->gpa, "its grant is used up");
	case GMEM_NO_FRAME:
		return exit_stall(vc, mem->gpa, "the node has no free memory");
	case GMEM_NOT_MEMORY:
	case GMEM_ROM_WRITE:
		break;
	}
	return mmio(vc, mem);
}

static OWN_FRAME enum exit_next halt(const struct virt_ops *ops, struct vcpu *vc,
				     const struct vm_exit *e)
{
	ops->skip(vc, e);
	/* STI; HLT: one that waited for RFLAGS.IF could not come between them. */
	if (vcpu_wakes(ops, vc)) {
		__atomic_or_fetch(&vc->kick, KICK_LOOK, __ATOMIC_RELAXED);
		return NEXT_ENTER;
	}
	set_state(vc, VCPU_HALTED);
	return NEXT_WAIT;
}

static OWN_FRAME enum exit_next pause_loop(const struct virt_ops *ops, struct vcpu *vc,
					   const struct vm_exit *e)
{
	ops->skip(vc, e);
	if (!sched_contended())
		return NEXT_ENTER;
	sched_give_way(vc);
	return NEXT_YIELD;
}

/* What ends the VM. */
static OWN_FRAME enum exit_next fatal(struct vcpu *vc, const struct vm_exit *e)
{
	if (e->kind == EXIT_SHUTDOWN)
		vm_kill(vc->vm, "triple fault on vCPU %u", vc->index);
	else if (e->kind == EXIT_FAILED)
		vm_kill(vc->vm, "the CPU refused to enter vCPU %u: error 0x%llx", vc->index,
			(unsigned long long)e->raw);
	else
		vm_kill(vc->vm, "vCPU %u made an exit that Tern does not know: 0x%llx", vc->index,
			(unsigned long long)e->raw);
	return NEXT_WAIT;
}

enum exit_next exit_handle(const struct virt_ops *ops, struct vcpu *vc, struct vm_exit *e)
{
	switch (e->kind) {
	case EXIT_DONE:
	case EXIT_HOST:
		return NEXT_ENTER;
	case EXIT_PIO:
		return port_io(ops, vc, e);
	case EXIT_MEM:
		return memory(vc, &e->mem);
	case EXIT_HYPERCALL:
		return hypercall(ops, vc, e);
	case EXIT_HLT:
		return halt(ops, vc, e);
	case EXIT_PAUSE:
		return pause_loop(ops, vc, e);
	case EXIT_RESET:
		vcpu_init(vc);
		return NEXT_ENTER;
	case EXIT_SHUTDOWN:
	case EXIT_FAILED:
	case EXIT_UNKNOWN:
		break;
	}
	return fatal(vc, e);
}
