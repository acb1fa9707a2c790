/* SPDX-License-Identifier: MIT */
/* Which loader a kernel needs: told by what the file itself says, never by its name. */
#include "guest_image.h"

#include "linux_guest.h"
#include "mb1_guest.h"
#include "pvh_guest.h"

#include <tern/elf.h>
#include <tern/err.h>

const char *guest_protocol_name(enum guest_protocol protocol)
{
	switch (protocol) {
	case GUEST_LINUX:
		return "Linux";
	case GUEST_PVH:
		return "PVH";
	case GUEST_MB1:
		return "Multiboot 1";
	}
	panic("boot protocol %u does not exist", (u32)protocol);
}

bool guest_image_is_mb1(const void *file, size_t len)
{
	return !linux_guest_is(file, len) && !pvh_guest_is(file, len) && mb1_guest_is(file, len);
}

static int detect(const struct loader *l, const struct guest_image_config *c,
		  enum guest_protocol *protocol)
{
	struct elf_file elf;
	u32 entry;

	if (linux_guest_is(c->file, c->len))
		*protocol = GUEST_LINUX;
	else if (pvh_guest_is(c->file, c->len))
		*protocol = GUEST_PVH;
	else if (mb1_guest_is(c->file, c->len))
		*protocol = GUEST_MB1;
	else if (elf_class(c->file, c->len) != 0) /* its own reason says more */
		return pvh_guest_check(c->file, c->len, &elf, &entry, l->why, l->why_size);
	else
		return loader_refuse(l, "it is neither a Linux bzImage, nor an ELF kernel with a "
					"PVH entry, nor a Multiboot 1 kernel");
	return 0;
}

static int load_linux(struct gmem *mem, const struct guest_image_config *c,
		      struct guest_start *start, const struct loader *l)
{
	const struct linux_boot boot = {.file = c->file,
					.len = c->len,
					.initrd = c->initrd,
					.initrd_len = c->initrd_len,
					.cmdline = c->cmdline,
					.rsdp = c->rsdp};
	struct linux_start s;
	int rc;

	if (c->module_count != 0)
		return loader_refuse(l, "a Linux bzImage takes an initrd, not modules");
	rc = linux_guest_load(mem, &boot, &s, l->why, l->why_size);
	if (rc == 0)
		*start = (struct guest_start){GUEST_LINUX, s.entry, s.params};
	return rc;
}

static int load_pvh(struct gmem *mem, const struct guest_image_config *c, struct guest_start *start,
		    const struct loader *l)
{
	const struct pvh_boot boot = {.file = c->file,
				      .len = c->len,
				      .initrd = c->initrd,
				      .initrd_len = c->initrd_len,
				      .cmdline = c->cmdline,
				      .module_count = c->module_count,
				      .modules = c->modules,
				      .rsdp = c->rsdp};
	struct pvh_start s;
	int rc = pvh_guest_load(mem, &boot, &s, l->why, l->why_size);

	if (rc == 0)
		*start = (struct guest_start){GUEST_PVH, s.entry, s.info};
	return rc;
}

static int load_mb1(struct gmem *mem, const struct guest_image_config *c, struct guest_start *start,
		    const struct loader *l)
{
	const struct mb1_boot boot = {.file = c->file,
				      .len = c->len,
				      .cmdline = c->cmdline,
				      .module_count = c->module_count,
				      .modules = c->modules};
	struct mb1_start s;
	int rc;

	if (c->initrd_len != 0)
		return loader_refuse(l, "a Multiboot 1 kernel takes modules, not an initrd");
	rc = mb1_guest_load(mem, &boot, &s, l->why, l->why_size);
	if (rc == 0)
		*start = (struct guest_start){GUEST_MB1, s.entry, s.info};
	return rc;
}

int guest_image_load(struct gmem *mem, const struct guest_image_config *c,
		     struct guest_start *start, char *why, size_t why_size)
{
	const struct loader l = {.mem = mem, .why = why, .why_size = why_size};
	enum guest_protocol protocol;
	int rc = detect(&l, c, &protocol);

	if (rc != 0)
		return rc;
	switch (protocol) {
	case GUEST_LINUX:
		return load_linux(mem, c, start, &l);
	case GUEST_PVH:
		return load_pvh(mem, c, start, &l);
	case GUEST_MB1:
		return load_mb1(mem, c, start, &l);
	}
	panic("boot protocol %u does not exist", (u32)protocol);
}

void guest_image_registers(const struct virt_ops *ops, struct vcpu *vc,
			   const struct guest_start *start)
{
	u32 entry = (u32)start->entry, info = (u32)start->info;

	switch (start->protocol) {
	case GUEST_LINUX:
		linux_guest_registers(ops, vc, &(struct linux_start){start->entry, start->info});
		return;
	case GUEST_PVH:
		pvh_guest_registers(ops, vc, &(struct pvh_start){entry, info});
		return;
	case GUEST_MB1:
		mb1_guest_registers(ops, vc, &(struct mb1_start){entry, info});
		return;
	}
	panic("boot protocol %u does not exist", (u32)start->protocol);
}
