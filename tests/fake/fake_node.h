/* SPDX-License-Identifier: MIT */
/* A node for the shell to show: what the subsystems that it asks would answer. */
#ifndef FAKE_NODE_H
#define FAKE_NODE_H

#include <tern/acpi.h>
#include <tern/boot_info.h>
#include <tern/config.h>
#include <tern/cpu_info.h>
#include <tern/mem.h>
#include <tern/types.h>

struct fake_node {
	struct boot_info boot;
	struct acpi_info acpi;
	struct config config;
	enum config_state config_state;
	struct cpu_info cpus[CPUS_MAX];
	bool cpu_absent[CPUS_MAX];
	struct mem_stats mem;
	bool no_virt; /* no guest can run here */
};
extern struct fake_node fake_node;

void fake_node_reset(void);

#endif
