/* SPDX-License-Identifier: MIT */
/* links: boot/efi/elf_load.c hv/lib/elf.c boot/efi/boot_cfg.c hv/lib/toml.c hv/lib/str.c hv/lib/fmt.c */
/* The pure parts of ternboot.efi: the ELF reader, the [boot] table, the load options. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <abi/boot_info.h>
#include <boot/efi/boot_cfg.h>
#include <boot/efi/elf_load.h>
#include <cmocka.h>
#include <tern/err.h>

#define PHOFF 52u

/* Offsets in the ELF header and in a program header, from the gABI: a second opinion. */
#define E_CLASS     4u
#define E_TYPE      16u
#define E_MACHINE   18u
#define E_PHOFF     28u
#define E_PHENTSIZE 42u
#define E_PHNUM     44u
#define P_OFFSET    4u
#define P_PADDR     12u
#define P_FILESZ    16u
#define P_MEMSZ     20u

static u8 file[16384];
static size_t file_len;
static struct elf_load elf;
static char why[160];

static void put16(size_t at, u16 v)
{
	memcpy(file + at, &v, sizeof(v));
}

static void put32(size_t at, u32 v)
{
	memcpy(file + at, &v, sizeof(v));
}

static void segment(u32 i, u32 type, u32 offset, u32 paddr, u32 filesz, u32 memsz)
{
	const u32 p[8] = {type, offset, 0, paddr, filesz, memsz, 5, 4096};

	memcpy(file + PHOFF + 32 * i, p, sizeof(p));
}

static void image_header(size_t at, u64 magic, u64 size, u32 entry, u32 version)
{
	const struct tern_image_header h = {magic, size, entry, version};

	memcpy(file + at, &h, sizeof(h));
}

/* Two segments: code at 2 MiB with the image header at 64, data and .bss behind a gap. */
static int setup(void **state)
{
	static const u8 ident[] = {0x7f, 'E', 'L', 'F', 1, 1, 1};

	(void)state;
	memset(file, 0xee, sizeof(file));
	memset(file, 0, 1024);
	memcpy(file, ident, sizeof(ident));
	put16(E_TYPE, 2);
	put16(E_MACHINE, 3);
	put32(E_PHOFF, PHOFF);
	put16(E_PHENTSIZE, 32);
	put16(E_PHNUM, 3);
	segment(0, 0x6474e551, 0, 0, 0, 0); /* GNU_STACK: not ours to load */
	segment(1, 1, 4096, 0x200000, 4096, 4096);
	segment(2, 1, 8192, 0x202000, 100, 0x5000);
	image_header(4096 + 64, TERN_IMAGE_MAGIC, 0x8000, 0x120, 1);
	file_len = 8192 + 100;
	return 0;
}

static int load(void)
{
	/* An allocation of the exact size: AddressSanitizer sees a read past the end. */
	u8 *copy = malloc(file_len > 0 ? file_len : 1);
	int rc;

	assert_non_null(copy);
	memcpy(copy, file, file_len);
	why[0] = '\0';
	rc = elf_load_check(copy, file_len, &elf, why, sizeof(why));
	if (rc == 0) {
		u8 *image = malloc(elf.image_size);

		assert_non_null(image);
		elf_load_copy(copy, &elf, image);
		free(image);
	}
	free(copy);
	return rc;
}

static void refused(const char *reason)
{
	assert_int_equal(load(), -TERN_EINVAL);
	assert_non_null(strstr(why, reason));
}

static void test_good_image(void **state)
{
	u8 image[0x8000];

	(void)state;
	assert_int_equal(load(), 0);
	assert_int_equal(elf.link_base, 0x200000);
	assert_int_equal(elf.image_size, 0x8000); /* the header tells more than the segments */
	assert_int_equal(elf.entry64_offset, 0x120);
	assert_int_equal(elf.count, 2);
	memset(image, 0x55, sizeof(image));
	elf_load_copy(file, &elf, image);
	assert_memory_equal(image, file + 4096, 4096);
	assert_memory_equal(image + 0x2000, file + 8192, 100);
	for (size_t i = 4096; i < 0x2000; i++)
		assert_int_equal(image[i], 0);
	for (size_t i = 0x2000 + 100; i < sizeof(image); i++)
		assert_int_equal(image[i], 0);
}

