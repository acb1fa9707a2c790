/* SPDX-License-Identifier: MIT */
/* How much of what is advertised to a guest the node is willing to back: pure rules. docs/gmem.md. */
#include <tern/gmem.h>

#include <tern/lib.h>

#define RESERVE_MIN  MiB(32)
#define RESERVE_PART 16u /* of the node's memory */

/* A forecast that never failed yet gets an eighth more than it says, one that always did a quarter. */
#define MARGIN_MIN   MiB(16)
#define MARGIN_WHOLE 8000u
#define MARGIN_MOST  2000u

#define PERMILLE 1000u

u64 gmem_grant_spare(const struct gmem_room *room)
{
	u64 reserve = max_u64(RESERVE_MIN, room->total / RESERVE_PART);

	return room->free > reserve ? align_down(room->free - reserve, PAGE_SIZE) : 0;
}

u64 gmem_grant_grown(const struct gmem_use *use, u64 advertised)
{
	u64 from = max_u64(use->grant, use->backed);
	u64 step = min_u64(min_u64(GMEM_GRANT_STEP, advertised - from), use->spare);

	return step > 0 ? from + step : use->grant;
}

u64 gmem_grant_wanted(u64 demand, u32 confidence, u64 advertised)
{
	u64 part = demand * (MARGIN_MOST - min_u64(confidence, PERMILLE)) / MARGIN_WHOLE;
	u64 wanted = demand + max_u64(MARGIN_MIN, part);

	return min_u64(align_up(wanted, PAGE_2M_SIZE), advertised);
}

u64 gmem_grant_next(u64 wanted, const struct gmem_use *use)
{
	/* What it has not touched yet of an old grant may be somebody else's by now. */
	u64 reach = use->backed + use->spare;

	if (wanted > use->grant)
		return min_u64(wanted, max_u64(use->grant, align_down(reach, PAGE_SIZE)));
	if (use->spare == 0)
		return wanted;
	return min_u64(use->grant, max_u64(wanted, align_up(use->backed, PAGE_2M_SIZE)));
}
