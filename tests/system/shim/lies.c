/* SPDX-License-Identifier: MIT */
/*
 * The facts the shim hands to Tern, and how each is made wrong. Multiboot 2 (2.0) 3.6; ACPI 6.5,
 * chapter 5.2.
 */
#include "shim.h"

#define MB2_MODULE      3u
#define MB2_MMAP        6u
#define MB2_ACPI_NEW    15u
#define MAP_MAX         32u
#define MAP_RAM         1u
#define MAP_RESERVED    2u
#define MAP_ACPI        3u
#define MAP_NVS         4u
#define TABLES_MAX      16u
#define BIOS_AREA       0xe0000u
#define BIOS_AREA_END   0x100000u
#define ACPI_LENGTH_AT  4u
#define ACPI_SUM_AT     9u
#define ACPI_HEAD_BYTES 36u
#define GiB_SHIFT       30

struct rsdp {
	char sig[8];
	u8 sum;
	char oem[6];
	u8 revision;
	u32 rsdt;
	u32 length;
	u64 xsdt;
	u8 sum_all, reserved[3];
} __attribute__((packed));
_Static_assert(sizeof(struct rsdp) == 36, "ACPI 6.5, 5.2.5.3");

/* Pages of their own, so that the map can call them ACPI memory. */
static u8 tables[4096] __attribute__((aligned(4096)));
static struct mb_mmap map[MAP_MAX];
static u32 map_count;

static void map_add(u64 base, u64 len, u32 type)
{
	if (map_count == MAP_MAX)
		shim_fail("memory map: too many entries");
	map[map_count++] = (struct mb_mmap){base, len, type, 0};
}

/* Claims that contradict each other: RAM over what the BIOS keeps, reserved in RAM, doubles. */
static void map_overlap(void)
{
	u32 n = map_count;

	map_add(0x90000, 0x10000, MAP_RAM);
	map_add(0x6000800, 0x1000, MAP_RESERVED);
	map_add(0x6000000, 0x100000, MAP_NVS);
	map_add(0x5ff0000, 0x200000, MAP_RAM);
	for (u32 i = 0; i < n && i < 4; i++)
		map_add(map[i].base, map[i].len, map[i].type);
	for (u32 i = 0; i < map_count / 2; i++) { /* highest address first */
		struct mb_mmap e = map[i];

		map[i] = map[map_count - 1 - i];
		map[map_count - 1 - i] = e;
	}
}

static void map_wrap(void)
{
	map_add(0xffffffffff000000, 0x2000000, MAP_RAM);
	map_add(0x6000000, 0xffffffffffffffff, MAP_ACPI);
	map_add(0xfffffffffffff000, 0x1000, MAP_RAM);
	map_add(0x7000000, 0, MAP_RAM);
	map_add(0x7000001, 1, MAP_RAM);
	map_add(0x7001000, 0x1000, 0);
	map_add(0x7002000, 0x1000, 0xffffffff);
}

void lies_map(struct mb2_out *out, const struct mb_mmap *real, u32 count)
{
	u32 head[2] = {sizeof(struct mb_mmap), 0};
	u32 bytes;
	u8 *p;

	for (u32 i = 0; i < count; i++)
		map_add(real[i].base, real[i].len, real[i].type);
	map_add((uintptr_t)tables, sizeof(tables), MAP_ACPI);
	if (shim_word("map=overlap"))
		map_overlap();
	if (shim_word("map=wrap"))
		map_wrap();
	bytes = map_count * (u32)sizeof(map[0]);
	p = shim_tag(out, MB2_MMAP, (u32)sizeof(head) + bytes);
	memcpy(p, head, sizeof(head));
	memcpy(p + sizeof(head), map, bytes);
}

void lies_modules(struct mb2_out *out, const struct shim_module *mods, u32 count)
{
	for (u32 i = 0; i < count; i++) {
		u32 start = (u32)(uintptr_t)mods[i].data;
		u32 range[2] = {start, start + mods[i].size};
		u32 n = (u32)strlen(mods[i].string) + 1;
		bool last = i == count - 1;
		u8 *p;

		if (last && shim_word("module=truncated"))
			range[1] = 0xf0000000;
		if (last && shim_word("module=reversed"))
			range[1] = range[0] - 4096;
		p = shim_tag(out, MB2_MODULE, (u32)sizeof(range) + n);
		memcpy(p, range, sizeof(range));
		memcpy(p + sizeof(range), mods[i].string, n);
	}
}

