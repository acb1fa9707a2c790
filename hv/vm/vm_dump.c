/* SPDX-License-Identifier: MIT */
/*
 * A look at a vCPU for people: registers, pending interrupts, the top of the stack, return addresses. A VM that runs
 * is paused for that moment: then no CPU has the vCPU, and this one may load it.
 */
#include <tern/vm.h>

#include <tern/arch.h>
#include <tern/err.h>
#include <tern/lib.h>
#include <tern/vlapic.h>

#define PAUSE_US      100000u /* a CPU that runs a guest leaves it within microseconds */
#define EFER_LMA      0x400u  /* SDM vol. 3A 2.2.1 */
#define SEG_ATTR_LONG 0x2000u /* of CS, SDM vol. 3C table 25-2 */
#define SEG_ATTR_DB   0x4000u /* the same */
#define BYTES_16      2u

/* True when no CPU runs one of its vCPUs, and while its state is what it is none will. */
static bool at_rest(struct vm *vm)
{
	lock_token token = lock_take(&vm->lock);
	bool rest = vm->state != VM_RUNNING;

	for (u32 i = 0; rest && i < vm->vcpu_count; i++)
		rest = sched_block(vm->vcpus[i]);
	lock_release(&vm->lock, token);
	return rest;
}

static bool wait_for_rest(struct vm *vm)
{
	u64 until = arch_tsc() + timer_us_to_tsc(PAUSE_US);

	while (!at_rest(vm)) {
		if (arch_tsc() > until)
			return false;
		arch_relax();
	}
	return true;
}

static bool read_word(struct vcpu *vc, u32 bytes, u64 linear, u64 *out)
{
	u64 word = 0;

	if (bytes != sizeof(u64))
		linear = (u32)linear;
	if (arch_guest_read_linear(vc, linear, &word, bytes) != 0)
		return false;
	*out = word;
	return true;
}

static void read_stack(struct vcpu *vc, struct vcpu_dump *d, u64 base)
{
	u64 at = base + d->regs[REG_RSP];

	while (d->stack_count < VCPU_DUMP_STACK &&
	       read_word(vc, d->word, at, &d->stack[d->stack_count])) {
		d->stack_count++;
		at += d->word;
	}
}

/* Frames lie ever higher, each begins with the address of the next, and the address to return to follows. */
static void read_frames(struct vcpu *vc, struct vcpu_dump *d, u64 base)
{
	u64 frame = d->regs[REG_RBP], next, back;

	d->frames[d->frame_count++] = d->regs[REG_RIP];
	if (d->word == BYTES_16)
		return;
	while (d->frame_count < VCPU_DUMP_FRAMES && frame != 0 && frame % d->word == 0 &&
	       read_word(vc, d->word, base + frame, &next) &&
	       read_word(vc, d->word, base + frame + d->word, &back) && back != 0) {
		d->frames[d->frame_count++] = back;
		if (next <= frame)
			return;
		frame = next;
	}
}

/* The loaded vCPU, IRQs off. */
static void take(const struct virt_ops *ops, struct vcpu *vc, struct vcpu_dump *d)
{
	bool wide;
	u64 base;

	for (u32 i = 0; i < REG_COUNT; i++)
		d->regs[i] = ops->reg_get(vc, (enum vcpu_reg)i);
	for (u32 i = 0; i < SEG_COUNT; i++)
		ops->seg_get(vc, (enum vcpu_segment)i, &d->segs[i]);
	vlapic_view(vc, &d->lapic);
	wide = (d->regs[REG_EFER] & EFER_LMA) != 0 && (d->segs[SEG_CS].attr & SEG_ATTR_LONG) != 0;
	d->word = (d->segs[SEG_CS].attr & SEG_ATTR_DB) != 0 ? sizeof(u32) : BYTES_16;
	if (wide)
		d->word = sizeof(u64);
	base = wide ? 0 : d->segs[SEG_SS].base;
	read_stack(vc, d, base);
	read_frames(vc, d, base);
}

int vm_dump(struct vm *vm, u32 index, struct vcpu_dump *out)
{
	const struct virt_ops *ops = virt_ops_get();
	struct vcpu *vc = vm->vcpus[index];
	struct vm_locked l = {.vm = vm, .token = lock_take(&vm->lock)};
	bool paused = vm_pause(l) == 0, rest, irqs;

	vm_unlock(l);
	memset(out, 0, sizeof(*out));
	rest = wait_for_rest(vm);
	if (rest) {
		out->state = __atomic_load_n(&vc->state, __ATOMIC_ACQUIRE);
		irqs = arch_irq_off();
		ops->vcpu_load(vc);
		take(ops, vc, out);
		ops->vcpu_unload(vc);
		if (irqs)
			arch_irq_on();
	}
	l.token = lock_take(&vm->lock);
	/* It may have stopped meanwhile: then it stays so. */
	if (paused)
		(void)!vm_resume(l);
	vm_unlock(l);
	return rest ? 0 : -TERN_EBUSY;
}
