/* SPDX-License-Identifier: MIT */
/* links: boot/multiboot.c hv/lib/str.c hv/lib/fmt.c tests/fake/fake_host.c */
/* The Multiboot parsers over a small fake physical memory: good tables, then damaged ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <boot/multiboot_regs.h>
#include <cmocka.h>
#include <tern/err.h>
#include <tern/multiboot.h>

#define INFO   0x9000ull
#define MEMORY 0x40000ull

static u8 memory[MEMORY];
static u8 touched[MEMORY];
static u32 twice;
static struct boot_info bi;
static u64 top; /* where the next Multiboot 2 tag goes */

static bool read_memory(u64 pa, void *dst, size_t len, void *arg)
{
	assert_ptr_equal(arg, memory);
	if (pa > MEMORY || len > MEMORY - pa)
		return false;
	for (size_t i = 0; i < len; i++)
		twice += touched[pa + i]++ != 0;
	memcpy(dst, &memory[pa], len);
	return true;
}

static void put(u64 pa, const void *src, size_t len)
{
	assert_true(pa + len <= MEMORY);
	memcpy(&memory[pa], src, len);
}

static int parse1(void)
{
	memset(touched, 0, sizeof(touched));
	twice = 0;
	return multiboot1_parse(INFO, read_memory, memory, &bi);
}

static int setup(void **state)
{
	(void)state;
	memset(memory, 0, sizeof(memory));
	top = INFO + sizeof(struct mb2_info);
	return 0;
}

static u64 put_mb1_mmap(u64 pa, u64 base, u64 len, u32 type, u32 size)
{
	const struct mb1_mmap e = {.size = size, .base = base, .len = len, .type = type};

	put(pa, &e, sizeof(e));
	return pa + size + 4;
}

static void test_mb1_everything(void **state)
{
	const struct mb1_mod mods[] = {
		{0x100000, 0x180000, 0xb000, 0},
		{0x200000, 0x200000, 0xb100, 0},
		{0x300000, 0x300001, 0, 0},
	};
	const struct mb1_framebuffer fb = {
		{GiB(3), 4096, 1024, 768, 32, MB_FB_RGB},
		{16, 8, 8, 8, 0, 8},
	};
	struct mb1_info info = {
		.flags = MB1_MEMORY | MB1_CMDLINE | MB1_MODS | MB1_MMAP | MB1_LOADER_NAME |
			 MB1_FRAMEBUFFER,
		.mem_lower = 640,
		.mem_upper = 1024,
		.cmdline = 0xa000,
		.mods_count = 3,
		.mods_addr = 0xa800,
		.mmap_addr = 0xc000,
		.loader_name = 0xa400,
	};
	u64 pa = info.mmap_addr;

	(void)state;
	pa = put_mb1_mmap(pa, 0, 0x9fc00, 1, 20);
	pa = put_mb1_mmap(pa, MiB(1), MiB(63), 1, 28); /* a longer entry, as ACPI 3.0 has it */
	pa = put_mb1_mmap(pa, MiB(64), MiB(1), 3, 20);
	pa = put_mb1_mmap(pa, MiB(65), MiB(1), 4, 20);
	pa = put_mb1_mmap(pa, MiB(66), MiB(1), 5, 20);
	pa = put_mb1_mmap(pa, MiB(67), MiB(1), 2, 20);
	pa = put_mb1_mmap(pa, MiB(68), MiB(1), 99, 20);
	pa = put_mb1_mmap(pa, MiB(69), 0, 1, 20);
	info.mmap_length = (u32)(pa - info.mmap_addr);
	put(INFO, &info, sizeof(info));
	put(INFO + sizeof(info), &fb, sizeof(fb));
	strcpy((char *)&memory[0xa000], "tftp://10.0.0.1/tern.elf?a=b  log=debug serial=com2");
	strcpy((char *)&memory[0xa400], "iPXE 1.0.0+");
	put(0xa800, mods, sizeof(mods));
	strcpy((char *)&memory[0xb000], "http://srv/boot/vmlinuz  console=ttyS0 root=/dev/sda");
	strcpy((char *)&memory[0xb100], "tern.toml");

	assert_int_equal(parse1(), 0);
	assert_int_equal(twice, 0);
	assert_int_equal(bi.magic, BOOT_INFO_MAGIC);
	assert_int_equal(bi.version, BOOT_INFO_VERSION);
	assert_int_equal(bi.size, sizeof(bi));
	assert_int_equal(bi.loader, BOOT_MULTIBOOT1);
	assert_string_equal(bi.loader_name, "iPXE 1.0.0+");
	assert_string_equal(bi.cmdline, "log=debug serial=com2");
	assert_int_equal(bi.mem_count, 7);
	assert_int_equal(bi.mem[0].len, 0x9fc00);
	for (u32 i = 0; i < 7; i++) {
		static const u32 types[] = {BOOT_MEM_RAM,      BOOT_MEM_RAM, BOOT_MEM_ACPI_RECLAIM,
					    BOOT_MEM_ACPI_NVS, BOOT_MEM_BAD, BOOT_MEM_RESERVED,
					    BOOT_MEM_RESERVED};

		assert_int_equal(bi.mem[i].type, types[i]);
	}
	assert_int_equal(bi.module_count, 3);
	assert_string_equal(bi.modules[0].name, "vmlinuz");
	assert_string_equal(bi.modules[0].args, "console=ttyS0 root=/dev/sda");
	assert_int_equal(bi.modules[0].base, 0x100000);
	assert_int_equal(bi.modules[0].len, 0x80000);
	assert_string_equal(bi.modules[1].name, "tern.toml");
	assert_string_equal(bi.modules[1].args, "");
	assert_int_equal(bi.modules[1].len, 0);
	assert_string_equal(bi.modules[2].name, "module2");
	assert_int_equal(bi.fb.base, GiB(3));
	assert_int_equal(bi.fb.pitch, 4096);
	assert_int_equal(bi.fb.red_shift, 16);
	assert_int_equal(bi.fb.green_shift, 8);
	assert_int_equal(bi.text_screen, 0);
	assert_int_equal(bi.rsdp, 0);
}

