/* SPDX-License-Identifier: MIT */
/* links: arch/x86_64/guest/pvclock.c arch/x86_64/guest/msr.c arch/x86_64/guest/cr.c arch/x86_64/guest/cpuid_policy.c tests/fake/fake_guest.c hv/dev/bus.c hv/lock.c tests/fake/fake_host.c hv/lib/fmt.c hv/lib/str.c */
/* KVM's paravirtual clock, read as Linux reads it; and the TSC and timer of a VM whose time stood still. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <arch/x86_64/guest/guest.h>
#include <arch/x86_64/guest/pvclock_regs.h>
#include <tern/err.h>
#include <tern/lib.h>
#include <tern/vlapic.h>
#include <tests/fake/fake_guest.h>
#include <tests/fake/fake_host.h>

#define NS   1000000000ull
#define PAGE 0x5000u
#define GP   (-TERN_EINVAL)
#define WALL 1709251198ull

enum {
	OUR_WALL_CLOCK = MSR_KVM_WALL_CLOCK_NEW,
	OUR_SYSTEM_TIME = MSR_KVM_SYSTEM_TIME_NEW,
	OUR_STEAL_TIME = MSR_KVM_STEAL_TIME,
};
#include <asm/kvm_para.h>
_Static_assert(OUR_WALL_CLOCK == MSR_KVM_WALL_CLOCK_NEW &&
		       OUR_SYSTEM_TIME == MSR_KVM_SYSTEM_TIME_NEW &&
		       OUR_STEAL_TIME == MSR_KVM_STEAL_TIME,
	       "numbers");
_Static_assert(sizeof(struct kvm_steal_time) == 64, "64 bytes");
_Static_assert(offsetof(struct kvm_steal_time, version) ==
			       offsetof(struct pvclock_steal, version) &&
		       offsetof(struct kvm_steal_time, steal) ==
			       offsetof(struct pvclock_steal, steal) &&
		       offsetof(struct kvm_steal_time, preempted) == sizeof(struct pvclock_steal),
	       "layout");
_Static_assert(KVM_EAX_CLOCK == 1u << KVM_FEATURE_CLOCKSOURCE2 &&
		       KVM_EAX_STEAL == 1u << KVM_FEATURE_STEAL_TIME &&
		       KVM_EAX_STABLE == 1u << KVM_FEATURE_CLOCKSOURCE_STABLE_BIT,
	       "features");
_Static_assert(KVM_STEAL_RSVD == KVM_STEAL_RESERVED_MASK, "reserved bits");

static struct vm vm;
static struct vcpu vcs[2];
static struct vcpu_arch archs[2];
static struct cpuid_policy policy;
static u32 tsc_moves, time_moves;
static u64 moved;
static u8 lapic; /* of vCPU 0: something */

void vlapic_tsc_moved(UNUSED struct vcpu *vc)
{
	tsc_moves++;
}

void vlapic_time_moved(struct vcpu *vc, u64 ticks)
{
	assert_ptr_equal(vc, &vcs[0]);
	time_moves++;
	moved = ticks;
}

void vlapic_base_changed(UNUSED struct vcpu *vc, UNUSED u64 old, UNUSED u64 value)
{
}

static u64 guest_tsc(u32 cpu)
{
	return fake_tsc + archs[cpu].tsc_offset;
}

static u64 be_read(struct vcpu *vc, u32 msr)
{
	return msr == 0x10 ? guest_tsc(vc->index) : 0;
}

static void be_write(UNUSED struct vcpu *vc, UNUSED u32 msr, UNUSED u64 value)
{
}

static const struct msr_backend be = {.read = be_read, .write = be_write};

static void host(u32 leaf, UNUSED u32 subleaf, u32 out[4])
{
	memset(out, 0, 4 * sizeof(u32));
	out[0] = leaf == 0 ? 0x1f : 0;
}

static int setup(UNUSED void **state)
{
	fake_reset();
	fake_tsc_step = 0;
	fake_tsc_hz = 2893202977;
	fake_tsc = 70 * fake_tsc_hz;
	fake_guest_reset(&vm);
	vm.wall_seconds = WALL;
	vm.wall_tsc = vm.time_base = fake_tsc;
	tsc_moves = time_moves = 0;
	guest_cpuid_policy(&policy, host, 2, fake_tsc_hz);
	memset(vcs, 0, sizeof(vcs));
	memset(archs, 0, sizeof(archs));
	for (u32 i = 0; i < 2; i++) {
		vcs[i] = (struct vcpu){.vm = &vm, .index = i, .arch = &archs[i]};
		archs[i].cpuid = &policy;
		guest_time_load(&vcs[i]);
		guest_msr_reset(&vcs[i], &be);
	}
	vcs[0].lapic = (struct vlapic *)(void *)&lapic;
	return 0;
}

