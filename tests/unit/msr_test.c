/* SPDX-License-Identifier: MIT */
/* links: arch/x86_64/guest/msr.c arch/x86_64/guest/cr.c arch/x86_64/guest/cpuid_policy.c tests/fake/fake_host.c hv/lib/fmt.c hv/lib/str.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <tern/err.h>
#include <tern/vlapic.h>
#include <tern/vm.h>
#include <arch/x86_64/guest/guest.h>

#define BIT(n) (1ull << (n))
#define GP     (-TERN_EINVAL)

enum { /* as SDM vol. 4 has them */
       TSC = 0x10,
       APIC_BASE = 0x1b,
       TSC_ADJUST = 0x3b,
       SPEC_CTRL = 0x48,
       PRED_CMD = 0x49,
       ARCH_CAP = 0x10a,
       MISC_ENABLE = 0x1a0,
       PAT = 0x277,
       DEF_TYPE = 0x2ff,
       DEADLINE = 0x6e0,
};
#define EFER    0xc0000080u
#define LSTAR   0xc0000082u
#define TSC_AUX 0xc0000103u

/* The backend: it remembers values by MSR, and its last write. */
static struct vcpu vc;
static struct vcpu_arch arch;
static struct cpuid_policy policy;
static u64 held[64], host_tsc, cr0;
static u32 held_msr[64], held_count, writes;
static u32 last_msr;
static u64 last_value;

/* The local APIC: what it was told. */
static u32 base_changes, tsc_moves, clock_writes, clock_msr;
static u64 base_old, base_new;

void vlapic_base_changed(struct vcpu *v, u64 old, u64 value)
{
	assert_ptr_equal(v, &vc);
	assert_int_equal(v->arch->apic_base, value);
	base_changes++;
	base_old = old;
	base_new = value;
}

void vlapic_tsc_moved(struct vcpu *v)
{
	assert_ptr_equal(v, &vc);
	tsc_moves++;
}

void guest_pvclock_written(struct vcpu *v, u32 msr)
{
	assert_ptr_equal(v, &vc);
	clock_writes++;
	clock_msr = msr;
}

static u64 *hold(u32 msr)
{
	for (u32 i = 0; i < held_count; i++)
		if (held_msr[i] == msr)
			return &held[i];
	assert_true(held_count < 64);
	held_msr[held_count] = msr;
	return &held[held_count++];
}

static u64 be_read(struct vcpu *v, u32 msr)
{
	assert_ptr_equal(v, &vc);
	return msr == TSC ? host_tsc + arch.tsc_offset : *hold(msr);
}

static void be_write(struct vcpu *v, u32 msr, u64 value)
{
	assert_ptr_equal(v, &vc);
	writes++;
	last_msr = msr;
	last_value = value;
	*hold(msr) = value;
}

static u64 be_reg(UNUSED struct vcpu *v, enum vcpu_reg reg)
{
	assert_int_equal(reg, REG_CR0);
	return cr0;
}

static int be_apic(UNUSED struct vcpu *v, u32 msr, bool write, u64 *value)
{
	if (msr == 0x8ff)
		return GP;
	if (write)
		*hold(msr) = *value;
	else
		*value = *hold(msr);
	return 0;
}

static const struct msr_backend plain = {.read = be_read, .write = be_write, .reg = be_reg};
static const struct msr_backend with_apic = {
	.read = be_read, .write = be_write, .reg = be_reg, .apic = be_apic};

/* A CPU that has every bit; 40 physical address bits. */
static void rich_host(u32 leaf, UNUSED u32 subleaf, u32 out[4])
{
	out[0] = out[1] = out[2] = out[3] = ~0u;
	if (leaf == 0 || leaf == 0x80000000)
		out[0] = leaf | 0x1f;
	if (leaf == 4)
		out[0] = 0;
	if (leaf == 0x80000008)
		out[0] = 0x3028;
}

/* And one that has next to nothing. */
static void poor_host(u32 leaf, UNUSED u32 subleaf, u32 out[4])
{
	memset(out, 0, 4 * sizeof(u32));
	if (leaf == 0)
		out[0] = 1;
}

static void start(cpuid_host_fn *host, bool timer)
{
	const struct cpuid_platform on = {.has_apic = true, .has_apic_timer = timer};

	memset(&arch, 0xee, sizeof(arch));
	memset(&vc, 0, sizeof(vc));
	memset(held, 0, sizeof(held));
	held_count = 0;
	guest_cpuid_policy_on(&policy, host, 1, 1000000000, &on);
	arch.cpuid = &policy;
	arch.tsc_offset = 0;
	vc.arch = &arch;
	host_tsc = 1000;
	cr0 = 1;
	guest_msr_reset(&vc, &plain);
	writes = 0;
}