static void test_mb1_basic_memory_only(void **state)
{
	const struct mb1_info info = {.flags = MB1_MEMORY, .mem_lower = 639, .mem_upper = 65536};

	(void)state;
	put(INFO, &info, sizeof(info));
	assert_int_equal(parse1(), 0);
	assert_int_equal(bi.mem_count, 2);
	assert_int_equal(bi.mem[0].len, KiB(639));
	assert_int_equal(bi.mem[1].base, MiB(1));
	assert_int_equal(bi.mem[1].len, MiB(64));
	assert_int_equal(bi.text_screen, 1);
	assert_string_equal(bi.cmdline, "");
}

static void test_mb1_nothing_usable(void **state)
{
	struct mb1_info info = {.flags = 0, .mem_upper = 65536};

	(void)state;
	put(INFO, &info, sizeof(info));
	assert_int_equal(parse1(), -TERN_EINVAL);
	assert_int_equal(multiboot1_parse(MEMORY - 8, read_memory, memory, &bi), -TERN_EINVAL);
	assert_int_equal(multiboot1_parse(GiB(4), read_memory, memory, &bi), -TERN_EINVAL);
	info.flags = MB1_MMAP;
	info.mmap_addr = UINT32_MAX;
	info.mmap_length = UINT32_MAX;
	put(INFO, &info, sizeof(info));
	assert_int_equal(parse1(), -TERN_EINVAL);
}

