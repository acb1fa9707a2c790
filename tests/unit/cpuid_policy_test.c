/* SPDX-License-Identifier: MIT */
/* links: arch/x86_64/guest/cpuid_policy.c arch/x86_64/guest/cr.c tests/fake/fake_host.c hv/lib/fmt.c hv/lib/str.c */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include <tern/vm.h>
#include <arch/x86_64/guest/guest.h>
#include <tests/fake/fake_host.h>

#define BIT(n)  (1u << (n))
#define OSXSAVE (1u << 18)
#define EXT     0x80000000u

/* Canned hosts: leaf, subleaf, EAX, EBX, ECX, EDX; what is not listed is zero. */
struct canned {
	u32 leaf, subleaf, r[4];
};

/* Bochs 2.7, model corei7_skylake_x. EDX bit 11 of 80000001H is as 64-bit mode sees it. */
static const struct canned skylake_x[] = {
	{0x00000000, 0x00000000, {0x00000016, 0x756e6547, 0x6c65746e, 0x49656e69}},
	{0x00000001, 0x00000000, {0x00050654, 0x00010800, 0x77faf3bf, 0xbfebfbff}},
	{0x00000002, 0x00000000, {0x76036301, 0x00f0b5ff, 0x00000000, 0x00c30000}},
	{0x00000004, 0x00000000, {0x1c004121, 0x01c0003f, 0x0000003f, 0x00000000}},
	{0x00000004, 0x00000001, {0x1c004122, 0x01c0003f, 0x0000003f, 0x00000000}},
	{0x00000004, 0x00000002, {0x1c004143, 0x03c0003f, 0x000003ff, 0x00000000}},
	{0x00000004, 0x00000003, {0x1c03c163, 0x0280003f, 0x00002fff, 0x00000004}},
	{0x00000005, 0x00000000, {0x00000040, 0x00000040, 0x00000003, 0x00002020}},
	{0x00000006, 0x00000000, {0x00000075, 0x00000002, 0x00000009, 0x00000000}},
	{0x00000007, 0x00000000, {0x00000000, 0xd19f27eb, 0x00000000, 0x00000000}},
	{0x0000000a, 0x00000000, {0x07300404, 0x00000000, 0x00000000, 0x00000603}},
	{0x0000000b, 0x00000000, {0x00000001, 0x00000001, 0x00000000, 0x00000000}},
	{0x0000000b, 0x00000001, {0x00000000, 0x00000000, 0x00000001, 0x00000000}},
	{0x0000000b, 0x00000002, {0x00000000, 0x00000000, 0x00000002, 0x00000000}},
	{0x0000000d, 0x00000000, {0x000000e7, 0x00000240, 0x00000a80, 0x00000000}},
	{0x0000000d, 0x00000001, {0x0000000f, 0x00000000, 0x00000000, 0x00000000}},
	{0x0000000d, 0x00000002, {0x00000100, 0x00000240, 0x00000000, 0x00000000}},
	{0x0000000d, 0x00000005, {0x00000040, 0x00000440, 0x00000000, 0x00000000}},
	{0x0000000d, 0x00000006, {0x00000200, 0x00000480, 0x00000000, 0x00000000}},
	{0x0000000d, 0x00000007, {0x00000400, 0x00000680, 0x00000000, 0x00000000}},
	{0x00000015, 0x00000000, {0x00000002, 0x00000124, 0x00000000, 0x00000000}},
	{0x00000016, 0x00000000, {0x00000dac, 0x00000fa0, 0x00000064, 0x00000000}},
	{0x80000000, 0x00000000, {0x80000008, 0x00000000, 0x00000000, 0x00000000}},
	{0x80000001, 0x00000000, {0x00000000, 0x00000000, 0x00000121, 0x2c100800}},
	{0x80000002, 0x00000000, {0x65746e49, 0x2952286c, 0x726f4320, 0x4d542865}},
	{0x80000003, 0x00000000, {0x37692029, 0x3038372d, 0x43205830, 0x40205550}},
	{0x80000004, 0x00000000, {0x352e3320, 0x7a484730, 0x00000000, 0x00000000}},
	{0x80000006, 0x00000000, {0x00000000, 0x00000000, 0x01006040, 0x00000000}},
	{0x80000007, 0x00000000, {0x00000000, 0x00000000, 0x00000000, 0x00000100}},
	{0x80000008, 0x00000000, {0x00003028, 0x00000000, 0x00000000, 0x00000000}},
};

