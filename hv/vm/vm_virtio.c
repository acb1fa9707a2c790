/* SPDX-License-Identifier: MIT */
/* A VM's disks and network interfaces, as its configuration has them: words, the first of which names the
 * image or the switch. And the disk for the guest tools, which it has if the node has them. */
#include "vm_make.h"

#include <tern/arch.h>
#include <tern/boot_info.h>
#include <tern/err.h>
#include <tern/lib.h>
#include <tern/config.h>
#include <tern/virtio_blk.h>
#include <tern/virtio_net.h>

#define WORD_MAX  64u
#define NO_IMAGE  "none"
#define TOOLS     "tern-tools" /* serial number of that disk */
#define MAC_KEY   "mac="
#define MAC_BYTES 6u
#define MAC_GROUP 1u /* of the first byte: not one station's */

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

static bool hex_digit(char c, u8 *out)
{
	if (c >= '0' && c <= '9')
		*out = (u8)(c - '0');
	else if (c >= 'a' && c <= 'f')
		*out = (u8)(c - 'a' + 10);
	else if (c >= 'A' && c <= 'F')
		*out = (u8)(c - 'A' + 10);
	else
		return false;
	return true;
}

/* XX:XX:XX:XX:XX:XX of one station. */
static bool mac_of(const char *text, u8 mac[MAC_BYTES])
{
	for (u32 i = 0; i < MAC_BYTES; i++, text += 3) {
		u8 high, low;

		if (!hex_digit(text[0], &high) || !hex_digit(text[1], &low) ||
		    text[2] != (i + 1 < MAC_BYTES ? ':' : '\0'))
			return false;
		mac[i] = (u8)(high << 4 | low);
	}
	return (mac[0] & MAC_GROUP) == 0;
}

static int add_nic(struct vm *vm, u32 index, const char *text, char *why, size_t size)
{
	struct virtio_net_nic c = {.index = index, .node = config_get()->name};
	char name[WORD_MAX], word[WORD_MAX];
	const char *rest = text;
	u8 mac[MAC_BYTES];
	int rc;

	if (!next_word(&rest, name))
		return vm_make_refuse(TERN_EINVAL, why, size, "nic '%s': it names no switch", text);
	c.sw = name;
	while (next_word(&rest, word)) {
		if (strcmp(word, "locked") == 0) {
			c.locked = true;
		} else if (str_starts(word, MAC_KEY) && mac_of(word + strlen(MAC_KEY), mac)) {
			c.mac = mac;
		} else {
			return vm_make_refuse(TERN_EINVAL, why, size,
					      "nic '%s': '%s' is neither " MAC_KEY
					      "XX:XX:XX:XX:XX:XX nor locked",
					      text, word);
		}
	}
	rc = virtio_net_create(vm, &c, NULL);
	if (rc == -TERN_ENOENT)
		return vm_make_refuse(TERN_ENOENT, why, size,
				      "nic '%s': there is no switch '%s'; 'switch show' lists them",
				      text, name);
	if (rc == -TERN_EEXIST)
		return vm_make_refuse(TERN_EEXIST, why, size,
				      "nic '%s': another interface has that address", text);
	return rc;
}

/* --- guest tools --- */

static const struct boot_module *tools_module(void)
{
	const struct boot_module *m = boot_info_module(boot_info_get(), VM_TOOLS_MODULE);

	return m != NULL && m->len > 0 ? m : NULL;
}

/* Without a medium. */
static int add_tools(struct vm *vm)
{
	const struct vdisk_config c = {.name = TOOLS, .removable = true};

	return tools_module() != NULL ? virtio_blk_create(vm, &c, &vm->platform.tools) : 0;
}

int vm_tools(struct vm *vm, bool in, u64 *size)
{
	const struct boot_module *m = tools_module();
	struct virtio_device *disk = vm->platform.tools;

	if (m == NULL)
		return -TERN_ENOENT;
	if (disk == NULL)
		return -TERN_ENODEV;
	*size = m->len;
	/* Nobody else changes it. */
	if ((virtio_blk_disk(disk)->size != 0) == in)
		return -TERN_EEXIST;
	return virtio_blk_insert(disk, phys_to_virt(hpa(m->base)), in ? m->len : 0);
}

int vm_virtio_add(struct vm *vm, const struct vm_config *c, char *why, size_t why_size)
{
	int rc = 0;

	for (u32 i = 0; rc == 0 && i < c->disk_count; i++)
		rc = add_disk(vm, c->disks[i], why, why_size);
	for (u32 i = 0; rc == 0 && i < c->nic_count; i++)
		rc = add_nic(vm, i, c->nics[i], why, why_size);
	/* The last one, so that it moves no other. */
	return rc == 0 ? add_tools(vm) : rc;
}