static void test_mb1_damaged_map(void **state)
{
	struct mb1_info info = {.flags = MB1_MMAP, .mmap_addr = 0xc000, .mmap_length = 72};
	u64 pa;

	(void)state;
	put(INFO, &info, sizeof(info));
	pa = put_mb1_mmap(0xc000, 0, MiB(1), 1, 20);
	pa = put_mb1_mmap(pa, MiB(1), MiB(1), 1, UINT32_MAX - 3); /* would step by 2^32 */
	assert_int_equal(parse1(), 0);
	assert_int_equal(bi.mem_count, 2);

	put_mb1_mmap(0xc000 + 24, MiB(1), MiB(1), 1, 19); /* too short to be one */
	assert_int_equal(parse1(), 0);
	assert_int_equal(bi.mem_count, 1);

	info.mmap_length = 24 + 23; /* cut in an entry */
	put(INFO, &info, sizeof(info));
	put_mb1_mmap(0xc000 + 24, MiB(1), MiB(1), 1, 20);
	assert_int_equal(parse1(), 0);
	assert_int_equal(bi.mem_count, 1);

	info.mmap_addr = (u32)MEMORY - 24; /* goes on past the end of memory */
	info.mmap_length = UINT32_MAX;
	put(INFO, &info, sizeof(info));
	put_mb1_mmap(MEMORY - 24, 0, MiB(1), 1, 20);
	assert_int_equal(parse1(), 0);
	assert_int_equal(bi.mem_count, 1);
}

/* More entries than fit: reservations all stay, the smallest RAM goes. */
static void test_mb1_too_many_entries(void **state)
{
	struct mb1_info info = {.flags = MB1_MMAP, .mmap_addr = 0x10000};
	u64 pa = info.mmap_addr;
	u32 reserved = 0;

	(void)state;
	for (u32 i = 0; i < 600; i++)
		pa = put_mb1_mmap(pa, MiB(i), MiB(1) - i, i < 300 ? 1 : 2, 20);
	pa = put_mb1_mmap(pa, MiB(600), MiB(900), 1, 20);
	info.mmap_length = (u32)(pa - info.mmap_addr);
	put(INFO, &info, sizeof(info));
	assert_int_equal(parse1(), 0);
	assert_int_equal(bi.mem_count, BOOT_MEM_MAX);
	assert_int_equal(bi.mem_dropped, 601 - BOOT_MEM_MAX);
	for (u32 i = 0; i < bi.mem_count; i++) {
		reserved += bi.mem[i].type == BOOT_MEM_RESERVED;
		assert_true(bi.mem[i].type != BOOT_MEM_RAM || bi.mem[i].len > MiB(1) - 212);
	}
	assert_int_equal(reserved, 300);
}

static void test_mb1_many_modules_and_long_strings(void **state)
{
	const struct mb1_mod mod = {0x1000, 0x2000, 0x20000, 0};
	struct mb1_info info = {
		.flags = MB1_MEMORY | MB1_MODS | MB1_CMDLINE | MB1_LOADER_NAME,
		.mem_upper = 1,
		.mods_count = UINT32_MAX,
		.mods_addr = 0xa000,
		.cmdline = 0x20000,
		.loader_name = (u32)MEMORY - 5,
	};

	(void)state;
	for (u32 i = 0; i < 40; i++)
		put(0xa000 + i * sizeof(mod), &mod, sizeof(mod));
	memset(&memory[0x20000], 'x', MEMORY - 0x20000); /* no NUL up to the end of memory */
	put(INFO, &info, sizeof(info));
	assert_int_equal(parse1(), 0);
	assert_int_equal(bi.module_count, BOOT_MODULES_MAX);
	assert_true(bi.module_dropped >= 8);
	assert_int_equal(strlen(bi.modules[0].name), BOOT_NAME_MAX - 1);
	assert_int_equal(strlen(bi.cmdline), BOOT_CMDLINE_MAX - 1);
	assert_string_equal(bi.loader_name, "xxxxx");
}

static void test_mb1_framebuffers_not_ours(void **state)
{
	const struct mb1_info info = {.flags = MB1_MEMORY | MB1_FRAMEBUFFER, .mem_upper = 1};
	struct mb1_framebuffer fb = {{0xb8000, 160, 80, 25, 16, MB_FB_EGA_TEXT}, {0}};

	(void)state;
	put(INFO, &info, sizeof(info));
	put(INFO + sizeof(info), &fb, sizeof(fb));
	assert_int_equal(parse1(), 0);
	assert_int_equal(bi.text_screen, 1);
	assert_int_equal(bi.fb.base, 0);
	fb = (struct mb1_framebuffer){{GiB(3), 3072, 1024, 768, 24, MB_FB_RGB},
				      {16, 8, 8, 8, 0, 8}};
	put(INFO + sizeof(info), &fb, sizeof(fb));
	assert_int_equal(parse1(), 0);
	assert_int_equal(bi.text_screen, 0);
	assert_int_equal(bi.fb.base, 0);
	fb.fb.bpp = 32;
	fb.rgb.red_size = 10;
	put(INFO + sizeof(info), &fb, sizeof(fb));
	assert_int_equal(parse1(), 0);
	assert_int_equal(bi.fb.base, 0);
}

