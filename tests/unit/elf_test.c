/* SPDX-License-Identifier: MIT */
/* links: hv/lib/elf.c hv/lib/str.c hv/lib/fmt.c */
/* The ELF reader, on both classes: what is refused, and what comes out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* The host's own layouts are a second opinion; their names for a class get out of the way. */
#include <linux/elf.h>
#undef ELF_CLASS
#include <tern/elf.h>
#include <tern/err.h>

#define DATA_OFF 4096u

static struct {
	Elf64_Ehdr h;
	Elf64_Phdr p[20];
	u8 pad[DATA_OFF - sizeof(Elf64_Ehdr) - 20 * sizeof(Elf64_Phdr)];
	u8 data[4096];
} wide;
static struct {
	Elf32_Ehdr h;
	Elf32_Phdr p[2];
} narrow;
static struct elf_file elf;
static char why[160];

static int setup(void **state)
{
	static const u8 ident[] = {0x7f, 'E', 'L', 'F', 2, 1, 1};

	(void)state;
	memset(&wide, 0, sizeof(wide));
	memcpy(wide.h.e_ident, ident, sizeof(ident));
	wide.h.e_type = 2;
	wide.h.e_machine = 62;
	wide.h.e_entry = 0xffffffff81000000;
	wide.h.e_phoff = offsetof(__typeof__(wide), p);
	wide.h.e_phentsize = sizeof(Elf64_Phdr);
	wide.h.e_phnum = 3;
	wide.p[0] = (Elf64_Phdr){.p_type = PT_LOAD,
				 .p_offset = DATA_OFF,
				 .p_vaddr = 0xffffffff81000000,
				 .p_paddr = 0x1000000,
				 .p_filesz = 0x100,
				 .p_memsz = 0x200};
	wide.p[1] = (Elf64_Phdr){
		.p_type = PT_LOAD, .p_offset = DATA_OFF, .p_paddr = 0x1000200, .p_memsz = 0x10};
	wide.p[2] = (Elf64_Phdr){
		.p_type = PT_NOTE, .p_offset = DATA_OFF + 0x400, .p_filesz = 0x100, .p_align = 4};
	memset(&narrow, 0, sizeof(narrow));
	memcpy(narrow.h.e_ident, ident, sizeof(ident));
	narrow.h.e_ident[4] = 1;
	narrow.h.e_type = 2;
	narrow.h.e_machine = 3;
	narrow.h.e_entry = 0x12345678;
	narrow.h.e_phoff = offsetof(__typeof__(narrow), p);
	narrow.h.e_phentsize = sizeof(Elf32_Phdr);
	narrow.h.e_phnum = 1;
	narrow.p[0] = (Elf32_Phdr){.p_type = PT_LOAD,
				   .p_offset = 4,
				   .p_vaddr = 0xc0100000,
				   .p_paddr = 0x100000,
				   .p_filesz = 8,
				   .p_memsz = 9};
	return 0;
}

/* In an allocation of the exact size: AddressSanitizer sees a read past the end. */
static int read(const void *file, size_t len, u32 classes)
{
	u8 *copy = malloc(len > 0 ? len : 1);
	int rc;

	assert_non_null(copy);
	memcpy(copy, file, len);
	why[0] = '\0';
	rc = elf_read(copy, len, classes, &elf, why, sizeof(why));
	free(copy);
	return rc;
}

static void refused_cut(size_t len, const char *text)
{
	assert_int_equal(read(&wide, len, ELF_32 | ELF_64), -TERN_EINVAL);
	if (strstr(why, text) == NULL)
		fail_msg("\"%s\" instead of \"%s\"", why, text);
	setup(NULL);
}

static void refused(const char *text)
{
	refused_cut(sizeof(wide), text);
}

