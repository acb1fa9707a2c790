/* SPDX-License-Identifier: MIT */
/*
 * The second-level page table of a VM (arch/x86_64/npt.c): one walker, two formats (EPT, AMD's
 * nested paging). gmem is its only user and holds its lock; it keeps the state of every guest frame
 * in the entry itself. The hardware reads the tables at any time: entries change by single 64-bit
 * stores.
 */
#ifndef TERN_NPT_H
#define TERN_NPT_H

#include <tern/addr.h>
#include <tern/arch.h>
#include <tern/types.h>

#define NPT_LEVELS   4u
#define NPT_GPA_END  (1ull << 48) /* four levels: no guest-physical address beyond it */
#define NPT_ADDR     0x000ffffffffff000ull
#define NPT_STATE_AT 52 /* both formats leave bits 52 to 56 to software */
#define NPT_STATE    (3ull << NPT_STATE_AT)

/* What an entry says. Absent entries can carry a tag, so no array per frame is needed. */
enum npt_state {
	NPT_ABSENT,    /* never touched, or given back: the entry is 0 */
	NPT_BACKED,    /* maps host memory, guest may write */
	NPT_READ_ONLY, /* maps host memory that others share, or ROM */
	NPT_REMOTE,    /* the content is on another node; level 0 only, pa is a tag of gmem's: a
			* multiple of 4 KiB below 2^52 */
};

struct npt_entry {
	enum npt_state state;
	u32 level; /* 0: 4 KiB, 1: 2 MiB, 2: 1 GiB: of the leaf, or of the hole found */
	hpa_t pa;
	bool accessed, dirty; /* as the hardware left them; false where it cannot tell */
	bool exec;
};

/* Bits of a format. A format with no such hardware bit has 0 there. */
struct npt_format {
	const char *name;
	u64 read, write, exec; /* what a leaf that permits it has set */
	u64 accessed, dirty;
	u64 large;       /* leaf above level 0 */
	u64 memory_type; /* set in every leaf: write back */
	u64 no_exec;     /* set in leaves that must not be executed */
	u64 table;       /* set in every entry that points to a table */
	u32 max_level;   /* of the largest leaf */
};

struct npt {
	const struct npt_format *fmt; /* (c) */
	hpa_t root;                   /* (c) */
	char *direct;                 /* (c) phys_to_virt() of 0: tables lie in the direct map */
	u64 table_pages;              /* tables that are linked in, the root too */
};

/* --- one entry: state 0 and not 0 as a whole is a pointer to a table --- */

static inline enum npt_state npt_state_of(u64 entry)
{
	return (enum npt_state)((entry & NPT_STATE) >> NPT_STATE_AT);
}

static inline bool npt_is_table(u64 entry)
{
	return entry != 0 && (entry & NPT_STATE) == 0;
}

static inline bool npt_is_mapped(u64 entry)
{
	return npt_state_of(entry) == NPT_BACKED || npt_state_of(entry) == NPT_READ_ONLY;
}

static inline u64 npt_load(const u64 *slot)
{
	return __atomic_load_n(slot, __ATOMIC_RELAXED);
}

/* Bytes that an entry of a level covers. */
static inline u64 npt_size(u32 level)
{
	return PAGE_SIZE << 9 * level;
}

static inline u32 npt_index(gpa_t at, u32 level)
{
	return (u32)(at.v >> (PAGE_SHIFT + 9 * level)) & 511u;
}

/* The bits of a mapped, executable leaf that nobody has accessed. */
static inline u64 npt_leaf(const struct npt_format *fmt, hpa_t pa, u32 level, enum npt_state state)
{
	return pa.v | fmt->read | fmt->exec | fmt->memory_type |
	       (state == NPT_BACKED ? fmt->write : 0) | (level > 0 ? fmt->large : 0) |
	       (u64)state << NPT_STATE_AT;
}

/* The entry for at in the table that entry points to. */
static inline u64 *npt_slot(const struct npt *npt, u64 entry, gpa_t at, u32 level)
{
	return (u64 *)(void *)(npt->direct + (entry & NPT_ADDR)) + npt_index(at, level);
}

/* The hot path's one walk: where the entry is that decides about at (below NPT_GPA_END), and its
 * level: a leaf, a tag or a hole. Written out, so that all shifts are constants. */
static inline u64 *npt_find(const struct npt *npt, gpa_t at, u32 *level)
{
	u64 *slot = npt_slot(npt, npt->root.v, at, 3), e = npt_load(slot);

	*level = 3;
	if (!npt_is_table(e))
		return slot;
	slot = npt_slot(npt, e, at, 2);
	e = npt_load(slot);
	*level = 2;
	if (!npt_is_table(e))
		return slot;
	slot = npt_slot(npt, e, at, 1);
	e = npt_load(slot);
	*level = 1;
	if (!npt_is_table(e))
		return slot;
	*level = 0;
	return npt_slot(npt, e, at, 0);
}

/* Fills a hole found by npt_find(): no translation changes, so nothing need be flushed. What the
 * frame holds is visible before the entry is. */
static inline void npt_fill(u64 *slot, u64 entry)
{
	__atomic_store_n(slot, entry, __ATOMIC_RELEASE);
}

/* --- the table --- */

/* Makes an empty table. -TERN_ENOMEM. */
MUST_CHECK int npt_create(struct npt *npt, const struct npt_format *fmt);
/* Frees all tables; leaf(entry, gpa, arg) is called for each entry that is not NPT_ABSENT first, if
 * leaf is not NULL. No CPU uses the table or has translations of it. */
typedef void npt_leaf_fn(const struct npt_entry *entry, gpa_t gpa, void *arg);
void npt_destroy(struct npt *npt, npt_leaf_fn *leaf, void *arg);

/* What is at gpa. */
struct npt_entry npt_get(const struct npt *npt, gpa_t gpa);
/*
 * Makes the tables that a leaf of that level at gpa needs: after it npt_set() of that leaf cannot
 * fail. Splits a larger leaf that is in the way: same memory, same rights, so what CPUs remember
 * stays right, but of the old size, until they flush. -TERN_ENOMEM: nothing has changed.
 */
MUST_CHECK int npt_reserve(struct npt *npt, gpa_t gpa, u32 level);
/* Sets one leaf; npt_reserve() has been called. Returns true when a present translation was
 * changed or taken away: the caller must flush before it reuses what was mapped. A table below
 * that the leaf replaces must be empty; it is added to the chain *unlinked: free that only after
 * the flush. */
bool npt_set(struct npt *npt, gpa_t gpa, const struct npt_entry *entry, hpa_t *unlinked);
/* Unlinks the tables on the way to gpa that are empty, but never the root, and adds them to the
 * chain *unlinked, which begins as 0: npt_free_chain() it, but only after a flush. */
void npt_prune(struct npt *npt, gpa_t gpa, hpa_t *unlinked);
void npt_free_chain(hpa_t unlinked);
/* The first entry at or after *at and below end that is not NPT_ABSENT: *at is then inside it, but
 * not before where it was. False: none; *at is end. */
bool npt_next(const struct npt *npt, gpa_t *at, gpa_t end, struct npt_entry *out);
/* Calls leaf for each entry that is not NPT_ABSENT in [gpa, gpa + len), rising, with the address at
 * which the entry begins. */
void npt_for_each(const struct npt *npt, gpa_t gpa, u64 len, npt_leaf_fn *leaf, void *arg);

#endif
