/* SPDX-License-Identifier: MIT */
/* links: arch/x86_64/guest/walk.c */
/*
 * The page walk against a naive oracle: one function a paging mode, in the numbers of the manual's
 * tables (SDM vol. 3A chapter 4), over random tables, rights and accesses.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <tern/err.h>
#include <tern/gmem.h>

#include "arch/x86_64/guest/guest.h"

#define COUNT 600000u

static u64 seed = 0x7e57c0de;

static u64 rnd64(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed * 0x2545f4914f6cdd1dull;
}

static u32 rnd(u32 below)
{
	return (u32)(rnd64() >> 33) % below;
}

static bool one_in(u32 n)
{
	return rnd(n) == 0;
}

/* --- fake guest memory: a few pages, some above 4 GiB --- */

#define PAGES 10u

static const u64 page_at[PAGES] = {0x1000,     0x2000,      0x7f000,     0x80000000,   0xfffff000,
				   0x40000000, 0x100000000, 0x923456000, 0x5123456000, 0x200000};

struct memory {
	u8 page[PAGES][4096];
};

static struct memory real, oracle;
static struct gmem mem;     /* stands for real */
static int read_rc, cas_rc; /* what the next accesses return */
static u32 races;           /* so many exchanges find another value */
static u32 cas_calls;

static u8 *find(struct memory *m, u64 at)
{
	for (u32 i = 0; i < PAGES; i++)
		if (page_at[i] == (at & ~0xfffull))
			return &m->page[i][at & 0xfff];
	return NULL;
}

int gmem_read(struct gmem *g, gpa_t at, void *dst, u64 len)
{
	u8 *p = find(&real, at.v);

	assert_ptr_equal(g, &mem);
	assert_true(at.v % len == 0);
	if (read_rc != 0)
		return read_rc;
	if (p == NULL)
		return -TERN_EFAULT;
	memcpy(dst, p, len);
	return 0;
}

int gmem_cas(struct gmem *g, gpa_t at, u32 width, u64 *old, u64 value)
{
	u8 *p = find(&real, at.v);
	u64 now = 0;

	assert_ptr_equal(g, &mem);
	assert_true(width == 4 || width == 8);
	assert_true(at.v % width == 0);
	cas_calls++;
	if (cas_rc != 0)
		return cas_rc;
	if (p == NULL)
		return -TERN_EFAULT;
	if (races > 0) {
		races--;
		p[1] ^= 2; /* bit 9, which is the guest's own */
	}
	memcpy(&now, p, width);
	if (now == *old)
		memcpy(p, &value, width);
	*old = now;
	return 0;
}

/* --- the oracle --- */

struct answer {
	bool fault;
	u8 vector;
	u32 error;
	u64 gpa;
};

struct use { /* an entry on the way */
	u64 at, value;
};

struct path {
	u32 count;
	struct use use[4];
	u64 frame; /* of the page, and how large it is */
	u64 size;
	bool present, reserved;
};

static u64 oracle_read(u64 at, u32 bytes)
{
	u8 *p = find(&oracle, at);
	u64 v = bytes == 8 ? ~0ull : 0xffffffff;

	if (p != NULL)
		memcpy(&v, p, bytes);
	return v;
}

static u64 see(struct path *p, u64 at, u32 bytes)
{
	u64 v = oracle_read(at, bytes);

	p->use[p->count++] = (struct use){at, v};
	p->present = (v & 1) != 0;
	return v;
}

static bool bit(u64 v, u32 n)
{
	return (v >> n & 1) != 0;
}

/* Any of bits hi:lo set? */
static bool any(u64 v, u32 hi, u32 lo)
{
	for (u32 n = lo; n <= hi; n++)
		if (bit(v, n))
			return true;
	return false;
}

/* Tables 4-3 to 4-6. */
static void walk_32(const struct walk_state *s, u32 va, struct path *p)
{
	u32 m = s->phys_bits < 40 ? s->phys_bits : 40;
	u64 e = see(p, (s->cr3 & 0xfffff000) + 4 * (va >> 22), 4);

	if (!p->present)
		return;
	if (bit(e, 7) && bit(s->cr4, 4)) {
		p->reserved = any(e, 21, m - 19);
		p->frame = (e & 0xffc00000) + ((e >> 13 & 0xff) << 32);
		p->size = 4ull << 20;
		return;
	}
	e = see(p, (e & 0xfffff000) + 4 * (va >> 12 & 1023), 4);
	p->frame = e & 0xfffff000;
	p->size = 4096;
}

