/* SPDX-License-Identifier: MIT */
#include "fake_frames.h"

#include <stdlib.h>
#include <string.h>
#include <tern/arch.h>
#include <tern/err.h>
#include <tern/frames.h>

enum { FREE, HEAD, TAIL };

u32 fake_frames_left = UINT32_MAX, fake_frames_one = UINT32_MAX;
u32 fake_frames_asked;
void (*fake_frames_freeing)(hpa_t block, u32 order);

static struct {
	u8 state, order;
} frames[FAKE_FRAMES_MAX];
static u32 total, used, hint;

void fake_frames_reset(u32 count)
{
	if (count > FAKE_FRAMES_MAX)
		abort();
	memset(frames, 0, sizeof(frames));
	total = count;
	used = hint = fake_frames_asked = 0;
	fake_frames_left = fake_frames_one = UINT32_MAX;
	fake_frames_freeing = NULL;
}

u32 fake_frames_used(void)
{
	return used;
}

static hpa_t address(u32 i)
{
	return hpa(FAKE_FRAMES_BASE + i * PAGE_SIZE);
}

static bool all_free(u32 first, u32 count)
{
	for (u32 i = first; i < first + count; i++) {
		if (frames[i].state != FREE)
			return false;
	}
	return true;
}

static u32 find(u32 count)
{
	u32 start = hint & ~(count - 1);

	for (u32 n = 0; n < total / count; n++) {
		u32 i = (start + n * count) % (total & ~(count - 1));

		if (all_free(i, count))
			return i;
	}
	return UINT32_MAX;
}

int frames_alloc(u32 order, u32 flags, UNUSED u32 node, hpa_t *out)
{
	u32 count = 1u << order, first;

	fake_frames_asked++;
	if (fake_frames_left == 0)
		return -TERN_ENOMEM;
	if (fake_frames_one != UINT32_MAX && fake_frames_one-- == 0)
		return -TERN_ENOMEM;
	if (count > total)
		return -TERN_ENOMEM;
	first = find(count);
	if (first == UINT32_MAX)
		return -TERN_ENOMEM;
	fake_frames_left--;
	for (u32 i = first; i < first + count; i++)
		frames[i].state = TAIL;
	frames[first].state = HEAD;
	frames[first].order = (u8)order;
	if (order == 0)
		hint = first; /* none is free between: the next search begins here */
	used += count;
	*out = address(first);
	if (flags & FRAME_ZERO)
		memset(phys_to_virt(*out), 0, count * PAGE_SIZE);
	return 0;
}

static u32 head_index(hpa_t block)
{
	u64 i = (block.v - FAKE_FRAMES_BASE) >> PAGE_SHIFT;

	if (block.v % PAGE_SIZE != 0 || block.v < FAKE_FRAMES_BASE || i >= total ||
	    frames[i].state != HEAD)
		panic("%#lx is not the first frame of a block in use", block.v);
	return (u32)i;
}

void frame_put(hpa_t block)
{
	u32 first = head_index(block), count = 1u << frames[first].order;

	if (fake_frames_freeing != NULL)
		fake_frames_freeing(block, frames[first].order);
	memset(phys_to_virt(block), 0xd5, count * PAGE_SIZE);
	for (u32 i = first; i < first + count; i++)
		frames[i].state = FREE;
	used -= count;
	hint = first;
}

void frame_put_zeroed(hpa_t block)
{
	u32 first = head_index(block);
	u64 bytes = PAGE_SIZE << frames[first].order;
	const char *p = phys_to_virt(block);

	if (p[0] != 0 || memcmp(p, p + 1, bytes - 1) != 0)
		panic("%#lx is not zero", block.v);
	frame_put(block);
}

void frame_split(hpa_t block)
{
	u32 first = head_index(block), count = 1u << frames[first].order;

	for (u32 i = first; i < first + count; i++) {
		frames[i].state = HEAD;
		frames[i].order = 0;
	}
}

void *frames_alloc_page(void)
{
	hpa_t pa;

	return frames_alloc(0, FRAME_ZERO, FRAME_NODE_ANY, &pa) == 0 ? phys_to_virt(pa) : NULL;
}

void frames_free_page(void *page)
{
	frame_put(virt_to_phys(page));
}

void frames_get_stats(struct frames_stats *st)
{
	*st = (struct frames_stats){.total = total, .free = total - used};
}
