/* SPDX-License-Identifier: MIT */
/* DPLPMTUD: RFC 8899 sections 5.2 and 5.3, with a table of sizes instead of a bisection. */
#include "fabric_mtu.h"

#include <tern/lib.h>

#define TRIES_MAX 3u         /* MAX_PROBES, section 5.1.2 */
#define LOST_MAX  6u         /* large packets lost in a row: a black hole, section 4.3 */
#define AGAIN_US  600000000u /* PMTU_RAISE_TIMER, section 5.1.1 */

static const u32 sizes[] = {1400, 1500, 4000, 9000};

void fabric_mtu_init(struct fabric_mtu *m, u32 max)
{
	*m = (struct fabric_mtu){.now = FABRIC_MTU_BASE, .max = max};
}

/* The next larger size that the NIC can send. */
static u32 next_size(const struct fabric_mtu *m)
{
	for (u32 i = 0; i < ARRAY_SIZE(sizes); i++) {
		if (sizes[i] > m->now)
			return (u32)min_u64(sizes[i], m->max);
	}
	return m->max;
}

u32 fabric_mtu_wanted(const struct fabric_mtu *m, u64 now)
{
	return m->probe == 0 && m->now < m->max && now >= m->search ? next_size(m) : 0;
}

void fabric_mtu_sent(struct fabric_mtu *m, u32 size)
{
	m->probe = size;
}

void fabric_mtu_answer(struct fabric_mtu *m, u64 now, u32 size, bool arrived)
{
	if (size != m->probe)
		return; /* one from before a fall */
	m->probe = 0;
	if (arrived) {
		m->now = size;
		m->tries = 0;
		m->lost = 0;
	} else if (++m->tries >= TRIES_MAX) {
		m->tries = 0;
		m->search = now + AGAIN_US;
	}
}

void fabric_mtu_fall(struct fabric_mtu *m)
{
	m->now = FABRIC_MTU_BASE;
	m->probe = 0;
	m->tries = 0;
	m->lost = 0;
}

bool fabric_mtu_packet(struct fabric_mtu *m, u32 size, bool arrived)
{
	if (size <= FABRIC_MTU_BASE)
		return false;
	m->lost = arrived ? 0 : m->lost + 1;
	if (m->lost < LOST_MAX || m->now == FABRIC_MTU_BASE)
		return false;
	fabric_mtu_fall(m);
	return true;
}