static int begin(UNUSED void **state)
{
	start(rich_host, false);
	return 0;
}

static u64 get(u32 msr)
{
	u64 value = 0;

	if (guest_rdmsr(&vc, &plain, msr, &value) != 0)
		fail_msg("RDMSR %x faulted", msr);
	return value;
}

static bool reads(u32 msr)
{
	u64 value = 0x5a5a;
	int err = guest_rdmsr(&vc, &plain, msr, &value);

	if (err != 0) {
		assert_int_equal(err, GP);
		assert_int_equal(value, 0x5a5a);
	}
	return err == 0;
}

/* A write that faults changes nothing. */
static bool takes(u32 msr, u64 value)
{
	struct vcpu_arch before = arch;
	u32 count = writes;
	int err = guest_wrmsr(&vc, &plain, msr, value);

	if (err != 0) {
		assert_int_equal(err, GP);
		assert_memory_equal(&arch, &before, sizeof(arch));
		assert_int_equal(writes, count);
	}
	return err == 0;
}

static void test_rows_rise(UNUSED void **state)
{
	struct msr_info a, b;

	assert_true(guest_msr_info(0, &a));
	for (u32 i = 1; guest_msr_info(i, &b); i++) {
		assert_true(a.first <= a.last && a.last < b.first);
		assert_true(strlen(b.name) > 0 && strlen(b.writes) > 0);
		a = b;
	}
}

static const char *when_text(const struct msr_info *r)
{
	if (r->action == MSR_FAULT)
		return "never";
	return r->when[0] != '\0' ? r->when : "always";
}

static void row_text(const struct msr_info *r, char *out, size_t size)
{
	static const char *const actions[] = {"emulated", "passed", "faults"};
	static const char *const access[] = {"none", "read", "write", "read, write"};
	char range[32], reset[32] = "";

	if (r->first == r->last)
		snprintf(range, sizeof(range), "0x%x", r->first);
	else
		snprintf(range, sizeof(range), "0x%x-0x%x", r->first, r->last);
	if (r->readable && r->first != TSC && r->first != ARCH_CAP && r->first != DEADLINE &&
	    r->first != 0x800)
		snprintf(reset, sizeof(reset), "0x%lx", r->reset);
	snprintf(out, size, "| %s | %s | %s | %s | %s | %s | %s |\n", range, r->name,
		 actions[r->action], access[(r->readable ? 1 : 0) | (r->writable ? 2 : 0)],
		 reset[0] != '\0' ? reset : "-", when_text(r), r->writes);
}

/* The published table is this one. When it is not, the right one is printed. */
static void test_published_table(UNUSED void **state)
{
	FILE *f = fopen("docs/msrs.md", "r");
	char line[512], want[512];
	struct msr_info r;
	bool same = true;
	u32 i = 0;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f) != NULL) {
		if (strncmp(line, "| 0x", 4) != 0)
			continue;
		if (!guest_msr_info(i++, &r)) {
			same = false;
			break;
		}
		row_text(&r, want, sizeof(want));
		same &= strcmp(line, want) == 0;
	}
	fclose(f);
	same &= !guest_msr_info(i, &r);
	for (i = 0; !same && guest_msr_info(i, &r); i++) {
		row_text(&r, want, sizeof(want));
		fputs(want, stderr);
	}
	assert_true(same);
}

static bool listed(u32 msr, struct msr_info *out)
{
	for (u32 i = 0; guest_msr_info(i, out); i++)
		if (msr >= out->first && msr <= out->last)
			return true;
	return false;
}

/* Both ranges that hardware has, and around: what is not in the table faults. */
static void test_all_others_fault(UNUSED void **state)
{
	static const u32 bases[] = {0, 0x40000000, 0x80000000, 0xc0000000, 0xc0010000, 0xffffe000};
	struct msr_info r;

	for (u32 b = 0; b < ARRAY_SIZE(bases); b++) {
		for (u32 i = 0; i < 0x2000; i++) {
			u32 msr = bases[b] + i;
			bool found = listed(msr, &r);

			if (found && r.action != MSR_FAULT) {
				assert_int_equal(guest_msr_passes(msr), r.action == MSR_PASS);
				continue;
			}
			assert_false(guest_msr_passes(msr));
			assert_false(reads(msr));
			assert_false(takes(msr, 0));
			assert_false(takes(msr, ~0ull));
		}
	}
}

/* Each row that is always there or whose condition the rich host meets can be read or not as it says,
 * shows its reset value, and takes that value back. */
