/* SPDX-License-Identifier: MIT */
/* links: hv/vm/linux_guest.c hv/vm/loader.c hv/mem/gmem.c hv/mem/gmem_access.c hv/mem/gmem_grant.c hv/mem/gmem_policy.c hv/mem/scrub.c arch/x86_64/npt.c arch/x86_64/vmx/ept.c hv/lock.c hv/lib/str.c hv/lib/fmt.c tests/fake/fake_frames.c tests/fake/fake_host.c */
/* Linux kernels: what is refused, and what a guest finds in its memory and registers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <arch/x86_64/vmx/ept.h>
#include <hv/vm/layout_guest.h>
#include <hv/vm/linux_guest.h>
#include <hv/vm/linux_regs.h>
#include <tern/err.h>
#include <tests/fake/fake_frames.h>
#include <tests/fake/fake_host.h>

#define KERNEL_OFF 1024u
#define KERNEL_LEN 0x1800u

/* Offsets of boot.rst: a second opinion. */
#define OFF_SETUP_SECTS 0x1f1u
#define OFF_SYSSIZE     0x1f4u
#define OFF_BOOT_FLAG   0x1feu
#define OFF_JUMP        0x200u
#define OFF_MAGIC       0x202u
#define OFF_VERSION     0x206u
#define OFF_LOADER      0x210u
#define OFF_LOADFLAGS   0x211u
#define OFF_RAMDISK     0x218u
#define OFF_CMDLINE     0x228u
#define OFF_INITRD_MAX  0x22cu
#define OFF_ALIGNMENT   0x230u
#define OFF_RELOCATABLE 0x234u
#define OFF_XLOADFLAGS  0x236u
#define OFF_CMDLINE_MAX 0x238u
#define OFF_PREF        0x258u
#define OFF_INIT_SIZE   0x260u
#define OFF_KERNEL_INFO 0x268u

static u8 file[KERNEL_OFF + KERNEL_LEN + 100];
static size_t file_len;
static struct gmem mem;
static char why[160];

static void flush(void *owner)
{
	(void)owner;
}

static void put16(u32 at, u16 v)
{
	memcpy(file + at, &v, sizeof(v));
}

static void put32(u32 at, u32 v)
{
	memcpy(file + at, &v, sizeof(v));
}

static void put64(u32 at, u64 v)
{
	memcpy(file + at, &v, sizeof(v));
}

static void memory(u64 high_len)
{
	fake_reset();
	fake_frames_reset(4096);
	assert_int_equal(gmem_create(&mem, &ept_format, flush, NULL), 0);
	assert_int_equal(gmem_add(&mem, gpa(0), GUEST_LOW_END, GMEM_RAM), 0);
	assert_int_equal(gmem_add(&mem, gpa(GUEST_ROM), GUEST_ROM_LEN, GMEM_ROM), 0);
	assert_int_equal(gmem_add(&mem, gpa(GUEST_HIGH), high_len, GMEM_RAM), 0);
}

static int setup(void **state)
{
	(void)state;
	memset(file, 0, sizeof(file));
	memset(file + KERNEL_OFF, 0x90, KERNEL_LEN);
	memset(file + KERNEL_OFF + KERNEL_LEN, 0xcc, 100); /* a signature, which is not loaded */
	file_len = sizeof(file);
	file[OFF_SETUP_SECTS] = 1;
	put32(OFF_SYSSIZE, KERNEL_LEN / 16);
	put16(OFF_BOOT_FLAG, 0xaa55);
	put16(OFF_JUMP, 0x6aeb);
	memcpy(file + OFF_MAGIC, "HdrS", 4);
	put16(OFF_VERSION, 0x20f);
	file[OFF_LOADFLAGS] = 1;
	put32(OFF_INITRD_MAX, 0x7fffffff);
	put32(OFF_ALIGNMENT, 0x200000);
	file[OFF_RELOCATABLE] = 1;
	put16(OFF_XLOADFLAGS, 0x7f);
	put32(OFF_CMDLINE_MAX, 2047);
	put64(OFF_PREF, 0x1000000);
	put32(OFF_INIT_SIZE, 0x3000);
	put32(OFF_KERNEL_INFO, 0x1234567);
	memory(MiB(31));
	return 0;
}

static void refused(const char *text)
{
	struct linux_image image;

	why[0] = '\0';
	assert_int_equal(linux_guest_check(file, file_len, &image, why, sizeof(why)), -TERN_EINVAL);
	if (strstr(why, text) == NULL)
		fail_msg("\"%s\" instead of \"%s\"", why, text);
	setup(NULL);
}

