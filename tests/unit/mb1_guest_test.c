/* SPDX-License-Identifier: MIT */
/* links: hv/vm/mb1_guest.c hv/vm/loader.c hv/lib/elf.c hv/mem/gmem.c hv/mem/gmem_access.c hv/mem/gmem_grant.c hv/mem/gmem_policy.c hv/mem/scrub.c arch/x86_64/npt.c arch/x86_64/vmx/ept.c hv/lock.c hv/lib/str.c hv/lib/fmt.c tests/fake/fake_frames.c tests/fake/fake_host.c */
/* Multiboot 1 kernels: what is refused, and what a guest finds in its memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <arch/x86_64/vmx/ept.h>
#include <hv/lib/elf_regs.h>
#include <hv/vm/mb1_guest.h>
#include <hv/vm/mb1_regs.h>
#include <tern/err.h>
#include <tests/fake/fake_frames.h>
#include <tests/fake/fake_host.h>

static struct {
	struct elf32_header h;
	struct elf32_segment p[2];
	u32 header[3];
	u8 data[4096];
} elf;
static struct gmem mem;
static char why[160];

static void flush(void *owner)
{
	(void)owner;
}

static int setup(void **state)
{
	static const u8 ident[7] = {0x7f, 'E', 'L', 'F', 1, 1, 1};

	(void)state;
	memset(&elf, 0, sizeof(elf));
	memcpy(elf.h.ident, ident, sizeof(ident));
	elf.h.type = ELF_TYPE_EXECUTABLE;
	elf.h.machine = ELF_MACHINE_386;
	elf.h.entry = 0xc0100010;
	elf.h.phoff = offsetof(__typeof__(elf), p);
	elf.h.phentsize = sizeof(elf.p[0]);
	elf.h.phnum = 2;
	elf.header[0] = MB1_HEADER_MAGIC;
	elf.header[1] = MB1_NEED_PAGES | MB1_NEED_MEMORY;
	elf.header[2] = 0u - elf.header[0] - elf.header[1];
	memset(elf.data, 0x90, sizeof(elf.data));
	elf.p[0] = (struct elf32_segment){.type = ELF_SEGMENT_LOAD,
					  .offset = offsetof(__typeof__(elf), data),
					  .vaddr = 0xc0100000,
					  .paddr = 0x100000,
					  .filesz = 0x800,
					  .memsz = 0x800};
	elf.p[1] = elf.p[0];
	elf.p[1].vaddr += 0x1000;
	elf.p[1].paddr += 0x1000;
	elf.p[1].memsz = 0x3000;
	fake_reset();
	fake_frames_reset(1024);
	assert_int_equal(gmem_create(&mem, &ept_format, flush, NULL), 0);
	assert_int_equal(gmem_add(&mem, gpa(0), 0xa0000, GMEM_RAM), 0);
	assert_int_equal(gmem_add(&mem, gpa(MiB(1)), MiB(1), GMEM_RAM), 0);
	return 0;
}

static void refused(const char *text)
{
	struct mb1_image image;

	assert_int_equal(mb1_guest_check(&elf, sizeof(elf), &image, why, sizeof(why)),
			 -TERN_EINVAL);
	if (strstr(why, text) == NULL)
		fail_msg("\"%s\" instead of \"%s\"", why, text);
	setup(NULL);
}

static void test_refused(void **state)
{
	(void)state;
	elf.header[2]++;
	refused("no Multiboot 1 header");
	elf.header[1] |= 4;
	elf.header[2] -= 4;
	refused("wants features 0x7");
	elf.h.ident[4] = 2;
	refused("neither a 32-bit ELF");
	elf.h.machine = 62;
	refused("machine 62");
	elf.h.phentsize = 56;
	refused("56 bytes, not 32");
	elf.h.phnum = 0xffff;
	refused("program headers lie past");
	elf.h.phoff = UINT32_MAX;
	refused("program headers lie past");
	elf.p[0].filesz = 0x801;
	refused("2049 bytes in the file but only 2048 in memory");
	elf.p[1].offset = UINT32_MAX;
	refused("of the file, which has 0x1080: it was cut");
	elf.p[1].paddr = 0x100400;
	refused("overlap");
	elf.p[1].paddr = UINT32_MAX - 0x1000;
	refused("past 4 GiB");
	elf.h.entry = 0x100010;
	refused("entry 0x100010 lies in no segment");
	elf.h.phnum = 0;
	refused("lies in no segment");
}

static void test_load(void **state)
{
	const struct guest_module modules[] = {
		{.data = "first", .len = 5, .name = "one", .args = "x y"},
		{.data = "second!", .len = 7, .name = "two", .args = ""},
	};
	struct mb1_boot boot = {.file = &elf,
				.len = sizeof(elf),
				.cmdline = "hello",
				.module_count = 2,
				.modules = modules};
	struct mb1_start start;
	struct mb1_info info;
	struct mb1_mmap map[2];
	struct mb1_mod mods[2];
	char text[16];

	(void)state;
	assert_int_equal(mb1_guest_load(&mem, &boot, &start, why, sizeof(why)), 0);
	assert_int_equal(start.entry, 0x100010);
	assert_int_equal(start.info, 0x104000);
	assert_int_equal(gmem_read(&mem, gpa(start.info), &info, sizeof(info)), 0);
	assert_int_equal(info.flags, 0x24d);
	assert_int_equal(info.mem_lower, 640);
	assert_int_equal(info.mem_upper, 1024);
	assert_int_equal(gmem_read(&mem, gpa(info.cmdline), text, 6), 0);
	assert_string_equal(text, "hello");
	assert_int_equal(info.mmap_length, sizeof(map));
	assert_int_equal(gmem_read(&mem, gpa(info.mmap_addr), map, sizeof(map)), 0);
	assert_int_equal(map[0].size, 20);
	assert_int_equal(map[1].base, MiB(1));
	assert_int_equal(map[1].len, MiB(1));
	assert_int_equal(info.mods_count, 2);
	assert_int_equal(gmem_read(&mem, gpa(info.mods_addr), mods, sizeof(mods)), 0);
	assert_int_equal(mods[0].start % PAGE_SIZE, 0);
	assert_int_equal(mods[0].end - mods[0].start, 5);
	assert_int_equal(gmem_read(&mem, gpa(mods[1].start), text, 7), 0);
	assert_memory_equal(text, "second!", 7);
	assert_int_equal(gmem_read(&mem, gpa(mods[0].string), text, 8), 0);
	assert_string_equal(text, "one x y");
	/* What is not in the file is zero; only what was written is backed. */
	assert_int_equal(gmem_read(&mem, gpa(0x1017fe), text, 4), 0);
	assert_memory_equal(text, "\x90\x90\0\0", 4);
	assert_int_equal(mem.backed, 5 * PAGE_SIZE);
}

static void test_no_room(void **state)
{
	const struct guest_module module = {
		.data = elf.data, .len = MiB(1), .name = "m", .args = ""};
	struct mb1_boot boot = {.file = &elf,
				.len = sizeof(elf),
				.cmdline = "",
				.module_count = 1,
				.modules = &module};
	struct mb1_start start;

	(void)state;
	assert_int_equal(mb1_guest_load(&mem, &boot, &start, why, sizeof(why)), -TERN_EINVAL);
	assert_non_null(strstr(why, "give the VM more memory"));
	elf.p[1].memsz = MiB(2);
	assert_int_equal(mb1_guest_load(&mem, &boot, &start, why, sizeof(why)), -TERN_EINVAL);
	assert_non_null(strstr(why, "it wants memory at 0x101000-0x300fff"));
	elf.p[1].memsz = 0x3000;
	boot.module_count = 0;
	setup(NULL);
	fake_frames_left = 3;
	assert_int_equal(mb1_guest_load(&mem, &boot, &start, why, sizeof(why)), -TERN_ENOMEM);
	assert_non_null(strstr(why, "the node has no memory left"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_refused, setup),
		cmocka_unit_test_setup(test_load, setup),
		cmocka_unit_test_setup(test_no_room, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