static void test_bss_beyond_the_header(void **state)
{
	(void)state;
	image_header(4096 + 64, TERN_IMAGE_MAGIC, 0x1000, 0x120, 1);
	assert_int_equal(load(), 0);
	assert_int_equal(elf.image_size, 0x7000);
}

static void test_not_our_kind_of_file(void **state)
{
	file_len = 0;
	refused("only 0 bytes");
	file_len = 51;
	refused("only 51 bytes");
	setup(state);
	file[E_CLASS] = 2;
	refused("not a 32-bit");
	setup(state);
	file[0] = 'M';
	refused("not a 32-bit");
	setup(state);
	put16(E_TYPE, 3);
	refused("ELF type 3");
	setup(state);
	put16(E_MACHINE, 62);
	refused("machine 62");
	setup(state);
	put16(E_PHENTSIZE, 56);
	refused("56 bytes");
	setup(state);
	put16(E_PHNUM, 1);
	refused("nothing to load");
	setup(state);
	put16(E_PHNUM, 0);
	refused("nothing to load");
	setup(state);
	put16(E_PHNUM, 65535);
	refused("past its end");
	setup(state);
	put32(E_PHOFF, UINT32_MAX);
	refused("past its end");
}

static void test_cut_files(void **state)
{
	setup(state);
	for (size_t len = file_len; len-- > 0;) {
		file_len = len;
		assert_int_equal(load(), -TERN_EINVAL);
	}
	file_len = 8192 + 99;
	refused("segment 1 has 100 bytes at 0x2000 of the file, which has 0x2063: it was cut");
}

static void test_damaged_segments(void **state)
{
	put32(PHOFF + 32 + P_PADDR, 0x201000);
	refused("multiple of 2 MiB");
	setup(state);
	put32(PHOFF + 64 + P_FILESZ, 0x5001);
	refused("20481 bytes in the file but only 20480 in memory");
	setup(state);
	put32(PHOFF + 64 + P_OFFSET, UINT32_MAX);
	refused("it was cut");
	setup(state);
	put32(PHOFF + 64 + P_PADDR, 0x200fff);
	refused("the segments for 0x200000 and 0x200fff overlap");
	setup(state);
	put32(PHOFF + 64 + P_PADDR, 0);
	refused("below the end of the one before");
	setup(state);
	put32(PHOFF + 64 + P_MEMSZ, UINT32_MAX);
	refused("more than 64 MiB");
	setup(state);
	put32(PHOFF + 64 + P_PADDR, UINT32_MAX - 4);
	refused("more than 64 MiB");
	setup(state);
	put16(E_PHNUM, 20);
	for (u32 i = 0; i < 20; i++)
		segment(i, 1, 4096, 0x200000 + i * 4096, 4, 4);
	refused("more than 16 segments");
}

static void test_image_header(void **state)
{
	image_header(4096 + 64, TERN_IMAGE_MAGIC, 0x8000, 0x120, 2);
	refused("version 2, not 1");
	setup(state);
	image_header(4096 + 64, TERN_IMAGE_MAGIC, 0x8000, 4096, 1);
	refused("outside of its first segment");
	setup(state);
	image_header(4096 + 64, TERN_IMAGE_MAGIC, UINT64_MAX, 0x120, 1);
	refused("more than 64 MiB");
	setup(state);
	image_header(4096 + 64, BOOT_INFO_MAGIC, 0x8000, 0x120, 1);
	refused("no Tern image header");
	image_header(4096 + 68, TERN_IMAGE_MAGIC, 0x8000, 0x120, 1);
	refused("no Tern image header"); /* not on an 8-byte boundary */
	image_header(4096 + 4080, TERN_IMAGE_MAGIC, 0x8000, 0x120, 1);
	refused("no Tern image header"); /* does not end within the search */
	image_header(4096 + 4072, TERN_IMAGE_MAGIC, 0x8000, 0x120, 1);
	assert_int_equal(load(), 0);
}

static struct boot_cfg cfg;
static struct toml_error err;

static int parse(const char *text)
{
	return boot_cfg_parse(text, strlen(text), &cfg, &err);
}

