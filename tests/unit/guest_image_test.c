/* SPDX-License-Identifier: MIT */
/* links: hv/vm/guest_image.c hv/vm/linux_guest.c hv/vm/pvh_guest.c hv/vm/mb1_guest.c hv/vm/loader.c hv/lib/elf.c hv/mem/gmem.c hv/mem/gmem_access.c hv/mem/gmem_grant.c hv/mem/gmem_policy.c hv/mem/scrub.c arch/x86_64/npt.c arch/x86_64/vmx/ept.c hv/lock.c hv/lib/str.c hv/lib/fmt.c tests/fake/fake_frames.c tests/fake/fake_host.c */
/* Which loader gets a file, and that its start gets to the registers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <arch/x86_64/vmx/ept.h>
#include <hv/lib/elf_regs.h>
#include <hv/vm/guest_image.h>
#include <hv/vm/layout_guest.h>
#include <hv/vm/linux_regs.h>
#include <hv/vm/mb1_regs.h>
#include <hv/vm/pvh_regs.h>
#include <tern/err.h>
#include <tests/fake/fake_frames.h>
#include <tests/fake/fake_host.h>

static struct {
	u8 setup[LINUX_HEADER_AT];
	struct linux_header h;
	u8 rest[2048 - LINUX_HEADER_AT - sizeof(struct linux_header)];
	u8 kernel[1024];
} bzimage;
static struct {
	struct elf32_header h;
	struct elf32_segment p[2];
	struct elf_note_header note;
	char name[4];
	u32 entry;
	u8 code[16];
} elf;
static struct mb1_header mb1;
static struct gmem mem;
static struct guest_start start;
static char why[160];

static void flush(void *owner)
{
	(void)owner;
}

static void make_bzimage(void)
{
	memset(&bzimage, 0, sizeof(bzimage));
	bzimage.h = (struct linux_header){
		.setup_sects = 3,
		.syssize = sizeof(bzimage.kernel) / 16,
		.boot_flag = LINUX_BOOT_FLAG,
		.jump = 0xeb,
		.jump_len = 0x66,
		.header = LINUX_HEADER_MAGIC,
		.version = 0x20c,
		.loadflags = 1,
		.initrd_addr_max = 0x7fffffff,
		.xloadflags = 1,
		.cmdline_size = 255,
		.pref_address = MiB(1),
		.init_size = 4096,
	};
}

static void make_elf(void)
{
	static const u8 ident[7] = {0x7f, 'E', 'L', 'F', 1, 1, 1};

	memset(&elf, 0, sizeof(elf));
	memcpy(elf.h.ident, ident, sizeof(ident));
	elf.h.type = ELF_TYPE_EXECUTABLE;
	elf.h.machine = ELF_MACHINE_386;
	elf.h.phoff = offsetof(__typeof__(elf), p);
	elf.h.phentsize = sizeof(elf.p[0]);
	elf.h.phnum = 2;
	elf.p[0] = (struct elf32_segment){.type = ELF_SEGMENT_LOAD,
					  .offset = offsetof(__typeof__(elf), code),
					  .paddr = MiB(1),
					  .filesz = 16,
					  .memsz = 16};
	elf.p[1] = (struct elf32_segment){
		.type = ELF_SEGMENT_NOTE, .offset = offsetof(__typeof__(elf), note), .filesz = 20};
	elf.note = (struct elf_note_header){.name_len = 4, .desc_len = 4, .type = 18};
	memcpy(elf.name, "Xen", 4);
	elf.entry = MiB(1) + 4;
}

static int setup(void **state)
{
	(void)state;
	make_bzimage();
	make_elf();
	mb1 = (struct mb1_header){.magic = MB1_HEADER_MAGIC,
				  .flags = MB1_ADDRESSES,
				  .checksum = 0u - MB1_HEADER_MAGIC - MB1_ADDRESSES,
				  .header_addr = MiB(1),
				  .load_addr = MiB(1),
				  .entry_addr = MiB(1) + 8};
	memset(&start, 0, sizeof(start));
	fake_reset();
	fake_frames_reset(256);
	assert_int_equal(gmem_create(&mem, &ept_format, flush, NULL), 0);
	assert_int_equal(gmem_add(&mem, gpa(0), GUEST_LOW_END, GMEM_RAM), 0);
	assert_int_equal(gmem_add(&mem, gpa(GUEST_ROM), GUEST_ROM_LEN, GMEM_ROM), 0);
	assert_int_equal(gmem_add(&mem, gpa(MiB(1)), MiB(1), GMEM_RAM), 0);
	return 0;
}

static int load(const void *file, size_t len)
{
	const struct guest_image_config c = {
		.file = file, .len = len, .cmdline = "x", .rsdp = GUEST_ACPI};

	return guest_image_load(&mem, &c, &start, why, sizeof(why));
}

static u64 regs[REG_COUNT];

static void reg_set(UNUSED struct vcpu *vc, enum vcpu_reg reg, u64 value)
{
	regs[reg] = value;
}

static void seg_set(UNUSED struct vcpu *vc, UNUSED enum vcpu_segment seg,
		    UNUSED const struct vcpu_seg *in)
{
}

static void registers(void)
{
	const struct virt_ops ops = {.reg_set = reg_set, .seg_set = seg_set};

	memset(regs, 0, sizeof(regs));
	guest_image_registers(&ops, NULL, &start);
	assert_int_equal(regs[REG_RIP], start.entry);
}

static u64 get(u64 at)
{
	u64 v = 0;

	assert_int_equal(gmem_read(&mem, gpa(at), &v, sizeof(v)), 0);
	return v;
}

static void test_linux(void **state)
{
	(void)state;
	assert_int_equal(load(&bzimage, sizeof(bzimage)), 0);
	assert_false(guest_image_is_mb1(&bzimage, sizeof(bzimage)));
	assert_string_equal(guest_protocol_name(start.protocol), "Linux");
	assert_int_equal(start.entry, MiB(1) + 0x200);
	assert_int_equal(get(start.info + LINUX_PARAMS_RSDP), GUEST_ACPI);
	registers();
	assert_int_equal(regs[REG_RSI], start.info);
	assert_int_equal(regs[REG_EFER], LINUX_EFER);
}

static void test_pvh(void **state)
{
	(void)state;
	assert_int_equal(load(&elf, sizeof(elf)), 0);
	assert_false(guest_image_is_mb1(&elf, sizeof(elf)));
	assert_string_equal(guest_protocol_name(start.protocol), "PVH");
	assert_int_equal(start.entry, MiB(1) + 4);
	assert_int_equal(get(start.info + offsetof(struct pvh_start_info, rsdp)), GUEST_ACPI);
	registers();
	assert_int_equal(regs[REG_RBX], start.info);
	assert_int_equal(regs[REG_RAX], 0);
}

static void test_mb1(void **state)
{
	(void)state;
	assert_int_equal(load(&mb1, sizeof(mb1)), 0);
	assert_true(guest_image_is_mb1(&mb1, sizeof(mb1)));
	assert_string_equal(guest_protocol_name(start.protocol), "Multiboot 1");
	assert_int_equal(start.entry, MiB(1) + 8);
	registers();
	assert_int_equal(regs[REG_RBX], start.info);
	assert_int_equal(regs[REG_RAX], 0x2badb002);
}

static void refused(const void *file, size_t len, const char *text)
{
	assert_int_equal(load(file, len), -TERN_EINVAL);
	if (strstr(why, text) == NULL)
		fail_msg("\"%s\" instead of \"%s\"", why, text);
	assert_int_equal(mem.backed, 0);
}

static void test_refused(void **state)
{
	(void)state;
	refused("#!/bin/sh\n", 10,
		"it is neither a Linux bzImage, nor an ELF kernel with a PVH entry, nor a "
		"Multiboot 1 kernel");
	refused("", 0, "it is neither");
	elf.note.type = 3;
	refused(&elf, sizeof(elf), "it has no note of a PVH entry");
	make_elf();
	refused(&elf, sizeof(elf) - 1, "segment 0 has 16 bytes at 0x88 of the file");
	bzimage.h.version = 0x20b;
	refused(&bzimage, sizeof(bzimage), "boot protocol 2.11");
	mb1.entry_addr = 0;
	refused(&mb1, sizeof(mb1), "its entry 0x0 lies outside");
}

/* What goes beside the kernel must be something that its protocol knows. */
static void test_companions(void **state)
{
	const struct guest_module module = {.data = "m", .len = 1, .name = "m", .args = ""};
	struct guest_image_config c = {.file = &bzimage,
				       .len = sizeof(bzimage),
				       .cmdline = "",
				       .module_count = 1,
				       .modules = &module};

	(void)state;
	assert_int_equal(guest_image_load(&mem, &c, &start, why, sizeof(why)), -TERN_EINVAL);
	assert_string_equal(why, "a Linux bzImage takes an initrd, not modules");
	c.file = &elf;
	c.len = sizeof(elf);
	c.initrd = "i";
	c.initrd_len = 1;
	assert_int_equal(guest_image_load(&mem, &c, &start, why, sizeof(why)), 0);
	assert_int_equal((u32)get(start.info + offsetof(struct pvh_start_info, module_count)), 2);
	c.file = &mb1;
	c.len = sizeof(mb1);
	assert_int_equal(guest_image_load(&mem, &c, &start, why, sizeof(why)), -TERN_EINVAL);
	assert_string_equal(why, "a Multiboot 1 kernel takes modules, not an initrd");
	c.initrd_len = 0;
	assert_int_equal(guest_image_load(&mem, &c, &start, why, sizeof(why)), 0);
	assert_int_equal(start.protocol, GUEST_MB1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_linux, setup),
		cmocka_unit_test_setup(test_pvh, setup),
		cmocka_unit_test_setup(test_mb1, setup),
		cmocka_unit_test_setup(test_refused, setup),
		cmocka_unit_test_setup(test_companions, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