/* QEMU 7.2 TCG, -cpu max. */
static const struct canned qemu_max[] = {
	{0x00000000, 0x00000000, {0x0000000d, 0x68747541, 0x444d4163, 0x69746e65}},
	{0x00000001, 0x00000000, {0x00060fb1, 0x00000800, 0xf6d8320b, 0x0fcbfbfd}},
	{0x00000005, 0x00000000, {0x00000000, 0x00000000, 0x00000003, 0x00000000}},
	{0x00000006, 0x00000000, {0x00000004, 0x00000000, 0x00000000, 0x00000000}},
	{0x00000007, 0x00000000, {0x00000000, 0x01d843a9, 0x8001020c, 0x00000000}},
	{0x0000000b, 0x00000000, {0x00000000, 0x00000001, 0x00000100, 0x00000000}},
	{0x0000000b, 0x00000001, {0x00000000, 0x00000001, 0x00000201, 0x00000000}},
	{0x0000000b, 0x00000002, {0x00000000, 0x00000000, 0x00000002, 0x00000000}},
	{0x0000000d, 0x00000000, {0x0000021f, 0x00000240, 0x00000a88, 0x00000000}},
	{0x0000000d, 0x00000001, {0x00000005, 0x000003c8, 0x00000000, 0x00000000}},
	{0x0000000d, 0x00000002, {0x00000100, 0x00000240, 0x00000000, 0x00000000}},
	{0x0000000d, 0x00000003, {0x00000040, 0x000003c0, 0x00000000, 0x00000000}},
	{0x0000000d, 0x00000004, {0x00000040, 0x00000400, 0x00000000, 0x00000000}},
	{0x0000000d, 0x00000009, {0x00000008, 0x00000a80, 0x00000000, 0x00000000}},
	{0x80000000, 0x00000000, {0x8000000a, 0x68747541, 0x444d4163, 0x69746e65}},
	{0x80000001, 0x00000000, {0x00060fb1, 0x00000000, 0x00000075, 0xedd3fbfd}},
	{0x80000002, 0x00000000, {0x554d4551, 0x47435420, 0x55504320, 0x72657620}},
	{0x80000003, 0x00000000, {0x6e6f6973, 0x352e3220, 0x0000002b, 0x00000000}},
	{0x80000005, 0x00000000, {0x01ff01ff, 0x01ff01ff, 0x40020140, 0x40020140}},
	{0x80000006, 0x00000000, {0x00000000, 0x42004200, 0x02008140, 0x00808140}},
	{0x80000008, 0x00000000, {0x00003928, 0x00000000, 0x00000000, 0x00000000}},
	{0x8000000a, 0x00000000, {0x00000001, 0x00000010, 0x00000000, 0x10010001}},
};

/* The least that runs 64-bit code; without leaf 80000008H and XSAVE. */
static const struct canned minimal[] = {
	{0x00000000, 0, {0x00000001, 0x756e6547, 0x6c65746e, 0x49656e69}},
	{0x00000001, 0, {0x00000f41, 0x00000800, 0x00000029, 0x078bfbff}},
	{0x80000000, 0, {0x80000001, 0, 0, 0}},
	{0x80000001, 0, {0, 0, 0x00000001, 0x20100800}},
};

static void answer(const struct canned *c, size_t n, u32 leaf, u32 subleaf, u32 out[4])
{
	memset(out, 0, 4 * sizeof(u32));
	for (size_t i = 0; i < n; i++)
		if (c[i].leaf == leaf && (c[i].subleaf == subleaf || leaf < 4))
			memcpy(out, c[i].r, sizeof(c[i].r));
}

static void skylake_host(u32 leaf, u32 subleaf, u32 out[4])
{
	answer(skylake_x, ARRAY_SIZE(skylake_x), leaf, subleaf, out);
}

static void qemu_host(u32 leaf, u32 subleaf, u32 out[4])
{
	answer(qemu_max, ARRAY_SIZE(qemu_max), leaf, subleaf, out);
}

