/* SPDX-License-Identifier: MIT */
/* Shell commands about Tern itself: version, config, uptime, help. */
#include "commands.h"

#include <tern/arch.h>
#include <tern/boot_info.h>
#include <tern/config.h>
#include <tern/console.h>
#include <tern/drivers.h>
#include <tern/err.h>
#include <tern/lib.h>
#include <tern/log.h>
#include <tern/main.h>
#include <tern/pcpu.h>
#include <tern/shell.h>
#include <tern/timer.h>

int cmd_version(int argc, UNUSED char **argv)
{
	const struct boot_info *bi = boot_info_get();

	if (argc != 1)
		return -TERN_EINVAL;
	console_printf("Tern %s, %s build\n", tern_version, TERN_DEBUG ? "debug" : "release");
	console_printf("loader: %s, %s\n", bi->loader_name[0] != '\0' ? bi->loader_name : "unnamed",
		       bi->efi_system_table != 0 ? "UEFI" : "BIOS");
	console_printf("boot: %llu ticks from the loader to the prompt",
		       (unsigned long long)main_boot_ticks());
	if (arch_tsc_hz() != 0)
		console_printf(", %llu ms",
			       (unsigned long long)timer_tsc_to_us(main_boot_ticks()) / 1000);
	console_printf("\nboots in a row whose log is known: %u\n", log_boot_count());
	return 0;
}

/* What was dropped on the way: nothing is lost quietly. */
static void print_losses(void)
{
	const struct boot_info *bi = boot_info_get();

	if (bi->mem_dropped != 0)
		console_printf("loader: %u memory map entries did not fit\n", bi->mem_dropped);
	if (bi->module_dropped != 0)
		console_printf("loader: %u modules were left out\n", bi->module_dropped);
	if (uart_lost() != 0)
		console_printf("serial: %llu received characters lost\n",
			       (unsigned long long)uart_lost());
	if (uart_tx_lost() != 0)
		console_printf("serial: %llu characters not sent in time\n",
			       (unsigned long long)uart_tx_lost());
	if (console_lost() != 0)
		console_printf("console: %llu writes dropped\n",
			       (unsigned long long)console_lost());
}

int cmd_config(int argc, UNUSED char **argv)
{
	const struct config *c = config_get();
	const struct toml_error *err = NULL;
	enum config_state state;

	if (argc != 1)
		return -TERN_EINVAL;
	state = config_state(&err);
	if (state == CONFIG_NONE)
		console_printf("# no module " CONFIG_MODULE ": defaults and command line\n");
	else if (state == CONFIG_OK)
		console_printf("# from " CONFIG_MODULE " and the command line\n");
	else
		console_printf("# " CONFIG_MODULE ":%u:%u: %s\n"
			       "# the whole file is ignored: defaults and command line\n",
			       err->line, err->col, err->text);
	console_printf("[node]\nname = \"%s\"\n", c->name);
	console_printf("[console]\nport = 0x%x\nspeed = %u\nirq = %u\nscreen = %s\n", c->com_port,
		       c->com_speed, c->com_irq, c->screen ? "true" : "false");
	console_printf("[log]\nlevel = \"%s\"\n", log_level_name(c->log_level));
	if (c->fabric_nic[0] != '\0')
		console_printf("[fabric]\nnic = \"%s\"\n", c->fabric_nic);
	if (c->uplink_nic[0] != '\0')
		console_printf("[uplink]\nnic = \"%s\"\n", c->uplink_nic);
	console_printf("# command line: ");
	console_write(boot_info_get()->cmdline, strlen(boot_info_get()->cmdline));
	console_printf("\n");
	return 0;
}

static void print_time(const char *what, u64 us)
{
	u64 s = us / 1000000;

	console_printf("%s ", what);
	if (s >= 86400)
		console_printf("%llu d ", (unsigned long long)(s / 86400));
	console_printf("%02u:%02u:%02u.%03u\n", (u32)(s / 3600 % 24), (u32)(s / 60 % 60),
		       (u32)(s % 60), (u32)(us / 1000 % 1000));
}

/* Whether the shell answers at once, whatever guests do. */
static void print_waits(void)
{
	struct shell_times t = shell_longest();

	if (arch_tsc_hz() != 0)
		console_printf(
			"console: longest wait for a look at its keys %llu us, longest command "
			"%llu us\n",
			(unsigned long long)timer_tsc_to_us(t.wait),
			(unsigned long long)timer_tsc_to_us(t.command));
}

int cmd_uptime(int argc, UNUSED char **argv)
{
	u64 now = arch_tsc(), start = boot_info_get()->entry_tsc;
	u64 ran = now > start ? now - start : 1;

	if (argc != 1)
		return -TERN_EINVAL;
	if (arch_tsc_hz() == 0) {
		console_printf("up %llu ticks; the TSC's frequency is not known\n",
			       (unsigned long long)ran);
	} else {
		print_time("up", timer_tsc_to_us(ran));
		print_time("since reset", timer_tsc_to_us(now));
	}
	for (u32 i = 0; i < pcpu_count(); i++) {
		const struct pcpu *pc = pcpu_get(i);
		u64 idle = pcpu_idle_ticks(pc);
		/* Per mille, without overflow for any number of ticks. */
		u64 part = min_u64(idle / max_u64(ran / 1000, 1), 1000);

		if (__atomic_load_n(&pc->online, __ATOMIC_ACQUIRE) != 0)
			console_printf("CPU %u: idle %u.%u %%, %llu interrupts\n", i,
				       (u32)(part / 10), (u32)(part % 10),
				       (unsigned long long)pc->irq_count);
	}
	print_waits();
	print_losses();
	return 0;
}

const char *complete_help(int arg, u32 i)
{
	return arg == 1 && i < shell_command_count ? shell_commands[i].name : NULL;
}

int cmd_help(int argc, char **argv)
{
	if (argc > 2)
		return -TERN_EINVAL;
	for (u32 i = 0; i < shell_command_count; i++) {
		const struct shell_command *c = &shell_commands[i];

		if (argc == 1) {
			console_printf("%-10s%s\n", c->name, c->brief);
		} else if (strcmp(c->name, argv[1]) == 0) {
			console_printf("usage: %s\n%s\n", c->usage, c->brief);
			if (c->help != NULL)
				console_write(c->help, strlen(c->help));
			return 0;
		}
	}
	if (argc == 2)
		console_printf("there is no command '%s'; 'help' lists all\n", argv[1]);
	return 0;
}