static int teardown(UNUSED void **state)
{
	fake_tsc_step = 100;
	fake_tsc_hz = 1000000000;
	return 0;
}

static int wrmsr(u32 cpu, u32 msr, u64 value)
{
	return guest_wrmsr(&vcs[cpu], &be, msr, value);
}

static u64 rdmsr(u32 msr)
{
	u64 value = 0;

	assert_int_equal(guest_rdmsr(&vcs[0], &be, msr, &value), 0);
	return value;
}

/* The run path: loaded, then entered. */
static void run(u32 cpu)
{
	guest_time_load(&vcs[cpu]);
	guest_time_enter(&vcs[cpu]);
}

static void *at(u32 place)
{
	return fake_guest_mem + place;
}

/* Linux: __pvclock_read_cycles(), pvclock_scale_delta(). */
static u64 clock_of(u32 cpu, u32 place)
{
	const struct pvclock_system *t = at(place);
	u64 delta = guest_tsc(cpu) - t->tsc_timestamp;

	assert_int_equal(t->version & 1, 0);
	assert_true(t->version != 0);
	assert_int_equal(t->flags, PVCLOCK_STABLE);
	delta = t->shift < 0 ? delta >> -t->shift : delta << t->shift;
	return t->system_time + (u64)((unsigned __int128)delta * t->mul >> 32);
}

static void near(u64 value, u64 want, u64 by)
{
	assert_in_range(value, want - by, want + by);
}

/* From 1 MHz to 8 GHz: the rate is right to half a unit of mul, which is at least 2^31; and so is a day. */
static void test_scale(UNUSED void **state)
{
	static const u64 some[] = {1000000,    50000000,   999999999,  1000000000, 1000000001,
				   2893202977, 4294967295, 4294967296, 5000000000, 8000000000};

	for (u32 i = 0; i < 4000; i++) {
		u64 hz = i < ARRAY_SIZE(some) ? some[i] : 50000000 + i * 1237721ull;
		struct pvclock_scale s = guest_pvclock_scale(hz);
		/* hz * mul and 10^9 * 2^(32 - shift) would be equal. */
		unsigned __int128 is = (unsigned __int128)hz * s.mul,
				  want = (unsigned __int128)NS << (32 - s.shift);
		unsigned __int128 off = is > want ? is - want : want - is;

		assert_true(s.mul >= 1u << 31);
		/* Only where the rate is a power of two times 10^9, mul is not to the nearest: 2^32 - 1. */
		assert_true(2 * off <= hz || (s.mul == UINT32_MAX && off <= hz));
		assert_true(off * 4000000000u <= want);
		near(guest_pvclock_ns(s, hz * 86400), 86400 * NS, 86400 * NS / 4000000000u);
	}
	assert_int_equal(guest_pvclock_ns(guest_pvclock_scale(2000000000), 0), 0);
}

static void test_clock(UNUSED void **state)
{
	static const u64 hz[] = {50000000, 2893202977, 5000000000};

	for (u32 i = 0; i < ARRAY_SIZE(hz); i++) {
		setup(NULL);
		fake_tsc_hz = hz[i];
		assert_int_equal(guest_tsc(0), 0);
		fake_tsc += hz[i];
		assert_int_equal(wrmsr(0, MSR_KVM_SYSTEM_TIME_NEW, PAGE | 1), 0);
		assert_int_equal(wrmsr(1, MSR_KVM_SYSTEM_TIME_NEW, (PAGE + 64) | 1), 0);
		near(clock_of(0, PAGE), NS, 40);
		for (u32 k = 0; k < 1000; k++) {
			fake_tsc += hz[i] * 3600;
			run(k & 1);
			near(clock_of(0, PAGE), (3600ull * (k + 1) + 1) * NS, 3600 * (k + 1) + 40);
			/* The flag says so. */
			assert_int_equal(clock_of(1, PAGE + 64), clock_of(0, PAGE));
		}
		assert_int_equal(rdmsr(MSR_KVM_SYSTEM_TIME_NEW), PAGE | 1);
	}
}

