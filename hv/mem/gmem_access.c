/* SPDX-License-Identifier: MIT */
/* The host's own accesses to guest memory: checked copies, a page in one lock hold. */
#include <tern/gmem.h>

#include <tern/err.h>
#include <tern/lib.h>

#include "gmem_internal.h"

enum access { ACCESS_READ, ACCESS_WRITE, ACCESS_LOAD };

/* Where the memory of at is in e, a mapped leaf of that level. */
static void *leaf_virt(u64 e, u32 level, gpa_t at)
{
	return (char *)phys_to_virt(hpa(e & NPT_ADDR)) + at.v % npt_size(level);
}

/* Host memory behind at, backed, marked as written. Lock held. */
static int writable(struct gmem *g, gpa_t at, enum access access, void **out)
{
	const struct gmem_region *r = gmem_region_of(g, at);
	u32 level;
	u64 *slot;

	if (r == NULL || (r->kind == GMEM_ROM && access != ACCESS_LOAD))
		return -TERN_EFAULT;
	if (gmem_back(g, r, at, &slot) != GMEM_MAPPED)
		return -TERN_EAGAIN;
	if (npt_state_of(npt_load(slot)) == NPT_READ_ONLY && access != ACCESS_LOAD)
		return -TERN_EFAULT;
	/* What collects dirty pages need not know who wrote. CPUs set bits at the same time. */
	__atomic_fetch_or(slot, g->npt.fmt->accessed | g->npt.fmt->dirty, __ATOMIC_RELAXED);
	slot = npt_find(&g->npt, at, &level);
	*out = leaf_virt(npt_load(slot), level, at);
	return 0;
}

/* n bytes in one page. Lock held. */
static int read_page(struct gmem *g, gpa_t at, void *dst, u64 n)
{
	u32 level;
	u64 e;

	if (gmem_region_of(g, at) == NULL)
		return -TERN_EFAULT;
	e = npt_load(npt_find(&g->npt, at, &level));
	if (npt_is_mapped(e))
		memcpy(dst, leaf_virt(e, level, at), n);
	else if (e == 0)
		memset(dst, 0, n);
	else
		return -TERN_EAGAIN;
	return 0;
}

static int write_page(struct gmem *g, gpa_t at, const void *src, u64 n, enum access access)
{
	void *dst;
	int rc = writable(g, at, access, &dst);

	if (rc == 0)
		memcpy(dst, src, n);
	return rc;
}

/* Page by page: one of dst and src is not NULL. No region reaches the end of the address space, so
 * at does not wrap before a page is refused. */
static int copy(struct gmem *g, gpa_t at, u8 *dst, const u8 *src, u64 len, enum access access)
{
	int rc = 0;

	for (u64 done = 0, n; rc == 0 && done < len; done += n) {
		gpa_t page = gpa_add(at, done);
		lock_token token = lock_take(&g->lock);

		n = min_u64(len - done, PAGE_SIZE - page.v % PAGE_SIZE);
		rc = access == ACCESS_READ ? read_page(g, page, dst + done, n)
					   : write_page(g, page, src + done, n, access);
		lock_release(&g->lock, token);
	}
	return rc;
}

int gmem_read(struct gmem *g, gpa_t at, void *dst, u64 len)
{
	return copy(g, at, dst, NULL, len, ACCESS_READ);
}

int gmem_write(struct gmem *g, gpa_t at, const void *src, u64 len)
{
	return copy(g, at, NULL, src, len, ACCESS_WRITE);
}

int gmem_load(struct gmem *g, gpa_t at, const void *src, u64 len)
{
	return copy(g, at, NULL, src, len, ACCESS_LOAD);
}

int gmem_cas(struct gmem *g, gpa_t at, u32 width, u64 *old, u64 value)
{
	u32 old32 = (u32)*old;
	lock_token token;
	void *p;
	int rc;

	if ((width != sizeof(u32) && width != sizeof(u64)) || at.v % width != 0)
		return -TERN_EINVAL;
	token = lock_take(&g->lock);
	rc = writable(g, at, ACCESS_WRITE, &p);
	if (rc == 0 && width == sizeof(u64)) {
		__atomic_compare_exchange_n((u64 *)p, old, value, false, __ATOMIC_SEQ_CST,
					    __ATOMIC_SEQ_CST);
	} else if (rc == 0) {
		__atomic_compare_exchange_n((u32 *)p, &old32, (u32)value, false, __ATOMIC_SEQ_CST,
					    __ATOMIC_SEQ_CST);
		*old = old32;
	}
	lock_release(&g->lock, token);
	return rc;
}
