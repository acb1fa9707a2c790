/* SPDX-License-Identifier: MIT */
/*
 * Frames that a guest has written to wait here (hv/mem/scrub.c) until idle time zeroes them; only
 * then can anybody else get them. docs/gmem.md.
 */
#ifndef TERN_SCRUB_H
#define TERN_SCRUB_H

#include <tern/addr.h>
#include <tern/types.h>

/* Takes over a block of 2^order frames from its only user. No CPU has a translation to it: the
 * first bytes are overwritten at once. Takes RANK_SCRUB. Any context but NMI. */
void scrub_put(hpa_t block, u32 order);
/* Zeroes about max frames, at least one block if there is any, and gives them to the allocator:
 * true when it did, so call again. Idle time, or a CPU that found no free frame. Takes RANK_SCRUB
 * and RANK_FRAMES. */
bool scrub_some(u32 max);
/* Frames that are not zeroed yet. */
u64 scrub_backlog(void);

#endif
