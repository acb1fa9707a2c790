/* SPDX-License-Identifier: MIT */
#include "fake_scrub.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tern/arch.h>
#include <tern/frames.h>
#include <tern/scrub.h>

#include "fake_frames.h"
#include "fake_mmu.h"

u64 fake_scrub_seen;

static struct {
	hpa_t block;
	u32 order;
} queue[FAKE_FRAMES_MAX];
static u32 count;
static u64 backlog;

static void check(hpa_t block, u32 order)
{
	if (!fake_mmu_remembers(block, order))
		return;
	fprintf(stderr, "frames at %#lx are given back, but a CPU may still use them\n", block.v);
	abort();
}

void fake_scrub_reset(void)
{
	count = 0;
	backlog = fake_scrub_seen = 0;
	fake_frames_freeing = check;
}

void scrub_put(hpa_t block, u32 order)
{
	check(block, order);
	memset(phys_to_virt(block), 0xbb, PAGE_SIZE);
	queue[count].block = block;
	queue[count++].order = order;
	backlog += 1ull << order;
	fake_scrub_seen += 1ull << order;
}

bool scrub_some(u32 max)
{
	u64 n = 0;

	while (n < max && count > 0) {
		count--;
		memset(phys_to_virt(queue[count].block), 0, PAGE_SIZE << queue[count].order);
		frame_put_zeroed(queue[count].block);
		n += 1ull << queue[count].order;
	}
	backlog -= n;
	return n > 0;
}

u64 scrub_backlog(void)
{
	return backlog;
}
