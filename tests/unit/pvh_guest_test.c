/* SPDX-License-Identifier: MIT */
/* links: hv/vm/pvh_guest.c hv/vm/loader.c hv/lib/elf.c hv/mem/gmem.c hv/mem/gmem_access.c hv/mem/gmem_grant.c hv/mem/gmem_policy.c hv/mem/scrub.c arch/x86_64/npt.c arch/x86_64/vmx/ept.c hv/lock.c hv/lib/str.c hv/lib/fmt.c tests/fake/fake_frames.c tests/fake/fake_host.c */
/* PVH kernels: what is refused, and what a guest finds in its memory and registers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <arch/x86_64/vmx/ept.h>
#include <hv/lib/elf_regs.h>
#include <hv/vm/layout_guest.h>
#include <hv/vm/pvh_guest.h>
#include <hv/vm/pvh_regs.h>
#include <tern/err.h>
#include <tests/fake/fake_frames.h>
#include <tests/fake/fake_host.h>

static struct {
	struct elf64_header h;
	struct elf64_segment p[3];
	struct {
		struct elf_note_header h;
		char name[4];
		u64 entry;
	} note;
	u8 data[4096];
} elf;
static struct {
	struct elf32_header h;
	struct elf32_segment p[2];
	struct {
		struct elf_note_header h;
		char name[4];
		u32 entry;
	} note;
	u8 data[16];
} elf32;
static struct gmem mem;
static char why[160];

static void flush(void *owner)
{
	(void)owner;
}

static int setup(void **state)
{
	static const u8 ident[7] = {0x7f, 'E', 'L', 'F', 2, 1, 1};

	(void)state;
	memset(&elf, 0, sizeof(elf));
	memcpy(elf.h.ident, ident, sizeof(ident));
	elf.h.type = ELF_TYPE_EXECUTABLE;
	elf.h.machine = ELF_MACHINE_X86_64;
	elf.h.entry = 0xffffffff81000000;
	elf.h.phoff = offsetof(__typeof__(elf), p);
	elf.h.phentsize = sizeof(elf.p[0]);
	elf.h.phnum = 3;
	elf.p[0] = (struct elf64_segment){.type = ELF_SEGMENT_LOAD,
					  .offset = offsetof(__typeof__(elf), data),
					  .vaddr = 0xffffffff81000000,
					  .paddr = MiB(2),
					  .filesz = 0x800,
					  .memsz = 0x800};
	elf.p[1] = elf.p[0];
	elf.p[1].paddr += 0x1000;
	elf.p[1].memsz = 0x3000;
	elf.p[2] = (struct elf64_segment){.type = ELF_SEGMENT_NOTE,
					  .offset = offsetof(__typeof__(elf), note),
					  .filesz = sizeof(elf.note),
					  .align = 4};
	elf.note.h = (struct elf_note_header){.name_len = 4, .desc_len = 8, .type = 18};
	memcpy(elf.note.name, "Xen", 4);
	elf.note.entry = MiB(2) + 0x10;
	memset(elf.data, 0x90, sizeof(elf.data));
	fake_reset();
	fake_frames_reset(1024);
	assert_int_equal(gmem_create(&mem, &ept_format, flush, NULL), 0);
	assert_int_equal(gmem_add(&mem, gpa(0), GUEST_LOW_END, GMEM_RAM), 0);
	assert_int_equal(gmem_add(&mem, gpa(GUEST_ROM), GUEST_ROM_LEN, GMEM_ROM), 0);
	assert_int_equal(gmem_add(&mem, gpa(MiB(1)), MiB(2), GMEM_RAM), 0);
	return 0;
}

static void refused(const char *text)
{
	struct elf_file out;
	u32 entry;

	assert_int_equal(pvh_guest_check(&elf, sizeof(elf), &out, &entry, why, sizeof(why)),
			 -TERN_EINVAL);
	if (strstr(why, text) == NULL)
		fail_msg("\"%s\" instead of \"%s\"", why, text);
	setup(NULL);
}

static void test_refused(void **state)
{
	(void)state;
	assert_true(pvh_guest_is(&elf, sizeof(elf)));
	elf.h.ident[0] = 0;
	assert_false(pvh_guest_is(&elf, sizeof(elf)));
	refused("not a little-endian ELF file");
	elf.h.machine = 3;
	refused("machine 3");
	elf.note.h.type = 17;
	assert_false(pvh_guest_is(&elf, sizeof(elf)));
	refused("it has no note of a PVH entry (Xen, type 18)");
	elf.note.name[0] = 'x';
	refused("no note");
	elf.note.h.desc_len = 9;
	refused("its notes do not fit their segment");
	elf.note.h.desc_len = 2;
	refused("its note of a PVH entry has 2 bytes, not 4 or 8");
	elf.p[0].paddr = MiB(1) - 1;
	refused("the segment for 0xfffff lies below 1 MiB, where the boot information goes");
	elf.p[1].paddr = GiB(4) - 0x2fff;
	refused("the segment for 0xffffd001 reaches past 4 GiB");
	elf.note.entry = MiB(2) - 1;
	refused("its PVH entry 0x1fffff lies outside of what is loaded");
	elf.note.entry = MiB(2) + 0x800;
	refused("its PVH entry 0x200800 lies outside");
	elf.note.entry = GiB(4) + MiB(2);
	refused("its PVH entry 0x100200000 lies outside");
	elf.h.phnum = 0;
	refused("no note of a PVH entry");
}

static u64 get(u64 at, u32 width)
{
	u64 v = 0;

	assert_int_equal(gmem_read(&mem, gpa(at), &v, width), 0);
	return v;
}

static void assert_text(u64 at, const char *text)
{
	char got[64];

	assert_int_equal(gmem_read(&mem, gpa(at), got, strlen(text) + 1), 0);
	assert_string_equal(got, text);
}

static void test_load(void **state)
{
	const struct guest_module modules[] = {
		{.data = "first", .len = 6, .name = "one", .args = "x y"},
		{.data = "second", .len = 7, .name = "two", .args = ""},
	};
	struct pvh_boot boot = {.file = &elf,
				.len = sizeof(elf),
				.initrd = "initrd",
				.initrd_len = 7,
				.cmdline = "hello",
				.module_count = 2,
				.modules = modules,
				.rsdp = GUEST_ACPI};
	struct pvh_start_info info;
	struct pvh_modlist_entry mods[3];
	struct pvh_memmap_entry map[3];
	struct pvh_start start;

	(void)state;
	assert_int_equal(pvh_guest_load(&mem, &boot, &start, why, sizeof(why)), 0);
	assert_int_equal(start.entry, MiB(2) + 0x10);
	assert_int_equal(gmem_read(&mem, gpa(start.info), &info, sizeof(info)), 0);
	assert_int_equal(info.magic, 0x336ec578);
	assert_int_equal(info.version, 1);
	assert_int_equal(info.flags, 0);
	assert_int_equal(info.module_count, 3);
	assert_int_equal(info.rsdp, GUEST_ACPI);
	assert_int_equal(info.map_count, 3);
	assert_text(info.cmdline, "hello");
	assert_int_equal(gmem_read(&mem, gpa(info.modules), mods, sizeof(mods)), 0);
	assert_int_equal(mods[0].base, MiB(3) - PAGE_SIZE);
	assert_int_equal(mods[0].len, 7);
	assert_int_equal(mods[0].cmdline, 0);
	assert_text(mods[0].base, "initrd");
	assert_int_equal(mods[1].base, MiB(3) - 2 * PAGE_SIZE);
	assert_text(mods[1].base, "first");
	assert_text(mods[1].cmdline, "one x y");
	assert_text(mods[2].base, "second");
	assert_text(mods[2].cmdline, "two");
	assert_int_equal(gmem_read(&mem, gpa(info.map), map, sizeof(map)), 0);
	assert_int_equal(map[0].type, 1);
	assert_int_equal(map[0].len, 0xa0000);
	assert_int_equal(map[1].type, 2);
	assert_int_equal(map[1].base, 0xe0000);
	assert_int_equal(map[2].base, MiB(1));
	assert_int_equal(map[2].len, MiB(2));
	/* What is not in the file is zero; kernel 2, modules 3, tables, strings: no more is backed. */
	assert_int_equal(get(MiB(2) + 0x7fc, 8), 0x90909090);
	assert_int_equal(mem.backed, 7 * PAGE_SIZE);
}