static void minimal_host(u32 leaf, u32 subleaf, u32 out[4])
{
	/* As real ones do, it repeats its last basic leaf beyond the maximum. */
	if ((leaf > 1 && leaf < EXT) || leaf > EXT + 1)
		leaf = 1;
	answer(minimal, ARRAY_SIZE(minimal), leaf, subleaf, out);
}

/* Has everything, now and in times to come. */
static void all_host(u32 leaf, UNUSED u32 subleaf, u32 out[4])
{
	out[0] = out[1] = out[2] = out[3] = ~0u;
	if (leaf == 0 || leaf == EXT)
		out[0] = leaf | 0xff;
	if (leaf == 7)
		out[0] = subleaf == 0 ? 5 : ~0u;
}

static u64 seed;

/* Nonsense, but the same for the same question. */
static void random_host(u32 leaf, u32 subleaf, u32 out[4])
{
	u64 v = seed ^ ((u64)leaf << 32 | subleaf);

	for (u32 i = 0; i < 4; i++) {
		for (u32 turn = 0; turn < 3; turn++)
			v = v * 6364136223846793005ull + 1442695040888963407ull;
		out[i] = (u32)(v >> 32);
	}
	if (leaf == EXT)
		out[0] = EXT + out[0] % 32;
	if (leaf == 0)
		out[0] %= 64;
}

static struct cpuid_policy policy;
static struct cpuid_state idle = {.apic_enabled = true};
static u32 r[4];

static void ask(u32 leaf, u32 subleaf)
{
	guest_cpuid(&policy, &idle, leaf, subleaf, r);
}

static void assert_regs(u32 a, u32 b, u32 c, u32 d)
{
	assert_int_equal(r[0], a);
	assert_int_equal(r[1], b);
	assert_int_equal(r[2], c);
	assert_int_equal(r[3], d);
}

static const struct cpuid_platform full = {.has_apic = true, .has_apic_timer = true};

static void test_skylake(UNUSED void **state)
{
	guest_cpuid_policy_on(&policy, skylake_host, 1, 3500000000, &full);
	ask(0, 0);
	assert_regs(0x16, 0x756e6547, 0x6c65746e, 0x49656e69);
	ask(1, 0);
	assert_regs(0x50654, 0x00010800, 0xf7fa3203, 0x0f8bfbff);
	ask(2, 0);
	assert_regs(0x76036301, 0x00f0b5ff, 0, 0x00c30000);
	ask(5, 0);
	assert_regs(0, 0, 0, 0);
	ask(6, 0);
	assert_regs(4, 0, 0, 0);
	ask(7, 0);
	assert_regs(0, 0xd19f27eb & ~(BIT(2) | BIT(4) | BIT(11) | BIT(12) | BIT(14) | BIT(15)), 0,
		    0);
	ask(0xa, 0);
	assert_regs(0, 0, 0, 0);
	ask(0x15, 0);
	assert_regs(1, 1, 3500000000, 0);
	ask(0x16, 0);
	assert_regs(3500, 3500, 0, 0);
	ask(EXT, 0);
	assert_int_equal(r[0], EXT + 8);
	ask(EXT + 1, 0);
	assert_regs(0, 0, 0x121, 0x2c100800);
	for (u32 i = 2; i < 5; i++) {
		u32 host[4];

		skylake_host(EXT + i, 0, host);
		ask(EXT + i, 0);
		assert_memory_equal(r, host, sizeof(host));
	}
	ask(EXT + 7, 0);
	assert_regs(0, 0, 0, 0x100);
	ask(EXT + 8, 0);
	assert_regs(0x3028, 0, 0, 0);
	assert_int_equal(guest_phys_bits(&policy), 40);
	assert_int_equal(guest_cr4_allowed(&policy), 0x3707ff);
	assert_int_equal(guest_efer_allowed(&policy), 0xd01);
}