static void test_reset_values(UNUSED void **state)
{
	struct msr_info r;

	for (u32 i = 0; guest_msr_info(i, &r); i++) {
		if (r.first == DEADLINE || r.first == 0x800)
			continue;
		for (u32 msr = r.first; msr <= r.last; msr++) {
			assert_int_equal(reads(msr), r.readable);
			if (r.readable && msr != TSC && msr != APIC_BASE)
				assert_int_equal(get(msr), r.reset);
			if (r.readable && r.writable)
				assert_true(takes(msr, get(msr)));
			if (!r.writable)
				assert_false(takes(msr, r.reset));
		}
	}
	assert_int_equal(get(APIC_BASE), 0xfee00900);
	vc.index = 1;
	guest_msr_reset(&vc, &plain);
	assert_int_equal(get(APIC_BASE), 0xfee00800);
}

static void test_addresses_are_canonical(UNUSED void **state)
{
	static const u32 bases[] = {0x175,      0x176,      LSTAR,     0xc0000083,
				    0xc0000100, 0xc0000101, 0xc0000102};

	for (u32 i = 0; i < ARRAY_SIZE(bases); i++) {
		for (u32 bit = 0; bit < 64; bit++) {
			/* One bit set in zeros, and the upper bits from one on. */
			assert_int_equal(takes(bases[i], BIT(bit)), bit < 47);
			assert_int_equal(takes(bases[i], ~0ull << bit), bit <= 47);
		}
		assert_true(takes(bases[i], 0xffff800000001234));
		assert_int_equal(get(bases[i]), 0xffff800000001234);
		assert_int_equal(last_msr, bases[i]);
	}
	assert_true(takes(0xc0000081, ~0ull)); /* STAR holds selectors */
	for (u32 bit = 0; bit < 64; bit++) {
		assert_int_equal(takes(0x174, BIT(bit)), bit < 32);
		assert_int_equal(takes(0xc0000084, BIT(bit)), bit < 32);
		assert_int_equal(takes(TSC_AUX, BIT(bit)), bit < 32);
	}
}

static void test_memory_types(UNUSED void **state)
{
	static const u32 fixed[] = {0x250, 0x258, 0x259, 0x268, 0x269, 0x26a,
				    0x26b, 0x26c, 0x26d, 0x26e, 0x26f};

	for (u32 byte = 0; byte < 8; byte++) {
		for (u64 t = 0; t < 256; t++) {
			bool mtrr = t == 0 || t == 1 || t == 4 || t == 5 || t == 6;

			assert_int_equal(takes(PAT, t << byte * 8), mtrr || t == 7);
			for (u32 i = 0; i < ARRAY_SIZE(fixed); i++)
				assert_int_equal(takes(fixed[i], t << byte * 8), mtrr);
			if (byte != 0)
				continue;
			for (u32 n = 0; n < 8; n++) {
				assert_int_equal(takes(0x200 + 2 * n, t), mtrr);
				assert_int_equal(takes(0x201 + 2 * n, t), t == 0);
			}
			assert_int_equal(takes(DEF_TYPE, t), mtrr);
			assert_int_equal(takes(DEF_TYPE, t | 0xc00), mtrr);
		}
	}
	for (u32 bit = 8; bit < 64; bit++) {
		assert_int_equal(takes(DEF_TYPE, BIT(bit)), bit == 10 || bit == 11);
		for (u32 n = 0; n < 8; n++) {
			assert_int_equal(takes(0x200 + 2 * n, BIT(bit)), bit >= 12 && bit < 40);
			assert_int_equal(takes(0x201 + 2 * n, BIT(bit)), bit >= 11 && bit < 40);
		}
	}
	/* Every register has a place of its own. */
	for (u32 i = 0; i < 16; i++)
		assert_true(takes(0x200 + i, (u64)(i + 1) << 12));
	for (u32 i = 0; i < ARRAY_SIZE(fixed); i++)
		assert_true(
			takes(fixed[i], i % 2 == 0 ? 6ull << 8 * (i / 2) : 5ull << 8 * (i / 2)));
	for (u32 i = 0; i < 16; i++)
		assert_int_equal(get(0x200 + i), (u64)(i + 1) << 12);
	for (u32 i = 0; i < ARRAY_SIZE(fixed); i++)
		assert_int_equal(get(fixed[i]), (i % 2 == 0 ? 6ull : 5ull) << 8 * (i / 2));
	assert_int_equal(get(0xfe), 0x508);
}

