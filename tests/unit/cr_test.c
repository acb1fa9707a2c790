/* SPDX-License-Identifier: MIT */
/* links: arch/x86_64/guest/cr.c arch/x86_64/guest/cpuid_policy.c tests/fake/fake_host.c hv/lib/fmt.c hv/lib/str.c */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include <tern/err.h>
#include <arch/x86_64/guest/guest.h>

/* Bit numbers and rules are written down here a second time, on purpose without msr_regs.h. */
#define BIT(n) (1ull << (n))
#define LMA    BIT(10)
#define LME    BIT(8)

/* Where no pattern matches, the write is allowed: '?' is either. */
static bool faults(const char *const *patterns, u32 inputs, u32 bits)
{
	for (; *patterns != NULL; patterns++) {
		u32 seen = 0;
		bool match = true;

		for (const char *c = *patterns; *c != '\0'; c++) {
			if (*c == ' ')
				continue;
			if (*c != '?' && (*c == '1') != ((bits >> seen & 1) != 0))
				match = false;
			seen++;
		}
		assert_int_equal(seen, inputs);
		if (match)
			return true;
	}
	return false;
}

/* new: PG PE NW CD; old: PG; LME; CR4: PAE PCIDE; CS.L; 16-bit TSS */
static const char *const cr0_faults[] = {
	"10?? ? ? ?? ? ?", /* paging needs protection */
	"??10 ? ? ?? ? ?", /* not write-through needs cache disable */
	"1??? 0 1 0? ? ?", /* IA-32e mode needs PAE */
	"1??? 0 1 ?? 1 ?", /* is entered from CS.L = 0 */
	"1??? 0 1 ?? ? 1", /* with a TSS of 32 or 64 bits */
	"0??? 1 1 ?? 1 ?", /* is left from compatibility mode */
	"0??? 1 ? ?1 ? ?", /* without PCIDs */
	NULL,
};

static void test_cr0_truth_table(UNUSED void **state)
{
	u32 allowed = 0;

	for (u32 in = 0; in < BIT(10); in++) {
		bool pg = in & 1, pe = in & 2, nw = in & 4, cd = in & 8, old_pg = in & 16;
		bool lme = in & 32;
		struct cr_state s = {0}, before;
		u64 value = (pg ? BIT(31) : 0) | (pe ? BIT(0) : 0) | (nw ? BIT(29) : 0) |
			    (cd ? BIT(30) : 0);

		s.cr0 = BIT(0) | BIT(4) | (old_pg ? BIT(31) : 0);
		s.efer = (lme ? LME : 0) | (lme && old_pg ? LMA : 0);
		s.cr4 = (in & 64 ? BIT(5) : 0) | (in & 128 ? BIT(17) : 0);
		s.cs_long = in & 256;
		s.tr_16bit = in & 512;
		before = s;
		if (faults(cr0_faults, 10, in)) {
			assert_int_equal(guest_cr0_write(&s, value), -TERN_EINVAL);
			assert_memory_equal(&s, &before, sizeof(s));
			continue;
		}
		allowed++;
		assert_int_equal(guest_cr0_write(&s, value), 0);
		assert_int_equal(s.cr0, value | BIT(4));
		assert_int_equal(s.efer, (lme ? LME : 0) | (lme && pg ? LMA : 0));
		assert_int_equal(s.cr4, before.cr4);
	}
	assert_in_range(allowed, 200, 500);
}

static void test_cr0_reserved_bits(UNUSED void **state)
{
	const u64 defined = 0xe005003f;

	for (u32 bit = 0; bit < 64; bit++) {
		struct cr_state s = {.cr0 = 0x10};
		u64 value = BIT(bit) | BIT(0) | BIT(30);

		if (bit >= 32) {
			assert_int_equal(guest_cr0_write(&s, value), -TERN_EINVAL);
			assert_int_equal(s.cr0, 0x10);
		} else {
			assert_int_equal(guest_cr0_write(&s, value), 0);
			assert_int_equal(s.cr0, (value & defined) | BIT(4));
		}
	}
}