/* A pause of a minute: the guest's TSC and its clock stand still, without a new page. */
static void test_paused(UNUSED void **state)
{
	u64 minute = 60 * fake_tsc_hz, tsc, ns;
	struct pvclock_system before;

	fake_tsc += 12345;
	assert_int_equal(wrmsr(0, MSR_KVM_SYSTEM_TIME_NEW, PAGE | 1), 0);
	before = *(struct pvclock_system *)at(PAGE);
	for (u32 i = 1; i <= 100; i++) {
		fake_tsc += 1000;
		tsc = guest_tsc(0);
		ns = clock_of(0, PAGE);
		fake_tsc += minute;
		vm.time_base += minute;
		run(0);
		assert_int_equal(guest_tsc(0), tsc);
		assert_int_equal(clock_of(0, PAGE), ns);
		assert_int_equal(time_moves, i);
		assert_int_equal(moved, minute);
	}
	run(0);
	assert_int_equal(time_moves, 100);
	assert_memory_equal(at(PAGE), &before, sizeof(before));
	assert_int_equal(rdmsr(0x3b), 0);
	/* The guest moves its TSC: its clock goes on. */
	assert_int_equal(wrmsr(0, 0x10, 5), 0);
	assert_int_equal(guest_tsc(0), 5);
	assert_int_equal(clock_of(0, PAGE), ns);
	assert_int_equal(wrmsr(0, 0x3b, 1ull << 60), 0);
	assert_int_equal(clock_of(0, PAGE), ns);
	assert_int_equal(tsc_moves, 2);
	/* The clock of a VM that came from elsewhere is ahead of this node's TSC. */
	vm.time_base -= 100 * minute + fake_tsc;
	run(0);
	near(clock_of(0, PAGE),
	     ns + guest_pvclock_ns(guest_pvclock_scale(fake_tsc_hz), 100 * minute + fake_tsc), 2);
}

static u64 wall_ns(u32 place)
{
	const struct pvclock_wall *w = at(place);

	assert_int_equal(w->version & 1, 0);
	assert_true(w->nsec < NS);
	return w->sec * NS + w->nsec;
}

/* Wall clock + system time = now, also after a pause. */
static void test_wall_clock(UNUSED void **state)
{
	u64 ns;

	assert_int_equal(wrmsr(0, MSR_KVM_SYSTEM_TIME_NEW, PAGE | 1), 0);
	fake_tsc += 5 * fake_tsc_hz;
	assert_int_equal(wrmsr(0, MSR_KVM_WALL_CLOCK_NEW, PAGE + 128), 0);
	near(wall_ns(PAGE + 128), WALL * NS, 1);
	near(wall_ns(PAGE + 128) + clock_of(0, PAGE), (WALL + 5) * NS, 3);
	fake_tsc += 60 * fake_tsc_hz + fake_tsc_hz / 4;
	vm.time_base += 60 * fake_tsc_hz + fake_tsc_hz / 4;
	run(0);
	assert_int_equal(wrmsr(0, MSR_KVM_WALL_CLOCK_NEW, PAGE + 128), 0);
	near(wall_ns(PAGE + 128) + clock_of(0, PAGE), (WALL + 65) * NS + NS / 4, 20);
	/* Time that has gone ahead. */
	vm.time_base -= 1000 * fake_tsc_hz;
	run(0);
	assert_int_equal(wrmsr(0, MSR_KVM_WALL_CLOCK_NEW, PAGE + 128), 0);
	ns = wall_ns(PAGE + 128) + clock_of(0, PAGE);
	near(ns, (WALL + 65) * NS + NS / 4, 300);
	/* 0 is no place. */
	assert_int_equal(wrmsr(0, MSR_KVM_WALL_CLOCK_NEW, 0), 0);
	assert_int_equal(*(u32 *)at(0), 0);
}

static void test_steal_time(UNUSED void **state)
{
	const struct kvm_steal_time *t = at(PAGE);
	u32 version;

	memset(at(PAGE + sizeof(struct pvclock_steal)), 0x55, 48);
	vcs[0].sched.waited = fake_tsc_hz;
	assert_int_equal(wrmsr(0, MSR_KVM_STEAL_TIME, PAGE | 1), 0);
	near(t->steal, NS, 1);
	version = t->version;
	assert_true(version != 0 && (version & 1) == 0);
	assert_int_equal(t->flags, 0);
	/* Nothing has changed: nothing is written. */
	fake_copies = 0;
	run(0);
	assert_int_equal(fake_copies, 0);
	vcs[0].sched.waited += fake_tsc_hz / 8;
	run(0);
	near(t->steal, NS + NS / 8, 2);
	assert_int_equal(t->version, version + 2);
	assert_int_equal(fake_guest_mem[PAGE + 16], 0x55);
	/* Off: nothing more comes, and on again it is not less. */
	assert_int_equal(wrmsr(0, MSR_KVM_STEAL_TIME, PAGE), 0);
	vcs[0].sched.waited += fake_tsc_hz;
	run(0);
	near(t->steal, NS + NS / 8, 2);
	assert_int_equal(wrmsr(0, MSR_KVM_STEAL_TIME, PAGE | 1), 0);
	near(t->steal, 2 * NS + NS / 8, 3);
	/* A vCPU that begins anew has it off, in whatever its memory is then. */
	guest_msr_reset(&vcs[0], &be);
	memset(at(PAGE), 0, 64);
	vcs[0].sched.waited += 1;
	run(0);
	assert_int_equal(t->version, 0);
}