static void test_refused(void **state)
{
	(void)state;
	file_len = OFF_KERNEL_INFO - 1;
	refused("no setup header of a bzImage in its 615 bytes");
	put16(OFF_BOOT_FLAG, 0);
	refused("no setup header");
	file[OFF_MAGIC] = 'h';
	assert_false(linux_guest_is(file, file_len));
	refused("no setup header");
	put16(OFF_VERSION, 0x20b);
	refused("boot protocol 2.11, Tern wants 2.12");
	put16(OFF_JUMP, 0x65eb);
	refused("setup header ends at 0x267, too early for protocol 2.15");
	put16(OFF_JUMP, 0x6a90);
	refused("setup header ends at 0x200");
	file[OFF_LOADFLAGS] = 0x80;
	refused("loadflags 0x80 lack LOADED_HIGH");
	put16(OFF_XLOADFLAGS, 0x7e);
	refused("xloadflags 0x7e lack XLF_KERNEL_64");
	put32(OFF_ALIGNMENT, 0);
	refused("kernel_alignment 0x0 is no power of two");
	put32(OFF_ALIGNMENT, 0x300000);
	refused("kernel_alignment 0x300000 is no power of two");
	put32(OFF_SYSSIZE, 0x20);
	refused("syssize 0x20 leaves no room");
	put32(OFF_SYSSIZE, 0);
	refused("syssize 0x0 leaves no room");
	file_len = KERNEL_OFF + KERNEL_LEN - 16;
	refused("setup_sects 1 and syssize 0x180 make 7168 bytes, but the file has 7152: it was cut");
	file[OFF_SETUP_SECTS] = 0; /* means 4 */
	refused("make 8704 bytes");
	file[OFF_SETUP_SECTS] = 255;
	refused("it was cut");
	put32(OFF_SYSSIZE, UINT32_MAX);
	refused("make 68719477744 bytes");
	put32(OFF_INIT_SIZE, KERNEL_LEN - 1);
	refused("init_size 0x17ff is less than the kernel's 0x1800 bytes");
	put64(OFF_PREF, 0xff000);
	refused("pref_address 0xff000 with init_size 0x3000 does not lie between 1 MiB and 4 GiB");
	put64(OFF_PREF, UINT64_MAX - 5);
	refused("does not lie between");
	put64(OFF_PREF, GiB(4) - 0x2fff);
	refused("does not lie between");
}

static void test_checked(void **state)
{
	struct linux_image image;

	(void)state;
	put64(OFF_PREF, GiB(4) - 0x3000);
	put16(OFF_JUMP, 0xffeb);
	file_len = KERNEL_OFF + KERNEL_LEN;
	assert_true(linux_guest_is(file, file_len));
	assert_int_equal(linux_guest_check(file, file_len, &image, why, sizeof(why)), 0);
	assert_int_equal(image.header_end, 0x290);
	assert_int_equal(image.initrd_end, 0x80000000);
	assert_int_equal(image.kernel_off, KERNEL_OFF);
	assert_int_equal(image.kernel_len, KERNEL_LEN);
}

static u64 get(u64 at, u32 width)
{
	u64 v = 0;

	assert_int_equal(gmem_read(&mem, gpa(at), &v, width), 0);
	return v;
}

/* As memtest86+ is: its last paragraph is not full. */
static void test_last_paragraph_not_full(void **state)
{
	struct linux_image image;

	(void)state;
	file_len = KERNEL_OFF + KERNEL_LEN - 15;
	assert_int_equal(linux_guest_check(file, file_len, &image, why, sizeof(why)), 0);
	assert_int_equal(image.kernel_len, KERNEL_LEN - 15);
	file_len = KERNEL_OFF + KERNEL_LEN;
	assert_int_equal(linux_guest_check(file, file_len, &image, why, sizeof(why)), 0);
	assert_int_equal(image.kernel_len, KERNEL_LEN);
}

