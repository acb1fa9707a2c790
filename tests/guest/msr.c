/* SPDX-License-Identifier: MIT */
/*
 * Walks the space of MSRs and compares it with the published table (docs/msrs.md, made into a header
 * by msr_table.py): what is not in it faults, on reads and on writes; what is reads as promised.
 */
#include "cpu.h"
#include "guest.h"

const char guest_name[] = "msr";

enum msr_condition { MSR_ALWAYS, MSR_NEVER, MSR_CPUID, MSR_MAYBE };

struct cpuid_bit {
	u32 leaf;
	char reg; /* 'a' to 'd'; 0: none */
	u8 bit;
};

struct msr_entry {
	u32 first, last;
	const char *name;
	bool read, write, has_reset;
	u64 reset;
	enum msr_condition condition;
	struct cpuid_bit bits[2]; /* one of them is enough */
};

#include "msr_table.h"

static const struct {
	u32 first, last;
} spaces[] = {
	{0, 0x1fff},
	{0x40000000u, 0x400000ffu},
	{0x4b564d00u, 0x4b564dffu},
	{0xc0000000u, 0xc0011fffu},
};

static bool cpuid_has(struct cpuid_bit b)
{
	struct cpuid_regs r = cpuid(b.leaf, 0);
	u32 value = b.reg == 'a' ? r.a : b.reg == 'b' ? r.b : b.reg == 'c' ? r.c : r.d;

	return b.reg && (value >> b.bit & 1);
}

static const struct msr_entry *entry_of(u32 msr)
{
	for (u32 i = 0; i < ARRAY_SIZE(msr_table); i++) {
		if (msr >= msr_table[i].first && msr <= msr_table[i].last)
			return &msr_table[i];
	}
	return NULL;
}

static bool is_there(const struct msr_entry *e)
{
	return e &&
	       (e->condition == MSR_ALWAYS || e->condition == MSR_MAYBE ||
		(e->condition == MSR_CPUID && (cpuid_has(e->bits[0]) || cpuid_has(e->bits[1]))));
}

static u32 wrong;

static void expect(u32 msr, const char *what, const struct msr_entry *e, int vector, bool works)
{
	int want = works ? TRAP_NONE : TRAP_GP;

	if (vector == want)
		return;
	if (wrong++ < 50)
		print("0x%x %s: %s vector %d, want %d\n", msr, e ? e->name : "(not in the table)",
		      what, vector, want);
}

/* An MSR that exists is written with what it holds already; others with 0. */
static void walk_one(u32 msr)
{
	const struct msr_entry *e = entry_of(msr);
	bool there = is_there(e);
	u64 value = 0;
	int vector;

	if (e && e->condition == MSR_MAYBE)
		return;
	vector = try_rdmsr(msr, &value);
	expect(msr, "read", e, vector, there && e->read);
	if (vector != TRAP_NONE)
		value = 0;
	expect(msr, "write", e, try_wrmsr(msr, value), there && e->write);
}

/* What start.S and traps_init() have changed is not as after power-on. */
static bool changed_by_us(u32 msr)
{
	return msr == MSR_EFER;
}

static void check_resets(void)
{
	for (u32 i = 0; i < ARRAY_SIZE(msr_table); i++) {
		const struct msr_entry *e = &msr_table[i];
		u64 value;

		if (!is_there(e) || !e->read || !e->has_reset || e->condition == MSR_MAYBE)
			continue;
		for (u32 msr = e->first; msr <= e->last && !changed_by_us(msr); msr++) {
			u64 want = e->reset | (msr == MSR_APIC_BASE ? 1ull << 8 : 0);

			if (try_rdmsr(msr, &value) != TRAP_NONE || value != want)
				check_eq(e->name, value, want);
		}
	}
}

/* Bits in both halves of RCX, RAX, RDX above 32 are ignored, and cleared in the result. */
static void check_high_halves(void)
{
	u64 a = ~0ull, d = ~0ull, c = 0xdead00000000ull | MSR_LSTAR;

	wrmsr(MSR_LSTAR, 0x123456789abcull);
	__asm__ volatile("rdmsr" : "+a"(a), "+d"(d) : "c"(c));
	check_eq("rdmsr-rax", a, 0x56789abc);
	check_eq("rdmsr-rdx", d, 0x1234);
	__asm__ volatile("wrmsr" ::"a"(0xffffffff00000011ull), "d"(0xffffffff00000022ull), "c"(c));
	check_eq("wrmsr-halves", rdmsr(MSR_LSTAR), 0x2200000011ull);
	wrmsr(MSR_LSTAR, 0);
}

static unsigned long user_rdmsr(void *arg)
{
	return (unsigned long)rdmsr((u32)(unsigned long)arg);
}

void guest_main(void)
{
	check_eq("rdmsr-cpl3", (u64)user_run(user_rdmsr, (void *)(unsigned long)MSR_APIC_BASE),
		 TRAP_GP);
	check_eq("rdmsr-cpl3-passed", (u64)user_run(user_rdmsr, (void *)(unsigned long)MSR_LSTAR),
		 TRAP_GP);
	if (!on_tern) {
		check_high_halves();
		skip_check("msr-space", "not on Tern");
		return;
	}
	check_resets();
	check_high_halves();
	for (u32 i = 0; i < ARRAY_SIZE(spaces); i++) {
		for (u32 msr = spaces[i].first; msr != spaces[i].last + 1; msr++)
			walk_one(msr);
	}
	check_eq("msr-space", wrong, 0);
}