/* Multiboot 2: writes one tag, returns where its body lies. */
static u64 tag(u32 type, const void *body, size_t len)
{
	const struct mb2_tag t = {.type = type, .size = (u32)(sizeof(t) + len)};
	const u64 at = top + sizeof(t);

	put(top, &t, sizeof(t));
	put(at, body, len);
	top = align_up(at + len, MB2_TAG_ALIGN);
	return at;
}

static int parse2(void)
{
	const struct mb2_info info = {.total_size = (u32)(top - INFO)};

	put(INFO, &info, sizeof(info));
	memset(touched, 0, sizeof(touched));
	twice = 0;
	return multiboot2_parse(INFO, read_memory, memory, &bi);
}

static void tag_mmap(u32 entry_size, u64 base, u64 len, u32 type)
{
	u8 body[8 + 64] = {0};
	const struct mb2_table t = {.entry_size = entry_size};
	const struct mb2_mmap e = {.base = base, .len = len, .type = type};

	memcpy(body, &t, sizeof(t));
	memcpy(body + sizeof(t), &e, sizeof(e));
	tag(MB2_TAG_MMAP, body, sizeof(t) + entry_size);
}

static void tag_module(u32 start, u32 end, const char *string)
{
	u8 body[600];
	const struct mb2_module m = {start, end};

	memcpy(body, &m, sizeof(m));
	strcpy((char *)body + sizeof(m), string);
	tag(MB2_TAG_MODULE, body, sizeof(m) + strlen(string) + 1);
}

static void test_mb2_everything(void **state)
{
	const struct mb2_framebuffer fb = {
		{GiB(3), 4096, 1024, 768, 32, MB_FB_RGB},
		0,
		{16, 8, 8, 8, 0, 8},
	};
	const struct mb2_memory basic = {640, 99};
	const u64 efi = 0x7ff0018;
	const u32 load_base = 0x400000;
	const u8 rsdp[RSDP_NEW_LEN] = "RSD PTR ";
	u64 new_rsdp;

	(void)state;
	tag(MB2_TAG_CMDLINE, "log=debug", 10);
	tag(MB2_TAG_LOADER_NAME, "GRUB 2.06", 10);
	tag_module(0x100000, 0x180000, "vmlinuz console=ttyS0");
	tag_module(0x200000, 0x200010, "");
	tag(MB2_TAG_MEMORY, &basic, sizeof(basic));
	tag_mmap(24, 0, MiB(64), 1);
	tag_mmap(40, MiB(64), MiB(1), 3);
	tag(MB2_TAG_FRAMEBUFFER, &fb, sizeof(fb));
	tag(MB2_TAG_EFI64, &efi, sizeof(efi));
	tag(MB2_TAG_RSDP_OLD, rsdp, RSDP_OLD_LEN);
	new_rsdp = tag(MB2_TAG_RSDP_NEW, rsdp, RSDP_NEW_LEN);
	tag(MB2_TAG_RSDP_OLD, rsdp, RSDP_OLD_LEN);
	tag(MB2_TAG_LOAD_BASE, &load_base, sizeof(load_base));
	tag(1234, "unknown", 8);
	tag(MB2_TAG_END, "", 0);
	tag_module(0x300000, 0x300010, "after-the-end");
	assert_int_equal(parse2(), 0);
	assert_int_equal(twice, 0);
	assert_int_equal(bi.loader, BOOT_MULTIBOOT2);
	assert_string_equal(bi.cmdline, "log=debug");
	assert_string_equal(bi.loader_name, "GRUB 2.06");
	assert_int_equal(bi.module_count, 2);
	assert_string_equal(bi.modules[0].name, "vmlinuz");
	assert_string_equal(bi.modules[0].args, "console=ttyS0");
	assert_int_equal(bi.modules[0].len, 0x80000);
	assert_string_equal(bi.modules[1].name, "module1");
	assert_int_equal(bi.mem_count, 2);
	assert_int_equal(bi.mem[1].type, BOOT_MEM_ACPI_RECLAIM);
	assert_int_equal(bi.fb.base, GiB(3));
	assert_int_equal(bi.fb.red_shift, 16);
	assert_int_equal(bi.efi_system_table, efi);
	assert_int_equal(bi.rsdp, new_rsdp);
	assert_int_equal(bi.text_screen, 0);
}