static void test_load(void **state)
{
	static const char initrd[5000] = "initrd";
	struct linux_boot boot = {.file = file,
				  .len = file_len,
				  .initrd = initrd,
				  .initrd_len = sizeof(initrd),
				  .cmdline = "console=ttyS0",
				  .rsdp = GUEST_ACPI};
	const u64 params = GUEST_INFO;
	struct linux_start start;
	char text[16];

	(void)state;
	assert_int_equal(linux_guest_load(&mem, &boot, &start, why, sizeof(why)), 0);
	assert_int_equal(start.entry, 0x1000200);
	assert_int_equal(start.params, params);
	assert_int_equal(get(0x1000000, 8), 0x9090909090909090ull);
	assert_int_equal(get(0x1000000 + KERNEL_LEN - 4, 8), 0x90909090);
	/* The header is there as the file has it, with the loader's fields. */
	assert_int_equal(get(params + OFF_MAGIC, 4), LINUX_HEADER_MAGIC);
	assert_int_equal(get(params + OFF_KERNEL_INFO, 4), 0x1234567);
	assert_int_equal(get(params + OFF_KERNEL_INFO + 4, 8), 0);
	assert_int_equal(get(params + 0x1ef, 2), 0); /* the sentinel is zero */
	assert_int_equal(get(params + OFF_LOADER, 1), 0xff);
	assert_int_equal(get(params + 0x214, 4), 0x1000000);
	assert_int_equal(get(params + 0x070, 8), GUEST_ACPI);
	assert_int_equal(get(params + OFF_CMDLINE, 4), GUEST_STRINGS);
	assert_int_equal(gmem_read(&mem, gpa(GUEST_STRINGS), text, 14), 0);
	assert_string_equal(text, "console=ttyS0");
	assert_int_equal(get(params + OFF_RAMDISK, 4), MiB(32) - 8192);
	assert_int_equal(get(params + OFF_RAMDISK + 4, 4), sizeof(initrd));
	assert_int_equal(gmem_read(&mem, gpa(MiB(32) - 8192), text, 7), 0);
	assert_string_equal(text, "initrd");
	/* The map. */
	assert_int_equal(get(params + 0x1e8, 1), 3);
	assert_int_equal(get(params + 0x2d0 + 8, 8), 0xa0000);
	assert_int_equal(get(params + 0x2d0 + 16, 4), 1);
	assert_int_equal(get(params + 0x2d0 + 20, 8), 0xe0000);
	assert_int_equal(get(params + 0x2d0 + 36, 4), 2);
	assert_int_equal(get(params + 0x2d0 + 40, 8), MiB(1));
	assert_int_equal(get(params + 0x2d0 + 48, 8), MiB(31));
	/* Kernel 2, initrd 2, boot_params, GDT, command line, page tables 6: nothing else is backed. */
	assert_int_equal(mem.backed, 13 * PAGE_SIZE);
}

/* As the CPU walks them (SDM vol. 3A figure 4-9): the first 4 GiB are mapped one to one, no more. */
static void test_page_tables(void **state)
{
	struct linux_boot boot = {.file = file, .len = file_len, .cmdline = ""};
	struct linux_start start;
	u64 gib;

	(void)state;
	assert_int_equal(linux_guest_load(&mem, &boot, &start, why, sizeof(why)), 0);
	assert_int_equal(get(GUEST_TABLES, 8) & 0xfff, 3);
	gib = get(GUEST_TABLES, 8) & ~0xfffull;
	for (u64 at = 0; at < GiB(4); at += MiB(2)) {
		u64 e = get(gib + 8 * (at >> 30), 8);

		assert_int_equal(e & 0xfff, 3);
		e = get((e & ~0xfffull) + 8 * (at >> 21 & 511), 8);
		assert_int_equal(e, at | 0x83);
	}
	assert_int_equal(get(gib + 8 * 4, 8), 0);
	assert_int_equal(get(GUEST_TABLES + 8, 8), 0);
	assert_int_equal(get(GUEST_GDT + 0x10, 8), 0x00af9b000000ffff);
	assert_int_equal(get(GUEST_GDT + 0x18, 8), 0x00cf93000000ffff);
	assert_int_equal(get(GUEST_INFO + OFF_RAMDISK, 8), 0);
}

static void no_room(struct linux_boot *boot, const char *text)
{
	struct linux_start start;

	assert_int_equal(linux_guest_load(&mem, boot, &start, why, sizeof(why)), -TERN_EINVAL);
	if (strstr(why, text) == NULL)
		fail_msg("\"%s\" instead of \"%s\"", why, text);
	assert_int_equal(mem.backed, 0);
}

static void test_no_room(void **state)
{
	static char line[3000];
	struct linux_boot boot = {.file = file, .len = file_len, .cmdline = "", .initrd = file};
	struct linux_start start;

	(void)state;
	put32(OFF_INIT_SIZE, MiB(16) + 1);
	no_room(&boot, "it wants 16384 KiB of memory at 0x1000000, and the VM does not have them");
	put32(OFF_INIT_SIZE, MiB(8));
	boot.initrd_len = MiB(8) + 1;
	no_room(&boot, "its initrd of 8192 KiB does not fit between the kernel's end 0x1800000 and "
		       "0x80000000: give the VM more memory");
	boot.initrd_len = UINT64_MAX;
	no_room(&boot, "does not fit between");
	boot.initrd_len = 4096;
	put32(OFF_INITRD_MAX, 0x1800ffe);
	no_room(&boot, "between the kernel's end 0x1800000 and 0x1800fff");
	put32(OFF_INITRD_MAX, 0x1800fff);
	assert_int_equal(linux_guest_load(&mem, &boot, &start, why, sizeof(why)), 0);
	setup(NULL);
	memset(line, 'x', 2048);
	boot.cmdline = line;
	no_room(&boot, "its command line has 2048 characters, 2047 are allowed");
	put32(OFF_CMDLINE_MAX, 2048);
	assert_int_equal(linux_guest_load(&mem, &boot, &start, why, sizeof(why)), 0);
	setup(NULL);
	boot.cmdline = "";
	fake_frames_left = 6;
	assert_int_equal(linux_guest_load(&mem, &boot, &start, why, sizeof(why)), -TERN_ENOMEM);
	assert_non_null(strstr(why, "the node has no memory left"));
}

