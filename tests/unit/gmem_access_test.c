/* SPDX-License-Identifier: MIT */
/* links: hv/mem/gmem.c hv/mem/gmem_access.c hv/mem/gmem_grant.c hv/mem/gmem_policy.c arch/x86_64/npt.c arch/x86_64/vmx/ept.c hv/lock.c tests/fake/fake_frames.c tests/fake/fake_mmu.c tests/fake/fake_scrub.c tests/fake/fake_host.c */
/* The host's checked copies from and to a guest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <arch/x86_64/vmx/ept.h>
#include <tern/arch.h>
#include <tern/err.h>
#include <tern/gmem.h>
#include <tern/scrub.h>
#include <tests/fake/fake_frames.h>
#include <tests/fake/fake_host.h>
#include <tests/fake/fake_mmu.h>
#include <tests/fake/fake_scrub.h>

#define RAM_LEN MiB(1)
#define ROM     MiB(2)
#define ROM_LEN KiB(16)

static struct gmem g;
static u8 shadow[RAM_LEN], buf[KiB(64)], out[KiB(64)];

static void flush(void *owner)
{
	(void)owner;
	fake_mmu_flush();
}

static int setup(void **state)
{
	(void)state;
	fake_reset();
	fake_frames_reset(2048);
	fake_scrub_reset();
	fake_mmu_flush();
	assert_int_equal(gmem_create(&g, &ept_format, flush, NULL), 0);
	assert_int_equal(gmem_add(&g, gpa(0), RAM_LEN, GMEM_RAM), 0);
	assert_int_equal(gmem_add(&g, gpa(ROM), ROM_LEN, GMEM_ROM), 0);
	for (u32 i = 0; i < sizeof(buf); i++)
		buf[i] = (u8)(i * 7 + i / 256 + 1);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	assert_false(lock_held(&g.lock));
	while (gmem_destroy_some(&g, 1000) || scrub_some(1000))
		;
	assert_int_equal(fake_frames_used(), 0);
	return 0;
}

static void test_copies_across_pages(void **state)
{
	(void)state;
	assert_int_equal(gmem_write(&g, gpa(0xffd), buf, 10000), 0);
	assert_int_equal(g.backed, 4 * PAGE_SIZE);
	assert_int_equal(gmem_read(&g, gpa(0xffd), out, 10000), 0);
	assert_memory_equal(out, buf, 10000);
	assert_int_equal(gmem_read(&g, gpa(0xffc), out, 1), 0);
	assert_int_equal(out[0], 0);
	assert_int_equal(gmem_read(&g, gpa(0xffd + 10000), out, 1), 0);
	assert_int_equal(out[0], 0);
	assert_int_equal(gmem_write(&g, gpa(0), NULL, 0), 0);
	assert_int_equal(gmem_read(&g, gpa(UINT64_MAX), NULL, 0), 0);
	assert_int_equal(g.faults, 0);
}

static void test_reads_back_nothing(void **state)
{
	(void)state;
	memset(out, 1, sizeof(out));
	assert_int_equal(gmem_read(&g, gpa(0x10), out, sizeof(out)), 0);
	for (u32 i = 0; i < sizeof(out); i++)
		assert_int_equal(out[i], 0);
	assert_int_equal(g.backed, 0);
	assert_int_equal(g.npt.table_pages, 1);
}

static void test_what_is_not_memory(void **state)
{
	static const u64 bad[] = {RAM_LEN,           RAM_LEN - 4,    ROM - 4,
				  ROM + ROM_LEN - 4, ROM + ROM_LEN,  NPT_GPA_END,
				  NPT_GPA_END - 4,   UINT64_MAX - 3, UINT64_MAX};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(gmem_read(&g, gpa(bad[i]), out, 8), -TERN_EFAULT);
		assert_int_equal(gmem_write(&g, gpa(bad[i]), buf, 8), -TERN_EFAULT);
	}
	/* Whole pages before the one that failed are copied. */
	assert_int_equal(gmem_read(&g, gpa(RAM_LEN - 4), out, 4), 0);
	assert_memory_equal(out, buf, 4);
	/* A length that wraps around. */
	assert_int_equal(gmem_read(&g, gpa(ROM), out, UINT64_MAX), -TERN_EFAULT);
}

static void test_rom(void **state)
{
	(void)state;
	assert_int_equal(gmem_write(&g, gpa(ROM), buf, 8), -TERN_EFAULT);
	assert_int_equal(g.backed, 0);
	assert_int_equal(gmem_load(&g, gpa(ROM + 0x800), buf, 0x1000), 0);
	assert_int_equal(gmem_write(&g, gpa(ROM + 0x800), buf, 8), -TERN_EFAULT);
	assert_int_equal(gmem_load(&g, gpa(0x1ff0), buf, 64), 0);
	assert_int_equal(gmem_load(&g, gpa(ROM + ROM_LEN), buf, 1), -TERN_EFAULT);
	assert_int_equal(gmem_read(&g, gpa(ROM + 0x800), out, 0x1000), 0);
	assert_memory_equal(out, buf, 0x1000);
	assert_int_equal(gmem_read(&g, gpa(0x1ff0), out, 64), 0);
	assert_memory_equal(out, buf, 64);
	assert_int_equal(npt_get(&g.npt, gpa(ROM)).state, NPT_READ_ONLY);
	assert_int_equal(npt_get(&g.npt, gpa(0x1000)).state, NPT_BACKED);
	assert_int_equal(g.backed_rom, 2 * PAGE_SIZE);
}

