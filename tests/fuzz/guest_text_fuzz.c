/* SPDX-License-Identifier: MIT */
/* links: hv/shell/guest_text.c hv/lib/str.c */
/* A hostile guest's output: what passes would pass again, unchanged, and does not depend on how it is cut. */
#include "hv/shell/guest_text.h"

#include <stdlib.h>
#include <string.h>

#define MAX 4096u

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static void check(bool ok)
{
	if (!ok)
		abort();
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static char once[MAX + GUEST_SEQUENCE_MAX], again[2 * MAX], cut[2 * MAX];
	struct guest_text a = {0}, b = {0}, c = {0};
	size_t n, m, k = 0, piece;

	if (size < 2 || size > MAX)
		return 0;
	piece = data[0] % 37 + 1u;
	data++;
	size--;
	n = guest_text_pass(&a, (const char *)data, size, once);
	check(n <= size);
	for (size_t i = 0; i < n; i++)
		check((once[i] >= ' ' && once[i] <= '~') ||
		      strchr("\a\b\t\n\r\x1b", once[i]) != NULL);
	m = guest_text_pass(&b, once, n, again);
	check(m == n && memcmp(once, again, n) == 0 && b.state == GUEST_TEXT);
	check(a.changed == (memchr(once, '\x1b', n) != NULL));
	for (size_t at = 0; at < size; at += piece) {
		size_t len = size - at < piece ? size - at : piece;
		size_t got = guest_text_pass(&c, (const char *)data + at, len, cut + k);

		check(got <= len + GUEST_SEQUENCE_MAX);
		k += got;
	}
	check(k == n && memcmp(once, cut, n) == 0);
	return 0;
}
