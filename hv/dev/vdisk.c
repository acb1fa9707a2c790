/* SPDX-License-Identifier: MIT */
/*
 * A disk's own blocks hang in a tree of pages of 512 slots, as high as the disk's size needs. A slot
 * is 0 (nothing below: the image shows through, or zeroes beyond its end), or the address of the
 * table or block below; a block's slot may also be SLOT_ZERO, which hides the image without a frame.
 * A table with nothing in it is freed, so that memory is bounded by what is written now.
 */
#include <tern/vdisk.h>

#include <tern/arch.h>
#include <tern/err.h>
#include <tern/frames.h>
#include <tern/lib.h>
#include <tern/scrub.h>

#define TABLE_SHIFT 9u
#define TABLE_SLOTS (1u << TABLE_SHIFT)
#define SLOT_ZERO   1ull /* no frame has this address */
#define SECTOR      512u

_Static_assert(TABLE_SLOTS * sizeof(u64) == PAGE_SIZE && VDISK_BLOCK == PAGE_SIZE, "a frame each");

static const u8 zeroes[VDISK_BLOCK];

static u64 *table_of(u64 slot)
{
	return phys_to_virt(hpa(slot));
}

static u64 block_count(const struct vdisk *d)
{
	return (d->size + VDISK_BLOCK - 1) / VDISK_BLOCK;
}

/* The slot of a block in the tables of height stop (0: the block's own), or the empty one above it
 * where the tree ends. *height: the slot's. */
static u64 *find(struct vdisk *d, u64 block, u32 stop, u32 *height)
{
	u64 *slot = &d->root;
	u32 h = d->height;

	while (h > stop && *slot != 0) {
		h--;
		slot = &table_of(*slot)[(block >> (TABLE_SHIFT * h)) % TABLE_SLOTS];
	}
	*height = h;
	return slot;
}

/* What the slot of a block holds, 0 if it has none. */
static u64 slot_of(const struct vdisk *d, u64 block)
{
	u64 slot = d->root;

	for (u32 h = d->height; h > 0 && slot != 0; h--)
		slot = table_of(slot)[(block >> (TABLE_SHIFT * (h - 1))) % TABLE_SLOTS];
	return slot;
}

/* When there is no frame, those that wait to be zeroed need not wait for idle time. */
static int alloc_frame(u32 flags, hpa_t *out)
{
	int rc = frames_alloc(0, flags, FRAME_NODE_ANY, out);

	while (UNLIKELY(rc != 0) && scrub_some(1))
		rc = frames_alloc(0, flags, FRAME_NODE_ANY, out);
	return rc;
}

static bool all_zero(const void *p, u64 n)
{
	return p == zeroes || memcmp(p, zeroes, n) == 0;
}

/* Frees the tables on the way to a block that have nothing in them. */
static void prune(struct vdisk *d, u64 block)
{
	for (u32 stop = 1; stop <= d->height; stop++) {
		u32 height;
		u64 *slot = find(d, block, stop, &height);

		if (*slot == 0)
			continue;
		if (!all_zero(table_of(*slot), PAGE_SIZE))
			return;
		frame_put_zeroed(hpa(*slot));
		*slot = 0;
		d->stats.tables--;
	}
}

/* The slot of a block; makes the tables that are missing. */
static int reserve(struct vdisk *d, u64 block, u64 **out)
{
	u32 height;
	u64 *slot = find(d, block, 0, &height);

	while (height > 0) {
		hpa_t pa;
		int rc = alloc_frame(FRAME_ZERO, &pa);

		if (rc != 0) {
			prune(d, block);
			return rc;
		}
		*slot = pa.v;
		d->stats.tables++;
		slot = find(d, block, 0, &height);
	}
	*out = slot;
	return 0;
}

