/* SPDX-License-Identifier: MIT */
/*
 * What exits cost, seen by the guest: a bare guest (tests/guest/lib) that runs under Tern and, the same
 * bits, under Linux KVM (tests/bench/kvm). It prints "bench NAME N": N is the average number of TSC
 * ticks of one operation, without the loop around it; where the TSC counts instructions these are
 * instructions.
 */
#include "cpu.h"
#include "guest.h"

#define ROUNDS      1000u
#define WARM_UP     16u
#define QUIET_TICKS 2000000u
/*
 * First touches: far enough apart that no fault-around helps, near enough that second-level tables
 * serve many of them.
 */
#define TOUCH_STRIDE (17u * GUEST_PAGE)
#define TOUCH_PAGES  512u
#define TOUCH_BASE   0x01000000u

const char guest_name[] = "bench";

/* Ticks of ROUNDS times the instructions in the string. A macro: no call may be measured with it. */
#define TIMED(text)                                                                      \
	({                                                                               \
		u64 start_ = rdtsc();                                                    \
                                                                                         \
		for (u32 round_ = 0; round_ < ROUNDS; round_++)                          \
			__asm__ volatile(text ::: "rax", "rbx", "rcx", "rdx", "memory"); \
		rdtsc() - start_;                                                        \
	})

static void say(const char *name, u64 ticks, u32 count)
{
	print("bench %s %u\n", name, (u32)((ticks + count / 2) / count));
}

/* The loop with what sets the registers alone is taken off; the first run warms the host's caches. */
#define MEASURE(name, setup, text)                  \
	do {                                        \
		u64 ticks_, empty_;                 \
                                                    \
		(void)TIMED(setup "; " text);       \
		ticks_ = TIMED(setup "; " text);    \
		empty_ = TIMED(setup);              \
		say(name, ticks_ - empty_, ROUNDS); \
	} while (0)

static u64 touch(u64 base, u32 pages, u32 stride)
{
	u64 start;

	start = rdtsc();
	for (u32 i = 0; i < pages; i++)
		*(volatile u8 *)(base + (u64)i * stride) = 1;
	return rdtsc() - start;
}

static void measure_memory(void)
{
	u64 end = 0, scattered = TOUCH_BASE, dense = scattered + (u64)TOUCH_PAGES * TOUCH_STRIDE;
	u64 first, again;

	for (u32 i = 0; i < ram_range_count; i++) {
		if (ram_ranges[i].base <= TOUCH_BASE)
			end = ram_ranges[i].base + ram_ranges[i].len;
	}
	if (end < dense + (WARM_UP + TOUCH_PAGES) * GUEST_PAGE) {
		print("FAIL memory: this guest wants 64 MiB\n");
		checks_failed++;
		return;
	}
	/* Until the hypervisor has printed what this guest said before: that is no part of a touch. */
	for (u64 start = rdtsc(); rdtsc() - start < QUIET_TICKS;)
		;
	(void)touch(scattered, WARM_UP, TOUCH_STRIDE);
	scattered += WARM_UP * TOUCH_STRIDE;
	first = touch(scattered, TOUCH_PAGES - WARM_UP, TOUCH_STRIDE);

	again = touch(scattered, TOUCH_PAGES - WARM_UP, TOUCH_STRIDE);
	say("first_touch", first - again, TOUCH_PAGES - WARM_UP);
	first = touch(dense, TOUCH_PAGES, GUEST_PAGE);
	again = touch(dense, TOUCH_PAGES, GUEST_PAGE);
	say("first_touch_dense", first - again, TOUCH_PAGES);
}

void guest_main(void)
{
	if (on_amd && (on_tern || on_kvm))
		MEASURE("hypercall", "xor %%eax, %%eax", "vmmcall");
	else if (on_tern || on_kvm)
		MEASURE("hypercall", "xor %%eax, %%eax", "vmcall");
	MEASURE("cpuid", "xor %%eax, %%eax; xor %%ecx, %%ecx", "cpuid");
	MEASURE("msr", "mov $0x1a0, %%ecx", "rdmsr");            /* MSR_MISC_ENABLE */
	MEASURE("pio", "mov $0x3ff, %%edx", "in %%dx, %%al");    /* the 16550's scratch register */
	MEASURE("pio_pic", "mov $0x21, %%edx", "in %%dx, %%al"); /* mask: KVM's kernel has it */
	measure_memory();
}