static u8 sum(const void *data, u32 n)
{
	const u8 *p = data;
	u8 total = 0;

	while (n--)
		total = (u8)(total + *p++);
	return total;
}

/* Sets the byte at *byte so that all n bytes add up to 0. */
static void fix_sum(void *data, u32 n, u8 *byte)
{
	*byte = 0;
	*byte = (u8)(0u - sum(data, n));
}

static u32 get32(const u8 *p)
{
	u32 v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static const struct rsdp *find_rsdp(void)
{
	for (uintptr_t a = BIOS_AREA; a < BIOS_AREA_END; a += 16)
		if (memcmp((const void *)a, "RSD PTR ", 8) == 0 && sum((const void *)a, 20) == 0)
			return (const struct rsdp *)a;
	shim_fail("no RSDP in the BIOS area");
}

/*
 * The MADT, wrong as the command line says: a copy behind the first 1 KiB of tables[], or the real
 * one, which firmware keeps in the last pages of RAM.
 */
static u8 *wrong_madt(u8 *madt)
{
	u8 *copy = tables + 1024;
	u32 length = get32(madt + ACPI_LENGTH_AT);
	u32 wrong = shim_word("acpi=huge") ? 0xf8000000 : 0x800000;

	if (shim_word("acpi=length") || shim_word("acpi=huge")) {
		memcpy(madt + ACPI_LENGTH_AT, &wrong, sizeof(wrong));
		return madt;
	}
	if (length > sizeof(tables) - 1024)
		shim_fail("the MADT is too long");
	memcpy(copy, madt, length);
	if (shim_word("acpi=checksum"))
		copy[ACPI_SUM_AT]++;
	return copy;
}

/* XSDT in tables[]: what the machine's RSDT lists, with another MADT. */
static void build_xsdt(const u8 *rsdt)
{
	u32 count = (get32(rsdt + ACPI_LENGTH_AT) - ACPI_HEAD_BYTES) / 4, length;

	if (count > TABLES_MAX)
		shim_fail("the RSDT is too long");
	memcpy(tables, rsdt, ACPI_HEAD_BYTES);
	memcpy(tables, "XSDT", 4);
	for (u32 i = 0; i < count; i++) {
		u8 *t = (u8 *)(uintptr_t)get32(rsdt + ACPI_HEAD_BYTES + i * 4);
		u64 at;

		if (memcmp(t, "APIC", 4) == 0)
			t = wrong_madt(t);
		at = (uintptr_t)t;
		if (shim_word("acpi=wild"))
			at = i % 2 ? 0xfffffffffffffff0 : (u64)(200 + i) << GiB_SHIFT;
		memcpy(tables + ACPI_HEAD_BYTES + i * 8, &at, sizeof(at));
	}
	length = ACPI_HEAD_BYTES + count * 8;
	memcpy(tables + ACPI_LENGTH_AT, &length, sizeof(length));
	fix_sum(tables, length, tables + ACPI_SUM_AT);
}

void lies_acpi(struct mb2_out *out)
{
	const struct rsdp *real = find_rsdp();
	struct rsdp r = *real;

	build_xsdt((const u8 *)(uintptr_t)real->rsdt);
	r.revision = 2;
	r.length = sizeof(r);
	r.xsdt = (uintptr_t)tables;
	memset(r.reserved, 0, sizeof(r.reserved));
	fix_sum(&r, 20, &r.sum);
	fix_sum(&r, sizeof(r), &r.sum_all);
	memcpy(shim_tag(out, MB2_ACPI_NEW, sizeof(r)), &r, sizeof(r));
}

/* What a loader of the future, or a broken one, may put in. */
void lies_tags(struct mb2_out *out)
{
	u32 huge = 0x7ffffff0, tiny = 3;

	if (shim_word("tags=tiny"))
		memcpy(shim_tag(out, MB2_MODULE, 8) - 4, &tiny, sizeof(tiny));
	if (!shim_word("tags=garbage"))
		return;
	memset(shim_tag(out, 4711, 13), 0xa5, 13);
	memset(shim_tag(out, MB2_MODULE, 2), 0xff, 2);
	memset(shim_tag(out, MB2_MMAP, 5), 0xff, 5);
	memset(shim_tag(out, MB2_ACPI_NEW, 4), 0xff, 4);
	memset(shim_tag(out, 0xffffffff, 40), 0xff, 40);
	memcpy(shim_tag(out, MB2_MODULE, 8) - 4, &huge, sizeof(huge));
}
