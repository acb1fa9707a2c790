/* SPDX-License-Identifier: MIT */
/*
 * Fills every register a guest has with a pattern made from seed=N, gives the CPU away rounds=N times
 * by hypercall and PAUSE loop, and looks for what is not its own. Two of these with different seeds on one
 * CPU show that nothing leaks from one guest to another.
 */
#include "cpu.h"
#include "guest.h"

#define ROUNDS_DEFAULT    100000u
#define PAUSES            2000u /* Tern gives a CPU away after 4096 ticks of them */
#define CPUID_1_C_XSAVE   (1u << 26)
#define CPUID_1_C_AVX     (1u << 28)
#define CPUID_81_D_RDTSCP (1u << 27)
#define XCR0_X87_SSE_AVX  7u
#define DR7_QUIET         0x400ul
#define WORDS             14u /* all general registers but RSP and RAX, which the yield uses */

const char guest_name[] = "canary";

/* canary.S: loads want, yields with number (or spins when it is negative), stores into got. */
void canary_gpr(const u64 want[WORDS], u64 got[WORDS], long number, u32 pauses);
void canary_set_sse(const void *pattern);
void canary_get_sse(void *into);
void canary_set_avx(const void *pattern);
void canary_get_avx(void *into);

static const u32 msrs[] = {
	MSR_STAR,    MSR_LSTAR,   MSR_CSTAR,           MSR_SFMASK,          MSR_KERNEL_GS_BASE,
	MSR_FS_BASE, MSR_GS_BASE, MSR_SYSENTER_CS + 1, MSR_SYSENTER_CS + 2, MSR_TSC_AUX};
static u64 msr_want[ARRAY_SIZE(msrs)], gpr_want[WORDS], dr_want[4];
static u8 vector_want[16 * 32] __attribute__((aligned(64)));
static u8 vector_got[16 * 32] __attribute__((aligned(64)));
static u32 vector_bytes, msr_count, bad_gpr, bad_vector, bad_msr, bad_dr, bad_control;
static unsigned long cr3_want;

static void make_patterns(u64 seed)
{
	for (u32 i = 0; i < WORDS; i++)
		gpr_want[i] = random_next(&seed);
	for (u32 i = 0; i < 4; i++)
		dr_want[i] = random_next(&seed) & 0x7fffffffffffull;
	for (u32 i = 0; i < sizeof(vector_want); i++)
		vector_want[i] = (u8)random_next(&seed);
	/* Canonical addresses; 32 bits where a register has no more. */
	for (u32 i = 0; i < ARRAY_SIZE(msrs); i++)
		msr_want[i] = random_next(&seed) & 0x7fffffffull;
	for (u32 i = 0; i < 4; i++)
		msr_want[1 + i] |= i == 2 ? 0 : 0x123400000000ull;
}

static void set_up(void)
{
	u32 features = cpuid(1, 0).c;

	write_cr4(read_cr4() | CR4_OSFXSR);
	vector_bytes = 16 * 16;
	if ((features & CPUID_1_C_XSAVE) && (features & CPUID_1_C_AVX)) {
		write_cr4(read_cr4() | CR4_OSXSAVE);
		if (try_xsetbv(0, XCR0_X87_SSE_AVX) == TRAP_NONE)
			vector_bytes = 16 * 32;
	}
	msr_count = ARRAY_SIZE(msrs);
	if (!(cpuid(0x80000001u, 0).d & CPUID_81_D_RDTSCP))
		msr_count--;
	for (u32 i = 0; i < msr_count; i++)
		wrmsr(msrs[i], msr_want[i]);
	write_dr0(dr_want[0]);
	write_dr1(dr_want[1]);
	write_dr2(dr_want[2]);
	write_dr3(dr_want[3]);
	cr3_want = read_cr3();
	write_cr2(gpr_want[0]);
}

static void round(u32 n)
{
	u64 got[WORDS];
	bool avx = vector_bytes == sizeof(vector_want);

	if (avx)
		canary_set_avx(vector_want);
	else
		canary_set_sse(vector_want);
	canary_gpr(gpr_want, got, on_tern && n % 2 ? (long)HYPERCALL_NULL : -1, PAUSES);
	if (avx)
		canary_get_avx(vector_got);
	else
		canary_get_sse(vector_got);
	bad_gpr += memcmp(got, gpr_want, sizeof(got)) != 0;
	bad_vector += memcmp(vector_got, vector_want, vector_bytes) != 0;
	bad_dr += read_dr0() != dr_want[0] || read_dr1() != dr_want[1] ||
		  read_dr2() != dr_want[2] || read_dr3() != dr_want[3] || read_dr7() != DR7_QUIET;
	bad_control += read_cr3() != cr3_want || read_cr2() != gpr_want[0];
	/* Each is an exit where it does not pass: now and then is enough. */
	if (n % 16)
		return;
	for (u32 i = 0; i < msr_count; i++)
		bad_msr += rdmsr(msrs[i]) != msr_want[i];
}

void guest_main(void)
{
	u32 rounds = cmdline_number("rounds", ROUNDS_DEFAULT);

	make_patterns(0x9e3779b97f4a7c15ull + cmdline_number("seed", 1));
	set_up();
	for (u32 i = 0; i < rounds; i++)
		round(i);
	print("canary: %u rounds, %u bytes of vectors\n", rounds, vector_bytes);
	check_eq("general-registers", bad_gpr, 0);
	check_eq("vector-registers", bad_vector, 0);
	check_eq("debug-registers", bad_dr, 0);
	check_eq("msrs", bad_msr, 0);
	check_eq("control-registers", bad_control, 0);
}
