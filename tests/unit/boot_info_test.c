/* SPDX-License-Identifier: MIT */
/* links: hv/boot_info.c hv/lib/str.c hv/lib/fmt.c tests/fake/fake_host.c */
/* The checks on what loaders hand over: damaged tables, and random maps against a byte-map oracle. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <tern/boot_info.h>
#include <tern/err.h>
#include <tests/fake/fake_host.h>

#define PA_LIMIT (1ull << 52)

static struct boot_info bi;
static char warnings[8192];

static void collect(const char *text, void *arg)
{
	assert_ptr_equal(arg, &bi);
	if (strlen(warnings) + strlen(text) + 2 < sizeof(warnings)) {
		strcat(warnings, text);
		strcat(warnings, "\n");
	}
}

static int check(void)
{
	warnings[0] = '\0';
	return boot_info_check(&bi, collect, &bi);
}

static int setup(void **state)
{
	(void)state;
	memset(&bi, 0, sizeof(bi));
	bi.magic = BOOT_INFO_MAGIC;
	bi.version = BOOT_INFO_VERSION;
	bi.size = sizeof(bi);
	bi.loader = BOOT_MULTIBOOT2;
	return 0;
}

static void add(u64 base, u64 len, u32 type)
{
	bi.mem[bi.mem_count++] = (struct boot_mem){.base = base, .len = len, .type = type};
}

static struct boot_module *module(const char *name, u64 base, u64 len)
{
	struct boot_module *m = &bi.modules[bi.module_count++];

	strcpy(m->name, name);
	m->base = base;
	m->len = len;
	return m;
}

static void assert_mem(u32 i, u64 base, u64 len, u32 type)
{
	assert_true(i < bi.mem_count);
	assert_int_equal(bi.mem[i].base, base);
	assert_int_equal(bi.mem[i].len, len);
	assert_int_equal(bi.mem[i].type, type);
}

static void test_refuses_what_is_no_boot_info(void **state)
{
	add(0, MiB(1), BOOT_MEM_RAM);
	bi.magic ^= 1;
	assert_int_equal(check(), -TERN_EINVAL);
	setup(state);
	add(0, MiB(1), BOOT_MEM_RAM);
	bi.version++;
	assert_int_equal(check(), -TERN_EINVAL);
	assert_non_null(strstr(warnings, "not of one release"));
	setup(state);
	add(0, MiB(1), BOOT_MEM_RAM);
	bi.size--;
	assert_int_equal(check(), -TERN_EINVAL);
	setup(state);
	bi.mem_count = BOOT_MEM_MAX + 1;
	assert_int_equal(check(), -TERN_EINVAL);
	assert_non_null(strstr(warnings, "damaged"));
	setup(state);
	add(0, MiB(1), BOOT_MEM_RAM);
	bi.module_count = UINT32_MAX;
	assert_int_equal(check(), -TERN_EINVAL);
	setup(state);
	add(0, MiB(1), BOOT_MEM_RAM);
	bi.loader = 9;
	assert_int_equal(check(), -TERN_EINVAL);
	setup(state);
	assert_int_equal(check(), -TERN_EINVAL);
	assert_non_null(strstr(warnings, "no RAM"));
	add(0, MiB(1), BOOT_MEM_RESERVED);
	assert_int_equal(check(), -TERN_EINVAL);
}

static void test_sorts_and_merges(void **state)
{
	(void)state;
	add(MiB(4), MiB(4), BOOT_MEM_RAM);
	add(MiB(1), MiB(1), BOOT_MEM_RAM);
	add(MiB(2), MiB(2), BOOT_MEM_RAM);
	add(0, 0xa0000, BOOT_MEM_RAM);
	add(MiB(5), 0, BOOT_MEM_BAD);
	assert_int_equal(check(), 0);
	assert_int_equal(bi.mem_count, 2);
	assert_mem(0, 0, 0xa0000, BOOT_MEM_RAM);
	assert_mem(1, MiB(1), MiB(7), BOOT_MEM_RAM);
	assert_string_equal(warnings, "");
}

static void test_stronger_claim_wins_and_splits(void **state)
{
	(void)state;
	add(MiB(1), MiB(15), BOOT_MEM_RAM);
	add(MiB(2), MiB(2), BOOT_MEM_ACPI_NVS);
	add(MiB(3), MiB(2), BOOT_MEM_ACPI_RECLAIM);
	add(MiB(8), MiB(1), 77);
	assert_int_equal(check(), 0);
	assert_int_equal(bi.mem_count, 6);
	assert_mem(0, MiB(1), MiB(1), BOOT_MEM_RAM);
	assert_mem(1, MiB(2), MiB(2), BOOT_MEM_ACPI_NVS);
	assert_mem(2, MiB(4), MiB(1), BOOT_MEM_ACPI_RECLAIM);
	assert_mem(3, MiB(5), MiB(3), BOOT_MEM_RAM);
	assert_mem(4, MiB(8), MiB(1), BOOT_MEM_RESERVED);
	assert_mem(5, MiB(9), MiB(7), BOOT_MEM_RAM);
}

static void test_ram_shrinks_the_rest_grows(void **state)
{
	(void)state;
	add(0x400, 0x9f000, BOOT_MEM_RAM);
	add(0x20800, 0x10, BOOT_MEM_RESERVED);
	add(0x200010, 0xfe0, BOOT_MEM_RAM); /* not one whole page */
	assert_int_equal(check(), 0);
	assert_int_equal(bi.mem_count, 3);
	assert_mem(0, 0x1000, 0x1f000, BOOT_MEM_RAM);
	assert_mem(1, 0x20000, 0x1000, BOOT_MEM_RESERVED);
	assert_mem(2, 0x21000, 0x7e000, BOOT_MEM_RAM);
}

