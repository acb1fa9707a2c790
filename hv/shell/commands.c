/* SPDX-License-Identifier: MIT */
/* The table of all commands, sorted by name. docs/shell.md describes each at length. */
#include "commands.h"

const struct shell_command shell_commands[] = {
	{
		.name = "acpi",
		.usage = "acpi",
		.brief = "ACPI tables and what was read from them",
		.help = "A table that is marked BAD has a wrong length or checksum: Tern runs without\n"
			"what it would have told. A newer firmware is the remedy.\n",
		.run = cmd_acpi,
	},
	{
		.name = "config",
		.usage = "config",
		.brief = "the node's configuration, and what is wrong with tern.toml",
		.help = "Shows the values in use. When tern.toml has an error, all of it is ignored,\n"
			"and the first line says where the error is.\n",
		.run = cmd_config,
	},
	{
		.name = "cpus",
		.usage = "cpus",
		.brief = "CPUs, their virtualization features, what firmware locked",
		.help = "CPUs that are equal are described once. 'missing' lists what Tern could use\n"
			"and the CPU does not have.\n",
		.run = cmd_cpus,
	},
	{
		.name = "exits",
		.usage = "exits VM",
		.brief = "how often and why a VM left its guest, and what that cost",
		.help = NULL,
		.run = cmd_exits,
		.complete = complete_exits,
	},
	{
		.name = "frames",
		.usage = "frames",
		.brief = "the frame allocator: free blocks by size, zeroed pool",
		.help = NULL,
		.run = cmd_frames,
	},
	{
		.name = "help",
		.usage = "help [COMMAND]",
		.brief = "this list, or how one command is used",
		.help = "Keys: Tab completes, twice it lists the choices. Up and Down walk through\n"
			"the lines before. Ctrl-A/E go to the begin/end of the line, Ctrl-U/K delete to\n"
			"it, Ctrl-W deletes a word, Ctrl-L clears the screen, Ctrl-C gives a line up.\n",
		.run = cmd_help,
		.complete = complete_help,
	},
	{
		.name = "irq",
		.usage = "irq",
		.brief = "interrupt vectors in use and how often they came",
		.help = NULL,
		.run = cmd_irq,
	},
	{
		.name = "log",
		.usage = "log [--previous] [--level LEVEL]",
		.brief = "the log of this boot or of the one before",
		.help = "--previous     what the boot before this one left in memory: it survives a\n"
			"               reboot and a panic, not a power cut\n"
			"--level LEVEL  only lines as urgent as LEVEL: error, warn, info or debug\n",
		.run = cmd_log,
		.complete = complete_log,
	},
	{
		.name = "mem",
		.usage = "mem",
		.brief = "who has the memory; the sums add up",
		.help = NULL,
		.run = cmd_mem,
	},
	{
		.name = "mmap",
		.usage = "mmap",
		.brief = "the memory map and the modules that the loader gave",
		.help = NULL,
		.run = cmd_mmap,
	},
	{
		.name = "nic",
		.usage = "nic list | stats [NIC] | reset NIC",
		.brief = "the machine's network cards: links, counters, resets",
		.help = "list   name, address, model, who uses it, link\n"
			"stats  what was sent, received, dropped, and what went wrong\n"
			"reset  of one in use; frames that wait there are lost, its user goes on\n"
			"NIC is a name as in the list, a PCI address or a MAC address.\n",
		.run = cmd_nic,
		.complete = complete_nic,
	},
	{
		.name = "panic",
		.usage = "panic assert|fault|stack",
		.brief = "crash this node, to see that its report reaches you",
		.help = "assert: a false assertion; fault: a write to an address that is not mapped;\n"
			"stack: the stack runs into the hole below it. What runs here is lost.",
		.run = cmd_panic,
		.complete = complete_panic,
	},
	{
		.name = "pci",
		.usage = "pci [BUS:DEV.FN]",
		.brief = "PCI devices, or all about one: BARs, interrupts",
		.help = "BUS, DEV and FN are hexadecimal as in the list, with SEGMENT: in front for\n"
			"a segment other than 0.\n",
		.run = cmd_pci,
	},
	{
		.name = "poweroff",
		.usage = "poweroff",
		.brief = "switch the machine off",
		.help = NULL,
		.run = cmd_poweroff,
	},
	{
		.name = "reboot",
		.usage = "reboot",
		.brief = "restart the machine; 'log --previous' then shows this log",
		.help = NULL,
		.run = cmd_reboot,
	},
	{
		.name = "switch",
		.usage = "switch show | stats | capture PORT [SECONDS|stop]",
		.brief = "the virtual switch between VMs: ports, counters, captures",
		.help = "show     ports with their VM, address, offloads, and the stations behind them\n"
			"stats    packets in and out, and what was dropped why\n"
			"capture PORT [SECONDS]  records the newest packets of a port, for so long\n"
			"capture PORT stop       ends that and prints a pcap file as base64\n",
		.run = cmd_switch,
		.complete = complete_switch,
	},
	{
		.name = "timers",
		.usage = "timers",
		.brief = "running timers of every CPU",
		.help = NULL,
		.run = cmd_timers,
	},
	{
		.name = "top",
		.usage = "top",
		.brief = "CPU time of every VM since the last 'top'",
		.help = NULL,
		.run = cmd_top,
	},
	{
		.name = "trace",
		.usage = "trace [CPU] [COUNT]",
		.brief = "the newest trace records",
		.help = "Without CPU: of all CPUs, one after another. COUNT is 1 to 256, else 20.\n",
		.run = cmd_trace,
	},
	{
		.name = "uptime",
		.usage = "uptime",
		.brief = "time since start, how idle the CPUs are, how long keys wait",
		.help = NULL,
		.run = cmd_uptime,
	},
	{
		.name = "version",
		.usage = "version",
		.brief = "version, loader, and what the boot cost",
		.help = NULL,
		.run = cmd_version,
	},
	{
		.name = "vm",
		.usage = "vm list | create NAME memory=SIZE kernel=MODULE [OPTION...] | ACTION VM",
		.brief = "makes, starts, stops and shows VMs",
		.help = "create options: vcpus=N weight=N cap=PERCENT cmdline=\"...\" modules=A,B\n"
			"  initrd=MODULE disk=\"MODULE ...\" nic=\"SWITCH ...\" log=on|off testdev=on|off\n"
			"start, pause, resume, reset  what they say\n"
			"shutdown  presses the power button: the guest may switch itself off\n"
			"stop      stops for ever; info still shows the reason\n"
			"kill      stops it, if it still runs, and gives its memory back\n"
			"info      state, memory, agent, vCPUs\n"
			"agent VM [COUNT]  the newest lines of its table: used, demand, grant, backed\n"
			"grant VM SIZE|auto  sets what it may have of the node's memory\n"
			"stats     CPU time of every vCPU, faults, stalls\n"
			"dump      registers, interrupts, stack and backtrace of every vCPU\n"
			"console   this terminal at its serial port; Ctrl-] leaves\n"
			"console VM --last LINES  the newest lines that it wrote there\n"
			"send VM TEXT  types a line into that port\n"
			"tools VM [--eject]  puts the guest tools into it as a disk, or takes them out\n",
		.run = cmd_vm,
		.complete = complete_vm,
	},
};
const u32 shell_command_count = ARRAY_SIZE(shell_commands);
