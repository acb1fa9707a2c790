/* SPDX-License-Identifier: MIT */
/* Times as people write them. */
#ifndef DURATION_H
#define DURATION_H

#include <abi/types.h>

/* Reads "90", "90s", "2m", "1h" or "1d" into seconds, 1 to UINT32_MAX. Returns 0, or -EINVAL or -ERANGE
 * with *seconds untouched. */
int duration_parse(const char *text, u32 *seconds);

#endif
