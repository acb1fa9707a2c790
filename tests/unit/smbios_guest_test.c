/* SPDX-License-Identifier: MIT */
/* links: hv/vm/smbios_guest.c hv/vm/loader.c hv/mem/gmem.c hv/mem/gmem_access.c hv/mem/gmem_grant.c hv/mem/gmem_policy.c hv/mem/scrub.c arch/x86_64/npt.c arch/x86_64/vmx/ept.c hv/lock.c hv/lib/str.c hv/lib/fmt.c tests/fake/fake_frames.c tests/fake/fake_host.c */
/* The SMBIOS tables of a VM, walked as a kernel does. Offsets are those of DSP0134: a second opinion. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <arch/x86_64/vmx/ept.h>
#include <hv/vm/layout_guest.h>
#include <hv/vm/smbios_guest.h>
#include <tern/err.h>
#include <tern/vm.h>
#include <tests/fake/fake_frames.h>
#include <tests/fake/fake_host.h>

static struct gmem mem;
static u8 rom[GUEST_SMBIOS_LEN];
static char why[160];
static struct smbios_guest_config config;

static void flush(void *owner)
{
	(void)owner;
}

/* A VM of that much memory, laid out as a PC. */
static void memory(u64 size)
{
	fake_reset();
	fake_frames_reset(256);
	assert_int_equal(gmem_create(&mem, &ept_format, flush, NULL), 0);
	assert_int_equal(gmem_add(&mem, gpa(0), GUEST_LOW_END, GMEM_RAM), 0);
	assert_int_equal(gmem_add(&mem, gpa(GUEST_ROM), GUEST_ROM_LEN, GMEM_ROM), 0);
	assert_int_equal(
		gmem_add(&mem, gpa(GUEST_HIGH), min_u64(size, GUEST_HOLE) - GUEST_HIGH, GMEM_RAM),
		0);
	if (size > GUEST_HOLE)
		assert_int_equal(gmem_add(&mem, gpa(GUEST_ABOVE), size - GUEST_HOLE, GMEM_RAM), 0);
}

static int setup(void **state)
{
	(void)state;
	memory(MiB(512));
	config = (struct smbios_guest_config){
		.uuid = {0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb,
			 0xcc, 0xdd, 0xee, 0xff},
		.serial = "SN-7",
		.version = "1.2",
		.vcpus = 4,
		.sockets = 1,
	};
	return 0;
}

static u64 le(const u8 *p, u32 width)
{
	u64 v = 0;

	memcpy(&v, p, width);
	return v;
}

static void load(void)
{
	u8 sum = 0;

	assert_int_equal(smbios_guest_load(&mem, &config, why, sizeof(why)), 0);
	assert_int_equal(gmem_read(&mem, gpa(GUEST_SMBIOS), rom, sizeof(rom)), 0);
	assert_memory_equal(rom, "_SM3_", 5);
	assert_int_equal(rom[6], 24);
	for (u32 i = 0; i < 24; i++)
		sum = (u8)(sum + rom[i]);
	assert_int_equal(sum, 0);
	assert_int_equal(le(rom + 16, 8), GUEST_SMBIOS + 0x20);
}

/* Behind a structure's strings. */
static const u8 *next(const u8 *p)
{
	for (p += p[1]; p[0] != 0 || p[1] != 0; p++)
		assert_true(p + 2 < rom + sizeof(rom));
	return p + 2;
}

/* The n-th structure of a type, or NULL; all are walked: handles differ, the end is where it is said. */
static const u8 *find(u8 type, u32 n)
{
	const u8 *found = NULL;
	u32 handle = 0;

	for (const u8 *p = rom + 0x20;; p = next(p)) {
		assert_int_equal(le(p + 2, 2), handle++);
		if (p[0] == type && n-- == 0)
			found = p;
		if (p[0] != 127)
			continue;
		assert_int_equal(next(p) - (rom + 0x20), le(rom + 12, 4));
		return found;
	}
}

static const char *string(const u8 *p, u8 number)
{
	const char *s = (const char *)p + p[1];

	assert_int_not_equal(number, 0);
	while (--number > 0) {
		assert_int_not_equal(s[0], '\0');
		s += strlen(s) + 1;
	}
	return s;
}

