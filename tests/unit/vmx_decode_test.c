/* SPDX-License-Identifier: MIT */
/* links: arch/x86_64/vmx/vmx_decode.c arch/x86_64/vmx/vmcs_names.c */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include <arch/x86_64/vmx/vmcs.h>
#include <arch/x86_64/vmx/vmx_decode.h>
#include <arch/x86_64/vmx/vmx_regs.h>

static void control_registers(UNUSED void **state)
{
	struct vmx_cr_access a = vmx_decode_cr(0x304); /* mov cr4, rbx */

	assert_int_equal(a.type, VMX_CR_TO);
	assert_int_equal(a.cr, 4);
	assert_int_equal(a.reg, REG_RBX);
	a = vmx_decode_cr(0xf18); /* mov r15, cr8 */
	assert_int_equal(a.type, VMX_CR_FROM);
	assert_int_equal(a.cr, 8);
	assert_int_equal(a.reg, REG_R15);
	assert_int_equal(vmx_decode_cr(0x20).type, VMX_CR_CLTS);
	a = vmx_decode_cr(0xfff10030);
	assert_int_equal(a.type, VMX_CR_LMSW);
	assert_int_equal(a.source, 0xfff1);
}

static void ports(UNUSED void **state)
{
	struct vmx_io_access io = vmx_decode_io(0x3f80000); /* out dx, al */

	assert_int_equal(io.pio.port, 0x3f8);
	assert_int_equal(io.pio.width, 1);
	assert_false(io.pio.in || io.pio.string || io.rep);
	io = vmx_decode_io(0xffff003b); /* rep insd */
	assert_int_equal(io.pio.port, 0xffff);
	assert_int_equal(io.pio.width, 4);
	assert_true(io.pio.in && io.pio.string && io.rep);
	assert_int_equal(vmx_decode_io(0x700001).pio.width, 2);
}

static void string_ports(UNUSED void **state)
{
	static const u8 widths[] = {2, 4, 8};

	for (u32 i = 0; i < 3; i++) {
		struct vmx_io_string s = vmx_decode_io_string(i << 7 | 4u << 15);

		assert_int_equal(s.addr_width, widths[i]);
		assert_int_equal(s.segment, SEG_FS);
	}
}

static void memory(UNUSED void **state)
{
	struct exit_mem m = vmx_decode_mem(0x182, 0xfee00300);

	assert_int_equal(m.gpa.v, 0xfee00300);
	assert_true(m.write);
	assert_false(m.fetch);
	assert_true(vmx_decode_mem(4, 0).fetch);
}

static void events(UNUSED void **state)
{
	struct vcpu_event e = vmx_decode_event(0x80000b0e, 6);

	assert_int_equal(e.type, EVENT_EXCEPTION);
	assert_int_equal(e.vector, 14);
	assert_true(e.has_error);
	assert_int_equal(e.error, 6);
	assert_int_equal(vmx_decode_entry_info(&e, true), 0x80000b0e);
	/* 27.2.1.3: real mode pushes no error codes. */
	assert_int_equal(vmx_decode_entry_info(&e, false), 0x8000030e);
	e = vmx_decode_event(0x80000202, 0);
	assert_int_equal(e.type, EVENT_NMI);
	assert_int_equal(vmx_decode_entry_info(&e, true), 0x80000202);
	e = vmx_decode_event(0x80000041, 0);
	assert_int_equal(e.type, EVENT_INTERRUPT);
	assert_int_equal(vmx_decode_entry_info(&e, true), 0x80000041);
	/* INT n is a benign event like an interrupt; without the valid bit there is none. */
	assert_int_equal(vmx_decode_event(0x80000480, 0).type, EVENT_INTERRUPT);
	assert_int_equal(vmx_decode_event(0x0b0e, 0).type, EVENT_NONE);
	e.type = EVENT_NONE;
	assert_int_equal(vmx_decode_entry_info(&e, true), 0);
}

static void names(UNUSED void **state)
{
	assert_string_equal(vmcs_field_name(VMCS_GUEST_RIP), "GUEST_RIP");
	assert_string_equal(vmcs_field_name(VMCS_VPID), "VPID");
	assert_string_equal(vmcs_field_name(VMCS_EPT_POINTER), "EPT_POINTER");
	assert_string_equal(vmcs_field_name(VMCS_EXIT_REASON), "EXIT_REASON");
	assert_string_equal(vmcs_field_name(0x1234), "?");
	assert_string_equal(vmx_decode_insn_error(7), "invalid controls");
	assert_string_equal(vmx_decode_insn_error(14), "unknown");
	assert_string_equal(vmx_decode_insn_error(~0u), "unknown");
	assert_string_equal(vmx_decode_reason(EXIT_REASON_BAD_GUEST), "guest state");
	assert_string_equal(vmx_decode_reason(EXIT_REASON_CPUID), "an unknown reason");
}

/* A count of 0 in the bits that the address size uses is no element at all, whatever is above them. */
static void rep_insb_zero_times(UNUSED void **state)
{
	assert_int_equal(vmx_string_index(0x123450000, 2), 0);
	assert_int_equal(vmx_string_index(0x123450001, 2), 1);
	assert_int_equal(vmx_string_index(0x500000000, 4), 0);
	assert_int_equal(vmx_string_index(0x500000000, 8), 0x500000000);
	assert_int_equal(vmx_string_index(0, 8), 0);
}

static void string_steps(UNUSED void **state)
{
	assert_int_equal(vmx_string_add(0xabcd0000ffff, 1, 2), 0xabcd00000000);
	assert_int_equal(vmx_string_add(0xabcd00000001, ~0ul * 2, 2), 0xabcd0000ffff);
	assert_int_equal(vmx_string_add(0xffffffff00001000, 1, 4), 0x1001);
	assert_int_equal(vmx_string_add(0x5ffffffff, 1, 4), 0);
	assert_int_equal(vmx_string_add(0x1000, ~0ul, 8), 0xfff);
	assert_int_equal(vmx_string_add(0xffffffff, 4, 8), 0x100000003);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(control_registers),
		cmocka_unit_test(ports),
		cmocka_unit_test(string_ports),
		cmocka_unit_test(memory),
		cmocka_unit_test(events),
		cmocka_unit_test(names),
		cmocka_unit_test(rep_insb_zero_times),
		cmocka_unit_test(string_steps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
