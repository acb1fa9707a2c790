/* SPDX-License-Identifier: MIT */
/*
 * How a CPU runs vCPUs: takes one from its queue, lets it run (tern/vcpu_loop.h) until its turn is over,
 * it waits or the CPU has other work, and puts it back. Interrupts are off throughout but for those that
 * the backend serves.
 */
#include <tern/vm.h>

#include "exit.h"

#include <tern/arch.h>
#include <tern/err.h>
#include <tern/pcpu.h>
#include <tern/vlapic.h>
#include <tern/vm_time.h>

#define RFLAGS_IF     0x200u
#define SIPI_SHIFT    12u /* of the vector: the page it starts in */
#define SIPI_SELECTOR 8u

static bool vm_running(const struct vm *vm)
{
	return __atomic_load_n(&vm->state, __ATOMIC_ACQUIRE) == VM_RUNNING;
}

/* Real mode at vector << 12: all else is as after reset (SDM vol. 3A 9.4.4.2). */
static void start(const struct virt_ops *ops, struct vcpu *vc, u32 vector)
{
	struct vcpu_seg cs;

	ops->vcpu_reset(vc);
	vlapic_reset(vc, true);
	ops->seg_get(vc, SEG_CS, &cs);
	cs.selector = (u16)(vector << SIPI_SELECTOR);
	cs.base = (u64)vector << SIPI_SHIFT;
	ops->seg_set(vc, SEG_CS, &cs);
	ops->reg_set(vc, REG_RIP, 0);
}

bool vcpu_wakes(const struct virt_ops *ops, struct vcpu *vc)
{
	const struct device *pic = vc->vm->platform.pic;

	if (__atomic_exchange_n(&vc->event, 0, __ATOMIC_ACQ_REL) != 0 ||
	    __atomic_load_n(&vc->requests, __ATOMIC_ACQUIRE) != 0)
		return true;
	if ((ops->reg_get(vc, REG_RFLAGS) & RFLAGS_IF) == 0)
		return false;
	return vlapic_wakes(vc) || (pic != NULL && vpic_asks(pic) && vlapic_takes_extint(vc));
}

/*
 * INIT and SIPI are settled under the VM's lock, in the order in which they come: a SIPI starts the vCPU if it
 * comes after an INIT that has not been taken yet, and an INIT that comes before the start has been taken
 * makes it void.
 */
static bool take_start(const struct virt_ops *ops, struct vcpu *vc)
{
	lock_token token = lock_take(&vc->vm->lock);
	u32 vector = vc->start_vector;

	if (vector != VCPU_NO_START)
		__atomic_store_n(&vc->state, VCPU_RUNNABLE, __ATOMIC_RELEASE);
	vc->start_vector = VCPU_NO_START;
	lock_release(&vc->vm->lock, token);
	if (vector == VCPU_NO_START)
		return false;
	start(ops, vc, vector);
	return true;
}

/* True when what it waited for has come. The loaded vCPU. */
static bool ready(const struct virt_ops *ops, struct vcpu *vc)
{
	switch (__atomic_load_n(&vc->state, __ATOMIC_ACQUIRE)) {
	case VCPU_RUNNABLE:
		return true;
	case VCPU_STALLED:
		break; /* it touches again what it could not have */
	case VCPU_HALTED:
		if (!vcpu_wakes(ops, vc))
			return false;
		break;
	case VCPU_OFF:
		return take_start(ops, vc);
	case VCPU_STOPPED:
		return false;
	}
	__atomic_store_n(&vc->state, VCPU_RUNNABLE, __ATOMIC_RELEASE);
	return true;
}

/* INIT: the first vCPU would begin at the reset vector, where only firmware is. True: it has been started since. */
static bool take_init(const struct virt_ops *ops, struct vcpu *vc)
{
	lock_token token;

	if (vc->index == 0) {
		vm_reset_requested(vc->vm);
		return false;
	}
	ops->vcpu_reset(vc);
	vlapic_reset(vc, true);
	token = lock_take(&vc->vm->lock);
	__atomic_and_fetch(&vc->requests, ~REQUEST_INIT, __ATOMIC_RELEASE);
	__atomic_store_n(&vc->state, VCPU_OFF, __ATOMIC_RELEASE);
	lock_release(&vc->vm->lock, token);
	return take_start(ops, vc);
}

bool vcpu_look(const struct virt_ops *ops, struct vcpu *vc)
{
	/* INIT stays until it has been taken. */
	u32 requests = __atomic_fetch_and(&vc->requests, REQUEST_INIT, __ATOMIC_ACQ_REL);

	if (__atomic_load_n(&vc->vm->work, __ATOMIC_RELAXED) != 0)
		dev_work(vc->vm);
	if ((requests & REQUEST_INIT) != 0)
		return take_init(ops, vc);
	if ((requests & REQUEST_NMI) != 0)
		ops->inject(vc, &(struct vcpu_event){.type = EVENT_NMI});
	ops->inject(vc, &(struct vcpu_event){.type = EVENT_INTERRUPT});
	return true;
}

