/* SPDX-License-Identifier: MIT */
/*
 * Does what a decoded instruction does when one of its operands is a device (mmio.c). Pure: all it
 * knows of the guest comes through callbacks, so the same code serves VT-x, AMD-V and host tests.
 */
#ifndef GUEST_MMIO_H
#define GUEST_MMIO_H

#include <tern/addr.h>
#include <tern/types.h>
#include <tern/virt.h>

struct insn;

struct mmio_ops {
	u64 (*reg_get)(void *ctx, enum vcpu_reg reg);
	void (*reg_set)(void *ctx, enum vcpu_reg reg, u64 value);
	void (*seg_get)(void *ctx, enum vcpu_segment seg, struct vcpu_seg *out);
	/*
	 * Linear to guest-physical (guest_walk()), and makes sure that memory there is backed, so that
	 * load and store can do it. 0; -TERN_EFAULT: *fault is to be injected, after the callback has
	 * set CR2 for a #PF; other errors: enter the guest again, or stall.
	 */
	int (*translate)(void *ctx, u64 linear, bool write, gpa_t *out, struct vcpu_event *fault);
	/* One access to memory or a device, width 1, 2, 4, 8, within a page. Loads zero-extend. Errors
	 * only when what translate prepared has been taken away since. */
	int (*load)(void *ctx, gpa_t at, u32 width, u64 *value);
	int (*store)(void *ctx, gpa_t at, u32 width, u64 value);
};

/* How an instruction without an error ended. */
enum mmio_result {
	MMIO_DONE,  /* complete: skip its in->len bytes */
	MMIO_AGAIN, /* REP with elements to go: enter at the same RIP, which leads here again. With
		     * RFLAGS.TF it was one element, and the trap is due as after MMIO_DONE */
};

/*
 * Executes *in with the registers at RIP, which it leaves alone. Everything that can fault is asked
 * first: on an error nothing has changed but, under REP, for the elements that are complete, as the
 * manual has it. enum mmio_result, or the error of a callback, or -TERN_EFAULT: *fault is to be
 * injected (#GP(0), #SS(0): segment limits and rights, addresses that are not canonical).
 */
MUST_CHECK int mmio_execute(const struct insn *in, const struct mmio_ops *ops, void *ctx,
			    struct vcpu_event *fault);

#endif
