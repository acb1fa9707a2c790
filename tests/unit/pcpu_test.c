/* SPDX-License-Identifier: MIT */
/* links: hv/pcpu.c */
/* The CPU table, with an architecture of its own: tests/fake has its own table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <tern/err.h>
#include <tern/frames.h>
#include <tern/pcpu.h>

static struct pcpu boot = {.self = &boot, .online = 1};
static u64 now;
static bool no_memory;
static jmp_buf panicked;

struct pcpu *pcpu_self(void)
{
	return &boot;
}

u64 arch_tsc(void)
{
	return now;
}

void *frames_alloc_page(void)
{
	return no_memory ? NULL : calloc(1, PAGE_SIZE);
}

void panic_at(UNUSED const char *file, UNUSED int line, UNUSED const char *fmt, ...)
{
	longjmp(panicked, 1);
}

static void test_boot_cpu_is_index_0(UNUSED void **state)
{
	pcpu_init();
	assert_int_equal(pcpu_count(), 1);
	assert_int_equal(pcpu_online_count(), 1);
	assert_ptr_equal(pcpu_get(0), &boot);
}

static void test_add_until_full(UNUSED void **state)
{
	pcpu_init();
	no_memory = true;
	assert_null(pcpu_add(7, 1));
	assert_int_equal(pcpu_count(), 1);
	no_memory = false;
	for (u32 i = 1; i < CPUS_MAX; i++) {
		struct pcpu *pc = pcpu_add(i * 2, i + 100);

		assert_non_null(pc);
		assert_ptr_equal(pc, pcpu_get(i));
		assert_ptr_equal(pc->self, pc);
		assert_int_equal(pc->index, i);
		assert_int_equal(pc->apic_id, i * 2);
		assert_int_equal(pc->acpi_uid, i + 100);
		assert_ptr_equal(pc->arch, (char *)pc + PCPU_ARCH_OFFSET);
	}
	assert_null(pcpu_add(9999, 1));
	assert_int_equal(pcpu_count(), CPUS_MAX);
	assert_int_equal(pcpu_online_count(), 1);
	pcpu_get(3)->online = 1;
	assert_int_equal(pcpu_online_count(), 2);
	for (u32 i = 1; i < CPUS_MAX; i++)
		free(pcpu_get(i));
	pcpu_init();
}

static void test_unknown_index_panics(UNUSED void **state)
{
	pcpu_init();
	if (setjmp(panicked) == 0) {
		(void)pcpu_get(1);
		fail_msg("no panic");
	}
}

/* A CPU that sleeps is idle now, not only once it wakes. */
static void test_idle_ticks_count_the_present_stay(UNUSED void **state)
{
	boot.idle_tsc = 100;
	boot.idle_since = 0;
	now = 1000;
	assert_int_equal(pcpu_idle_ticks(&boot), 100);
	boot.idle_since = 400;
	assert_int_equal(pcpu_idle_ticks(&boot), 700);
	boot.idle_since = 2000; /* another CPU's clock may be ahead */
	assert_int_equal(pcpu_idle_ticks(&boot), 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_boot_cpu_is_index_0),
		cmocka_unit_test(test_add_until_full),
		cmocka_unit_test(test_unknown_index_panics),
		cmocka_unit_test(test_idle_ticks_count_the_present_stay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
