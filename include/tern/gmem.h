/* SPDX-License-Identifier: MIT */
/*
 * Guest memory (hv/mem/gmem*.c): what a VM is told it has (advertised), what the node is willing to
 * back now (grant), what really has frames (backed). A first touch takes a zeroed frame; a touch
 * that cannot be backed stalls that vCPU alone. docs/gmem.md.
 */
#ifndef TERN_GMEM_H
#define TERN_GMEM_H

#include <tern/addr.h>
#include <tern/lock.h>
#include <tern/npt.h>
#include <tern/types.h>

#define GMEM_REGIONS_MAX 16u

/*
 * How much one touch backs (gmem_policy.c). More than the page itself only for a guest that goes
 * through its memory in order, so that one that touches scattered pages gets exactly those.
 */
struct gmem_policy {
	u32 run;            /* backed pages just below that make a touch part of a sequence, >= 1 */
	u32 around;         /* pages that a touch in a sequence backs: it and those above it */
	bool large;         /* a sequence that enters an untouched 2 MiB gets all of it */
	u32 large_free_min; /* only while that many per cent of the node's memory are free */
};
extern const struct gmem_policy gmem_policy;       /* 4 KiB leaves only: the default */
extern const struct gmem_policy gmem_policy_large; /* 2 MiB leaves too; see docs/gmem.md */

/* Pages to back for a touch: 1, p->around or 512. run: backed pages just below, counted up to
 * p->run; empty_2m: the page is the first of 2 MiB of RAM in which nothing is backed. Pure. */
u32 gmem_policy_pages(const struct gmem_policy *p, u32 run, bool empty_2m, u32 free_percent);

/*
 * The grant (gmem_grant.c). The node's memory, in bytes; free: also what waits to be zeroed. What is spare is
 * above a reserve: 32 MiB, or a sixteenth of all.
 */
struct gmem_room {
	u64 total, free;
};
struct gmem_use { /* bytes */
	u64 grant, backed, spare;
};
#define GMEM_GRANT_STEP MiB(16)
/* All pure, whole pages. */
u64 gmem_grant_spare(const struct gmem_room *room);
/* The grant after a touch above it: a step more, as far as memory is spare; else as it was. backed <= advertised. */
u64 gmem_grant_grown(const struct gmem_use *use, u64 advertised);
/* What a guest is to have that will use that much: a margin more, which is the larger the less can be relied on
 * its forecasts. confidence: permille. */
u64 gmem_grant_wanted(u64 demand, u32 confidence, u64 advertised);
/* The grant on the way to what is wanted: never raised beyond what could be backed; lowered below what is backed only
 * when memory is short. */
u64 gmem_grant_next(u64 wanted, const struct gmem_use *use);

enum gmem_kind { GMEM_RAM, GMEM_ROM };

struct gmem_region { /* (c) once the VM runs; sorted, no overlap, 4 KiB aligned */
	gpa_t base;
	u64 len;
	enum gmem_kind kind;
};

struct gmem {
	struct spinlock lock; /* RANK_GMEM; guards what has (g) */
	struct npt npt;       /* (g) */
	struct gmem_region regions[GMEM_REGIONS_MAX];
	u32 region_count;
	u32 region_last;  /* (g) index of the region last touched: looked at first */
	u64 advertised;   /* (c) bytes of all RAM regions */
	u64 grant;        /* (g) bytes, <= advertised */
	u64 backed;       /* (g) bytes that have host frames: the leaves of npt */
	u64 backed_rom;   /* (g) those of them that are ROM: they do not count against the grant */
	u64 faults;       /* (g) second-level faults that backed something */
	u64 stalls;       /* (g) touches that could not be backed */
	bool grant_grows; /* (g) a touch above the grant raises it while memory is spare */
	u64 grown;        /* (g) how often one did */
	u64 over_grant;   /* (g) touches above the grant that did not: of the stalls */
	bool dying;       /* (g) gmem_destroy_some() has begun */
	gpa_t destroyed;  /* all below is taken apart; who destroys it alone */
	const struct gmem_policy *policy; /* (c) once the VM runs; gmem_create() sets the default */
	/* (c) Flushes every CPU's second-level translations: virt_ops.npt_flush of the owner.
	 * Called without the lock, so it may wait for CPUs that wait for the lock with interrupts
	 * off only if it does not need them to take the interrupt: a CPU outside the guest counts
	 * as flushed. */
	void (*flush)(void *owner);
	void *owner;
};

