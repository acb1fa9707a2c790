/* SPDX-License-Identifier: MIT */
/* What the agent may do, which is as little as its work needs. */
#ifndef CAPS_H
#define CAPS_H

/*
 * Gives up all capabilities but CAP_DAC_OVERRIDE, which writing memory.reclaim of a cgroup that belongs to a
 * user needs, and the right to gain any by exec. To be called when all is open. Returns 0, or a negative errno;
 * 0 when there were none.
 */
int caps_drop(void);

#endif
