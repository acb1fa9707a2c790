/* SPDX-License-Identifier: MIT */
/*
 * The loop around a guest: enter, act on the exit, enter again. It is written once and built into each
 * backend's virt_ops.vcpu_run, with the backend's way into the guest in its midst: an exit costs no call
 * through a pointer.
 */
#ifndef TERN_VCPU_LOOP_H
#define TERN_VCPU_LOOP_H

#include <tern/arch.h>
#include <tern/err.h>
#include <tern/lib.h>
#include <tern/pcpu.h>
#include <tern/vm.h>

enum exit_next {
	NEXT_ENTER, /* into the guest again */
	NEXT_YIELD, /* it could go on, but others first */
	NEXT_WAIT,  /* its state says for what */
};

/* Acts on an exit (hv/vm/exit.c). The loaded vCPU, IRQs off, no lock held. */
enum exit_next exit_handle(const struct virt_ops *ops, struct vcpu *vc, struct vm_exit *e);
/* Does what waits for the vCPU (hv/vm/vcpu_run.c), before it enters its guest again. As above. False: it
 * does not. */
MUST_CHECK bool vcpu_look(const struct virt_ops *ops, struct vcpu *vc);

/* Enters the guest once; *out says why it came back. IRQs off, returns with them off, host interrupts
 * served. At most until TSC value until. */
typedef void vcpu_enter_fn(struct vcpu *vc, u64 until, struct vm_exit *out);

#define VCPU_LOOP_INLINE static inline __attribute__((always_inline))

VCPU_LOOP_INLINE void vcpu_loop_count(struct vcpu *vc, u64 ticks)
{
	struct exit_count *c = vc->exit;

	/* Only the owner writes; an aligned store of 64 bits is one that others can read. */
	c->count++;
	c->ticks += ticks;
	op_count_take(c->ops);
}

/* True: the vCPU wants to go on. Otherwise its state says for what it waits. */
VCPU_LOOP_INLINE bool vcpu_loop(const struct virt_ops *ops, struct vcpu *vc, u64 until,
				vcpu_enter_fn *enter)
{
	struct vm_exit e;

	for (;;) {
		enum exit_next next = NEXT_ENTER;
		u64 stop = min_u64(until, vc->wake_at), now;

		/* A kick that comes after this look ends the very entry that follows. */
		if (UNLIKELY(__atomic_load_n(&vc->kick, __ATOMIC_ACQUIRE) != 0)) {
			u32 kick = __atomic_exchange_n(&vc->kick, 0, __ATOMIC_SEQ_CST);

			if ((kick & KICK_LOOK) != 0 && !vcpu_look(ops, vc))
				return false;
			if ((kick & KICK_LEAVE) != 0)
				return true;
		}
		enter(vc, stop, &e);
		if (e.kind != EXIT_DONE)
			next = exit_handle(ops, vc, &e);
		now = arch_tsc();
		vcpu_loop_count(vc, now - e.tsc);
		if (UNLIKELY(next != NEXT_ENTER))
			return next == NEXT_YIELD;
		if (LIKELY(now < stop) &&
		    LIKELY(__atomic_load_n(&pcpu_self()->work, __ATOMIC_RELAXED) == 0))
			continue;
		if (now >= until || now < vc->wake_at)
			return true;
		/* Its own timer. */
		ops->inject(vc, &(struct vcpu_event){.type = EVENT_INTERRUPT});
	}
}

#endif
