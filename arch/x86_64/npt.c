/* SPDX-License-Identifier: MIT */
/*
 * Second-level page tables: one walker for EPT (SDM vol. 3C 29.3) and AMD's nested paging (APM vol.
 * 2 15.25). CPUs read the tables and set accessed and dirty bits in leaves at any time, so a leaf
 * is replaced by an atomic exchange and a table is complete before it is linked in.
 */
#include <tern/npt.h>

#include <tern/err.h>
#include <tern/frames.h>
#include <tern/lib.h>

#define ENTRIES 512u

static u64 *table_virt(hpa_t table)
{
	return phys_to_virt(table);
}

static u64 encode(const struct npt_format *fmt, const struct npt_entry *e)
{
	switch (e->state) {
	case NPT_ABSENT:
		return 0;
	case NPT_REMOTE:
		ASSERT(e->level == 0 && (e->pa.v & ~NPT_ADDR) == 0);
		return e->pa.v | (u64)NPT_REMOTE << NPT_STATE_AT;
	case NPT_BACKED:
	case NPT_READ_ONLY:
		break;
	}
	ASSERT((e->pa.v & ~NPT_ADDR) == 0 && e->pa.v % npt_size(e->level) == 0);
	return (npt_leaf(fmt, e->pa, e->level, e->state) & (e->exec ? ~0ull : ~fmt->exec)) |
	       (e->exec ? 0 : fmt->no_exec) | (e->accessed ? fmt->accessed : 0) |
	       (e->dirty ? fmt->dirty : 0);
}

static struct npt_entry decode(const struct npt_format *fmt, u64 e, u32 level)
{
	struct npt_entry out = {.state = npt_state_of(e), .level = level};

	if (out.state != NPT_ABSENT)
		out.pa = hpa(e & NPT_ADDR);
	if (npt_is_mapped(e)) {
		out.accessed = (e & fmt->accessed) != 0;
		out.dirty = (e & fmt->dirty) != 0;
		out.exec = (e & fmt->exec) == fmt->exec && (e & fmt->no_exec) == 0;
	}
	return out;
}

int npt_create(struct npt *npt, const struct npt_format *fmt)
{
	void *page = frames_alloc_page();

	if (page == NULL)
		return -TERN_ENOMEM;
	*npt = (struct npt){
		.fmt = fmt,
		.root = virt_to_phys(page),
		.direct = phys_to_virt(hpa(0)),
		.table_pages = 1,
	};
	return 0;
}

static void free_table(struct npt *npt, hpa_t table, u32 level, gpa_t at, npt_leaf_fn *leaf,
		       void *arg)
{
	const u64 *t = table_virt(table);

	for (u32 i = 0; i < ENTRIES; i++, at = gpa_add(at, npt_size(level))) {
		if (npt_is_table(t[i])) {
			free_table(npt, hpa(t[i] & NPT_ADDR), level - 1, at, leaf, arg);
		} else if (t[i] != 0 && leaf != NULL) {
			struct npt_entry e = decode(npt->fmt, t[i], level);

			leaf(&e, at, arg);
		}
	}
	frame_put(table);
	npt->table_pages--;
}

void npt_destroy(struct npt *npt, npt_leaf_fn *leaf, void *arg)
{
	free_table(npt, npt->root, NPT_LEVELS - 1, gpa(0), leaf, arg);
	ASSERT(npt->table_pages == 0);
	npt->root = hpa(0);
}

struct npt_entry npt_get(const struct npt *npt, gpa_t at)
{
	u32 level;
	const u64 *slot;

	ASSERT(at.v < NPT_GPA_END);
	slot = npt_find(npt, at, &level);
	return decode(npt->fmt, npt_load(slot), level);
}

/* Makes a new table, all zero, say for each part what the entry above, a leaf or 0, says of the
 * whole. */
static void fill_table(const struct npt_format *fmt, u64 *t, u64 above, u32 level)
{
	/* Bit 7 of a 4 KiB leaf is something else: PAT in AMD's format. */
	u64 e = level == 0 ? above & ~fmt->large : above;

	for (u32 i = 0; above != 0 && i < ENTRIES; i++)
		t[i] = e + i * npt_size(level);
}

/*
 * Replaces the leaf or hole of a level at slot by tables[0], below it tables[1] and so on, n in
 * all. A CPU may set the leaf's accessed or dirty bit meanwhile: then the parts are made once more.
 */
static void link_tables(struct npt *npt, u64 *slot, u32 level, gpa_t at, void *const *tables, u32 n)
{
	u64 old = npt_load(slot);
	u64 link = virt_to_phys(tables[0]).v | npt->fmt->table;

	do {
		u64 above = old;

		for (u32 i = 0; i < n; i++) {
			u64 *t = tables[i];

			fill_table(npt->fmt, t, above, level - 1 - i);
			if (i + 1 == n)
				break;
			above = t[npt_index(at, level - 1 - i)];
			t[npt_index(at, level - 1 - i)] =
				virt_to_phys(tables[i + 1]).v | npt->fmt->table;
		}
	} while (!__atomic_compare_exchange_n(slot, &old, link, false, __ATOMIC_RELEASE,
					      __ATOMIC_RELAXED));
	npt->table_pages += n;
}