/* The sizes that Bochs and QEMU give for all of XCR0 are those we compute. */
static void test_xsave_sizes(UNUSED void **state)
{
	struct cpuid_state s = {.apic_enabled = true, .cr4 = OSXSAVE, .xcr0 = 1};

	guest_cpuid_policy(&policy, skylake_host, 1, 0);
	assert_int_equal(guest_xcr0_allowed(&policy), 0xe7);
	guest_cpuid(&policy, &s, 0xd, 0, r);
	assert_regs(0xe7, 576, 0xa80, 0);
	s.xcr0 = 7;
	guest_cpuid(&policy, &s, 0xd, 0, r);
	assert_regs(0xe7, 832, 0xa80, 0);
	/* XSAVEC is not shown: see docs/decisions.md. */
	guest_cpuid(&policy, &s, 0xd, 1, r);
	assert_regs(5, 0, 0, 0);
	s.xcr0 = 0xe7;
	guest_cpuid(&policy, &s, 0xd, 0, r);
	assert_regs(0xe7, 0xa80, 0xa80, 0);
	guest_cpuid(&policy, &s, 0xd, 6, r);
	assert_regs(0x200, 0x480, 0, 0);
	for (u32 i = 3; i < 64; i++) {
		guest_cpuid(&policy, &s, 0xd, i, r);
		if (i < 5 || i > 7)
			assert_regs(0, 0, 0, 0);
	}
	guest_cpuid(&policy, &s, 1, 0, r);
	assert_true((r[2] & BIT(27)) != 0);

	/* QEMU has MPX and PKRU; MPX is not shown. */
	guest_cpuid_policy(&policy, qemu_host, 1, 0);
	assert_int_equal(guest_xcr0_allowed(&policy), 0x207);
	s.xcr0 = 0x207;
	guest_cpuid(&policy, &s, 0xd, 0, r);
	assert_regs(0x207, 0xa88, 0xa88, 0);
	guest_cpuid(&policy, &s, 0xd, 1, r);
	assert_regs(5, 0, 0, 0);
	s.cr4 = BIT(22);
	guest_cpuid(&policy, &s, 7, 0, r);
	assert_int_equal(r[2] & (BIT(3) | BIT(4)), BIT(3) | BIT(4));
	guest_cpuid(&policy, &s, 1, 0, r);
	assert_int_equal(r[2] & (BIT(26) | BIT(27)), BIT(26));
}

static void test_amd(UNUSED void **state)
{
	guest_cpuid_policy_on(&policy, qemu_host, 6, 3000000000, &full);
	ask(0, 0);
	assert_regs(0xd, 0x68747541, 0x444d4163, 0x69746e65);
	ask(2, 0);
	assert_regs(0, 0, 0, 0);
	ask(0x15, 0);
	assert_regs(0, 0, 0, 0);
	ask(0xffff, 0);
	assert_regs(0, 0, 0, 0);
	ask(EXT + 0xa, 0);
	assert_regs(0, 0, 0, 0);
	ask(EXT + 1, 0);
	assert_int_equal(r[2] & BIT(2), 0);      /* SVM */
	assert_int_equal(r[2] & BIT(1), BIT(1)); /* CmpLegacy */
	assert_int_equal(r[3], 0xedd3fbfd);
	ask(EXT + 8, 0);
	assert_regs(0x3028, 0, 5 | 3 << 12, 0);
	assert_int_equal(guest_efer_allowed(&policy), 0xd01);
}

static void test_minimal(UNUSED void **state)
{
	struct cpuid_state off = {.apic_enabled = false};

	guest_cpuid_policy_on(&policy, minimal_host, 1, 0, &full);
	ask(0, 0);
	assert_int_equal(r[0], 0xb);
	ask(1, 0);
	assert_regs(0xf41, 0x10800, 0x1 | BIT(21) | BIT(24) | BIT(31), 0x078bfbff);
	ask(7, 0);
	assert_regs(0, BIT(1), 0, 0);
	ask(0xd, 0);
	/* Above the maximum: the last leaf. */
	assert_regs(0, 1, 0x100, 0);
	ask(EXT + 8, 0);
	assert_regs(0x3024, 0, 0, 0);
	assert_int_equal(guest_xcr0_allowed(&policy), 0);
	guest_cpuid(&policy, &off, 1, 0, r);
	assert_int_equal(r[3], 0x078bfbff & ~BIT(9));
}

static void test_platform_switches(UNUSED void **state)
{
	const u32 x2apic = BIT(21), deadline = BIT(24);

	for (u32 how = 0; how < 4; how++) {
		struct cpuid_platform on = {.has_apic = how & 1, .has_apic_timer = how & 2};

		guest_cpuid_policy_on(&policy, skylake_host, 1, 0, &on);
		ask(1, 0);
		assert_int_equal((r[2] & x2apic) != 0, how & 1);
		assert_int_equal((r[3] & BIT(9)) != 0, how & 1);
		assert_int_equal((r[2] & deadline) != 0, how == 3);
		ask(6, 0);
		assert_int_equal(r[0], how == 3 ? 4 : 0);
	}
}