/* The 32-bit class, with an entry of 4 bytes. */
static void test_elf32(void **state)
{
	struct pvh_boot boot = {.file = &elf32, .len = sizeof(elf32), .cmdline = ""};
	struct pvh_start start;

	(void)state;
	memset(&elf32, 0, sizeof(elf32));
	memcpy(elf32.h.ident, elf.h.ident, 7);
	elf32.h.ident[4] = 1;
	elf32.h.type = ELF_TYPE_EXECUTABLE;
	elf32.h.machine = ELF_MACHINE_386;
	elf32.h.phoff = offsetof(__typeof__(elf32), p);
	elf32.h.phentsize = sizeof(elf32.p[0]);
	elf32.h.phnum = 2;
	elf32.p[0] = (struct elf32_segment){.type = ELF_SEGMENT_LOAD,
					    .offset = offsetof(__typeof__(elf32), data),
					    .paddr = MiB(1),
					    .filesz = 16,
					    .memsz = 16};
	elf32.p[1] = (struct elf32_segment){.type = ELF_SEGMENT_NOTE,
					    .offset = offsetof(__typeof__(elf32), note),
					    .filesz = sizeof(elf32.note)};
	elf32.note.h = (struct elf_note_header){.name_len = 4, .desc_len = 4, .type = 18};
	memcpy(elf32.note.name, "Xen", 4);
	elf32.note.entry = MiB(1) + 4;
	memset(elf32.data, 0xf4, sizeof(elf32.data));
	assert_true(pvh_guest_is(&elf32, sizeof(elf32)));
	assert_int_equal(pvh_guest_load(&mem, &boot, &start, why, sizeof(why)), 0);
	assert_int_equal(start.entry, MiB(1) + 4);
	assert_int_equal(get(MiB(1), 8), 0xf4f4f4f4f4f4f4f4ull);
	assert_int_equal(get(start.info + 12, 4), 0); /* no module */
}