static void test_cr3(UNUSED void **state)
{
	for (u8 phys = 32; phys <= 52; phys++) {
		for (u32 in = 0; in < 64 * 2; in++) {
			u32 bit = in % 64;
			bool pcide = in >= 64;
			struct cr_state s = {.cr3 = 0x5000, .phys_bits = phys};
			bool bad = bit >= phys && !(pcide && bit == 63);

			s.cr4 = pcide ? BIT(17) : 0;
			assert_int_equal(guest_cr3_write(&s, BIT(bit)), bad ? -TERN_EINVAL : 0);
			assert_int_equal(s.cr3, bad ? 0x5000 : bit == 63 ? 0 : BIT(bit));
		}
	}
}

/* new: PAE LA57 PCIDE; old: LA57 PCIDE; LMA; CR3[11:0] != 0 */
static const char *const cr4_faults[] = {
	"0?? ?? 1 ?",               /* IA-32e mode needs PAE */
	"?0? 1? 1 ?",               /* LA57 does not change in it */
	"?1? 0? 1 ?", "??1 ?0 0 ?", /* PCIDs are turned on in it only */
	"??1 ?0 ? 1",               /* with PCID 0 */
	NULL,
};

static void test_cr4_truth_table(UNUSED void **state)
{
	for (u32 in = 0; in < BIT(7); in++) {
		struct cr_state s = {.cr4_allowed = BIT(5) | BIT(12) | BIT(17)}, before;
		u64 value = (in & 1 ? BIT(5) : 0) | (in & 2 ? BIT(12) : 0) | (in & 4 ? BIT(17) : 0);

		s.cr4 = (in & 8 ? BIT(12) : 0) | (in & 16 ? BIT(17) : 0);
		s.efer = in & 32 ? LME | LMA : 0;
		for (u32 low = 0; low < 12; low++) {
			s.cr3 = 0x1000 | (in & 64 ? BIT(low) : 0);
			before = s;
			if (faults(cr4_faults, 7, in)) {
				assert_int_equal(guest_cr4_write(&s, value), -TERN_EINVAL);
				assert_memory_equal(&s, &before, sizeof(s));
			} else {
				assert_int_equal(guest_cr4_write(&s, value), 0);
				assert_int_equal(s.cr4, value);
				s = before;
			}
		}
	}
}

static void test_cr4_offered_bits_only(UNUSED void **state)
{
	for (u32 offered = 0; offered < 64; offered++) {
		for (u32 bit = 0; bit < 64; bit++) {
			struct cr_state s = {.cr4_allowed = BIT(offered), .efer = LME | LMA};

			s.efer = bit == 17 ? s.efer : 0; /* PCIDE is for IA-32e mode */
			s.cr4_allowed |= bit == 17 ? BIT(5) : 0;
			assert_int_equal(guest_cr4_write(&s, BIT(bit) | (bit == 17 ? BIT(5) : 0)),
					 bit == offered ? 0 : -TERN_EINVAL);
		}
	}
}

