/* SPDX-License-Identifier: MIT */
/*
 * Per-CPU trace rings. Only the CPU itself writes its ring, but an NMI may write in the middle of a
 * write: the atomic index gives each its own slot. Readers take no lock: a record whose seq changes
 * during the copy was being written and is left out.
 */
#include <tern/arch.h>
#include <tern/err.h>
#include <tern/frames.h>
#include <tern/lib.h>
#include <tern/pcpu.h>
#include <tern/trace.h>

#define RECORDS    512u
#define RING_ORDER 2u /* 16 KiB */
_Static_assert(RECORDS * sizeof(struct trace_record) == PAGE_SIZE << RING_ORDER, "fills its block");

struct trace_ring {
	struct trace_record *records; /* (c) */
	u64 next;                     /* (a) records written so far; the slot is next % RECORDS */
} ALIGNED(64);

static struct trace_ring rings[CPUS_MAX];

/* What seq says once record number i (from 0) is complete. Cut to 32 bits: as the ring is shorter,
 * no two numbers a slot can hold at the same time are equal. */
static u32 seq_of(u64 i)
{
	return (u32)(i + 1);
}

int trace_cpu_init(struct pcpu *pc)
{
	struct trace_ring *ring;
	hpa_t block;
	int err;

	if (pc->index >= CPUS_MAX)
		return -TERN_EINVAL;
	err = frames_alloc(RING_ORDER, FRAME_ZERO, pc->node, &block);
	if (err != 0)
		return err;
	ring = &rings[pc->index];
	ring->records = phys_to_virt(block);
	ring->next = 0;
	__atomic_store_n(&pc->trace, ring, __ATOMIC_RELEASE);
	return 0;
}

void trace_write(enum trace_event event, u64 a, u64 b)
{
	struct trace_ring *ring = pcpu_self()->trace;
	struct trace_record *r;
	u64 i;

	if (ring == NULL)
		return;
	i = __atomic_fetch_add(&ring->next, 1, __ATOMIC_RELAXED);
	r = &ring->records[i % RECORDS];
	/* A number that no complete record of this slot has, before any field changes. */
	__atomic_store_n(&r->seq, seq_of(i) - 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	__atomic_store_n(&r->tsc, arch_tsc(), __ATOMIC_RELAXED);
	__atomic_store_n(&r->a, a, __ATOMIC_RELAXED);
	__atomic_store_n(&r->b, b, __ATOMIC_RELAXED);
	__atomic_store_n(&r->event, (u32)event, __ATOMIC_RELAXED);
	__atomic_store_n(&r->seq, seq_of(i), __ATOMIC_RELEASE);
}

/* False when record number i is not (or no longer, or not yet) complete. */
static bool read_record(const struct trace_ring *ring, u64 i, struct trace_record *out)
{
	const struct trace_record *r = &ring->records[i % RECORDS];

	out->seq = __atomic_load_n(&r->seq, __ATOMIC_ACQUIRE);
	if (out->seq != seq_of(i))
		return false;
	out->tsc = __atomic_load_n(&r->tsc, __ATOMIC_RELAXED);
	out->a = __atomic_load_n(&r->a, __ATOMIC_RELAXED);
	out->b = __atomic_load_n(&r->b, __ATOMIC_RELAXED);
	out->event = __atomic_load_n(&r->event, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return __atomic_load_n(&r->seq, __ATOMIC_RELAXED) == out->seq;
}

u32 trace_read(const struct pcpu *pc, struct trace_record *out, u32 max, u64 *lost)
{
	const struct trace_ring *ring = __atomic_load_n(&pc->trace, __ATOMIC_ACQUIRE);
	u64 next, first;
	u32 n = 0;

	*lost = 0;
	if (ring == NULL)
		return 0;
	next = __atomic_load_n(&ring->next, __ATOMIC_ACQUIRE);
	first = next > RECORDS ? next - RECORDS : 0;
	*lost = first;
	if (next - first > max)
		first = next - max;
	for (u64 i = first; i < next; i++) {
		if (read_record(ring, i, &out[n]))
			n++;
	}
	return n;
}

const char *trace_event_name(u32 event)
{
	static const char *const names[TRACE_EVENTS] = {
		[TRACE_NONE] = "none", [TRACE_IRQ] = "irq",     [TRACE_TIMER] = "timer",
		[TRACE_IPI] = "ipi",   [TRACE_SHELL] = "shell", [TRACE_FAULT] = "fault",
		[TRACE_CPU] = "cpu",
	};

	return event < TRACE_EVENTS && names[event] != NULL ? names[event] : "?";
}