static void no_room(const struct pvh_boot *boot, const char *text)
{
	struct pvh_start start;

	assert_int_equal(pvh_guest_load(&mem, boot, &start, why, sizeof(why)), -TERN_EINVAL);
	if (strstr(why, text) == NULL)
		fail_msg("\"%s\" instead of \"%s\"", why, text);
	setup(NULL);
}

static void test_no_room(void **state)
{
	static char line[GUEST_STRINGS_LEN + 1];
	static const struct guest_module module = {.data = "m", .len = 1, .name = "m", .args = ""};
	struct pvh_boot boot = {.file = &elf, .len = sizeof(elf), .cmdline = "", .initrd = line};
	struct pvh_start start;

	(void)state;
	elf.p[1].memsz = MiB(2);
	no_room(&boot, "it wants memory at 0x201000-0x400fff, and the VM has none there");
	boot.initrd_len = MiB(1) - 0x4000 + 1;
	no_room(&boot, "a module of 1008 KiB does not fit between 0x204000 and 0x100000000: give "
		       "the VM more memory");
	boot.initrd_len = 0;
	boot.module_count = 9;
	no_room(&boot, "more than 8 modules");
	boot.module_count = 1;
	boot.modules = &module;
	memset(line, 'x', GUEST_STRINGS_LEN - 1);
	boot.cmdline = line;
	no_room(&boot, "command line and module strings exceed 65536 bytes");
	boot.module_count = 0;
	assert_int_equal(pvh_guest_load(&mem, &boot, &start, why, sizeof(why)), 0);
	line[GUEST_STRINGS_LEN - 1] = 'x';
	no_room(&boot, "command line and module strings exceed 65536 bytes");
	boot.cmdline = "";
	fake_frames_left = 3;
	assert_int_equal(pvh_guest_load(&mem, &boot, &start, why, sizeof(why)), -TERN_ENOMEM);
	assert_non_null(strstr(why, "the node has no memory left"));
}

static u64 regs[REG_COUNT];
static struct vcpu_seg segs[SEG_COUNT];

static void reg_set(UNUSED struct vcpu *vc, enum vcpu_reg reg, u64 value)
{
	regs[reg] = value;
}

static void seg_set(UNUSED struct vcpu *vc, enum vcpu_segment seg, const struct vcpu_seg *in)
{
	segs[seg] = *in;
}

static void test_registers(void **state)
{
	const struct virt_ops ops = {.reg_set = reg_set, .seg_set = seg_set};

	(void)state;
	pvh_guest_registers(&ops, NULL, &(struct pvh_start){.entry = 0x200010, .info = 0x2000});
	assert_int_equal(regs[REG_RIP], 0x200010);
	assert_int_equal(regs[REG_RBX], 0x2000);
	assert_int_equal(regs[REG_RFLAGS], 2);
	assert_int_equal(regs[REG_CR0], 0x11);
	assert_int_equal(segs[SEG_CS].attr, 0xc09b);
	for (u32 s = SEG_ES; s <= SEG_GS; s++) {
		assert_int_equal(segs[s].base, 0);
		assert_int_equal(segs[s].limit, UINT32_MAX);
		assert_int_equal(segs[s].attr, s == SEG_CS ? 0xc09b : 0xc093);
	}
	assert_int_equal(segs[SEG_TR].limit, 0x67);
	assert_int_equal(segs[SEG_TR].attr, 0x8b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_refused, setup),
		cmocka_unit_test_setup(test_load, setup),
		cmocka_unit_test_setup(test_elf32, setup),
		cmocka_unit_test_setup(test_no_room, setup),
		cmocka_unit_test_setup(test_registers, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
