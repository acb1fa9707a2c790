/* SPDX-License-Identifier: MIT */
/* A scrubber for the tests of gmem that fails at once when fake_mmu remembers what it is given. */
#ifndef FAKE_SCRUB_H
#define FAKE_SCRUB_H

#include <tern/types.h>

/* After fake_frames_reset(). Frames that are freed without it are checked too. */
void fake_scrub_reset(void);
/* Frames ever given to it. */
extern u64 fake_scrub_seen;

#endif