static void test_read(void **state)
{
	(void)state;
	assert_int_equal(read(&wide, sizeof(wide), ELF_64), 0);
	assert_int_equal(elf.class, ELF_64);
	assert_int_equal(elf.entry, 0xffffffff81000000);
	assert_int_equal(elf.count, 2);
	assert_int_equal(elf.load[0].file_off, DATA_OFF);
	assert_int_equal(elf.load[0].file_len, 0x100);
	assert_int_equal(elf.load[0].mem_len, 0x200);
	assert_int_equal(elf.load[0].paddr, 0x1000000);
	assert_int_equal(elf.load[0].vaddr, 0xffffffff81000000);
	assert_int_equal(elf.notes_count, 1);
	assert_int_equal(read(&narrow, sizeof(narrow), ELF_32), 0);
	assert_int_equal(elf.class, ELF_32);
	assert_int_equal(elf.entry, 0x12345678);
	assert_int_equal(elf.count, 1);
	assert_int_equal(elf.load[0].file_off, 4);
	assert_int_equal(elf.load[0].file_len, 8);
	assert_int_equal(elf.load[0].vaddr, 0xc0100000);
	assert_int_equal(elf.load[0].paddr, 0x100000);
	assert_int_equal(elf.load[0].mem_len, 9);
	/* A segment without memory is none. */
	wide.p[1].p_memsz = 0;
	wide.p[1].p_offset = UINT64_MAX;
	assert_int_equal(read(&wide, sizeof(wide), ELF_64), 0);
	assert_int_equal(elf.count, 1);
}

static void test_class(void **state)
{
	(void)state;
	assert_int_equal(elf_class(&wide, 16), ELF_64);
	assert_int_equal(elf_class(&narrow, 16), ELF_32);
	assert_int_equal(elf_class(&narrow, 15), 0);
	wide.h.e_ident[5] = 2;
	assert_int_equal(elf_class(&wide, 16), 0);
	setup(state);
	wide.h.e_ident[4] = 3;
	assert_int_equal(elf_class(&wide, 16), 0);
	refused("it is not a little-endian ELF file");
	assert_int_equal(read(&wide, sizeof(wide), ELF_32), -TERN_EINVAL);
	assert_string_equal(why, "it is not a 32-bit little-endian ELF file");
	assert_int_equal(read(&narrow, sizeof(narrow), ELF_64), -TERN_EINVAL);
}

static void test_refused(void **state)
{
	(void)state;
	refused_cut(0, "it has only 0 bytes");
	refused_cut(63, "it has only 63 bytes");
	wide.h.e_type = 3;
	refused("ELF type 3 for machine 62, not an executable for x86-64");
	wide.h.e_machine = 3;
	refused("machine 3, not an executable for x86-64");
	wide.h.e_phentsize = 32;
	refused("program headers have 32 bytes, not 56");
	wide.h.e_phnum = 0xffff;
	refused("program headers lie past its end");
	wide.h.e_phoff = UINT64_MAX - 55;
	refused("program headers lie past its end");
	wide.h.e_phoff = sizeof(wide) - 2 * 56;
	refused("program headers lie past its end");
	wide.p[0].p_filesz = 0x201;
	refused("segment 0 has 513 bytes in the file but only 512 in memory");
	wide.p[1].p_offset = UINT64_MAX;
	refused("segment 1 has 0 bytes at 0xffffffffffffffff of the file, which has 0x2000");
	wide.p[0].p_offset = sizeof(wide) - 0xff;
	refused("segment 0 has 256 bytes at 0x1f01 of the file, which has 0x2000: it was cut");
	wide.p[1].p_paddr = 0x10001ff;
	refused("the segments for 0x1000000 and 0x10001ff overlap");
	wide.p[1].p_paddr = 0xfffff8;
	refused("overlap");
	wide.p[1].p_paddr = UINT64_MAX - 0xf;
	refused("segment 1, 0x10 bytes for 0xfffffffffffffff0, wraps around");
	wide.p[1].p_vaddr = UINT64_MAX;
	refused("wraps around");
	wide.p[2].p_filesz = UINT64_MAX;
	refused("segment of notes 0 has 18446744073709551615 bytes at 0x1400 of the file");
	wide.h.e_phnum = 20;
	for (u32 i = 0; i < 20; i++)
		wide.p[i] = (Elf64_Phdr){.p_type = PT_LOAD, .p_paddr = i * 16, .p_memsz = 16};
	refused("more than 16 segments");
	wide.h.e_phnum = 5;
	for (u32 i = 0; i < 5; i++)
		wide.p[i] = wide.p[2];
	refused("more than 4 segments of notes");
	narrow.p[0].p_paddr = UINT32_MAX; /* 64 bits hold it: not the reader's to refuse */
	assert_int_equal(read(&narrow, sizeof(narrow), ELF_32), 0);
}