static void test_wrap_and_limit(void **state)
{
	(void)state;
	add(MiB(1), MiB(8), BOOT_MEM_RAM);
	add(GiB(4), UINT64_MAX, BOOT_MEM_RAM);      /* nobody knows how much is real */
	add(GiB(8), UINT64_MAX, BOOT_MEM_RESERVED); /* all above is suspect */
	add(PA_LIMIT, GiB(1), BOOT_MEM_RAM);
	add(UINT64_MAX - 10, 11, BOOT_MEM_RESERVED);
	assert_int_equal(check(), 0);
	assert_int_equal(bi.mem_count, 2);
	assert_mem(0, MiB(1), MiB(8), BOOT_MEM_RAM);
	assert_mem(1, GiB(8), PA_LIMIT - GiB(8), BOOT_MEM_RESERVED);
	assert_non_null(strstr(warnings, "0x100000000"));
	assert_non_null(strstr(warnings, "wraps around; not used"));
	assert_non_null(strstr(warnings, "all above it is reserved"));
	setup(NULL);
	add(MiB(1), PA_LIMIT, BOOT_MEM_RAM);
	assert_int_equal(check(), 0);
	assert_mem(0, MiB(1), PA_LIMIT - MiB(1), BOOT_MEM_RAM);
}

/* 256 reservations cut one RAM range in 257: 513 ranges, one more than fit. */
static void test_full_map_gives_up_ram(void **state)
{
	u32 reserved = 0;

	(void)state;
	add(0, MiB(257), BOOT_MEM_RAM);
	for (u32 i = 1; i < 257; i++)
		add(MiB(i), i == 200 ? 0xff000 : 0x1000, BOOT_MEM_RESERVED);
	assert_int_equal(check(), 0);
	assert_int_equal(bi.mem_count, BOOT_MEM_MAX);
	assert_int_equal(bi.mem_dropped, 1);
	assert_non_null(strstr(warnings, "not used"));
	for (u32 i = 0; i < bi.mem_count; i++) {
		reserved += bi.mem[i].type == BOOT_MEM_RESERVED;
		assert_true(i == 0 || bi.mem[i - 1].base + bi.mem[i - 1].len <= bi.mem[i].base);
		/* The smallest RAM range went: the one that the long reservation left over. */
		assert_false(bi.mem[i].type == BOOT_MEM_RAM && bi.mem[i].base > MiB(200) &&
			     bi.mem[i].base < MiB(201));
	}
	assert_int_equal(reserved, 256);
}

