/* SPDX-License-Identifier: MIT */
/* links: boot/efi/elf_load.c hv/lib/elf.c hv/lib/str.c hv/lib/fmt.c */
/* Any bytes as tern.elf: what is accepted can be laid out within the memory that it asks for. */
#include <stdlib.h>
#include <string.h>

#include <boot/efi/elf_load.h>

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	char why[160] = "";
	struct elf_load e;
	u8 *image;

	if (elf_load_check(data, size, &e, why, sizeof(why)) != 0) {
		if (why[0] == '\0')
			abort();
		return 0;
	}
	if (e.image_size == 0 || e.image_size > ELF_LOAD_IMAGE_MAX ||
	    e.entry64_offset >= e.image_size || e.link_base % ELF_LOAD_ALIGN != 0)
		abort();
	/* Larger ones would only make the fuzzer slow. */
	if (e.image_size > MiB(1))
		return 0;
	image = malloc(e.image_size);
	if (!image)
		abort();
	elf_load_copy(data, &e, image);
	free(image);
	return 0;
}
