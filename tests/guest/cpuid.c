/* SPDX-License-Identifier: MIT */
/* XSAVE: the sizes and offsets that CPUID leaf 0xD tells are those that XSAVE uses. */
#include "cpu.h"
#include "guest.h"

#define CPUID_1_C_XSAVE    (1u << 26)
#define XSAVE_LEGACY_BYTES 576u /* legacy area and header, SDM vol. 1 13.4 */
#define XSTATE_BV_OFFSET   512u
#define COMPONENT_SSE      1u
#define COMPONENT_AVX      2u
#define AREA_BYTES         16384u
#define FILL               0xa5

const char guest_name[] = "cpuid";

static u8 area[AREA_BYTES] __attribute__((aligned(4096)));

static void xsave(u64 mask)
{
	__asm__ volatile("xsave64 (%0)" ::"r"(area), "a"((u32)mask), "d"((u32)(mask >> 32))
			 : "memory");
}

static void xrstor(void *arg)
{
	__asm__ volatile("xrstor64 (%0)" ::"r"(arg), "a"(~0u), "d"(~0u) : "memory");
}

/* The end of what XSAVE has written with all of xcr0 in use. */
static u32 bytes_written(void)
{
	u32 end = AREA_BYTES;

	memset(area, FILL, sizeof(area));
	memset(area + XSTATE_BV_OFFSET, 0, 64);
	xsave(~0ull);
	while (end > 0 && area[end - 1] == FILL)
		end--;
	return end;
}

/* XSTATE_BV tells components that are in use from those in their initial state. */
static void use_components(u64 xcr0)
{
	static u8 pattern[32] __attribute__((aligned(32)));

	memset(pattern, 0x3c, sizeof(pattern));
	if (xcr0 & 1ull << COMPONENT_AVX)
		__asm__ volatile("vmovdqu (%0), %%ymm15" ::"r"(pattern) : "memory");
	else if (xcr0 & 1ull << COMPONENT_SSE)
		__asm__ volatile("movups (%0), %%xmm15" ::"r"(pattern) : "memory");
}

static void check_sizes(u64 xcr0)
{
	struct cpuid_regs now = cpuid(0xd, 0);
	u32 end = XSAVE_LEGACY_BYTES;

	for (u32 i = 2; i < 63; i++) {
		struct cpuid_regs part = cpuid(0xd, i);

		if (!(xcr0 >> i & 1))
			continue;
		print("component %u: offset %u, %u bytes\n", i, part.b, part.a);
		if (part.b + part.a > end)
			end = part.b + part.a;
	}
	check_eq("size-now-is-of-xcr0", now.b, end);
	check("size-now-within-maximum", now.b <= now.c);
	check("size-fits", now.c <= AREA_BYTES);
}

static void check_written(u64 xcr0)
{
	struct cpuid_regs avx = cpuid(0xd, COMPONENT_AVX);

	use_components(xcr0);
	/* XSAVE writes what is in its initial state too (SDM vol. 1 13.7): to the very end. */
	check_eq("xsave-writes-that-many-bytes", bytes_written(), cpuid(0xd, 0).b);
	if (xcr0 & 1ull << COMPONENT_AVX)
		check_eq("xsave-avx-content", area[avx.b + avx.a - 1], 0x3c);
	check_eq("xstate-bv-within-xcr0", *(u64 *)(area + XSTATE_BV_OFFSET) & ~xcr0, 0);
}

static void check_restore(u64 xcr0)
{
	u64 low = 0, saved = *(u64 *)(area + XSTATE_BV_OFFSET);

	if (!(xcr0 & 1ull << COMPONENT_SSE))
		return;
	use_components(xcr0);
	xsave(~0ull);
	saved = *(u64 *)(area + XSTATE_BV_OFFSET);
	__asm__ volatile("xorps %xmm15, %xmm15");
	check_eq("xrstor", (u64)trap_run(xrstor, area), (u64)TRAP_NONE);
	__asm__ volatile("movq %%xmm15, %0" : "=r"(low));
	check_eq("xrstor-content", low, 0x3c3c3c3c3c3c3c3cull);
	*(u64 *)(area + XSTATE_BV_OFFSET) = saved | 1ull << 62;
	check_eq("xrstor-reserved-component", (u64)trap_run(xrstor, area), TRAP_GP);
	*(u64 *)(area + XSTATE_BV_OFFSET) = saved;
	check_eq("xrstor-unaligned", (u64)trap_run(xrstor, area + 8), TRAP_GP);
}

/* One leaf's answer does not depend on how often or in what order it is asked. */
static void check_stable(void)
{
	u32 bad = 0;

	for (u32 leaf = 0; leaf < 0x20; leaf++) {
		for (u32 sub = 0; sub < 4; sub++) {
			struct cpuid_regs a = cpuid(leaf, sub), b = cpuid(leaf, sub);

			bad += memcmp(&a, &b, sizeof(a)) != 0;
		}
	}
	check_eq("answers-are-stable", bad, 0);
	check("physical-bits", (cpuid(0x80000008u, 0).a & 0xff) >= 32);
	check("linear-bits", (cpuid(0x80000008u, 0).a >> 8 & 0xff) >= 48);
}

void guest_main(void)
{
	u64 all;

	check_stable();
	if (!(cpuid(1, 0).c & CPUID_1_C_XSAVE)) {
		skip_check("xsave", "CPUID has none");
		return;
	}
	write_cr4(read_cr4() | CR4_OSXSAVE | CR4_OSFXSR);
	all = (u64)cpuid(0xd, 0).d << 32 | cpuid(0xd, 0).a;
	check_eq("xcr0-has-x87-and-sse", all & 3, 3);
	check_eq("xcr0-x87-only", (u64)try_xsetbv(0, 1), (u64)TRAP_NONE);
	check_eq("size-with-x87", cpuid(0xd, 0).b, XSAVE_LEGACY_BYTES);
	check_eq("xcr0-all", (u64)try_xsetbv(0, all), (u64)TRAP_NONE);
	check_sizes(all);
	check_eq("size-of-all-is-the-maximum", cpuid(0xd, 0).b, cpuid(0xd, 0).c);
	check_written(all);
	check_restore(all);
}
