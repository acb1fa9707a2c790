/* SPDX-License-Identifier: MIT */
/* The commands, one file a theme (hv/shell/cmd_*.c), and the table of them (hv/shell/commands.c). */
#ifndef HV_SHELL_COMMANDS_H
#define HV_SHELL_COMMANDS_H

#include <tern/shell.h>

/* cmd_info.c */
shell_fn cmd_version, cmd_config, cmd_uptime, cmd_help;
shell_complete_fn complete_help;
/* cmd_cpu.c */
shell_fn cmd_cpus;
/* cmd_mem.c */
shell_fn cmd_mem, cmd_mmap, cmd_frames;
/* cmd_devices.c */
shell_fn cmd_pci, cmd_acpi, cmd_irq, cmd_timers;
/* cmd_log.c */
shell_fn cmd_log, cmd_trace;
shell_complete_fn complete_log;
/* cmd_power.c */
shell_fn cmd_reboot, cmd_poweroff;
/* cmd_panic.c */
shell_fn cmd_panic;
shell_complete_fn complete_panic;
/* cmd_agent.c, cmd_console.c, cmd_dump.c, cmd_tools.c: of cmd_vm's */
struct vm;
int vm_agent(struct vm *vm, int argc, char **argv);
int vm_grant(struct vm *vm, int argc, char **argv);
void vm_show_agent(struct vm *vm);
int vm_console(struct vm *vm, int argc, char **argv);
int vm_show_dump(struct vm *vm, int argc, char **argv);
int vm_do_tools(struct vm *vm, int argc, char **argv);
/* cmd_vm.c */
shell_fn cmd_vm, cmd_exits, cmd_top;
shell_complete_fn complete_vm, complete_exits;
/* cmd_nic.c */
shell_fn cmd_nic;
shell_complete_fn complete_nic;
/* cmd_switch.c */
shell_fn cmd_switch;
shell_complete_fn complete_switch;

#endif
