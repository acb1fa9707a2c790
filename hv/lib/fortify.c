/* SPDX-License-Identifier: MIT */
/*
 * What Debian compiles calls of memcpy and memset to when it knows the size of the destination
 * (_FORTIFY_SOURCE): its static libraries want these. A copy that does not fit is a bug of ours.
 */
#include <tern/err.h>
#include <tern/lib.h>

void *__memcpy_chk(void *dst, const void *src, size_t n, size_t size);
void *__memset_chk(void *dst, int c, size_t n, size_t size);

void *__memcpy_chk(void *dst, const void *src, size_t n, size_t size)
{
	ASSERT(n <= size);
	return memcpy(dst, src, n);
}

void *__memset_chk(void *dst, int c, size_t n, size_t size)
{
	ASSERT(n <= size);
	return memset(dst, c, n);
}
