/* SPDX-License-Identifier: MIT */
/* Starts the VM's other vCPUs by hypercall, one after the other, counts with each and kicks it. */
#include "cpu.h"
#include "guest.h"

#define START_PAGE 8u
#define ROUNDS     100000u
#define PATIENCE   100000000u /* PAUSEs, each a few ticks: seconds */

#define EINVAL 22
#define ENOENT 2
#define EBUSY  16

const char guest_name[] = "smp";

/* smp.S: behind its code lies what both vCPUs see. */
extern const u8 smp_code[], smp_data[], smp_code_end[];
struct meeting {
	u32 arrived, go, rounds, sum, done;
};

static bool comes_to(const u32 *word, u32 want)
{
	for (u32 i = 0; i < PATIENCE; i++) {
		if (__atomic_load_n(word, __ATOMIC_ACQUIRE) == want)
			return true;
		cpu_pause();
	}
	return false;
}

static void meet(u32 vcpu)
{
	u8 *page = (u8 *)(uintptr_t)(START_PAGE * GUEST_PAGE);
	struct meeting *m = (struct meeting *)(void *)(page + (smp_data - smp_code));

	memcpy(page, smp_code, (size_t)(smp_code_end - smp_code));
	m->rounds = ROUNDS;
	check_eq("start", (u64)hypercall(HC_VCPU_START, vcpu, START_PAGE, 0), 0);
	check("arrives", comes_to(&m->arrived, 1));
	check_eq("start-again", (u64)hypercall(HC_VCPU_START, vcpu, START_PAGE, 0), (u64)-EBUSY);
	__atomic_store_n(&m->go, 1, __ATOMIC_RELEASE);
	for (u32 i = 0; i < ROUNDS; i++)
		__atomic_fetch_add(&m->sum, 1, __ATOMIC_RELAXED);
	check("counts", comes_to(&m->done, 1));
	check_eq("no-count-is-lost", m->sum, 2 * ROUNDS);
	check_eq("kick", (u64)hypercall(HC_VCPU_KICK, vcpu, 0, 0), 0);
	check("kick-ends-hlt", comes_to(&m->done, 2));
	check_eq("arrived-once", m->arrived, 1);
}

void guest_main(void)
{
	u32 vcpus = cmdline_number("vcpus", 1);

	if (!on_tern) {
		skip_check("vcpus", "not on Tern");
		return;
	}
	check_eq("vcpu-that-is-not", (u64)hypercall(HC_VCPU_START, vcpus, START_PAGE, 0),
		 (u64)-ENOENT);
	check_eq("vector-that-is-not", (u64)hypercall(HC_VCPU_START, 0, 256, 0), (u64)-EINVAL);
	check_eq("it-runs-already", (u64)hypercall(HC_VCPU_START, 0, START_PAGE, 0), (u64)-EBUSY);
	for (u32 i = 1; i < vcpus; i++)
		meet(i);
}
