/* SPDX-License-Identifier: MIT */
/* Shell commands that end this boot: reboot, poweroff. */
#include "commands.h"

#include <tern/arch.h>
#include <tern/console.h>
#include <tern/err.h>
#include <tern/log.h>

int cmd_reboot(int argc, UNUSED char **argv)
{
	if (argc != 1)
		return -TERN_EINVAL;
	log_info("shell: reboot");
	log_flush();
	arch_reboot();
}

int cmd_poweroff(int argc, UNUSED char **argv)
{
	if (argc != 1)
		return -TERN_EINVAL;
	log_info("shell: power off");
	log_flush();
	arch_poweroff();
	console_printf("this machine cannot be switched off from here; the log says why\n");
	return 0;
}
