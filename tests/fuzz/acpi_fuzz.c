/* SPDX-License-Identifier: MIT */
/* links: arch/x86_64/acpi.c arch/x86_64/acpi_tables.c hv/lib/fmt.c hv/lib/str.c tests/fake/acpi_image.c */
/*
 * ACPI tables against a hostile firmware. An input is a header of 12 bytes (address of the image,
 * address of the RSDP or 0 to search for it, flags: bit 0 corrects checksums) and the image.
 * acpi_seeds.py makes the corpus.
 */
#include <stdlib.h>
#include <string.h>

#include <tern/acpi.h>
#include <tests/fake/acpi_image.h>

#define FLAG_FIX_SUMS 1u

struct input_header {
	u32 base, rsdp, flags;
};

static void warn(const char *text, UNUSED void *arg)
{
	if (strlen(text) == 0)
		abort();
}

/* What users of struct acpi_info rely on without looking. */
static void check(const struct acpi_info *info)
{
	u32 bad = 0;

	if (info->table_count > ACPI_TABLES_MAX || info->cpu_count > ACPI_CPUS_MAX ||
	    info->ioapic_count > ACPI_IOAPICS_MAX || info->override_count > ACPI_OVERRIDES_MAX ||
	    info->mcfg_count > ACPI_MCFG_MAX || info->srat_mem_count > ACPI_SRAT_MEM_MAX ||
	    info->node_count == 0 || info->node_count > NODES_MAX)
		abort();
	for (u32 i = 0; i < info->table_count; i++) {
		bad += !info->tables[i].ok;
		if (info->tables[i].ok != (info->tables[i].why[0] == '\0') ||
		    strlen(info->tables[i].sig) != 4)
			abort();
	}
	for (u32 i = 0; i < info->cpu_count; i++) {
		if (info->cpus[i].node >= info->node_count)
			abort();
	}
	for (u32 i = 0; i < info->srat_mem_count; i++) {
		if (info->srat_mem[i].node >= info->node_count)
			abort();
	}
	for (u32 i = 0; i < info->mcfg_count; i++) {
		if (info->mcfg[i].bus_first > info->mcfg[i].bus_last)
			abort();
	}
	if (bad != info->tables_bad || info->s5_type_a > 7 || info->s5_type_b > 7)
		abort();
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);
int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static struct acpi_image img;
	static struct acpi_info info;
	struct input_header h;
	u64 rsdp;

	if (size < sizeof(h))
		return 0;
	memcpy(&h, data, sizeof(h));
	img.base = h.base;
	img.bytes = data + sizeof(h);
	img.len = size - sizeof(h);
	img.fix_sums = (h.flags & FLAG_FIX_SUMS) != 0;
	rsdp = h.rsdp != 0 ? h.rsdp : acpi_find_rsdp(acpi_image_map, &img);
	acpi_parse(rsdp, acpi_image_map, &img, warn, &info);
	check(&info);
	acpi_image_free(&img);
	return 0;
}
