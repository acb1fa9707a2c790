/* SPDX-License-Identifier: MIT */
#include "fake_tlb.h"

#include <arch/x86_64/vmx/vmx.h>
#include <stdlib.h>
#include <tern/pcpu.h>

#define CPUS    8u
#define ENTRIES 512u

struct entry {
	u64 root, at, value;
	u16 vpid;
};

u32 fake_invepts, fake_invvpids;
void (*fake_invept_near)(void);
struct vmx_caps vmx_caps;

static struct {
	struct entry entries[ENTRIES];
	u32 count;
} tlbs[CPUS];

void fake_tlb_reset(void)
{
	for (u32 i = 0; i < CPUS; i++)
		tlbs[i].count = 0;
	fake_invepts = fake_invvpids = 0;
	fake_invept_near = NULL;
}

u64 fake_tlb_use(u64 root, u16 vpid, u64 at, u64 now)
{
	u32 cpu = pcpu_self()->index;

	for (u32 i = 0; i < tlbs[cpu].count; i++) {
		const struct entry *e = &tlbs[cpu].entries[i];

		if (e->root == root && e->vpid == vpid && e->at == at)
			return e->value;
	}
	if (tlbs[cpu].count == ENTRIES)
		abort();
	tlbs[cpu].entries[tlbs[cpu].count++] =
		(struct entry){.root = root, .at = at, .value = now, .vpid = vpid};
	return now;
}

static void drop(bool (*match)(const struct entry *e, u64 a, u64 b), u64 a, u64 b)
{
	u32 cpu = pcpu_self()->index, kept = 0;

	for (u32 i = 0; i < tlbs[cpu].count; i++) {
		if (!match(&tlbs[cpu].entries[i], a, b))
			tlbs[cpu].entries[kept++] = tlbs[cpu].entries[i];
	}
	tlbs[cpu].count = kept;
}

static bool of_root(const struct entry *e, u64 root, u64 unused)
{
	(void)unused;
	return e->root == root;
}

static bool of_vpid(const struct entry *e, u64 vpid, u64 unused)
{
	(void)unused;
	return e->vpid == vpid;
}

static bool of_page(const struct entry *e, u64 vpid, u64 at)
{
	return e->vpid == vpid && e->at == at;
}

void fake_tlb_invlpg(u16 vpid, u64 at)
{
	drop(of_page, vpid, at);
}

void fake_tlb_cross(void)
{
	drop(of_vpid, 0, 0);
}

void vmcs_invept(u64 ept_pointer)
{
	if (fake_invept_near != NULL)
		fake_invept_near();
	__atomic_fetch_add(&fake_invepts, 1, __ATOMIC_RELAXED);
	drop(of_root, ept_pointer, 0);
}

void vmcs_invvpid(u16 vpid)
{
	__atomic_fetch_add(&fake_invvpids, 1, __ATOMIC_RELAXED);
	if (vpid == 0)
		abort(); /* the instruction fails: SDM vol. 3C 31.3 */
	drop(of_vpid, vpid, 0);
}

bool fake_tlb_remembers(u32 cpu, u64 value)
{
	for (u32 i = 0; i < tlbs[cpu].count; i++) {
		if (tlbs[cpu].entries[i].value == value)
			return true;
	}
	return false;
}

u64 fake_tlb_hash(void)
{
	u64 h = 0;

	for (u32 c = 0; c < CPUS; c++) {
		for (u32 i = 0; i < tlbs[c].count; i++) {
			const struct entry *e = &tlbs[c].entries[i];

			h = (h ^ (e->root + e->at * 31 + e->value * 1009 + e->vpid * 7919 + c)) *
			    0x9e3779b97f4a7c15;
		}
		h = h * 31 + c;
	}
	return h;
}