/* What became of a touch. */
enum gmem_touch {
	GMEM_MAPPED,     /* enter again */
	GMEM_NOT_MEMORY, /* no region there: a device's, or nothing */
	GMEM_ROM_WRITE,  /* a write to read-only memory: ignored as hardware does */
	GMEM_OVER_GRANT, /* stalled: the grant is used up */
	GMEM_NO_FRAME,   /* stalled: the node has no frame */
};

/* -TERN_ENOMEM. */
MUST_CHECK int gmem_create(struct gmem *g, const struct npt_format *fmt, void (*flush)(void *owner),
			   void *owner);
/* Adds a region before the VM runs. -TERN_EINVAL: overlap, alignment, empty, beyond NPT_GPA_END;
 * -TERN_ENOSPC. RAM adds to advertised and to grant. */
MUST_CHECK int gmem_add(struct gmem *g, gpa_t base, u64 len, enum gmem_kind kind);
/* The hot path: makes gpa accessible. Any CPU, IRQs off. GMEM_MAPPED too when another vCPU was
 * faster: an EPT violation drops what this CPU remembered (SDM vol. 3C 29.4.3.1). */
enum gmem_touch gmem_touch(struct gmem *g, gpa_t gpa, bool write);
/*
 * Takes the frames of the whole 4 KiB pages in [gpa, gpa + len) back; they read as zero afterwards,
 * ROM keeps its content. Returns bytes given back: less than what was backed there when a large
 * leaf could not be split for want of memory (its part is zeroed in place). At most the bus lock is held:
 * a CPU that waits for it is not in the guest, and the flush does not wait for such a CPU.
 */
u64 gmem_unback(struct gmem *g, gpa_t gpa, u64 len);
/* Changes the grant, whole pages, at most advertised; a grant below what is backed takes nothing
 * away but stops further backing. grows: a touch above it raises it again, as far as memory is
 * spare. -TERN_EINVAL. */
MUST_CHECK int gmem_set_grant(struct gmem *g, u64 bytes, bool grows);
/* The node's memory in this moment. Any context but NMI. */
void gmem_room_get(struct gmem_room *out);
/*
 * Gives frames and tables back, the frames to the scrubber; the caller made sure that no CPU runs
 * the VM. Looks at about batch frames (>= 1); true: call again. From the first call on nothing is
 * memory any more; after the last, g holds nothing. No lock is held.
 */
bool gmem_destroy_some(struct gmem *g, u32 batch);

/* How a VM's memory adds up, in one moment. */
struct gmem_stats {
	u64 advertised, grant, backed, tables; /* bytes; tables: of the second-level page table */
	u64 backed_ram;                        /* of backed: what counts against the grant */
	u64 faults, stalls, grown, over_grant;
};
void gmem_get_stats(struct gmem *g, struct gmem_stats *st);

/*
 * Checked copies (gmem_access.c). Every byte must lie in regions. 0, -TERN_EFAULT (not memory; a
 * write: or ROM), -TERN_EAGAIN (cannot be backed now). A read backs nothing: what is not backed
 * reads as zero. Nothing is copied when an error is returned unless the range spans pages: then
 * whole pages before the one that failed are. Any context but NMI, takes RANK_GMEM.
 */
MUST_CHECK int gmem_read(struct gmem *g, gpa_t gpa, void *dst, u64 len);
MUST_CHECK int gmem_write(struct gmem *g, gpa_t gpa, const void *src, u64 len);
/* As gmem_write(), for loaders: fills ROM too. */
MUST_CHECK int gmem_load(struct gmem *g, gpa_t gpa, const void *src, u64 len);
/*
 * Compares and exchanges 4 or 8 bytes, naturally aligned, as one atomic access: for accessed and
 * dirty bits in the guest's page tables. *old is what memory held; it was exchanged when that is
 * what *old held before. Errors as gmem_write(); -TERN_EINVAL: width or alignment.
 */
MUST_CHECK int gmem_cas(struct gmem *g, gpa_t gpa, u32 width, u64 *old, u64 value);

#endif