static void test_cannot_be_backed(void **state)
{
	(void)state;
	assert_int_equal(gmem_set_grant(&g, 2 * PAGE_SIZE, false), 0);
	assert_int_equal(gmem_write(&g, gpa(0x800), buf, 0x3000), -TERN_EAGAIN);
	assert_int_equal(g.backed, 2 * PAGE_SIZE);
	assert_int_equal(gmem_read(&g, gpa(0x800), out, 0x3000), 0);
	assert_memory_equal(out, buf, 0x1800);
	for (u32 i = 0x1800; i < 0x3000; i++)
		assert_int_equal(out[i], 0);
	assert_int_equal(gmem_set_grant(&g, RAM_LEN, false), 0);
	fake_frames_left = 0;
	assert_int_equal(gmem_write(&g, gpa(0x2000), buf, 1), -TERN_EAGAIN);
	assert_int_equal(gmem_load(&g, gpa(ROM), buf, 1), -TERN_EAGAIN);
	fake_frames_left = UINT32_MAX;
	assert_int_equal(gmem_write(&g, gpa(0x2000), buf, 1), 0);
}

/* Whoever collects dirty pages sees the host's writes as he sees the guest's. */
static void test_host_writes_are_dirty(void **state)
{
	hpa_t pa;

	(void)state;
	assert_true(gmem_touch(&g, gpa(0x3000), true) == GMEM_MAPPED);
	assert_true(fake_mmu_access(g.npt.root, gpa(0x3000), false, &pa));
	assert_false(npt_get(&g.npt, gpa(0x3000)).dirty);
	assert_int_equal(gmem_read(&g, gpa(0x3000), out, 8), 0);
	assert_false(npt_get(&g.npt, gpa(0x3000)).dirty);
	assert_int_equal(gmem_write(&g, gpa(0x3000), buf, 8), 0);
	assert_true(npt_get(&g.npt, gpa(0x3000)).dirty);
	assert_memory_equal(phys_to_virt(pa), buf, 8);
}

static void test_compare_and_exchange(void **state)
{
	u64 old = 0, value;

	(void)state;
	assert_int_equal(gmem_cas(&g, gpa(0x1008), 8, &old, 0x1122334455667788), 0);
	assert_int_equal(old, 0);
	assert_int_equal(gmem_cas(&g, gpa(0x1008), 8, &old, 5), 0);
	assert_int_equal(old, 0x1122334455667788);
	old = 0x55667788;
	assert_int_equal(gmem_cas(&g, gpa(0x1008), 4, &old, 0xaabbccdd), 0);
	assert_int_equal(old, 0x55667788);
	old = 1;
	assert_int_equal(gmem_cas(&g, gpa(0x100c), 4, &old, 2), 0);
	assert_int_equal(old, 0x11223344);
	assert_int_equal(gmem_read(&g, gpa(0x1008), &value, 8), 0);
	assert_int_equal(value, 0x11223344aabbccdd);
	assert_int_equal(gmem_cas(&g, gpa(0x1004), 8, &old, 0), -TERN_EINVAL);
	assert_int_equal(gmem_cas(&g, gpa(0x1002), 4, &old, 0), -TERN_EINVAL);
	assert_int_equal(gmem_cas(&g, gpa(0x1000), 2, &old, 0), -TERN_EINVAL);
	assert_int_equal(gmem_cas(&g, gpa(ROM), 8, &old, 0), -TERN_EFAULT);
	assert_int_equal(gmem_cas(&g, gpa(RAM_LEN), 8, &old, 0), -TERN_EFAULT);
	assert_int_equal(gmem_set_grant(&g, 0, false), 0);
	assert_int_equal(gmem_cas(&g, gpa(0x8000), 8, &old, 0), -TERN_EAGAIN);
}

/* In single pages and in a large leaf. */
static void test_random_copies(void **state)
{
	u32 seed = 1;

	(void)state;
	assert_int_equal(gmem_add(&g, gpa(MiB(4)), MiB(4), GMEM_RAM), 0);
	g.policy = &gmem_policy_large;
	for (u64 at = MiB(4); at < MiB(8); at += PAGE_SIZE)
		assert_int_equal(gmem_touch(&g, gpa(at), true), GMEM_MAPPED);
	assert_int_equal(npt_get(&g.npt, gpa(MiB(6))).level, 1);
	for (u64 base = 0; base <= MiB(6); base += MiB(6)) {
		memset(shadow, 0, sizeof(shadow));
		for (u32 i = 0; i < 2000; i++) {
			u64 at, len;

			seed = seed * 1664525 + 1013904223;
			at = (seed >> 8) % RAM_LEN;
			seed = seed * 1664525 + 1013904223;
			len = min_u64((seed >> 8) % (i % 8 == 0 ? 9000 : 100), RAM_LEN - at);
			if (i % 2 == 0) {
				const u8 *src = buf + seed % 1000;

				assert_int_equal(gmem_write(&g, gpa(base + at), src, len), 0);
				memcpy(shadow + at, src, len);
			} else {
				assert_int_equal(gmem_read(&g, gpa(base + at), out, len), 0);
				assert_int_equal(memcmp(out, shadow + at, len), 0);
			}
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_copies_across_pages, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reads_back_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_is_not_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rom, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cannot_be_backed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_host_writes_are_dirty, setup, teardown),
		cmocka_unit_test_setup_teardown(test_compare_and_exchange, setup, teardown),
		cmocka_unit_test_setup_teardown(test_random_copies, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