/* Never may a reservation make room for RAM, even when that leaves a machine that cannot run. */
static void test_reservations_alone_fill_the_map(void **state)
{
	(void)state;
	for (u32 i = 0; i < BOOT_MEM_MAX - 2; i++)
		add(MiB(2 * i), MiB(2), i % 2 ? BOOT_MEM_RESERVED : BOOT_MEM_MMIO);
	add(MiB(8) + 4096, 4096, BOOT_MEM_BAD); /* splits a range in three */
	add(MiB(4096), MiB(64), BOOT_MEM_RAM);
	assert_int_equal(check(), -TERN_EINVAL);
	assert_int_equal(bi.mem_count, BOOT_MEM_MAX);
	assert_int_equal(bi.mem_dropped, 1);
	for (u32 i = 0; i < bi.mem_count; i++)
		assert_int_not_equal(bi.mem[i].type, BOOT_MEM_RAM);
}

static void test_modules(void **state)
{
	struct boot_module *m;

	(void)state;
	add(MiB(1), MiB(31), BOOT_MEM_RAM);
	add(MiB(16), MiB(1), BOOT_MEM_RESERVED);
	bi.image_base = MiB(2);
	bi.image_len = MiB(1) + 5;
	module("good", MiB(4), MiB(1) + 17);
	module("last-page", MiB(5), 4096); /* shares good's last page */
	module("past-end", MiB(31), MiB(2));
	module("nowhere", GiB(3), 10);
	module("negative", MiB(8), (u64)-4096);
	module("crossing", MiB(15), MiB(2));
	module("on-image", MiB(3), 100); /* the image's last, partly used page */
	module("odd", MiB(10) + 16, 100);
	module("empty", 12345, 0);
	m = module("wrap", UINT64_MAX - 4095, 8192);
	memset(m->args, 'x', sizeof(m->args));
	m = module("", MiB(31), MiB(1)); /* ends where RAM ends */
	memset(m->name, 'n', sizeof(m->name));
	assert_int_equal(check(), 0);
	assert_int_equal(bi.module_count, 3);
	assert_string_equal(bi.modules[0].name, "good");
	assert_string_equal(bi.modules[1].name, "empty");
	assert_int_equal(strlen(bi.modules[2].name), BOOT_NAME_MAX - 1);
	assert_non_null(strstr(warnings, "module 'last-page' [0x500000-0x501000) overlaps an "
					 "earlier module"));
	assert_non_null(strstr(warnings, "module 'past-end' [0x1f00000-0x2100000) is not in RAM; "
					 "dropped: the loader gave a wrong address or the file "
					 "was cut"));
	assert_non_null(strstr(warnings, "module 'nowhere'"));
	assert_non_null(strstr(warnings, "module 'negative'"));
	assert_non_null(strstr(warnings, "module 'crossing'"));
	assert_non_null(strstr(warnings, "module 'on-image' [0x300000-0x300064) overlaps Tern's"));
	assert_non_null(strstr(warnings, "module 'odd' [0xa00010-0xa00074) does not begin"));
	assert_non_null(strstr(warnings, "module 'wrap': arguments fill"));
	assert_null(strstr(warnings, "module 'good'"));
	assert_ptr_equal(boot_info_module(&bi, "good"), &bi.modules[0]);
	assert_null(boot_info_module(&bi, "odd"));
	assert_null(boot_info_module(&bi, "goo"));
}

