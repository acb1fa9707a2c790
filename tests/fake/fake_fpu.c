/* SPDX-License-Identifier: MIT */
/* fpu_begin() and fpu_end() for host tests: they must come in pairs. */
#include <stdlib.h>

#include <tern/fpu.h>
#include <tern/types.h>

static bool used;

void fpu_begin(void)
{
	if (used)
		abort();
	used = true;
}

void fpu_end(void)
{
	if (!used)
		abort();
	used = false;
}
