/* SPDX-License-Identifier: MIT */
#include "acpi_image.h"

#include <stdlib.h>
#include <string.h>

#include <arch/x86_64/acpi_regs.h>

/* Makes the bytes sum up to 0 by changing the one at index. */
static void fix_sum(u8 *p, size_t len, size_t index)
{
	u32 sum = 0;

	for (size_t i = 0; i < len; i++)
		sum += p[i];
	p[index] = (u8)(p[index] - sum);
}

static void fix_sums(u8 *p, size_t len)
{
	if (len >= ACPI_RSDP_V1_LEN && memcmp(p, ACPI_RSDP_SIG, 8) == 0) {
		fix_sum(p, ACPI_RSDP_V1_LEN, offsetof(struct acpi_rsdp_regs, checksum));
		if (len >= sizeof(struct acpi_rsdp_regs))
			fix_sum(p, len, offsetof(struct acpi_rsdp_regs, ext_checksum));
	} else if (len >= sizeof(struct acpi_header)) {
		fix_sum(p, len, offsetof(struct acpi_header, checksum));
	}
}

const void *acpi_image_map(u64 pa, u64 len, void *arg)
{
	struct acpi_image *img = arg;
	u8 *copy;

	if (pa < img->base || pa - img->base > img->len || len > img->len - (pa - img->base) ||
	    len == 0 || img->maps == ACPI_IMAGE_MAPS_MAX)
		return NULL;
	copy = malloc(len);
	if (copy == NULL)
		abort();
	memcpy(copy, img->bytes + (pa - img->base), len);
	if (img->fix_sums)
		fix_sums(copy, len);
	img->map[img->maps++] = copy;
	return copy;
}

void acpi_image_free(struct acpi_image *img)
{
	while (img->maps > 0)
		free(img->map[--img->maps]);
}