bool vcpu_run_slice(void)
{
	const struct virt_ops *ops = virt_ops_get();
	bool irqs = arch_irq_off(), go_on = false;
	struct vcpu *vc;
	u64 until;

	vc = ops != NULL ? sched_pick(&until) : NULL;
	if (vc != NULL) {
		if (vm_running(vc->vm)) {
			pcpu_self()->vcpu = vc;
			ops->vcpu_load(vc);
			/* Before the look at what it waits for: who kicks it from here on wakes it. */
			__atomic_and_fetch(&vc->kick, ~KICK_LOOK, __ATOMIC_SEQ_CST);
			if (__atomic_load_n(&vc->vm->work, __ATOMIC_RELAXED) != 0)
				dev_work(vc->vm);
			if (ready(ops, vc)) {
				__atomic_or_fetch(&vc->kick, KICK_LOOK, __ATOMIC_RELAXED);
				go_on = ops->vcpu_run(vc, until);
			}
			ops->vcpu_unload(vc);
			pcpu_self()->vcpu = NULL;
			if (!vm_running(vc->vm))
				vm_time_left(vc);
			else if (!go_on && vc->wake_at != UINT64_MAX)
				timer_start(&vc->timer, vc->wake_at);
		}
		if (__atomic_load_n(&vc->vm->state, __ATOMIC_ACQUIRE) >= VM_STOPPED)
			__atomic_store_n(&vc->state, VCPU_STOPPED, __ATOMIC_RELEASE);
		sched_put(vc, go_on && vm_running(vc->vm));
	}
	if (irqs)
		arch_irq_on();
	return vc != NULL;
}

static void wake(struct vcpu *vc)
{
	lock_token token = lock_take(&vc->vm->lock);

	if (vm_running(vc->vm))
		sched_wake(vc);
	lock_release(&vc->vm->lock, token);
}

void vcpu_notify(struct vcpu *vc)
{
	__atomic_store_n(&vc->event, 1, __ATOMIC_RELEASE);
	wake(vc);
}

void vcpu_kick(struct vcpu *vc)
{
	u32 kick = __atomic_fetch_or(&vc->kick, KICK_LOOK, __ATOMIC_SEQ_CST);

	/* Who set it before sees to it that it is seen; and this CPU's own vCPU comes by here itself. */
	if ((kick & KICK_LOOK) == 0 && pcpu_self()->vcpu != vc)
		wake(vc);
}

static void request(struct vcpu *vc, u32 what)
{
	__atomic_or_fetch(&vc->requests, what, __ATOMIC_RELEASE);
	vcpu_kick(vc);
}

void vcpu_nmi(struct vcpu *vc)
{
	request(vc, REQUEST_NMI);
}

void vcpu_init(struct vcpu *vc)
{
	lock_token token = lock_take(&vc->vm->lock);
	bool off = __atomic_load_n(&vc->state, __ATOMIC_RELAXED) == VCPU_OFF;

	vc->start_vector = VCPU_NO_START;
	if (!off)
		__atomic_or_fetch(&vc->requests, REQUEST_INIT, __ATOMIC_RELEASE);
	lock_release(&vc->vm->lock, token);
	if (!off)
		vcpu_kick(vc);
}

void vcpu_run_reset(struct vcpu *vc)
{
	timer_stop(&vc->timer);
	vc->wake_at = UINT64_MAX;
	vc->stalled = false;
	vc->start_vector = VCPU_NO_START;
	vc->kick = vc->requests = vc->event = 0;
	__atomic_store_n(&vc->state, VCPU_OFF, __ATOMIC_RELEASE);
}

static void timer_due(struct timer *t)
{
	vcpu_kick(t->arg);
}

void vcpu_run_init(struct vcpu *vc)
{
	vc->wake_at = UINT64_MAX;
	vcpu_count_as(vc, STAT_OTHER);
	vc->timer = (struct timer){.fn = timer_due, .arg = vc, .name = "vCPU sleeps"};
}

int vcpu_start_at(struct vcpu *vc, u8 vector)
{
	lock_token token = lock_take(&vc->vm->lock);
	bool off = __atomic_load_n(&vc->state, __ATOMIC_RELAXED) == VCPU_OFF ||
		   (__atomic_load_n(&vc->requests, __ATOMIC_RELAXED) & REQUEST_INIT) != 0;
	bool starts = off && vc->start_vector == VCPU_NO_START;

	if (starts)
		vc->start_vector = vector;
	if (starts && vm_running(vc->vm))
		sched_wake(vc);
	lock_release(&vc->vm->lock, token);
	return starts ? 0 : -TERN_EBUSY;
}
