/* SPDX-License-Identifier: MIT */
/*
 * A machine's memory as far as ACPI goes: len bytes that begin at physical address base. Every
 * mapping is a copy of its exact size on the heap, so that ASan sees one byte read too much.
 */
#ifndef ACPI_IMAGE_H
#define ACPI_IMAGE_H

#include <tern/types.h>

#define ACPI_IMAGE_MAPS_MAX 4096u

struct acpi_image {
	u64 base;
	const u8 *bytes;
	size_t len;
	bool fix_sums; /* correct the checksums in what is mapped: fuzzing behind them */
	u32 maps;
	void *map[ACPI_IMAGE_MAPS_MAX];
};

/* An acpi_map_fn; arg is the image. */
const void *acpi_image_map(u64 pa, u64 len, void *arg);
/* Frees all copies. */
void acpi_image_free(struct acpi_image *img);

#endif