/* Tables 4-8 to 4-11. */
static void walk_pae(const struct walk_state *s, u32 va, struct path *p)
{
	u32 m = s->phys_bits;
	bool nx = bit(s->efer, 11);
	u64 e = s->pdpte != NULL ? s->pdpte[va >> 30]
				 : oracle_read((s->cr3 & 0xffffffe0) + 8 * (va >> 30), 8);

	p->present = bit(e, 0);
	if (!p->present)
		return;
	if (any(e, 2, 1) || any(e, 8, 5) || any(e, 63, m)) {
		p->reserved = true;
		return;
	}
	e = see(p, (e & 0xffffffffff000) + 8 * (va >> 21 & 511), 8);
	if (!p->present)
		return;
	p->reserved = any(e, 62, m) || (bit(e, 63) && !nx) || (bit(e, 7) && any(e, 20, 13));
	p->frame = e & 0xfffffffe00000;
	p->size = 2ull << 20;
	if (p->reserved || bit(e, 7))
		return;
	e = see(p, (e & 0xffffffffff000) + 8 * (va >> 12 & 511), 8);
	p->reserved = any(e, 62, m) || (bit(e, 63) && !nx);
	p->frame = e & 0xffffffffff000;
	p->size = 4096;
}

/* Tables 4-15 to 4-20. */
static void walk_long(const struct walk_state *s, u64 va, struct path *p)
{
	static const u32 shifts[4] = {39, 30, 21, 12};
	u64 table = s->cr3 & 0xffffffffff000;

	for (u32 i = 0; i < 4; i++) {
		u64 e = see(p, table + 8 * (va >> shifts[i] & 511), 8);
		bool large = (i == 1 || i == 2) && bit(e, 7);

		if (!p->present)
			return;
		p->reserved = (s->phys_bits < 52 && any(e, 51, s->phys_bits)) ||
			      (bit(e, 63) && !bit(s->efer, 11)) || (i == 0 && bit(e, 7)) ||
			      (large && any(e, shifts[i] - 1, 13));
		p->size = 1ull << shifts[i];
		p->frame = (e & 0xffffffffff000) / p->size * p->size;
		if (p->reserved || large)
			return;
		table = e & 0xffffffffff000;
	}
}

/* Section 4.6.1, in its order. */
static bool oracle_allows(const struct walk_state *s, const struct path *p, enum walk_access access,
			  bool mode_32)
{
	bool wp = bit(s->cr0, 16), smep = bit(s->cr4, 20), smap = bit(s->cr4, 21);
	bool ac = bit(s->rflags, 18);
	bool u = true, w = true, xd = false;

	for (u32 i = 0; i < p->count; i++) {
		w = w && bit(p->use[i].value, 1);
		u = u && bit(p->use[i].value, 2);
		xd = xd || (!mode_32 && bit(s->efer, 11) && bit(p->use[i].value, 63));
	}
	if (!s->user) {
		switch (access) {
		case WALK_READ:
			return !u || !smap || ac;
		case WALK_WRITE:
			if (!u)
				return !wp || w;
			if (smap && !ac)
				return false;
			return !wp || w;
		default:
			if (!u)
				return !xd;
			return !smep && !xd;
		}
	}
	switch (access) {
	case WALK_READ:
		return u;
	case WALK_WRITE:
		return u && w;
	default:
		return u && !xd;
	}
}

static struct answer oracle_walk(const struct walk_state *s, u64 va, enum walk_access access)
{
	struct answer a = {.vector = 14};
	struct path p = {0};
	bool lma = bit(s->efer, 10), pae = bit(s->cr4, 5);
	u32 bytes = lma || pae ? 8 : 4;

	if (!lma)
		va &= 0xffffffff;
	if (!bit(s->cr0, 31)) {
		a.gpa = va;
		return a;
	}
	if (lma && any(va, 63, 47) && any(~va, 63, 47))
		return (struct answer){.fault = true, .vector = 13};
	if (lma)
		walk_long(s, va, &p);
	else if (pae)
		walk_pae(s, (u32)va, &p);
	else
		walk_32(s, (u32)va, &p);

	a.fault = !p.present || p.reserved || !oracle_allows(s, &p, access, bytes == 4);
	if (a.fault) {
		a.error = (p.present ? 1u : 0) | (access == WALK_WRITE ? 2u : 0) |
			  (s->user ? 4u : 0) | (p.present && p.reserved ? 8u : 0);
		if (access == WALK_FETCH && (bit(s->cr4, 20) || (pae && bit(s->efer, 11))))
			a.error |= 16;
		return a;
	}
	a.gpa = p.frame + va % p.size;
	for (u32 i = 0; i < p.count; i++) {
		u8 *e = find(&oracle, p.use[i].at);

		if (e == NULL)
			continue;
		*e |= 0x20;
		if (i == p.count - 1 && access == WALK_WRITE)
			*e |= 0x40;
	}
	return a;
}

/* --- random guests --- */

