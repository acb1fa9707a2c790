/* SPDX-License-Identifier: MIT */
/* Words of a command line: splitting them, and finding the one that was meant. */
#include "words.h"

#include <tern/err.h>
#include <tern/lib.h>

#define DISTANCE_MAX 24u /* longest word compared */

int words_split(char *text, char **argv, u32 max)
{
	const char *in = text;
	char *to = text;
	u32 count = 0;

	for (;;) {
		bool quoted = false;

		while (*in == ' ')
			in++;
		if (*in == '\0')
			return (int)count;
		if (count == max)
			return -TERN_E2BIG;
		argv[count++] = to;
		for (; *in != '\0' && (quoted || *in != ' '); in++) {
			if (*in == '"')
				quoted = !quoted;
			else
				*to++ = *in;
		}
		if (quoted)
			return -TERN_EINVAL;
		/* The word may end where the next one begins: step over the space first. */
		if (*in == ' ')
			in++;
		*to++ = '\0';
	}
}

/* Optimal string alignment: three rows of the usual table, since a swap looks two rows back. */
u32 words_distance(const char *a, const char *b)
{
	u32 rows[3][DISTANCE_MAX + 1];
	size_t an = strlen(a), bn = strlen(b);

	if (an > DISTANCE_MAX || bn > DISTANCE_MAX)
		return DISTANCE_MAX;
	for (u32 j = 0; j <= bn; j++)
		rows[0][j] = j;
	for (u32 i = 1; i <= an; i++) {
		u32 *row = rows[i % 3];
		const u32 *up = rows[(i + 2) % 3], *up2 = rows[(i + 1) % 3];

		row[0] = i;
		for (u32 j = 1; j <= bn; j++) {
			u64 best = up[j - 1] + (a[i - 1] != b[j - 1]);

			best = min_u64(best, min_u64(up[j], row[j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				best = min_u64(best, up2[j - 2] + 1u);
			row[j] = (u32)best;
		}
	}
	return rows[an % 3][bn];
}