static void test_efer(UNUSED void **state)
{
	static const u32 bits[] = {0, 8, 10, 11, 12, 13, 14, 63};

	for (u32 in = 0; in < BIT(8); in++) {
		for (u32 how = 0; how < BIT(7); how++) {
			u64 value = 0, allowed = 0;
			bool pg = how & 1, lme = how & 2;
			struct cr_state s = {0};
			bool bad;

			for (u32 i = 0; i < ARRAY_SIZE(bits); i++)
				value |= in >> i & 1 ? BIT(bits[i]) : 0;
			allowed |= how & 4 ? BIT(0) : 0;
			allowed |= how & 8 ? BIT(8) | BIT(10) : 0;
			allowed |= how & 16 ? BIT(11) : 0;
			allowed |= how & 32 ? BIT(14) : 0;
			s.cr0 = pg ? BIT(31) | BIT(0) : 0;
			s.efer = (lme ? LME : 0) | (lme && pg ? LMA : 0) | (how & 64 ? BIT(0) : 0);
			/* LMA is read-only; a bit not offered, or LME changed under paging, faults. */
			bad = ((value & ~BIT(10)) & ~allowed) != 0 ||
			      (pg && lme != ((value & LME) != 0));
			assert_int_equal(guest_efer_write(&s, value, allowed),
					 bad ? -TERN_EINVAL : 0);
			if (!bad)
				assert_int_equal(s.efer, (value & ~LMA) | (lme && pg ? LMA : 0));
			assert_int_equal((s.efer & LMA) != 0, lme && pg);
		}
	}
}

/* All legal values: one of four vector sets, each option on or off. */
static bool xcr0_legal(u64 value)
{
	static const u64 vectors[] = {1, 3, 7, 0xe7};
	const u64 bnd = 0x18, pkru = 0x200, amx = 0x60000;

	for (u32 i = 0; i < ARRAY_SIZE(vectors); i++)
		for (u32 opt = 0; opt < 8; opt++)
			if (value == (vectors[i] | (opt & 1 ? bnd : 0) | (opt & 2 ? pkru : 0) |
				      (opt & 4 ? amx : 0)))
				return true;
	return false;
}

static void test_xcr0_every_value(UNUSED void **state)
{
	static const u64 offers[] = {0, 1, 3, 7, 0xe7, 0x2e7, 0x1f, 0x602ff};

	for (u32 i = 0; i < ARRAY_SIZE(offers); i++) {
		u32 found = 0;

		for (u64 value = 0; value < BIT(20); value++) {
			struct cr_state s = {.xcr0_allowed = offers[i], .xcr0 = 0xabc};
			bool ok = xcr0_legal(value) && (value & ~offers[i]) == 0;

			if ((guest_xcr0_write(&s, value) == 0) != ok)
				fail_msg("XCR0 %lx, offered %lx", value, offers[i]);
			if (s.xcr0 != (ok ? value : 0xabc))
				fail_msg("XCR0 %lx became %lx", value, s.xcr0);
			found += ok;
		}
		if (offers[i] == 0x602ff)
			assert_int_equal(found, 32);
	}
	for (u32 bit = 20; bit < 64; bit++) {
		struct cr_state s = {.xcr0_allowed = 0x2e7};

		assert_int_equal(guest_xcr0_write(&s, BIT(bit) | 1), -TERN_EINVAL);
	}
}

/* SDM vol. 3A 4.4.1 */
static void test_pdptes(UNUSED void **state)
{
	static const u32 cr0_loads[] = {29, 30, 31}, cr4_loads[] = {4, 5, 7, 20};
	struct cr_state pae = {.cr0 = BIT(31) | BIT(0), .cr4 = BIT(5)}, off = {.cr0 = 1}, s;
	u64 pdpte[4] = {0x1001, 0, 0x2019, 0x3001};

	assert_true(guest_pdptes_reload(&off, &pae, false));
	assert_true(guest_pdptes_reload(&pae, &pae, true));
	assert_false(guest_pdptes_reload(&pae, &pae, false));
	assert_false(guest_pdptes_reload(&pae, &off, true));
	for (u32 bit = 0; bit < 32; bit++) {
		bool loads0 = false, loads4 = false;

		for (u32 i = 0; i < ARRAY_SIZE(cr0_loads); i++)
			loads0 |= cr0_loads[i] == bit;
		for (u32 i = 0; i < ARRAY_SIZE(cr4_loads); i++)
			loads4 |= cr4_loads[i] == bit;
		s = pae;
		s.cr0 ^= BIT(bit);
		assert_int_equal(guest_pdptes_reload(&s, &pae, false), loads0);
		s = pae;
		s.cr4 ^= BIT(bit);
		assert_int_equal(guest_pdptes_reload(&s, &pae, false), loads4);
	}
	s = pae;
	s.efer = LME | LMA;
	assert_false(guest_pdptes_reload(&off, &s, true));

	assert_int_equal(guest_pdptes_check(pdpte, 40), 0);
	for (u32 bit = 0; bit < 64; bit++) {
		bool bad = bit == 1 || bit == 2 || (bit >= 5 && bit <= 8) || bit >= 40;

		pdpte[3] = 0x3001 | BIT(bit);
		assert_int_equal(guest_pdptes_check(pdpte, 40), bad ? -TERN_EINVAL : 0);
		pdpte[3] &= ~1ull; /* not present: nothing is reserved */
		assert_int_equal(guest_pdptes_check(pdpte, 40), 0);
	}
}