static u64 random_entry(u32 bytes, u32 phys_bits)
{
	u64 e = page_at[rnd(bytes == 4 ? 6 : PAGES)];

	if (one_in(12))
		e = rnd64() & 0xffffffffff000 & ((1ull << phys_bits) - 1);
	e |= one_in(16) ? 0 : 1;
	e |= one_in(8) ? 0 : 2;
	e |= one_in(6) ? 0 : 4;
	e |= rnd64() & 0xe78; /* PWT, PCD, A, D, ignored */
	e |= one_in(4) ? 0x80 : 0;
	e |= one_in(10) && bytes == 8 ? 1ull << 63 : 0;
	e |= one_in(20) && bytes == 8 ? 1ull << (52 + rnd(11)) : 0;
	e |= one_in(40) ? 1ull << rnd(8 * bytes) : 0;
	/* Large pages that are aligned, mostly. */
	if ((e & 0x80) != 0 && !one_in(4))
		e &= bytes == 4 ? ~0x3fe000ull | (rnd64() & 0x1fe000) : ~0x1fe000ull;
	if ((e & 0x80) != 0 && bytes == 8 && one_in(2))
		e &= ~0x3fffe000ull;
	return e;
}

static void put(u64 at, u64 value, u32 bytes)
{
	memcpy(find(&real, at), &value, bytes);
	memcpy(find(&oracle, at), &value, bytes);
}

/* Entries that this address may use, in every page. */
static void random_tables(const struct walk_state *s, u64 va, u32 bytes)
{
	for (u32 page = 0; page < PAGES; page++) {
		for (u32 shift = 12; shift < 48; shift += bytes == 4 ? 10 : 9) {
			u64 i = va >> shift & (bytes == 4 ? 1023 : 511);

			put(page_at[page] + i * bytes, random_entry(bytes, s->phys_bits), bytes);
		}
	}
}

static u64 random_pdpte(u32 phys_bits)
{
	u64 e = page_at[rnd(PAGES)] & ((1ull << phys_bits) - 1);

	e |= one_in(16) ? 0 : 1;
	e |= rnd64() & 0xe18;
	e |= one_in(20) ? 1ull << rnd(64) : 0;
	return e;
}

static struct walk_state random_state(u64 pdpte[4])
{
	static const u8 phys_bits[] = {32, 36, 39, 40, 46, 52};
	u32 mode = rnd(3);
	struct walk_state s = {
		.cr0 = (one_in(50) ? 0 : 1ull << 31) | 1 | (u64)rnd(2) << 16,
		.cr3 = page_at[rnd(mode == 2 ? PAGES : 6)] | (rnd64() & 0xfff),
		.cr4 = (u64)rnd(2) << 4 | (u64)rnd(2) << 20 | (u64)rnd(2) << 21 | (rnd64() & 0x80),
		.efer = (u64)rnd(2) << 11,
		.rflags = (rnd64() & 0xcd5) | (u64)rnd(2) << 18,
		.user = rnd(2) == 0,
		.phys_bits = phys_bits[rnd(ARRAY_SIZE(phys_bits))],
	};

	if (mode >= 1)
		s.cr4 |= 1 << 5;
	if (mode == 2)
		s.efer |= 1 << 10 | 1 << 8;
	for (u32 i = 0; i < 4; i++)
		pdpte[i] = random_pdpte(s.phys_bits);
	if (mode == 1 && rnd(2) == 0)
		s.pdpte = pdpte;
	return s;
}

static void compare(const struct walk_state *s, u64 va, enum walk_access access, bool faults[32])
{
	struct answer want = oracle_walk(s, va, access);
	struct vcpu_event fault = {0};
	gpa_t got = {0};
	int rc = guest_walk(&mem, s, va, access, &got, &fault);

	if (rc != (want.fault ? -TERN_EFAULT : 0) || got.v != want.gpa ||
	    (want.fault && (fault.type != EVENT_EXCEPTION || fault.vector != want.vector ||
			    !fault.has_error || fault.error != want.error))) {
		print_error(
			"cr0 %llx cr3 %llx cr4 %llx efer %llx user %d va %llx access %d: %d vector "
			"%u "
			"error %x gpa %llx; should be vector %u error %x gpa %llx\n",
			(unsigned long long)s->cr0, (unsigned long long)s->cr3,
			(unsigned long long)s->cr4, (unsigned long long)s->efer, s->user,
			(unsigned long long)va, access, rc, fault.vector, fault.error,
			(unsigned long long)got.v, want.fault ? want.vector : 0, want.error,
			(unsigned long long)want.gpa);
		fail();
	}
	if (want.fault && want.vector == 14)
		faults[want.error] = true;
}