/* SDM vol. 3A 8.9: every way to count gives the same number, ids are unique. */
static void test_topology(UNUSED void **state)
{
	for (u32 n = 1; n <= VCPUS_PER_VM_MAX; n++) {
		u32 bits = 0;

		while (1u << bits < n)
			bits++;
		guest_cpuid_policy(&policy, skylake_host, n, 0);
		for (u32 id = 0; id < n; id++) {
			struct cpuid_state s = {.apic_id = id, .apic_enabled = true};

			guest_cpuid(&policy, &s, 1, 0, r);
			assert_int_equal(r[1], id << 24 | n << 16 | 0x0800);
			assert_int_equal((r[3] & BIT(28)) != 0, n > 1);
			guest_cpuid(&policy, &s, 0xb, 0, r);
			assert_regs(0, 1, 0x100, id);
			guest_cpuid(&policy, &s, 0xb, 1, r);
			assert_regs(bits, n, 0x201, id);
			guest_cpuid(&policy, &s, 0xb, 2, r);
			assert_regs(0, 0, 2, id);
			guest_cpuid(&policy, &s, 0xb, 0x1ff, r);
			assert_regs(0, 0, 0xff, id);
			assert_true(id >> bits == 0);
		}
		for (u32 i = 0; i < 4; i++) {
			u32 host[4];

			skylake_host(4, i, host);
			ask(4, i);
			assert_int_equal(r[0] & 0x3fff, host[0] & 0x3fff);
			assert_int_equal(r[0] >> 26, (1u << bits) - 1);
			assert_int_equal(r[0] >> 14 & 0xfff, i == 3 ? (1u << bits) - 1 : 0);
			assert_int_equal(r[1], host[1]);
			assert_int_equal(r[2], host[2]);
		}
		ask(4, 4);
		assert_regs(0, 0, 0, 0);
	}
}

/* Intel: beyond the range comes the last basic leaf, its sub-leaf too. */
static void test_out_of_range(UNUSED void **state)
{
	static const u32 beyond[] = {0x17,       0x1000,  0x3fffffff, 0x50000000,
				     0x7fffffff, EXT + 9, ~0u};
	u32 last[4];

	guest_cpuid_policy(&policy, skylake_host, 3, 2600000000);
	ask(0x16, 0);
	memcpy(last, r, sizeof(last));
	assert_int_equal(last[0], 2600);
	for (u32 i = 0; i < ARRAY_SIZE(beyond); i++) {
		ask(beyond[i], 7);
		assert_memory_equal(r, last, sizeof(last));
	}
	/* Inside the range but not there: zero. */
	ask(0x14, 0);
	assert_regs(0, 0, 0, 0);
	/* The hypervisor's range is ours. */
	ask(0x40000002, 0);
	assert_regs(0, 0, 0, 0);
	ask(0x40000102, 0);
	assert_regs(0, 0, 0, 0);
	/* Without a TSC frequency the last leaf is 0DH, and the sub-leaf counts. */
	guest_cpuid_policy(&policy, skylake_host, 1, 0);
	ask(0x15, 2);
	assert_regs(0x100, 0x240, 0, 0);
}

static void test_hypervisor_leaves(UNUSED void **state)
{
	guest_cpuid_policy(&policy, skylake_host, 1, 0);
	ask(0x40000000, 0);
	assert_int_equal(r[0], 0x40000001);
	assert_memory_equal(&r[1], "TernTernTern", 12);
	ask(0x40000001, 0);
	assert_regs(CPUID_TERN_VERSION, CPUID_TERN_AGENT, 0, 0);
	ask(1, 0);
	assert_true((r[2] & BIT(31)) != 0);
	/* KVM's come with a clock that they can promise, on AMD, too. */
	ask(0x40000100, 0);
	assert_regs(0, 0, 0, 0);
	for (u32 i = 0; i < 2; i++) {
		guest_cpuid_policy(&policy, i == 0 ? skylake_host : qemu_host, 1, 2600000000);
		ask(0x40000000, 0);
		assert_int_equal(r[0], 0x40000001);
		ask(0x40000100, 5);
		assert_int_equal(r[0], 0x40000101);
		assert_memory_equal(&r[1], "KVMKVMKVM\0\0\0", 12);
		ask(0x40000101, 0);
		assert_regs(BIT(3) | BIT(5) | BIT(24), 0, 0, 0);
	}
}

