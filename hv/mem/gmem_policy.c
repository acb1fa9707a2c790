/* SPDX-License-Identifier: MIT */
/* How much of a guest's memory one touch backs. docs/gmem.md has the figures. */
#include <tern/gmem.h>

#define PAGES_2M 512u

const struct gmem_policy gmem_policy = {.run = 8, .around = 16};
const struct gmem_policy gmem_policy_large = {
	.run = 8, .around = 16, .large = true, .large_free_min = 25};

u32 gmem_policy_pages(const struct gmem_policy *p, u32 run, bool empty_2m, u32 free_percent)
{
	if (run < p->run)
		return 1;
	if (p->large && empty_2m && free_percent >= p->large_free_min)
		return PAGES_2M;
	return p->around;
}