static void test_oracle(UNUSED void **state)
{
	bool faults[32] = {0};
	u32 kinds = 0;

	for (u32 i = 0; i < COUNT; i++) {
		u64 pdpte[4], va = rnd64();
		struct walk_state s = random_state(pdpte);
		bool lma = bit(s.efer, 10), pae = bit(s.cr4, 5);

		if (!one_in(20))
			va = (u64)((s64)(va << 16) >> 16);
		random_tables(&s, va, lma || pae ? 8 : 4);
		if (pae && !lma && s.pdpte == NULL)
			put((s.cr3 & 0xffffffe0) + 8 * (va >> 30 & 3), random_pdpte(s.phys_bits),
			    8);
		compare(&s, va, (enum walk_access)rnd(3), faults);
		if (i % 64 == 0)
			assert_memory_equal(&real, &oracle, sizeof(real));
	}
	assert_memory_equal(&real, &oracle, sizeof(real));
	/* P or not, write, user, reserved with P only, fetch but not with write. */
	for (u32 e = 0; e < 32; e++) {
		bool possible = ((e & 8) == 0 || (e & 1) != 0) && (e & 18) != 18;

		assert_int_equal(faults[e], possible);
		kinds += possible;
	}
	assert_int_equal(kinds, 18);
}

/* --- by hand --- */

static const struct walk_state long_mode = {
	.cr0 = 0x80010001, .cr3 = 0x1000, .cr4 = 1 << 5, .efer = 0xd00, .phys_bits = 46};

/* Four levels in four pages: 0x1000, 0x2000, 0x7f000, 0x80000000; then 0x12345000, all rights. */
static void tables(void)
{
	memset(&real, 0, sizeof(real));
	memset(&oracle, 0, sizeof(oracle));
	put(0x1000, 0x2007, 8);
	put(0x2000, 0x7f007, 8);
	put(0x7f000, 0x80000007, 8);
	put(0x80000000, 0x12345007, 8);
	read_rc = cas_rc = 0;
	races = cas_calls = 0;
}

static u64 entry(u64 at)
{
	u64 e;

	memcpy(&e, find(&real, at), sizeof(e));
	return e;
}

static int walk(const struct walk_state *s, u64 va, enum walk_access access, gpa_t *out)
{
	struct vcpu_event fault;

	return guest_walk(&mem, s, va, access, out, &fault);
}

static void test_accessed_dirty(UNUSED void **state)
{
	gpa_t out = {0};

	tables();
	assert_int_equal(walk(&long_mode, 0x678, WALK_READ, &out), 0);
	assert_true(out.v == 0x12345678);
	assert_int_equal(entry(0x1000), 0x2027);
	assert_int_equal(entry(0x80000000), 0x12345027);
	assert_int_equal(cas_calls, 4);
	assert_int_equal(walk(&long_mode, 0x678, WALK_READ, &out), 0);
	assert_int_equal(cas_calls, 4); /* nothing left to set */
	assert_int_equal(walk(&long_mode, 0x678, WALK_WRITE, &out), 0);
	assert_int_equal(cas_calls, 5);
	assert_int_equal(entry(0x80000000), 0x12345067);
	assert_int_equal(entry(0x7f000), 0x80000027);
}

/* Another vCPU changes an entry between the read and the exchange: its change stays. */
static void test_race(UNUSED void **state)
{
	gpa_t out = {.v = 1};

	tables();
	races = 3;
	assert_int_equal(walk(&long_mode, 0x678, WALK_WRITE, &out), 0);
	assert_true(out.v == 0x12345678);
	assert_int_equal(entry(0x1000), 0x2227);
	/* One that never stops does not hold the node up. */
	tables();
	races = 1000000;
	out.v = 1;
	assert_int_equal(walk(&long_mode, 0x678, WALK_WRITE, &out), -TERN_EBUSY);
	assert_int_equal(out.v, 0x1000);
	assert_true(cas_calls < 100);
}

static void test_memory_errors(UNUSED void **state)
{
	struct walk_state pae = long_mode;
	gpa_t out = {0};

	tables();
	read_rc = -TERN_EAGAIN;
	assert_int_equal(walk(&long_mode, 0x678, WALK_READ, &out), -TERN_EAGAIN);
	assert_int_equal(out.v, 0x1000);
	pae.efer = 0;
	assert_int_equal(walk(&pae, 3ull << 30, WALK_READ, &out), -TERN_EAGAIN);
	assert_int_equal(out.v, 0x1018);
	read_rc = 0;
	cas_rc = -TERN_EAGAIN;
	put(0x1000, 0x2027, 8);
	assert_int_equal(walk(&long_mode, 0x678, WALK_READ, &out), -TERN_EAGAIN);
	assert_int_equal(out.v, 0x2000);
	/* Tables in ROM work, the bits are lost. */
	cas_rc = -TERN_EFAULT;
	assert_int_equal(walk(&long_mode, 0x678, WALK_READ, &out), 0);
	assert_true(out.v == 0x12345678);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_oracle),
		cmocka_unit_test(test_accessed_dirty),
		cmocka_unit_test(test_race),
		cmocka_unit_test(test_memory_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