/* A note at offset at of the notes; returns the next offset. */
static u32 note(u32 at, const char *name, u32 name_len, u32 type, const void *desc, u32 len)
{
	const u32 h[3] = {name_len, len, type};
	u8 *p = wide.data + 0x400 + at;

	memcpy(p, h, sizeof(h));
	memcpy(p + 12, name, name_len);
	memcpy(p + 12 + ((name_len + 3) & ~3u), desc, len);
	return at + 12 + ((name_len + 3) & ~3u) + ((len + 3) & ~3u);
}

static int find(const char *name, u32 type, u64 *desc)
{
	*desc = 0;
	assert_int_equal(read(&wide, sizeof(wide), ELF_64), 0);
	return elf_note(&wide, &elf, name, type, desc, sizeof(*desc));
}

static void test_notes(void **state)
{
	u64 desc;
	u32 at = note(0, "Linux", 6, 18, "abcde", 5);

	(void)state;
	at = note(at, "Xen", 4, 17, "wrong", 5);
	at = note(at, "Xen", 4, 18, "\x00\x02\x00\x01", 4);
	at = note(at, "Xen", 4, 6, "a long descriptor", 18);
	wide.p[2].p_filesz = at;
	assert_int_equal(find("Xen", 18, &desc), 4);
	assert_int_equal(desc, 0x1000200);
	assert_int_equal(find("Linux", 18, &desc), 5);
	assert_int_equal(find("Xen", 6, &desc), 18);
	assert_memory_equal(&desc, "a long d", 8);
	assert_int_equal(find("Xen", 5, &desc), -TERN_ENOENT);
	assert_int_equal(find("Xe", 18, &desc), -TERN_ENOENT);
	/* The last descriptor need not be padded, but it must be there. */
	wide.p[2].p_filesz = at - 2;
	assert_int_equal(find("Xen", 6, &desc), 18);
	wide.p[2].p_filesz = at - 3;
	assert_int_equal(find("Xen", 6, &desc), -TERN_EINVAL);
	/* A second segment of notes is looked at too. */
	wide.p[1] = wide.p[2];
	wide.p[1].p_filesz = 0;
	wide.p[2].p_filesz = at;
	assert_int_equal(find("Xen", 18, &desc), 4);
}

static void test_damaged_notes(void **state)
{
	static const u32 lengths[][2] = {{UINT32_MAX, 0}, {0, UINT32_MAX}, {0xf5, 0}, {0xf0, 5}};
	u64 desc;

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(lengths); i++) {
		memcpy(wide.data + 0x400, lengths[i], 8);
		assert_int_equal(find("Xen", 18, &desc), -TERN_EINVAL);
	}
	setup(state);
	wide.p[2].p_filesz = 11;
	assert_int_equal(find("Xen", 18, &desc), -TERN_EINVAL);
	/* Aligned by 8: the name is padded to 8. */
	wide.p[2].p_filesz = 0x20;
	wide.p[2].p_align = 8;
	note(0, "Xen", 4, 18, "", 0);
	wide.data[0x404] = 8;
	assert_int_equal(find("Xen", 18, &desc), 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_read, setup),
		cmocka_unit_test_setup(test_class, setup),
		cmocka_unit_test_setup(test_refused, setup),
		cmocka_unit_test_setup(test_notes, setup),
		cmocka_unit_test_setup(test_damaged_notes, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
