/* SPDX-License-Identifier: MIT */
/* links: arch/x86_64/vmx/vmx_check.c arch/x86_64/vmx/vmx_check_guest.c arch/x86_64/vmx/vmcs_names.c arch/x86_64/guest/event.c hv/lib/str.c hv/lib/fmt.c tests/fake/fake_host.c */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include <arch/x86_64/vmx/ept_regs.h>
#include <arch/x86_64/vmx/vmx_check.h>
#include <arch/x86_64/vmx/vmx_regs.h>
#include <tern/virt.h>
#include <tests/fake/fake_host.h>

#define FIELDS_MAX 256u

static struct {
	u32 field;
	u64 value;
} fields[FIELDS_MAX];
static u32 count;
static struct vmx_caps caps;
static char why[200];

static u64 view_read(UNUSED const struct vmcs_view *view, u32 field)
{
	for (u32 i = 0; i < count; i++)
		if (fields[i].field == field)
			return fields[i].value;
	return 0;
}

static void set(u32 field, u64 value)
{
	for (u32 i = 0; i < count; i++)
		if (fields[i].field == field) {
			fields[i].value = value;
			return;
		}
	assert_true(count < FIELDS_MAX);
	fields[count].field = field;
	fields[count++].value = value;
}

static void set_segment(u32 seg, u16 selector, u64 base, u32 limit, u32 attr)
{
	u32 step = seg * VMCS_SEGMENT_STEP;

	set(VMCS_GUEST_ES_SELECTOR + step, selector);
	set(VMCS_GUEST_ES_BASE + step, base);
	set(VMCS_GUEST_ES_LIMIT + step, limit);
	set(VMCS_GUEST_ES_ATTR + step, attr);
}

static void real_mode(void)
{
	for (u32 s = SEG_ES; s <= SEG_GS; s++)
		set_segment(s, 0, 0, 0xffff, s == SEG_CS ? 0x9b : 0x93);
	set_segment(SEG_LDTR, 0, 0, 0xffff, 0x82);
	set_segment(SEG_TR, 0, 0, 0xffff, 0x8b);
	set(VMCS_GUEST_CR0, 0x30);
	set(VMCS_GUEST_CR4, 0x2040);
	set(VMCS_GUEST_RFLAGS, 2);
	set(VMCS_GUEST_RIP, 0xfff0);
	set(VMCS_GUEST_PAT, PAT_RESET);
	set(VMCS_LINK_POINTER, ~0ull);
}

static void long_mode(void)
{
	set_segment(SEG_CS, 8, 0, 0xffffffff, 0xa09b);
	for (u32 s = SEG_ES; s <= SEG_GS; s++)
		if (s != SEG_CS)
			set_segment(s, 16, 0, 0xffffffff, 0xc093);
	set(VMCS_GUEST_CR0, 0x80000031);
	set(VMCS_GUEST_CR4, 0x2060);
	set(VMCS_GUEST_EFER, EFER_LME | EFER_LMA);
	set(VMCS_ENTRY_CONTROLS, view_read(NULL, VMCS_ENTRY_CONTROLS) | ENTRY_IA32E);
	set(VMCS_GUEST_RIP, 0xffffffff81000000);
}

static int begin(UNUSED void **state)
{
	const struct vmx_control all = {0, ~0u, 0};

	fake_reset();
	count = 0;
	caps = (struct vmx_caps){.pin = all, .proc = all, .proc2 = all, .exit = all, .entry = all};
	caps.pin.must = 0x16;
	caps.cr0_fixed0 = 0x80000021;
	caps.cr0_fixed1 = 0xffffffff;
	caps.cr4_fixed0 = 0x2000;
	caps.cr4_fixed1 = 0x7727ff;
	caps.ept_vpid = EPT_CAP_WB | EPT_CAP_4LEVEL | EPT_CAP_AD;
	caps.phys_bits = 40;
	set(VMCS_PIN_CONTROLS, 0x16 | PIN_EXT_INTR | PIN_NMI | PIN_VNMI);
	set(VMCS_PROC_CONTROLS, PROC_SECONDARY | PROC_IO_BITMAPS | PROC_MSR_BITMAPS);
	set(VMCS_PROC2_CONTROLS, PROC2_EPT | PROC2_UNRESTRICTED | PROC2_VPID);
	set(VMCS_EXIT_CONTROLS, EXIT_HOST_64 | EXIT_LOAD_EFER);
	set(VMCS_ENTRY_CONTROLS, ENTRY_LOAD_EFER | ENTRY_LOAD_PAT | ENTRY_LOAD_DEBUG);
	set(VMCS_VPID, 1);
	set(VMCS_EPT_POINTER, 0x5000 | EPTP_TYPE_WB | EPTP_WALK_4 | EPTP_AD);
	set(VMCS_HOST_CR0, 0x80010033);
	set(VMCS_HOST_CR4, 0x2020);
	set(VMCS_HOST_EFER, EFER_LME | EFER_LMA);
	set(VMCS_HOST_CS_SELECTOR, 8);
	set(VMCS_HOST_TR_SELECTOR, 0x18);
	set(VMCS_HOST_RIP, 0xffffffff80200000);
	real_mode();
	return 0;
}

