/* SPDX-License-Identifier: MIT */
/* links: arch/x86_64/mitigate.c hv/lib/str.c hv/lib/fmt.c tests/fake/fake_host.c */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include <arch/x86_64/guest/msr_regs.h>
#include <arch/x86_64/mitigate.h>
#include <arch/x86_64/mitigate_regs.h>
#include <tern/virt.h>

#define ALL_EDX (CPUID7_EDX_MD_CLEAR | CPUID7_EDX_L1D_FLUSH | CPUID7_EDX_IBRS | CPUID7_EDX_ARCH_CAP)

static void choose(UNUSED void **state)
{
	static const struct {
		struct mitigate_facts facts;
		u32 flags;
	} rows[] = {
		{{.intel = true}, MITIGATE_RSB},
		{{.intel = true, .cpuid7_edx = ALL_EDX},
		 MITIGATE_L1D | MITIGATE_VERW | MITIGATE_IBPB | MITIGATE_RSB | MITIGATE_SPEC_CTRL},
		{{.intel = true, .cpuid7_edx = ALL_EDX, .off = true}, MITIGATE_SPEC_CTRL},
		{{.intel = true, .cpuid7_edx = ALL_EDX, .arch_caps = ARCH_CAP_RDCL_NO},
		 MITIGATE_VERW | MITIGATE_IBPB | MITIGATE_RSB | MITIGATE_SPEC_CTRL},
		{{.intel = true, .cpuid7_edx = ALL_EDX, .arch_caps = ARCH_CAP_SKIP_L1DFL},
		 MITIGATE_VERW | MITIGATE_IBPB | MITIGATE_RSB | MITIGATE_SPEC_CTRL},
		{{.intel = true,
		  .cpuid7_edx = CPUID7_EDX_MD_CLEAR,
		  .arch_caps = ARCH_CAP_RDCL_NO | ARCH_CAP_MDS_NO},
		 MITIGATE_RSB},
		{{.intel = true,
		  .cpuid7_edx = CPUID7_EDX_MD_CLEAR,
		  .arch_caps = ARCH_CAP_MDS_NO | ARCH_CAP_RFDS_CLEAR},
		 MITIGATE_RSB | MITIGATE_VERW},
		{{.intel = false, .cpuid7_edx = ALL_EDX},
		 MITIGATE_IBPB | MITIGATE_RSB | MITIGATE_SPEC_CTRL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(mitigate_choose(&rows[i].facts), rows[i].flags);
}

static void words(UNUSED void **state)
{
	char buf[64], small[8];

	mitigate_flags = MITIGATE_VERW | MITIGATE_RSB;
	assert_string_equal(virt_mitigations(buf, sizeof(buf)), "VERW, RSB fill");
	assert_string_equal(virt_mitigations(small, sizeof(small)), "VERW, R");
	mitigate_flags = MITIGATE_SPEC_CTRL;
	assert_string_equal(virt_mitigations(buf, sizeof(buf)), "none needed");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(choose), cmocka_unit_test(words)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