static void test_identity(void **state)
{
	static const u8 uuid[16] = {0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66,
				    0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff};
	const u8 *p;

	(void)state;
	load();
	p = find(0, 0);
	assert_string_equal(string(p, p[4]), "Tern");
	assert_string_equal(string(p, p[5]), "1.2");
	assert_int_equal(p[0x13] & 0x10, 0x10); /* a virtual machine */
	p = find(1, 0);
	assert_string_equal(string(p, p[4]), "Tern");
	assert_string_equal(string(p, p[5]), "Tern VM");
	assert_string_equal(string(p, p[7]), "SN-7");
	assert_memory_equal(p + 8, uuid, 16);
	assert_string_equal(string(find(3, 0), 1), "Tern");
	assert_int_equal(find(32, 0)[10], 0);
	assert_null(find(1, 1));
	assert_int_equal(mem.backed, PAGE_SIZE);
	setup(state);
	config.serial = "";
	load();
	assert_int_equal(find(1, 0)[7], 0);
	assert_non_null(find(127, 0));
}

static void test_processors(void **state)
{
	const u8 *p;

	(void)state;
	load();
	p = find(4, 0);
	assert_null(find(4, 1));
	assert_int_equal(p[0x23], 4);
	assert_int_equal(le(p + 0x26, 2), 0xc); /* 64-bit, multi-core */
	assert_int_equal(le(p + 0x2a, 2), 4);
	setup(state);
	config.vcpus = config.sockets = VCPUS_PER_VM_MAX;
	load();
	p = find(4, VCPUS_PER_VM_MAX - 1);
	assert_string_equal(string(p, p[4]), "CPU 63");
	assert_int_equal(p[0x23], 1);
	assert_int_equal(le(p + 0x26, 2), 4);
	assert_null(find(4, VCPUS_PER_VM_MAX));
}

/* size in KiB of the array, in MiB of the device, the ranges by their last byte. */
static void assert_memory(u64 size, u64 low_end, u64 high_end)
{
	const u8 *p;
	u64 v;

	memory(size);
	load();
	p = find(16, 0);
	v = le(p + 7, 4) == 0x80000000 ? le(p + 15, 8) : le(p + 7, 4) << 10;
	assert_int_equal(v, size);
	assert_int_equal(le(p + 13, 2), 1);
	v = le(find(17, 0) + 4, 2);
	assert_int_equal(v, le(p + 2, 2)); /* of that array */
	p = find(17, 0);
	v = le(p + 12, 2) == 0x7fff ? le(p + 0x1c, 4) : le(p + 12, 2);
	assert_int_equal(v << 20, size);
	p = find(19, 0);
	assert_int_equal(le(p + 4, 4), 0);
	assert_int_equal((le(p + 8, 4) << 10) + 1023, low_end);
	p = find(19, 1);
	if (high_end == 0) {
		assert_null(p);
		return;
	}
	if (le(p + 4, 4) == UINT32_MAX) {
		assert_int_equal(le(p + 15, 8), GUEST_ABOVE);
		assert_int_equal(le(p + 23, 8), high_end);
	} else {
		assert_int_equal(le(p + 4, 4) << 10, GUEST_ABOVE);
		assert_int_equal((le(p + 8, 4) << 10) + 1023, high_end);
	}
}

static void test_memory(void **state)
{
	(void)state;
	assert_memory(MiB(32), MiB(32) - 1, 0);
	assert_memory(GiB(3), GiB(3) - 1, 0);
	assert_memory(GiB(4), GiB(3) - 1, GiB(5) - 1);
	assert_memory(GiB(32) - MiB(2), GiB(3) - 1, GiB(33) - MiB(2) - 1);
	assert_memory(GiB(32) - MiB(1), GiB(3) - 1, GiB(33) - MiB(1) - 1);
	assert_memory(GiB(2048), GiB(3) - 1, GiB(2049) - 1);
	assert_memory(GiB(4095), GiB(3) - 1, GiB(4096) - 1);
	assert_memory(GiB(65536), GiB(3) - 1, GiB(65537) - 1);
}

static void test_no_room(void **state)
{
	static char serial[GUEST_SMBIOS_LEN];

	(void)state;
	memset(serial, 'x', sizeof(serial) - 1);
	config.serial = serial;
	assert_int_equal(smbios_guest_load(&mem, &config, why, sizeof(why)), -TERN_EINVAL);
	assert_string_equal(why, "its SMBIOS tables do not fit their 65536 bytes");
	setup(state);
	fake_frames_left = 0;
	assert_int_equal(smbios_guest_load(&mem, &config, why, sizeof(why)), -TERN_ENOMEM);
	assert_non_null(strstr(why, "the node has no memory left"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_identity, setup),
		cmocka_unit_test_setup(test_processors, setup),
		cmocka_unit_test_setup(test_memory, setup),
		cmocka_unit_test_setup(test_no_room, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