static void test_strings_get_their_nul(void **state)
{
	(void)state;
	add(0, MiB(64), BOOT_MEM_RAM);
	memset(bi.cmdline, 'c', sizeof(bi.cmdline));
	memset(bi.loader_name, 'l', sizeof(bi.loader_name));
	bi.module_dropped = 3;
	assert_int_equal(check(), 0);
	assert_int_equal(strlen(bi.cmdline), BOOT_CMDLINE_MAX - 1);
	assert_int_equal(strlen(bi.loader_name), BOOT_NAME_MAX - 1);
	assert_non_null(strstr(warnings, "command line fills all 1023 bytes"));
	assert_non_null(strstr(warnings, "3 boot modules more than the 32 that fit"));
}

static void test_screen(void **state)
{
	const struct boot_fb good = {
		.base = GiB(3),
		.pitch = 4096,
		.width = 1024,
		.height = 768,
		.red_shift = 16,
		.green_shift = 8,
	};
	struct boot_fb bad[10];

	add(0, MiB(64), BOOT_MEM_RAM);
	bi.fb = good;
	bi.text_screen = 7;
	assert_int_equal(check(), 0);
	assert_memory_equal(&bi.fb, &good, sizeof(good));
	assert_int_equal(bi.text_screen, 1);
	for (u32 i = 0; i < 10; i++)
		bad[i] = good;
	bad[0].width = 0;
	bad[1].height = 0;
	bad[2].pitch = 4092;
	bad[3].red_shift = 25;
	bad[4].green_shift = 32;
	bad[5].blue_shift = 255;
	bad[6].base = PA_LIMIT - 4096;
	bad[7].base = MiB(63);
	bad[8].base++;
	bad[9].base = UINT64_MAX - 3;
	for (u32 i = 0; i < 10; i++) {
		setup(state);
		add(0, MiB(64), BOOT_MEM_RAM);
		bi.fb = bad[i];
		assert_int_equal(check(), 0);
		assert_int_equal(bi.fb.base, 0);
		assert_int_equal(bi.fb.width, 0);
		assert_non_null(strstr(warnings, "framebuffer"));
	}
}

static void test_pointers(void **state)
{
	(void)state;
	add(0, MiB(64), BOOT_MEM_RAM);
	bi.rsdp = PA_LIMIT;
	bi.efi_system_table = UINT64_MAX;
	assert_int_equal(check(), 0);
	assert_int_equal(bi.rsdp, 0);
	assert_int_equal(bi.efi_system_table, 0);
	assert_non_null(strstr(warnings, "RSDP"));
	assert_non_null(strstr(warnings, "EFI system table"));
}

static void test_option(void **state)
{
	char v[8] = "old";

	(void)state;
	assert_false(boot_info_option("", "a", v, sizeof(v)));
	assert_false(boot_info_option("ab=1 b=a xa=3 a-b", "a", v, sizeof(v)));
	assert_string_equal(v, "old");
	assert_true(boot_info_option("  a=1  b a=22 ", "a", v, sizeof(v)));
	assert_string_equal(v, "22");
	assert_true(boot_info_option("a=1 b", "b", v, sizeof(v)));
	assert_string_equal(v, "");
	assert_true(boot_info_option("a=", "a", v, sizeof(v)));
	assert_string_equal(v, "");
	assert_true(boot_info_option("a=b=c", "a", v, sizeof(v)));
	assert_string_equal(v, "b=c");
	assert_true(boot_info_option("a=123456789", "a", v, sizeof(v)));
	assert_string_equal(v, "1234567");
	assert_true(boot_info_option("a=5", "a", v, 1));
	assert_string_equal(v, "");
}

static void test_get_and_set(void **state)
{
	(void)state;
	FAKE_EXPECT_PANIC(boot_info_get());
	boot_info_set(&bi);
	assert_ptr_equal(boot_info_get(), &bi);
	FAKE_EXPECT_PANIC(boot_info_set(&bi));
}

