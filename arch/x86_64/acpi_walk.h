/* SPDX-License-Identifier: MIT */
/* What acpi.c (root tables) and acpi_tables.c (one parser a table) share: the walk under way. */
#ifndef ACPI_WALK_H
#define ACPI_WALK_H

#include <tern/acpi.h>

#include "acpi_regs.h"

struct acpi_walk {
	acpi_map_fn *map;
	void *arg; /* for map and warn */
	acpi_warn_fn *warn;
	struct acpi_info *info;
	const u8 *data[ACPI_TABLES_MAX]; /* whole table of info->tables[i], NULL when it is bad */
};

/* A good table: length and checksum are right, so len >= sizeof(struct acpi_header). */
struct acpi_view {
	const u8 *data; /* NULL: the machine has no such table, or a bad one */
	u32 len;
};

void acpi_warnf(struct acpi_walk *w, const char *fmt, ...) PRINTF(2, 3);

/*
 * Checks the table at pa and lists it in info->tables[]. want: the signature it must have, or NULL.
 * A table seen before is not listed again. The view is empty when the table is bad (warned about).
 */
struct acpi_view acpi_load(struct acpi_walk *w, u64 pa, const char *want);

/* Copies a structure of size bytes that begins at off; what lies past the table's end reads as 0.
 */
void acpi_view_copy(struct acpi_view v, size_t off, void *dst, size_t size);

/* Parsers; each gets a good table and fills its part of w->info. */
void acpi_parse_madt(struct acpi_walk *w, struct acpi_view v);
void acpi_parse_fadt(struct acpi_walk *w, struct acpi_view v);
void acpi_parse_hpet(struct acpi_walk *w, struct acpi_view v);
void acpi_parse_mcfg(struct acpi_walk *w, struct acpi_view v);
/* After acpi_parse_madt(): fills the node of the CPUs it found. */
void acpi_parse_srat(struct acpi_walk *w, struct acpi_view v);

#endif