/* SDM vol. 3A figure 11-27: old mode in rows, new in columns: off, bad, xAPIC, x2APIC. */
static void test_apic_modes(UNUSED void **state)
{
	static const char *const table[] = {"1010", "----", "1011", "1001"};
	static const u64 modes[] = {0, 0x400, 0x800, 0xc00};

	for (u32 from = 0; from < 4; from++) {
		for (u32 to = 0; from != 1 && to < 4; to++) {
			arch.apic_base = 0xfee00000 | modes[from];
			assert_int_equal(takes(APIC_BASE, 0xfee00000 | modes[to]),
					 table[from][to] == '1');
		}
	}
	arch.apic_base = 0xfee00800;
	for (u32 bit = 0; bit < 64; bit++) {
		arch.apic_base = 0xfee00800;
		assert_int_equal(takes(APIC_BASE, 0x800 | BIT(bit)),
				 bit == 8 || bit == 10 || bit == 11 || (bit >= 12 && bit < 40));
	}
}

static void test_tsc(UNUSED void **state)
{
	assert_true(takes(TSC_ADJUST, 0));
	host_tsc = 5000;
	assert_int_equal(get(TSC), 5000);
	clock_writes = 0;
	assert_true(takes(TSC, 100));
	assert_int_equal(last_msr, TSC);
	assert_int_equal(last_value, arch.tsc_offset);
	assert_int_equal(clock_writes, 1);
	assert_int_equal(clock_msr, 0x4b564d01);
	assert_int_equal(get(TSC), 100);
	assert_int_equal(get(TSC_ADJUST), (u64)-4900);
	host_tsc = 6000;
	assert_int_equal(get(TSC), 1100);
	/* Exact even while the clock runs: it moves the offset, not the value. */
	assert_true(takes(TSC_ADJUST, 0));
	assert_int_equal(arch.tsc_offset, 0);
	assert_int_equal(last_value, 0);
	assert_int_equal(get(TSC), 6000);
	assert_true(takes(TSC_ADJUST, 1ull << 63));
	assert_int_equal(get(TSC), 6000 + (1ull << 63));
}

static void test_efer(UNUSED void **state)
{
	for (u32 bit = 0; bit < 64; bit++)
		assert_int_equal(takes(EFER, BIT(bit)),
				 bit == 0 || bit == 8 || bit == 10 || bit == 11 || bit == 14);
	assert_true(takes(EFER, 0x901));
	assert_int_equal(get(EFER), 0x901);
	/* Paging on: the CPU is in IA-32e mode, LME stays. */
	cr0 = BIT(31) | 1;
	*hold(EFER) = 0xd01;
	assert_false(takes(EFER, 0x801));
	assert_true(takes(EFER, 0x100));
	assert_int_equal(get(EFER), 0x500);
	*hold(EFER) = 0;
	assert_false(takes(EFER, 0x100));
	assert_true(takes(EFER, 0x800));
}

static void test_speculation(UNUSED void **state)
{
	for (u32 bit = 0; bit < 64; bit++)
		assert_int_equal(takes(SPEC_CTRL, BIT(bit)), bit <= 8 || bit == 10);
	assert_true(takes(SPEC_CTRL, 5));
	assert_int_equal(get(SPEC_CTRL), 5);
	assert_int_equal(arch.spec_ctrl, 5);
	writes = 0;
	assert_true(takes(PRED_CMD, 0));
	assert_int_equal(writes, 0);
	assert_true(takes(PRED_CMD, 1));
	assert_int_equal(writes, 1);
	assert_int_equal(last_msr, PRED_CMD);
	assert_false(takes(PRED_CMD, 2));
	assert_false(reads(PRED_CMD));
	*hold(ARCH_CAP) = ~0ull;
	assert_int_equal(get(ARCH_CAP), 0x1d1ae177);
	assert_false(takes(ARCH_CAP, 0x1d1ae177));
}

/* Each condition: without its CPUID bit the MSR is not there. */
static void test_conditions(UNUSED void **state)
{
	static const u32 gone[] = {SPEC_CTRL, PRED_CMD, ARCH_CAP, TSC_AUX, 0xfe,    0x200,
				   0x26f,     DEF_TYPE, 0x179,    0x17a,   DEADLINE};
	static const u32 there[] = {TSC,  TSC_ADJUST, APIC_BASE, MISC_ENABLE, PAT, LSTAR,
				    EFER, 0,          1};
	const struct cpuid_platform none = {.has_apic = false, .has_apic_timer = true};
	u64 value = 0;

	start(poor_host, false);
	for (u32 i = 0; i < ARRAY_SIZE(gone); i++) {
		assert_false(reads(gone[i]));
		assert_false(takes(gone[i], 0));
	}
	for (u32 i = 0; i < ARRAY_SIZE(there); i++)
		assert_true(reads(there[i]));
	/* The MSR is there, and none of its bits is. */
	for (u32 bit = 0; bit < 64; bit++)
		assert_int_equal(takes(EFER, BIT(bit)), bit == 10);
	guest_cpuid_policy_on(&policy, rich_host, 1, 0, &none);
	assert_false(reads(APIC_BASE));
	assert_int_equal(guest_rdmsr(&vc, &with_apic, DEADLINE, &value), GP);
}