/* Makes a whole block zero. */
static int clear(struct vdisk *d, u64 block)
{
	bool mark = block * VDISK_BLOCK < d->image_len;
	u32 height;
	u64 *slot = find(d, block, 0, &height), old;
	int rc;

	if (height > 0) {
		if (!mark)
			return 0;
		rc = reserve(d, block, &slot);
		if (rc != 0)
			return rc;
	}
	old = *slot;
	*slot = mark ? SLOT_ZERO : 0;
	if (mark && old != SLOT_ZERO)
		d->stats.zeroes++;
	if (old > SLOT_ZERO) {
		scrub_put(hpa(old), 0);
		d->stats.blocks--;
	}
	return 0;
}

/* The same for blocks [block, end). */
static int clear_blocks(struct vdisk *d, u64 block, u64 end)
{
	for (; block < end; block++) {
		int rc = clear(d, block);

		if (rc != 0)
			return rc;
		if ((block + 1) % TABLE_SLOTS == 0 || block + 1 == end)
			prune(d, block);
	}
	return 0;
}

/* Writes a part of a block that has no frame. */
static int copy_up(struct vdisk *d, u64 offset, const void *src, u64 n)
{
	u64 block = offset / VDISK_BLOCK, start = block * VDISK_BLOCK, *slot;
	u8 *page;
	hpa_t pa;
	int rc = reserve(d, block, &slot);

	if (rc != 0)
		return rc;
	rc = alloc_frame(n == VDISK_BLOCK ? 0 : FRAME_ZERO, &pa);
	if (rc != 0) {
		prune(d, block);
		return rc;
	}
	page = phys_to_virt(pa);
	if (*slot == SLOT_ZERO)
		d->stats.zeroes--;
	else if (n != VDISK_BLOCK && start < d->image_len)
		memcpy(page, d->image + start, min_u64(VDISK_BLOCK, d->image_len - start));
	memcpy(page + offset % VDISK_BLOCK, src, n);
	*slot = pa.v;
	d->stats.blocks++;
	return 0;
}

/* Bytes from offset to the end of its block, the last one's being the disk's, but at most len. */
static u64 piece(const struct vdisk *d, u64 offset, u64 len)
{
	u64 n = VDISK_BLOCK - offset % VDISK_BLOCK;

	return min_u64(min_u64(n, d->size - offset), len);
}

/* Writes n bytes of one block. */
static int store(struct vdisk *d, u64 offset, const void *src, u64 n)
{
	u64 block = offset / VDISK_BLOCK, at = offset % VDISK_BLOCK, slot = slot_of(d, block);

	if (all_zero(src, n)) {
		if (slot == SLOT_ZERO || (slot == 0 && block * VDISK_BLOCK >= d->image_len))
			return 0;
		if (at == 0 && n == piece(d, offset, VDISK_BLOCK))
			return clear_blocks(d, block, block + 1);
	}
	if (slot <= SLOT_ZERO)
		return copy_up(d, offset, src, n);
	memcpy((u8 *)phys_to_virt(hpa(slot)) + at, src, n);
	return 0;
}

static int check(const struct vdisk *d, u64 offset, u64 len)
{
	return offset <= d->size && len <= d->size - offset ? 0 : -TERN_EINVAL;
}

static int check_change(const struct vdisk *d, u64 offset, u64 len)
{
	int rc = check(d, offset, len);

	return rc == 0 && d->read_only ? -TERN_EPERM : rc;
}

const void *vdisk_view(const struct vdisk *d, u64 offset, u64 *len)
{
	u64 slot = slot_of(d, offset / VDISK_BLOCK);

	ASSERT(offset < d->size);
	*len = piece(d, offset, VDISK_BLOCK);
	if (slot > SLOT_ZERO)
		return (const u8 *)phys_to_virt(hpa(slot)) + offset % VDISK_BLOCK;
	if (slot == SLOT_ZERO || offset >= d->image_len)
		return zeroes;
	*len = min_u64(*len, d->image_len - offset);
	return d->image + offset;
}

