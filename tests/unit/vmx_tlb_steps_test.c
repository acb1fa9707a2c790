/* SPDX-License-Identifier: MIT */
/* links: arch/x86_64/vmx/vmx_tlb.c tests/fake/fake_steps.c tests/fake/fake_tlb.c tests/fake/fake_host.c */
/* flags: -include tests/fake/fake_steps.h */
/*
 * The agreement between who flushes and who enters a guest, in all interleavings: CPUs that flush, CPUs
 * that enter, use their memory and leave. When vmx_npt_flush() is back, no CPU reaches what was mapped.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <arch/x86_64/vmx/vmx_tlb.h>
#include <tests/fake/fake_host.h>
#include <tests/fake/fake_steps.h>
#include <tests/fake/fake_tlb.h>

#define ROOT 0x1000u

static u32 flushers; /* the first threads; the others run guests */
static u32 rounds, entries;
static struct vmx_vm x;
static struct vm vm;
static struct vmx_vcpu vcpus[FAKE_STEPS_THREADS];
static u64 mapping; /* what the entry of the one page says */
static u64 numbers; /* mappings that there have been */
static bool gone[16];
static bool kicked[FAKE_STEPS_THREADS], inside[FAKE_STEPS_THREADS];
static u32 flushing; /* that are not done */

static void check_all(u64 old)
{
	for (u32 i = flushers; i < FAKE_STEPS_THREADS; i++) {
		if (inside[i] && fake_tlb_remembers(i, old))
			fake_steps_fail("a CPU in the guest remembers what was flushed");
		if (x.seen[i] == x.flush_generation && fake_tlb_remembers(i, old))
			fake_steps_fail("a CPU has not done what it says");
	}
}

static void flusher(void)
{
	for (u32 i = 0; i < rounds; i++) {
		u64 old;

		fake_steps_at(i);
		/* The exchange of an entry is locked. */
		fake_steps_locked();
		old = mapping;
		mapping = ++numbers;
		vmx_npt_flush(&vm);
		gone[old] = true;
		check_all(old);
	}
	flushing--;
}

static void use(u32 i)
{
	u64 got = fake_tlb_use(ROOT, FAKE_TLB_PHYSICAL, 0, mapping);

	if (gone[got])
		fake_steps_fail("a guest reaches what was taken from it");
	fake_steps_other(got + (kicked[i] ? 16 : 0));
}

static void guest(u32 i)
{
	for (u32 n = 0; n < entries; n++) {
		fake_steps_at(n);
		vmx_tlb_enter(&vcpus[i]);
		inside[i] = true;
		fake_steps_other(0);
		if (!kicked[i])
			use(i);
		/* The last time it would not come out by itself while somebody flushes. */
		while (n + 1 == entries && !kicked[i] && flushing > 0)
			fake_steps_wait();
		if (!kicked[i])
			use(i);
		kicked[i] = false;
		inside[i] = false;
		fake_steps_other(1);
		vmx_tlb_leave(&vcpus[i]);
	}
}

static void run(u32 thread)
{
	if (thread < flushers)
		flusher();
	else
		guest(thread);
}

static void kick(u32 cpu)
{
	kicked[cpu] = true;
	fake_steps_other(cpu);
}

static void invept_near(void)
{
	fake_steps_other(0);
}

static void relax(void)
{
	fake_steps_wait();
}

static void reset(void)
{
	fake_tlb_reset();
	fake_invept_near = invept_near;
	memset(&x, 0, sizeof(x));
	vmx_tlb_vm_init(&x);
	x.ept_pointer = ROOT;
	vm.arch = &x;
	memset(vcpus, 0, sizeof(vcpus));
	for (u32 i = 0; i < FAKE_STEPS_THREADS; i++) {
		vcpus[i].vm = &x;
		vcpus[i].cpu = CPUS_MAX;
		(void)vmx_tlb_load(&vcpus[i], i);
		*vcpus[i].in_guest = NULL;
	}
	memset(gone, 0, sizeof(gone));
	memset(kicked, 0, sizeof(kicked));
	memset(inside, 0, sizeof(inside));
	mapping = numbers = 1;
	flushing = flushers;
}

