/* SPDX-License-Identifier: MIT */
/*
 * Builds the ACPI tables of a machine for acpi_test.c and acpi_tables_test.c: begin(), add()
 * tables, finish() with the root tables, parse(), look at info and warnings. One machine at a time.
 */
#ifndef ACPI_BUILD_H
#define ACPI_BUILD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <tern/acpi.h>
#include <tern/lib.h>
#include <arch/x86_64/acpi_topology_regs.h>
#include <tests/fake/acpi_image.h>

#define BASE       0xe0000u
#define IMAGE_LEN  KiB(128)
#define TABLES_MAX 200u

/* A machine under construction: the image begins with the RSDP, tables follow. */
static u8 bytes[IMAGE_LEN];
static struct acpi_image img;
static u32 used, listed[TABLES_MAX], listed_count;
static struct acpi_info info;
static char warnings[65536];

static inline void warn(const char *text, UNUSED void *arg)
{
	assert_true(strlen(text) < 230); /* a log line holds it */
	strcat(warnings, text);
	strcat(warnings, "\n");
}

static inline void assert_warned(const char *text)
{
	if (strstr(warnings, text) == NULL)
		fail_msg("no warning \"%s\" in:\n%s", text, warnings);
}

static inline int begin(UNUSED void **state)
{
	memset(bytes, 0, sizeof(bytes));
	warnings[0] = '\0';
	img = (struct acpi_image){.base = BASE, .bytes = bytes, .len = sizeof(bytes)};
	used = 64;
	listed_count = 0;
	return 0;
}

static inline int end(UNUSED void **state)
{
	acpi_image_free(&img);
	return 0;
}

static inline void fix_sum(u8 *p, size_t len, size_t index)
{
	p[index] = 0;
	for (size_t i = 0; i < len; i++) {
		if (i != index)
			p[index] = (u8)(p[index] - p[i]);
	}
}

static inline void sum_table(void *table)
{
	struct acpi_header *h = table;

	fix_sum(table, h->length, offsetof(struct acpi_header, checksum));
}

/* Places a table with this body after its header; returns it. */
static inline void *place(const char *sig, u8 revision, const void *body, size_t len)
{
	struct acpi_header *h = (void *)(bytes + used);

	memcpy(h->sig, sig, ACPI_SIG_LEN);
	h->length = (u32)(sizeof(*h) + len);
	h->revision = revision;
	if (len != 0)
		memcpy(h + 1, body, len);
	used += h->length;
	assert_true(used <= sizeof(bytes));
	sum_table(h);
	return h;
}

static inline u32 addr_of(const void *table)
{
	return BASE + (u32)((const u8 *)table - bytes);
}

static inline void list(const void *table)
{
	assert_true(listed_count < TABLES_MAX);
	listed[listed_count++] = addr_of(table);
}

static inline void *add(const char *sig, u8 revision, const void *body, size_t len)
{
	void *t = place(sig, revision, body, len);

	list(t);
	return t;
}

static inline struct acpi_rsdp_regs *rsdp(void)
{
	return (void *)bytes;
}

static inline void sum_rsdp(void)
{
	fix_sum(bytes, ACPI_RSDP_V1_LEN, offsetof(struct acpi_rsdp_regs, checksum));
	if (rsdp()->revision >= 2)
		fix_sum(bytes, rsdp()->length, offsetof(struct acpi_rsdp_regs, ext_checksum));
}

/* Both root tables and the RSDP over what was listed. */
static inline void finish(u8 revision)
{
	u64 wide[TABLES_MAX];

	for (u32 i = 0; i < listed_count; i++)
		wide[i] = listed[i];
	memcpy(rsdp()->sig, ACPI_RSDP_SIG, sizeof(rsdp()->sig));
	rsdp()->revision = revision;
	rsdp()->rsdt = addr_of(place("RSDT", 1, listed, listed_count * sizeof(u32)));
	if (revision >= 2) {
		rsdp()->length = sizeof(struct acpi_rsdp_regs);
		rsdp()->xsdt = addr_of(place("XSDT", 1, wide, listed_count * sizeof(u64)));
	}
	sum_rsdp();
}

static inline void parse(void)
{
	warnings[0] = '\0';
	acpi_parse(BASE, acpi_image_map, &img, warn, &info);
}

static inline const struct acpi_table *table_of(const char *sig)
{
	for (u32 i = 0; i < info.table_count; i++) {
		if (strcmp(info.tables[i].sig, sig) == 0)
			return &info.tables[i];
	}
	fail_msg("no table %s", sig);
	return NULL;
}

/* --- bodies --- */

struct body {
	u8 data[8192];
	size_t len;
};

static inline void put(struct body *b, const void *p, size_t len)
{
	assert_true(b->len + len <= sizeof(b->data));
	memcpy(b->data + b->len, p, len);
	b->len += len;
}

static inline struct body madt_body(u32 lapic_addr, u32 flags)
{
	struct body b = {.len = 0};

	put(&b, &lapic_addr, sizeof(u32));
	put(&b, &flags, sizeof(u32));
	return b;
}

static inline void put_lapic(struct body *b, u8 uid, u8 id, u32 flags)
{
	put(b, &(struct acpi_madt_lapic){{ACPI_MADT_LAPIC, 8}, uid, id, flags}, 8);
}

static inline void put_x2apic(struct body *b, u32 uid, u32 id, u32 flags)
{
	put(b, &(struct acpi_madt_x2apic){{ACPI_MADT_X2APIC, 16}, 0, id, flags, uid}, 16);
}

static inline void put_override(struct body *b, u8 bus, u8 irq, u32 gsi, u16 flags)
{
	put(b, &(struct acpi_madt_override){{ACPI_MADT_OVERRIDE, 10}, bus, irq, gsi, flags}, 10);
}

static inline void put_ioapic(struct body *b, u8 id, u32 addr, u32 gsi)
{
	put(b, &(struct acpi_madt_ioapic){{ACPI_MADT_IOAPIC, 12}, id, 0, addr, gsi}, 12);
}

static inline void put_srat_lapic(struct body *b, u32 domain, u8 id, u32 flags)
{
	struct acpi_srat_lapic e = {
		.entry = {ACPI_SRAT_LAPIC, 16},
		.domain_lo = (u8)domain,
		.apic_id = id,
		.flags = flags,
		.domain_hi = {(u8)(domain >> 8), (u8)(domain >> 16), (u8)(domain >> 24)},
	};

	put(b, &e, sizeof(e));
}

static inline void put_srat_mem(struct body *b, u32 domain, u64 base, u64 len)
{
	struct acpi_srat_memory e = {
		.entry = {ACPI_SRAT_MEM, 40},
		.domain = domain,
		.base = base,
		.len = len,
		.flags = ACPI_SRAT_ENABLED,
	};

	put(b, &e, sizeof(e));
}

static inline struct body simple_madt(void)
{
	struct body b = madt_body(0xfee00000, ACPI_MADT_PCAT_COMPAT);

	put_lapic(&b, 0, 0, 1);
	put_lapic(&b, 1, 1, 1);
	put_ioapic(&b, 2, 0xfec00000, 0);
	return b;
}

static inline struct acpi_fadt *add_fadt(size_t len, const void *aml, size_t aml_len)
{
	static const u8 zero[512];
	struct acpi_fadt *f = add("FACP", 4, zero, len - sizeof(struct acpi_header));

	if (aml != NULL)
		f->dsdt = addr_of(place("DSDT", 2, aml, aml_len));
	sum_table(f);
	return f;
}

#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)

#endif