static void test_fast_clock(UNUSED void **state)
{
	static const u64 rates[] = {1000000,     2893299001, 0xffffffff,
				    0x100000000, 5700000000, 9999999999};

	for (u32 i = 0; i < ARRAY_SIZE(rates); i++) {
		u64 hz;

		guest_cpuid_policy(&policy, skylake_host, 1, rates[i]);
		ask(0x15, 0);
		assert_int_equal(r[0], 1);
		hz = (u64)r[1] * r[2];
		assert_in_range(rates[i] - hz, 0, r[1] - 1);
	}
}

/* A CPU that has every bit shows a guest exactly what docs/cpuid.md lists. */
static void test_hidden_from_any_host(UNUSED void **state)
{
	guest_cpuid_policy_on(&policy, all_host, 2, 1000000000, &full);
	ask(1, 0);
	/* no DTES64, MONITOR, DS-CPL, VMX, SMX, EIST, TM2, CNXT-ID, SDBG, xTPR, PDCM, DCA, reserved */
	assert_int_equal(r[2], 0xf7fa3203);
	/* no PSN, DS, ACPI, TM, PBE, reserved */
	assert_int_equal(r[3], 0x1f8bfbff);
	ask(7, 0);
	assert_int_equal(r[0], 2);
	/* no SGX, HLE, RTM, PQM, MPX, PQE, PT, reserved */
	assert_int_equal(r[1], ~(BIT(2) | BIT(4) | BIT(11) | BIT(12) | BIT(14) | BIT(15) | BIT(22) |
				 BIT(25)));
	/* no WAITPKG, CET_SS, TME, LA57, MAWAU, KL, bus lock, ENQCMD, SGX_LC, PKS */
	assert_int_equal(r[2], 0x1a405f4e);
	/* no UINTR, SRBDS, RTM abort, hybrid, TSX, PCONFIG, LBR, IBT, AMX, L1D flush, CORE_CAP */
	assert_int_equal(r[3], 0xac80451c);
	ask(7, 1);
	assert_regs(0x801c30, 0, 0, 0);
	ask(7, 2);
	assert_regs(0, 0, 0, 0x3f);
	ask(7, 3);
	assert_regs(0, 0, 0, 0);
	ask(0xd, 0);
	assert_int_equal(r[0], 0x2e7);
	assert_int_equal(r[3], 0);
	ask(0xd, 1);
	assert_int_equal(r[0], 5);
	assert_int_equal(r[2] | r[3], 0);
	for (u32 leaf = 0; leaf <= 0x16; leaf++) {
		if ((leaf >= 8 && leaf <= 0xa) || leaf == 3 || leaf == 5 || leaf == 0xc ||
		    (leaf >= 0xe && leaf <= 0x14)) {
			ask(leaf, 0);
			assert_regs(0, 0, 0, 0);
		}
	}
	ask(EXT + 1, 0);
	assert_int_equal(r[2], 0x2109f1 & ~BIT(22));
	assert_int_equal(r[3], 0xee500800);
	ask(EXT + 7, 0);
	assert_regs(0, 0, 0, 0x100);
	ask(EXT + 8, 0);
	assert_regs(0x3030, 0x0100d205, 0, 0);
}

static u32 host_xcr0;

static void states_host(u32 leaf, u32 subleaf, u32 out[4])
{
	all_host(leaf, subleaf, out);
	if (leaf == 0xd && subleaf == 0) {
		out[0] = host_xcr0;
		out[3] = 0;
	}
}