/* Each CR4 and EFER bit against the CPUID bit that brings it: leaf, register a-d, bit. */
static void test_offers_follow_cpuid(UNUSED void **state)
{
	static const struct {
		u64 cr4, efer;
		u32 leaf;
		char reg;
		u32 bit;
	} map[] = {
		{BIT(0) | BIT(1), 0, 1, 'd', 1},
		{BIT(2), 0, 1, 'd', 4},
		{BIT(3), 0, 1, 'd', 2},
		{BIT(4), 0, 1, 'd', 3},
		{BIT(5), 0, 1, 'd', 6},
		{BIT(6), 0, 1, 'd', 7},
		{BIT(7), 0, 1, 'd', 13},
		{BIT(9), 0, 1, 'd', 24},
		{BIT(10), 0, 1, 'd', 25},
		{BIT(11), 0, 7, 'c', 2},
		{BIT(16), 0, 7, 'b', 0},
		{BIT(17), 0, 1, 'c', 17},
		{BIT(18), 0, 1, 'c', 26},
		{BIT(20), 0, 7, 'b', 7},
		{BIT(21), 0, 7, 'b', 20},
		{BIT(22), 0, 7, 'c', 3},
		{0, BIT(0), 0x80000001, 'd', 11},
		{0, BIT(8) | BIT(10), 0x80000001, 'd', 29},
		{0, BIT(11), 0x80000001, 'd', 20},
		{0, BIT(14), 0x80000001, 'd', 25},
	};
	static const u32 leaves[] = {1, 7, 0x80000001};

	for (u32 l = 0; l < ARRAY_SIZE(leaves); l++) {
		for (u32 n = 0; n < 128; n++) {
			struct cpuid_policy p = {.count = 1};
			struct cpuid_entry *e = &p.entries[0];
			char reg = "abcd"[n / 32];
			u64 cr4 = BIT(8), efer = 0;

			*e = (struct cpuid_entry){.leaf = leaves[l], .any_subleaf = true};
			if (leaves[l] < ARRAY_SIZE(p.first))
				p.first[leaves[l]] = 1;
			(&e->eax)[n / 32] = 1u << n % 32;
			for (u32 i = 0; i < ARRAY_SIZE(map); i++) {
				if (map[i].leaf != leaves[l] || map[i].reg != reg ||
				    map[i].bit != n % 32)
					continue;
				cr4 |= map[i].cr4;
				efer |= map[i].efer;
			}
			assert_int_equal(guest_cr4_allowed(&p), cr4);
			assert_int_equal(guest_efer_allowed(&p), efer);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cr0_truth_table),
		cmocka_unit_test(test_cr0_reserved_bits),
		cmocka_unit_test(test_cr3),
		cmocka_unit_test(test_cr4_truth_table),
		cmocka_unit_test(test_cr4_offered_bits_only),
		cmocka_unit_test(test_efer),
		cmocka_unit_test(test_xcr0_every_value),
		cmocka_unit_test(test_pdptes),
		cmocka_unit_test(test_offers_follow_cpuid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