static void test_boot_table(void **state)
{
	(void)state;
	assert_int_equal(parse(""), 0);
	assert_false(cfg.given);
	assert_int_equal(parse("[vm.web]\nmodules = 7\nanything = true\n"), 0);
	assert_false(cfg.given);
	assert_int_equal(parse("[boot]\n"), 0);
	assert_true(cfg.given);
	assert_int_equal(cfg.module_count, 0);
	assert_int_equal(parse("[node]\nname = \"a\"\n[boot]\ncmdline = \"log=debug\"\n"
			       "modules = [\"vmlinuz quiet\", \"img/initrd\"]\n"),
			 0);
	assert_int_equal(cfg.module_count, 2);
	assert_string_equal(cfg.modules, "vmlinuz quiet");
	assert_string_equal(cfg.modules + 14, "img/initrd");
	assert_string_equal(cfg.cmdline, "log=debug");
}

static void test_boot_table_errors(void **state)
{
	char text[1200] = "[boot]\ncmdline = \"";

	(void)state;
	assert_int_equal(parse("[boot]\ncmdline = \"x\"\nmodules = \"vmlinuz\"\n"), -TERN_EINVAL);
	assert_int_equal(err.line, 3);
	assert_int_equal(err.col, 11);
	assert_false(cfg.given);
	assert_string_equal(cfg.cmdline, "");
	assert_int_equal(parse("[boot]\ncmdline = true\n"), -TERN_EINVAL);
	assert_int_equal(parse("[boot]\n  module = [\"x\"]\n"), -TERN_EINVAL);
	assert_int_equal(err.line, 2);
	assert_int_equal(err.col, 3);
	assert_non_null(strstr(err.text, "'module'"));
	assert_int_equal(parse("[boot]\nmodules = [\"a\", \"\"]\n"), -TERN_EINVAL);
	assert_non_null(strstr(err.text, "module 2"));
	assert_int_equal(parse("[boot]\nmodules = [\" a\"]\n"), -TERN_EINVAL);
	assert_int_equal(parse("[boot\n"), -TERN_EINVAL);
	memset(text + strlen(text), 'x', BOOT_CMDLINE_MAX);
	strcat(text, "\"\n");
	assert_int_equal(parse(text), -TERN_EINVAL);
}

/* Appends text, given as ASCII, to a command line of 32 bytes. */
static bool options(char *cmdline, const char *text)
{
	u16 wide[128];
	size_t n = 0;

	for (; text[n] != '\0'; n++)
		wide[n] = (u16)text[n];
	wide[n] = 0;
	return boot_cfg_options(cmdline, 32, wide, n + 1);
}

static void test_load_options(void **state)
{
	static const char *const named[] = {
		"ternboot.efi a=1",   "TERNBOOT a=1",    "fs0:\\efi\\boot\\BOOTX64.EFI a=1",
		"fs1:ternboot   a=1", "/x/Ternboot a=1", "a=1",
	};
	const u16 binary[] = {0x1234, 'x', 0};
	const u16 no_nul[] = {'a', '=', '1'};
	char line[32];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(named); i++) {
		strcpy(line, "b");
		assert_true(options(line, named[i]));
		assert_string_equal(line, "b a=1");
	}
	line[0] = '\0';
	assert_true(options(line, "myternboot x"));
	assert_string_equal(line, "myternboot x");
	line[0] = '\0';
	assert_true(options(line, ""));
	assert_true(options(line, ".efi"));
	assert_true(options(line, "   "));
	assert_string_equal(line, "");
	assert_true(boot_cfg_options(line, sizeof(line), no_nul, 3));
	assert_string_equal(line, "a=1");
	assert_false(boot_cfg_options(line, sizeof(line), binary, 3));
	assert_false(options(line, "one\ttwo"));
	assert_false(options(line, "0123456789012345678901234567")); /* one byte too long */
	assert_string_equal(line, "a=1");
	assert_true(options(line, "012345678901234567890123456"));
	assert_int_equal(strlen(line), 31);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_good_image, setup),
		cmocka_unit_test_setup(test_bss_beyond_the_header, setup),
		cmocka_unit_test_setup(test_not_our_kind_of_file, setup),
		cmocka_unit_test_setup(test_cut_files, setup),
		cmocka_unit_test_setup(test_damaged_segments, setup),
		cmocka_unit_test_setup(test_image_header, setup),
		cmocka_unit_test(test_boot_table),
		cmocka_unit_test(test_boot_table_errors),
		cmocka_unit_test(test_load_options),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