/* States of XCR0 and the features that need them come and go together. */
static void test_vector_states(UNUSED void **state)
{
	for (host_xcr0 = 0; host_xcr0 < 0x400; host_xcr0++) {
		bool sse = (host_xcr0 & 3) == 3, avx = sse && (host_xcr0 & 4) != 0;
		bool avx512 = avx && (host_xcr0 & 0xe0) == 0xe0;
		u64 want = sse ? 3 : 0;

		want |= (avx ? 4 : 0) | (avx512 ? 0xe0 : 0) | (sse ? host_xcr0 & 0x200 : 0);
		guest_cpuid_policy(&policy, states_host, 1, 0);
		assert_int_equal(guest_xcr0_allowed(&policy), want);
		ask(1, 0);
		assert_int_equal(r[2] & 0x34001000,
				 (sse ? BIT(26) : 0) | (avx ? BIT(12) | BIT(28) | BIT(29) : 0));
		ask(7, 0);
		assert_int_equal(r[1] & 0xdc230020, (avx ? BIT(5) : 0) | (avx512 ? 0xdc230000 : 0));
		assert_int_equal(r[2] & 0x5e4a, (want & 0x200 ? BIT(3) : 0) | (avx ? 0x600 : 0) |
							(avx512 ? 0x5842 : 0));
		assert_int_equal(r[3] & 0x80010c, avx512 ? 0x80010c : 0);
		ask(7, 1);
		assert_int_equal(r[0] & 0x800030, (avx ? 0x800010 : 0) | (avx512 ? 0x20 : 0));
		ask(EXT + 1, 0);
		assert_int_equal(r[2] & 0x10800, avx ? 0x10800 : 0);
	}
}

static void test_any_host(UNUSED void **state)
{
	for (u32 round = 0; round < 20000; round++) {
		struct cr_state s = {0};
		u64 key = 0;

		seed = round * 7919;
		guest_cpuid_policy(&policy, random_host, 1 + round % VCPUS_PER_VM_MAX, seed);
		assert_in_range(policy.count, 15, CPUID_POLICY_MAX);
		for (u32 i = 0; i < policy.count; i++) {
			const struct cpuid_entry *e = &policy.entries[i];
			u64 k = (u64)e->leaf << 32 | e->subleaf;

			assert_true(i == 0 || k > key);
			key = k;
			assert_ptr_equal(guest_cpuid_find(&policy, e->leaf, e->subleaf), e);
			if (e->any_subleaf)
				assert_ptr_equal(guest_cpuid_find(&policy, e->leaf, ~0u), e);
		}
		/* What is offered in full is a legal XCR0. */
		s.xcr0_allowed = guest_xcr0_allowed(&policy);
		if (s.xcr0_allowed != 0)
			assert_int_equal(guest_xcr0_write(&s, s.xcr0_allowed), 0);
		ask(1, 0);
		assert_int_equal((r[2] & BIT(26)) != 0, s.xcr0_allowed != 0);
		if ((s.xcr0_allowed & 4) == 0)
			assert_int_equal(r[2] & (BIT(12) | BIT(28) | BIT(29)), 0);
		ask(7, 0);
		if ((s.xcr0_allowed & 4) == 0)
			assert_int_equal(r[1] & BIT(5), 0);
		if ((s.xcr0_allowed & 0x20) == 0)
			assert_int_equal(r[1] & BIT(16), 0);
		if ((s.xcr0_allowed & 0x200) == 0)
			assert_int_equal(r[2] & BIT(3), 0);
		for (u32 leaf = 0; leaf < 0x20; leaf++)
			ask(leaf, round & 15);
	}
}

static void test_vcpu_count_is_checked(UNUSED void **state)
{
	fake_reset();
	FAKE_EXPECT_PANIC(guest_cpuid_policy(&policy, skylake_host, 0, 0));
	FAKE_EXPECT_PANIC(guest_cpuid_policy(&policy, skylake_host, VCPUS_PER_VM_MAX + 1, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_skylake),
		cmocka_unit_test(test_xsave_sizes),
		cmocka_unit_test(test_amd),
		cmocka_unit_test(test_minimal),
		cmocka_unit_test(test_platform_switches),
		cmocka_unit_test(test_topology),
		cmocka_unit_test(test_out_of_range),
		cmocka_unit_test(test_hypervisor_leaves),
		cmocka_unit_test(test_fast_clock),
		cmocka_unit_test(test_hidden_from_any_host),
		cmocka_unit_test(test_vector_states),
		cmocka_unit_test(test_any_host),
		cmocka_unit_test(test_vcpu_count_is_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
