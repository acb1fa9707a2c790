/* SPDX-License-Identifier: MIT */
/* Interrupt vectors: who has which, how often it came, and how a device's line or MSI reaches it. */
#include <tern/irq.h>

#include <tern/acpi.h>
#include <tern/arch.h>
#include <tern/err.h>
#include <tern/lock.h>
#include <tern/pcpu.h>
#include <tern/timer.h>
#include <tern/trace.h>

#include "apic.h"
#include "apic_regs.h"
#include "irq_arch.h"
#include "x86_regs.h"

struct vector {
	irq_fn *fn; /* written last: irq_dispatch() reads it without the lock */
	void *arg;
	const char *name;
	u64 count; /* (a) */
};

static struct vector vectors[256] = {
	[VEC_TIMER] = {.name = "timer"},
	[VEC_KICK] = {.name = "kick"},
};
static u64 spurious; /* (a) */
static struct spinlock irq_lock = SPINLOCK_INIT(RANK_IRQ, "irq");

int irq_alloc(const char *name, irq_fn *fn, void *arg)
{
	lock_token t = lock_take(&irq_lock);
	int found = -TERN_ENOSPC;

	for (int v = VEC_FIRST; v <= VEC_LAST; v++) {
		if (vectors[v].name != NULL)
			continue;
		vectors[v].name = name;
		vectors[v].arg = arg;
		vectors[v].count = 0;
		__atomic_store_n(&vectors[v].fn, fn, __ATOMIC_RELEASE);
		found = v;
		break;
	}
	lock_release(&irq_lock, t);
	return found;
}

void irq_free(int vector)
{
	lock_token t = lock_take(&irq_lock);

	ASSERT(vector >= VEC_FIRST && vector <= VEC_LAST && vectors[vector].name != NULL);
	__atomic_store_n(&vectors[vector].fn, NULL, __ATOMIC_RELEASE);
	vectors[vector].name = NULL;
	lock_release(&irq_lock, t);
}

int irq_route_isa(u8 irq, int vector)
{
	const struct acpi_info *acpi = acpi_get();
	u32 gsi = irq;
	bool active_low = false, level = false; /* ISA: edge, active high */

	ASSERT(vector >= VEC_FIRST && vector <= VEC_LAST);
	for (u32 i = 0; i < acpi->override_count; i++) {
		if (acpi->overrides[i].irq == irq) {
			gsi = acpi->overrides[i].gsi;
			active_low = acpi->overrides[i].active_low;
			level = acpi->overrides[i].level;
		}
	}
	return ioapic_route(gsi, active_low, level, (u32)vector, pcpu_get(0)->apic_id);
}

void irq_msi_message(u32 cpu_index, int vector, u64 *addr, u32 *data)
{
	/* Physical destination, fixed delivery, edge; ids past 255 need interrupt remapping. */
	ASSERT(pcpu_get(cpu_index)->apic_id < 256);
	*addr = MSI_ADDR_BASE | (u64)pcpu_get(cpu_index)->apic_id << MSI_ADDR_DEST_SHIFT;
	*data = (u32)vector;
}

void irq_dispatch(u32 vector)
{
	irq_fn *fn;

	if (vector == VEC_SPURIOUS || (vector >= VEC_PIC && vector < VEC_PIC + 16)) {
		/* Neither sets the in-service bit (SDM vol. 3A 11.9): no end of interrupt. */
		__atomic_fetch_add(&spurious, 1, __ATOMIC_RELAXED);
		return;
	}
	pcpu_self()->irq_count++;
	__atomic_fetch_add(&vectors[vector].count, 1, __ATOMIC_RELAXED);
	trace_write(TRACE_IRQ, vector, 0);
	fn = __atomic_load_n(&vectors[vector].fn, __ATOMIC_ACQUIRE);
	if (vector == VEC_TIMER)
		timer_interrupt();
	else if (fn != NULL)
		fn(vectors[vector].arg);
	else if (vector != VEC_KICK)
		__atomic_fetch_add(&spurious, 1, __ATOMIC_RELAXED);
	apic_eoi();
}

bool irq_view_get(u32 index, struct irq_view *out)
{
	for (int v = VEC_FIRST; v < 256; v++) {
		if (vectors[v].name == NULL || index-- != 0)
			continue;
		out->vector = v;
		out->name = vectors[v].name;
		out->count = __atomic_load_n(&vectors[v].count, __ATOMIC_RELAXED);
		return true;
	}
	return false;
}

u64 irq_spurious_count(void)
{
	return __atomic_load_n(&spurious, __ATOMIC_RELAXED);
}