/* The oracle: what each of the first ORACLE_PAGES pages is, one page after another. */
#define ORACLE_PAGES 64u

static u32 oracle_page(const struct boot_mem *e, u32 count, u64 page)
{
	u32 best = 0;

	for (u32 i = 0; i < count; i++) {
		const u32 type = e[i].type >= 1 && e[i].type <= 6 ? e[i].type : BOOT_MEM_RESERVED;
		u32 covered = 0;

		/* Every entry is a multiple of 256 bytes long and aligned, so look at those. */
		for (u32 part = 0; part < 16; part++) {
			const u64 pa = page * PAGE_SIZE + part * 256;

			covered += pa >= e[i].base && pa - e[i].base < e[i].len;
		}
		if (type == BOOT_MEM_RAM ? covered == 16 : covered > 0)
			best = type > best ? type : best;
	}
	return best;
}

static void test_random_maps_against_oracle(void **state)
{
	u32 refused = 0;

	srand(1);
	for (u32 round = 0; round < 20000; round++) {
		struct boot_mem in[12];
		u32 n = (u32)rand() % 12 + 1, ram = 0;
		u32 want[ORACLE_PAGES];
		u32 got[ORACLE_PAGES] = {0};

		setup(state);
		for (u32 i = 0; i < n; i++) {
			in[i] = (struct boot_mem){
				.base = (u64)((u32)rand() % (ORACLE_PAGES * 16)) * 256,
				.type = (u32)rand() % 8,
			};
			in[i].len = (u64)(rand() % 400) * 256;
			if (in[i].base + in[i].len > ORACLE_PAGES * PAGE_SIZE)
				in[i].len = ORACLE_PAGES * PAGE_SIZE - in[i].base;
			if (rand() % 2)
				in[i].type = BOOT_MEM_RAM;
			add(in[i].base, in[i].len, in[i].type);
		}
		for (u32 p = 0; p < ORACLE_PAGES; p++) {
			want[p] = oracle_page(in, n, p);
			ram += want[p] == BOOT_MEM_RAM;
		}
		assert_int_equal(check(), ram > 0 ? 0 : -TERN_EINVAL);
		refused += ram == 0;
		for (u32 i = 0; i < bi.mem_count; i++) {
			const struct boot_mem *e = &bi.mem[i];

			assert_true(e->len > 0 && e->base % PAGE_SIZE == 0 &&
				    e->len % PAGE_SIZE == 0);
			if (i > 0) {
				const u64 end = e[-1].base + e[-1].len;

				assert_true(end < e->base ||
					    (end == e->base && e[-1].type != e->type));
			}
			for (u64 p = e->base / PAGE_SIZE; p < (e->base + e->len) / PAGE_SIZE; p++)
				got[p] = e->type;
		}
		assert_memory_equal(got, want, sizeof(want));
	}
	assert_in_range(refused, 1, 19000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_refuses_what_is_no_boot_info, setup),
		cmocka_unit_test_setup(test_sorts_and_merges, setup),
		cmocka_unit_test_setup(test_stronger_claim_wins_and_splits, setup),
		cmocka_unit_test_setup(test_ram_shrinks_the_rest_grows, setup),
		cmocka_unit_test_setup(test_wrap_and_limit, setup),
		cmocka_unit_test_setup(test_full_map_gives_up_ram, setup),
		cmocka_unit_test_setup(test_reservations_alone_fill_the_map, setup),
		cmocka_unit_test_setup(test_modules, setup),
		cmocka_unit_test_setup(test_strings_get_their_nul, setup),
		cmocka_unit_test_setup(test_screen, setup),
		cmocka_unit_test_setup(test_pointers, setup),
		cmocka_unit_test_setup(test_option, setup),
		cmocka_unit_test_setup(test_get_and_set, setup),
		cmocka_unit_test_setup(test_random_maps_against_oracle, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