static void put_efi(u8 *body, u32 i, u32 type, u64 base, u64 pages, u64 attribute)
{
	/* struct efi_mem, spelled out: a second opinion on its layout. */
	memcpy(body + 8 + i * 48, &type, 4);
	memcpy(body + 8 + i * 48 + 8, &base, 8);
	memcpy(body + 8 + i * 48 + 24, &pages, 8);
	memcpy(body + 8 + i * 48 + 32, &attribute, 8);
}

static void test_mb2_efi_map_when_no_other(void **state)
{
	static const u32 want[] = {
		BOOT_MEM_RESERVED, BOOT_MEM_RAM,          BOOT_MEM_RAM,      BOOT_MEM_RAM,
		BOOT_MEM_RAM,      BOOT_MEM_RESERVED,     BOOT_MEM_RESERVED, BOOT_MEM_RAM,
		BOOT_MEM_BAD,      BOOT_MEM_ACPI_RECLAIM, BOOT_MEM_ACPI_NVS, BOOT_MEM_MMIO,
		BOOT_MEM_MMIO,     BOOT_MEM_RESERVED,     BOOT_MEM_RESERVED, BOOT_MEM_RESERVED,
	};
	u8 body[8 + 19 * 48] = {48, 0, 0, 0, 1};

	(void)state;
	for (u32 i = 0; i < 16; i++)
		put_efi(body, i, i, MiB(i), 256, 0);
	put_efi(body, 16, 7, MiB(16), 256, 1ull << 63);
	put_efi(body, 17, 7, MiB(17), UINT64_MAX, 0); /* more bytes than 64 bits count */
	put_efi(body, 18, 9, MiB(18), 256, 0);
	tag(MB2_TAG_EFI_MMAP, body, sizeof(body));
	assert_int_equal(parse2(), 0);
	assert_int_equal(bi.mem_count, 18);
	for (u32 i = 0; i < 16; i++) {
		assert_int_equal(bi.mem[i].base, MiB(i));
		assert_int_equal(bi.mem[i].len, MiB(1));
		assert_int_equal(bi.mem[i].type, want[i]);
	}
	assert_int_equal(bi.mem[16].type, BOOT_MEM_RESERVED);
	assert_int_equal(bi.mem[17].base, MiB(18));

	tag_mmap(24, 0, MiB(64), 1);
	assert_int_equal(parse2(), 0);
	assert_int_equal(bi.mem_count, 1);
}

static void test_mb2_fallbacks(void **state)
{
	const struct mb2_memory basic = {640, 1024};

	assert_int_equal(parse2(), -TERN_EINVAL);
	tag(MB2_TAG_MEMORY, &basic, sizeof(basic));
	assert_int_equal(parse2(), 0);
	assert_int_equal(bi.mem_count, 2);
	assert_int_equal(bi.mem[1].len, MiB(1));
	assert_int_equal(bi.text_screen, 1); /* a BIOS, and nobody set a mode */
	assert_int_equal(multiboot2_parse(INFO + 4, read_memory, memory, &bi), -TERN_EINVAL);
	assert_int_equal(multiboot2_parse(MEMORY, read_memory, memory, &bi), -TERN_EINVAL);
	assert_int_equal(multiboot2_parse(UINT64_MAX - 7, read_memory, memory, &bi), -TERN_EINVAL);
	setup(state);
	tag(MB2_TAG_MEMORY, &basic, 7); /* too short */
	assert_int_equal(parse2(), -TERN_EINVAL);
}

