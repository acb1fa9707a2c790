/* SPDX-License-Identifier: MIT */
/* What all loaders of guests share. */
#include "loader.h"

#include <tern/err.h>
#include <tern/lib.h>

int loader_refuse(const struct loader *l, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fmt_vstr(l->why, l->why_size, fmt, ap);
	va_end(ap);
	return -TERN_EINVAL;
}

bool loader_in_ram(const struct gmem *mem, u64 gpa, u64 len)
{
	for (u32 i = 0; i < mem->region_count; i++) {
		const struct gmem_region *r = &mem->regions[i];

		if (r->kind == GMEM_RAM && gpa >= r->base.v && gpa - r->base.v <= r->len &&
		    len <= r->len - (gpa - r->base.v))
			return true;
	}
	return false;
}

u64 loader_place_high(const struct gmem *mem, u64 len, u64 floor, u64 end)
{
	u64 best = 0;

	for (u32 i = 0; i < mem->region_count; i++) {
		const struct gmem_region *r = &mem->regions[i];
		u64 low = max_u64(r->base.v, floor), high = min_u64(r->base.v + r->len, end), at;

		if (r->kind != GMEM_RAM || high < low || high - low < len)
			continue;
		at = align_down(high - len, PAGE_SIZE);
		if (at >= low)
			best = max_u64(best, at);
	}
	return best;
}

int loader_copy(const struct loader *l, u64 to, const void *src, u64 len)
{
	int rc = gmem_load(l->mem, gpa(to), src, len);

	if (rc == 0)
		return 0;
	fmt_str(l->why, l->why_size, "%llu bytes at guest address 0x%llx cannot be %s",
		(unsigned long long)len, (unsigned long long)to,
		rc == -TERN_EAGAIN ? "backed: the node has no memory left"
				   : "written: the guest has no memory there");
	return rc == -TERN_EAGAIN ? -TERN_ENOMEM : -TERN_EINVAL;
}
