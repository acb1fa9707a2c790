/* SPDX-License-Identifier: MIT */
/* The shell command "vm tools": the guest tools go into a VM as a disk, and out again. */
#include "commands.h"

#include <tern/console.h>
#include <tern/err.h>
#include <tern/lib.h>
#include <tern/vm.h>

static void say_refused(const struct vm *vm, int rc, bool in)
{
	if (rc == -TERN_ENOENT)
		console_printf("the node has no guest tools; give its loader a boot module "
			       "'" VM_TOOLS_MODULE "' and restart it\n");
	else if (rc == -TERN_ENODEV)
		console_printf("%s: it was made without a disk for the guest tools; create it "
			       "anew, 'vm kill' and 'vm create'\n",
			       vm->name);
	else if (rc == -TERN_EEXIST)
		console_printf("%s: the guest tools are %s already\n", vm->name, in ? "in" : "out");
	else
		console_printf("%s: the guest tools cannot be a disk: %s\n", vm->name,
			       err_name(-rc));
}

int vm_do_tools(struct vm *vm, int argc, char **argv)
{
	bool in = argc == 3;
	char text[16];
	u64 size;
	int rc;

	if (argc > 4 || (argc == 4 && strcmp(argv[3], "--eject") != 0))
		return -TERN_EINVAL;
	rc = vm_tools(vm, in, &size);
	if (rc != 0)
		say_refused(vm, rc, in);
	else if (in)
		console_printf("%s: the guest tools (%s) are in its disk 'tern-tools'; Linux has "
			       "it as /dev/disk/by-id/virtio-tern-tools\n",
			       vm->name, fmt_size(text, sizeof(text), size));
	else
		console_printf("%s: the guest tools are out\n", vm->name);
	return 0;
}