int vdisk_read(const struct vdisk *d, u64 offset, void *buf, u64 len)
{
	int rc = check(d, offset, len);

	for (u64 done = 0, n; rc == 0 && done < len; done += n) {
		const void *src = vdisk_view(d, offset + done, &n);

		n = min_u64(n, len - done);
		memcpy((u8 *)buf + done, src, n);
	}
	return rc;
}

int vdisk_write(struct vdisk *d, u64 offset, const void *buf, u64 len)
{
	int rc = check_change(d, offset, len);

	for (u64 done = 0, n; rc == 0 && done < len; done += n) {
		n = piece(d, offset + done, len - done);
		rc = store(d, offset + done, (const u8 *)buf + done, n);
	}
	return rc;
}

int vdisk_zero(struct vdisk *d, u64 offset, u64 len)
{
	int rc = check_change(d, offset, len);

	for (u64 done = 0, n; rc == 0 && done < len; done += n) {
		u64 at = offset + done, left = len - done;

		n = piece(d, at, left);
		if (at % VDISK_BLOCK != 0 || left < VDISK_BLOCK) {
			rc = store(d, at, zeroes, n);
			continue;
		}
		n = align_down(left, VDISK_BLOCK);
		rc = clear_blocks(d, at / VDISK_BLOCK, (at + n) / VDISK_BLOCK);
	}
	return rc;
}

int vdisk_discard(struct vdisk *d, u64 offset, u64 len)
{
	u64 end = offset + len;
	int rc = check_change(d, offset, len);

	if (rc != 0)
		return rc;
	/* The disk's last block may be short. */
	return clear_blocks(d, (offset + VDISK_BLOCK - 1) / VDISK_BLOCK,
			    end == d->size ? block_count(d) : end / VDISK_BLOCK);
}

void vdisk_count(struct vdisk *d, enum vdisk_op op, u64 bytes, bool failed)
{
	if (failed) {
		d->stats.errors++;
		return;
	}
	d->stats.count[op]++;
	d->stats.bytes[op] += bytes;
}

/* Nothing was written yet. */
static void set_medium(struct vdisk *d, u64 size, const void *image, u64 image_len)
{
	d->size = size;
	d->image = image;
	d->image_len = image == NULL ? 0 : min_u64(image_len, size);
	d->height = 0;
	while (block_count(d) > 1ull << (TABLE_SHIFT * d->height))
		d->height++;
}

int vdisk_create(struct vdisk *d, const struct vdisk_config *c)
{
	u64 size = c->size;

	if (size == 0 && c->image != NULL && c->image_len <= VDISK_SIZE_MAX)
		size = align_up(c->image_len, SECTOR);
	if ((size == 0 && !c->removable) || size % SECTOR != 0 || size > VDISK_SIZE_MAX)
		return -TERN_EINVAL;
	*d = (struct vdisk){.read_only = c->read_only || c->removable, .removable = c->removable};
	str_copy(d->name, c->name, sizeof(d->name));
	set_medium(d, size, c->image, c->image_len);
	return 0;
}

int vdisk_insert(struct vdisk *d, const void *image, u64 len)
{
	if (!d->removable || len > VDISK_SIZE_MAX)
		return -TERN_EINVAL;
	/* A read-only disk has no blocks of its own that could outlive the medium. */
	ASSERT(d->root == 0);
	set_medium(d, align_up(len, SECTOR), len == 0 ? NULL : image, len);
	return 0;
}

void vdisk_destroy(struct vdisk *d)
{
	u64 end = block_count(d), next;
	int rc = 0;

	/* Nothing shows through any more, so clearing leaves no marks. */
	d->image_len = 0;
	for (u64 block = 0; block < end; block = next) {
		u32 height;

		find(d, block, 0, &height);
		next = min_u64(align_up(block + 1, 1ull << (TABLE_SHIFT * max_u64(height, 1))),
			       end);
		if (height == 0)
			rc = clear_blocks(d, block, next);
		ASSERT(rc == 0);
	}
	ASSERT(d->root == 0 && d->stats.blocks == 0 && d->stats.tables == 0);
}