static void test_local_apic(UNUSED void **state)
{
	u64 value = 0;

	/* None: faults in every mode. */
	assert_true(takes(APIC_BASE, 0xfee00c00));
	for (u32 msr = 0x800; msr <= 0x8ff; msr++) {
		assert_false(reads(msr));
		assert_false(takes(msr, 0));
	}
	start(rich_host, true);
	assert_false(reads(DEADLINE));
	assert_false(takes(DEADLINE, 1));
	assert_int_equal(guest_wrmsr(&vc, &with_apic, DEADLINE, 77), 0);
	assert_int_equal(guest_rdmsr(&vc, &with_apic, DEADLINE, &value), 0);
	assert_int_equal(value, 77);
	/* There, but not in x2APIC mode. */
	assert_int_equal(guest_rdmsr(&vc, &with_apic, 0x802, &value), GP);
	assert_int_equal(guest_wrmsr(&vc, &with_apic, 0x80b, 0), GP);
	assert_true(takes(APIC_BASE, 0xfee00c00));
	assert_int_equal(guest_wrmsr(&vc, &with_apic, 0x808, 0x30), 0);
	assert_int_equal(guest_rdmsr(&vc, &with_apic, 0x808, &value), 0);
	assert_int_equal(value, 0x30);
	assert_int_equal(guest_rdmsr(&vc, &with_apic, 0x8ff, &value), GP);
	assert_int_equal(guest_wrmsr(&vc, &with_apic, 0x8ff, 0), GP);
}

/* A vCPU that has a local APIC: it hears of what moves its modes and its deadline. */
static void test_local_apic_is_told(UNUSED void **state)
{
	base_changes = tsc_moves = 0;
	assert_true(takes(APIC_BASE, 0xfee00800));
	assert_true(takes(TSC, 5));
	assert_int_equal(base_changes + tsc_moves, 0);
	vc.lapic = (struct vlapic *)(void *)held;
	assert_true(takes(APIC_BASE, 0xfee00c00));
	assert_int_equal(base_changes, 1);
	assert_int_equal(base_old, 0xfee00800);
	assert_int_equal(base_new, 0xfee00c00);
	assert_false(takes(APIC_BASE, 0xfee00800));
	assert_int_equal(base_changes, 1);
	assert_true(takes(TSC, 9));
	assert_true(takes(TSC_ADJUST, 9));
	assert_int_equal(tsc_moves, 2);
}

static void test_small_rows(UNUSED void **state)
{
	static const u32 zero_only[] = {0x140, 0x17a, 0x1d9};

	for (u32 bit = 0; bit < 64; bit++) {
		for (u32 i = 0; i < ARRAY_SIZE(zero_only); i++)
			assert_false(takes(zero_only[i], BIT(bit)));
		assert_int_equal(takes(MISC_ENABLE, 0x1801 ^ BIT(bit)), bit == 0);
		assert_true(takes(0x79, BIT(bit)));
		assert_true(takes(0x8b, BIT(bit)));
	}
	assert_false(reads(0x79));
	assert_int_equal(get(0x8b), BIT(32));
	assert_int_equal(get(MISC_ENABLE), 0x1800);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_rows_rise, begin),
		cmocka_unit_test_setup(test_published_table, begin),
		cmocka_unit_test_setup(test_all_others_fault, begin),
		cmocka_unit_test_setup(test_reset_values, begin),
		cmocka_unit_test_setup(test_addresses_are_canonical, begin),
		cmocka_unit_test_setup(test_memory_types, begin),
		cmocka_unit_test_setup(test_apic_modes, begin),
		cmocka_unit_test_setup(test_tsc, begin),
		cmocka_unit_test_setup(test_efer, begin),
		cmocka_unit_test_setup(test_speculation, begin),
		cmocka_unit_test_setup(test_conditions, begin),
		cmocka_unit_test_setup(test_local_apic, begin),
		cmocka_unit_test_setup(test_local_apic_is_told, begin),
		cmocka_unit_test_setup(test_small_rows, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
