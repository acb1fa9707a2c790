/* SPDX-License-Identifier: MIT */
/*
 * libternhint: a process tells the agent of its guest what memory it is going to need, so that the
 * node has it ready before it is touched. Link with -lternhint. ternhint(3).
 */
#ifndef TERNHINT_H
#define TERNHINT_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The agent has the hint, but no node has answered: there is none, or it is busy. */
#define TERN_HINT_NO_NODE 1

/*
 * This process, with all that it starts, will need `bytes` more memory within the next `seconds`. A
 * later hint of the same process takes the place of an earlier one; a hint ends when its process does
 * or its time is over. Returns when the node knows: 0, or TERN_HINT_NO_NODE, or a negative
 * errno: -ENOENT or -ECONNREFUSED no agent runs, -EACCES hints are closed to this user, -EINVAL
 * nothing to hint or more than a day, -ENOSPC too many hints, -ETIMEDOUT no answer within 3 s.
 * May be called from any thread.
 */
int tern_hint(uint64_t bytes, unsigned int seconds);

/* What was hinted has been used, or is not needed. Returns as tern_hint(). */
int tern_hint_withdraw(void);

#ifdef __cplusplus
}
#endif

#endif
