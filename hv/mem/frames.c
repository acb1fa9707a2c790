/* SPDX-License-Identifier: MIT */
/*
 * The buddy lists: free blocks of 2^0 to 2^18 frames, one set of lists a NUMA node.
 *
 * Metadata is made lazily. A "chunk" is 2 MiB of memory, whose 512 entries fill one page of the
 * table. Its first entry is valid from frames_add() on; the other 511 are undefined until the chunk
 * is first split below 2 MiB (FRAME_ENTRIES in the first entry). Blocks of 2 MiB and more look at
 * first entries only, so boot never walks all frames.
 */
#include <tern/err.h>
#include <tern/lib.h>
#include <tern/log.h>

#include "frames_internal.h"

/* Pieces of added memory, counted in chunks: holes smaller than 2 MiB do not split a piece. */
#define RANGES_MAX 128u

/* Not a canonical address: a pointer read from freed memory faults. */
#define POISON 0xd5d5d5d5d5d5d5d5ull

struct chunk_range {
	u64 first, end; /* chunk numbers [first, end) */
};

static struct frame *table; /* (c) indexed by frame number */
static struct frames_node nodes[NODES_MAX];

/* Sorted, not touching each other; constant once the other CPUs run. */
static struct chunk_range ranges[RANGES_MAX];
static u32 range_count;

struct frames_node *frames_node_get(u32 node)
{
	return &nodes[node];
}

struct frame *frames_entry_pfn(u64 pfn)
{
	return &table[pfn];
}

/* Index of the first range that ends after chunk, or range_count. */
static u32 range_find(u64 chunk)
{
	u32 low = 0, high = range_count;

	while (low < high) {
		u32 mid = (low + high) / 2;

		if (ranges[mid].end > chunk)
			high = mid;
		else
			low = mid + 1;
	}
	return low;
}

/* Whether the first entry of this chunk may be read at all: else its page may not be mapped. */
static bool chunk_known(u64 chunk)
{
	u32 i = range_find(chunk);

	return i < range_count && ranges[i].first <= chunk;
}

/* Whether any chunk of [first, end) is known. */
static bool chunks_known(u64 first, u64 end)
{
	u32 i = range_find(first);

	return first < end && i < range_count && ranges[i].first < end;
}

/* Adds [first, end) and melts it together with what it touches. False when there is no room. */
static bool range_add(u64 first, u64 end)
{
	u32 from = range_find(first), to;

	if (from > 0 && ranges[from - 1].end == first)
		from--;
	for (to = from; to < range_count && ranges[to].first <= end; to++) {
		first = min_u64(first, ranges[to].first);
		end = max_u64(end, ranges[to].end);
	}
	if (to == from && range_count == RANGES_MAX)
		return false;
	/* ranges[from..to) become one. */
	memmove(&ranges[from + 1], &ranges[to], (range_count - to) * sizeof(ranges[0]));
	ranges[from] = (struct chunk_range){.first = first, .end = end};
	range_count = range_count - (to - from) + 1;
	return true;
}

static u32 chunk_node(u64 pfn)
{
	return table[pfn & ~CHUNK_MASK].node;
}

/*
 * Flags are read by whoever looks whether a chunk's entries are valid, while the owner of the first
 * frame may change its poison flag: hence atomic. There is one writer at a time, the owner of the
 * frame, so a load and a store are enough.
 */
static bool flag_get(const struct frame *f, u32 flag)
{
	return (__atomic_load_n(&f->flags, __ATOMIC_RELAXED) & flag) != 0;
}

static void flag_put(struct frame *f, u32 flag, bool on)
{
	u32 flags = __atomic_load_n(&f->flags, __ATOMIC_RELAXED) & ~flag;

	__atomic_store_n(&f->flags, (u8)(on ? flags | flag : flags), __ATOMIC_RELAXED);
}

static bool chunk_has_entries(u64 pfn)
{
	return flag_get(&table[pfn & ~CHUNK_MASK], FRAME_ENTRIES);
}

/* Makes the 511 entries after the first valid. */
static void chunk_entries(u64 chunk, enum frame_state state)
{
	struct frame *head = &table[chunk << CHUNK_ORDER];

	for (u64 i = 1; i < CHUNK_FRAMES; i++)
		head[i] = (struct frame){.state = (u8)state, .node = head->node};
	flag_put(head, FRAME_ENTRIES, true);
}

/* --- lists --- */

/* A wrong neighbour means that somebody wrote to a free block. */
static void list_check(const struct frame_links *l)
{
	if (UNLIKELY(l->next->prev != l || l->prev->next != l))
		panic("free list damaged at frame %#lx: somebody wrote to it after it was freed",
		      virt_to_phys(l).v);
}