static u64 hash(void)
{
	u64 h = fake_tlb_hash();

	h = h * 31 + x.flush_generation;
	h = h * 31 + mapping;
	h = h * 31 + numbers;
	h = h * 31 + flushing;
	for (u32 i = 0; i < FAKE_STEPS_THREADS; i++)
		h = (h * 31 + x.seen[i] * 8 + (*vcpus[i].in_guest != NULL ? 4 : 0) +
		     (kicked[i] ? 2 : 0) + (inside[i] ? 1 : 0)) *
		    0x9e3779b97f4a7c15;
	for (u32 i = 0; i < 16; i++)
		h = h * 31 + gone[i];
	return h;
}

static void explore(u32 flush_threads, u32 flush_rounds, u32 guest_threads, u32 guest_entries,
		    u64 least)
{
	const struct fake_steps s = {flush_threads + guest_threads, run, reset, hash};
	struct fake_steps_result r;

	fake_reset();
	fake_cpus(s.count);
	fake_kicked = kick;
	fake_relaxed = relax;
	flushers = flush_threads;
	rounds = flush_rounds;
	entries = guest_entries;
	r = fake_steps_explore(&s);
	if (r.wrong != NULL)
		fail_msg("%s", r.wrong);
	print_message("%lu states, %lu ends\n", (unsigned long)r.states, (unsigned long)r.ends);
	assert_true(r.states >= least && r.ends > 1);
}

static void test_one_flush_one_guest(void **state)
{
	(void)state;
	explore(1, 1, 1, 2, 1000);
}

static void test_two_flushes_one_guest(void **state)
{
	(void)state;
	explore(1, 2, 1, 2, 3000);
}

static void test_one_flush_two_guests(void **state)
{
	(void)state;
	explore(1, 1, 2, 1, 50000);
}

static void test_two_flushers_one_guest(void **state)
{
	(void)state;
	explore(2, 1, 1, 1, 50000);
}

/* --- the tool itself: what is known of x86 --- */

static u64 flag[2], both_zero;

static void dekker_stores(u32 i, int order)
{
	if (order == __ATOMIC_SEQ_CST)
		__atomic_store_n(&flag[i], 1, __ATOMIC_SEQ_CST);
	else
		__atomic_store_n(&flag[i], 1, __ATOMIC_RELEASE);
	if (__atomic_load_n(&flag[1 - i], __ATOMIC_ACQUIRE) == 0)
		both_zero++;
	if (both_zero == 2)
		fake_steps_fail("both read zero");
	fake_steps_other(both_zero);
}

static void dekker_release(u32 i)
{
	dekker_stores(i, __ATOMIC_RELEASE);
}

static void dekker_seq_cst(u32 i)
{
	dekker_stores(i, __ATOMIC_SEQ_CST);
}

static void dekker_reset(void)
{
	flag[0] = flag[1] = both_zero = 0;
}

static u64 dekker_hash(void)
{
	return flag[0] + flag[1] * 2 + both_zero * 4;
}

static void test_store_buffers(void **state)
{
	struct fake_steps s = {2, dekker_release, dekker_reset, dekker_hash};

	(void)state;
	fake_reset();
	fake_cpus(2);
	assert_non_null(fake_steps_explore(&s).wrong);
	s.run = dekker_seq_cst;
	assert_null(fake_steps_explore(&s).wrong);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_store_buffers),
		cmocka_unit_test(test_one_flush_one_guest),
		cmocka_unit_test(test_two_flushes_one_guest),
		cmocka_unit_test(test_one_flush_two_guests),
		cmocka_unit_test(test_two_flushers_one_guest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