/* A kernel that can be moved goes above a hole at its place; one that cannot is refused. */
static void test_moved(void **state)
{
	struct linux_boot boot = {.file = file, .len = file_len, .cmdline = ""};
	struct linux_start start;

	(void)state;
	memory(MiB(4));
	assert_int_equal(gmem_add(&mem, gpa(MiB(17)), MiB(8), GMEM_RAM), 0);
	file[OFF_RELOCATABLE] = 0;
	no_room(&boot, "it wants 12 KiB of memory at 0x1000000");
	file[OFF_RELOCATABLE] = 1;
	assert_int_equal(linux_guest_load(&mem, &boot, &start, why, sizeof(why)), 0);
	assert_int_equal(start.entry, MiB(18) + 0x200);
	assert_int_equal(get(GUEST_INFO + 0x214, 4), MiB(18));
	put32(OFF_ALIGNMENT, 1u << 31);
	boot.len = file_len;
	assert_int_equal(linux_guest_load(&mem, &boot, &start, why, sizeof(why)), -TERN_EINVAL);
}

/* 64 TiB are advertised; the initrd stays below what the kernel allows. */
static void test_huge(void **state)
{
	struct linux_boot boot = {
		.file = file, .len = file_len, .cmdline = "", .initrd = file, .initrd_len = 16};
	struct linux_start start;

	(void)state;
	memory(GUEST_HOLE - GUEST_HIGH);
	assert_int_equal(gmem_add(&mem, gpa(GUEST_ABOVE), GiB(65536) - GUEST_HOLE, GMEM_RAM), 0);
	assert_int_equal(linux_guest_load(&mem, &boot, &start, why, sizeof(why)), 0);
	assert_int_equal(get(GUEST_INFO + OFF_RAMDISK, 4), GiB(2) - 4096);
	assert_int_equal(get(GUEST_INFO + 0x1e8, 1), 4);
	assert_int_equal(get(GUEST_INFO + 0x2d0 + 60, 8), GiB(4));
	assert_int_equal(get(GUEST_INFO + 0x2d0 + 68, 8), GiB(65536) - GiB(3));
	setup(NULL);
	memory(GUEST_HOLE - GUEST_HIGH);
	assert_int_equal(gmem_add(&mem, gpa(GUEST_ABOVE), GiB(1), GMEM_RAM), 0);
	put32(OFF_INITRD_MAX, UINT32_MAX);
	assert_int_equal(linux_guest_load(&mem, &boot, &start, why, sizeof(why)), 0);
	assert_int_equal(get(GUEST_INFO + OFF_RAMDISK, 4), GiB(3) - 4096);
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
	linux_guest_registers(&ops, NULL,
			      &(struct linux_start){.entry = 0x1000200, .params = 0x2000});
	assert_int_equal(regs[REG_RIP], 0x1000200);
	assert_int_equal(regs[REG_RSI], 0x2000);
	assert_int_equal(regs[REG_RFLAGS], 2);
	assert_int_equal(regs[REG_CR0] & 0x80000001, 0x80000001);
	assert_int_equal(regs[REG_CR3], GUEST_TABLES);
	assert_int_equal(regs[REG_CR4], 0x20);
	assert_int_equal(regs[REG_EFER], 0x500);
	assert_int_equal(segs[SEG_CS].selector, 0x10);
	assert_int_equal(segs[SEG_CS].attr, 0xa09b); /* 64-bit: L set, D clear */
	assert_int_equal(segs[SEG_CS].limit, UINT32_MAX);
	for (u32 s = SEG_ES; s <= SEG_GS; s++) {
		if (s == SEG_CS)
			continue;
		assert_int_equal(segs[s].selector, 0x18);
		assert_int_equal(segs[s].attr, 0xc093);
		assert_int_equal(segs[s].base, 0);
	}
	assert_int_equal(segs[SEG_GDTR].base, GUEST_GDT);
	assert_int_equal(segs[SEG_GDTR].limit, 31);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_refused, setup),
		cmocka_unit_test_setup(test_checked, setup),
		cmocka_unit_test_setup(test_last_paragraph_not_full, setup),
		cmocka_unit_test_setup(test_load, setup),
		cmocka_unit_test_setup(test_page_tables, setup),
		cmocka_unit_test_setup(test_no_room, setup),
		cmocka_unit_test_setup(test_moved, setup),
		cmocka_unit_test_setup(test_huge, setup),
		cmocka_unit_test_setup(test_registers, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