static bool check(void)
{
	const struct vmcs_view view = {.read = view_read, .caps = &caps};

	why[0] = '\0';
	return vmx_check(&view, why, sizeof(why));
}

static void good(UNUSED void **state)
{
	assert_false(check());
	long_mode();
	assert_false(check());
}

/* One bad field at a time: the auditor names it. in64: of a guest in 64-bit mode. */
static void names_the_field(UNUSED void **state)
{
	static const struct {
		bool in64;
		u32 field;
		u64 value;
		const char *says;
	} rows[] = {
		{false, VMCS_PIN_CONTROLS, PIN_NMI | PIN_VNMI, "PIN_CONTROLS (0x28): a bit is 0"},
		{false, VMCS_PIN_CONTROLS, 0x16 | PIN_VNMI, "PIN_CONTROLS (0x36): virtual NMIs"},
		{false, VMCS_IO_BITMAP_A, 0x1001, "IO_BITMAP_A (0x1001): not 4 KiB"},
		{false, VMCS_MSR_BITMAP, 1ull << 40, "MSR_BITMAP (0x10000000000): beyond"},
		{false, VMCS_VPID, 0, "VPID (0): 0 is the host's"},
		{false, VMCS_CR3_TARGET_COUNT, 5, "CR3_TARGET_COUNT (0x5)"},
		{false, VMCS_PROC2_CONTROLS, PROC2_UNRESTRICTED, "PROC2_CONTROLS (0x80)"},
		{false, VMCS_EPT_POINTER, 0x5000 | EPTP_WALK_4,
		 "EPT_POINTER (0x5018): memory type"},
		{false, VMCS_EPT_POINTER, 0x5006, "EPT_POINTER (0x5006): page-walk"},
		{false, VMCS_ENTRY_CONTROLS, ENTRY_SMM, "ENTRY_CONTROLS (0x400): SMM"},
		{false, VMCS_ENTRY_INTR_INFO, INTR_VALID | INTR_NMI | 3, "ENTRY_INTR_INFO"},
		{false, VMCS_ENTRY_INTR_INFO, INTR_VALID | INTR_HARD | INTR_ERROR | 13,
		 "ENTRY_INTR_INFO (0x80000b0d): this event must have no error"},
		{true, VMCS_ENTRY_INTR_INFO, INTR_VALID | INTR_HARD | 13,
		 "ENTRY_INTR_INFO (0x8000030d): this exception needs"},
		{false, VMCS_ENTRY_INTR_INFO, INTR_VALID | INTR_SOFT_INT | 0x80, "ENTRY_INSN_LEN"},
		{false, VMCS_ENTRY_INTR_INFO, INTR_VALID | 0x30, "GUEST_RFLAGS (0x2): IF is 0"},
		{false, VMCS_HOST_CR4, 0x20, "HOST_CR4 (0x20)"},
		{false, VMCS_HOST_FS_BASE, 1ull << 47, "HOST_FS_BASE (0x800000000000)"},
		{false, VMCS_HOST_SS_SELECTOR, 0x13, "HOST_SS_SELECTOR (0x13): RPL"},
		{false, VMCS_HOST_TR_SELECTOR, 0, "HOST_TR_SELECTOR (0): null"},
		{false, VMCS_HOST_EFER, 0, "HOST_EFER (0)"},
		{false, VMCS_GUEST_CR0, 0x10, "GUEST_CR0 (0x10): not as"},
		{false, VMCS_GUEST_CR0, 0x80000030, "GUEST_CR0 (0x80000030): PG without PE"},
		{false, VMCS_GUEST_CR4, 0x40, "GUEST_CR4 (0x40)"},
		{false, VMCS_GUEST_CR3, 1ull << 40, "GUEST_CR3"},
		{false, VMCS_GUEST_DR7, 1ull << 32, "GUEST_DR7"},
		{false, VMCS_GUEST_EFER, 2, "GUEST_EFER (0x2): reserved"},
		{true, VMCS_GUEST_EFER, EFER_LME, "GUEST_EFER (0x100): LMA"},
		{true, VMCS_GUEST_EFER, EFER_LMA, "GUEST_EFER (0x400): LME"},
		{true, VMCS_GUEST_CR4, 0x2040, "GUEST_CR4 (0x2040): IA-32e"},
		{false, VMCS_GUEST_PAT, 2, "GUEST_PAT (0x2)"},
		{false, VMCS_GUEST_PAT, 8, "GUEST_PAT (0x8)"},
		{false, VMCS_GUEST_CS_ATTR, 0x9a, "GUEST_CS_ATTR (0x9a)"},
		{true, VMCS_GUEST_CS_ATTR, 0xe09b, "GUEST_CS_ATTR (0xe09b): L and D"},
		{true, VMCS_GUEST_CS_LIMIT, 0xfffffffe, "GUEST_CS_LIMIT"},
		{false, VMCS_GUEST_DS_LIMIT, 0x100000, "GUEST_DS_LIMIT"},
		{false, VMCS_GUEST_SS_ATTR, 0xf3, "GUEST_CS_ATTR (0x9b): non-conforming"},
		{false, VMCS_GUEST_SS_ATTR, 0x91, "GUEST_SS_ATTR (0x91): SS must be"},
		{false, VMCS_GUEST_ES_ATTR, 0x13, "GUEST_ES_ATTR (0x13): not present"},
		{true, VMCS_GUEST_GS_BASE, 1ull << 60, "GUEST_GS_BASE"},
		{false, VMCS_GUEST_DS_BASE, 1ull << 32, "GUEST_DS_BASE"},
		{false, VMCS_GUEST_TR_ATTR, 0x89, "GUEST_TR_ATTR (0x89): not a busy TSS"},
		{true, VMCS_GUEST_TR_ATTR, 0x83, "GUEST_TR_ATTR (0x83): not a busy 64"},
		{false, VMCS_GUEST_LDTR_ATTR, 0x83, "GUEST_LDTR_ATTR (0x83): not an LDT"},
		{false, VMCS_GUEST_GDTR_LIMIT, 0x10000, "GUEST_GDTR_LIMIT"},
		{true, VMCS_GUEST_IDTR_BASE, 1ull << 50, "GUEST_IDTR_BASE"},
		{false, VMCS_GUEST_RIP, 1ull << 32, "GUEST_RIP"},
		{true, VMCS_GUEST_RIP, 1ull << 47, "GUEST_RIP"},
		{false, VMCS_GUEST_RFLAGS, 0, "GUEST_RFLAGS (0): bit 1"},
		{false, VMCS_GUEST_RFLAGS, 0xa, "GUEST_RFLAGS (0xa): reserved"},
		{false, VMCS_GUEST_ACTIVITY, 4, "GUEST_ACTIVITY (0x4)"},
		{false, VMCS_GUEST_INTERRUPTIBILITY, 0x20, "GUEST_INTERRUPTIBILITY (0x20)"},
		{false, VMCS_GUEST_INTERRUPTIBILITY, 3, "GUEST_INTERRUPTIBILITY (0x3)"},
		{false, VMCS_GUEST_INTERRUPTIBILITY, 1, "GUEST_INTERRUPTIBILITY (0x1): blocked"},
		{false, VMCS_GUEST_PENDING_DEBUG, 0x10, "GUEST_PENDING_DEBUG (0x10)"},
		{false, VMCS_LINK_POINTER, 0x123, "LINK_POINTER (0x123)"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		begin(NULL);
		if (rows[i].in64)
			long_mode();
		set(rows[i].field, rows[i].value);
		if (!check() || strncmp(why, rows[i].says, strlen(rows[i].says)) != 0)
			fail_msg("row %zu: \"%s\", not \"%s\"", i, why, rows[i].says);
	}
}

static void held_back_trap(UNUSED void **state)
{
	set(VMCS_GUEST_RFLAGS, 2 | RFLAGS_TF | RFLAGS_IF);
	set(VMCS_GUEST_INTERRUPTIBILITY, SHADOW_STI);
	assert_true(check());
	assert_non_null(strstr(why, "GUEST_PENDING_DEBUG (0): BS is 0"));
	set(VMCS_GUEST_PENDING_DEBUG, PENDING_DB_BS);
	assert_false(check());
}

static void virtual_8086(UNUSED void **state)
{
	set(VMCS_GUEST_CR0, 0x31);
	set(VMCS_GUEST_RFLAGS, 2 | RFLAGS_VM);
	for (u32 s = SEG_ES; s <= SEG_GS; s++)
		set_segment(s, 0x100, 0x1000, 0xffff, 0xf3);
	assert_false(check());
	set(VMCS_GUEST_FS_BASE, 0x2000);
	assert_true(check());
	assert_string_equal(why, "GUEST_FS_BASE (0x2000): virtual-8086 mode wants 16 times the "
				 "selector");
}

static void pdptes(UNUSED void **state)
{
	long_mode();
	set(VMCS_ENTRY_CONTROLS, ENTRY_LOAD_EFER);
	set(VMCS_GUEST_EFER, 0);
	set(VMCS_GUEST_RIP, 0x1000);
	set(VMCS_GUEST_CS_ATTR, 0xc09b);
	set(VMCS_GUEST_PDPTE2, 0x1001);
	assert_false(check());
	set(VMCS_GUEST_PDPTE2, 0x1003);
	assert_true(check());
	assert_string_equal(why, "GUEST_PDPTE2 (0x1003): reserved bits are not 0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(good, begin),
		cmocka_unit_test_setup(names_the_field, begin),
		cmocka_unit_test_setup(held_back_trap, begin),
		cmocka_unit_test_setup(virtual_8086, begin),
		cmocka_unit_test_setup(pdptes, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