static void list_add(struct frames_node *fn, u64 pfn, u32 order)
{
	struct frame_links *l = frame_virt(pfn), *head = &fn->lists[order];

	table[pfn].order = (u8)order;
	frame_state_set(&table[pfn], FRAME_FREE);
	l->next = head->next;
	l->prev = head;
	head->next->prev = l;
	head->next = l;
	fn->orders |= 1u << order;
	fn->blocks[order]++;
	__atomic_store_n(&fn->free, fn->free + (1ull << order), __ATOMIC_RELAXED);
}

static void list_remove(struct frames_node *fn, u64 pfn, u32 order)
{
	struct frame_links *l = frame_virt(pfn), *head = &fn->lists[order];

	list_check(l);
	l->next->prev = l->prev;
	l->prev->next = l->next;
	/* No address of ours is left behind for the next owner to read. */
	*l = (struct frame_links){0};
	if (head->next == head)
		fn->orders &= ~(1u << order);
	fn->blocks[order]--;
	__atomic_store_n(&fn->free, fn->free - (1ull << order), __ATOMIC_RELAXED);
}

/* --- blocks --- */

bool frames_take(struct frames_node *fn, u32 order, u64 *pfn)
{
	u32 fits = fn->orders & ~((1u << order) - 1);
	u32 from;
	u64 block;

	if (fits == 0)
		return false;
	/* The smallest block that does: big ones stay whole as long as possible. */
	from = (u32)__builtin_ctz(fits);
	block = virt_to_phys(fn->lists[from].next).v >> PAGE_SHIFT;
	list_remove(fn, block, from);
	while (from > order) {
		if (from == CHUNK_ORDER && !chunk_has_entries(block))
			chunk_entries(block >> CHUNK_ORDER, FRAME_TAIL);
		from--;
		list_add(fn, block + (1ull << from), from);
	}
	table[block].order = (u8)order;
	frame_state_set(&table[block], FRAME_USED);
	*pfn = block;
	return true;
}

/*
 * True when the block's neighbour is free as a whole and of the same node. Once its chunk is known,
 * the neighbour's first entry is valid: it heads a block of some order, or lies inside one.
 */
static bool buddy_free(u64 buddy, u32 order, u32 node)
{
	if (order >= CHUNK_ORDER &&
	    (!chunk_known(buddy >> CHUNK_ORDER) || chunk_node(buddy) != node))
		return false;
	return frame_state_get(&table[buddy]) == FRAME_FREE && table[buddy].order == order;
}

void frames_give(struct frames_node *fn, u64 pfn, u32 order)
{
	u32 node = (u32)(fn - nodes);

	for (; order < FRAME_ORDER_MAX; order++) {
		u64 buddy = pfn ^ (1ull << order);

		if (!buddy_free(buddy, order, node))
			break;
		list_remove(fn, buddy, order);
		frame_state_set(&table[pfn | buddy], FRAME_TAIL);
		pfn &= buddy;
	}
	list_add(fn, pfn, order);
}

void frames_split_entries(u64 pfn, u32 order)
{
	for (u64 i = pfn; i < pfn + (1ull << order); i++) {
		if ((i & CHUNK_MASK) == 0 && !chunk_has_entries(i))
			chunk_entries(i >> CHUNK_ORDER, FRAME_TAIL);
		table[i].order = 0;
		table[i].refs = 1;
		frame_state_set(&table[i], FRAME_USED);
	}
}

/* --- setting up --- */

void frames_init(struct frame *frame_table)
{
	table = frame_table;
	range_count = 0;
	memset(nodes, 0, sizeof(nodes));
	for (u32 n = 0; n < NODES_MAX; n++) {
		nodes[n].lock = (struct spinlock)SPINLOCK_INIT(RANK_FRAMES, "frames");
		for (u32 o = 0; o <= FRAME_ORDER_MAX; o++) {
			struct frame_links *head = &nodes[n].lists[o];

			*head = (struct frame_links){.next = head, .prev = head};
		}
	}
}

/* Makes the entries of [pfn, end), which lies in one chunk, ready to be given. */
static void chunk_add(u64 pfn, u64 end, bool known, u32 node)
{
	u64 chunk = pfn >> CHUNK_ORDER;
	struct frame *head = &table[chunk << CHUNK_ORDER];
	bool whole = end - pfn == CHUNK_FRAMES;

	if (!known) {
		*head = (struct frame){.state = whole ? FRAME_TAIL : FRAME_HOLE, .node = (u8)node};
		if (!whole)
			chunk_entries(chunk, FRAME_HOLE);
	}
	if (whole && !known)
		return;
	for (; pfn < end; pfn++) {
		if (!chunk_has_entries(pfn) || frame_state_get(&table[pfn]) != FRAME_HOLE)
			panic("memory at %#lx was added twice", pfn << PAGE_SHIFT);
		frame_state_set(&table[pfn], FRAME_TAIL);
	}
}