static void test_mb2_damaged_tags(void **state)
{
	static const u32 sizes[] = {0, 7, 0x80000000, UINT32_MAX};
	const u8 rsdp[RSDP_NEW_LEN] = {0};
	struct mb2_tag t = {.type = MB2_TAG_MODULE};
	u64 damaged;

	for (u32 i = 0; i < ARRAY_SIZE(sizes); i++) {
		setup(state);
		tag_mmap(24, 0, MiB(64), 1);
		damaged = top;
		tag_module(1, 2, "x");
		tag_module(1, 2, "y");
		t.size = sizes[i];
		put(damaged, &t, sizeof(t));
		assert_int_equal(parse2(), 0);
		assert_int_equal(bi.mem_count, 1);
		assert_int_equal(bi.module_count, 0);
	}
	setup(state);
	tag_mmap(0, 0, MiB(64), 1); /* an entry size of 0 must not go round for ever */
	tag_mmap(19, 0, MiB(64), 1);
	tag_mmap(24, 0, MiB(64), 1);
	tag(MB2_TAG_MODULE, "1234567", 7);
	tag(MB2_TAG_MODULE, "\0\0\0\1\0\0\0\2/a/no-nul", 17);
	tag(MB2_TAG_RSDP_OLD, rsdp, RSDP_OLD_LEN - 1);
	tag(MB2_TAG_RSDP_NEW, rsdp, RSDP_NEW_LEN - 1);
	tag(MB2_TAG_EFI64, rsdp, 4);
	tag(MB2_TAG_FRAMEBUFFER, rsdp, 21);
	tag(MB2_TAG_CMDLINE, "abcd", 2); /* no NUL within the tag */
	assert_int_equal(parse2(), 0);
	assert_int_equal(bi.mem_count, 1);
	assert_int_equal(bi.module_count, 1);
	assert_string_equal(bi.modules[0].name, "no-nul");
	assert_int_equal(bi.rsdp, 0);
	assert_int_equal(bi.efi_system_table, 0);
	assert_int_equal(bi.fb.base, 0);
	assert_string_equal(bi.cmdline, "ab");
}

static void test_mb2_ega_text_and_end_of_memory(void **state)
{
	const struct mb_framebuffer fb = {0xb8000, 160, 80, 25, 16, MB_FB_EGA_TEXT};
	const struct mb2_info huge = {.total_size = UINT32_MAX};

	(void)state;
	tag_mmap(24, 0, MiB(64), 1);
	tag(MB2_TAG_FRAMEBUFFER, &fb, sizeof(fb));
	assert_int_equal(parse2(), 0);
	assert_int_equal(bi.text_screen, 1);
	assert_int_equal(bi.fb.base, 0);
	put(INFO, &huge, sizeof(huge));
	assert_int_equal(multiboot2_parse(INFO, read_memory, memory, &bi), 0);
	assert_int_equal(bi.mem_count, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_mb1_everything, setup),
		cmocka_unit_test_setup(test_mb1_basic_memory_only, setup),
		cmocka_unit_test_setup(test_mb1_nothing_usable, setup),
		cmocka_unit_test_setup(test_mb1_damaged_map, setup),
		cmocka_unit_test_setup(test_mb1_too_many_entries, setup),
		cmocka_unit_test_setup(test_mb1_many_modules_and_long_strings, setup),
		cmocka_unit_test_setup(test_mb1_framebuffers_not_ours, setup),
		cmocka_unit_test_setup(test_mb2_everything, setup),
		cmocka_unit_test_setup(test_mb2_efi_map_when_no_other, setup),
		cmocka_unit_test_setup(test_mb2_fallbacks, setup),
		cmocka_unit_test_setup(test_mb2_damaged_tags, setup),
		cmocka_unit_test_setup(test_mb2_ega_text_and_end_of_memory, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