static u32 reads, odd;

/* Another vCPU reads while it is written. */
static void look(void)
{
	u32 version = *(u32 *)at(PAGE + offsetof(struct pvclock_steal, version));

	reads++;
	odd += version & 1;
	assert_true(reads % 3 == 1 || (version & 1) != 0);
}

static void test_versions(UNUSED void **state)
{
	assert_int_equal(wrmsr(0, MSR_KVM_STEAL_TIME, PAGE | 1), 0);
	reads = odd = 0;
	fake_copying = look;
	for (u32 i = 1; i <= 10; i++) {
		vcs[0].sched.waited += i;
		run(0);
	}
	fake_copying = NULL;
	assert_int_equal(reads, 30);
	assert_int_equal(odd, 20);
}

/* What cannot be backed now is written later; what is no memory is off. */
static void test_memory(UNUSED void **state)
{
	fake_later_from = 0;
	fake_later_to = FAKE_GUEST_MEM;
	assert_int_equal(wrmsr(0, MSR_KVM_SYSTEM_TIME_NEW, PAGE | 1), 0);
	assert_int_equal(wrmsr(0, MSR_KVM_WALL_CLOCK_NEW, PAGE + 128), 0);
	assert_int_equal(wrmsr(0, MSR_KVM_STEAL_TIME, (PAGE + 64) | 1), 0);
	run(0);
	fake_later_to = 0;
	fake_tsc += 2 * fake_tsc_hz;
	run(0);
	near(clock_of(0, PAGE), 2 * NS, 2);
	near(wall_ns(PAGE + 128), WALL * NS, 2);
	assert_true(*(u32 *)at(PAGE + 64 + 8) != 0);
	/* Turned off before it could be. */
	memset(at(PAGE), 0, 32);
	fake_later_to = FAKE_GUEST_MEM;
	assert_int_equal(wrmsr(0, MSR_KVM_SYSTEM_TIME_NEW, PAGE | 1), 0);
	assert_int_equal(wrmsr(0, MSR_KVM_SYSTEM_TIME_NEW, PAGE), 0);
	fake_later_to = 0;
	run(0);
	assert_int_equal(*(u32 *)at(PAGE), 0);
	assert_int_equal(wrmsr(0, MSR_KVM_SYSTEM_TIME_NEW, FAKE_GUEST_MEM | 1), 0);
	assert_int_equal(wrmsr(0, MSR_KVM_WALL_CLOCK_NEW, ~3ull), 0);
	assert_int_equal(wrmsr(0, MSR_KVM_STEAL_TIME, (u64)INT64_MIN | 1), 0);
	assert_int_equal(rdmsr(MSR_KVM_SYSTEM_TIME_NEW), 0);
	assert_int_equal(rdmsr(MSR_KVM_WALL_CLOCK_NEW), 0);
	assert_int_equal(rdmsr(MSR_KVM_STEAL_TIME), 0);
	fake_copies = 0;
	vcs[0].sched.waited++;
	run(0);
	assert_int_equal(fake_copies, 0);
}

static void test_reserved_bits(UNUSED void **state)
{
	for (u32 bit = 0; bit < 12; bit++) {
		u64 v = PAGE | 1ull << bit;

		assert_int_equal(wrmsr(0, MSR_KVM_WALL_CLOCK_NEW, v), bit < 2 ? GP : 0);
		assert_int_equal(wrmsr(0, MSR_KVM_SYSTEM_TIME_NEW, v), bit == 1 ? GP : 0);
		assert_int_equal(wrmsr(0, MSR_KVM_STEAL_TIME, v), bit > 0 && bit < 6 ? GP : 0);
	}
	/* Not shown, not there. */
	guest_cpuid_policy(&policy, host, 2, 0);
	assert_int_equal(wrmsr(0, MSR_KVM_WALL_CLOCK_NEW, 0), GP);
	assert_int_equal(wrmsr(0, MSR_KVM_SYSTEM_TIME_NEW, 0), GP);
	assert_int_equal(wrmsr(0, MSR_KVM_STEAL_TIME, 0), GP);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(scale),      T(clock),    T(paused), T(wall_clock),
		T(steal_time), T(versions), T(memory), T(reserved_bits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