int npt_reserve(struct npt *npt, gpa_t at, u32 level)
{
	void *tables[NPT_LEVELS];
	u32 found, n = 0;
	u64 *slot;

	ASSERT(at.v < NPT_GPA_END && level <= npt->fmt->max_level);
	slot = npt_find(npt, at, &found);
	if (found <= level)
		return 0;
	for (; n < found - level; n++) {
		tables[n] = frames_alloc_page();
		if (tables[n] == NULL)
			break;
	}
	if (n < found - level) {
		while (n > 0)
			frames_free_page(tables[--n]);
		return -TERN_ENOMEM;
	}
	link_tables(npt, slot, found, at, tables, n);
	return 0;
}

static bool table_empty(const u64 *t)
{
	for (u32 i = 0; i < ENTRIES; i++) {
		if (npt_load(&t[i]) != 0)
			return false;
	}
	return true;
}

/*
 * The chain runs through the first entry of the tables. A CPU that remembers where a table was may
 * still read it: an aligned address alone, without permission bits, is a hole to it.
 */
static void chain_table(struct npt *npt, hpa_t table, hpa_t *unlinked)
{
	__atomic_store_n(table_virt(table), unlinked->v, __ATOMIC_RELAXED);
	*unlinked = table;
	npt->table_pages--;
}

void npt_free_chain(hpa_t unlinked)
{
	while (unlinked.v != 0) {
		hpa_t table = unlinked;

		unlinked = hpa(table_virt(table)[0]);
		frame_put(table);
	}
}

/* Fills path[] with the entries on the way to at; returns the level of the last. */
static u32 find_path(const struct npt *npt, gpa_t at, u32 stop, u64 *path[NPT_LEVELS])
{
	hpa_t table = npt->root;

	for (u32 l = NPT_LEVELS - 1;; l--) {
		u64 e;

		path[l] = table_virt(table) + npt_index(at, l);
		e = npt_load(path[l]);
		if (l == stop || !npt_is_table(e))
			return l;
		table = hpa(e & NPT_ADDR);
	}
}

bool npt_set(struct npt *npt, gpa_t at, const struct npt_entry *entry, hpa_t *unlinked)
{
	u64 harvest = npt->fmt->accessed | npt->fmt->dirty;
	u64 *path[NPT_LEVELS], e = encode(npt->fmt, entry), old;

	ASSERT(at.v < NPT_GPA_END && at.v % npt_size(entry->level) == 0);
	ASSERT(entry->level <= npt->fmt->max_level);
	if (find_path(npt, at, entry->level, path) != entry->level)
		panic("npt_set: no table for level %u at %#lx", entry->level, at.v);
	old = npt_load(path[entry->level]);
	if (npt_is_table(old) && !table_empty(table_virt(hpa(old & NPT_ADDR))))
		panic("npt_set: the table at %#lx is in use", at.v);
	old = __atomic_exchange_n(path[entry->level], e, __ATOMIC_ACQ_REL);
	if (npt_is_table(old)) {
		chain_table(npt, hpa(old & NPT_ADDR), unlinked);
		return true;
	}
	return npt_is_mapped(old) && ((old ^ e) & ~harvest) != 0;
}

void npt_prune(struct npt *npt, gpa_t at, hpa_t *unlinked)
{
	u64 *path[NPT_LEVELS];
	u32 level;

	ASSERT(at.v < NPT_GPA_END);
	level = find_path(npt, at, 0, path);
	for (; level < NPT_LEVELS - 1; level++) {
		hpa_t table = hpa(npt_load(path[level + 1]) & NPT_ADDR);

		if (!table_empty(table_virt(table)))
			return;
		__atomic_store_n(path[level + 1], 0, __ATOMIC_RELEASE);
		chain_table(npt, table, unlinked);
	}
}

bool npt_next(const struct npt *npt, gpa_t *at, gpa_t end, struct npt_entry *out)
{
	ASSERT(end.v <= NPT_GPA_END);
	while (at->v < end.v) {
		u32 level;
		const u64 *slot = npt_find(npt, *at, &level);
		u64 e = npt_load(slot);

		/* Along the table as far as it has holes; then from the root again. */
		while (e == 0) {
			at->v = align_down(at->v, npt_size(level)) + npt_size(level);
			if (npt_index(*at, level) == 0 || at->v >= end.v)
				break;
			e = npt_load(++slot);
		}
		if (e != 0 && !npt_is_table(e)) {
			*out = decode(npt->fmt, e, level);
			return true;
		}
	}
	*at = end;
	return false;
}

void npt_for_each(const struct npt *npt, gpa_t at, u64 len, npt_leaf_fn *leaf, void *arg)
{
	gpa_t end = gpa_add(at, len);
	struct npt_entry e;

	while (npt_next(npt, &at, end, &e)) {
		at.v = align_down(at.v, npt_size(e.level));
		leaf(&e, at, arg);
		at.v += npt_size(e.level);
	}
}
