/* SPDX-License-Identifier: MIT */
/* Words of a command line (hv/shell/words.c). Pure. */
#ifndef HV_SHELL_WORDS_H
#define HV_SHELL_WORDS_H

#include <tern/types.h>

/*
 * Splits text at spaces, in place; a part in double quotes keeps its spaces and loses the quotes.
 * Returns how many words there are; -TERN_E2BIG for more than max, -TERN_EINVAL for a quote that is
 * not closed.
 */
MUST_CHECK int words_split(char *text, char **argv, u32 max);

/* How many characters must be inserted, removed, changed or swapped with their neighbour to make b
 * of a; at least that many for words too long to be typed by mistake. */
u32 words_distance(const char *a, const char *b);

#endif
