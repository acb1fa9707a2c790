/* SPDX-License-Identifier: MIT */
/*
 * A strict frame allocator for host tests, over the memory of fake_host: it fails when it is told
 * to, hands out the frame last freed first, so that whoever still uses it is caught, and checks
 * that frames are given back once, and as zeroes where that is said.
 */
#ifndef FAKE_FRAMES_H
#define FAKE_FRAMES_H

#include <tern/addr.h>

#define FAKE_FRAMES_BASE MiB(2)
#define FAKE_FRAMES_MAX  65536u

/* After fake_reset(): that many frames, all free. */
void fake_frames_reset(u32 count);
/* Frames in use. */
u32 fake_frames_used(void);

/* Allocations that still succeed. */
extern u32 fake_frames_left;
/* This one alone fails, counted from 0 from now on; UINT32_MAX: none. */
extern u32 fake_frames_one;
/* Allocations asked for since the reset. */
extern u32 fake_frames_asked;
/* Called for each block that is freed, unless it is NULL. */
extern void (*fake_frames_freeing)(hpa_t block, u32 order);

#endif