/* Gives [pfn, end), all of one node, in the biggest aligned blocks. */
static void give_range(u64 pfn, u64 end, u32 node)
{
	struct frames_node *fn = &nodes[node];
	lock_token token = lock_take(&fn->lock);

	fn->total += end - pfn;
	while (pfn < end) {
		u32 order = FRAME_ORDER_MAX;

		while ((pfn & ((1ull << order) - 1)) != 0 || end - pfn < 1ull << order)
			order--;
		frames_give(fn, pfn, order);
		pfn += 1ull << order;
	}
	lock_release(&fn->lock, token);
}

u64 frames_add(hpa_t base, u64 len, u32 node)
{
	u64 first = base.v >> PAGE_SHIFT, end = (base.v + len) >> PAGE_SHIFT;
	u64 run = first;
	bool first_known, last_known;

	ASSERT((base.v | len) % PAGE_SIZE == 0);
	ASSERT(node < NODES_MAX);
	if (len == 0)
		return 0;
	if (chunks_known((first >> CHUNK_ORDER) + 1, (end - 1) >> CHUNK_ORDER))
		panic("memory in %#lx-%#lx was added twice", base.v, base.v + len - 1);
	first_known = chunk_known(first >> CHUNK_ORDER);
	last_known = chunk_known((end - 1) >> CHUNK_ORDER);
	if (!range_add(first >> CHUNK_ORDER, ((end - 1) >> CHUNK_ORDER) + 1)) {
		log_warn("memory: %#lx-%#lx is not used: more than %u separate pieces", base.v,
			 base.v + len - 1, RANGES_MAX);
		return 0;
	}
	for (u64 pfn = first, next; pfn < end; pfn = next) {
		bool known = (pfn == first && first_known) ||
			     (pfn >> CHUNK_ORDER == (end - 1) >> CHUNK_ORDER && last_known);

		next = min_u64((pfn | CHUNK_MASK) + 1, end);
		chunk_add(pfn, next, known, node);
	}
	/* A shared first or last 2 MiB may belong to another node: then it is given on its own. */
	while (run < end) {
		u64 stop = run;

		node = chunk_node(run);
		while (stop < end && chunk_node(stop) == node)
			stop = min_u64((stop | CHUNK_MASK) + 1, end);
		give_range(run, stop, node);
		run = stop;
	}
	return len;
}

/* --- looking up --- */

struct frame *frames_entry(hpa_t pa)
{
	u64 pfn = pa.v >> PAGE_SHIFT;

	if (pa.v % PAGE_SIZE != 0)
		panic("frame %#lx is not 4 KiB aligned", pa.v);
	if (!chunk_known(pfn >> CHUNK_ORDER))
		panic("frame %#lx is not memory of the allocator", pa.v);
	if ((pfn & CHUNK_MASK) != 0 && !chunk_has_entries(pfn))
		panic("frame %#lx is not the first of a block", pa.v);
	return &table[pfn];
}

u32 frame_node(hpa_t pa)
{
	if (!chunk_known(pa.v >> PAGE_2M_SHIFT))
		panic("frame_node: %#lx is not memory of the allocator", pa.v);
	return chunk_node(pa.v >> PAGE_SHIFT);
}

/* --- poison --- */

/* Blocks above 2 MiB are not filled: a gigabyte would take longer than the bug is worth. */
void frames_poison(u64 pfn, u32 order)
{
	if (order > CHUNK_ORDER)
		return;
	if (order == CHUNK_ORDER && !chunk_has_entries(pfn))
		chunk_entries(pfn >> CHUNK_ORDER, FRAME_TAIL);
	for (u64 i = pfn; i < pfn + (1ull << order); i++) {
		memset((char *)frame_virt(i) + sizeof(struct frame_links), (int)(POISON & 0xff),
		       PAGE_SIZE - sizeof(struct frame_links));
		flag_put(&table[i], FRAME_POISONED, true);
	}
}

static void check_frame(u64 pfn)
{
	const u64 *page = frame_virt(pfn);

	for (u64 i = sizeof(struct frame_links) / sizeof(u64); i < PAGE_SIZE / sizeof(u64); i++) {
		if (UNLIKELY(page[i] != POISON))
			panic("frame %#lx was written to after it was freed: %#lx at offset %#lx",
			      pfn << PAGE_SHIFT, page[i], i * sizeof(u64));
	}
}

void frames_check_poison(u64 pfn, u32 order)
{
	u64 end = pfn + (1ull << order);

	for (u64 next; pfn < end; pfn = next) {
		next = min_u64((pfn | CHUNK_MASK) + 1, end);
		/* A chunk that was never split holds no frame that was freed. */
		if (!chunk_has_entries(pfn))
			continue;
		for (; pfn < next; pfn++) {
			if (!flag_get(&table[pfn], FRAME_POISONED))
				continue;
			flag_put(&table[pfn], FRAME_POISONED, false);
			check_frame(pfn);
		}
	}
}
