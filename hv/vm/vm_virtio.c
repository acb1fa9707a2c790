/* SPDX-License-Identifier: MIT */
/* A VM's disks, as its configuration has them: words, of which the first names what it is. */
#include "vm_make.h"

#include <tern/arch.h>
#include <tern/boot_info.h>
#include <tern/err.h>
#include <tern/lib.h>
#include <tern/virtio_blk.h>

#define WORD_MAX 64u
#define NO_IMAGE "none"

/* Copies the next word and moves on. False: there is none, or it is too long. */
static bool next_word(const char **text, char word[WORD_MAX])
{
	size_t n = 0;

	while (**text == ' ')
		(*text)++;
	for (; **text != '\0' && **text != ' '; (*text)++) {
		if (n + 1 == WORD_MAX)
			return false;
		word[n++] = **text;
	}
	word[n] = '\0';
	return n > 0;
}

static int disk_image(const char *name, struct vdisk_config *c, char *why, size_t size)
{
	const struct boot_module *m;

	if (strcmp(name, NO_IMAGE) == 0)
		return 0;
	m = boot_info_module(boot_info_get(), name);
	if (m == NULL)
		return vm_make_refuse(TERN_ENOENT, why, size,
				      "there is no boot module '%s' for a disk; 'mmap' lists them",
				      name);
	c->image = phys_to_virt(hpa(m->base));
	c->image_len = m->len;
	return 0;
}

static int add_disk(struct vm *vm, const char *text, char *why, size_t size)
{
	struct vdisk_config c = {0};
	struct virtio_device *ignored;
	char name[WORD_MAX], word[WORD_MAX];
	const char *rest = text;
	int rc;

	if (!next_word(&rest, name))
		return vm_make_refuse(TERN_EINVAL, why, size, "disk '%s': it names no boot module",
				      text);
	c.name = name;
	rc = disk_image(name, &c, why, size);
	while (rc == 0 && next_word(&rest, word)) {
		if (strcmp(word, "ro") == 0)
			c.read_only = true;
		else if (!str_starts(word, "size=") ||
			 str_to_size(word + strlen("size="), &c.size) != 0)
			rc = vm_make_refuse(TERN_EINVAL, why, size,
					    "disk '%s': '%s' is neither size=SIZE nor ro", text,
					    word);
	}
	if (rc != 0)
		return rc;
	rc = virtio_blk_create(vm, &c, &ignored);
	if (rc == -TERN_EINVAL)
		return vm_make_refuse(TERN_EINVAL, why, size,
				      "disk '%s': its size is 0 or no multiple of 512 bytes", text);
	return rc;
}

int vm_virtio_add(struct vm *vm, const struct vm_config *c, char *why, size_t why_size)
{
	int rc = 0;

	for (u32 i = 0; rc == 0 && i < c->disk_count; i++)
		rc = add_disk(vm, c->disks[i], why, why_size);
	return rc;
}
